/* SPDX-License-Identifier: Apache-2.0 */
/* Formats names and DNS messages as text for a terminal. No I/O. */
#ifndef FORMAT_NAMES_H
#define FORMAT_NAMES_H

#include "format_text.h"
#include "names.h"

/* Appends a domain name or a path, in which the library has escaped special bytes. */
void format_name(struct text *t, const struct format_text_style *style, const char *name);

/* Appends what the name does not tell, such as " (or 2 others)"; nothing for most names. */
void format_names_notes(struct text *t, const struct format_text_style *style,
			const struct agentsh_ebpf_event *event,
			const struct agentsh_ebpf_name *name);

/* Appends what the event is about, instead of a remote end; see names_are_subject(). */
void format_names_question(struct text *t, const struct format_text_style *style,
			   const struct agentsh_ebpf_event *event, const struct names *names);
void format_names_path(struct text *t, const struct format_text_style *style,
		       const struct agentsh_ebpf_name *name);

/* Append what follows it in the row: the answer, or the server name. */
void format_names_answer(struct text *t, const struct format_text_style *style,
			 const struct agentsh_ebpf_event *event, const struct names *names);
void format_names_server(struct text *t, const struct format_text_style *style,
			 const struct agentsh_ebpf_name *name);

#endif
