/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First data of connections. What the parser says about the begin of the data must agree with
 * what it says about all of it. The first two bytes of the input are the size of the begin.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <agentsh/ebpf.h>

#include "fuzz.h"
#include "fuzz_names.h"
#include "names/first_data.h"

static void check(const struct agentsh_server_name *out)
{
	FUZZ_CHECK(out->source == AGENTSH_EBPF_NAME_TLS || out->source == AGENTSH_EBPF_NAME_HTTP);
	fuzz_check_name(out->name, false, true);
	FUZZ_CHECK(memchr(out->alpn, 0, sizeof(out->alpn)));
	for (const char *c = out->alpn; *c; c++)
		FUZZ_CHECK(*c > 0x20 && *c < 0x7f);
	FUZZ_CHECK(out->source == AGENTSH_EBPF_NAME_TLS || (!out->alpn[0] && !out->outer));
}

static int parse(const uint8_t *data, size_t size, struct agentsh_server_name *out)
{
	uint8_t *bytes = malloc(size ? size : 1);
	struct agentsh_server_name again;
	int ret;

	FUZZ_CHECK(bytes);
	memcpy(bytes, data, size);
	memset(out, 0xa5, sizeof(*out));
	memset(&again, 0x5a, sizeof(again));
	ret = agentsh_first_data_parse(bytes, size, out);
	FUZZ_CHECK(ret == agentsh_first_data_parse(bytes, size, &again));
	free(bytes);
	FUZZ_CHECK(ret == 1 || ret == 0 || ret == -EBADMSG);
	FUZZ_CHECK(ret || size < AGENTSH_FIRST_DATA_MAX);
	if (ret == 1 || (!ret && out->source)) {
		check(out);
		FUZZ_CHECK(!strcmp(out->name, again.name) && !strcmp(out->alpn, again.alpn));
		FUZZ_CHECK(out->cut == again.cut && out->outer == again.outer);
	}
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct agentsh_server_name begin, whole;
	size_t n = (size_t)fuzz_byte(&in) << 8 | fuzz_byte(&in);
	int first, all;

	n = n < in.left ? n : in.left;
	first = parse(in.at, n, &begin);
	all = parse(in.at, in.left, &whole);
	if (first == -EBADMSG)
		FUZZ_CHECK(all == -EBADMSG);
	if (first == 1 && all != 1) /* a second Host, which differs */
		FUZZ_CHECK(all == -EBADMSG && begin.source == AGENTSH_EBPF_NAME_HTTP);
	if (begin.source && first != -EBADMSG && all == 1)
		FUZZ_CHECK(!strcmp(begin.name, whole.name) && begin.source == whole.source);
	if (first == 1 && begin.source == AGENTSH_EBPF_NAME_TLS)
		FUZZ_CHECK(!strcmp(begin.alpn, whole.alpn) && begin.outer == whole.outer);
	return 0;
}
