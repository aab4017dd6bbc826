/* SPDX-License-Identifier: Apache-2.0 */
#include "event_types.h"

#include <stddef.h>
#include <string.h>

#include <agentsh/ebpf.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* The library provides LIFECYCLE only together with CONNECT. */
#define OUTCOME (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE)

/* The library provides TRAFFIC only together with LIFECYCLE. */
#define TRAFFIC (OUTCOME | AGENTSH_EBPF_HOOK_TRAFFIC)

/* The library provides these only together with LIFECYCLE, too. */
#define DNS (OUTCOME | AGENTSH_EBPF_HOOK_DNS)
#define SERVER_NAME (OUTCOME | AGENTSH_EBPF_HOOK_SERVER_NAME)

#define BIT(kind) (UINT32_C(1) << AGENTSH_EBPF_EVENT_##kind)

#define BLIND BIT(SESSION_BLIND)

/* The hooks that report each kind; 0: the library reports it with any hooks, or not a kind. */
static const uint32_t hooks_of[] = {
	[AGENTSH_EBPF_EVENT_CONNECT] = AGENTSH_EBPF_HOOK_CONNECT,
	[AGENTSH_EBPF_EVENT_UDP_SEND] = AGENTSH_EBPF_HOOK_UDP,
	[AGENTSH_EBPF_EVENT_CONNECTED] = OUTCOME,
	[AGENTSH_EBPF_EVENT_CONNECT_FAILED] = OUTCOME,
	[AGENTSH_EBPF_EVENT_CLOSED] = OUTCOME,
	[AGENTSH_EBPF_EVENT_ACCEPTED] = AGENTSH_EBPF_HOOK_ACCEPT,
	[AGENTSH_EBPF_EVENT_SESSION_BLIND] = 0,
	[AGENTSH_EBPF_EVENT_FIRST_DATA] = TRAFFIC,
	[AGENTSH_EBPF_EVENT_PROGRESS] = TRAFFIC,
	[AGENTSH_EBPF_EVENT_UNANNOUNCED] = TRAFFIC,
	[AGENTSH_EBPF_EVENT_DNS_QUERY] = DNS,
	[AGENTSH_EBPF_EVENT_DNS_ANSWER] = DNS,
	[AGENTSH_EBPF_EVENT_SERVER_NAME] = SERVER_NAME,
	[AGENTSH_EBPF_EVENT_UNIX_CONNECT] = AGENTSH_EBPF_HOOK_UNIX,
	[AGENTSH_EBPF_EVENT_SOCKET_DENIED] = 0,
	[AGENTSH_EBPF_EVENT_PACKET_DENIED] = 0,
};

/* Of the session itself, and of the rules, for which options_rules.h chooses the hooks. */
#define HOOKLESS (BLIND | BIT(SOCKET_DENIED) | BIT(PACKET_DENIED))

/* Names of sets. */
static const struct {
	const char *name;
	uint32_t types;
} sets[] = {
	{"dns", BIT(DNS_QUERY) | BIT(DNS_ANSWER)},
	{"unix", BIT(UNIX_CONNECT)},
};

bool event_types_have(uint32_t types, uint32_t kind)
{
	return kind < 32 && (types >> kind & 1);
}

bool event_types_known(uint32_t kind)
{
	return event_types_have(HOOKLESS, kind) || (kind < COUNT(hooks_of) && hooks_of[kind]);
}

static uint32_t all(void)
{
	uint32_t types = 0;

	for (uint32_t kind = 0; kind < COUNT(hooks_of); kind++)
		if (event_types_known(kind))
			types |= UINT32_C(1) << kind;
	return types;
}

uint32_t event_types_default(void)
{
	return all() & ~(BIT(ACCEPTED) | BIT(FIRST_DATA) | BIT(PROGRESS) | BIT(DNS_QUERY) |
			 BIT(DNS_ANSWER) | BIT(SERVER_NAME) | BIT(UNIX_CONNECT));
}

/* The set that one name stands for; 0: the name is unknown. */
static uint32_t types_named(const char *name, size_t length)
{
	if (length == 3 && !memcmp(name, "all", 3))
		return all();
	for (size_t i = 0; i < COUNT(sets); i++)
		if (strlen(sets[i].name) == length && !memcmp(sets[i].name, name, length))
			return sets[i].types;
	for (uint32_t kind = 0; kind < COUNT(hooks_of); kind++) {
		const char *known = agentsh_ebpf_kind_name(kind);

		if (event_types_known(kind) && strlen(known) == length &&
		    !memcmp(known, name, length))
			return UINT32_C(1) << kind;
	}
	return 0;
}

bool event_types_parse(const char *list, uint32_t *types, const char **bad, int *length)
{
	size_t n;

	*types = 0;
	for (const char *name = list;; name += n + 1) {
		uint32_t named;

		n = strcspn(name, ",");
		named = types_named(name, n);
		if (!named) {
			*bad = name;
			*length = (int)n;
			return false;
		}
		*types |= named;
		if (!name[n])
			return true;
	}
}

void event_types_names(struct text *t, uint32_t types)
{
	const char *comma = "";

	for (uint32_t kind = 0; kind < COUNT(hooks_of); kind++) {
		if (!event_types_known(kind) || !event_types_have(types, kind))
			continue;
		text_format(t, "%s%s", comma, agentsh_ebpf_kind_name(kind));
		comma = ", ";
	}
}

uint32_t event_types_hooks(uint32_t types)
{
	uint32_t hooks = 0;

	for (uint32_t kind = 0; kind < COUNT(hooks_of); kind++)
		if (event_types_have(types, kind))
			hooks |= hooks_of[kind];
	/* CLOSED does not need TRAFFIC, but tells the bytes of datagram sockets with it. */
	if (event_types_have(types, AGENTSH_EBPF_EVENT_CLOSED))
		hooks |= AGENTSH_EBPF_HOOK_TRAFFIC;
	return hooks;
}

static bool all_need(uint32_t types, uint32_t hook)
{
	return types && event_types_without(types, ~hook) == types;
}

uint32_t event_types_required_hooks(uint32_t types)
{
	static const uint32_t needs[] = {TRAFFIC, DNS, SERVER_NAME};

	types &= ~HOOKLESS;
	for (size_t i = 0; i < COUNT(needs); i++)
		if (all_need(types, needs[i] & ~(uint32_t)OUTCOME))
			return needs[i];
	if (types == BIT(UNIX_CONNECT))
		return AGENTSH_EBPF_HOOK_UNIX;
	/* With outcomes alone chosen, the hook CONNECT without LIFECYCLE shows nothing. */
	return all_need(types, AGENTSH_EBPF_HOOK_LIFECYCLE) ? OUTCOME : 0;
}

uint32_t event_types_name_hooks(uint32_t types)
{
	types &= ~(BLIND | BIT(SOCKET_DENIED) | BIT(ACCEPTED) | BIT(UNIX_CONNECT));
	return types ? DNS | AGENTSH_EBPF_HOOK_SERVER_NAME : 0;
}

bool event_types_reported(uint32_t kind, uint32_t hooks)
{
	return kind < COUNT(hooks_of) && !(hooks_of[kind] & ~hooks);
}

uint32_t event_types_without(uint32_t types, uint32_t hooks)
{
	uint32_t without = 0;

	for (uint32_t kind = 0; kind < COUNT(hooks_of); kind++)
		if (event_types_have(types, kind) && !event_types_reported(kind, hooks))
			without |= UINT32_C(1) << kind;
	return without;
}
