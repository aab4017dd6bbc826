/* SPDX-License-Identifier: Apache-2.0 */
/* Names of events, for the host. */
#include <errno.h>

#include <agentsh/ebpf.h>

int agentsh_ebpf_event_name(const struct agentsh_ebpf_tracer *t,
			    const struct agentsh_ebpf_event *event, struct agentsh_ebpf_name *out)
{
	return t && event && out ? -ENOENT : -EFAULT;
}

int agentsh_ebpf_event_dns(const struct agentsh_ebpf_tracer *t,
			   const struct agentsh_ebpf_event *event, struct agentsh_ebpf_dns *out)
{
	return t && event && out ? -ENOENT : -EFAULT;
}

int agentsh_ebpf_event_addresses(const struct agentsh_ebpf_tracer *t,
				 const struct agentsh_ebpf_event *event,
				 struct agentsh_ebpf_address *list, size_t n)
{
	return t && event && (list || !n) ? -ENOENT : -EFAULT;
}

int agentsh_ebpf_session_name_lookup(struct agentsh_ebpf_session *handle, uint16_t family,
				     const void *addr, uint32_t nth, struct agentsh_ebpf_name *out)
{
	(void)family;
	(void)nth;
	return handle && addr && out ? -ENOENT : -EFAULT;
}

int agentsh_ebpf_session_name_seed(struct agentsh_ebpf_session *handle, uint16_t family,
				   const void *addr, const char *name, uint32_t ttl_s)
{
	(void)family;
	(void)name;
	(void)ttl_s;
	return handle && addr ? -EOPNOTSUPP : -EFAULT;
}

int agentsh_ebpf_inject_name(struct agentsh_ebpf_session *handle, uint16_t family, const void *addr,
			     const struct agentsh_ebpf_name *name)
{
	(void)family;
	return handle && addr && name ? -EOPNOTSUPP : -EFAULT;
}
