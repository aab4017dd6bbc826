/* SPDX-License-Identifier: Apache-2.0 */
/* The options about rules. Each function returns false after it has printed the reason. */
#ifndef OPTIONS_RULES_H
#define OPTIONS_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* The values of --allow or --deny (action: AGENTSH_EBPF_RULE_), and of --default. */
bool options_rules_add(struct options *options, uint16_t action, const char *text);
bool options_default_parse(struct options *options, const char *text);

/* Chooses the hooks, once all options are parsed. */
bool options_rules_choose(struct options *options);

/* Whether the rules can be enforced, once the environment is applied, too. */
bool options_rules_check(const struct options *options);

#endif
