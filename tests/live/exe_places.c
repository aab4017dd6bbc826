/* SPDX-License-Identifier: Apache-2.0 */
#include "exe_places.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live.h"

static void copy_to(int to, const char *from)
{
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	static char buffer[1 << 16];
	ssize_t n;

	LIVE_CHECK(fd >= 0, "%s: %s", from, strerror(errno));
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		LIVE_CHECK(write(to, buffer, (size_t)n) == n, "write: %s", strerror(errno));
	LIVE_CHECK(!n, "%s: %s", from, strerror(errno));
	close(fd);
}

static void copy_file(const char *path, const char *from)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	LIVE_CHECK(fd >= 0, "%s: %s", path, strerror(errno));
	copy_to(fd, from);
	close(fd);
}

static void make_directory(struct exe_place *program)
{
	memset(program, 0, sizeof(*program));
	program->fd = -1;
	snprintf(program->directory, sizeof(program->directory), "/tmp/agentsh-exe-XXXXXX");
	LIVE_CHECK(mkdtemp(program->directory), "mkdtemp: %s", strerror(errno));
}

const char *exe_on_disk(struct exe_place *program, const char *from)
{
	make_directory(program);
	snprintf(program->path, sizeof(program->path), "%s/exe-on-disk", program->directory);
	copy_file(program->path, from);
	return NULL;
}

/* The mount is visible to this process and its children only. */
static void mount_tmpfs(struct exe_place *program)
{
	LIVE_CHECK(!unshare(CLONE_NEWNS) && !mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL),
		   "unshare: %s", strerror(errno));
	LIVE_CHECK(!mount("none", program->directory, "tmpfs", 0, NULL), "tmpfs: %s",
		   strerror(errno));
	program->mounted = true;
}

const char *exe_on_tmpfs(struct exe_place *program, const char *from)
{
	make_directory(program);
	mount_tmpfs(program);
	snprintf(program->path, sizeof(program->path), "%s/exe-on-tmpfs", program->directory);
	copy_file(program->path, from);
	return NULL;
}

enum layer { LOWER, UPPER, LOWER_ELSEWHERE };

static const char *on_overlay(struct exe_place *program, const char *from, enum layer layer)
{
	static const char *const parts[] = {"lower", "upper", "work", "all"};
	const char *dir = program->directory;
	struct stat st;
	char text[256];

	make_directory(program);
	mount_tmpfs(program);
	for (size_t i = 0; i < LIVE_COUNT(parts); i++) {
		snprintf(text, sizeof(text), "%s/%s", dir, parts[i]);
		LIVE_CHECK(!mkdir(text, 0755), "%s: %s", text, strerror(errno));
	}
	snprintf(text, sizeof(text), "%s/lower", dir);
	LIVE_CHECK(layer != LOWER_ELSEWHERE || !mount("none", text, "tmpfs", 0, NULL), "tmpfs: %s",
		   strerror(errno));
	snprintf(text, sizeof(text), "%s/lower/exe-on-overlay", dir);
	if (layer != UPPER)
		copy_file(text, from);
	snprintf(text, sizeof(text), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", dir,
		 dir, dir);
	snprintf(program->path, sizeof(program->path), "%s/all", dir);
	if (mount("none", program->path, "overlay", 0, text)) {
		LIVE_CHECK(errno == ENODEV, "overlay: %s", strerror(errno));
		return "the kernel has no overlayfs";
	}
	if (layer == LOWER_ELSEWHERE) {
		LIVE_CHECK(!stat(program->path, &st), "stat: %s", strerror(errno));
		program->device = (uint32_t)st.st_dev;
	}
	strcat(program->path, "/exe-on-overlay");
	if (layer == UPPER)
		copy_file(program->path, from);
	return NULL;
}

const char *exe_on_overlay_lower(struct exe_place *program, const char *from)
{
	return on_overlay(program, from, LOWER);
}

const char *exe_on_overlay_upper(struct exe_place *program, const char *from)
{
	return on_overlay(program, from, UPPER);
}

const char *exe_on_overlay_mixed(struct exe_place *program, const char *from)
{
	return on_overlay(program, from, LOWER_ELSEWHERE);
}

const char *exe_deleted(struct exe_place *program, const char *from)
{
	exe_on_disk(program, from);
	program->fd = open(program->path, O_RDONLY | O_CLOEXEC);
	LIVE_CHECK(program->fd >= 0 && !unlink(program->path), "%s: %s", program->path,
		   strerror(errno));
	program->path[0] = '\0';
	return NULL;
}

const char *exe_in_memory(struct exe_place *program, const char *from)
{
	make_directory(program);
	program->fd = memfd_create("exe-in-memory", MFD_CLOEXEC);
	LIVE_CHECK(program->fd >= 0, "memfd_create: %s", strerror(errno));
	copy_to(program->fd, from);
	return NULL;
}

const char *exe_script(struct exe_place *program, const char *from)
{
	FILE *file;

	exe_on_disk(program, from);
	strcpy(strrchr(program->path, '/'), "/exe-script");
	file = fopen(program->path, "wxe");
	LIVE_CHECK(file && fprintf(file, "#!%s/exe-on-disk call\n", program->directory) > 0 &&
			   !fclose(file) && !chmod(program->path, 0755),
		   "%s: %s", program->path, strerror(errno));
	return NULL;
}

void exe_execute(const struct exe_place *program, char *const argv[])
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", program->fd);
	execve(program->path[0] ? program->path : path, argv, environ);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

void exe_remove(struct exe_place *program)
{
	if (program->fd >= 0)
		close(program->fd);
	if (program->mounted)
		LIVE_CHECK(!umount2(program->directory, MNT_DETACH), "umount: %s", strerror(errno));
	LIVE_CHECK(!nftw(program->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), "remove %s: %s",
		   program->directory, strerror(errno));
}
