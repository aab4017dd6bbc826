// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

// #include <agentsh/ebpf.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// batch is the number of events that Events reads at a time.
const batch = 256

// reader is the state of the one goroutine that reads.
type reader struct {
	busy atomic.Bool
	// Events that Events has read, but not yielded.
	rest []Event
	// Arguments and results of attempt, which waits for events as a method value that is made
	// once, so that a wait allocates nothing.
	attempt func(fd uintptr) bool
	events  []Event
	n       int
	err     error
}

// openFile gives a duplicate of the tracer's descriptor to the network poller of the runtime.
func (t *Tracer) openFile() error {
	fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(C.agentsh_ebpf_fd(t.c)), syscall.F_DUPFD_CLOEXEC, 3)
	if errno != 0 {
		return &Error{Op: "open", Errno: errno, Step: StepEventFD}
	}
	// os.NewFile uses the poller only for a non-blocking descriptor.
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		syscall.Close(int(fd))
		return fmt.Errorf("agentshebpf: open: %w", err)
	}
	t.file = os.NewFile(fd, "agentsh-ebpf")
	raw, err := t.file.SyscallConn()
	if err == nil {
		err = t.file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		t.file.Close()
		return fmt.Errorf("agentshebpf: open: the descriptor cannot be polled: %w", err)
	}
	t.raw = raw
	t.reader.attempt = t.attempt
	return nil
}

// Read waits for events and copies up to len(events) of them; at most 4096 per call. It returns
// their number, which is 0 without an error only after Wake. It returns ctx.Err() if ctx is done,
// and ErrClosed if the tracer is closed meanwhile. Events that were not read remain for the next
// call.
func (t *Tracer) Read(ctx context.Context, events []Event) (int, error) {
	if len(events) == 0 {
		return 0, &Error{Op: "read", Errno: syscall.ERANGE}
	}
	if err := t.startReading(); err != nil {
		return 0, err
	}
	defer t.reader.busy.Store(false)
	return t.read(ctx, events)
}

// TryRead is as Read, but does not wait: it returns 0 if there are no events.
func (t *Tracer) TryRead(events []Event) (int, error) {
	if len(events) == 0 {
		return 0, &Error{Op: "read", Errno: syscall.ERANGE}
	}
	if err := t.startReading(); err != nil {
		return 0, err
	}
	defer t.reader.busy.Store(false)
	return t.tryRead(events)
}

// Events returns an iterator over the events. The iteration ends when a read fails: the last pair
// has the error (ctx.Err() or ErrClosed) and no event. If the loop is left earlier, also by a
// panic, the events that were not yielded remain for the next Read or Events. No other goroutine can
// read during the loop.
func (t *Tracer) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := t.startReading(); err != nil {
			yield(Event{}, err)
			return
		}
		defer t.reader.busy.Store(false)
		defer t.interruptWhenDone(ctx)()
		events := make([]Event, batch)
		var unseen []Event
		// Deferred, because the loop may also end by a panic.
		defer func() {
			if len(unseen) > 0 {
				t.reader.rest = append(unseen[:len(unseen):len(unseen)], t.reader.rest...)
			}
		}()
		for {
			n, err := t.wait(ctx, events)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for unseen = events[:n]; len(unseen) > 0; {
				event := &unseen[0]
				unseen = unseen[1:]
				if !yield(*event, nil) {
					return
				}
			}
		}
	}
}

// Wake makes the waiting Read return; if none is waiting, the next Read that would wait returns at
// once. An iteration of Events continues.
func (t *Tracer) Wake() error {
	if err := t.lock(); err != nil {
		return err
	}
	defer t.mu.RUnlock()
	t.woken.Store(true)
	return toError("wake", C.agentsh_ebpf_wake(t.c), nil)
}

func (t *Tracer) startReading() error {
	if t.reader.busy.Swap(true) {
		return &Error{Op: "read", Errno: syscall.EBUSY}
	}
	return nil
}

func (t *Tracer) read(ctx context.Context, events []Event) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	// In a busy tracer most calls end here, without the cost of preparing to wait.
	if n, err := t.tryRead(events); n > 0 || err != nil {
		return n, err
	}
	defer t.interruptWhenDone(ctx)()
	return t.wait(ctx, events)
}

// interruptWhenDone makes a wait end when ctx is done. The caller calls the result after the wait.
func (t *Tracer) interruptWhenDone(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { t.file.SetReadDeadline(time.Unix(1, 0)) })
}

// wait waits in the network poller. The poller is edge-triggered: it remembers an edge since the
// last attempt, so a wait must follow an attempt that has found nothing.
func (t *Tracer) wait(ctx context.Context, events []Event) (int, error) {
	r := &t.reader
	for {
		// Also ends the effect of an earlier context. If it ends that of this context, ctx is done.
		t.file.SetReadDeadline(time.Time{})
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		r.events, r.n, r.err = events, 0, nil
		err := t.raw.Read(r.attempt)
		r.events = nil
		switch {
		case err == nil:
			return r.n, r.err
		case t.closed.Load():
			return 0, ErrClosed
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, fmt.Errorf("agentshebpf: read: %w", err)
		}
	}
}

// attempt reads into r.events. It returns false if there is nothing to return yet.
func (t *Tracer) attempt(uintptr) bool {
	r := &t.reader
	r.n, r.err = t.tryRead(r.events)
	return r.n > 0 || r.err != nil || t.woken.Swap(false)
}

func (t *Tracer) tryRead(events []Event) (int, error) {
	if err := t.lock(); err != nil {
		return 0, err
	}
	defer t.mu.RUnlock()
	if n := copy(events, t.reader.rest); n > 0 {
		t.reader.rest = t.reader.rest[n:]
		return n, nil
	}
	ret := C.agentsh_ebpf_read(t.c, (*C.struct_agentsh_ebpf_event)(unsafe.Pointer(&events[0])),
		C.size_t(len(events)), 0)
	if ret == -C.int(syscall.EINTR) {
		ret = 0
	}
	return int(max(ret, 0)), toError("read", ret, nil)
}
