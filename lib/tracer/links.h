/* SPDX-License-Identifier: Apache-2.0 */
/* The links of a session, and its state in the cgroup storage. */
#ifndef AGENTSH_TRACER_LINKS_H
#define AGENTSH_TRACER_LINKS_H

#include <stdbool.h>

struct agentsh_ebpf_error;
struct agentsh_session;

/* Attaches all programs of the tracer to the cgroup, then writes the session's state. */
int agentsh_session_link(struct agentsh_session *s, int cgroup_fd, struct agentsh_ebpf_error *err);
/*
 * Undoes agentsh_session_link(). Returns false if the programs could not be silenced and
 * may still count.
 */
bool agentsh_session_unlink(const struct agentsh_session *s);

/* Closes this process's copies of the descriptors, and leaves the links as they are. */
void agentsh_session_close_links(const struct agentsh_session *s);

#endif
