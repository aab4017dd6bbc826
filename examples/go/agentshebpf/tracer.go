// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

/*
#include <stdlib.h>
#include <string.h>

#include <agentsh/ebpf.h>

// The messages of one open, so that C never calls Go.
struct log_messages {
	size_t size;
	char *text; // level digit, message, NUL, ...
};

static void log_add(void *ctx, int level, const char *text)
{
	struct log_messages *log = ctx;
	size_t n = strlen(text) + 2;
	char *grown = realloc(log->text, log->size + n);

	if (!grown)
		return;
	log->text = grown;
	grown[log->size] = (char)('0' + level);
	memcpy(grown + log->size + 1, text, n - 1);
	log->size += n;
}

static void log_to(struct agentsh_ebpf_tracer_options *opts, struct log_messages *log)
{
	opts->on_log = log_add;
	opts->log_ctx = log;
}
*/
import "C"

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Tracer is a set of loaded eBPF programs and one ring buffer.
type Tracer struct {
	// Calls of the library hold mu for reading, so that Close waits for them.
	mu sync.RWMutex
	c  *C.struct_agentsh_ebpf_tracer // nil after Close
	// A duplicate of the tracer's descriptor, because os.File closes its descriptor.
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
	woken  atomic.Bool
	reader reader
	names  names
}

// Session is one attached cgroup, including its descendants.
type Session struct {
	tracer *Tracer
	c      *C.struct_agentsh_ebpf_session
	id     uint64
}

// Open loads the programs and creates the ring. It requires CAP_BPF and CAP_NET_ADMIN, or
// CAP_SYS_ADMIN, except with ModeSynthetic. The caller must Close the tracer. If the machine cannot
// trace, the error tells why and what to do.
func Open(opts Options) (*Tracer, error) {
	// In C memory, because the log callback writes to it during the call.
	log := (*C.struct_log_messages)(C.calloc(1, C.sizeof_struct_log_messages))
	if log == nil {
		return nil, &Error{Op: "open", Errno: syscall.ENOMEM, Step: StepMemory}
	}
	defer C.free(unsafe.Pointer(log))
	defer func() { C.free(unsafe.Pointer(log.text)) }()

	if err := atMost("open", "DNSPorts", len(opts.DNSPorts), 4); err != nil {
		return nil, err
	}
	c := opts.toC()
	if opts.OnLog != nil {
		C.log_to(&c, log)
	}
	t := new(Tracer)
	cerr := newError()
	ret := C.agentsh_ebpf_tracer_open(&c, &t.c, &cerr)
	if opts.OnLog != nil {
		for _, line := range bytes.Split(C.GoBytes(unsafe.Pointer(log.text), C.int(log.size)), []byte{0}) {
			if len(line) > 0 {
				opts.OnLog(LogLevel(line[0]-'0'), string(line[1:]))
			}
		}
	}
	if ret != 0 {
		return nil, toError("open", ret, &cerr)
	}
	if err := t.openFile(); err != nil {
		C.agentsh_ebpf_tracer_close(t.c)
		return nil, err
	}
	return t, nil
}

func (o *Options) toC() C.struct_agentsh_ebpf_tracer_options {
	c := C.struct_agentsh_ebpf_tracer_options{
		size:                 C.sizeof_struct_agentsh_ebpf_tracer_options,
		mode:                 C.uint32_t(o.Mode),
		hooks:                C.uint32_t(o.Hooks),
		flags:                C.uint32_t(o.Flags),
		ring_size:            C.uint32_t(o.RingSize),
		ring_quota:           C.uint32_t(o.RingQuota),
		max_sessions:         C.uint32_t(o.MaxSessions),
		udp_dedup_entries:    C.uint32_t(o.UDPDedupEntries),
		simulate_missing:     C.uint64_t(o.SimulateMissing),
		wakeup_delay_us:      units(o.WakeupDelay, time.Microsecond),
		required_hooks:       C.uint32_t(o.RequiredHooks),
		max_sockets:          C.uint32_t(o.MaxSockets),
		check_interval_ms:    units(o.CheckInterval, time.Millisecond),
		progress_interval_ms: units(o.ProgressInterval, time.Millisecond),
		dns_timeout_ms:       units(o.DNSTimeout, time.Millisecond),
		rules_bytes:          C.uint32_t(o.RulesBytes),
		rules_addresses:      C.uint32_t(o.RulesAddresses),
	}
	for i, port := range o.DNSPorts {
		c.dns_ports[i] = C.uint16_t(port)
	}
	if o.CheckInterval < 0 {
		c.check_interval_ms = math.MaxUint32
	}
	return c
}

// units converts a duration to a whole number of units of at least 1 if d is not 0. A duration
// that the member cannot hold becomes a number that the library refuses.
func units(d, unit time.Duration) C.uint32_t {
	switch {
	case d == 0:
		return 0
	case d < 0 || d/unit > math.MaxUint32-1:
		return math.MaxUint32 - 1
	case d < unit:
		return 1
	}
	return C.uint32_t(d / unit)
}

// Close detaches all sessions, discards unread events and frees the tracer. A reader that waits
// returns ErrClosed; other calls that are running end first. A second Close returns ErrClosed.
func (t *Tracer) Close() error {
	if t.closed.Swap(true) {
		return ErrClosed
	}
	t.file.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	C.agentsh_ebpf_tracer_close(t.c)
	t.c = nil
	return nil
}

// lock returns ErrClosed, or keeps Close waiting until the caller unlocks t.mu for reading.
func (t *Tracer) lock() error {
	if t.closed.Load() {
		return ErrClosed
	}
	t.mu.RLock()
	if t.c == nil {
		t.mu.RUnlock()
		return ErrClosed
	}
	return nil
}

// Hooks returns the hooks that the tracer has; 0 after Close.
func (t *Tracer) Hooks() Hooks {
	if t.lock() != nil {
		return 0
	}
	defer t.mu.RUnlock()
	return Hooks(C.agentsh_ebpf_tracer_hooks(t.c))
}

// Attach traces the cgroup v2 whose directory is open as cgroup, and all its descendants. The
// caller may close the file after the call. Network calls that begin after Attach has returned are
// traced.
func (t *Tracer) Attach(cgroup *os.File, opts SessionOptions) (*Session, error) {
	if err := t.lock(); err != nil {
		return nil, err
	}
	defer t.mu.RUnlock()
	notOpen := func(err error) error {
		return &Error{Op: "attach", Errno: syscall.EBADF, Step: StepCgroup, Message: "the cgroup's file: " + err.Error()}
	}
	conn, err := cgroup.SyscallConn()
	if err != nil {
		return nil, notOpen(err)
	}
	c := C.struct_agentsh_ebpf_session_options{
		size:        C.sizeof_struct_agentsh_ebpf_session_options,
		flags:       C.uint32_t(opts.Flags),
		session_id:  C.uint64_t(opts.ID),
		max_sockets: C.uint32_t(opts.MaxSockets),
		names_max:   C.uint32_t(opts.NamesMax),
		names_bytes: C.uint32_t(opts.NamesBytes),
	}
	if err := atMost("attach", "TrustedResolvers", len(opts.TrustedResolvers), len(c.trusted_resolvers)); err != nil {
		return nil, err
	}
	for i, server := range opts.TrustedResolvers {
		if !server.Addr().IsValid() { // would be an unused element, and so trust every name server
			return nil, &Error{Op: "attach", Errno: syscall.EINVAL, Step: StepOptions,
				Message: "an element of TrustedResolvers is no address"}
		}
		c.trusted_resolvers[i] = toAddress(server)
	}
	rules, unlock, err := opts.Rules.use(t, "attach")
	if err != nil {
		return nil, err
	}
	defer unlock()
	c.rules = rules
	s := &Session{tracer: t, id: opts.ID}
	cerr := newError()
	var ret C.int
	err = conn.Control(func(fd uintptr) {
		ret = C.agentsh_ebpf_session_attach(t.c, C.int(fd), &c, &s.c, &cerr)
	})
	if err != nil {
		return nil, notOpen(err)
	}
	if ret != 0 {
		return nil, toError("attach", ret, &cerr)
	}
	return s, nil
}

// ID returns the number that the host chose in SessionOptions.
func (s *Session) ID() uint64 { return s.id }

// Detach stops tracing and frees the session. The session's unread events are delivered by later
// reads. A second Detach returns an error that is syscall.EINVAL.
func (s *Session) Detach() error {
	if err := s.tracer.lock(); err != nil {
		return err
	}
	defer s.tracer.mu.RUnlock()
	return toError("detach", C.agentsh_ebpf_session_detach(s.c), nil)
}

// Check asks the kernel whether the session still sees everything that it was attached for. It
// returns an error that is syscall.EOPNOTSUPP for a synthetic tracer.
func (s *Session) Check() (SessionCheck, error) {
	if err := s.tracer.lock(); err != nil {
		return SessionCheck{}, err
	}
	defer s.tracer.mu.RUnlock()
	c := C.struct_agentsh_ebpf_session_check{size: C.sizeof_struct_agentsh_ebpf_session_check}
	if err := toError("check", C.agentsh_ebpf_session_check(s.c, &c), nil); err != nil {
		return SessionCheck{}, err
	}
	return SessionCheck{
		Hooks:     Hooks(c.hooks),
		Err:       errno(c.error),
		Wanted:    CheckSet(c.wanted),
		Attached:  CheckSet(c.attached),
		Effective: CheckSet(c.effective),
	}, nil
}

// Inject puts a copy of an event into a tracer of ModeSynthetic, for tests of a host. The library
// sets SessionID and SessionLost, and TimestampNs if it is 0. An error that is syscall.ENOBUFS
// means that the event did not fit and was counted as lost.
func (s *Session) Inject(event *Event) error {
	if err := s.tracer.lock(); err != nil {
		return err
	}
	defer s.tracer.mu.RUnlock()
	return toError("inject", C.agentsh_ebpf_inject(s.c, (*C.struct_agentsh_ebpf_event)(unsafe.Pointer(event))), nil)
}

// Stats returns the counters of the tracer, without a system call.
func (t *Tracer) Stats() (Stats, error) {
	if err := t.lock(); err != nil {
		return Stats{}, err
	}
	defer t.mu.RUnlock()
	c := C.struct_agentsh_ebpf_stats{size: C.sizeof_struct_agentsh_ebpf_stats}
	err := toError("stats", C.agentsh_ebpf_tracer_stats(t.c, &c), nil)
	return toStats(&c), err
}

// Stats returns the counters of the session, without a system call. After Detach it returns an
// error that is syscall.EINVAL.
func (s *Session) Stats() (Stats, error) {
	if err := s.tracer.lock(); err != nil {
		return Stats{}, err
	}
	defer s.tracer.mu.RUnlock()
	c := C.struct_agentsh_ebpf_stats{size: C.sizeof_struct_agentsh_ebpf_stats}
	err := toError("stats", C.agentsh_ebpf_session_stats(s.c, &c), nil)
	return toStats(&c), err
}

func toStats(c *C.struct_agentsh_ebpf_stats) Stats {
	return Stats{
		Sessions:       uint32(c.sessions),
		Delivered:      uint64(c.delivered),
		Lost:           uint64(c.lost),
		LostQuota:      uint64(c.lost_quota),
		Deduplicated:   uint64(c.deduplicated),
		AttachFailures: uint64(c.attach_failures),
		Malformed:      uint64(c.malformed),
		Untracked:      uint64(c.untracked),

		PacketsLost:      uint64(c.packets_lost),
		Answers:          uint64(c.answers),
		AnswersUnasked:   uint64(c.answers_unasked),
		AnswersUntrusted: uint64(c.answers_untrusted),
		AnswersMalformed: uint64(c.answers_malformed),
		MessagesSkipped:  uint64(c.messages_skipped),
		NamesEvicted:     uint64(c.names_evicted),

		Allowed:   uint64(c.allowed),
		Denied:    uint64(c.denied),
		WouldDeny: uint64(c.would_deny),

		PacketsDenied:    uint64(c.packets_denied),
		PacketsWouldDeny: uint64(c.packets_would_deny),
	}
}

// Coverage tells which paths to the network this tracer sees on this kernel, and which ones a set of
// rules with these flags can close. A flag that the tracer does not support has no effect. It returns
// an error that is syscall.EOPNOTSUPP for a synthetic tracer, and syscall.EINVAL for an unknown flag.
func (t *Tracer) Coverage(flags RulesFlags) (Coverage, error) {
	if err := t.lock(); err != nil {
		return Coverage{}, err
	}
	defer t.mu.RUnlock()
	c := C.struct_agentsh_ebpf_coverage{
		size:        C.sizeof_struct_agentsh_ebpf_coverage,
		rules_flags: C.uint32_t(flags),
	}
	if err := toError("coverage", C.agentsh_ebpf_coverage(t.c, &c), nil); err != nil {
		return Coverage{}, err
	}
	return Coverage{
		Count:    uint32(c.count),
		Seen:     PathSet(c.seen),
		Implied:  PathSet(c.implied),
		Unseen:   PathSet(c.unseen),
		Enforced: PathSet(c.enforced),
	}, nil
}

// atMost returns an error if an option has more elements than the library takes.
func atMost(op, option string, n, most int) error {
	if n <= most {
		return nil
	}
	return &Error{Op: op, Errno: syscall.EINVAL, Step: StepOptions,
		Message: fmt.Sprintf("%s has %d elements; at most %d are possible", option, n, most)}
}

func newError() C.struct_agentsh_ebpf_error {
	return C.struct_agentsh_ebpf_error{size: C.sizeof_struct_agentsh_ebpf_error}
}

// toError converts the result of a call, and what c adds to it, if it is not nil.
func toError(op string, ret C.int, c *C.struct_agentsh_ebpf_error) error {
	if ret >= 0 {
		return nil
	}
	e := &Error{Op: op, Errno: syscall.Errno(-ret)}
	if c != nil && c.code == C.int32_t(ret) {
		e.Step = Step(c.step)
		e.Message = C.GoString(&c.message[0])
	}
	return e
}

func errno(number C.int32_t) error {
	if number == 0 {
		return nil
	}
	return syscall.Errno(number)
}
