#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what agentsh-trace shows on terminals: outcomes_pty.py TRACE CGROUP PORT

TRACE is the path of agentsh-trace, CGROUP an empty cgroup, and PORT the port of
outcomes_traffic.py serve.
"""
import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

from outcomes_traffic import unused_port
from screen import Screen

TRACE, CGROUP, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
DEADLINE = 60  # seconds until a test that hangs fails
MS = r"\d+\.\d m?s"
ARROW = " \u2192 "
RESENT = r"(, \d+ resent)?"  # on a busy machine even on the loopback interface
CLOSED = r"closed \d+ B/\d+ B " + MS + RESENT
failures = 0


def need(true, *why):
    global failures
    if not true:
        failures += 1
        print("FAILED:", *why, flush=True)


class Terminal:
    """A pseudo-terminal and the contents of its screen."""

    def __init__(self, rows, columns):
        self.master, self.slave = pty.openpty()
        self.screen = Screen(rows, columns)
        self.raw = b""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.rows, self.screen.columns = rows, columns

    def read(self, timeout):
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        piece = os.read(self.master, 65536)
        self.raw += piece
        self.screen.feed(piece.decode())
        return True

    def wait(self, pattern, times=1):
        """Reads until this many rows match."""
        end = time.monotonic() + DEADLINE
        while len([r for r in self.screen.text() if re.search(pattern, r)]) < times:
            if time.monotonic() > end:
                need(False, "missing on the screen:", pattern, *self.screen.text())
                return
            self.read(0.05)

    def close(self):
        while self.read(0):
            pass
        os.close(self.master)
        os.close(self.slave)


def child_on(terminal, argv):
    """Starts a process with this controlling terminal."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    fcntl.ioctl(terminal.slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(terminal.slave, fd)
    os.execv(argv[0], argv)


def status(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Worker:
    """A process in CGROUP that makes connections on request."""

    def __init__(self):
        self.mine, theirs = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            self.mine.close()
            with open(CGROUP + "/cgroup.procs", "w") as f:
                f.write("0")
            self.work(theirs)
            os._exit(0)
        theirs.close()

    def work(self, orders):
        held = {}
        while True:
            order = orders.recv(256).decode()
            if not order:
                return
            verb, name = order.split(" ", 1)
            if verb == "open":
                held[name] = socket.create_connection(("127.0.0.1", PORT))
            elif verb == "close":
                sock = held.pop(name)
                sock.sendall(b"0 8 server\n")
                while sock.recv(8):
                    pass
                sock.close()  # closes second, so the connection has ended on return
            elif verb == "refused":
                with socket.socket() as sock:
                    sock.connect_ex(("127.0.0.1", int(name)))
            elif verb == "udp":
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.sendto(b"x", ("127.0.0.1", int(name)))
            elif verb == "connect":
                kind, port = name.split()
                if kind not in held:
                    held[kind] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                held[kind].connect(("127.0.0.1", int(port)))
            elif verb == "send":
                held[name].send(b"12345")
            elif verb == "drop":
                held.pop(name).close()
            elif verb == "name":
                ctypes.CDLL(None).prctl(15, ctypes.c_char_p(name.encode()), 0, 0, 0)
            orders.send(b"done")

    def do(self, *orders):
        for order in orders:
            self.mine.sendall(order.encode())
            self.mine.recv(4)

    def end(self):
        self.mine.close()
        os.waitpid(self.pid, 0)


def traced(rows, columns, scenario, shows):
    """Traces CGROUP on a terminal; returns the rows between header and summary."""
    terminal = Terminal(rows, columns)
    pid = child_on(terminal, [TRACE, "--cgroup", CGROUP])
    worker = Worker()
    try:
        terminal.wait(r"^\s*(TIME|PID|COMMAND) ")
        scenario(terminal, worker)
        os.kill(pid, signal.SIGINT)
        terminal.wait(r"events?, \d")
        need(status(pid) == 0, "exit status")
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            status(pid)
        worker.end()
        terminal.close()
    lines = terminal.screen.text()
    need(lines[-1] == "", "the last line is incomplete:", lines[-1])
    need(lines[-2].endswith(shows), "summary:", lines[-2])
    need(terminal.screen.wrap, "automatic line breaks are still off")
    return without_table(lines[1:-2]), terminal


def without_table(lines):
    """Leaves out the summary by destination, whose rows may be wrapped."""
    table = [i for i, line in enumerate(lines) if line.startswith("PROCESS ")]
    return lines[:table[0]] if table else lines


def match(lines, *patterns):
    need(len(lines) == len(patterns), len(lines), "rows, not", len(patterns), *lines)
    for line, pattern in zip(lines, patterns):
        need(re.search(pattern + "$", line), repr(line), "is not", pattern)


def line_of(destination, *story):
    return r"  connect      tcp       127\.0\.0\.1:" + str(destination) + ARROW + ARROW.join(story)


def begin(what):
    print(what, flush=True)


# ---- A terminal that only agentsh-trace uses ------------------------------------

begin("one row per connection, updated in place")
keep, closed_port = unused_port()


def interleaved(terminal, worker):
    worker.do("open a", "open b", "open c", f"refused {closed_port}", "udp 9")
    terminal.wait(r" udp .*closed 1 sent, 0 received, 1 B/0 B " + MS)
    terminal.wait(ARROW + MS + "$", 3)
    worker.do("close b")
    terminal.wait(ARROW + CLOSED)
    worker.do("name \x1b[2J\x1b]0;x", "open d", "close d", "close a")
    terminal.wait(ARROW + CLOSED, 3)


done, open_ = line_of(PORT, MS, CLOSED), line_of(PORT, MS)
lines, terminal = traced(30, 130, interleaved, "0 lost; 4 connections opened, 1 failed, 1 still open")
match(lines, done, done, open_, line_of(closed_port, "refused " + MS),
      r"  udp_send     udp       127\.0\.0\.1:9" + ARROW + "closed 1 sent, 0 received, 1 B/0 B " + MS,
      r"\\x1B\[2J\\x1B\]0;x" + done)
need(terminal.screen.moves, "no row was updated")
need(b"\x1b[31mrefused" in terminal.raw and b"\x1b[36mconnect" in terminal.raw, "no colour")
need(b"11 B/8 B" in terminal.raw.replace(b"  ", b" "), "bytes:", *lines)

begin("connect() of a datagram socket is dimmed until the socket sends, and a probe if it never does")
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind(("127.0.0.1", 0))
SINK = sink.getsockname()[1]
UDP = r"  %s udp       127\.0\.0\.1:%d"


def udp_row(name, port):
    return UDP % (name.ljust(12), port)


def probing(terminal, worker):
    worker.do("connect a 20", "connect b 21")
    terminal.wait(udp_row("connect", 20))
    terminal.wait(udp_row("connect", 21))
    need(b"\x1b[36mconnect" not in terminal.raw, "not dimmed:", terminal.raw)
    need(terminal.raw.count(b"\x1b[2mconnect ") == 2, "not dimmed:", terminal.raw)
    worker.do(f"connect b {SINK}")  # elsewhere: the first connect() was a probe
    terminal.wait(udp_row("probe", 21) + "$")
    worker.do("send b")
    while b"\x1b[36mconnect " not in terminal.raw and terminal.read(DEADLINE):
        pass
    need(terminal.raw.count(b"\x1b[36mconnect ") == 1, "still dimmed:", terminal.raw)
    worker.do("drop a", "drop b")
    terminal.wait(udp_row("probe", 20) + ARROW + "closed")


lines, terminal = traced(30, 130, probing, "5 events, 1 destination, 0 lost; "
                         "0 connections opened, 0 failed, 0 still open")
match(lines, udp_row("probe", 20) + ARROW + "closed no traffic " + MS, udp_row("probe", 21),
      udp_row("connect", SINK) + ARROW + "closed 1 sent, 0 received, 5 B/0 B " + MS)
need(b"\x1b[2mprobe " in terminal.raw, "probes are not dimmed:", terminal.raw)

begin("a connection whose row has left the screen gets a new row")


def scrolled(terminal, worker):
    worker.do("open a")
    terminal.wait(ARROW + MS)
    for _ in range(12):
        worker.do("open b", "close b")
    terminal.wait(ARROW + CLOSED, 12)
    worker.do("close a")
    terminal.wait(ARROW + CLOSED, 13)


lines, terminal = traced(8, 130, scrolled, "13 connections opened, 0 failed, 0 still open")
match(lines, open_, *[done] * 13)

begin("after the terminal was resized, existing rows are left alone")


def resized(terminal, worker):
    worker.do("open a")
    terminal.wait(ARROW + MS)
    terminal.resize(30, 106)
    before = terminal.screen.moves
    worker.do("close a")
    terminal.wait(ARROW + CLOSED)
    need(terminal.screen.moves == before, "the cursor moved")


lines, terminal = traced(24, 130, resized, "1 connection opened, 0 failed, 0 still open")
match(lines, open_, "^COMMAND +EVENT +PROTOCOL +DESTINATION", "^python3? +" + done.strip())

begin("after input was typed, existing rows are left alone")


def typed(terminal, worker):
    worker.do("open a", "open b")
    terminal.wait(ARROW + MS, 2)
    os.write(terminal.master, b"text\n")
    terminal.wait("^text$")
    worker.do("close a", "open c")
    terminal.wait(ARROW + MS + "$", 3)
    worker.do("close c")
    terminal.wait(ARROW + CLOSED, 2)


lines, terminal = traced(24, 130, typed, "3 connections opened, 0 failed, 1 still open")
match(lines, open_, open_, "^text", done, done)

begin("a narrow terminal: rows are cut, and each connection still has one row")
for columns in 129, 115, 106, 90, 80, 50, 20:
    def narrow(terminal, worker):
        worker.do("open a", "open b")
        terminal.wait(r"127|conn|python", 2)
        worker.do("close a", "close b")
        if columns >= 80:
            terminal.wait(ARROW + "closed ", 2)

    lines, terminal = traced(24, columns, narrow, "")
    rows = [r for r in lines if re.search("python", r)]
    need(len(rows) == 2, columns, "columns:", *lines)
    need(all(len(r) <= columns for r in lines), "too wide:", *lines)
    if columns >= 90:
        match(rows, *[ARROW + MS + ARROW + CLOSED] * 2)

begin("--output to another terminal leaves the terminal of the command alone")
with tempfile.TemporaryFile() as mine:
    terminal = Terminal(24, 130)
    code = ("import socket\nfor _ in range(2):\n s = socket.create_connection(('127.0.0.1', "
            f"{PORT}))\n s.sendall(b'0 8 server\\n'); s.recv(8, socket.MSG_WAITALL)\n s.recv(1)\n s.close()\n"
            "print('mine')")
    command = [TRACE, "--output", os.ttyname(terminal.slave), "--", sys.executable, "-c", code]
    ret = subprocess.run(command, stdout=mine, stderr=mine, stdin=subprocess.DEVNULL)
    terminal.wait(r"events?, \d")
    terminal.close()
    mine.seek(0)
    need(ret.returncode == 0 and mine.read() == b"mine\n", "the command:", ret)
    match(without_table(terminal.screen.text()[1:-2]), done, done)
    need(terminal.screen.moves, "no row was updated")

# ---- A terminal that the command also uses --------------------------------------

begin("a shared terminal: the output of the command is complete, and the cursor never moves up")
code = f"""
import socket, sys
print('first line', flush=True)
with socket.create_connection(('127.0.0.1', {PORT})) as s:
    s.sendall(b'0 8 server\\n'); s.recv(8, socket.MSG_WAITALL); s.recv(1)
    print('in between', flush=True)
with socket.socket() as s:
    s.connect_ex(('127.0.0.1', {closed_port}))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(('127.0.0.1', 9))
"""
close = r"  closed       tcp       127\.0\.0\.1:" + f"{PORT}  " + r"11 B/8 B " + MS + RESENT
for name, argv in (
    ("stdout and stderr", [TRACE, "--", sys.executable, "-c", code]),
    ("stdout alone", ["/bin/sh", "-c", '"$@" 2>/dev/null', "sh", TRACE, "--output", "/dev/tty", "--",
                      sys.executable, "-c", code]),
    ("a pipe to it", ["/bin/sh", "-c", '"$@" 2>&1 >/dev/null | cat', "sh", TRACE, "--output",
                      "/dev/tty", "--", sys.executable, "-c", code]),
):
    terminal = Terminal(24, 130)
    pid = child_on(terminal, argv)
    terminal.wait(r"events?, \d")
    need(status(pid) == 0, name, "exit status")
    terminal.close()
    lines = terminal.screen.text()
    need(not terminal.screen.moves and b"\x1b[?" not in terminal.raw, name, "cursor moved")
    if "pipe" not in name:
        need([r for r in lines if r in ("first line", "in between")] == ["first line", "in between"],
             name, *lines)
    rows = [r for r in lines if re.match(r"\d\d:", r)]
    rows.sort(key=lambda r: ("udp" in r, f":{closed_port}" in r))
    match(rows, open_, close, line_of(closed_port, "refused " + MS),
          r"  probe        udp       127\.0\.0\.1:9" + ARROW + "closed no traffic " + MS)

begin("a shared terminal: an attempt without a result is shown after a moment")
code = """
import socket, sys
listener = socket.create_server(('127.0.0.1', 0), backlog=0)
socks = [socket.socket() for _ in range(4)]
for s in socks:
    s.setblocking(False)
    s.connect_ex(listener.getsockname())
print('waits', flush=True)
sys.stdin.readline()
"""
terminal = Terminal(24, 130)
pid = child_on(terminal, [TRACE, "--", sys.executable, "-c", code])
terminal.wait(r"  connect      tcp       127\.0\.0\.1:\d+$")
need(not [r for r in terminal.screen.text() if "given up" in r], "too early:", *terminal.screen.text())
os.write(terminal.master, b"\n")
terminal.wait(r"  connect      tcp       127\.0\.0\.1:\d+" + ARROW + "given up " + MS)
terminal.wait(r"events?, \d")
need(status(pid) == 0, "exit status")
terminal.close()

begin("a shared terminal: a datagram socket that has sent nothing for a moment is connected")
code = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('127.0.0.1', 9))
sys.stdin.readline()
"""
terminal = Terminal(24, 130)
pid = child_on(terminal, [TRACE, "--", sys.executable, "-c", code])
terminal.wait(udp_row("connect", 9) + "$")
os.write(terminal.master, b"\n")
terminal.wait(udp_row("closed", 9) + "  no traffic " + MS)
terminal.wait("2 events, 0 destinations, ")
need(status(pid) == 0, "exit status")
terminal.close()

begin("a shared terminal: an attempt that fails before its SYN")
code = """
import socket
for port in 9, 10:
    try:
        socket.create_connection(('192.0.2.1', port))
    except OSError as e:
        print(e.strerror, flush=True)
"""
terminal = Terminal(24, 130)
pid = child_on(terminal, [TRACE, "--", "unshare", "-n", sys.executable, "-c", code])
terminal.wait("2 events, 2 destinations, 0 lost; 0 connections opened, 0 failed, 0 still open")
need(status(pid) == 0, "exit status")
terminal.close()
lines = [r for r in terminal.screen.text() if re.match(r"\d\d:", r)]
match(lines, r"  connect      tcp       192\.0\.2\.1:9", r"  connect      tcp       192\.0\.2\.1:10")
need("Network is unreachable" in terminal.screen.text(), "the attempt:", *terminal.screen.text())

begin("no escape sequences on a dumb terminal")
os.environ["TERM"] = "dumb"
terminal = Terminal(24, 130)
pid = child_on(terminal, [TRACE, "--", "true"])
terminal.wait(r"events?, \d")
need(status(pid) == 0, "exit status")
terminal.close()
need(b"\x1b" not in terminal.raw, "escape sequences:", terminal.raw)

sys.exit(1 if failures else 0)
