/* SPDX-License-Identifier: Apache-2.0 */
/* Why a session no longer sees everything. */
#ifndef BLIND_H
#define BLIND_H

/* A phrase for the member error of struct agentsh_ebpf_session_check. */
const char *blind_reason(int error);

#endif
