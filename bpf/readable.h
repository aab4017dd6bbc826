/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Plain loads from the kernel's objects, which cost much less than helper calls. */
#ifndef AGENTSH_READABLE_H
#define AGENTSH_READABLE_H

#ifdef AGENTSH_TASK

#include <bpf/bpf_core_read.h>
#include "kernel_types.h"

/*
 * Since kernel 6.2 (a35b9af4ec2c). A pointer that is NULL reads as 0. The verifier does not
 * trust such a pointer, and therefore does not search the kernel's types for the trust of
 * each pointer that is read through it, which takes a millisecond or more.
 */
#ifdef AGENTSH_KFUNCS
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

#define HAS_RDONLY_CAST                                                                            \
	bpf_core_enum_value_exists(enum bpf_func_id___since_6_2,                                   \
				   BPF_FUNC_cgrp_storage_get___since_6_2)

#define READABLE(object, type) ((type *)bpf_rdonly_cast(object, bpf_core_type_id_kernel(type)))
#else
#define HAS_RDONLY_CAST 0
#define READABLE(object, type) ((type *)(void *)(object))
#endif

#endif

#endif
