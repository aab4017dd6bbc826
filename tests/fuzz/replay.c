/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a target on the files of a directory; this needs no fuzzer. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static bool feed(const char *path)
{
	FILE *file = fopen(path, "rbe");
	struct stat st;
	uint8_t *data;
	size_t size;

	if (!file || fstat(fileno(file), &st)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(EXIT_FAILURE);
	}
	if (!S_ISREG(st.st_mode)) {
		fclose(file);
		return false;
	}
	size = (size_t)st.st_size;
	data = malloc(size ? size
			   : 1); /* exact size, so that a sanitizer reports a read past the end */
	if (!data || fread(data, 1, size, file) != size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(EXIT_FAILURE);
	}
	fclose(file);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return true;
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	size_t count = 0;
	char path[4096];
	DIR *dir;

	LLVMFuzzerInitialize(&argc, &argv);
	dir = argc == 2 ? opendir(argv[1]) : NULL;
	if (!dir) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return EXIT_FAILURE;
	}
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		if (feed(path))
			count++;
	}
	closedir(dir);
	fprintf(stderr, "%zu inputs\n", count);
	return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
