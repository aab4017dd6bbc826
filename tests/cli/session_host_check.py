#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traffic and checks for session_host.sh; a failed check exits with a message.

session_host_check.py client CALLS DATAGRAMS   calls connect() in turn on TCP sockets of IPv4 and IPv6, and
                                    sends datagrams to 127.0.0.2 from one socket
lines FILE CALLS DATAGRAMS ROOT     the JSON lines of this client, traced in a cgroup below ROOT
domains FILE                        the TCP connection to 127.0.0.7 has the domain api.example.org, others have none
one FILE TYPE MEMBER TEXT           FILE is one line of this type, and its member contains the text
counters METRICS FILE MADE          the counters add up to MADE, and to the lines in FILE
lossy METRICS FILE MADE             as counters; and events are lost
host_counters METRICS UNAVAILABLE ATTACH_FAILED
library_counter METRICS NAME VALUE
commands DIRECTORY                  the commands in docs/INTEGRATION.md do what the guide says
"""
import datetime
import json
import os
import re
import socket
import subprocess
import sys
import time

import integration

GUIDE = integration.Guide(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
PORT = 9
TARGETS = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


def client(calls, datagrams):
    for i in range(int(calls)):
        family, ip = TARGETS[i % 2]
        with socket.socket(family) as s:
            s.connect_ex((ip, PORT))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(int(datagrams)):
            s.sendto(b"x", ("127.0.0.2", PORT))


def expect(condition, *what):
    if not condition:
        sys.exit(" ".join(map(str, what)))


def read_lines(file):
    with open(file) as f:
        return [json.loads(line) for line in f]


def lines(file, calls, datagrams, root):
    calls, datagrams = int(calls), int(datagrams)
    attached, *events = read_lines(file)
    expect(attached["type"] == "ebpf_attached", attached)
    expect(attached["path"] == f"{root}/session-host.{attached['session_id']}", attached)
    ips = sorted(TARGETS[i % 2][1] for i in range(calls))
    connects = [e for e in events if e["type"] == "net_connect"]
    sends = [e for e in events if e["type"] == "net_udp_send"]
    # The client may run more than once, with one call each: then the first target is named first.
    expect(len(connects) == calls and (datagrams == 0 or sorted(e["ip"] for e in connects) == ips),
           events)
    expect([e["ip"] for e in sends] == ["127.0.0.2"] * min(datagrams, 1), sends)
    expect(len(connects) + len(sends) == len(events), events)
    shapes = integration.json_examples(GUIDE)
    expect(set(attached) == set(shapes["ebpf_attached"]), attached)
    for e in events:
        expect(set(e) == set(shapes["net_connect"]), e)
        expect(e["session_id"] == attached["session_id"], e)
        expect(e["port"] == PORT and e["lost"] == 0 and e["pid"] > 0, e)
        expect(e["protocol"] == ("tcp" if e["type"] == "net_connect" else "udp"), e)
        expect(e["remote"] == (f"[{e['ip']}]" if ":" in e["ip"] else e["ip"]) + f":{PORT}", e)
        expect(e["policy"] == {"decision": "allow", "rule": "loopback"}, e)
        when = datetime.datetime.fromisoformat(e["timestamp"][:26] + "+00:00").timestamp()
        expect(0 <= time.time() - when < 600, e)


def domains(file):
    events = [e for e in read_lines(file)[1:] if e["protocol"] == "tcp"]
    got = [(e["ip"], e.get("domain"), e.get("domain_source")) for e in events]
    expect(got == [("127.0.0.7", "api.example.org", "dns"), ("127.0.0.6", None, None)], got)


def one(file, kind, member, text):
    line, = read_lines(file)
    expect(line["type"] == kind and text in line[member], line)
    expect(set(line) == {"type", "timestamp", "session_id", member}, line)


def samples(file):
    """The samples of a file in Prometheus' text format: each has HELP and TYPE before it."""
    helps, types, found = [], {}, {}
    with open(file) as f:
        text = f.read()
    expect(text.endswith("\n"), "the last line has no end")
    for line in text.splitlines():
        if about := re.fullmatch(r"# HELP ([a-z_]+) [A-Z].*\.", line):
            helps.append(about[1])
            continue
        if kind := re.fullmatch(r"# TYPE ([a-z_]+) (counter|gauge)", line):
            expect(kind[1] not in types, line)
            types[kind[1]] = kind[2]
            continue
        sample = re.fullmatch(r'([a-z_]+)(\{session="\d+"\})? (\d+)', line)
        expect(sample and sample[1] not in found, line)
        expect(types[sample[1]] == ("counter" if sample[1].endswith("_total") else "gauge"), line)
        expect(bool(sample[2]) == sample[1].startswith("agentsh_ebpf_session_"), line)
        found[sample[1]] = int(sample[3])
    expect(helps == list(types) == list(found), helps)
    return found


def counters(metrics, file, made):
    found = samples(metrics)
    attached, *events = read_lines(file)
    expect(attached["type"] == "ebpf_attached", attached)
    for prefix in "agentsh_ebpf", "agentsh_ebpf_session":
        delivered, lost, deduplicated = (
            found[f"{prefix}_{name}_total"] for name in ("delivered", "lost", "deduplicated"))
        expect(delivered == len(events), prefix, delivered, "events,", len(events), "lines")
        expect(delivered + lost + deduplicated == int(made), found)
        expect(found[f"{prefix}_lost_quota_total"] <= lost, found)
    expect(set(found) == integration.names_of_session_host(GUIDE), found)
    expect(found["agentsh_ebpf_sessions"] == 0, found)
    expect(found["agentsh_ebpf_malformed_total"] == 0, found)


def lossy(metrics, file, made):
    counters(metrics, file, made)
    found = samples(metrics)
    expect(found["agentsh_ebpf_lost_total"] > 0, found)
    # The only session has used up its quota, while the ring had space.
    expect(found["agentsh_ebpf_lost_quota_total"] == found["agentsh_ebpf_lost_total"], found)


def host_counters(metrics, unavailable, attach_failed):
    found = samples(metrics)
    expect(found["agentsh_net_ebpf_unavailable_total"] == int(unavailable), found)
    expect(found["agentsh_net_ebpf_attach_fail_total"] == int(attach_failed), found)
    if int(unavailable):
        expect(not [name for name in found if name.startswith("agentsh_ebpf_")], found)


def library_counter(metrics, name, value):
    found = samples(metrics)
    expect(found[name] == int(value), found)


def commands(directory):
    path = directory + os.pathsep + os.environ["PATH"]
    results = []
    for words in integration.shell_commands(GUIDE):
        run = subprocess.run(["env", *words], env=dict(os.environ, PATH=path), capture_output=True,
                             text=True, check=False)
        types = re.findall(r'^{"type":"(\w+)"', run.stderr, re.M)
        results.append((run.returncode, types, "https_proxy=http://127.0.0.1:3128" in run.stdout))
    expect(results == [(0, ["ebpf_unavailable"], True), (125, ["ebpf_unavailable"], False),
                       (125, ["ebpf_unavailable"], False), (0, ["ebpf_attached"], False)], results)


if __name__ == "__main__":
    {"client": client}[sys.argv[1]](*sys.argv[2:])
