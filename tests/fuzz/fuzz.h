/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the targets. Each is run by libFuzzer, or on files by replay.c. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts with the condition if it does not hold. */
#define FUZZ_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_fail(__FILE__, __LINE__, #condition);                                 \
	} while (0)

__attribute__((noreturn)) void fuzz_fail(const char *file, int line, const char *what);

/* The rest of the input. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint8_t fuzz_byte(struct fuzz_input *in); /* 0 at the end of the input */
/* Reads n bytes; bytes beyond the end of the input are zero. */
void fuzz_bytes(struct fuzz_input *in, void *to, size_t n);
/*
 * Reads up to the next NUL byte, which is skipped, or up to the end, into a block of
 * exactly that size, so that a sanitizer reports a read past its end. The caller frees it.
 */
char *fuzz_slice(struct fuzz_input *in, size_t *len);
/* Like fuzz_slice(), but NUL-terminated. */
char *fuzz_string(struct fuzz_input *in);

/* Whether the text is valid UTF-8 without control characters (C0, DEL, C1). */
bool fuzz_is_clean(const char *text, size_t len);
/* Whether the text is exactly one flat JSON object, RFC 8259, without white space. */
bool fuzz_is_json(const char *text, size_t len);

#endif
