/* SPDX-License-Identifier: Apache-2.0 */
/* Places from which a copy of this test is executed, to make calls as another program. */
#ifndef EXE_PLACES_H
#define EXE_PLACES_H

#include <stdbool.h>
#include <stdint.h>

struct exe_place {
	char directory[64];
	char path[96]; /* to execute; empty: fd */
	int fd;
	uint32_t device; /* of the mount, if stat(2) shows another one for the file; else 0 */
	bool mounted;	 /* on the directory */
};

/*
 * Make a copy of the program at "from" in a place of its own. Return NULL, or why this machine has
 * no such place.
 */
typedef const char *(*exe_place_fn)(struct exe_place *program, const char *from);

const char *exe_on_disk(struct exe_place *program, const char *from);
const char *exe_on_tmpfs(struct exe_place *program, const char *from);
const char *exe_on_overlay_lower(struct exe_place *program, const char *from);
const char *exe_on_overlay_upper(struct exe_place *program, const char *from);
/* With layers on two file systems stat(2) shows a device for each layer. */
const char *exe_on_overlay_mixed(struct exe_place *program, const char *from);
const char *exe_deleted(struct exe_place *program, const char *from);
const char *exe_in_memory(struct exe_place *program, const char *from); /* memfd_create() */
/* The path is a script whose interpreter is the copy. */
const char *exe_script(struct exe_place *program, const char *from);

void exe_execute(const struct exe_place *program, char *const argv[]); /* returns on failure */
void exe_remove(struct exe_place *program);

#endif
