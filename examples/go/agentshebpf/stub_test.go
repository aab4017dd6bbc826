// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !cgo

package agentshebpf

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestStub(t *testing.T) {
	tracer, err := Open(Options{})
	if tracer != nil || !errors.Is(err, ErrUnsupported) {
		t.Fatalf("Open returns %v, %v", tracer, err)
	}
	events := make([]Event, 1)
	session, rules := new(Session), new(Rules)
	tracer = new(Tracer)
	calls := map[string]func() error{
		"Close":       func() error { return tracer.Close() },
		"Attach":      func() error { _, err := tracer.Attach(nil, SessionOptions{}); return err },
		"Read":        func() error { _, err := tracer.Read(context.Background(), events); return err },
		"TryRead":     func() error { _, err := tracer.TryRead(events); return err },
		"Wake":        func() error { return tracer.Wake() },
		"Stats":       func() error { _, err := tracer.Stats(); return err },
		"Coverage":    func() error { _, err := tracer.Coverage(0); return err },
		"Detach":      func() error { return session.Detach() },
		"SessionStat": func() error { _, err := session.Stats(); return err },
		"Check":       func() error { _, err := session.Check(); return err },
		"Inject":      func() error { return session.Inject(&events[0]) },
		"Name":        func() error { _, err := tracer.Name(&events[0]); return err },
		"CopyName":    func() error { return tracer.CopyName(&events[0], new(Name)) },
		"DNS":         func() error { _, err := tracer.DNS(&events[0]); return err },
		"LookupName":  func() error { _, err := session.LookupName(netip.Addr{}); return err },
		"SeedName":    func() error { return session.SeedName(netip.Addr{}, "", 0) },
		"InjectName":  func() error { return session.InjectName(netip.Addr{}, new(Name)) },
		"NewRules":    func() error { _, err := tracer.NewRules(nil, RulesOptions{}); return err },
		"Resolver":    func() error { _, err := RulesResolver(netip.AddrPort{}, 1); return err },
		"SetRules":    func() error { return session.SetRules(rules) },
		"CloseRules":  func() error { return rules.Close() },
		"List":        func() error { return rules.ListAddress(1, netip.Addr{}, time.Time{}) },
		"Unlist":      func() error { return rules.UnlistAddress(1, netip.Addr{}) },
		"Judge":       func() error { _, _, err := rules.Judge(netip.AddrPort{}, 0); return err },
		"Probe":       func() error { _, err := Probe(0); return err },
		"ParseChecks": func() error { _, err := ParseChecks("btf"); return err },
		"CgroupPath":  func() error { _, err := CgroupPath(); return err },
		"ModeFromEnv": func() error { _, _, err := ModeFromEnv(ModeAuto, 0); return err },
		"Events": func() error {
			for _, err := range tracer.Events(context.Background()) {
				return err
			}
			return nil
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s returns %v", name, err)
		}
	}
}
