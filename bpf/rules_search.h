/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The search in a compiled set of rules, for the eBPF programs and the library alike.
 *
 * The file that includes this one defines RULES_SET, the type of the first argument of
 *   rules_node(set, number)               a pointer to that node of the set; NULL: there is none
 *   rules_listed(set, rule_id, key, past) the time until which the address is listed for the rule;
 *                                        past: it is not listed
 *   rules_now(now_ns)                    the time, if the caller of rules_find() leaves it out
 *
 * Within a node there are no branches that depend on data: without CAP_PERFMON the verifier of old
 * kernels follows each in turn. It also refuses indices that depend on data; RULES_PICK uses one
 * only where CAP_PERFMON is there, because it costs much less.
 */
#ifndef AGENTSH_RULES_SEARCH_H
#define AGENTSH_RULES_SEARCH_H

#include "rules_table.h"

/*
 * No loop is left in a program: without CAP_PERFMON the verifier of old kernels also follows the
 * branch that the end of a loop does not take, and never comes to an end.
 */
#ifdef __bpf__
#define RULES_UNROLL _Pragma("clang loop unroll(full)")
/*
 * Functions of their own, which the verifier checks once (kernel 5.6), and not again at each call:
 * the time to load a program grows with the square of its length.
 */
#define RULES_FUNCTION __noinline
#else
#define RULES_UNROLL
#define RULES_FUNCTION static inline
#endif

/* Keeps the compiler from making a comparison, and thereby a branch, of arithmetic. */
#define RULES_OPAQUE(x) __asm__("" : "+r"(x))

/* 1 if a < b, else 0. */
static __always_inline __u64 rules_before32(__u32 a, __u32 b)
{
	__u64 difference = (__u64)a - b;

	RULES_OPAQUE(difference);
	return difference >> 63;
}

/* 1 if a - b borrows, where difference is the result. */
static __always_inline __u64 rules_borrow(__u64 a, __u64 b, __u64 difference)
{
	__u64 bits = (~a & b) | (~(a ^ b) & difference);

	RULES_OPAQUE(bits);
	return bits >> 63;
}

static __always_inline __u64 rules_before64(__u64 a, __u64 b)
{
	return rules_borrow(a, b, a - b);
}

static __always_inline __u64 rules_before128(const struct agentsh_rules_key *a,
					     const struct agentsh_rules_key *b)
{
	__u64 borrow = rules_before64(a->low, b->low);

	return rules_borrow(a->high, b->high, a->high - b->high - borrow);
}

/* The second value if second is 1, the first one if it is 0. */
static __always_inline __u64 rules_either(__u64 first_value, __u64 second_value, __u64 second)
{
	__u64 mask = 0 - second;

	RULES_OPAQUE(mask);
	return first_value ^ ((first_value ^ second_value) & mask);
}

/* The element at this index of an array of four or eight elements, and a copy of one of four. */
#if !defined(__bpf__) || defined(AGENTSH_TASK)
#define RULES_DIRECT
/* Opaque, because the compiler drops a mask without which the verifier does not know the limit. */
static __always_inline __u64 rules_masked(__u64 index, __u64 mask)
{
	RULES_OPAQUE(index);
	return index & mask;
}

#define RULES_PICK4(array, index) ((array)[rules_masked(index, 3)])
#define RULES_PICK8(array, index) ((array)[rules_masked(index, 7)])
#define RULES_COPY(to, four, index) (*(to) = RULES_PICK4(four, index))
#else
#define RULES_PICK2(array, index) rules_either((array)[0], (array)[1], (index)&1)
#define RULES_PICK4(array, index)                                                                  \
	rules_either(RULES_PICK2(array, index), RULES_PICK2(&(array)[2], index), (index) >> 1 & 1)
#define RULES_PICK8(array, index)                                                                  \
	rules_either(RULES_PICK4(array, index), RULES_PICK4(&(array)[4], index), (index) >> 2 & 1)
#define RULES_COPY_MEMBER(to, four, index, member)                                                 \
	((to)->member = (__u32)rules_either(                                                       \
		 rules_either((four)[0].member, (four)[1].member, (index)&1),                      \
		 rules_either((four)[2].member, (four)[3].member, (index)&1), (index) >> 1 & 1))
#define RULES_COPY(to, four, index)                                                                \
	do {                                                                                       \
		RULES_COPY_MEMBER(to, four, index, rule_id);                                       \
		RULES_COPY_MEMBER(to, four, index, next);                                          \
		RULES_COPY_MEMBER(to, four, index, ports);                                         \
		RULES_COPY_MEMBER(to, four, index, order);                                         \
	} while (0)
#endif

/* The child at this place, or the last one. */
static __always_inline __u32 rules_child(__u32 child, __u32 last, __u32 place)
{
	return child + (__u32)rules_either(place, last, rules_before32(last, place));
}

/* Goes from an inner node to one of its children. */
static __always_inline int rules_descend32(RULES_SET set, __u32 key, __u32 *number)
{
	const struct agentsh_rules_inner32 *inner = rules_node(set, *number);
	__u32 place = AGENTSH_RULES_FANOUT32 - 1;

	if (!inner)
		return -1;
	RULES_UNROLL
	for (int i = 0; i < AGENTSH_RULES_FANOUT32 - 1; i++)
		place -= (__u32)rules_before32(key, inner->key[i]);
	*number = rules_child(inner->child, inner->last, place);
	return 0;
}

static __always_inline int rules_descend128(RULES_SET set, const struct agentsh_rules_key *key,
					    __u32 *number)
{
	const struct agentsh_rules_inner128 *inner = rules_node(set, *number);
	__u32 place = AGENTSH_RULES_FANOUT128 - 1;

	if (!inner)
		return -1;
	RULES_UNROLL
	for (int i = 0; i < AGENTSH_RULES_FANOUT128 - 1; i++)
		place -= (__u32)rules_before128(key, &inner->key[i]);
	*number = rules_child(inner->child, inner->last, place);
	return 0;
}

/* A result: the number of an entry, or one of these. */
#define RULES_DAMAGED (1ULL << 63) /* the set is damaged */
/* the entry holds: the first 32 bits are its rule_id; behind are its flags and its order */
#define RULES_HOLDS (1ULL << 62)
#define RULES_FLAGS_SHIFT 32
#define RULES_ORDER_SHIFT 40

/* One level of a tree, if it has more than this number of levels. */
#define RULES_LEVEL32(n) (levels > (n) && rules_descend32(set, key, &number))
#define RULES_LEVEL128(n) (levels > (n) && rules_descend128(set, &key, &number))

/* The value of the last row whose key is not above the given one, or RULES_DAMAGED. */
RULES_FUNCTION __u64 rules_find32(RULES_SET set, __u32 tree, __u32 key)
{
	__u32 number = tree & AGENTSH_RULES_ROOT;
	__u32 levels = tree >> AGENTSH_RULES_LEVELS_SHIFT & AGENTSH_RULES_LEVELS;
	__u32 place = AGENTSH_RULES_ROWS32 - 1;
	const struct agentsh_rules_leaf32 *leaf;

	_Static_assert(AGENTSH_RULES_DEPTH32 == 4, "a line for each level");
	if (RULES_LEVEL32(0) || RULES_LEVEL32(1) || RULES_LEVEL32(2) || RULES_LEVEL32(3))
		return RULES_DAMAGED;
	leaf = rules_node(set, number);
	if (!leaf)
		return RULES_DAMAGED;
	RULES_UNROLL
	for (int i = 0; i < AGENTSH_RULES_ROWS32 - 1; i++)
		place -= (__u32)rules_before32(key, leaf->key[i]);
	_Static_assert(AGENTSH_RULES_ROWS32 == 8, "the number of elements");
	return RULES_PICK8(leaf->value, place);
}

RULES_FUNCTION __u64 rules_find128(RULES_SET set, __u32 tree, __u64 high, __u64 low)
{
	const struct agentsh_rules_key key = {high, low};
	__u32 number = tree & AGENTSH_RULES_ROOT;
	__u32 levels = tree >> AGENTSH_RULES_LEVELS_SHIFT & AGENTSH_RULES_LEVELS;
	__u32 place = AGENTSH_RULES_ROWS128 - 1;
	const struct agentsh_rules_leaf128 *leaf;

	_Static_assert(AGENTSH_RULES_DEPTH128 == 8, "a line for each level");
	if (RULES_LEVEL128(0) || RULES_LEVEL128(1) || RULES_LEVEL128(2) || RULES_LEVEL128(3) ||
	    RULES_LEVEL128(4) || RULES_LEVEL128(5) || RULES_LEVEL128(6) || RULES_LEVEL128(7))
		return RULES_DAMAGED;
	leaf = rules_node(set, number);
	if (!leaf)
		return RULES_DAMAGED;
	RULES_UNROLL
	for (int i = 0; i < AGENTSH_RULES_ROWS128 - 1; i++)
		place -= (__u32)rules_before128(&key, &leaf->key[i]);
	_Static_assert(AGENTSH_RULES_ROWS128 == 4, "the number of elements");
	return RULES_PICK4(leaf->value, place);
}

/* Copies the entry of this number. */
static __always_inline int rules_entry(RULES_SET set, __u32 first_node, __u32 number,
				       struct agentsh_rules_entry *entry)
{
	const struct agentsh_rules_entry *four = rules_node(set, first_node + number / 4);

	if (!four)
		return -1;
	RULES_COPY(entry, four, number);
	return 0;
}

static __always_inline int rules_expiry(RULES_SET set, __u32 first_node, __u32 number,
					__u64 *expires_ns)
{
	const struct agentsh_rules_node *node = rules_node(set, first_node + number / 8);

	if (!node)
		return -1;
	*expires_ns = RULES_PICK8(node->words, number);
	return 0;
}

/* 1 if the entry is for this class and port, else 0. */
static __always_inline __u64 rules_is_for(const struct agentsh_rules_entry *entry,
					  __u32 class_and_port)
{
	__u32 class = class_and_port >> AGENTSH_RULES_CLASS_SHIFT;
	__u32 port = class_and_port & 0xffff;
	__u64 outside = rules_before32(port, entry->ports & 0xffff) |
			rules_before32(entry->ports >> AGENTSH_RULES_LAST_PORT_SHIFT, port);

	return (entry->next / AGENTSH_RULES_CLASS >> class & 1) & (outside ^ 1);
}

/* Sets *holds to 1 if the entry holds at this time, else to 0. Returns -1 if the set is damaged. */
static __always_inline int rules_holds(RULES_SET set, const struct agentsh_rules_head *head,
				       const struct agentsh_rules_entry *entry,
				       const struct agentsh_rules_key *key, __u32 class_and_port,
				       __u64 now_ns, __u64 *holds)
{
	__u64 expires_ns = head->never, listed_ns = head->never;
	__u32 expiry = entry->order >> AGENTSH_RULES_EXPIRY_SHIFT;

	*holds = rules_is_for(entry, class_and_port);
	if (!expiry && !(entry->next & AGENTSH_RULES_LISTED))
		return 0; /* most rules: spares them the clock */
	if (expiry && rules_expiry(set, head->expiries, expiry - 1, &expires_ns))
		return -1;
	if (entry->next & AGENTSH_RULES_LISTED)
		listed_ns = rules_listed(set, entry->rule_id, key, head->past);
	now_ns = rules_now(now_ns);
	*holds &= rules_before64(now_ns, expires_ns) & rules_before64(now_ns, listed_ns);
	return 0;
}

static __always_inline __u64 rules_held(const struct agentsh_rules_entry *entry)
{
	return entry->rule_id | (__u64)(entry->next & 0xff) << RULES_FLAGS_SHIFT |
	       (__u64)(entry->order & AGENTSH_RULES_ORDER) << RULES_ORDER_SHIFT | RULES_HOLDS;
}

static __always_inline __u32 rules_order(__u64 result)
{
	return result >> RULES_ORDER_SHIFT & AGENTSH_RULES_ORDER;
}

/*
 * Tries one entry. The first 32 bits of what are its number, and those above the class and the
 * port. Returns a result; a number is that of the next entry.
 */
static __always_inline __u64 rules_try_first(RULES_SET set, __u64 what, __u64 high, __u64 low,
					     __u64 now_ns)
{
	const struct agentsh_rules_head *head = rules_node(set, 0);
	const struct agentsh_rules_key key = {high, low};
	struct agentsh_rules_entry entry;
	__u64 holds;

	if (!head || rules_entry(set, head->entries, (__u32)what, &entry) ||
	    rules_holds(set, head, &entry, &key, (__u32)(what >> 32), now_ns, &holds))
		return RULES_DAMAGED;
	return rules_either(entry.next >> AGENTSH_RULES_NEXT_SHIFT, rules_held(&entry), holds);
}

RULES_FUNCTION __u64 rules_try_one(RULES_SET set, __u64 what, __u64 high, __u64 low, __u64 now_ns)
{
	return rules_try_first(set, what, high, low, now_ns);
}

/* Most searches end at their first entry. */
#ifndef RULES_DIRECT
#define rules_try_first rules_try_one
#endif

/* Tries an entry, and returns unless the next one is to be tried. */
#define RULES_TRY(function)                                                                        \
	do {                                                                                       \
		result = function(set, result | (__u64)class_and_port << 32, key->high, key->low,  \
				  now_ns);                                                         \
		if (result & (RULES_HOLDS | RULES_DAMAGED))                                        \
			return result;                                                             \
	} while (0)

/* The first entry that holds from this reference on. */
static __always_inline __u64 rules_try(RULES_SET set, __u32 reference,
				       const struct agentsh_rules_key *key, __u32 class_and_port,
				       __u64 now_ns)
{
	__u64 result = reference;

	if (reference & AGENTSH_RULES_TREE)
		result = rules_find32(set, reference, class_and_port);
	if (result & RULES_DAMAGED)
		return result;
	_Static_assert(AGENTSH_RULES_CHAIN == 8, "one more than the entries in a chain");
	RULES_TRY(rules_try_first);
	RULES_TRY(rules_try_one);
	RULES_TRY(rules_try_one);
	RULES_TRY(rules_try_one);
	RULES_TRY(rules_try_one);
	RULES_TRY(rules_try_one);
	RULES_TRY(rules_try_one);
	RULES_TRY(rules_try_one);
	RULES_TRY(rules_try_one);
	return RULES_DAMAGED;
}

/* Copies what the set has for the family. A pointer to it would depend on data. */
static __always_inline void rules_family(const struct agentsh_rules_head *head, __u64 ipv4,
					 struct agentsh_rules_family *family)
{
	family->addresses = (__u32)rules_either(head->ipv6.addresses, head->ipv4.addresses, ipv4);
	family->every = (__u32)rules_either(head->ipv6.every, head->ipv4.every, ipv4);
	family->every_min = (__u32)rules_either(head->ipv6.every_min, head->ipv4.every_min, ipv4);
}

/*
 * Finds the entry that holds for a destination at this time of CLOCK_BOOTTIME, and sets its rule_id
 * and the flags in next. Returns 0, or -1 if the set is damaged.
 */
static __always_inline int rules_find(RULES_SET set, const struct agentsh_rules_key *key,
				      __u32 class_and_port, __u64 now_ns,
				      struct agentsh_rules_entry *entry)
{
	const struct agentsh_rules_head *head = rules_node(set, 0);
	int ipv4 = !key->high && key->low >> 32 == AGENTSH_RULES_IPV4;
	struct agentsh_rules_family family;
	__u64 reference, result, every;

	if (!head)
		return -1;
	rules_family(head, ipv4, &family);
	reference = family.addresses;
	if (reference & AGENTSH_RULES_TREE)
		reference = ipv4 ? rules_find32(set, family.addresses, (__u32)key->low)
				 : rules_find128(set, family.addresses, key->high, key->low);
	if (reference & RULES_DAMAGED)
		return -1;
	result = rules_try(set, (__u32)reference, key, class_and_port, now_ns);
	if (!(result & RULES_DAMAGED) && family.every_min < rules_order(result)) {
		every = rules_try(set, family.every, key, class_and_port, now_ns);
		if (every & RULES_DAMAGED || rules_order(every) < rules_order(result))
			result = every;
	}
	entry->rule_id = (__u32)result;
	entry->next = result >> RULES_FLAGS_SHIFT & 0xff;
	return result & RULES_DAMAGED ? -1 : 0;
}

#endif
