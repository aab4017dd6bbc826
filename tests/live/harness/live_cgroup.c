/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and removes cgroups named agentsh-test-PID-N below the machine's cgroup v2 mount. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "live.h"
#include "live_internal.h"

#define PREFIX "agentsh-test-"
#define CGROUPS_MAX 1100
#define REMOVE_TRIES 2000

static char root[128];	    /* mount point */
static char root_path[128]; /* path within the hierarchy that is mounted there */
static char made[CGROUPS_MAX][200];
static int made_count;
static unsigned int last_number;
static pid_t owner; /* forked hosts have copies of the table, but only this process removes */

static void find_root(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[1024];

	LIVE_CHECK(file, "/proc/self/mountinfo: %s", strerror(errno));
	while (!root[0] && fgets(line, sizeof(line), file)) {
		const char *type = strstr(line, " - ");
		char from[128], at[128];

		if (type && !strncmp(type + 3, "cgroup2 ", 8) &&
		    sscanf(line, "%*s %*s %*s %127s %127s", from, at) == 2) {
			strcpy(root, at);
			strcpy(root_path, from);
		}
	}
	fclose(file);
}

bool live_cgroup_mounted(void)
{
	if (!root[0])
		find_root();
	return root[0];
}

const char *live_cgroup_root(void)
{
	LIVE_CHECK(live_cgroup_mounted(), "no cgroup2 file system is mounted");
	return root;
}

/*
 * After an interruption, a child of a worker may still run in the cgroup, or a worker that
 * is not in the table yet. Also called in a signal handler.
 */
static void kill_inside(const char *path)
{
	char name[300], list[4096], *rest = list;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "%s/cgroup.procs", path);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, list, sizeof(list) - 1);
	if (fd >= 0)
		close(fd);
	list[n > 0 ? n : 0] = '\0';
	while (*rest) {
		long pid = strtol(rest, &rest, 10);

		if (pid > 0 && pid != getpid())
			kill((pid_t)pid, SIGKILL);
		rest += strspn(rest, "\n");
	}
}

/* The kernel may count a process for a moment after it has ended, so retry on EBUSY. */
static int remove_path(const char *path)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (!rmdir(path) || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			break;
		nanosleep(&moment, NULL);
	}
	return -errno;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DP)
		rmdir(path);
	return 0;
}

/* Removes the cgroups that a killed earlier run left behind. */
static void sweep(void)
{
	struct dirent **list;
	int count = scandir(live_cgroup_root(), &list, NULL, alphasort);

	while (count-- > 0) {
		const char *name = list[count]->d_name;

		if (!strncmp(name, PREFIX, strlen(PREFIX))) {
			int pid = atoi(name + strlen(PREFIX));
			char path[512];

			snprintf(path, sizeof(path), "%s/%s", root, name);
			if (pid > 0 && kill(pid, 0) && errno == ESRCH)
				nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		}
		free(list[count]);
	}
	free(list);
}

/* Cleans up after ctest's time limit and Ctrl-C. */
static void ended_by_signal(int signal)
{
	if (getpid() == owner) {
		live_workers_end();
		for (int i = made_count - 1; i >= 0; i--) {
			kill_inside(made[i]);
			remove_path(made[i]);
		}
	}
	_exit(128 + signal);
}

void live_cgroups_begin(void)
{
	owner = getpid();
	sweep();
}

void live_cgroups_catch(void)
{
	signal(SIGTERM, ended_by_signal);
	signal(SIGINT, ended_by_signal);
	signal(SIGHUP, ended_by_signal);
}

void live_cgroups_end(void)
{
	if (getpid() != owner)
		return;
	for (int i = made_count - 1; i >= 0; i--) {
		kill_inside(made[i]);
		if (remove_path(made[i]))
			fprintf(stderr, "left behind: %s\n", made[i]);
	}
	made_count = 0;
}

void live_cgroup_make(struct live_cgroup *cg, const struct live_cgroup *parent)
{
	struct stat st;
	int n = snprintf(cg->path, sizeof(cg->path), "%s/" PREFIX "%d-%u",
			 parent ? parent->path : live_cgroup_root(), (int)owner, ++last_number);

	LIVE_CHECK(n > 0 && (size_t)n < sizeof(cg->path) && made_count < CGROUPS_MAX,
		   "too many cgroups");
	strcpy(made[made_count], cg->path);
	made_count++; /* before mkdir(): a signal may arrive in between */
	LIVE_CHECK(!mkdir(cg->path, 0755), "mkdir %s: %s", cg->path, strerror(errno));
	cg->fd = open(cg->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	LIVE_CHECK(cg->fd >= 0 && !fstat(cg->fd, &st), "open %s: %s", cg->path, strerror(errno));
	cg->id = st.st_ino;
}

void live_cgroup_remove(struct live_cgroup *cg)
{
	int ret = remove_path(cg->path);

	LIVE_CHECK(!ret, "rmdir %s: %s", cg->path, strerror(-ret));
	close(cg->fd);
	cg->fd = -1;
}

void live_cgroup_enter(const struct live_cgroup *cg)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cg ? cg->path : live_cgroup_root());
	fd = open(path, O_WRONLY | O_CLOEXEC);
	LIVE_CHECK(fd >= 0 && write(fd, "0", 1) == 1, "%s: %s", path, strerror(errno));
	close(fd);
}

uint64_t live_cgroup_own(void)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[512], path[768] = "";
	struct stat st;

	LIVE_CHECK(file, "/proc/self/cgroup: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		size_t skip = strlen(root_path) > 1 ? strlen(root_path) : 0;

		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "0::", 3) && !strncmp(line + 3, root_path, skip))
			snprintf(path, sizeof(path), "%s%s", live_cgroup_root(), line + 3 + skip);
	}
	fclose(file);
	LIVE_CHECK(path[0] && !stat(path, &st), "own cgroup %s: %s", path, strerror(errno));
	return st.st_ino;
}

static bool inside(const char *directory)
{
	char name[5000];
	FILE *file;
	int pid = 0;

	snprintf(name, sizeof(name), "%s/cgroup.procs", directory);
	file = fopen(name, "re");
	LIVE_CHECK(file, "%s: %s", name, strerror(errno));
	while (pid != getpid() && fscanf(file, "%d", &pid) == 1)
		;
	fclose(file);
	return pid == getpid();
}

void live_expect_cgroup_path(const struct agentsh_ebpf_capabilities *caps)
{
	const struct agentsh_ebpf_check *check = &caps->checks[AGENTSH_EBPF_CHECK_CGROUP2];
	char path[4096] = "";
	int ret = agentsh_ebpf_cgroup_path(path, sizeof(path));

	if (check->status != AGENTSH_EBPF_STATUS_AVAILABLE) {
		LIVE_CHECK(ret == -check->error, "cgroup path: %d, the probe: %s", ret,
			   check->detail);
		return;
	}
	LIVE_CHECK(!ret, "cgroup path: %d, the probe: %s", ret, check->detail);
	if (!caps->cgroup_path[0]) {
		LIVE_CHECK(!strcmp(path, caps->cgroup2_path), "cgroup path: %s instead of %s", path,
			   caps->cgroup2_path);
		return;
	}
	LIVE_CHECK(!strcmp(path, caps->cgroup_path), "cgroup path: %s instead of %s", path,
		   caps->cgroup_path);
	LIVE_CHECK(inside(path), "not in %s", path);
}
