/* SPDX-License-Identifier: Apache-2.0 */
/* Restrictions of a host: each function applies one to the calling process. */
#ifndef HOST_LIMITS_H
#define HOST_LIMITS_H

#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define CAP(name) (1ULL << (name))
#define CAPS_ALL (~0ULL)
#define CAPS_BPF_AND_NET (CAP(CAP_BPF) | CAP(CAP_NET_ADMIN))

/* All functions return 0, or -1 and errno. */

/* Keeps only these capabilities. */
int host_keep_caps(uint64_t caps);
/* Makes all permitted capabilities effective (1) or ineffective (0). */
int host_switch_caps(int on);
int host_nobody(void); /* becomes another user with root's capabilities */

/* Makes every bpf(2), or one command of bpf(2), fail with this errno value. */
int host_refuse_bpf(int error);
int host_refuse_bpf_command(int command, int error);

/* Enters a new mount namespace and mounts an empty directory, or /dev/null, over path. */
int host_hide(const char *path);
int host_hide_file(const char *path);
int host_own_mounts(void);

int host_userns(void); /* with a uid_map, as in a rootless container */
int host_userns_unmapped(void);

/* Sets RLIMIT_MEMLOCK to one page. */
int host_little_memlock(void);
/* Lowers RLIMIT_NOFILE until this many descriptors are left. */
int host_descriptors(unsigned int left);

/*
 * Attaches a program that does nothing to the cgroup, with these flags of BPF_PROG_ATTACH.
 * Returns the program's descriptor, or -1 and errno.
 */
int host_attach_other(int cgroup_fd, uint32_t attach_type, uint32_t flags);
/*
 * The same with a program of this name that returns verdict: at most attach types 0 refuses the
 * call with EPERM.
 */
#define HOST_FIREWALL "test_firewall"
int host_attach_firewall(int cgroup_fd, uint32_t attach_type, uint32_t flags, int verdict);
/* The same with a program of these instructions. */
struct bpf_insn;
int host_attach_program(int cgroup_fd, uint32_t attach_type, uint32_t flags,
			const struct bpf_insn *code, size_t count);

/* Whether the kernel refuses to show which programs are in effect for the cgroup. */
bool host_reads_no_programs(int cgroup_fd);

/*
 * Removes the limit of locked memory; a failure fails the test. Before 5.11 maps count against
 * the limit, and whoever starts a host without CAP_SYS_RESOURCE has to do this for it.
 */
void host_memlock_unlimited(void);

#endif
