// SPDX-License-Identifier: Apache-2.0
//! The declarations of `<agentsh/ebpf.h>` of libagentsh-ebpf 1.0. The header and its manual pages
//! describe them. The crate `agentsh-ebpf` is a safe interface to them.
//! `build.rs` links the shared library that pkg-config names; with the feature `static` it links the
//! archive.

#![allow(non_camel_case_types)]

use std::marker::PhantomData;
use std::os::raw::{c_char, c_int, c_void};

/// A set of loaded eBPF programs and one ring buffer.
#[repr(C)]
pub struct agentsh_ebpf_tracer {
    _private: [u8; 0],
    _not_send: PhantomData<*mut c_void>,
}

/// One attached cgroup.
#[repr(C)]
pub struct agentsh_ebpf_session {
    _private: [u8; 0],
    _not_send: PhantomData<*mut c_void>,
}

/// A set of rules.
#[repr(C)]
pub struct agentsh_ebpf_rules {
    _private: [u8; 0],
    _not_send: PhantomData<*mut c_void>,
}

pub const AGENTSH_EBPF_EVENT_CONNECT: u32 = 1;
pub const AGENTSH_EBPF_EVENT_UDP_SEND: u32 = 2;
pub const AGENTSH_EBPF_EVENT_CONNECTED: u32 = 3;
pub const AGENTSH_EBPF_EVENT_CONNECT_FAILED: u32 = 4;
pub const AGENTSH_EBPF_EVENT_CLOSED: u32 = 5;
pub const AGENTSH_EBPF_EVENT_ACCEPTED: u32 = 6;
pub const AGENTSH_EBPF_EVENT_SESSION_BLIND: u32 = 7;
pub const AGENTSH_EBPF_EVENT_FIRST_DATA: u32 = 8;
pub const AGENTSH_EBPF_EVENT_PROGRESS: u32 = 9;
pub const AGENTSH_EBPF_EVENT_UNANNOUNCED: u32 = 10;
pub const AGENTSH_EBPF_EVENT_DNS_QUERY: u32 = 11;
pub const AGENTSH_EBPF_EVENT_DNS_ANSWER: u32 = 12;
pub const AGENTSH_EBPF_EVENT_SERVER_NAME: u32 = 13;
pub const AGENTSH_EBPF_EVENT_UNIX_CONNECT: u32 = 14;
pub const AGENTSH_EBPF_EVENT_SOCKET_DENIED: u32 = 15;
pub const AGENTSH_EBPF_EVENT_PACKET_DENIED: u32 = 16;

pub const AGENTSH_EBPF_FLAG_V4_MAPPED: u32 = 1;
pub const AGENTSH_EBPF_FLAG_UNATTRIBUTED: u32 = 2;
pub const AGENTSH_EBPF_FLAG_NO_ERROR: u32 = 4;
pub const AGENTSH_EBPF_FLAG_INBOUND: u32 = 8;
pub const AGENTSH_EBPF_FLAG_LOCAL_CLOSED: u32 = 16;
pub const AGENTSH_EBPF_FLAG_REMOTE_CLOSED: u32 = 32;
pub const AGENTSH_EBPF_FLAG_SOURCE_ROUTED: u32 = 64;
pub const AGENTSH_EBPF_FLAG_UNSPECIFIED: u32 = 128;
pub const AGENTSH_EBPF_FLAG_UNTRACKED: u32 = 256;

pub const AGENTSH_EBPF_STEP_NONE: u32 = 0;
pub const AGENTSH_EBPF_STEP_OPTIONS: u32 = 1;
pub const AGENTSH_EBPF_STEP_MEMORY: u32 = 2;
pub const AGENTSH_EBPF_STEP_OBJECT_OPEN: u32 = 3;
pub const AGENTSH_EBPF_STEP_OBJECT_LOAD: u32 = 4;
pub const AGENTSH_EBPF_STEP_RING_MAP: u32 = 5;
pub const AGENTSH_EBPF_STEP_COUNTERS_MAP: u32 = 6;
pub const AGENTSH_EBPF_STEP_EVENT_FD: u32 = 7;
pub const AGENTSH_EBPF_STEP_CGROUP: u32 = 8;
pub const AGENTSH_EBPF_STEP_SESSION_SLOT: u32 = 9;
pub const AGENTSH_EBPF_STEP_LINK: u32 = 10;
pub const AGENTSH_EBPF_STEP_STORAGE: u32 = 11;
pub const AGENTSH_EBPF_STEP_RULES: u32 = 12;

pub const AGENTSH_EBPF_MODE_AUTO: u32 = 0;
pub const AGENTSH_EBPF_MODE_DISABLED: u32 = 1;
pub const AGENTSH_EBPF_MODE_REQUIRED: u32 = 2;
pub const AGENTSH_EBPF_MODE_SYNTHETIC: u32 = 3;

pub const AGENTSH_EBPF_HOOK_CONNECT: u32 = 1;
pub const AGENTSH_EBPF_HOOK_UDP: u32 = 2;
pub const AGENTSH_EBPF_HOOK_LIFECYCLE: u32 = 4;
pub const AGENTSH_EBPF_HOOK_ACCEPT: u32 = 8;
pub const AGENTSH_EBPF_HOOK_TRAFFIC: u32 = 16;
pub const AGENTSH_EBPF_HOOK_DNS: u32 = 32;
pub const AGENTSH_EBPF_HOOK_SERVER_NAME: u32 = 64;
pub const AGENTSH_EBPF_HOOK_UNIX: u32 = 128;
pub const AGENTSH_EBPF_HOOK_RULES: u32 = 256;
pub const AGENTSH_EBPF_HOOK_SOCK_CREATE: u32 = 512;
pub const AGENTSH_EBPF_HOOK_EGRESS: u32 = 1024;

pub const AGENTSH_EBPF_OPEN_UDP_NO_DEDUP: u32 = 1;
pub const AGENTSH_EBPF_OPEN_NO_MODERATION: u32 = 2;
pub const AGENTSH_EBPF_OPEN_DNS_EVENTS: u32 = 4;
pub const AGENTSH_EBPF_OPEN_DENIALS_ONLY: u32 = 8;

pub const AGENTSH_EBPF_LOG_WARN: c_int = 0;
pub const AGENTSH_EBPF_LOG_INFO: c_int = 1;
pub const AGENTSH_EBPF_LOG_DEBUG: c_int = 2;

pub const AGENTSH_EBPF_ATTACH_DISPLACE: u32 = 1;

pub const AGENTSH_EBPF_CHECK_KERNEL: u32 = 0;
pub const AGENTSH_EBPF_CHECK_BPF: u32 = 1;
pub const AGENTSH_EBPF_CHECK_USERNS: u32 = 2;
pub const AGENTSH_EBPF_CHECK_CAP_BPF: u32 = 3;
pub const AGENTSH_EBPF_CHECK_CAP_NET_ADMIN: u32 = 4;
pub const AGENTSH_EBPF_CHECK_CAP_PERFMON: u32 = 5;
pub const AGENTSH_EBPF_CHECK_LOCKDOWN: u32 = 6;
pub const AGENTSH_EBPF_CHECK_BTF: u32 = 7;
pub const AGENTSH_EBPF_CHECK_CGROUP2: u32 = 8;
pub const AGENTSH_EBPF_CHECK_RINGBUF: u32 = 9;
pub const AGENTSH_EBPF_CHECK_ARRAY_MMAP: u32 = 10;
pub const AGENTSH_EBPF_CHECK_CGROUP_STORAGE: u32 = 11;
pub const AGENTSH_EBPF_CHECK_CGROUP_LINK: u32 = 12;
pub const AGENTSH_EBPF_CHECK_MEMLOCK: u32 = 13;
pub const AGENTSH_EBPF_CHECK_NOFILE: u32 = 14;
pub const AGENTSH_EBPF_CHECK_JIT: u32 = 15;
pub const AGENTSH_EBPF_CHECK_CONNECT4: u32 = 16;
pub const AGENTSH_EBPF_CHECK_CONNECT6: u32 = 17;
pub const AGENTSH_EBPF_CHECK_SENDMSG4: u32 = 18;
pub const AGENTSH_EBPF_CHECK_SENDMSG6: u32 = 19;
pub const AGENTSH_EBPF_CHECK_SOCK_OPS: u32 = 20;
pub const AGENTSH_EBPF_CHECK_SOCK_RELEASE: u32 = 21;
pub const AGENTSH_EBPF_CHECK_BIND4: u32 = 22;
pub const AGENTSH_EBPF_CHECK_BIND6: u32 = 23;
pub const AGENTSH_EBPF_CHECK_INET_INGRESS: u32 = 24;
pub const AGENTSH_EBPF_CHECK_INET_EGRESS: u32 = 25;
pub const AGENTSH_EBPF_CHECK_CONNECT_UNIX: u32 = 26;
pub const AGENTSH_EBPF_CHECK_SENDMSG_UNIX: u32 = 27;
pub const AGENTSH_EBPF_CHECK_SOCK_CREATE: u32 = 28;
pub const AGENTSH_EBPF_CHECK_SET_RETVAL: u32 = 29;

pub const AGENTSH_EBPF_STATUS_UNKNOWN: u32 = 0;
pub const AGENTSH_EBPF_STATUS_AVAILABLE: u32 = 1;
pub const AGENTSH_EBPF_STATUS_MISSING: u32 = 2;
pub const AGENTSH_EBPF_STATUS_FORBIDDEN: u32 = 3;
pub const AGENTSH_EBPF_STATUS_SIMULATED: u32 = 4;

pub const AGENTSH_EBPF_CGROUP_NONE: u32 = 0;
pub const AGENTSH_EBPF_CGROUP_PURE: u32 = 1;
pub const AGENTSH_EBPF_CGROUP_HYBRID: u32 = 2;

pub const AGENTSH_EBPF_CHECKS_MAX: usize = 32;

pub const AGENTSH_EBPF_COVERAGE_TCP_CONNECT: u32 = 0;
pub const AGENTSH_EBPF_COVERAGE_TCP_FASTOPEN: u32 = 1;
pub const AGENTSH_EBPF_COVERAGE_MPTCP_CONNECT: u32 = 2;
pub const AGENTSH_EBPF_COVERAGE_UDP_CONNECT: u32 = 3;
pub const AGENTSH_EBPF_COVERAGE_UDP_SEND: u32 = 4;
pub const AGENTSH_EBPF_COVERAGE_UDP_SEND_CONNECTED: u32 = 5;
pub const AGENTSH_EBPF_COVERAGE_UDPLITE_CONNECT: u32 = 6;
pub const AGENTSH_EBPF_COVERAGE_UDPLITE_SEND: u32 = 7;
pub const AGENTSH_EBPF_COVERAGE_PING_CONNECT: u32 = 8;
pub const AGENTSH_EBPF_COVERAGE_PING_SEND: u32 = 9;
pub const AGENTSH_EBPF_COVERAGE_SCTP: u32 = 10;
pub const AGENTSH_EBPF_COVERAGE_RAW: u32 = 11;
pub const AGENTSH_EBPF_COVERAGE_PACKET: u32 = 12;
pub const AGENTSH_EBPF_COVERAGE_IO_URING_CONNECT: u32 = 13;
pub const AGENTSH_EBPF_COVERAGE_IO_URING_SEND: u32 = 14;
pub const AGENTSH_EBPF_COVERAGE_UNIX: u32 = 15;
pub const AGENTSH_EBPF_COVERAGE_VSOCK: u32 = 16;
pub const AGENTSH_EBPF_COVERAGE_EARLIER_SOCKET: u32 = 17;
pub const AGENTSH_EBPF_COVERAGE_PASSED_SOCKET: u32 = 18;
pub const AGENTSH_EBPF_COVERAGE_LEFT_SOCKET: u32 = 19;
pub const AGENTSH_EBPF_COVERAGE_TCP_OUTCOME: u32 = 20;
pub const AGENTSH_EBPF_COVERAGE_DATAGRAM_CLOSE: u32 = 21;
pub const AGENTSH_EBPF_COVERAGE_TCP_ACCEPT: u32 = 22;
pub const AGENTSH_EBPF_COVERAGE_DCCP: u32 = 23;
pub const AGENTSH_EBPF_COVERAGE_L2TP_IP: u32 = 24;
pub const AGENTSH_EBPF_COVERAGE_SMC_CONNECT: u32 = 25;
pub const AGENTSH_EBPF_COVERAGE_RDS: u32 = 26;
pub const AGENTSH_EBPF_COVERAGE_XDP: u32 = 27;
pub const AGENTSH_EBPF_COVERAGE_RXRPC: u32 = 28;
pub const AGENTSH_EBPF_COVERAGE_OTHER_FAMILY: u32 = 29;
pub const AGENTSH_EBPF_COVERAGE_EARLIER_CONNECTION: u32 = 30;
pub const AGENTSH_EBPF_COVERAGE_DNS_UDP: u32 = 31;
pub const AGENTSH_EBPF_COVERAGE_DNS_TCP: u32 = 32;
pub const AGENTSH_EBPF_COVERAGE_DNS_TLS: u32 = 33;
pub const AGENTSH_EBPF_COVERAGE_DNS_HTTPS: u32 = 34;
pub const AGENTSH_EBPF_COVERAGE_LOCAL_RESOLVER: u32 = 35;
pub const AGENTSH_EBPF_COVERAGE_HOSTS_FILE: u32 = 36;
pub const AGENTSH_EBPF_COVERAGE_EARLIER_ANSWER: u32 = 37;
pub const AGENTSH_EBPF_COVERAGE_TLS_SERVER_NAME: u32 = 38;
pub const AGENTSH_EBPF_COVERAGE_TLS_ENCRYPTED_NAME: u32 = 39;
pub const AGENTSH_EBPF_COVERAGE_HTTP_HOST: u32 = 40;
pub const AGENTSH_EBPF_COVERAGE_QUIC_SERVER_NAME: u32 = 41;

pub const AGENTSH_EBPF_NAME_NONE: u32 = 0;
pub const AGENTSH_EBPF_NAME_DNS: u32 = 1;
pub const AGENTSH_EBPF_NAME_DNS_TCP: u32 = 2;
pub const AGENTSH_EBPF_NAME_TLS: u32 = 3;
pub const AGENTSH_EBPF_NAME_HTTP: u32 = 4;
pub const AGENTSH_EBPF_NAME_SEED: u32 = 5;
pub const AGENTSH_EBPF_NAME_UNIX: u32 = 6;

pub const AGENTSH_EBPF_NAME_FLAG_SHARED: u32 = 1;
pub const AGENTSH_EBPF_NAME_FLAG_EXPIRED: u32 = 2;
pub const AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS: u32 = 4;
pub const AGENTSH_EBPF_NAME_FLAG_UNASKED: u32 = 8;
pub const AGENTSH_EBPF_NAME_FLAG_CUT: u32 = 16;
pub const AGENTSH_EBPF_NAME_FLAG_OUTER: u32 = 32;
pub const AGENTSH_EBPF_NAME_FLAG_DIFFERS: u32 = 64;

pub const AGENTSH_EBPF_DNS_FLAG_TCP: u32 = 1;
pub const AGENTSH_EBPF_DNS_FLAG_TRUNCATED: u32 = 2;
pub const AGENTSH_EBPF_DNS_FLAG_CUT: u32 = 4;
pub const AGENTSH_EBPF_DNS_FLAG_UNASKED: u32 = 8;
pub const AGENTSH_EBPF_DNS_FLAG_UNTRUSTED: u32 = 16;

pub const AGENTSH_EBPF_VERDICT_NONE: u32 = 0;
pub const AGENTSH_EBPF_VERDICT_ALLOWED: u32 = 1;
pub const AGENTSH_EBPF_VERDICT_DENIED: u32 = 2;
pub const AGENTSH_EBPF_VERDICT_WOULD_DENY: u32 = 3;

pub const AGENTSH_EBPF_RULE_ALLOW: u32 = 1;
pub const AGENTSH_EBPF_RULE_DENY: u32 = 2;

pub const AGENTSH_EBPF_RULE_OTHER_PROTOCOLS: u8 = 255;

pub const AGENTSH_EBPF_RULE_LISTED: u32 = 1;

pub const AGENTSH_EBPF_RULES_AUDIT: u32 = 1;
pub const AGENTSH_EBPF_RULES_REFUSE: u32 = 2;
pub const AGENTSH_EBPF_RULES_STRICT_SOCKETS: u32 = 4;
pub const AGENTSH_EBPF_RULES_EGRESS: u32 = 8;

pub type agentsh_ebpf_event_fn =
    Option<unsafe extern "C" fn(ctx: *mut c_void, event: *const agentsh_ebpf_event) -> c_int>;
pub type agentsh_ebpf_log_fn =
    Option<unsafe extern "C" fn(ctx: *mut c_void, level: c_int, text: *const c_char)>;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_event {
    pub kind: u32,
    pub flags: u32,
    pub timestamp_ns: u64,
    pub session_id: u64,
    pub session_lost: u64,
    pub cgroup_id: u64,
    pub socket_cookie: u64,
    pub netns_cookie: u64,
    pub process_start_ns: u64,
    pub pid: u32,
    pub tgid: u32,
    pub ppid: u32,
    pub uid: u32,
    pub gid: u32,
    pub ns_pid: u32,
    pub ns_tgid: u32,
    pub family: u16,
    pub protocol: u16,
    pub socket_type: u16,
    pub local_port: u16,
    pub remote_port: u16,
    pub reserved0: u16,
    pub error: i32,
    pub rtt_us: u32,
    pub duration_ns: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub local_addr: [u8; 16],
    pub remote_addr: [u8; 16],
    pub comm: [c_char; 16],
    pub retransmits: u32,
    pub packets_sent: u32,
    pub ifindex: u32,
    pub exe_device: u32,
    pub exe_inode: u64,
    pub process_comm: [c_char; 16],
    pub container_pid: u32,
    pub container_tgid: u32,
    pub packets_received: u32,
    pub verdict: u32,
    pub name_id: u64,
    pub rule_id: u32,
    pub reserved: [u8; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_error {
    pub size: u32,
    pub code: i32,
    pub step: u32,
    pub reserved: u32,
    pub message: [c_char; 256],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_tracer_options {
    pub size: u32,
    pub mode: u32,
    pub hooks: u32,
    pub flags: u32,
    pub ring_size: u32,
    pub ring_quota: u32,
    pub max_sessions: u32,
    pub udp_dedup_entries: u32,
    pub on_event: agentsh_ebpf_event_fn,
    pub event_ctx: *mut c_void,
    pub on_log: agentsh_ebpf_log_fn,
    pub log_ctx: *mut c_void,
    pub simulate_missing: u64,
    pub wakeup_delay_us: u32,
    pub required_hooks: u32,
    pub max_sockets: u32,
    pub check_interval_ms: u32,
    pub progress_interval_ms: u32,
    pub dns_timeout_ms: u32,
    pub dns_ports: [u16; 4],
    pub rules_bytes: u32,
    pub rules_addresses: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_address {
    pub family: u16,
    pub port: u16,
    pub ttl_s: u32,
    pub addr: [u8; 16],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_session_options {
    pub size: u32,
    pub flags: u32,
    pub session_id: u64,
    pub max_sockets: u32,
    pub names_max: u32,
    pub names_bytes: u32,
    pub reserved: u32,
    pub trusted_resolvers: [agentsh_ebpf_address; 4],
    pub rules: *mut agentsh_ebpf_rules,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_rule {
    pub addr: [u8; 16],
    pub family: u16,
    pub prefix_len: u8,
    pub protocol: u8,
    pub first_port: u16,
    pub last_port: u16,
    pub rule_id: u32,
    pub action: u16,
    pub flags: u16,
    pub expires_boottime_ns: u64,
    pub reserved: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_rules_options {
    pub size: u32,
    pub flags: u32,
    pub default_action: u32,
    pub on_exhaustion: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_session_check {
    pub size: u32,
    pub hooks: u32,
    pub error: i32,
    pub reserved: u32,
    pub wanted: u64,
    pub attached: u64,
    pub effective: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_name {
    pub size: u32,
    pub source: u32,
    pub server_name_source: u32,
    pub flags: u32,
    pub others: u32,
    pub asker_tgid: u32,
    pub age_ns: u64,
    pub ttl_ns: u64,
    pub resolver: agentsh_ebpf_address,
    pub asked: [c_char; 256],
    pub owner: [c_char; 256],
    pub server_name: [c_char; 256],
    pub alpn: [c_char; 64],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_dns {
    pub size: u32,
    pub question_type: u16,
    pub rcode: u16,
    pub flags: u32,
    pub addresses: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_stats {
    pub size: u32,
    pub sessions: u32,
    pub delivered: u64,
    pub lost: u64,
    pub lost_quota: u64,
    pub deduplicated: u64,
    pub attach_failures: u64,
    pub malformed: u64,
    pub untracked: u64,
    pub packets_lost: u64,
    pub answers: u64,
    pub answers_unasked: u64,
    pub answers_untrusted: u64,
    pub answers_malformed: u64,
    pub messages_skipped: u64,
    pub names_evicted: u64,
    pub allowed: u64,
    pub denied: u64,
    pub would_deny: u64,
    pub packets_denied: u64,
    pub packets_would_deny: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_check {
    pub status: u32,
    pub error: i32,
    pub required: u32,
    pub reserved: u32,
    pub value: u64,
    pub detail: [c_char; 104],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_capabilities {
    pub size: u32,
    pub usable: u32,
    pub simulate_missing: u64,
    pub available: u64,
    pub missing: u64,
    pub hooks: u32,
    pub count: u32,
    pub kernel_version: u32,
    pub max_sessions: u32,
    pub cgroup_mode: u32,
    pub load_only: u32,
    pub kernel_release: [c_char; 64],
    pub cgroup2_path: [c_char; 256],
    pub cgroup_path: [c_char; 1024],
    pub reason: [c_char; 256],
    pub checks: [agentsh_ebpf_check; AGENTSH_EBPF_CHECKS_MAX],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct agentsh_ebpf_coverage {
    pub size: u32,
    pub count: u32,
    pub seen: u64,
    pub implied: u64,
    pub unseen: u64,
    pub enforced: u64,
    pub rules_flags: u32,
    pub reserved: u32,
}

extern "C" {
    pub fn agentsh_ebpf_version() -> *const c_char;
    pub fn agentsh_ebpf_event_realtime_ns(event: *const agentsh_ebpf_event) -> u64;
    pub fn agentsh_ebpf_kind_name(kind: u32) -> *const c_char;
    pub fn agentsh_ebpf_protocol_name(protocol: u16) -> *const c_char;
    pub fn agentsh_ebpf_verdict_name(verdict: u32) -> *const c_char;
    pub fn agentsh_ebpf_step_name(step: u32) -> *const c_char;
    pub fn agentsh_ebpf_tracer_open(
        opts: *const agentsh_ebpf_tracer_options,
        out: *mut *mut agentsh_ebpf_tracer,
        err: *mut agentsh_ebpf_error,
    ) -> c_int;
    pub fn agentsh_ebpf_tracer_close(tracer: *mut agentsh_ebpf_tracer);
    pub fn agentsh_ebpf_tracer_hooks(tracer: *const agentsh_ebpf_tracer) -> u32;
    pub fn agentsh_ebpf_hooks_built() -> u32;
    pub fn agentsh_ebpf_hook_name(hook: u32) -> *const c_char;
    pub fn agentsh_ebpf_session_attach(
        tracer: *mut agentsh_ebpf_tracer,
        cgroup_fd: c_int,
        opts: *const agentsh_ebpf_session_options,
        out: *mut *mut agentsh_ebpf_session,
        err: *mut agentsh_ebpf_error,
    ) -> c_int;
    pub fn agentsh_ebpf_session_detach(session: *mut agentsh_ebpf_session) -> c_int;
    pub fn agentsh_ebpf_session_check(
        session: *const agentsh_ebpf_session,
        out: *mut agentsh_ebpf_session_check,
    ) -> c_int;
    pub fn agentsh_ebpf_rules_create(
        tracer: *mut agentsh_ebpf_tracer,
        rules: *const agentsh_ebpf_rule,
        count: usize,
        opts: *const agentsh_ebpf_rules_options,
        out: *mut *mut agentsh_ebpf_rules,
        err: *mut agentsh_ebpf_error,
    ) -> c_int;
    pub fn agentsh_ebpf_rules_free(rules: *mut agentsh_ebpf_rules) -> c_int;
    pub fn agentsh_ebpf_session_set_rules(
        session: *mut agentsh_ebpf_session,
        rules: *mut agentsh_ebpf_rules,
        err: *mut agentsh_ebpf_error,
    ) -> c_int;
    pub fn agentsh_ebpf_rules_address(
        rules: *mut agentsh_ebpf_rules,
        rule_id: u32,
        family: u16,
        addr: *const c_void,
        expires_boottime_ns: u64,
    ) -> c_int;
    pub fn agentsh_ebpf_rules_judge(
        rules: *const agentsh_ebpf_rules,
        remote: *const agentsh_ebpf_address,
        protocol: u16,
        rule_id: *mut u32,
    ) -> c_int;
    pub fn agentsh_ebpf_rules_loopback(rules: *mut agentsh_ebpf_rule, rule_id: u32) -> c_int;
    pub fn agentsh_ebpf_rules_resolver(
        rules: *mut agentsh_ebpf_rule,
        resolver: *const agentsh_ebpf_address,
        rule_id: u32,
    ) -> c_int;
    pub fn agentsh_ebpf_poll(tracer: *mut agentsh_ebpf_tracer, timeout_ms: c_int) -> c_int;
    pub fn agentsh_ebpf_read(
        tracer: *mut agentsh_ebpf_tracer,
        buf: *mut agentsh_ebpf_event,
        n: usize,
        timeout_ms: c_int,
    ) -> c_int;
    pub fn agentsh_ebpf_fd(tracer: *const agentsh_ebpf_tracer) -> c_int;
    pub fn agentsh_ebpf_wake(tracer: *mut agentsh_ebpf_tracer) -> c_int;
    pub fn agentsh_ebpf_event_name(
        tracer: *const agentsh_ebpf_tracer,
        event: *const agentsh_ebpf_event,
        out: *mut agentsh_ebpf_name,
    ) -> c_int;
    pub fn agentsh_ebpf_event_dns(
        tracer: *const agentsh_ebpf_tracer,
        event: *const agentsh_ebpf_event,
        out: *mut agentsh_ebpf_dns,
    ) -> c_int;
    pub fn agentsh_ebpf_event_addresses(
        tracer: *const agentsh_ebpf_tracer,
        event: *const agentsh_ebpf_event,
        list: *mut agentsh_ebpf_address,
        n: usize,
    ) -> c_int;
    pub fn agentsh_ebpf_session_name_lookup(
        session: *mut agentsh_ebpf_session,
        family: u16,
        addr: *const c_void,
        nth: u32,
        out: *mut agentsh_ebpf_name,
    ) -> c_int;
    pub fn agentsh_ebpf_session_name_seed(
        session: *mut agentsh_ebpf_session,
        family: u16,
        addr: *const c_void,
        name: *const c_char,
        ttl_s: u32,
    ) -> c_int;
    pub fn agentsh_ebpf_name_source_name(source: u32) -> *const c_char;
    pub fn agentsh_ebpf_tracer_stats(
        tracer: *const agentsh_ebpf_tracer,
        out: *mut agentsh_ebpf_stats,
    ) -> c_int;
    pub fn agentsh_ebpf_session_stats(
        session: *const agentsh_ebpf_session,
        out: *mut agentsh_ebpf_stats,
    ) -> c_int;
    pub fn agentsh_ebpf_capability_probe(caps: *mut agentsh_ebpf_capabilities) -> c_int;
    pub fn agentsh_ebpf_check_name(check: u32) -> *const c_char;
    pub fn agentsh_ebpf_check_hint(check: u32) -> *const c_char;
    pub fn agentsh_ebpf_status_name(status: u32) -> *const c_char;
    pub fn agentsh_ebpf_checks_parse(
        names: *const c_char,
        mask: *mut u64,
        err: *mut agentsh_ebpf_error,
    ) -> c_int;
    pub fn agentsh_ebpf_cgroup_path(path: *mut c_char, size: usize) -> c_int;
    pub fn agentsh_ebpf_mode_from_env(
        mode: *mut u32,
        simulate_missing: *mut u64,
        err: *mut agentsh_ebpf_error,
    ) -> c_int;
    pub fn agentsh_ebpf_coverage(
        tracer: *const agentsh_ebpf_tracer,
        out: *mut agentsh_ebpf_coverage,
    ) -> c_int;
    pub fn agentsh_ebpf_coverage_name(coverage: u32) -> *const c_char;
    pub fn agentsh_ebpf_coverage_note(coverage: u32) -> *const c_char;
    pub fn agentsh_ebpf_inject(
        session: *mut agentsh_ebpf_session,
        event: *const agentsh_ebpf_event,
    ) -> c_int;
    pub fn agentsh_ebpf_inject_name(
        session: *mut agentsh_ebpf_session,
        family: u16,
        addr: *const c_void,
        name: *const agentsh_ebpf_name,
    ) -> c_int;
}
