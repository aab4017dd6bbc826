/* SPDX-License-Identifier: Apache-2.0 */
/* The options about names. Each function returns false after it has printed the reason. */
#ifndef OPTIONS_NAMES_H
#define OPTIONS_NAMES_H

#include <stdbool.h>

#include "options.h"

/* The values of --names, --dns-port and --trusted-resolver. */
bool options_names_parse(struct options *options, const char *text);
bool options_dns_port_parse(struct options *options, const char *text);
bool options_resolver_parse(struct options *options, const char *text);

/* Chooses the hooks, once all options are parsed. */
bool options_names_check(struct options *options);

#endif
