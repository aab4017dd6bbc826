#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks docs/INTEGRATION.md against the header and the examples.

Usage: integration.py SOURCE-DIRECTORY [C-COMPILER]

- Each block of code is a part of a file in examples/, or compiles on its own.
- Each counter of struct agentsh_ebpf_stats has its metrics in the table, and each metric in the
  guide and in alerts.yml is in a table.
- Each kind of event and each member of the library's structs that the guide names exists.
- Links lead to files and headings that exist.
"""
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

AGENTSH = {"agentsh_net_ebpf_unavailable_total", "agentsh_net_ebpf_attach_fail_total",
           "agentsh_net_ebpf_dropped_events_total"}
# Counters that increase when all is well.
QUIET = {"agentsh_ebpf_deduplicated_total", "agentsh_ebpf_answers_total"}
METRIC = re.compile(r"\bagentsh_(?:net_)?ebpf_[a-z_]+")


class Guide:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.text = (self.root / "docs/INTEGRATION.md").read_text()
        self.header = (self.root / "include/agentsh/ebpf.h").read_text()
        self.alerts = (self.root / "examples/collect/alerts.yml").read_text()

    def blocks(self):
        """The language and the text of each block of code."""
        return re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.M | re.S)

    def table(self, heading):
        """The cells of the rows of the table that begins with this heading."""
        lines = self.text.split("| " + heading + " |", 1)[1].splitlines()[2:]
        rows = []
        for line in lines:
            if not line.startswith("|"):
                return rows
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        return rows

    def members(self, struct):
        body = re.search(r"^struct " + struct + r" \{\n(.*?)^\};", self.header, re.M | re.S)[1]
        return re.findall(r"(\w+)(?:\[\w+\])?;$", re.sub(r"/\*.*?\*/", "", body, flags=re.S), re.M)


def metrics(guide):
    """The metrics of each counter: of the tracer, and of a session or None."""
    table = guide.members("agentsh_ebpf_stats")
    constant = re.findall(r"(\w+);", " ".join(re.findall(
        r"; [01] for a session\.? \*/\s*uint\d+_t \w+;", guide.header)))
    result = {}
    for member in table:
        if member == "size":
            continue
        end = member if member == "sessions" else member + "_total"
        result[member] = ("agentsh_ebpf_" + end,
                          None if member in constant else "agentsh_ebpf_session_" + end)
    return result


def names_of_session_host(guide):
    """The names of all metrics that examples/session_host.c exports."""
    return {name for pair in metrics(guide).values() for name in pair if name} | (
        AGENTSH - {"agentsh_net_ebpf_dropped_events_total"})


def json_examples(guide):
    """The JSON lines in the guide, by type."""
    lines = [json.loads(line) for language, text in guide.blocks() if language == "json"
             for line in text.splitlines()]
    return {line["type"]: line for line in lines}


def shell_commands(guide):
    """The commands of the shell blocks, each as a list of words."""
    return [shlex.split(line) for language, text in guide.blocks() if language == "sh"
            for line in text.splitlines()]


def compiles(guide, text, compiler):
    with tempfile.TemporaryDirectory() as work:
        source = pathlib.Path(work, "block.c")
        source.write_text(text)
        run = subprocess.run(
            [compiler, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
             "-I", guide.root / "include", source], capture_output=True, text=True, check=False)
        return run.returncode == 0, run.stderr


def is_part(guide, text, pattern):
    """The file of examples/ that has these lines one after another, or None."""
    for file in sorted((guide.root / "examples").glob(pattern)):
        if "\n" + text in "\n" + file.read_text():
            return file
    return None


def check_blocks(guide, compiler):
    patterns = {"c": "**/*.[ch]", "go": "go/**/*.go", "python": "python/*.py", "rust": "rust/**/*.rs", "ini": "collect/*.service", "conf": "collect/*.conf"}
    quoted = set()
    for language, text in guide.blocks():
        title = f"the block '{language}' that begins with {text.splitlines()[0]!r}"
        if language in patterns:
            file = is_part(guide, text, patterns[language])
            quoted.add(file)
            if file:
                continue
            if language != "c":
                yield f"{title} is no part of an example"
                continue
            good, errors = compiles(guide, text, compiler)
            if not good:
                yield f"{title} is no part of an example, and does not compile:\n{errors}"
        elif language == "promql":
            rules = [re.sub(r"\s+", " ", rule.replace(">-", "")).strip() for rule in re.findall(
                r"expr: (.*?)(?=\n +(?:for|labels|annotations):)", guide.alerts, re.S)]
            if text.strip() not in rules:
                yield f"{title} is not in alerts.yml: {rules}"
        elif language not in ("json", "sh"):
            yield f"{title} is in a language that this test does not know"
    for name in ("session_host.c", "host_test.c", "names.c", "python/names.py", "rust/agentsh-ebpf/examples/trace.rs",
                 "go/cmd/agentsh-trace-go/main.go", "go/cmd/agentsh-session-go/main.go",
                 "collect/agentsh-trace.service"):
        if guide.root / "examples" / name not in quoted:
            yield f"the guide quotes nothing of {name}"
    alerts = guide.alerts.count("expr:")
    quotes = sum(language == "promql" for language, _ in guide.blocks())
    if alerts != quotes:
        yield f"alerts.yml has {alerts} alerts, and the guide quotes {quotes}"


def check_metrics(guide):
    wanted = metrics(guide)
    found = {}
    for member, of_tracer, of_session, kind in guide.table("member | metric of the tracer | metric of a session | type"):
        found[member.strip("`")] = (of_tracer.strip("`"), None if of_session == "—" else of_session.strip("`"))
        if kind != ("counter" if "_total" in of_tracer else "gauge"):
            yield f"{of_tracer} has the type {kind}"
    if found != wanted:
        yield f"the table of metrics has {found}, the header {wanted}"
    if len([pair for pair in wanted.values() if not pair[1]]) != 3:
        yield f"the comments of struct agentsh_ebpf_stats were not understood: {wanted}"
    if {name.strip("`") for name, _ in guide.table("metric of agentsh | increases when")} != AGENTSH:
        yield "the table of agentsh's metrics has other names"
    known = {name for pair in wanted.values() for name in pair if name} | AGENTSH
    for place, text in ("guide", guide.text), ("alerts.yml", guide.alerts):
        for name in METRIC.findall(text):
            if name not in known and (name.endswith("_total") or place == "alerts.yml"):
                yield f"the {place} has the unknown metric {name}"
    for of_tracer, _ in wanted.values():
        if of_tracer not in QUIET and of_tracer not in guide.alerts:
            yield f"alerts.yml has no alert for {of_tracer}"


def check_events(guide):
    kinds = set(re.findall(r"AGENTSH_EBPF_EVENT_(\w+) = \d+", guide.header))
    rows = guide.table("kind | type | what a host makes of it")
    found = [row[0].strip("`") for row in rows]
    if sorted(found) != sorted(kinds):
        yield f"the table of kinds has {sorted(found)}, the header {sorted(kinds)}"
    for kind, name, text in rows:
        if name != f"`net_{kind.strip('`').lower()}`" or len(text) < 20:
            yield f"the row of {kind} has the type {name} and the text {text!r}"


def check_names(guide):
    """Names in `code` exist: functions, constants, and members of the event."""
    for name in re.findall(r"\b(agentsh_ebpf_\w+)\(\)", guide.text):
        if not re.search(r"\b" + name + r"\(", guide.header):
            yield f"the header has no function {name}()"
    for name in re.findall(r"\bAGENTSH_EBPF_[A-Z0-9_]+\b", guide.text):
        if name != "AGENTSH_EBPF_SIMULATE_MISSING" and not re.search(r"\b" + name + r"\b", guide.header):
            yield f"the header has no {name}"
    members = set(guide.members("agentsh_ebpf_event"))
    for _, text in guide.table("member of agentsh's event | from"):
        for name in re.findall(r"`(\w+)`", text):
            if name not in members | {"session_id", "kind"} and not name.startswith("AF_"):
                yield f"struct agentsh_ebpf_event has no member {name}"


def check_links(guide):
    def anchors(file):
        headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
        return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}

    for target in re.findall(r"\]\(([^)]+)\)", guide.text):
        path, _, anchor = target.partition("#")
        file = (guide.root / "docs" / path).resolve() if path else guide.root / "docs/INTEGRATION.md"
        if not file.exists():
            yield f"there is no {path}"
        elif anchor and anchor not in anchors(file):
            yield f"{file.name} has no heading #{anchor}"


def main(root, compiler="cc"):
    guide = Guide(root)
    mistakes = [m for check in (check_metrics, check_events, check_names, check_links) for m in check(guide)]
    mistakes += check_blocks(guide, compiler)
    if not json_examples(guide) or not shell_commands(guide):
        mistakes.append("the guide has no JSON lines or no commands")
    for mistake in mistakes:
        print("FAILED:", mistake)
    print(f"{len(guide.blocks())} blocks, {len(metrics(guide))} counters, {len(mistakes)} mistakes")
    sys.exit(bool(mistakes))


if __name__ == "__main__":
    main(*sys.argv[1:])
