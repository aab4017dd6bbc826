/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LATE_MODERATOR_H
#define LATE_MODERATOR_H

#include <stdbool.h>

#define LATE_US 200 /* less than the moderation delay */

/* Whether the reader drains once more before it goes idle, as the library does. */
extern bool late_second_drain;

#endif
