// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf/internal/clib"
)

const asker = 4711

var (
	v4 = netip.MustParseAddr("192.0.2.1")
	v6 = netip.MustParseAddr("2001:db8::1")
)

func fullName() Name {
	return Name{
		Asked: "www.example.org", Owner: "cdn.example.net", Source: NameDNS,
		ServerName: "api.example.org", ServerNameSource: NameTLS, ALPN: "h2,http/1.1",
		Flags: NameDiffers, AskerTGID: asker, TTL: 5 * time.Minute,
		Resolver: netip.MustParseAddrPort("[2001:db8::53]:5353"),
	}
}

// eventTo returns an event of the process that asks.
func eventTo(addr netip.Addr) Event {
	e := Event{Kind: KindConnect, Protocol: ProtocolTCP, RemotePort: 443, TGID: asker, Family: FamilyIPv6}
	e.RemoteAddr = addr.As16()
	if addr.Is4() {
		e.Family, e.RemoteAddr = FamilyIPv4, [16]byte{}
		copy(e.RemoteAddr[:], addr.AsSlice())
	}
	return e
}

// deliver injects an event and reads it.
func deliver(t *testing.T, tracer *Tracer, session *Session, e Event) Event {
	t.Helper()
	must(t, session.Inject(&e))
	events := make([]Event, 2)
	n, err := tracer.Read(context.Background(), events)
	must(t, err)
	mustEqual(t, "number of events", n, 1)
	return events[0]
}

func mustEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v instead of %v", what, got, want)
	}
}

func TestAllMembersOfANameComeBack(t *testing.T) {
	for _, addr := range []netip.Addr{v4, v6} {
		tracer := openSynthetic(t, Options{})
		session := attachSynthetic(t, tracer, 1)
		want := fullName()
		must(t, session.InjectName(addr, &want))
		e := deliver(t, tracer, session, eventTo(addr))
		if e.NameID == 0 {
			t.Fatal("the event has no name")
		}
		got, err := tracer.Name(&e)
		must(t, err)
		if got.Age < 0 || got.Age > 10*time.Minute {
			t.Errorf("the age is %v", got.Age)
		}
		got.Age = 0
		equal(t, "name", *got, want)
		equal(t, "host", got.Host(), "www.example.org")
		equal(t, "source of the host", got.HostSource(), NameDNS)
	}
}

func TestHost(t *testing.T) {
	for _, c := range []struct {
		name   Name
		host   string
		source NameSource
	}{
		{Name{}, "", NameNone},
		{Name{Asked: "a", Source: NameSeed, ServerName: "b", ServerNameSource: NameTLS}, "a", NameSeed},
		{Name{ServerName: "b", ServerNameSource: NameHTTP}, "b", NameHTTP},
		{Name{Asked: "/run/socket", Source: NameUnix}, "", NameNone},
	} {
		equal(t, "host", c.name.Host(), c.host)
		equal(t, "source", c.name.HostSource(), c.source)
	}
}

func TestNamesAndSessions(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session, other := attachSynthetic(t, tracer, 1), attachSynthetic(t, tracer, 2)
	name := fullName()
	must(t, session.InjectName(v4, &name))
	e := eventTo(v4)
	e.TGID = asker + 1
	e = deliver(t, tracer, session, e)
	got, err := tracer.Name(&e)
	must(t, err)
	equal(t, "flags of another process", got.Flags, NameDiffers|NameOtherProcess)

	e = deliver(t, tracer, other, eventTo(v4))
	equal(t, "name ID of another session", e.NameID, 0)
	_, err = tracer.Name(&e)
	wantError(t, "Name", err, syscall.ENOENT)
	list, err := other.LookupName(v4)
	must(t, err)
	equal(t, "names in another session", len(list), 0)
}

// A name that was copied stays; a name that was not copied before the next read is gone.
func TestANameIsCopied(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	name := fullName()
	must(t, session.InjectName(v4, &name))
	first := deliver(t, tracer, session, eventTo(v4))
	got, err := tracer.Name(&first)
	must(t, err)
	name.Asked = "other.example.org"
	must(t, session.InjectName(v4, &name))
	deliver(t, tracer, session, eventTo(v4))
	equal(t, "name", got.Asked, "www.example.org")
	_, err = tracer.Name(&first)
	wantError(t, "Name after the next read", err, syscall.ENOENT)
	none := eventTo(v4)
	_, err = tracer.Name(&none)
	wantError(t, "Name of an event without a name", err, syscall.ENOENT)
}

// The names of a batch are there for the whole loop, also if the loop is left and begun again.
func TestNamesInALoop(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	for i := range 100 {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		must(t, session.InjectName(addr, &Name{Asked: fmt.Sprintf("n%d.example.org", i), Source: NameDNSTCP}))
		e := eventTo(addr)
		must(t, session.Inject(&e))
	}
	for i := 0; i < 100; {
		for event, err := range tracer.Events(context.Background()) {
			must(t, err)
			name, err := tracer.Name(&event)
			must(t, err)
			equal(t, "name", name.Asked, fmt.Sprintf("n%d.example.org", i))
			equal(t, "source", name.Source, NameDNSTCP)
			if i++; i%10 == 0 {
				break
			}
		}
	}
}

func TestSharedAddress(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	for i, asked := range []string{"first.example.org", "second.example.org"} {
		name := Name{Asked: asked, Owner: asked, Source: NameDNS, AskerTGID: uint32(i + 1), TTL: time.Hour}
		must(t, session.InjectName(v4, &name))
	}
	for i, asked := range []string{"first.example.org", "second.example.org"} {
		e := eventTo(v4)
		e.TGID = uint32(i + 1)
		e = deliver(t, tracer, session, e)
		got, err := tracer.Name(&e)
		must(t, err)
		equal(t, "name", got.Asked, asked)
		equal(t, "others", got.Others, 1)
		equal(t, "flags", got.Flags, NameShared)
	}
	list, err := session.LookupName(v4)
	must(t, err)
	mustEqual(t, "number of names", len(list), 2)
	equal(t, "first name", list[0].Asked, "second.example.org")
	equal(t, "second name", list[1].Asked, "first.example.org")
}

func TestSeedName(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	must(t, session.SeedName(v6, "Host.Example.ORG.", 0))
	e := deliver(t, tracer, session, eventTo(v6))
	got, err := tracer.Name(&e)
	must(t, err)
	equal(t, "name", got.Asked, "host.example.org")
	equal(t, "source", got.Source, NameSeed)
	equal(t, "time to live", got.TTL, NoEnd)
	equal(t, "resolver", got.Resolver, netip.AddrPort{})
	mapped := netip.AddrFrom16(v4.As16())
	must(t, session.SeedName(mapped, "other.example.org", time.Minute))
	list, err := session.LookupName(v4)
	must(t, err)
	mustEqual(t, "number of names", len(list), 1)
	equal(t, "name", list[0].Asked, "other.example.org")
	equal(t, "time to live", list[0].TTL, time.Minute)
	must(t, session.SeedName(v6, "", 0))
	e = deliver(t, tracer, session, eventTo(v6))
	equal(t, "name ID without the seed", e.NameID, 0)
}

func TestErrorsOfNames(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	long := fullName()
	long.Owner = strings.Repeat("a", 256)
	e := eventTo(v4)
	for what, err := range map[string]error{
		"no address":    session.SeedName(netip.Addr{}, "a", 0),
		"no name":       session.SeedName(v4, "a..b", 0),
		"a NUL byte":    session.SeedName(v4, "a\x00b", 0),
		"negative TTL":  session.SeedName(v4, "a", -1),
		"a long text":   session.InjectName(v4, &long),
		"inject nobody": session.InjectName(netip.Addr{}, new(Name)),
	} {
		wantError(t, what, err, syscall.EINVAL)
	}
	_, err := tracer.DNS(&e)
	wantError(t, "DNS of another kind", err, syscall.ENOENT)
	must(t, session.Detach())
	_, err = session.LookupName(v4)
	wantError(t, "LookupName after Detach", err, syscall.EINVAL)
	wantError(t, "SeedName after Detach", session.SeedName(v4, "a", 0), syscall.EINVAL)
	must(t, tracer.Close())
	name := fullName()
	e.NameID = 1
	for what, call := range map[string]func() error{
		"Name":       func() error { _, err := tracer.Name(&e); return err },
		"DNS":        func() error { _, err := tracer.DNS(&e); return err },
		"LookupName": func() error { _, err := session.LookupName(v4); return err },
		"SeedName":   func() error { return session.SeedName(v4, "a", 0) },
		"InjectName": func() error { return session.InjectName(v4, &name) },
	} {
		wantError(t, what, call(), ErrClosed)
	}
}

// Each option has a value that the library or the package refuses, so an option that got lost is found.
func TestOptionsOfNames(t *testing.T) {
	for what, c := range map[string]struct {
		opts  Options
		errno syscall.Errno
	}{
		"dns_timeout_ms": {Options{DNSTimeout: time.Millisecond}, syscall.ERANGE},
		"dns_ports":      {Options{DNSPorts: []uint16{5353}}, syscall.EINVAL},
		"DNSPorts":       {Options{DNSPorts: make([]uint16, 5)}, syscall.EINVAL},
		"flags":          {Options{Flags: OpenDNSEvents}, syscall.EINVAL},
	} {
		c.opts.Mode = ModeSynthetic
		_, err := Open(c.opts)
		wantError(t, what, err, c.errno, StepOptions)
		if err != nil && !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	tracer := openSynthetic(t, Options{})
	null := attachSynthetic(t, tracer, 1)
	must(t, null.Detach())
	for what, c := range map[string]struct {
		opts  SessionOptions
		errno syscall.Errno
	}{
		"names_max":        {SessionOptions{NamesMax: 1}, syscall.ERANGE},
		"names_bytes":      {SessionOptions{NamesBytes: 1}, syscall.ERANGE},
		"TrustedResolvers": {SessionOptions{TrustedResolvers: make([]netip.AddrPort, 1)}, syscall.EINVAL},
		"at most 4":        {SessionOptions{TrustedResolvers: make([]netip.AddrPort, 5)}, syscall.EINVAL},
	} {
		_, err := tracer.Attach(tracer.file, c.opts)
		wantError(t, what, err, c.errno, StepOptions)
		if err != nil && !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := tracer.Attach(tracer.file, SessionOptions{NamesMax: 16, NamesBytes: 4096,
		TrustedResolvers: []netip.AddrPort{netip.AddrPortFrom(v4, 0), netip.AddrPortFrom(v6, 53)}})
	must(t, err)
	c := toAddress(netip.AddrPortFrom(v6, 53))
	equal(t, "address", addrOf(&c), v6)
	equal(t, "port", c.port, 53)
}

func TestStatsOfNames(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	for i := range 1000 {
		addr := netip.AddrFrom4([4]byte{192, 0, byte(i / 250), byte(i % 250)})
		must(t, session.SeedName(addr, fmt.Sprintf("n%d.example.org", i), 0))
	}
	stats, err := session.Stats()
	must(t, err)
	if stats.NamesEvicted == 0 {
		t.Error("no name was evicted")
	}
	equal(t, "stats", stats, Stats{Sessions: 1, NamesEvicted: stats.NamesEvicted})
}

func TestNamesOfSources(t *testing.T) {
	for v := range uint32(32) {
		want := clib.SourceName(v)
		if want == "unknown" {
			want = fmt.Sprintf("NameSource(%d)", v)
		}
		equal(t, "source", NameSource(v).String(), want)
	}
	equal(t, "flags", (NameShared | NameDiffers).String(), "shared,differs")
	equal(t, "DNS flags", (DNSOverTCP | DNSUntrusted).String(), "tcp,untrusted")
}

// An event without a name costs nothing, and a name whose texts are known is copied without allocation.
func TestCopyNameDoesNotAllocate(t *testing.T) {
	tracer := openSynthetic(t, Options{})
	session := attachSynthetic(t, tracer, 1)
	want := fullName()
	must(t, session.InjectName(v4, &want))
	named := deliver(t, tracer, session, eventTo(v4))
	var name Name
	must(t, tracer.CopyName(&named, &name))
	equal(t, "allocations", testing.AllocsPerRun(100, func() {
		if err := tracer.CopyName(&named, &name); err != nil {
			t.Fatal(err)
		}
	}), 0)
	equal(t, "name", name.Asked, want.Asked)
	none := eventTo(v6)
	equal(t, "allocations without a name", testing.AllocsPerRun(100, func() {
		if got, err := tracer.Name(&none); err == nil {
			t.Fatal(got)
		}
	}), 0)
}

// A process that asks for ever new names cannot make the memory of the reader grow.
func TestTextsAreBounded(t *testing.T) {
	var n names
	n.init()
	for i := range 3 * textsMax {
		text := fmt.Sprintf("n%d.example.org", i)
		raw := unsafe.Slice((*byte)(unsafe.Pointer(&n.raw.asked)), len(n.raw.asked))
		clear(raw)
		copy(raw, text)
		var name Name
		n.copyTo(&name)
		equal(t, "text", name.Asked, text)
	}
	if len(n.texts) > textsMax {
		t.Errorf("%d texts are kept", len(n.texts))
	}
}
