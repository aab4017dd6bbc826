/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HANDLE_KERNFS 0xfe /* FILEID_KERNFS, linux/exportfs.h: the handle is the id of a cgroup */
#define DEPTH_MAX 32
#define DIRECTORIES_MAX 1000

/* A search below the traced cgroup. */
struct search {
	uint64_t id;
	unsigned left; /* directories that may still be read */
	size_t length;
	char path[PATH_MAX];
};

/* Fills path with the path of an open directory. */
static bool path_of(int fd, char path[PATH_MAX])
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX);
	if (n <= 0 || n == PATH_MAX)
		return false;
	path[n] = '\0';
	return true;
}

/* Whether the path leads to this cgroup: a path in /proc/self/fd may be that of a removed one. */
static bool leads_to(const struct cgroup_names *names, const char *path, uint64_t id)
{
	struct stat st, top;

	return !fstat(names->fd, &top) && !stat(path, &st) && st.st_ino == id &&
	       st.st_dev == top.st_dev;
}

void cgroup_names_open(struct cgroup_names *names, const struct cgroup *traced)
{
	*names = (struct cgroup_names){.fd = -1, .id = traced->id};
	/* The trace closes its own descriptor before it reads the last events. */
	names->fd = fcntl(traced->fd, F_DUPFD_CLOEXEC, 3);
	if (names->fd < 0 || !path_of(names->fd, names->path) ||
	    !leads_to(names, names->path, names->id))
		snprintf(names->path, sizeof(names->path), "%s", traced->path);
}

void cgroup_names_close(struct cgroup_names *names)
{
	if (names->fd >= 0)
		close(names->fd);
	names->fd = -1;
	for (size_t i = 0; i < CGROUP_NAMES_MAX; i++)
		free(names->names[i].path);
	memset(names->names, 0, sizeof(names->names));
}

/*
 * Returns 0 or a negative errno value: -ESTALE if there is no such cgroup, -EPERM without
 * CAP_DAC_READ_SEARCH in the initial user namespace.
 */
static int find_by_handle(const struct cgroup_names *names, uint64_t id, char path[PATH_MAX])
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + sizeof(id)];
	} u = {.handle = {.handle_bytes = sizeof(id), .handle_type = HANDLE_KERNFS}};
	bool found;
	int fd;

	memcpy(u.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(names->fd, &u.handle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	found = path_of(fd, path) && leads_to(names, path, id);
	close(fd);
	return found ? 0 : -ENOENT;
}

static bool append(struct search *search, const char *name)
{
	size_t size = strlen(name) + 1;

	if (size + 1 > sizeof(search->path) - search->length)
		return false;
	search->path[search->length] = '/';
	memcpy(search->path + search->length + 1, name, size);
	search->length += size;
	return true;
}

/* Reads the directory fd, which it closes. Leaves the path of the cgroup in search. */
static bool find_below(struct search *search, int fd, unsigned depth)
{
	const size_t length = search->length;
	struct dirent *entry;
	bool found = false;
	DIR *directory = fdopendir(fd);

	if (!directory) {
		close(fd);
		return false;
	}
	while (!found && (entry = readdir(directory))) {
		int below;

		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, "..") || !append(search, entry->d_name))
			continue;
		found = entry->d_ino == search->id;
		if (!found && depth < DEPTH_MAX && search->left) {
			search->left--;
			below = openat(fd, entry->d_name,
				       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			found = below >= 0 && find_below(search, below, depth + 1);
		}
		if (!found)
			search->length = length;
	}
	closedir(directory);
	return found;
}

/* Requires permission to read the directories, and no privilege. */
static bool find_by_search(const struct cgroup_names *names, uint64_t id, char path[PATH_MAX])
{
	struct search search = {.id = id, .left = DIRECTORIES_MAX, .length = strlen(names->path)};
	int fd = openat(names->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memcpy(search.path, names->path, search.length);
	if (fd < 0 || !find_below(&search, fd, 0))
		return false;
	memcpy(path, search.path, search.length + 1);
	return true;
}

static bool find(const struct cgroup_names *names, uint64_t id, char path[PATH_MAX])
{
	int ret = find_by_handle(names, id, path);

	return !ret || (ret != -ESTALE && find_by_search(names, id, path));
}

const char *cgroup_names_find(struct cgroup_names *names, uint64_t id)
{
	struct cgroup_name *name;
	char path[PATH_MAX];

	if (!id || names->fd < 0)
		return NULL;
	if (id == names->id)
		return names->path;
	for (size_t i = 0; i < CGROUP_NAMES_MAX; i++)
		if (names->names[i].id == id)
			return names->names[i].path;
	name = &names->names[names->next];
	names->next = (names->next + 1) % CGROUP_NAMES_MAX;
	free(name->path);
	name->id =
		id; /* never used again, so a cgroup that was not found will not be found later */
	name->path = find(names, id, path) ? strdup(path) : NULL;
	return name->path;
}
