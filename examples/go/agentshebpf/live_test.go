// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var probeOnce = sync.OnceValues(func() (Capabilities, error) { return Probe(0) })

// needLive skips the test only if the library itself says that this machine cannot trace.
func needLive(t *testing.T) Capabilities {
	t.Helper()
	caps, err := probeOnce()
	must(t, err)
	if !caps.Usable {
		t.Skipf("this machine cannot trace: %s", caps.Reason)
	}
	return caps
}

func openLive(t *testing.T, opts Options) *Tracer {
	t.Helper()
	tracer, err := Open(opts)
	must(t, err)
	t.Cleanup(func() { tracer.Close() })
	return tracer
}

// newCgroup makes a cgroup and returns its open directory.
func newCgroup(t *testing.T) *os.File {
	t.Helper()
	parent, err := CgroupPath()
	must(t, err)
	path, err := os.MkdirTemp(parent, "agentshebpf-test-")
	must(t, err)
	t.Cleanup(func() {
		// The kernel still counts a process for a moment after its end.
		waitUntil(t, func() bool { return syscall.Rmdir(path) != syscall.EBUSY })
	})
	directory, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { directory.Close() })
	return directory
}

func attachLive(t *testing.T, tracer *Tracer, cgroup *os.File, id uint64) *Session {
	t.Helper()
	session, err := tracer.Attach(cgroup, SessionOptions{ID: id})
	must(t, err)
	return session
}

// child returns a command that runs this test binary in the cgroup from its first instruction on.
func child(t *testing.T, cgroup *os.File, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	return cmd
}

// readN reads n events. The deadline only turns a missing event into a message.
func readN(t *testing.T, tracer *Tracer, n int) []Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var events []Event
	for len(events) < n {
		buf := make([]Event, 16)
		got, err := tracer.Read(ctx, buf)
		if err != nil {
			t.Errorf("%d events instead of %d: %v", len(events), n, err)
			break
		}
		events = append(events, buf[:got]...)
	}
	return events
}

func TestLiveTableOfTruth(t *testing.T) {
	caps := needLive(t)
	tracer := openLive(t, Options{Hooks: HookConnect | HookUDP | HookLifecycle})
	cgroup := newCgroup(t)
	attachLive(t, tracer, cgroup, 42)
	cmd := child(t, cgroup, "calls")
	var out bytes.Buffer
	cmd.Stdout = &out
	must(t, cmd.Run())
	var process childTruth
	must(t, json.Unmarshal(out.Bytes(), &process))
	equal(t, "number of calls", len(process.Calls), len(rawCalls)+len(netCalls))

	wanted := make(map[uint64]*truth)
	total := 0
	for i := range process.Calls {
		call := &process.Calls[i]
		call.Kinds = slices.DeleteFunc(slices.Clone(call.Kinds), func(k Kind) bool {
			lifecycle := k != KindConnect && k != KindUDPSend
			return lifecycle && tracer.Hooks()&HookLifecycle == 0 || k == KindUDPSend && tracer.Hooks()&HookUDP == 0
		})
		total += len(call.Kinds)
		wanted[call.Cookie] = call
	}
	events := readN(t, tracer, total)
	extra := make([]Event, 16)
	n, err := tracer.TryRead(extra)
	must(t, err)
	events = append(events, extra[:n]...)

	var directory syscall.Stat_t
	must(t, syscall.Fstat(int(cgroup.Fd()), &directory))
	readsTask := caps.Available.Has(CheckBTF) && caps.Available.Has(CheckCapPerfmon)
	for i := range events {
		e := &events[i]
		call := wanted[e.SocketCookie]
		if call == nil || len(call.Kinds) == 0 {
			t.Errorf("unexpected event: %v", e)
			continue
		}
		t.Run(call.Name+"/"+e.Kind.String(), func(t *testing.T) {
			checkSocket(t, e, call)
			equal(t, "session", e.SessionID, 42)
			equal(t, "lost", e.SessionLost, 0)
			equal(t, "cgroup", e.CgroupID, directory.Ino)
			checkProcess(t, e, &process, call, readsTask)
		})
		call.Kinds = call.Kinds[1:]
	}
	for _, call := range process.Calls {
		if len(call.Kinds) > 0 {
			t.Errorf("%s lacks %v", call.Name, call.Kinds)
		}
	}
	stats, err := tracer.Stats()
	must(t, err)
	equal(t, "delivered", stats.Delivered, uint64(len(events)))
	equal(t, "lost", stats.Lost, 0)
	equal(t, "deduplicated", stats.Deduplicated, 1)
}

func checkSocket(t *testing.T, e *Event, call *truth) {
	equal(t, "kind", e.Kind, call.Kinds[0])
	equal(t, "family", e.Family, call.Family)
	equal(t, "protocol", e.Protocol, call.Protocol)
	equal(t, "socket type", e.SocketType, call.Type)
	equal(t, "remote end", e.Remote(), call.Remote)
	equal(t, "namespace", e.NetnsCookie, call.Netns)
	equal(t, "v4-mapped", e.Flags&FlagV4Mapped, call.Flags)
	switch e.Kind {
	case KindConnect:
		equal(t, "local end", e.Local(), call.Before)
		if e.TimestampNs < call.From || e.TimestampNs > call.To {
			t.Errorf("the time %d is not from %d to %d", e.TimestampNs, call.From, call.To)
		}
	case KindUDPSend, KindConnected:
		equal(t, "local end", e.Local(), call.After)
	case KindConnectFailed:
		equal(t, "error", e.Errno, call.Errno)
		equal(t, "error", e.Err(), error(syscall.Errno(call.Errno)))
	case KindClosed:
		equal(t, "local port", e.LocalPort, call.After.Port())
		if e.Protocol == ProtocolTCP {
			equal(t, "closed by", e.Flags&(FlagLocalClosed|FlagRemoteClosed), FlagLocalClosed)
			equal(t, "local end", e.Local(), call.After)
		}
	}
	if e.Kind != KindConnectFailed {
		equal(t, "error", e.Errno, 0)
	}
	if call.To-call.From < uint64(time.Second) { // the clocks were not set meanwhile
		if at := time.Since(e.Time()); at < -time.Minute || at > time.Hour {
			t.Errorf("the event is of %v", e.Time())
		}
	}
}

func checkProcess(t *testing.T, e *Event, process *childTruth, call *truth, readsTask bool) {
	equal(t, "process", e.TGID, process.TGID)
	equal(t, "user", e.UID, process.UID)
	equal(t, "group", e.GID, process.GID)
	if call.PID != 0 {
		equal(t, "thread", e.PID, call.PID)
	}
	if !readsTask {
		return
	}
	equal(t, "parent", e.PPID, process.PPID)
	equal(t, "name of the thread", e.Comm(), process.Comm)
	equal(t, "name of the process", e.ProcessComm(), process.Comm)
	equal(t, "executable", e.ExeInode, process.ExeInode)
	// In /proc the start time is a number of ticks.
	equal(t, "start time", e.ProcessStartNs/10_000_000, process.StartNs/10_000_000)
}

// Each connect waits for the event of the one before: a wake-up that is lost stops the test.
func TestLiveNoWakeupIsLost(t *testing.T) {
	needLive(t)
	for name, opts := range map[string]Options{
		"moderated":   {},
		"unmoderated": {Flags: OpenNoModeration},
	} {
		t.Run(name, func(t *testing.T) {
			tracer := openLive(t, opts)
			cgroup := newCgroup(t)
			attachLive(t, tracer, cgroup, 1)
			cmd := child(t, cgroup, "turns")
			stdin, err := cmd.StdinPipe()
			must(t, err)
			must(t, cmd.Start())
			rounds := 1000
			for range rounds {
				_, err := io.WriteString(stdin, "x")
				must(t, err)
				if len(readN(t, tracer, 1)) != 1 {
					break
				}
			}
			must(t, stdin.Close())
			must(t, cmd.Wait())
		})
	}
}

func TestLiveBursts(t *testing.T) {
	needLive(t)
	tracer := openLive(t, Options{RingSize: 16 << 20, RingQuota: 100})
	cgroup := newCgroup(t)
	session := attachLive(t, tracer, cgroup, 1)
	cmd := child(t, cgroup, "burst")
	must(t, cmd.Start())
	events := readN(t, tracer, bursts*burstSize)
	must(t, cmd.Wait())
	equal(t, "number of events", len(events), bursts*burstSize)
	stats, err := session.Stats()
	must(t, err)
	equal(t, "stats", stats, Stats{Sessions: 1, Delivered: bursts * burstSize})
}

func TestLiveSessionCheckAndErrors(t *testing.T) {
	caps := needLive(t)
	tracer := openLive(t, Options{CheckInterval: 100 * time.Millisecond})
	cgroup := newCgroup(t)
	session := attachLive(t, tracer, cgroup, 9)
	_, err := tracer.Attach(cgroup, SessionOptions{})
	wantError(t, "second Attach", err, syscall.EEXIST, StepLink)
	temp, err := os.Open(t.TempDir())
	must(t, err)
	defer temp.Close()
	_, err = tracer.Attach(temp, SessionOptions{})
	wantError(t, "Attach to a plain directory", err, syscall.ENOTDIR, StepCgroup)

	coverage, err := tracer.Coverage(0)
	must(t, err)
	equal(t, "TCP is seen", coverage.Seen.Has(PathTCPConnect), true)
	equal(t, "AF_UNIX is not seen", coverage.Unseen.Has(PathUnix), true)
	equal(t, "all paths", coverage.Seen|coverage.Implied|coverage.Unseen, 1<<coverage.Count-1)
	equal(t, "paths that are enforced without HookRules", coverage.Enforced, 0)

	check, err := session.Check()
	must(t, err)
	equal(t, "hooks", check.Hooks, tracer.Hooks())
	equal(t, "error", check.Err, nil)
	equal(t, "effective programs", check.Effective, check.Wanted)
	equal(t, "attached programs", check.Attached, check.Wanted)
	if tracer.Hooks()&^caps.Hooks != 0 {
		t.Errorf("the tracer has %v, the probe says %v", tracer.Hooks(), caps.Hooks)
	}

	must(t, os.Remove(cgroup.Name()))
	events := readN(t, tracer, 1)
	equal(t, "kind", events[0].Kind, KindSessionBlind)
	equal(t, "session", events[0].SessionID, 9)
	equal(t, "error", events[0].Err(), error(syscall.ENOENT))
	check, err = session.Check()
	must(t, err)
	equal(t, "error", check.Err, error(syscall.ENOENT))
	must(t, session.Detach())
}

func TestLiveOpenTellsWhatIsMissing(t *testing.T) {
	needLive(t)
	_, err := Open(Options{SimulateMissing: CheckRingbuf.Set()})
	if err == nil || !strings.Contains(err.Error(), "ring buffer") {
		t.Errorf("Open returns %v", err)
	}
	var messages []string
	openLive(t, Options{
		SimulateMissing: CheckBTF.Set(),
		OnLog: func(level LogLevel, text string) {
			if level == LogWarn || level == LogInfo {
				messages = append(messages, text)
			}
		},
	})
	if !strings.Contains(fmt.Sprint(messages), "BTF") && !strings.Contains(fmt.Sprint(messages), "btf") {
		t.Errorf("no message names BTF: %q", messages)
	}
}

// A session ends with Detach, and nothing is left of it.
func TestLiveDetach(t *testing.T) {
	needLive(t)
	tracer := openLive(t, Options{})
	cgroup := newCgroup(t)
	descriptors := entries(t, "/proc/self/fd")
	for id := range uint64(20) {
		session := attachLive(t, tracer, cgroup, id)
		cmd := child(t, cgroup, "turns")
		cmd.Stdin = strings.NewReader("x")
		must(t, cmd.Run())
		must(t, session.Detach())
		cmd = child(t, cgroup, "turns")
		cmd.Stdin = strings.NewReader("x")
		must(t, cmd.Run())
		events := readN(t, tracer, 1)
		equal(t, "session", events[0].SessionID, id)
	}
	n, err := tracer.TryRead(make([]Event, 1))
	must(t, err)
	equal(t, "events after Detach", n, 0)
	equal(t, "descriptors", entries(t, "/proc/self/fd"), descriptors)
}
