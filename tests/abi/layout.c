/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles, in C99 to C++20, only if the public structs have the layout in layout.inc.
 * With PRINT defined, it is a program that prints "struct member offset size" for
 * bindings.
 */
#include <agentsh/ebpf.h>

#define P sizeof(void *)
#define OFFSET(type, member) offsetof(struct type, member)
#define LENGTH(type, member) sizeof(((struct type *)0)->member)

#ifdef PRINT
#include <stdio.h>

#define MEMBER(type, member, offset, size)                                                         \
	printf("%s %s %u %u\n", #type, #member, (unsigned)OFFSET(type, member),                    \
	       (unsigned)LENGTH(type, member));
#define SIZE(type, size) printf("%s - %u 0\n", #type, (unsigned)sizeof(struct type));

int main(void)
{
#include "layout.inc"
	return 0;
}
#else
/* C99 has no static assertions. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define ASSERT(what) typedef char JOIN(pinned_, __LINE__)[(what) ? 1 : -1];

#define MEMBER(type, member, offset, size)                                                         \
	ASSERT(OFFSET(type, member) == (offset) && LENGTH(type, member) == (size))
#define SIZE(type, size) ASSERT(sizeof(struct type) == (size))
#include "layout.inc"
#endif
