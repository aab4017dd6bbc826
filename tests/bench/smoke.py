#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmark with very few calls. The report must be complete; figures are not judged.

Usage: smoke.py RUN_SH AGENTSH_BENCH. Exit status 77 without root.
"""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

VARIANTS = ["(a) no program", "(b) empty program", "(c) minimal record", "(d) agentsh-ebpf"]
WITH_PROGRAM = VARIANTS[1:]
WITH_RECORDS = VARIANTS[2:]
ATTACHERS = ["bare, storage per hook", "bare, one storage", "agentsh-ebpf"]
OPENERS = ["bare skeleton load", "agentsh-ebpf", "agentsh-ebpf without BTF"]
OURS = "(d) agentsh-ebpf"
MINIMAL = "(c) minimal record"
PACED = ["(a) no program", "(q) minimal record, no wake-up", MINIMAL, OURS, OURS + ", 10 ms"]
TCP = ["(a) no program", "(s) empty sockops program", OURS + ", CONNECT", "(d) CONNECT and (s)",
       OURS + ", LIFECYCLE"]
PACKETS = ["(a) no program", "(e) empty packet programs", "(d) agentsh-ebpf, no TRAFFIC",
           "(t) agentsh-ebpf, TRAFFIC", "(x) as (e), another cgroup", "(o) as (t), another cgroup"]
TRAFFIC = ["TCP, writes of 128 KiB", "TCP, turns of 64 bytes", "UDP, 64 bytes", "UDP, 1024 bytes",
           "UDP, 16384 bytes"]
NAMES = ["(a) no program", "(e) empty packet programs", "(f) agentsh-ebpf, no names, and (e)",
         "(n) agentsh-ebpf, DNS", "(m) agentsh-ebpf, DNS and SERVER_NAME"]
NAMES_LOADS = ["TCP, writes of 128 KiB", "UDP, 64 bytes", "HTTP, one connection",
               "HTTP, a connection per request"]
CONNECTORS = ["(d) agentsh-ebpf, no names", *NAMES[3:]]
CONNECTS = ["connect(), read afterwards", "TCP, connect() to close()"]
RULES_LOADS = [f"{family}, {rules}" for family in ("IPv4", "IPv6")
               for rules in ("no rule", "10 rules", "1,000 rules", "10,000 rules")]
EGRESS_LOADS = ["UDP, 64 bytes", "TCP, turns of 64 bytes", "TCP, writes of 128 KiB"]
EGRESS = ["(a) no program", "(e) empty egress program", "(u) agentsh-ebpf, EGRESS, no rules",
          "(r) agentsh-ebpf, EGRESS, 1,000 rules", "(s) agentsh-ebpf, EGRESS, 10,000 rules"]
RULED = ["(d) agentsh-ebpf, no RULES", "(u) agentsh-ebpf, RULES, no rules",
         "(r) agentsh-ebpf, 1,000 rules", "(s) agentsh-ebpf, 10,000 rules"]
PEERS = {
    "nothing": None,
    "agentsh-ebpf, all defaults": None,
    "Go, cilium/ebpf, a channel": "Go",
    "bpftrace, tracepoint": "bpftrace",
    "strace -f --seccomp-bpf": "strace",
    "strace -f": "strace",
}
RATES = ["10", "100", "1000", "10000", "100000"]

# (scenario, load) -> figures -> variants
WANTED = {
    ("open", "default hooks"): [(["open"], OPENERS)],
    ("open", "all hooks"): [(["open"], OPENERS)],
    ("open", "probe"): [(["probe"], ["agentsh-ebpf"])],
    ("drain", "flat out, read afterwards"): [
        (
            ["reader CPU per event"],
            [MINIMAL, OURS, OURS + ", read of 256", OURS + ", read of 32"],
        )
    ],
    ("idle", "10 s, nothing happens"): [
        (["context switches of the host"], ["(d) just opened", "(d) after 10000/s"])
    ],
    ("attach", "footprint"): [
        (
            [
                "heap per session",
                "RSS per session",
                "kernel per session",
                "fds per session",
                "threads per session",
                "programs loaded",
            ],
            ATTACHERS,
        )
    ],
}
for load in RULES_LOADS:
    WANTED["rules", load] = [
        (["time per run"], ["(0) destination alone", "(r) compiled rules", "(l) LPM trie"]),
        (["compile and copy", "memory"], ["(r) compiled rules"]),
    ]
WANTED["rules", CONNECTS[0]] = [(["p50"], RULED)]
for load in EGRESS_LOADS:
    WANTED["egress", load] = [(["time per call"], EGRESS)]
for load in ("flat out", "flat out, read afterwards"):
    WANTED["connect", load] = [
        (["p50", "mean", "p99", "calls/s"], VARIANTS),
        (["delivered", "lost"], WITH_RECORDS),
    ]
for load in ("kernel's run time, flat out", "kernel's run time, read afterwards"):
    WANTED["connect", load] = [
        (["BPF time per run"], WITH_PROGRAM),
        (["delivered", "lost"], WITH_RECORDS),
    ]
for load in ("session number 1", "session number 3"):
    WANTED["attach", load] = [
        (["attach", "detach", "both"], ATTACHERS),
        (["connect p50"], ["agentsh-ebpf"]),
    ]
for rate in RATES:
    WANTED["paced", rate + "/s"] = [
        (["connect p50", "connect p99"], PACED),
        (["delay p50", "delay p99", "reader CPU per event", "lost"], PACED[2:]),
    ]
for load in ("alone", "beside another session", "beside another process"):
    WANTED["crowd", load] = [(["connect p50"], [*VARIANTS[:2], OURS])]
for load in ("flat out", "1000/s"):
    WANTED["tcp", load] = [(["connect to close p50"], TCP), (["events per connection"], TCP[2:])]
for load in ("50000/s", "100000/s", "250000/s", "500000/s", "flat out"):
    WANTED["loss", load] = [
        (["calls/s", "made", "lost"], [MINIMAL, OURS, OURS + ", ring_quota 25"])
    ]
for load in TRAFFIC:
    WANTED["packets", load] = [(["time per call", "CPU per packet", "rate"], PACKETS)]
    WANTED["packets", load + ", kernel's run time"] = [
        (["BPF time per run", "egress per run", "ingress per run"], [PACKETS[1], PACKETS[3]])
    ]
for load in NAMES_LOADS:
    WANTED["names", load] = [(["time per call", "CPU per packet or request"], NAMES)]
    WANTED["names", load + ", kernel's run time"] = [
        (["BPF time per run", "egress per run", "ingress per run"], [NAMES[1], *NAMES[3:]])
    ]
for load in CONNECTS:
    WANTED["names", load] = [(["p50"], CONNECTORS)]
WANTED["answers", "question and answer"] = [
    (
        ["question alone", "with answer, new name", "with answer, known name"],
        ["one A", "a CNAME and 4 A"],
    )
]
WANTED["answers", "memory"] = [(["heap"], ["1,000 names"])]
WANTED["answers", "events"] = [
    (
        ["reader CPU per event"],
        ["without the hook DNS", "no event has a name", "each event has a name",
         "the host copies each name"],
    )
]
WANTED["loss", "burst that fills the ring"] = [(["calls/s", "made", "lost"], [MINIMAL, OURS])]

RATIOS = {
    ("attach", load, f"attach, ours / bare, {bare}")
    for load in ("session number 1", "session number 3")
    for bare in ("storage per hook", "one storage")
} | {
    ("attach", "session number 3", "connect p50, to that with one session"),
    ("attach", "footprint", "bytes of heap per session"),
    ("attach", "footprint", "threads per session"),
    ("attach", "footprint", "descriptors per session: its links and its cgroup"),
    ("connect", "record", "bytes of payload"),
    ("connect", "kernel's run time, read afterwards", "BPF time, d / c"),
    ("paced", "10/s", "delay p50, d / c"),
    ("paced", "10/s", "reader CPU per event, d / c"),
    ("paced", "100/s", "reader CPU per event, d / c"),
    ("paced", "10000/s", "delay p50 of (d), us"),
    ("paced", "10000/s", "delay p99 of (d), us"),
    ("paced", "10000/s", "reader CPU per event, d / c"),
    ("paced", "10000/s", "reader CPU per event, d with 10 ms / c"),
    ("drain", "flat out, read afterwards", "callback, d / c"),
    ("drain", "flat out, read afterwards", "read of 32, d / c"),
    ("drain", "flat out, read afterwards", "read of 256, d / c"),
    ("loss", "250000/s", "events lost of (d)"),
    ("loss", "250000/s", "events lost of (d), ring_quota 25"),
    ("loss", "burst that fills the ring", "events lost of (d)"),
    ("idle", "10 s, nothing happens", "(d) just opened"),
    ("idle", "10 s, nothing happens", "(d) after 10000/s"),
    ("tcp", "flat out", "ns added by LIFECYCLE to CONNECT"),
    ("open", "default hooks", "open, ours / bare"),
    ("open", "default hooks", "open, without BTF / with"),
    ("open", "probe", "ms of a probe, warm"),
}
for load in TRAFFIC:
    RATIOS |= {("packets", load, "time, " + text) for text in ("e / a", "d / a", "t / e", "o / x")}
    RATIOS |= {
        ("packets", load + ", kernel's run time", "BPF time, t / e"),
        ("packets", load + ", kernel's run time", "program runs of (o)"),
    }
for load in NAMES_LOADS:
    RATIOS |= {("names", load, "time, " + text) for text in ("e / a", "n / e", "m / e", "n / f", "m / f")}
    RATIOS |= {
        ("names", load + ", kernel's run time", f"BPF time, {text} / e") for text in ("n", "m")
    }
for load in CONNECTS:
    RATIOS |= {("names", load, f"p50, {text} / no names") for text in ("DNS", "both")}
for answer in ("one A", "a CNAME and 4 A"):
    RATIOS |= {
        ("answers", "question and answer", f"us of an answer, {answer}, {text} name")
        for text in ("new", "known")
    }
RATIOS.add(("answers", "memory", "KiB of a session with 1,000 names"))
for load in RULES_LOADS:
    RATIOS |= {("rules", load, f"ns added by ({variant})") for variant in "rl"}
RATIOS |= {("rules", CONNECTS[0], f"ns added by ({variant})") for variant in "urs"}
RATIOS.add(("rules", CONNECTS[0], "p50, no rules / no RULES"))
for family in ("IPv4", "IPv6"):
    RATIOS |= {
        ("rules", f"{family}, 10,000 rules", text)
        for text in ("ms to compile and copy", "bytes per rule")
    }

wrong = []


def check(condition, text):
    if not condition:
        wrong.append(text)


def check_values(name, entry):
    numbers = [entry["median"], entry["min"], entry["max"], *entry["rounds"]]
    check(len(entry["rounds"]) == 1, f"{name}: {len(entry['rounds'])} rounds")
    check(
        all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers),
        f"{name}: not numbers: {numbers}",
    )


def check_report(report, table):
    found = {}
    for s in report["series"]:
        key = (s["scenario"], s["load"], s["variant"], s["figure"])
        check(key not in found, f"{key} twice")
        found[key] = s
        check_values(key, s)
        check(s["load"] in table and s["variant"] in table, f"{key} is not in the table")
    wanted = {
        (scenario, load, variant, figure)
        for (scenario, load), blocks in WANTED.items()
        for figures, variants in blocks
        for figure in figures
        for variant in variants
    }
    notes = "\n".join(report["notes"])
    for load in ("10000/s", "flat out"):
        for name, tool in PEERS.items():
            key = ("peers", load, name, "connect p50")
            # if a tool is missing or does not run, a note says why
            check(key in found or (tool and f"peers: {tool}" in notes), f"{key} is missing")
    wanted |= {key for key in found if key[0] == "peers"}
    check(wanted == set(found), f"missing {wanted - set(found)}, unknown {set(found) - wanted}")
    for key, s in found.items():
        if key[3] == "delivered":
            check(s["min"] > 0, f"{key}: nothing")
        if key[3] == "lost" and key[0] != "loss":
            check(s["max"] == 0, f"{key}: {s['max']}")
        if key[0] in ("packets", "names", "answers"):
            check(s["min"] > 0, f"{key}: {s['min']}")
        if key[3] == "threads per session":
            check(s["min"] == s["max"] == 0, f"{key}: {s}")
        if key[3] == "fds per session":  # the library keeps one of the cgroup, beside the links'
            expected = 5 if key[2] == "agentsh-ebpf" else 4
            check(s["min"] == s["max"] == expected, f"{key}: {s}")
    for r in report["ratios"]:
        if r["ratio"] == "program runs of (o)":
            check(r["max"] == 0, f"packets of another cgroup ran the programs: {r}")
    ratios = {(r["scenario"], r["load"], r["ratio"]) for r in report["ratios"]}
    # ratios of connect may be missing, because of the noise of so few calls
    check(RATIOS <= ratios, f"ratios missing: {RATIOS - ratios}")
    for name in ("kernel", "cpu", "libbpf", "library", "rounds"):
        check(report["conditions"].get(name), f"condition {name} is missing")
    check(isinstance(report["notes"], list), "notes")


def main():
    if os.geteuid() != 0:
        print("skipped: the benchmark needs root")
        return 77
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "bench.json")
        # fmt: off
        run = subprocess.run(
            [sys.argv[1], "--rounds", "1", "--percent", "1", "--sessions", "3",
             "--ring-size", "1048576", "--peers", "--json", out],
            env={**os.environ, "BENCH": sys.argv[2]}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        # fmt: on
        check(run.returncode == 0, f"exit status {run.returncode}")
        # a worker that cannot enter its cgroup complains here
        for line in run.stderr.splitlines():
            check(re.fullmatch(r"bench: \w+, round \d+ of \d+(, .*)?", line), f"stderr: {line}")
        if not wrong:
            with open(out, encoding="utf-8") as file:
                check_report(json.load(file), run.stdout)
    for text in wrong:
        print(f"bench-smoke: {text}", file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
