#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The client of rules.sh: rules_traffic.py STEP...

connect=IP,PORT,ERRNO    a TCP connection is refused with this error; 0: it is made
send=IP,PORT,ERRNO       the same with one datagram to an explicit destination
mapped=IP,PORT,ERRNO     as connect, from an IPv6 socket to the IPv4-mapped address
ask=PORT,NAME            asks the name server on this port of 127.0.0.1
until=IP,PORT            connects until the rules allow it
socket=FAMILY,TYPE,PROTOCOL,ERRNO  makes a socket, for example INET,RAW,1
raw=IP,ERRNO             an echo request from a raw socket
extensions=IP,N,ERRNO    a packet of a raw IPv6 socket with N extension headers
route=IP,PORT,HOP,ERRNO  a datagram of a connected socket that has got a route by way of HOP
serve=FILE               listens on 127.0.0.1, writes the port to FILE, and sends what a peer sends back
echo=PORT                connects to such a server, and sends and receives one byte
early=IP,PORT,FILE       connects a datagram socket, makes FILE, and sends until the rules deny it
sleep=SECONDS
"""
import errno
import os
import socket
import struct
import sys
import time

import names_traffic

DEADLINE = 60  # seconds until a step that hangs fails


def result(call):
    try:
        call()
        return 0
    except OSError as e:
        return e.errno


def tcp(ip, port):
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as s:
        s.settimeout(DEADLINE)
        s.connect((ip, int(port)))


def udp(ip, port):
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", (ip, int(port)))


def need(true, *why):
    if not true:
        sys.exit("rules_traffic.py: " + " ".join(str(w) for w in why))


def until(ip, port):
    end = time.monotonic() + DEADLINE
    while (got := result(lambda: tcp(ip, port))) == errno.EPERM:
        need(time.monotonic() < end, "the rules never allow", ip)
        time.sleep(0.01)
    need(got == 0, "until:", errno.errorcode.get(got))


def make(family, kind, protocol):
    socket.socket(getattr(socket, "AF_" + family), getattr(socket, "SOCK_" + kind), int(protocol)).close()


def raw(ip):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.sendto(b"\x08\0\xf7\xff\0\0\0\0", (ip, 0))


def extensions(ip, n):
    options, nothing = 60, 59  # the numbers of destination options, and of no next header
    chain = b"".join(bytes([options if i else nothing, 0, 1, 4, 0, 0, 0, 0]) for i in reversed(range(int(n))))
    address = socket.inet_pton(socket.AF_INET6, ip)
    packet = struct.pack("!IHBB", 6 << 28, len(chain), options if chain else nothing, 64) + address * 2 + chain
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(packet, (ip, 0))


def route(ip, port, hop):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((ip, int(port)))
        # loose source route, RFC 791: the destination becomes the last hop
        s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([131, 7, 4]) + socket.inet_aton(hop) + b"\0")
        s.send(b"x")


def early(ip, port, file):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((ip, int(port)))
        open(file, "x").close()
        end = time.monotonic() + DEADLINE
        while (got := result(lambda: s.send(b"x"))) != errno.EPERM:
            need(got in (0, errno.ECONNREFUSED), "early:", errno.errorcode.get(got))
            need(time.monotonic() < end, "the rules never deny", ip)
            time.sleep(0.01)


def serve(file):
    with socket.create_server(("127.0.0.1", 0)) as s:
        with open(file + ".new", "w") as out:
            print(s.getsockname()[1], file=out)
        os.rename(file + ".new", file)
        s.settimeout(DEADLINE)
        with s.accept()[0] as peer:
            peer.settimeout(DEADLINE)
            peer.sendall(peer.recv(1))


def echo(port):
    with socket.create_connection(("127.0.0.1", int(port)), DEADLINE) as s:
        s.sendall(b"x")
        need(s.recv(1) == b"x", "echo: no answer")


CALLS = {"connect": tcp, "send": udp, "mapped": lambda ip, port: tcp("::ffff:" + ip, port),
         "socket": make, "raw": raw, "extensions": extensions, "route": route}

for step in sys.argv[1:]:
    verb, _, rest = step.partition("=")
    args = rest.split(",")
    if verb == "ask":
        names_traffic.ask(("127.0.0.1", int(args[0])), args[1])
    elif verb == "until":
        until(*args)
    elif verb == "early":
        early(*args)
    elif verb == "serve":
        serve(rest)
    elif verb == "echo":
        echo(rest)
    elif verb == "sleep":
        time.sleep(float(rest))
    else:
        name = errno.errorcode.get(result(lambda: CALLS[verb](*args[:-1])), "0")
        need(name == args[-1], step, "ended with", name)
