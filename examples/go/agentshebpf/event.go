// SPDX-License-Identifier: Apache-2.0

package agentshebpf

import (
	"bytes"
	"net/netip"
	"syscall"
	"time"
)

// Event is one event. It has the memory layout of struct agentsh_ebpf_event, so the library
// writes a batch of events directly into the slice of the caller. A member that does not apply to the kind of event is zero.
// agentsh_ebpf_events(7) describes all members by kind. The methods convert members when they
// are called; only Comm, ProcessComm and String allocate memory.
//
// PID, TGID, PPID, UID and GID are numbers of the initial namespaces.
type Event struct {
	Kind  Kind
	Flags Flags
	// TimestampNs is CLOCK_BOOTTIME; Time converts it.
	TimestampNs uint64
	// SessionID is the number that the host chose in SessionOptions.
	SessionID uint64
	// SessionLost is the number of this session's events lost since attach, up to this event.
	SessionLost uint64
	// CgroupID is the inode number of the directory of the process's cgroup.
	CgroupID uint64
	// SocketCookie is SO_COOKIE.
	SocketCookie uint64
	// NetnsCookie is SO_NETNS_COOKIE.
	NetnsCookie uint64
	// ProcessStartNs is CLOCK_BOOTTIME; 0 if BTF or CAP_PERFMON is missing.
	ProcessStartNs uint64
	// PID is the thread, as gettid(2) returns it.
	PID uint32
	// TGID is the process, as getpid(2) returns it.
	TGID uint32
	PPID uint32
	UID  uint32
	GID  uint32
	// NsPID and NsTGID are PID and TGID in the PID namespace of the opener of the tracer: the
	// numbers that kill(2) and /proc accept there; 0 if unknown.
	NsPID  uint32
	NsTGID uint32
	// Family is FamilyIPv4 or FamilyIPv6.
	Family     uint16
	Protocol   Protocol
	SocketType uint16
	LocalPort  uint16
	RemotePort uint16
	_          uint16
	// Errno is a positive errno value of Linux, in KindConnectFailed and KindClosed; see Err.
	Errno int32
	// RTTUs is the smoothed round-trip time in microseconds.
	RTTUs         uint32
	DurationNs    uint64
	BytesSent     uint64
	BytesReceived uint64
	// LocalAddr and RemoteAddr are in network byte order, with IPv4 in the first four bytes;
	// see Local and Remote.
	LocalAddr  [16]byte
	RemoteAddr [16]byte
	// CommBytes is the name of the thread, NUL-terminated; see Comm.
	CommBytes   [16]byte
	Retransmits uint32
	PacketsSent uint32
	// Ifindex is the network interface that the process has chosen; 0 if none.
	Ifindex uint32
	// ExeDevice and ExeInode identify the program that the process executes.
	ExeDevice uint32
	ExeInode  uint64
	// ProcessCommBytes is the name of the process, NUL-terminated; see ProcessComm.
	ProcessCommBytes [16]byte
	// ContainerPID and ContainerTGID are the numbers in the PID namespace of the process itself.
	ContainerPID    uint32
	ContainerTGID   uint32
	PacketsReceived uint32
	// Verdict is what the rules of the session say of the call, in KindConnect, KindUDPSend,
	// KindSocketDenied and KindPacketDenied.
	Verdict Verdict
	// NameID is 0 if no name is known; see [Tracer.Name].
	NameID uint64
	// RuleID is the ID of the rule that decided; 0 if no rule matched, or Verdict is VerdictNone.
	RuleID uint32
	_      [4]byte
}

// Local returns the local address and port. Both are zero if the kernel has not chosen them yet.
// The result is the zero AddrPort if the event has no addresses.
func (e *Event) Local() netip.AddrPort { return e.addrPort(&e.LocalAddr, e.LocalPort) }

// Remote returns the remote address and port. The address of a v4-mapped destination is IPv4
// (FlagV4Mapped). The result is the zero AddrPort if the event has no addresses.
func (e *Event) Remote() netip.AddrPort { return e.addrPort(&e.RemoteAddr, e.RemotePort) }

func (e *Event) addrPort(addr *[16]byte, port uint16) netip.AddrPort {
	if e.Kind == KindSocketDenied { // only the family of the socket is known
		return netip.AddrPort{}
	}
	switch e.Family {
	case FamilyIPv4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr[:4])), port)
	case FamilyIPv6:
		return netip.AddrPortFrom(netip.AddrFrom16(*addr), port)
	}
	return netip.AddrPort{}
}

// Time returns the time of the event by the wall clock, as agentsh_ebpf_event_realtime_ns() does;
// convert an event soon after it was read. In a build without the C library it is the zero Time.
func (e *Event) Time() time.Time { return realtime(e.TimestampNs) }

// Duration returns the time since connect(2), since the handshake of an inbound connection, or
// since the first event of a datagram socket. It is 0 in kinds without a duration.
func (e *Event) Duration() time.Duration { return time.Duration(e.DurationNs) }

// RTT returns the smoothed round-trip time.
func (e *Event) RTT() time.Duration { return time.Duration(e.RTTUs) * time.Microsecond }

// Comm returns the name of the thread. The process chooses it, so it may contain any bytes.
func (e *Event) Comm() string { return text(e.CommBytes[:]) }

// ProcessComm returns the name of the process. The process chooses it, too.
func (e *Event) ProcessComm() string { return text(e.ProcessCommBytes[:]) }

// Err returns Errno as a syscall.Errno, or nil if it is 0.
func (e *Event) Err() error {
	if e.Errno == 0 {
		return nil
	}
	return syscall.Errno(e.Errno)
}

// String returns a short description for logs.
func (e *Event) String() string {
	s := e.Kind.String() + " " + e.Protocol.String()
	if remote := e.Remote(); remote.IsValid() {
		s += " " + remote.String()
	}
	if e.Verdict == VerdictDenied || e.Verdict == VerdictWouldDeny {
		s += " " + e.Verdict.String()
	}
	if err := e.Err(); err != nil {
		s += ": " + err.Error()
	}
	return s
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
