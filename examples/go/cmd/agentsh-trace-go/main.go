// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Agentsh-trace-go runs a command in a new cgroup, writes the network connections of the
// command to stderr, and exits with the exit status of the command. It shows how a host uses the
// package agentshebpf; agentsh-trace(1) does more.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

const hooks = agentshebpf.HookConnect | agentshebpf.HookUDP | agentshebpf.HookLifecycle |
	agentshebpf.HookDNS | agentshebpf.HookServerName

// statusFailed is the exit status if the command was not run.
const statusFailed = 125

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: agentsh-trace-go COMMAND [ARGUMENT]...")
		os.Exit(statusFailed)
	}
	status, err := trace(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "agentsh-trace-go:", err)
	}
	os.Exit(status)
}

func trace(command []string) (status int, err error) {
	mode, missing, err := agentshebpf.ModeFromEnv(agentshebpf.ModeRequired, 0)
	if err != nil {
		return statusFailed, err
	}
	tracer, err := agentshebpf.Open(agentshebpf.Options{
		Mode:            mode,
		SimulateMissing: missing,
		Hooks:           hooks & agentshebpf.HooksBuilt(),
	})
	if err != nil {
		return statusFailed, err
	}
	defer tracer.Close()

	parent, err := agentshebpf.CgroupPath()
	if err != nil {
		return statusFailed, err
	}
	path := filepath.Join(parent, fmt.Sprintf("agentsh-trace-go-%d", os.Getpid()))
	if err := os.Mkdir(path, 0o755); err != nil {
		return statusFailed, err
	}
	// Fails while a process that the command started in the background still runs.
	defer func() { err = errors.Join(err, remove(path)) }()
	cgroup, err := os.Open(path)
	if err != nil {
		return statusFailed, err
	}
	defer cgroup.Close()
	session, err := tracer.Attach(cgroup, agentshebpf.SessionOptions{ID: uint64(os.Getpid())})
	if err != nil {
		return statusFailed, err
	}

	// The reader ends when the command has ended.
	ctx, ended := context.WithCancel(context.Background())
	printed := make(chan error, 1)
	go func() { printed <- printEvents(ctx, tracer) }()
	status, err = run(command, cgroup)
	err = errors.Join(err, session.Detach())
	ended()
	err = errors.Join(err, <-printed)
	if stats, statsErr := tracer.Stats(); statsErr == nil && stats.Lost > 0 {
		fmt.Fprintf(os.Stderr, "%d events were lost\n", stats.Lost)
	}
	return status, err
}

// run starts the command inside its cgroup and returns its exit status.
func run(command []string, cgroup *os.File) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	// The terminal sends these signals to the command, too, which decides what they mean.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGQUIT)
	// These signals are for this process, and passed on.
	passed := make(chan os.Signal, 1)
	signal.Notify(passed, syscall.SIGTERM, syscall.SIGHUP)
	if err := cmd.Start(); err != nil {
		return statusFailed, err
	}
	go func() {
		for sig := range passed {
			cmd.Process.Signal(sig)
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return statusFailed, err
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// printEvents prints events until ctx is done, and then the events that are left.
func printEvents(ctx context.Context, tracer *agentshebpf.Tracer) error {
	for event, err := range tracer.Events(ctx) {
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			return err
		}
		printEvent(tracer, &event)
	}
	events := make([]agentshebpf.Event, 256)
	for {
		n, err := tracer.TryRead(events)
		if n == 0 || err != nil {
			return err
		}
		for i := range events[:n] {
			printEvent(tracer, &events[i])
		}
	}
}

func printEvent(tracer *agentshebpf.Tracer, event *agentshebpf.Event) {
	suffix := ""
	// The name is there until the tracer is read again.
	if name, err := tracer.Name(event); err == nil {
		suffix = fmt.Sprintf(" (%s, %v)", safe(name.Host()), name.HostSource())
	}
	fmt.Fprintf(os.Stderr, "%s %s[%d] %v%s\n", event.Time().Format(time.StampMilli), safe(event.Comm()), event.TGID,
		event, suffix)
}

// remove removes the cgroup. The kernel counts a process for a moment after its end.
func remove(path string) (err error) {
	for range 100 {
		if err = os.Remove(path); !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// safe replaces bytes in a name that a terminal could interpret.
func safe(name string) string {
	quoted := fmt.Sprintf("%q", name)
	return quoted[1 : len(quoted)-1]
}
