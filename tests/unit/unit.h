/* SPDX-License-Identifier: GPL-2.0 */
/* cmocka needs these before it, in this order. */
#ifndef APF_TESTS_UNIT_H
#define APF_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif /* APF_TESTS_UNIT_H */
