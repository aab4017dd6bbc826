/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets share. Each is run by libFuzzer, or fed with files by replay.c. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code that does not hold: says which, and aborts. */
#define FUZZ_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_fail(__FILE__, __LINE__, #condition);                                 \
	} while (0)

__attribute__((noreturn)) void fuzz_fail(const char *file, int line, const char *what);

/* What is left of the input. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint8_t fuzz_byte(struct fuzz_input *in); /* 0 at the end */
/* n bytes; what the input does not have is zero. */
void fuzz_bytes(struct fuzz_input *in, void *to, size_t n);
/*
 * Up to the next NUL byte, which goes too, or the end: in a block of exactly that
 * size, so that a sanitizer sees a byte too many. To be freed.
 */
char *fuzz_slice(struct fuzz_input *in, size_t *len);
/* The same with a NUL at its end. */
char *fuzz_string(struct fuzz_input *in);

/* Valid UTF-8 without control characters, C0, DEL or C1. */
bool fuzz_is_clean(const char *text, size_t len);
/* One flat JSON object, RFC 8259, without white space, and nothing around it. */
bool fuzz_is_json(const char *text, size_t len);

#endif
