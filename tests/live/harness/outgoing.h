/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packets that leave on lo of the caller's network namespace, as a packet socket sees them:
 * behind everything that may drop a packet on its way out.
 */
#ifndef OUTGOING_H
#define OUTGOING_H

#include <stdint.h>

#include <agentsh/ebpf.h>

/* live_fn: begins to look at the packets of this namespace. */
void outgoing_begin(const void *unused, void *unused_out);
/*
 * Returns the number of packets to this address that have left since the last call. Port 0 stands
 * for every port. Forgets all other packets.
 */
uint32_t outgoing_count(const struct agentsh_ebpf_address *to);
/* live_fn: outgoing_count() in a worker. */
void outgoing_count_call(const void *address, void *count);

#endif
