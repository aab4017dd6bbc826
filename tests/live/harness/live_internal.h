/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the support library only. */
#ifndef LIVE_INTERNAL_H
#define LIVE_INTERNAL_H

void live_is_child(void); /* after a fork */
void live_cgroups_begin(void);
void live_cgroups_catch(void); /* SIGTERM, SIGINT and SIGHUP remove them too */
void live_cgroups_end(void);   /* removes what the test made */
void live_workers_end(void);   /* kills what the test started */

#endif
