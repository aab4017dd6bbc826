/* SPDX-License-Identifier: Apache-2.0 */
#include "proc_cache.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define WAIT_MAX_MS 200
#define US_PER_MS INT64_C(1000)
/* Saved up while no process has to be waited for, at a tenth of the time that passes. */
#define CREDIT_MAX_US (1000 * US_PER_MS)
#define CREDIT_SHARE 10

_Static_assert(sizeof(struct proc_key) == 40, "no padding: it is compared as bytes");

void proc_cache_start(struct proc_cache *cache)
{
	proc_helper_start(&cache->helper);
	cache->credit_us = CREDIT_MAX_US;
	cache->credit_at_us = clock_monotonic_us();
}

void proc_cache_stop(struct proc_cache *cache)
{
	proc_helper_stop(&cache->helper);
	for (size_t i = 0; i < PROC_CACHE_ENTRIES; i++) {
		free(cache->entries[i].found);
		cache->entries[i].found = NULL;
	}
}

static const struct proc_found *lookup(const struct proc_cache *cache, const struct proc_key *key)
{
	for (size_t i = 0; i < PROC_CACHE_ENTRIES; i++) {
		const struct proc_entry *entry = &cache->entries[i];

		if (entry->found && !memcmp(&entry->key, key, sizeof(*key)))
			return entry->found;
	}
	return NULL;
}

/* Keeps an answer that found nothing, too: such a process will not come back. */
static void keep(struct proc_cache *cache, const struct proc_found *found)
{
	size_t unused = sizeof(found->bytes) - found->exe_size - found->args_size;
	struct proc_entry *entry = &cache->entries[cache->next];
	struct proc_found *copy = malloc(sizeof(*found) - unused);

	if (!copy)
		return;
	memcpy(copy, found, sizeof(*found) - unused);
	free(entry->found);
	entry->found = copy;
	entry->key = cache->pending;
	cache->next = (cache->next + 1) % PROC_CACHE_ENTRIES;
}

static void collect(struct proc_cache *cache, int timeout_ms)
{
	struct proc_found found;

	if (proc_helper_answer(&cache->helper, &found, timeout_ms)) {
		keep(cache, &found);
		cache->asked = false;
	}
}

static void ask(struct proc_cache *cache, const struct proc_key *key)
{
	const struct proc_identity id = {
		.start_ns = key->start_ns, .exe_inode = key->exe_inode, .pid = key->pid};
	int64_t now = clock_monotonic_us(), most_ms;

	cache->credit_us += (now - cache->credit_at_us) / CREDIT_SHARE;
	if (cache->credit_us > CREDIT_MAX_US)
		cache->credit_us = CREDIT_MAX_US;
	cache->credit_at_us = now;
	most_ms = cache->credit_us / US_PER_MS;
	if (most_ms <= 0 || !proc_helper_ask(&cache->helper, &id))
		return;
	cache->asked = true;
	cache->pending = *key;
	collect(cache, most_ms < WAIT_MAX_MS ? (int)most_ms : WAIT_MAX_MS);
	cache->credit_us -= clock_monotonic_us() - now;
}

const struct proc_found *proc_cache_find(struct proc_cache *cache,
					 const struct agentsh_ebpf_event *event)
{
	struct proc_key key = {
		.start_ns = event->process_start_ns,
		.exe_inode = event->exe_inode,
		.exe_device = event->exe_device,
		.pid = event->ns_tgid,
	};
	const struct proc_found *found;

	if (!key.pid || !key.start_ns || !key.exe_inode)
		return NULL;
	memcpy(key.comm, event->process_comm, sizeof(key.comm));
	found = lookup(cache, &key);
	if (found)
		return found;
	if (cache->asked)
		collect(cache, 0);
	/* A late answer may be about this process. */
	found = lookup(cache, &key);
	if (found || cache->asked)
		return found;
	ask(cache, &key);
	return lookup(cache, &key);
}
