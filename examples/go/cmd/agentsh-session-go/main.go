// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Agentsh-session-go runs shell commands one after another, as a session of a sandbox does, each in
// a cgroup of its own, and writes their connections to standard output as JSON lines:
//
//	agentsh-session-go [-ebpf enabled|required|off] [-proxy URL] [-kill] COMMAND...
//
// If tracing is not possible, it writes the event ebpf_unavailable. With "required" it then runs
// nothing; with "enabled" it runs the commands, with URL as their proxy.
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf/compat"
)

type host struct {
	mode, proxy, session string
	cgroup               string // directory of the session
	noCgroup             error  // why the session has none

	mu         sync.Mutex     // for out
	out        *json.Encoder  // standard output
	background sync.WaitGroup // cgroups whose processes have not ended
}

// log writes an event with the fields that all events have.
func (h *host) log(typ, command string, at time.Time, fields map[string]any) {
	fields["type"], fields["session_id"], fields["command_id"] = typ, h.session, command
	fields["timestamp"] = at.UTC().Format(time.RFC3339Nano)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.out.Encode(fields); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// netConnect writes an event of the tracer as net_connect. The domain is empty if no name is known. The
// process can choose the name, so a policy that permits something must not use it. The policy here is that of
// a host that observes and denies nothing.
func (h *host) netConnect(command string, ev compat.ConnectEvent) {
	ip := netip.AddrFrom16(ev.DstIPv6)
	if ev.Family == syscall.AF_INET {
		ip = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, ev.DstIPv4)))
	}
	h.log("net_connect", command, time.Unix(0, int64(ev.TsNs)), map[string]any{
		"domain": ev.Domain, "domain_source": ev.DomainSource, "ip": ip, "port": ev.Dport, "pid": ev.PID,
		"protocol": agentshebpf.Protocol(ev.Protocol).String(),
		"policy":   map[string]string{"decision": "allow", "rule": "observe"},
	})
}

// trace attaches to the cgroup of a command. The caller calls end when the cgroup is empty.
func (h *host) trace(command, cgroup string) (end func(), err error) {
	if h.mode == "off" {
		return func() {}, nil
	}
	if status := compat.CheckSupport(); !status.Supported {
		return nil, errors.New(status.Reason)
	}
	handle, detach, err := compat.AttachConnectToCgroup(cgroup)
	if err != nil {
		return nil, err
	}
	collector, err := compat.StartCollector(handle, 4096)
	if err != nil {
		detach()
		return nil, err
	}
	dropped := 0 // the calls of SetOnDrop are in one goroutine
	collector.SetOnDrop(func() {
		if dropped++; dropped == 1 {
			h.log("ebpf_dropped", command, time.Now(), map[string]any{})
		}
	})
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for ev := range collector.Events() { // ends after Close
			h.netConnect(command, ev)
		}
	}()
	h.log("ebpf_attached", command, time.Now(), map[string]any{"path": cgroup})
	return func() {
		collector.Close() // delivers the events of all calls that were made before
		<-logged
		detach()
	}, nil
}

// run runs a command and returns when its shell has ended. Processes that the command leaves in
// the background stay traced until they end.
func (h *host) run(command, line string) error {
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // standard output is for events
	cgroup, end, err := filepath.Join(h.cgroup, command), func() {}, h.noCgroup
	if h.noCgroup == nil {
		dir, err := makeCgroup(cgroup)
		if err != nil {
			return err
		}
		defer dir.Close()
		// The process is in the cgroup before its first instruction (clone3(2), kernel 5.7).
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	}
	if err == nil {
		end, err = h.trace(command, cgroup)
	}
	if err != nil && h.mode != "off" {
		end = func() {}
		h.log("ebpf_unavailable", command, time.Now(), map[string]any{
			"reason": err.Error(), "required": h.mode == "required", "proxy": h.proxy})
		if h.mode == "required" {
			h.remove(cgroup)
			return fmt.Errorf("tracing is required: %w", err)
		}
		if h.proxy != "" { // programs that ignore the variables are not observed at all
			cmd.Env = append(os.Environ(), "HTTP_PROXY="+h.proxy, "HTTPS_PROXY="+h.proxy,
				"http_proxy="+h.proxy, "https_proxy="+h.proxy)
		}
	}
	if err := cmd.Start(); err != nil {
		end()
		h.remove(cgroup)
		return err
	}
	h.background.Add(1)
	go func() {
		defer h.background.Done()
		if h.noCgroup == nil {
			if err := waitEmpty(cgroup); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
		end()
		h.remove(cgroup)
	}()
	return cmd.Wait()
}

func makeCgroup(path string) (*os.File, error) {
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// remove removes a cgroup without processes.
func (h *host) remove(cgroup string) {
	if h.noCgroup != nil {
		return
	}
	if err := os.Remove(cgroup); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// waitEmpty waits until no process is left in the cgroup and its descendants. The kernel modifies
// cgroup.events when "populated" changes, cgroups(7).
func waitEmpty(cgroup string) error {
	path := filepath.Join(cgroup, "cgroup.events")
	changes, err := watch(path)
	if err == nil {
		defer changes.Close()
	}
	buf := make([]byte, 4096)
	for {
		state, readErr := os.ReadFile(path)
		if readErr != nil || strings.Contains(string(state), "populated 0") {
			return readErr
		}
		// A user has few inotify instances. Without one look again after a while: to return would
		// end tracing although processes run.
		if err == nil {
			_, err = changes.Read(buf)
		} else {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// watch returns a file that is readable when the file at path is modified. A variable for tests.
var watch = func(path string) (*os.File, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	changes := os.NewFile(uintptr(fd), "inotify") // waits in the network poller of the runtime
	if _, err := syscall.InotifyAddWatch(fd, path, syscall.IN_MODIFY); err != nil {
		changes.Close()
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	return changes, nil
}

func main() {
	h := &host{session: fmt.Sprintf("session-%d", os.Getpid()), out: json.NewEncoder(os.Stdout)}
	flag.StringVar(&h.mode, "ebpf", "enabled", "enabled, required or off")
	flag.StringVar(&h.proxy, "proxy", "", "proxy of the commands if they cannot be traced")
	kill := flag.Bool("kill", false, "kill background processes after the last command")
	flag.Parse()
	if h.mode != "enabled" && h.mode != "required" && h.mode != "off" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := compat.SetOptions(compat.NameOptions()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(h.serve(flag.Args(), *kill))
}

// serve runs the commands of the session one after another and returns the exit status.
func (h *host) serve(lines []string, kill bool) (status int) {
	parent, err := agentshebpf.CgroupPath()
	if err == nil {
		h.cgroup = filepath.Join(parent, "agentsh-"+h.session)
		err = os.Mkdir(h.cgroup, 0o755)
	}
	h.noCgroup = err
	if status := compat.CheckSupport(); err != nil && !status.Supported {
		h.noCgroup = errors.New(status.Reason) // more precise than err
	}
	// The tracer stays open between commands, so that attaching takes less than a millisecond.
	if h.mode != "off" && compat.CheckSupport().Supported {
		if release, err := compat.KeepOpen(); err == nil {
			defer release()
		}
	}
	for i, line := range lines {
		if err := h.run(fmt.Sprintf("command-%d", i+1), line); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	if kill && h.noCgroup == nil { // cgroup.kill is in kernel 5.14
		if err := os.WriteFile(filepath.Join(h.cgroup, "cgroup.kill"), []byte("1"), 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	h.background.Wait()
	h.remove(h.cgroup)
	return status
}
