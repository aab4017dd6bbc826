// SPDX-License-Identifier: Apache-2.0
//! Errors, and texts of the library.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int};
use std::{fmt, io, mem};

use agentsh_ebpf_sys as sys;

use crate::Step;

pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    errno: i32,
    step: Step,
    message: String,
}

impl Error {
    /// The positive errno value, for example 1 for `EPERM`.
    pub fn raw_os_error(&self) -> i32 {
        self.errno
    }

    pub fn kind(&self) -> io::ErrorKind {
        io::Error::from_raw_os_error(self.errno).kind()
    }

    /// The step that failed.
    pub fn step(&self) -> Step {
        self.step
    }

    /// One line: what failed, with which value, and the remedy.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn from_errno(errno: i32) -> Error {
        let message = io::Error::from_raw_os_error(errno).to_string();
        Error {
            errno,
            step: Step::NONE,
            message,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

impl From<io::Error> for Error {
    /// An error without errno becomes `EIO`.
    fn from(error: io::Error) -> Error {
        const EIO: i32 = 5;
        let errno = error.raw_os_error().unwrap_or(EIO);
        Error {
            errno,
            step: Step::NONE,
            message: error.to_string(),
        }
    }
}

/// The result of a call without a struct for errors: 0 or a count, or a negative errno value.
pub(crate) fn check(result: c_int) -> Result<u32> {
    u32::try_from(result).map_err(|_| Error::from_errno(-result))
}

/// Calls a function that fills a struct for errors.
pub(crate) fn call(f: impl FnOnce(*mut sys::agentsh_ebpf_error) -> c_int) -> Result<()> {
    call_or_fallback(f).map(drop)
}

/// Like [`call`]. If the function has done something else instead, and so returns a positive number,
/// the result has the reason.
pub(crate) fn call_or_fallback(
    f: impl FnOnce(*mut sys::agentsh_ebpf_error) -> c_int,
) -> Result<Option<Error>> {
    // SAFETY: all members are numbers, for which zero is a value.
    let mut err: sys::agentsh_ebpf_error = unsafe { mem::zeroed() };
    err.size = mem::size_of_val(&err) as u32;
    let result = f(&mut err);
    if result == 0 {
        return Ok(None);
    }
    let message = text(&err.message);
    if result < 0 && (err.code != result || message.is_empty()) {
        return Err(Error::from_errno(-result));
    }
    let error = Error {
        errno: -err.code,
        step: Step::from_raw(err.step),
        message,
    };
    if result < 0 {
        Err(error)
    } else {
        Ok(Some(error))
    }
}

/// The bytes of a text of the library up to its NUL, or all of them.
pub(crate) fn bytes(array: &[c_char]) -> &[u8] {
    // SAFETY: c_char and u8 have the same size and alignment, and all bits are values of both.
    let all = unsafe { std::slice::from_raw_parts(array.as_ptr().cast::<u8>(), array.len()) };
    let length = all.iter().position(|byte| *byte == 0).unwrap_or(all.len());
    &all[..length]
}

pub(crate) fn text(array: &[c_char]) -> String {
    String::from_utf8_lossy(bytes(array)).into_owned()
}

/// # Safety
/// The pointer is that of a NUL-terminated string in static storage.
pub(crate) unsafe fn static_text(pointer: *const c_char) -> &'static str {
    CStr::from_ptr(pointer).to_str().unwrap_or("")
}
