// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package compat

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

const loopback = 0x7f000001

func TestLive(t *testing.T) {
	cgroup := live(t)
	handle, detach := attach(t, cgroup)
	pid := run(t, cgroup, strings.Join([]string{
		"tcp4 127.0.0.1:9 1", "tcp6 [::1]:9 1", "udp4 127.0.0.1:9 1", "send4 127.0.0.1:9 3",
	}, ","))
	c := collect(t, handle, 4096) // after the process has ended
	c.Close()
	want := map[ConnectEvent]int{
		{Dport: 9, Family: 2, Protocol: 6, DstIPv4: loopback}:         1,
		{Dport: 9, Family: 10, Protocol: 6, DstIPv6: [16]byte{15: 1}}: 1,
		{Dport: 9, Family: 2, Protocol: 17, DstIPv4: loopback}:        4, // connect and 3 datagrams
	}
	cookies := make(map[uint64]int)
	for _, ev := range rest(c) {
		if ev.TGID != ev.PID || ev.Cookie == 0 || ev.TsNs == 0 {
			t.Errorf("%+v", ev)
		}
		if inInitialPidns(t) && int(ev.PID) != pid {
			t.Errorf("PID is %d, want %d", ev.PID, pid)
		}
		cookies[ev.Cookie]++
		want[ConnectEvent{Dport: ev.Dport, Family: ev.Family, Protocol: ev.Protocol,
			DstIPv4: ev.DstIPv4, DstIPv6: ev.DstIPv6}]--
	}
	for ev, n := range want {
		if n != 0 {
			t.Errorf("%+v: %d events too few", ev, n)
		}
	}
	if len(cookies) != 4 {
		t.Errorf("%d cookies, want 4 sockets", len(cookies))
	}
	if err := detach(); err != nil {
		t.Error(err)
	}
}

// inInitialPidns tells whether the numbers of processes here are those of the initial PID namespace.
func inInitialPidns(t *testing.T) bool {
	t.Helper()
	link, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	return link == "pid:[4026531836]"
}

func TestLiveOthersAreNotReported(t *testing.T) {
	cgroup := live(t)
	handle, detach := attach(t, cgroup)
	c := collect(t, handle, 16)
	if conn, err := net.Dial("tcp4", "127.0.0.1:9"); err == nil { // from outside
		conn.Close()
	}
	run(t, cgroup, "tcp4 127.0.0.1:9 1")
	if err := detach(); err != nil {
		t.Error(err)
	}
	run(t, cgroup, "tcp4 127.0.0.1:9 1") // after detach
	c.Close()
	if got := rest(c); len(got) != 1 {
		t.Errorf("%d events, want 1: %+v", len(got), got)
	}
}

// Each session receives its own events, although one goroutine reads for all.
func TestLiveSessions(t *testing.T) {
	const sessions = 8
	var collectors [sessions]*Collector
	var cgroups [sessions]string
	for i := range sessions {
		cgroups[i] = live(t)
		handle, _ := attach(t, cgroups[i])
		collectors[i] = collect(t, handle, 16)
	}
	for i := range sessions {
		run(t, cgroups[i], fmt.Sprintf("tcp4 127.0.0.1:%d 2", i+1))
	}
	for i, c := range collectors {
		c.Close()
		got := rest(c)
		if len(got) != 2 || int(got[0].Dport) != i+1 || int(got[1].Dport) != i+1 {
			t.Errorf("session %d: %+v", i, got)
		}
	}
}

// Received and dropped are all events when a session sends more than the ring can hold.
func TestLiveLoss(t *testing.T) {
	cgroup := live(t)
	opts := DefaultOptions()
	opts.RingSize = uint32(os.Getpagesize())
	if err := SetOptions(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := SetOptions(DefaultOptions()); err != nil {
			t.Error(err)
		}
	})
	handle, _ := attach(t, cgroup)
	c := collect(t, handle, 100)
	var drops atomic.Int64
	c.SetOnDrop(func() { drops.Add(1) })
	const datagrams = 50000
	run(t, cgroup, fmt.Sprintf("send4 127.0.0.1:9 %d", datagrams))
	stats, err := handle.Session().Stats()
	if err != nil {
		t.Fatal(err)
	}
	if stats.Lost == 0 {
		t.Error("the ring was never full")
	}
	c.Close()
	reach(t, "drops", &drops, datagrams-len(rest(c)))
}

func TestLiveWrongCgroups(t *testing.T) {
	cgroup := live(t)
	if _, _, err := AttachConnectToCgroup(t.TempDir()); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a directory that is no cgroup: %v", err)
	}
	if _, _, err := AttachConnectToCgroup(filepath.Join(cgroup, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing cgroup: %v", err)
	}
	attach(t, cgroup)
	if _, _, err := AttachConnectToCgroup(cgroup); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("the same cgroup again: %v", err)
	}
}

func TestCgroupID(t *testing.T) {
	cgroup := live(t)
	if id, err := CgroupID(cgroup); err != nil || id == 0 {
		t.Errorf("%d, %v", id, err)
	}
	if _, err := CgroupID(""); err == nil {
		t.Error("an empty path is accepted")
	}
	if _, err := CgroupID(filepath.Join(cgroup, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing path: %v", err)
	}
}

// A host that attaches for each command grows by nothing, whether the tracer stays open between
// the commands or not.
func TestLiveCycles(t *testing.T) {
	cgroup := live(t)
	t.Run("another session stays", func(t *testing.T) {
		attach(t, live(t))
		cycles(t, cgroup, 1000)
	})
	t.Run("the tracer is closed each time", func(t *testing.T) { cycles(t, cgroup, 10) })
}

func TestCycles(t *testing.T) {
	synthetic(t, nil)
	dir := t.TempDir()
	t.Run("another session stays", func(t *testing.T) {
		attach(t, t.TempDir())
		cycles(t, dir, 1000)
	})
	t.Run("the tracer is closed each time", func(t *testing.T) { cycles(t, dir, 1000) })
}

func cycles(t *testing.T, cgroup string, n int) {
	cycle := func(i int) {
		handle, detach, err := AttachConnectToCgroup(cgroup)
		if err != nil {
			t.Fatal(err)
		}
		c, err := StartCollector(handle, 16)
		if err != nil {
			t.Fatal(err)
		}
		c.SetOnDrop(func() {})
		received := make(chan struct{})
		go func() { rest(c); close(received) }()
		end := []func() error{c.Close, detach}
		for k := range end {
			if err := end[(i+k)%2](); err != nil {
				t.Fatal(err)
			}
		}
		<-received
	}
	for i := range 5 { // allocators and caches are warm then
		cycle(i)
	}
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)
	// A leak grows in each round. Caches of the allocators and of the race detector do not.
	var grown int64
	for range 5 {
		rss := resident(t)
		for i := range n {
			cycle(i)
		}
		if grown = resident(t) - rss; grown <= 4<<20 {
			break
		}
	}
	if r := process.reader; r != nil && len(r.sessions) != 1 {
		t.Errorf("the reader knows %d sessions, want 1", len(r.sessions))
	}
	for runtime.NumGoroutine() > goroutines { // a goroutine that is about to end may need a while
		time.Sleep(time.Millisecond)
	}
	if got := descriptors(t); got != fds {
		t.Errorf("%d descriptors, before %d", got, fds)
	}
	if grown > 4<<20 {
		t.Errorf("%d cycles take %d KiB of memory", n, grown>>10)
	} else {
		t.Logf("%d cycles take %d KiB of memory", n, grown>>10)
	}
}

// resident returns the anonymous memory of the process in bytes, after a garbage collection.
func resident(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(data), "RssAnon:")
	var kib int64
	if _, err := fmt.Sscan(after, &kib); err != nil || !found {
		t.Fatal("there is no RssAnon in /proc/self/status")
	}
	return kib << 10
}

// Attaching and closing cost what a host pays per command.
func BenchmarkAttachClose(b *testing.B) {
	if status := CheckSupport(); !status.Supported {
		b.Skip("this machine cannot trace: " + status.Reason)
	}
	parent, err := agentshebpf.CgroupPath()
	if err != nil {
		b.Fatal(err)
	}
	path, err := os.MkdirTemp(parent, "compat-bench-*")
	if err != nil {
		b.Fatal(err)
	}
	defer os.Remove(path)
	for _, keep := range []bool{true, false} {
		b.Run(fmt.Sprintf("KeepOpen=%t", keep), func(b *testing.B) {
			if keep {
				release, err := KeepOpen()
				if err != nil {
					b.Fatal(err)
				}
				defer release()
			}
			b.ResetTimer()
			for range b.N {
				handle, detach, err := AttachConnectToCgroup(path)
				if err != nil {
					b.Fatal(err)
				}
				col, err := StartCollector(handle, 4096)
				if err != nil {
					b.Fatal(err)
				}
				col.Close()
				detach()
			}
		})
	}
}
