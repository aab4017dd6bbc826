/* SPDX-License-Identifier: Apache-2.0 */
/* The links of a session, and its state in the cgroup storage. */
#ifndef AGENTSH_TRACER_LINKS_H
#define AGENTSH_TRACER_LINKS_H

#include <stdbool.h>
#include <stdint.h>

struct agentsh_ebpf_error;
struct agentsh_ebpf_tracer;
struct agentsh_program;
struct agentsh_session;
struct agentsh_session_state;

/*
 * Attaches all programs of the tracer to the cgroup, then writes the session's state. flags
 * are AGENTSH_EBPF_ATTACH_ bits.
 */
int agentsh_session_link(struct agentsh_session *s, int cgroup_fd, uint32_t flags,
			 struct agentsh_ebpf_error *err);
/*
 * Undoes agentsh_session_link(). Returns false if the programs could not be silenced and
 * may still count.
 */
bool agentsh_session_unlink(const struct agentsh_session *s);

/*
 * Closes this process's copies of the descriptors, that of the cgroup included, and leaves the
 * links as they are.
 */
void agentsh_session_close_links(const struct agentsh_session *s);

/*
 * Number of storage maps of a session: one if all programs share it, else one per program.
 * The first programs of the tracer hold them.
 */
uint32_t agentsh_session_state_maps(const struct agentsh_ebpf_tracer *t);
/* Reads the state that a program reads. Returns 0 or a negative errno value. */
int agentsh_session_state_read(const struct agentsh_session *s, const struct agentsh_program *p,
			       struct agentsh_session_state *state);

#endif
