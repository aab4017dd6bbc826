#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The client of rules.sh: rules_traffic.py STEP...

connect=IP,PORT,ERRNO    a TCP connection is refused with this error; 0: it is made
send=IP,PORT,ERRNO       the same with one datagram to an explicit destination
mapped=IP,PORT,ERRNO     as connect, from an IPv6 socket to the IPv4-mapped address
ask=PORT,NAME            asks the name server on this port of 127.0.0.1
until=IP,PORT            connects until the rules allow it
sleep=SECONDS
"""
import errno
import socket
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


for step in sys.argv[1:]:
    verb, _, rest = step.partition("=")
    args = rest.split(",")
    if verb == "ask":
        names_traffic.ask(("127.0.0.1", int(args[0])), args[1])
    elif verb == "until":
        until(*args)
    elif verb == "sleep":
        time.sleep(float(rest))
    else:
        ip, port, want = args
        call = udp if verb == "send" else tcp
        got = result(lambda: call("::ffff:" + ip if verb == "mapped" else ip, port))
        name = errno.errorcode.get(got, "0")
        need(name == want, step, "ended with", name)
