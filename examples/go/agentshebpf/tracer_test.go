// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf/internal/clib"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, what string, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%s returns %v instead of %v", what, err, target)
		}
	}
}

func openSynthetic(t testing.TB, opts Options) *Tracer {
	t.Helper()
	opts.Mode = ModeSynthetic
	tracer, err := Open(opts)
	must(t, err)
	t.Cleanup(func() { tracer.Close() })
	return tracer
}

func attachSynthetic(t testing.TB, tracer *Tracer, id uint64) *Session {
	t.Helper()
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	session, err := tracer.Attach(null, SessionOptions{ID: id})
	must(t, err)
	return session
}

func injectN(t testing.TB, session *Session, n int) {
	t.Helper()
	for i := range n {
		must(t, session.Inject(&Event{Kind: KindConnect, SocketCookie: uint64(i)}))
	}
}

func TestNamesAreThoseOfTheLibrary(t *testing.T) {
	names := func(typ string, count uint32, ours func(uint32) string, theirs func(uint32) string) {
		for v := range count {
			want := theirs(v)
			if want == "unknown" && !(typ == "Status" && v == 0) {
				want = fmt.Sprintf("%s(%d)", typ, v)
			}
			equal(t, "name", ours(v), want)
		}
	}
	names("Kind", 64, func(v uint32) string { return Kind(v).String() }, clib.KindName)
	names("Protocol", 300, func(v uint32) string { return Protocol(v).String() },
		func(v uint32) string { return clib.ProtocolName(uint16(v)) })
	names("Step", 64, func(v uint32) string { return Step(v).String() }, clib.StepName)
	names("Check", 64, func(v uint32) string { return Check(v).String() }, clib.CheckName)
	names("Status", 64, func(v uint32) string { return Status(v).String() }, clib.StatusName)
	names("Verdict", 64, func(v uint32) string { return Verdict(v).String() }, clib.VerdictName)
	names("Path", 64, func(v uint32) string { return Path(v).String() }, clib.CoverageName)
	for bit := range 16 {
		want := clib.HookName(1 << bit)
		if want == "unknown" {
			want = fmt.Sprintf("0x%x", 1<<bit)
		}
		equal(t, "hook", Hooks(1<<bit).String(), want)
	}
	if PathRaw.Note() == "" {
		t.Error("a path has no note")
	}
}

func TestReadDeliversInjectedEvents(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 77)
	equal(t, "ID", session.ID(), 77)
	want := sample()
	want.PID, want.TGID, want.Errno, want.BytesSent = 1, 2, 3, 1<<40
	before := time.Now()
	must(t, session.Inject(&want))
	must(t, session.Inject(&Event{Kind: KindClosed}))
	events := make([]Event, 8)
	n, err := tracer.Read(context.Background(), events)
	must(t, err)
	equal(t, "number of events", n, 2)
	got := events[0]
	if at := got.Time(); at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("the event is of %v instead of %v", at, before)
	}
	want.SessionID, want.TimestampNs = 77, got.TimestampNs
	// The library keeps room for the NUL.
	want.ProcessCommBytes[15] = got.ProcessCommBytes[15]
	equal(t, "event", got, want)
	equal(t, "second event", events[1].Kind, KindClosed)

	n, err = tracer.TryRead(events)
	must(t, err)
	equal(t, "number of events", n, 0)
	stats, err := tracer.Stats()
	must(t, err)
	equal(t, "tracer stats", stats, Stats{Sessions: 1, Delivered: 2})
	stats, err = session.Stats()
	must(t, err)
	equal(t, "session stats", stats, Stats{Sessions: 1, Delivered: 2})
}

func TestLossIsCounted(t *testing.T) {
	tracer := openSynthetic(t, Options{RingSize: 4096, RingQuota: 100})
	session := attachSynthetic(t, tracer, 1)
	lost := uint64(0)
	for range 100 {
		if err := session.Inject(&Event{Kind: KindConnect}); err != nil {
			wantError(t, "Inject", err, syscall.ENOBUFS)
			lost++
		}
	}
	if lost == 0 {
		t.Fatal("the ring was never full")
	}
	events := make([]Event, 100)
	n, err := tracer.TryRead(events)
	must(t, err)
	equal(t, "number of events", n, 100-int(lost))
	stats, err := session.Stats()
	must(t, err)
	equal(t, "lost", stats.Lost, lost)
	must(t, session.Inject(&Event{Kind: KindConnect}))
	n, err = tracer.TryRead(events)
	must(t, err)
	equal(t, "number of events", n, 1)
	equal(t, "lost up to the event", events[0].SessionLost, lost)
}

func TestOpenErrors(t *testing.T) {
	for name, c := range map[string]struct {
		opts    Options
		targets []error
	}{
		"disabled":       {Options{Mode: ModeDisabled}, []error{syscall.ECANCELED}},
		"ring size":      {Options{Mode: ModeSynthetic, RingSize: 5000}, []error{StepOptions}},
		"ring quota":     {Options{Mode: ModeSynthetic, RingQuota: 101}, []error{syscall.ERANGE, StepOptions}},
		"wake-up delay":  {Options{Mode: ModeSynthetic, WakeupDelay: time.Nanosecond}, []error{syscall.ERANGE}},
		"negative delay": {Options{Mode: ModeSynthetic, WakeupDelay: -1}, []error{syscall.ERANGE}},
		"huge interval":  {Options{Mode: ModeSynthetic, CheckInterval: 1 << 62}, []error{syscall.ERANGE}},
		"negative progress": {Options{Mode: ModeSynthetic, Hooks: HookConnect | HookLifecycle | HookTraffic,
			ProgressInterval: -1}, []error{syscall.ERANGE}},
	} {
		tracer, err := Open(c.opts)
		if tracer != nil {
			t.Errorf("%s: there is a tracer", name)
		}
		wantError(t, name, err, c.targets...)
		var e *Error
		if !errors.As(err, &e) || e.Message == "" || !strings.Contains(err.Error(), e.Message) {
			t.Errorf("%s: the error has no message: %v", name, err)
		}
	}
	tracer := openSynthetic(t, Options{CheckInterval: -1, WakeupDelay: time.Millisecond})
	equal(t, "hooks", tracer.Hooks()&HookConnect, HookConnect)
}

func TestAttachErrors(t *testing.T) {
	tracer := openSynthetic(t, Options{MaxSessions: 1})
	_, err := tracer.Attach(nil, SessionOptions{})
	wantError(t, "Attach(nil)", err, syscall.EBADF, StepCgroup)
	file, err := os.Open(os.DevNull)
	must(t, err)
	file.Close()
	_, err = tracer.Attach(file, SessionOptions{})
	wantError(t, "Attach of a closed file", err, syscall.EBADF, StepCgroup)
	attachSynthetic(t, tracer, 1)
	file, err = os.Open(os.DevNull)
	must(t, err)
	defer file.Close()
	_, err = tracer.Attach(file, SessionOptions{})
	wantError(t, "Attach of too many", err, syscall.ENOSPC, StepSessionSlot)
	stats, err := tracer.Stats()
	must(t, err)
	equal(t, "attach failures", stats.AttachFailures, 1)
}

func TestDetachAndClose(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	other := attachSynthetic(t, tracer, 2)
	_, err := tracer.Coverage(0)
	wantError(t, "Coverage", err, syscall.EOPNOTSUPP)
	_, err = session.Check()
	wantError(t, "Check", err, syscall.EOPNOTSUPP)
	injectN(t, session, 1)
	must(t, session.Detach())
	wantError(t, "second Detach", session.Detach(), syscall.EINVAL)
	wantError(t, "Inject", session.Inject(&Event{}), syscall.EINVAL)
	_, err = session.Stats()
	wantError(t, "Stats", err, syscall.EINVAL)
	events := make([]Event, 2)
	n, err := tracer.Read(context.Background(), events)
	must(t, err)
	equal(t, "events after Detach", n, 1)

	must(t, tracer.Close())
	calls := map[string]func() error{
		"Close":   func() error { return tracer.Close() },
		"Attach":  func() error { _, err := tracer.Attach(os.Stdin, SessionOptions{}); return err },
		"Read":    func() error { _, err := tracer.Read(context.Background(), events); return err },
		"TryRead": func() error { _, err := tracer.TryRead(events); return err },
		"Wake":    func() error { return tracer.Wake() },
		"Stats":   func() error { _, err := tracer.Stats(); return err },
		"Cover":   func() error { _, err := tracer.Coverage(0); return err },
		"Detach":  func() error { return other.Detach() },
		"Stats 2": func() error { _, err := other.Stats(); return err },
		"Check":   func() error { _, err := other.Check(); return err },
		"Inject":  func() error { return other.Inject(&Event{}) },
		"Events": func() error {
			for _, err := range tracer.Events(context.Background()) {
				return err
			}
			return nil
		},
	}
	for name, call := range calls {
		wantError(t, name, call(), ErrClosed, os.ErrClosed)
	}
	equal(t, "hooks", tracer.Hooks(), 0)
}

func TestProbeAndEnvironment(t *testing.T) {
	caps, err := Probe(CheckCgroup2.Set())
	must(t, err)
	equal(t, "usable", caps.Usable, false)
	equal(t, "missing", caps.Missing.Has(CheckCgroup2), true)
	if len(caps.Checks) != int(CheckSetRetval)+1 || caps.Reason == "" || caps.KernelRelease == "" {
		t.Fatalf("the result is incomplete: %+v", caps)
	}
	check := caps.Checks[CheckCgroup2]
	equal(t, "check", check.Check, CheckCgroup2)
	equal(t, "status", check.Status, StatusSimulated)
	equal(t, "required", check.Required, true)
	if check.Detail == "" || check.Hint == "" {
		t.Errorf("the check lacks text: %+v", check)
	}
	_, err = Probe(1 << 63)
	wantError(t, "Probe", err, syscall.EINVAL)

	set, err := ParseChecks("btf,cgroup2")
	must(t, err)
	equal(t, "checks", set, CheckBTF.Set()|CheckCgroup2.Set())
	_, err = ParseChecks("nonsense")
	wantError(t, "ParseChecks", err, syscall.EINVAL, StepOptions)

	t.Setenv("AGENTSH_EBPF", "required")
	t.Setenv("AGENTSH_EBPF_SIMULATE_MISSING", "jit")
	mode, set, err := ModeFromEnv(ModeAuto, 0)
	must(t, err)
	equal(t, "mode", mode, ModeRequired)
	equal(t, "missing", set, CheckJIT.Set())
	t.Setenv("AGENTSH_EBPF", "perhaps")
	mode, set, err = ModeFromEnv(ModeDisabled, 5)
	wantError(t, "ModeFromEnv", err, syscall.EINVAL)
	equal(t, "mode", mode, ModeDisabled)
	equal(t, "missing", set, 5)

	if !strings.HasPrefix(Version(), "1.") || HooksBuilt()&HookConnect == 0 {
		t.Errorf("version %q, hooks %v", Version(), HooksBuilt())
	}
}

// Starts fn and returns after it waits in the network poller.
func inBackground(t *testing.T, fn func() error) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- fn() }()
	waitUntil(t, func() bool {
		buf := make([]byte, 1<<20)
		return strings.Contains(string(buf[:runtime.Stack(buf, true)]), "[IO wait")
	})
	return done
}

func waitUntil(t testing.TB, condition func() bool) {
	t.Helper()
	for !condition() {
		time.Sleep(time.Millisecond)
	}
}

func TestWaitingRead(t *testing.T) {
	type setup struct {
		tracer  *Tracer
		session *Session
		cancel  context.CancelCauseFunc
	}
	for _, c := range []struct {
		name   string
		act    func(s setup) error
		events int
		err    error
	}{
		{"event", func(s setup) error { return s.session.Inject(&Event{Kind: KindConnect}) }, 1, nil},
		{"cancel", func(s setup) error { s.cancel(nil); return nil }, 0, context.Canceled},
		{"close", func(s setup) error { return s.tracer.Close() }, 0, ErrClosed},
		{"wake", func(s setup) error { return s.tracer.Wake() }, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			tracer := openSynthetic(t, Options{})
			session := attachSynthetic(t, tracer, 1)
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			var n int
			done := inBackground(t, func() (err error) {
				n, err = tracer.Read(ctx, make([]Event, 4))
				return err
			})
			_, err := tracer.Read(ctx, make([]Event, 4))
			wantError(t, "a second reader", err, syscall.EBUSY)
			must(t, c.act(setup{tracer, session, cancel}))
			wantError(t, "Read", <-done, c.err)
			equal(t, "number of events", n, c.events)
		})
	}
}

func TestReadEndsAtDeadline(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	events := make([]Event, 4)
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		_, err := tracer.Read(ctx, events)
		wantError(t, "Read", err, context.DeadlineExceeded)
		cancel()
	}
	// An event does not hide that the context is done, and is still there afterwards.
	injectN(t, session, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := tracer.Read(ctx, events)
	wantError(t, "Read", err, context.Canceled)
	n, err := tracer.Read(context.Background(), events)
	must(t, err)
	equal(t, "number of events", n, 1)
	_, err = tracer.Read(context.Background(), nil)
	wantError(t, "Read into nothing", err, syscall.ERANGE)
}

func TestWakeBeforeRead(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	must(t, tracer.Wake())
	n, err := tracer.Read(context.Background(), make([]Event, 1))
	must(t, err)
	equal(t, "number of events", n, 0)
}

func TestEvents(t *testing.T) {
	const total = 3*batch + 7
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	injectN(t, session, total)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := uint64(0)
	// Each loop ends in the middle of a batch; the next read begins where it ended.
	for seen < total-10 {
		for event, err := range tracer.Events(ctx) {
			must(t, err)
			equal(t, "cookie", event.SocketCookie, seen)
			seen++
			if seen%5 == 0 {
				break
			}
		}
	}
	events := make([]Event, 3)
	n, err := tracer.Read(ctx, events)
	must(t, err)
	equal(t, "number of events", n, 3)
	equal(t, "cookie", events[0].SocketCookie, seen)
	seen += 3
	for event, err := range tracer.Events(ctx) {
		if seen == total {
			wantError(t, "Events", err, context.Canceled)
			equal(t, "event", event, Event{})
			break
		}
		must(t, err)
		_, err = tracer.TryRead(events)
		wantError(t, "TryRead in the loop", err, syscall.EBUSY)
		equal(t, "cookie", event.SocketCookie, seen)
		if seen++; seen == total {
			must(t, tracer.Wake()) // does not end the loop
			time.AfterFunc(5*time.Millisecond, cancel)
		}
	}
	equal(t, "number of events", seen, uint64(total))

	var last error
	done := inBackground(t, func() error {
		for _, err := range tracer.Events(context.Background()) {
			last = err
		}
		return nil
	})
	must(t, tracer.Close())
	must(t, <-done)
	wantError(t, "Events", last, ErrClosed)
}

// A host that recovers from a panic in the loop loses no event.
func TestEventsAfterPanic(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	injectN(t, attachSynthetic(t, tracer, 1), 5)
	func() {
		defer func() { equal(t, "panic", recover(), "host") }()
		for event, err := range tracer.Events(context.Background()) {
			must(t, err)
			if event.SocketCookie == 1 {
				panic("host")
			}
		}
	}()
	events := make([]Event, 8)
	n, err := tracer.TryRead(events)
	must(t, err)
	equal(t, "number of events", n, 3)
	equal(t, "cookie", events[0].SocketCookie, 2)
}

// The reader answers each event before the next one: a wake-up that is lost stops the test.
func TestNoWakeupIsLost(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	rounds := 20000
	if testing.Short() {
		rounds = 2000
	}
	answers := make(chan int, 1)
	var failed error
	go func() {
		defer close(answers)
		events := make([]Event, 1)
		for round := range rounds {
			// In turn with and without a context, whose cancellation races with the next wait.
			ctx, cancel := context.Background(), func() {}
			if round%2 == 0 {
				ctx, cancel = context.WithCancel(ctx)
			}
			n, err := 0, error(nil)
			for n == 0 && err == nil {
				n, err = tracer.Read(ctx, events)
			}
			go cancel()
			if err != nil {
				failed = err
				return
			}
			answers <- int(events[0].SocketCookie)
		}
	}()
	for round := range rounds {
		must(t, session.Inject(&Event{Kind: KindConnect, SocketCookie: uint64(round)}))
		if round%16 == 0 {
			must(t, tracer.Wake())
		}
		answer, ok := <-answers
		if !ok {
			t.Fatal(failed)
		}
		equal(t, "answer", answer, round)
	}
}

// Bursts from several goroutines while sessions come and go: each event arrives.
func TestConcurrentUse(t *testing.T) {
	const producers, bursts, burst = 4, 200, 20
	tracer := openSynthetic(t, Options{RingSize: 16 << 20, RingQuota: 100})
	var group, others sync.WaitGroup
	stop := make(chan struct{})
	others.Add(1)
	go func() {
		defer others.Done()
		for id := uint64(1000); ; id++ {
			select {
			case <-stop:
				return
			default:
			}
			session := attachSynthetic(t, tracer, id)
			tracer.Stats()
			session.Stats()
			if err := session.Detach(); err != nil {
				t.Error(err)
			}
		}
	}()
	for id := range producers {
		session := attachSynthetic(t, tracer, uint64(id))
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range bursts * burst {
				if err := session.Inject(&Event{Kind: KindConnect, SocketCookie: uint64(i)}); err != nil {
					t.Error(err)
				}
				if i%burst == 0 {
					runtime.Gosched()
				}
			}
		}()
	}
	var next [producers]uint64
	events := make([]Event, 33)
	for left := producers * bursts * burst; left > 0; {
		n, err := tracer.Read(context.Background(), events)
		must(t, err)
		for i := range events[:n] {
			id := events[i].SessionID
			equal(t, "cookie", events[i].SocketCookie, next[id])
			next[id]++
		}
		left -= n
	}
	group.Wait()
	close(stop)
	others.Wait()
}

// Close while all other calls are running.
func TestConcurrentClose(t *testing.T) {
	for range 50 {
		tracer := openSynthetic(t, Options{})
		session := attachSynthetic(t, tracer, 1)
		null, err := os.Open(os.DevNull)
		must(t, err)
		calls := []func() error{
			func() error { _, err := tracer.Read(context.Background(), make([]Event, 3)); return err },
			func() error { return session.Inject(&Event{Kind: KindConnect}) },
			func() error { _, err := tracer.Stats(); return err },
			func() error { _, err := session.Stats(); return err },
			func() error { return tracer.Wake() },
			func() error {
				other, err := tracer.Attach(null, SessionOptions{})
				if err != nil {
					return err
				}
				return other.Detach()
			},
		}
		var group sync.WaitGroup
		for _, call := range calls {
			group.Add(1)
			go func() {
				defer group.Done()
				for {
					err := call()
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil && !errors.Is(err, syscall.ENOBUFS) {
						t.Errorf("a call returns %v", err)
						return
					}
				}
			}()
		}
		time.Sleep(time.Millisecond)
		must(t, tracer.Close())
		group.Wait()
		null.Close()
	}
}

func entries(t testing.TB, directory string) int {
	t.Helper()
	list, err := os.ReadDir(directory)
	must(t, err)
	return len(list)
}

func TestWaitingTakesNoThread(t *testing.T) {
	const tracers = 200
	before := entries(t, "/proc/self/task")
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range tracers {
		tracer := openSynthetic(t, Options{RingSize: 4096})
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := tracer.Read(ctx, make([]Event, 1))
			wantError(t, "Read", err, context.Canceled)
		}()
	}
	waitUntil(t, func() bool {
		buf := make([]byte, 8<<20)
		return strings.Count(string(buf[:runtime.Stack(buf, true)]), "[IO wait") >= tracers
	})
	after := entries(t, "/proc/self/task")
	cancel()
	group.Wait()
	t.Logf("%d threads before, %d with %d waiting tracers", before, after, tracers)
	if after > before+tracers/10 {
		t.Errorf("%d threads instead of %d", after, before)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	cycle := func() {
		tracer, err := Open(Options{Mode: ModeSynthetic})
		must(t, err)
		session := attachSynthetic(t, tracer, 1)
		injectN(t, session, 1)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, err = tracer.Read(ctx, make([]Event, 1))
		must(t, err)
		must(t, tracer.Close())
	}
	cycle()
	descriptors, goroutines := entries(t, "/proc/self/fd"), runtime.NumGoroutine()
	for range 100 {
		cycle()
	}
	equal(t, "descriptors", entries(t, "/proc/self/fd"), descriptors)
	// Goroutines of earlier tests may have ended meanwhile.
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines instead of %d", now, goroutines)
	}
}

// The tracer's own descriptor is not the one that the poller closes, and is not inherited.
func TestDescriptorIsADuplicate(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	must(t, tracer.raw.Control(func(fd uintptr) {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFD, 0)
		if errno != 0 || flags&syscall.FD_CLOEXEC == 0 {
			t.Errorf("flags of the descriptor are %#x, %v", flags, errno)
		}
	}))
	must(t, tracer.file.Close())
	session := attachSynthetic(t, tracer, 1)
	injectN(t, session, 1)
	n, err := tracer.TryRead(make([]Event, 1))
	must(t, err)
	equal(t, "number of events", n, 1)
}

func TestReadDoesNotAllocate(t *testing.T) {
	tracer := openSynthetic(t, Options{RingSize: 16 << 20, RingQuota: 100})
	session := attachSynthetic(t, tracer, 1)
	events := make([]Event, batch)
	injectN(t, session, 110*batch)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	allocs := testing.AllocsPerRun(100, func() {
		n, err := tracer.Read(ctx, events)
		if n != batch || err != nil {
			t.Fatal(n, err)
		}
	})
	equal(t, "allocations", allocs, 0)
}
