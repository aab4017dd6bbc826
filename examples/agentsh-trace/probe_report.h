/* SPDX-License-Identifier: Apache-2.0 */
/* --probe: reports on stdout what this machine can trace. */
#ifndef PROBE_REPORT_H
#define PROBE_REPORT_H

#include "options.h"

/* Returns the exit status: 0 if tracing works, 1 if not, or EXIT_OWN_FAILURE. */
int probe_report(const struct options *options);

#endif
