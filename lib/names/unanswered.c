/* SPDX-License-Identifier: Apache-2.0 */
/* DNS questions that had no answer in time. */
#include <stdlib.h>

#include "names/names.h"
#include "names/node.h"
#include "names/questions.h"

static struct agentsh_question *oldest(const struct agentsh_names *names)
{
	return agentsh_list_is_empty(&names->questions)
		       ? NULL
		       : AGENTSH_CONTAINER(names->questions.next, struct agentsh_question, in_all);
}

static void make_view(const struct agentsh_question *question, struct agentsh_name_view *view)
{
	const struct agentsh_name_fields fields = {
		.source = question->tcp ? AGENTSH_EBPF_NAME_DNS_TCP : AGENTSH_EBPF_NAME_DNS,
		.flags = question->cut ? AGENTSH_EBPF_NAME_FLAG_CUT : 0,
		.asker_tgid = question->event.tgid,
		.asker_start_ns = question->event.process_start_ns,
		.time_ns = question->time_ns,
		.ttl_ns = UINT64_MAX,
		.asked = question->asked,
		.owner = "",
	};

	view->node = agentsh_node_new(&fields);
	view->dns = calloc(1, sizeof(*view->dns));
	if (view->node)
		view->flags = view->node->flags;
	if (!view->dns)
		return;
	view->dns->about.question_type = question->type;
	view->dns->about.flags = question->tcp ? AGENTSH_EBPF_DNS_FLAG_TCP : 0;
}

void agentsh_names_put_question(struct agentsh_names *names,
				const struct agentsh_question *question)
{
	struct agentsh_name_view view = {0};

	make_view(question, &view);
	agentsh_names_put(names, question->table, &question->event, &view);
}

bool agentsh_names_unanswered(struct agentsh_names *names, uint64_t now_ns,
			      struct agentsh_ebpf_event *event,
			      struct agentsh_names_session *session)
{
	struct agentsh_name_view view = {0};
	struct agentsh_question *question;
	bool found;

	pthread_mutex_lock(&names->lock);
	question = oldest(names);
	found = question && question->time_ns + names->timeout_ns <= now_ns;
	if (found) {
		*event = question->event;
		*session = question->table->session;
		make_view(question, &view);
		event->name_id = agentsh_views_add(&names->views, &view);
		agentsh_question_remove(question);
	}
	pthread_mutex_unlock(&names->lock);
	return found;
}

uint64_t agentsh_names_deadline(struct agentsh_names *names)
{
	const struct agentsh_question *question;
	uint64_t deadline;

	pthread_mutex_lock(&names->lock);
	question = oldest(names);
	deadline = question ? question->time_ns + names->timeout_ns : 0;
	pthread_mutex_unlock(&names->lock);
	return deadline;
}
