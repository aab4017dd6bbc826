// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf/compat"
)

const connectVariable = "SESSION_TEST_CONNECT"

// TestMain runs the test binary as a command that connects, if connectVariable is set.
func TestMain(m *testing.M) {
	if address := os.Getenv(connectVariable); address != "" {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// connect is the shell command that connects.
func connect(t *testing.T, address string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s='%s' '%s'", connectVariable, address, exe)
}

type event struct {
	Type, Timestamp, Domain, IP, Protocol, Reason, Proxy string
	SessionID                                            string `json:"session_id"`
	CommandID                                            string `json:"command_id"`
	Port, PID                                            int
	Required                                             bool
	Policy                                               struct{ Decision, Rule string }
}

// serve runs the commands and returns the events and the exit status.
func serve(t *testing.T, mode, proxy string, kill bool, lines ...string) ([]event, int) {
	t.Helper()
	var out bytes.Buffer
	h := &host{mode: mode, proxy: proxy, session: fmt.Sprintf("test-%d", os.Getpid()), out: json.NewEncoder(&out)}
	status := h.serve(lines, kill)
	if _, err := os.Stat(h.cgroup); h.cgroup != "" && err == nil {
		t.Errorf("%s was not removed", h.cgroup)
	}
	var events []event
	for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
		if line == "" {
			continue
		}
		var ev event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		events = append(events, ev)
	}
	return events, status
}

func TestOff(t *testing.T) {
	events, status := serve(t, "off", "http://127.0.0.1:3128", false, connect(t, "127.0.0.1:9"))
	if status != 0 || len(events) != 0 {
		t.Errorf("status %d, %+v", status, events)
	}
}

// Where tracing is not possible, "enabled" uses the proxy and "required" runs nothing.
func TestUnavailable(t *testing.T) {
	opts := compat.DefaultOptions()
	opts.SimulateMissing = agentshebpf.CheckCapBPF.Set()
	if err := compat.SetOptions(opts); err != nil {
		t.Fatal(err)
	}
	defer compat.SetOptions(compat.DefaultOptions())
	const proxy = "http://127.0.0.1:3128"
	for mode, want := range map[string]string{"enabled": proxy, "required": ""} {
		file := filepath.Join(t.TempDir(), "environment")
		events, status := serve(t, mode, proxy, false, "echo $HTTP_PROXY $https_proxy > "+file)
		if len(events) != 1 || events[0].Type != "ebpf_unavailable" || events[0].Reason == "" ||
			events[0].Proxy != proxy || events[0].Required != (mode == "required") {
			t.Errorf("%s: %+v", mode, events)
		}
		content, err := os.ReadFile(file)
		if want == "" {
			if err == nil || status != 1 {
				t.Errorf("%s: the command ran, status %d", mode, status)
			}
		} else if string(content) != want+" "+want+"\n" || status != 0 {
			t.Errorf("%s: %q, %v, status %d", mode, content, err, status)
		}
	}
}

// Without a cgroup, "enabled" runs the command all the same.
func TestNoCgroup(t *testing.T) {
	var out bytes.Buffer
	h := &host{mode: "enabled", noCgroup: os.ErrPermission, out: json.NewEncoder(&out)}
	file := filepath.Join(t.TempDir(), "ran")
	if err := h.run("command-1", "echo > "+file); err != nil {
		t.Error(err)
	}
	h.background.Wait()
	if _, err := os.Stat(file); err != nil || !strings.Contains(out.String(), "ebpf_unavailable") {
		t.Errorf("%v, %s", err, out.String())
	}
}
