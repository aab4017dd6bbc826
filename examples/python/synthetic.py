#!/usr/bin/env python3
"""The library through ctypes: no compiler, no header, no privilege.

Usage: synthetic.py LIBRARY LAYOUT, the latter being the output of tests/abi/layout.c.
"""
import ctypes
import errno
import ipaddress
import socket
import sys
from ctypes import POINTER, c_char, c_char_p, c_int, c_int32, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64
from ctypes import c_void_p

SYNTHETIC = 3
CONNECT = 1
STEP_CGROUP = 8


class Event(ctypes.Structure):
    c_name = "agentsh_ebpf_event"
    _fields_ = [
        ("kind", c_uint32), ("flags", c_uint32), ("timestamp_ns", c_uint64), ("session_id", c_uint64),
        ("session_lost", c_uint64), ("cgroup_id", c_uint64), ("socket_cookie", c_uint64),
        ("netns_cookie", c_uint64), ("process_start_ns", c_uint64), ("pid", c_uint32), ("tgid", c_uint32),
        ("ppid", c_uint32), ("uid", c_uint32), ("gid", c_uint32), ("ns_pid", c_uint32), ("ns_tgid", c_uint32),
        ("family", c_uint16), ("protocol", c_uint16), ("socket_type", c_uint16), ("local_port", c_uint16),
        ("remote_port", c_uint16), ("reserved0", c_uint16), ("error", c_int32), ("rtt_us", c_uint32),
        ("duration_ns", c_uint64), ("bytes_sent", c_uint64), ("bytes_received", c_uint64),
        ("local_addr", c_uint8 * 16), ("remote_addr", c_uint8 * 16), ("comm", c_char * 16),
        ("reserved", c_uint8 * 72),
    ]


class Error(ctypes.Structure):
    c_name = "agentsh_ebpf_error"
    _fields_ = [("size", c_uint32), ("code", c_int32), ("step", c_uint32), ("reserved", c_uint32),
                ("message", c_char * 256)]


EVENT_FN = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(Event))
LOG_FN = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class TracerOptions(ctypes.Structure):
    c_name = "agentsh_ebpf_tracer_options"
    _fields_ = [("size", c_uint32), ("mode", c_uint32), ("hooks", c_uint32), ("flags", c_uint32),
                ("ring_size", c_uint32), ("ring_quota", c_uint32), ("max_sessions", c_uint32),
                ("udp_dedup_entries", c_uint32), ("on_event", EVENT_FN), ("event_ctx", c_void_p),
                ("on_log", LOG_FN), ("log_ctx", c_void_p)]


class SessionOptions(ctypes.Structure):
    c_name = "agentsh_ebpf_session_options"
    _fields_ = [("size", c_uint32), ("reserved", c_uint32), ("session_id", c_uint64)]


class Stats(ctypes.Structure):
    c_name = "agentsh_ebpf_stats"
    _fields_ = [("size", c_uint32), ("sessions", c_uint32), ("delivered", c_uint64), ("lost", c_uint64),
                ("lost_quota", c_uint64), ("deduplicated", c_uint64), ("attach_failures", c_uint64),
                ("malformed", c_uint64)]


STRUCTS = [Event, Error, TracerOptions, SessionOptions, Stats]


def check(condition, *words):
    if not condition:
        sys.exit("synthetic.py: " + " ".join(map(str, words)))


def compare_layout(path):
    """Each struct and member that this file knows lies where C has it."""
    with open(path, encoding="utf-8") as file:
        lines = {tuple(line.split()[:2]): tuple(map(int, line.split()[2:])) for line in file}
    known = {}
    for struct in STRUCTS:
        for name, kind in struct._fields_:
            known[struct.c_name, name] = (getattr(struct, name).offset, ctypes.sizeof(kind))
        known[struct.c_name, "-"] = (ctypes.sizeof(struct), 0)
    for key, value in known.items():
        # members may take the place of reserved ones, and structs but the event may grow
        if key[1] in ("-", "reserved") and key != ("agentsh_ebpf_event", "-"):
            continue
        check(lines.get(key) == value, *key, "is at", value, "here and at", lines.get(key), "in C")
    check(ctypes.sizeof(Event) == 256, "an event is not 256 bytes")


def load(path):
    library = ctypes.CDLL(path)
    library.agentsh_ebpf_version.restype = c_char_p
    library.agentsh_ebpf_kind_name.argtypes = [c_uint32]
    library.agentsh_ebpf_kind_name.restype = c_char_p
    library.agentsh_ebpf_tracer_open.argtypes = [POINTER(TracerOptions), POINTER(c_void_p), POINTER(Error)]
    library.agentsh_ebpf_tracer_close.argtypes = [c_void_p]
    library.agentsh_ebpf_tracer_close.restype = None
    library.agentsh_ebpf_session_attach.argtypes = [c_void_p, c_int, POINTER(SessionOptions), POINTER(c_void_p),
                                                    POINTER(Error)]
    library.agentsh_ebpf_session_detach.argtypes = [c_void_p]
    library.agentsh_ebpf_inject.argtypes = [c_void_p, POINTER(Event)]
    library.agentsh_ebpf_read.argtypes = [c_void_p, POINTER(Event), c_size_t, c_int]
    library.agentsh_ebpf_poll.argtypes = [c_void_p, c_int]
    library.agentsh_ebpf_fd.argtypes = [c_void_p]
    library.agentsh_ebpf_wake.argtypes = [c_void_p]
    library.agentsh_ebpf_session_stats.argtypes = [c_void_p, POINTER(Stats)]
    return library


def sized(struct, **members):
    return struct(size=ctypes.sizeof(struct), **members)


def main():
    library = load(sys.argv[1])
    compare_layout(sys.argv[2])
    check(library.agentsh_ebpf_version().count(b".") == 2, "version", library.agentsh_ebpf_version())
    check(library.agentsh_ebpf_kind_name(CONNECT) == b"connect", "kind_name")

    got = []

    @EVENT_FN
    def on_event(_ctx, event):
        got.append(bytes(event.contents))
        return 0

    tracer, session, err = c_void_p(), c_void_p(), sized(Error)
    options = sized(TracerOptions, mode=SYNTHETIC, on_event=on_event)
    check(library.agentsh_ebpf_tracer_open(options, tracer, err) == 0, "open:", err.message)
    tag = sized(SessionOptions, session_id=0x1122334455667788)
    ret = library.agentsh_ebpf_session_attach(tracer, -1, tag, session, err)
    check(ret == err.code == -errno.EBADF and err.step == STEP_CGROUP and err.message, "attach -1:", ret)
    check(library.agentsh_ebpf_session_attach(tracer, 0, tag, session, err) == 0, "attach:", err.message)

    remote = ipaddress.ip_address("2001:db8::1")
    sent = Event(kind=CONNECT, timestamp_ns=5, cgroup_id=6, socket_cookie=7, pid=8, tgid=9, ppid=10, uid=11, gid=12,
                 family=socket.AF_INET6, protocol=socket.IPPROTO_TCP, socket_type=socket.SOCK_STREAM,
                 local_port=50000, remote_port=443, remote_addr=(c_uint8 * 16)(*remote.packed), comm=b"curl")
    for _ in range(3):
        check(library.agentsh_ebpf_inject(session, sent) == 0, "inject")

    expected = Event.from_buffer_copy(sent)
    expected.session_id = tag.session_id
    batch = (Event * 2)()
    check(library.agentsh_ebpf_read(tracer, batch, 2, 0) == 2, "read")
    for event in batch:
        check(bytes(event) == bytes(expected), "read other bytes than were injected")
        check(ipaddress.ip_address(bytes(event.remote_addr)) == remote, "address")
    check(library.agentsh_ebpf_poll(tracer, 0) == 1 and got == [bytes(expected)], "callback", got)
    check(library.agentsh_ebpf_fd(tracer) >= 0, "fd")
    check(library.agentsh_ebpf_wake(tracer) == 0 and library.agentsh_ebpf_read(tracer, batch, 2, -1) == 0, "wake")

    stats = sized(Stats)
    check(library.agentsh_ebpf_session_stats(session, stats) == 0 and stats.delivered == 3 and stats.lost == 0,
          "stats", stats.delivered, stats.lost)
    check(library.agentsh_ebpf_session_detach(session) == 0, "detach")
    library.agentsh_ebpf_tracer_close(tracer)


main()
