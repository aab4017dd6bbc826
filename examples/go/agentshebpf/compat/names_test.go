// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package compat

import (
	"net/netip"
	"testing"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

func TestDomain(t *testing.T) {
	synthetic(t, nil)
	handle, _ := attach(t, t.TempDir())
	other, _ := attach(t, t.TempDir())
	// More than one batch, so that the names of the first batch are gone at the end.
	const total = 4 * batch
	c, d := collect(t, handle, total), collect(t, other, total)
	for addr, name := range map[string]agentshebpf.Name{
		"192.0.2.1": {Asked: "www.example.org", Owner: "cdn.example.net", Source: agentshebpf.NameDNS},
		"192.0.2.2": {ServerName: "api.example.org", ServerNameSource: agentshebpf.NameTLS},
	} {
		if err := handle.Session().InjectName(netip.MustParseAddr(addr), &name); err != nil {
			t.Fatal(err)
		}
	}
	if err := handle.Session().SeedName(netip.MustParseAddr("192.0.2.3"), "host.example.org", 0); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*Collection{handle, other} {
		for i := range total {
			e := agentshebpf.Event{Kind: agentshebpf.KindConnect, Family: 2, Protocol: 6,
				RemoteAddr: [16]byte{192, 0, 2, byte(i%4 + 1)}}
			if err := h.Session().Inject(&e); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.Close()
	d.Close()
	got := rest(c)
	if len(got) != total {
		t.Fatalf("%d events instead of %d", len(got), total)
	}
	want := []struct{ domain, source string }{
		{"www.example.org", "dns"}, {"api.example.org", "tls"}, {"host.example.org", "seed"}, {"", ""},
	}
	for _, ev := range got {
		if w := want[ev.DstIPv4&255-1]; ev.Domain != w.domain || ev.DomainSource != w.source {
			t.Fatalf("the domain is %q from %q instead of %v", ev.Domain, ev.DomainSource, w)
		}
	}
	for _, ev := range rest(d) {
		if ev.Domain != "" || ev.DomainSource != "" {
			t.Fatalf("a name of another session is in %+v", ev)
		}
	}
}

func TestNameOptions(t *testing.T) {
	opts := NameOptions()
	if opts.Hooks&^hooks != agentshebpf.HookLifecycle|agentshebpf.HookDNS || opts.RequiredHooks != hooks {
		t.Errorf("hooks %v, required %v", opts.Hooks, opts.RequiredHooks)
	}
}
