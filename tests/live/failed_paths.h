/* SPDX-License-Identifier: Apache-2.0 */
/* Ways in which an attempt to connect fails, as functions that record what to expect. */
#ifndef FAILED_PATHS_H
#define FAILED_PATHS_H

#include "connection.h"

#define CONNECTIONS_MAX 8

/* The connections that one function made, in order. */
struct connections {
	size_t count;
	struct connection list[CONNECTIONS_MAX];
};

typedef void (*failed_path)(enum connection_family family, struct connections *connections);

/* Each function needs its own network namespace. */
extern const failed_path failed_paths[];
extern const size_t failed_path_count;

#endif
