/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets for which the kernel itself makes a socket of TCP or UDP. */
#ifndef EGRESS_KERNEL_H
#define EGRESS_KERNEL_H

struct sockaddr_in;

/* Send a message through a socket of AF_RDS or AF_RXRPC; return 0 or an errno value. */
int egress_go_rds(int fd, const struct sockaddr_in *to);
int egress_go_rxrpc(int fd, const struct sockaddr_in *to);

#endif
