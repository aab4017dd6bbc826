/* SPDX-License-Identifier: Apache-2.0 */
/* The results of the checks, and the table of their names, messages and remedies. */
#ifndef AGENTSH_CHECKS_CHECKS_H
#define AGENTSH_CHECKS_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#define AGENTSH_CHECK_COUNT 30

/*
 * The checks without which bpf(2) is not even called to create a map. They include the
 * number of descriptors, because libbpf would take its failed trial calls for missing
 * kernel features until the process ends.
 */
#define AGENTSH_CHECKS_FOR_CALL                                                                    \
	(1ULL << AGENTSH_EBPF_CHECK_BPF | 1ULL << AGENTSH_EBPF_CHECK_USERNS |                      \
	 1ULL << AGENTSH_EBPF_CHECK_CAP_BPF | 1ULL << AGENTSH_EBPF_CHECK_CAP_NET_ADMIN |           \
	 1ULL << AGENTSH_EBPF_CHECK_NOFILE)
/* The checks without which no program is loaded. */
#define AGENTSH_CHECKS_FOR_LOAD                                                                    \
	(AGENTSH_CHECKS_FOR_CALL | 1ULL << AGENTSH_EBPF_CHECK_MEMLOCK |                            \
	 1ULL << AGENTSH_EBPF_CHECK_RINGBUF | 1ULL << AGENTSH_EBPF_CHECK_ARRAY_MMAP |              \
	 1ULL << AGENTSH_EBPF_CHECK_CGROUP_STORAGE)

/* Clears caps. simulate has the bits of the checks that are treated as missing. */
void agentsh_checks_begin(struct agentsh_ebpf_capabilities *caps, uint64_t simulate);

/* Records one result, unless simulation overrides it. */
__attribute__((format(printf, 5, 6))) void agentsh_check_set(struct agentsh_ebpf_capabilities *caps,
							     uint32_t check, uint32_t status,
							     int error, const char *format, ...);
/*
 * Records one result with the table's message for a missing check, unless simulation
 * overrides it.
 */
void agentsh_check_set_lacking(struct agentsh_ebpf_capabilities *caps, uint32_t check,
			       uint32_t status);
/* Records every check that simulation makes missing, even if it was not tried. */
void agentsh_checks_simulate(struct agentsh_ebpf_capabilities *caps);

bool agentsh_check_missing(const struct agentsh_ebpf_capabilities *caps, uint32_t check);
/* The first missing check of a set of bits, or -1. */
int agentsh_checks_first_missing(const struct agentsh_ebpf_capabilities *caps, uint64_t checks);
/* Records that a check was not tried, because another one is missing. */
void agentsh_check_not_tried(struct agentsh_ebpf_capabilities *caps, uint32_t check,
			     uint32_t because);
/* MISSING, or FORBIDDEN for EPERM and EACCES. */
uint32_t agentsh_check_status_of(int error);

/*
 * Fills reason. Returns 0, or the negative errno value of the first required check that is
 * missing.
 */
int agentsh_checks_reason(struct agentsh_ebpf_capabilities *caps);
/* Fills available, missing, reason and usable. */
void agentsh_checks_summarize(struct agentsh_ebpf_capabilities *caps);

#endif
