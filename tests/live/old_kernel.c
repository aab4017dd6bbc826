/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into a test, this file makes libbpf report the running kernel as an old one: without
 * bpf_get_current_task_btf() for these programs (before 5.11), and without cgroup storage that
 * several programs share (before 5.9). The library has to work without them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "kernel.h"
#include "live.h"

#define REPLACES __attribute__((visibility("default")))

typedef int (*map_create_fn)(enum bpf_map_type, const char *, uint32_t, uint32_t, uint32_t,
			     const void *);

REPLACES int libbpf_probe_bpf_helper(enum bpf_prog_type type, int helper, const void *opts);
REPLACES int bpf_map_create(enum bpf_map_type type, const char *name, uint32_t key_size,
			    uint32_t value_size, uint32_t max_entries, const void *opts);

/* Shared with children, which are the host in some tests. */
static struct refused {
	atomic_int helpers;
	atomic_int maps;
} * refused;

__attribute__((constructor)) static void begin(void)
{
	refused = mmap(NULL, sizeof(*refused), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (refused == MAP_FAILED)
		_exit(1);
}

int libbpf_probe_bpf_helper(enum bpf_prog_type type, int helper, const void *opts)
{
	(void)type;
	(void)helper;
	(void)opts;
	refused->helpers++;
	return 0;
}

int bpf_map_create(enum bpf_map_type type, const char *name, uint32_t key_size, uint32_t value_size,
		   uint32_t max_entries, const void *opts)
{
	map_create_fn real = (map_create_fn)dlsym(RTLD_NEXT, "bpf_map_create");

	if (type == BPF_MAP_TYPE_CGROUP_STORAGE &&
	    key_size != sizeof(struct bpf_cgroup_storage_key)) {
		refused->maps++;
		errno = EINVAL;
		return -EINVAL;
	}
	return real(type, name, key_size, value_size, max_entries, opts);
}

/* If the library no longer asked for these features, the test would test something else. */
__attribute__((destructor)) static void expect_asked(void)
{
	if (live_skipped)
		return;
	/* if tasks cannot be read at all, the library does not ask how */
	if ((refused->helpers || kernel_hides_tasks()) && refused->maps)
		return;
	fprintf(stderr, "the library did not ask for what an old kernel lacks\n");
	_exit(1);
}
