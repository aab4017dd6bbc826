/* SPDX-License-Identifier: Apache-2.0 */
/* Appends the members of JSON lines that come from names and DNS messages. No I/O. */
#ifndef FORMAT_JSON_NAMES_H
#define FORMAT_JSON_NAMES_H

#include "names.h"
#include "text.h"

/*
 * Most bytes that these members take: three names, the protocols of ALPN and the addresses,
 * of which each byte of a name can take six.
 */
#define FORMAT_JSON_NAMES_MAX                                                                      \
	(6 * sizeof(struct agentsh_ebpf_name) + NAMES_ADDRESSES_MAX * (size_t)64 + 2048)

/* names NULL: the members about the destination are left out. */
void format_json_names(struct text *t, const struct agentsh_ebpf_event *event,
		       const struct names *names);

#endif
