/* SPDX-License-Identifier: Apache-2.0 */
/* IPPROTO_ values that the headers of some C libraries lack. */
#ifndef AGENTSH_BASE_PROTOCOLS_H
#define AGENTSH_BASE_PROTOCOLS_H

#define PROTOCOL_UDPLITE 136
#define PROTOCOL_MPTCP 262

#endif
