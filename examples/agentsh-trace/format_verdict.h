/* SPDX-License-Identifier: Apache-2.0 */
/* Formats what the rules say of an attempt as text. No I/O. */
#ifndef FORMAT_VERDICT_H
#define FORMAT_VERDICT_H

#include "format_text.h"

/*
 * Appends "  denied: --deny 192.0.2.0/24" or " (would deny: --default=deny)"; nothing if the rules
 * allow the attempt.
 */
void format_verdict(struct text *t, const struct format_text_style *style,
		    const struct agentsh_ebpf_event *event);

/* Appends "raw socket of IPv4", for an event SOCKET_DENIED, and the verdict. */
void format_verdict_socket(struct text *t, const struct format_text_style *style,
			   const struct agentsh_ebpf_event *event);

#endif
