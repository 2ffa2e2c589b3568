// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "bus.h"
#include "check.h"
#include "format.h"
#include "json.h"
#include "select.h"
#include "verb.h"

/* Columns before a fact: "  unknown  kvm-nested    ". */
#define STATE_COLUMNS 7
#define NAME_COLUMNS  12
#define FACT_COLUMN   (2 + STATE_COLUMNS + 2 + NAME_COLUMNS + 2)
/* No wrapping of facts that would have fewer columns than this. */
#define WRAP_MIN_COLUMNS 40

/* struct subject - the checks of the host (@name is NULL) or of a VM */
struct subject {
	char *name;
	char *uuid;
	struct check_list checks;
};

struct examination {
	struct subject *subjects;
	size_t n;
};

static void subject_clear(struct subject *subject)
{
	free(subject->name);
	free(subject->uuid);
	check_list_clear(&subject->checks);
}

static void examination_clear(struct examination *examination)
{
	for (size_t i = 0; i < examination->n; i++)
		subject_clear(&examination->subjects[i]);
	free(examination->subjects);
}

/* @name and @uuid are NULL for the host. Returns NULL if out of memory. */
static struct subject *examination_append(struct examination *examination, const char *name,
					  const char *uuid)
{
	struct subject *subjects = reallocarray(examination->subjects, examination->n + 1,
						sizeof(*examination->subjects));
	struct subject *subject;

	if (!subjects)
		return NULL;
	examination->subjects = subjects;
	subject = &subjects[examination->n++];
	*subject = (struct subject){};
	subject->name = name ? strdup(name) : NULL;
	subject->uuid = uuid ? strdup(uuid) : NULL;
	return (name && !subject->name) || (uuid && !subject->uuid) ? NULL : subject;
}

static size_t examination_count(const struct examination *examination, const char *state)
{
	size_t n = 0;

	for (size_t i = 0; i < examination->n; i++)
		n += check_list_count(&examination->subjects[i].checks, state);
	return n;
}

/* ---- text output ---- */

static enum style style_of(const char *state)
{
	return strcmp(state, "ok") == 0	    ? STYLE_GOOD
	       : strcmp(state, "warn") == 0 ? STYLE_WARN
	       : strcmp(state, "fail") == 0 ? STYLE_BAD
					    : STYLE_DIM;
}

/* Breaks the text at the terminal's width; each next line begins at the fact's column. */
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

/* Indented lines are for the user to copy: they are not wrapped. */
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

static void print_subject(const struct term *term, const struct subject *subject)
{
	_cleanup_free_ char *name = text_printable(subject->name ?: "host");

	printf("%s%s%s\n", term_style(term, STYLE_HEADER), name ?: "",
	       term_style_end(term, STYLE_HEADER));
	for (size_t i = 0; i < subject->checks.n; i++) {
		const struct check *check = &subject->checks.checks[i];
		_cleanup_free_ char *state = text_printable(check->state);
		_cleanup_free_ char *check_name = text_printable(check->name);
		_cleanup_free_ char *fact = text_printable(check->fact);
		enum style style = style_of(check->state);

		printf("  %s%-*s%s  %-*s  ", term_style(term, style), STATE_COLUMNS, state ?: "",
		       term_style_end(term, style), NAME_COLUMNS, check_name ?: "");
		print_wrapped(term, fact ?: "");
		if (check->remedy[0] != '\0')
			print_remedy(term, check->remedy);
	}
}

/* ---- JSON output ---- */

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

static struct json_object *json_subject(const struct subject *subject)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	if (subject->name && (json_add_string(object, "name", subject->name) < 0 ||
			      json_add_string(object, "uuid", subject->uuid) < 0))
		return NULL;
	if (json_add_string(object, "worst", check_list_worst(&subject->checks)) < 0 ||
	    json_add(object, "checks", json_checks(&subject->checks)) < 0)
		return NULL;
	return TAKE_PTR(object);
}

/* The first subject is the host. */
static struct json_object *json_examination(const struct examination *examination)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	_cleanup_(json_putp) struct json_object *vms = json_object_new_array();

	if (!object || !vms ||
	    json_add(object, "host", json_subject(&examination->subjects[0])) < 0)
		return NULL;
	for (size_t i = 1; i < examination->n; i++)
		if (json_append(vms, json_subject(&examination->subjects[i])) < 0)
			return NULL;
	if (json_add(object, "vms", TAKE_PTR(vms)) < 0)
		return NULL;
	return TAKE_PTR(object);
}

/* ---- running the checks ---- */

struct doctor {
	struct apfctl *ctl;
	struct examination *examination;
};

/* A script must be able to tell "a check failed" from "nothing was checked". */
static int not_checked(int status)
{
	return status == STATUS_FAILED ? STATUS_NOT_CHECKED : status;
}

static int examine_target(const struct target *target, void *userdata)
{
	const struct doctor *doctor = userdata;
	struct client *client = &doctor->ctl->client;
	_cleanup_(vm_clear) struct vm vm = {};
	struct subject *subject;
	int status;

	status = bus_read_vm(client, target->name, target->path, &vm);
	if (status != STATUS_OK)
		return not_checked(status);
	subject = examination_append(doctor->examination, vm_label(&vm), vm.uuid);
	if (!subject)
		return not_checked(status_fail(STATUS_FAILED, "out of memory"));
	status = bus_diagnose(client, target->name, target->path, BUS_INTERFACE_VM,
			      &subject->checks);
	/* A VM without checks must not look like a VM without faults. */
	if (status != STATUS_OK)
		subject_clear(&doctor->examination->subjects[--doctor->examination->n]);
	return not_checked(status);
}

static int print_examination(struct apfctl *ctl, const struct examination *examination)
{
	if (ctl->json) {
		_cleanup_(json_putp) struct json_object *object = json_examination(examination);

		return json_print(object, false);
	}
	for (size_t i = 0; i < examination->n; i++) {
		if (i > 0)
			putchar('\n');
		print_subject(&ctl->term, &examination->subjects[i]);
	}
	printf("\n%zu failed, %zu warned\n", examination_count(examination, "fail"),
	       examination_count(examination, "warn"));
	return STATUS_OK;
}

/* @ret_failed: number of checks that failed; set only if the checks were printed. */
static int examine(struct apfctl *ctl, size_t *ret_failed)
{
	_cleanup_(examination_clear) struct examination examination = {};
	_cleanup_(targets_clear) struct targets targets = {};
	struct subject *host = examination_append(&examination, NULL, NULL);
	struct doctor doctor = { ctl, &examination };
	size_t n_given = ctl->n_args;
	int status, printed;

	if (!host)
		return status_fail(STATUS_FAILED, "out of memory");
	status =
		bus_diagnose(&ctl->client, "", BUS_PATH_ROOT, BUS_INTERFACE_MANAGER, &host->checks);
	/* Another host can only be checked by its apfd. */
	if (status != STATUS_OK && (status != STATUS_MISSING || ctl->client.host))
		return status;
	if (status == STATUS_MISSING &&
	    check_list_examine_host(&host->checks, "it is not running") < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	/* apfd's sandbox hides module files and the state of DKMS from apfd. */
	if (status == STATUS_OK && !ctl->client.host && check_list_add_local(&host->checks) < 0)
		return status_fail(STATUS_FAILED, "out of memory");

	/* Without VMs, all VMs are checked. */
	if (status == STATUS_OK) {
		ctl->all = ctl->n_args == 0;
		status = targets_find(ctl, ctl->n_args, &targets);
		if (targets.n > 0)
			status = targets_run(&targets, status, examine_target, &doctor);
	}
	/* Without apfd, the checks of the host are printed; otherwise VMs were asked for. */
	if (status != STATUS_OK && status != STATUS_MISSING && examination.n == 1)
		return status;
	printed = print_examination(ctl, &examination);
	if (printed != STATUS_OK)
		return printed;
	/* A finding that nobody can read is none. */
	if (fflush(stdout) != 0)
		return status_fail(STATUS_FAILED, "cannot write: %m");
	/* Given VMs that could not be checked are not a success. */
	if (status != STATUS_OK && (status != STATUS_MISSING || n_given > 0))
		return status;
	*ret_failed = examination_count(&examination, "fail");
	return STATUS_OK;
}

int verb_doctor(struct apfctl *ctl)
{
	size_t n_failed = 0;
	int status = examine(ctl, &n_failed);

	if (status == STATUS_OK && n_failed > 0)
		return status_fail(STATUS_FAILED, "doctor: %zu check%s failed", n_failed,
				   n_failed == 1 ? "" : "s");
	return not_checked(status);
}
