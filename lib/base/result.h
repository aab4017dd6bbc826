/* SPDX-License-Identifier: Apache-2.0 */
/* Copies a result into a struct whose size the caller has set. */
#ifndef AGENTSH_BASE_RESULT_H
#define AGENTSH_BASE_RESULT_H

#include <stddef.h>

/*
 * out begins with its size, which the caller's header defines; from has size bytes.
 * Members that do not fit into out are dropped, and members that from lacks are zeroed.
 */
void agentsh_copy_result(void *out, const void *from, size_t size);

#endif
