#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks names on a terminal that only agentsh-trace uses: names_pty.py TRACE CGROUP DNS TCP GO

CGROUP is an empty cgroup, DNS and TCP are the ports of names_traffic.py serve, and GO is a file
that does not exist.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from screen import Screen

TRACE, CGROUP, DNS, TCP, GO = sys.argv[1:]
TRAFFIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "names_traffic.py")
DEADLINE = 60  # seconds until a test that hangs fails
REQUEST = b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n".hex()


def start_in_cgroup(*argv):
    def enter():
        with open(CGROUP + "/cgroup.procs", "w") as file:
            file.write("0")
    return subprocess.Popen(argv, preexec_fn=enter)


class Trace:
    """agentsh-trace on a terminal with this many columns."""

    def __init__(self, columns):
        self.screen = Screen(24, columns)
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen([TRACE, "--dns-port", DNS, "--cgroup", CGROUP], stdin=slave,
                                        stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)

    def wait(self, pattern):
        """Reads until a row matches, and returns the row."""
        end = time.monotonic() + DEADLINE
        while True:
            for row in self.screen.text():
                if re.search(pattern, row):
                    return row
            if time.monotonic() > end:
                sys.exit("\n".join(["missing: " + pattern, *self.screen.text()]))
            if select.select([self.master], [], [], 0.05)[0]:
                self.screen.feed(os.read(self.master, 65536).decode())

    def rows(self, pattern):
        return [row for row in self.screen.text() if re.search(pattern, row)]

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.wait(r"events?, \d")
        if self.process.wait(DEADLINE):
            sys.exit(f"status {self.process.returncode}")
        os.close(self.master)


def check(columns, address):
    """The row of an open connection gets the server name, and the address if there is room."""
    trace = Trace(columns)
    trace.wait(r"DESTINATION")
    client = start_in_cgroup(sys.executable, TRAFFIC, "client", DNS, TCP, "ask=api.example.org",
                             f"hold=127.0.0.7,{REQUEST}", f"wait={GO}")
    name = f" connect +tcp +api\\.example\\.org:{TCP}{address} \\(HTTP: other\\.example\\) \u2192 "
    trace.wait(name + r"\d+\.\d m?s$")
    with open(GO, "w"):
        pass
    trace.wait(name + r"\d+\.\d m?s \u2192 closed ")
    if client.wait(DEADLINE):
        sys.exit(f"client: status {client.returncode}")
    if len(trace.rows("api.example.org")) != 1:
        sys.exit("\n".join(["not one row:", *trace.screen.text()]))
    trace.end()
    os.unlink(GO)


check(159, "")
check(160, r" 127\.0\.0\.7")
