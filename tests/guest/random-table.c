// SPDX-License-Identifier: GPL-2.0
/*
 * The model of the fuzz target on random sequences, always the same ones: so that every run of the
 * tests covers every kind of event many times, and says so.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 300, LEN = 4001 };

static uint64_t rnd = 0x9e3779b97f4a7c15;

static uint64_t next(void)
{
	rnd ^= rnd << 13;
	rnd ^= rnd >> 7;
	rnd ^= rnd << 17;
	return rnd;
}

#define SUM(field) (sum.field += seen.field)
#define ENOUGH(field, n)                                                                           \
	do {                                                                                       \
		printf("%-12s %lu\n", #field, sum.field);                                          \
		if (sum.field < (n)) {                                                             \
			fprintf(stderr, "too few %s: the sequences prove nothing\n", #field);      \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

int main(void)
{
	struct model_seen sum = {}, seen;
	static uint8_t data[LEN];
	unsigned int run, i;

	for (run = 0; run < RUNS; run++) {
		for (i = 0; i < LEN; i++)
			data[i] = next() >> 24;
		/* Different mixtures: some runs never stop a CPU, some never refuse memory. */
		for (i = 1; i + 1 < LEN; i += 2) {
			if (run % 3 == 0 && data[i] % 32 == 28)
				data[i] = 29;
			if (run % 3 == 1 && data[i] % 32 == 20)
				data[i] = 24;
			if (run % 7 == 0 && (data[i] % 32 == 22 || data[i] % 32 == 23))
				data[i] = 0;
			/* Hardly any memory and few faults: wakes pile up. */
			if (run % 5 == 2 && data[i] % 32 < 9 && i % 8 != 1)
				data[i] = 9;
			if (run % 5 == 2 && data[i] % 32 == 20)
				data[i + 1] |= 1;
		}
		model_run(data, LEN, &seen);
		SUM(ops);
		SUM(slept);
		SUM(woken);
		SUM(early);
		SUM(taken);
		SUM(exhausted);
		SUM(rescued);
		SUM(late);
		SUM(aged);
		SUM(refused);
		SUM(duplicates);
		SUM(broadcasts);
		SUM(capped);
		SUM(stopped);
		SUM(forgotten);
		SUM(honest);
	}
	ENOUGH(ops, 500000);
	ENOUGH(slept, 10000);
	ENOUGH(woken, 1000);
	ENOUGH(early, 1000);
	ENOUGH(taken, 500);
	ENOUGH(exhausted, 500);
	ENOUGH(rescued, 100);
	ENOUGH(late, 1000);
	ENOUGH(aged, 1000);
	ENOUGH(refused, 1000);
	ENOUGH(duplicates, 1000);
	ENOUGH(broadcasts, 1000);
	ENOUGH(capped, 100);
	ENOUGH(stopped, 1000);
	ENOUGH(forgotten, 100);
	ENOUGH(honest, 100000);
	return 0;
}
