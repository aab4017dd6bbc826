/* SPDX-License-Identifier: Apache-2.0 */
#include "load/set_retval.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define SET_RETVAL 187 /* BPF_FUNC_set_retval, which older headers lack */

bool agentsh_has_set_retval(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, (enum bpf_func_id)SET_RETVAL,
				       NULL) == 1;
}

static bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && !insn->src_reg && insn->imm == SET_RETVAL;
}

/*
 * A setting that is constant would not do: without CAP_PERFMON the verifier also looks at the
 * branches that are never taken, and refuses a program for a call that it does not know there.
 */
static int remove_from(struct bpf_program *prog)
{
	const struct bpf_insn nothing = {.code = BPF_ALU64 | BPF_MOV | BPF_K};
	const struct bpf_insn *old = bpf_program__insns(prog);
	size_t count = bpf_program__insn_cnt(prog), calls = 0;
	struct bpf_insn *insns;
	int ret;

	for (size_t i = 0; i < count; i++)
		calls += is_call(&old[i]);
	if (!calls)
		return 0;
	insns = malloc(count * sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	memcpy(insns, old, count * sizeof(*insns));
	for (size_t i = 0; i < count; i++)
		if (is_call(&insns[i]))
			insns[i] = nothing;
	ret = bpf_program__set_insns(prog, insns, count);
	free(insns);
	return ret;
}

int agentsh_set_retval_remove(struct bpf_object *obj)
{
	struct bpf_program *prog;
	int ret = 0;

	bpf_object__for_each_program(prog, obj)
	{
		if (!ret)
			ret = remove_from(prog);
	}
	return ret;
}
