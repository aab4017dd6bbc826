/* SPDX-License-Identifier: Apache-2.0 */
/* Reads uname(2) and capget(2). */
#ifndef AGENTSH_BASE_SYSTEM_H
#define AGENTSH_BASE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef CAP_PERFMON /* linux/capability.h of kernel 5.8 */
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define AGENTSH_BTF_PATH "/sys/kernel/btf/vmlinux"

/* A version in the form of agentsh_ebpf_capabilities.kernel_version. */
#define AGENTSH_KERNEL(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor) << 8)

/* Returns the version in a release such as "6.1.0-13-amd64"; 0 if it has none. */
uint32_t agentsh_parse_kernel_version(const char *release);

/* Returns the running kernel's version; 0 if its release cannot be parsed. release may be NULL. */
uint32_t agentsh_kernel_version(char *release, size_t size);

/* Whether the kernel charges maps and programs to RLIMIT_MEMLOCK: before 5.11 (97306be45fbe). */
bool agentsh_kernel_charges_memlock(void);

/*
 * Whether no two sockets of the machine have the same cookie: since 5.10 (92acdc58ab11).
 * Earlier, this was true within a network namespace only.
 */
bool agentsh_kernel_has_unique_cookies(void);

/*
 * Returns the calling thread's effective capabilities, 1 << CAP_; they are valid in its
 * own user namespace.
 */
uint64_t agentsh_effective_capabilities(void);

#endif
