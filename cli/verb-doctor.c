// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "bus.h"
#include "check.h"
#include "format.h"
#include "json.h"
#include "verb.h"

/* Columns before a fact: "  unknown  kvm-nested    ". */
#define STATE_COLUMNS 7
#define NAME_COLUMNS  12
#define FACT_COLUMN   (2 + STATE_COLUMNS + 2 + NAME_COLUMNS + 2)
/* Narrower terminals break lines where they like. */
#define WRAP_MIN_COLUMNS 40

/* struct patient - what was found of the host (no name) or of a VM */
struct patient {
	char *name;
	char *uuid;
	struct check_list checks;
};

struct ward {
	struct patient *patients;
	size_t n;
};

static void patient_clear(struct patient *patient)
{
	free(patient->name);
	free(patient->uuid);
	check_list_clear(&patient->checks);
}

static void ward_clear(struct ward *ward)
{
	for (size_t i = 0; i < ward->n; i++)
		patient_clear(&ward->patients[i]);
	free(ward->patients);
}

/* @name and @uuid NULL for the host. NULL without memory. */
static struct patient *ward_append(struct ward *ward, const char *name, const char *uuid)
{
	struct patient *patients =
		reallocarray(ward->patients, ward->n + 1, sizeof(*ward->patients));
	struct patient *patient;

	if (!patients)
		return NULL;
	ward->patients = patients;
	patient = &patients[ward->n++];
	*patient = (struct patient){};
	patient->name = name ? strdup(name) : NULL;
	patient->uuid = uuid ? strdup(uuid) : NULL;
	return (name && !patient->name) || (uuid && !patient->uuid) ? NULL : patient;
}

static size_t ward_count(const struct ward *ward, const char *state)
{
	size_t n = 0;

	for (size_t i = 0; i < ward->n; i++)
		n += check_list_count(&ward->patients[i].checks, state);
	return n;
}

/* ---- for people ---- */

static enum style style_of(const char *state)
{
	return strcmp(state, "ok") == 0	    ? STYLE_GOOD
	       : strcmp(state, "warn") == 0 ? STYLE_WARN
	       : strcmp(state, "fail") == 0 ? STYLE_BAD
					    : STYLE_DIM;
}

/* Goes on below, at the fact's column, where a line of the terminal is full. */
static void print_wrapped(const struct term *term, const char *text)
{
	size_t width = term->columns > FACT_COLUMN + WRAP_MIN_COLUMNS ? term->columns - FACT_COLUMN
								      : (size_t)-1;
	size_t used = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (used > 0 && used + 1 + len > width) {
			printf("\n%*s", FACT_COLUMN, "");
			used = 0;
		} else if (used > 0) {
			putchar(' ');
			used++;
		}
		printf("%.*s", (int)len, text);
		used += len;
		text += len;
		text += *text == ' ';
	}
	putchar('\n');
}

/* Lines that are indented are to be copied: they stay as they are. */
static void print_remedy(const struct term *term, const char *remedy)
{
	_cleanup_free_ char *copy = strdup(remedy);
	char *rest = copy, *line;

	while ((line = strsep(&rest, "\n"))) {
		_cleanup_free_ char *printable = text_printable(line);

		printf("%*s", FACT_COLUMN, "");
		if (line[0] == ' ')
			puts(printable ?: "");
		else
			print_wrapped(term, printable ?: "");
	}
}

static void print_patient(const struct term *term, const struct patient *patient)
{
	_cleanup_free_ char *name = text_printable(patient->name ?: "host");

	printf("%s%s%s\n", term_style(term, STYLE_HEADER), name ?: "",
	       term_style_end(term, STYLE_HEADER));
	for (size_t i = 0; i < patient->checks.n; i++) {
		const struct check *check = &patient->checks.checks[i];
		_cleanup_free_ char *state = text_printable(check->state);
		_cleanup_free_ char *what = text_printable(check->name);
		_cleanup_free_ char *fact = text_printable(check->fact);
		enum style style = style_of(check->state);

		printf("  %s%-*s%s  %-*s  ", term_style(term, style), STATE_COLUMNS, state ?: "",
		       term_style_end(term, style), NAME_COLUMNS, what ?: "");
		print_wrapped(term, fact ?: "");
		if (check->remedy[0] != '\0')
			print_remedy(term, check->remedy);
	}
}

/* ---- for programs ---- */

static struct json_object *json_checks(const struct check_list *list)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (size_t i = 0; i < list->n; i++) {
		const struct check *check = &list->checks[i];
		_cleanup_(json_putp) struct json_object *object = json_object_new_object();

		if (!object || json_add_string(object, "check", check->name) < 0 ||
		    json_add_string(object, "state", check->state) < 0 ||
		    json_add_string(object, "fact", check->fact) < 0 ||
		    (check->remedy[0] ? json_add_string(object, "remedy", check->remedy)
				      : json_add_null(object, "remedy")) < 0 ||
		    json_append(array, TAKE_PTR(object)) < 0)
			return NULL;
	}
	return TAKE_PTR(array);
}

static struct json_object *json_patient(const struct patient *patient)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	if (patient->name && (json_add_string(object, "name", patient->name) < 0 ||
			      json_add_string(object, "uuid", patient->uuid) < 0))
		return NULL;
	if (json_add_string(object, "worst", check_list_worst(&patient->checks)) < 0 ||
	    json_add(object, "checks", json_checks(&patient->checks)) < 0)
		return NULL;
	return TAKE_PTR(object);
}

/* The first is the host. */
static struct json_object *json_ward(const struct ward *ward)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	_cleanup_(json_putp) struct json_object *vms = json_object_new_array();

	if (!object || !vms || json_add(object, "host", json_patient(&ward->patients[0])) < 0)
		return NULL;
	for (size_t i = 1; i < ward->n; i++)
		if (json_append(vms, json_patient(&ward->patients[i])) < 0)
			return NULL;
	if (json_add(object, "vms", TAKE_PTR(vms)) < 0)
		return NULL;
	return TAKE_PTR(object);
}

/* ---- the visit ---- */

static int visit_vm(struct apfctl *ctl, struct ward *ward, const char *wanted)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_(vm_clear) struct vm vm = {};
	struct patient *patient;
	int status;

	status = bus_find_vm(ctl, wanted, &path);
	if (status == APFCTL_OK)
		status = bus_read_vm(ctl, wanted, path, &vm);
	if (status != APFCTL_OK)
		return status;
	patient = ward_append(ward, vm_label(&vm), vm.uuid);
	if (!patient)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	return bus_diagnose(ctl, wanted, path, VM_INTERFACE, &patient->checks);
}

static int visit_all(struct apfctl *ctl, struct ward *ward)
{
	_cleanup_(vm_list_clear) struct vm_list list = {};
	int status;

	status = bus_read_vms(ctl, &list);
	for (size_t i = 0; status == APFCTL_OK && i < list.n; i++) {
		size_t n = ward->n;

		status = visit_vm(ctl, ward, list.vms[i].uuid);
		/* It ended since; it is missed by nobody. */
		if (status == APFCTL_NO_SUCH_VM) {
			while (ward->n > n)
				patient_clear(&ward->patients[--ward->n]);
			free(apfctl_fail_take());
			status = APFCTL_OK;
		}
	}
	return status;
}

int verb_doctor(struct apfctl *ctl)
{
	_cleanup_(ward_clear) struct ward ward = {};
	struct patient *host = ward_append(&ward, NULL, NULL);
	size_t n_failed, n_warned;
	int status;

	if (!host)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	status = bus_diagnose(ctl, "", MANAGER_PATH, MANAGER_INTERFACE, &host->checks);
	/* Of another host nothing can be seen but by its apfd. */
	if (status != APFCTL_OK && (status != APFCTL_MISSING || ctl->host))
		return status;
	if (status == APFCTL_MISSING && check_list_look(&host->checks, "it does not run") < 0)
		return apfctl_fail(APFCTL_FAILED, "out of memory");

	for (size_t i = 0; status == APFCTL_OK && i < ctl->n_args; i++)
		status = visit_vm(ctl, &ward, ctl->args[i]);
	if (status == APFCTL_OK && ctl->n_args == 0)
		status = visit_all(ctl, &ward);
	/* Without apfd the host is all there is to look at. */
	if (status != APFCTL_OK && status != APFCTL_MISSING)
		return status;

	n_failed = ward_count(&ward, "fail");
	n_warned = ward_count(&ward, "warn");
	if (ctl->json) {
		_cleanup_(json_putp) struct json_object *object = json_ward(&ward);
		int printed = json_print(object, false);

		if (printed != APFCTL_OK)
			return printed;
	} else {
		for (size_t i = 0; i < ward.n; i++) {
			if (i > 0)
				putchar('\n');
			print_patient(&ctl->term, &ward.patients[i]);
		}
		printf("\n%zu failed, %zu warned\n", n_failed, n_warned);
	}
	/* What apfd's absence keeps from being looked at is no clean bill. */
	if (status != APFCTL_OK && ctl->n_args > 0)
		return status;
	if (n_failed > 0)
		return apfctl_fail(APFCTL_FAILED, "doctor: %zu check%s failed", n_failed,
				   n_failed == 1 ? "" : "s");
	return APFCTL_OK;
}
