/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of test_rules_egress.c. */
#ifndef RULES_PACKETS_CASES_H
#define RULES_PACKETS_CASES_H

#include "rules_packets.h"

void packets_route_tests(TCase *tc);
void packets_kind_tests(TCase *tc);
void packets_header_tests(TCase *tc);
void packets_netns_tests(TCase *tc);
void packets_end_tests(TCase *tc);

#endif
