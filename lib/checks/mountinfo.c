/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/mountinfo.h"

#include <string.h>

/* Part of a text that belongs to the caller. */
struct slice {
	const char *at;
	size_t len;
};

/* Removes the text before the separator from rest, and the separator, and returns that text. */
static struct slice split_at(struct slice *rest, char separator)
{
	const char *end = rest->len ? memchr(rest->at, separator, rest->len) : NULL;
	struct slice head = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
	size_t skip = head.len + (end ? 1 : 0);

	rest->at += skip;
	rest->len -= skip;
	return head;
}

static bool equals(struct slice s, const char *string)
{
	return s.len == strlen(string) && !memcmp(s.at, string, s.len);
}

static bool starts_with(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && !memcmp(s.at, prefix.at, prefix.len);
}

/* Decodes mountinfo's escapes, such as \040 for a space. The result is never longer. */
static struct slice unescape(struct slice from, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < from.len; i++) {
		const char *c = from.at + i;

		if (*c == '\\' && from.len - i > 3 && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' &&
		    c[2] <= '7' && c[3] >= '0' && c[3] <= '7') {
			to[n++] = (char)((c[1] - '0') << 6 | (c[2] - '0') << 3 | (c[3] - '0'));
			i += 3;
		} else {
			to[n++] = *c;
		}
	}
	return (struct slice){to, n};
}

/*
 * Returns the path of the line of cgroup v2, "0::/path". A path above the namespace's root
 * is not usable.
 */
static struct slice own_path(struct slice rest)
{
	const struct slice v2 = {"0::/", 4}, above = {"/..", 3};

	while (rest.len) {
		struct slice line = split_at(&rest, '\n');

		if (!starts_with(line, v2))
			continue;
		line.at += v2.len - 1;
		line.len -= v2.len - 1;
		if (!starts_with(line, above) || (line.len > 3 && line.at[3] != '/'))
			return line;
	}
	return (struct slice){NULL, 0};
}

/* Sets *left to the part of path below root; returns false if path is not below root. */
static bool strip_root(struct slice path, struct slice root, struct slice *left)
{
	if (equals(root, "/"))
		root.len = 0;
	if (!path.len || !starts_with(path, root) ||
	    (path.len > root.len && path.at[root.len] != '/'))
		return false;
	*left = (struct slice){path.at + root.len, path.len - root.len};
	if (equals(*left, "/"))
		left->len = 0;
	return true;
}

static bool join(struct slice directory, struct slice rest, char *path, size_t size)
{
	if (directory.len + rest.len >= size)
		return false;
	memcpy(path, directory.at, directory.len);
	memcpy(path + directory.len, rest.at, rest.len);
	path[directory.len + rest.len] = '\0';
	return true;
}

/*
 * Returns the type in a line of mountinfo, proc_pid_mountinfo(5), and sets root and point:
 * "36 35 98:0 /root /mount/point options [optional]... - type source options"
 */
static struct slice parse_mount(struct slice line, struct slice *root, struct slice *point)
{
	for (int i = 0; i < 3; i++)
		split_at(&line, ' ');
	*root = split_at(&line, ' ');
	*point = split_at(&line, ' ');
	while (line.len)
		if (equals(split_at(&line, ' '), "-"))
			return split_at(&line, ' ');
	return (struct slice){NULL, 0};
}

void agentsh_mountinfo_parse(const char *mountinfo, size_t mountinfo_len, const char *cgroup,
			     size_t cgroup_len, bool (*is_cgroup2_mount)(const char *path),
			     struct agentsh_mounts *out)
{
	const struct slice none = {"", 0}, own = own_path((struct slice){cgroup, cgroup_len});
	struct slice rest = {mountinfo, mountinfo_len};
	char names[2][4096], path[sizeof(names[1]) + 1];

	memset(out, 0, sizeof(*out));
	while (rest.len) {
		struct slice root, point, left,
			type = parse_mount(split_at(&rest, '\n'), &root, &point);

		if (equals(type, "cgroup"))
			out->v1 = true;
		if (!equals(type, "cgroup2") || !root.len || !point.len ||
		    root.len > sizeof(names[0]) || point.len > sizeof(names[1]))
			continue;
		root = unescape(root, names[0]);
		point = unescape(point, names[1]);
		join(point, none, path, sizeof(path));
		if (is_cgroup2_mount && !is_cgroup2_mount(path)) {
			out->hidden++;
			continue;
		}
		out->v2++;
		if (!out->mount[0])
			join(point, none, out->mount, sizeof(out->mount));
		if (!out->own[0] && strip_root(own, root, &left) &&
		    join(point, left, out->own, sizeof(out->own)) && is_cgroup2_mount &&
		    !is_cgroup2_mount(out->own))
			out->own[0] = '\0';
	}
}
