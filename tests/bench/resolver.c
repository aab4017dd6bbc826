/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "resolver.h"
#include "util.h"

enum { TYPE_A = 1, TYPE_CNAME = 5, CLASS_IN = 1, TTL = 300 };
enum { HEADER = 12, QUESTION_NAME = HEADER, POINTER = 0xc000 };

struct order {
	uint32_t kind, first, n;
};

struct message {
	uint8_t bytes[512];
	size_t size;
};

static void put16(struct message *m, unsigned value)
{
	m->bytes[m->size++] = (uint8_t)(value >> 8);
	m->bytes[m->size++] = (uint8_t)value;
}

/* A name in text form: "a.example.org". */
static void put_name(struct message *m, const char *name)
{
	while (*name) {
		size_t label = strcspn(name, ".");

		m->bytes[m->size++] = (uint8_t)label;
		memcpy(&m->bytes[m->size], name, label);
		m->size += label;
		name += label + (name[label] == '.');
	}
	m->bytes[m->size++] = 0;
}

static void put_record(struct message *m, size_t owner, unsigned type, unsigned size)
{
	put16(m, POINTER | (unsigned)owner);
	put16(m, type);
	put16(m, CLASS_IN);
	put16(m, 0);
	put16(m, TTL);
	put16(m, size);
}

void resolver_address(enum answer_kind kind, uint32_t number, uint32_t nth, uint8_t addr[4])
{
	addr[0] = 10;
	addr[1] = (uint8_t)(kind == ANSWER_CHAIN ? 128 + nth : 0);
	addr[2] = (uint8_t)(number >> 8);
	addr[3] = (uint8_t)number;
}

static void put_address(struct message *m, size_t owner, const struct order *o, uint32_t number,
			uint32_t nth)
{
	put_record(m, owner, TYPE_A, 4);
	resolver_address(o->kind, number, nth, &m->bytes[m->size]);
	m->size += 4;
}

static void make_question(struct message *m, unsigned id, uint32_t number)
{
	char name[64];

	m->size = 0;
	put16(m, id);
	put16(m, 0x0100); /* recursion desired */
	put16(m, 1);
	put16(m, 0);
	put16(m, 0);
	put16(m, 0);
	snprintf(name, sizeof(name), "host-%05u.example.org", number);
	put_name(m, name);
	put16(m, TYPE_A);
	put16(m, CLASS_IN);
}

/* The question, followed by the records. */
static void make_answer(struct message *m, const struct order *o, uint32_t number)
{
	size_t owner = QUESTION_NAME;
	char name[64];

	m->bytes[2] = 0x81;
	m->bytes[3] = 0x80;
	m->bytes[7] = 1;
	if (o->kind == ANSWER_CHAIN) {
		snprintf(name, sizeof(name), "edge-%05u.cdn.example.net", number);
		put_record(m, owner, TYPE_CNAME, (unsigned)strlen(name) + 2);
		owner = m->size;
		put_name(m, name);
		m->bytes[7] = 1 + CHAIN_ADDRESSES;
	}
	for (uint32_t i = 0; i < (o->kind == ANSWER_CHAIN ? CHAIN_ADDRESSES : 1u); i++)
		put_address(m, owner, o, number, i);
}

static void ask(int client, int server, const struct order *o, uint32_t number)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	uint8_t bytes[512];
	struct message m;

	make_question(&m, number & 0xffff, number);
	if (send(client, m.bytes, m.size, 0) != (ssize_t)m.size ||
	    recvfrom(server, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size) < 0)
		die("question: %m");
	if (o->kind == ANSWER_NONE)
		return;
	make_answer(&m, o, number);
	if (sendto(server, m.bytes, m.size, 0, (struct sockaddr *)&from, size) != (ssize_t)m.size ||
	    recv(client, bytes, sizeof(bytes), 0) != (ssize_t)m.size)
		die("answer: %m");
}

static _Noreturn void serve(const struct resolver *r, const struct cgroup *cg, int cpu, int orders,
			    int reports)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(r->port)};
	struct order o;
	int client;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(cpu);
	cgroup_enter(cg);
	client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (client < 0 || connect(client, (struct sockaddr *)&to, sizeof(to)))
		die("resolver: %m");
	while (read(orders, &o, sizeof(o)) == (ssize_t)sizeof(o)) {
		for (uint32_t i = 0; i < o.n; i++)
			ask(client, r->server, &o, o.first + i);
		if (write(reports, "", 1) != 1)
			die("resolver: %m");
	}
	_exit(0);
}

void resolver_make(struct resolver *r)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t size = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*r = (struct resolver){.server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
	if (r->server < 0 || bind(r->server, (struct sockaddr *)&at, sizeof(at)) ||
	    getsockname(r->server, (struct sockaddr *)&at, &size))
		die("name server: %m");
	r->port = ntohs(at.sin_port);
}

void resolver_start(struct resolver *r, const struct cgroup *cg, int cpu)
{
	int orders[2], reports[2];

	if (pipe2(orders, O_CLOEXEC) || pipe2(reports, O_CLOEXEC))
		die("pipe: %m");
	r->pid = fork();
	if (r->pid < 0)
		die("fork: %m");
	if (!r->pid) {
		close(orders[1]);
		serve(r, cg, cpu, orders[0], reports[1]);
	}
	close(orders[0]);
	close(reports[1]);
	r->orders = orders[1];
	r->reports = reports[0];
}

void resolver_ask(const struct resolver *r, enum answer_kind kind, uint32_t first, uint32_t n)
{
	struct order o = {kind, first, n};
	char byte;

	if (write(r->orders, &o, sizeof(o)) != (ssize_t)sizeof(o) ||
	    read(r->reports, &byte, 1) != 1)
		die("the process that asks for names has failed");
}

void resolver_stop(struct resolver *r)
{
	int status;

	close(r->orders);
	if (waitpid(r->pid, &status, 0) != r->pid || status)
		die("the process that asks for names failed, wait status %#x", (unsigned)status);
	close(r->reports);
	close(r->server);
}
