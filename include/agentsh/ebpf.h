/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libagentsh-ebpf: one event for each outbound network connection that any
 * process of a cgroup v2 makes.
 *
 * A tracer is a set of loaded kernel programs and one ring buffer. A session is
 * one attached cgroup, its descendants included. Events of all sessions of a
 * tracer come out of agentsh_ebpf_poll() or agentsh_ebpf_read() as struct
 * agentsh_ebpf_event.
 *
 * Errors: a call that can fail returns 0 or a count, or a negative errno value;
 * errno itself means nothing. Open and attach also fill a struct
 * agentsh_ebpf_error. The argument errors are the same at every call:
 *
 *   -EFAULT  a pointer that must not be NULL is NULL
 *   -EINVAL  a struct's size is 0 or below 4, or a value has the wrong form
 *   -E2BIG   an options struct is larger than this library knows, and what it
 *            does not know is not zero: the caller asks for something newer
 *   -ERANGE  a number is out of its range
 *
 * Threads: one thread at a time polls or reads a tracer; a second one gets
 * -EBUSY. Attach, detach, inject, wake and both stats calls may be made from
 * any thread at any time, also from inside the callback, but nothing may be
 * called with a tracer whose close has begun, or a session whose detach has
 * begun. Two tracers are independent. The library makes no thread, installs no
 * signal handler, writes nothing to stdout or stderr and reads no environment.
 * Process-wide are libbpf's print hook, which open and probe take and give back,
 * see agentsh_ebpf_tracer_open(); what libbpf remembers of the kernel's features;
 * and before kernel 5.11 RLIMIT_MEMLOCK, which both raise. After fork(), only the
 * parent may go on using a tracer; all its descriptors are close-on-exec.
 *
 * Structs: options and results begin with size, which the caller sets to
 * sizeof. A smaller (older) one is taken with defaults. Of larger (newer) options
 * the part that is not known must be zero; of a larger result it is made zero, so
 * size must never be more than there is. There are no holes, no bit-fields
 * and no unions.
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

/* ---- Events ------------------------------------------------------------- */

/* agentsh_ebpf_event.kind. A host skips kinds that it does not know. */
enum {
	/*
	 * connect() was called, on a socket of which agentsh_ebpf_coverage() says that
	 * it is seen; its result is not known yet. What other programs of the cgroup
	 * that run before make of the destination is shown; those that run after may
	 * still change it, or refuse the call.
	 */
	AGENTSH_EBPF_EVENT_CONNECT = 1,
	/* a datagram was sent with a destination of its own (sendto, sendmsg, sendmmsg) */
	AGENTSH_EBPF_EVENT_UDP_SEND = 2,
	/*
	 * With AGENTSH_EBPF_HOOK_LIFECYCLE. Each attempt of TCP that got as far as
	 * sending a SYN ends in exactly one CONNECT_FAILED or, after CONNECTED, one
	 * CLOSED, unless the session is detached first.
	 */
	AGENTSH_EBPF_EVENT_CONNECTED = 3, /* the handshake is done; the local end is known */
	AGENTSH_EBPF_EVENT_CONNECT_FAILED =
		4, /* error says why; ECANCELED: closed before there was an answer */
	AGENTSH_EBPF_EVENT_CLOSED =
		5, /* the connection, or a datagram socket that had an event, has ended */
	/* with AGENTSH_EBPF_HOOK_ACCEPT: a peer has connected to a listener of the session */
	AGENTSH_EBPF_EVENT_ACCEPTED = 6
};

/* agentsh_ebpf_event.flags */
enum {
	/*
	 * The socket is AF_INET6 and the destination IPv4 (::ffff:a.b.c.d). The
	 * event says AF_INET and the plain IPv4 addresses.
	 */
	AGENTSH_EBPF_FLAG_V4_MAPPED = 1,
	/*
	 * Whose socket it is is not known: connect() or bind() was called before the
	 * session was attached, or bind() never was. cgroup_id, process_start_ns, pid,
	 * tgid, ppid, uid, gid, ns_pid, ns_tgid, comm and netns_cookie are 0.
	 */
	AGENTSH_EBPF_FLAG_UNATTRIBUTED = 2,
	/* error could not be read: no BTF, no CAP_PERFMON */
	AGENTSH_EBPF_FLAG_NO_ERROR = 4,
	/* the peer opened the connection; the process is the one that called bind() for the
	   listener */
	AGENTSH_EBPF_FLAG_INBOUND = 8,
	/* CLOSED: who sent the first FIN; neither: it ended by a reset, a time-out or an abort */
	AGENTSH_EBPF_FLAG_LOCAL_CLOSED = 16,
	AGENTSH_EBPF_FLAG_REMOTE_CLOSED = 32
};

/*
 * One event: 256 bytes for ever. New members take the place of reserved bytes,
 * which are zero until then; a member that does not apply is zero.
 *
 * Addresses are in network order, IPv4 in the first four bytes; ports are in
 * host order. uid, gid, pid, tgid and ppid are those of the initial namespaces,
 * as the kernel's own logs show them. The process is the one that made the call;
 * of CONNECTED, CONNECT_FAILED and CLOSED the one that called connect(), or of a
 * datagram socket made its first event.
 */
struct agentsh_ebpf_event {
	uint32_t kind;		/* AGENTSH_EBPF_EVENT_ */
	uint32_t flags;		/* AGENTSH_EBPF_FLAG_, or-ed */
	uint64_t timestamp_ns;	/* CLOCK_BOOTTIME of the initial time namespace; see
				   agentsh_ebpf_event_realtime_ns() */
	uint64_t session_id;	/* the host's tag from the session's options */
	uint64_t session_lost;	/* this session's events lost before this one, since attach, never
				   falls: a rise between two  events is the gap, as exact as the order
				   of what several processors write at once */
	uint64_t cgroup_id;	/* cgroup v2 of the process: the inode number of its directory */
	uint64_t socket_cookie; /* SO_COOKIE, socket(7); an MPTCP socket's is that of its first TCP
				   subflow; before kernel 5.10 unique with netns_cookie only */
	uint64_t
		netns_cookie; /* SO_NETNS_COOKIE, kernel 5.14, for the socket's network namespace */
	uint64_t process_start_ns; /* start of the process, CLOCK_BOOTTIME of the initial time
				      namespace; field 22 of /proc/PID/stat there, in ns; 0 without
				      BTF or CAP_PERFMON */
	uint32_t pid;		   /* thread: gettid(2) */
	uint32_t tgid;		   /* process: getpid(2) */
	uint32_t ppid;		   /* parent process: getppid(2); 0 without BTF or CAP_PERFMON */
	uint32_t uid;		   /* real user: getuid(2) */
	uint32_t gid;		   /* real group: getgid(2) */
	uint32_t ns_pid;  /* pid as the PID namespace of the opener of the tracer numbers it; 0: not
			     visible there, or not known */
	uint32_t ns_tgid; /* likewise tgid: what the opener's kill(2) and /proc take */
	uint16_t family;  /* AF_INET or AF_INET6, of both addresses */
	uint16_t protocol;    /* SO_PROTOCOL: IPPROTO_TCP, IPPROTO_UDP, IPPROTO_MPTCP (262), ...;
				 MPTCP shows as TCP without BTF or CAP_PERFMON */
	uint16_t socket_type; /* SO_TYPE: SOCK_STREAM, SOCK_DGRAM, ... */
	uint16_t local_port;  /* 0 where connect() has yet to choose one */
	uint16_t remote_port;
	uint16_t reserved0;
	int32_t error;	 /* errno value, positive; of CONNECT_FAILED, and of CLOSED where it was not
			    orderly */
	uint32_t rtt_us; /* smoothed round trip time, microseconds, TCP_INFO's tcpi_rtt; of
			    CONNECTED, ACCEPTED, CLOSED */
	uint64_t duration_ns;	 /* since connect() was called, of CONNECTED, CONNECT_FAILED and
				    CLOSED; of an inbound    connection, or one that is UNATTRIBUTED,
				    since its handshake; of a datagram socket    since its first event */
	uint64_t bytes_sent;	 /* of CLOSED: data that the peer has acknowledged, TCP */
	uint64_t bytes_received; /* of CLOSED: data taken in, in order, read by the process or not,
				    TCP */
	uint8_t local_addr[16];	 /* all zero where connect() has yet to choose one */
	uint8_t remote_addr[16];
	char comm[16]; /* name of the thread, ends with NUL; else any bytes: the process chose them,
			  prctl(2) PR_SET_NAME; empty where the kernel (6.18 does) wants CAP_PERFMON
			  for it and the opener has none */
	uint32_t retransmits; /* segments sent again, TCP_INFO's tcpi_total_retrans */
	uint32_t datagrams; /* of CLOSED of a datagram socket: sent with a destination (UDP_SEND or
			       deduplicated); nearly exact where threads send at once */
	uint8_t reserved[64];
};

/*
 * Unix time of an event in nanoseconds. Boot time is compared with the wall
 * clock as it is now, so call it soon after the event; two calls may differ
 * where the wall clock was set or slewed in between, clock_gettime(2). In a time
 * namespace with an offset to CLOCK_BOOTTIME (time_namespaces(7)) it is off by
 * that. 0 if event is NULL. Any thread.
 */
AGENTSH_EBPF_API uint64_t agentsh_ebpf_event_realtime_ns(const struct agentsh_ebpf_event *event);

/*
 * Names for logs: "connect", "udp_send", "connected", ...; "tcp", "udp", "icmp", ... Never NULL;
 * what is not known gives "unknown". Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_kind_name(uint32_t kind);
AGENTSH_EBPF_API const char *agentsh_ebpf_protocol_name(uint16_t protocol);

/* ---- Errors ------------------------------------------------------------- */

/* agentsh_ebpf_error.step: what failed. Only ever added to. */
enum {
	AGENTSH_EBPF_STEP_NONE = 0,
	AGENTSH_EBPF_STEP_OPTIONS = 1,	    /* an argument or an option */
	AGENTSH_EBPF_STEP_MEMORY = 2,	    /* the process's own memory */
	AGENTSH_EBPF_STEP_OBJECT_OPEN = 3,  /* parsing the built-in programs */
	AGENTSH_EBPF_STEP_OBJECT_LOAD = 4,  /* creating maps, loading programs */
	AGENTSH_EBPF_STEP_RING_MAP = 5,	    /* mapping the ring buffer */
	AGENTSH_EBPF_STEP_COUNTERS_MAP = 6, /* mapping the counters */
	AGENTSH_EBPF_STEP_EVENT_FD = 7,	    /* epoll and eventfd descriptors */
	AGENTSH_EBPF_STEP_CGROUP = 8,	    /* looking at the cgroup's descriptor */
	AGENTSH_EBPF_STEP_SESSION_SLOT = 9, /* finding room for one more session */
	AGENTSH_EBPF_STEP_LINK = 10,	    /* attaching a program to the cgroup */
	AGENTSH_EBPF_STEP_STORAGE = 11	    /* writing the session state to the cgroup storage */
};

/*
 * Why an open or attach failed. The caller owns it; it is written in full by
 * each call that gets it, also by one that succeeds (code 0, empty message).
 * Its own wrong size makes the call return -EINVAL and is not written.
 */
struct agentsh_ebpf_error {
	uint32_t size; /* in: sizeof(struct agentsh_ebpf_error) */
	int32_t code;  /* what the call returned: 0 or a negative errno value */
	uint32_t step; /* AGENTSH_EBPF_STEP_ */
	uint32_t reserved;
	char message[256]; /* one line for a person, UTF-8, NUL-terminated: what, value, remedy */
};

/* "options", "link", ...; "unknown" for other numbers. Static storage, any thread. */
AGENTSH_EBPF_API const char *agentsh_ebpf_step_name(uint32_t step);

/* ---- Tracer ------------------------------------------------------------- */

/* agentsh_ebpf_tracer_options.mode */
enum {
	/* trace with the kernel; hooks that it lacks are left out, except required ones */
	AGENTSH_EBPF_MODE_AUTO = 0,
	/* do not trace: open returns -ECANCELED, so that an operator's wish can be passed on as it
	   is */
	AGENTSH_EBPF_MODE_DISABLED = 1,
	/* as AUTO, but every one of hooks is required */
	AGENTSH_EBPF_MODE_REQUIRED = 2,
	/*
	 * No kernel: events are those of agentsh_ebpf_inject(). For tests of hosts;
	 * needs no privilege. Sessions attach to any descriptor.
	 */
	AGENTSH_EBPF_MODE_SYNTHETIC = 3
};

/* agentsh_ebpf_tracer_options.hooks */
enum {
	AGENTSH_EBPF_HOOK_CONNECT = 1, /* connect(): cgroup/connect4 and connect6, kernel 4.17 */
	AGENTSH_EBPF_HOOK_UDP =
		2, /* sendto() and the like: cgroup/sendmsg4 and sendmsg6, kernel 4.18 */
	/*
	 * What became of a connection: sock_ops, and for datagram sockets
	 * cgroup/sock_release (kernel 5.9; left out before). Needs CONNECT.
	 */
	AGENTSH_EBPF_HOOK_LIFECYCLE = 4,
	AGENTSH_EBPF_HOOK_ACCEPT =
		8 /* inbound TCP connections and their end: sock_ops, cgroup/bind4 and bind6 */
};

/*
 * Name of one AGENTSH_EBPF_HOOK_ bit: "connect", "udp", "lifecycle", "accept". Never
 * NULL; any other value gives "unknown". Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_hook_name(uint32_t hook);

/*
 * The AGENTSH_EBPF_HOOK_ bits that this library was built with (CMake option
 * AGENTSH_EBPF_UDP). A tracer treats any other hook like one that the kernel lacks:
 * it is left out unless it is required. Any thread.
 */
AGENTSH_EBPF_API uint32_t agentsh_ebpf_hooks_built(void);

/* agentsh_ebpf_tracer_options.flags */
enum {
	/* UDP_SEND for each datagram, instead of one for each socket and destination */
	AGENTSH_EBPF_OPEN_UDP_NO_DEDUP = 1,
	/* the kernel's own wake-up for each record that finds the reader idle, and no
	   wakeup_delay_us */
	AGENTSH_EBPF_OPEN_NO_MODERATION = 2
};

/* Levels of agentsh_ebpf_log_fn. */
enum { AGENTSH_EBPF_LOG_WARN = 0, AGENTSH_EBPF_LOG_INFO = 1, AGENTSH_EBPF_LOG_DEBUG = 2 };

/*
 * Gets one event; runs inside agentsh_ebpf_poll(), in its thread. The event is
 * the library's and gone when the callback returns. 0 goes on; anything else
 * makes poll return after this event, which counts as delivered; none is lost.
 * It may call attach, detach, inject, wake and stats, but not poll, read or close.
 */
typedef int (*agentsh_ebpf_event_fn)(void *ctx, const struct agentsh_ebpf_event *event);

/*
 * Gets one finished line of libbpf or of this library, without newline; runs
 * inside agentsh_ebpf_tracer_open(), in its thread. It must not call the library.
 */
typedef void (*agentsh_ebpf_log_fn)(void *ctx, int level, const char *text);

/* What to open; zero in every member after size means the default. */
struct agentsh_ebpf_tracer_options {
	uint32_t size;	/* sizeof(struct agentsh_ebpf_tracer_options) */
	uint32_t mode;	/* AGENTSH_EBPF_MODE_ */
	uint32_t hooks; /* AGENTSH_EBPF_HOOK_, or-ed; only these cost anything; 0: CONNECT, and UDP
			   if built in */
	uint32_t flags; /* AGENTSH_EBPF_OPEN_, or-ed */
	uint32_t ring_size;  /* bytes, a power of two, 4096 (or the page size, if larger) to 1 GiB;
				default 1 MiB */
	uint32_t ring_quota; /* percent of the ring that one session's unread events may hold, 1 to
				100; default 25 */
	uint32_t max_sessions;	    /* at a time, 1 to 65536; 128 bytes each; default 4096 */
	uint32_t udp_dedup_entries; /* pairs of socket and destination that are known at a time, 16
				       to 16777216; default 8192 */
	agentsh_ebpf_event_fn
		on_event; /* for agentsh_ebpf_poll(); may be NULL if only read is used */
	void *event_ctx;
	agentsh_ebpf_log_fn on_log; /* may be NULL */
	void *log_ctx;
	uint64_t simulate_missing; /* for tests: AGENTSH_EBPF_CHECK_ bits (1 << n) that are treated
				      as missing */
	uint32_t wakeup_delay_us;  /* while events come faster than this they are waited for
				      together: microseconds,  50 to 1000000; default 1000 */
	uint32_t required_hooks; /* of hooks, those without which open fails; default CONNECT, if it
				    is one of hooks */
};

/*
 * Loads the programs and makes the ring. opts and err may be NULL. On success
 * *out is the caller's, until agentsh_ebpf_tracer_close(); on failure *out is
 * NULL and nothing is left behind.
 *
 * Needs CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN), capabilities(7); the
 * members of an event that are 0 without BTF need CAP_PERFMON and
 * /sys/kernel/btf/vmlinux too, and are left out where either is missing (the
 * log callback says so).
 * Before kernel 5.11 maps count against RLIMIT_MEMLOCK, getrlimit(2); there it
 * is raised: to no limit with CAP_SYS_RESOURCE, else to the hard limit.
 *
 * Any thread. libbpf has one print hook for the process: it is this library's
 * for the length of the call, under a lock, and the earlier one is put back.
 * Messages that other threads cause meanwhile go to the earlier one. A host
 * that calls libbpf_set_print() itself must not do so while a tracer is opened.
 *
 * Where the machine cannot trace, code and message are those of
 * agentsh_ebpf_capability_probe(). A mount of cgroup v2 is not looked for: the
 * host may get a cgroup's descriptor from elsewhere.
 *
 * Returns 0 or, besides the argument errors: -EPERM (capability or seccomp: the
 * message says which), -ENOSYS or -EOPNOTSUPP (kernel feature), -ECANCELED
 * (AGENTSH_EBPF_MODE_DISABLED), -ENOMEM, -EMFILE, -ENFILE, or what bpf(2) gave.
 */
AGENTSH_EBPF_API int agentsh_ebpf_tracer_open(const struct agentsh_ebpf_tracer_options *opts,
					      struct agentsh_ebpf_tracer **out,
					      struct agentsh_ebpf_error *err);

/*
 * Detaches all sessions, drops what is unread, and frees the tracer and its
 * sessions. NULL is allowed. No other call may be running.
 */
AGENTSH_EBPF_API void agentsh_ebpf_tracer_close(struct agentsh_ebpf_tracer *tracer);

/*
 * The AGENTSH_EBPF_HOOK_ bits that the tracer has: those asked for, less what
 * this kernel or this build of the library lacks. 0 if tracer is NULL. Any thread.
 */
AGENTSH_EBPF_API uint32_t agentsh_ebpf_tracer_hooks(const struct agentsh_ebpf_tracer *tracer);

/* ---- Sessions ----------------------------------------------------------- */

struct agentsh_ebpf_session_options {
	uint32_t size; /* sizeof(struct agentsh_ebpf_session_options) */
	uint32_t reserved;
	uint64_t session_id; /* the host's own tag; comes back in every event, need not be unique */
};

/*
 * Traces the cgroup v2 whose directory cgroup_fd is open, and all cgroups below
 * it; a socket belongs to the cgroup in which it was made, cgroups(7). The
 * descriptor stays the caller's and may be closed afterwards. When it returns,
 * every later call is seen. opts and err may be NULL. On success *out is freed
 * by detach or by closing the tracer; on failure *out is NULL.
 *
 * Nested sessions each get their own event. If the process ends, however it
 * ends, the kernel detaches the session (bpf_link, kernel 5.7).
 *
 * Returns 0 or, besides the argument errors: -EBADF (no open descriptor),
 * -ENOTDIR (not a cgroup v2 directory), -ENOENT (the cgroup was removed),
 * -EEXIST (this tracer traces that very cgroup already), -ENOSPC (max_sessions
 * reached, or the kernel's 64 programs a cgroup and hook), -EPERM, -ENOMEM,
 * -EMFILE, or what bpf(2) gave. The tracer stays usable. Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_session_attach(struct agentsh_ebpf_tracer *tracer, int cgroup_fd,
						 const struct agentsh_ebpf_session_options *opts,
						 struct agentsh_ebpf_session **out,
						 struct agentsh_ebpf_error *err);

/*
 * Stops tracing and frees the session. When it returns, no program of it runs
 * for new calls; its events that are unread are delivered by later polls. A
 * cgroup that was removed meanwhile is no error. Before kernel 5.19
 * (c8644cd0efe7) it takes CAP_BPF: without, the programs run on as long as a
 * child that was forked without exec has copies of the descriptors, and the
 * session goes on counting against max_sessions. Returns 0, or -EFAULT. Any
 * thread, also the callback.
 */
AGENTSH_EBPF_API int agentsh_ebpf_session_detach(struct agentsh_ebpf_session *session);

/* ---- Reading ------------------------------------------------------------ */

/*
 * Waits until there are events, at most timeout_ms milliseconds (0: not at all,
 * negative: for ever), and runs the callback for each that is there, at most
 * 4096 a call. Returns their number; 0 after the timeout or a wake; -EINTR when
 * a signal came while it waited; -EINVAL when the tracer has no callback;
 * -EBUSY when another poll or read is running.
 */
AGENTSH_EBPF_API int agentsh_ebpf_poll(struct agentsh_ebpf_tracer *tracer, int timeout_ms);

/*
 * The same stream without a callback: copies up to n events into buf, which is
 * the caller's, and returns their number. n is at least 1; more than 4096 count
 * as 4096. Else as agentsh_ebpf_poll().
 */
AGENTSH_EBPF_API int agentsh_ebpf_read(struct agentsh_ebpf_tracer *tracer,
				       struct agentsh_ebpf_event *buf, size_t n, int timeout_ms);

/*
 * A descriptor for a foreign event loop (poll, epoll, libuv, Go's netpoll):
 * when it is readable, call poll or read with timeout 0; where the loop is
 * edge-triggered, until that returns 0. It stays the
 * tracer's; do nothing else with it. -EFAULT if tracer is NULL.
 */
AGENTSH_EBPF_API int agentsh_ebpf_fd(const struct agentsh_ebpf_tracer *tracer);

/*
 * Makes the poll or read that waits now, or else the next one that would wait,
 * return. Any thread, and safe in a signal handler. Returns 0 or -EFAULT.
 */
AGENTSH_EBPF_API int agentsh_ebpf_wake(struct agentsh_ebpf_tracer *tracer);

/* ---- Statistics --------------------------------------------------------- */

/* Counts since the tracer was opened, or the session attached. */
struct agentsh_ebpf_stats {
	uint32_t size;	     /* in: sizeof(struct agentsh_ebpf_stats) */
	uint32_t sessions;   /* attached now; 1 for a session */
	uint64_t delivered;  /* events handed to the host */
	uint64_t lost;	     /* events that found no room */
	uint64_t lost_quota; /* those of lost that found room, but none for this session: ring_quota
			      */
	uint64_t deduplicated;	  /* datagrams that repeat a known socket and destination */
	uint64_t attach_failures; /* calls to attach that failed; 0 for a session */
	uint64_t
		malformed; /* records that could not be decoded and were skipped; 0 for a session */
};

/*
 * Filled without a system call. Counters that move while they are read may be
 * of slightly different moments; once the session's processes have stopped and
 * all is read, delivered + lost + deduplicated is exactly what they did.
 * Returns 0 or an argument error. Any thread, also the callback.
 */
AGENTSH_EBPF_API int agentsh_ebpf_tracer_stats(const struct agentsh_ebpf_tracer *tracer,
					       struct agentsh_ebpf_stats *out);
AGENTSH_EBPF_API int agentsh_ebpf_session_stats(const struct agentsh_ebpf_session *session,
						struct agentsh_ebpf_stats *out);

/* ---- What this machine can do ------------------------------------------- */

/*
 * What is checked: index into agentsh_ebpf_capabilities.checks, and the number
 * of the bit in its masks. Only ever added to.
 */
enum {
	AGENTSH_EBPF_CHECK_KERNEL = 0, /* release; informative: what works counts, not the number */
	AGENTSH_EBPF_CHECK_BPF = 1,    /* bpf(2) can be called */
	AGENTSH_EBPF_CHECK_USERNS =
		2, /* the capabilities are those of the initial user namespace */
	AGENTSH_EBPF_CHECK_CAP_BPF = 3,	      /* CAP_BPF or CAP_SYS_ADMIN, capabilities(7) */
	AGENTSH_EBPF_CHECK_CAP_NET_ADMIN = 4, /* CAP_NET_ADMIN or CAP_SYS_ADMIN */
	AGENTSH_EBPF_CHECK_CAP_PERFMON = 5,   /* optional; CAP_PERFMON or CAP_SYS_ADMIN */
	AGENTSH_EBPF_CHECK_LOCKDOWN =
		6, /* optional; not locked down to confidentiality, kernel_lockdown(7) */
	AGENTSH_EBPF_CHECK_BTF = 7, /* optional; /sys/kernel/btf/vmlinux */
	AGENTSH_EBPF_CHECK_CGROUP2 =
		8, /* cgroup v2 is mounted where this process sees it, cgroups(7) */
	AGENTSH_EBPF_CHECK_RINGBUF = 9,		/* BPF_MAP_TYPE_RINGBUF, kernel 5.8 */
	AGENTSH_EBPF_CHECK_ARRAY_MMAP = 10,	/* BPF_F_MMAPABLE, kernel 5.5 */
	AGENTSH_EBPF_CHECK_CGROUP_STORAGE = 11, /* BPF_MAP_TYPE_CGROUP_STORAGE, kernel 4.19 */
	AGENTSH_EBPF_CHECK_CGROUP_LINK = 12,	/* BPF_LINK_CREATE for cgroups, kernel 5.7 */
	AGENTSH_EBPF_CHECK_MEMLOCK =
		13, /* a ring of the default size fits; limited before kernel 5.11 */
	AGENTSH_EBPF_CHECK_NOFILE = 14,	  /* descriptors for at least one session */
	AGENTSH_EBPF_CHECK_JIT = 15,	  /* optional; programs are compiled */
	AGENTSH_EBPF_CHECK_CONNECT4 = 16, /* each hook: its program loads and can be attached */
	AGENTSH_EBPF_CHECK_CONNECT6 = 17,
	AGENTSH_EBPF_CHECK_SENDMSG4 = 18,     /* optional */
	AGENTSH_EBPF_CHECK_SENDMSG6 = 19,     /* optional */
	AGENTSH_EBPF_CHECK_SOCK_OPS = 20,     /* optional */
	AGENTSH_EBPF_CHECK_SOCK_RELEASE = 21, /* optional */
	AGENTSH_EBPF_CHECK_BIND4 = 22,	      /* optional */
	AGENTSH_EBPF_CHECK_BIND6 = 23	      /* optional */
};

/* agentsh_ebpf_check.status */
enum {
	AGENTSH_EBPF_STATUS_UNKNOWN =
		0, /* could not be tried, or does not matter; detail says why */
	AGENTSH_EBPF_STATUS_AVAILABLE = 1,
	AGENTSH_EBPF_STATUS_MISSING = 2,   /* not there */
	AGENTSH_EBPF_STATUS_FORBIDDEN = 3, /* there, but this process may not */
	AGENTSH_EBPF_STATUS_SIMULATED = 4  /* treated as missing: simulate_missing */
};

/* agentsh_ebpf_capabilities.cgroup_mode */
enum {
	AGENTSH_EBPF_CGROUP_NONE = 0,  /* no cgroup v2 is mounted */
	AGENTSH_EBPF_CGROUP_PURE = 1,  /* only v2 */
	AGENTSH_EBPF_CGROUP_HYBRID = 2 /* v1 controllers beside it */
};

/* The result of one check. */
struct agentsh_ebpf_check {
	uint32_t status;   /* AGENTSH_EBPF_STATUS_ */
	int32_t error;	   /* errno value, positive; 0 where there was none */
	uint32_t required; /* 1: without it nothing can be traced */
	uint32_t reserved;
	uint64_t value;	  /* KERNEL: as kernel_version; CGROUP2: number of mounts; MEMLOCK: bytes;
			     NOFILE:   descriptors; JIT: bpf_jit_enable; else 0 */
	char detail[104]; /* a sentence for a person with what was found, UTF-8, NUL-terminated */
};

/* The number of checks that fit. */
enum { AGENTSH_EBPF_CHECKS_MAX = 32 };

struct agentsh_ebpf_capabilities {
	uint32_t size;		   /* in: sizeof(struct agentsh_ebpf_capabilities) */
	uint32_t usable;	   /* 1: tracing works here */
	uint64_t simulate_missing; /* in: 1 << AGENTSH_EBPF_CHECK_, for tests; normally 0 */
	uint64_t available;	   /* 1 << AGENTSH_EBPF_CHECK_ of what is AVAILABLE */
	uint64_t missing;	   /* likewise MISSING, FORBIDDEN or SIMULATED */
	uint32_t hooks; /* AGENTSH_EBPF_HOOK_ that work: what a tracer may be opened with here */
	uint32_t count; /* of checks */
	uint32_t kernel_version; /* major << 16 | minor << 8 | patch, each at most 255; 0: not known
				  */
	uint32_t max_sessions;	 /* for which RLIMIT_NOFILE leaves descriptors, all hooks on */
	uint32_t cgroup_mode;	 /* AGENTSH_EBPF_CGROUP_ */
	uint32_t load_only; /* 1: the hooks were loaded, but no cgroup was there to try attaching */
	char kernel_release[64]; /* uname(2) */
	char cgroup2_path[256];	 /* the first mount of cgroup v2; empty: none */
	char cgroup_path[1024];	 /* directory of the caller's own cgroup; empty: not visible here */
	char reason[256];	 /* why it is not usable, one line with the remedy; empty: it is */
	struct agentsh_ebpf_check checks[AGENTSH_EBPF_CHECKS_MAX];
};

/*
 * Tries what a tracer needs, each by doing it: makes the maps, loads the real
 * programs, attaches them for a moment to the caller's own cgroup (where they
 * report nothing) and takes all of it away again. It makes no directory and no
 * pin, so nothing can stay behind, even if the process is killed meanwhile; but
 * before kernel 5.11 it raises RLIMIT_MEMLOCK, as opening does.
 *
 * caps is the caller's; size and simulate_missing are read, all else is written.
 * Needs no privilege: what it may not do is part of the answer. Returns 0, also
 * where nothing works, or an argument error, or -EINVAL for an unknown bit in
 * simulate_missing. Any thread, as often as wanted; it takes some 40 ms, and
 * libbpf's print hook for a moment, see agentsh_ebpf_tracer_open().
 */
AGENTSH_EBPF_API int agentsh_ebpf_capability_probe(struct agentsh_ebpf_capabilities *caps);

/*
 * Where a host can make the cgroups of its sessions: the directory of the
 * caller's own cgroup v2, out of /proc/self/mountinfo and /proc/self/cgroup,
 * proc_pid_mountinfo(5), cgroups(7), so on a hybrid mount too. If no mount shows
 * that cgroup (a container may see another part of the tree), the first mount
 * of cgroup v2 that no other mount hides.
 *
 * path is the caller's, of size bytes, and NUL-terminated on success only; 4096
 * bytes hold every path that the kernel takes. Returns 0, -EFAULT, -ENODEV where
 * no cgroup v2 is mounted, -ENAMETOOLONG, or what reading /proc gave. Any
 * thread, no privilege.
 */
AGENTSH_EBPF_API int agentsh_ebpf_cgroup_path(char *path, size_t size);

/*
 * Stable name of a check ("cap_bpf", "cgroup2", "connect4"), and what an
 * operator can do where it is missing. Never NULL; a number that is not known
 * gives "unknown" and "". Static storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_check_name(uint32_t check);
AGENTSH_EBPF_API const char *agentsh_ebpf_check_hint(uint32_t check);
/* "available", "missing", ...; "unknown" for other numbers. Static storage, any thread. */
AGENTSH_EBPF_API const char *agentsh_ebpf_status_name(uint32_t status);

/*
 * Names with commas between them ("btf,cgroup2") to a mask for simulate_missing.
 * err may be NULL. Returns 0, or -EFAULT, or -EINVAL for a name that is not
 * known; the message lists the known ones. *mask is written only on success.
 */
AGENTSH_EBPF_API int agentsh_ebpf_checks_parse(const char *names, uint64_t *mask,
					       struct agentsh_ebpf_error *err);

/*
 * What an operator says in the environment, for hosts that want to listen; the
 * library itself reads no environment. AGENTSH_EBPF=off, auto or required sets
 * *mode to DISABLED, AUTO or REQUIRED; AGENTSH_EBPF_SIMULATE_MISSING=names sets
 * *simulate_missing. What is not set, or empty, leaves the value as it is. Read
 * with secure_getenv(3), so not in a set-user-ID program. simulate_missing and
 * err may be NULL. Returns 0, -EFAULT, or -EINVAL with a message, and then
 * nothing is changed. Not while another thread calls setenv(3).
 */
AGENTSH_EBPF_API int agentsh_ebpf_mode_from_env(uint32_t *mode, uint64_t *simulate_missing,
						struct agentsh_ebpf_error *err);

/* ---- What a tracer sees -------------------------------------------------- */

/* Ways to the network: the number of the bit in agentsh_ebpf_coverage. Only ever added to. */
enum {
	AGENTSH_EBPF_COVERAGE_TCP_CONNECT = 0,
	AGENTSH_EBPF_COVERAGE_TCP_FASTOPEN =
		1, /* sendto() with MSG_FASTOPEN, TCP_FASTOPEN_CONNECT */
	AGENTSH_EBPF_COVERAGE_MPTCP_CONNECT = 2,
	AGENTSH_EBPF_COVERAGE_UDP_CONNECT = 3,
	AGENTSH_EBPF_COVERAGE_UDP_SEND =
		4, /* with a destination: sendto(), sendmsg(), sendmmsg() */
	AGENTSH_EBPF_COVERAGE_UDP_SEND_CONNECTED = 5, /* without: send() after connect() */
	AGENTSH_EBPF_COVERAGE_UDPLITE_CONNECT = 6,
	AGENTSH_EBPF_COVERAGE_UDPLITE_SEND = 7,
	AGENTSH_EBPF_COVERAGE_PING_CONNECT = 8, /* ICMP datagram sockets, icmp(7) */
	AGENTSH_EBPF_COVERAGE_PING_SEND = 9,
	AGENTSH_EBPF_COVERAGE_SCTP = 10,
	AGENTSH_EBPF_COVERAGE_RAW = 11,	   /* raw(7), CAP_NET_RAW */
	AGENTSH_EBPF_COVERAGE_PACKET = 12, /* packet(7), CAP_NET_RAW */
	AGENTSH_EBPF_COVERAGE_IO_URING_CONNECT =
		13, /* io_uring(7), on the kinds of sockets that are seen */
	AGENTSH_EBPF_COVERAGE_IO_URING_SEND = 14,
	AGENTSH_EBPF_COVERAGE_UNIX = 15,  /* unix(7): not a network, but a way to a proxy */
	AGENTSH_EBPF_COVERAGE_VSOCK = 16, /* vsock(7): from a virtual machine to its host */
	AGENTSH_EBPF_COVERAGE_EARLIER_SOCKET =
		17, /* made before its process came into the cgroup */
	AGENTSH_EBPF_COVERAGE_PASSED_SOCKET =
		18, /* made outside and handed in, SCM_RIGHTS or fork() */
	AGENTSH_EBPF_COVERAGE_LEFT_SOCKET = 19, /* made inside, by a process that has left since */
	/* what is told beyond the attempt */
	AGENTSH_EBPF_COVERAGE_TCP_OUTCOME = 20,	   /* CONNECTED, CONNECT_FAILED, CLOSED */
	AGENTSH_EBPF_COVERAGE_DATAGRAM_CLOSE = 21, /* CLOSED of a datagram socket */
	AGENTSH_EBPF_COVERAGE_TCP_ACCEPT = 22	   /* ACCEPTED */
};

struct agentsh_ebpf_coverage {
	uint32_t size;	/* in: sizeof(struct agentsh_ebpf_coverage) */
	uint32_t count; /* ways that this library knows: bits 0 to count - 1 */
	uint64_t seen;	/* 1 << AGENTSH_EBPF_COVERAGE_: an event, by rule of the tracer's options */
	uint64_t implied; /* no event of its own, but an earlier one named the destination */
	uint64_t unseen;  /* no event */
};

/*
 * Which ways to the network this tracer sees on this kernel. Returns 0, an
 * argument error, or -EOPNOTSUPP for a synthetic tracer. Any thread.
 */
AGENTSH_EBPF_API int agentsh_ebpf_coverage(const struct agentsh_ebpf_tracer *tracer,
					   struct agentsh_ebpf_coverage *out);

/*
 * Stable name of a way ("tcp_connect") and a sentence on how it is seen, or why
 * not. Never NULL; a number that is not known gives "unknown" and "". Static
 * storage, any thread.
 */
AGENTSH_EBPF_API const char *agentsh_ebpf_coverage_name(uint32_t way);
AGENTSH_EBPF_API const char *agentsh_ebpf_coverage_note(uint32_t way);

/* ---- Tests of hosts ----------------------------------------------------- */

/*
 * Puts a copy of an event into a tracer of AGENTSH_EBPF_MODE_SYNTHETIC; it comes
 * out as a real one does. session_id and session_lost are the library's, and so
 * is timestamp_ns where it is 0. Reserved bytes are not carried. Returns 0;
 * -ENOBUFS when it found no room and was counted as lost (so that a full ring
 * can be tested); -EOPNOTSUPP for another kind of tracer; -ERANGE for a kind
 * above 255 or a flag above 16 bits. Any thread, also the callback.
 */
AGENTSH_EBPF_API int agentsh_ebpf_inject(struct agentsh_ebpf_session *session,
					 const struct agentsh_ebpf_event *event);

/* "1.0.0": the version of the library that runs. Static storage, any thread. */
AGENTSH_EBPF_API const char *agentsh_ebpf_version(void);

#ifdef __cplusplus
}
#endif

#endif
