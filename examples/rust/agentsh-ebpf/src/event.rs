// SPDX-License-Identifier: Apache-2.0
//! Events.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentsh_ebpf_sys as sys;

use crate::error::{bytes, static_text};
use crate::name::octets;
use crate::{Flags, Kind, Verdict};

pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;

/// One event, of 256 bytes.
///
/// The names of threads and processes are chosen by them and may contain any bytes. Escape them
/// before you write them to a terminal, as the implementation of `Debug` does.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Event(sys::agentsh_ebpf_event);

macro_rules! members {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        impl Event {
            $($(#[$doc])* pub fn $name(&self) -> $kind {
                self.0.$name
            })*
        }
    };
}

members! {
    /// Nanoseconds of `CLOCK_BOOTTIME`.
    timestamp_ns: u64,
    session_id: u64,
    session_lost: u64,
    cgroup_id: u64,
    socket_cookie: u64,
    netns_cookie: u64,
    process_start_ns: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    uid: u32,
    gid: u32,
    ns_pid: u32,
    ns_tgid: u32,
    /// `AF_INET`, `AF_INET6`, or 0 if the event has no addresses.
    family: u16,
    /// `IPPROTO_TCP`, `IPPROTO_UDP`, ...
    protocol: u16,
    socket_type: u16,
    local_port: u16,
    remote_port: u16,
    /// Positive errno value; 0 if there was no error.
    error: i32,
    rtt_us: u32,
    duration_ns: u64,
    bytes_sent: u64,
    bytes_received: u64,
    retransmits: u32,
    packets_sent: u32,
    ifindex: u32,
    exe_device: u32,
    exe_inode: u64,
    container_pid: u32,
    container_tgid: u32,
    packets_received: u32,
    /// 0 if no name is known; see [`Tracer::event_name`](crate::Tracer::event_name).
    name_id: u64,
    /// The rule that decided; 0 if no rule matched, or if there is no verdict.
    rule_id: u32,
}

impl Event {
    pub fn kind(&self) -> Kind {
        Kind::from_raw(self.0.kind)
    }

    pub fn flags(&self) -> Flags {
        Flags::from_bits(self.0.flags)
    }

    /// What the rules of the session say of the call.
    pub fn verdict(&self) -> Verdict {
        Verdict::from_raw(self.0.verdict)
    }

    /// `None` if the event has no addresses.
    pub fn remote_addr(&self) -> Option<IpAddr> {
        self.address(&self.0.remote_addr)
    }

    /// `None` if the event has no addresses.
    pub fn local_addr(&self) -> Option<IpAddr> {
        self.address(&self.0.local_addr)
    }

    /// Address and port; `None` if the event has no addresses.
    pub fn remote(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.remote_addr()?, self.0.remote_port))
    }

    /// Address and port; `None` if the event has no addresses.
    pub fn local(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.local_addr()?, self.0.local_port))
    }

    fn address(&self, address: &[u8; 16]) -> Option<IpAddr> {
        match self.0.family {
            _ if self.kind() == Kind::SOCKET_DENIED => None, // the family is that of the socket
            AF_INET => Some(Ipv4Addr::new(address[0], address[1], address[2], address[3]).into()),
            AF_INET6 => Some(Ipv6Addr::from(*address).into()),
            _ => None,
        }
    }

    /// Name of the thread.
    pub fn comm(&self) -> &[u8] {
        bytes(&self.0.comm)
    }

    /// Name of the thread; bytes that are not UTF-8 are replaced.
    pub fn comm_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.comm())
    }

    /// Name of the process.
    pub fn process_comm(&self) -> &[u8] {
        bytes(&self.0.process_comm)
    }

    /// Name of the process; bytes that are not UTF-8 are replaced.
    pub fn process_comm_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.process_comm())
    }

    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.0.duration_ns)
    }

    /// Wall-clock time. Call it soon after the event was read: agentsh_ebpf_event_realtime_ns(3).
    pub fn realtime(&self) -> SystemTime {
        // SAFETY: the pointer is that of an event.
        let ns = unsafe { sys::agentsh_ebpf_event_realtime_ns(&self.0) };
        UNIX_EPOCH + Duration::from_nanos(ns)
    }

    /// "tcp", "udp", "icmp", ...
    pub fn protocol_name(&self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_protocol_name(self.0.protocol)) }
    }

    /// The C struct.
    pub fn as_raw(&self) -> &sys::agentsh_ebpf_event {
        &self.0
    }

    /// The C struct, for tests that build an event.
    pub fn as_raw_mut(&mut self) -> &mut sys::agentsh_ebpf_event {
        &mut self.0
    }

    /// An event for [`Session::inject`](crate::Session::inject), with the family of the address.
    pub fn new(kind: Kind, protocol: u16, remote: SocketAddr) -> Event {
        let mut event = Event::default();
        event.0.kind = kind.raw();
        event.0.protocol = protocol;
        event.0.remote_port = remote.port();
        (event.0.family, event.0.remote_addr) = octets(remote.ip());
        event
    }
}

impl Default for Event {
    /// All members are 0.
    fn default() -> Event {
        // SAFETY: all members are numbers, for which zero is a value.
        Event(unsafe { mem::zeroed() })
    }
}

impl From<sys::agentsh_ebpf_event> for Event {
    fn from(event: sys::agentsh_ebpf_event) -> Event {
        Event(event)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("kind", &self.kind())
            .field("flags", &self.flags())
            .field("session_id", &self.0.session_id)
            .field("tgid", &self.0.tgid)
            .field("comm", &self.comm_lossy())
            .field("protocol", &self.0.protocol)
            .field("local", &self.local())
            .field("remote", &self.remote())
            .field("error", &self.0.error)
            .field("verdict", &self.verdict())
            .finish_non_exhaustive()
    }
}
