// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// The test binary runs itself as agentsh-trace-go and as the traced command.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("TRACE_TEST_CONNECT") != "" && len(os.Args) == 2 && os.Args[1] == "connect":
		conn, err := net.Dial("tcp", os.Getenv("TRACE_TEST_CONNECT"))
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, conn) // until the peer has closed, so that Close ends the connection
		conn.Close()
		fmt.Println("connected")
	case os.Getenv("TRACE_TEST_MAIN") != "":
		main()
	default:
		os.Exit(m.Run())
	}
}

func runTrace(t *testing.T, env string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "TRACE_TEST_MAIN=1", env)
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if parent, err := agentshebpf.CgroupPath(); err == nil {
		path := filepath.Join(parent, fmt.Sprintf("agentsh-trace-go-%d", cmd.ProcessState.Pid()))
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: the cgroup is left: %v", args, err)
		}
	}
	return cmd.ProcessState.ExitCode(), out.String(), log.String()
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		env, text string
		args      []string
	}{
		"no command": {"X=", "usage:", nil},
		"off":        {"AGENTSH_EBPF=off", "agentshebpf: open:", []string{"true"}},
		"bad mode":   {"AGENTSH_EBPF=maybe", "maybe", []string{"true"}},
	} {
		status, _, stderr := runTrace(t, c.env, c.args...)
		if status != statusFailed || !strings.Contains(stderr, c.text) {
			t.Errorf("%s: status %d, %q", name, status, stderr)
		}
	}
}

func TestLiveTrace(t *testing.T) {
	caps, err := agentshebpf.Probe(0)
	if err != nil {
		t.Fatal(err)
	}
	if !caps.Usable {
		t.Skipf("this machine cannot trace: %s", caps.Reason)
	}
	for command, want := range map[string]int{
		"true": 0, "exit 7": 7, "kill -TERM $$": 143,
		"kill -TERM $PPID; exec sleep 1000": 143, "kill -HUP $PPID; exec sleep 1000": 129,
	} {
		if status, _, stderr := runTrace(t, "X=", "sh", "-c", command); status != want || stderr != "" {
			t.Errorf("%s: status %d, %q", command, status, stderr)
		}
	}
	if status, _, stderr := runTrace(t, "X=", "/no/such/command"); status != statusFailed || !strings.Contains(stderr, "/no/such/command") {
		t.Errorf("no such command: status %d, %q", status, stderr)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.Close()
		}
	}()
	to := listener.Addr().String()
	self, _ := os.Executable()
	status, stdout, stderr := runTrace(t, "TRACE_TEST_CONNECT="+to, self, "connect")
	if status != 0 || stdout != "connected\n" {
		t.Errorf("status %d, %q", status, stdout)
	}
	for _, kind := range []string{" connect tcp ", " connected tcp ", " closed tcp "} {
		if strings.Count(stderr, kind+to) != 1 {
			t.Errorf("%sis not there once: %q", kind, stderr)
		}
	}
}
