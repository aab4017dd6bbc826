/* SPDX-License-Identifier: Apache-2.0 */
/* The programs and arguments of the processes of recent events, each read once. */
#ifndef PROC_CACHE_H
#define PROC_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "proc_helper.h"

#define PROC_CACHE_ENTRIES 256

/* What makes a process and its program the same. Without padding. */
struct proc_key {
	uint64_t start_ns;
	uint64_t exe_inode;
	uint32_t exe_device;
	uint32_t pid;
	char comm[16]; /* it changes if a process executes the same file under another name */
};

struct proc_entry {
	struct proc_key key;
	struct proc_found *found; /* as long as its bytes need; NULL: the entry is free */
};

struct proc_cache {
	struct proc_helper helper;
	bool asked; /* about the process of pending */
	struct proc_key pending;
	int64_t credit_us; /* time that may be spent waiting */
	int64_t credit_at_us;
	size_t next; /* the entry to replace */
	struct proc_entry entries[PROC_CACHE_ENTRIES];
};

void proc_cache_start(struct proc_cache *cache);
void proc_cache_stop(struct proc_cache *cache);

/*
 * What is known of the process of the event, until the next call; NULL: nothing. It waits for
 * the process a moment at most, and in total a tenth of the time.
 */
const struct proc_found *proc_cache_find(struct proc_cache *cache,
					 const struct agentsh_ebpf_event *event);

#endif
