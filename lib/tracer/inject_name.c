/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a synthetic tracer. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "names/name_text.h"
#include "tracer/names.h"
#include "tracer/tracer.h"

#define KNOWN_FLAGS                                                                                \
	(AGENTSH_EBPF_NAME_FLAG_SHARED | AGENTSH_EBPF_NAME_FLAG_EXPIRED |                          \
	 AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS | AGENTSH_EBPF_NAME_FLAG_UNASKED |                   \
	 AGENTSH_EBPF_NAME_FLAG_CUT | AGENTSH_EBPF_NAME_FLAG_OUTER |                               \
	 AGENTSH_EBPF_NAME_FLAG_DIFFERS)

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
		.flags = name->flags,
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

/* Domain names get the form that packets give them, and paths are taken as they are. */
static int normalize(uint32_t source, char text[256])
{
	char normal[256] = "";
	int ret;

	if (source == AGENTSH_EBPF_NAME_UNIX)
		return text[0] ? 0 : -EINVAL;
	ret = agentsh_name_from_host(text, normal);
	if (!ret)
		memcpy(text, normal, sizeof(normal));
	return ret;
}

static int check_name(struct agentsh_ebpf_name *name)
{
	const uint32_t source = name->source, server = name->server_name_source;
	int ret = 0;

	if (source > AGENTSH_EBPF_NAME_UNIX || (!source && !server) ||
	    (server && server != AGENTSH_EBPF_NAME_TLS && server != AGENTSH_EBPF_NAME_HTTP) ||
	    name->flags & ~KNOWN_FLAGS)
		return -EINVAL;
	if (source)
		ret = normalize(source, name->asked);
	else
		name->asked[0] = name->owner[0] = '\0';
	if (!ret && name->owner[0])
		ret = normalize(source, name->owner);
	return ret || !server ? ret : normalize(server, name->server_name);
}

int agentsh_ebpf_inject_name(struct agentsh_ebpf_session *handle, uint16_t family, const void *addr,
			     const struct agentsh_ebpf_name *name)
{
	struct agentsh_name_node *node;
	struct agentsh_ebpf_name copy;
	int ret;

	if (!handle || !addr || !name)
		return -EFAULT;
	if (!agentsh_handle_tracer(handle)->ring.synthetic)
		return -EOPNOTSUPP;
	ret = copy_name(name, &copy);
	if (!ret)
		ret = agentsh_names_check_session(handle, family);
	if (!ret)
		ret = check_name(&copy);
	if (ret)
		return ret;
	node = make_node(&copy);
	return node ? agentsh_names_add(handle, family, addr, node) : -ENOMEM;
}
