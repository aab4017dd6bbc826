// SPDX-License-Identifier: Apache-2.0

package agentshebpf

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

func sample() Event {
	e := Event{
		Kind:       KindConnect,
		Family:     FamilyIPv4,
		Protocol:   ProtocolTCP,
		LocalPort:  40000,
		RemotePort: 443,
		RTTUs:      1500,
		DurationNs: 7,
	}
	copy(e.LocalAddr[:], []byte{127, 0, 0, 1})
	copy(e.RemoteAddr[:], []byte{127, 1, 2, 3})
	copy(e.CommBytes[:], "thread")
	copy(e.ProcessCommBytes[:], "0123456789abcdef")
	return e
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v instead of %v", what, got, want)
	}
}

func TestEventMethods(t *testing.T) {
	e := sample()
	equal(t, "local", e.Local(), netip.MustParseAddrPort("127.0.0.1:40000"))
	equal(t, "remote", e.Remote(), netip.MustParseAddrPort("127.1.2.3:443"))
	equal(t, "comm", e.Comm(), "thread")
	equal(t, "comm without a NUL", e.ProcessComm(), "0123456789abcdef")
	equal(t, "round-trip time", e.RTT(), 1500*time.Microsecond)
	equal(t, "duration", e.Duration(), 7*time.Nanosecond)
	equal(t, "error", e.Err(), nil)
	equal(t, "text", e.String(), "connect tcp 127.1.2.3:443")

	e.Verdict = VerdictDenied
	equal(t, "text", e.String(), "connect tcp 127.1.2.3:443 denied")
	socket := Event{Kind: KindSocketDenied, Family: FamilyIPv4, Protocol: ProtocolICMP, Verdict: VerdictDenied}
	equal(t, "remote end of a socket", socket.Remote(), netip.AddrPort{})
	equal(t, "text", socket.String(), "socket_denied icmp denied")

	e.Family, e.RemoteAddr = FamilyIPv6, netip.MustParseAddr("fe80::1").As16()
	equal(t, "remote", e.Remote(), netip.MustParseAddrPort("[fe80::1]:443"))
	e.Family = 0
	equal(t, "remote without a family", e.Remote(), netip.AddrPort{})
	e.Errno = 111
	if !errors.Is(e.Err(), syscall.Errno(111)) {
		t.Errorf("error is %v", e.Err())
	}
}

func TestStrings(t *testing.T) {
	equal(t, "unknown kind", Kind(77).String(), "Kind(77)")
	equal(t, "kind 0", Kind(0).String(), "Kind(0)")
	equal(t, "unknown protocol", Protocol(3).String(), "Protocol(3)")
	equal(t, "hooks", (HookConnect | HookTraffic).String(), "connect,traffic")
	equal(t, "unknown hook", (HookUDP | 1<<30).String(), "udp,0x40000000")
	equal(t, "no hook", Hooks(0).String(), "")
	equal(t, "flags", (FlagV4Mapped | FlagUntracked).String(), "v4_mapped,untracked")
	equal(t, "checks", (CheckBTF.Set() | CheckCgroup2.Set()).String(), "btf,cgroup2")
	equal(t, "check in set", CheckBTF.Set().Has(CheckBTF), true)
	equal(t, "check not in set", CheckBTF.Set().Has(CheckJIT), false)
	equal(t, "paths", PathRaw.Set().String(), "raw")
	equal(t, "path in set", PathRaw.Set().Has(PathRaw), true)
	equal(t, "mode", ModeDisabled.String(), "off")
	equal(t, "cgroup mode", CgroupHybrid.String(), "hybrid")
	equal(t, "action", RuleDeny.String(), "deny")
	equal(t, "action 0", Action(0).String(), "Action(0)")
	equal(t, "log level", LogWarn.String(), "warn")
}

func TestError(t *testing.T) {
	var err error = &Error{Op: "attach", Errno: syscall.ENOENT, Step: StepCgroup, Message: "gone"}
	equal(t, "text", err.Error(), "agentshebpf: attach: gone")
	for target, want := range map[error]bool{
		syscall.ENOENT: true, StepCgroup: true, fs.ErrNotExist: true,
		syscall.EPERM: false, StepLink: false, StepNone: false, os.ErrPermission: false,
	} {
		equal(t, "errors.Is "+target.Error(), errors.Is(err, target), want)
	}
	err = &Error{Op: "detach", Errno: syscall.EINVAL}
	equal(t, "text without a message", err.Error(), "agentshebpf: detach: "+syscall.EINVAL.Error())
	equal(t, "errors.Is StepNone", errors.Is(err, StepNone), false)
	equal(t, "errors.Is errors.ErrUnsupported", errors.Is(ErrUnsupported, errors.ErrUnsupported), true)
	equal(t, "errors.Is os.ErrClosed", errors.Is(ErrClosed, os.ErrClosed), true)
}

var sink netip.AddrPort

func TestEventMethodsDoNotAllocate(t *testing.T) {
	events := make([]Event, 16)
	for i := range events {
		events[i] = sample()
	}
	n := testing.AllocsPerRun(100, func() {
		for i := range events {
			e := &events[i]
			sink = e.Local()
			sink = e.Remote()
			_ = e.Time()
			_ = e.Err()
		}
	})
	equal(t, "allocations", n, 0)
}
