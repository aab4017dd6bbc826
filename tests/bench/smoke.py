#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmark with very few calls: everything is there, nothing is judged.

Usage: smoke.py RUN_SH AGENTSH_BENCH. Exit status 77 without root.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

VARIANTS = ["(a) no program", "(b) empty program", "(c) minimal record", "(d) agentsh-ebpf"]
WITH_PROGRAM = VARIANTS[1:]
WITH_RECORDS = VARIANTS[2:]
ATTACHERS = ["bare, storage a hook", "bare, one storage", "agentsh-ebpf"]
OPENERS = ["bare skeleton load", "agentsh-ebpf"]

# (scenario, load) -> figures -> variants
WANTED = {
    ("open", "all hooks, default sizes"): [(["open", "close"], OPENERS)],
    ("attach", "footprint"): [
        (
            [
                "heap a session",
                "RSS a session",
                "kernel a session",
                "fds a session",
                "threads a session",
                "programs loaded",
            ],
            ATTACHERS,
        )
    ],
}
for load in ("flat out", "flat out, read afterwards", "10000/s", "1000/s"):
    WANTED["connect", load] = [
        (["p50", "mean", "p99", "calls/s"], VARIANTS),
        (["delivered", "lost"], WITH_RECORDS),
    ]
for load in ("kernel's run time, flat out", "kernel's run time, read afterwards"):
    WANTED["connect", load] = [
        (["BPF time a run"], WITH_PROGRAM),
        (["delivered", "lost"], WITH_RECORDS),
    ]
for load in ("1st session", "session number 3"):
    WANTED["attach", load] = [(["attach", "detach", "both"], ATTACHERS)]

RATIOS = {
    ("attach", load, f"{figure}, ours / bare, {bare}")
    for load in ("1st session", "session number 3")
    for figure in ("attach", "both")
    for bare in ("storage a hook", "one storage")
} | {("open", "all hooks, default sizes", "open, ours / bare")}

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
    check(wanted == set(found), f"missing {wanted - set(found)}, unknown {set(found) - wanted}")
    for key, s in found.items():
        if key[3] == "delivered":
            check(s["min"] > 0, f"{key}: nothing")
        if key[3] == "lost":
            check(s["max"] == 0, f"{key}: {s['max']}")
        if key[3] in ("fds a session", "threads a session"):
            check(s["min"] == s["max"] == (4 if "fds" in key[3] else 0), f"{key}: {s}")
    ratios = {(r["scenario"], r["load"], r["ratio"]) for r in report["ratios"]}
    # those of connect may be missing: noise is larger than so few calls
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
             "--ring-size", "1048576", "--json", out],
            env={**os.environ, "BENCH": sys.argv[2]}, stdout=subprocess.PIPE, text=True)
        # fmt: on
        check(run.returncode == 0, f"exit status {run.returncode}")
        if not wrong:
            with open(out, encoding="utf-8") as file:
                check_report(json.load(file), run.stdout)
    for text in wrong:
        print(f"bench-smoke: {text}", file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
