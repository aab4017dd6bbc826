#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks for outcomes.sh; a function that finds a mistake exits with status 1 and a message.

FILE is a JSON trace, SAYS and SERVED are files that outcomes_traffic.py wrote.

outcomes_check.py lifecycle FILE SAYS SERVED [TYPE]...  a trace of outcomes_traffic.py client;
                                                        with TYPE it contains only these types
outcomes_check.py curl FILE SERVED                      a trace of one curl
outcomes_check.py both FILE                             a trace of outcomes_traffic.py both
outcomes_check.py left FILE SAYS                        a trace of outcomes_traffic.py leave
outcomes_check.py hooks FILE HOOK...                    exactly these hooks were active
outcomes_check.py plain FILE SAYS                       text output of outcomes_traffic.py client
"""
import json
import re
import sys

from check import load, load_stream, need, without_table

MS_S = r"\d+\.\d (ms|s)"
SIZE = r"(\d+ B|\d+\.\d [kMG]B)"


def read(path):
    return [json.loads(line) for line in open(path)]


def by_socket(events):
    sockets = {}
    for event in events:
        sockets.setdefault(event["socket_cookie"], []).append(event)
    return sockets


def compare_numbers(close, served):
    """The bytes sent are those that the server received, and the other way round."""
    need(close["bytes_sent"] == served["received"], "bytes_sent:", close, served)
    need(close["bytes_received"] == served["sent"], "bytes_received:", close, served)
    need(close["error"] == 0 and close["error_name"] is None, "error:", close)


def lifecycle(path, says, served, *types):
    lines, events = load_stream(path)
    says = read(says)
    ports = {s["port"]: s for s in read(served)}
    sockets = by_socket(events)
    wanted = {s["socket_cookie"] for s in says if not types or {*s["kinds"]} & {*types}}
    need({*sockets} == wanted and wanted, "sockets:", *sockets, "not", *wanted)
    made = sum(len(s["kinds"]) for s in says)
    # The first datagram that a socket sends is an event that is not shown.
    first = sum("net_udp_send" in s["kinds"] and "traffic" in lines[0]["hooks"] for s in says)
    need(types or lines[-1]["unchosen"] == first and len(events) == made, lines[-1])
    for said in says:
        got = sockets.get(said["socket_cookie"], [])
        kinds = [k for k in said["kinds"] if not types or k in types]
        need([e["type"] for e in got] == kinds, "events:", [e["type"] for e in got], "not", said)
        for event in got:
            for key in "dst_port", "closed_by", "error_name", "error":
                if key in said and key in event:
                    need(event[key] == said[key], key, "of", event, "is not that of", said)
            # Without the hook UDP, only its packets show that a socket sends.
            caller = "udp" in lines[0]["hooks"] or "net_udp_send" not in said["kinds"]
            need(event.get("attributed", True) is caller, "attributed:", event)
            if event["type"] in ("net_connected", "net_connect_failed", "net_closed"):
                need(event["duration_ns"] > 0, "duration_ns:", event)
            if event["type"] in ("net_connected", "net_closed") and "port" in said:
                need(event["src_port"] == said["port"], "src_port:", event, said)
                need(event["rtt_us"] > 0, "rtt_us:", event)
            if event["type"] == "net_closed" and "datagrams" in said and "traffic" in lines[0]["hooks"]:
                counts = [event[key] for key in ("sent", "bytes_sent", "received", "bytes_received")]
                need(counts == 2 * [said["datagrams"]] + [0, 0], "counts:", event, "are not those of", said)
            if event["type"] == "net_closed" and "port" in said:
                compare_numbers(event, ports[said["port"]])
        need(len({e["tgid"] for e in got}) <= 1, "several processes:", got)


def curl(path, served):
    events = load_stream(path)[1]
    need([e["type"] for e in events] == ["net_connect", "net_connected", "net_closed"], events)
    need(len({e["socket_cookie"] for e in events}) == 1, "several sockets:", events)
    need({e["comm"] for e in events} == {"curl"}, "comm:", events)
    last = {s["port"]: s for s in read(served)}[events[-1]["src_port"]]
    need(last["sent"] > 5000, "the counts of the server:", last)
    compare_numbers(events[-1], last)


def both(path):
    events = load_stream(path)[1]
    kinds = sorted(e["type"] for e in events)
    need(kinds == ["net_accepted", "net_closed", "net_closed", "net_connect", "net_connected"], events)
    for cookie, group in by_socket(events).items():
        inbound = group[0]["type"] == "net_accepted"
        close = group[-1]
        need(close["type"] == "net_closed" and close["inbound"] is inbound, "close:", group)
        need(close["bytes_received" if inbound else "bytes_sent"] == 5, "bytes:", close)
        need(close["closed_by"] == ("remote" if inbound else "local"), "closed_by:", close)
        need(group[0].get("inbound", False) is inbound, cookie, group)


def left(path, says):
    said, = read(says)
    closes = [e for e in load(path) if e["type"] == "net_closed"]
    need([e["socket_cookie"] for e in closes] == [said["socket_cookie"]], "closes:", closes)
    need(closes[0]["bytes_sent"] == said["sent"], "bytes_sent:", closes, said)


def hooks(path, *names):
    got = load(path)[0]["hooks"]
    need(got == list(names), "hooks:", got, "not", names)


def detail(said, kind):
    if kind == "net_connected":
        return "  " + MS_S
    if kind == "net_connect_failed":
        return "  refused " + MS_S
    if kind == "net_closed" and "datagrams" in said:
        n = said["datagrams"]
        return "  " + (f"{n} sent, 0 received, {n} B/0 B " if n else "no traffic ") + MS_S
    # On a busy machine the kernel may resend a segment even on the loopback interface.
    return f"  {SIZE}/{SIZE} {MS_S}(, \\d+ resent)?" if kind == "net_closed" else ""


def plain(path, says):
    lines = without_table(path)
    wanted = [(said, kind) for said in read(says) for kind in said["kinds"]]
    need(len(lines) == len(wanted) + 2, len(lines), "lines:", lines)
    for line, (said, kind) in zip(lines[1:], wanted):
        name = "probe" if kind == "net_connect" and "datagrams" in said else kind[len("net_"):]
        form = (r"\d\d:\d\d:\d\d\.\d{3} +\d+  \S+ +" + name.ljust(14) + r"  (tcp|udp)  +\S+:" +
                str(said["dst_port"]) + detail(said, kind))
        need(re.fullmatch(form, line), "line:", line, "is not", form)
    need(re.fullmatch(r"18 events, 3 destinations, 0 lost, 2 more datagrams to the same "
                      r"destinations; 4 connections opened, 1 failed, 0 still open", lines[-1]),
         "summary:", lines[-1])


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
