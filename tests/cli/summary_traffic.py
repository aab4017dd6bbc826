#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The clients and servers of summary.sh. Everything stays on the loopback interface.

summary_traffic.py echo PORT           a UDP server that writes its port to the file PORT, and
                                       answers each datagram with two datagrams of the same size
summary_traffic.py client TCP UDP SAYS makes connections to the ports of both servers, and writes
                                       the expected rows to SAYS, as one JSON object per row
summary_traffic.py probes TCP SAYS     chooses addresses as getaddrinfo(), Go and Node.js do,
                                       before it connects
summary_traffic.py open TCP UDP SAYS   leaves a connection and a datagram socket open, with traffic
summary_traffic.py older TCP READY GO SAYS
                                       makes a connection, writes its cookie to the file READY,
                                       and uses the connection once the file GO exists
summary_traffic.py many COUNT          sends one datagram to each of COUNT destinations
summary_traffic.py names TCP           connects under each name in NAMES of traffic.py
"""
import contextlib
import json
import os
import socket
import sys
import time

from outcomes_traffic import append, cookie, say_port, talk, unused_port
from traffic import NAMES, set_name, touch

LOOPBACK = "127.0.0.1"


def echo(port_file):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        say_port(port_file, sock)
        while True:
            data, peer = sock.recvfrom(65536)
            for _ in range(2):
                sock.sendto(data, peer)


def ask(sock, size):
    """One question of this size to the UDP server, and both answers."""
    sock.send(b"q" * size)
    for _ in range(2):
        sock.recv(65536)


def row(port, proto, connections, failed, sent, received):
    return {"process": "python3", "dst_ip": LOOPBACK, "dst_port": port, "proto": proto, "ifindex": 0,
            "inbound": False, "connections": connections, "failed": failed, "bytes_sent": sent,
            "bytes_received": received}


def first_line(give, want, closer):
    return len(f"{give} {want} {closer}\n")


def client(tcp, udp, says):
    sent = received = 0
    for give, want in (1000, 50000), (0, 100), (70000, 1):
        with socket.create_connection((LOOPBACK, tcp)) as sock:
            talk(sock, give, want, "server")
        sent += first_line(give, want, "server") + give
        received += want
    append(says, row(tcp, "tcp", 3, 0, sent, received))
    keep, closed = unused_port()
    with keep, socket.socket() as sock:
        sock.connect_ex((LOOPBACK, closed))
    append(says, row(closed, "tcp", 1, 1, 0, 0))
    for size in 300, 1200:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((LOOPBACK, udp))
            ask(sock, size)
            ask(sock, size)
    append(says, row(udp, "udp", 2, 0, 3000, 6000))


def datagram_socket(family=socket.AF_INET):
    return socket.socket(family, socket.SOCK_DGRAM)


def probes(tcp, says):
    places = [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.2"), (socket.AF_INET, LOOPBACK)]
    for family, address in places:  # getaddrinfo() and Go: learn the source address
        with datagram_socket(family) as sock:
            sock.connect((address, tcp))
            sock.getsockname()
    with datagram_socket() as sock:  # getaddrinfo() uses one socket for all IPv4 addresses
        for address in "127.0.0.3", "127.0.0.4", LOOPBACK:
            sock.connect((address, tcp))
            sock.getsockname()
    with datagram_socket(socket.AF_INET6) as sock, contextlib.suppress(OSError):
        sock.connect(("2001:db8::1", 53))  # Chromium and Node.js: is there a route for IPv6?
    with socket.create_connection((LOOPBACK, tcp)) as sock:
        talk(sock, 10, 20, "server")
    append(says, row(tcp, "tcp", 1, 0, first_line(10, 20, "server") + 10, 20))


def leave_open(tcp, udp, says):
    sock = socket.create_connection((LOOPBACK, tcp))
    talk(sock, 5000, 700, "client")
    datagrams = datagram_socket()
    datagrams.connect((LOOPBACK, udp))
    ask(datagrams, 400)
    append(says, row(tcp, "tcp", 1, 0, first_line(5000, 700, "client") + 5000, 700))
    append(says, row(udp, "udp", 1, 0, 400, 800))
    if not os.fork():
        os.dup2(os.open("/dev/null", os.O_RDWR), 2)
        time.sleep(5)


def older(tcp, ready, go, says):
    with socket.create_connection((LOOPBACK, tcp)) as sock:
        touch(ready, str(cookie(sock)))
        while not os.path.exists(go):
            time.sleep(0.01)
        talk(sock, 3000, 40, "server")
    said = row(tcp, "tcp", 1, 0, first_line(3000, 40, "server") + 3000, 40)
    append(says, dict(said, process=None))


def many(count):
    with datagram_socket() as sock:
        for i in range(count):
            sock.sendto(b"x", (f"127.1.{i // 200}.{1 + i % 200}", 9))


def names(tcp):
    for name in NAMES:
        set_name(name)
        with socket.create_connection((LOOPBACK, tcp)) as sock:
            talk(sock, 0, 1, "server")


def main(what, *args):
    actions = {"echo": echo, "client": client, "probes": probes, "open": leave_open, "older": older,
               "many": many, "names": names}
    # The name of the interpreter differs between machines.
    set_name(b"python3")
    actions[what](*[int(a) if a.isdigit() else a for a in args])


if __name__ == "__main__":
    main(*sys.argv[1:])
