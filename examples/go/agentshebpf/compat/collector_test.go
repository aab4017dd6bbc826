// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package compat

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

func TestFields(t *testing.T) {
	synthetic(t, nil)
	handle, _ := attach(t, t.TempDir())
	c := collect(t, handle, 16)
	v6 := [16]byte{0x20, 1, 0xd, 0xb8, 15: 9}
	events := []agentshebpf.Event{
		{Kind: agentshebpf.KindConnect, TimestampNs: 5e9, SocketCookie: 77, PID: 11, TGID: 10,
			Family: 2, Protocol: 6, LocalPort: 40000, RemotePort: 443,
			RemoteAddr: [16]byte{127, 0, 0, 1}},
		{Kind: agentshebpf.KindUDPSend, Family: 10, Protocol: 17, RemotePort: 53, RemoteAddr: v6},
		{Kind: agentshebpf.KindConnect, Family: 2, Protocol: 262, RemotePort: 80},
		{Kind: agentshebpf.KindConnected, Family: 2, Protocol: 6, RemotePort: 1},
		{Kind: agentshebpf.KindClosed, Family: 2, Protocol: 6, RemotePort: 2},
	}
	for i := range events {
		if err := handle.Session().Inject(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	got := rest(c)
	if len(got) != 3 {
		t.Fatalf("%d events, want connect, udp_send and connect: %+v", len(got), got)
	}
	unix := time.Unix(0, int64(got[0].TsNs)).Sub(events[0].Time()).Abs()
	if unix > time.Millisecond {
		t.Errorf("TsNs is %v away from Unix time", unix)
	}
	for i := range got {
		got[i].TsNs = 0
	}
	for i, w := range []ConnectEvent{
		{Cookie: 77, PID: 10, TGID: 10, Sport: 40000, Dport: 443, Family: 2, Protocol: 6, DstIPv4: 0x7f000001},
		{Dport: 53, Family: 10, Protocol: 17, DstIPv6: v6},
		{Dport: 80, Family: 2, Protocol: 6},
	} {
		if got[i] != w {
			t.Errorf("event %d: %+v, want %+v", i, got[i], w)
		}
	}
}

func TestWrongHandles(t *testing.T) {
	synthetic(t, nil)
	if _, err := StartCollector(nil, 1); err == nil {
		t.Error("a nil handle is accepted")
	}
	if _, err := StartCollector(&Collection{}, 1); err == nil {
		t.Error("a handle that was never attached is accepted")
	}
	(&Collection{}).Close()
	if _, _, err := AttachConnectToCgroup("/does/not/exist"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("attach to a missing directory: %v", err)
	}
	if process.reader != nil {
		t.Error("the tracer stays open after a failed attach")
	}
	handle, detach := attach(t, t.TempDir())
	if err := SetOptions(DefaultOptions()); err == nil {
		t.Error("options can be set while the tracer is open")
	}
	first := collect(t, handle, 1)
	if _, err := StartCollector(handle, 1); err == nil {
		t.Error("a second collector is accepted")
	}
	inject(t, handle, 1)
	first.Close()
	if n := len(rest(first)); n != 1 {
		t.Errorf("the refused collector has taken events: %d", n)
	}
	inject(t, handle, 1) // nobody receives it
	second := collect(t, handle, 1)
	inject(t, handle, 1)
	second.Close()
	if n := len(rest(second)); n != 1 {
		t.Errorf("a collector after another has %d events, want 1", n)
	}
	for range 2 {
		if err := detach(); err != nil {
			t.Errorf("detach: %v", err)
		}
		handle.Close()
	}
	if _, err := StartCollector(handle, 1); err == nil {
		t.Error("a detached handle is accepted")
	}
	if process.reader != nil {
		t.Error("the tracer stays open")
	}
}

// Events before StartCollector come first, even if there are more than bufSize.
func TestEarlyEvents(t *testing.T) {
	synthetic(t, nil)
	handle, _ := attach(t, t.TempDir())
	lost := inject(t, handle, 100)
	handle.reader.flush()
	c := collect(t, handle, 10)
	lost += inject(t, handle, 1)
	if lost != 0 {
		t.Fatalf("the ring has lost %d events", lost)
	}
	for i := range 100 {
		if ev := <-c.Events(); int(ev.Dport) != i+1 {
			t.Fatalf("event %d has port %d", i, ev.Dport)
		}
	}
	c.Close()
}

func TestEarlyEventsAreCounted(t *testing.T) {
	synthetic(t, nil)
	handle, _ := attach(t, t.TempDir())
	injected := earlyMax + 500
	inject(t, handle, injected)
	handle.reader.flush()
	c := collect(t, handle, 10)
	var drops atomic.Int64
	c.SetOnDrop(func() { drops.Add(1) })
	c.Close()
	received := len(rest(c))
	if received > earlyMax || received < 1 {
		t.Errorf("%d events, want at most %d", received, earlyMax)
	}
	reach(t, "drops", &drops, injected-received)
}

// A full channel drops exactly what it has no room for, and delays no other collector.
func TestFullChannel(t *testing.T) {
	synthetic(t, nil)
	slow, _ := attach(t, t.TempDir())
	quick, _ := attach(t, t.TempDir())
	full, other := collect(t, slow, 10), collect(t, quick, 10)
	var drops atomic.Int64
	block := make(chan struct{})
	full.SetOnDrop(func() { <-block; drops.Add(1) })
	lost := inject(t, slow, 1000)
	for i := range 100 {
		inject(t, quick, 1)
		if ev := <-other.Events(); ev.Dport != 1 {
			t.Fatalf("event %d: %+v", i, ev)
		}
	}
	close(block)
	full.Close()
	if n := len(rest(full)); n != 10 {
		t.Errorf("%d events, want 10", n)
	}
	if lost != 0 {
		t.Fatalf("the ring has lost %d events", lost)
	}
	reach(t, "drops", &drops, 990)
}

// Received and dropped events are all events, when the ring is full, too, and for each order of
// detach and Close.
func TestRingLoss(t *testing.T) {
	for _, detachFirst := range []bool{false, true} {
		synthetic(t, func(o *agentshebpf.Options) { o.RingSize = 4096 })
		handle, detach, err := AttachConnectToCgroup(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		c := collect(t, handle, 50)
		var drops atomic.Int64
		c.SetOnDrop(func() { drops.Add(1) })
		const injected = 60000
		lost := inject(t, handle, injected)
		if lost == 0 {
			t.Error("the ring was never full")
		}
		if detachFirst {
			detach()
		}
		c.Close()
		received := len(rest(c))
		reach(t, "drops", &drops, injected-received)
		detach()
		t.Logf("%d events received, %d lost by the ring, %d dropped by the channel", received, lost,
			injected-received-lost)
	}
}

// A loss is reported although no event follows.
func TestLossWithoutEvent(t *testing.T) {
	synthetic(t, func(o *agentshebpf.Options) { o.RingSize = 4096 })
	handle, _ := attach(t, t.TempDir())
	c := collect(t, handle, 1<<16)
	var drops atomic.Int64
	c.SetOnDrop(func() { drops.Add(1) })
	lost := 0
	for lost == 0 {
		lost = inject(t, handle, 10000)
	}
	reach(t, "drops while the collector is open", &drops, lost)
}

// holdReader injects n events and stops the goroutine of the reader after it has read them, until the
// result is called.
func holdReader(t *testing.T, handle *Collection, n int) (release func()) {
	t.Helper()
	handle.mu.Lock() // deliver waits for it
	inject(t, handle, n)
	for stacks := make([]byte, 1<<20); ; {
		stats, err := handle.Session().Stats()
		if err != nil {
			t.Fatal(err)
		}
		if int(stats.Delivered) == n &&
			bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("compat.(*Collection).deliver(")) {
			return handle.mu.Unlock
		}
		time.Sleep(time.Millisecond)
	}
}

// A loss is reported although the last read has filled the array of the reader.
func TestLossBeforeFullBatch(t *testing.T) {
	synthetic(t, nil)
	var handles [3]*Collection
	for i := range handles {
		handles[i], _ = attach(t, t.TempDir())
	}
	handle, first, second := handles[0], handles[1], handles[2]
	c := collect(t, handle, 1<<16)
	var drops atomic.Int64
	c.SetOnDrop(func() { drops.Add(1) })
	releaseFirst := holdReader(t, first, 1)
	second.mu.Lock()
	inject(t, second, batch) // one full read, during which the loss happens
	releaseFirst()
	for {
		if stats, err := second.Session().Stats(); err != nil || stats.Delivered == batch {
			break
		}
		time.Sleep(time.Millisecond)
	}
	lost, held := 0, -1
	for ; lost == 0; held++ { // until the quota of the session is used up
		lost = inject(t, handle, 1)
	}
	if inject(t, second, batch-held%batch) != 0 { // all further reads are full
		t.Error("the ring is full")
	}
	second.mu.Unlock()
	reach(t, "drops while the collector is open", &drops, lost)
}

// A loss is reported although the session has no event: events of another one fill the ring.
func TestLossOfQuietSession(t *testing.T) {
	synthetic(t, func(o *agentshebpf.Options) { o.RingQuota = 100 })
	noisy, _ := attach(t, t.TempDir())
	quiet, _ := attach(t, t.TempDir())
	c := collect(t, quiet, 16)
	var drops atomic.Int64
	c.SetOnDrop(func() { drops.Add(1) })
	release := holdReader(t, noisy, 1)
	for inject(t, noisy, 1) == 0 {
	}
	lost := inject(t, quiet, 3)
	release()
	if lost != 3 {
		t.Fatalf("the ring has lost %d events, want 3", lost)
	}
	reach(t, "drops while the collector is open", &drops, lost)
}

// Close delivers, or counts as dropped, all that a ring larger than the default can hold.
func TestCloseWithLargeRing(t *testing.T) {
	synthetic(t, func(o *agentshebpf.Options) { o.RingSize, o.RingQuota = 16<<20, 100 })
	handle, _ := attach(t, t.TempDir())
	const injected, room = 80000, 16
	c := collect(t, handle, room)
	var drops atomic.Int64
	c.SetOnDrop(func() { drops.Add(1) })
	release := holdReader(t, handle, 1)
	if lost := inject(t, handle, injected); lost != 0 {
		t.Errorf("the ring has lost %d events", lost)
	}
	closed := make(chan error)
	go func() { closed <- c.Close() }()
	release()
	<-closed
	reach(t, "drops", &drops, 1+injected-room)
}

func TestSetOnDropLate(t *testing.T) {
	synthetic(t, nil)
	handle, _ := attach(t, t.TempDir())
	c := collect(t, handle, 1)
	inject(t, handle, 5)
	c.Close()
	var drops atomic.Int64
	c.SetOnDrop(func() { drops.Add(1) })
	reach(t, "drops", &drops, 4)
	c.SetOnDrop(nil)
}

func TestKeepOpen(t *testing.T) {
	synthetic(t, nil)
	release, err := KeepOpen()
	if err != nil {
		t.Fatal(err)
	}
	kept := process.reader
	_, detach := attach(t, t.TempDir())
	detach()
	if kept == nil || process.reader != kept {
		t.Error("the tracer was closed")
	}
	release()
	release()
	if process.reader != nil {
		t.Error("the tracer stays open")
	}
}

// The function of SetOnDrop may end the session.
func TestCloseInOnDrop(t *testing.T) {
	synthetic(t, nil)
	handle, detach := attach(t, t.TempDir())
	c := collect(t, handle, 1)
	c.SetOnDrop(func() {
		detach()
		c.Close()
	})
	inject(t, handle, 2) // nobody receives the first, so the second is dropped
	handle.reader.flush()
	rest(c) // until it is closed
}

// Close may be called at the same time as everything else; run with -race.
func TestConcurrent(t *testing.T) {
	synthetic(t, nil)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := range 100 {
				handle, detach, err := AttachConnectToCgroup(dir)
				if err != nil {
					t.Error(err)
					return
				}
				inject(t, handle, 3)
				c, err := StartCollector(handle, 2)
				if err != nil {
					t.Error(err)
					return
				}
				var parts sync.WaitGroup
				parts.Add(4)
				go func() { defer parts.Done(); rest(c) }()
				go func() { defer parts.Done(); c.SetOnDrop(func() {}); c.Close() }()
				go func() { defer parts.Done(); c.Close() }()
				go func() {
					defer parts.Done()
					if (i+j)%2 == 0 {
						detach()
					}
				}()
				parts.Wait()
				detach()
			}
		}()
	}
	wg.Wait()
	if process.users != 0 || process.reader != nil {
		t.Errorf("the tracer has %d users left", process.users)
	}
}

// All events before Close are received, in their order, while more arrive.
func TestCloseWhileEventsFlow(t *testing.T) {
	synthetic(t, nil)
	handle, _ := attach(t, t.TempDir())
	c := collect(t, handle, 1<<16)
	var sent atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			e := agentshebpf.Event{Kind: agentshebpf.KindConnect, Family: 2, SocketCookie: uint64(sent.Load() + 1)}
			if err := handle.Session().Inject(&e); err == nil {
				sent.Add(1)
			} else if !errors.Is(err, syscall.ENOBUFS) {
				t.Error(err)
				return
			}
		}
	}()
	for sent.Load() < 1000 {
		time.Sleep(time.Millisecond)
	}
	before := sent.Load()
	c.Close()
	close(stop)
	<-stopped
	got := rest(c)
	for i, ev := range got {
		if ev.Cookie != uint64(i+1) {
			t.Fatalf("event %d has number %d", i+1, ev.Cookie)
		}
	}
	if int64(len(got)) < min(before, 1<<16) {
		t.Errorf("%d events, but %d were sent before Close", len(got), before)
	}
}
