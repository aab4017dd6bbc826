// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// childRules makes the calls that it reads, each as NETWORK ADDRESS, and writes the number of the error
// of each. "udp" sends a datagram with a destination, "raw" makes a raw socket, "open" connects a UDP
// socket, and "write" sends on it.
func childRules() error {
	var earlier net.Conn
	for {
		var network, address string
		if _, err := fmt.Fscan(os.Stdin, &network, &address); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var number syscall.Errno
		var err error
		switch network {
		case "open":
			earlier, err = net.Dial("udp4", address)
		case "write":
			_, err = earlier.Write([]byte("x"))
		default:
			err = rulesCall(network, address)
		}
		if err != nil && !errors.As(err, &number) {
			return err
		}
		fmt.Println(int(number))
	}
}

func rulesCall(network, address string) error {
	if network == "tcp" {
		conn, err := net.Dial(network, address)
		if err == nil {
			conn.Close()
		}
		return err
	}
	if network == "raw" {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP)
		if err == nil {
			syscall.Close(fd)
		}
		return err
	}
	conn, err := net.ListenPacket(network, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer conn.Close()
	to, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return err
	}
	_, err = conn.WriteTo([]byte("x"), to)
	return err
}

// rulesChild is a process in a cgroup that makes calls on demand.
type rulesChild struct {
	in  io.Writer
	out *bufio.Reader
}

func startRulesChild(t *testing.T, cgroup *os.File) rulesChild {
	t.Helper()
	cmd := child(t, cgroup, "rules")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the child: %v", err)
		}
	})
	return rulesChild{in, bufio.NewReader(out)}
}

func (c rulesChild) want(t *testing.T, network string, to netip.AddrPort, want syscall.Errno) {
	t.Helper()
	_, err := fmt.Fprintln(c.in, network, to)
	must(t, err)
	var got syscall.Errno
	_, err = fmt.Fscanln(c.out, &got)
	must(t, err)
	equal(t, network+" "+to.String(), got, want)
}

func wantCall(t *testing.T, tracer *Tracer, kind Kind, to netip.AddrPort, verdict Verdict, id uint32) {
	t.Helper()
	events := readN(t, tracer, 1)
	equal(t, "number of events", len(events), 1)
	for _, e := range events {
		equal(t, "kind", e.Kind, kind)
		equal(t, "remote", e.Remote(), to)
		equal(t, "verdict", e.Verdict, verdict)
		equal(t, "rule", e.RuleID, id)
		if e.PID == 0 || e.SocketCookie == 0 {
			t.Errorf("the event names no process or no socket: %+v", e)
		}
	}
}

func TestLiveRules(t *testing.T) {
	needLive(t)
	tracer := openLive(t, Options{Hooks: ruleHooks, RequiredHooks: ruleHooks})
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer server.Close()
	to := server.Addr().(*net.TCPAddr).AddrPort()
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	const listed, denied = 7, 8
	list := []Rule{
		{Prefix: loopback, ID: listed, Action: RuleAllow, Flags: RuleListed},
		{Prefix: loopback, ID: denied, Action: RuleDeny},
	}
	rules := newRules(t, tracer, RulesOptions{}, list...)
	audit := newRules(t, tracer, RulesOptions{Flags: RulesAudit}, list...)
	cgroup := newCgroup(t)
	session, err := tracer.Attach(cgroup, SessionOptions{ID: 1, Rules: rules})
	must(t, err)
	process := startRulesChild(t, cgroup)

	process.want(t, "tcp", to, syscall.EPERM)
	wantCall(t, tracer, KindConnect, to, VerdictDenied, denied)
	process.want(t, "udp4", to, syscall.EPERM)
	wantCall(t, tracer, KindUDPSend, to, VerdictDenied, denied)

	must(t, rules.ListAddress(listed, to.Addr(), time.Now().Add(time.Hour)))
	process.want(t, "tcp", to, 0)
	wantCall(t, tracer, KindConnect, to, VerdictAllowed, listed)
	must(t, rules.ListAddress(listed, to.Addr(), time.Now().Add(-time.Second)))
	process.want(t, "tcp", to, syscall.EPERM)
	wantCall(t, tracer, KindConnect, to, VerdictDenied, denied)
	must(t, rules.ListAddress(listed, to.Addr(), time.Time{}))
	process.want(t, "tcp", to, 0)
	wantCall(t, tracer, KindConnect, to, VerdictAllowed, listed)
	must(t, rules.UnlistAddress(listed, to.Addr()))
	process.want(t, "tcp", to, syscall.EPERM)
	wantCall(t, tracer, KindConnect, to, VerdictDenied, denied)

	must(t, session.SetRules(audit))
	must(t, rules.Close())
	process.want(t, "tcp", to, 0)
	wantCall(t, tracer, KindConnect, to, VerdictWouldDeny, denied)
	must(t, session.SetRules(nil))
	process.want(t, "tcp", to, 0)
	wantCall(t, tracer, KindConnect, to, VerdictNone, 0)

	stats, err := session.Stats()
	must(t, err)
	equal(t, "allowed", stats.Allowed, 2)
	equal(t, "denied", stats.Denied, 4)
	equal(t, "would deny", stats.WouldDeny, 1)
}

func TestLiveStrictRules(t *testing.T) {
	caps := needLive(t)
	const hooks = ruleHooks | HookSockCreate | HookEgress
	tracer := openLive(t, Options{Hooks: hooks, RequiredHooks: hooks})
	flags, refused := RulesStrictSockets|RulesEgress, syscall.EPERM
	_, err := tracer.NewRules(nil, RulesOptions{Flags: RulesRefuse})
	if caps.Available.Has(CheckSetRetval) {
		must(t, err)
		flags, refused = flags|RulesRefuse, syscall.ECONNREFUSED
	} else {
		wantError(t, "NewRules with RulesRefuse", err, syscall.EOPNOTSUPP)
	}

	for set, raw := range map[RulesFlags]bool{0: false, RulesRefuse: false,
		RulesStrictSockets: true, RulesEgress: true, flags: true} {
		coverage, err := tracer.Coverage(set)
		must(t, err)
		equal(t, "TCP is enforced", coverage.Enforced.Has(PathTCPConnect), true)
		equal(t, fmt.Sprintf("raw sockets are enforced with flags %d", set), coverage.Enforced.Has(PathRaw), raw)
	}
	coverage, err := tracer.Coverage(flags | RulesAudit)
	must(t, err)
	equal(t, "paths that are enforced with RulesAudit", coverage.Enforced, 0)
	_, err = tracer.Coverage(1 << 20)
	wantError(t, "Coverage with an unknown flag", err, syscall.EINVAL)

	// A server listens, so it is the rules that refuse.
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer server.Close()
	to := server.Addr().(*net.TCPAddr).AddrPort()
	const denied = 8
	rules := newRules(t, tracer, RulesOptions{Flags: flags},
		Rule{Prefix: netip.MustParsePrefix("127.0.0.0/8"), ID: denied, Action: RuleDeny})
	cgroup := newCgroup(t)
	session := attachLive(t, tracer, cgroup, 1)
	process := startRulesChild(t, cgroup)
	process.want(t, "raw", to, 0)
	process.want(t, "open", to, 0)
	wantCall(t, tracer, KindConnect, to, VerdictNone, 0)

	must(t, session.SetRules(rules))
	process.want(t, "tcp", to, refused)
	wantCall(t, tracer, KindConnect, to, VerdictDenied, denied)
	process.want(t, "raw", to, syscall.EPERM)
	events := readN(t, tracer, 1)
	equal(t, "number of events", len(events), 1)
	e := events[0]
	equal(t, "kind", e.Kind, KindSocketDenied)
	equal(t, "family", e.Family, FamilyIPv4)
	equal(t, "type", e.SocketType, syscall.SOCK_RAW)
	equal(t, "protocol", e.Protocol, ProtocolICMP)
	equal(t, "remote", e.Remote(), netip.AddrPort{})
	equal(t, "verdict", e.Verdict, VerdictDenied)
	equal(t, "rule", e.RuleID, 0)
	if e.PID == 0 || e.SocketCookie == 0 {
		t.Errorf("the event names no process or no socket: %+v", e)
	}
	process.want(t, "write", to, syscall.EPERM)
	events = readN(t, tracer, 1)
	equal(t, "number of events", len(events), 1)
	e = events[0]
	equal(t, "kind", e.Kind, KindPacketDenied)
	equal(t, "remote", e.Remote(), to)
	equal(t, "protocol", e.Protocol, ProtocolUDP)
	equal(t, "verdict", e.Verdict, VerdictDenied)
	equal(t, "rule", e.RuleID, denied)

	stats, err := session.Stats()
	must(t, err)
	equal(t, "denied", stats.Denied, 2)
	equal(t, "packets denied", stats.PacketsDenied, 1)
	equal(t, "packets that would be denied", stats.PacketsWouldDeny, 0)

	must(t, session.SetRules(newRules(t, tracer, RulesOptions{DefaultAction: RuleDeny, Flags: flags&^RulesRefuse | RulesAudit})))
	process.want(t, "raw", to, 0)
	equal(t, "verdict", readN(t, tracer, 1)[0].Verdict, VerdictWouldDeny)
	process.want(t, "write", to, 0)
	stats, err = session.Stats()
	must(t, err)
	equal(t, "packets denied", stats.PacketsDenied, 1)
	equal(t, "packets that would be denied", stats.PacketsWouldDeny, 1)
}

// The kernel memory of a tracer is limited.
func TestLiveRulesFallback(t *testing.T) {
	needLive(t)
	tracer := openLive(t, Options{Hooks: ruleHooks, RequiredHooks: ruleHooks, RulesBytes: 1 << 16})
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer server.Close()
	to := server.Addr().(*net.TCPAddr).AddrPort()
	many := make([]Rule, 1<<14)
	for i := range many {
		addr := netip.AddrFrom4([4]byte{127, 1, byte(i >> 7), byte(i << 1)})
		many[i] = Rule{Prefix: netip.PrefixFrom(addr, 32), ID: 1, Action: RuleDeny}
	}
	cgroup := newCgroup(t)
	session := attachLive(t, tracer, cgroup, 1)
	process := startRulesChild(t, cgroup)
	_, err = tracer.NewRules(many, RulesOptions{})
	wantError(t, "NewRules without OnExhaustion", err, syscall.ENOSPC)
	rules, err := tracer.NewRules(many, RulesOptions{OnExhaustion: RuleDeny})
	wantError(t, "NewRules with OnExhaustion", err, ErrFallback, syscall.ENOSPC)
	must(t, session.SetRules(rules))
	process.want(t, "tcp", to, syscall.EPERM)
	wantCall(t, tracer, KindConnect, to, VerdictDenied, 0)
	rules, err = tracer.NewRules(many, RulesOptions{DefaultAction: RuleDeny, OnExhaustion: RuleAllow})
	wantError(t, "NewRules with OnExhaustion", err, ErrFallback, syscall.ENOSPC)
	must(t, session.SetRules(rules))
	process.want(t, "tcp", to, 0)
	wantCall(t, tracer, KindConnect, to, VerdictAllowed, 0)
}

func TestLiveDenialsOnly(t *testing.T) {
	needLive(t)
	tracer := openLive(t, Options{Hooks: ruleHooks, RequiredHooks: ruleHooks, Flags: OpenDenialsOnly})
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer server.Close()
	to := server.Addr().(*net.TCPAddr).AddrPort()
	cgroup := newCgroup(t)
	session := attachLive(t, tracer, cgroup, 1)
	process := startRulesChild(t, cgroup)
	process.want(t, "tcp", to, 0)
	must(t, session.SetRules(newRules(t, tracer, RulesOptions{})))
	process.want(t, "tcp", to, 0)
	must(t, session.SetRules(newRules(t, tracer, RulesOptions{DefaultAction: RuleDeny})))
	process.want(t, "tcp", to, syscall.EPERM)
	wantCall(t, tracer, KindConnect, to, VerdictDenied, 0)
	stats, err := tracer.Stats()
	must(t, err)
	equal(t, "delivered", stats.Delivered, 1)
	equal(t, "allowed", stats.Allowed, 1)
	equal(t, "denied", stats.Denied, 1)
}
