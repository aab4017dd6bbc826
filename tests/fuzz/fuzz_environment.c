/* SPDX-License-Identifier: Apache-2.0 */
/* Settings in the environment: names of checks and a mode, from anyone who may set them. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "checks/checks.h"

/* The caller's error struct has any size, in a block of that size. */
static void check_error(const struct agentsh_ebpf_error *err, uint32_t size, int ret)
{
	const size_t start = offsetof(struct agentsh_ebpf_error, message);

	FUZZ_CHECK(err->size == size);
	if (size >= offsetof(struct agentsh_ebpf_error, step))
		FUZZ_CHECK(err->code == ret);
	if (size > start) {
		const char *end = memchr(err->message, '\0', size - start);

		FUZZ_CHECK(end);
		FUZZ_CHECK(fuzz_is_clean(err->message, (size_t)(end - err->message)));
		FUZZ_CHECK(size <= start + 1 || !ret == !err->message[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	uint32_t err_size = 4 + fuzz_byte(&in) + (uint32_t)fuzz_byte(&in) % 64;
	struct agentsh_ebpf_error *err = malloc(err_size);
	char *mode_text = fuzz_string(&in), *names = fuzz_string(&in);
	uint64_t mask = UINT64_MAX, simulate = UINT64_MAX;
	uint32_t mode = 99;
	int ret;

	FUZZ_CHECK(err);
	err->size = err_size;
	ret = agentsh_ebpf_checks_parse(names, &mask, err);
	FUZZ_CHECK(ret ? mask == UINT64_MAX : !(mask >> AGENTSH_CHECK_COUNT));
	check_error(err, err_size, ret);

	setenv("AGENTSH_EBPF", mode_text, 1);
	setenv("AGENTSH_EBPF_SIMULATE_MISSING", names, 1);
	ret = agentsh_ebpf_mode_from_env(&mode, &simulate, err);
	check_error(err, err_size, ret);
	if (ret)
		FUZZ_CHECK(mode == 99 && simulate == UINT64_MAX);
	else
		FUZZ_CHECK(names[0] ? simulate == mask : simulate == UINT64_MAX);
	if (!ret && mode_text[0])
		FUZZ_CHECK(mode <= AGENTSH_EBPF_MODE_SYNTHETIC);
	free(names);
	free(mode_text);
	free(err);
	return 0;
}
