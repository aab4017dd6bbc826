/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands for the config.h of elfutils when libelf alone is built for musl. The configure script
 * of elfutils refuses musl, because other parts of elfutils need argp, fts and obstack.
 */
#define PACKAGE_NAME "elfutils"
#define HAVE_ERR_H 1
#define HAVE_DECL_MEMRCHR 1
#define HAVE_DECL_RAWMEMCHR 0
#define HAVE_DECL_POWEROF2 1
#define HAVE_DECL_MEMPCPY 1
#define HAVE_DECL_REALLOCARRAY 1
#define HAVE_VISIBILITY 1
/* The file elf.h of elfutils is a copy of glibc's, which uses these. */
#define __BEGIN_DECLS
#define __END_DECLS

/* The configure script appends this. */
#include <eu-config.h>
