// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package compat

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

const childVariable = "COMPAT_TEST_CHILD"

// If set, connections and raw sockets must (1) or must not (0) fail with EPERM.
const childDenied = "COMPAT_TEST_DENIED"

// TestMain runs the test binary as the traced process if childVariable is set, and otherwise checks
// that the tests have left nothing open.
func TestMain(m *testing.M) {
	if calls := os.Getenv(childVariable); calls != "" {
		os.Exit(child(calls))
	}
	status := m.Run()
	if process.users != 0 || process.reader != nil {
		fmt.Println("FAIL: the tests have left the tracer open, users:", process.users)
		status = 1
	}
	os.Exit(status)
}

// child makes the calls "network address times", separated by commas. A call "support" prints
// CheckSupport.
func child(calls string) int {
	for _, call := range strings.Split(calls, ",") {
		var network, address string
		var times int
		if call == "support" {
			status := CheckSupport()
			_, _, err := AttachConnectToCgroup(".")
			fmt.Printf("%t|%s|%v", status.Supported, status.Reason, err)
			continue
		}
		if _, err := fmt.Sscan(call, &network, &address, &times); err != nil {
			fmt.Fprintln(os.Stderr, call, err)
			return 2
		}
		if err := connect(network, address, times); err != nil {
			fmt.Fprintln(os.Stderr, call, err)
			return 1
		}
	}
	return 0
}

func connect(network, address string, times int) error {
	if strings.HasPrefix(network, "send") { // datagrams from a socket that is not connected
		addr, err := net.ResolveUDPAddr(strings.Replace(network, "send", "udp", 1), address)
		if err != nil {
			return err
		}
		conn, err := net.ListenUDP("udp", nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		for range times {
			if _, err := conn.WriteToUDP([]byte("x"), addr); err != nil {
				return err
			}
		}
		return nil
	}
	for range times {
		err := dial(network, address)
		if expect := os.Getenv(childDenied); expect != "" && (expect == "1") != errors.Is(err, syscall.EPERM) {
			return fmt.Errorf("the error is %v, denied must be %s", err, expect)
		}
	}
	return nil
}

// dial connects, or with the network "raw" makes a raw socket.
func dial(network, address string) error {
	if network == "raw" {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP)
		if err == nil {
			syscall.Close(fd)
		}
		return err
	}
	conn, err := net.Dial(network, address)
	if err == nil {
		conn.Close()
	}
	return err
}

// synthetic makes the tracer synthetic until the end of the test.
func synthetic(t *testing.T, change func(*agentshebpf.Options)) {
	t.Helper()
	opts := DefaultOptions()
	opts.Mode = agentshebpf.ModeSynthetic
	if change != nil {
		change(&opts)
	}
	if err := SetOptions(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := SetOptions(DefaultOptions()); err != nil {
			t.Error(err)
		}
	})
}

// attach attaches and detaches at the end of the test.
func attach(t *testing.T, path string) (*Collection, func() error) {
	t.Helper()
	handle, detach, err := AttachConnectToCgroup(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { detach() })
	return handle, detach
}

// collect starts a collector and closes it at the end of the test.
func collect(t *testing.T, handle *Collection, bufSize int) *Collector {
	t.Helper()
	c, err := StartCollector(handle, bufSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// inject injects n connects to ports 1 to n and returns how many the ring had no room for.
func inject(t testing.TB, handle *Collection, n int) (lost int) {
	t.Helper()
	for i := range n {
		e := agentshebpf.Event{
			Kind: agentshebpf.KindConnect, Family: 2, Protocol: 6, RemotePort: uint16(i + 1),
		}
		switch err := handle.Session().Inject(&e); {
		case err == nil:
		case strings.Contains(err.Error(), syscall.ENOBUFS.Error()):
			lost++
		default:
			t.Error(err)
			return lost
		}
	}
	return lost
}

// rest receives until the channel is closed.
func rest(c *Collector) (events []ConnectEvent) {
	for ev := range c.Events() {
		events = append(events, ev)
	}
	return events
}

// reach waits until the counter has the value, and then longer, so that a further call is noticed.
func reach(t *testing.T, what string, counter *atomic.Int64, want int) {
	t.Helper()
	for counter.Load() < int64(want) {
		runtime.Gosched()
	}
	for range 1000 {
		runtime.Gosched()
	}
	if got := counter.Load(); got != int64(want) {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// live skips the test where nothing can be traced, and returns a new cgroup.
func live(t *testing.T) string {
	t.Helper()
	if status := CheckSupport(); !status.Supported {
		t.Skip("this machine cannot trace: " + status.Reason)
	}
	return newCgroup(t, "compat-test")
}

func newCgroup(t *testing.T, name string) string {
	t.Helper()
	parent, err := agentshebpf.CgroupPath()
	if err != nil {
		t.Fatal(err)
	}
	path, err := os.MkdirTemp(parent, name+"-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// run makes the calls in a process that is in the cgroup from its start, and returns its number.
func run(t *testing.T, cgroup, calls string) int {
	t.Helper()
	dir, err := os.Open(cgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), childVariable+"="+calls)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", calls, err, out)
	}
	return cmd.Process.Pid
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
