/* SPDX-License-Identifier: Apache-2.0 */
/* What is attached to the cgroup of the worker, and how events are read. */
#ifndef BENCH_VARIANT_H
#define BENCH_VARIANT_H

#include <stddef.h>
#include <stdint.h>

struct variant {
	const char *name;
	/* Loads with a ring of this size in bytes. NULL in variant (a). */
	void *(*open)(size_t ring_size);
	void (*attach)(void *state, int cgroup_fd);
	/* Waits for events, touches their bytes, returns their number. NULL: no events. */
	long (*consume)(void *state, int timeout_ms);
	/* Number of lost events as the variant counts it; UINT64_MAX: it does not count. */
	uint64_t (*lost)(void *state);
	void (*close)(void *state);
};

extern const struct variant variant_none;    /* (a) */
extern const struct variant variant_empty;   /* (b) */
extern const struct variant variant_minimal; /* (c): the kernel's default wake-up */
extern const struct variant variant_quiet;   /* (q): as (c), without wake-ups */
extern const struct variant variant_sockops; /* (s): an empty sockops program */
extern const struct variant variant_packets; /* (e): empty packet programs, both directions */
extern const struct variant variant_egress;  /* (e): an empty program for sent packets */

/* (d) The library. One session may use the whole ring, as in the baselines. */
extern const struct variant variant_ours;
extern const struct variant variant_ours_10ms;	     /* wakeup_delay_us 10000 */
extern const struct variant variant_ours_each;	     /* AGENTSH_EBPF_OPEN_NO_MODERATION */
extern const struct variant variant_ours_read;	     /* agentsh_ebpf_read() of 256 */
extern const struct variant variant_ours_read_small; /* of 32 */
extern const struct variant variant_ours_default;    /* ring_quota of 25, the default */
extern const struct variant variant_ours_lifecycle;  /* CONNECT and LIFECYCLE */
extern const struct variant variant_ours_tracked;    /* and UDP, all with the table of sockets */
extern const struct variant variant_ours_traffic;    /* and TRAFFIC */
extern const struct variant variant_ours_dns;	     /* as tracked, and DNS */
extern const struct variant variant_ours_names;	     /* and SERVER_NAME */
extern const struct variant variant_ours_udp;	     /* CONNECT and UDP */
extern const struct variant variant_ours_unruled;    /* and RULES; the session has no rules */
extern const struct variant variant_ours_1000_rules; /* and the session has rules */
extern const struct variant variant_ours_10000_rules;
extern const struct variant variant_ours_egress; /* RULES and EGRESS; the session has no rules */
extern const struct variant variant_ours_egress_1000; /* and rules that judge packets */
extern const struct variant variant_ours_egress_10000;

/* Receives the delays from event to reader; NULL: delays are not recorded. */
struct delays {
	uint32_t *ns;
	size_t n, room;
};

extern struct delays *variant_delays;

/* Reads as many bytes as a record has: the same work in every consumer. */
void touch(const void *bytes, uint64_t timestamp_ns);

#endif
