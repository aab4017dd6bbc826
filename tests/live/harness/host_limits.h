/* SPDX-License-Identifier: Apache-2.0 */
/* What a host may lack: each function takes something away from the calling process. */
#ifndef HOST_LIMITS_H
#define HOST_LIMITS_H

#include <linux/capability.h>
#include <stdint.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define CAP(name) (1ULL << (name))
#define CAPS_ALL (~0ULL)

/* 0, or -1 and errno, all of them. */

/* Keeps these capabilities only. */
int host_keep_caps(uint64_t caps);
/* Switches all off, and what is permitted on again. */
int host_switch_caps(int on);
int host_nobody(void); /* with the capabilities that root has */

/* Every bpf(2), or one command of it (the number), fails with this errno. */
int host_refuse_bpf(int error);
int host_refuse_bpf_command(int command, int error);

/* In a mount namespace of its own: an empty directory, or /dev/null, over path. */
int host_hide(const char *path);
int host_hide_file(const char *path);
int host_own_mounts(void);

int host_userns(void); /* with a map: as in a rootless container */
int host_userns_unmapped(void);

/* RLIMIT_NOFILE such that this many descriptors are free. */
int host_little_memlock(void);
int host_descriptors(unsigned int left);

/* One program that does nothing at this cgroup's hook; flags of BPF_PROG_ATTACH. Its descriptor. */
int host_attach_other(int cgroup_fd, uint32_t attach_type, uint32_t flags);

#endif
