/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libagentsh-ebpf reports the network connections of the processes in a cgroup v2 as
 * events. agentsh-ebpf(7) is the overview; every function has a manual page.
 *
 * A tracer is a set of loaded eBPF programs and one ring buffer. A session is one
 * attached cgroup, including its descendants. agentsh_ebpf_poll() and
 * agentsh_ebpf_read() deliver the events of all sessions of a tracer as
 * struct agentsh_ebpf_event.
 *
 * Errors: a call that can fail returns 0 or a count on success and a negative
 * errno value on failure. The errno variable is not set. A call with the parameter
 * err also fills a struct agentsh_ebpf_error. These argument errors are common to all
 * calls:
 *
 *   -EFAULT  A pointer that must not be NULL is NULL.
 *   -EINVAL  The size of a struct is less than 4, or a value is malformed.
 *   -E2BIG   An options struct is larger than this library knows, and the bytes
 *            that it does not know are not zero: the caller needs a newer library.
 *   -ERANGE  A number is out of range.
 *
 * Threads: only one thread at a time may poll or read a tracer; a second thread
 * gets -EBUSY. Attach, detach, check, inject, wake, both stats calls and the calls about
 * names and rules may be made from any thread at any time, the callback included. A call with a
 * session that was detached returns -EINVAL. No call may use a tracer whose close has
 * begun, or a session of such a tracer. Tracers are independent of each other.
 *
 * Process: the library creates no threads, installs no signal handlers and writes
 * nothing to stdout or stderr. Only agentsh_ebpf_mode_from_env() reads the
 * environment. The following state is shared by the whole process: libbpf's print
 * callback, which open and probe replace while they run (agentsh_ebpf_tracer_open());
 * libbpf's cache of kernel features; the clock difference of
 * agentsh_ebpf_event_realtime_ns(); and, before kernel 5.11, RLIMIT_MEMLOCK, which
 * open and probe raise. All descriptors are close-on-exec and 3 or above.
 *
 * Fork: after fork(2) only the process that opened a tracer may use it. In a forked
 * child, close and detach release the child's memory and descriptors and leave the
 * sessions of the parent as they are; attach, check, poll, read, inject and
 * the calls about names and rules return -EPERM.
 *
 * Structs: an options or result struct begins with size, which the caller sets to
 * sizeof. An options struct from an older header is accepted; the members it lacks
 * take their defaults. In a newer, larger options struct the bytes that this
 * library does not know must be zero. In a newer result struct the library sets such
 * bytes to zero, so size must never exceed the real size of the buffer. No struct contains
 * padding, bit-fields or unions.
 */
#ifndef AGENTSH_EBPF_H
#define AGENTSH_EBPF_H

#include <stddef.h>
#include <stdint.h>

#define AGENTSH_EBPF_VERSION_MAJOR 1
#define AGENTSH_EBPF_VERSION_MINOR 0
#define AGENTSH_EBPF_VERSION_PATCH 0

#if defined(__GNUC__)
#define AGENTSH_EBPF_API __attribute__((visibility("default")))
#else
#define AGENTSH_EBPF_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct agentsh_ebpf_tracer;
struct agentsh_ebpf_session;
struct agentsh_ebpf_rules;

/*
 * The version of the running library, for example "1.0.0". Static storage, any
 * thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_version(void);

/* ---- Events ------------------------------------------------------------- */

/*
 * agentsh_ebpf_event.kind. A host must ignore kinds that it does not know. Below, a datagram
 * socket is any socket whose protocol is neither TCP nor MPTCP: raw and SCTP sockets, too.
 */
enum {
	/*
	 * connect(2) was called on a TCP, MPTCP, UDP or SMC socket, or since kernel 6.1 on an
	 * ICMP datagram socket, icmp(7). The result of the call is not known yet. A call that
	 * seccomp(2) or a security module (Landlock, SELinux, AppArmor) refuses has no
	 * event, because it is refused before the program runs.
	 *
	 * If other eBPF programs are attached to the cgroup, the event shows the
	 * destination as rewritten by the programs that ran earlier. Programs that run
	 * later may still rewrite it or reject the call.
	 *
	 * Each subflow of an MPTCP socket has its own events. The kernel connects the
	 * further subflows. With AGENTSH_EBPF_HOOK_LIFECYCLE the events of a further
	 * subflow name the process of the MPTCP socket if the program can find it;
	 * otherwise they are UNATTRIBUTED. Without BTF or CAP_PERFMON they name the thread
	 * of the kernel.
	 */
	AGENTSH_EBPF_EVENT_CONNECT = 1,
	/* A datagram was sent to an explicit destination (sendto, sendmsg, sendmmsg). */
	AGENTSH_EBPF_EVENT_UDP_SEND = 2,
	/*
	 * With AGENTSH_EBPF_HOOK_LIFECYCLE: the TCP handshake is complete, and the
	 * local address is known. Each TCP attempt that sent a SYN ends with exactly
	 * one event, either CONNECT_FAILED or, after CONNECTED, CLOSED, unless the
	 * session is detached first or the event is lost.
	 */
	AGENTSH_EBPF_EVENT_CONNECTED = 3,
	/*
	 * With AGENTSH_EBPF_HOOK_LIFECYCLE: a TCP attempt failed. The member error
	 * holds the reason; ECANCELED means that the socket was closed before the peer
	 * answered.
	 */
	AGENTSH_EBPF_EVENT_CONNECT_FAILED = 4,
	/*
	 * With AGENTSH_EBPF_HOOK_LIFECYCLE: a connection ended, or a datagram socket
	 * with an earlier event was closed. With AGENTSH_EBPF_HOOK_ACCEPT: an inbound
	 * connection ended.
	 */
	AGENTSH_EBPF_EVENT_CLOSED = 5,
	/*
	 * With AGENTSH_EBPF_HOOK_ACCEPT: a peer connected to a listening socket of the
	 * session.
	 */
	AGENTSH_EBPF_EVENT_ACCEPTED = 6,
	/*
	 * The session no longer sees everything that it was attached for.
	 * agentsh_ebpf_session_check() tells what is missing. poll and read check each
	 * session at intervals of check_interval_ms, and deliver this event once per
	 * session, when a check finds the loss. The event does not come through the ring,
	 * so earlier events may follow it, and no counter counts it. Only kind,
	 * timestamp_ns (when the loss was found), session_id, session_lost, cgroup_id (of
	 * the session) and error (as in struct agentsh_ebpf_session_check) are set.
	 */
	AGENTSH_EBPF_EVENT_SESSION_BLIND = 7,
	/*
	 * With AGENTSH_EBPF_HOOK_TRAFFIC: a datagram socket sent its first packet, or its
	 * first packet since connect(2) was last called on it. A program may connect a
	 * datagram socket only to learn its own address; such a socket has no FIRST_DATA.
	 * If several threads send the first packets at the same time, each of these packets
	 * may have an event. A packet that another thread sends while connect(2) runs may
	 * still go to the earlier destination, and is then the first packet.
	 */
	AGENTSH_EBPF_EVENT_FIRST_DATA = 8,
	/*
	 * With AGENTSH_EBPF_HOOK_TRAFFIC: what an open connection or datagram socket has sent
	 * and received so far. Each socket with traffic since its last PROGRESS has one
	 * event at intervals of progress_interval_ms, and one when the session is detached.
	 * For TCP, PROGRESS requires BTF and CAP_PERFMON.
	 */
	AGENTSH_EBPF_EVENT_PROGRESS = 9,
	/*
	 * With AGENTSH_EBPF_HOOK_TRAFFIC: a packet of a socket that had no event before.
	 * These are sockets for which the kernel runs no connect or sendmsg program (such as
	 * raw, SCTP, DCCP and L2TP/IP sockets, and some calls on ICMP and UDP-Lite sockets),
	 * UDP sockets that send to an explicit destination if the tracer does not have
	 * AGENTSH_EBPF_HOOK_UDP, datagram sockets whose first packet came in, TCP connections
	 * that were made before the session was attached, and inbound TCP connections if the
	 * tracer does not have AGENTSH_EBPF_HOOK_ACCEPT. The addresses are the ends
	 * of the packet. Only the first packet of a socket has the event, so destinations to which
	 * the socket sends later are not reported.
	 *
	 * Without BTF or CAP_PERFMON a TCP connection that was made before the session was
	 * attached has neither PROGRESS nor CLOSED, and sockets that the kernel makes for
	 * itself in a network namespace of the cgroup have the event, too.
	 */
	AGENTSH_EBPF_EVENT_UNANNOUNCED = 10,
	/*
	 * With AGENTSH_EBPF_OPEN_DNS_EVENTS: a DNS question had no answer within
	 * dns_timeout_ms, or had no answer yet when its socket asked 16 further questions, or its
	 * session 256. agentsh_ebpf_event_name() has the name that was asked for. The remote end
	 * is the name server. timestamp_ns is the time of the question, so the event is older than
	 * events that were delivered before. Questions without an answer at detach are not
	 * reported.
	 */
	AGENTSH_EBPF_EVENT_DNS_QUERY = 11,
	/*
	 * With AGENTSH_EBPF_OPEN_DNS_EVENTS: a name server answered a question of the session.
	 * agentsh_ebpf_event_name() has the name that was asked for, agentsh_ebpf_event_dns()
	 * the type and the response code, and agentsh_ebpf_event_addresses() the addresses. The
	 * remote end is the name server, and duration_ns is the time since the question. The
	 * event does not tell whether the process has read the answer.
	 */
	AGENTSH_EBPF_EVENT_DNS_ANSWER = 12,
	/*
	 * With AGENTSH_EBPF_HOOK_SERVER_NAME: the first data that the process sent over an
	 * outbound TCP connection names a server: the server_name extension (SNI, RFC 6066) of a
	 * TLS ClientHello, or the Host of an HTTP/1 request. An IP address is not a name. Only
	 * the first 8 segments or 4 KiB are looked at. A connection has at most one event;
	 * agentsh_ebpf_event_name() has the name.
	 */
	AGENTSH_EBPF_EVENT_SERVER_NAME = 13,
	/*
	 * With AGENTSH_EBPF_HOOK_UNIX: connect(2) was called on an AF_UNIX socket, unix(7), or a
	 * datagram was sent to an explicit AF_UNIX address. family is AF_UNIX (1).
	 * agentsh_ebpf_event_name() has the path. A datagram that repeats a known socket and path
	 * has no event. If BTF or CAP_PERFMON is missing, the path is unknown: name_id is 0, and
	 * only the first datagram of a socket has an event.
	 */
	AGENTSH_EBPF_EVENT_UNIX_CONNECT = 14,
	/*
	 * With AGENTSH_EBPF_RULES_STRICT_SOCKETS: socket(2) was called for a socket whose calls the
	 * rules cannot judge. verdict says whether the call was refused. family, socket_type and
	 * protocol name the kind of socket; the event has no remote end.
	 */
	AGENTSH_EBPF_EVENT_SOCKET_DENIED = 15,
	/*
	 * With AGENTSH_EBPF_RULES_EGRESS: the rules deny a packet that a socket of the session was
	 * about to send. The remote end is the destination in the packet's header. Each pair of
	 * socket and destination has one event per verdict, even with
	 * AGENTSH_EBPF_OPEN_UDP_NO_DEDUP, as long as udp_dedup_entries pairs suffice. The
	 * process is known if AGENTSH_EBPF_HOOK_LIFECYCLE has an earlier CONNECT or UDP_SEND of the
	 * socket; otherwise the event is UNATTRIBUTED.
	 */
	AGENTSH_EBPF_EVENT_PACKET_DENIED = 16
};

/* agentsh_ebpf_event.flags */
enum {
	/*
	 * The socket is AF_INET6, but the destination is an IPv4-mapped address
	 * (::ffff:a.b.c.d). The event has family AF_INET and plain IPv4 addresses.
	 */
	AGENTSH_EBPF_FLAG_V4_MAPPED = 1,
	/*
	 * The owner of the socket is unknown, for example because connect() or bind() was
	 * called before the session was attached; agentsh_ebpf_events(7) lists all causes.
	 * The members that identify the process (cgroup_id, process_start_ns, pid to ns_tgid,
	 * container_pid, container_tgid, comm, process_comm, exe_inode and exe_device) are 0.
	 * netns_cookie is 0, too, except for a further subflow of an MPTCP socket, after
	 * UNANNOUNCED, and in PACKET_DENIED.
	 */
	AGENTSH_EBPF_FLAG_UNATTRIBUTED = 2,
	/* The member error could not be read, because BTF or CAP_PERFMON is missing. */
	AGENTSH_EBPF_FLAG_NO_ERROR = 4,
	/*
	 * The peer opened the connection. ACCEPTED names the process that called bind() for
	 * the listening socket, which may be another process than the caller of accept(2).
	 *
	 * For a datagram socket (with AGENTSH_EBPF_HOOK_TRAFFIC): the first packet of the
	 * socket came in. CONNECT does not have the flag. A process can arrange such a packet
	 * itself, so the flag does not show that a destination is harmless.
	 *
	 * For a TCP connection that was made before the session was attached, the flag
	 * requires BTF and CAP_PERFMON.
	 */
	AGENTSH_EBPF_FLAG_INBOUND = 8,
	/*
	 * In CLOSED, the side that sent the first FIN. If neither flag is set, the
	 * connection ended with a reset, a timeout or an abort.
	 */
	AGENTSH_EBPF_FLAG_LOCAL_CLOSED = 16,
	AGENTSH_EBPF_FLAG_REMOTE_CLOSED = 32,
	/*
	 * The socket has a routing header (IPV6_RTHDR, RFC 3542) or a source route
	 * (IP_OPTIONS, ip(7)). remote_addr is the first hop, to which the packets go, and
	 * not the address that the process named. If the first event of a TCP connection has
	 * the flag, the later events have it, too. The flag requires BTF and CAP_PERFMON. The
	 * tracer does not see a route in the ancillary data of sendmsg(2), a route in a flow
	 * label, or a route that is set on a datagram socket after connect(2).
	 */
	AGENTSH_EBPF_FLAG_SOURCE_ROUTED = 64,
	/*
	 * The process named 0.0.0.0, :: or ::ffff:0.0.0.0, which mean this machine.
	 * remote_addr is the address that the kernel takes in its place, or 0 if that address
	 * is unknown: an IPv4 socket that is bound to an interface only, in CONNECT and
	 * UDP_SEND. The kernel takes another address of this machine if the process has chosen an
	 * interface by IP_UNICAST_IF or IP_PKTINFO, ip(7), or if the socket is bound to a multicast
	 * or broadcast address.
	 */
	AGENTSH_EBPF_FLAG_UNSPECIFIED = 128,
	/*
	 * The table of sockets had no room for the socket (max_sockets), so later events of
	 * the socket may be missing. A socket that would have UNANNOUNCED has no event without
	 * room; agentsh_ebpf_stats.untracked counts its packets.
	 */
	AGENTSH_EBPF_FLAG_UNTRACKED = 256
};

/*
 * One event. The struct has 256 bytes in every version of the library: new members
 * replace reserved bytes, which are zero until then. A member that does not apply
 * to the kind of event is zero. agentsh_ebpf_events(7) describes all members by
 * kind.
 *
 * Addresses are in network byte order, with IPv4 in the first four bytes; ports are
 * in host byte order. pid, tgid, ppid, uid and gid are numbers of the initial
 * namespaces, as in the kernel's log messages.
 *
 * process_start_ns, pid to ns_tgid, container_pid, container_tgid, comm, process_comm,
 * exe_inode and exe_device identify the process that made the call.
 * In CONNECTED, CONNECT_FAILED, PROGRESS and CLOSED they identify the process that called
 * connect(), and for an inbound connection the process that called bind(). In FIRST_DATA,
 * PROGRESS and CLOSED of a datagram socket they identify the process of its first CONNECT
 * or UDP_SEND.
 */
struct agentsh_ebpf_event {
	/* AGENTSH_EBPF_EVENT_ value */
	uint32_t kind;
	/* AGENTSH_EBPF_FLAG_ bits */
	uint32_t flags;
	/*
	 * Nanoseconds of CLOCK_BOOTTIME in the initial time namespace.
	 * agentsh_ebpf_event_realtime_ns() converts them to Unix time.
	 */
	uint64_t timestamp_ns;
	/* The number that the host chose in agentsh_ebpf_session_options. */
	uint64_t session_id;
	/*
	 * Number of this session's events lost since attach, up to this event. It never
	 * decreases; the difference between two consecutive events is the number of
	 * events lost between them. With several CPUs the position of the gap is only as
	 * exact as the event order.
	 */
	uint64_t session_lost;
	/* cgroup v2 of the process: the inode number of the cgroup's directory. */
	uint64_t cgroup_id;
	/*
	 * SO_COOKIE, socket(7). Each TCP subflow of an MPTCP socket has its own cookie.
	 * Before kernel 5.10 a cookie is unique only together with netns_cookie.
	 */
	uint64_t socket_cookie;
	/*
	 * SO_NETNS_COOKIE (kernel 5.14) of the socket's network namespace. After UNANNOUNCED,
	 * and in an UNATTRIBUTED PACKET_DENIED, it requires BTF, CAP_PERFMON and kernel 5.12;
	 * otherwise it is 0.
	 */
	uint64_t netns_cookie;
	/*
	 * Start time of the process in nanoseconds of CLOCK_BOOTTIME in the initial
	 * time namespace: the time that field 22 of /proc/PID/stat shows in that
	 * namespace. 0 if BTF or CAP_PERFMON is missing.
	 */
	uint64_t process_start_ns;
	/* Thread, as gettid(2) returns it. */
	uint32_t pid;
	/* Process, as getpid(2) returns it. */
	uint32_t tgid;
	/* Parent process, as getppid(2) returns it; 0 if BTF or CAP_PERFMON is missing. */
	uint32_t ppid;
	/* Real user ID, as getuid(2) returns it. */
	uint32_t uid;
	/* Real group ID, as getgid(2) returns it. */
	uint32_t gid;
	/*
	 * pid as numbered in the PID namespace of the process that opened the tracer; 0
	 * if the thread is not visible there, or if the number is unknown.
	 */
	uint32_t ns_pid;
	/*
	 * tgid as numbered in the same PID namespace: the number that kill(2) and /proc
	 * of the opener accept. 0 in the same cases as ns_pid.
	 */
	uint32_t ns_tgid;
	/* AF_INET or AF_INET6, for both addresses. */
	uint16_t family;
	/*
	 * SO_PROTOCOL: IPPROTO_TCP, IPPROTO_UDP, IPPROTO_MPTCP (262), ... MPTCP is
	 * reported as TCP if BTF or CAP_PERFMON is missing.
	 */
	uint16_t protocol;
	/* SO_TYPE: SOCK_STREAM, SOCK_DGRAM, ... */
	uint16_t socket_type;
	/* Host byte order; 0 if the kernel has not chosen a port yet. */
	uint16_t local_port;
	/*
	 * Host byte order. In UNANNOUNCED, FIRST_DATA and PACKET_DENIED both ports are 0 if the
	 * protocol has no ports, if the packet is a fragment other than the first, and if more
	 * than 8 IPv6 extension headers precede the ports.
	 */
	uint16_t remote_port;
	uint16_t reserved0;
	/*
	 * Positive errno value, in CONNECT_FAILED and in the CLOSED event of a
	 * connection that did not end in an orderly way.
	 */
	int32_t error;
	/*
	 * Smoothed round-trip time in microseconds, tcpi_rtt of TCP_INFO; in CONNECTED,
	 * ACCEPTED, CLOSED and PROGRESS.
	 */
	uint32_t rtt_us;
	/*
	 * Nanoseconds since connect() was called, in CONNECTED, CONNECT_FAILED, CLOSED and
	 * PROGRESS. For an inbound or UNATTRIBUTED connection, nanoseconds since the
	 * handshake; for a datagram socket and after UNANNOUNCED, since the first event.
	 */
	uint64_t duration_ns;
	/*
	 * In CLOSED and PROGRESS. TCP: bytes of data that the peer acknowledged; in CLOSED of
	 * a connection that was made before the session was attached, all bytes that the
	 * process wrote. Other sockets, with AGENTSH_EBPF_HOOK_TRAFFIC: bytes of payload in
	 * packets_sent.
	 */
	uint64_t bytes_sent;
	/*
	 * In CLOSED and PROGRESS. TCP: bytes of data received in order, whether the process
	 * read them or not. Other sockets, with AGENTSH_EBPF_HOOK_TRAFFIC: bytes of payload in
	 * packets_received.
	 */
	uint64_t bytes_received;
	/* Network byte order; all zero if the kernel has not chosen an address yet. */
	uint8_t local_addr[16];
	/* Network byte order. */
	uint8_t remote_addr[16];
	/*
	 * Name of the thread, NUL-terminated. The process chooses it (PR_SET_NAME,
	 * prctl(2)), so it may contain any bytes. Empty if the kernel requires
	 * CAP_PERFMON for the name, as 6.18 does, and the opener lacks it.
	 */
	char comm[16];
	/*
	 * TCP segments retransmitted, tcpi_total_retrans of TCP_INFO; in CONNECTED,
	 * CONNECT_FAILED, ACCEPTED, CLOSED and PROGRESS.
	 */
	uint32_t retransmits;
	/*
	 * CLOSED and PROGRESS of a socket that is not TCP, with AGENTSH_EBPF_HOOK_TRAFFIC:
	 * packets that the socket sent, modulo 2^32. A datagram that is fragmented is one
	 * packet, and each datagram of a UDP_SEGMENT send, udp(7), is one. A packet that
	 * nftables (output, postrouting) or a missing route refused is not counted. A packet
	 * that another eBPF program of the cgroup refuses, or that a queueing discipline,
	 * tc(8), drops, is counted and gives FIRST_DATA. The payload is what follows the UDP
	 * or UDP-Lite header, or for other protocols the IP header with its options and
	 * extensions.
	 */
	uint32_t packets_sent;
	/*
	 * Index of the network interface, netdevice(7), that the process has chosen: the
	 * scope of the destination (sin6_scope_id, ipv6(7)), the interface for multicast
	 * (IP_MULTICAST_IF, IPV6_MULTICAST_IF, IPV6_PKTINFO as an option of the socket), or
	 * the interface to which the socket is bound (SO_BINDTODEVICE, socket(7)). 0 if the
	 * process has chosen none. A link-local address names a host only together with the
	 * interface. If BTF or CAP_PERFMON is missing, only the interface to which the
	 * socket is bound is known. An interface in the ancillary data of sendmsg(2) is not
	 * known.
	 */
	uint32_t ifindex;
	/*
	 * Device of exe_inode, in the encoding of st_dev, stat(2). On btrfs and overlayfs
	 * stat(2) may show another device for a file.
	 */
	uint32_t exe_device;
	/*
	 * Inode number of the program that the process executes, /proc/PID/exe. It is known
	 * after the process has ended, too. The number of a deleted file may be used again for
	 * another file. 0 if BTF or CAP_PERFMON is missing, and for a thread of the kernel.
	 */
	uint64_t exe_inode;
	/*
	 * Name of the process: comm of its first thread. The process chooses it, too. Empty if
	 * BTF or CAP_PERFMON is missing.
	 */
	char process_comm[16];
	/*
	 * pid and tgid as numbered in the PID namespace of the process itself,
	 * pid_namespaces(7): the numbers that ps(1) shows in its container. 0 if BTF or
	 * CAP_PERFMON is missing.
	 */
	uint32_t container_pid;
	uint32_t container_tgid;
	/*
	 * CLOSED and PROGRESS of a socket that is not TCP, with AGENTSH_EBPF_HOOK_TRAFFIC:
	 * packets that arrived at the socket, modulo 2^32, in the unit of packets_sent. A
	 * packet that the process did not read, or for which its receive buffer had no room,
	 * is counted, too. A packet that nftables refused at input is not counted, and neither
	 * is a packet that the kernel itself handles because the socket has the option
	 * UDP_ENCAP.
	 */
	uint32_t packets_received;
	/*
	 * AGENTSH_EBPF_VERDICT_ value: what the rules of the session say of the call or the
	 * packet. In CONNECT, UDP_SEND, SOCKET_DENIED and PACKET_DENIED, with
	 * AGENTSH_EBPF_HOOK_RULES.
	 */
	uint32_t verdict;
	/*
	 * The name of the destination, as known when the event happened, for
	 * agentsh_ebpf_event_name(); 0 if no name is known. In DNS_QUERY and DNS_ANSWER the name
	 * that was asked for. A tracer uses each number once, so two events have different
	 * numbers even if they have the same name. The watched process can choose the name, so
	 * it is never a permission.
	 */
	uint64_t name_id;
	/*
	 * rule_id of the rule that decided; 0 if no rule matched, in SOCKET_DENIED, or if verdict
	 * is NONE.
	 */
	uint32_t rule_id;
	uint8_t reserved[4];
};

/* agentsh_ebpf_event.verdict */
enum {
	/* The session has no rules. */
	AGENTSH_EBPF_VERDICT_NONE = 0,
	/*
	 * The rules allow the call. It may fail all the same, also because another session, or
	 * another program of the cgroup, refuses it.
	 */
	AGENTSH_EBPF_VERDICT_ALLOWED = 1,
	/*
	 * The rules deny the call, which failed with EPERM, or with ECONNREFUSED if the set has
	 * AGENTSH_EBPF_RULES_REFUSE, unless another program of the cgroup that runs later has
	 * chosen another result (bpf_set_retval() of bpf-helpers(7)). No further event of the call
	 * follows. In SOCKET_DENIED the call failed with EPERM. In PACKET_DENIED the packet was
	 * dropped, and further events of the socket may follow.
	 */
	AGENTSH_EBPF_VERDICT_DENIED = 2,
	/* The rules deny the call or the packet, but AGENTSH_EBPF_RULES_AUDIT let it go on. */
	AGENTSH_EBPF_VERDICT_WOULD_DENY = 3
};

/*
 * Unix time of an event in nanoseconds: timestamp_ns plus the difference between
 * CLOCK_REALTIME and CLOCK_BOOTTIME, clock_gettime(2). Returns 0 if event is NULL.
 * Any thread.
 *
 * The kernel slews both clocks alike, so their difference changes only when the
 * wall clock is set. Until then the library keeps one difference per process, so
 * results are in the order of timestamp_ns. Records that two CPUs write at the same
 * time may stand in the ring slightly out of timestamp order. After the wall clock
 * was set, earlier events are converted with the new difference, too; convert an
 * event soon after it was read. A change of up to 100 microseconds may go unnoticed.
 *
 * In a time namespace with an offset to CLOCK_BOOTTIME, time_namespaces(7), the
 * result is wrong by that offset.
 */
AGENTSH_EBPF_API uint64_t agentsh_ebpf_event_realtime_ns(const struct agentsh_ebpf_event *event);

/*
 * Names for logs: "connect", "udp_send", "connected", ... for an
 * AGENTSH_EBPF_EVENT_ value and "tcp", "udp", "icmp", ... for an IPPROTO_ value.
 * Never NULL; an unknown value gives "unknown". Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_kind_name(uint32_t kind);
AGENTSH_EBPF_API const char *agentsh_ebpf_protocol_name(uint16_t protocol);

/*
 * Name of an AGENTSH_EBPF_VERDICT_ value: "none", "allowed", "denied", "would_deny". Never
 * NULL; an unknown value gives "unknown". Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_verdict_name(uint32_t verdict);

/* ---- Errors ------------------------------------------------------------- */

/*
 * agentsh_ebpf_error.step: the step that failed. Later versions may add values, but
 * never change one.
 */
enum {
	AGENTSH_EBPF_STEP_NONE = 0,
	/* checking an argument or an option */
	AGENTSH_EBPF_STEP_OPTIONS = 1,
	/* allocating memory in this process */
	AGENTSH_EBPF_STEP_MEMORY = 2,
	/* parsing the built-in eBPF programs */
	AGENTSH_EBPF_STEP_OBJECT_OPEN = 3,
	/* creating maps and loading programs */
	AGENTSH_EBPF_STEP_OBJECT_LOAD = 4,
	/* mapping the ring buffer */
	AGENTSH_EBPF_STEP_RING_MAP = 5,
	/* mapping the counters */
	AGENTSH_EBPF_STEP_COUNTERS_MAP = 6,
	/* creating the epoll, eventfd and timerfd descriptors */
	AGENTSH_EBPF_STEP_EVENT_FD = 7,
	/* checking the descriptor of the cgroup */
	AGENTSH_EBPF_STEP_CGROUP = 8,
	/* finding a free slot for the session (max_sessions) */
	AGENTSH_EBPF_STEP_SESSION_SLOT = 9,
	/* attaching a program to the cgroup */
	AGENTSH_EBPF_STEP_LINK = 10,
	/* writing the session state to the cgroup storage */
	AGENTSH_EBPF_STEP_STORAGE = 11,
	/* compiling rules, and finding room for them (rules_bytes) */
	AGENTSH_EBPF_STEP_RULES = 12
};

/*
 * Why a call failed. The caller owns the struct. A call writes all of it, on
 * success too (code 0, empty message). If err->size is invalid, the call returns
 * -EINVAL and leaves *err untouched.
 */
struct agentsh_ebpf_error {
	/* in: sizeof(struct agentsh_ebpf_error) */
	uint32_t size;
	/*
	 * The return value of the call: 0 or a negative errno value. If the call returned 1
	 * (on_exhaustion), the errno value for which it would have failed.
	 */
	int32_t code;
	/* AGENTSH_EBPF_STEP_ value */
	uint32_t step;
	uint32_t reserved;
	/*
	 * One line of UTF-8 text for a human reader, NUL-terminated: what failed, with
	 * which value, and the remedy.
	 */
	char message[256];
};

/*
 * Name of an AGENTSH_EBPF_STEP_ value: "options", "link", ... Never NULL; an unknown
 * value gives "unknown". Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_step_name(uint32_t step);

/* ---- Tracer ------------------------------------------------------------- */

/* agentsh_ebpf_tracer_options.mode */
enum {
	/*
	 * Trace. Hooks that this kernel or this build of the library lacks are left
	 * out; if one of them is required, open fails.
	 */
	AGENTSH_EBPF_MODE_AUTO = 0,
	/*
	 * Do not trace: open returns -ECANCELED. A host can thus pass on an operator's
	 * "off" unchanged.
	 */
	AGENTSH_EBPF_MODE_DISABLED = 1,
	/* As AUTO, but all bits of hooks are required. */
	AGENTSH_EBPF_MODE_REQUIRED = 2,
	/*
	 * Do not use the kernel: the only events are those of agentsh_ebpf_inject(). For
	 * tests of a host; requires no privilege. A session can be attached to any open
	 * descriptor.
	 */
	AGENTSH_EBPF_MODE_SYNTHETIC = 3
};

/* agentsh_ebpf_tracer_options.hooks */
enum {
	/* connect(2): cgroup/connect4 and cgroup/connect6, kernel 4.17 */
	AGENTSH_EBPF_HOOK_CONNECT = 1,
	/* sendto(2) and related calls: cgroup/sendmsg4 and cgroup/sendmsg6, kernel 4.18 */
	AGENTSH_EBPF_HOOK_UDP = 2,
	/*
	 * The outcome of each connection: sock_ops and cgroup/sock_release. LIFECYCLE
	 * requires CONNECT, and kernel 5.10 (92acdc58ab11), which made socket cookies unique
	 * among network namespaces.
	 */
	AGENTSH_EBPF_HOOK_LIFECYCLE = 4,
	/*
	 * Inbound TCP connections and their end: sock_ops, cgroup/sock_release,
	 * cgroup/bind4 and cgroup/bind6. ACCEPT requires kernel 5.10, as LIFECYCLE does.
	 */
	AGENTSH_EBPF_HOOK_ACCEPT = 8,
	/*
	 * What sockets send and receive: cgroup_skb/egress and cgroup_skb/ingress, kernel
	 * 4.10. TRAFFIC requires LIFECYCLE, and thus kernel 5.10. The programs run for every
	 * packet of the session's sockets.
	 */
	AGENTSH_EBPF_HOOK_TRAFFIC = 16,
	/*
	 * The names that processes ask for: DNS over UDP and TCP, with cgroup_skb/egress and
	 * cgroup_skb/ingress. Later events of the session have the name that belongs to their
	 * remote address (name_id). DNS requires LIFECYCLE. Without AGENTSH_EBPF_HOOK_UDP the
	 * process that asks through an unconnected UDP socket is unknown. The programs run for
	 * every packet of the session's sockets.
	 */
	AGENTSH_EBPF_HOOK_DNS = 32,
	/*
	 * The server that a process names in the first data of a connection
	 * (AGENTSH_EBPF_EVENT_SERVER_NAME), with cgroup_skb/egress. SERVER_NAME requires
	 * LIFECYCLE. The program runs for every packet that the session's sockets send.
	 */
	AGENTSH_EBPF_HOOK_SERVER_NAME = 64,
	/*
	 * AF_UNIX sockets (AGENTSH_EBPF_EVENT_UNIX_CONNECT): cgroup/connect_unix and
	 * cgroup/sendmsg_unix, kernel 6.7.
	 */
	AGENTSH_EBPF_HOOK_UNIX = 128,
	/*
	 * Sessions may have rules (agentsh_ebpf_session_set_rules()), which the programs of CONNECT
	 * and UDP enforce. RULES requires CONNECT and UDP. Put RULES into required_hooks, because
	 * otherwise open leaves it out on a machine that lacks one of these programs.
	 */
	AGENTSH_EBPF_HOOK_RULES = 256,
	/*
	 * Sets of rules may have AGENTSH_EBPF_RULES_STRICT_SOCKETS: cgroup/sock_create, kernel
	 * 4.10. SOCK_CREATE requires RULES.
	 */
	AGENTSH_EBPF_HOOK_SOCK_CREATE = 512,
	/*
	 * Sets of rules may have AGENTSH_EBPF_RULES_EGRESS: cgroup_skb/egress and sock_ops. EGRESS
	 * requires RULES, and kernel 5.10, as LIFECYCLE does. The egress program runs for every
	 * packet that the session's sockets send.
	 */
	AGENTSH_EBPF_HOOK_EGRESS = 1024
};

/* agentsh_ebpf_tracer_options.flags */
enum {
	/* Report every datagram, instead of one per pair of socket and destination. */
	AGENTSH_EBPF_OPEN_UDP_NO_DEDUP = 1,
	/*
	 * Wake the reader for every record that arrives while it is idle (the kernel's
	 * default). wakeup_delay_us is ignored.
	 */
	AGENTSH_EBPF_OPEN_NO_MODERATION = 2,
	/*
	 * Deliver DNS_QUERY and DNS_ANSWER; requires AGENTSH_EBPF_HOOK_DNS. Without this flag
	 * DNS messages only give names to other events.
	 */
	AGENTSH_EBPF_OPEN_DNS_EVENTS = 4,
	/*
	 * Report CONNECT and UDP_SEND only if the verdict is DENIED or WOULD_DENY. Requires
	 * AGENTSH_EBPF_HOOK_RULES. The hooks may not contain LIFECYCLE, because its events would
	 * lack their beginning.
	 */
	AGENTSH_EBPF_OPEN_DENIALS_ONLY = 8
};

/* The level argument of agentsh_ebpf_log_fn. */
enum { AGENTSH_EBPF_LOG_WARN = 0, AGENTSH_EBPF_LOG_INFO = 1, AGENTSH_EBPF_LOG_DEBUG = 2 };

/*
 * Receives one event. The function runs inside agentsh_ebpf_poll(), in the thread
 * that called it. The library owns the event, which is valid only until the
 * function returns. Return 0 to go on; any other value makes poll return after this
 * event, which counts as delivered, and leaves the remaining events in the ring.
 * The function may call attach, detach, check, inject, wake and stats, but not poll, read
 * or close. The function must return: if it is left with longjmp(3) or a C++ exception,
 * poll and read return -EBUSY from then on.
 */
typedef int (*agentsh_ebpf_event_fn)(void *ctx, const struct agentsh_ebpf_event *event);

/*
 * Receives one message of libbpf or of this library, without a newline. The function
 * runs inside agentsh_ebpf_tracer_open(), in the thread that called it. It must not
 * call the library.
 */
typedef void (*agentsh_ebpf_log_fn)(void *ctx, int level, const char *text);

/*
 * Options of agentsh_ebpf_tracer_open(). Zero in any member after size selects its
 * default. The caller owns the struct, which is not used after the call.
 */
struct agentsh_ebpf_tracer_options {
	/* sizeof(struct agentsh_ebpf_tracer_options) */
	uint32_t size;
	/* AGENTSH_EBPF_MODE_ value; default AUTO */
	uint32_t mode;
	/*
	 * AGENTSH_EBPF_HOOK_ bits; default CONNECT, and UDP if it is built in. A hook
	 * that is not selected costs nothing. A hook that this kernel or this build
	 * lacks is left out. Open returns -EOPNOTSUPP if such a hook is required, or if
	 * no hook remains.
	 */
	uint32_t hooks;
	/* AGENTSH_EBPF_OPEN_ bits */
	uint32_t flags;
	/*
	 * Size of the ring in bytes: a power of two from 4096 (or the page size, if that
	 * is larger) to 1 GiB; default 1 MiB.
	 */
	uint32_t ring_size;
	/*
	 * Percentage of the ring that one session's unread events may occupy, 1 to 100;
	 * default 25.
	 */
	uint32_t ring_quota;
	/*
	 * Largest number of sessions attached at a time, 1 to 65536, at 192 bytes each;
	 * default 4096.
	 */
	uint32_t max_sessions;
	/*
	 * Number of pairs of socket and destination that the deduplication of UDP_SEND and
	 * PACKET_DENIED remembers, 16 to 16777216; default 8192.
	 */
	uint32_t udp_dedup_entries;
	/* Callback of agentsh_ebpf_poll(); may be NULL if only read is used. */
	agentsh_ebpf_event_fn on_event;
	/* First argument of on_event. */
	void *event_ctx;
	/* Log callback of agentsh_ebpf_tracer_open(); may be NULL. */
	agentsh_ebpf_log_fn on_log;
	/* First argument of on_log. */
	void *log_ctx;
	/* For tests: mask of checks (1 << AGENTSH_EBPF_CHECK_) to treat as missing. */
	uint64_t simulate_missing;
	/*
	 * Interval in microseconds, 50 to 1000000; default 1000. If events arrive closer
	 * together, the reader is woken once per interval instead of once per event.
	 */
	uint32_t wakeup_delay_us;
	/*
	 * AGENTSH_EBPF_HOOK_ bits without which open fails, a subset of hooks; default
	 * CONNECT if hooks contains it.
	 */
	uint32_t required_hooks;
	/*
	 * Size of the table of sockets: the number of sockets whose state the hooks LIFECYCLE,
	 * ACCEPT, TRAFFIC, DNS and SERVER_NAME keep, in all sessions together, 16 to 4194304;
	 * default 65536.
	 */
	uint32_t max_sockets;
	/*
	 * Interval in milliseconds, 100 to 86400000, at which poll and read check whether each
	 * session still sees everything (AGENTSH_EBPF_EVENT_SESSION_BLIND); default 10000.
	 * UINT32_MAX: never. While a session is attached, the descriptor of agentsh_ebpf_fd()
	 * becomes readable for each check.
	 */
	uint32_t check_interval_ms;
	/*
	 * Interval in milliseconds, 100 to 86400000, at which poll and read report what each
	 * open connection has sent and received (AGENTSH_EBPF_EVENT_PROGRESS); requires
	 * AGENTSH_EBPF_HOOK_TRAFFIC. Default 0: only when the session is detached. While a
	 * session is attached, the descriptor of agentsh_ebpf_fd() becomes readable at each
	 * interval. At detach the events of all sockets must fit into the ring and the quota
	 * at once, at 248 bytes each; events that do not fit are lost and counted. Before
	 * kernel 5.19 PROGRESS requires CAP_BPF.
	 */
	uint32_t progress_interval_ms;
	/*
	 * Time in milliseconds, 100 to 600000, for which a DNS question waits for its answer;
	 * default 5000. A later answer counts in answers_unasked. With
	 * AGENTSH_EBPF_OPEN_DNS_EVENTS a question that has no answer when this time has passed is
	 * reported (AGENTSH_EBPF_EVENT_DNS_QUERY).
	 */
	uint32_t dns_timeout_ms;
	/*
	 * Ports of name servers besides 53, in host byte order; 0 marks an unused element.
	 * Requires AGENTSH_EBPF_HOOK_DNS.
	 */
	uint16_t dns_ports[4];
	/*
	 * Bytes of kernel memory for the compiled rules of all rule sets together, 4096 to 1 GiB;
	 * default 4 MiB. A rule takes about 33 bytes for IPv4 and 59 for IPv6 if prefixes do not
	 * contain each other; many rules for ports of a prefix within which other rules have
	 * prefixes take a multiple. While a set replaces another one, both need room. The library
	 * itself uses 320 bytes, for on_exhaustion. Requires AGENTSH_EBPF_HOOK_RULES.
	 */
	uint32_t rules_bytes;
	/*
	 * Number of addresses that all rule sets together can list (agentsh_ebpf_rules_address()),
	 * 16 to 16777216; default 16384. Requires AGENTSH_EBPF_HOOK_RULES.
	 */
	uint32_t rules_addresses;
};

/*
 * Loads the programs and creates the ring. opts and err may be NULL. On success the
 * caller owns *out until agentsh_ebpf_tracer_close(); on failure *out is NULL and
 * nothing is left behind. Any thread.
 *
 * Opening requires CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, capabilities(7).
 * Some members of an event also require CAP_PERFMON and /sys/kernel/btf/vmlinux. If
 * either is missing, these members are 0, and the log callback gets a message. Before
 * kernel 5.11 maps count against RLIMIT_MEMLOCK, getrlimit(2). On such a kernel the
 * call raises the limit: to infinity with CAP_SYS_RESOURCE, otherwise to the hard
 * limit.
 *
 * libbpf has one print callback per process. The library replaces it, under a lock,
 * while it loads programs, and then restores it. Messages that other threads cause in
 * the meantime still go to the previous callback. A host must not call
 * libbpf_set_print() while a tracer is being opened or a probe is running.
 *
 * If this machine cannot trace, the error carries the same code and message as
 * agentsh_ebpf_capability_probe(). Unlike the probe, open does not require a visible
 * cgroup v2 mount, because a host may get a cgroup's descriptor from elsewhere.
 *
 * Returns 0, an argument error, or: -EPERM (a capability is missing or seccomp
 * refuses bpf(2); the message says which), -ENOSYS or -EOPNOTSUPP (the kernel or
 * this build lacks a feature), -ECANCELED (AGENTSH_EBPF_MODE_DISABLED), -ENOMEM,
 * -EMFILE, -ENFILE, or an error of bpf(2).
 */
AGENTSH_EBPF_API int agentsh_ebpf_tracer_open(const struct agentsh_ebpf_tracer_options *opts,
					      struct agentsh_ebpf_tracer **out,
					      struct agentsh_ebpf_error *err);

/*
 * Detaches all sessions, discards unread events, and frees the tracer, its
 * sessions and its rule sets. NULL is allowed. Any thread, but no other call may be using the
 * tracer.
 */
AGENTSH_EBPF_API void agentsh_ebpf_tracer_close(struct agentsh_ebpf_tracer *tracer);

/*
 * AGENTSH_EBPF_HOOK_ bits of the hooks that the tracer has: the requested hooks,
 * without those that this kernel or this build of the library lacks. 0 if tracer is
 * NULL. Any thread.
 */
AGENTSH_EBPF_API uint32_t agentsh_ebpf_tracer_hooks(const struct agentsh_ebpf_tracer *tracer);

/*
 * The AGENTSH_EBPF_HOOK_ bits that this library was built with: all of them, or all
 * but UDP, RULES, SOCK_CREATE and EGRESS if the CMake option AGENTSH_EBPF_UDP was off. Any thread.
 */
AGENTSH_EBPF_API uint32_t agentsh_ebpf_hooks_built(void);

/*
 * Name of one AGENTSH_EBPF_HOOK_ bit: "connect", "udp", "lifecycle", "accept", "traffic",
 * "dns", "server_name", "unix", "rules", "sock_create", "egress". Never NULL; any other value gives
 * "unknown". Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_hook_name(uint32_t hook);

/* ---- Sessions ----------------------------------------------------------- */

/* agentsh_ebpf_session_options.flags */
enum {
	/*
	 * Attach even if a program of somebody else, attached to a cgroup above with
	 * BPF_F_ALLOW_OVERRIDE, then no longer runs for this cgroup. The other program runs
	 * again after detach. Without this flag attach returns -EBUSY.
	 */
	AGENTSH_EBPF_ATTACH_DISPLACE = 1
};

/* An address, with a port or a time to live. The caller owns the struct. */
struct agentsh_ebpf_address {
	/* AF_INET or AF_INET6; 0 if there is no address */
	uint16_t family;
	/* Host byte order; 0 if there is none. */
	uint16_t port;
	/* Time to live of a DNS record in seconds; otherwise 0. */
	uint32_t ttl_s;
	/* Network byte order; IPv4 in the first four bytes. */
	uint8_t addr[16];
};

/*
 * Options of agentsh_ebpf_session_attach(). The caller owns the struct, which is
 * not used after the call.
 */
struct agentsh_ebpf_session_options {
	/* sizeof(struct agentsh_ebpf_session_options) */
	uint32_t size;
	/* AGENTSH_EBPF_ATTACH_ bits */
	uint32_t flags;
	/* A number that the host chooses, repeated in every event; need not be unique. */
	uint64_t session_id;
	/*
	 * Number of sockets of this session whose state the hooks LIFECYCLE, ACCEPT, TRAFFIC,
	 * DNS and SERVER_NAME keep at a time; default a quarter of the tracer's max_sockets. All
	 * sessions together cannot keep more than the tracer's max_sockets, whatever this value
	 * is.
	 */
	uint32_t max_sockets;
	/*
	 * The library keeps the names of so many addresses, and of so many sockets, of this
	 * session, 16 to 65536; default 512. The names of the addresses and sockets that were
	 * used longest ago are dropped first.
	 */
	uint32_t names_max;
	/*
	 * Bytes of text of these names, 4096 to 64 MiB; default 64 KiB. Names are dropped as
	 * for names_max.
	 */
	uint32_t names_bytes;
	/* must be 0 */
	uint32_t reserved;
	/*
	 * Name servers whose answers give names to the events of this session; family 0 marks an
	 * unused element, and port 0 means any port. If all elements are unused, every name
	 * server is trusted, also one that a watched process runs. Answers of other name servers
	 * give no names, count in answers_untrusted, and still have DNS_ANSWER. A process that
	 * controls its network namespace can give itself the address of a trusted name server.
	 * With dns_ports, set the port, because a process may itself use a further port of a
	 * local address. ttl_s must be 0. Over TCP an answer counts as trusted only if all data of
	 * the connection were seen.
	 */
	struct agentsh_ebpf_address trusted_resolvers[4];
	/*
	 * Rules of the session from the first call on; NULL: none. As with
	 * agentsh_ebpf_session_set_rules().
	 */
	struct agentsh_ebpf_rules *rules;
};

/*
 * Traces the cgroup v2 whose directory is open as cgroup_fd, and all its
 * descendants. A socket belongs to the cgroup in which it was created, cgroups(7).
 * The descriptor stays the caller's and may be closed after the call. Network calls
 * that begin after attach has returned are traced. opts and err may be NULL. On
 * success *out is valid until it is detached or the tracer is closed; on failure
 * *out is NULL. Any thread, the callback included.
 *
 * Each of several nested sessions gets its own copy of an event. When the process
 * exits, for whatever reason, the kernel detaches its sessions (bpf_link, kernel
 * 5.7). A child that was forked and has not called execve(2) keeps the sessions attached
 * until it ends or calls execve(2).
 *
 * The kernel does not run a program that was attached to a cgroup above with
 * BPF_F_ALLOW_OVERRIDE if a cgroup below has a program (compute_effective_progs() in
 * kernel/bpf/cgroup.c). Attach displaces no such program unless
 * AGENTSH_EBPF_ATTACH_DISPLACE is set: it asks the kernel before it attaches
 * (BPF_PROG_QUERY), and returns -EBUSY with a message that names the attach type and the
 * program. If the cgroups above are not visible to this process, attach compares the
 * programs in effect before and after it attaches. If a program is missing then, attach
 * detaches its own program at once, and tries again, because the owner of the other program
 * may have detached it at that moment. If a program is missing at each of four tries, attach
 * returns -EBUSY; the other program did not run while a program of the session was
 * attached. Attach cannot notice a program that is attached above at a later time.
 *
 * Attaching requires CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN. On some kernels (5.10
 * is one) CAP_SYS_ADMIN alone is sufficient only with AGENTSH_EBPF_ATTACH_DISPLACE,
 * because BPF_PROG_QUERY requires CAP_NET_ADMIN.
 *
 * Returns 0, an argument error, or: -EBADF (cgroup_fd is not open), -ENOTDIR (it is
 * not a cgroup v2 directory), -ENOENT (the cgroup was removed), -EEXIST (this tracer
 * already traces the same cgroup), -EBUSY (a program of somebody else would be
 * displaced), -ENOSPC (max_sessions is reached, or the kernel's limit of 64 programs per
 * cgroup and attach type), -EPERM (not permitted, or a forked child of the process that
 * opened the tracer), -ENOMEM, -EMFILE, or an error of bpf(2). After a failure the
 * tracer stays usable.
 */
AGENTSH_EBPF_API int agentsh_ebpf_session_attach(struct agentsh_ebpf_tracer *tracer, int cgroup_fd,
						 const struct agentsh_ebpf_session_options *opts,
						 struct agentsh_ebpf_session **out,
						 struct agentsh_ebpf_error *err);

/*
 * Stops tracing and frees the session. When the call returns, the session's programs no
 * longer run for new network calls. With AGENTSH_EBPF_HOOK_TRAFFIC each open socket that
 * has moved data since its last PROGRESS has one more. The session's unread events are
 * delivered by later polls. A cgroup that was removed in the meantime is not an error.
 * Returns 0; -EFAULT if session is NULL; or -EINVAL if the session was detached before.
 * Until the tracer is closed, no later session gets the same pointer. Any thread, the
 * callback included.
 *
 * Before kernel 5.19 (c8644cd0efe7) a complete detach requires CAP_BPF. Without
 * CAP_BPF the programs run on while a child that was forked without exec holds copies
 * of the descriptors, and the session still counts against max_sessions.
 */
AGENTSH_EBPF_API int agentsh_ebpf_session_detach(struct agentsh_ebpf_session *session);

/*
 * The result of agentsh_ebpf_session_check(). A mask has one bit per program:
 * 1 << AGENTSH_EBPF_CHECK_CONNECT4 to 1 << AGENTSH_EBPF_CHECK_SOCK_CREATE. The caller owns the
 * struct.
 */
struct agentsh_ebpf_session_check {
	/* in: sizeof(struct agentsh_ebpf_session_check) */
	uint32_t size;
	/* AGENTSH_EBPF_HOOK_ bits of the tracer's hooks that work fully in this session. */
	uint32_t hooks;
	/*
	 * 0 if all of the tracer's hooks work, else a positive errno value: the first reason
	 * in this list that applies.
	 *   ENOENT   The cgroup was removed. A cgroup that was made again at the same path
	 *            is another cgroup.
	 *   ENOLINK  A link of the session was detached (BPF_LINK_DETACH of bpf(2),
	 *            "bpftool link detach").
	 *   EBUSY    Another program runs in place of a program of the session
	 *            (BPF_LINK_UPDATE).
	 *   ESTALE   The session state in the cgroup storage was overwritten
	 *            (BPF_MAP_UPDATE_ELEM).
	 */
	int32_t error;
	uint32_t reserved;
	/* Programs of the tracer. */
	uint64_t wanted;
	/* Programs whose link is attached to the session's cgroup. */
	uint64_t attached;
	/* Programs that the kernel runs for the session's cgroup. */
	uint64_t effective;
};

/*
 * Asks the kernel whether the session still sees everything that it was attached for.
 * Requires CAP_NET_ADMIN, and before kernel 5.19 (c8644cd0efe7) CAP_BPF. Without these
 * capabilities the call still reports a loss that it can see.
 *
 * Returns 0, also if something is lost; -EPERM if the process lacks a capability and
 * what it can see shows no loss, or in a forked child of the process that opened the
 * tracer; -EOPNOTSUPP for a synthetic tracer; -EINVAL if the session was detached; an
 * argument error; or an error of bpf(2). Any thread, the callback included.
 */
AGENTSH_EBPF_API int agentsh_ebpf_session_check(const struct agentsh_ebpf_session *session,
						struct agentsh_ebpf_session_check *out);

/* ---- Rules ---------------------------------------------------------------- */

/* agentsh_ebpf_rule.action, and agentsh_ebpf_rules_options.default_action */
enum { AGENTSH_EBPF_RULE_ALLOW = 1, AGENTSH_EBPF_RULE_DENY = 2 };

/* agentsh_ebpf_rule.protocol: every protocol other than TCP, MPTCP, UDP and UDP-Lite. */
enum { AGENTSH_EBPF_RULE_OTHER_PROTOCOLS = 255 };

/* agentsh_ebpf_rule.flags */
enum {
	/*
	 * The rule matches an address of its prefix only while the address is listed for the
	 * rule_id (agentsh_ebpf_rules_address()).
	 */
	AGENTSH_EBPF_RULE_LISTED = 1
};

/*
 * A rule for calls of a session. Of the rules of a set, the first that matches the remote end of
 * the call decides, as in packet filters. The remote end is the address, the port and the protocol
 * that the call names. With a source route (AGENTSH_EBPF_FLAG_SOURCE_ROUTED) the rules judge the
 * first hop, too. For 0.0.0.0 and :: they judge the address that the kernel takes, as far as it is
 * known, and for 0.0.0.0 also 127.0.0.1; a rule for 0.0.0.0 or :: that denies counts, too. The call
 * is denied if one of these addresses is. The caller owns the struct.
 */
struct agentsh_ebpf_rule {
	/*
	 * Network byte order; IPv4 in the first four bytes. Bits behind the prefix are ignored. A
	 * prefix within ::ffff:0:0/96 stands for IPv4 addresses, and a shorter IPv6 prefix
	 * matches no IPv4 address.
	 */
	uint8_t addr[16];
	/* AF_INET, AF_INET6, or 0: every address of both families, with a prefix_len of 0. */
	uint16_t family;
	/* Length of the prefix in bits: 0 to 32, or 0 to 128. */
	uint8_t prefix_len;
	/*
	 * 0: every protocol; IPPROTO_TCP, which includes MPTCP; IPPROTO_UDP, which includes
	 * UDP-Lite; or AGENTSH_EBPF_RULE_OTHER_PROTOCOLS.
	 */
	uint8_t protocol;
	/*
	 * First and last port, in host byte order. Both 0: every port, and protocols without
	 * ports. last_port 0: first_port alone. With AGENTSH_EBPF_RULE_OTHER_PROTOCOLS both are 0.
	 */
	uint16_t first_port;
	uint16_t last_port;
	/* A number that the host chooses, repeated in events; need not be unique. */
	uint32_t rule_id;
	/* AGENTSH_EBPF_RULE_ALLOW or _DENY */
	uint16_t action;
	/* AGENTSH_EBPF_RULE_LISTED, or 0 */
	uint16_t flags;
	/*
	 * Time of CLOCK_BOOTTIME in the initial time namespace, in nanoseconds, from which on the
	 * rule does not match; 0: never.
	 */
	uint64_t expires_boottime_ns;
	/* must be 0 */
	uint64_t reserved;
};

/* agentsh_ebpf_rules_options.flags */
enum {
	/* Refuse nothing; events of calls that the rules deny have verdict WOULD_DENY. */
	AGENTSH_EBPF_RULES_AUDIT = 1,
	/*
	 * Calls that the rules deny fail with ECONNREFUSED instead of EPERM. Requires
	 * bpf_set_retval() of bpf-helpers(7) for programs of connect and sendmsg, kernel 6.1
	 * (AGENTSH_EBPF_CHECK_SET_RETVAL).
	 */
	AGENTSH_EBPF_RULES_REFUSE = 2,
	/*
	 * Refuse socket(2) for IPv4 and IPv6 sockets whose calls the rules cannot judge in full:
	 * every type and protocol other than TCP, MPTCP, SMC and UDP. The call fails with EPERM.
	 * Other address families, such as AF_PACKET and AF_VSOCK, are not refused, and sockets that
	 * exist stay as they are. Requires AGENTSH_EBPF_HOOK_SOCK_CREATE.
	 */
	AGENTSH_EBPF_RULES_STRICT_SOCKETS = 4,
	/*
	 * Judge every packet that a socket of the session sends, by the destination in the packet's
	 * header, in addition to the calls: packets of raw and SCTP sockets, of connections that
	 * existed before the rules, and of sockets that have got a source route. A packet that the
	 * rules deny is dropped. Then send(2) on a UDP or IPv4 raw socket fails with EPERM, and a
	 * TCP connection stalls until it times out.
	 *
	 * A packet on the loopback interface is also judged by its source, unless the source is a
	 * loopback address or the destination itself, because the answer goes to the source, which
	 * the process can choose. On another interface a loopback address is denied.
	 *
	 * The packets to the peer of a TCP connection that the session has accepted are not judged,
	 * if the peer connected after the session was attached. Without BTF or CAP_PERFMON the
	 * neighbour discovery (RFC 4861) of a network namespace that the session has created is
	 * judged, too. Requires AGENTSH_EBPF_HOOK_EGRESS.
	 */
	AGENTSH_EBPF_RULES_EGRESS = 8
};

/*
 * Options of agentsh_ebpf_rules_create(). The caller owns the struct, which is not used
 * after the call.
 */
struct agentsh_ebpf_rules_options {
	/* sizeof(struct agentsh_ebpf_rules_options) */
	uint32_t size;
	/* AGENTSH_EBPF_RULES_ bits */
	uint32_t flags;
	/* What holds if no rule matches; default AGENTSH_EBPF_RULE_ALLOW. */
	uint32_t default_action;
	/*
	 * What holds if memory for the set is short, or if the set exceeds a limit: what happens in
	 * place of -ENOMEM and -ENOSPC. 0: the call fails, and creates no set.
	 * AGENTSH_EBPF_RULE_DENY or _ALLOW: the call returns 1, err says why, and *out is a set
	 * without rules that denies or allows everything, with the flags of these options. The
	 * tracer keeps kernel memory for it; the call fails with -ENOMEM only if there is no memory
	 * for the handle. Every other error makes the call fail.
	 */
	uint32_t on_exhaustion;
};

/*
 * Compiles rules into a set, which any number of the tracer's sessions can use. The rules stay the
 * caller's, and may be NULL if count is 0. opts and err may be NULL. On success *out is valid
 * until agentsh_ebpf_rules_free() or until the tracer is closed; on failure *out is NULL.
 *
 * The rules judge connect(2) on TCP, MPTCP, SMC and UDP sockets, and since kernel 6.1 on ICMP
 * datagram sockets, and each datagram that a UDP or UDP-Lite socket sends to an explicit
 * destination. A call that the rules allow may fail all the same, and a call that another program
 * of the cgroup refuses has an event, too. STRICT_SOCKETS and EGRESS close further paths. No other
 * path is judged, whatever is seen of it: agentsh_ebpf_coverage() tells which paths are enforced.
 * SECURITY.md of the library lists the ways around rules. When the process that opened the tracer
 * has exited, and no forked child holds its descriptors, its sessions end, and with them their
 * rules.
 *
 * Returns 0, 1 (on_exhaustion), an argument error, or: -EINVAL (a rule is malformed; the message
 * names the rule and its member), -ENOSPC (rules_bytes is used up, there are more than 131071 rules
 * or 32767 times of expiry, or more than 8 rules for one destination expire or match listed
 * addresses only), -EOPNOTSUPP (the tracer does not have AGENTSH_EBPF_HOOK_RULES, or lacks what a
 * flag requires), -EPERM (a forked child of the process that opened the tracer), or -ENOMEM. If
 * memory of freed sets has to be used again, the call waits until no program can see those sets
 * (membarrier(2)), some milliseconds. Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_rules_create(struct agentsh_ebpf_tracer *tracer,
					       const struct agentsh_ebpf_rule *rules, size_t count,
					       const struct agentsh_ebpf_rules_options *opts,
					       struct agentsh_ebpf_rules **out,
					       struct agentsh_ebpf_error *err);

/*
 * Frees a set of rules. Returns 0, also if rules is NULL; -EBUSY if a session uses the set; or
 * -EPERM in a forked child of the process that opened the tracer. Any thread, but no other call
 * may be using the set.
 */
AGENTSH_EBPF_API int agentsh_ebpf_rules_free(struct agentsh_ebpf_rules *rules);

/*
 * Replaces the rules of a session; with rules NULL the session has none. Every call is judged by
 * the old set or by the new one. A call that begins after the function has returned is judged by
 * the new one. A connection that exists goes on, whatever the new rules say, unless they have
 * AGENTSH_EBPF_RULES_EGRESS; only send(2) on an IPv6 UDP socket that is connected to an IPv4-mapped
 * address is judged each time. err may be NULL.
 *
 * Returns 0; -EINVAL if the session was detached, or if rules is of another tracer; -EOPNOTSUPP
 * if the tracer does not have AGENTSH_EBPF_HOOK_RULES; -EPERM in a forked child of the process that
 * opened the tracer; or an argument error. After an error the old rules are in force. The function
 * makes no system call. Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_session_set_rules(struct agentsh_ebpf_session *session,
						    struct agentsh_ebpf_rules *rules,
						    struct agentsh_ebpf_error *err);

/*
 * Lists an address for the rules of this rule_id that have AGENTSH_EBPF_RULE_LISTED, without
 * compiling the set anew: an approval by a person, or an address that a name has just now.
 * expires_boottime_ns is the time of CLOCK_BOOTTIME in the initial time namespace, in nanoseconds,
 * from which on the address is not listed; UINT64_MAX: never. An address that is listed gets the
 * new time, and with expires_boottime_ns 0 it is removed. family is AF_INET or AF_INET6, and addr
 * is in network byte order, 4 or 16 bytes. The change holds for calls that begin after the function
 * has returned. An earlier rule that matches the address decides before the rule of the list.
 *
 * Returns 0; -EINVAL (another family); -ENOENT (the set has no such rule, or the address that is to
 * be removed is not listed); -ENOSPC (rules_addresses is used up, even without the addresses that
 * have expired); -EPERM in a forked child of the process that opened the tracer; -ENOMEM; an
 * argument error; or an error of bpf(2), which before kernel 5.19 (c8644cd0efe7) requires CAP_BPF.
 * Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_rules_address(struct agentsh_ebpf_rules *rules, uint32_t rule_id,
						uint16_t family, const void *addr,
						uint64_t expires_boottime_ns);

/*
 * Finds out what a set says of a remote end now. protocol is an IPPROTO_ value. rule_id, which may
 * be NULL, gets the number of the rule that decides, or 0. Returns an AGENTSH_EBPF_VERDICT_
 * value other than NONE; -EINVAL (another family); -EPERM in a forked child of the process that
 * opened the tracer; or an argument error. Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_rules_judge(const struct agentsh_ebpf_rules *rules,
					      const struct agentsh_ebpf_address *remote,
					      uint16_t protocol, uint32_t *rule_id);

/*
 * Write rules that allow what many hosts leave open in any case. rules has room for two rules,
 * which the caller owns; nothing is allowed until the host puts them into a set, in front of the
 * rules that they shall precede. loopback: every protocol to 127.0.0.0/8 and ::1. resolver: UDP and
 * TCP to one name server, whose port 0 stands for 53; ttl_s must be 0. Return the number of rules,
 * which is 2; -EFAULT; or -EINVAL (another family, or ttl_s). Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_rules_loopback(struct agentsh_ebpf_rule *rules, uint32_t rule_id);
AGENTSH_EBPF_API int agentsh_ebpf_rules_resolver(struct agentsh_ebpf_rule *rules,
						 const struct agentsh_ebpf_address *resolver,
						 uint32_t rule_id);

/* ---- Reading ------------------------------------------------------------ */

/*
 * Waits for events for at most timeout_ms milliseconds (0: do not wait, negative:
 * wait forever) and runs the callback for each event in the ring, up to 4096 per
 * call. Returns the number of events; 0 after a timeout or a wake; -EINTR if a
 * signal interrupted the wait; -EINVAL if the tracer has no callback; -EBUSY if
 * another poll or read of the tracer is running; -EPERM in a forked child of the
 * process that opened the tracer; -EFAULT if tracer is NULL. Any thread, but one at a
 * time, and not the callback.
 */
AGENTSH_EBPF_API int agentsh_ebpf_poll(struct agentsh_ebpf_tracer *tracer, int timeout_ms);

/*
 * Delivers the same events without a callback: copies up to n of them into buf,
 * which the caller owns, and returns their number. n must be at least 1 (-ERANGE);
 * more than 4096 count as 4096. In all other respects the call is like
 * agentsh_ebpf_poll().
 */
AGENTSH_EBPF_API int agentsh_ebpf_read(struct agentsh_ebpf_tracer *tracer,
				       struct agentsh_ebpf_event *buf, size_t n, int timeout_ms);

/*
 * A descriptor for the host's event loop (poll, epoll, libuv, Go's netpoll). When it
 * is readable, call poll or read with timeout 0; in an edge-triggered loop, repeat
 * the call until it returns 0. The tracer owns the descriptor and closes it; do not
 * use it for anything else. An event loop that closes the descriptors it is given (Go's
 * os.File, asyncio transports) needs a duplicate, made with F_DUPFD_CLOEXEC of fcntl(2).
 * A duplicate is readable at the same times, and the host closes it before it closes the
 * tracer. -EFAULT if tracer is NULL. Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_fd(const struct agentsh_ebpf_tracer *tracer);

/*
 * Makes the waiting poll or read return; if none is waiting, the next one that would
 * block returns at once. Returns 0, or -EFAULT if tracer is NULL. Any thread; safe
 * in a signal handler.
 */
AGENTSH_EBPF_API int agentsh_ebpf_wake(struct agentsh_ebpf_tracer *tracer);

/* ---- Names ---------------------------------------------------------------- */

/* agentsh_ebpf_name.source and server_name_source: where a name is from. */
enum {
	/* There is no name. */
	AGENTSH_EBPF_NAME_NONE = 0,
	/* DNS answer over UDP */
	AGENTSH_EBPF_NAME_DNS = 1,
	/* DNS answer over TCP */
	AGENTSH_EBPF_NAME_DNS_TCP = 2,
	/* server_name extension of a TLS ClientHello, RFC 6066 */
	AGENTSH_EBPF_NAME_TLS = 3,
	/* Host of an HTTP/1 request, or target of CONNECT, RFC 9110 */
	AGENTSH_EBPF_NAME_HTTP = 4,
	/* agentsh_ebpf_session_name_seed() */
	AGENTSH_EBPF_NAME_SEED = 5,
	/* Path of an AF_UNIX socket, or its abstract name after "@" */
	AGENTSH_EBPF_NAME_UNIX = 6
};

/* agentsh_ebpf_name.flags */
enum {
	/* The address has other names in the session, too; others is their number. */
	AGENTSH_EBPF_NAME_FLAG_SHARED = 1,
	/* The time to live had ended when the event happened. */
	AGENTSH_EBPF_NAME_FLAG_EXPIRED = 2,
	/* Another process of the session asked for the name. */
	AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS = 4,
	/*
	 * The question was not seen, because it may have been sent before the session was
	 * attached. Such an answer counts only in the first dns_timeout_ms of the session. Anybody
	 * may have sent it.
	 */
	AGENTSH_EBPF_NAME_FLAG_UNASKED = 8,
	/* A text did not fit, and is cut. */
	AGENTSH_EBPF_NAME_FLAG_CUT = 16,
	/*
	 * The TLS ClientHello has an encrypted_client_hello extension (ECH). server_name is its
	 * public name; the process may have meant another server.
	 */
	AGENTSH_EBPF_NAME_FLAG_OUTER = 32,
	/* server_name is neither asked nor owner. */
	AGENTSH_EBPF_NAME_FLAG_DIFFERS = 64
};

/*
 * The name of a destination, and where it is from. The name is what the packets of the
 * session said. A process that runs its own name server, or writes its own ClientHello,
 * chooses the name: never take a name for a permission. resolver tells who answered.
 *
 * Texts are NUL-terminated. Domain names are in lower case, without a final dot, with
 * special bytes as in RFC 4343 ("\." for a dot in a label, "\000" for a NUL byte), and
 * international names as in the packet (Punycode). The caller owns the struct.
 */
struct agentsh_ebpf_name {
	/* in: sizeof(struct agentsh_ebpf_name) */
	uint32_t size;
	/* AGENTSH_EBPF_NAME_ value: where asked and owner are from */
	uint32_t source;
	/* AGENTSH_EBPF_NAME_ value: where server_name is from: NONE, TLS or HTTP */
	uint32_t server_name_source;
	/* AGENTSH_EBPF_NAME_FLAG_ bits */
	uint32_t flags;
	/* Number of further names that the address has in the session. */
	uint32_t others;
	/* Process that asked, as tgid in the event; 0 if unknown. */
	uint32_t asker_tgid;
	/* Nanoseconds from the answer or the seed to the event, or to the look-up. */
	uint64_t age_ns;
	/* Time to live of the answer or the seed in nanoseconds; UINT64_MAX: without end. */
	uint64_t ttl_ns;
	/* The name server that answered; family 0 if there is none. */
	struct agentsh_ebpf_address resolver;
	/*
	 * The name that the process asked for: the first name of a chain of CNAME records. For an
	 * AF_UNIX socket the path, or "@" and the abstract name. In these a backslash and every
	 * byte other than a printable ASCII character are written as "\DDD", and a path that begins
	 * with "@" begins with "\064".
	 */
	char asked[256];
	/* The name that had the address: the last name of the chain. */
	char owner[256];
	/*
	 * The server name that the process sent in the first data of the connection. It need not
	 * be a valid domain name. An IP address is not taken for a name.
	 */
	char server_name[256];
	/*
	 * ALPN protocols of the ClientHello, RFC 7301, separated by commas: "h2,http/1.1".
	 * Special bytes, a comma included, are written as "\DDD".
	 */
	char alpn[64];
};

/* agentsh_ebpf_dns.flags */
enum {
	/* The message came over TCP. */
	AGENTSH_EBPF_DNS_FLAG_TCP = 1,
	/* The name server has truncated the answer (TC). */
	AGENTSH_EBPF_DNS_FLAG_TRUNCATED = 2,
	/* The answer has more than 4,096 bytes or 32 records, and the library read only these. */
	AGENTSH_EBPF_DNS_FLAG_CUT = 4,
	/* As AGENTSH_EBPF_NAME_FLAG_UNASKED. */
	AGENTSH_EBPF_DNS_FLAG_UNASKED = 8,
	/* The name server is not one of trusted_resolvers. */
	AGENTSH_EBPF_DNS_FLAG_UNTRUSTED = 16
};

/* What a DNS_QUERY or DNS_ANSWER event is about, RFC 1035. The caller owns the struct. */
struct agentsh_ebpf_dns {
	/* in: sizeof(struct agentsh_ebpf_dns) */
	uint32_t size;
	/* Type of the question: 1 A, 28 AAAA, 65 HTTPS, ... */
	uint16_t question_type;
	/*
	 * Response code of the header: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, ...; 0 in DNS_QUERY.
	 * The upper bits of the code (RFC 6891) are not included.
	 */
	uint16_t rcode;
	/* AGENTSH_EBPF_DNS_FLAG_ bits */
	uint32_t flags;
	/* Number of addresses in the answer, for agentsh_ebpf_event_addresses(). */
	uint32_t addresses;
};

/*
 * Copies the name of an event that this tracer has delivered. Names are kept at least until
 * the reader's next call to poll or read; after that the call may return -ENOENT. Returns 0,
 * -ENOENT if the event has no name or the name is no longer kept, or an argument error. Any
 * thread, the callback included. The watched process can choose the name: never take it for
 * a permission.
 */
AGENTSH_EBPF_API int agentsh_ebpf_event_name(const struct agentsh_ebpf_tracer *tracer,
					     const struct agentsh_ebpf_event *event,
					     struct agentsh_ebpf_name *out);

/*
 * Copies what a DNS_QUERY or DNS_ANSWER event is about, kept as long as the event's name.
 * Returns 0, -ENOENT if the event is of another kind or is no longer kept, or an argument
 * error. Any thread, the callback included. The watched process can make up questions and
 * answers: never take them for a permission.
 */
AGENTSH_EBPF_API int agentsh_ebpf_event_dns(const struct agentsh_ebpf_tracer *tracer,
					    const struct agentsh_ebpf_event *event,
					    struct agentsh_ebpf_dns *out);

/*
 * Copies up to n addresses of a DNS_ANSWER event to list, which the caller owns; list may
 * be NULL if n is 0. Returns the number of addresses that the event has, which may exceed
 * n; -ENOENT as agentsh_ebpf_event_dns(); or an argument error. Any thread, the callback
 * included. The watched process can make up answers: never take them for a permission.
 */
AGENTSH_EBPF_API int agentsh_ebpf_event_addresses(const struct agentsh_ebpf_tracer *tracer,
						  const struct agentsh_ebpf_event *event,
						  struct agentsh_ebpf_address *list, size_t n);

/*
 * Copies a name that an address has in this session now. nth counts from 0, which is the
 * name that an event without a process would get. family is AF_INET or AF_INET6,
 * and addr is in network byte order, 4 or 16 bytes. Names are as of the last record that poll
 * or read has taken from the ring. Returns the number of names that the address has; -ENOENT
 * if the address has no more than nth names; -EINVAL if the session was detached or family is
 * another; or an argument error. Any thread, the callback included. The watched process can
 * choose the name: never take it for a permission.
 */
AGENTSH_EBPF_API int agentsh_ebpf_session_name_lookup(struct agentsh_ebpf_session *session,
						      uint16_t family, const void *addr,
						      uint32_t nth, struct agentsh_ebpf_name *out);

/*
 * Gives an address a name that the host knows, for example from hosts(5). Events that
 * poll or read delivers from now on have the name, with the flag EXPIRED once ttl_s
 * seconds have passed; if ttl_s is 0, the name does not expire. A name for which the event's own
 * process has asked comes before a seed, and a seed before the names for which other processes have
 * asked. A seed replaces the earlier seed of the address; if name is NULL, that seed is only
 * removed. Returns 0; -EINVAL if the session was detached, if family is another than AF_INET and
 * AF_INET6, or if name is not a domain name of 1 to 255 bytes; -ENOMEM; or an argument
 * error. Works with every tracer, also without AGENTSH_EBPF_HOOK_DNS. Any thread, the
 * callback included. A seed names connections and permits none: the address may belong to
 * another host by now.
 */
AGENTSH_EBPF_API int agentsh_ebpf_session_name_seed(struct agentsh_ebpf_session *session,
						    uint16_t family, const void *addr,
						    const char *name, uint32_t ttl_s);

/*
 * Name of an AGENTSH_EBPF_NAME_ source: "dns", "dns_tcp", "tls", "http", "seed", "unix".
 * Never NULL; AGENTSH_EBPF_NAME_NONE gives "none", and any other value "unknown". Static
 * storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_name_source_name(uint32_t source);

/* ---- Statistics --------------------------------------------------------- */

/*
 * The counters of a tracer since it was opened, or of a session since it was attached.
 * The caller owns the struct.
 */
struct agentsh_ebpf_stats {
	/* in: sizeof(struct agentsh_ebpf_stats) */
	uint32_t size;
	/* Sessions attached now; 1 for a session. */
	uint32_t sessions;
	/* Events delivered to the host, without SESSION_BLIND. */
	uint64_t delivered;
	/* Events dropped because they did not fit into the ring or the quota. */
	uint64_t lost;
	/*
	 * The part of lost that was dropped because the session had used up its quota of
	 * the ring (ring_quota), although the ring had space.
	 */
	uint64_t lost_quota;
	/*
	 * Datagrams, and packets that the rules deny, not reported because they repeat a known
	 * socket and destination.
	 */
	uint64_t deduplicated;
	/* Failed calls to attach; 0 for a session. */
	uint64_t attach_failures;
	/* Records skipped because they could not be decoded; 0 for a session. */
	uint64_t malformed;
	/*
	 * How often a socket found no room in the table of sockets (max_sockets), so that
	 * later events of the socket may be missing. A later call on the socket, and with
	 * AGENTSH_EBPF_HOOK_TRAFFIC each of its packets, looks for room again, and counts
	 * again if there is none.
	 */
	uint64_t untracked;
	/*
	 * Packets with DNS messages or first data of connections that were dropped because they
	 * did not fit into half of the session's quota, or because more than half of the ring was
	 * unread. Names, DNS_QUERY, DNS_ANSWER and SERVER_NAME may be missing. Packets are not
	 * events, so lost does not count them.
	 */
	uint64_t packets_lost;
	/* DNS answers that were accepted, also if they have no address. */
	uint64_t answers;
	/*
	 * DNS answers that no question of the session explains: they are forged, repeated or too
	 * late, or the question was lost.
	 */
	uint64_t answers_unasked;
	/* DNS answers of name servers that are not trusted (trusted_resolvers). */
	uint64_t answers_untrusted;
	/* DNS messages that are malformed. */
	uint64_t answers_malformed;
	/*
	 * DNS messages and first data of connections that were not parsed because they are more
	 * than 2,000 per session and second or more than 16 per packet, or because memory was
	 * short. Names, DNS_ANSWER, DNS_QUERY and SERVER_NAME may be missing.
	 */
	uint64_t messages_skipped;
	/* Names that were dropped to make room for others (names_max, names_bytes). */
	uint64_t names_evicted;
	/*
	 * Calls by the verdict of the session's rules, whether an event reports them or not.
	 * A call without rules is not counted. Of socket(2) only calls that the rules deny are
	 * counted.
	 */
	uint64_t allowed;
	uint64_t denied;
	uint64_t would_deny;
	/*
	 * Packets that AGENTSH_EBPF_RULES_EGRESS has dropped, and packets that it would drop
	 * without AUDIT, whether an event reports them or not. Packets that the rules allow are not
	 * counted.
	 */
	uint64_t packets_denied;
	uint64_t packets_would_deny;
};

/*
 * Write the counters to *out without a system call. Counters that change during the
 * call may be from slightly different moments. Once the processes of a session have
 * stopped and all events have been read, delivered + lost + deduplicated is exactly
 * the number of events that they caused. Return 0, -EINVAL if the session was detached,
 * or an argument error. Any thread, the callback included.
 */
AGENTSH_EBPF_API int agentsh_ebpf_tracer_stats(const struct agentsh_ebpf_tracer *tracer,
					       struct agentsh_ebpf_stats *out);
AGENTSH_EBPF_API int agentsh_ebpf_session_stats(const struct agentsh_ebpf_session *session,
						struct agentsh_ebpf_stats *out);

/* ---- What this machine can do ------------------------------------------- */

/*
 * The checks of agentsh_ebpf_capability_probe(). Each value is an index into
 * agentsh_ebpf_capabilities.checks and the number of a bit in the masks of that
 * struct. Later versions may add checks, but never renumber one. A check is required
 * unless it is marked as optional.
 */
enum {
	/* Optional: the kernel release. Features decide, not this number. */
	AGENTSH_EBPF_CHECK_KERNEL = 0,
	/* bpf(2) can be called. */
	AGENTSH_EBPF_CHECK_BPF = 1,
	/* The capabilities of the process belong to the initial user namespace. */
	AGENTSH_EBPF_CHECK_USERNS = 2,
	/* CAP_BPF or CAP_SYS_ADMIN, capabilities(7) */
	AGENTSH_EBPF_CHECK_CAP_BPF = 3,
	/* CAP_NET_ADMIN or CAP_SYS_ADMIN */
	AGENTSH_EBPF_CHECK_CAP_NET_ADMIN = 4,
	/* Optional: CAP_PERFMON or CAP_SYS_ADMIN */
	AGENTSH_EBPF_CHECK_CAP_PERFMON = 5,
	/* Optional: the kernel is not locked down in confidentiality mode, kernel_lockdown(7). */
	AGENTSH_EBPF_CHECK_LOCKDOWN = 6,
	/* Optional: /sys/kernel/btf/vmlinux exists. */
	AGENTSH_EBPF_CHECK_BTF = 7,
	/* A cgroup v2 mount is visible to this process, cgroups(7). */
	AGENTSH_EBPF_CHECK_CGROUP2 = 8,
	/* BPF_MAP_TYPE_RINGBUF, kernel 5.8 */
	AGENTSH_EBPF_CHECK_RINGBUF = 9,
	/* BPF_F_MMAPABLE, kernel 5.5 */
	AGENTSH_EBPF_CHECK_ARRAY_MMAP = 10,
	/* BPF_MAP_TYPE_CGROUP_STORAGE, kernel 4.19 */
	AGENTSH_EBPF_CHECK_CGROUP_STORAGE = 11,
	/* BPF_LINK_CREATE for cgroups, kernel 5.7 */
	AGENTSH_EBPF_CHECK_CGROUP_LINK = 12,
	/* A ring of the default size fits into RLIMIT_MEMLOCK, which applies before kernel 5.11. */
	AGENTSH_EBPF_CHECK_MEMLOCK = 13,
	/* Enough descriptors are left for at least one session. */
	AGENTSH_EBPF_CHECK_NOFILE = 14,
	/* Optional: eBPF programs are compiled to machine code. */
	AGENTSH_EBPF_CHECK_JIT = 15,
	/*
	 * From here on, except for SET_RETVAL, one check per attach type: its program can be loaded
	 * and attached.
	 * If load_only is 1, the program may only have been loaded.
	 */
	AGENTSH_EBPF_CHECK_CONNECT4 = 16,
	AGENTSH_EBPF_CHECK_CONNECT6 = 17,
	/* Optional from here on. */
	AGENTSH_EBPF_CHECK_SENDMSG4 = 18,
	AGENTSH_EBPF_CHECK_SENDMSG6 = 19,
	AGENTSH_EBPF_CHECK_SOCK_OPS = 20,
	AGENTSH_EBPF_CHECK_SOCK_RELEASE = 21,
	AGENTSH_EBPF_CHECK_BIND4 = 22,
	AGENTSH_EBPF_CHECK_BIND6 = 23,
	AGENTSH_EBPF_CHECK_INET_INGRESS = 24,
	AGENTSH_EBPF_CHECK_INET_EGRESS = 25,
	/* kernel 6.7 (859051dd165e) */
	AGENTSH_EBPF_CHECK_CONNECT_UNIX = 26,
	AGENTSH_EBPF_CHECK_SENDMSG_UNIX = 27,
	/* kernel 4.10 */
	AGENTSH_EBPF_CHECK_SOCK_CREATE = 28,
	/*
	 * bpf_set_retval() of bpf-helpers(7) for programs of connect and sendmsg, kernel 6.1.
	 * Without it sets of rules cannot have AGENTSH_EBPF_RULES_REFUSE.
	 */
	AGENTSH_EBPF_CHECK_SET_RETVAL = 29
};

/* agentsh_ebpf_check.status */
enum {
	/* The check could not be made, or does not apply; detail says why. */
	AGENTSH_EBPF_STATUS_UNKNOWN = 0,
	AGENTSH_EBPF_STATUS_AVAILABLE = 1,
	/* The machine or the process lacks the feature or privilege. */
	AGENTSH_EBPF_STATUS_MISSING = 2,
	/* The machine has the feature, but this process may not use it. */
	AGENTSH_EBPF_STATUS_FORBIDDEN = 3,
	/* The check is treated as missing because of simulate_missing. */
	AGENTSH_EBPF_STATUS_SIMULATED = 4
};

/* agentsh_ebpf_capabilities.cgroup_mode */
enum {
	/* No cgroup v2 is mounted. */
	AGENTSH_EBPF_CGROUP_NONE = 0,
	/* Only cgroup v2 is mounted. */
	AGENTSH_EBPF_CGROUP_PURE = 1,
	/* Both cgroup v2 and v1 controllers are mounted. */
	AGENTSH_EBPF_CGROUP_HYBRID = 2
};

/* The result of one check. */
struct agentsh_ebpf_check {
	/* AGENTSH_EBPF_STATUS_ value */
	uint32_t status;
	/* Positive errno value; 0 if there was no error. */
	int32_t error;
	/* 1 if nothing can be traced when this check fails. */
	uint32_t required;
	uint32_t reserved;
	/*
	 * The value found. KERNEL: as kernel_version; CGROUP2: number of mounts;
	 * MEMLOCK: bytes; NOFILE: descriptors; JIT: net.core.bpf_jit_enable; otherwise 0.
	 */
	uint64_t value;
	/* What was found, as UTF-8 text for a human reader, NUL-terminated. */
	char detail[104];
};

/* Number of elements of agentsh_ebpf_capabilities.checks. */
enum { AGENTSH_EBPF_CHECKS_MAX = 32 };

/* The result of agentsh_ebpf_capability_probe(). The caller owns the struct. */
struct agentsh_ebpf_capabilities {
	/* in: sizeof(struct agentsh_ebpf_capabilities) */
	uint32_t size;
	/* 1 if this machine can trace. */
	uint32_t usable;
	/* in: mask of checks (1 << AGENTSH_EBPF_CHECK_) to treat as missing; normally 0 */
	uint64_t simulate_missing;
	/* Mask of the checks with status AVAILABLE. */
	uint64_t available;
	/* Mask of the checks with status MISSING, FORBIDDEN or SIMULATED. */
	uint64_t missing;
	/* AGENTSH_EBPF_HOOK_ bits that work here, and can be required when opening. */
	uint32_t hooks;
	/* Number of elements of checks that are filled. */
	uint32_t count;
	/* major << 16 | minor << 8 | patch, each at most 255; 0 if unknown */
	uint32_t kernel_version;
	/* Number of sessions, with all hooks, for which RLIMIT_NOFILE leaves descriptors. */
	uint32_t max_sessions;
	/* AGENTSH_EBPF_CGROUP_ value */
	uint32_t cgroup_mode;
	/*
	 * 1 if a program was loaded, but not attached: no cgroup was available, or a
	 * program of somebody else would or could have been displaced. The detail of the
	 * check gives the reason. The check is AVAILABLE all the same, although attach may
	 * return -EBUSY.
	 */
	uint32_t load_only;
	/* release of uname(2), NUL-terminated */
	char kernel_release[64];
	/* The first cgroup v2 mount; empty if there is none. */
	char cgroup2_path[256];
	/* Directory of the caller's own cgroup; empty if it is not visible. */
	char cgroup_path[1024];
	/* Why this machine cannot trace, in one line with the remedy; empty if it can. */
	char reason[256];
	struct agentsh_ebpf_check checks[AGENTSH_EBPF_CHECKS_MAX];
};

/*
 * Finds out whether this machine can trace, by trying each thing that a tracer
 * needs: creates the maps, loads the real programs, attaches them briefly to the
 * caller's own cgroup, where they report nothing, and removes everything again. A
 * program that would or could displace a program of somebody else, as
 * agentsh_ebpf_session_attach() explains, is only loaded (load_only). The call creates no
 * directory and no pinned object, so nothing is left behind even if the process is
 * killed during the call. Before kernel 5.11 it raises RLIMIT_MEMLOCK, as opening does.
 *
 * The caller owns *caps. size and simulate_missing are read; all other members are
 * written. The call requires no privilege: a missing privilege is part of the
 * result. Returns 0 even if nothing works, or an argument error; -EINVAL also for an
 * unknown bit in simulate_missing. Any thread, any number of times. The call loads all
 * programs, which takes some tenths of a second. It replaces libbpf's print callback
 * while it runs, as agentsh_ebpf_tracer_open() does.
 */
AGENTSH_EBPF_API int agentsh_ebpf_capability_probe(struct agentsh_ebpf_capabilities *caps);

/*
 * Name ("cap_bpf", "cgroup2", "connect4") of a check, which never changes, and advice
 * for an operator if the check fails. Never NULL; an unknown number gives "unknown"
 * and "". Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_check_name(uint32_t check);
AGENTSH_EBPF_API const char *agentsh_ebpf_check_hint(uint32_t check);

/*
 * Name of an AGENTSH_EBPF_STATUS_ value: "available", "missing", ... Never NULL; any
 * other value gives "unknown". Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_status_name(uint32_t status);

/*
 * Converts names of checks, separated by commas ("btf,cgroup2"), to a mask for
 * simulate_missing. err may be NULL. Returns 0; -EFAULT; or -EINVAL if a name is
 * unknown, with a message that lists the known ones. *mask is written only on
 * success. Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_checks_parse(const char *names, uint64_t *mask,
					       struct agentsh_ebpf_error *err);

/*
 * Finds the directory in which a host can create the cgroups of its sessions: the
 * directory of the caller's own cgroup v2, according to /proc/self/mountinfo and
 * /proc/self/cgroup, proc_pid_mountinfo(5), cgroups(7). It works on hybrid mounts,
 * too. If no mount shows that cgroup (a container may see another part of the
 * hierarchy), the result is the first cgroup v2 mount that is not hidden by another
 * mount.
 *
 * The caller owns path, which has size bytes; 4096 bytes hold every path that the
 * kernel accepts. It is written, with a NUL, only on success. Returns 0, -EFAULT,
 * -ENODEV if no cgroup v2 is mounted, -ENAMETOOLONG if the path does not fit, or an
 * error of reading /proc. Any thread; requires no privilege.
 */
AGENTSH_EBPF_API int agentsh_ebpf_cgroup_path(char *path, size_t size);

/*
 * Reads the mode that an operator has chosen in the environment. AGENTSH_EBPF=off,
 * auto or required sets *mode to DISABLED, AUTO or REQUIRED.
 * AGENTSH_EBPF_SIMULATE_MISSING=names sets *simulate_missing. A variable that is
 * unset or empty leaves its value unchanged. The variables are read with
 * secure_getenv(3), so a set-user-ID program ignores them. simulate_missing and err
 * may be NULL. Returns 0, -EFAULT, or -EINVAL with a message; on failure both values
 * stay unchanged. Any thread, but not while another thread calls setenv(3).
 */
AGENTSH_EBPF_API int agentsh_ebpf_mode_from_env(uint32_t *mode, uint64_t *simulate_missing,
						struct agentsh_ebpf_error *err);

/* ---- What a tracer sees -------------------------------------------------- */

/*
 * Paths to the network, and events after the attempt. Each value is the number of a
 * bit in the masks of struct agentsh_ebpf_coverage. Later versions may add paths, but
 * never renumber one.
 */
enum {
	AGENTSH_EBPF_COVERAGE_TCP_CONNECT = 0,
	/* sendto() with MSG_FASTOPEN, and TCP_FASTOPEN_CONNECT, tcp(7) */
	AGENTSH_EBPF_COVERAGE_TCP_FASTOPEN = 1,
	AGENTSH_EBPF_COVERAGE_MPTCP_CONNECT = 2,
	AGENTSH_EBPF_COVERAGE_UDP_CONNECT = 3,
	/* with a destination: sendto(), sendmsg(), sendmmsg() */
	AGENTSH_EBPF_COVERAGE_UDP_SEND = 4,
	/* without a destination: send() after connect() */
	AGENTSH_EBPF_COVERAGE_UDP_SEND_CONNECTED = 5,
	AGENTSH_EBPF_COVERAGE_UDPLITE_CONNECT = 6,
	AGENTSH_EBPF_COVERAGE_UDPLITE_SEND = 7,
	/* ICMP datagram sockets, icmp(7) */
	AGENTSH_EBPF_COVERAGE_PING_CONNECT = 8,
	AGENTSH_EBPF_COVERAGE_PING_SEND = 9,
	AGENTSH_EBPF_COVERAGE_SCTP = 10,
	/* raw(7), requires CAP_NET_RAW */
	AGENTSH_EBPF_COVERAGE_RAW = 11,
	/* packet(7), requires CAP_NET_RAW */
	AGENTSH_EBPF_COVERAGE_PACKET = 12,
	/* io_uring(7), on socket types that are seen */
	AGENTSH_EBPF_COVERAGE_IO_URING_CONNECT = 13,
	AGENTSH_EBPF_COVERAGE_IO_URING_SEND = 14,
	/* unix(7): not a network, but a path to a proxy */
	AGENTSH_EBPF_COVERAGE_UNIX = 15,
	/* vsock(7): from a virtual machine to its host */
	AGENTSH_EBPF_COVERAGE_VSOCK = 16,
	/* A socket created before its process entered the cgroup. */
	AGENTSH_EBPF_COVERAGE_EARLIER_SOCKET = 17,
	/* A socket created outside and passed in, by SCM_RIGHTS or fork(). */
	AGENTSH_EBPF_COVERAGE_PASSED_SOCKET = 18,
	/* A socket created inside, by a process that has left the cgroup since. */
	AGENTSH_EBPF_COVERAGE_LEFT_SOCKET = 19,
	/* CONNECTED, CONNECT_FAILED and CLOSED of TCP */
	AGENTSH_EBPF_COVERAGE_TCP_OUTCOME = 20,
	/* CLOSED of a datagram socket */
	AGENTSH_EBPF_COVERAGE_DATAGRAM_CLOSE = 21,
	/* ACCEPTED, or UNANNOUNCED of an inbound connection */
	AGENTSH_EBPF_COVERAGE_TCP_ACCEPT = 22,
	/* SOCK_DCCP sockets; removed in kernel 6.16 */
	AGENTSH_EBPF_COVERAGE_DCCP = 23,
	/* L2TP over IP, IPPROTO_L2TP (115) */
	AGENTSH_EBPF_COVERAGE_L2TP_IP = 24,
	/* AF_SMC and IPPROTO_SMC (kernel 6.11), whose connections begin as TCP */
	AGENTSH_EBPF_COVERAGE_SMC_CONNECT = 25,
	/* AF_RDS, whose TCP connections are made by a thread of the kernel */
	AGENTSH_EBPF_COVERAGE_RDS = 26,
	/* AF_XDP, requires CAP_NET_RAW */
	AGENTSH_EBPF_COVERAGE_XDP = 27,
	/* AF_RXRPC, for which the kernel makes a UDP socket */
	AGENTSH_EBPF_COVERAGE_RXRPC = 28,
	/* Address families that no other path names: TIPC, KCM, CAN, Bluetooth, ... */
	AGENTSH_EBPF_COVERAGE_OTHER_FAMILY = 29,
	/*
	 * A connection that was made before the session was attached, on a socket that was
	 * created in the cgroup.
	 */
	AGENTSH_EBPF_COVERAGE_EARLIER_CONNECTION = 30,
	/* Names in DNS messages over UDP, RFC 1035 */
	AGENTSH_EBPF_COVERAGE_DNS_UDP = 31,
	/* Names in DNS messages over TCP */
	AGENTSH_EBPF_COVERAGE_DNS_TCP = 32,
	/* DNS over TLS, RFC 7858 */
	AGENTSH_EBPF_COVERAGE_DNS_TLS = 33,
	/* DNS over HTTPS, RFC 8484 */
	AGENTSH_EBPF_COVERAGE_DNS_HTTPS = 34,
	/* Names from a resolver behind an AF_UNIX socket: nscd, systemd-resolved */
	AGENTSH_EBPF_COVERAGE_LOCAL_RESOLVER = 35,
	/* Names from a file, hosts(5) */
	AGENTSH_EBPF_COVERAGE_HOSTS_FILE = 36,
	/* A DNS answer that arrived before the session was attached. */
	AGENTSH_EBPF_COVERAGE_EARLIER_ANSWER = 37,
	/* SNI in a TLS ClientHello over TCP */
	AGENTSH_EBPF_COVERAGE_TLS_SERVER_NAME = 38,
	/* The inner name of an encrypted ClientHello (ECH, RFC 9849) */
	AGENTSH_EBPF_COVERAGE_TLS_ENCRYPTED_NAME = 39,
	/* Host of an HTTP/1 request without TLS */
	AGENTSH_EBPF_COVERAGE_HTTP_HOST = 40,
	/* SNI in QUIC, RFC 9001 */
	AGENTSH_EBPF_COVERAGE_QUIC_SERVER_NAME = 41
};

/*
 * The result of agentsh_ebpf_coverage(). The masks have bits
 * 1 << AGENTSH_EBPF_COVERAGE_; each bit below count is set in exactly one of seen,
 * implied and unseen. The caller owns the struct.
 */
struct agentsh_ebpf_coverage {
	/* in: sizeof(struct agentsh_ebpf_coverage) */
	uint32_t size;
	/* Number of paths that this library knows. */
	uint32_t count;
	/* Paths that are reported as events, subject to the options of the tracer. */
	uint64_t seen;
	/* Paths without an event, whose destination an earlier event has named. */
	uint64_t implied;
	/* Paths without an event. */
	uint64_t unseen;
	/*
	 * Paths that the rules of a session close if they deny the destination, or that
	 * STRICT_SOCKETS closes; 0 without AGENTSH_EBPF_HOOK_RULES. A path may be enforced without
	 * being seen. enforced is independent of the other masks.
	 */
	uint64_t enforced;
	/*
	 * in: AGENTSH_EBPF_RULES_ bits of the set whose effect enforced describes. Flags that the
	 * tracer does not support have no effect; with AUDIT enforced is 0.
	 */
	uint32_t rules_flags;
	uint32_t reserved;
};

/*
 * Reports which paths to the network this tracer sees on this kernel, and which ones rules can
 * close. size, and rules_flags if size covers it, are read; all other members are written. Returns
 * 0, an argument error, -EINVAL also for an unknown bit in rules_flags, or -EOPNOTSUPP for a
 * synthetic tracer. Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_coverage(const struct agentsh_ebpf_tracer *tracer,
					   struct agentsh_ebpf_coverage *out);

/*
 * Name of a path ("tcp_connect"), which never changes, and a note on how the path is
 * reported, or why it is not. Never NULL; an unknown number gives "unknown" and "".
 * Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_coverage_name(uint32_t coverage);
AGENTSH_EBPF_API const char *agentsh_ebpf_coverage_note(uint32_t coverage);

/* ---- Tests of hosts ----------------------------------------------------- */

/*
 * Puts a copy of an event into a tracer of AGENTSH_EBPF_MODE_SYNTHETIC, which
 * delivers it like a real one. The library sets session_id, session_lost and name_id, and
 * timestamp_ns if it is 0. Reserved bytes are not copied. Returns 0; -EFAULT; -EINVAL
 * if the session was detached; -ENOBUFS if the event did not fit and was counted as
 * lost, which lets a test fill the ring; -EOPNOTSUPP for any other tracer; -EPERM in a
 * forked child of the process that opened the tracer; -ERANGE if kind exceeds 255,
 * flags exceed 16 bits, or a verdict or rule_id comes with a member of an outcome (error, rtt_us,
 * duration_ns, bytes, packets or retransmits). Any thread, the callback included.
 */
AGENTSH_EBPF_API int agentsh_ebpf_inject(struct agentsh_ebpf_session *session,
					 const struct agentsh_ebpf_event *event);

/*
 * Gives an address a name in a session of a tracer of AGENTSH_EBPF_MODE_SYNTHETIC, as if a
 * packet had done so: source, flags, ttl_ns, asker_tgid, resolver, asked, owner, server_name,
 * server_name_source and alpn come back from agentsh_ebpf_event_name() of the events that are
 * injected afterwards. If a process of another tgid than asker_tgid has the event, OTHER_PROCESS
 * is added. Returns 0, -EOPNOTSUPP for any other tracer, -EPERM as agentsh_ebpf_inject(), or an
 * error as agentsh_ebpf_session_name_seed(). Any thread, the callback included.
 */
AGENTSH_EBPF_API int agentsh_ebpf_inject_name(struct agentsh_ebpf_session *session, uint16_t family,
					      const void *addr,
					      const struct agentsh_ebpf_name *name);

#ifdef __cplusplus
}
#endif

#endif
