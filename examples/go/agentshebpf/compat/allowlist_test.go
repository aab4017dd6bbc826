// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package compat

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

func v4(addr string, port uint16, protocol uint8) AllowKey {
	k := AllowKey{Family: 2, Dport: port, Protocol: protocol}
	b := netip.MustParseAddr(addr).As4()
	copy(k.Addr[:], b[:])
	return k
}

func v4CIDR(addr string, bits uint32, port uint16) AllowCIDR {
	return AllowCIDR{Family: 2, PrefixLen: bits, Dport: port, Addr: v4(addr, 0, 0).Addr}
}

func v6(addr string) AllowKey {
	return AllowKey{Family: 10, Addr: netip.MustParseAddr(addr).As16()}
}

func wantDenied(t *testing.T, handle *Collection, to string, protocol agentshebpf.Protocol, denied bool) {
	t.Helper()
	verdict, _, err := policies.all[handle].rules.Judge(netip.MustParseAddrPort(to), protocol)
	if err != nil || (verdict == agentshebpf.VerdictDenied) != denied {
		t.Errorf("%s %v: %v, %v; denied must be %t", to, protocol, verdict, err, denied)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAllowlist(t *testing.T) {
	synthetic(t, nil)
	handle, detach := attach(t, os.DevNull)
	id, err := CgroupID(os.DevNull)
	noError(t, err)
	const TCP, UDP = agentshebpf.ProtocolTCP, agentshebpf.ProtocolUDP
	if err := AddTemporaryAllowRule(handle, id, v4("192.0.2.7", 0, 0)); !errors.Is(err, errNoPolicy) {
		t.Errorf("AddTemporaryAllowRule without a policy returns %v", err)
	}
	noError(t, RemoveTemporaryAllowRule(handle, id, v4("192.0.2.7", 0, 0)))
	noError(t, CleanupAllowlist(handle, id))

	noError(t, PopulateAllowlist(handle, id,
		[]AllowKey{v4("192.0.2.1", 443, 6), v4("192.0.2.2", 0, 0), v6("2001:db8::1")}, []AllowCIDR{v4CIDR("10.0.0.0", 8, 0), v4CIDR("10.0.0.0", 8, 1)},
		[]AllowKey{v4("10.1.1.1", 22, 0)}, []AllowCIDR{v4CIDR("10.2.0.0", 16, 0), v4CIDR("192.0.2.2", 32, 25)}, true))
	want := MapCounts{AllowCgroup: 3, AllowTotal: 3, DenyCgroup: 1, DenyTotal: 1,
		LpmAllowCgroup: 2, LpmAllowTotal: 2, LpmDenyCgroup: 2, LpmDenyTotal: 2}
	if got := GetLastMapCounts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	for _, c := range []struct {
		to       string
		protocol agentshebpf.Protocol
		denied   bool
	}{
		{"192.0.2.1:443", TCP, false}, {"192.0.2.1:443", UDP, true}, {"192.0.2.1:444", TCP, true},
		{"192.0.2.2:9", UDP, false}, {"192.0.2.2:0", agentshebpf.ProtocolICMP, false}, {"192.0.2.2:25", TCP, true},
		{"[2001:db8::1]:9", TCP, false}, {"[2001:db8::2]:9", TCP, true},
		{"10.1.1.1:23", TCP, false}, {"10.1.1.1:22", TCP, true}, {"10.2.1.1:1", TCP, true}, {"10.3.1.1:1", TCP, false},
		{"198.51.100.1:1", TCP, true},
	} {
		wantDenied(t, handle, c.to, c.protocol, c.denied)
	}

	key := v4("198.51.100.1", 1, 6)
	for range 2 { // an entry that exists is not added twice
		noError(t, AddTemporaryAllowRule(handle, id, key))
	}
	noError(t, AddTemporaryAllowRule(handle, id, v4("10.1.1.1", 22, 6)))
	wantDenied(t, handle, "198.51.100.1:1", TCP, false)
	wantDenied(t, handle, "198.51.100.1:2", TCP, true)
	wantDenied(t, handle, "10.1.1.1:22", TCP, true) // deny is stronger
	key.CgroupID = id
	noError(t, RemoveTemporaryAllowRule(handle, id, key))
	wantDenied(t, handle, "198.51.100.1:1", TCP, true)

	for name, err := range map[string]error{
		"another cgroup":    PopulateAllowlist(handle, id+1, nil, nil, nil, nil, false),
		"an unknown family": PopulateAllowlist(handle, id, []AllowKey{{Family: 3}}, nil, nil, nil, false),
		"a long prefix":     PopulateAllowlist(handle, id, nil, []AllowCIDR{v4CIDR("10.0.0.0", 33, 0)}, nil, nil, false),
		"a very long one":   PopulateAllowlist(handle, id, nil, nil, nil, []AllowCIDR{v4CIDR("10.0.0.0", 1<<31, 0)}, false),
		"a protocol":        PopulateAllowlist(handle, id, nil, nil, []AllowKey{v4("10.0.0.1", 0, 1)}, nil, false),
		"nil":               PopulateAllowlist(nil, id, nil, nil, nil, nil, false),
	} {
		if err == nil {
			t.Errorf("%s is no error", name)
		}
	}
	wantDenied(t, handle, "203.0.113.1:1", TCP, true) // the old policy is in force
	noError(t, PopulateAllowlist(handle, id, nil, nil, nil, nil, false))
	wantDenied(t, handle, "203.0.113.1:1", TCP, false)
	noError(t, CleanupAllowlist(handle, id))
	noError(t, CleanupAllowlist(nil, id))
	noError(t, PopulateAllowlist(handle, id, nil, nil, nil, nil, true))
	noError(t, detach())
	if len(policies.all) != 0 {
		t.Errorf("%d policies are left", len(policies.all))
	}
	if err := PopulateAllowlist(handle, id, nil, nil, nil, nil, true); err == nil {
		t.Error("PopulateAllowlist after detach is no error")
	}
}

// Packets that are denied are reported as connects are; sockets have no destination to report.
func TestStrictEvents(t *testing.T) {
	synthetic(t, func(opts *agentshebpf.Options) { opts.Hooks = StrictOptions().Hooks })
	handle, _ := attach(t, os.DevNull)
	c := collect(t, handle, 16)
	for _, kind := range []agentshebpf.Kind{agentshebpf.KindSocketDenied, agentshebpf.KindPacketDenied} {
		noError(t, handle.Session().Inject(&agentshebpf.Event{Kind: kind, Family: 2, Protocol: 17,
			RemoteAddr: [16]byte{127, 0, 0, 1}, RemotePort: 9, Verdict: agentshebpf.VerdictDenied}))
	}
	c.Close()
	events := rest(c)
	if len(events) != 1 || events[0].Blocked != 1 || events[0].DstIPv4 != loopback || events[0].Dport != 9 {
		t.Errorf("%+v", events)
	}
}

func TestMapOverrides(t *testing.T) {
	opts := DefaultOptions()
	MapOverrides{Allow: 10}.apply(&opts)
	if opts.RulesBytes != 0 {
		t.Errorf("few entries need %d bytes", opts.RulesBytes)
	}
	MapOverrides{Allow: 1 << 20}.apply(&opts)
	if opts.RulesBytes != 1<<20*ruleBytes {
		t.Errorf("many entries need %d bytes", opts.RulesBytes)
	}
	opts.RulesBytes = 0
	MapOverrides{Allow: 1<<32 - 1, Deny: 1<<32 - 1}.apply(&opts)
	if opts.RulesBytes != mostBytes {
		t.Errorf("too many entries need %d bytes", opts.RulesBytes)
	}
	if d, err := EmbeddedMapDefaults(); err != nil || d.Allow == 0 {
		t.Errorf("%+v, %v", d, err)
	}
	SetMapSizeOverrides(1, 2, 3, 4, 5)
	SetMapSizeOverrides(9, 9, 9, 9, 9)
	if got := GetMapOverrides(); got != (MapOverrides{1, 2, 3, 4, 5}) {
		t.Errorf("%+v", got)
	}
}

// The memory is enough for the entries of which SetMapSizeOverrides knows, also while a policy replaces another.
func TestLiveRoomForEntries(t *testing.T) {
	const entries = 36000 // more than fit by default
	cgroup := live(t)
	opts := DefaultOptions()
	MapOverrides{Allow: entries}.apply(&opts)
	noError(t, SetOptions(opts))
	t.Cleanup(func() { noError(t, SetOptions(DefaultOptions())) })
	handle, detach := attach(t, cgroup)
	id, err := CgroupID(cgroup)
	noError(t, err)
	allow := make([]AllowKey, entries)
	for i := range allow {
		allow[i] = v6("2001:db8::1")
		allow[i].Addr[12], allow[i].Addr[13] = byte(i>>8), byte(i)
		allow[i].Dport, allow[i].Protocol = uint16(i%3), []uint8{0, 6, 17}[i%3]
	}
	for range 3 {
		noError(t, PopulateAllowlist(handle, id, allow, nil, nil, nil, true))
	}
	noError(t, detach())
}

func TestLiveStrictOptions(t *testing.T) {
	cgroup := live(t)
	id, err := CgroupID(cgroup)
	noError(t, err)
	t.Cleanup(func() { noError(t, SetOptions(DefaultOptions())) })
	for _, c := range []struct {
		opts   agentshebpf.Options
		denied string
	}{{DefaultOptions(), "0"}, {StrictOptions(), "1"}} {
		noError(t, SetOptions(c.opts))
		handle, detach := attach(t, cgroup)
		for _, denied := range []string{"0", c.denied, "0"} {
			t.Setenv(childDenied, denied)
			run(t, cgroup, "raw - 1")
			if policies.all[handle] == nil {
				noError(t, PopulateAllowlist(handle, id, nil, nil, nil, nil, false))
			} else {
				noError(t, CleanupAllowlist(handle, id))
			}
		}
		t.Setenv(childDenied, "0")
		run(t, cgroup, "tcp4 127.0.0.1:9 1")
		noError(t, detach())
	}
}

func TestLiveAllowlist(t *testing.T) {
	cgroup := live(t)
	handle, _ := attach(t, cgroup)
	c := collect(t, handle, 4096)
	id, err := CgroupID(cgroup)
	noError(t, err)
	call := func(denied string) {
		t.Helper()
		t.Setenv(childDenied, denied)
		run(t, cgroup, "tcp4 127.0.0.1:9 1")
	}
	call("0")
	noError(t, PopulateAllowlist(handle, id, nil, nil, nil, nil, true))
	call("1")
	noError(t, AddTemporaryAllowRule(handle, id, v4("127.0.0.1", 9, 6)))
	call("0")
	noError(t, RemoveTemporaryAllowRule(handle, id, v4("127.0.0.1", 9, 6)))
	call("1")
	noError(t, PopulateAllowlist(handle, id, nil, []AllowCIDR{v4CIDR("127.0.0.0", 8, 0)}, []AllowKey{v4("127.0.0.1", 9, 0)}, nil, false))
	call("1")
	noError(t, CleanupAllowlist(handle, id))
	call("0")
	c.Close()
	var blocked []uint8
	for _, ev := range rest(c) {
		blocked = append(blocked, ev.Blocked)
	}
	if want := []uint8{0, 1, 0, 1, 1, 0}; string(blocked) != string(want) {
		t.Errorf("Blocked is %v, want %v", blocked, want)
	}
}
