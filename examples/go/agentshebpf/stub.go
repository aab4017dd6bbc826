// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !cgo

package agentshebpf

import (
	"context"
	"iter"
	"net/netip"
	"os"
	"time"
)

// Tracer is a set of loaded eBPF programs and one ring buffer.
type Tracer struct{}

// Session is one attached cgroup, including its descendants.
type Session struct{}

// Rules is a compiled set of rules.
type Rules struct{}

// Open returns ErrUnsupported in this build.
func Open(opts Options) (*Tracer, error) { return nil, ErrUnsupported }

// Close returns ErrUnsupported in this build.
func (t *Tracer) Close() error { return ErrUnsupported }

// Hooks returns 0 in this build.
func (t *Tracer) Hooks() Hooks { return 0 }

// Attach returns ErrUnsupported in this build.
func (t *Tracer) Attach(cgroup *os.File, opts SessionOptions) (*Session, error) {
	return nil, ErrUnsupported
}

// Read returns ErrUnsupported in this build.
func (t *Tracer) Read(ctx context.Context, events []Event) (int, error) { return 0, ErrUnsupported }

// TryRead returns ErrUnsupported in this build.
func (t *Tracer) TryRead(events []Event) (int, error) { return 0, ErrUnsupported }

// Events yields ErrUnsupported in this build.
func (t *Tracer) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) { yield(Event{}, ErrUnsupported) }
}

// Wake returns ErrUnsupported in this build.
func (t *Tracer) Wake() error { return ErrUnsupported }

// Stats returns ErrUnsupported in this build.
func (t *Tracer) Stats() (Stats, error) { return Stats{}, ErrUnsupported }

// Coverage returns ErrUnsupported in this build.
func (t *Tracer) Coverage(flags RulesFlags) (Coverage, error) { return Coverage{}, ErrUnsupported }

// ID returns 0 in this build.
func (s *Session) ID() uint64 { return 0 }

// Detach returns ErrUnsupported in this build.
func (s *Session) Detach() error { return ErrUnsupported }

// Stats returns ErrUnsupported in this build.
func (s *Session) Stats() (Stats, error) { return Stats{}, ErrUnsupported }

// Check returns ErrUnsupported in this build.
func (s *Session) Check() (SessionCheck, error) { return SessionCheck{}, ErrUnsupported }

// Inject returns ErrUnsupported in this build.
func (s *Session) Inject(event *Event) error { return ErrUnsupported }

// Name returns ErrUnsupported in this build.
func (t *Tracer) Name(event *Event) (*Name, error) { return nil, ErrUnsupported }

// CopyName returns ErrUnsupported in this build.
func (t *Tracer) CopyName(event *Event, to *Name) error { return ErrUnsupported }

// DNS returns ErrUnsupported in this build.
func (t *Tracer) DNS(event *Event) (*DNS, error) { return nil, ErrUnsupported }

// LookupName returns ErrUnsupported in this build.
func (s *Session) LookupName(addr netip.Addr) ([]Name, error) { return nil, ErrUnsupported }

// SeedName returns ErrUnsupported in this build.
func (s *Session) SeedName(addr netip.Addr, name string, ttl time.Duration) error {
	return ErrUnsupported
}

// InjectName returns ErrUnsupported in this build.
func (s *Session) InjectName(addr netip.Addr, name *Name) error { return ErrUnsupported }

// NewRules returns ErrUnsupported in this build.
func (t *Tracer) NewRules(rules []Rule, opts RulesOptions) (*Rules, error) {
	return nil, ErrUnsupported
}

// RulesLoopback returns nil in this build.
func RulesLoopback(id uint32) []Rule { return nil }

// RulesResolver returns ErrUnsupported in this build.
func RulesResolver(resolver netip.AddrPort, id uint32) ([]Rule, error) { return nil, ErrUnsupported }

// SetRules returns ErrUnsupported in this build.
func (s *Session) SetRules(rules *Rules) error { return ErrUnsupported }

// Close returns ErrUnsupported in this build.
func (r *Rules) Close() error { return ErrUnsupported }

// ListAddress returns ErrUnsupported in this build.
func (r *Rules) ListAddress(id uint32, addr netip.Addr, until time.Time) error {
	return ErrUnsupported
}

// UnlistAddress returns ErrUnsupported in this build.
func (r *Rules) UnlistAddress(id uint32, addr netip.Addr) error { return ErrUnsupported }

// Judge returns ErrUnsupported in this build.
func (r *Rules) Judge(remote netip.AddrPort, protocol Protocol) (Verdict, uint32, error) {
	return VerdictNone, 0, ErrUnsupported
}

// Probe returns ErrUnsupported in this build.
func Probe(simulateMissing CheckSet) (Capabilities, error) { return Capabilities{}, ErrUnsupported }

// ParseChecks returns ErrUnsupported in this build.
func ParseChecks(names string) (CheckSet, error) { return 0, ErrUnsupported }

// CgroupPath returns ErrUnsupported in this build.
func CgroupPath() (string, error) { return "", ErrUnsupported }

// ModeFromEnv returns ErrUnsupported in this build.
func ModeFromEnv(mode Mode, simulateMissing CheckSet) (Mode, CheckSet, error) {
	return mode, simulateMissing, ErrUnsupported
}

// HooksBuilt returns 0 in this build.
func HooksBuilt() Hooks { return 0 }

// Version returns "" in this build.
func Version() string { return "" }

// Note returns "" in this build.
func (p Path) Note() string { return "" }

func realtime(timestampNs uint64) time.Time { return time.Time{} }
