// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"encoding/binary"

	"github.com/canyonroad/libagentsh-ebpf/examples/go/agentshebpf"
)

// ConnectEvent is a call of connect(2), or a datagram that was sent to an explicit destination; with
// StrictOptions also a packet that the policy of the session denied, of which each pair of socket and
// destination has one event. A socket that was refused has no ConnectEvent.
type ConnectEvent struct {
	// TsNs is Unix time in nanoseconds.
	TsNs uint64
	// Cookie is SO_COOKIE of the socket.
	Cookie uint64
	// PID and TGID are the number of the process in the initial PID namespace; 0 if the owner of
	// the socket is unknown.
	PID  uint32
	TGID uint32
	// Sport is the local port; 0 if the kernel has not chosen it yet.
	Sport uint16
	Dport uint16
	// Family is 2 (AF_INET) or 10 (AF_INET6).
	Family uint8
	// Protocol is 6 (TCP), 17 (UDP) or another IPPROTO_ value. MPTCP and SMC are reported as TCP.
	Protocol uint8
	// DstIPv4 is the destination if Family is 2: binary.BigEndian.Uint32 of its bytes, so
	// 127.0.0.1 is 0x7f000001.
	DstIPv4 uint32
	// DstIPv6 is the destination if Family is 10.
	DstIPv6 [16]byte
	// Blocked is 1 if the policy of the session denied the call or the packet (PopulateAllowlist), else 0.
	Blocked uint8
	// Domain is the name that the process asked for; empty if no name is known, and always without
	// the options of NameOptions. The watched process can choose it: never take it for a permission.
	Domain string
	// DomainSource tells where Domain is from: "dns", "dns_tcp", "seed", "tls" or "http".
	DomainSource string
}

const (
	tcp    = 6
	ipv4   = 2
	maxU8  = 255
	v4Size = 4
)

// reported tells whether a kind of event becomes a ConnectEvent.
func reported(kind agentshebpf.Kind) bool {
	return kind == agentshebpf.KindConnect || kind == agentshebpf.KindUDPSend || kind == agentshebpf.KindPacketDenied
}

// convert makes a ConnectEvent. name is nil if the event has none, and unixNs is the difference between
// Unix time and the clock of events.
func convert(e *agentshebpf.Event, name *agentshebpf.Name, unixNs int64) ConnectEvent {
	ev := ConnectEvent{
		TsNs:     uint64(int64(e.TimestampNs) + unixNs),
		Cookie:   e.SocketCookie,
		PID:      e.TGID,
		TGID:     e.TGID,
		Sport:    e.LocalPort,
		Dport:    e.RemotePort,
		Family:   uint8(e.Family),
		Protocol: tcp, // the numbers above 255, MPTCP and SMC, are connections by TCP
	}
	if e.Protocol <= maxU8 {
		ev.Protocol = uint8(e.Protocol)
	}
	if e.Family == ipv4 {
		ev.DstIPv4 = binary.BigEndian.Uint32(e.RemoteAddr[:v4Size])
	} else {
		ev.DstIPv6 = e.RemoteAddr
	}
	if e.Verdict == agentshebpf.VerdictDenied {
		ev.Blocked = 1
	}
	if name != nil {
		if ev.Domain = name.Host(); ev.Domain != "" {
			ev.DomainSource = name.HostSource().String()
		}
	}
	return ev
}
