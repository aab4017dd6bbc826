/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A compiled set of rules, which the library writes and eBPF programs read: nodes of 64 bytes in
 * one array, which begin with a struct agentsh_rules_head. Numbers of nodes count from there.
 *
 * A tree whose keys are first addresses of ranges leads to an entry, or where many rules match an
 * address, to a tree whose keys are a class of protocols and a first port, which leads to an entry.
 * An entry is a rule; if it does not match, the next entry is tried. The rules for every address of
 * a family are apart, because ranges of addresses would repeat them; of what both yield, the entry
 * with the lower order holds.
 */
#ifndef AGENTSH_RULES_TABLE_H
#define AGENTSH_RULES_TABLE_H

#include <linux/types.h>

struct agentsh_rules_node {
	__u64 words[8];
};

/* An address, in host order. IPv4 addresses are those of ::ffff:0:0/96 that stand for them. */
struct agentsh_rules_key {
	__u64 high, low;
};

/* Bits 32 to 63 of the low half of an IPv4 address. Its high half is 0. */
#define AGENTSH_RULES_IPV4 0xffffu

/* A reference: the number of an entry, or with TREE a tree. */
#define AGENTSH_RULES_TREE 0x80000000u
#define AGENTSH_RULES_LEVELS_SHIFT 27 /* inner nodes between the root and a leaf, inclusive */
#define AGENTSH_RULES_LEVELS 15u
#define AGENTSH_RULES_ROOT 0x07ffffffu /* number of the root's node */

/* Classes of protocols. OTHER has no ports, and is looked up with port 0. */
#define AGENTSH_RULES_TCP 0u /* and MPTCP */
#define AGENTSH_RULES_UDP 1u /* and UDP-Lite */
#define AGENTSH_RULES_OTHER 2u
#define AGENTSH_RULES_CLASSES 3u
#define AGENTSH_RULES_CLASS_SHIFT 16 /* a key is the class and the port */

struct agentsh_rules_family {
	__u32 addresses; /* reference for rules for some addresses */
	__u32 every;	 /* reference for rules for every address */
	__u32 every_min; /* the lowest order of the rules for every address */
	__u32 zero;
};

struct agentsh_rules_head {
	struct agentsh_rules_family ipv4, ipv6;
	__u32 entries;	/* first node with entries */
	__u32 expiries; /* first node with times of CLOCK_BOOTTIME in ns, eight in each */
	__u32 zero[2];
	/* Constants that the verifier shall not know: it would follow what each leads to. */
	__u64 never; /* later than every time: all bits */
	__u64 past;  /* before every time: 0 */
};

/* A rule for the addresses that lead here. A node has four. */
struct agentsh_rules_entry {
	__u32 rule_id; /* given by the host */
	__u32 next;    /* number of the next entry, shifted, and flags */
	__u32 ports;   /* the first one, and the last one shifted */
	__u32 order;   /* place in the set; shifted: see EXPIRY_SHIFT */
};

#define AGENTSH_RULES_DENY 1u	 /* flag of an entry */
#define AGENTSH_RULES_DEFAULT 2u /* flag of an entry: no rule matches. Matches always */
#define AGENTSH_RULES_CLASS 4u	 /* flag of an entry: matches TCP; shifted by the class, others */
#define AGENTSH_RULES_LISTED 32u /* flag of an entry: matches only the listed addresses */
#define AGENTSH_RULES_NEXT_SHIFT 8
#define AGENTSH_RULES_LAST_PORT_SHIFT 16
#define AGENTSH_RULES_ORDER 0x1ffffu /* of the default: all of these bits */
/* Number of the time from which on the rule does not match, plus 1; 0: never. */
#define AGENTSH_RULES_EXPIRY_SHIFT 17
#define AGENTSH_RULES_EXPIRIES 0x7fffu /* different times, at most */
#define AGENTSH_RULES_CHAIN 8	       /* entries that may be tried before the last one */

/* ---- nodes of trees with keys of 32 bits ---------------------------------------- */

#define AGENTSH_RULES_FANOUT32 15
#define AGENTSH_RULES_ROWS32 8
#define AGENTSH_RULES_DEPTH32 4 /* inner nodes above one another, at most */

struct agentsh_rules_inner32 {
	__u32 child; /* number of the first child */
	__u32 last;  /* number of children, without the first */
	/* first keys of the children, without the first; unused: as the last */
	__u32 key[AGENTSH_RULES_FANOUT32 - 1];
};

struct agentsh_rules_leaf32 {
	__u32 value[AGENTSH_RULES_ROWS32];
	/* without that of the first row; unused rows repeat the last */
	__u32 key[AGENTSH_RULES_ROWS32 - 1];
	__u32 zero;
};

/* ---- nodes of trees with keys of 128 bits --------------------------------------- */

#define AGENTSH_RULES_FANOUT128 4
#define AGENTSH_RULES_ROWS128 4
#define AGENTSH_RULES_DEPTH128 8

struct agentsh_rules_inner128 {
	__u32 child;
	__u32 last;
	struct agentsh_rules_key key[AGENTSH_RULES_FANOUT128 - 1];
	__u64 zero;
};

struct agentsh_rules_leaf128 {
	__u32 value[AGENTSH_RULES_ROWS128];
	struct agentsh_rules_key key[AGENTSH_RULES_ROWS128 - 1];
};

_Static_assert(sizeof(struct agentsh_rules_head) == sizeof(struct agentsh_rules_node), "a node");
_Static_assert(sizeof(struct agentsh_rules_entry) * 4 == sizeof(struct agentsh_rules_node),
	       "a node");
_Static_assert(sizeof(struct agentsh_rules_inner32) == sizeof(struct agentsh_rules_node), "a node");
_Static_assert(sizeof(struct agentsh_rules_leaf32) == sizeof(struct agentsh_rules_node), "a node");
_Static_assert(sizeof(struct agentsh_rules_inner128) == sizeof(struct agentsh_rules_node),
	       "a node");
_Static_assert(sizeof(struct agentsh_rules_leaf128) == sizeof(struct agentsh_rules_node), "a node");

#endif
