/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of agentsh-trace itself, on stderr. */
#ifndef WARN_H
#define WARN_H

/* Exit status for failures of agentsh-trace itself, as timeout(1) and env(1) use it. */
#define EXIT_OWN_FAILURE 125

/* Writes one line to stderr, with the program's name in front. */
void warn_user(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
