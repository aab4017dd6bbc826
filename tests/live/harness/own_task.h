/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says about the calling thread, its process and its program. */
#ifndef OWN_TASK_H
#define OWN_TASK_H

#include <stdint.h>

#define OWN_TASK_LEVELS 8

/* /proc belongs to the PID namespace in which the test was started. */
struct own_task {
	int levels; /* PID namespaces, from that of /proc inwards; at least 1 */
	uint32_t pid[OWN_TASK_LEVELS];
	uint32_t tgid[OWN_TASK_LEVELS];
	uint32_t ppid;
	uint64_t start_ticks; /* field 22 of /proc/self/stat */
	char process_comm[16];
	uint64_t exe_inode; /* of /proc/thread-self/exe, as stat(2) shows it */
	uint32_t exe_device;
};

struct own_task own_task_read(void);

#endif
