/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the egress paths share: the socket of the row, inside its worker. */
#ifndef EGRESS_INTERNAL_H
#define EGRESS_INTERNAL_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "egress_paths.h"

union egress_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

extern int egress_fd; /* the row's socket */

int egress_socket(const struct egress_path *w);
socklen_t egress_address_of(const struct egress_attempt *t, union egress_address *a);
void egress_set_absent(struct egress_attempt *t, const char *what);
/* Opens the socket that receives the packet of GO_PACKET. */
void egress_packet_receiver(const struct egress_attempt *t);

#endif
