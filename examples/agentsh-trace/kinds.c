/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds.h"

#include <stddef.h>
#include <string.h>

#include <agentsh/ebpf.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* the library has no LIFECYCLE without CONNECT */
#define OUTCOME (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE)

static const struct {
	const char *name;
	const char *json_type;
	uint32_t hooks;
} table[] = {
	[AGENTSH_EBPF_EVENT_CONNECT] = {"connect", "net_connect", AGENTSH_EBPF_HOOK_CONNECT},
	[AGENTSH_EBPF_EVENT_UDP_SEND] = {"sendto", "net_sendto", AGENTSH_EBPF_HOOK_UDP},
	[AGENTSH_EBPF_EVENT_CONNECTED] = {"connected", "net_connected", OUTCOME},
	[AGENTSH_EBPF_EVENT_CONNECT_FAILED] = {"failed", "net_connect_failed", OUTCOME},
	[AGENTSH_EBPF_EVENT_CLOSED] = {"close", "net_close", OUTCOME},
	[AGENTSH_EBPF_EVENT_ACCEPTED] = {"accept", "net_accept", AGENTSH_EBPF_HOOK_ACCEPT},
};

bool kinds_have(uint32_t kinds, uint32_t kind)
{
	return kind < 32 && (kinds >> kind & 1);
}

static uint32_t all(void)
{
	uint32_t kinds = 0;

	for (uint32_t i = 0; i < COUNT(table); i++)
		if (table[i].name)
			kinds |= UINT32_C(1) << i;
	return kinds;
}

uint32_t kinds_default(void)
{
	return all() & ~(UINT32_C(1) << AGENTSH_EBPF_EVENT_ACCEPTED);
}

/* The set that a name stands for; 0: it is not known. */
static uint32_t named(const char *name, size_t length)
{
	if (length == 3 && !memcmp(name, "all", 3))
		return all();
	for (uint32_t i = 0; i < COUNT(table); i++)
		if (table[i].name && strlen(table[i].name) == length &&
		    !memcmp(table[i].name, name, length))
			return UINT32_C(1) << i;
	return 0;
}

bool kinds_parse(const char *list, uint32_t *kinds, const char **bad, int *length)
{
	size_t n;

	*kinds = 0;
	for (const char *name = list;; name += n + 1) {
		uint32_t one;

		n = strcspn(name, ",");
		one = named(name, n);
		if (!one) {
			*bad = name;
			*length = (int)n;
			return false;
		}
		*kinds |= one;
		if (!name[n])
			return true;
	}
}

void kinds_names(struct text *t, uint32_t kinds)
{
	const char *comma = "";

	for (uint32_t i = 0; i < COUNT(table); i++) {
		if (!table[i].name || !kinds_have(kinds, i))
			continue;
		text_format(t, "%s%s", comma, table[i].name);
		comma = ", ";
	}
}

const char *kinds_name(uint32_t kind)
{
	return kind < COUNT(table) ? table[kind].name : NULL;
}

const char *kinds_json_type(uint32_t kind)
{
	return kind < COUNT(table) ? table[kind].json_type : NULL;
}

uint32_t kinds_hooks(uint32_t kinds)
{
	uint32_t hooks = 0;

	for (uint32_t i = 0; i < COUNT(table); i++)
		if (kinds_have(kinds, i))
			hooks |= table[i].hooks;
	return hooks;
}

uint32_t kinds_required_hooks(uint32_t kinds)
{
	/* where only outcomes were chosen, connect() alone shows nothing */
	return kinds_without(kinds, ~(uint32_t)AGENTSH_EBPF_HOOK_LIFECYCLE) == kinds ? OUTCOME : 0;
}

uint32_t kinds_without(uint32_t kinds, uint32_t hooks)
{
	uint32_t without = 0;

	for (uint32_t i = 0; i < COUNT(table); i++)
		if (kinds_have(kinds, i) && table[i].hooks & ~hooks)
			without |= UINT32_C(1) << i;
	return without;
}

const char *kinds_hook_name(unsigned bit)
{
	static const char *const names[] = {"connect", "udp", "lifecycle", "accept"};

	return bit < COUNT(names) ? names[bit] : NULL;
}
