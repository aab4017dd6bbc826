// SPDX-License-Identifier: Apache-2.0
//! Tracers and sessions.

use std::any::Any;
use std::collections::VecDeque;
use std::ffi::CStr;
use std::fs::File;
use std::net::SocketAddr;
use std::os::raw::{c_char, c_int, c_void};
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::path::Path as FilePath;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex};
use std::{fmt, mem};

use agentsh_ebpf_sys as sys;

use crate::error::{call, check};
use crate::name::address;
use crate::rules::RulesHandle;
use crate::{
    AttachFlags, Coverage, Event, Hooks, LogLevel, Mode, OpenFlags, Result, Rules, RulesFlags,
};

/// A struct whose first member is its size, as the library expects; all other members are 0.
macro_rules! sized {
    ($kind:ident) => {{
        // SAFETY: zero is a value of numbers, of pointers and of Option<fn>.
        let mut value: sys::$kind = unsafe { mem::zeroed() };
        value.size = mem::size_of::<sys::$kind>() as u32;
        value
    }};
}
pub(crate) use sized;

/// The pointer to an open tracer. The library closes the tracer when the last owner is dropped.
pub(crate) struct Handle(NonNull<sys::agentsh_ebpf_tracer>);

// SAFETY: the header allows all calls from any thread. A call that must not run beside another one,
// read, returns -EBUSY if it does. Close runs when there is no other owner and so no other call.
unsafe impl Send for Handle {}
unsafe impl Sync for Handle {}

impl Handle {
    pub(crate) fn pointer(&self) -> *mut sys::agentsh_ebpf_tracer {
        self.0.as_ptr()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the tracer is open, and there is no other owner.
        unsafe { sys::agentsh_ebpf_tracer_close(self.pointer()) }
    }
}

/// A set of loaded eBPF programs and one ring buffer.
///
/// The library closes the tracer when the `Tracer` and all its sessions have been dropped.
pub struct Tracer {
    pub(crate) handle: Arc<Handle>,
    /// Events that were read, but not returned.
    pub(crate) unread: Mutex<VecDeque<Event>>,
}

impl Tracer {
    /// Options, with which [`TracerOptions::open`] opens a tracer.
    pub fn options<'a>() -> TracerOptions<'a> {
        TracerOptions {
            raw: sized!(agentsh_ebpf_tracer_options),
            log: None,
        }
    }

    /// The hooks that the tracer has.
    pub fn hooks(&self) -> Hooks {
        // SAFETY: the tracer is open.
        Hooks::from_bits(unsafe { sys::agentsh_ebpf_tracer_hooks(self.handle.pointer()) })
    }

    /// Traces the cgroup v2 whose directory is open, and its descendants;
    /// agentsh_ebpf_session_attach(3).
    pub fn attach(&self, cgroup: impl AsFd, options: SessionOptions) -> Result<Session> {
        self.attach_raw(cgroup.as_fd(), options, None)
    }

    /// Like [`Tracer::attach`], with rules from the first call on, as with [`Session::set_rules`].
    pub fn attach_with_rules(
        &self,
        cgroup: impl AsFd,
        options: SessionOptions,
        rules: &Rules,
    ) -> Result<Session> {
        self.attach_raw(cgroup.as_fd(), options, Some(Arc::clone(&rules.handle)))
    }

    fn attach_raw(
        &self,
        cgroup: BorrowedFd<'_>,
        options: SessionOptions,
        rules: Option<Arc<RulesHandle>>,
    ) -> Result<Session> {
        let mut raw = sized!(agentsh_ebpf_session_options);
        raw.session_id = options.session_id;
        raw.flags = options.flags.bits();
        raw.max_sockets = options.max_sockets;
        raw.names_max = options.names_max;
        raw.names_bytes = options.names_bytes;
        raw.trusted_resolvers = options.trusted_resolvers.map(address);
        raw.rules = RulesHandle::pointer_of(rules.as_ref());
        let fd = cgroup.as_raw_fd();
        let mut out = ptr::null_mut();
        // SAFETY: the tracer is open, and the pointers are valid during the call.
        call(|err| unsafe {
            sys::agentsh_ebpf_session_attach(self.handle.pointer(), fd, &raw, &mut out, err)
        })?;
        let pointer = NonNull::new(out).expect("attach has succeeded");
        Ok(Session {
            pointer,
            handle: Arc::clone(&self.handle),
            session_id: options.session_id,
            rules: Mutex::new(rules),
        })
    }

    /// Like [`Tracer::attach`], with the path of the directory.
    pub fn attach_path(
        &self,
        cgroup: impl AsRef<FilePath>,
        options: SessionOptions,
    ) -> Result<Session> {
        self.attach(&File::open(cgroup)?, options)
    }

    /// Makes the waiting read return; if none is waiting, the next one that would block returns at
    /// once. Also ends an iteration of [`Events`](crate::Events).
    pub fn wake(&self) {
        // SAFETY: the tracer is open. The call fails only without a tracer.
        unsafe { sys::agentsh_ebpf_wake(self.handle.pointer()) };
    }

    /// The counters since the tracer was opened.
    pub fn stats(&self) -> Result<Stats> {
        let mut raw = sized!(agentsh_ebpf_stats);
        // SAFETY: the tracer is open, and the struct has its size.
        check(unsafe { sys::agentsh_ebpf_tracer_stats(self.handle.pointer(), &mut raw) })?;
        Ok(Stats::from(&raw))
    }

    /// Which paths to the network this tracer sees on this kernel, and which ones a set of rules with
    /// these flags can close; agentsh_ebpf_coverage(3). A flag that the tracer does not support has no
    /// effect.
    pub fn coverage(&self, rules_flags: RulesFlags) -> Result<Coverage> {
        let mut raw = sized!(agentsh_ebpf_coverage);
        raw.rules_flags = rules_flags.bits();
        // SAFETY: the tracer is open, and the struct has its size.
        check(unsafe { sys::agentsh_ebpf_coverage(self.handle.pointer(), &mut raw) })?;
        Ok(Coverage {
            count: raw.count,
            seen: raw.seen,
            implied: raw.implied,
            unseen: raw.unseen,
            enforced: raw.enforced,
        })
    }
}

/// The descriptor for an event loop. If it is readable, call [`Tracer::read`] with a timeout of zero;
/// in an edge-triggered loop, repeat the call until it returns 0.
impl AsFd for Tracer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the tracer owns the descriptor, which stays open as long as self exists.
        unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
    }
}

impl AsRawFd for Tracer {
    fn as_raw_fd(&self) -> RawFd {
        // SAFETY: the tracer is open. The call fails only without a tracer.
        unsafe { sys::agentsh_ebpf_fd(self.handle.pointer()) }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("hooks", &self.hooks())
            .finish_non_exhaustive()
    }
}

type Log<'a> = dyn FnMut(LogLevel, &str) + 'a;

/// Options of a tracer. An option that is not set has its default.
pub struct TracerOptions<'a> {
    raw: sys::agentsh_ebpf_tracer_options,
    log: Option<Box<Log<'a>>>,
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $kind:ty => $value:expr,)*) => {
        $($(#[$doc])* #[must_use]
        pub fn $name(mut self, $name: $kind) -> Self {
            self.raw.$name = $value;
            self
        })*
    };
}

impl<'a> TracerOptions<'a> {
    options! {
        mode: Mode => mode.raw(),
        hooks: Hooks => hooks.bits(),
        required_hooks: Hooks => required_hooks.bits(),
        flags: OpenFlags => flags.bits(),
        /// Bytes; a power of two.
        ring_size: u32 => ring_size,
        /// Percent.
        ring_quota: u32 => ring_quota,
        max_sessions: u32 => max_sessions,
        max_sockets: u32 => max_sockets,
        udp_dedup_entries: u32 => udp_dedup_entries,
        wakeup_delay_us: u32 => wakeup_delay_us,
        check_interval_ms: u32 => check_interval_ms,
        progress_interval_ms: u32 => progress_interval_ms,
        dns_timeout_ms: u32 => dns_timeout_ms,
        /// Ports of name servers besides 53; 0 marks an unused element.
        dns_ports: [u16; 4] => dns_ports,
        /// Bytes of kernel memory for the compiled rules of all sets together.
        rules_bytes: u32 => rules_bytes,
        /// Number of addresses that all sets together can list.
        rules_addresses: u32 => rules_addresses,
        /// For tests: a mask of [`Check::mask`](crate::Check::mask).
        simulate_missing: u64 => simulate_missing,
    }

    /// Receives each message of the library and of libbpf while the tracer is being opened. The
    /// function must not call the library.
    #[must_use]
    pub fn log(mut self, log: impl FnMut(LogLevel, &str) + 'a) -> Self {
        self.log = Some(Box::new(log));
        self
    }

    /// Loads the programs and creates the ring; agentsh_ebpf_tracer_open(3).
    pub fn open(mut self) -> Result<Tracer> {
        let mut logger = Logger {
            log: self.log.take(),
            panic: None,
        };
        if logger.log.is_some() {
            self.raw.on_log = Some(on_log);
            self.raw.log_ctx = (&mut logger as *mut Logger<'_>).cast();
        }
        let mut out = ptr::null_mut();
        // SAFETY: the pointers are valid during the call, and the library uses them no longer.
        let result = call(|err| unsafe { sys::agentsh_ebpf_tracer_open(&self.raw, &mut out, err) });
        let tracer = NonNull::new(out).map(|pointer| Tracer {
            handle: Arc::new(Handle(pointer)),
            unread: Mutex::default(),
        });
        if let Some(panic) = logger.panic {
            resume_unwind(panic);
        }
        result.map(|()| tracer.expect("open has succeeded"))
    }
}

struct Logger<'a> {
    log: Option<Box<Log<'a>>>,
    panic: Option<Box<dyn Any + Send>>,
}

/// A panic must not unwind through the library, so it is resumed after the call.
unsafe extern "C" fn on_log(ctx: *mut c_void, level: c_int, text: *const c_char) {
    // SAFETY: the context is the Logger of open(), which runs in this thread.
    let logger = &mut *ctx.cast::<Logger<'_>>();
    if let (Some(log), None) = (&mut logger.log, &logger.panic) {
        let text = CStr::from_ptr(text).to_string_lossy();
        let level = LogLevel::from_raw(level as u32);
        logger.panic = catch_unwind(AssertUnwindSafe(|| log(level, &text))).err();
    }
}

/// Options of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// A number that the host chooses, repeated in every event.
    pub session_id: u64,
    pub flags: AttachFlags,
    /// 0 selects the default.
    pub max_sockets: u32,
    /// The number of addresses and sockets whose names are kept; 0 selects the default.
    pub names_max: u32,
    /// The bytes of text of these names; 0 selects the default.
    pub names_bytes: u32,
    /// Name servers whose answers give names; port 0 means any port. If there is none, every name server
    /// is trusted, which a watched process may run itself.
    pub trusted_resolvers: [Option<SocketAddr>; 4],
}

impl From<u64> for SessionOptions {
    fn from(session_id: u64) -> SessionOptions {
        SessionOptions {
            session_id,
            ..SessionOptions::default()
        }
    }
}

/// One attached cgroup. Dropping the session detaches it; its unread events are still delivered.
pub struct Session {
    pub(crate) pointer: NonNull<sys::agentsh_ebpf_session>,
    handle: Arc<Handle>,
    session_id: u64,
    /// The set that the session uses, which stays valid as long as it is here.
    pub(crate) rules: Mutex<Option<Arc<RulesHandle>>>,
}

// SAFETY: the header allows all calls with a session from any thread. The session keeps its tracer
// open, and it is detached by its only owner.
unsafe impl Send for Session {}
unsafe impl Sync for Session {}

impl Session {
    pub fn session_id(&self) -> u64 {
        self.session_id
    }

    /// Stops tracing; agentsh_ebpf_session_detach(3). Dropping the session does the same, but
    /// ignores an error.
    pub fn detach(self) -> Result<()> {
        let pointer = self.pointer.as_ptr();
        // Not Drop, which would detach again; the owner of the tracer is still released.
        let mut session = mem::ManuallyDrop::new(self);
        // SAFETY: the session is attached, and self is its only owner.
        let result = check(unsafe { sys::agentsh_ebpf_session_detach(pointer) });
        // SAFETY: the members are dropped once, because ManuallyDrop drops none. The session does not
        // use its rules any more.
        unsafe {
            ptr::drop_in_place(&mut session.rules);
            ptr::drop_in_place(&mut session.handle);
        }
        result.map(drop)
    }

    /// The counters since the session was attached.
    pub fn stats(&self) -> Result<Stats> {
        let mut raw = sized!(agentsh_ebpf_stats);
        // SAFETY: the session is attached, and the struct has its size.
        check(unsafe { sys::agentsh_ebpf_session_stats(self.pointer.as_ptr(), &mut raw) })?;
        Ok(Stats::from(&raw))
    }

    /// Asks the kernel what the session still sees; agentsh_ebpf_session_check(3).
    pub fn check(&self) -> Result<SessionCheck> {
        let mut raw = sized!(agentsh_ebpf_session_check);
        // SAFETY: the session is attached, and the struct has its size.
        check(unsafe { sys::agentsh_ebpf_session_check(self.pointer.as_ptr(), &mut raw) })?;
        Ok(SessionCheck {
            hooks: Hooks::from_bits(raw.hooks),
            error: raw.error,
            wanted: raw.wanted,
            attached: raw.attached,
            effective: raw.effective,
        })
    }

    /// Puts a copy of the event into a tracer of [`Mode::SYNTHETIC`]; agentsh_ebpf_inject(3).
    pub fn inject(&self, event: &Event) -> Result<()> {
        // SAFETY: the session is attached, and the pointer is that of an event.
        check(unsafe { sys::agentsh_ebpf_inject(self.pointer.as_ptr(), event.as_raw()) }).map(drop)
    }

    /// Whether the session belongs to this tracer.
    pub fn is_of(&self, tracer: &Tracer) -> bool {
        Arc::ptr_eq(&self.handle, &tracer.handle)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the session is attached, and self is its only owner.
        unsafe { sys::agentsh_ebpf_session_detach(self.pointer.as_ptr()) };
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("session_id", &self.session_id)
            .finish_non_exhaustive()
    }
}

/// What a session still sees. The masks have the bits [`Check::mask`](crate::Check::mask).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionCheck {
    pub hooks: Hooks,
    /// 0, or a positive errno value: the reason for the loss.
    pub error: i32,
    pub wanted: u64,
    pub attached: u64,
    pub effective: u64,
}

/// The counters of a tracer or a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
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

impl Stats {
    fn from(raw: &sys::agentsh_ebpf_stats) -> Stats {
        Stats {
            sessions: raw.sessions,
            delivered: raw.delivered,
            lost: raw.lost,
            lost_quota: raw.lost_quota,
            deduplicated: raw.deduplicated,
            attach_failures: raw.attach_failures,
            malformed: raw.malformed,
            untracked: raw.untracked,
            packets_lost: raw.packets_lost,
            answers: raw.answers,
            answers_unasked: raw.answers_unasked,
            answers_untrusted: raw.answers_untrusted,
            answers_malformed: raw.answers_malformed,
            messages_skipped: raw.messages_skipped,
            names_evicted: raw.names_evicted,
            allowed: raw.allowed,
            denied: raw.denied,
            would_deny: raw.would_deny,
            packets_denied: raw.packets_denied,
            packets_would_deny: raw.packets_would_deny,
        }
    }
}
