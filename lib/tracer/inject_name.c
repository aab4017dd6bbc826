/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a synthetic tracer. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "names/name_text.h"
#include "tracer/tracer.h"

static uint32_t flags_of(const struct agentsh_ebpf_name *name, uint32_t known)
{
	return name->flags & known;
}

static struct agentsh_name_node *make_server(const struct agentsh_ebpf_name *name)
{
	const struct agentsh_name_fields fields = {
		.source = name->server_name_source,
		.ttl_ns = UINT64_MAX,
		.asked = name->server_name,
		.owner = name->alpn,
	};

	return agentsh_node_new(&fields);
}

static struct agentsh_name_node *make_node(const struct agentsh_ebpf_name *name)
{
	const struct agentsh_name_fields fields = {
		.source = name->source,
		.flags = flags_of(name, UINT16_MAX),
		.asker_tgid = name->asker_tgid,
		.time_ns = agentsh_clock_ns(CLOCK_BOOTTIME),
		.ttl_ns = name->ttl_ns,
		.resolver = &name->resolver,
		.asked = name->asked,
		.owner = name->owner,
	};
	struct agentsh_name_node *node = agentsh_node_new(&fields);

	if (!node || !name->server_name_source)
		return node;
	node->server = make_server(name);
	if (node->server)
		return node;
	agentsh_node_unref(node);
	return NULL;
}

/* Copies a name of any size. Returns -EINVAL if a text does not end. */
static int copy_name(const struct agentsh_ebpf_name *from, struct agentsh_ebpf_name *to)
{
	uint32_t size = from->size;

	if (size < sizeof(size))
		return -EINVAL;
	memset(to, 0, sizeof(*to));
	memcpy(to, from, size < sizeof(*to) ? size : sizeof(*to));
	if (!memchr(to->asked, 0, sizeof(to->asked)) || !memchr(to->owner, 0, sizeof(to->owner)) ||
	    !memchr(to->server_name, 0, sizeof(to->server_name)) ||
	    !memchr(to->alpn, 0, sizeof(to->alpn)))
		return -EINVAL;
	return 0;
}
