// SPDX-License-Identifier: Apache-2.0
//! Reading events.

use std::io::ErrorKind;
use std::os::raw::c_int;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use agentsh_ebpf_sys as sys;

use crate::error::check;
use crate::{Event, Result, Tracer};

/// The most events that an iteration reads in one call.
const BATCH: usize = 256;

/// Rounds up, so that a wait is not shorter than the timeout. None waits forever.
fn milliseconds(timeout: Option<Duration>) -> c_int {
    match timeout {
        None => -1,
        Some(timeout) => {
            let ns = timeout.as_nanos();
            c_int::try_from((ns + 999_999) / 1_000_000).unwrap_or(c_int::MAX)
        }
    }
}

impl Tracer {
    /// Waits for events, copies them to the beginning of `buf`, and returns their number: 0 after
    /// the timeout or [`Tracer::wake`]. `None` waits forever, and `Duration::ZERO` does not wait.
    ///
    /// Events that an iterator has read, but not returned before it was dropped, come first. The
    /// descriptor of the tracer is not readable because of such events.
    ///
    /// Fails with `EINTR` if a signal interrupted the wait, with `EBUSY` if another thread reads the
    /// tracer, and with `ERANGE` if `buf` is empty. One call returns at most 4096 events.
    pub fn read(&self, buf: &mut [Event], timeout: Option<Duration>) -> Result<usize> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if !unread.is_empty() && !buf.is_empty() {
            let count = buf.len().min(unread.len());
            for (to, from) in buf.iter_mut().zip(unread.drain(..count)) {
                *to = from;
            }
            return Ok(count);
        }
        drop(unread);
        let events = buf.as_mut_ptr().cast::<sys::agentsh_ebpf_event>();
        let timeout = milliseconds(timeout);
        // SAFETY: the tracer is open, and the buffer has this many elements of the same layout.
        let result =
            unsafe { sys::agentsh_ebpf_read(self.handle.pointer(), events, buf.len(), timeout) };
        check(result).map(|count| count as usize)
    }

    /// Iterates over events, which it reads in batches. The iteration ends if no event arrives
    /// within the timeout, or after [`Tracer::wake`]; a later call of `next` waits again. `None` waits
    /// forever, and `Duration::ZERO` ends the iteration when the ring is empty. A wait that a
    /// signal interrupted goes on.
    pub fn events(&self, timeout: Option<Duration>) -> Events<'_> {
        let buffer = vec![Event::default(); BATCH];
        Events {
            tracer: self,
            timeout,
            buffer,
            position: 0,
            count: 0,
        }
    }
}

/// Events of a tracer; see [`Tracer::events`].
pub struct Events<'a> {
    tracer: &'a Tracer,
    timeout: Option<Duration>,
    buffer: Vec<Event>,
    position: usize,
    count: usize,
}

impl Events<'_> {
    /// The events of one read, at least one; `None` if the iteration ends.
    pub fn next_batch(&mut self) -> Result<Option<&[Event]>> {
        if self.position == self.count {
            self.fill()?;
        }
        let batch = &self.buffer[self.position..self.count];
        self.position = self.count;
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// Events that were read and not yet returned.
    pub fn unread(&self) -> &[Event] {
        &self.buffer[self.position..self.count]
    }

    fn fill(&mut self) -> Result<()> {
        (self.position, self.count) = (0, 0);
        let end = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            match self.tracer.read(&mut self.buffer, left) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => {
                    self.count = result?;
                    return Ok(());
                }
            }
        }
    }
}

/// What the iterator has read, but not returned, stays in the tracer for the next read.
impl Drop for Events<'_> {
    fn drop(&mut self) {
        let mut unread = self
            .tracer
            .unread
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for event in self.unread().iter().rev() {
            unread.push_front(*event);
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        if self.position == self.count {
            if let Err(error) = self.fill() {
                return Some(Err(error));
            }
        }
        let event = *self.buffer[..self.count].get(self.position)?;
        self.position += 1;
        Some(Ok(event))
    }
}
