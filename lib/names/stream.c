/* SPDX-License-Identifier: Apache-2.0 */
#include "names/stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64
#define WORDS (AGENTSH_STREAM_MAX / WORD_BITS)

struct agentsh_stream {
	uint32_t base; /* sequence number of data[0] */
	bool started, consumed;
	/* Offsets in data; start may be behind the others. */
	size_t start; /* of the first byte that was not consumed */
	size_t front; /* of the first gap */
	size_t top;   /* behind the last byte that is held */
	/* Bytes behind front that are held. */
	uint64_t held[WORDS];
	uint8_t data[AGENTSH_STREAM_MAX];
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

struct agentsh_stream *agentsh_stream_new(void)
{
	return calloc(1, sizeof(struct agentsh_stream));
}

void agentsh_stream_free(struct agentsh_stream *s)
{
	free(s);
}

static bool is_held(const struct agentsh_stream *s, size_t at)
{
	return s->held[at / WORD_BITS] >> at % WORD_BITS & 1;
}

static void hold(struct agentsh_stream *s, size_t at)
{
	s->held[at / WORD_BITS] |= 1ULL << at % WORD_BITS;
}

/* Bits at and behind front: a gap, if all bytes that are held are before it. */
static void move_front(struct agentsh_stream *s)
{
	if (s->front == s->top)
		return;
	while (s->front < s->top && is_held(s, s->front))
		s->front++;
	if (s->front == s->top)
		memset(s->held, 0, sizeof(s->held));
}

/* Forgets the bytes that were consumed. */
static void drop_consumed(struct agentsh_stream *s)
{
	size_t n = s->start, words = n / WORD_BITS, bits = n % WORD_BITS;

	if (!n)
		return;
	s->base += (uint32_t)n;
	s->start = 0;
	if (n >= s->top) {
		memset(s->held, 0, sizeof(s->held));
		s->front = s->top = 0;
		return;
	}
	memmove(s->data, s->data + n, s->top - n);
	for (size_t i = 0; i < WORDS; i++) {
		uint64_t low = i + words < WORDS ? s->held[i + words] : 0;
		uint64_t high = i + words + 1 < WORDS ? s->held[i + words + 1] : 0;

		s->held[i] = bits ? low >> bits | high << (WORD_BITS - bits) : low;
	}
	s->top -= n;
	s->front = s->front > n ? s->front - n : 0;
	move_front(s);
}

/* Makes room for n bytes before the first. Bytes that no longer fit are dropped. */
static void move_back(struct agentsh_stream *s, size_t n)
{
	size_t top = n < AGENTSH_STREAM_MAX ? smaller(s->top + n, AGENTSH_STREAM_MAX) : n;
	uint64_t held[WORDS];

	memcpy(held, s->held, sizeof(held));
	memset(s->held, 0, sizeof(s->held));
	for (size_t at = n; at < top; at++) {
		size_t old = at - n;

		if (old < s->front || held[old / WORD_BITS] >> old % WORD_BITS & 1)
			hold(s, at);
	}
	memmove(s->data + n, s->data, top - n);
	s->base -= (uint32_t)n;
	s->front = 0;
	s->top = top > n ? top : 0;
}

/* Copies bytes to an offset, except those that are held. */
static void fill(struct agentsh_stream *s, size_t at, const uint8_t *data, size_t size)
{
	size_t end = at + size;

	if (at <= s->front && s->front == s->top) {
		if (end > s->front)
			memcpy(s->data + s->front, data + (s->front - at), end - s->front);
		s->front = s->top = end > s->front ? end : s->front;
		return;
	}
	for (size_t i = at > s->front ? at : s->front; i < end; i++)
		if (!is_held(s, i)) {
			s->data[i] = data[i - at];
			hold(s, i);
		}
	s->top = end > s->top ? end : s->top;
	move_front(s);
}

int agentsh_stream_add(struct agentsh_stream *s, uint32_t sequence, const uint8_t *data,
		       size_t size)
{
	size_t earlier, at;

	if (!size)
		return 0;
	if (!s->started)
		s->base = sequence;
	s->started = true;
	drop_consumed(s);
	earlier = s->base - sequence;
	if (earlier && earlier <= UINT32_MAX / 2) {
		if (!s->consumed && earlier > AGENTSH_STREAM_MAX)
			return -ENOSPC;
		if (s->consumed) {
			if (size <= earlier)
				return 0;
			data += earlier;
			size -= earlier;
			sequence = s->base;
		} else {
			move_back(s, earlier);
		}
	}
	at = (uint32_t)(sequence - s->base);
	if (at >= AGENTSH_STREAM_MAX)
		return -ENOSPC;
	fill(s, at, data, smaller(size, AGENTSH_STREAM_MAX - at));
	return 0;
}

const uint8_t *agentsh_stream_data(const struct agentsh_stream *s, size_t *size)
{
	*size = s->front > s->start ? s->front - s->start : 0;
	return s->data + smaller(s->start, s->front);
}

void agentsh_stream_consume(struct agentsh_stream *s, size_t size)
{
	if (!s->started || !size)
		return;
	s->consumed = true;
	s->start += size;
}
