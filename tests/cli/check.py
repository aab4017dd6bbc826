#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks for command.sh; a function that finds a mistake exits with status 1 and a message.

check.py stream FILE                 FILE is a complete JSON trace: form, order and counts
check.py calls FILE SAYS FROM TO     as stream; the events are those that traffic.py wrote to
                                     SAYS, between two Unix times in seconds
check.py names FILE                  as stream; the names are those of traffic.py
check.py lost FILE MADE              as stream; of MADE events some are lost, all are counted
check.py count FILE NUMBER           as stream; there are NUMBER events
check.py get FILE TYPE KEY           prints KEY of each line of TYPE
check.py clean FILE COLOUR           FILE has no control characters; with COLOUR=yes, it has colours
check.py columns FILE SAYS           the text columns, which must show what traffic.py said
check.py members HEADER              the JSON lines show each member of an event in the header
check.py program FILE PORT EXE ARG.. the events with this port show this program and its arguments
check.py not_program FILE PORT EXE   the events with this port do not show this program
check.py shows_program FILE PORT     an event with this port shows its program; for an unfinished trace
check.py no_program FILE PORT        the events with this port show no program
check.py cut FILE SIZE               the events show SIZE bytes of arguments, and that there are more
check.py no_proc FILE                the events have no members from /proc
check.py cgroup FILE PATH            the events show this cgroup; an empty PATH stands for null
check.py page FILE                   the manual page names each type and member of the JSON lines
"""
import json
import os
import re
import sys

from traffic import NAMES

NULL = type(None)
COMMON = {"type": str, "ts": str, "session_id": int}
PROGRAM = {"exe": (str, NULL), "args": (list, NULL), "args_cut": bool}  # not with --no-proc
# Of a name that was asked for, and of a server name; only where they are known
ORIGIN = {"dst_name_source": str, "dst_name_owner": (str, NULL), "dst_name_shared": int,
          "dst_name_tgid": int, "dst_name_age_ns": int, "dst_name_ttl_s": (int, NULL),
          "dst_name_resolver": (str, NULL)}
SERVER = {"server_name_source": str, "alpn": (str, NULL)}
NAME = dict(dst_name=(str, NULL), **ORIGIN, server_name=(str, NULL), **SERVER, dst_name_flags=list)
BASE = dict(
    COMMON, timestamp_ns=int, pid=int, tgid=int, ppid=int, ns_pid=int, ns_tgid=int,
    container_pid=int, container_tgid=int, uid=int, gid=int, comm=str, process_comm=str,
    process_start_ns=int, exe_inode=int, exe_device=int, **PROGRAM,
    cgroup_id=int, cgroup=(str, NULL), socket_cookie=int, netns_cookie=int, family=str,
    v4_mapped=bool, proto=str, protocol=int, socket_type=str, dst_ip=str, dst_port=int,
    src_ip=str, src_port=int, ifindex=int, source_routed=bool, unspecified=bool, untracked=bool,
    inbound=bool, attributed=bool)
EVENT = dict(BASE, **NAME, session_lost=int)
VERDICT = {"verdict": str, "rule_id": int}  # only if the trace has rules
CALL = dict(EVENT, **VERDICT)
DNS = dict(BASE, dns_name=(str, NULL), dns_type=(str, NULL), dns_flags=list)
BYTES = {"bytes_sent": int, "bytes_received": int}
TCP = dict(rtt_us=int, **BYTES, retransmits=int)
PACKETS = dict(sent=int, received=int, **BYTES)
ERROR = {"error": (int, NULL), "error_name": (str, NULL)}
SHAPES = {
    "net_connect": CALL,
    "net_udp_send": CALL,
    "net_connected": dict(EVENT, duration_ns=int, rtt_us=int, retransmits=int),
    "net_connect_failed": dict(EVENT, duration_ns=int, **ERROR, retransmits=int),
    "net_closed": dict(EVENT, duration_ns=int, **ERROR, closed_by=(str, NULL), **TCP),
    "net_accepted": dict(EVENT, rtt_us=int),
    "net_first_data": EVENT,
    "net_progress": dict(EVENT, duration_ns=int, **TCP),
    "net_unannounced": EVENT,
    "net_dns_query": dict(DNS, session_lost=int),
    "net_dns_answer": dict(DNS, dns_rcode=(str, NULL), dns_owner=(str, NULL), dns_ttl_s=(int, NULL),
                           dns_addresses=(list, NULL), session_lost=int, duration_ns=int),
    "net_server_name": EVENT,
    "net_unix_connect": dict(BASE, dst_path=(str, NULL), session_lost=int),
    "net_socket_denied": dict(BASE, session_lost=int, **VERDICT),
    "net_packet_denied": CALL,
    "net_session_blind": dict(COMMON, timestamp_ns=int, cgroup_id=int, session_lost=int, error=int,
                              reason=str),
    "net_summary": dict(COMMON, process=(str, NULL), dst_name=(str, NULL), dst_ip=(str, NULL), dst_port=(int, NULL),
                        proto=(str, NULL), ifindex=int, inbound=bool, connections=int,
                        failed=(int, NULL), bytes_sent=(int, NULL), bytes_received=(int, NULL),
                        p50_ns=(int, NULL), longest_ns=(int, NULL)),
    "ebpf_attached": dict(COMMON, cgroup_id=int, cgroup=str, version=str, hooks=list),
    "ebpf_detached": dict(COMMON, cgroup_id=int, delivered=int, unchosen=int, lost=int, lost_quota=int,
                          deduplicated=int, malformed=int, untracked=int, packets_lost=int, answers=int,
                          answers_unasked=int, answers_untrusted=int, answers_malformed=int,
                          messages_skipped=int, names_evicted=int, allowed=int, denied=int,
                          would_deny=int, packets_denied=int, packets_would_deny=int),
    "ebpf_unavailable": dict(COMMON, reason=str, step=str, code=int),
}
# net_closed and net_progress of a socket that is not TCP
PACKET_SOCKET = dict(EVENT, duration_ns=int, **PACKETS)
# The JSON members of the members of struct agentsh_ebpf_event that have another name there.
NAMES_OF = {
    "kind": ["type"], "protocol": ["proto", "protocol"],
    "local_addr": ["src_ip"], "local_port": ["src_port"],
    "remote_addr": ["dst_ip"], "remote_port": ["dst_port"],
    "packets_sent": ["sent"], "packets_received": ["received"], "error": ["error", "error_name"],
    "name_id": [*NAME], "exe_inode": ["exe_inode", "exe", "args", "args_cut"], "cgroup_id": ["cgroup_id", "cgroup"],
}
# AGENTSH_EBPF_FLAG_
FLAGS = {
    "V4_MAPPED": "v4_mapped", "UNATTRIBUTED": "attributed", "NO_ERROR": "error",
    "INBOUND": "inbound", "LOCAL_CLOSED": "closed_by", "REMOTE_CLOSED": "closed_by",
    "SOURCE_ROUTED": "source_routed", "UNSPECIFIED": "unspecified", "UNTRACKED": "untracked",
}
CLK_TCK = os.sysconf("SC_CLK_TCK")
RFC3339 = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d\.\d{9}Z")
COLOURS = re.compile(rb"\x1b\[[0-9;]*m")


def need(true, *why):
    if not true:
        sys.exit("check.py: " + " ".join(str(w) for w in why))


def no_duplicates(pairs):
    need(len({k for k, _ in pairs}) == len(pairs), "a member appears twice:", pairs)
    return dict(pairs)


def shape_of(obj):
    """The members that an object of this type has, in their order."""
    shape = SHAPES.get(obj.get("type"))
    need(shape, "unknown type:", obj)
    left_out = set()
    if obj["type"] in ("net_closed", "net_progress") and obj["proto"] not in ("tcp", "mptcp"):
        shape = PACKET_SOCKET
    if "exe" not in obj:  # --no-proc
        left_out |= {*PROGRAM}
    if "verdict" not in obj:
        left_out |= {*VERDICT}
    if "server_name" in shape:
        if "server_name" not in obj:  # --names=off
            left_out |= {*NAME}
        asked, named = obj.get("dst_name") is not None, obj.get("server_name") is not None
        left_out |= (set() if asked else {*ORIGIN}) | (set() if named else {*SERVER})
        if not asked and not named:
            left_out.add("dst_name_flags")
    return {key: kind for key, kind in shape.items() if key not in left_out}


def load(path):
    raw = open(path, "rb").read()
    need(raw.endswith(b"\n") or not raw, "the last line is incomplete:", raw[-100:])
    lines = []
    for line in raw.split(b"\n")[:-1]:
        need(not re.search(rb"[\x00-\x1f\x7f]", line), "a control byte in", line)
        obj = json.loads(line.decode("utf-8"), object_pairs_hook=no_duplicates)
        shape = shape_of(obj)
        need(list(obj) == list(shape), "keys", list(obj), "not", list(shape))
        for key, kind in shape.items():
            kinds = kind if type(kind) is tuple else (kind,)
            need(type(obj[key]) in kinds, key, "is none of", kinds, "in", line)
        need(RFC3339.fullmatch(obj["ts"]), "ts:", obj["ts"])
        lines.append(obj)
    return lines


def load_stream(path):
    """Returns the lines, and the events among them, without net_session_blind."""
    lines = [obj for obj in load(path) if obj["type"] != "net_session_blind"]
    need(len(lines) >= 2 and lines[0]["type"] == "ebpf_attached", "first line:", lines[:1])
    end = lines[-1]
    need(end["type"] == "ebpf_detached", "last line:", end)
    events = lines[1:-1]
    for obj in events:
        need(obj["type"].startswith("net_"), "not an event:", obj)
    # A question that has no answer is reported later.
    timely = [obj for obj in lines if obj["type"] != "net_dns_query"]
    for before, after in zip(timely, timely[1:]):
        need(before["ts"] <= after["ts"], "ts decreases:", before, after)
    for before, after in zip(lines, lines[1:]):
        need(before["session_id"] == after["session_id"], "session_id:", after)
    need(end["cgroup_id"] == lines[0]["cgroup_id"], "cgroup_id:", end)
    need(end["delivered"] == len(events), "delivered:", end, "but lines:", len(events))
    need(end["malformed"] == end["untracked"] == 0 and end["lost_quota"] <= end["lost"], "counts:", end)
    return lines, events


def stream(path):
    load_stream(path)


def calls(path, says, start, stop):
    from calendar import timegm
    from time import strptime
    events = load_stream(path)[1]
    wanted = [json.loads(line) for line in open(says)]
    need(len(events) == len(wanted) >= 13, len(events), "events,", len(wanted), "calls")
    named = 0
    for event, want in zip(events, wanted):
        ticks = want.pop("start_ticks")
        need(event["process_start_ns"] * CLK_TCK // 10**9 == ticks, "process_start_ns", event, ticks)
        # A busy machine may delay what is read from /proc.
        if event["exe"] is None:
            need(event["args"] is None, "args without exe:", event)
            want = {key: value for key, value in want.items() if key not in PROGRAM}
        for key, value in want.items():
            need(event[key] == value, key, "is", repr(event[key]), "not", repr(value), event)
        named += event["exe"] is not None
        at = timegm(strptime(event["ts"][:19], "%Y-%m-%dT%H:%M:%S")) + float(event["ts"][19:-1])
        need(float(start) <= at <= float(stop), "ts", at, "is not in", start, stop)
    need(named, "no event has exe and args")


def replace_invalid(name, length=15):
    """The name as agentsh-trace shows it: every byte that is not UTF-8 becomes one U+FFFD."""
    text = name[:length].decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in text)


def names(path):
    want = [replace_invalid(name) for name in NAMES]
    for key in "comm", "process_comm":
        got = [event[key] for event in load_stream(path)[1]]
        need(got == want, key, ascii(got), "not", ascii(want))


def lost(path, made):
    lines, events = load_stream(path)
    end = lines[-1]
    need(end["lost"] > 0, "nothing was lost:", end)
    need(end["delivered"] + end["lost"] + end["deduplicated"] == int(made), "counts:", end)
    for before, after in zip(events, events[1:]):
        need(before["session_lost"] <= after["session_lost"], "session_lost decreases:", after)
    need(events[0]["session_lost"] == 0 and events[-1]["session_lost"] <= end["lost"], end)


def get(path, kind, key):
    for obj in load(path):
        if obj["type"] == kind:
            print(obj[key])


def count(path, number):
    events = load_stream(path)[1]
    need(len(events) == int(number), len(events), "events, not", number)


def accounted(path, number):
    """Every event was shown or counted as lost."""
    lines, events = load_stream(path)
    lost = lines[-1]["lost"]
    need(len(events) + lost == int(number), len(events), "events and", lost, "lost, not", number)


def clean(path, colour):
    raw = open(path, "rb").read()
    need(raw, "nothing written")
    if colour == "yes":
        need(COLOURS.search(raw), "no colour in", raw)
        raw = COLOURS.sub(b"", raw).replace(b"\r\n", b"\n")
    bad = re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw)
    need(not bad, "a control byte:", raw[:bad and bad.end()][-80:])
    text = raw.decode("utf-8")
    bad = re.search("[\x80-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]", text)
    need(not bad, "an invisible character:", ascii(text))


def without_table(path):
    """The lines of a trace as text, without the summary by destination."""
    lines = open(path).read().splitlines()
    table = [i for i, line in enumerate(lines) if line.startswith("PROCESS ")]
    return lines[:table[0]] + lines[-1:] if table else lines


def columns(path, says):
    lines = without_table(path)
    wanted = [json.loads(line) for line in open(says)]
    need(lines[0].split() == ["TIME", "PID", "COMMAND", "EVENT", "PROTOCOL", "DESTINATION"], lines[0])
    at = [lines[0].index(word) for word in ("COMMAND", "EVENT", "PROTOCOL", "DESTINATION")]
    need(len(lines) == len(wanted) + 2, "lines:", lines)
    for line, want in zip(lines[1:], wanted):
        form = "[{dst_ip}]:{dst_port}" if want["family"] == "ipv6" else "{dst_ip}:{dst_port}"
        need(re.match(r"\d\d:\d\d:\d\d\.\d{3} ", line), "time:", line)
        need(line[:at[0]].split()[1] == str(want["tgid"]), "pid:", line, want)
        cells = [line[a:b].strip() for a, b in zip(at, at[1:] + [None])]
        need(cells == [want["process_comm"], want["type"][len("net_"):], want["proto"], form.format(**want)], cells, want)
    places = {(w["proto"], w["dst_ip"], w["dst_port"]) for w in wanted}
    need(lines[-1] == f"{len(wanted)} events, {len(places)} destinations, 0 lost", lines[-1])


def page(path):
    words = {w.strip("_") for w in re.findall(r"\w+", open(path).read().split("## JSON lines")[1])}
    events = re.findall(r"^\|  (\w+)\n:  (net_\w+)$", open(path).read(), re.M)
    kinds = {k for k in SHAPES if k.startswith("net_")} - {"net_summary"}
    need(sorted(kind for _, kind in events) == sorted(kinds), events)
    need(all(kind == "net_" + name for name, kind in events), events)
    for kind, shape in [*SHAPES.items(), ("net_closed", PACKET_SOCKET)]:
        need(kind.startswith("net_") or kind in words, "the page does not name", kind)
        need({*shape} <= words, "the page does not name", {*shape} - words, "of", kind)


def members(header):
    """Each member, flag and kind of an event in the public header is in the JSON lines."""
    text = open(header).read()
    struct = re.search(r"^struct agentsh_ebpf_event {$(.*?)^};$", text, re.M | re.S)[1]
    shown = {member for shape in [*SHAPES.values(), PACKET_SOCKET] for member in shape}
    found = re.findall(r"^\t\w+ (\w+)(?:\[\d+\])?;$", struct, re.M)
    need(len(found) > 30 and "flags" in found, "members of the struct:", found)
    for member in found:
        if member == "flags" or member.startswith("reserved"):
            continue
        for name in NAMES_OF.get(member, [member]):
            need(name in shown, "no JSON line has", name, "for the member", member)
    flags = re.findall(r"AGENTSH_EBPF_FLAG_(\w+) = \d+", text)
    need(sorted(flags) == sorted(FLAGS), "flags:", flags, "not", [*FLAGS])
    need({*FLAGS.values()} <= shown, "flags:", {*FLAGS.values()} - shown)
    kinds = re.findall(r"AGENTSH_EBPF_EVENT_(\w+) = \d+", text)
    need(len(kinds) >= 10 and {"net_" + kind.lower() for kind in kinds} <= {*SHAPES}, "kinds:", kinds)


def events_to(path, port):
    events = [e for e in load_stream(path)[1] if e["dst_port"] == int(port)]
    need(events, "no event with the port", port)
    return events


def program(path, port, exe, *args):
    """The events with this port show this program, where they show one, and at least one does."""
    events = [e for e in events_to(path, port) if e["exe"] is not None]
    need(events, "no event of port", port, "has exe:", load(path))
    for event in events:
        got = event["exe"], event["args"]
        need(got == (exe, [replace_invalid(os.fsencode(a), None) for a in args]), "exe, args:", ascii(got))


def not_program(path, port, exe):
    """No event with this port shows the program that the process executed later."""
    for event in events_to(path, port):
        need(event["exe"] != exe, "exe:", event)


def no_program(path, port):
    for event in events_to(path, port):
        need(event["exe"] is event["args"] is None and not event["args_cut"], "exe, args:", event)


def shows_program(path, port):
    """For use while the trace is being written."""
    lines = [json.loads(line) for line in open(path) if line.endswith("\n")]
    need(any(o.get("dst_port") == int(port) and o["exe"] is not None for o in lines), "not yet")


def cut(path, size):
    events = [e for e in load_stream(path)[1] if e["args"] is not None]
    need(events, "no event has args")
    for event in events:
        need(event["args_cut"] is True, "args_cut:", event)
        need(sum(len(a) + 1 for a in event["args"]) - 1 == int(size), "args:", event)


def no_proc(path):
    events = load_stream(path)[1]
    need(events and not any({*PROGRAM} & {*event} for event in events), "exe or args:", events)


def cgroup(path, want):
    got = [event["cgroup"] for event in load_stream(path)[1]]
    need(got and {*got} == {want or None}, "cgroup:", got, "not", want)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
