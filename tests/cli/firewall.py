# SPDX-License-Identifier: Apache-2.0
"""firewall.py CGROUP: refuses every IPv4 connect() in the cgroup and below it.

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
BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT = 18, 10
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


def main(cgroup):
    licence, name = b"GPL", b"test_firewall"
    load = struct.pack("=IIQQIIQII16sII", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, len(RETURN_0) // 8,
                       address(RETURN_0), address(licence), 0, 0, 0, 0, 0, name, 0,
                       BPF_CGROUP_INET4_CONNECT)
    program = bpf(BPF_PROG_LOAD, load)
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    bpf(BPF_PROG_ATTACH, struct.pack("=IIII", directory, program, BPF_CGROUP_INET4_CONNECT,
                                     BPF_F_ALLOW_OVERRIDE))


main(sys.argv[1])
