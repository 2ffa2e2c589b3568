/* SPDX-License-Identifier: GPL-2.0 */
#include "peak.h"

void peak_add(struct peak *p, double value, uint64_t now_usec)
{
	uint64_t number = now_usec / PEAK_SLOT_USEC + 1;
	size_t i = number % PEAK_SLOTS;

	/* False for NAN, too. */
	if (!(value > 0))
		return;
	if (p->slots[i].number != number) {
		p->slots[i].number = number;
		p->slots[i].max = 0;
	}
	p->slots[i].max = MAX_OF(p->slots[i].max, value);
}

double peak_get(const struct peak *p, uint64_t now_usec)
{
	uint64_t number = now_usec / PEAK_SLOT_USEC + 1;
	double max = 0;

	for (size_t i = 0; i < PEAK_SLOTS; i++)
		if (p->slots[i].number && p->slots[i].number + PEAK_SLOTS > number)
			max = MAX_OF(max, p->slots[i].max);
	return max;
}
