/* SPDX-License-Identifier: Apache-2.0 */
/* A process without privileges that names one address and sends its packets to another. */
#ifndef SOURCE_ROUTES_H
#define SOURCE_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"

enum route {
	ROUTE_SEGMENTS,	     /* segment routing header (type 4), kernel 4.10 */
	ROUTE_SEGMENTS_LAST, /* the same with no segment left, which the first hop does not forward
			      */
	ROUTE_MOBILE,	     /* type 2, with CONFIG_IPV6_MIP6 */
	ROUTE_LOOSE,
	ROUTE_STRICT,
};

enum route_by {
	BY_OPTION,	/* setsockopt() before the first call */
	BY_OPTION_LATE, /* setsockopt() after connect() */
	BY_PKTOPTIONS,	/* setsockopt(IPV6_2292PKTOPTIONS) */
	BY_MESSAGE,	/* ancillary data of sendmsg() */
	BY_FLOW_LABEL,	/* options of a flow label */
};

enum route_call { ROUTE_TCP, ROUTE_SENDTO, ROUTE_UDP_CONNECT };

struct source_route {
	const char *name;
	enum connection_family family;
	enum route route;
	enum route_by by;
	enum route_call call;
};

struct route_result {
	int error;	    /* errno value of the kernel's refusal; 0: the option was accepted */
	uint32_t hop;	    /* packets to the first hop */
	uint32_t elsewhere; /* packets to other addresses; not those before a late option */
	bool privileged;    /* the kernel refused the route without CAP_NET_RAW */
	bool talked;	    /* TCP: the connection was made, and data went both ways */
	uint16_t port;
};

/* Addresses of lo in the network namespace of the worker. */
struct connection_address route_named(enum connection_family family); /* what calls name */
struct connection_address route_hop(enum connection_family family);   /* the first hop */
struct connection_address route_other(enum connection_family family); /* another hop */

/* live_fn: enters a network namespace with these addresses and gives up all privileges. */
void route_begin(const void *unused, void *unused_out);
/* live_fn: makes the calls of a struct source_route; gives a struct route_result. */
void route_take(const void *route, void *result);
/* Sets the option on the socket; returns 0 or an errno value. */
int route_set(int fd, const struct source_route *way, const struct connection_address *hop);

#endif
