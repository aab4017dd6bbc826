/* SPDX-License-Identifier: Apache-2.0 */
/* Mount tables of other machines: complete, unusual, truncated and random. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks/mountinfo.h"
#include "unit.h"

#define V1                                                                                         \
	"31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"                                        \
	"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n"
#define OTHER "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
#define OWN(path) "4:memory:/elsewhere\n1:name=systemd:/elsewhere\n0::" path "\n"

static const struct {
	const char *what;
	const char *mountinfo, *cgroup;
	uint32_t v2;
	bool v1;
	const char *mount, *own;
} machines[] = {
	{"nothing", "", "", 0, false, "", ""},
	{"none", OTHER, OWN("/"), 0, false, "", ""},
	{"only v1", OTHER V1, "4:memory:/a\n", 0, true, "", ""},
	{"pure", OTHER "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
	 OWN("/system.slice/a.service"), 1, false, "/sys/fs/cgroup",
	 "/sys/fs/cgroup/system.slice/a.service"},
	{"hybrid",
	 OTHER V1 "41 31 0:38 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw\n",
	 OWN("/user.slice"), 1, true, "/sys/fs/cgroup/unified",
	 "/sys/fs/cgroup/unified/user.slice"},
	{"the root itself", "41 31 0:38 / /cg rw - cgroup2 none rw\n", OWN("/"), 1, false, "/cg",
	 "/cg"},
	{"no newline at the end", "41 31 0:38 / /cg rw - cgroup2 none rw", "0::/a", 1, false, "/cg",
	 "/cg/a"},
	{"source called cgroup2", "41 31 0:38 / /x rw - tmpfs cgroup2 rw\n", OWN("/a"), 0, false,
	 "", ""},
	{"mount point called cgroup2", "41 31 0:38 / /cgroup2 rw - ext4 /dev/x rw\n", OWN("/a"), 0,
	 false, "", ""},
	{"type with cgroup2 as a prefix", "41 31 0:38 / /x rw - cgroup2fs none rw\n", OWN("/a"), 0,
	 false, "", ""},
	{"many optional fields",
	 "41 31 0:38 / /cg rw shared:1 master:2 propagate_from:3 unbindable - cgroup2 none rw\n",
	 OWN("/a"), 1, false, "/cg", "/cg/a"},
	{"two mounts",
	 "41 31 0:38 / /one rw - cgroup2 none rw\n42 31 0:38 / /two rw - cgroup2 none rw\n",
	 OWN("/a"), 2, false, "/one", "/one/a"},
	{"the first shows another part",
	 "41 31 0:38 /b /one rw - cgroup2 none rw\n42 31 0:38 / /two rw - cgroup2 none rw\n",
	 OWN("/a"), 2, false, "/one", "/two/a"},
	{"namespaced root", "41 31 0:38 /docker/123 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
	 OWN("/docker/123/x"), 1, false, "/sys/fs/cgroup", "/sys/fs/cgroup/x"},
	{"the root is the own cgroup",
	 "41 31 0:38 /docker/123 /sys/fs/cgroup ro - cgroup2 cgroup rw\n", OWN("/docker/123"), 1,
	 false, "/sys/fs/cgroup", "/sys/fs/cgroup"},
	{"a sibling with the name as a prefix",
	 "41 31 0:38 /docker/123 /cg ro - cgroup2 cgroup rw\n", OWN("/docker/1234/x"), 1, false,
	 "/cg", ""},
	{"the own cgroup is above the root", "41 31 0:38 /docker/123 /cg ro - cgroup2 cgroup rw\n",
	 OWN("/docker"), 1, false, "/cg", ""},
	{"above the namespace", "41 31 0:38 / /cg ro - cgroup2 cgroup rw\n", OWN("/.."), 1, false,
	 "/cg", ""},
	{"far above the namespace", "41 31 0:38 / /cg ro - cgroup2 cgroup rw\n",
	 OWN("/../../other"), 1, false, "/cg", ""},
	{"a name of two dots and more", "41 31 0:38 / /cg ro - cgroup2 cgroup rw\n", OWN("/..a"), 1,
	 false, "/cg", "/cg/..a"},
	{"a mount from outside the namespace", "41 31 0:38 /.. /cg ro - cgroup2 cgroup rw\n",
	 OWN("/"), 1, false, "/cg", ""},
	{"escaped", "41 31 0:38 /a\\040b /mnt/c\\011g\\134x\\012y rw - cgroup2 none rw\n",
	 OWN("/a b/c"), 1, false, "/mnt/c\tg\\x\ny", "/mnt/c\tg\\x\ny/c"},
	{"not an escape", "41 31 0:38 / /c\\04 rw - cgroup2 none rw\n", OWN("/a"), 1, false,
	 "/c\\04", "/c\\04/a"},
	{"not octal", "41 31 0:38 / /c\\489x\\999 rw - cgroup2 none rw\n", OWN("/a"), 1, false,
	 "/c\\489x\\999", "/c\\489x\\999/a"},
	{"no own line", "41 31 0:38 / /cg rw - cgroup2 none rw\n", "4:memory:/a\n", 1, false, "/cg",
	 ""},
	{"own line without a slash", "41 31 0:38 / /cg rw - cgroup2 none rw\n", "0::\n0:", 1, false,
	 "/cg", ""},
	{"removed cgroup", "41 31 0:38 / /cg rw - cgroup2 none rw\n", OWN("/a (deleted)"), 1, false,
	 "/cg", "/cg/a (deleted)"},
	{"garbage", "cgroup2\n - cgroup2\n1 2 3 - cgroup2 x\n    - cgroup2 x y\n", "::::\n0::\n", 0,
	 false, "", ""},
	{"mounted at the root", "41 31 0:38 / / rw - cgroup2 none rw\n", OWN("/a"), 1, false, "/",
	 "//a"},
};

/*
 * Parses copies in blocks of exactly their length, without a NUL, so that a read past the
 * end is reported.
 */
static void parse(const char *mountinfo, size_t mountinfo_len, const char *cgroup,
		  size_t cgroup_len, struct agentsh_mounts *out)
{
	char *m = malloc(mountinfo_len ? mountinfo_len : 1),
	     *c = malloc(cgroup_len ? cgroup_len : 1);

	ck_assert(m && c);
	memcpy(m, mountinfo, mountinfo_len);
	memcpy(c, cgroup, cgroup_len);
	memset(out, 0xa5, sizeof(*out));
	agentsh_mountinfo_parse(m, mountinfo_len, c, cgroup_len, NULL, out);
	free(m);
	free(c);
	ck_assert_ptr_nonnull(memchr(out->mount, 0, sizeof(out->mount)));
	ck_assert_ptr_nonnull(memchr(out->own, 0, sizeof(out->own)));
}

START_TEST(machine)
{
	const char *m = machines[_i].mountinfo, *c = machines[_i].cgroup;
	struct agentsh_mounts out;

	parse(m, strlen(m), c, strlen(c), &out);
	ck_assert_msg(out.v2 == machines[_i].v2, "%s: %u mounts", machines[_i].what, out.v2);
	ck_assert_msg(out.v1 == machines[_i].v1, "%s: v1 is %d", machines[_i].what, out.v1);
	ck_assert_msg(!strcmp(out.mount, machines[_i].mount), "%s: mount is %s", machines[_i].what,
		      out.mount);
	ck_assert_msg(!strcmp(out.own, machines[_i].own), "%s: own is %s", machines[_i].what,
		      out.own);
	/* truncated anywhere, a table may give less, but must not crash the parser */
	for (size_t n = 0; n < strlen(m); n++)
		parse(m, n, c, strlen(c), &out);
	for (size_t n = 0; n < strlen(c); n++)
		parse(m, strlen(m), c, n, &out);
}
END_TEST

/*
 * A path that does not fit is left out instead of being cut, because half a path is
 * another directory.
 */
START_TEST(overlong)
{
	static const size_t lengths[] = {254,  255,  256,  257,	 1022, 1023,
					 1024, 1025, 4095, 4096, 4097, 9000};
	char path[9001], line[9100], own[9100];
	size_t len = lengths[_i];
	struct agentsh_mounts out;

	memset(path, 'p', len);
	path[0] = '/';
	path[len] = '\0';
	snprintf(line, sizeof(line), "41 31 0:38 / %s rw - cgroup2 none rw\n", path);
	parse(line, strlen(line), "0::/\n", 5, &out);
	ck_assert_str_eq(out.mount, len < sizeof(out.mount) ? path : "");
	ck_assert_str_eq(out.own, len < sizeof(out.own) ? path : "");
	snprintf(own, sizeof(own), "0::%s\n", path);
	parse("41 31 0:38 / / rw - cgroup2 n rw\n", 33, own, strlen(own), &out);
	ck_assert_int_eq(out.own[0] != 0, len + 1 < sizeof(out.own));
	/* the next mount, whose path fits, is used */
	strcat(line, "42 31 0:38 / /short rw - cgroup2 none rw\n");
	parse(line, strlen(line), "0::/\n", 5, &out);
	ck_assert_str_eq(out.mount, len < sizeof(out.mount) ? path : "/short");
	ck_assert_str_eq(out.own, len < sizeof(out.own) ? path : "/short");
}
END_TEST

static bool not_covered(const char *path)
{
	return !strstr(path, "covered");
}

/* A cgroup v2 mount that another mount hides is not used. */
START_TEST(hidden_by_another_mount)
{
	static const char one[] = "41 31 0:38 / /covered/one rw - cgroup2 none rw\n";
	static const char two[] = "41 31 0:38 / /covered/one rw - cgroup2 none rw\n"
				  "42 31 0:38 / /covered/two rw - cgroup2 none rw\n"
				  "43 31 0:38 / /mnt\\040x rw - cgroup2 none rw\n";
	static const char part[] = "41 31 0:38 / /mnt rw - cgroup2 none rw\n"
				   "42 31 0:38 /covered /below rw - cgroup2 none rw\n";
	struct agentsh_mounts out;

	agentsh_mountinfo_parse(one, strlen(one), "0::/a\n", 6, not_covered, &out);
	ck_assert_uint_eq(out.v2, 0);
	ck_assert_uint_eq(out.hidden, 1);
	ck_assert_str_eq(out.mount, "");
	ck_assert_str_eq(out.own, "");
	agentsh_mountinfo_parse(two, strlen(two), "0::/a\n", 6, not_covered, &out);
	ck_assert_uint_eq(out.v2, 1);
	ck_assert_uint_eq(out.hidden, 2);
	ck_assert_str_eq(out.mount, "/mnt x");
	ck_assert_str_eq(out.own, "/mnt x/a");
	/*
	 * another mount hides the part with the own cgroup, which another cgroup v2 mount shows,
	 * or none
	 */
	agentsh_mountinfo_parse(part, strlen(part), "0::/covered\n", 12, not_covered, &out);
	ck_assert_uint_eq(out.v2, 2);
	ck_assert_str_eq(out.mount, "/mnt");
	ck_assert_str_eq(out.own, "/below");
	agentsh_mountinfo_parse(part, 39, "0::/covered\n", 12, not_covered, &out);
	ck_assert_uint_eq(out.v2, 1);
	ck_assert_str_eq(out.own, "");
}
END_TEST

START_TEST(random_text)
{
	static const char *const pieces[] = {
		" ",   "\n",  "-",     " - ",  "cgroup2", "cgroup",	   "/",
		"/..", "\\0", "\\040", "0::/", "a",	  "41 31 0:38 / ", "\377"};
	char text[2][600];
	struct agentsh_mounts out;

	for (int i = 0; i < 20000; i++) {
		size_t len[2] = {0, 0};

		for (int k = 0; k < 2; k++)
			while (len[k] < 560 && unit_below(60)) {
				const char *p = pieces[unit_below(UNIT_COUNT(pieces))];

				memcpy(text[k] + len[k], p, strlen(p));
				len[k] += strlen(p);
				if (!unit_below(20))
					text[k][len[k]++] = (char)unit_below(256);
			}
		parse(text[0], len[0], text[1], len[1], &out);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mountinfo");
	TCase *tcase = unit_case(suite, "mountinfo");

	tcase_add_loop_test(tcase, machine, 0, UNIT_COUNT(machines));
	tcase_add_loop_test(tcase, overlong, 0, 12);
	tcase_add_test(tcase, hidden_by_another_mount);
	tcase_add_test(tcase, random_text);
	return unit_main(suite);
}
