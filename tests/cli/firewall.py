# SPDX-License-Identifier: Apache-2.0
"""firewall.py CGROUP [egress]: refuses every IPv4 connect() in the cgroup and below it, or with
egress every packet that is sent.

Attaches a program with BPF_F_ALLOW_OVERRIDE, which a program attached below would displace. The
program stays attached until the cgroup is removed.
"""

import ctypes
import os
import platform
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
BPF_PROG_LOAD, BPF_PROG_ATTACH = 5, 8
# The type of the program and the place where it is attached.
CONNECT, EGRESS = (18, 10), (8, 1)
BPF_F_ALLOW_OVERRIDE = 1
RETURN_0 = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)  # r0 = 0; exit

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    result = libc.syscall(SYS_BPF, command, ctypes.c_char_p(attr), len(attr))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def address(text):
    return ctypes.cast(ctypes.c_char_p(text), ctypes.c_void_p).value


def main(cgroup, what="connect"):
    kind, place = EGRESS if what == "egress" else CONNECT
    licence, name = b"GPL", b"test_firewall"
    load = struct.pack("=IIQQIIQII16sII", kind, len(RETURN_0) // 8,
                       address(RETURN_0), address(licence), 0, 0, 0, 0, 0, name, 0,
                       place)
    program = bpf(BPF_PROG_LOAD, load)
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    bpf(BPF_PROG_ATTACH, struct.pack("=IIII", directory, program, place, BPF_F_ALLOW_OVERRIDE))


main(*sys.argv[1:])
