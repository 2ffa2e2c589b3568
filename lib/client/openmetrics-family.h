/* SPDX-License-Identifier: GPL-2.0 */
/* What the files with tables of metrics have in common. Not for users of openmetrics.h. */
#ifndef APFCTL_OPENMETRICS_FAMILY_H
#define APFCTL_OPENMETRICS_FAMILY_H

#include "openmetrics.h"

#define NSEC_PER_SEC ((uint64_t)1000000000)
#define USEC_PER_SEC ((uint64_t)1000000)

enum type { GAUGE, COUNTER, HISTOGRAM };

/* What a row is about; a row with OF_VM and OF_VCPU makes two families, apf_X and apf_vcpu_X. */
enum scope { OF_HOST = 1, OF_VM = 2, OF_VCPU = 4 };

/**
 * struct subject - the common part of a VM and a vCPU
 * @labels: labels that identify it, ready to print
 * @vcpu: NULL for a VM
 */
struct subject {
	char *labels;
	const struct vm *vm;
	const struct vcpu *vcpu;
	const char *state;
	const struct counters *counters;
	const struct histogram *async;
	const struct histogram *sync;
	const struct guest_report *guest;
	struct outstanding outstanding;
};

struct out;

/**
 * struct family - a row of the table of metrics
 * @name: without the prefix "apf_" or "apf_vcpu_", and without "_total" for a counter
 * @unit: last word of the name, NULL if there is no unit
 * @print: prints the samples for one subject
 * @arg: argument for @print: a counter or a figure
 * @instead: NULL, or of a deprecated metric what to use instead of it
 */
struct family {
	const char *name;
	enum type type;
	const char *unit;
	unsigned int scopes;
	void (*print)(const struct out *o, const struct family *f, const struct subject *s);
	unsigned int arg;
	const char *help;
	const char *instead;
};

struct out {
	FILE *file;
	const struct openmetrics *data;
	enum openmetrics_format format;
	enum scope scope;
};

/*
 * Prints a line up to the value: name, suffix, labels of the subject (NULL for the
 * host), and @extra: more labels, escaped and ready to print, or NULL.
 */
void family_print_head(const struct out *o, const struct family *f, const char *suffix,
		       const struct subject *s, const char *extra);

/* Prints a whole line. */
void family_print_count(const struct out *o, const struct family *f, const struct subject *s,
			const char *extra, uint64_t value);

/* Prints seconds with all digits: a double would lose digits after a hundred days. */
void family_print_fraction(const struct out *o, uint64_t value, uint64_t per_sec, int digits);

/* One series for each possible value: 1 for the current value, 0 for the others. */
void family_print_set(const struct out *o, const struct family *f, const struct subject *s,
		      const char *label, const char *const *values, const char *value);

/* The metrics about memory. */
extern const struct family memory_families[];
extern const size_t n_memory_families;

#endif
