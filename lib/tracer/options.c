/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/options.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/error.h"
#include "checks/checks.h"

#define RING_SIZE_MAX (1U << 30)
#define RING_QUOTA_DEFAULT 25
#define MAX_SESSIONS_DEFAULT 4096
#define MAX_SESSIONS_MAX 65536
#define UDP_DEDUP_ENTRIES_DEFAULT 8192
#define UDP_DEDUP_ENTRIES_MIN 16
#define UDP_DEDUP_ENTRIES_MAX (1U << 24)
#define WAKEUP_DELAY_DEFAULT 1000
#define WAKEUP_DELAY_MIN 50
#define WAKEUP_DELAY_MAX 1000000
#define MAX_SOCKETS_DEFAULT 65536
#define MAX_SOCKETS_MIN 16
#define MAX_SOCKETS_MAX (1U << 22)
#define CHECK_INTERVAL_DEFAULT 10000
#define NAMES_MAX_DEFAULT 512
#define NAMES_MAX_MIN 16
#define NAMES_MAX_MAX 65536
#define NAMES_BYTES_DEFAULT 65536
#define NAMES_BYTES_MIN 4096
#define NAMES_BYTES_MAX (1U << 26)
#define INTERVAL_MIN 100
#define INTERVAL_MAX 86400000
#define DNS_TIMEOUT_DEFAULT 5000
#define DNS_TIMEOUT_MIN 100
#define DNS_TIMEOUT_MAX 600000
#define RULES_BYTES_DEFAULT (4U << 20)
#define RULES_BYTES_MIN 4096
#define RULES_BYTES_MAX (1U << 30)
#define RULES_ADDRESSES_DEFAULT 16384
#define RULES_ADDRESSES_MIN 16
#define RULES_ADDRESSES_MAX (1U << 24)

/*
 * Copies a struct that begins with its size into known bytes; members that from lacks
 * become zero.
 */
static int sized_copy(void *to, size_t known, const void *from, const char *what,
		      struct agentsh_ebpf_error *err)
{
	const unsigned char *bytes = from;
	uint32_t size;

	memset(to, 0, known);
	if (!from)
		return 0;
	memcpy(&size, from, sizeof(size));
	if (size < sizeof(size))
		return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				    "%s.size is %u; set it to sizeof(struct agentsh_ebpf_%s)", what,
				    size, what);
	for (size_t i = known; i < size; i++)
		if (bytes[i])
			return agentsh_fail(
				err, -E2BIG, AGENTSH_EBPF_STEP_OPTIONS,
				"%s.size is %u and byte %zu is set, but version %s of the "
				"library knows only the first %zu bytes; use a newer library",
				what, size, i, agentsh_ebpf_version(), known);
	memcpy(to, from, size < known ? size : known);
	return 0;
}

static int check_range(uint32_t *value, uint32_t default_value, uint32_t low, uint32_t high,
		       const char *name, struct agentsh_ebpf_error *err)
{
	if (!*value)
		*value = default_value;
	if (*value >= low && *value <= high)
		return 0;
	return agentsh_fail(err, -ERANGE, AGENTSH_EBPF_STEP_OPTIONS,
			    "%s is %u; it must be from %u to %u, or 0 for the default %u", name,
			    *value, low, high, default_value);
}

static int check_bits(uint32_t value, uint32_t known, const char *name,
		      struct agentsh_ebpf_error *err)
{
	if (!(value & ~known))
		return 0;
	return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
			    "%s is 0x%x; this library knows only 0x%x", name, value, known);
}

static int check_needs(uint32_t hooks, uint32_t hook, const char *name, uint32_t needed,
		       const char *needed_name, struct agentsh_ebpf_error *err)
{
	if (!(hooks & hook) || hooks & needed)
		return 0;
	return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
			    "hooks is 0x%x; %s (%u) needs %s (%u)", hooks, name, hook, needed_name,
			    needed);
}

#define CHECK_NEEDS(hooks, hook, needed, err)                                                      \
	check_needs(hooks, AGENTSH_EBPF_HOOK_##hook, #hook, AGENTSH_EBPF_HOOK_##needed, #needed,   \
		    err)

static int check_hooks_together(uint32_t hooks, struct agentsh_ebpf_error *err)
{
	int ret = CHECK_NEEDS(hooks, LIFECYCLE, CONNECT, err);

	if (!ret)
		ret = CHECK_NEEDS(hooks, TRAFFIC, LIFECYCLE, err);
	if (!ret)
		ret = CHECK_NEEDS(hooks, DNS, LIFECYCLE, err);
	if (!ret)
		ret = CHECK_NEEDS(hooks, SERVER_NAME, LIFECYCLE, err);
	if (!ret)
		ret = CHECK_NEEDS(hooks, RULES, CONNECT, err);
	if (!ret)
		ret = CHECK_NEEDS(hooks, RULES, UDP, err);
	if (!ret)
		ret = CHECK_NEEDS(hooks, SOCK_CREATE, RULES, err);
	if (!ret)
		ret = CHECK_NEEDS(hooks, EGRESS, RULES, err);
	return ret;
}

static int check_hooks(struct agentsh_ebpf_tracer_options *o, struct agentsh_ebpf_error *err)
{
	const uint32_t known =
		AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |
		AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS |
		AGENTSH_EBPF_HOOK_SERVER_NAME | AGENTSH_EBPF_HOOK_UNIX | AGENTSH_EBPF_HOOK_RULES |
		AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS;
	uint32_t built = agentsh_ebpf_hooks_built();
	int ret = check_bits(o->hooks, known, "hooks", err);

	if (ret)
		return ret;
	if (!o->hooks)
		o->hooks = built & (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP);
	ret = check_hooks_together(o->hooks, err);
	if (ret)
		return ret;
	if (o->required_hooks & ~o->hooks)
		return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				    "required_hooks is 0x%x; it must be a subset of hooks, 0x%x",
				    o->required_hooks, o->hooks);
	if (o->mode == AGENTSH_EBPF_MODE_REQUIRED)
		o->required_hooks = o->hooks;
	else if (!o->required_hooks)
		o->required_hooks = o->hooks & AGENTSH_EBPF_HOOK_CONNECT;
	if (o->flags & AGENTSH_EBPF_OPEN_DENIALS_ONLY) /* without rules nothing is reported */
		o->required_hooks |= o->hooks & AGENTSH_EBPF_HOOK_RULES;
	if (o->required_hooks & ~built || !(o->hooks & built))
		return agentsh_fail(err, -EOPNOTSUPP, AGENTSH_EBPF_STEP_OPTIONS,
				    "hooks is 0x%x and required_hooks is 0x%x, but this library "
				    "was built with 0x%x only (CMake option AGENTSH_EBPF_UDP)",
				    o->hooks, o->required_hooks, built);
	return 0;
}

static int check_ring(struct agentsh_ebpf_tracer_options *o, struct agentsh_ebpf_error *err)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	int ret = check_range(&o->ring_size, AGENTSH_RING_SIZE_DEFAULT, page, RING_SIZE_MAX,
			      "ring_size", err);

	if (!ret && (o->ring_size & (o->ring_size - 1)))
		ret = agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				   "ring_size is %u; it must be a power of two", o->ring_size);
	if (!ret)
		ret = check_range(&o->ring_quota, RING_QUOTA_DEFAULT, 1, 100, "ring_quota", err);
	return ret;
}

static int check_progress(const struct agentsh_ebpf_tracer_options *o,
			  struct agentsh_ebpf_error *err)
{
	uint32_t interval = o->progress_interval_ms;

	if (!interval)
		return 0;
	if (!(o->hooks & AGENTSH_EBPF_HOOK_TRAFFIC))
		return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				    "progress_interval_ms is %u, but hooks is 0x%x; it needs "
				    "TRAFFIC (%d)",
				    interval, o->hooks, AGENTSH_EBPF_HOOK_TRAFFIC);
	return check_range(&interval, 0, INTERVAL_MIN, INTERVAL_MAX, "progress_interval_ms", err);
}

static int check_dns(struct agentsh_ebpf_tracer_options *o, struct agentsh_ebpf_error *err)
{
	int ret = check_range(&o->dns_timeout_ms, DNS_TIMEOUT_DEFAULT, DNS_TIMEOUT_MIN,
			      DNS_TIMEOUT_MAX, "dns_timeout_ms", err);

	if (ret || o->hooks & AGENTSH_EBPF_HOOK_DNS)
		return ret;
	if (o->flags & AGENTSH_EBPF_OPEN_DNS_EVENTS)
		return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				    "flags is 0x%x, but hooks is 0x%x; DNS_EVENTS (%d) needs DNS "
				    "(%d)",
				    o->flags, o->hooks, AGENTSH_EBPF_OPEN_DNS_EVENTS,
				    AGENTSH_EBPF_HOOK_DNS);
	for (size_t i = 0; i < sizeof(o->dns_ports) / sizeof(o->dns_ports[0]); i++)
		if (o->dns_ports[i])
			return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
					    "dns_ports[%zu] is %u, but hooks is 0x%x; it needs DNS "
					    "(%d)",
					    i, o->dns_ports[i], o->hooks, AGENTSH_EBPF_HOOK_DNS);
	return 0;
}

static int needs_rules(uint32_t value, const char *name, uint32_t hooks,
		       struct agentsh_ebpf_error *err)
{
	return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
			    "%s is %u, but hooks is 0x%x; it needs RULES (%d)", name, value, hooks,
			    AGENTSH_EBPF_HOOK_RULES);
}

static int check_denials_only(const struct agentsh_ebpf_tracer_options *o,
			      struct agentsh_ebpf_error *err)
{
	if (!(o->flags & AGENTSH_EBPF_OPEN_DENIALS_ONLY) ||
	    (o->hooks & (AGENTSH_EBPF_HOOK_RULES | AGENTSH_EBPF_HOOK_LIFECYCLE)) ==
		    AGENTSH_EBPF_HOOK_RULES)
		return 0;
	return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
			    "flags is 0x%x, but hooks is 0x%x; DENIALS_ONLY (%d) needs RULES (%d), "
			    "and cannot be used with LIFECYCLE (%d)",
			    o->flags, o->hooks, AGENTSH_EBPF_OPEN_DENIALS_ONLY,
			    AGENTSH_EBPF_HOOK_RULES, AGENTSH_EBPF_HOOK_LIFECYCLE);
}

static int check_rules(struct agentsh_ebpf_tracer_options *o, struct agentsh_ebpf_error *err)
{
	int ret = check_denials_only(o, err);

	if (ret)
		return ret;
	if (!(o->hooks & AGENTSH_EBPF_HOOK_RULES)) {
		if (o->rules_bytes)
			return needs_rules(o->rules_bytes, "rules_bytes", o->hooks, err);
		if (o->rules_addresses)
			return needs_rules(o->rules_addresses, "rules_addresses", o->hooks, err);
		return 0;
	}
	ret = check_range(&o->rules_bytes, RULES_BYTES_DEFAULT, RULES_BYTES_MIN, RULES_BYTES_MAX,
			  "rules_bytes", err);
	if (!ret)
		ret = check_range(&o->rules_addresses, RULES_ADDRESSES_DEFAULT, RULES_ADDRESSES_MIN,
				  RULES_ADDRESSES_MAX, "rules_addresses", err);
	return ret;
}

int agentsh_tracer_options_check(const struct agentsh_ebpf_tracer_options *from,
				 struct agentsh_ebpf_tracer_options *to,
				 struct agentsh_ebpf_error *err)
{
	int ret = sized_copy(to, sizeof(*to), from, "tracer_options", err);

	if (ret)
		return ret;
	if (to->mode > AGENTSH_EBPF_MODE_SYNTHETIC)
		return agentsh_fail(
			err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
			"mode is %u; it must be AUTO (%d), DISABLED (%d), REQUIRED (%d) "
			"or SYNTHETIC (%d)",
			to->mode, AGENTSH_EBPF_MODE_AUTO, AGENTSH_EBPF_MODE_DISABLED,
			AGENTSH_EBPF_MODE_REQUIRED, AGENTSH_EBPF_MODE_SYNTHETIC);
	if (to->simulate_missing >> AGENTSH_CHECK_COUNT)
		return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				    "simulate_missing is 0x%llx; this library knows only %u checks",
				    (unsigned long long)to->simulate_missing, AGENTSH_CHECK_COUNT);
	ret = check_bits(to->flags,
			 AGENTSH_EBPF_OPEN_UDP_NO_DEDUP | AGENTSH_EBPF_OPEN_NO_MODERATION |
				 AGENTSH_EBPF_OPEN_DNS_EVENTS | AGENTSH_EBPF_OPEN_DENIALS_ONLY,
			 "flags", err);
	if (!ret)
		ret = check_hooks(to, err);
	if (!ret)
		ret = check_ring(to, err);
	if (!ret)
		ret = check_range(&to->max_sessions, MAX_SESSIONS_DEFAULT, 1, MAX_SESSIONS_MAX,
				  "max_sessions", err);
	if (!ret)
		ret = check_range(&to->udp_dedup_entries, UDP_DEDUP_ENTRIES_DEFAULT,
				  UDP_DEDUP_ENTRIES_MIN, UDP_DEDUP_ENTRIES_MAX, "udp_dedup_entries",
				  err);
	if (!ret)
		ret = check_range(&to->wakeup_delay_us, WAKEUP_DELAY_DEFAULT, WAKEUP_DELAY_MIN,
				  WAKEUP_DELAY_MAX, "wakeup_delay_us", err);
	if (!ret)
		ret = check_range(&to->max_sockets, MAX_SOCKETS_DEFAULT, MAX_SOCKETS_MIN,
				  MAX_SOCKETS_MAX, "max_sockets", err);
	if (!ret && to->check_interval_ms != UINT32_MAX)
		ret = check_range(&to->check_interval_ms, CHECK_INTERVAL_DEFAULT, INTERVAL_MIN,
				  INTERVAL_MAX, "check_interval_ms", err);
	if (!ret)
		ret = check_progress(to, err);
	if (!ret)
		ret = check_dns(to, err);
	if (!ret)
		ret = check_rules(to, err);
	return ret;
}

int agentsh_rules_options_check(const struct agentsh_ebpf_rules_options *from,
				struct agentsh_ebpf_rules_options *to,
				struct agentsh_ebpf_error *err)
{
	int ret = sized_copy(to, sizeof(*to), from, "rules_options", err);

	if (!ret)
		ret = check_bits(to->flags, AGENTSH_RULES_FLAGS, "flags", err);
	if (!ret)
		ret = check_range(&to->default_action, AGENTSH_EBPF_RULE_ALLOW,
				  AGENTSH_EBPF_RULE_ALLOW, AGENTSH_EBPF_RULE_DENY, "default_action",
				  err);
	if (!ret && to->on_exhaustion)
		ret = check_range(&to->on_exhaustion, 0, AGENTSH_EBPF_RULE_ALLOW,
				  AGENTSH_EBPF_RULE_DENY, "on_exhaustion", err);
	return ret;
}

/* Events have IPv4-mapped addresses as IPv4, and so have the name servers. */
static void unmap(struct agentsh_ebpf_address *address)
{
	const uint8_t *ipv4 = agentsh_mapped_ipv4(address->family, address->addr);

	if (!ipv4)
		return;
	address->family = AF_INET;
	memcpy(address->addr, ipv4, 4);
}

static int check_resolvers(struct agentsh_ebpf_session_options *o, struct agentsh_ebpf_error *err)
{
	for (int i = 0; i < 4; i++) {
		const struct agentsh_ebpf_address unused = {0};
		uint16_t family = o->trusted_resolvers[i].family;

		/* a forgotten family would trust every name server */
		if ((!family && memcmp(&o->trusted_resolvers[i], &unused, sizeof(unused)) != 0) ||
		    o->trusted_resolvers[i].ttl_s)
			return agentsh_fail(
				err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				"trusted_resolvers[%d]: family is %u and ttl_s is %u; set "
				"the family, and leave ttl_s 0",
				i, family, o->trusted_resolvers[i].ttl_s);
		unmap(&o->trusted_resolvers[i]);
		if (family && family != AF_INET && family != AF_INET6)
			return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
					    "trusted_resolvers[%d].family is %u; it must be "
					    "AF_INET (%d), AF_INET6 (%d) or 0",
					    i, family, AF_INET, AF_INET6);
	}
	return 0;
}

int agentsh_session_options_check(const struct agentsh_ebpf_session_options *from,
				  struct agentsh_ebpf_session_options *to,
				  struct agentsh_ebpf_error *err)
{
	int ret = sized_copy(to, sizeof(*to), from, "session_options", err);

	if (!ret)
		ret = check_bits(to->flags, AGENTSH_EBPF_ATTACH_DISPLACE, "flags", err);
	if (!ret)
		ret = check_bits(to->reserved, 0, "reserved", err);
	if (!ret)
		ret = check_range(&to->names_max, NAMES_MAX_DEFAULT, NAMES_MAX_MIN, NAMES_MAX_MAX,
				  "names_max", err);
	if (!ret)
		ret = check_range(&to->names_bytes, NAMES_BYTES_DEFAULT, NAMES_BYTES_MIN,
				  NAMES_BYTES_MAX, "names_bytes", err);
	return ret ? ret : check_resolvers(to, err);
}
