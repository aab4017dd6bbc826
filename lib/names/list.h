/* SPDX-License-Identifier: Apache-2.0 */
/* A doubly linked list, whose head is a member of it. */
#ifndef AGENTSH_NAMES_LIST_H
#define AGENTSH_NAMES_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct agentsh_list {
	struct agentsh_list *prev;
	struct agentsh_list *next;
};

/* The struct of which a pointer's target is a member. */
#define AGENTSH_CONTAINER(pointer, type, member)                                                   \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void agentsh_list_init(struct agentsh_list *head)
{
	head->prev = head->next = head;
}

static inline bool agentsh_list_is_empty(const struct agentsh_list *head)
{
	return head->next == head;
}

/* gcc takes what is put into a list for lost. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
static inline void agentsh_list_append(struct agentsh_list *head, struct agentsh_list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic pop
#endif

static inline void agentsh_list_remove(struct agentsh_list *item)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): an item is taken out before it is freed */
	item->prev->next = item->next;
	item->next->prev = item->prev;
}

#endif
