# SPDX-License-Identifier: Apache-2.0
"""Checks for names.sh; a function that finds a mistake ends with SystemExit."""
import json

from check import load, load_stream, need


def events(path, kind=None):
    return [e for e in load_stream(path)[1] if kind is None or e["type"] == kind]


def api(path, port, dns):
    """Each event of the connections to this port has the name that was asked for, and its origin."""
    found = [e for e in events(path) if e["dst_port"] == int(port)]
    kinds = [e["type"] for e in found]
    need(kinds == ["net_connect", "net_connected", "net_closed"], kinds)
    for e in found:
        need(e["dst_ip"] == "127.0.0.7" and e["dst_name"] == "api.example.org", e)
        need(e["dst_name_owner"] == "edge.example.net" and e["dst_name_source"] == "dns", e)
        need(e["dst_name_shared"] == 0 and e["dst_name_flags"] == [], e)
        need(e["dst_name_tgid"] == e["tgid"], e)
        need(0 < e["dst_name_age_ns"] < 60 * 10**9 and e["dst_name_ttl_s"] == 60, e)
        need(e["dst_name_resolver"] == f"127.0.0.1:{dns}", e)


def values(path, kind, key, *wanted):
    """The values of a member in all events of this kind; "null" stands for null."""
    got = ["null" if e[key] is None else str(e[key]) for e in events(path, kind)]
    need(got == list(wanted), key, "is", got, "not", wanted)


def without(path, *members):
    """No event has these members, and there are events."""
    found = events(path)
    need(found and not any({*members} & {*e} for e in found), found)


def dns(path, *wanted):
    """The DNS events are these: NAME,TYPE,RCODE,NUMBER, or NAME,TYPE without an answer."""
    got = []
    for e in events(path):
        if e["type"] == "net_dns_answer":
            got.append(f"{e['dns_name']},{e['dns_type']},{e['dns_rcode']},{len(e['dns_addresses'])}")
            need(e["duration_ns"] > 0 and e["dns_flags"] == [] and e["proto"] == "udp", e)
        elif e["type"] == "net_dns_query":
            got.append(f"{e['dns_name']},{e['dns_type']}")
    need(sorted(got) == sorted(wanted), got, "not", wanted)


def summary(path, *wanted):
    """The rows of --summary --json of TCP are these: NAME,IP,CONNECTIONS."""
    got = [f"{r['dst_name']},{r['dst_ip']},{r['connections']}" for r in load(path)
           if r["type"] == "net_summary" and r["proto"] == "tcp"]
    need(sorted(got) == sorted(wanted), got, "not", wanted)


def statistic(path, key, value):
    end = load(path)[-1]
    need(end[key] == int(value), key, "is not", value, "in", json.dumps(end))
