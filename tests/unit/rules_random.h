/* SPDX-License-Identifier: Apache-2.0 */
/* Random sets of rules, and destinations at the borders of what their rules match. */
#ifndef RULES_RANDOM_H
#define RULES_RANDOM_H

#include "rules_model.h"

#define RULES_NOW 1000 /* rules expire about this time */

/* Begins another sequence of numbers. Without it, every run has the same. */
void rules_random_seed(uint64_t seed);
/* Returns whether so many rules may be conditional that the set cannot be compiled. */
bool rules_random_set(struct agentsh_rule *rules, size_t count);
struct destination rules_random_destination(const struct agentsh_rule *rules, size_t count);

#endif
