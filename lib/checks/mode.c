/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the operator's settings from the environment, only if the host asks for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <agentsh/ebpf.h>

#include "base/error.h"

static int parse_mode(const char *text, uint32_t *mode, struct agentsh_ebpf_error *err)
{
	static const struct {
		const char *word;
		uint32_t mode;
	} words[] = {
		{"off", AGENTSH_EBPF_MODE_DISABLED},
		{"auto", AGENTSH_EBPF_MODE_AUTO},
		{"required", AGENTSH_EBPF_MODE_REQUIRED},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(text, words[i].word)) {
			*mode = words[i].mode;
			return 0;
		}
	}
	return agentsh_fail(err, -EINVAL, AGENTSH_EBPF_STEP_OPTIONS,
			    "AGENTSH_EBPF is '%.40s'; it must be off, auto or required", text);
}

int agentsh_ebpf_mode_from_env(uint32_t *mode, uint64_t *simulate_missing,
			       struct agentsh_ebpf_error *err)
{
	const char *value = secure_getenv("AGENTSH_EBPF");
	const char *names = secure_getenv("AGENTSH_EBPF_SIMULATE_MISSING");
	uint32_t found = mode ? *mode : 0;
	int ret = 0;

	if (!agentsh_error_begin(err))
		return -EINVAL;
	if (!mode)
		return agentsh_fail(err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "mode is NULL");
	if (value && value[0])
		ret = parse_mode(value, &found, err);
	if (!ret && names && names[0] && simulate_missing)
		ret = agentsh_ebpf_checks_parse(names, simulate_missing, err);
	if (!ret)
		*mode = found;
	return ret;
}
