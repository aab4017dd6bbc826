/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments in any order, compared with a simple model. The input is a list of operations: a
 * byte with the kind, then its numbers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "names/dns_stream.h"

#define MAX AGENTSH_STREAM_MAX

/* A window of the connection from the first byte that was not consumed. */
static struct {
	bool started, consumed;
	uint32_t base;
	size_t visible;
	bool held[MAX];
	uint8_t bytes[MAX];
} model;

static void shift_left(size_t n)
{
	size_t rest = n < MAX ? MAX - n : 0;

	memmove(model.held, model.held + MAX - rest, rest);
	memmove(model.bytes, model.bytes + MAX - rest, rest);
	memset(model.held + rest, 0, MAX - rest);
	model.base += (uint32_t)n;
}

static void shift_right(size_t n)
{
	memmove(model.held + n, model.held, MAX - n);
	memmove(model.bytes + n, model.bytes, MAX - n);
	memset(model.held, 0, n);
	model.base -= (uint32_t)n;
}

static void count_visible(void)
{
	const bool *gap = memchr(model.held, 0, sizeof(model.held));

	model.visible = gap ? (size_t)(gap - model.held) : MAX;
}

static int model_add(uint32_t sequence, const uint8_t *data, size_t size)
{
	int64_t at;

	if (!size)
		return 0;
	if (!model.started)
		model.base = sequence;
	model.started = true;
	count_visible();
	at = (int32_t)(sequence - model.base);
	if (at < 0 && !model.consumed) {
		if (at < -MAX)
			return -ENOSPC;
		shift_right((size_t)-at);
		at = 0;
	}
	if (at >= MAX)
		return -ENOSPC;
	for (size_t i = 0; i < size; i++, at++)
		if (at >= 0 && at < MAX && !model.held[at]) {
			model.held[at] = true;
			model.bytes[at] = data[i];
		}
	count_visible();
	return 0;
}

static void model_consume(size_t n)
{
	if (!model.started)
		return;
	model.consumed |= n > 0;
	model.visible = model.visible > n ? model.visible - n : 0;
	shift_left(n);
}

/* Numbers of 16 bits; the sequence number may be before the start. */
static void add(struct agentsh_stream *s, struct fuzz_input *in, uint32_t *next)
{
	uint32_t offset = (uint32_t)(int16_t)(fuzz_byte(in) << 8 | fuzz_byte(in));
	size_t size = (size_t)(fuzz_byte(in) << 8 | fuzz_byte(in)) % ((size_t)2 * MAX);
	uint32_t sequence = *next + offset;
	uint8_t first = fuzz_byte(in), *bytes = malloc(size ? size : 1);
	int ret;

	FUZZ_CHECK(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(first + i);
	ret = model_add(sequence, bytes, size);
	FUZZ_CHECK(agentsh_stream_add(s, sequence, bytes, size) == ret);
	free(bytes);
	*next = sequence + (uint32_t)size;
}

static void next_message(struct agentsh_stream *s)
{
	const uint8_t *message;
	size_t captured, length, visible = model.visible;
	int ret = agentsh_dns_tcp_next(s, &message, &captured, &length);

	FUZZ_CHECK(ret == 1 || ret == 0 || ret == -EBADMSG);
	if (ret != 1) {
		FUZZ_CHECK(ret || visible < MAX);
		return;
	}
	FUZZ_CHECK(visible >= 2 && length == (size_t)(model.bytes[0] << 8 | model.bytes[1]));
	FUZZ_CHECK(length >= 12 && captured <= length);
	FUZZ_CHECK(captured == length || captured + 2 == MAX);
	FUZZ_CHECK(captured + 2 <= visible && !memcmp(message, model.bytes + 2, captured));
	model_consume(length + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct agentsh_stream *s = agentsh_stream_new();
	uint32_t next = 0;

	FUZZ_CHECK(s);
	memset(&model, 0, sizeof(model));
	for (int i = 0; i < 200 && in.left; i++) {
		uint8_t kind = fuzz_byte(&in);
		const uint8_t *held;
		size_t n;

		if (kind % 4 == 0) {
			n = (size_t)fuzz_byte(&in) << (kind >> 4 & 8);
			agentsh_stream_consume(s, n);
			model_consume(n);
		} else if (kind % 4 == 1) {
			next_message(s);
		} else {
			add(s, &in, &next);
		}
		held = agentsh_stream_data(s, &n);
		FUZZ_CHECK(n == model.visible && !memcmp(held, model.bytes, n));
	}
	agentsh_stream_free(s);
	return 0;
}
