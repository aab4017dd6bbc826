/* SPDX-License-Identifier: Apache-2.0 */
/* Changes the caller's network namespace with netlink(7), without other programs. */
#ifndef NETLINK_H
#define NETLINK_H

#include <stdint.h>

/* All functions return 0 or an errno value. */

/* Makes a pair of connected interfaces and sets both up. */
int netlink_add_veth(const char *name, const char *peer);
/* The same with the peer in another network namespace, and neither is set up. */
int netlink_add_veth_between(const char *name, const char *peer, int peer_netns_fd);
int netlink_set_up(const char *name);
/* Adds an IPv4 or IPv6 address, which can be used at once. */
int netlink_add_address(const char *name, const char *address, uint8_t prefix);
/* Adds an address of each family, with a prefix of 24 and of 64, and sets the interface up. */
int netlink_configure(const char *name, const char *address4, const char *address6);
/* Lets MPTCP sockets open a further subflow from this IPv4 address (network byte order). */
int netlink_mptcp_subflow(uint32_t address);
/* Ends the TCP connection of this local and remote port on 127.0.0.1 with ECONNABORTED. */
int netlink_abort_tcp(uint16_t local_port, uint16_t remote_port);

#endif
