/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions are attached while another tracer attaches and detaches programs at the cgroup above. A
 * program that its owner detaches is not a displaced program.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "firewall.h"
#include "live.h"

#define ATTACHES 1500
#define ATTACHES_S 20 /* an emulated machine attaches less often in this time */
#define STAY_US 200

static const struct agentsh_ebpf_tracer_options all_hooks = {
	.size = sizeof(all_hooks),
	.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |
		 AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC,
};

static void come_and_go(const void *shared, void *unused_out)
{
	atomic_bool *stop = *(atomic_bool *const *)shared;
	struct agentsh_ebpf_tracer *others = live_open(&all_hooks);

	(void)unused_out;
	while (!*stop) {
		struct agentsh_ebpf_session *session = live_attach(others, &above, 1);

		usleep(STAY_US);
		live_detach(session);
	}
	live_close(others);
}

static void attach_often(const void *hidden, void *unused_out)
{
	struct agentsh_ebpf_tracer *tracer;
	time_t end = time(NULL) + ATTACHES_S;

	(void)unused_out;
	if (*(const bool *)hidden)
		open_own_root();
	tracer = live_open(&all_hooks);
	for (int i = 0; i < ATTACHES && time(NULL) <= end; i++)
		live_detach(live_attach(tracer, &inside, 7));
	live_close(tracer);
}

START_TEST(attach_meanwhile)
{
	atomic_bool *stop = mmap(NULL, sizeof(*stop), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const bool hidden = _i;
	struct live_worker owner, host;

	LIVE_CHECK(stop != MAP_FAILED, "mmap: %s", strerror(errno));
	live_worker_start(&owner, &above);
	live_worker_send(&owner, come_and_go, &stop, sizeof(stop), 0);
	live_worker_start(&host, &inside);
	live_worker_call(&host, attach_often, &hidden, sizeof(hidden), NULL, 0);
	live_worker_stop(&host);
	*stop = true;
	live_worker_receive(&owner, NULL, 0);
	live_worker_stop(&owner);
	munmap(stop, sizeof(*stop));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("displace: races");
	TCase *tcase = live_case(suite, "attach");

	tcase_add_checked_fixture(tcase, firewall_begin, NULL);
	tcase_add_loop_test(tcase, attach_meanwhile, 0, 2);
	return live_main(suite);
}
