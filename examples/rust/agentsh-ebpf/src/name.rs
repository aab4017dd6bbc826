// SPDX-License-Identifier: Apache-2.0
//! Names, and what DNS messages say.

use std::ffi::CString;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::raw::{c_char, c_int, c_void};
use std::time::Duration;

use agentsh_ebpf_sys as sys;

use crate::error::{check, static_text, text};
use crate::event::{AF_INET, AF_INET6};
use crate::tracer::sized;
use crate::{DnsFlags, Error, Event, NameFlags, NameSource, Result, Session, Tracer};

const ENOENT: c_int = 2;
const EINVAL: i32 = 22;

/// The name of a destination, and where it is from.
///
/// The watched process can choose all of it: never take a name for a permission. `resolver` tells who
/// answered. Domain names are in lower case, without a final dot, and special bytes are escaped as in
/// RFC 4343. A path of an `AF_UNIX` socket may contain control characters; bytes that are not UTF-8 are
/// replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// What the process asked for, the first name of a chain of CNAME records; or the path.
    pub asked: String,
    /// What had the address: the last name of the chain.
    pub owner: String,
    /// The source of `asked` and `owner`.
    pub source: NameSource,
    /// What the process named in the first data of the connection.
    pub server_name: String,
    /// The source of `server_name`.
    pub server_name_source: NameSource,
    /// ALPN protocols of the ClientHello, separated by commas.
    pub alpn: String,
    pub flags: NameFlags,
    /// The number of further names that gave the address.
    pub others: u32,
    /// The process that asked; 0 if unknown.
    pub asker_tgid: u32,
    /// The time from the answer or the seed to the event.
    pub age: Duration,
    /// The time to live of the answer or the seed; `None` if it has no end.
    pub ttl: Option<Duration>,
    /// The name server that answered.
    pub resolver: Option<SocketAddr>,
}

/// What a DNS_QUERY or DNS_ANSWER event is about, RFC 1035.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dns {
    /// The type of the question: 1 A, 28 AAAA, 65 HTTPS, ...
    pub question_type: u16,
    /// 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, ...; 0 in DNS_QUERY.
    pub rcode: u16,
    pub flags: DnsFlags,
    /// The addresses of the answer, with their time to live.
    pub addresses: Vec<(IpAddr, Duration)>,
}

impl Name {
    /// What the process asked for, or else the server that it named; `None` for a path.
    pub fn host(&self) -> Option<&str> {
        if self.source == NameSource::UNIX {
            return None;
        }
        [&self.asked, &self.server_name]
            .into_iter()
            .map(String::as_str)
            .find(|name| !name.is_empty())
    }

    fn from_raw(raw: &sys::agentsh_ebpf_name) -> Name {
        Name {
            asked: text(&raw.asked),
            owner: text(&raw.owner),
            source: NameSource::from_raw(raw.source),
            server_name: text(&raw.server_name),
            server_name_source: NameSource::from_raw(raw.server_name_source),
            alpn: text(&raw.alpn),
            flags: NameFlags::from_bits(raw.flags),
            others: raw.others,
            asker_tgid: raw.asker_tgid,
            age: Duration::from_nanos(raw.age_ns),
            ttl: (raw.ttl_ns != u64::MAX).then_some(Duration::from_nanos(raw.ttl_ns)),
            resolver: ip(&raw.resolver).map(|ip| SocketAddr::new(ip, raw.resolver.port)),
        }
    }

    fn to_raw(&self) -> Result<sys::agentsh_ebpf_name> {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut raw = sized!(agentsh_ebpf_name);
        raw.source = self.source.raw();
        raw.server_name_source = self.server_name_source.raw();
        raw.flags = self.flags.bits();
        raw.others = self.others;
        raw.asker_tgid = self.asker_tgid;
        raw.age_ns = nanoseconds(self.age);
        raw.ttl_ns = self.ttl.map_or(u64::MAX, nanoseconds);
        raw.resolver = address(self.resolver);
        copy(&mut raw.asked, &self.asked)?;
        copy(&mut raw.owner, &self.owner)?;
        copy(&mut raw.server_name, &self.server_name)?;
        copy(&mut raw.alpn, &self.alpn)?;
        Ok(raw)
    }
}

/// Copies a text that leaves room for a NUL, and contains none.
fn copy(to: &mut [c_char], from: &str) -> Result<()> {
    if from.len() >= to.len() || from.contains('\0') {
        return Err(Error::from_errno(EINVAL));
    }
    for (to, from) in to.iter_mut().zip(from.bytes()) {
        *to = from as c_char;
    }
    Ok(())
}

fn ip(raw: &sys::agentsh_ebpf_address) -> Option<IpAddr> {
    let a = &raw.addr;
    match raw.family {
        AF_INET => Some(Ipv4Addr::new(a[0], a[1], a[2], a[3]).into()),
        AF_INET6 => Some(Ipv6Addr::from(*a).into()),
        _ => None,
    }
}

/// The family of an address, and its bytes in network byte order.
pub(crate) fn octets(ip: IpAddr) -> (u16, [u8; 16]) {
    match ip {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            (AF_INET, bytes)
        }
        IpAddr::V6(ip) => (AF_INET6, ip.octets()),
    }
}

pub(crate) fn address(from: Option<SocketAddr>) -> sys::agentsh_ebpf_address {
    let (family, addr) = from.map_or((0, [0; 16]), |from| octets(from.ip()));
    sys::agentsh_ebpf_address {
        family,
        port: from.map_or(0, |from| from.port()),
        ttl_s: 0,
        addr,
    }
}

/// `None` for the result that there is nothing, or no longer.
fn found(result: c_int) -> Result<Option<u32>> {
    if result == -ENOENT {
        return Ok(None);
    }
    check(result).map(Some)
}

impl Tracer {
    /// A copy of the name of an event; `None` if the event has no name, or if the tracer was read again
    /// since the event was returned. Inside a loop over [`Tracer::events`], the name of the loop's event
    /// is always there, unless another thread reads the tracer meanwhile.
    pub fn event_name(&self, event: &Event) -> Result<Option<Name>> {
        if event.name_id() == 0 {
            return Ok(None);
        }
        let mut raw = sized!(agentsh_ebpf_name);
        // SAFETY: the tracer is open, the event is valid, and the struct has its size.
        let result = unsafe {
            sys::agentsh_ebpf_event_name(self.handle.pointer(), event.as_raw(), &mut raw)
        };
        Ok(found(result)?.map(|_| Name::from_raw(&raw)))
    }

    /// What a DNS_QUERY or DNS_ANSWER event is about; `None` for other kinds, or if the tracer was read
    /// again since the event was returned.
    pub fn event_dns(&self, event: &Event) -> Result<Option<Dns>> {
        let mut raw = sized!(agentsh_ebpf_dns);
        // SAFETY: the tracer is open, the event is valid, and the struct has its size.
        let result =
            unsafe { sys::agentsh_ebpf_event_dns(self.handle.pointer(), event.as_raw(), &mut raw) };
        if found(result)?.is_none() {
            return Ok(None);
        }
        let mut list = vec![address(None); raw.addresses as usize];
        // SAFETY: the tracer is open, the event is valid, and the list has this length.
        let result = unsafe {
            sys::agentsh_ebpf_event_addresses(
                self.handle.pointer(),
                event.as_raw(),
                list.as_mut_ptr(),
                list.len(),
            )
        };
        Ok(found(result)?.map(|_| Dns {
            question_type: raw.question_type,
            rcode: raw.rcode,
            flags: DnsFlags::from_bits(raw.flags),
            addresses: list
                .iter()
                .filter_map(|raw| Some((ip(raw)?, Duration::from_secs(raw.ttl_s.into()))))
                .collect(),
        }))
    }
}

impl Session {
    /// The names that an address has in this session now. The first is the name that an event of no
    /// process in particular would get.
    pub fn name_lookup(&self, ip: IpAddr) -> Result<Vec<Name>> {
        let (family, addr) = octets(ip);
        let mut names = Vec::new();
        let mut raw = sized!(agentsh_ebpf_name);
        loop {
            // SAFETY: the session is attached, the address has 16 bytes, and the struct has its size.
            let result = unsafe {
                sys::agentsh_ebpf_session_name_lookup(
                    self.pointer.as_ptr(),
                    family,
                    addr.as_ptr().cast::<c_void>(),
                    names.len() as u32,
                    &mut raw,
                )
            };
            if found(result)?.is_none() {
                return Ok(names);
            }
            names.push(Name::from_raw(&raw));
        }
    }

    /// Gives an address a name that the host knows, for `ttl_s` seconds, or without end if `ttl_s` is 0.
    /// `None` removes the earlier seed.
    pub fn name_seed(&self, ip: IpAddr, name: Option<&str>, ttl_s: u32) -> Result<()> {
        let (family, addr) = octets(ip);
        let name = name
            .map(CString::new)
            .transpose()
            .map_err(|_| Error::from_errno(EINVAL))?;
        // SAFETY: the session is attached, the address has 16 bytes, and the name ends with NUL or is
        // NULL.
        check(unsafe {
            sys::agentsh_ebpf_session_name_seed(
                self.pointer.as_ptr(),
                family,
                addr.as_ptr().cast::<c_void>(),
                name.as_ref().map_or(std::ptr::null(), |name| name.as_ptr()),
                ttl_s,
            )
        })
        .map(drop)
    }

    /// Gives an address a name in a tracer of [`Mode::SYNTHETIC`](crate::Mode::SYNTHETIC), as if a packet
    /// had done so, for the events that are injected afterwards; agentsh_ebpf_inject_name(3).
    pub fn inject_name(&self, ip: IpAddr, name: &Name) -> Result<()> {
        let (family, addr) = octets(ip);
        let raw = name.to_raw()?;
        // SAFETY: the session is attached, the address has 16 bytes, and the struct has its size.
        check(unsafe {
            sys::agentsh_ebpf_inject_name(
                self.pointer.as_ptr(),
                family,
                addr.as_ptr().cast::<c_void>(),
                &raw,
            )
        })
        .map(drop)
    }
}

impl NameSource {
    /// "dns", "dns_tcp", "tls", "http", "seed", "unix"
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed; the result is a static string.
        unsafe { static_text(sys::agentsh_ebpf_name_source_name(self.raw())) }
    }
}

impl Default for NameSource {
    fn default() -> NameSource {
        NameSource::NONE
    }
}
