#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands that command.sh traces.

traffic.py calls SAYS          makes each kind of call once, and writes the expected events to
                               SAYS, as one JSON object per call
traffic.py places              calls connect() with an interface, and with 0.0.0.0 and ::
traffic.py names               calls connect() once under each name in NAMES
traffic.py flood COUNT         sends COUNT datagrams
traffic.py sockets COUNT       calls connect() of this many sockets, all open at the same time
traffic.py hold READY GO       calls connect(), creates the file READY and waits for the file GO
traffic.py signal READY NAME   waits for a signal, writes its name to NAME, and exits with 7
traffic.py seccomp COMMAND...  runs COMMAND with a filter that forbids clone3()
"""
import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time

SO_COOKIE = 57
SO_NETNS_COOKIE = 71
PR_SET_NAME = 15
libc = ctypes.CDLL(None, use_errno=True)

# Names that a process can choose: terminal commands, characters with a meaning in JSON,
# invalid UTF-8, C1 controls, a reversed reading direction, a character that is cut.
NAMES = [
    b"plain",
    b"\x1b]0;pwned\x07",
    b"\x1b[2J\x1b[31mred",
    b'"},{"a":"',
    b"back\\slash\\",
    b"line\r\nfeed\ttab",
    b"\xff\xfe\x80bad",
    b"\xc2\x9b31mC1",
    b"\xe2\x80\xaegnp.txt",
    b"12345678901234\xc3\xa9",
    b"0123456789abcdefXYZ",
    b"\xf0\x9f\x90\xa7 \xc3\xbcml",
    b"\x7f\x01\x02",
    b"",
]


def set_name(name):
    libc.prctl(PR_SET_NAME, ctypes.c_char_p(name), 0, 0, 0)


def cgroup_path():
    """The directory of this process's cgroup v2."""
    with open("/proc/self/cgroup") as f:
        path = next(line[3:].rstrip("\n") for line in f if line.startswith("0::"))
    with open("/proc/self/mountinfo") as f:
        for line in f:
            before, after = line.split(" - ", 1)
            if after.startswith("cgroup2 "):
                root, point = before.split()[3:5]
                break
    path = path[len(root):] if root != "/" else path
    return point + path


class Says:
    def __init__(self, path):
        self.file = open(path, "a")

    def call(self, sock, kind, dst, **other):
        v6 = sock.family == socket.AF_INET6 and not dst[0].startswith("::ffff:")
        said = {
            "type": kind,
            "start_ticks": int(open("/proc/self/stat").read().rpartition(")")[2].split()[19]),
            "pid": threading.get_native_id(),
            "tgid": os.getpid(),
            "ppid": os.getppid(),
            "ns_pid": threading.get_native_id(),
            "ns_tgid": os.getpid(),
            "container_pid": threading.get_native_id(),
            "container_tgid": os.getpid(),
            "uid": os.getuid(),
            "gid": os.getgid(),
            "process_comm": open("/proc/self/comm", "rb").read()[:-1].decode(),
            "exe_inode": os.stat("/proc/self/exe").st_ino,
            "exe": os.readlink("/proc/self/exe"),
            "args": open("/proc/self/cmdline").read().split("\0")[:-1],
            "args_cut": False,
            "comm": open("/proc/thread-self/comm", "rb").read()[:-1].decode(),
            "cgroup_id": os.stat(cgroup_path()).st_ino,
            "cgroup": cgroup_path(),
            "socket_cookie": struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0],
            "family": "ipv6" if v6 else "ipv4",
            "v4_mapped": sock.family == socket.AF_INET6 and not v6,
            "proto": "tcp" if sock.type == socket.SOCK_STREAM else "udp",
            "protocol": 6 if sock.type == socket.SOCK_STREAM else 17,
            "socket_type": "stream" if sock.type == socket.SOCK_STREAM else "dgram",
            "dst_ip": dst[0].replace("::ffff:", ""),
            "dst_port": dst[1],
            "src_ip": "::" if v6 else "0.0.0.0",
            "src_port": 0,
            "ifindex": 0,
            "source_routed": False,
            "unspecified": False,
            "untracked": False,
            "inbound": False,
            "attributed": True,
            "session_lost": 0,
        }
        with contextlib.suppress(OSError):  # kernel 5.14
            said["netns_cookie"] = struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
        said.update(other)
        json.dump(said, self.file)
        self.file.write("\n")
        self.file.flush()


def connect(says, family, kind, dst, bind=None):
    with socket.socket(family, kind) as sock:
        src = {}
        if bind:
            sock.bind(bind)
            ip, port = sock.getsockname()[:2]
            src = {"src_ip": ip.replace("::ffff:", ""), "src_port": port}
        try:
            sock.connect(dst)
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                raise
        says.call(sock, "net_connect", dst, **src)


def sendto(says, family, dst):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", dst)
        says.call(sock, "net_udp_send", dst, src_port=sock.getsockname()[1])


def in_child(action):
    child = os.fork()
    if not child:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit("a child failed")


def calls(path):
    says = Says(path)
    v4, v6 = socket.AF_INET, socket.AF_INET6
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    mapped = ("::ffff:127.0.0.1", 4)

    connect(says, v4, tcp, ("127.0.0.1", 1))
    connect(says, v6, tcp, ("::1", 2))
    connect(says, v6, tcp, mapped)
    connect(says, v4, udp, ("127.0.0.2", 5))
    connect(says, v6, udp, ("::1", 6))
    connect(says, v6, udp, mapped)
    sendto(says, v4, ("127.0.0.3", 65535))
    sendto(says, v6, ("::1", 8))
    sendto(says, v6, mapped)
    connect(says, v4, tcp, ("127.0.0.1", 9), bind=("127.0.0.4", 0))
    connect(says, v6, udp, ("::1", 10), bind=("::1", 0))

    def other_name():
        set_name(b"a thread")
        connect(says, v4, tcp, ("127.0.0.1", 11))

    thread = threading.Thread(target=other_name)
    thread.start()
    thread.join()

    def other_user():
        os.setgid(12346)
        os.setuid(12345)
        connect(says, v4, tcp, ("127.0.0.1", 12))

    in_child(other_user)


def places():
    lo = 1  # its index in every network namespace
    for family, dst, device in (
        (socket.AF_INET6, ("fe80::1234", 9, 0, lo), None),
        (socket.AF_INET, ("127.0.0.5", 9), b"lo"),
        (socket.AF_INET, ("0.0.0.0", 9), None),
        (socket.AF_INET6, ("::", 9), None),
    ):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            if device:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            with contextlib.suppress(OSError):  # without a route, the attempt is reported all the same
                sock.connect(dst)


def names():
    for name in NAMES:
        set_name(name)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", 9))


def plain_connect(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))


def flood(count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(count):
            sock.sendto(b"x", ("127.0.0.1", 9))


def many_sockets(count):
    limit = max(resource.getrlimit(resource.RLIMIT_NOFILE)[1], count + 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for sock in held:
        sock.connect(("127.0.0.1", 9))


def touch(path, text=""):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


def hold(ready, go):
    plain_connect(9)
    touch(ready)
    while not os.path.exists(go):
        time.sleep(0.01)


def wait_signal(ready, name):
    wanted = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    for number in wanted:  # a signal that is ignored would not arrive
        signal.signal(number, signal.SIG_DFL)
    touch(ready)
    touch(name, signal.Signals(signal.sigwait(wanted)).name)
    sys.exit(7)


def seccomp(command):
    clone3 = 435  # on every architecture
    ld_nr, jeq, ret = 0x20, 0x15, 0x06
    program = b"".join(struct.pack("=HBBI", *i) for i in (
        (ld_nr, 0, 0, 0),
        (jeq, 0, 1, clone3),
        (ret, 0, 0, 0x00050000 | errno.ENOSYS),
        (ret, 0, 0, 0x7FFF0000),
    ))
    buf = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(buf))
    if libc.prctl(22, 2, ctypes.c_char_p(fprog), 0, 0):  # PR_SET_SECCOMP, filter
        sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
    os.execv(command[0], command)


def main(what, *args):
    if what == "flood":
        flood(int(args[0]))
    elif what == "sockets":
        many_sockets(int(args[0]))
    elif what == "seccomp":
        seccomp(list(args))
    else:
        {"calls": calls, "places": places, "names": names, "hold": hold, "signal": wait_signal}[what](*args)


if __name__ == "__main__":
    main(*sys.argv[1:])
