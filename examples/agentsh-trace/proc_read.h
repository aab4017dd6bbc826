/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the program and the arguments of a process from /proc. A process can delay the
 * answer for as long as it likes: /proc/PID/cmdline waits for the lock of its address space,
 * which it can hold with a file system of its own. So only the process of proc_helper.h reads.
 */
#ifndef PROC_READ_H
#define PROC_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROC_EXE_MAX 4096
#define PROC_ARGS_MAX 4096

/* The process of an event, and its program. */
struct proc_identity {
	uint64_t start_ns;  /* agentsh_ebpf_event.process_start_ns */
	uint64_t exe_inode; /* agentsh_ebpf_event.exe_inode */
	uint32_t pid;	    /* in the PID namespace of /proc */
	uint32_t zero;	    /* no padding: it is sent as bytes */
};

/* What /proc shows. bytes contains the path of the program, then the arguments. */
struct proc_found {
	bool has_exe;
	bool has_args;
	bool args_cut; /* there are more arguments than fit */
	uint32_t exe_size;
	uint32_t args_size; /* each argument ends with NUL, except perhaps the last */
	char bytes[PROC_EXE_MAX + PROC_ARGS_MAX];
};

/* How /proc shows processes to the caller. */
struct proc_view {
	int fd;		   /* of /proc */
	int64_t offset_ns; /* of CLOCK_BOOTTIME in the time namespace of the caller */
	uint64_t tick_ns;  /* the unit of times in /proc/PID/stat */
};

/* Returns false if /proc is missing, or shows another PID namespace than that of the caller. */
bool proc_view_open(struct proc_view *view);

/*
 * Finds nothing unless the process lives and executes this program: the result never belongs
 * to another process or to another program.
 */
void proc_read(const struct proc_view *view, const struct proc_identity *id,
	       struct proc_found *found);

/* These take the text of a file in /proc and return false if it is malformed. */

/* Field 22 of /proc/PID/stat: when the process started. */
bool proc_parse_start(const char *stat, size_t size, uint64_t *ticks);
/* The offset of CLOCK_BOOTTIME in /proc/PID/timens_offsets, time_namespaces(7). */
bool proc_parse_offset(const char *offsets, int64_t *offset_ns);
/* The number of PID namespaces in /proc/PID/status, from that of /proc to that of the process. */
bool proc_parse_levels(const char *status, unsigned *levels);

#endif
