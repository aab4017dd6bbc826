/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sockets, in which the programs keep what later events need. */
#ifndef AGENTSH_TRACER_SOCKETS_H
#define AGENTSH_TRACER_SOCKETS_H

struct agentsh_session;

/* Removes the sockets of a session whose programs no longer run, and whose slot is free. */
void agentsh_sockets_forget(const struct agentsh_session *s);

#endif
