#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks for summary.sh; a function that finds a mistake exits with status 1 and a message.

FILE is a trace, SAYS the rows that summary_traffic.py wrote.

summary_check.py json FILE SAYS [KEY=VALUE]...  --summary --json shows exactly these rows; VALUE is
                                                the JSON value of KEY in every row
summary_check.py table FILE SAYS ALONE          text shows these rows; with ALONE=yes, nothing else
summary_check.py other FILE COUNT               of COUNT destinations, those without a row share one
summary_check.py names FILE                     rows for the names of traffic.py
"""
import json
import re
import sys

from check import load, need, replace_invalid
from traffic import NAMES

DURATION = r"\d+\.\d m?s"


def read(path):
    return [json.loads(line) for line in open(path)]


def load_rows(path):
    """The rows of --summary --json, in their order."""
    lines = load(path)
    need(lines[0]["type"] == "ebpf_attached" and lines[-1]["type"] == "ebpf_detached", lines)
    rows = lines[1:-1]
    need(all(r["type"] == "net_summary" for r in rows), rows)
    for before, after in zip(lines, lines[1:]):
        need(before["ts"] <= after["ts"], "ts decreases:", before, after)
    for row in rows:
        need((row["p50_ns"] is None) == (row["longest_ns"] is None), row)
        need(row["p50_ns"] is None or 0 < row["p50_ns"] <= row["longest_ns"], row)
    return rows


def size(row):
    return (row["bytes_sent"] or 0) + (row["bytes_received"] or 0), row["connections"]


def in_order(says):
    return sorted(read(says), key=size, reverse=True)


def check_json(path, says, *changes):
    rows, wanted = load_rows(path), read(says)
    for change in changes:
        key, value = change.split("=")
        wanted = [dict(w, **{key: json.loads(value)}) for w in wanted]
    wanted.sort(key=size, reverse=True)
    got = [{k: v for k, v in r.items() if k in wanted[0]} for r in rows]
    need(sorted(got, key=str) == sorted(wanted, key=str), "rows:", got, "not", wanted)
    need([size(r) for r in got] == [size(w) for w in wanted], "order:", got)


def check_table(path, says, alone):
    lines = open(path).read().splitlines()
    at = [i for i, line in enumerate(lines) if line.startswith("PROCESS ")]
    need(len(at) == 1 and (alone != "yes" or at == [0]), "table:", lines)
    head = lines[at[0]].split()
    need(head == ["PROCESS", "DESTINATION", "CONNECTIONS", "FAILED", "SENT", "RECEIVED", "P50", "LONGEST"], head)
    table, wanted = lines[at[0] + 1:-1], in_order(says)
    need(len(table) == len(wanted), "rows:", table, "not", wanted)
    need(len({len(line) for line in lines[at[0]:-1]}) == 1, "not aligned:", lines[at[0]:])
    for line, want in zip(table, wanted):
        process = want["process"] or "-"
        ended = want["connections"] > want["failed"]
        form = (f"{process} +{want['dst_ip']}:{want['dst_port']}/{want['proto']} +{want['connections']} +"
                f"{want['failed']} +{amount(want['bytes_sent'])} +{amount(want['bytes_received'])}" +
                2 * (" +" + DURATION if ended else " +-"))
        need(re.fullmatch(form, line), "row:", repr(line), "is not", form)
    need(re.match(r"\d+ events, ", lines[-1]), "last line:", lines[-1])


def amount(n):
    return re.escape(f"{n} B") if n < 1000 else re.escape(f"{int(n / 100 + 0.5) / 10:.1f} kB")


def check_other(path, count):
    rows = load_rows(path)
    need(len(rows) == 1025, len(rows), "rows")
    need(all(r["dst_ip"] and r["connections"] == 1 for r in rows[:-1]), rows)
    other = rows[-1]
    need([other[k] for k in ("process", "dst_ip", "dst_port", "proto")] == [None] * 4, other)
    need(other["connections"] == int(count) - 1024, other)
    need(other["bytes_sent"] == int(count), "bytes of the socket:", other)  # its last destination


def check_names(path):
    got = sorted(row["process"] for row in load_rows(path))
    want = sorted(replace_invalid(name) for name in NAMES)
    need(got == want, "names:", ascii(got), "not", ascii(want))


if __name__ == "__main__":
    globals()["check_" + sys.argv[1]](*sys.argv[2:])
