/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peers.h"
#include "util.h"

bool peer_there(const char *program)
{
	const char *path = getenv("PATH");
	char full[512];

	while (path && *path) {
		size_t length = strcspn(path, ":");

		snprintf(full, sizeof(full), "%.*s/%s", (int)length, path, program);
		if (!access(full, X_OK))
			return true;
		path += length + (path[length] == ':');
	}
	return false;
}

static char *read_all(int fd)
{
	struct stat st;
	size_t got = 0;
	char *text;
	ssize_t n;

	if (fstat(fd, &st))
		die("output of a peer: %m");
	text = xrealloc(NULL, (size_t)st.st_size + 1);
	while (got < (size_t)st.st_size) {
		n = pread(fd, text + got, (size_t)st.st_size - got, (off_t)got);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	text[got] = '\0';
	return text;
}

static bool has_written(const struct peer *p, const char *ready)
{
	char *text = read_all(p->output);
	bool found = strstr(text, ready) != NULL;

	free(text);
	return found;
}

bool peer_start(struct peer *p, char *const *argv, int cpu, const char *ready)
{
	p->output = memfd_create("agentsh-bench-peer", MFD_CLOEXEC);
	if (p->output < 0)
		die("memfd_create: %m");
	p->pid = fork();
	if (p->pid < 0)
		die("fork: %m");
	if (!p->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(cpu);
		signal(SIGINT, SIG_DFL); /* ignored, because a shell started us in the background */
		dup2(p->output, STDOUT_FILENO);
		dup2(p->output, STDERR_FILENO);
		execvp(argv[0], argv);
		die("%s: %m", argv[0]);
	}
	while (!has_written(p, ready)) {
		if (waitpid(p->pid, NULL, WNOHANG) == p->pid) {
			p->pid = -1;
			return has_written(p, ready);
		}
		usleep(10000);
	}
	return true;
}

uint64_t peer_cpu_ns(const struct peer *p)
{
	uint64_t sum = 0;
	char path[512];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)p->pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		unsigned long long ns = 0;
		FILE *in;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)p->pid,
			 entry->d_name);
		in = *entry->d_name == '.' ? NULL : fopen(path, "re");
		if (in && fscanf(in, "%llu", &ns) == 1)
			sum += ns;
		if (in)
			fclose(in);
	}
	if (dir)
		closedir(dir);
	return sum;
}

void peer_end(struct peer *p, int signal)
{
	if (p->pid < 0)
		return;
	if (signal)
		kill(p->pid, signal);
	for (int i = 0; signal && i < 1000; i++) {
		if (waitpid(p->pid, NULL, WNOHANG) == p->pid) {
			p->pid = -1;
			return;
		}
		usleep(10000);
	}
	if (signal) /* it ignored the signal */
		kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	p->pid = -1;
}

char *peer_output(struct peer *p)
{
	char *text = read_all(p->output);

	close(p->output);
	return text;
}
