/* SPDX-License-Identifier: Apache-2.0 */
#include "names/questions.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "names/dns_message.h"
#include "names/table.h"

static struct agentsh_question *question_at(struct agentsh_list *at)
{
	return AGENTSH_CONTAINER(at, struct agentsh_question, in_table);
}

void agentsh_question_remove(struct agentsh_question *question)
{
	agentsh_list_remove(&question->in_table);
	agentsh_list_remove(&question->in_all);
	question->table->question_count--;
	free(question);
}

void agentsh_questions_free(struct agentsh_name_table *table)
{
	/* NOLINTBEGIN(clang-analyzer-unix.Malloc): a question that is freed is out of the list */
	while (!agentsh_list_is_empty(&table->questions))
		agentsh_question_remove(question_at(table->questions.next));
	/* NOLINTEND(clang-analyzer-unix.Malloc) */
}

void agentsh_questions_expire(struct agentsh_name_table *table, uint64_t now_ns,
			      uint64_t timeout_ns, bool answered)
{
	while (!agentsh_list_is_empty(&table->questions)) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as above */
		struct agentsh_question *oldest = question_at(table->questions.next);

		if (oldest->time_ns + timeout_ns >= now_ns || (answered && !oldest->answered))
			return;
		agentsh_question_remove(oldest);
	}
}

/* The question has no DNS_QUERY any more. */
static void take_out_of_all(struct agentsh_question *question)
{
	agentsh_list_remove(&question->in_all);
	agentsh_list_init(&question->in_all);
}

void agentsh_questions_end(struct agentsh_name_table *table)
{
	for (struct agentsh_list *at = table->questions.next; at != &table->questions;
	     at = at->next)
		take_out_of_all(question_at(at));
}

struct agentsh_question *agentsh_question_surplus(const struct agentsh_name_table *table,
						  uint64_t cookie)
{
	struct agentsh_question *oldest = NULL;
	uint32_t of_socket = 0;

	for (struct agentsh_list *at = table->questions.prev; at != &table->questions;
	     at = at->prev) {
		if (question_at(at)->cookie != cookie)
			continue;
		of_socket++;
		oldest = question_at(at);
	}
	if (of_socket >= AGENTSH_QUESTIONS_PER_SOCKET)
		return oldest;
	return table->question_count >= AGENTSH_QUESTIONS ? question_at(table->questions.next)
							  : NULL;
}

int agentsh_question_add(struct agentsh_name_table *table, struct agentsh_list *all,
			 const struct agentsh_ebpf_event *event,
			 const struct agentsh_dns_message *message)
{
	struct agentsh_question *question = calloc(1, sizeof(*question));

	if (!question)
		return -ENOMEM;
	question->table = table;
	question->cookie = event->socket_cookie;
	question->time_ns = event->timestamp_ns;
	question->id = message->id;
	question->type = message->type;
	question->server_family = event->family;
	question->server_port = event->remote_port;
	memcpy(question->server, event->remote_addr, sizeof(question->server));
	question->tcp = event->protocol == IPPROTO_TCP;
	question->cut = message->asked_cut;
	memcpy(question->asked, message->asked, sizeof(question->asked));
	question->event = *event;
	table->question_count++;
	agentsh_list_append(&table->questions, &question->in_table);
	agentsh_list_append(all, &question->in_all);
	if (table->ended)
		take_out_of_all(question);
	return 0;
}

/* Timestamps of different CPUs may run backwards, so an answer may seem older. */
static bool in_time(const struct agentsh_question *question,
		    const struct agentsh_ebpf_event *answer, uint64_t timeout_ns)
{
	return answer->timestamp_ns <= question->time_ns + timeout_ns;
}

/* Whether the answer came to the socket of the question, from where the question went. */
static bool is_way_back(const struct agentsh_question *question,
			const struct agentsh_ebpf_event *answer)
{
	return question->cookie == answer->socket_cookie &&
	       question->server_family == answer->family &&
	       question->server_port == answer->remote_port &&
	       question->tcp == (answer->protocol == IPPROTO_TCP) &&
	       !memcmp(question->server, answer->remote_addr, sizeof(question->server));
}

static bool is_answered(const struct agentsh_question *question,
			const struct agentsh_ebpf_event *answer,
			const struct agentsh_dns_message *message, uint64_t timeout_ns)
{
	return !question->answered && question->id == message->id &&
	       question->type == message->type && is_way_back(question, answer) &&
	       in_time(question, answer, timeout_ns) && !strcmp(question->asked, message->asked);
}

bool agentsh_question_has_id(const struct agentsh_name_table *table,
			     const struct agentsh_ebpf_event *answer, uint16_t id,
			     uint64_t timeout_ns)
{
	for (struct agentsh_list *at = table->questions.next; at != &table->questions;
	     at = at->next) {
		const struct agentsh_question *question = question_at(at);

		if (!question->answered && question->id == id && is_way_back(question, answer) &&
		    in_time(question, answer, timeout_ns))
			return true;
	}
	return false;
}

bool agentsh_question_of_socket(const struct agentsh_name_table *table,
				const struct agentsh_ebpf_event *answer, uint64_t timeout_ns)
{
	for (struct agentsh_list *at = table->questions.next; at != &table->questions;
	     at = at->next)
		if (question_at(at)->cookie == answer->socket_cookie &&
		    in_time(question_at(at), answer, timeout_ns))
			return true;
	return false;
}

struct agentsh_question *agentsh_question_find(const struct agentsh_name_table *table,
					       const struct agentsh_ebpf_event *answer,
					       const struct agentsh_dns_message *message,
					       uint64_t timeout_ns)
{
	/* NOLINTBEGIN(clang-analyzer-unix.Malloc): a question that is freed is out of the list */
	for (struct agentsh_list *at = table->questions.next; at != &table->questions;
	     at = at->next)
		if (is_answered(question_at(at), answer, message, timeout_ns))
			return question_at(at);
	/* NOLINTEND(clang-analyzer-unix.Malloc) */
	return NULL;
}

void agentsh_question_answered(struct agentsh_name_table *table,
			       const struct agentsh_ebpf_event *answer,
			       const struct agentsh_dns_message *message, uint64_t timeout_ns,
			       bool keep)
{
	struct agentsh_question *question;

	while ((question = agentsh_question_find(table, answer, message, timeout_ns))) {
		if (!keep) {
			agentsh_question_remove(question);
			continue;
		}
		question->answered = true;
		take_out_of_all(question);
	}
}
