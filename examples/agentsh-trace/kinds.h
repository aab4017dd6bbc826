/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of events: their names, and the hooks that tell of them. No I/O. */
#ifndef KINDS_H
#define KINDS_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* Sets of kinds have the bit 1 << AGENTSH_EBPF_EVENT_ for each. */
bool kinds_have(uint32_t kinds, uint32_t kind);

/* All but inbound connections. */
uint32_t kinds_default(void);

/*
 * Names with commas between them. False: the first one that is not known is at
 * *bad, *length bytes long.
 */
bool kinds_parse(const char *list, uint32_t *kinds, const char **bad, int *length);

/* The names of all of them, with commas between them. */
void kinds_names(struct text *t, uint32_t kinds);

/* The name of one: "connect", and "net_connect" in JSON; NULL if it is not known. */
const char *kinds_name(uint32_t kind);
const char *kinds_json_type(uint32_t kind);

/* AGENTSH_EBPF_HOOK_ bits to be loaded, and those of them without which nothing would be shown. */
uint32_t kinds_hooks(uint32_t kinds);
uint32_t kinds_required_hooks(uint32_t kinds);

/* Those of kinds that these hooks do not tell of. */
uint32_t kinds_without(uint32_t kinds, uint32_t hooks);

/* "connect", "udp", "lifecycle", "accept", by the number of the bit; NULL beyond the last one. */
const char *kinds_hook_name(unsigned bit);

#endif
