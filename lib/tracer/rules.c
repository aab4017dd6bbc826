/* SPDX-License-Identifier: Apache-2.0 */
/* Creates and frees sets of rules, and gives them to sessions. */
#include "tracer/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/error.h"
#include "rules_listed.h"
#include "tracer/options.h"
#include "tracer/rules_convert.h"
#include "tracer/tracer.h"

static int out_of_memory(struct agentsh_ebpf_error *err)
{
	return agentsh_fail(err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY, "out of memory for rules");
}

static int check_hook(const struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_error *err)
{
	int ret = agentsh_owner_check(&t->owner, err);

	if (ret)
		return ret;
	if (!(t->programs.hooks & AGENTSH_EBPF_HOOK_RULES))
		return agentsh_fail(err, -EOPNOTSUPP, AGENTSH_EBPF_STEP_OPTIONS,
				    "the tracer has hooks 0x%x; rules need RULES (%d) in hooks and "
				    "required_hooks",
				    t->programs.hooks, AGENTSH_EBPF_HOOK_RULES);
	return 0;
}

static int check_flags(const struct agentsh_ebpf_tracer *t, uint32_t flags,
		       struct agentsh_ebpf_error *err)
{
	static const struct {
		uint32_t flag, hook;
		const char *name, *hook_name;
	} needs[] = {
		{AGENTSH_EBPF_RULES_STRICT_SOCKETS, AGENTSH_EBPF_HOOK_SOCK_CREATE, "STRICT_SOCKETS",
		 "SOCK_CREATE"},
		{AGENTSH_EBPF_RULES_EGRESS, AGENTSH_EBPF_HOOK_EGRESS, "EGRESS", "EGRESS"},
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (flags & needs[i].flag && !(t->programs.hooks & needs[i].hook))
			return agentsh_fail(err, -EOPNOTSUPP, AGENTSH_EBPF_STEP_OPTIONS,
					    "the tracer has hooks 0x%x; %s (%u) needs %s (%u) in "
					    "hooks and required_hooks",
					    t->programs.hooks, needs[i].name, needs[i].flag,
					    needs[i].hook_name, needs[i].hook);
	if (flags & AGENTSH_EBPF_RULES_REFUSE && !t->programs.set_retval)
		return agentsh_fail(err, -EOPNOTSUPP, AGENTSH_EBPF_STEP_OPTIONS,
				    "flags is 0x%x; this kernel cannot do REFUSE (%d): run Linux "
				    "6.1 or later",
				    flags, AGENTSH_EBPF_RULES_REFUSE);
	return 0;
}

static int check_tracer(const struct agentsh_ebpf_tracer *t, const struct agentsh_ebpf_rules *rules,
			struct agentsh_ebpf_error *err)
{
	if (!rules || rules->tracer == t)
		return 0;
	return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
			    "the rules are of another tracer; create them with this one");
}

int agentsh_rules_fit(const struct agentsh_ebpf_tracer *t, const struct agentsh_ebpf_rules *rules,
		      struct agentsh_ebpf_error *err)
{
	int ret = rules ? check_hook(t, err) : 0;

	return ret ? ret : check_tracer(t, rules, err);
}

/* ---- sets -------------------------------------------------------------------- */

/* The library's search: the table is the first member of its set. */
static uint64_t listed_until(const struct agentsh_rules_table *table, uint32_t rule_id,
			     const struct agentsh_rules_key *key)
{
	const struct agentsh_ebpf_rules *rules = (const struct agentsh_ebpf_rules *)table;
	const struct agentsh_rules_address *found =
		agentsh_rules_list_find(&rules->list, rule_id, key);

	return found ? found->expires_ns : 0;
}

/* Puts the compiled set where the programs can read it. */
static int publish(struct agentsh_ebpf_rules *rules)
{
	struct agentsh_rules_pool *pool = &rules->tracer->programs.rules;
	struct agentsh_rules_node *nodes;
	int ret;

	if (!pool->nodes) /* synthetic */
		return 0;
	ret = agentsh_rules_pool_take(pool, rules->table.count, &rules->first);
	if (ret)
		return ret;
	nodes = &pool->nodes[rules->first];
	memcpy(nodes, rules->table.nodes, rules->table.count * sizeof(*nodes));
	free(rules->table.nodes);
	rules->table.nodes = nodes;
	return 0;
}

static void free_memory(struct agentsh_ebpf_rules *rules)
{
	if (!rules->first && !rules->spare)
		agentsh_rules_table_free(&rules->table);
	free(rules->listed_ids);
	agentsh_rules_list_free(&rules->list);
	free(rules);
}

static int compile(struct agentsh_ebpf_rules *set, const struct agentsh_ebpf_rule *rules,
		   size_t count, const struct agentsh_ebpf_rules_options *opts,
		   struct agentsh_ebpf_error *err)
{
	const struct agentsh_rules_pool *pool = &set->tracer->programs.rules;
	struct agentsh_rule *converted = NULL;
	int ret = agentsh_rules_convert(rules, count, &converted, set, err);

	if (ret)
		return ret;
	ret = agentsh_rules_compile(converted, count,
				    opts->default_action == AGENTSH_EBPF_RULE_DENY
					    ? AGENTSH_RULE_DENY
					    : AGENTSH_RULE_ALLOW,
				    pool->nodes ? pool->count : UINT32_MAX, &set->table);
	free(converted);
	if (ret == -ENOMEM)
		return out_of_memory(err);
	if (ret)
		return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_RULES,
				    "%zu rules do not fit into a set of rules_bytes %u; raise "
				    "rules_bytes, or use fewer rules, times of expiry, or rules of "
				    "listed addresses for one destination",
				    count, set->tracer->opts.rules_bytes);
	set->table.listed = listed_until;
	return 0;
}

static int compile_and_publish(struct agentsh_ebpf_rules *set,
			       const struct agentsh_ebpf_rule *rules, size_t count,
			       const struct agentsh_ebpf_rules_options *opts,
			       struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer *t = set->tracer;
	int ret = compile(set, rules, count, opts, err);

	if (ret)
		return ret;
	pthread_mutex_lock(&t->lock);
	ret = publish(set);
	pthread_mutex_unlock(&t->lock);
	if (!ret)
		return 0;
	return ret == -ENOMEM
		       ? out_of_memory(err)
		       : agentsh_fail(
				 err, ret, AGENTSH_EBPF_STEP_RULES,
				 "%zu rules need %zu bytes, which are not free of rules_bytes "
				 "%u; free sets that no session uses, or raise rules_bytes%s",
				 count, set->table.count * sizeof(*set->table.nodes),
				 t->opts.rules_bytes,
				 t->programs.rules.stuck
					 ? "; without membarrier(2) freed sets keep their bytes"
					 : "");
}

int agentsh_rules_spare_init(struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_error *err)
{
	int ret = 0;

	if (!(t->programs.hooks & AGENTSH_EBPF_HOOK_RULES))
		return 0;
	for (uint32_t i = 0; i < 2 && !ret; i++) {
		const struct agentsh_ebpf_rules_options opts = {
			.default_action = AGENTSH_EBPF_RULE_ALLOW + i};
		struct agentsh_ebpf_rules set = {.tracer = t};

		ret = compile_and_publish(&set, NULL, 0, &opts, err);
		t->spare_rules[i] = set.table;
		t->spare_first[i] = set.first;
		free(set.listed_ids);
	}
	return ret;
}

/* Makes the set one without rules, whose nodes are there already. */
static void use_spare(struct agentsh_ebpf_rules *set, uint32_t action)
{
	agentsh_rules_table_free(&set->table);
	set->table = set->tracer->spare_rules[action - AGENTSH_EBPF_RULE_ALLOW];
	set->first = set->tracer->spare_first[action - AGENTSH_EBPF_RULE_ALLOW];
	set->listed_ids_count = 0;
	set->spare = true;
}

static int create(struct agentsh_ebpf_tracer *t, const struct agentsh_ebpf_rule *rules,
		  size_t count, const struct agentsh_ebpf_rules_options *opts,
		  struct agentsh_ebpf_rules **out, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_rules *set = calloc(1, sizeof(*set));
	int ret;

	if (!set)
		return out_of_memory(err);
	set->tracer = t;
	set->flags = opts->flags;
	ret = compile_and_publish(set, rules, count, opts, err);
	if ((ret == -ENOMEM || ret == -ENOSPC) && opts->on_exhaustion) {
		use_spare(set, opts->on_exhaustion);
		ret = 1;
	}
	if (ret < 0) {
		free_memory(set);
		return ret;
	}
	pthread_mutex_lock(&t->lock);
	set->next = t->rules;
	t->rules = set;
	pthread_mutex_unlock(&t->lock);
	*out = set;
	return ret;
}

int agentsh_ebpf_rules_create(struct agentsh_ebpf_tracer *t, const struct agentsh_ebpf_rule *rules,
			      size_t count, const struct agentsh_ebpf_rules_options *opts,
			      struct agentsh_ebpf_rules **out, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_rules_options checked;
	int ret;

	if (out)
		*out = NULL;
	if (!agentsh_error_begin(err))
		return -EINVAL;
	if (!t || !out || (!rules && count))
		return agentsh_fail(err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "%s is NULL",
				    !t	   ? "tracer"
				    : !out ? "out"
					   : "rules");
	ret = agentsh_rules_options_check(opts, &checked, err);
	if (!ret)
		ret = check_hook(t, err);
	if (!ret)
		ret = check_flags(t, checked.flags, err);
	return ret ? ret : create(t, rules, count, &checked, out, err);
}

static void take_out(struct agentsh_ebpf_rules *rules)
{
	struct agentsh_ebpf_rules **at = &rules->tracer->rules;

	while (*at != rules)
		at = &(*at)->next;
	*at = rules->next;
}

int agentsh_ebpf_rules_free(struct agentsh_ebpf_rules *rules)
{
	struct agentsh_ebpf_tracer *t;
	int ret = 0;

	if (!rules)
		return 0;
	t = rules->tracer;
	if (!agentsh_owner_is_caller(&t->owner))
		return -EPERM;
	pthread_mutex_lock(&t->lock);
	if (rules->users)
		ret = -EBUSY;
	else
		take_out(rules);
	/* the nodes are not used again if the programs still know listed addresses of this set */
	if (!ret && rules->first && !rules->spare && !agentsh_rules_unlist_all(rules))
		agentsh_rules_pool_give(&t->programs.rules, rules->first, rules->seen);
	pthread_mutex_unlock(&t->lock);
	if (!ret)
		free_memory(rules);
	return ret;
}

void agentsh_rules_free_all(struct agentsh_ebpf_tracer *t)
{
	while (t->rules) {
		struct agentsh_ebpf_rules *rules = t->rules;

		t->rules = rules->next;
		free_memory(rules);
	}
	for (int i = 0; i < 2; i++)
		if (!t->spare_first[i])
			agentsh_rules_table_free(&t->spare_rules[i]);
}

/* ---- sessions ---------------------------------------------------------------- */

_Static_assert((uint64_t)AGENTSH_EBPF_RULES_AUDIT << 32 == AGENTSH_SLOT_AUDIT, "same flag");
_Static_assert((uint64_t)AGENTSH_EBPF_RULES_REFUSE << 32 == AGENTSH_SLOT_REFUSE, "same flag");
_Static_assert((uint64_t)AGENTSH_EBPF_RULES_STRICT_SOCKETS << 32 == AGENTSH_SLOT_STRICT,
	       "same flag");
_Static_assert((uint64_t)AGENTSH_EBPF_RULES_EGRESS << 32 == AGENTSH_SLOT_EGRESS, "same flag");

/* The programs read the word at once, so each call is judged by the old set or the new one. */
void agentsh_rules_use(struct agentsh_session *s, struct agentsh_ebpf_rules *rules)
{
	struct agentsh_slot *slot = &s->tracer->ring.slots.counters[s->state.slot];
	uint64_t word = 0;

	if (rules) {
		rules->users++;
		rules->seen = true;
		word = rules->first | (uint64_t)rules->flags << 32;
	}
	if (s->rules)
		s->rules->users--;
	s->rules = rules;
	__atomic_store_n(&slot->rules, word, __ATOMIC_SEQ_CST);
}

int agentsh_ebpf_session_set_rules(struct agentsh_ebpf_session *handle,
				   struct agentsh_ebpf_rules *rules, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer *t;
	struct agentsh_session *s;
	int ret;

	if (!agentsh_error_begin(err))
		return -EINVAL;
	if (!handle)
		return agentsh_fail(err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "session is NULL");
	t = agentsh_handle_tracer(handle);
	ret = check_hook(t, err);
	if (!ret)
		ret = check_tracer(t, rules, err);
	if (ret)
		return ret;
	pthread_mutex_lock(&t->lock);
	s = agentsh_handle_session(handle);
	if (s)
		agentsh_rules_use(s, rules);
	pthread_mutex_unlock(&t->lock);
	return s ? 0
		 : agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
				"the session was detached");
}
