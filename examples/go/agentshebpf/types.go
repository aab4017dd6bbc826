// SPDX-License-Identifier: Apache-2.0

package agentshebpf

import (
	"net/netip"
	"time"
)

// Options are the options of [Open]. The zero value of a member selects its default.
type Options struct {
	Mode Mode
	// Hooks defaults to HookConnect, and HookUDP if it is built in. A hook that this kernel or
	// this library lacks is left out, unless it is required.
	Hooks Hooks
	// RequiredHooks are hooks without which Open fails; default HookConnect if Hooks contains it.
	RequiredHooks Hooks
	Flags         OpenFlags
	// RingSize is the size of the ring in bytes, a power of two; default 1 MiB.
	RingSize uint32
	// RingQuota is the percentage of the ring that one session may occupy; default 25.
	RingQuota uint32
	// MaxSessions is the largest number of sessions at a time; default 4096.
	MaxSessions uint32
	// MaxSockets is the size of the table of sockets; default 65536.
	MaxSockets uint32
	// UDPDedupEntries is the number of pairs of socket and destination that are remembered;
	// default 8192.
	UDPDedupEntries uint32
	// WakeupDelay is the interval at which the reader is woken while events arrive more often;
	// default 1 ms.
	WakeupDelay time.Duration
	// CheckInterval is the interval at which sessions are checked for KindSessionBlind; default
	// 10 s; negative: never.
	CheckInterval time.Duration
	// ProgressInterval is the interval of KindProgress; default: only at detach.
	ProgressInterval time.Duration
	// DNSTimeout is the time after which a question without an answer is reported (KindDNSQuery);
	// default 5 s.
	DNSTimeout time.Duration
	// DNSPorts are ports of name servers besides 53, at most four.
	DNSPorts []uint16
	// RulesBytes is the kernel memory for the compiled rules of all sets together; default 4 MiB.
	// It requires HookRules, as does RulesAddresses.
	RulesBytes uint32
	// RulesAddresses is the number of addresses that all sets together can list; default 16384.
	RulesAddresses uint32
	// SimulateMissing is a set of checks to treat as missing, for tests.
	SimulateMissing CheckSet
	// OnLog receives the messages of libbpf and of the library. Open calls it before it returns,
	// in the goroutine of the caller. It may be nil.
	OnLog func(level LogLevel, text string)
}

// SessionOptions are the options of [Tracer.Attach].
type SessionOptions struct {
	// ID is a number that the host chooses, repeated in every event; it need not be unique.
	ID uint64
	// MaxSockets is the number of sockets of this session whose state is kept; default a quarter
	// of Options.MaxSockets.
	MaxSockets uint32
	// NamesMax is the number of addresses and sockets whose names are kept; default 512.
	NamesMax uint32
	// NamesBytes is the size of the texts of these names in bytes; default 64 KiB.
	NamesBytes uint32
	// TrustedResolvers are name servers whose answers give names to events, at most four; port 0
	// means any port. If there is none, every name server is trusted, which a watched process may run
	// itself.
	TrustedResolvers []netip.AddrPort
	// Rules are the rules of the session from the first call on; nil: none. See [Session.SetRules].
	Rules *Rules
	Flags AttachFlags
}

// Stats are the counters of a tracer since it was opened, or of a session since it was attached.
type Stats struct {
	// Sessions is the number of sessions attached now; 1 for a session.
	Sessions uint32
	// Delivered is the number of events delivered to the host, without KindSessionBlind.
	Delivered uint64
	// Lost is the number of events dropped because they did not fit into the ring or the quota.
	Lost uint64
	// LostQuota is the part of Lost that was dropped because of the quota.
	LostQuota uint64
	// Deduplicated is the number of datagrams that repeat a known socket and destination.
	Deduplicated uint64
	// AttachFailures is the number of failed calls of Attach; 0 for a session.
	AttachFailures uint64
	// Malformed is the number of records that could not be decoded; 0 for a session.
	Malformed uint64
	// Untracked is the number of times that a socket found no room in the table of sockets.
	Untracked uint64
	// PacketsLost is the number of packets with DNS messages or first data that were dropped. They
	// are no events, so Lost does not count them; names may be missing.
	PacketsLost uint64
	// Answers is the number of DNS answers whose names were taken.
	Answers uint64
	// AnswersUnasked is the number of answers that no question explains: forged, or too late.
	AnswersUnasked uint64
	// AnswersUntrusted is the number of answers of name servers that are not trusted.
	AnswersUntrusted uint64
	// AnswersMalformed is the number of DNS messages that are malformed.
	AnswersMalformed uint64
	// MessagesSkipped is the number of DNS messages and first data that were not parsed: they exceed
	// the limit of 2,000 per session and second or 16 per packet, or memory was short.
	MessagesSkipped uint64
	// NamesEvicted is the number of names that were dropped to make room for others.
	NamesEvicted uint64
	// Allowed, Denied and WouldDeny are the numbers of calls by the verdict of the session's rules,
	// whether an event reports them or not. Of socket(2), only calls that the rules deny are counted.
	Allowed   uint64
	Denied    uint64
	WouldDeny uint64
	// PacketsDenied is the number of packets that RulesEgress has dropped, and PacketsWouldDeny of
	// those that it would have dropped without RulesAudit.
	PacketsDenied    uint64
	PacketsWouldDeny uint64
}

// Rule is a rule for calls of a session. The remote end of a call is RemoteAddr, RemotePort and
// Protocol of its event.
type Rule struct {
	// Prefix are the addresses that the rule matches. A prefix within ::ffff:0:0/96 stands for IPv4
	// addresses, and a shorter IPv6 prefix matches no IPv4 address. An invalid prefix is an error,
	// unless AnyAddress is set.
	Prefix netip.Prefix
	// AnyAddress makes the rule match every address of both families; Prefix must then be the zero
	// Prefix.
	AnyAddress bool
	// Protocol is 0: every protocol; ProtocolTCP, which includes MPTCP; ProtocolUDP, which includes
	// UDP-Lite; or RuleOtherProtocols.
	Protocol Protocol
	// FirstPort and LastPort are both 0: every port, and protocols without ports. LastPort 0 means
	// FirstPort alone. With RuleOtherProtocols both are 0.
	FirstPort uint16
	LastPort  uint16
	// ID is a number that the host chooses, repeated in events; it need not be unique.
	ID     uint32
	Action Action
	Flags  RuleFlags
	// Expires is the time from which on the rule does not match; the zero Time: never. A later
	// change of the wall clock does not move it.
	Expires time.Time
}

// RulesOptions are the options of [Tracer.NewRules].
type RulesOptions struct {
	Flags RulesFlags
	// DefaultAction is what holds if no rule matches; default RuleAllow.
	DefaultAction Action
	// OnExhaustion is what holds if memory for the set is short. 0: NewRules makes no set. RuleDeny
	// and RuleAllow: NewRules makes a set without rules that denies or allows everything, and says so.
	OnExhaustion Action
}

// SessionCheck is the result of [Session.Check]. The sets contain one check per program:
// CheckConnect4 to CheckSendmsgUnix, and CheckSockCreate.
type SessionCheck struct {
	// Hooks are the hooks of the tracer that work fully in this session.
	Hooks Hooks
	// Err is nil if all of the tracer's hooks work; else the first reason that applies: ENOENT
	// (the cgroup was removed), ENOLINK (a link was detached), EBUSY (another program runs in
	// place of a program of the session) or ESTALE (the session state was overwritten).
	Err error
	// Wanted are the programs of the tracer.
	Wanted CheckSet
	// Attached are the programs whose link is attached to the cgroup.
	Attached CheckSet
	// Effective are the programs that the kernel runs for the cgroup.
	Effective CheckSet
}

// CheckResult is the result of one check of [Probe].
type CheckResult struct {
	Check  Check
	Status Status
	// Err is nil, or a syscall.Errno.
	Err error
	// Required tells that nothing can be traced when this check fails.
	Required bool
	// Value is the value found; its meaning depends on the check.
	Value uint64
	// Detail tells what was found, for a human reader.
	Detail string
	// Hint is advice for an operator if the check fails.
	Hint string
}

// Capabilities is the result of [Probe].
type Capabilities struct {
	// Usable tells whether this machine can trace.
	Usable bool
	// Reason tells why this machine cannot trace, in one line with the remedy.
	Reason string
	// Available are the checks with StatusAvailable.
	Available CheckSet
	// Missing are the checks with StatusMissing, StatusForbidden or StatusSimulated.
	Missing CheckSet
	// Hooks are the hooks that work here, and can be required when opening.
	Hooks Hooks
	// KernelVersion is major << 16 | minor << 8 | patch; 0 if unknown.
	KernelVersion uint32
	// KernelRelease is the release of uname(2).
	KernelRelease string
	// MaxSessions is the number of sessions, with all hooks, for which descriptors are left.
	MaxSessions uint32
	CgroupMode  CgroupMode
	// LoadOnly tells that a program was loaded, but not attached.
	LoadOnly bool
	// Cgroup2Path is the first cgroup v2 mount; empty if there is none.
	Cgroup2Path string
	// CgroupPath is the directory of the caller's own cgroup; empty if it is not visible.
	CgroupPath string
	// Checks are the results of all checks, in the order of their numbers.
	Checks []CheckResult
}

// Coverage tells which paths to the network a tracer sees, and which ones rules can close. Each path
// that the library knows is in exactly one of the sets Seen, Implied and Unseen.
type Coverage struct {
	// Count is the number of paths that the library knows.
	Count uint32
	// Seen are paths that are reported as events, subject to the options of the tracer.
	Seen PathSet
	// Implied are paths without an event, whose destination an earlier event has named.
	Implied PathSet
	// Unseen are paths without an event.
	Unseen PathSet
	// Enforced are paths that the rules of a session close if they deny the destination, or that
	// RulesStrictSockets closes. A path may be enforced without being seen.
	Enforced PathSet
}
