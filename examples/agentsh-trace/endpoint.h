/* SPDX-License-Identifier: Apache-2.0 */
/* Formats the ends of a connection as text. Writes nothing. */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <agentsh/ebpf.h>

#include "format_text.h"

/* The flags that have a note. */
#define ENDPOINT_NOTED                                                                             \
	(AGENTSH_EBPF_FLAG_SOURCE_ROUTED | AGENTSH_EBPF_FLAG_UNSPECIFIED |                         \
	 AGENTSH_EBPF_FLAG_UNTRACKED)

/* Appends "192.0.2.1:80", "[2001:db8::1]:80" or, with an interface, "[fe80::1%eth0]:80". */
void endpoint_remote(struct text *t, const struct format_text_style *style,
		     const struct agentsh_ebpf_event *event);
/* The same without the port and the brackets. */
void endpoint_remote_host(struct text *t, const struct format_text_style *style,
			  const struct agentsh_ebpf_event *event);
void endpoint_local(struct text *t, const struct agentsh_ebpf_event *event);

/* Appends what the address does not tell, such as " (source-routed)". */
void endpoint_notes(struct text *t, const struct agentsh_ebpf_event *event);

#endif
