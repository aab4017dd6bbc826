/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces.h"

#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <agentsh/ebpf.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* asm-generic/socket.h of kernel 5.14; elsewhere the call fails */
#endif

void interfaces_open(struct interfaces *interfaces)
{
	socklen_t size = sizeof(interfaces->netns_cookie);

	interfaces->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (interfaces->fd >= 0 && getsockopt(interfaces->fd, SOL_SOCKET, SO_NETNS_COOKIE,
					      &interfaces->netns_cookie, &size)) {
		close(interfaces->fd);
		interfaces->fd = -1;
	}
}

const char *interfaces_name(const struct interfaces *interfaces,
			    const struct agentsh_ebpf_event *event, char name[IF_NAMESIZE])
{
	struct ifreq request = {.ifr_ifindex = (int)event->ifindex};

	if (interfaces->fd < 0 || event->netns_cookie != interfaces->netns_cookie ||
	    ioctl(interfaces->fd, SIOCGIFNAME, &request))
		return NULL;
	memcpy(name, request.ifr_name, IF_NAMESIZE);
	name[IF_NAMESIZE - 1] = '\0';
	return name;
}
