/* SPDX-License-Identifier: Apache-2.0 */
/* Internals of the harness. */
#ifndef LIVE_INTERNAL_H
#define LIVE_INTERNAL_H

void live_is_child(void); /* called in a child after fork() */
void live_cgroups_begin(void);
void live_cgroups_catch(void); /* SIGTERM, SIGINT and SIGHUP remove the cgroups, too */
void live_cgroups_end(void);   /* removes the test's cgroups */
void live_workers_end(void);   /* kills the test's workers */

#endif
