/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The JSON of --json. apfctl(1) promises that keys and their meaning do not change.
 * Builders return a new object, or NULL if out of memory.
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

/* Each takes ownership of @value, also on failure; a NULL @value means out of memory. */
int json_add(struct json_object *object, const char *key, struct json_object *value);
int json_append(struct json_object *array, struct json_object *value);
/* Adds JSON's null. */
int json_add_null(struct json_object *object, const char *key);

/* Few digits; null if @value is not finite. */
int json_add_double(struct json_object *object, const char *key, double value);
int json_add_string(struct json_object *object, const char *key, const char *value);
/* null for NULL. */
int json_add_optional(struct json_object *object, const char *key, const char *value);
int json_add_uint(struct json_object *object, const char *key, uint64_t value);
int json_add_bool(struct json_object *object, const char *key, bool value);

/* Adds an object; null if there is no report. */
int json_add_guest_report(struct json_object *object, const char *key,
			  const struct guest_report *report);
/* Adds an array of vCPU numbers. */
int json_add_vcpus(struct json_object *object, const char *key, const struct vcpu_list *vcpus);

/* Add an object with one key for each figure; a pressure figure that is not known is null. */
int json_add_figures(struct json_object *object, const char *key, const struct figures *figures);
int json_add_pressure(struct json_object *object, const char *key, const struct pressure *pressure);

/* A VM in the output of list and top. */
struct json_object *json_vm(const struct vm *vm);

/* The host in the output of status. */
struct json_object *json_host(const struct host *host);

/* The output of status; @vcpus NULL if there are no per-vCPU figures. */
struct json_object *json_status(const struct host *host, const struct vm *vm,
				const struct vcpu_array *vcpus, const struct finding *findings,
				size_t n_findings);

/* The output of why. */
struct json_object *json_why(const struct vm *vm, const struct explanations *explanations,
			     const struct decisions *decisions);

/* Writes @object to standard output, on one line or indented; returns an exit status. */
int json_print(struct json_object *object, bool one_line);

#endif
