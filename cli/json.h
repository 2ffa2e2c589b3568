/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The JSON of --json; keys and meaning are a promise made in apfctl(1).
 * Builders return a new object or NULL without memory.
 */
#ifndef APFCTL_JSON_H
#define APFCTL_JSON_H

#include <json-c/json.h>

#include "apf/cleanup.h"
#include "decision.h"
#include "finding.h"
#include "vm.h"

static inline void json_putp(struct json_object **object)
{
	if (*object)
		json_object_put(*object);
}

/* Each takes over @value, also when it fails; a NULL value is a lack of memory. */
int json_add(struct json_object *object, const char *key, struct json_object *value);
int json_append(struct json_object *array, struct json_object *value);
/* The same with JSON's null. */
int json_add_null(struct json_object *object, const char *key);

/* Short, and null for what is no number. */
int json_add_double(struct json_object *object, const char *key, double value);
int json_add_string(struct json_object *object, const char *key, const char *value);
/* null for NULL. */
int json_add_optional(struct json_object *object, const char *key, const char *value);
int json_add_uint(struct json_object *object, const char *key, uint64_t value);
int json_add_bool(struct json_object *object, const char *key, bool value);

/* An object, null if there is no report. */
int json_add_guest_report(struct json_object *object, const char *key,
			  const struct guest_report *report);
/* An array of their numbers. */
int json_add_vcpus(struct json_object *object, const char *key, const struct vcpu_list *vcpus);

/* An object of them, by their names; those that are known of pressure, or null. */
int json_add_figures(struct json_object *object, const char *key, const struct figures *figures);
int json_add_pressure(struct json_object *object, const char *key, const struct pressure *pressure);

/* What list and top tell of a VM. */
struct json_object *json_vm(const struct vm *vm);

/* What status tells; @vcpus NULL if there are no per-vCPU figures. */
struct json_object *json_status(const struct host *host, const struct vm *vm,
				const struct vcpu_array *vcpus, const struct finding *findings,
				size_t n_findings);

/* What why tells. */
struct json_object *json_why(const struct vm *vm, const struct explanations *explanations,
			     const struct decisions *decisions);

/* Writes it to standard output, on one line or indented; returns an exit status. */
int json_print(struct json_object *object, bool one_line);

#endif
