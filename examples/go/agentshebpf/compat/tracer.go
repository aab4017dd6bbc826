// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"errors"
	"sync"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// shared is the tracer of the process, with the number of its users: attached sessions and open
// collectors.
type shared struct {
	mu     sync.Mutex
	set    bool // opts replaces the default
	opts   agentshebpf.Options
	reader *reader
	users  int
	lastID uint64
}

var process shared

// environment is what an operator has chosen. It is read when the program starts, because os.Setenv
// in another goroutine must not run meanwhile.
var environment = func() (e struct {
	mode     agentshebpf.Mode
	simulate agentshebpf.CheckSet
	err      error
}) {
	e.mode, e.simulate, e.err = agentshebpf.ModeFromEnv(agentshebpf.ModeAuto, 0)
	return e
}()

const hooks = agentshebpf.HookConnect | agentshebpf.HookUDP | agentshebpf.HookRules

// DefaultOptions returns the options with which the tracer is opened unless SetOptions was called:
// the hooks CONNECT, UDP and RULES, all required, and an event for each datagram.
func DefaultOptions() agentshebpf.Options {
	return agentshebpf.Options{
		Hooks:         hooks,
		RequiredHooks: hooks,
		Flags:         agentshebpf.OpenUDPNoDedup,
		CheckInterval: -1, // nothing here reports KindSessionBlind
	}
}

// NameOptions returns DefaultOptions, and the hooks that give Domain to a ConnectEvent if the machine has
// them: LIFECYCLE and DNS. Their programs run for each packet, and the ring also carries the DNS messages and
// the outcomes of connections, so they are no default.
func NameOptions() agentshebpf.Options {
	opts := DefaultOptions()
	opts.Hooks |= agentshebpf.HookLifecycle | agentshebpf.HookDNS
	return opts
}

// StrictOptions returns DefaultOptions, and the hooks with which a policy also closes other ways than
// connect(2) and sendto(2), all required: SOCK_CREATE and EGRESS. As long as a session has a policy, whatever the policy is,
// socket(2) then fails with EPERM for sockets of IPv4 and IPv6 that are neither TCP nor UDP (agentshebpf.RulesStrictSockets),
// and packets to a destination that the policy denies are dropped, also those of connections that
// are older than the policy (agentshebpf.RulesEgress). A program runs for each packet that is sent.
func StrictOptions() agentshebpf.Options {
	opts := DefaultOptions()
	opts.Hooks |= agentshebpf.HookSockCreate | agentshebpf.HookEgress
	opts.RequiredHooks = opts.Hooks
	return opts
}

// SetOptions sets the options with which the tracer is opened the next time, for example NameOptions,
// StrictOptions, or the mode agentshebpf.ModeSynthetic in tests. Start with DefaultOptions. It returns an error while the
// tracer is open.
func SetOptions(opts agentshebpf.Options) error {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.reader != nil {
		return errors.New("compat: the tracer is open; close all collectors and detach first")
	}
	process.opts, process.set = opts, true
	return nil
}

// options returns the options in effect, with what an operator has chosen in the environment.
func (s *shared) options() (agentshebpf.Options, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.optionsLocked()
}

func (s *shared) optionsLocked() (agentshebpf.Options, error) {
	opts := s.opts
	if !s.set {
		opts = DefaultOptions()
	}
	GetMapOverrides().apply(&opts)
	if opts.Mode == agentshebpf.ModeSynthetic {
		return opts, nil
	}
	if environment.err != nil && !errors.Is(environment.err, errors.ErrUnsupported) {
		return opts, environment.err
	}
	if environment.mode != agentshebpf.ModeAuto {
		opts.Mode = environment.mode
	}
	opts.SimulateMissing |= environment.simulate
	return opts, nil
}

// open adds a user, opens the tracer if it is the first, and returns a new session ID.
func (s *shared) open() (*reader, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil {
		opts, err := s.optionsLocked()
		if err != nil {
			return nil, 0, err
		}
		if s.reader, err = newReader(opts); err != nil {
			return nil, 0, err
		}
	}
	s.users++
	s.lastID++
	return s.reader, s.lastID, nil
}

// KeepOpen opens the tracer, if it is not open, and keeps it open until release is called. Opening and
// closing take some tenths of a second, so a host that often has no session between two commands
// saves that time. Calls of release after the first do nothing.
func KeepOpen() (release func(), err error) {
	if _, _, err := process.open(); err != nil {
		return nil, err
	}
	return sync.OnceFunc(process.release), nil
}

// retain adds a user of a tracer that is still open.
func (s *shared) retain(r *reader) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r == nil || r != s.reader {
		return false
	}
	s.users++
	return true
}

// release removes a user, and closes the tracer after the last.
func (s *shared) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if s.users == 0 {
		s.reader.stop()
		s.reader = nil
	}
}
