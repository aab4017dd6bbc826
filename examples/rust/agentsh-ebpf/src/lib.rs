// SPDX-License-Identifier: Apache-2.0
//! The network connections of the processes in a cgroup v2, as events: a safe interface to the C
//! library libagentsh-ebpf.
//!
//! ```no_run
//! use agentsh_ebpf::{SessionOptions, Tracer};
//!
//! # fn main() -> Result<(), agentsh_ebpf::Error> {
//! let tracer = Tracer::options().open()?;
//! let _session = tracer.attach_path("/sys/fs/cgroup/my.slice", SessionOptions::default())?;
//! for event in tracer.events(None) {
//!     let event = event?;
//!     println!("{} {:?} {:?}", event.comm_lossy(), event.kind(), event.remote());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The header `<agentsh/ebpf.h>` and the manual pages describe the members of events, the options and
//! the errors; the names here are those of the header.
//!
//! # Threads
//!
//! [`Tracer`], [`Session`] and [`Rules`] are `Send` and `Sync`, because the library allows all calls from any
//! thread. Only one thread at a time may read a tracer: a second thread gets `EBUSY`.
//! [`Tracer::wake`] ends a read that waits. The library closes a tracer when the [`Tracer`] and all its [`Session`]s
//! have been dropped, so no call can use a tracer that is closed.
//!
//! # Fork
//!
//! Only the process that opened a tracer may use it. In a forked child, reading, attaching, checking,
//! injecting and the calls about names and rules fail with `EPERM`; dropping releases the copies that the child has and leaves the
//! sessions of the parent as they are.

mod error;
mod event;
mod name;
mod numbers;
mod probe;
mod read;
mod rules;
mod tracer;

pub use agentsh_ebpf_sys as sys;
pub use error::{Error, Result};
pub use event::Event;
pub use name::{Dns, Name};
pub use numbers::{
    AttachFlags, CgroupMode, Check, DnsFlags, Flags, Hooks, Kind, LogLevel, Mode, NameFlags,
    NameSource, OpenFlags, Path, RuleAction, RuleFlags, RulesFlags, Status, Step, Verdict,
};
pub use probe::{
    cgroup_path, checks_parse, hooks_built, mode_from_env, probe, Capabilities, CheckResult,
    Coverage,
};
pub use read::Events;
pub use rules::{boottime_ns, rules_loopback, rules_resolver, Rule, Rules, RulesOptions};
pub use tracer::{Session, SessionCheck, SessionOptions, Stats, Tracer, TracerOptions};

/// The version of the library, for example "1.0.0".
pub fn version() -> &'static str {
    // SAFETY: no parameters; the result is a static string.
    unsafe { error::static_text(sys::agentsh_ebpf_version()) }
}
