/* SPDX-License-Identifier: Apache-2.0 */
#include "open_sockets.h"

#include <stddef.h>

_Static_assert((OPEN_SOCKETS_MAX & (OPEN_SOCKETS_MAX - 1)) == 0, "the index is masked");

/* A link is the index of an element plus 1; 0 ends the list. */
static uint32_t *bucket_of(struct open_sockets *s, uint64_t cookie)
{
	return &s->buckets[(cookie * 0x9e3779b97f4a7c15U) >> 32 & (OPEN_SOCKETS_MAX - 1)];
}

static uint32_t *link_to(struct open_sockets *s, uint64_t cookie)
{
	uint32_t *link = bucket_of(s, cookie);

	while (*link && s->table[*link - 1].cookie != cookie)
		link = &s->table[*link - 1].next;
	return link;
}

struct open_socket *open_sockets_find(struct open_sockets *s, uint64_t cookie)
{
	uint32_t link = *link_to(s, cookie);

	return link ? &s->table[link - 1] : NULL;
}

struct open_socket *open_sockets_add(struct open_sockets *s, uint64_t cookie)
{
	uint32_t *bucket = bucket_of(s, cookie), link = s->free;
	struct open_socket *new;

	if (link)
		s->free = s->table[link - 1].next;
	else if (s->made < OPEN_SOCKETS_MAX)
		link = ++s->made;
	else
		return NULL;
	new = &s->table[link - 1];
	*new = (struct open_socket){.cookie = cookie, .next = *bucket};
	*bucket = link;
	return new;
}

void open_sockets_remove(struct open_sockets *s, uint64_t cookie)
{
	uint32_t *link = link_to(s, cookie), removed = *link;

	if (!removed)
		return;
	*link = s->table[removed - 1].next;
	s->table[removed - 1].next = s->free;
	s->free = removed;
}

void open_sockets_visit(struct open_sockets *s,
			void (*visit)(void *ctx, struct open_socket *socket), void *ctx)
{
	for (size_t i = 0; i < OPEN_SOCKETS_MAX; i++)
		for (uint32_t link = s->buckets[i]; link; link = s->table[link - 1].next)
			visit(ctx, &s->table[link - 1]);
}
