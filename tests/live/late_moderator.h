/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LATE_MODERATOR_H
#define LATE_MODERATOR_H

#include <stdbool.h>

#define LATE_US 200 /* less than the delay */

extern bool late_second_look;

#endif
