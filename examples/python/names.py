#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the name of each connection of the processes in a cgroup, and each look-up that failed.

Usage: names.py CGROUP-DIRECTORY [NAME-SERVER-ADDRESS PORT]

With an address and a port, names come only from this name server. The library is that of
AGENTSH_EBPF_LIBRARY, by default as the dynamic linker finds it.
"""
import os
import sys

import agentsh_ebpf as ebpf

HOOKS = ebpf.Hook.CONNECT | ebpf.Hook.UDP | ebpf.Hook.LIFECYCLE | ebpf.Hook.DNS | ebpf.Hook.SERVER_NAME


def describe(event):
    """The event has a copy of its name. The process can choose the name: it is no permission."""
    name = event.name
    if name is None:
        return "without a name"
    words = []
    if name.asked:
        words.append(f"{name.asked!r} ({name.source_name})")
    if ebpf.NameFlag.SHARED in name.flags:
        words.append(f"or {name.others} others")
    if name.server_name:
        words.append(f"says {name.server_name!r} ({name.server_name_source_name})")
    return " ".join(words)


def show(event):
    if event.kind in (ebpf.Kind.DNS_QUERY, ebpf.Kind.DNS_ANSWER):
        if event.dns and not event.dns.addresses:
            print(f"process {event.tgid}: {describe(event)}: no address, response code {event.dns.rcode}")
    elif event.kind in (ebpf.Kind.CONNECT, ebpf.Kind.UDP_SEND, ebpf.Kind.SERVER_NAME):
        print(f"process {event.tgid}: {event.remote_addr} port {event.remote_port} {describe(event)}")
    sys.stdout.flush()


def main():
    if len(sys.argv) not in (2, 4):
        sys.exit(__doc__)
    if "AGENTSH_EBPF_LIBRARY" in os.environ:
        ebpf.load(os.environ["AGENTSH_EBPF_LIBRARY"])
    servers = [(sys.argv[2], int(sys.argv[3]))] if len(sys.argv) == 4 else []
    try:
        with ebpf.Tracer(hooks=HOOKS, required_hooks=ebpf.Hook.DNS, flags=ebpf.Open.DNS_EVENTS,
                         dns_ports=[port for _, port in servers]) as tracer, \
                tracer.attach(sys.argv[1], trusted_resolvers=servers):
            for event in tracer:
                show(event)
    except KeyboardInterrupt:
        pass
    except OSError as error:
        sys.exit(f"names.py: {error.strerror}")


main()
