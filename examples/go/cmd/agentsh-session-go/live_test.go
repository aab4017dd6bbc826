// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf/compat"
)

func needTracing(t *testing.T) {
	t.Helper()
	if status := compat.CheckSupport(); !status.Supported {
		t.Skip("this machine cannot trace: " + status.Reason)
	}
}

// A background process of the first command connects while the second one runs.
func TestSession(t *testing.T) {
	needTracing(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	events, status := serve(t, "required", "", false,
		connect(t, "127.0.0.1:9")+"; (read line < "+fifo+"; "+connect(t, "[::1]:10")+") &",
		"echo go > "+fifo+"; "+connect(t, "127.0.0.1:11"))
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
	var got []string
	place := make(map[string]int)
	for i, ev := range events {
		at, err := time.Parse(time.RFC3339Nano, ev.Timestamp)
		if err != nil || at.Before(begin) || at.After(time.Now()) || ev.SessionID == "" {
			t.Errorf("%+v: %v", ev, err)
		}
		if ev.Type == "net_connect" {
			if ev.Domain != "" || ev.Protocol != "tcp" || ev.PID == 0 || ev.Policy.Decision != "allow" {
				t.Errorf("%+v", ev)
			}
			got = append(got, fmt.Sprint(ev.CommandID, " ", ev.IP, " ", ev.Port))
			place[got[len(got)-1]] = i
		} else {
			place[ev.Type+" "+ev.CommandID] = i
		}
	}
	if len(got) != 3 || len(events) != 5 {
		t.Fatalf("%+v", events)
	}
	for _, want := range []string{"command-1 127.0.0.1 9", "command-1 ::1 10", "command-2 127.0.0.1 11"} {
		if _, ok := place[want]; !ok {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
	if place["command-1 ::1 10"] < place["ebpf_attached command-2"] {
		t.Error("the background process was too early to test anything")
	}
}

// The limit of inotify instances does not end tracing.
func TestSessionWithoutInotify(t *testing.T) {
	defer func(w func(string) (*os.File, error)) { watch = w }(watch)
	watch = func(string) (*os.File, error) { return nil, syscall.EMFILE }
	TestSession(t)
}

func TestKill(t *testing.T) {
	needTracing(t)
	events, status := serve(t, "enabled", "", true, "sleep 1000000 &")
	if status != 0 || len(events) != 1 || events[0].Type != "ebpf_attached" {
		t.Errorf("status %d, %+v", status, events)
	}
}
