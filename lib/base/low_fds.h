/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps descriptors 0 to 2 from being used while a tracer is opened. */
#ifndef AGENTSH_BASE_LOW_FDS_H
#define AGENTSH_BASE_LOW_FDS_H

struct agentsh_low_fds {
	int held[3];
	int count;
};

/*
 * A host may run with stdin, stdout or stderr closed. A descriptor of ours with such a
 * number would be read and written by everything that uses these streams.
 */
void agentsh_low_fds_hold(struct agentsh_low_fds *low);
void agentsh_low_fds_release(const struct agentsh_low_fds *low);

#endif
