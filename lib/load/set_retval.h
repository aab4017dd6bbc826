/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_set_retval(), bpf-helpers(7), which chooses the error of a call that a program refuses. */
#ifndef AGENTSH_LOAD_SET_RETVAL_H
#define AGENTSH_LOAD_SET_RETVAL_H

#include <stdbool.h>

struct bpf_object;

/* Whether programs of connect and sendmsg can call it: kernel 6.1. */
bool agentsh_has_set_retval(void);
/* Removes the calls from the programs of an object that is not loaded yet. */
int agentsh_set_retval_remove(struct bpf_object *obj);

#endif
