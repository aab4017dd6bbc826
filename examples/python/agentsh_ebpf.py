# SPDX-License-Identifier: Apache-2.0
"""libagentsh-ebpf for Python: the network connections of the processes in a cgroup v2, as events.

    import agentsh_ebpf as ebpf

    with ebpf.Tracer() as tracer, tracer.attach("/sys/fs/cgroup/my.slice"):
        for event in tracer:                # in asyncio: async for event in tracer
            print(event.comm, event.kind_name, event.remote_addr, event.remote_port)

The module is this one file. It needs Python 3.9 or later and the shared library
libagentsh-ebpf.so.1, and no compiler. The header <agentsh/ebpf.h> and the manual pages describe the
members of events and options, and the errors; the names here are those of the header.

Threads: only one thread at a time may read a tracer (read, iteration, read_async); a second one
gets an AgentshEbpfError with EBUSY. All other methods may be called from any thread at any time.
close() may be called from any thread and from a signal handler. It ends a read or an iteration
that is waiting, and waits until the calls of other threads have returned. Calls of the library
run without the global interpreter lock, so a thread that waits for events stops no other thread.

Fork: only the process that opened a tracer may use it. In a forked child, close() and detach()
release the copies that the child has, and leave the sessions of the parent as they are; attach,
check, read, inject and the calls about names and rules raise an AgentshEbpfError with EPERM.
"""
from __future__ import annotations

import asyncio
import collections
import contextlib
import ctypes
import dataclasses
import enum
import errno
import fcntl
import ipaddress
import math
import os
import socket
import threading
import time
import warnings
import weakref
from ctypes import POINTER, c_char, c_char_p, c_int, c_int32, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64
from ctypes import c_void_p
from typing import Any, Callable, Deque, Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Set
from typing import Tuple, Type, TypeVar, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
LogFunction = Callable[["LogLevel", str], None]

# ---- Constants ----------------------------------------------------------------------------------


class Kind(enum.IntEnum):
    """AGENTSH_EBPF_EVENT_: what happened. Ignore kinds that you do not know."""

    CONNECT = 1
    UDP_SEND = 2
    CONNECTED = 3
    CONNECT_FAILED = 4
    CLOSED = 5
    ACCEPTED = 6
    SESSION_BLIND = 7
    FIRST_DATA = 8
    PROGRESS = 9
    UNANNOUNCED = 10
    DNS_QUERY = 11
    DNS_ANSWER = 12
    SERVER_NAME = 13
    UNIX_CONNECT = 14
    SOCKET_DENIED = 15
    PACKET_DENIED = 16


class Flag(enum.IntFlag):
    """AGENTSH_EBPF_FLAG_: bits of Event.flags."""

    V4_MAPPED = 1
    UNATTRIBUTED = 2
    NO_ERROR = 4
    INBOUND = 8
    LOCAL_CLOSED = 16
    REMOTE_CLOSED = 32
    SOURCE_ROUTED = 64
    UNSPECIFIED = 128
    UNTRACKED = 256


class Step(enum.IntEnum):
    """AGENTSH_EBPF_STEP_: the step that failed."""

    NONE = 0
    OPTIONS = 1
    MEMORY = 2
    OBJECT_OPEN = 3
    OBJECT_LOAD = 4
    RING_MAP = 5
    COUNTERS_MAP = 6
    EVENT_FD = 7
    CGROUP = 8
    SESSION_SLOT = 9
    LINK = 10
    STORAGE = 11
    RULES = 12


class Mode(enum.IntEnum):
    """AGENTSH_EBPF_MODE_: how a tracer is opened."""

    AUTO = 0
    DISABLED = 1
    REQUIRED = 2
    SYNTHETIC = 3


class Hook(enum.IntFlag):
    """AGENTSH_EBPF_HOOK_: what a tracer observes."""

    CONNECT = 1
    UDP = 2
    LIFECYCLE = 4
    ACCEPT = 8
    TRAFFIC = 16
    DNS = 32
    SERVER_NAME = 64
    UNIX = 128
    RULES = 256
    SOCK_CREATE = 512
    EGRESS = 1024


class Open(enum.IntFlag):
    """AGENTSH_EBPF_OPEN_: flags of a tracer."""

    UDP_NO_DEDUP = 1
    NO_MODERATION = 2
    DNS_EVENTS = 4
    DENIALS_ONLY = 8


class LogLevel(enum.IntEnum):
    """AGENTSH_EBPF_LOG_: the level of a log message."""

    WARN = 0
    INFO = 1
    DEBUG = 2


class Attach(enum.IntFlag):
    """AGENTSH_EBPF_ATTACH_: flags of a session."""

    DISPLACE = 1


class Check(enum.IntEnum):
    """AGENTSH_EBPF_CHECK_: a check of probe(). Check.mask is its bit in a mask."""

    KERNEL = 0
    BPF = 1
    USERNS = 2
    CAP_BPF = 3
    CAP_NET_ADMIN = 4
    CAP_PERFMON = 5
    LOCKDOWN = 6
    BTF = 7
    CGROUP2 = 8
    RINGBUF = 9
    ARRAY_MMAP = 10
    CGROUP_STORAGE = 11
    CGROUP_LINK = 12
    MEMLOCK = 13
    NOFILE = 14
    JIT = 15
    CONNECT4 = 16
    CONNECT6 = 17
    SENDMSG4 = 18
    SENDMSG6 = 19
    SOCK_OPS = 20
    SOCK_RELEASE = 21
    BIND4 = 22
    BIND6 = 23
    INET_INGRESS = 24
    INET_EGRESS = 25
    CONNECT_UNIX = 26
    SENDMSG_UNIX = 27
    SOCK_CREATE = 28
    SET_RETVAL = 29

    @property
    def mask(self) -> int:
        return 1 << self.value


class Status(enum.IntEnum):
    """AGENTSH_EBPF_STATUS_: the result of a check."""

    UNKNOWN = 0
    AVAILABLE = 1
    MISSING = 2
    FORBIDDEN = 3
    SIMULATED = 4


class CgroupMode(enum.IntEnum):
    """AGENTSH_EBPF_CGROUP_: which cgroups are mounted."""

    NONE = 0
    PURE = 1
    HYBRID = 2


class Path(enum.IntEnum):
    """AGENTSH_EBPF_COVERAGE_: a path to the network."""

    TCP_CONNECT = 0
    TCP_FASTOPEN = 1
    MPTCP_CONNECT = 2
    UDP_CONNECT = 3
    UDP_SEND = 4
    UDP_SEND_CONNECTED = 5
    UDPLITE_CONNECT = 6
    UDPLITE_SEND = 7
    PING_CONNECT = 8
    PING_SEND = 9
    SCTP = 10
    RAW = 11
    PACKET = 12
    IO_URING_CONNECT = 13
    IO_URING_SEND = 14
    UNIX = 15
    VSOCK = 16
    EARLIER_SOCKET = 17
    PASSED_SOCKET = 18
    LEFT_SOCKET = 19
    TCP_OUTCOME = 20
    DATAGRAM_CLOSE = 21
    TCP_ACCEPT = 22
    DCCP = 23
    L2TP_IP = 24
    SMC_CONNECT = 25
    RDS = 26
    XDP = 27
    RXRPC = 28
    OTHER_FAMILY = 29
    EARLIER_CONNECTION = 30
    DNS_UDP = 31
    DNS_TCP = 32
    DNS_TLS = 33
    DNS_HTTPS = 34
    LOCAL_RESOLVER = 35
    HOSTS_FILE = 36
    EARLIER_ANSWER = 37
    TLS_SERVER_NAME = 38
    TLS_ENCRYPTED_NAME = 39
    HTTP_HOST = 40
    QUIC_SERVER_NAME = 41

    @property
    def note(self) -> str:
        """How the path is reported, or why it is not."""
        return _text(_library().agentsh_ebpf_coverage_note(self.value))


class NameSource(enum.IntEnum):
    """AGENTSH_EBPF_NAME_: where a name is from."""

    NONE = 0
    DNS = 1
    DNS_TCP = 2
    TLS = 3
    HTTP = 4
    SEED = 5
    UNIX = 6


class NameFlag(enum.IntFlag):
    """AGENTSH_EBPF_NAME_FLAG_: bits of Name.flags."""

    SHARED = 1
    EXPIRED = 2
    OTHER_PROCESS = 4
    UNASKED = 8
    CUT = 16
    OUTER = 32
    DIFFERS = 64


class DnsFlag(enum.IntFlag):
    """AGENTSH_EBPF_DNS_FLAG_: bits of Dns.flags."""

    TCP = 1
    TRUNCATED = 2
    CUT = 4
    UNASKED = 8
    UNTRUSTED = 16


class Verdict(enum.IntEnum):
    """AGENTSH_EBPF_VERDICT_: what the rules of the session say of a call."""

    NONE = 0
    ALLOWED = 1
    DENIED = 2
    WOULD_DENY = 3


class RuleAction(enum.IntEnum):
    """AGENTSH_EBPF_RULE_: what a rule does."""

    ALLOW = 1
    DENY = 2


class RuleFlag(enum.IntFlag):
    """AGENTSH_EBPF_RULE_: bits of Rule.flags. A LISTED rule matches only addresses of Rules.list_address()."""

    LISTED = 1


class RulesFlag(enum.IntFlag):
    """AGENTSH_EBPF_RULES_: flags of a set of rules.

    AUDIT refuses nothing, and reports WOULD_DENY. With REFUSE, calls that the rules deny fail with ECONNREFUSED
    instead of EPERM. STRICT_SOCKETS refuses sockets that the rules cannot judge, and EGRESS judges each packet.
    """

    AUDIT = 1
    REFUSE = 2
    STRICT_SOCKETS = 4
    EGRESS = 8


CHECKS_MAX = 32
# Rule.protocol: every protocol other than TCP, MPTCP, UDP and UDP-Lite
RULE_OTHER_PROTOCOLS = 255

_Number = TypeVar("_Number", bound=enum.IntEnum)


def _known(numbers: Type[_Number], value: int) -> Union[_Number, int]:
    """The member of the enum; a newer library may have values that this module does not know."""
    return numbers._value2member_map_.get(value, value)  # type: ignore[return-value]


def _members(numbers: Type[_Number], mask: int) -> FrozenSet[_Number]:
    return frozenset(member for member in numbers if mask >> member.value & 1)


def _text(value: Optional[bytes]) -> str:
    return (value or b"").decode(errors="backslashreplace")


# ---- Structs ------------------------------------------------------------------------------------
# The members whose names begin with an underscore have properties that convert them.


class Event(ctypes.Structure):
    """struct agentsh_ebpf_event: one event, of 256 bytes. Each event is a copy and stays valid.

    The names of threads and processes are chosen by them and may contain control characters. Quote
    them before you write them to a terminal, as repr() does.

    For tests: Event(kind=Kind.CONNECT, family=socket.AF_INET, remote_addr="192.0.2.1", comm="curl").
    """

    c_name = "agentsh_ebpf_event"
    _fields_ = [
        ("_kind", c_uint32), ("_flags", c_uint32), ("timestamp_ns", c_uint64), ("session_id", c_uint64),
        ("session_lost", c_uint64), ("cgroup_id", c_uint64), ("socket_cookie", c_uint64),
        ("netns_cookie", c_uint64), ("process_start_ns", c_uint64), ("pid", c_uint32), ("tgid", c_uint32),
        ("ppid", c_uint32), ("uid", c_uint32), ("gid", c_uint32), ("ns_pid", c_uint32), ("ns_tgid", c_uint32),
        ("family", c_uint16), ("protocol", c_uint16), ("socket_type", c_uint16), ("local_port", c_uint16),
        ("remote_port", c_uint16), ("reserved0", c_uint16), ("error", c_int32), ("rtt_us", c_uint32),
        ("duration_ns", c_uint64), ("bytes_sent", c_uint64), ("bytes_received", c_uint64),
        ("_local_addr", c_uint8 * 16), ("_remote_addr", c_uint8 * 16), ("_comm", c_char * 16),
        ("retransmits", c_uint32), ("packets_sent", c_uint32), ("ifindex", c_uint32),
        ("exe_device", c_uint32), ("exe_inode", c_uint64), ("_process_comm", c_char * 16),
        ("container_pid", c_uint32), ("container_tgid", c_uint32), ("packets_received", c_uint32),
        ("_verdict", c_uint32), ("name_id", c_uint64), ("rule_id", c_uint32), ("reserved", c_uint8 * 4),
    ]
    timestamp_ns: int
    session_id: int
    session_lost: int
    cgroup_id: int
    socket_cookie: int
    netns_cookie: int
    process_start_ns: int
    pid: int
    tgid: int
    ppid: int
    uid: int
    gid: int
    ns_pid: int
    ns_tgid: int
    family: int
    protocol: int
    socket_type: int
    local_port: int
    remote_port: int
    error: int
    rtt_us: int
    duration_ns: int
    bytes_sent: int
    bytes_received: int
    retransmits: int
    packets_sent: int
    ifindex: int
    exe_device: int
    exe_inode: int
    container_pid: int
    container_tgid: int
    packets_received: int
    name_id: int
    rule_id: int
    # What read() has copied together with the event, so that it stays valid.
    _name: Optional[_Name] = None
    _dns: Optional[_Dns] = None
    _addresses: Tuple[_Address, ...] = ()

    @property
    def kind(self) -> Union[Kind, int]:
        return _known(Kind, self._kind)

    @kind.setter
    def kind(self, value: int) -> None:
        self._kind = value

    @property
    def flags(self) -> Flag:
        return Flag(self._flags)

    @flags.setter
    def flags(self, value: int) -> None:
        self._flags = value

    @property
    def verdict(self) -> Union[Verdict, int]:
        """What the rules of the session say of the call; rule_id is the rule that decided."""
        return _known(Verdict, self._verdict)

    @verdict.setter
    def verdict(self, value: int) -> None:
        self._verdict = value

    @property
    def local_addr(self) -> Optional[Address]:
        """None if the event has no addresses (SESSION_BLIND, SOCKET_DENIED)."""
        return self._address(self._local_addr)

    @local_addr.setter
    def local_addr(self, value: Union[Address, str]) -> None:
        self._local_addr = _packed(value)

    @property
    def remote_addr(self) -> Optional[Address]:
        """None if the event has no addresses (SESSION_BLIND, SOCKET_DENIED)."""
        return self._address(self._remote_addr)

    @remote_addr.setter
    def remote_addr(self, value: Union[Address, str]) -> None:
        self._remote_addr = _packed(value)

    @property
    def comm(self) -> str:
        """Name of the thread. Bytes that are not UTF-8 appear as \\xNN."""
        return _text(self._comm)

    @comm.setter
    def comm(self, value: Union[str, bytes]) -> None:
        self._comm = value.encode() if isinstance(value, str) else value

    @property
    def process_comm(self) -> str:
        """Name of the process. Bytes that are not UTF-8 appear as \\xNN."""
        return _text(self._process_comm)

    @process_comm.setter
    def process_comm(self, value: Union[str, bytes]) -> None:
        self._process_comm = value.encode() if isinstance(value, str) else value

    @property
    def comm_bytes(self) -> bytes:
        return bytes(self._comm)

    @property
    def process_comm_bytes(self) -> bytes:
        return bytes(self._process_comm)

    @property
    def name(self) -> Optional[Name]:
        """The name of the destination, and where it is from; None if no name is known.

        The watched process can choose the name: never take it for a permission. Event.from_buffer_copy()
        and agentsh_ebpf_inject() do not copy the name.
        """
        return None if self._name is None else Name._from(self._name)

    @property
    def dns(self) -> Optional[Dns]:
        """What a DNS_QUERY or DNS_ANSWER event is about; None for other kinds."""
        if self._dns is None:
            return None
        addresses = tuple(DnsAddress(raw.ip, raw.ttl_s) for raw in self._addresses)
        return Dns(question_type=self._dns.question_type, rcode=self._dns.rcode, flags=DnsFlag(self._dns.flags),
                   addresses=addresses)

    @property
    def realtime_ns(self) -> int:
        """Unix time in nanoseconds. Read it soon after the event: agentsh_ebpf_event_realtime_ns(3)."""
        return int(_library().agentsh_ebpf_event_realtime_ns(self))

    @property
    def kind_name(self) -> str:
        """"connect", "udp_send", ...; "unknown" for a kind that the library does not know."""
        return _text(_library().agentsh_ebpf_kind_name(self._kind))

    @property
    def protocol_name(self) -> str:
        """"tcp", "udp", "icmp", ...; "unknown" for any other protocol."""
        return _text(_library().agentsh_ebpf_protocol_name(self.protocol))

    @property
    def verdict_name(self) -> str:
        """"none", "allowed", "denied", "would_deny"; "unknown" for any other verdict."""
        return _text(_library().agentsh_ebpf_verdict_name(self._verdict))

    def _address(self, value: Any) -> Optional[Address]:
        if self._kind == Kind.SOCKET_DENIED:  # family is that of the socket
            return None
        if self.family == socket.AF_INET:
            return ipaddress.IPv4Address(bytes(value)[:4])
        if self.family == socket.AF_INET6:
            return ipaddress.IPv6Address(bytes(value))
        return None

    def __eq__(self, other: object) -> bool:
        return bytes(self) == bytes(other) if isinstance(other, Event) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # an event can be changed

    def __repr__(self) -> str:
        kind = self.kind
        return (f"<Event {kind.name if isinstance(kind, Kind) else kind} session_id={self.session_id} "
                f"tgid={self.tgid} comm={self.comm!r} protocol={self.protocol} "
                f"local={self.local_addr} port {self.local_port} "
                f"remote={self.remote_addr} port {self.remote_port} error={self.error}>")


def _packed(value: Union[Address, str]) -> Any:
    packed = ipaddress.ip_address(value).packed
    return (c_uint8 * 16)(*packed)


def _family(ip: Address) -> int:
    return socket.AF_INET if ip.version == 4 else socket.AF_INET6


class _Address(ctypes.Structure):
    c_name = "agentsh_ebpf_address"
    _fields_ = [("family", c_uint16), ("port", c_uint16), ("ttl_s", c_uint32), ("addr", c_uint8 * 16)]

    @property
    def ip(self) -> Address:
        packed = bytes(self.addr)
        return ipaddress.ip_address(packed[:4] if self.family == socket.AF_INET else packed)

    @classmethod
    def of(cls, value: Union[Address, str], port: int = 0) -> _Address:
        ip = ipaddress.ip_address(value)
        return cls(family=_family(ip), port=port, addr=_packed(ip))


class _Name(ctypes.Structure):
    c_name = "agentsh_ebpf_name"
    _fields_ = [("size", c_uint32), ("source", c_uint32), ("server_name_source", c_uint32), ("flags", c_uint32),
                ("others", c_uint32), ("asker_tgid", c_uint32), ("age_ns", c_uint64), ("ttl_ns", c_uint64),
                ("resolver", _Address), ("asked", c_char * 256), ("owner", c_char * 256),
                ("server_name", c_char * 256), ("alpn", c_char * 64)]


class _Dns(ctypes.Structure):
    c_name = "agentsh_ebpf_dns"
    _fields_ = [("size", c_uint32), ("question_type", c_uint16), ("rcode", c_uint16), ("flags", c_uint32),
                ("addresses", c_uint32)]


class _Error(ctypes.Structure):
    c_name = "agentsh_ebpf_error"
    _fields_ = [("size", c_uint32), ("code", c_int32), ("step", c_uint32), ("reserved", c_uint32),
                ("message", c_char * 256)]


_EVENT_FN = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(Event))
_LOG_FN = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class _TracerOptions(ctypes.Structure):
    c_name = "agentsh_ebpf_tracer_options"
    _fields_ = [("size", c_uint32), ("mode", c_uint32), ("hooks", c_uint32), ("flags", c_uint32),
                ("ring_size", c_uint32), ("ring_quota", c_uint32), ("max_sessions", c_uint32),
                ("udp_dedup_entries", c_uint32), ("on_event", _EVENT_FN), ("event_ctx", c_void_p),
                ("on_log", _LOG_FN), ("log_ctx", c_void_p), ("simulate_missing", c_uint64),
                ("wakeup_delay_us", c_uint32), ("required_hooks", c_uint32), ("max_sockets", c_uint32),
                ("check_interval_ms", c_uint32), ("progress_interval_ms", c_uint32), ("dns_timeout_ms", c_uint32),
                ("dns_ports", c_uint16 * 4), ("rules_bytes", c_uint32), ("rules_addresses", c_uint32)]


class _SessionOptions(ctypes.Structure):
    c_name = "agentsh_ebpf_session_options"
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("session_id", c_uint64),
                ("max_sockets", c_uint32), ("names_max", c_uint32), ("names_bytes", c_uint32),
                ("reserved", c_uint32), ("trusted_resolvers", _Address * 4), ("rules", c_void_p)]


class _Rule(ctypes.Structure):
    c_name = "agentsh_ebpf_rule"
    _fields_ = [("addr", c_uint8 * 16), ("family", c_uint16), ("prefix_len", c_uint8), ("protocol", c_uint8),
                ("first_port", c_uint16), ("last_port", c_uint16), ("rule_id", c_uint32), ("action", c_uint16),
                ("flags", c_uint16), ("expires_boottime_ns", c_uint64), ("reserved", c_uint64)]


class _RulesOptions(ctypes.Structure):
    c_name = "agentsh_ebpf_rules_options"
    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("default_action", c_uint32), ("on_exhaustion", c_uint32)]


class _SessionCheck(ctypes.Structure):
    c_name = "agentsh_ebpf_session_check"
    _fields_ = [("size", c_uint32), ("hooks", c_uint32), ("error", c_int32), ("reserved", c_uint32),
                ("wanted", c_uint64), ("attached", c_uint64), ("effective", c_uint64)]


class _Stats(ctypes.Structure):
    c_name = "agentsh_ebpf_stats"
    _fields_ = [("size", c_uint32), ("sessions", c_uint32), ("delivered", c_uint64), ("lost", c_uint64),
                ("lost_quota", c_uint64), ("deduplicated", c_uint64), ("attach_failures", c_uint64),
                ("malformed", c_uint64), ("untracked", c_uint64), ("packets_lost", c_uint64),
                ("answers", c_uint64), ("answers_unasked", c_uint64), ("answers_untrusted", c_uint64),
                ("answers_malformed", c_uint64), ("messages_skipped", c_uint64),
                ("names_evicted", c_uint64), ("allowed", c_uint64), ("denied", c_uint64), ("would_deny", c_uint64),
                ("packets_denied", c_uint64), ("packets_would_deny", c_uint64)]


class _Check(ctypes.Structure):
    c_name = "agentsh_ebpf_check"
    _fields_ = [("status", c_uint32), ("error", c_int32), ("required", c_uint32), ("reserved", c_uint32),
                ("value", c_uint64), ("detail", c_char * 104)]


class _Capabilities(ctypes.Structure):
    c_name = "agentsh_ebpf_capabilities"
    _fields_ = [("size", c_uint32), ("usable", c_uint32), ("simulate_missing", c_uint64), ("available", c_uint64),
                ("missing", c_uint64), ("hooks", c_uint32), ("count", c_uint32), ("kernel_version", c_uint32),
                ("max_sessions", c_uint32), ("cgroup_mode", c_uint32), ("load_only", c_uint32),
                ("kernel_release", c_char * 64), ("cgroup2_path", c_char * 256), ("cgroup_path", c_char * 1024),
                ("reason", c_char * 256), ("checks", _Check * CHECKS_MAX)]


class _Coverage(ctypes.Structure):
    c_name = "agentsh_ebpf_coverage"
    _fields_ = [("size", c_uint32), ("count", c_uint32), ("seen", c_uint64), ("implied", c_uint64),
                ("unseen", c_uint64), ("enforced", c_uint64), ("rules_flags", c_uint32), ("reserved", c_uint32)]


_Struct = TypeVar("_Struct", bound=ctypes.Structure)


def _array(kind: Any, values: Iterable[Any], most: int) -> Any:
    """An array whose further elements are 0."""
    values = list(values)
    if len(values) > most:
        raise ValueError(f"there are {len(values)} values; at most {most} are possible")
    return (kind * most)(*values)


def _sized(struct: Type[_Struct], **members: Any) -> _Struct:
    """A struct whose first member is its size, as the library expects."""
    return struct(size=ctypes.sizeof(struct), **members)


# ---- The library --------------------------------------------------------------------------------

# The result and the parameters of each function.
_FUNCTIONS: Dict[str, Tuple[Any, List[Any]]] = {
    "agentsh_ebpf_version": (c_char_p, []),
    "agentsh_ebpf_event_realtime_ns": (c_uint64, [POINTER(Event)]),
    "agentsh_ebpf_kind_name": (c_char_p, [c_uint32]),
    "agentsh_ebpf_protocol_name": (c_char_p, [c_uint16]),
    "agentsh_ebpf_verdict_name": (c_char_p, [c_uint32]),
    "agentsh_ebpf_step_name": (c_char_p, [c_uint32]),
    "agentsh_ebpf_tracer_open": (c_int, [POINTER(_TracerOptions), POINTER(c_void_p), POINTER(_Error)]),
    "agentsh_ebpf_tracer_close": (None, [c_void_p]),
    "agentsh_ebpf_tracer_hooks": (c_uint32, [c_void_p]),
    "agentsh_ebpf_hooks_built": (c_uint32, []),
    "agentsh_ebpf_hook_name": (c_char_p, [c_uint32]),
    "agentsh_ebpf_session_attach": (c_int, [c_void_p, c_int, POINTER(_SessionOptions), POINTER(c_void_p),
                                            POINTER(_Error)]),
    "agentsh_ebpf_session_detach": (c_int, [c_void_p]),
    "agentsh_ebpf_session_check": (c_int, [c_void_p, POINTER(_SessionCheck)]),
    "agentsh_ebpf_rules_create": (c_int, [c_void_p, POINTER(_Rule), c_size_t, POINTER(_RulesOptions),
                                          POINTER(c_void_p), POINTER(_Error)]),
    "agentsh_ebpf_rules_free": (c_int, [c_void_p]),
    "agentsh_ebpf_session_set_rules": (c_int, [c_void_p, c_void_p, POINTER(_Error)]),
    "agentsh_ebpf_rules_address": (c_int, [c_void_p, c_uint32, c_uint16, c_void_p, c_uint64]),
    "agentsh_ebpf_rules_judge": (c_int, [c_void_p, POINTER(_Address), c_uint16, POINTER(c_uint32)]),
    "agentsh_ebpf_rules_loopback": (c_int, [POINTER(_Rule), c_uint32]),
    "agentsh_ebpf_rules_resolver": (c_int, [POINTER(_Rule), POINTER(_Address), c_uint32]),
    "agentsh_ebpf_poll": (c_int, [c_void_p, c_int]),
    "agentsh_ebpf_read": (c_int, [c_void_p, POINTER(Event), c_size_t, c_int]),
    "agentsh_ebpf_fd": (c_int, [c_void_p]),
    "agentsh_ebpf_wake": (c_int, [c_void_p]),
    "agentsh_ebpf_event_name": (c_int, [c_void_p, POINTER(Event), POINTER(_Name)]),
    "agentsh_ebpf_event_dns": (c_int, [c_void_p, POINTER(Event), POINTER(_Dns)]),
    "agentsh_ebpf_event_addresses": (c_int, [c_void_p, POINTER(Event), POINTER(_Address), c_size_t]),
    "agentsh_ebpf_session_name_lookup": (c_int, [c_void_p, c_uint16, c_void_p, c_uint32, POINTER(_Name)]),
    "agentsh_ebpf_session_name_seed": (c_int, [c_void_p, c_uint16, c_void_p, c_char_p, c_uint32]),
    "agentsh_ebpf_name_source_name": (c_char_p, [c_uint32]),
    "agentsh_ebpf_tracer_stats": (c_int, [c_void_p, POINTER(_Stats)]),
    "agentsh_ebpf_session_stats": (c_int, [c_void_p, POINTER(_Stats)]),
    "agentsh_ebpf_capability_probe": (c_int, [POINTER(_Capabilities)]),
    "agentsh_ebpf_check_name": (c_char_p, [c_uint32]),
    "agentsh_ebpf_check_hint": (c_char_p, [c_uint32]),
    "agentsh_ebpf_status_name": (c_char_p, [c_uint32]),
    "agentsh_ebpf_checks_parse": (c_int, [c_char_p, POINTER(c_uint64), POINTER(_Error)]),
    "agentsh_ebpf_cgroup_path": (c_int, [c_char_p, c_size_t]),
    "agentsh_ebpf_mode_from_env": (c_int, [POINTER(c_uint32), POINTER(c_uint64), POINTER(_Error)]),
    "agentsh_ebpf_coverage": (c_int, [c_void_p, POINTER(_Coverage)]),
    "agentsh_ebpf_coverage_name": (c_char_p, [c_uint32]),
    "agentsh_ebpf_coverage_note": (c_char_p, [c_uint32]),
    "agentsh_ebpf_inject": (c_int, [c_void_p, POINTER(Event)]),
    "agentsh_ebpf_inject_name": (c_int, [c_void_p, c_uint16, c_void_p, POINTER(_Name)]),
}

_loaded: Optional[ctypes.CDLL] = None
_load_lock = threading.Lock()


def load(path: Optional[str] = None) -> None:
    """Loads the library, by default libagentsh-ebpf.so.1 as the dynamic linker finds it.

    The module loads the library when it is first needed; only another path requires this call,
    before any other. Raises OSError if the library cannot be loaded.
    """
    global _loaded
    with _load_lock:
        if _loaded is not None:
            raise RuntimeError("the library is loaded already")
        library = ctypes.CDLL(path or "libagentsh-ebpf.so.1")
        for name, (result, parameters) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = parameters
        _loaded = library


def _library() -> ctypes.CDLL:
    if _loaded is None:
        with contextlib.suppress(RuntimeError):  # another thread has loaded it meanwhile
            load()
    assert _loaded is not None
    return _loaded


class AgentshEbpfError(OSError):
    """A call failed. errno is positive, step is the step that failed, and message is one line with
    the remedy."""

    def __init__(self, code: int, message: str = "", step: int = Step.NONE) -> None:
        self.message = message or os.strerror(code)
        self.step: Union[Step, int] = _known(Step, step)
        super().__init__(code, self.message)

    def __reduce__(self) -> Any:
        return AgentshEbpfError, (self.errno, self.message, int(self.step))


def _check(result: int, err: Optional[_Error] = None) -> int:
    if result >= 0:
        return result
    if err is not None and err.code == result:
        raise AgentshEbpfError(-result, _text(err.message), err.step)
    raise AgentshEbpfError(-result)


# ---- Results ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Stats:
    """struct agentsh_ebpf_stats: the counters of a tracer or a session."""

    sessions: int
    delivered: int
    lost: int
    lost_quota: int
    deduplicated: int
    attach_failures: int
    malformed: int
    untracked: int
    packets_lost: int
    answers: int
    answers_unasked: int
    answers_untrusted: int
    answers_malformed: int
    messages_skipped: int
    names_evicted: int
    allowed: int
    denied: int
    would_deny: int
    packets_denied: int
    packets_would_deny: int


def _stats(function: Any, handle: c_void_p) -> Stats:
    raw = _sized(_Stats)
    _check(function(handle, raw))
    return Stats(*(getattr(raw, field.name) for field in dataclasses.fields(Stats)))


class Resolver(NamedTuple):
    """The address of a name server; port 0 means any port."""

    address: Address
    port: int = 0


class DnsAddress(NamedTuple):
    """An address in a DNS answer, and its time to live in seconds."""

    address: Address
    ttl_s: int


@dataclasses.dataclass(frozen=True)
class Dns:
    """struct agentsh_ebpf_dns: what a DNS_QUERY or DNS_ANSWER event is about, RFC 1035.

    question_type is 1 for A and 28 for AAAA; rcode is 0 for NOERROR, 2 for SERVFAIL and 3 for NXDOMAIN.
    """

    question_type: int
    rcode: int
    flags: DnsFlag
    addresses: Tuple[DnsAddress, ...]


@dataclasses.dataclass(frozen=True)
class Name:
    """struct agentsh_ebpf_name: the name of a destination, and where it is from.

    The watched process can choose all of it: never take a name for a permission. resolver tells who
    answered. ttl_ns is None if the time to live has no end. A path of an AF_UNIX socket may contain
    control characters, and bytes that are not UTF-8 appear as \\xNN.
    """

    asked: str = ""
    owner: str = ""
    source: Union[NameSource, int] = NameSource.NONE
    server_name: str = ""
    server_name_source: Union[NameSource, int] = NameSource.NONE
    alpn: str = ""
    flags: NameFlag = NameFlag(0)
    others: int = 0
    asker_tgid: int = 0
    age_ns: int = 0
    ttl_ns: Optional[int] = None
    resolver: Optional[Resolver] = None

    @property
    def host(self) -> str:
        """What the process asked for, or else the server that it named; "" for a path of an AF_UNIX socket."""
        if self.source == NameSource.UNIX:
            return ""
        return self.asked or self.server_name

    @property
    def source_name(self) -> str:
        """"dns", "dns_tcp", "seed", ..."""
        return _text(_library().agentsh_ebpf_name_source_name(self.source))

    @property
    def server_name_source_name(self) -> str:
        """"tls" or "http"; "none" if server_name is empty."""
        return _text(_library().agentsh_ebpf_name_source_name(self.server_name_source))

    @staticmethod
    def _from(raw: _Name) -> Name:
        return Name(
            asked=_text(raw.asked), owner=_text(raw.owner), source=_known(NameSource, raw.source),
            server_name=_text(raw.server_name), server_name_source=_known(NameSource, raw.server_name_source),
            alpn=_text(raw.alpn), flags=NameFlag(raw.flags), others=raw.others, asker_tgid=raw.asker_tgid,
            age_ns=raw.age_ns, ttl_ns=None if raw.ttl_ns == _NO_END else raw.ttl_ns,
            resolver=Resolver(raw.resolver.ip, raw.resolver.port) if raw.resolver.family else None)

    def _raw(self) -> _Name:
        raw = _sized(
            _Name, source=self.source, server_name_source=self.server_name_source, flags=self.flags,
            others=self.others, asker_tgid=self.asker_tgid, age_ns=self.age_ns,
            ttl_ns=_NO_END if self.ttl_ns is None else self.ttl_ns)
        for member in ("asked", "owner", "server_name", "alpn"):
            text = getattr(self, member).encode()
            if len(text) >= getattr(_Name, member).size:
                raise ValueError(f"{member} is too long")
            setattr(raw, member, text)
        if self.resolver is not None:
            raw.resolver = _Address.of(*self.resolver)
        return raw


_NO_END = 2**64 - 1


@dataclasses.dataclass(frozen=True)
class Rule:
    """struct agentsh_ebpf_rule: a rule for calls of a session.

    prefix is a network or an address, also as text; None stands for every address of both families.
    protocol is 0 (every protocol), IPPROTO_TCP, IPPROTO_UDP or RULE_OTHER_PROTOCOLS. If both ports are 0, the
    rule matches every port; if only last_port is 0, first_port alone. expires_boottime_ns counts as
    boottime_ns() does; 0 means never.
    """

    prefix: Union[ipaddress.IPv4Network, ipaddress.IPv6Network, Address, str, None]
    action: RuleAction
    rule_id: int = 0
    protocol: int = 0
    first_port: int = 0
    last_port: int = 0
    flags: RuleFlag = RuleFlag(0)
    expires_boottime_ns: int = 0

    def _raw(self) -> _Rule:
        raw = _Rule()
        for member in ("action", "rule_id", "protocol", "first_port", "last_port", "flags", "expires_boottime_ns"):
            value = int(getattr(self, member))
            setattr(raw, member, value)
            if getattr(raw, member) != value:  # ctypes cuts a number, which would be another rule
                raise ValueError(f"{member} is out of range: {value}")
        if self.prefix is not None:
            network = ipaddress.ip_network(self.prefix, strict=False)
            raw.family, raw.prefix_len = _family(network.network_address), network.prefixlen
            raw.addr = _packed(network.network_address)
        return raw

    @staticmethod
    def _from(raw: _Rule) -> Rule:
        packed = bytes(raw.addr)
        network = ipaddress.ip_network((packed[:4] if raw.family == socket.AF_INET else packed, raw.prefix_len))
        return Rule(network, RuleAction(raw.action), raw.rule_id, raw.protocol, raw.first_port, raw.last_port,
                    RuleFlag(raw.flags), raw.expires_boottime_ns)


class Judgement(NamedTuple):
    """What a set of rules says of a remote end; rule_id is 0 if no rule matches."""

    verdict: Verdict
    rule_id: int


@dataclasses.dataclass(frozen=True)
class SessionCheck:
    """struct agentsh_ebpf_session_check: what a session still sees."""

    hooks: Hook
    error: int
    wanted: FrozenSet[Check]
    attached: FrozenSet[Check]
    effective: FrozenSet[Check]


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """struct agentsh_ebpf_check: the result of one check of probe()."""

    check: Union[Check, int]
    name: str
    status: Union[Status, int]
    error: int
    required: bool
    value: int
    detail: str
    hint: str


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """struct agentsh_ebpf_capabilities: what this machine can trace.

    reason is empty if usable is true.
    """

    usable: bool
    reason: str
    available: FrozenSet[Check]
    missing: FrozenSet[Check]
    hooks: Hook
    kernel_version: Tuple[int, int, int]
    kernel_release: str
    max_sessions: int
    cgroup_mode: Union[CgroupMode, int]
    cgroup2_path: str
    cgroup_path: str
    load_only: bool
    checks: List[CheckResult]


@dataclasses.dataclass(frozen=True)
class Coverage:
    """struct agentsh_ebpf_coverage: each path to the network is in one of the sets seen, implied and unseen.

    enforced are the paths that rules can close, whether they are seen or not.
    """

    seen: FrozenSet[Path]
    implied: FrozenSet[Path]
    unseen: FrozenSet[Path]
    enforced: FrozenSet[Path]


class EnvironmentMode(NamedTuple):
    mode: Mode
    simulate_missing: int


# ---- Functions ----------------------------------------------------------------------------------


def version() -> str:
    """The version of the loaded library."""
    return _text(_library().agentsh_ebpf_version())


def boottime_ns() -> int:
    """The time now, as Event.timestamp_ns and expires_boottime_ns count it."""
    return int(time.time_ns() - _signed(_library().agentsh_ebpf_event_realtime_ns(Event())))


def _signed(value: int) -> int:
    """Without a clock chip, the Unix time of boot may be just below 0."""
    return value - 2**64 if value >= 2**63 else value


def rules_loopback(rule_id: int = 0) -> List[Rule]:
    """Two rules that allow every protocol to 127.0.0.0/8 and ::1; agentsh_ebpf_rules_loopback(3).

    Nothing is allowed until the rules are in a set, in front of the rules that they shall precede.
    """
    raw = (_Rule * 2)()
    count = _check(_library().agentsh_ebpf_rules_loopback(raw, _rule_id(rule_id)))
    return [Rule._from(rule) for rule in raw[:count]]


def rules_resolver(address: Union[Address, str], port: int = 0, rule_id: int = 0) -> List[Rule]:
    """Two rules that allow UDP and TCP to a name server, whose port 0 stands for 53; agentsh_ebpf_rules_resolver(3)."""
    if not 0 <= port < 2**16:
        raise ValueError(f"port is out of range: {port}")
    raw = (_Rule * 2)()
    count = _check(_library().agentsh_ebpf_rules_resolver(raw, _Address.of(address, port), _rule_id(rule_id)))
    return [Rule._from(rule) for rule in raw[:count]]


def _rule_id(value: int) -> int:
    if not 0 <= value < 2**32:
        raise ValueError(f"rule_id is out of range: {value}")
    return value


def hooks_built() -> Hook:
    """The hooks that the library was built with."""
    return Hook(_library().agentsh_ebpf_hooks_built())


def probe(simulate_missing: Union[int, Iterable[Check]] = 0) -> Capabilities:
    """Finds out what this machine can trace; agentsh_ebpf_capability_probe(3). Needs no privilege."""
    library = _library()
    raw = _sized(_Capabilities, simulate_missing=_mask(simulate_missing))
    _check(library.agentsh_ebpf_capability_probe(raw))
    kernel = raw.kernel_version
    return Capabilities(
        usable=bool(raw.usable), reason=_text(raw.reason), available=_members(Check, raw.available),
        missing=_members(Check, raw.missing), hooks=Hook(raw.hooks),
        kernel_version=(kernel >> 16, kernel >> 8 & 255, kernel & 255), kernel_release=_text(raw.kernel_release),
        max_sessions=raw.max_sessions, cgroup_mode=_known(CgroupMode, raw.cgroup_mode),
        cgroup2_path=os.fsdecode(raw.cgroup2_path), cgroup_path=os.fsdecode(raw.cgroup_path),
        load_only=bool(raw.load_only), checks=[
            CheckResult(check=_known(Check, number), name=_text(library.agentsh_ebpf_check_name(number)),
                        status=_known(Status, check.status), error=check.error, required=bool(check.required),
                        value=check.value, detail=_text(check.detail),
                        hint=_text(library.agentsh_ebpf_check_hint(number)))
            for number, check in enumerate(raw.checks[:raw.count])])


def _mask(checks: Union[int, Iterable[Check]]) -> int:
    if isinstance(checks, int) and not isinstance(checks, Check):
        return checks
    mask = 0
    for check in [checks] if isinstance(checks, Check) else checks:
        mask |= check.mask
    return mask


def checks_parse(names: str) -> int:
    """The mask of the checks with these names, separated by commas, for simulate_missing."""
    mask, err = c_uint64(), _sized(_Error)
    _check(_library().agentsh_ebpf_checks_parse(names.encode(), mask, err), err)
    return mask.value


def cgroup_path() -> str:
    """The directory in which a host can create cgroups; agentsh_ebpf_cgroup_path(3)."""
    path = ctypes.create_string_buffer(4096)
    _check(_library().agentsh_ebpf_cgroup_path(path, len(path)))
    return os.fsdecode(path.value)


def mode_from_env(mode: Mode = Mode.AUTO, simulate_missing: int = 0) -> EnvironmentMode:
    """The mode that an operator has chosen in the environment; the arguments are the defaults.

    See agentsh_ebpf_mode_from_env(3). No other thread may change os.environ during the call.
    """
    number, mask, err = c_uint32(mode), c_uint64(simulate_missing), _sized(_Error)
    _check(_library().agentsh_ebpf_mode_from_env(number, mask, err), err)
    return EnvironmentMode(Mode(number.value), mask.value)


# ---- Tracer -------------------------------------------------------------------------------------

_BATCH = 256  # events per call of the library
_DNS_KINDS = (Kind.DNS_QUERY, Kind.DNS_ANSWER)
_tracers: weakref.WeakSet[Tracer] = weakref.WeakSet()


class Tracer:
    """A set of loaded eBPF programs and one ring buffer; agentsh_ebpf_tracer_open(3).

    The options are those of struct agentsh_ebpf_tracer_options; 0 selects the default of an option.
    log is called with a LogLevel and a text for each message while the tracer is being opened.
    dns_ports are ports of name servers besides 53, at most four.

    Iteration yields the events of all sessions until the tracer is closed. Events that have been read
    but not yet yielded stay in the tracer when a loop is left, for the next loop or read().
    """

    def __init__(self, *, mode: Mode = Mode.AUTO, hooks: Hook = Hook(0), required_hooks: Hook = Hook(0),
                 flags: Open = Open(0), ring_size: int = 0, ring_quota: int = 0, max_sessions: int = 0,
                 max_sockets: int = 0, udp_dedup_entries: int = 0, wakeup_delay_us: int = 0,
                 check_interval_ms: int = 0, progress_interval_ms: int = 0, dns_timeout_ms: int = 0,
                 dns_ports: Iterable[int] = (), rules_bytes: int = 0, rules_addresses: int = 0,
                 simulate_missing: Union[int, Iterable[Check]] = 0, log: Optional[LogFunction] = None) -> None:
        self._closing = True  # until it is open
        self._pointer: Optional[c_void_p] = None
        self._pending: Deque[Event] = collections.deque()
        self._buffer = (Event * _BATCH)()
        self._waiters: Set[Callable[[], None]] = set()
        self._start()
        self._library = _library()
        options = _sized(
            _TracerOptions, mode=mode, hooks=hooks, required_hooks=required_hooks, flags=flags, ring_size=ring_size,
            ring_quota=ring_quota, max_sessions=max_sessions, max_sockets=max_sockets,
            udp_dedup_entries=udp_dedup_entries, wakeup_delay_us=wakeup_delay_us,
            check_interval_ms=check_interval_ms, progress_interval_ms=progress_interval_ms,
            dns_timeout_ms=dns_timeout_ms, dns_ports=_array(c_uint16, dns_ports, 4),
            rules_bytes=rules_bytes, rules_addresses=rules_addresses,
            simulate_missing=_mask(simulate_missing))
        raised: List[BaseException] = []
        if log is not None:
            options.on_log = _log_function(log, raised)
        pointer, err = c_void_p(), _sized(_Error)
        _check(self._library.agentsh_ebpf_tracer_open(options, pointer, err), err)
        self._pointer = pointer
        self._closing = False
        _tracers.add(self)
        if raised:
            self.close()
            raise raised[0]

    # A call of the library may run only while the tracer is open, so close() waits for the calls of
    # other threads. A signal handler may call close() while its own thread is in a call; the
    # tracer is then released at the end of that call.

    def _start(self) -> None:
        """Sets what threads share. In a forked child the other threads are gone."""
        self._condition = threading.Condition(threading.RLock())
        self._reading = threading.Lock()
        # calls that are running, by thread; a signal handler may fork during a call of its thread
        me, inside = threading.get_ident(), getattr(self, "_inside", {})
        self._inside: Dict[int, int] = {me: inside[me]} if me in inside else {}
        if getattr(self, "_releasing", None) is not None:
            self._pointer = None  # released in part
        self._releasing: Optional[int] = None  # the thread that releases the tracer

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        """The pointer to the tracer, which stays valid inside the block."""
        me = threading.get_ident()
        with self._condition:
            if self._closing:
                raise ValueError("the tracer is closed")
            self._inside[me] = self._inside.get(me, 0) + 1
        try:
            yield self._pointer
        finally:
            with self._condition:
                self._inside[me] -= 1
                if not self._inside[me]:
                    del self._inside[me]
                last = self._closing and not self._inside
            if last:
                self._release()

    def _release(self) -> None:
        with self._condition:
            if self._pointer is None or self._releasing is not None:
                return
            self._releasing = threading.get_ident()
        self._library.agentsh_ebpf_tracer_close(self._pointer)
        with self._condition:
            self._pointer = None
            self._condition.notify_all()

    def close(self) -> None:
        """Detaches all sessions, discards unread events, and frees the tracer.

        A read or an iteration that is waiting ends. The method may be called more than once.
        """
        me = threading.get_ident()
        with self._condition:
            self._closing = True
            self._pending.clear()
            waiters = list(self._waiters)
            idle = not self._inside
        for waiter in waiters:
            waiter()
        if idle:
            self._release()
        with self._condition:
            while self._pointer is not None and me not in self._inside and self._releasing != me:
                if self._inside:  # a wake may end a read that is not waiting, so repeat it
                    self._library.agentsh_ebpf_wake(self._pointer)
                self._condition.wait(0.05)

    @property
    def closed(self) -> bool:
        return self._closing

    def __enter__(self) -> Tracer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_pointer", None) is not None:
            warnings.warn("a tracer was not closed", ResourceWarning, source=self)
            self.close()

    @property
    def hooks(self) -> Hook:
        """The hooks that the tracer has."""
        with self._open() as pointer:
            return Hook(self._library.agentsh_ebpf_tracer_hooks(pointer))

    def attach(self, cgroup: Union[int, str, bytes, os.PathLike[Any], Any], *, session_id: int = 0,
               flags: Attach = Attach(0), max_sockets: int = 0, names_max: int = 0, names_bytes: int = 0,
               trusted_resolvers: Iterable[Union[Address, str, Tuple[Union[Address, str], int]]] = (),
               rules: Optional[Rules] = None) -> Session:
        """Traces a cgroup v2 and its descendants; agentsh_ebpf_session_attach(3).

        cgroup is the path of its directory, a descriptor, or an object with fileno(). trusted_resolvers
        are at most four name servers: an address, or an address and a port. Only their answers then give
        names to events. rules hold from the first call on, as with Session.set_rules().
        """
        resolvers = [_Address.of(*(server if isinstance(server, tuple) else (server,))) for server in trusted_resolvers]
        options, out, err = _sized(_SessionOptions, session_id=session_id, flags=flags, max_sockets=max_sockets,
                                   names_max=names_max, names_bytes=names_bytes,
                                   trusted_resolvers=_array(_Address, resolvers, 4)), c_void_p(), _sized(_Error)
        with contextlib.ExitStack() as stack:
            if isinstance(cgroup, (str, bytes, os.PathLike)):
                fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, fd)
            else:
                fd = cgroup if isinstance(cgroup, int) else cgroup.fileno()
            pointer = stack.enter_context(self._open())
            options.rules = stack.enter_context(_rules_of(self, rules))
            _check(self._library.agentsh_ebpf_session_attach(pointer, fd, options, out, err), err)
        return Session(self, out, session_id)

    def create_rules(self, rules: Iterable[Rule] = (), *, default_action: Union[RuleAction, int] = 0,
                     flags: RulesFlag = RulesFlag(0), on_exhaustion: Union[RuleAction, int] = 0) -> Rules:
        """Compiles rules into a set; agentsh_ebpf_rules_create(3). The first rule that matches decides.

        default_action holds if no rule matches; 0 selects ALLOW. The tracer needs Hook.RULES, which belongs into
        required_hooks.

        on_exhaustion says what holds if memory for the set is short. With 0 the call raises an AgentshEbpfError.
        With DENY or ALLOW it returns a set without rules that denies or allows everything, and Rules.fallback
        is the error.
        """
        raw = [rule._raw() for rule in rules]
        options, out, err = _sized(_RulesOptions, default_action=default_action, flags=flags,
                                   on_exhaustion=on_exhaustion), c_void_p(), _sized(_Error)
        with self._open() as pointer:
            result = _check(self._library.agentsh_ebpf_rules_create(pointer, (_Rule * len(raw))(*raw), len(raw),
                                                                    options, out, err), err)
        return Rules(self, out, AgentshEbpfError(-err.code, _text(err.message), err.step) if result else None)

    # ---- Reading ----

    def _fill(self, timeout: Optional[float]) -> None:
        """Reads events into self._pending; none after a timeout, a wake or close()."""
        end = None if timeout is None else time.monotonic() + timeout
        reading = self._reading
        if not reading.acquire(blocking=False):
            raise AgentshEbpfError(errno.EBUSY, "another thread reads the tracer")
        try:
            count = -errno.EINTR
            while count == -errno.EINTR and not self._closing:
                left = -1
                if end is not None:
                    left = min(max(math.ceil((end - time.monotonic()) * 1000), 0), 2**31 - 1)
                with self._open() as pointer:
                    count = self._library.agentsh_ebpf_read(pointer, self._buffer, _BATCH, left)
                # here Python runs the handler of a signal that has interrupted the wait
            if self._closing:
                return
            with _until_closed(self), self._open() as pointer:
                # The names are gone after the next read, so they are copied here.
                for number in range(_check(count)):
                    event = Event.from_buffer_copy(self._buffer, number * ctypes.sizeof(Event))
                    if event.name_id:
                        self._copy_name(pointer, event)
                    if event._kind in _DNS_KINDS:
                        self._copy_dns(pointer, event)
                    self._pending.append(event)
        finally:
            reading.release()

    def _copy_name(self, pointer: c_void_p, event: Event) -> None:
        name = _sized(_Name)
        if not self._library.agentsh_ebpf_event_name(pointer, event, name):
            event._name = name

    def _copy_dns(self, pointer: c_void_p, event: Event) -> None:
        dns = _sized(_Dns)
        if self._library.agentsh_ebpf_event_dns(pointer, event, dns):
            return
        addresses = (_Address * dns.addresses)()
        _check(self._library.agentsh_ebpf_event_addresses(pointer, event, addresses, len(addresses)))
        event._dns, event._addresses = dns, tuple(addresses)

    def _take(self, maximum: int) -> List[Event]:
        taken: List[Event] = []
        with contextlib.suppress(IndexError):
            while len(taken) < maximum:
                taken.append(self._pending.popleft())
        return taken

    def read(self, maximum: int = _BATCH, timeout: Optional[float] = None) -> List[Event]:
        """Up to maximum events. Waits at most timeout seconds; None waits forever, 0 does not wait.

        The list is empty after the timeout, after wake(), and if close() ended the wait. Raises
        ValueError if the tracer was closed before.
        """
        if maximum < 1:
            raise ValueError("maximum must be at least 1")
        if self._closing:
            raise ValueError("the tracer is closed")
        if not self._pending:
            self._fill(timeout)
        return self._take(maximum)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while not self._closing:
            with contextlib.suppress(IndexError):
                return self._pending.popleft()
            with _until_closed(self):
                self._fill(None)
        raise StopIteration

    async def read_async(self, maximum: int = _BATCH) -> List[Event]:
        """Waits for events in asyncio; the list is empty only if the tracer is closed.

        A task that is cancelled here takes no events. Other tasks run before each read of the
        ring, even if events arrive faster than the task handles them.
        """
        if maximum < 1:
            raise ValueError("maximum must be at least 1")
        if not self._pending:
            await asyncio.sleep(0)
        while not self._pending and not self._closing:
            with _until_closed(self):
                self._fill(0)
                if not self._pending:
                    await self._readable()
        return [] if self._closing else self._take(maximum)

    async def _readable(self) -> None:
        """Waits until the descriptor is readable or the tracer is closed."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def set_ready() -> None:
            if not ready.done():
                ready.set_result(None)

        def closed() -> None:  # from any thread
            with contextlib.suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(set_ready)

        # A copy, because another thread may close the tracer while the loop watches the descriptor.
        with self._open() as pointer:
            fd = fcntl.fcntl(self._library.agentsh_ebpf_fd(pointer), fcntl.F_DUPFD_CLOEXEC, 3)
        try:
            loop.add_reader(fd, set_ready)
            try:
                with self._condition:
                    self._waiters.add(closed)
                if not self._closing:
                    await ready
            finally:
                self._waiters.discard(closed)
                loop.remove_reader(fd)
        finally:
            os.close(fd)

    def __aiter__(self) -> Tracer:
        return self

    async def __anext__(self) -> Event:
        events = await self.read_async(1)
        if not events:
            raise StopAsyncIteration
        return events[0]

    def fileno(self) -> int:
        """A descriptor for an event loop: if it is readable, call read(timeout=0).

        The tracer owns it. A loop that may outlive the tracer must watch a copy, os.dup().
        """
        with self._open() as pointer:
            return _check(self._library.agentsh_ebpf_fd(pointer))

    def wake(self) -> None:
        """Ends the read() that is waiting, or the next read() that would wait. An iteration continues."""
        with self._open() as pointer:
            _check(self._library.agentsh_ebpf_wake(pointer))

    def stats(self) -> Stats:
        """The counters since the tracer was opened. Events that were read, but not yielded, count as delivered."""
        with self._open() as pointer:
            return _stats(self._library.agentsh_ebpf_tracer_stats, pointer)

    def coverage(self, rules_flags: RulesFlag = RulesFlag(0)) -> Coverage:
        """Which paths to the network this tracer sees on this kernel, and which ones a set of rules with these
        flags can close; agentsh_ebpf_coverage(3)."""
        raw = _sized(_Coverage, rules_flags=rules_flags)
        with self._open() as pointer:
            _check(self._library.agentsh_ebpf_coverage(pointer, raw))
        return Coverage(_members(Path, raw.seen), _members(Path, raw.implied), _members(Path, raw.unseen),
                        _members(Path, raw.enforced))


def _log_function(log: LogFunction, raised: List[BaseException]) -> Any:
    def on_log(_ctx: object, level: int, text: bytes) -> None:
        try:
            if not raised:
                log(LogLevel(level), _text(text))
        except BaseException as exception:  # raised again after the call of the library
            raised.append(exception)

    return _LOG_FN(on_log)


@contextlib.contextmanager
def _until_closed(tracer: Tracer) -> Iterator[None]:
    """Hides the error that another thread has closed the tracer, because this only ends an iteration."""
    try:
        yield
    except ValueError:
        if not tracer.closed:
            raise


def _forked() -> None:
    for tracer in list(_tracers):
        tracer._start()


os.register_at_fork(after_in_child=_forked)

# ---- Rules --------------------------------------------------------------------------------------


class Rules:
    """A compiled set of rules, which any number of the tracer's sessions can use. It stays valid until
    close() is called, or its tracer is closed. Deleting the object does not free the set.

    fallback is None, or the error because of which the set has no rules (on_exhaustion)."""

    def __init__(self, tracer: Tracer, pointer: c_void_p, fallback: Optional[AgentshEbpfError] = None) -> None:
        self.tracer = tracer
        self.fallback = fallback
        self._pointer: Optional[c_void_p] = pointer
        self._calls = 0  # calls that use the set now

    @contextlib.contextmanager
    def _open(self) -> Iterator[c_void_p]:
        """The pointer to the set, which stays valid inside the block."""
        with self.tracer._open():
            with self.tracer._condition:
                pointer = self._pointer
                if pointer is None:
                    raise ValueError("the rules are closed")
                self._calls += 1
            try:
                yield pointer
            finally:
                with self.tracer._condition:
                    self._calls -= 1

    def close(self) -> None:
        """Frees the set; agentsh_ebpf_rules_free(3). A second call does nothing.

        Raises an AgentshEbpfError with EBUSY if a session, or a call of another thread, uses the set.
        """
        with contextlib.suppress(ValueError), self.tracer._open():  # a closed tracer has no rules
            with self.tracer._condition:
                if self._pointer is None:
                    return
                if self._calls:
                    raise AgentshEbpfError(errno.EBUSY, "another call uses the rules")
                _check(self.tracer._library.agentsh_ebpf_rules_free(self._pointer))
                self._pointer = None

    def list_address(self, rule_id: int, address: Union[Address, str],
                     expires_boottime_ns: Optional[int] = None) -> None:
        """Lists an address for the LISTED rules with this rule_id; agentsh_ebpf_rules_address(3).

        expires_boottime_ns counts as boottime_ns() does; None means that the address stays listed until
        unlist_address(). An address that is listed gets the new time.
        """
        expires = _NO_END if expires_boottime_ns is None else expires_boottime_ns
        if not 0 < expires <= _NO_END:
            raise ValueError(f"expires_boottime_ns is out of range: {expires}")
        self._address(rule_id, address, expires)

    def unlist_address(self, rule_id: int, address: Union[Address, str]) -> None:
        """Ends what list_address() did. An AgentshEbpfError with ENOENT means that the address is not listed."""
        self._address(rule_id, address, 0)

    def _address(self, rule_id: int, address: Union[Address, str], expires: int) -> None:
        ip, rule_id = ipaddress.ip_address(address), _rule_id(rule_id)
        with self._open() as pointer:
            _check(self.tracer._library.agentsh_ebpf_rules_address(pointer, rule_id, _family(ip), ip.packed, expires))

    def judge(self, address: Union[Address, str], port: int, protocol: int) -> Judgement:
        """What the set says of a remote end now; agentsh_ebpf_rules_judge(3)."""
        if not 0 <= port < 2**16 or not 0 <= protocol < 2**16:
            raise ValueError("port or protocol is out of range")
        rule_id = c_uint32()
        with self._open() as pointer:
            verdict = _check(self.tracer._library.agentsh_ebpf_rules_judge(pointer, _Address.of(address, port), protocol,
                                                                           rule_id))
        return Judgement(Verdict(verdict), rule_id.value)


@contextlib.contextmanager
def _rules_of(tracer: Tracer, rules: Optional[Rules]) -> Iterator[Optional[c_void_p]]:
    """The pointer to a set for a session of the tracer; None for no rules."""
    if rules is None:
        yield None
        return
    if rules.tracer is not tracer:  # the library would look at the set, which may be freed
        raise AgentshEbpfError(errno.EINVAL, "the rules are of another tracer; create them with this one", Step.OPTIONS)
    with rules._open() as pointer:
        yield pointer


# ---- Session ------------------------------------------------------------------------------------


class Session:
    """One attached cgroup. It stays attached until detach() is called, a with block ends, or its
    tracer is closed. Deleting the object does not detach the session."""

    def __init__(self, tracer: Tracer, pointer: c_void_p, session_id: int) -> None:
        self.tracer = tracer
        self.session_id = session_id
        self._pointer = pointer
        self._detached = False

    def detach(self) -> None:
        """Stops tracing; agentsh_ebpf_session_detach(3). A second call does nothing."""
        with contextlib.suppress(ValueError), self.tracer._open():  # a closed tracer has no sessions
            with self.tracer._condition:
                first, self._detached = not self._detached, True
            if first:
                _check(self.tracer._library.agentsh_ebpf_session_detach(self._pointer))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def set_rules(self, rules: Optional[Rules]) -> None:
        """Replaces the rules of the session; with None it has none. agentsh_ebpf_session_set_rules(3)"""
        err = _sized(_Error)
        with self.tracer._open(), _rules_of(self.tracer, rules) as pointer:
            _check(self.tracer._library.agentsh_ebpf_session_set_rules(self._pointer, pointer, err), err)

    def check(self) -> SessionCheck:
        """Asks the kernel what the session still sees; agentsh_ebpf_session_check(3)."""
        raw = _sized(_SessionCheck)
        with self.tracer._open():
            _check(self.tracer._library.agentsh_ebpf_session_check(self._pointer, raw))
        return SessionCheck(Hook(raw.hooks), raw.error, _members(Check, raw.wanted), _members(Check, raw.attached),
                            _members(Check, raw.effective))

    def stats(self) -> Stats:
        """The counters since attach."""
        with self.tracer._open():
            return _stats(self.tracer._library.agentsh_ebpf_session_stats, self._pointer)

    def inject(self, event: Event) -> None:
        """Puts a copy of the event into a tracer of Mode.SYNTHETIC; agentsh_ebpf_inject(3)."""
        with self.tracer._open():
            _check(self.tracer._library.agentsh_ebpf_inject(self._pointer, event))

    def inject_name(self, address: Union[Address, str], name: Name) -> None:
        """Gives an address a name in a tracer of Mode.SYNTHETIC, as if a packet had done so; for the
        events that are injected afterwards. agentsh_ebpf_inject_name(3) says which members are used."""
        ip = ipaddress.ip_address(address)
        with self.tracer._open():
            _check(self.tracer._library.agentsh_ebpf_inject_name(self._pointer, _family(ip), ip.packed, name._raw()))

    def name_seed(self, address: Union[Address, str], name: Optional[str], ttl_s: int = 0) -> None:
        """Gives an address a name that the host knows, for ttl_s seconds, or without end if ttl_s is 0.
        The name None removes the earlier seed. agentsh_ebpf_session_name_seed(3)"""
        ip = ipaddress.ip_address(address)
        text = None if name is None else name.encode()
        if text is not None and b"\0" in text:
            raise ValueError("the name contains a NUL byte")
        with self.tracer._open():
            _check(self.tracer._library.agentsh_ebpf_session_name_seed(self._pointer, _family(ip), ip.packed, text,
                                                                       ttl_s))

    def name_lookup(self, address: Union[Address, str]) -> List[Name]:
        """The names that an address has in this session now. The first is the name that an event of no
        process in particular would get. agentsh_ebpf_session_name_lookup(3)"""
        ip = ipaddress.ip_address(address)
        names: List[Name] = []
        with self.tracer._open():
            while True:
                raw = _sized(_Name)
                count = self.tracer._library.agentsh_ebpf_session_name_lookup(self._pointer, _family(ip), ip.packed,
                                                                              len(names), raw)
                if count == -errno.ENOENT:
                    return names
                _check(count)
                names.append(Name._from(raw))
