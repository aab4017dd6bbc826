/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests share: a synthetic tracer, events, and exact comparison. */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <check.h>

#include <agentsh/ebpf.h>

#define UNIT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Longer than any machine under load and valgrind needs; reached in a failure only. */
#define UNIT_DEADLINE_MS 20000

/*
 * What one record takes of a ring: its 160 bytes, or 200 with an outcome, and
 * the kernel's header. Written down here once more, so that a change is seen.
 */
#define UNIT_ROOM 168
#define UNIT_ROOM_OUTCOME 208
#define UNIT_RING_SMALL 4096

/* The kernel never fills a ring's last byte. */
#define UNIT_CAPACITY(ring) (((ring)-1) / UNIT_ROOM)

/* Runs the suite, each test in a process of its own; the exit status. */
int unit_main(Suite *suite);
TCase *unit_case(Suite *suite, const char *name);

/* ---- tracer and sessions ------------------------------------------------ */

/* Synthetic, whatever mode says; opts may be NULL. All assert success. */
struct agentsh_ebpf_tracer *unit_open(const struct agentsh_ebpf_tracer_options *opts);
/* A ring of these bytes, all of which one session may have. */
struct agentsh_ebpf_tracer *unit_open_ring(uint32_t ring_size);
struct agentsh_ebpf_session *unit_attach(struct agentsh_ebpf_tracer *tracer, uint64_t session_id);

struct agentsh_ebpf_stats unit_tracer_stats(const struct agentsh_ebpf_tracer *tracer);
struct agentsh_ebpf_stats unit_session_stats(const struct agentsh_ebpf_session *session);

/* ---- events ------------------------------------------------------------- */

uint64_t unit_random(void); /* the same sequence in each run */
uint32_t unit_below(uint32_t limit);

/* A plain event that carries a number (in socket_cookie), and no outcome. */
struct agentsh_ebpf_event unit_event(uint64_t number);
/* Every byte that a host may set is random; with some, all or no outcome members. */
struct agentsh_ebpf_event unit_random_event(void);
bool unit_has_outcome(const struct agentsh_ebpf_event *event);

int unit_inject(struct agentsh_ebpf_session *session, uint64_t number);
/* Until it is full; how many went in. */
uint32_t unit_fill(struct agentsh_ebpf_session *session);
/* Reads until there is nothing; how many came. */
uint32_t unit_drain(struct agentsh_ebpf_tracer *tracer);

/* The event as it must come out, all 256 bytes of it. */
void unit_expect_event(const struct agentsh_ebpf_event *got, const struct agentsh_ebpf_event *put,
		       uint64_t session_id, uint64_t session_lost);

/* ---- errors ------------------------------------------------------------- */

/* err->code, step and a message of one readable line that has this text in it. */
void unit_expect_error(const struct agentsh_ebpf_error *err, int code, uint32_t step,
		       const char *text);
/* As after a call that succeeded. */
void unit_expect_no_error(const struct agentsh_ebpf_error *err);

/* ---- the process -------------------------------------------------------- */

int unit_open_fds(void);
uint64_t unit_now_ns(void); /* CLOCK_MONOTONIC */
void unit_sleep_ms(unsigned int ms);

/* Whether a sanitizer owns the address space, so that limits to it make no sense. */
bool unit_sanitized(void);

#endif
