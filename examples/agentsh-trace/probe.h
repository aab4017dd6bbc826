/* SPDX-License-Identifier: Apache-2.0 */
/* --probe: what this machine can trace, on stdout. */
#ifndef PROBE_H
#define PROBE_H

#include "options.h"

/* The exit status: 0 tracing works, 1 it does not, EXIT_OWN_FAILURE. */
int probe_show(const struct options *options);

#endif
