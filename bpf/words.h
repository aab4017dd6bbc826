/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stores to the stack in whole 64-bit words. Without CAP_PERFMON, kernels before 6.9 refuse
 * a program that stores a number in the first half of a word on the stack and then
 * anything in the second half.
 */
#ifndef AGENTSH_WORDS_H
#define AGENTSH_WORDS_H

#include <linux/types.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define IN_MEMORY(first, second, bits) ((first) | (second) << (bits))
#else
#define IN_MEMORY(first, second, bits) ((first) << (bits) | (second))
#endif

/* The number that has these two parts in memory, in this order. */
static __always_inline __u64 word_of(__u32 first, __u32 second)
{
	return IN_MEMORY((__u64)first, (__u64)second, 32);
}

static __always_inline __u32 half_of(__u16 first, __u16 second)
{
	return IN_MEMORY((__u32)first, (__u32)second, 16);
}

static __always_inline __u16 quarter_of(__u8 first, __u8 second)
{
	return IN_MEMORY((__u32)first, (__u32)second, 8);
}

/* Stores the word that begins with this member. */
#define SET_WORD(member, value) (*(__u64 *)&(member) = (value))

/* Stores four 32-bit numbers. */
static __always_inline void set_words(__u32 to[4], const __u32 from[4])
{
	SET_WORD(to[0], word_of(from[0], from[1]));
	SET_WORD(to[2], word_of(from[2], from[3]));
}

#endif
