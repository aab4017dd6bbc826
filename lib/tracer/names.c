/* SPDX-License-Identifier: Apache-2.0 */
/* Names of events and of addresses, for the host. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "base/result.h"
#include "names/choose.h"
#include "names/name_text.h"
#include "tracer/names.h"
#include "tracer/tracer.h"

/* A forked child takes no lock, because a thread that existed only in the parent may hold it. */
static bool may_lock(const struct agentsh_ebpf_tracer *t)
{
	return agentsh_owner_is_caller(&t->owner);
}

/* The tracer is const for the host, to whom taking a name changes nothing. */
static struct agentsh_names *names_of(const struct agentsh_ebpf_tracer *t)
{
	return (struct agentsh_names *)(uintptr_t)&t->ring.names;
}

/* ---- events ------------------------------------------------------------------ */

static void unlock_view(const struct agentsh_ebpf_tracer *t)
{
	pthread_mutex_unlock(&names_of(t)->lock);
}

/*
 * Finds what the library keeps of an event. On success the names stay locked until unlock_view().
 * Returns 0, -EPERM or -ENOENT.
 */
static int lock_view(const struct agentsh_ebpf_tracer *t, const struct agentsh_ebpf_event *event,
		     const struct agentsh_name_view **view)
{
	struct agentsh_names *names = names_of(t);

	if (!may_lock(t))
		return -EPERM;
	pthread_mutex_lock(&names->lock);
	*view = agentsh_views_find(&names->views, event->name_id);
	if (*view)
		return 0;
	unlock_view(t);
	return -ENOENT;
}

/* The same of an event about a DNS message. */
static int lock_dns(const struct agentsh_ebpf_tracer *t, const struct agentsh_ebpf_event *event,
		    const struct agentsh_name_dns **dns)
{
	const struct agentsh_name_view *view;
	int ret = lock_view(t, event, &view);

	if (ret)
		return ret;
	*dns = view->dns;
	if (*dns)
		return 0;
	unlock_view(t);
	return -ENOENT;
}

int agentsh_ebpf_event_name(const struct agentsh_ebpf_tracer *t,
			    const struct agentsh_ebpf_event *event, struct agentsh_ebpf_name *out)
{
	const struct agentsh_name_view *view;
	struct agentsh_ebpf_name result;
	int ret;

	if (!t || !event || !out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	ret = lock_view(t, event, &view);
	if (ret)
		return ret;
	agentsh_view_copy(view, &result);
	unlock_view(t);
	agentsh_copy_result(out, &result, sizeof(result));
	return 0;
}

int agentsh_ebpf_event_dns(const struct agentsh_ebpf_tracer *t,
			   const struct agentsh_ebpf_event *event, struct agentsh_ebpf_dns *out)
{
	const struct agentsh_name_dns *dns;
	struct agentsh_ebpf_dns result;
	int ret;

	if (!t || !event || !out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	ret = lock_dns(t, event, &dns);
	if (ret)
		return ret;
	result = dns->about;
	unlock_view(t);
	agentsh_copy_result(out, &result, sizeof(result));
	return 0;
}

int agentsh_ebpf_event_addresses(const struct agentsh_ebpf_tracer *t,
				 const struct agentsh_ebpf_event *event,
				 struct agentsh_ebpf_address *list, size_t n)
{
	const struct agentsh_name_dns *dns;
	uint32_t count;
	int ret;

	if (!t || !event || (!list && n))
		return -EFAULT;
	ret = lock_dns(t, event, &dns);
	if (ret)
		return ret;
	count = dns->about.addresses;
	if (n > count)
		n = count;
	if (n)
		memcpy(list, dns->addresses, n * sizeof(*list));
	unlock_view(t);
	return (int)count;
}

/* ---- sessions ---------------------------------------------------------------- */

int agentsh_names_check_session(const struct agentsh_ebpf_session *handle, uint16_t family)
{
	const struct agentsh_session *s;

	if (!may_lock(agentsh_handle_tracer(handle)))
		return -EPERM;
	s = agentsh_handle_lock(handle);
	agentsh_handle_unlock(handle);
	return s && (family == AF_INET || family == AF_INET6) ? 0 : -EINVAL;
}

/* Copies the nth name of an address; returns the number of names. */
static uint32_t look_up(const struct agentsh_name_table *table, uint16_t family, const void *addr,
			uint32_t nth, uint64_t now_ns, struct agentsh_ebpf_name *out)
{
	const struct agentsh_name_address *address = agentsh_table_address(table, family, addr);
	struct agentsh_name_view view = {0};
	uint32_t count = address ? agentsh_choose_nth(address, nth, &view.node) : 0;

	if (!view.node)
		return count;
	view.others = count - 1;
	view.server = view.node->server;
	agentsh_view_date(&view, now_ns, NULL);
	agentsh_view_copy(&view, out);
	return count;
}

int agentsh_ebpf_session_name_lookup(struct agentsh_ebpf_session *handle, uint16_t family,
				     const void *addr, uint32_t nth, struct agentsh_ebpf_name *out)
{
	const struct agentsh_name_table *table;
	const struct agentsh_session *s;
	struct agentsh_ebpf_name result;
	struct agentsh_names *names;
	uint32_t count = 0;
	uint64_t now_ns;
	int ret;

	if (!handle || !addr || !out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	ret = agentsh_names_check_session(handle, family);
	if (ret)
		return ret;
	now_ns = agentsh_clock_ns(CLOCK_BOOTTIME);
	names = names_of(agentsh_handle_tracer(handle));
	s = agentsh_handle_lock(handle);
	pthread_mutex_lock(&names->lock);
	table = s ? agentsh_names_table(names, s->names.slot, s->names.generation) : NULL;
	if (table)
		count = look_up(table, family, addr, nth, now_ns, &result);
	pthread_mutex_unlock(&names->lock);
	agentsh_handle_unlock(handle);
	if (nth >= count)
		return s ? -ENOENT : -EINVAL;
	agentsh_copy_result(out, &result, sizeof(result));
	return (int)count;
}

static int add_locked(struct agentsh_names *names, const struct agentsh_names_session *session,
		      uint16_t family, const void *addr, struct agentsh_name_node *node)
{
	struct agentsh_name_table *table;
	int ret = 0;

	if (session->ended)
		return -EINVAL;
	table = node ? agentsh_names_make(names, session)
		     : agentsh_names_table(names, session->slot, session->generation);
	if (!table)
		return node ? -ENOMEM : 0;
	if (node)
		ret = agentsh_table_add(table, family, addr, node);
	else
		agentsh_table_remove_seed(table, family, addr);
	agentsh_names_count_evicted(names, table);
	atomic_store_explicit(&names->active, true, memory_order_relaxed);
	return ret;
}

/* The handle stays locked, so that the session is there, and detach cannot miss a new table. */
int agentsh_names_add(const struct agentsh_ebpf_session *handle, uint16_t family, const void *addr,
		      struct agentsh_name_node *node)
{
	struct agentsh_names *names = names_of(agentsh_handle_tracer(handle));
	const struct agentsh_session *s = agentsh_handle_lock(handle);
	int ret = -EINVAL;

	pthread_mutex_lock(&names->lock);
	if (s)
		ret = add_locked(names, &s->names, family, addr, node);
	agentsh_node_unref(node);
	pthread_mutex_unlock(&names->lock);
	agentsh_handle_unlock(handle);
	return ret;
}

int agentsh_ebpf_session_name_seed(struct agentsh_ebpf_session *handle, uint16_t family,
				   const void *addr, const char *name, uint32_t ttl_s)
{
	struct agentsh_name_node *node = NULL;
	char text[256];
	int ret;

	if (!handle || !addr)
		return -EFAULT;
	ret = agentsh_names_check_session(handle, family);
	if (!ret && name)
		ret = agentsh_name_from_host(name, text);
	if (ret)
		return ret;
	if (name) {
		const struct agentsh_name_fields fields = {
			.source = AGENTSH_EBPF_NAME_SEED,
			.time_ns = agentsh_clock_ns(CLOCK_BOOTTIME),
			.ttl_ns = ttl_s ? (uint64_t)ttl_s * 1000000000 : UINT64_MAX,
			.asked = text,
			.owner = text,
		};

		node = agentsh_node_new(&fields);
		if (!node)
			return -ENOMEM;
	}
	return agentsh_names_add(handle, family, addr, node);
}
