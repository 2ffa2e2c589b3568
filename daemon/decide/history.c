/* SPDX-License-Identifier: GPL-2.0 */
#include "history.h"

#include <stdlib.h>

#include "util.h"

void history_add(struct history *h, struct decision *d)
{
	size_t at = (h->begin + h->n) % ELEMENTSOF(h->ring);

	if (h->n < ELEMENTSOF(h->ring))
		h->n++;
	else
		h->begin = (h->begin + 1) % ELEMENTSOF(h->ring);
	free(h->ring[at]);
	h->ring[at] = d;
}

const struct decision *history_at(const struct history *h, size_t i)
{
	return h->ring[(h->begin + i) % ELEMENTSOF(h->ring)];
}

void history_done(struct history *h)
{
	for (size_t i = 0; i < ELEMENTSOF(h->ring); i++)
		free(h->ring[i]);
	*h = (struct history){};
}
