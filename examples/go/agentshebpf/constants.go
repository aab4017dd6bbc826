// SPDX-License-Identifier: Apache-2.0

package agentshebpf

import (
	"strconv"
	"strings"
)

// Kind says what an [Event] reports. A host must ignore kinds that it does not know.
// agentsh_ebpf_events(7) describes them.
type Kind uint32

const (
	// KindConnect means that connect(2) was called; its result is not known yet.
	KindConnect Kind = 1
	// KindUDPSend means that a datagram was sent to an explicit destination.
	KindUDPSend Kind = 2
	// KindConnected means that the TCP handshake is complete (HookLifecycle).
	KindConnected Kind = 3
	// KindConnectFailed means that a TCP attempt failed (HookLifecycle).
	KindConnectFailed Kind = 4
	// KindClosed means that a connection ended (HookLifecycle, HookAccept).
	KindClosed Kind = 5
	// KindAccepted means that a peer connected to a listening socket (HookAccept).
	KindAccepted Kind = 6
	// KindSessionBlind means that the session no longer sees everything; see [Session.Check].
	KindSessionBlind Kind = 7
	// KindFirstData means that a datagram socket sent its first packet (HookTraffic).
	KindFirstData Kind = 8
	// KindProgress tells what an open socket has sent and received so far (HookTraffic).
	KindProgress Kind = 9
	// KindUnannounced is a packet of a socket that had no event before (HookTraffic).
	KindUnannounced Kind = 10
	// KindDNSQuery means that a DNS question had no answer in time (OpenDNSEvents).
	KindDNSQuery Kind = 11
	// KindDNSAnswer means that a name server answered a question (OpenDNSEvents).
	KindDNSAnswer Kind = 12
	// KindServerName means that the first data of a connection named a server (HookServerName).
	KindServerName Kind = 13
	// KindUnixConnect means that an AF_UNIX socket was connected or sent to (HookUnix).
	KindUnixConnect Kind = 14
	// KindSocketDenied means that socket(2) was called for a kind of socket that the rules cannot
	// judge (RulesStrictSockets). Family, SocketType and Protocol name the kind of socket.
	KindSocketDenied Kind = 15
	// KindPacketDenied means that the rules deny a packet that a socket was about to send
	// (RulesEgress). Each pair of socket and destination has one event.
	KindPacketDenied Kind = 16
)

var kindNames = [...]string{
	KindConnect:       "connect",
	KindUDPSend:       "udp_send",
	KindConnected:     "connected",
	KindConnectFailed: "connect_failed",
	KindClosed:        "closed",
	KindAccepted:      "accepted",
	KindSessionBlind:  "session_blind",
	KindFirstData:     "first_data",
	KindProgress:      "progress",
	KindUnannounced:   "unannounced",
	KindDNSQuery:      "dns_query",
	KindDNSAnswer:     "dns_answer",
	KindServerName:    "server_name",
	KindUnixConnect:   "unix_connect",
	KindSocketDenied:  "socket_denied",
	KindPacketDenied:  "packet_denied",
}

// String returns the name that the library has for the kind ("connect"), or Kind(N).
func (k Kind) String() string { return nameOf(kindNames[:], uint32(k), "Kind") }

// Flags are properties of an [Event].
type Flags uint32

const (
	// FlagV4Mapped: the socket is AF_INET6, and the destination is an IPv4-mapped address.
	FlagV4Mapped Flags = 1
	// FlagUnattributed: the owner of the socket is unknown.
	FlagUnattributed Flags = 2
	// FlagNoError: Event.Errno could not be read, because BTF or CAP_PERFMON is missing.
	FlagNoError Flags = 4
	// FlagInbound: the peer opened the connection, or sent the first packet.
	FlagInbound Flags = 8
	// FlagLocalClosed: this side sent the first FIN.
	FlagLocalClosed Flags = 16
	// FlagRemoteClosed: the peer sent the first FIN.
	FlagRemoteClosed Flags = 32
	// FlagSourceRouted: RemoteAddr is the first hop of a source route.
	FlagSourceRouted Flags = 64
	// FlagUnspecified: the process named 0.0.0.0 or ::, which mean this machine.
	FlagUnspecified Flags = 128
	// FlagUntracked: the table of sockets had no room, so later events may be missing.
	FlagUntracked Flags = 256
)

var flagNames = [...]string{"v4_mapped", "unattributed", "no_error", "inbound", "local_closed",
	"remote_closed", "source_routed", "unspecified", "untracked"}

// String returns the names of the flags, separated by commas; "" for no flag.
func (f Flags) String() string { return bitNames(flagNames[:], uint64(f)) }

// Mode is [Options].Mode.
type Mode uint32

const (
	// ModeAuto traces and leaves out hooks that this kernel or this library lacks.
	ModeAuto Mode = 0
	// ModeDisabled makes [Open] fail with syscall.ECANCELED.
	ModeDisabled Mode = 1
	// ModeRequired is as ModeAuto, but all bits of Options.Hooks are required.
	ModeRequired Mode = 2
	// ModeSynthetic does not use the kernel: the only events are those of [Session.Inject].
	// It needs no privilege. A session can be attached to any open file.
	ModeSynthetic Mode = 3
)

var modeNames = [...]string{"auto", "off", "required", "synthetic"}

// String returns the name of the mode as in the variable AGENTSH_EBPF: "auto", "off", "required";
// and "synthetic".
func (m Mode) String() string { return nameOf(modeNames[:], uint32(m), "Mode") }

// Hooks is a set of hooks: what a tracer reports.
type Hooks uint32

const (
	// HookConnect reports connect(2).
	HookConnect Hooks = 1
	// HookUDP reports sendto(2) and related calls.
	HookUDP Hooks = 2
	// HookLifecycle reports the outcome of each connection; it requires HookConnect.
	HookLifecycle Hooks = 4
	// HookAccept reports inbound TCP connections and their end.
	HookAccept Hooks = 8
	// HookTraffic reports what sockets send and receive; it requires HookLifecycle.
	HookTraffic Hooks = 16
	// HookDNS reads DNS messages, which gives names to events; it requires HookLifecycle.
	HookDNS Hooks = 32
	// HookServerName reads the server name in the first data of connections; it requires
	// HookLifecycle.
	HookServerName Hooks = 64
	// HookUnix reports calls on AF_UNIX sockets.
	HookUnix Hooks = 128
	// HookRules lets sessions have [Rules]; it requires HookConnect and HookUDP. Put it into
	// RequiredHooks, because otherwise Open leaves it out on a machine that lacks it.
	HookRules Hooks = 256
	// HookSockCreate lets sets of rules have RulesStrictSockets; it requires HookRules.
	HookSockCreate Hooks = 512
	// HookEgress lets sets of rules have RulesEgress; it requires HookRules. Its program runs for
	// every packet that the sockets of the session send.
	HookEgress Hooks = 1024
)

var hookNames = [...]string{"connect", "udp", "lifecycle", "accept", "traffic", "dns", "server_name",
	"unix", "rules", "sock_create", "egress"}

// String returns the names of the hooks, separated by commas; "" for no hook.
func (h Hooks) String() string { return bitNames(hookNames[:], uint64(h)) }

// OpenFlags are [Options].Flags.
type OpenFlags uint32

const (
	// OpenUDPNoDedup reports every datagram, instead of one per pair of socket and destination.
	OpenUDPNoDedup OpenFlags = 1
	// OpenNoModeration wakes the reader for every record that arrives while it is idle.
	OpenNoModeration OpenFlags = 2
	// OpenDNSEvents delivers KindDNSQuery and KindDNSAnswer; it requires HookDNS.
	OpenDNSEvents OpenFlags = 4
	// OpenDenialsOnly reports KindConnect and KindUDPSend only if the verdict is VerdictDenied or
	// VerdictWouldDeny. It requires HookRules, and excludes HookLifecycle.
	OpenDenialsOnly OpenFlags = 8
)

// AttachFlags are [SessionOptions].Flags.
type AttachFlags uint32

// AttachDisplace attaches even if an eBPF program of another owner then no longer runs for the
// cgroup.
const AttachDisplace AttachFlags = 1

// LogLevel is the first argument of [Options].OnLog.
type LogLevel int

const (
	LogWarn  LogLevel = 0
	LogInfo  LogLevel = 1
	LogDebug LogLevel = 2
)

var logNames = [...]string{"warn", "info", "debug"}

// String returns "warn", "info" or "debug".
func (l LogLevel) String() string { return nameOf(logNames[:], uint32(l), "LogLevel") }

// Step is the step that failed ([Error].Step). It is an error, so that
// errors.Is(err, StepCgroup) works.
type Step uint32

const (
	StepNone        Step = 0
	StepOptions     Step = 1  // checking an argument or an option
	StepMemory      Step = 2  // allocating memory
	StepObjectOpen  Step = 3  // parsing the built-in eBPF programs
	StepObjectLoad  Step = 4  // creating maps and loading programs
	StepRingMap     Step = 5  // mapping the ring buffer
	StepCountersMap Step = 6  // mapping the counters
	StepEventFD     Step = 7  // creating the descriptors
	StepCgroup      Step = 8  // checking the descriptor of the cgroup
	StepSessionSlot Step = 9  // finding a free slot for the session
	StepLink        Step = 10 // attaching a program to the cgroup
	StepStorage     Step = 11 // writing the session state
	StepRules       Step = 12 // compiling rules, and finding room for them
)

var stepNames = [...]string{"none", "options", "memory", "object_open", "object_load", "ring_map",
	"counters_map", "event_fd", "cgroup", "session_slot", "link", "storage", "rules"}

// String returns the name that the library has for the step ("link"), or Step(N).
func (s Step) String() string { return nameOf(stepNames[:], uint32(s), "Step") }

// Error makes a Step a target of errors.Is.
func (s Step) Error() string { return "agentshebpf: step " + s.String() }

// Protocol is a value of SO_PROTOCOL, such as IPPROTO_TCP.
type Protocol uint16

const (
	ProtocolICMP    Protocol = 1
	ProtocolTCP     Protocol = 6
	ProtocolUDP     Protocol = 17
	ProtocolDCCP    Protocol = 33
	ProtocolICMPv6  Protocol = 58
	ProtocolSCTP    Protocol = 132
	ProtocolUDPLite Protocol = 136
	ProtocolMPTCP   Protocol = 262
)

// String returns the name that the library has for the protocol ("tcp"), or Protocol(N).
func (p Protocol) String() string {
	switch p {
	case ProtocolICMP:
		return "icmp"
	case ProtocolTCP:
		return "tcp"
	case ProtocolUDP:
		return "udp"
	case ProtocolDCCP:
		return "dccp"
	case ProtocolICMPv6:
		return "icmpv6"
	case ProtocolSCTP:
		return "sctp"
	case ProtocolUDPLite:
		return "udplite"
	case ProtocolMPTCP:
		return "mptcp"
	}
	return "Protocol(" + strconv.FormatUint(uint64(p), 10) + ")"
}

// Families of [Event].Family: the values of AF_INET and AF_INET6 on Linux.
const (
	FamilyIPv4 uint16 = 2
	FamilyIPv6 uint16 = 10
)

// Check is a check of [Probe], and the number of its bit in a [CheckSet].
type Check uint32

const (
	CheckKernel        Check = 0
	CheckBPF           Check = 1
	CheckUserNS        Check = 2
	CheckCapBPF        Check = 3
	CheckCapNetAdmin   Check = 4
	CheckCapPerfmon    Check = 5
	CheckLockdown      Check = 6
	CheckBTF           Check = 7
	CheckCgroup2       Check = 8
	CheckRingbuf       Check = 9
	CheckArrayMmap     Check = 10
	CheckCgroupStorage Check = 11
	CheckCgroupLink    Check = 12
	CheckMemlock       Check = 13
	CheckNofile        Check = 14
	CheckJIT           Check = 15
	CheckConnect4      Check = 16
	CheckConnect6      Check = 17
	CheckSendmsg4      Check = 18
	CheckSendmsg6      Check = 19
	CheckSockOps       Check = 20
	CheckSockRelease   Check = 21
	CheckBind4         Check = 22
	CheckBind6         Check = 23
	CheckInetIngress   Check = 24
	CheckInetEgress    Check = 25
	CheckConnectUnix   Check = 26
	CheckSendmsgUnix   Check = 27
	CheckSockCreate    Check = 28
	CheckSetRetval     Check = 29
)

var checkNames = [...]string{"kernel", "bpf", "userns", "cap_bpf", "cap_net_admin", "cap_perfmon",
	"lockdown", "btf", "cgroup2", "ringbuf", "array_mmap", "cgroup_storage", "cgroup_link",
	"memlock", "nofile", "jit", "connect4", "connect6", "sendmsg4", "sendmsg6", "sock_ops",
	"sock_release", "bind4", "bind6", "inet_ingress", "inet_egress",
	"connect_unix", "sendmsg_unix", "sock_create", "set_retval"}

// String returns the name that the library has for the check ("cap_bpf"), or Check(N).
func (c Check) String() string { return nameOf(checkNames[:], uint32(c), "Check") }

// Set returns the set that contains only c.
func (c Check) Set() CheckSet { return 1 << c }

// CheckSet is a set of checks, or of programs in [SessionCheck].
type CheckSet uint64

// Has reports whether s contains c.
func (s CheckSet) Has(c Check) bool { return s&c.Set() != 0 }

// String returns the names of the checks, separated by commas; "" for an empty set.
func (s CheckSet) String() string { return bitNames(checkNames[:], uint64(s)) }

// Status is the result of one check.
type Status uint32

const (
	StatusUnknown   Status = 0 // The check could not be made, or does not apply.
	StatusAvailable Status = 1
	StatusMissing   Status = 2 // The machine or the process lacks the feature or privilege.
	StatusForbidden Status = 3 // The machine has the feature, but this process may not use it.
	StatusSimulated Status = 4 // The check is treated as missing, as the caller asked.
)

var statusNames = [...]string{"unknown", "available", "missing", "forbidden", "simulated"}

// String returns the name that the library has for the status ("available"), or Status(N).
func (s Status) String() string { return nameOf(statusNames[:], uint32(s), "Status") }

// CgroupMode tells which versions of cgroups are mounted.
type CgroupMode uint32

const (
	CgroupNone   CgroupMode = 0 // No cgroup v2 is mounted.
	CgroupPure   CgroupMode = 1 // Only cgroup v2 is mounted.
	CgroupHybrid CgroupMode = 2 // Both cgroup v2 and v1 controllers are mounted.
)

var cgroupNames = [...]string{"none", "pure", "hybrid"}

// String returns "none", "pure" or "hybrid".
func (m CgroupMode) String() string { return nameOf(cgroupNames[:], uint32(m), "CgroupMode") }

// Path is a path to the network, and the number of its bit in a [PathSet].
type Path uint32

const (
	PathTCPConnect        Path = 0
	PathTCPFastOpen       Path = 1
	PathMPTCPConnect      Path = 2
	PathUDPConnect        Path = 3
	PathUDPSend           Path = 4
	PathUDPSendConnected  Path = 5
	PathUDPLiteConnect    Path = 6
	PathUDPLiteSend       Path = 7
	PathPingConnect       Path = 8
	PathPingSend          Path = 9
	PathSCTP              Path = 10
	PathRaw               Path = 11
	PathPacket            Path = 12
	PathIOUringConnect    Path = 13
	PathIOUringSend       Path = 14
	PathUnix              Path = 15
	PathVsock             Path = 16
	PathEarlierSocket     Path = 17
	PathPassedSocket      Path = 18
	PathLeftSocket        Path = 19
	PathTCPOutcome        Path = 20
	PathDatagramClose     Path = 21
	PathTCPAccept         Path = 22
	PathDCCP              Path = 23
	PathL2TPIP            Path = 24
	PathSMCConnect        Path = 25
	PathRDS               Path = 26
	PathXDP               Path = 27
	PathRXRPC             Path = 28
	PathOtherFamily       Path = 29
	PathEarlierConnection Path = 30
	PathDNSUDP            Path = 31
	PathDNSTCP            Path = 32
	PathDNSTLS            Path = 33
	PathDNSHTTPS          Path = 34
	PathLocalResolver     Path = 35
	PathHostsFile         Path = 36
	PathEarlierAnswer     Path = 37
	PathTLSServerName     Path = 38
	PathTLSEncryptedName  Path = 39
	PathHTTPHost          Path = 40
	PathQUICServerName    Path = 41
)

var pathNames = [...]string{"tcp_connect", "tcp_fastopen", "mptcp_connect", "udp_connect",
	"udp_send", "udp_send_connected", "udplite_connect", "udplite_send", "ping_connect",
	"ping_send", "sctp", "raw", "packet", "io_uring_connect", "io_uring_send", "unix", "vsock",
	"earlier_socket", "passed_socket", "left_socket", "tcp_outcome", "datagram_close",
	"tcp_accept", "dccp", "l2tp_ip", "smc_connect", "rds", "xdp", "rxrpc", "other_family",
	"earlier_connection", "dns_udp", "dns_tcp", "dns_tls", "dns_https", "local_resolver",
	"hosts_file", "earlier_answer", "tls_server_name", "tls_encrypted_name", "http_host",
	"quic_server_name"}

// String returns the name that the library has for the path ("tcp_connect"), or Path(N).
func (p Path) String() string { return nameOf(pathNames[:], uint32(p), "Path") }

// Set returns the set that contains only p.
func (p Path) Set() PathSet { return 1 << p }

// PathSet is a set of paths.
type PathSet uint64

// Has reports whether s contains p.
func (s PathSet) Has(p Path) bool { return s&p.Set() != 0 }

// String returns the names of the paths, separated by commas; "" for an empty set.
func (s PathSet) String() string { return bitNames(pathNames[:], uint64(s)) }

// NameSource tells where a name is from.
type NameSource uint32

const (
	NameNone   NameSource = 0 // There is no name.
	NameDNS    NameSource = 1 // DNS answer over UDP
	NameDNSTCP NameSource = 2 // DNS answer over TCP
	NameTLS    NameSource = 3 // server_name of a TLS ClientHello
	NameHTTP   NameSource = 4 // Host of an HTTP/1 request
	NameSeed   NameSource = 5 // [Session.SeedName]
	NameUnix   NameSource = 6 // path of an AF_UNIX socket
)

var sourceNames = [...]string{"none", "dns", "dns_tcp", "tls", "http", "seed", "unix"}

// String returns the name that the library has for the source ("dns"), or NameSource(N).
func (s NameSource) String() string { return nameOf(sourceNames[:], uint32(s), "NameSource") }

// NameFlags are properties of a [Name].
type NameFlags uint32

const (
	// NameShared: other names gave the same address, too; Name.Others has their number.
	NameShared NameFlags = 1
	// NameExpired: the time to live had ended when the event happened.
	NameExpired NameFlags = 2
	// NameOtherProcess: another process of the session asked for the name.
	NameOtherProcess NameFlags = 4
	// NameUnasked: the question was not seen, because its socket is older than the session.
	NameUnasked NameFlags = 8
	// NameCut: a text did not fit, and is cut.
	NameCut NameFlags = 16
	// NameOuter: the ClientHello has an encrypted inner name (ECH).
	NameOuter NameFlags = 32
	// NameDiffers: ServerName is neither Asked nor Owner.
	NameDiffers NameFlags = 64
)

var nameFlagNames = [...]string{"shared", "expired", "other_process", "unasked", "cut", "outer",
	"differs"}

// String returns the names of the flags, separated by commas; "" for no flag.
func (f NameFlags) String() string { return bitNames(nameFlagNames[:], uint64(f)) }

// DNSFlags are properties of a [DNS] message.
type DNSFlags uint32

const (
	// DNSOverTCP: the message came over TCP.
	DNSOverTCP DNSFlags = 1
	// DNSTruncated: the name server has truncated the answer (TC).
	DNSTruncated DNSFlags = 2
	// DNSCut: the library has not looked at the whole answer.
	DNSCut DNSFlags = 4
	// DNSUnasked: as NameUnasked.
	DNSUnasked DNSFlags = 8
	// DNSUntrusted: the name server is not one of SessionOptions.TrustedResolvers.
	DNSUntrusted DNSFlags = 16
)

var dnsFlagNames = [...]string{"tcp", "truncated", "cut", "unasked", "untrusted"}

// String returns the names of the flags, separated by commas; "" for no flag.
func (f DNSFlags) String() string { return bitNames(dnsFlagNames[:], uint64(f)) }

// Verdict is what the rules of the session say of a call.
type Verdict uint32

const (
	VerdictNone Verdict = 0 // The session has no rules.
	// VerdictAllowed means that the rules allow the call. It may fail all the same, also because
	// another session or another program of the cgroup refuses it.
	VerdictAllowed Verdict = 1
	// VerdictDenied means that the rules deny the call, which failed with EPERM, or with ECONNREFUSED
	// if the set has RulesRefuse.
	VerdictDenied Verdict = 2
	// VerdictWouldDeny means that the rules deny the call, but RulesAudit let it go on.
	VerdictWouldDeny Verdict = 3
)

var verdictNames = [...]string{"none", "allowed", "denied", "would_deny"}

// String returns the name that the library has for the verdict ("denied"), or Verdict(N).
func (v Verdict) String() string { return nameOf(verdictNames[:], uint32(v), "Verdict") }

// Action is what a [Rule] does. There is no default: the zero value is an error in a Rule.
type Action uint32

const (
	RuleAllow Action = 1
	RuleDeny  Action = 2
)

var actionNames = [...]string{1: "allow", 2: "deny"}

// String returns "allow", "deny", or Action(N).
func (a Action) String() string { return nameOf(actionNames[:], uint32(a), "Action") }

// RuleFlags are [Rule].Flags.
type RuleFlags uint16

// RuleListed: the rule matches an address only while it is listed for the ID of the rule; see
// [Rules.ListAddress].
const RuleListed RuleFlags = 1

// RulesFlags are [RulesOptions].Flags.
type RulesFlags uint32

const (
	// RulesAudit: the rules refuse nothing. Events of calls that they deny have VerdictWouldDeny.
	RulesAudit RulesFlags = 1
	// RulesRefuse: calls that the rules deny fail with ECONNREFUSED instead of EPERM. It requires
	// kernel 6.1 (CheckSetRetval).
	RulesRefuse RulesFlags = 2
	// RulesStrictSockets: socket(2) fails with EPERM for IPv4 and IPv6 sockets whose calls the rules
	// cannot judge: every type and protocol other than TCP, MPTCP, SMC and UDP. It requires
	// HookSockCreate.
	RulesStrictSockets RulesFlags = 4
	// RulesEgress: every packet that a socket of the session sends is judged, too, and dropped if the
	// rules deny its destination. It requires HookEgress. agentsh_ebpf_rules_create(3) names the
	// packets that are not judged.
	RulesEgress RulesFlags = 8
)

// RuleOtherProtocols in [Rule].Protocol is every protocol other than TCP, MPTCP, UDP and UDP-Lite.
const RuleOtherProtocols Protocol = 255

func nameOf(names []string, value uint32, typ string) string {
	if uint64(value) < uint64(len(names)) && names[value] != "" {
		return names[value]
	}
	return typ + "(" + strconv.FormatUint(uint64(value), 10) + ")"
}

func bitNames(names []string, bits uint64) string {
	var list []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			list = append(list, name)
			bits &^= 1 << i
		}
	}
	if bits != 0 {
		list = append(list, "0x"+strconv.FormatUint(bits, 16))
	}
	return strings.Join(list, ",")
}
