#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The name server, the server and the clients of names.sh.

names_traffic.py serve PORTS [PORT]  a name server on 127.0.0.1, on PORT if it is given, and a TCP server,
                                     which reads and closes; writes their two ports to the file PORTS
names_traffic.py client DNS TCP STEP...  the steps one after the other:
    ask=NAME[,TYPE]       asks the name server, and prints nothing
    connect=IP[,HEX]      connects to the TCP server at the address, and sends these bytes
    hold=IP[,HEX]         the same, and keeps the connection open until the end
    unix=PATH             connects an AF_UNIX socket; the path is in hexadecimal
    wait=FILE             waits until the file exists

The name server knows these names; it answers nothing for silent.example, and NXDOMAIN for others:
    api.example.org    CNAME edge.example.net, which has 127.0.0.7
    many.example.org   ten addresses from 127.0.1.1 on
    cdn.example.org, shop.example.org    127.0.0.8
"""
import os
import socket
import struct
import sys
import threading
import time

DEADLINE = 60  # seconds until a test that hangs fails
TYPES = {"A": 1, "TXT": 16, "AAAA": 28}
ADDRESSES = {b"edge.example.net": ["127.0.0.7"], b"cdn.example.org": ["127.0.0.8"],
             b"shop.example.org": ["127.0.0.8"],
             b"many.example.org": [f"127.0.1.{n}" for n in range(1, 11)]}


def encode(name):
    """The name in the form of RFC 1035; each label ends at a dot."""
    return b"".join(bytes([len(label)]) + label for label in name.split(b".")) + b"\0"


def decode(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]])
        at += 1 + message[at]
    return b".".join(labels), at + 1


def answer(query):
    """The answer to a query; None: silence."""
    name, end = decode(query)
    question, kind = query[12:end + 4], struct.unpack("!H", query[end:end + 2])[0]
    name, records = name.lower(), []
    if name == b"silent.example":
        return None
    if name == b"api.example.org":
        target = encode(b"edge.example.net")
        records.append(b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 300, len(target)) + target)
        name, owner = b"edge.example.net", target
    else:
        owner = b"\xc0\x0c"
    known = name in ADDRESSES
    for ip in ADDRESSES.get(name, []) if kind == 1 else []:
        records.append(owner + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(ip))
    flags = 0x8180 | (0 if known else 3)
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)


def serve(ports, port="0"):
    dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dns.bind(("127.0.0.1", int(port)))
    tcp = socket.create_server(("0.0.0.0", 0))
    with open(ports + ".new", "w") as file:
        file.write(f"{dns.getsockname()[1]} {tcp.getsockname()[1]}\n")
    os.rename(ports + ".new", ports)

    def accept():
        while True:
            conn = tcp.accept()[0]
            conn.settimeout(DEADLINE)
            try:
                while conn.recv(65536):
                    pass
            except OSError:
                pass
            conn.close()

    threading.Thread(target=accept, daemon=True).start()
    while True:
        query, peer = dns.recvfrom(4096)
        reply = answer(query)
        if reply:
            dns.sendto(reply, peer)


def ask(server, text):
    name, _, kind = text.partition(",")
    query = struct.pack("!HHHHHH", int.from_bytes(os.urandom(2), "big"), 0x100, 1, 0, 0, 0)
    query += encode(os.fsencode(name)) + struct.pack("!HH", TYPES[kind or "A"], 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(DEADLINE)
        s.connect(server)
        s.send(query)
        if not name.startswith("silent"):
            s.recv(4096)


def connect(port, text):
    ip, _, data = text.partition(",")
    with socket.create_connection((ip, port), DEADLINE) as s:
        if data:
            s.sendall(bytes.fromhex(data))
        s.shutdown(socket.SHUT_WR)
        s.recv(1)


def hold(port, text):
    """Returns the socket, on which the bytes were sent."""
    ip, _, data = text.partition(",")
    sock = socket.create_connection((ip, port), DEADLINE)
    sock.sendall(bytes.fromhex(data))
    return sock


def wait(path):
    end = time.monotonic() + DEADLINE
    while not os.path.exists(path):
        if time.monotonic() > end:
            sys.exit(f"{path} never came")
        time.sleep(0.01)


def connect_unix(text):
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(bytes.fromhex(text))
        except OSError:
            pass


def client(dns, tcp, *steps):
    held = []
    for step in steps:
        what, _, text = step.partition("=")
        if what == "ask":
            ask(("127.0.0.1", int(dns)), text)
        elif what == "connect":
            connect(int(tcp), text)
        elif what == "hold":
            held.append(hold(int(tcp), text))
        elif what == "unix":
            connect_unix(text)
        elif what == "wait":
            wait(text)


if __name__ == "__main__":
    {"serve": serve, "client": client}[sys.argv[1]](*sys.argv[2:])
