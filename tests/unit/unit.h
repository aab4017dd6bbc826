/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the unit tests: a synthetic tracer, events, and exact comparison. */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <check.h>

#include <agentsh/ebpf.h>

#define UNIT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Longer than a wait takes under load and valgrind; only a failing test waits so long. */
#define UNIT_DEADLINE_MS 20000

/*
 * Bytes that one record takes in a ring: its 192 bytes, or 240 with an outcome, and the
 * kernel's header. The numbers are repeated here so that a change is noticed.
 */
#define UNIT_RING_BYTES 200
#define UNIT_RING_BYTES_JUDGED 208
#define UNIT_RING_BYTES_OUTCOME 248
#define UNIT_RING_SMALL 4096

/* The kernel never fills the last byte of a ring. */
#define UNIT_CAPACITY(ring) (((ring)-1) / UNIT_RING_BYTES)

/* Runs the suite, each test in a separate process; returns the exit status. */
int unit_main(Suite *suite);
TCase *unit_case(Suite *suite, const char *name);

/* ---- tracer and sessions ------------------------------------------------ */

/*
 * Opens a synthetic tracer, whatever opts->mode is; opts may be NULL. All of these
 * functions assert success.
 */
struct agentsh_ebpf_tracer *unit_open(const struct agentsh_ebpf_tracer_options *opts);
/* Opens a tracer with this ring size and a quota of all of it. */
struct agentsh_ebpf_tracer *unit_open_ring(uint32_t ring_size);
struct agentsh_ebpf_session *unit_attach(struct agentsh_ebpf_tracer *tracer, uint64_t session_id);

struct agentsh_ebpf_stats unit_tracer_stats(const struct agentsh_ebpf_tracer *tracer);
struct agentsh_ebpf_stats unit_session_stats(const struct agentsh_ebpf_session *session);

/* ---- events ------------------------------------------------------------- */

uint64_t unit_random(void); /* the same sequence in every run */
uint32_t unit_below(uint32_t limit);

/* A plain event with a number in socket_cookie and without an outcome. */
struct agentsh_ebpf_event unit_event(uint64_t number);
/*
 * An event in which every byte that a host may set is random; some, all or none of the
 * outcome members are set; if none is, the event has a verdict.
 */
struct agentsh_ebpf_event unit_random_event(void);
bool unit_has_outcome(const struct agentsh_ebpf_event *event);
/* Bytes that the event takes in the ring. */
uint32_t unit_ring_bytes(const struct agentsh_ebpf_event *event);

int unit_inject(struct agentsh_ebpf_session *session, uint64_t number);
/* Injects events until the ring is full; returns their number. */
uint32_t unit_fill(struct agentsh_ebpf_session *session);
/* Reads until the ring is empty; returns the number of events. */
uint32_t unit_drain(struct agentsh_ebpf_tracer *tracer);

/* Asserts that got is put as it must be delivered, in all of its 256 bytes. */
void unit_expect_event(const struct agentsh_ebpf_event *got, const struct agentsh_ebpf_event *put,
		       uint64_t session_id, uint64_t session_lost);

/* ---- errors ------------------------------------------------------------- */

/* Asserts code, step, and a message of one readable line that contains text. */
void unit_expect_error(const struct agentsh_ebpf_error *err, int code, uint32_t step,
		       const char *text);
/* Asserts that err is in the state after a call that succeeded. */
void unit_expect_no_error(const struct agentsh_ebpf_error *err);

/* ---- the process -------------------------------------------------------- */

int unit_open_fds(void);
uint64_t unit_now_ns(void); /* CLOCK_MONOTONIC */
void unit_sleep_ms(unsigned int ms);

/* Whether a sanitizer owns the address space, so that limiting it makes no sense. */
bool unit_sanitized(void);

#endif
