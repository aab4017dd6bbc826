/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COMPLAIN_H
#define COMPLAIN_H

/* The CLI's own failures, which are no result of COMMAND: timeout(1), env(1). */
#define EXIT_OWN_FAILURE 125

/* One line on stderr, with the program's name in front. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
