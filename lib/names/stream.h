/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the data of one direction of a TCP connection in order. */
#ifndef AGENTSH_NAMES_STREAM_H
#define AGENTSH_NAMES_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that a stream holds, from the first that was not consumed. */
#define AGENTSH_STREAM_MAX 4096

struct agentsh_stream;

/* Returns NULL if there is no memory. */
struct agentsh_stream *agentsh_stream_new(void);
void agentsh_stream_free(struct agentsh_stream *stream); /* may be NULL */

/*
 * Adds a segment, which may repeat, overlap or precede others; of each byte the first copy
 * counts. The first segment sets the start of the stream. As long as nothing was consumed, a
 * segment that begins up to AGENTSH_STREAM_MAX bytes earlier moves the start back. Bytes more
 * than AGENTSH_STREAM_MAX behind the start are dropped, as if they had not arrived.
 *
 * Returns 0; or -ENOSPC if the segment begins so far from the start that nothing of it can be
 * held. The stream is then of no use any more.
 */
int agentsh_stream_add(struct agentsh_stream *stream, uint32_t sequence, const uint8_t *data,
		       size_t size);

/* The bytes from the start up to the first gap. They are there until the next call of add. */
const uint8_t *agentsh_stream_data(const struct agentsh_stream *stream, size_t *size);

/*
 * Moves the start forward. size may exceed what has arrived; then the bytes up to the new start
 * are skipped when they come, and what has arrived behind it is visible after the next call of
 * add. Before the first segment the call does nothing.
 */
void agentsh_stream_consume(struct agentsh_stream *stream, size_t size);

#endif
