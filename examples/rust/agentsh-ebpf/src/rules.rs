// SPDX-License-Identifier: Apache-2.0
//! Rules for destinations.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::raw::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fmt, mem};

use agentsh_ebpf_sys as sys;

use crate::error::{call, call_or_fallback, check};
use crate::name::{address, octets};
use crate::tracer::{sized, Handle};
use crate::{Error, Event, Result, RuleAction, RuleFlags, RulesFlags, Session, Tracer, Verdict};

const EINVAL: i32 = 22;

/// The time now in nanoseconds, as [`Event::timestamp_ns`] and `expires_boottime_ns` count it.
pub fn boottime_ns() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // SAFETY: the pointer is that of an event.
    let boot = unsafe { sys::agentsh_ebpf_event_realtime_ns(Event::default().as_raw()) };
    // Without a clock chip, the Unix time of boot may be just below 0.
    (now.as_nanos() as u64).wrapping_sub(boot)
}

/// A rule for calls of a session. Of the rules of a set, the first that matches the remote end of the
/// call decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// An address and the length of its prefix in bits; `None`: every address of both families.
    pub prefix: Option<(IpAddr, u8)>,
    /// 0: every protocol; `IPPROTO_TCP`, which includes MPTCP; `IPPROTO_UDP`, which includes UDP-Lite;
    /// or [`Rule::OTHER_PROTOCOLS`].
    pub protocol: u8,
    /// Both ports 0: every port. `last_port` 0: `first_port` alone.
    pub first_port: u16,
    pub last_port: u16,
    /// A number that the host chooses, repeated in events.
    pub rule_id: u32,
    pub action: RuleAction,
    pub flags: RuleFlags,
    /// The time, as of [`boottime_ns`], from which on the rule does not match; 0: never.
    pub expires_boottime_ns: u64,
}

impl Rule {
    /// Every protocol other than TCP, MPTCP, UDP and UDP-Lite.
    pub const OTHER_PROTOCOLS: u8 = sys::AGENTSH_EBPF_RULE_OTHER_PROTOCOLS;

    /// A rule for every protocol and port of a prefix, which never expires.
    pub fn new(action: RuleAction, prefix: Option<(IpAddr, u8)>) -> Rule {
        Rule {
            prefix,
            protocol: 0,
            first_port: 0,
            last_port: 0,
            rule_id: 0,
            action,
            flags: RuleFlags::empty(),
            expires_boottime_ns: 0,
        }
    }

    fn to_raw(self) -> Result<sys::agentsh_ebpf_rule> {
        let narrow = |value: u32| u16::try_from(value).map_err(|_| Error::from_errno(EINVAL));
        let (family, addr) = self.prefix.map_or((0, [0; 16]), |(ip, _)| octets(ip));
        Ok(sys::agentsh_ebpf_rule {
            addr,
            family,
            prefix_len: self.prefix.map_or(0, |(_, bits)| bits),
            protocol: self.protocol,
            first_port: self.first_port,
            last_port: self.last_port,
            rule_id: self.rule_id,
            action: narrow(self.action.raw())?,
            flags: narrow(self.flags.bits())?,
            expires_boottime_ns: self.expires_boottime_ns,
            reserved: 0,
        })
    }

    fn from_raw(raw: &sys::agentsh_ebpf_rule) -> Rule {
        const AF_INET: u16 = 2;
        let [a, b, c, d, ..] = raw.addr;
        let ip = match raw.family {
            AF_INET => Ipv4Addr::new(a, b, c, d).into(),
            _ => IpAddr::from(raw.addr),
        };
        Rule {
            prefix: Some((ip, raw.prefix_len)),
            protocol: raw.protocol,
            first_port: raw.first_port,
            last_port: raw.last_port,
            rule_id: raw.rule_id,
            action: RuleAction::from_raw(raw.action.into()),
            flags: RuleFlags::from_bits(raw.flags.into()),
            expires_boottime_ns: raw.expires_boottime_ns,
        }
    }
}

/// Two rules of the library.
fn two_rules(f: impl FnOnce(*mut sys::agentsh_ebpf_rule) -> c_int) -> Result<[Rule; 2]> {
    // SAFETY: all members are numbers, for which zero is a value.
    let mut raw: [sys::agentsh_ebpf_rule; 2] = unsafe { mem::zeroed() };
    check(f(raw.as_mut_ptr()))?;
    Ok([Rule::from_raw(&raw[0]), Rule::from_raw(&raw[1])])
}

/// Two rules that allow every protocol to 127.0.0.0/8 and ::1; agentsh_ebpf_rules_loopback(3). Nothing
/// is allowed until the rules are in a set, in front of the rules that they shall precede.
pub fn rules_loopback(rule_id: u32) -> [Rule; 2] {
    // SAFETY: there is room for two rules.
    two_rules(|raw| unsafe { sys::agentsh_ebpf_rules_loopback(raw, rule_id) })
        .expect("the call fails only without a pointer")
}

/// Two rules that allow UDP and TCP to a name server, whose port 0 stands for 53;
/// agentsh_ebpf_rules_resolver(3).
pub fn rules_resolver(resolver: SocketAddr, rule_id: u32) -> [Rule; 2] {
    let resolver = address(Some(resolver));
    // SAFETY: there is room for two rules, and the address is valid during the call.
    two_rules(|raw| unsafe { sys::agentsh_ebpf_rules_resolver(raw, &resolver, rule_id) })
        .expect("the call fails only without a pointer or an address")
}

/// Options of a set of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RulesOptions {
    pub flags: RulesFlags,
    /// What holds if no rule matches; `None` selects [`RuleAction::ALLOW`].
    pub default_action: Option<RuleAction>,
    /// What holds if memory for the set is short. `None`: the call fails. [`RuleAction::DENY`] or
    /// [`RuleAction::ALLOW`]: the call makes a set without rules that denies or allows everything, and
    /// [`Rules::fallback`] says why.
    pub on_exhaustion: Option<RuleAction>,
}

/// The pointer to a set, which is freed when neither a [`Rules`] nor a session owns it.
pub(crate) struct RulesHandle {
    pointer: NonNull<sys::agentsh_ebpf_rules>,
    /// Keeps the tracer open.
    _tracer: Arc<Handle>,
}

// SAFETY: the header allows all calls with a set from any thread. The set is freed when there is no
// other owner and so no other call.
unsafe impl Send for RulesHandle {}
unsafe impl Sync for RulesHandle {}

impl RulesHandle {
    pub(crate) fn pointer_of(rules: Option<&Arc<RulesHandle>>) -> *mut sys::agentsh_ebpf_rules {
        rules.map_or(ptr::null_mut(), |rules| rules.pointer.as_ptr())
    }
}

impl Drop for RulesHandle {
    fn drop(&mut self) {
        // SAFETY: the tracer is open, and there is no other owner. If the call fails, which it does in
        // a forked child, the set is freed together with the tracer.
        unsafe { sys::agentsh_ebpf_rules_free(self.pointer.as_ptr()) };
    }
}

/// A compiled set of rules, which any number of the tracer's sessions can use. The set is freed when the
/// `Rules` was dropped and no session uses it; until then the tracer stays open.
pub struct Rules {
    pub(crate) handle: Arc<RulesHandle>,
    fallback: Option<Error>,
}

impl Tracer {
    /// Compiles rules into a set; agentsh_ebpf_rules_create(3).
    ///
    /// Fails with `EINVAL` if a rule is malformed, with `ENOSPC` if there is no room, and with
    /// `EOPNOTSUPP` if the tracer does not have [`Hooks::RULES`](crate::Hooks::RULES), or lacks what a
    /// flag requires. With [`RulesOptions::on_exhaustion`], look at [`Rules::fallback`] of the result.
    pub fn create_rules(&self, rules: &[Rule], options: RulesOptions) -> Result<Rules> {
        let list = rules
            .iter()
            .map(|rule| rule.to_raw())
            .collect::<Result<Vec<_>>>()?;
        let mut raw = sized!(agentsh_ebpf_rules_options);
        raw.flags = options.flags.bits();
        raw.default_action = options.default_action.map_or(0, RuleAction::raw);
        raw.on_exhaustion = options.on_exhaustion.map_or(0, RuleAction::raw);
        let mut out = ptr::null_mut();
        // SAFETY: the tracer is open, the list has this length, and the pointers are valid during the
        // call.
        let fallback = call_or_fallback(|err| unsafe {
            sys::agentsh_ebpf_rules_create(
                self.handle.pointer(),
                list.as_ptr(),
                list.len(),
                &raw,
                &mut out,
                err,
            )
        })?;
        Ok(Rules {
            handle: Arc::new(RulesHandle {
                pointer: NonNull::new(out).expect("create has succeeded"),
                _tracer: Arc::clone(&self.handle),
            }),
            fallback,
        })
    }
}

impl Rules {
    fn pointer(&self) -> *mut sys::agentsh_ebpf_rules {
        self.handle.pointer.as_ptr()
    }

    /// Why the set has no rules, and denies or allows everything instead, as
    /// [`RulesOptions::on_exhaustion`] says; `None` if it has its rules.
    pub fn fallback(&self) -> Option<&Error> {
        self.fallback.as_ref()
    }

    /// Lists an address for the rules of this `rule_id` that have [`RuleFlags::LISTED`];
    /// agentsh_ebpf_rules_address(3). `None` means that the address stays listed until
    /// [`Rules::unlist_address`]. An address that is listed gets the new time.
    ///
    /// Fails with `ENOENT` if the set has no such rule, with `ENOSPC` if `rules_addresses` is used up,
    /// and with `EINVAL` if the time is 0.
    pub fn list_address(
        &self,
        rule_id: u32,
        ip: IpAddr,
        expires_boottime_ns: Option<u64>,
    ) -> Result<()> {
        match expires_boottime_ns.unwrap_or(u64::MAX) {
            0 => Err(Error::from_errno(EINVAL)), // would remove the address
            expires => self.address(rule_id, ip, expires),
        }
    }

    /// Ends what [`Rules::list_address`] did. Fails with `ENOENT` if the address is not listed.
    pub fn unlist_address(&self, rule_id: u32, ip: IpAddr) -> Result<()> {
        self.address(rule_id, ip, 0)
    }

    fn address(&self, rule_id: u32, ip: IpAddr, expires: u64) -> Result<()> {
        let (family, addr) = octets(ip);
        // SAFETY: the set is valid, and the address has 16 bytes.
        check(unsafe {
            sys::agentsh_ebpf_rules_address(
                self.pointer(),
                rule_id,
                family,
                addr.as_ptr().cast::<c_void>(),
                expires,
            )
        })
        .map(drop)
    }

    /// What the set says of a remote end now, and the rule that decides; 0 if no rule matches.
    /// `protocol` is an `IPPROTO_` value.
    pub fn judge(&self, remote: SocketAddr, protocol: u16) -> Result<(Verdict, u32)> {
        let mut rule_id = 0;
        // SAFETY: the set is valid, and the pointers are valid during the call.
        let verdict = check(unsafe {
            sys::agentsh_ebpf_rules_judge(
                self.pointer(),
                &address(Some(remote)),
                protocol,
                &mut rule_id,
            )
        })?;
        Ok((Verdict::from_raw(verdict), rule_id))
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

impl Session {
    /// Replaces the rules of the session; with `None` it has none. Every call is judged by the old set
    /// or by the new one, and a call that begins after `set_rules` has returned by the new one. A
    /// connection that exists goes on, whatever the new rules say, unless they have
    /// [`RulesFlags::EGRESS`].
    ///
    /// Fails with `EINVAL` if the rules are of another tracer, and with `EOPNOTSUPP` if the tracer does
    /// not have [`Hooks::RULES`](crate::Hooks::RULES). After an error the old rules are in force.
    pub fn set_rules(&self, rules: Option<&Rules>) -> Result<()> {
        let mut new = rules.map(|rules| Arc::clone(&rules.handle));
        let mut used = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the session is attached, and the set is valid.
        call(|err| unsafe {
            sys::agentsh_ebpf_session_set_rules(
                self.pointer.as_ptr(),
                RulesHandle::pointer_of(new.as_ref()),
                err,
            )
        })?;
        mem::swap(&mut *used, &mut new);
        drop(used); // before the old set, which may be freed
        Ok(())
    }
}
