// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package agentshebpf

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// childNames looks up a name with the resolver of Go, and connects to the address that it gets.
func childNames() error {
	server := os.Getenv("AGENTSHEBPF_TEST_DNS")
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", server)
		},
	}
	addrs, err := resolver.LookupNetIP(context.Background(), "ip4", "www.example.org.")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(os.Getenv("AGENTSHEBPF_TEST_HTTP"))
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(addrs[0].String(), port))
	if err != nil {
		return err
	}
	return conn.Close()
}

// answerNames answers each question for an address: www.example.org is an alias of cdn.example.net, which has
// the address 127.0.0.1.
func answerNames(conn net.PacketConn) {
	const cdn = "\x03cdn\x07example\x03net\x00"
	message := make([]byte, 512)
	for {
		n, peer, err := conn.ReadFrom(message)
		if err != nil {
			return
		}
		end := 12
		for end < n && message[end] != 0 {
			end += int(message[end]) + 1
		}
		question := message[12:min(end+5, n)]
		answer := binary.BigEndian.AppendUint16(nil, binary.BigEndian.Uint16(message))
		answer = append(answer, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0)
		answer = append(answer, question...)
		answer = append(answer, "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x11"+cdn...)
		answer = append(answer, cdn+"\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x7f\x00\x00\x01"...)
		conn.WriteTo(answer, peer)
	}
}

func TestLiveNames(t *testing.T) {
	needLive(t)
	const hooks = HookConnect | HookUDP | HookLifecycle | HookDNS
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer dns.Close()
	go answerNames(dns)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	server := netip.MustParseAddrPort(dns.LocalAddr().String())
	destination := netip.MustParseAddrPort(listener.Addr().String())

	tracer := openLive(t, Options{Hooks: hooks, RequiredHooks: hooks, Flags: OpenDNSEvents,
		DNSPorts: []uint16{server.Port()}})
	cgroup := newCgroup(t)
	session, err := tracer.Attach(cgroup, SessionOptions{ID: 1, TrustedResolvers: []netip.AddrPort{server}})
	must(t, err)
	cmd := child(t, cgroup, "names")
	cmd.Env = append(cmd.Env, "AGENTSHEBPF_TEST_DNS="+server.String(), "AGENTSHEBPF_TEST_HTTP="+destination.String())
	must(t, cmd.Run())
	tgid := uint32(cmd.Process.Pid)

	// The deadline only turns a missing event into a message.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	named, answered := 0, false
	for event, err := range tracer.Events(ctx) {
		must(t, err)
		if event.Kind == KindDNSAnswer {
			answered = true
			got, err := tracer.DNS(&event)
			must(t, err)
			equal(t, "question type", got.QuestionType, 1)
			equal(t, "response code", got.RCode, 0)
			equal(t, "flags", got.Flags, 0)
			mustEqual(t, "number of addresses", len(got.Addresses), 1)
			equal(t, "address", got.Addresses[0], DNSAddress{netip.MustParseAddr("127.0.0.1"), 5 * time.Minute})
			equal(t, "name server", event.Remote(), server)
		}
		if event.Remote() != destination {
			continue
		}
		name, err := tracer.Name(&event)
		must(t, err)
		name.Age = 0
		equal(t, "name", *name, Name{Asked: "www.example.org", Owner: "cdn.example.net", Source: NameDNS,
			AskerTGID: tgid, TTL: time.Minute, Resolver: server})
		named++
		if event.Kind == KindClosed {
			break
		}
	}
	equal(t, "number of events with a name", named, 3)
	equal(t, "answered", answered, true)
	stats, err := session.Stats()
	must(t, err)
	equal(t, "untrusted answers", stats.AnswersUntrusted, 0)
	if stats.Answers == 0 {
		t.Error("no answer is counted")
	}
}
