/* SPDX-License-Identifier: Apache-2.0 */
/* Formats the end of a trace as text. Writes nothing. */
#ifndef FORMAT_SUMMARY_H
#define FORMAT_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#include "format_text.h"
#include "text.h"

struct agentsh_ebpf_stats;
struct destination_row;
struct summary;

/* Appends one or two lines. hooks: the AGENTSH_EBPF_HOOK_ bits that were active. */
void format_summary(struct text *t, const struct format_text_style *style,
		    const struct agentsh_ebpf_stats *stats, const struct summary *summary,
		    uint32_t hooks);

/* Widths of the columns of the summary by destination. */
struct format_summary_widths {
	size_t process, destination;
};

/* The widths that these rows need. */
struct format_summary_widths format_summary_widths(const struct format_text_style *style,
						   const struct destination_row *const *rows,
						   size_t n);

/* Appends one line: the header, or one row of the summary by destination. */
void format_summary_header(struct text *t, const struct format_text_style *style,
			   struct format_summary_widths widths);
void format_summary_row(struct text *t, const struct format_text_style *style,
			struct format_summary_widths widths, const struct destination_row *row,
			uint32_t hooks);

#endif
