/* SPDX-License-Identifier: Apache-2.0 */
#include "options_names.h"

#include <arpa/inet.h>
#include <string.h>

#include "address.h"
#include "decimal.h"
#include "event_types.h"
#include "warn.h"

bool options_names_parse(struct options *o, const char *text)
{
	o->names = !strcmp(text, "on");
	if (o->names || !strcmp(text, "off"))
		return true;
	warn_user("--names is '%s'; it must be on or off", text);
	return false;
}

/* A port from 1 to 65535. */
static bool parse_port(const char *text, uint16_t *port)
{
	const char *end = text;
	uint64_t number;

	if (!decimal_take(&end, &number) || *end || !number || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* Whether there is room for one more value of an option. */
static bool has_room(const char *option, uint32_t given, uint32_t max)
{
	if (given < max)
		return true;
	warn_user("%s is given more than %u times", option, max);
	return false;
}

bool options_dns_port_parse(struct options *o, const char *text)
{
	if (!has_room("--dns-port", o->dns_ports_given, OPTIONS_DNS_PORTS_MAX))
		return false;
	if (parse_port(text, &o->dns_ports[o->dns_ports_given])) {
		o->dns_ports_given++;
		return true;
	}
	warn_user("--dns-port is '%s'; it must be a number from 1 to 65535", text);
	return false;
}

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1" or "[2001:db8::1]:53"; port 0: any */
static bool parse_resolver(const char *text, struct agentsh_ebpf_address *resolver)
{
	const bool brackets = *text == '[';
	const char *start = text + brackets;
	const char *end = brackets ? strchr(start, ']') : strrchr(start, ':');
	char ip[ADDRESS_MAX];

	if (brackets && !end)
		return false;
	/* Several colons without brackets: no port */
	if (!end || (!brackets && strchr(start, ':') != end))
		end = start + strlen(start);
	if ((size_t)(end - start) >= sizeof(ip))
		return false;
	memcpy(ip, start, (size_t)(end - start));
	ip[end - start] = '\0';
	*resolver = (struct agentsh_ebpf_address){.family = strchr(ip, ':') ? AF_INET6 : AF_INET};
	if ((brackets && resolver->family != AF_INET6) ||
	    inet_pton(resolver->family, ip, resolver->addr) != 1)
		return false;
	end += brackets;
	return !*end || (*end == ':' && parse_port(end + 1, &resolver->port));
}

bool options_resolver_parse(struct options *o, const char *text)
{
	if (!has_room("--trusted-resolver", o->resolvers_given, OPTIONS_RESOLVERS_MAX))
		return false;
	if (parse_resolver(text, &o->resolvers[o->resolvers_given])) {
		o->resolvers_given++;
		return true;
	}
	warn_user("--trusted-resolver is '%s'; it must be an IP address, with or without a port: "
		  "192.0.2.1:53 or [2001:db8::1]:53",
		  text);
	return false;
}

bool options_names_check(struct options *o)
{
	const char *useless = o->dns_ports_given   ? "--dns-port"
			      : o->resolvers_given ? "--trusted-resolver"
						   : NULL;
	uint32_t hooks;

	if (o->names)
		o->names_hooks = event_types_name_hooks(o->event_types);
	hooks = o->names_hooks | event_types_hooks(o->event_types) | o->rules_hooks;
	if (!useless || o->probe || hooks & AGENTSH_EBPF_HOOK_DNS)
		return true;
	warn_user("%s has no effect, because neither names nor DNS events are shown, and no rule "
		  "has a host",
		  useless);
	return false;
}
