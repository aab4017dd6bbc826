# SPDX-License-Identifier: Apache-2.0
"""Runs in the cgroup of a live test: makes network calls and says in JSON what it did.

calls.py ways TCP4 TCP6 CLOSED   each way once, to these ports of the loopback addresses
calls.py listen                  accepts one connection and ends it
calls.py flood COUNT             sends COUNT datagrams, each to another port
calls.py rules                   reads lines "tcp PORT" and "udp PORT", and answers each with the error number of
                                 the call to that port of 127.0.0.1; "open PORT" connects a UDP socket, "write PORT"
                                 sends on it, and "raw PORT" makes a raw socket
calls.py resolve DNS HTTP        asks the name server at the port DNS of 127.0.0.1, connects to the port HTTP
                                 of the address, names another host there, and calls connect() with an
                                 abstract AF_UNIX address
"""
import contextlib
import json
import os
import socket
import struct
import sys
import threading

SO_COOKIE = 57


def said(sock, name, remote):
    local = sock.getsockname()
    return {
        "name": name,
        "pid": threading.get_native_id(), "tgid": os.getpid(), "ppid": os.getppid(),
        "uid": os.getuid(), "gid": os.getgid(),
        "comm": open("/proc/self/comm").read().rstrip("\n"),
        "exe_inode": os.stat("/proc/self/exe").st_ino,
        "socket_cookie": struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0],
        "protocol": sock.proto or (socket.IPPROTO_TCP if sock.type == socket.SOCK_STREAM else socket.IPPROTO_UDP),
        "socket_type": int(sock.type),
        "local": [local[0].replace("::ffff:", ""), local[1]],
        "remote": [remote[0].replace("::ffff:", ""), remote[1]],
    }


def way(name, family, kind, remote, send=b""):
    with socket.socket(family, kind) as sock:
        if name.endswith("send"):
            sock.sendto(b"x", remote)
            return said(sock, name, remote)
        with contextlib.suppress(ConnectionRefusedError):
            sock.connect(remote)
        result = said(sock, name, remote)
        if send:
            sock.sendall(send)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(1000):
                pass
        return result


def ways(tcp4, tcp6, closed):
    v4, v6, tcp, udp = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
    return [
        way("tcp4", v4, tcp, ("127.0.0.1", tcp4), b"four"),
        way("tcp6", v6, tcp, ("::1", tcp6), b"sixsix"),
        way("mapped", v6, tcp, ("::ffff:127.0.0.1", tcp4), b"m"),
        way("refused", v4, tcp, ("127.0.0.1", closed)),
        way("udp4", v4, udp, ("127.0.0.2", 9)),
        way("udp6", v6, udp, ("::1", 9)),
        way("udp4 send", v4, udp, ("127.0.0.3", 9)),
        way("udp6 send", v6, udp, ("::1", 10)),
    ]


def listen():
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(json.dumps(server.getsockname()), flush=True)
        sock, peer = server.accept()
        with sock:
            result = said(sock, "accepted", peer)
            while sock.recv(1000):
                pass
        return result


def flood(count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(count):
            sock.sendto(b"x", ("127.0.0.1", 1000 + number % 60000))


def question(name, identifier):
    """A DNS question for addresses, RFC 1035."""
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b"."))
    return struct.pack(">6H", identifier, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">B2H", 0, 1, 1)


def resolve(dns, http):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", dns))
        sock.send(question("silent.example.org", 1))  # gets no answer
        sock.send(question("www.example.org", 2))
        address = socket.inet_ntoa(sock.recv(512)[-4:])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, contextlib.suppress(ConnectionRefusedError):
        sock.connect("\0agentsh-test")
    return way("tcp4", socket.AF_INET, socket.SOCK_STREAM, (address, http),
               b"GET / HTTP/1.1\r\nHost: api.example.org\r\n\r\n")


def rules():
    with socket.socket(type=socket.SOCK_DGRAM) as earlier:
        for line in sys.stdin:
            kind, port = line.split()
            try:
                rules_call(kind, ("127.0.0.1", int(port)), earlier)
                print(0, flush=True)
            except OSError as error:
                print(error.errno, flush=True)


def rules_call(kind, to, earlier):
    if kind == "open":
        earlier.connect(to)
    elif kind == "write":
        earlier.send(b"x")
    elif kind == "raw":
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    else:
        with socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as sock:
            if kind == "tcp":
                sock.connect(to)
            else:
                sock.sendto(b"x", to)


def main():
    function = {"ways": ways, "listen": listen, "flood": flood, "resolve": resolve,
                "rules": rules}[sys.argv[1]]
    print(json.dumps(function(*map(int, sys.argv[2:]))))


main()
