#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests a host's handling of events from Python, without a compiler and without privileges.

A synthetic tracer delivers the events that the program injects, so this runs anywhere. For
real events, open the tracer without mode=SYNTHETIC and attach it to a cgroup v2 directory.

Usage: synthetic.py [LIBRARY]

LIBRARY  path of libagentsh-ebpf.so.1; default: as the dynamic linker finds it
"""
import asyncio
import errno
import ipaddress
import socket
import sys

import agentsh_ebpf as ebpf


def check(condition, *words):
    if not condition:
        sys.exit("synthetic.py: " + " ".join(map(str, words)))


def show(event):
    print(f"session {event.session_id:#x}: {event.comm!r}[{event.tgid}] {event.kind_name} "
          f"{event.remote_addr} port {event.remote_port}")


async def next_event(tracer):
    async for event in tracer:
        return event


def main():
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    if len(sys.argv) == 2:
        ebpf.load(sys.argv[1])
    remote = ipaddress.ip_address("2001:db8::1")
    sent = ebpf.Event(kind=ebpf.Kind.CONNECT, timestamp_ns=5, cgroup_id=6, socket_cookie=7, pid=8, tgid=9, ppid=10,
                      uid=11, gid=12, family=socket.AF_INET6, protocol=socket.IPPROTO_TCP,
                      socket_type=socket.SOCK_STREAM, local_port=50000, remote_port=443, remote_addr=remote,
                      comm="curl", process_comm="curl", exe_inode=13, exe_device=0xfe01, container_pid=2,
                      container_tgid=3)
    expected = ebpf.Event.from_buffer_copy(sent)
    expected.session_id = 0x1122334455667788

    with ebpf.Tracer(mode=ebpf.Mode.SYNTHETIC) as tracer:
        try:
            tracer.attach(-1)
            check(False, "attach accepts the descriptor -1")
        except ebpf.AgentshEbpfError as error:
            check(error.errno == errno.EBADF and error.step == ebpf.Step.CGROUP and error.message, "attach:", error)

        # A synthetic tracer accepts any descriptor; else it is the directory of a cgroup v2.
        with tracer.attach(sys.stdout, session_id=expected.session_id) as session:
            for _ in range(3):
                session.inject(sent)
            for event in tracer.read(2):
                check(event == expected and event.remote_addr == remote, "read:", event)
                show(event)
            check(asyncio.run(next_event(tracer)) == expected, "async for gives another event")
            stats = session.stats()
            check(stats.delivered == 3 and stats.lost == 0, stats)


main()
