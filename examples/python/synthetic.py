#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls libagentsh-ebpf from Python through ctypes, without a compiler and without privileges.

A synthetic tracer delivers the events that the program injects, so this runs anywhere. For
real events, open the tracer without mode=SYNTHETIC and pass agentsh_ebpf_session_attach() the
descriptor of a cgroup v2 directory.

Usage: synthetic.py LIBRARY [LAYOUT]

LIBRARY  path of libagentsh-ebpf.so.1
LAYOUT   output of tests/abi/layout.c: also compare the structs below with those of the C header
"""
import ctypes
import errno
import ipaddress
import socket
import sys
from ctypes import POINTER, c_char, c_char_p, c_int, c_int32, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64
from ctypes import c_void_p

# ---- Declarations: the part of <agentsh/ebpf.h> that this program uses --------------------------

MODE_SYNTHETIC = 3
EVENT_CONNECT = 1
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
        ("retransmits", c_uint32), ("packets_sent", c_uint32), ("ifindex", c_uint32),
        ("exe_device", c_uint32), ("exe_inode", c_uint64), ("process_comm", c_char * 16),
        ("container_pid", c_uint32), ("container_tgid", c_uint32), ("packets_received", c_uint32),
        ("reserved", c_uint8 * 20),
    ]

    def remote(self):
        """The remote address, as an object of the module ipaddress."""
        size = 4 if self.family == socket.AF_INET else 16
        return ipaddress.ip_address(bytes(self.remote_addr)[:size])


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
                ("on_log", LOG_FN), ("log_ctx", c_void_p), ("simulate_missing", c_uint64),
                ("wakeup_delay_us", c_uint32), ("required_hooks", c_uint32), ("max_sockets", c_uint32),
                ("check_interval_ms", c_uint32), ("progress_interval_ms", c_uint32), ("reserved", c_uint32)]


class SessionOptions(ctypes.Structure):
    c_name = "agentsh_ebpf_session_options"
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("session_id", c_uint64),
                ("max_sockets", c_uint32), ("reserved", c_uint32)]


class Stats(ctypes.Structure):
    c_name = "agentsh_ebpf_stats"
    _fields_ = [("size", c_uint32), ("sessions", c_uint32), ("delivered", c_uint64), ("lost", c_uint64),
                ("lost_quota", c_uint64), ("deduplicated", c_uint64), ("attach_failures", c_uint64),
                ("malformed", c_uint64), ("untracked", c_uint64)]


def load(path):
    """The library with the types of its functions. The default type of a result is int."""
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
    """A struct whose first member is its size, as the library expects."""
    return struct(size=ctypes.sizeof(struct), **members)


# ---- The program --------------------------------------------------------------------------------


def check(condition, *words):
    if not condition:
        sys.exit("synthetic.py: " + " ".join(map(str, words)))


def show(library, event):
    print(f"session {event.session_id:#x}: {event.comm.decode(errors='replace')}[{event.tgid}] "
          f"{library.agentsh_ebpf_kind_name(event.kind).decode()} {event.remote()} port {event.remote_port}")


def trace(library):
    received = []

    @EVENT_FN  # keep a reference as long as the tracer is open
    def on_event(_ctx, event):
        received.append(bytes(event.contents))  # a copy: the event is gone after the callback
        return 0

    # A call that fails returns a negative errno value; open and attach also fill err.
    tracer, session, err = c_void_p(), c_void_p(), sized(Error)
    options = sized(TracerOptions, mode=MODE_SYNTHETIC, on_event=on_event)
    check(library.agentsh_ebpf_tracer_open(options, tracer, err) == 0, "open:", err.message)
    session_options = sized(SessionOptions, session_id=0x1122334455667788)
    ret = library.agentsh_ebpf_session_attach(tracer, -1, session_options, session, err)
    check(ret == err.code == -errno.EBADF and err.step == STEP_CGROUP and err.message, "attach -1:", ret)
    ret = library.agentsh_ebpf_session_attach(tracer, 0, session_options, session, err)
    check(ret == 0, "attach:", err.message)

    remote = ipaddress.ip_address("2001:db8::1")
    sent = Event(kind=EVENT_CONNECT, timestamp_ns=5, cgroup_id=6, socket_cookie=7, pid=8, tgid=9, ppid=10, uid=11,
                 gid=12, family=socket.AF_INET6, protocol=socket.IPPROTO_TCP, socket_type=socket.SOCK_STREAM,
                 local_port=50000, remote_port=443, remote_addr=(c_uint8 * 16)(*remote.packed), comm=b"curl",
                 process_comm=b"curl", exe_inode=13, exe_device=0xfe01, container_pid=2, container_tgid=3)
    for _ in range(3):
        check(library.agentsh_ebpf_inject(session, sent) == 0, "inject")
    expected = Event.from_buffer_copy(sent)
    expected.session_id = session_options.session_id

    # One call can read many events, which is faster than a callback into Python per event.
    batch = (Event * 2)()
    check(library.agentsh_ebpf_read(tracer, batch, 2, 0) == 2, "read")
    for event in batch:
        check(bytes(event) == bytes(expected), "read returned other bytes than were injected")
        check(event.remote() == remote, "address:", event.remote())
        show(library, event)
    check(library.agentsh_ebpf_poll(tracer, 0) == 1 and received == [bytes(expected)], "callback:", received)

    # An event loop watches this descriptor; wake() ends a blocking read from another thread.
    check(library.agentsh_ebpf_fd(tracer) >= 0, "fd")
    check(library.agentsh_ebpf_wake(tracer) == 0 and library.agentsh_ebpf_read(tracer, batch, 2, -1) == 0, "wake")

    stats = sized(Stats)
    check(library.agentsh_ebpf_session_stats(session, stats) == 0 and stats.delivered == 3 and stats.lost == 0,
          "stats:", stats.delivered, stats.lost)
    check(library.agentsh_ebpf_session_detach(session) == 0, "detach")
    library.agentsh_ebpf_tracer_close(tracer)


# ---- The layout test ----------------------------------------------------------------------------


def compare_layout(path):
    """Every member that this file declares has the same offset and size in C."""
    with open(path, encoding="utf-8") as file:
        lines = {tuple(line.split()[:2]): tuple(map(int, line.split()[2:])) for line in file}
    declared = {}
    for struct in Event, Error, TracerOptions, SessionOptions, Stats:
        for name, kind in struct._fields_:
            declared[struct.c_name, name] = (getattr(struct, name).offset, ctypes.sizeof(kind))
        declared[struct.c_name, "-"] = (ctypes.sizeof(struct), 0)
    for key, value in declared.items():
        # New members may replace reserved ones, and every struct except the event may grow.
        if key[1] in ("-", "reserved") and key != ("agentsh_ebpf_event", "-"):
            continue
        check(lines.get(key) == value, *key, "is at", value, "here and at", lines.get(key), "in C")
    check(ctypes.sizeof(Event) == 256, "an event is not 256 bytes")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    library = load(sys.argv[1])
    check(library.agentsh_ebpf_version().count(b".") == 2, "version:", library.agentsh_ebpf_version())
    if len(sys.argv) == 3:
        compare_layout(sys.argv[2])
    trace(library)


main()
