/* SPDX-License-Identifier: Apache-2.0 */
/* Checks options structs of any size and fills in the defaults. */
#ifndef AGENTSH_TRACER_OPTIONS_H
#define AGENTSH_TRACER_OPTIONS_H

#include <stdint.h>

#include <agentsh/ebpf.h>

#define AGENTSH_RING_SIZE_DEFAULT (1U << 20)
/* All flags of a set of rules. */
#define AGENTSH_RULES_FLAGS                                                                        \
	(AGENTSH_EBPF_RULES_AUDIT | AGENTSH_EBPF_RULES_REFUSE |                                    \
	 AGENTSH_EBPF_RULES_STRICT_SOCKETS | AGENTSH_EBPF_RULES_EGRESS)

int agentsh_tracer_options_check(const struct agentsh_ebpf_tracer_options *from,
				 struct agentsh_ebpf_tracer_options *to,
				 struct agentsh_ebpf_error *err);
int agentsh_session_options_check(const struct agentsh_ebpf_session_options *from,
				  struct agentsh_ebpf_session_options *to,
				  struct agentsh_ebpf_error *err);

int agentsh_rules_options_check(const struct agentsh_ebpf_rules_options *from,
				struct agentsh_ebpf_rules_options *to,
				struct agentsh_ebpf_error *err);

#endif
