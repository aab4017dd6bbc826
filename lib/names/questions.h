/* SPDX-License-Identifier: Apache-2.0 */
/* The DNS questions of a session that have no answer yet. */
#ifndef AGENTSH_NAMES_QUESTIONS_H
#define AGENTSH_NAMES_QUESTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "names/list.h"

struct agentsh_dns_message;
struct agentsh_name_table;

/* The most questions per session and per socket. */
#define AGENTSH_QUESTIONS 256
#define AGENTSH_QUESTIONS_PER_SOCKET 16

struct agentsh_question {
	struct agentsh_list in_table;
	struct agentsh_list in_all; /* of the tracer */
	struct agentsh_name_table *table;
	uint64_t cookie;
	uint64_t time_ns;
	uint16_t id;
	uint16_t type;
	uint16_t server_family;
	uint16_t server_port;
	uint8_t server[16];
	bool tcp;
	bool cut;
	bool answered; /* only tells that the socket has asked */
	char asked[256];
	struct agentsh_ebpf_event event; /* what DNS_QUERY says */
};

/* The question that is forgotten when the socket asks once more; NULL: there is room. */
struct agentsh_question *agentsh_question_surplus(const struct agentsh_name_table *table,
						  uint64_t cookie);
/*
 * Remembers a question, of which event says when, by whom and to whom. all is the list of the
 * tracer's questions. Returns 0 or -ENOMEM.
 */
int agentsh_question_add(struct agentsh_name_table *table, struct agentsh_list *all,
			 const struct agentsh_ebpf_event *event,
			 const struct agentsh_dns_message *message);
/* Whether a question with this id went from the socket of an answer to its sender in time. */
bool agentsh_question_has_id(const struct agentsh_name_table *table,
			     const struct agentsh_ebpf_event *answer, uint16_t id,
			     uint64_t timeout_ns);
/* Whether a question of the socket is remembered, also one that was answered. */
bool agentsh_question_of_socket(const struct agentsh_name_table *table,
				const struct agentsh_ebpf_event *answer, uint64_t timeout_ns);
/* The oldest question that the answer answers in time, or NULL. */
struct agentsh_question *agentsh_question_find(const struct agentsh_name_table *table,
					       const struct agentsh_ebpf_event *answer,
					       const struct agentsh_dns_message *message,
					       uint64_t timeout_ns);
/*
 * Forgets all questions that the answer answers in time; a question may be repeated. With keep they
 * stay as answered until the timeout.
 */
void agentsh_question_answered(struct agentsh_name_table *table,
			       const struct agentsh_ebpf_event *answer,
			       const struct agentsh_dns_message *message, uint64_t timeout_ns,
			       bool keep);
/* Forgets the questions that are too old for an answer; or only the answered ones. */
void agentsh_questions_expire(struct agentsh_name_table *table, uint64_t now_ns,
			      uint64_t timeout_ns, bool answered);
void agentsh_question_remove(struct agentsh_question *question);
/* Nobody waits for the answers any more, but unread answers still give names. */
void agentsh_questions_end(struct agentsh_name_table *table);
void agentsh_questions_free(struct agentsh_name_table *table);

#endif
