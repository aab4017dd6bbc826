// SPDX-License-Identifier: Apache-2.0
//! Numbers and sets of bits, with the names of the header. A newer library may have values that
//! this crate does not know, so none of these types is an enum.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

use agentsh_ebpf_sys as sys;

use crate::error::static_text;

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident { $($member:ident = $value:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            $(pub const $member: $name = $name(sys::$value as u32);)*

            pub const fn from_raw(value: u32) -> $name {
                $name(value)
            }

            pub const fn raw(self) -> u32 {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $($name::$member => f.write_str(stringify!($member)),)*
                    $name(other) => write!(f, "{other}"),
                }
            }
        }
    };
}

macro_rules! bit_type {
    ($(#[$doc:meta])* $name:ident { $($member:ident = $value:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(u32);

        impl $name {
            $(pub const $member: $name = $name(sys::$value);)*

            pub const fn empty() -> $name {
                $name(0)
            }

            pub const fn from_bits(bits: u32) -> $name {
                $name(bits)
            }

            pub const fn bits(self) -> u32 {
                self.0
            }

            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether all bits of `other` are set.
            pub const fn contains(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl BitOr for $name {
            type Output = $name;
            fn bitor(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }
        }

        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: $name) {
                self.0 |= other.0;
            }
        }

        impl BitAnd for $name {
            type Output = $name;
            fn bitand(self, other: $name) -> $name {
                $name(self.0 & other.0)
            }
        }

        impl Not for $name {
            type Output = $name;
            fn not(self) -> $name {
                $name(!self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut rest = self.0;
                let mut separator = "";
                $(if self.contains($name::$member) {
                    write!(f, "{separator}{}", stringify!($member))?;
                    separator = "|";
                    rest &= !$name::$member.0;
                })*
                if rest != 0 || self.0 == 0 {
                    write!(f, "{separator}{rest:#x}")?;
                }
                Ok(())
            }
        }
    };
}

number_type! {
    /// What happened. Ignore kinds that you do not know.
    Kind {
        CONNECT = AGENTSH_EBPF_EVENT_CONNECT,
        UDP_SEND = AGENTSH_EBPF_EVENT_UDP_SEND,
        CONNECTED = AGENTSH_EBPF_EVENT_CONNECTED,
        CONNECT_FAILED = AGENTSH_EBPF_EVENT_CONNECT_FAILED,
        CLOSED = AGENTSH_EBPF_EVENT_CLOSED,
        ACCEPTED = AGENTSH_EBPF_EVENT_ACCEPTED,
        SESSION_BLIND = AGENTSH_EBPF_EVENT_SESSION_BLIND,
        FIRST_DATA = AGENTSH_EBPF_EVENT_FIRST_DATA,
        PROGRESS = AGENTSH_EBPF_EVENT_PROGRESS,
        UNANNOUNCED = AGENTSH_EBPF_EVENT_UNANNOUNCED,
        DNS_QUERY = AGENTSH_EBPF_EVENT_DNS_QUERY,
        DNS_ANSWER = AGENTSH_EBPF_EVENT_DNS_ANSWER,
        SERVER_NAME = AGENTSH_EBPF_EVENT_SERVER_NAME,
        UNIX_CONNECT = AGENTSH_EBPF_EVENT_UNIX_CONNECT,
        SOCKET_DENIED = AGENTSH_EBPF_EVENT_SOCKET_DENIED,
        PACKET_DENIED = AGENTSH_EBPF_EVENT_PACKET_DENIED,
    }
}

number_type! {
    /// The step that failed.
    Step {
        NONE = AGENTSH_EBPF_STEP_NONE,
        OPTIONS = AGENTSH_EBPF_STEP_OPTIONS,
        MEMORY = AGENTSH_EBPF_STEP_MEMORY,
        OBJECT_OPEN = AGENTSH_EBPF_STEP_OBJECT_OPEN,
        OBJECT_LOAD = AGENTSH_EBPF_STEP_OBJECT_LOAD,
        RING_MAP = AGENTSH_EBPF_STEP_RING_MAP,
        COUNTERS_MAP = AGENTSH_EBPF_STEP_COUNTERS_MAP,
        EVENT_FD = AGENTSH_EBPF_STEP_EVENT_FD,
        CGROUP = AGENTSH_EBPF_STEP_CGROUP,
        SESSION_SLOT = AGENTSH_EBPF_STEP_SESSION_SLOT,
        LINK = AGENTSH_EBPF_STEP_LINK,
        STORAGE = AGENTSH_EBPF_STEP_STORAGE,
        RULES = AGENTSH_EBPF_STEP_RULES,
    }
}

number_type! {
    /// How a tracer is opened.
    Mode {
        AUTO = AGENTSH_EBPF_MODE_AUTO,
        DISABLED = AGENTSH_EBPF_MODE_DISABLED,
        REQUIRED = AGENTSH_EBPF_MODE_REQUIRED,
        SYNTHETIC = AGENTSH_EBPF_MODE_SYNTHETIC,
    }
}

number_type! {
    /// A check of [`probe`](crate::probe()).
    Check {
        KERNEL = AGENTSH_EBPF_CHECK_KERNEL,
        BPF = AGENTSH_EBPF_CHECK_BPF,
        USERNS = AGENTSH_EBPF_CHECK_USERNS,
        CAP_BPF = AGENTSH_EBPF_CHECK_CAP_BPF,
        CAP_NET_ADMIN = AGENTSH_EBPF_CHECK_CAP_NET_ADMIN,
        CAP_PERFMON = AGENTSH_EBPF_CHECK_CAP_PERFMON,
        LOCKDOWN = AGENTSH_EBPF_CHECK_LOCKDOWN,
        BTF = AGENTSH_EBPF_CHECK_BTF,
        CGROUP2 = AGENTSH_EBPF_CHECK_CGROUP2,
        RINGBUF = AGENTSH_EBPF_CHECK_RINGBUF,
        ARRAY_MMAP = AGENTSH_EBPF_CHECK_ARRAY_MMAP,
        CGROUP_STORAGE = AGENTSH_EBPF_CHECK_CGROUP_STORAGE,
        CGROUP_LINK = AGENTSH_EBPF_CHECK_CGROUP_LINK,
        MEMLOCK = AGENTSH_EBPF_CHECK_MEMLOCK,
        NOFILE = AGENTSH_EBPF_CHECK_NOFILE,
        JIT = AGENTSH_EBPF_CHECK_JIT,
        CONNECT4 = AGENTSH_EBPF_CHECK_CONNECT4,
        CONNECT6 = AGENTSH_EBPF_CHECK_CONNECT6,
        SENDMSG4 = AGENTSH_EBPF_CHECK_SENDMSG4,
        SENDMSG6 = AGENTSH_EBPF_CHECK_SENDMSG6,
        SOCK_OPS = AGENTSH_EBPF_CHECK_SOCK_OPS,
        SOCK_RELEASE = AGENTSH_EBPF_CHECK_SOCK_RELEASE,
        BIND4 = AGENTSH_EBPF_CHECK_BIND4,
        BIND6 = AGENTSH_EBPF_CHECK_BIND6,
        INET_INGRESS = AGENTSH_EBPF_CHECK_INET_INGRESS,
        INET_EGRESS = AGENTSH_EBPF_CHECK_INET_EGRESS,
        CONNECT_UNIX = AGENTSH_EBPF_CHECK_CONNECT_UNIX,
        SENDMSG_UNIX = AGENTSH_EBPF_CHECK_SENDMSG_UNIX,
        SOCK_CREATE = AGENTSH_EBPF_CHECK_SOCK_CREATE,
        SET_RETVAL = AGENTSH_EBPF_CHECK_SET_RETVAL,
    }
}

number_type! {
    /// The result of a check.
    Status {
        UNKNOWN = AGENTSH_EBPF_STATUS_UNKNOWN,
        AVAILABLE = AGENTSH_EBPF_STATUS_AVAILABLE,
        MISSING = AGENTSH_EBPF_STATUS_MISSING,
        FORBIDDEN = AGENTSH_EBPF_STATUS_FORBIDDEN,
        SIMULATED = AGENTSH_EBPF_STATUS_SIMULATED,
    }
}

number_type! {
    /// Which cgroups are mounted.
    CgroupMode {
        NONE = AGENTSH_EBPF_CGROUP_NONE,
        PURE = AGENTSH_EBPF_CGROUP_PURE,
        HYBRID = AGENTSH_EBPF_CGROUP_HYBRID,
    }
}

number_type! {
    /// A path to the network.
    Path {
        TCP_CONNECT = AGENTSH_EBPF_COVERAGE_TCP_CONNECT,
        TCP_FASTOPEN = AGENTSH_EBPF_COVERAGE_TCP_FASTOPEN,
        MPTCP_CONNECT = AGENTSH_EBPF_COVERAGE_MPTCP_CONNECT,
        UDP_CONNECT = AGENTSH_EBPF_COVERAGE_UDP_CONNECT,
        UDP_SEND = AGENTSH_EBPF_COVERAGE_UDP_SEND,
        UDP_SEND_CONNECTED = AGENTSH_EBPF_COVERAGE_UDP_SEND_CONNECTED,
        UDPLITE_CONNECT = AGENTSH_EBPF_COVERAGE_UDPLITE_CONNECT,
        UDPLITE_SEND = AGENTSH_EBPF_COVERAGE_UDPLITE_SEND,
        PING_CONNECT = AGENTSH_EBPF_COVERAGE_PING_CONNECT,
        PING_SEND = AGENTSH_EBPF_COVERAGE_PING_SEND,
        SCTP = AGENTSH_EBPF_COVERAGE_SCTP,
        RAW = AGENTSH_EBPF_COVERAGE_RAW,
        PACKET = AGENTSH_EBPF_COVERAGE_PACKET,
        IO_URING_CONNECT = AGENTSH_EBPF_COVERAGE_IO_URING_CONNECT,
        IO_URING_SEND = AGENTSH_EBPF_COVERAGE_IO_URING_SEND,
        UNIX = AGENTSH_EBPF_COVERAGE_UNIX,
        VSOCK = AGENTSH_EBPF_COVERAGE_VSOCK,
        EARLIER_SOCKET = AGENTSH_EBPF_COVERAGE_EARLIER_SOCKET,
        PASSED_SOCKET = AGENTSH_EBPF_COVERAGE_PASSED_SOCKET,
        LEFT_SOCKET = AGENTSH_EBPF_COVERAGE_LEFT_SOCKET,
        TCP_OUTCOME = AGENTSH_EBPF_COVERAGE_TCP_OUTCOME,
        DATAGRAM_CLOSE = AGENTSH_EBPF_COVERAGE_DATAGRAM_CLOSE,
        TCP_ACCEPT = AGENTSH_EBPF_COVERAGE_TCP_ACCEPT,
        DCCP = AGENTSH_EBPF_COVERAGE_DCCP,
        L2TP_IP = AGENTSH_EBPF_COVERAGE_L2TP_IP,
        SMC_CONNECT = AGENTSH_EBPF_COVERAGE_SMC_CONNECT,
        RDS = AGENTSH_EBPF_COVERAGE_RDS,
        XDP = AGENTSH_EBPF_COVERAGE_XDP,
        RXRPC = AGENTSH_EBPF_COVERAGE_RXRPC,
        OTHER_FAMILY = AGENTSH_EBPF_COVERAGE_OTHER_FAMILY,
        EARLIER_CONNECTION = AGENTSH_EBPF_COVERAGE_EARLIER_CONNECTION,
        DNS_UDP = AGENTSH_EBPF_COVERAGE_DNS_UDP,
        DNS_TCP = AGENTSH_EBPF_COVERAGE_DNS_TCP,
        DNS_TLS = AGENTSH_EBPF_COVERAGE_DNS_TLS,
        DNS_HTTPS = AGENTSH_EBPF_COVERAGE_DNS_HTTPS,
        LOCAL_RESOLVER = AGENTSH_EBPF_COVERAGE_LOCAL_RESOLVER,
        HOSTS_FILE = AGENTSH_EBPF_COVERAGE_HOSTS_FILE,
        EARLIER_ANSWER = AGENTSH_EBPF_COVERAGE_EARLIER_ANSWER,
        TLS_SERVER_NAME = AGENTSH_EBPF_COVERAGE_TLS_SERVER_NAME,
        TLS_ENCRYPTED_NAME = AGENTSH_EBPF_COVERAGE_TLS_ENCRYPTED_NAME,
        HTTP_HOST = AGENTSH_EBPF_COVERAGE_HTTP_HOST,
        QUIC_SERVER_NAME = AGENTSH_EBPF_COVERAGE_QUIC_SERVER_NAME,
    }
}

number_type! {
    /// Where a name is from.
    NameSource {
        NONE = AGENTSH_EBPF_NAME_NONE,
        DNS = AGENTSH_EBPF_NAME_DNS,
        DNS_TCP = AGENTSH_EBPF_NAME_DNS_TCP,
        TLS = AGENTSH_EBPF_NAME_TLS,
        HTTP = AGENTSH_EBPF_NAME_HTTP,
        SEED = AGENTSH_EBPF_NAME_SEED,
        UNIX = AGENTSH_EBPF_NAME_UNIX,
    }
}

number_type! {
    /// The level of a log message.
    LogLevel {
        WARN = AGENTSH_EBPF_LOG_WARN,
        INFO = AGENTSH_EBPF_LOG_INFO,
        DEBUG = AGENTSH_EBPF_LOG_DEBUG,
    }
}

number_type! {
    /// What the rules of the session say of a call.
    Verdict {
        NONE = AGENTSH_EBPF_VERDICT_NONE,
        ALLOWED = AGENTSH_EBPF_VERDICT_ALLOWED,
        DENIED = AGENTSH_EBPF_VERDICT_DENIED,
        WOULD_DENY = AGENTSH_EBPF_VERDICT_WOULD_DENY,
    }
}

number_type! {
    /// What a rule does.
    RuleAction {
        ALLOW = AGENTSH_EBPF_RULE_ALLOW,
        DENY = AGENTSH_EBPF_RULE_DENY,
    }
}

bit_type! {
    /// The flags of a rule. A `LISTED` rule matches only the addresses of
    /// [`Rules::list_address`](crate::Rules::list_address).
    RuleFlags {
        LISTED = AGENTSH_EBPF_RULE_LISTED,
    }
}

bit_type! {
    /// The flags of a set of rules. `AUDIT` refuses nothing, and reports [`Verdict::WOULD_DENY`].
    /// With `REFUSE`, calls that the rules deny fail with `ECONNREFUSED` instead of `EPERM`.
    /// `STRICT_SOCKETS` refuses sockets that the rules cannot judge, and `EGRESS` judges each packet.
    RulesFlags {
        AUDIT = AGENTSH_EBPF_RULES_AUDIT,
        REFUSE = AGENTSH_EBPF_RULES_REFUSE,
        STRICT_SOCKETS = AGENTSH_EBPF_RULES_STRICT_SOCKETS,
        EGRESS = AGENTSH_EBPF_RULES_EGRESS,
    }
}

bit_type! {
    /// The flags of an event.
    Flags {
        V4_MAPPED = AGENTSH_EBPF_FLAG_V4_MAPPED,
        UNATTRIBUTED = AGENTSH_EBPF_FLAG_UNATTRIBUTED,
        NO_ERROR = AGENTSH_EBPF_FLAG_NO_ERROR,
        INBOUND = AGENTSH_EBPF_FLAG_INBOUND,
        LOCAL_CLOSED = AGENTSH_EBPF_FLAG_LOCAL_CLOSED,
        REMOTE_CLOSED = AGENTSH_EBPF_FLAG_REMOTE_CLOSED,
        SOURCE_ROUTED = AGENTSH_EBPF_FLAG_SOURCE_ROUTED,
        UNSPECIFIED = AGENTSH_EBPF_FLAG_UNSPECIFIED,
        UNTRACKED = AGENTSH_EBPF_FLAG_UNTRACKED,
    }
}

bit_type! {
    /// The flags of a name.
    NameFlags {
        SHARED = AGENTSH_EBPF_NAME_FLAG_SHARED,
        EXPIRED = AGENTSH_EBPF_NAME_FLAG_EXPIRED,
        OTHER_PROCESS = AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS,
        UNASKED = AGENTSH_EBPF_NAME_FLAG_UNASKED,
        CUT = AGENTSH_EBPF_NAME_FLAG_CUT,
        OUTER = AGENTSH_EBPF_NAME_FLAG_OUTER,
        DIFFERS = AGENTSH_EBPF_NAME_FLAG_DIFFERS,
    }
}

bit_type! {
    /// The flags of a DNS message.
    DnsFlags {
        TCP = AGENTSH_EBPF_DNS_FLAG_TCP,
        TRUNCATED = AGENTSH_EBPF_DNS_FLAG_TRUNCATED,
        CUT = AGENTSH_EBPF_DNS_FLAG_CUT,
        UNASKED = AGENTSH_EBPF_DNS_FLAG_UNASKED,
        UNTRUSTED = AGENTSH_EBPF_DNS_FLAG_UNTRUSTED,
    }
}

bit_type! {
    /// What a tracer observes.
    Hooks {
        CONNECT = AGENTSH_EBPF_HOOK_CONNECT,
        UDP = AGENTSH_EBPF_HOOK_UDP,
        LIFECYCLE = AGENTSH_EBPF_HOOK_LIFECYCLE,
        ACCEPT = AGENTSH_EBPF_HOOK_ACCEPT,
        TRAFFIC = AGENTSH_EBPF_HOOK_TRAFFIC,
        DNS = AGENTSH_EBPF_HOOK_DNS,
        SERVER_NAME = AGENTSH_EBPF_HOOK_SERVER_NAME,
        UNIX = AGENTSH_EBPF_HOOK_UNIX,
        RULES = AGENTSH_EBPF_HOOK_RULES,
        SOCK_CREATE = AGENTSH_EBPF_HOOK_SOCK_CREATE,
        EGRESS = AGENTSH_EBPF_HOOK_EGRESS,
    }
}

bit_type! {
    /// The flags of a tracer.
    OpenFlags {
        UDP_NO_DEDUP = AGENTSH_EBPF_OPEN_UDP_NO_DEDUP,
        NO_MODERATION = AGENTSH_EBPF_OPEN_NO_MODERATION,
        DNS_EVENTS = AGENTSH_EBPF_OPEN_DNS_EVENTS,
        DENIALS_ONLY = AGENTSH_EBPF_OPEN_DENIALS_ONLY,
    }
}

bit_type! {
    /// The flags of a session.
    AttachFlags {
        DISPLACE = AGENTSH_EBPF_ATTACH_DISPLACE,
    }
}

impl Kind {
    /// "connect", "udp_send", ...
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_kind_name(self.0)) }
    }
}

impl Step {
    /// "options", "link", ...
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_step_name(self.0)) }
    }
}

impl Verdict {
    /// "none", "allowed", "denied", "would_deny"
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_verdict_name(self.0)) }
    }
}

impl Status {
    /// "available", "missing", ...
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_status_name(self.0)) }
    }
}

impl Check {
    /// The bit in masks such as [`Capabilities::missing`](crate::Capabilities::missing).
    pub const fn mask(self) -> u64 {
        1 << self.0
    }

    /// "cap_bpf", "cgroup2", "connect4", ...
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_check_name(self.0)) }
    }

    /// Advice for an operator if the check fails.
    pub fn hint(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_check_hint(self.0)) }
    }
}

impl Path {
    /// The bit in the masks of [`Coverage`](crate::Coverage).
    pub const fn mask(self) -> u64 {
        1 << self.0
    }

    /// "tcp_connect", ...
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_coverage_name(self.0)) }
    }

    /// How the path is reported, or why it is not.
    pub fn note(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_coverage_note(self.0)) }
    }
}

impl Hooks {
    /// Name of a single hook: "connect", "udp", ...
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_hook_name(self.0)) }
    }
}
