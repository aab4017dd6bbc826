/* SPDX-License-Identifier: Apache-2.0 */
/* Event types: parsing --events, their names, and the hooks that they need. No I/O. */
#ifndef EVENT_TYPES_H
#define EVENT_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* A set of event types has the bit 1 << AGENTSH_EBPF_EVENT_ for each member. */
bool event_types_have(uint32_t types, uint32_t kind);

/* Whether this program can show events of this kind. */
bool event_types_known(uint32_t kind);

/* Every type except inbound connections, first data, progress, names and AF_UNIX sockets. */
uint32_t event_types_default(void);

/*
 * Parses comma-separated names. On failure returns false and sets *bad and *length
 * to the first unknown name.
 */
bool event_types_parse(const char *list, uint32_t *types, const char **bad, int *length);

/* Appends the names of all members, separated by ", ". */
void event_types_names(struct text *t, uint32_t types);

/* Whether events of this kind are reported with these hooks. */
bool event_types_reported(uint32_t kind, uint32_t hooks);

/* AGENTSH_EBPF_HOOK_ bits that give these types names; 0: their events have none. */
uint32_t event_types_name_hooks(uint32_t types);

/* AGENTSH_EBPF_HOOK_ bits to load for these types. */
uint32_t event_types_hooks(uint32_t types);

/* The subset of event_types_hooks() without which none of these types could be shown. */
uint32_t event_types_required_hooks(uint32_t types);

/* The members of types that these hooks do not report. */
uint32_t event_types_without(uint32_t types, uint32_t hooks);

#endif
