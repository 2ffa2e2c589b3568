/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Named numbers of the policy: they are shown, not understood, so that a newer apfd
 * may have others.
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
