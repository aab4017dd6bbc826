/* SPDX-License-Identifier: Apache-2.0 */
#include "rules_random.h"

#include <string.h>
#include <sys/socket.h>

static uint64_t state = 0x2545f4914f6cdd1d;

void rules_random_seed(uint64_t seed)
{
	/* 0 would stay 0, and the first numbers of small seeds would be small */
	state = (seed + 1) * 0x9e3779b97f4a7c15;
	state = state ? state : 1;
}

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint32_t below(uint32_t limit)
{
	return (uint32_t)((next() >> 32) % limit);
}

static void random_bytes(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)below(256);
}

/* Often near other addresses, so that prefixes contain one another. */
static void random_address(uint8_t family, uint8_t addr[16])
{
	static const uint8_t near[2][16] = {{192, 0, 2}, {0x20, 1, 0xd, 0xb8}};
	uint32_t kind = below(8);

	memset(addr, 0, 16);
	if (kind < 2) {
		random_bytes(addr, family == AF_INET ? 4 : 16);
	} else if (kind == 2 && family == AF_INET6) {
		addr[10] = addr[11] = 0xff;
		random_bytes(addr + 12, 4);
	} else if (kind == 3) {
		memset(addr, below(2) ? 0xff : 0, family == AF_INET ? 4 : 16);
	} else {
		memcpy(addr, near[family == AF_INET6], 16);
		random_bytes(addr + (family == AF_INET ? 2 : 14), 2);
	}
}

static uint16_t random_port(void)
{
	static const uint16_t usual[] = {0, 1, 22, 53, 80, 443, 8080, 65534, 65535};

	return below(4) ? usual[below(sizeof(usual) / sizeof(*usual))] : (uint16_t)below(65536);
}

/* What a random set is like. */
struct likely {
	uint32_t broad;	   /* percent of the rules that match many addresses */
	uint32_t expiring; /* per mille */
	uint32_t listed;   /* per mille, for which only listed addresses match */
};

static struct agentsh_rule random_rule(const struct likely *likely)
{
	bool broad = below(100) < likely->broad;
	struct agentsh_rule rule = {
		.family = broad && !below(4) ? 0
			  : below(2)	     ? AF_INET
					     : AF_INET6,
		.protocol = (uint8_t)below(4),
		.action = (uint8_t)below(2),
		.rule_id = (uint32_t)next(),
		.last_port = UINT16_MAX,
	};
	uint32_t bits = rule.family == AF_INET6 ? 128 : rule.family == AF_INET ? 32 : 0;

	random_address(rule.family, rule.addr);
	rule.prefix = (uint8_t)(bits - below((broad ? bits : bits / 4) + 1));
	if (rule.protocol != AGENTSH_RULE_OTHER && below(2)) {
		uint16_t a = random_port(), b = below(2) ? a : random_port();

		rule.first_port = a < b ? a : b;
		rule.last_port = a < b ? b : a;
	}
	rule.listed = below(1000) < likely->listed;
	if (below(1000) < likely->expiring)
		rule.expires_ns = RULES_NOW + below(3) - 1;
	return rule;
}

/* Adds 1 or subtracts it, with carry. */
static void step(uint8_t *bytes, int size, bool up)
{
	while (size-- && (up ? !++bytes[size] : bytes[size]-- == 0))
		;
}

/* A destination in the range of the rule, at a border of it, or just outside. */
static struct destination near_rule(const struct agentsh_rule *rule)
{
	struct destination to = {
		.family = rule->family ? rule->family : AF_INET6,
		.protocol = (uint8_t)(rule->protocol ? rule->protocol : 1 + below(3)),
	};
	int size = to.family == AF_INET ? 4 : 16;
	uint32_t where = below(5);

	memcpy(to.addr, rule->addr, 16);
	for (int i = rule->prefix; i < 8 * size; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);
		bool set = where < 2 ? false : where < 4 ? true : below(2);

		to.addr[i / 8] = (uint8_t)(set ? to.addr[i / 8] | bit : to.addr[i / 8] & ~bit);
	}
	if (where == 1)
		step(to.addr, size, false);
	else if (where == 3)
		step(to.addr, size, true);
	to.port = (uint16_t)((below(2) ? rule->first_port : rule->last_port) + below(3) - 1);
	if (!below(8))
		to.protocol = (uint8_t)(1 + below(3));
	if (to.family == AF_INET && !below(4)) { /* the same address in the other form */
		memmove(to.addr + 12, to.addr, 4);
		memset(to.addr, 0, 10);
		to.addr[10] = to.addr[11] = 0xff;
		to.family = AF_INET6;
	}
	return to;
}

struct destination rules_random_destination(const struct agentsh_rule *rules, size_t count)
{
	struct destination to;

	if (count && below(8))
		return near_rule(&rules[below((uint32_t)count)]);
	to = (struct destination){
		.family = below(2) ? AF_INET : AF_INET6,
		.protocol = (uint8_t)(1 + below(3)),
		.port = random_port(),
	};
	random_address(to.family, to.addr);
	return to;
}

bool rules_random_set(struct agentsh_rule *rules, size_t count)
{
	/* more conditional rules would exceed the limit for one destination */
	struct likely likely = {
		.broad = below(2) ? 30 : 0,
		.expiring = count < 60 ? below(300) : 0,
		.listed = count < 60 ? below(100) : 3,
	};

	for (size_t i = 0; i < count; i++)
		rules[i] = random_rule(&likely);
	return likely.expiring || likely.listed;
}
