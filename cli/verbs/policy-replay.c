// SPDX-License-Identifier: GPL-2.0
/*
 * Runs apfd's policy on recorded figures, without waiting between them.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "apf/cleanup.h"
#include "json.h"
#include "names.h"
#include "policy.h"
#include "util.h"
#include "vcpu-list.h"
#include "verb.h"

/* More than any line needs; limits the memory that a wrong file can use. */
#define LINE_MAX_BYTES 65536

/* CLOCK_MONOTONIC time for t = 0 of a record: to the policy, a time of 0 means "never". */
#define TIME_OF_ZERO_USEC UINT64_C(1000000)
#define TIME_MAX_SEC	  1e9

/**
 * struct vcpu_run - a vCPU of the record
 * @seen: the record had a line for this vCPU
 */
struct vcpu_run {
	bool seen;
	enum policy_mode mode;
	struct policy_vcpu policy;
};

/**
 * struct replay - a record being read
 * @name: file name for messages
 * @line: number of the current line
 */
struct replay {
	const struct apfctl *ctl;
	const char *name;
	unsigned long line;
	struct policy_params params;
	struct vcpu_run *vcpus;
};

static int wrong(const struct replay *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(const struct replay *r, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return status_fail(STATUS_FAILED, "%s:%lu: %s", r->name, r->line, text);
}

/* Formats each number as in the configuration, so that the same checks apply. */
static int set_params(struct replay *r, struct json_object *params)
{
	const char *bad;

	if (!json_object_is_type(params, json_type_object))
		return wrong(r, "\"params\" is not an object");
	json_object_object_foreach(params, key, value)
	{
		char number[64];

		if (streq(key, POLICY_KEY_REST)) {
			if (!json_object_is_type(value, json_type_string) ||
			    policy_params_set(&r->params, key, json_object_get_string(value)) < 0)
				return wrong(r, "parameter %s is not on, pv or off", key);
			continue;
		}
		if (!json_object_is_type(value, json_type_double) &&
		    !json_object_is_type(value, json_type_int))
			return wrong(r, "parameter %s is not a number", key);
		snprintf(number, sizeof(number), "%.12f", json_object_get_double(value));
		switch (policy_params_set(&r->params, key, number)) {
		case 0:
			break;
		case -ENOENT:
			return wrong(r, "unknown parameter %s", key);
		default:
			return wrong(r, "parameter %s is out of range", key);
		}
	}
	bad = policy_params_check(&r->params);
	return bad ? wrong(r, "%s", bad) : STATUS_OK;
}

static int read_figure(const struct replay *r, const char *key, struct json_object *value,
		       struct policy_figures *f)
{
	for (size_t i = 0; i <= POLICY_FIGURE_MAX; i++) {
		if (strcmp(key, policy_figure_names[i]) != 0)
			continue;
		if (!value)
			return STATUS_OK;
		if (!json_object_is_type(value, json_type_double) &&
		    !json_object_is_type(value, json_type_int))
			return wrong(r, "%s is not a number", key);
		f->value[i] = json_object_get_double(value);
		if (!isfinite(f->value[i]))
			return wrong(r, "%s is not a number", key);
		return STATUS_OK;
	}
	return wrong(r, "unknown key %s", key);
}

static int state_from_string(const char *s, enum apf_state *ret)
{
	static const char *const names[] = { NAME_OFF, NAME_PV, NAME_ON };

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		if (s && strcmp(s, names[i]) == 0) {
			*ret = (enum apf_state)i;
			return 0;
		}
	return -EINVAL;
}

static int print_decision(const struct replay *r, double t, uint32_t vcpu,
			  const struct policy_vcpu *v, const struct policy_figures *f)
{
	static const char *const names[] = { NAME_OFF, NAME_PV, NAME_ON };
	_cleanup_(json_putp) struct json_object *object = NULL;
	char reason[POLICY_REASON_MAX];
	int bad = 0;

	policy_reason(&r->params, f, v, reason);
	if (!r->ctl->json) {
		printf("%10.3f  vCPU %-4u  %-3s  %-14s  %s\n", t, vcpu, names[v->state],
		       policy_rule_to_string(v->rule), reason);
		return STATUS_OK;
	}
	object = json_object_new_object();
	if (!object)
		return status_fail(STATUS_FAILED, "out of memory");
	bad |= json_add_double(object, "t", t);
	bad |= json_add_uint(object, "vcpu", vcpu);
	bad |= json_add_string(object, "state", names[v->state]);
	bad |= json_add_string(object, "rule", policy_rule_to_string(v->rule));
	bad |= json_add_string(object, "reason", reason);
	if (bad < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return json_print(object, true);
}

/* Handles the figures of one vCPU over one interval. */
static int replay_sample(struct replay *r, struct json_object *object)
{
	const char *mode = NULL, *state = NULL;
	struct policy_figures f;
	struct vcpu_run *v;
	enum apf_state s;
	int64_t vcpu = 0;
	uint64_t now_usec;
	double t = NAN;
	int status;

	policy_figures_init(&f);
	json_object_object_foreach(object, key, value)
	{
		if (strcmp(key, "t") == 0) {
			if (!json_object_is_type(value, json_type_int) &&
			    !json_object_is_type(value, json_type_double))
				return wrong(r, "t is not a number");
			t = json_object_get_double(value);
		} else if (strcmp(key, "vcpu") == 0) {
			if (!json_object_is_type(value, json_type_int))
				return wrong(r, "vcpu is not a number");
			vcpu = json_object_get_int64(value);
		} else if (strcmp(key, "mode") == 0) {
			mode = json_object_get_string(value);
		} else if (strcmp(key, "state") == 0) {
			state = json_object_get_string(value);
		} else {
			status = read_figure(r, key, value, &f);
			if (status != STATUS_OK)
				return status;
		}
	}
	if (!(t >= 0 && t <= TIME_MAX_SEC))
		return wrong(r, "t is missing, or is not a time in seconds");
	if (vcpu < 0 || vcpu > VCPU_INDEX_MAX)
		return wrong(r, "no VM has a vCPU %lld", (long long)vcpu);
	v = &r->vcpus[vcpu];
	now_usec = TIME_OF_ZERO_USEC + (uint64_t)(t * 1e6);
	if (v->seen && now_usec <= v->policy.last_usec)
		return wrong(r, "t is not later than on the previous line of this vCPU");
	if (mode && policy_mode_from_string(mode, &v->mode) < 0)
		return wrong(r, "unknown mode \"%.32s\"", mode);
	if (state && state_from_string(state, &s) < 0)
		return wrong(r, "unknown state \"%.32s\"", state);
	if (state || !v->seen)
		policy_gate_changed(&v->policy, state ? s : r->params.rest, now_usec);
	v->seen = true;
	if (!policy_decide(&r->params, v->mode, &f, now_usec, &v->policy))
		return STATUS_OK;
	return print_decision(r, t, (uint32_t)vcpu, &v->policy, &f);
}

static int replay_line(struct replay *r, const char *text)
{
	_cleanup_(json_putp) struct json_object *object = NULL;
	struct json_object *params;
	enum json_tokener_error error;

	text += strspn(text, " \t\r\n");
	if (*text == '\0' || *text == '#')
		return STATUS_OK;
	object = json_tokener_parse_verbose(text, &error);
	if (!json_object_is_type(object, json_type_object))
		return wrong(r, "not a JSON object");
	if (json_object_object_get_ex(object, "params", &params)) {
		if (json_object_object_length(object) > 1)
			return wrong(r, "\"params\" must be the only key of its line");
		return set_params(r, params);
	}
	return replay_sample(r, object);
}

static int replay_file(struct replay *r, FILE *file)
{
	_cleanup_free_ char *line = malloc(LINE_MAX_BYTES);
	int status;

	if (!line)
		return status_fail(STATUS_FAILED, "out of memory");
	while (fgets(line, LINE_MAX_BYTES, file)) {
		r->line++;
		if (!strchr(line, '\n') && !feof(file))
			return wrong(r, "the line is too long");
		status = replay_line(r, line);
		if (status != STATUS_OK)
			return status;
	}
	if (ferror(file))
		return status_fail(STATUS_FAILED, "%s: %m", r->name);
	return STATUS_OK;
}

int verb_policy_replay(struct apfctl *ctl)
{
	struct replay r = { .ctl = ctl, .name = ctl->args[0] };
	_cleanup_free_ struct vcpu_run *vcpus = NULL;
	_cleanup_fclose_ FILE *file = NULL;

	vcpus = calloc((size_t)VCPU_INDEX_MAX + 1, sizeof(*vcpus));
	if (!vcpus)
		return status_fail(STATUS_FAILED, "out of memory");
	r.vcpus = vcpus;
	policy_params_init(&r.params);
	if (strcmp(r.name, "-") == 0)
		return replay_file(&r, stdin);
	file = fopen(r.name, "re");
	if (!file)
		return status_fail(STATUS_FAILED, "%s: %m", r.name);
	return replay_file(&r, file);
}
