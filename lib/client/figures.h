/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Named numbers of the policy. They are only shown, so a newer apfd may send other
 * names.
 */
#ifndef APFCTL_FIGURES_H
#define APFCTL_FIGURES_H

#include <stddef.h>

struct figure {
	char *name;
	double value;
};

struct figures {
	struct figure *all;
	size_t n;
};

void figures_clear(struct figures *figures);

#endif
