// SPDX-License-Identifier: Apache-2.0
//! What this machine can do.

use std::ffi::{CString, OsStr, OsString};
use std::mem;
use std::os::raw::c_char;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use agentsh_ebpf_sys as sys;

use crate::error::{bytes, call, check, text, Error};
use crate::tracer::sized;
use crate::{CgroupMode, Check, Hooks, Mode, Path, Result, Status};

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckResult {
    pub check: Check,
    pub status: Status,
    /// Positive errno value; 0 if there was no error.
    pub error: i32,
    /// Whether nothing can be traced when this check fails.
    pub required: bool,
    pub value: u64,
    pub detail: String,
}

/// What this machine can trace. The masks have the bits [`Check::mask`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    pub usable: bool,
    /// Why this machine cannot trace, with the remedy; empty if it can.
    pub reason: String,
    pub available: u64,
    pub missing: u64,
    pub hooks: Hooks,
    /// Major, minor, patch.
    pub kernel_version: (u32, u32, u32),
    pub kernel_release: String,
    pub max_sessions: u32,
    pub cgroup_mode: CgroupMode,
    /// Empty if no cgroup v2 is mounted.
    pub cgroup2_path: PathBuf,
    /// Empty if the caller's own cgroup is not visible.
    pub cgroup_path: PathBuf,
    pub load_only: bool,
    pub checks: Vec<CheckResult>,
}

fn path(array: &[c_char]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes(array)))
}

/// Finds out what this machine can trace; agentsh_ebpf_capability_probe(3). Requires no privilege.
/// `simulate_missing` is a mask of checks to treat as missing, normally 0.
pub fn probe(simulate_missing: u64) -> Result<Capabilities> {
    let mut raw = sized!(agentsh_ebpf_capabilities);
    raw.simulate_missing = simulate_missing;
    // SAFETY: the struct has its size.
    check(unsafe { sys::agentsh_ebpf_capability_probe(&mut raw) })?;
    let kernel = raw.kernel_version;
    Ok(Capabilities {
        usable: raw.usable != 0,
        reason: text(&raw.reason),
        available: raw.available,
        missing: raw.missing,
        hooks: Hooks::from_bits(raw.hooks),
        kernel_version: (kernel >> 16, kernel >> 8 & 255, kernel & 255),
        kernel_release: text(&raw.kernel_release),
        max_sessions: raw.max_sessions,
        cgroup_mode: CgroupMode::from_raw(raw.cgroup_mode),
        cgroup2_path: path(&raw.cgroup2_path),
        cgroup_path: path(&raw.cgroup_path),
        load_only: raw.load_only != 0,
        checks: (0..)
            .zip(raw.checks.iter().take(raw.count as usize))
            .map(|(number, check)| CheckResult {
                check: Check::from_raw(number),
                status: Status::from_raw(check.status),
                error: check.error,
                required: check.required != 0,
                value: check.value,
                detail: text(&check.detail),
            })
            .collect(),
    })
}

/// Which paths to the network a tracer sees, and which ones rules can close. The masks have the bits
/// [`Path::mask`]; each path is in exactly one of `seen`, `implied` and `unseen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// Number of paths that the library knows.
    pub count: u32,
    pub seen: u64,
    pub implied: u64,
    pub unseen: u64,
    /// Paths that the rules of a session close if they deny the destination, or that
    /// [`RulesFlags::STRICT_SOCKETS`](crate::RulesFlags::STRICT_SOCKETS) closes.
    pub enforced: u64,
}

impl Coverage {
    /// All paths that the library knows.
    pub fn paths(&self) -> impl Iterator<Item = Path> {
        (0..self.count).map(Path::from_raw)
    }
}

fn c_string(value: &str) -> Result<CString> {
    const EINVAL: i32 = 22;
    CString::new(value).map_err(|_| Error::from_errno(EINVAL))
}

/// Converts names of checks, separated by commas, to a mask for `simulate_missing`.
pub fn checks_parse(names: &str) -> Result<u64> {
    let names = c_string(names)?;
    let mut mask = 0;
    // SAFETY: the pointers are valid during the call.
    call(|err| unsafe { sys::agentsh_ebpf_checks_parse(names.as_ptr(), &mut mask, err) })?;
    Ok(mask)
}

/// The directory in which a host can create the cgroups of its sessions.
pub fn cgroup_path() -> Result<PathBuf> {
    let mut buffer: Vec<u8> = vec![0; 4096];
    // SAFETY: the buffer has this size.
    check(unsafe { sys::agentsh_ebpf_cgroup_path(buffer.as_mut_ptr().cast(), buffer.len()) })?;
    let length = buffer
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(buffer.len());
    buffer.truncate(length);
    Ok(PathBuf::from(OsString::from_vec(buffer)))
}

/// The mode that an operator has chosen in the environment, or `mode`, and a mask for
/// `simulate_missing`, normally 0; agentsh_ebpf_mode_from_env(3). As with all readers of the
/// environment in C, no other thread may change the environment during the call.
pub fn mode_from_env(mode: Mode) -> Result<(Mode, u64)> {
    let (mut number, mut mask) = (mode.raw(), 0);
    // SAFETY: the pointers are valid during the call.
    call(|err| unsafe { sys::agentsh_ebpf_mode_from_env(&mut number, &mut mask, err) })?;
    Ok((Mode::from_raw(number), mask))
}

/// The hooks that the library was built with.
pub fn hooks_built() -> Hooks {
    // SAFETY: no parameters.
    Hooks::from_bits(unsafe { sys::agentsh_ebpf_hooks_built() })
}
