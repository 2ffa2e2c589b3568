// SPDX-License-Identifier: GPL-2.0
#include "event-print.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format.h"
#include "json.h"
#include "names.h"
#include "status.h"

/**
 * struct event_row - how a kind of event is printed
 * @id: name in JSON; listed in apfctl(1)
 * @style: of the printed line
 * @write: writes the text for people; it may contain unprintable characters
 * @add: adds the JSON keys that only this kind has; may be NULL
 */
struct event_row {
	const char *id;
	enum style style;
	void (*write)(const struct event *event, FILE *file);
	int (*add)(const struct event *event, struct json_object *object);
};

/* Writes ": reason", if there is a reason. */
static void write_reason(const struct event *event, FILE *file)
{
	if (event->reason[0] != '\0')
		fprintf(file, ": %s", event->reason);
}

static void write_gate(const struct event *event, FILE *file)
{
	_cleanup_free_ char *vcpus = vcpu_list_format(&event->vcpus);

	fprintf(file, "state %s", event->state);
	if (event->vcpus.n > 0)
		fprintf(file, " of vCPU %s", vcpus ?: "?");
	fprintf(file, ", by %s[%d]", event->comm, event->pid);
	write_reason(event, file);
}

static int add_gate(const struct event *event, struct json_object *object)
{
	int r = 0;

	r |= json_add_string(object, "state", event->state);
	r |= json_add_vcpus(object, "vcpus", &event->vcpus);
	r |= json_add(object, "pid", json_object_new_int(event->pid));
	r |= json_add_string(object, "comm", event->comm);
	r |= json_add_string(object, "reason", event->reason);
	return r;
}

static void write_decided(const struct event *event, FILE *file)
{
	_cleanup_free_ char *vcpus = vcpu_list_format(&event->vcpus);

	fprintf(file, "decided state %s", event->state);
	if (event->vcpus.n > 0)
		fprintf(file, " of vCPU %s", vcpus ?: "?");
	fprintf(file, ", rule %s", event->rule);
	if (event->dry_run)
		fputs(", a dry run", file);
	write_reason(event, file);
}

static int add_decided(const struct event *event, struct json_object *object)
{
	int r = 0;

	r |= json_add_string(object, "state", event->state);
	r |= json_add_vcpus(object, "vcpus", &event->vcpus);
	r |= json_add_string(object, "rule", event->rule);
	r |= json_add_string(object, "reason", event->reason);
	r |= json_add_figures(object, "inputs", &event->inputs);
	r |= json_add_bool(object, "dry_run", event->dry_run);
	return r;
}

static void write_changing(const struct event *event, FILE *file)
{
	_cleanup_free_ char *vcpus = vcpu_list_format(&event->vcpus);

	fprintf(file, "apfd requests state %s", event->state);
	if (event->vcpus.n > 0)
		fprintf(file, " of vCPU %s", vcpus ?: "?");
	write_reason(event, file);
}

static int add_changing(const struct event *event, struct json_object *object)
{
	int r = 0;

	r |= json_add_string(object, "state", event->state);
	r |= json_add_vcpus(object, "vcpus", &event->vcpus);
	r |= json_add_string(object, "reason", event->reason);
	return r;
}

static void write_added(const struct event *event, FILE *file)
{
	fputs("VM started", file);
}

static void write_removed(const struct event *event, FILE *file)
{
	fputs("VM ended", file);
}

static void write_module(const struct event *event, FILE *file)
{
	fprintf(file, "apf_host %s%s%s", event->value, event->version[0] ? " " : "",
		event->version);
}

static int add_module(const struct event *event, struct json_object *object)
{
	int r = 0;

	r |= json_add_string(object, "host_module", event->value);
	if (event->version[0] != '\0')
		r |= json_add_string(object, "host_module_version", event->version);
	else
		r |= json_add_null(object, "host_module_version");
	return r;
}

static void write_libvirt(const struct event *event, FILE *file)
{
	fprintf(file, "libvirt %s", event->value);
}

static int add_libvirt(const struct event *event, struct json_object *object)
{
	return json_add_string(object, "libvirt", event->value);
}

static void write_started(const struct event *event, FILE *file)
{
	fputs("apfd is on the bus", file);
}

static void write_stopped(const struct event *event, FILE *file)
{
	fputs("apfd has left the bus", file);
}

static const struct event_row event_rows[_EVENT_MAX] = {
	[EVENT_DECIDED] = { "decided", STYLE_NONE, write_decided, add_decided },
	[EVENT_GATE_CHANGING] = { "gate-changing", STYLE_NONE, write_changing, add_changing },
	[EVENT_GATE_CHANGED] = { "gate-changed", STYLE_NONE, write_gate, add_gate },
	[EVENT_VM_ADDED] = { "vm-added", STYLE_NONE, write_added, NULL },
	[EVENT_VM_REMOVED] = { "vm-removed", STYLE_NONE, write_removed, NULL },
	[EVENT_HOST_MODULE] = { "host-module", STYLE_NONE, write_module, add_module },
	[EVENT_LIBVIRT] = { "libvirt", STYLE_NONE, write_libvirt, add_libvirt },
	[EVENT_APFD_STARTED] = { "apfd-started", STYLE_NONE, write_started, NULL },
	[EVENT_APFD_STOPPED] = { "apfd-stopped", STYLE_WARN, write_stopped, NULL },
};

static void write_taken(const struct event *event, FILE *file)
{
	char used[GUEST_TEXT_MAX], size[GUEST_TEXT_MAX];

	fprintf(file, "%s of %s emergency nodes in use, its gate is closed",
		guest_text(&event->report, GUEST_POOL_IN_USE, used),
		guest_text(&event->report, GUEST_POOL_SIZE, size));
}

static void write_returned(const struct event *event, FILE *file)
{
	fputs("all emergency nodes are free again, its gate follows its state again", file);
}

static void write_exhausted(const struct event *event, FILE *file)
{
	fputs("no emergency node was free, the guest woke all sleeping tasks", file);
}

static void write_waiter(const struct event *event, FILE *file)
{
	char text[FORMAT_MAX];

	fprintf(file, "a task has waited %s for its page",
		format_usec(text, event->report.figures[GUEST_OLDEST_SLEEPER_MSEC] * 1000ULL));
}

static void write_stuck(const struct event *event, FILE *file)
{
	fputs("a \"page ready\" interrupt was lost, the guest handled the event later", file);
}

static void write_gone(const struct event *event, FILE *file)
{
	fputs("reports ended: apf_guest was unloaded or the guest reboots", file);
}

/* An event that only a newer apfd has: only its name is known here. */
static void write_new(const struct event *event, FILE *file)
{
	fputs(event->guest_event, file);
}

static int add_guest(const struct event *event, struct json_object *object)
{
	int r = 0;

	r |= json_add_uint(object, "vcpu", event->vcpu);
	r |= json_add_guest_report(object, "guest_report", &event->report);
	return r;
}

static const struct event_row guest_rows[] = {
	{ NAME_POOL_TAKEN, STYLE_WARN, write_taken, add_guest },
	{ NAME_POOL_RETURNED, STYLE_NONE, write_returned, add_guest },
	{ NAME_POOL_EXHAUSTED, STYLE_WARN, write_exhausted, add_guest },
	{ NAME_WAITER_OLD, STYLE_WARN, write_waiter, add_guest },
	{ NAME_SLOT_STUCK, STYLE_WARN, write_stuck, add_guest },
	{ NAME_REPORT_GONE, STYLE_NONE, write_gone, add_guest },
};

static struct event_row row_of(const struct event *event)
{
	if (event->kind != EVENT_GUEST)
		return event_rows[event->kind];
	for (size_t i = 0; i < ELEMENTSOF(guest_rows); i++)
		if (strcmp(guest_rows[i].id, event->guest_event) == 0)
			return guest_rows[i];
	return (struct event_row){ event->guest_event, STYLE_WARN, write_new, add_guest };
}

const char *const event_names[] = {
	"decided",	    "gate-changing",	 "gate-changed",  "vm-added",	   "vm-removed",
	"host-module",	    "libvirt",		 "apfd-started",  "apfd-stopped",  NAME_POOL_TAKEN,
	NAME_POOL_RETURNED, NAME_POOL_EXHAUSTED, NAME_WAITER_OLD, NAME_SLOT_STUCK, NAME_REPORT_GONE,
};
const size_t n_event_names = ELEMENTSOF(event_names);

bool event_is_in(const struct event *event, uint64_t mask)
{
	const char *id = row_of(event).id;

	for (size_t i = 0; i < n_event_names; i++)
		if (strcmp(event_names[i], id) == 0)
			return mask & UINT64_C(1) << i;
	return false;
}

static int print_json(const struct event *event)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	const struct event_row row = row_of(event);
	int r = 0;

	if (!object)
		return status_fail(STATUS_FAILED, "out of memory");
	r |= json_add_uint(object, "now_usec", event->now_usec);
	r |= json_add_string(object, "event", row.id);
	if (event->uuid) {
		r |= json_add_string(object, "name", event->name);
		r |= json_add_string(object, "uuid", event->uuid);
	} else {
		r |= json_add_null(object, "name");
		r |= json_add_null(object, "uuid");
	}
	if (row.add)
		r |= row.add(event, object);
	if (r < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return json_print(object, true);
}

static int print_text(const struct term *term, const struct event *event)
{
	_cleanup_free_ char *text = NULL, *label = NULL, *words = NULL;
	time_t now_sec = (time_t)(event->now_usec / 1000000);
	const struct event_row row = row_of(event);
	struct tm tm = {};
	char date[64];
	size_t size;
	FILE *file;

	file = open_memstream(&text, &size);
	if (!file)
		return status_fail(STATUS_FAILED, "out of memory");
	if (event->kind == EVENT_GUEST)
		fprintf(file, "vCPU %u: ", event->vcpu);
	row.write(event, file);
	if (fclose(file) != 0)
		return status_fail(STATUS_FAILED, "out of memory");

	if (event->uuid)
		label = text_printable(event->name[0] != '\0' ? event->name : event->uuid);
	else
		label = strdup("-");
	words = text_printable(text);
	if (!label || !words)
		return status_fail(STATUS_FAILED, "out of memory");
	localtime_r(&now_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s.%03u  %s  %s%s%s\n", date, (unsigned int)(event->now_usec / 1000 % 1000), label,
	       term_style(term, row.style), words, term_style_end(term, row.style));
	return STATUS_OK;
}

int event_print(const struct term *term, bool json, const struct event *event)
{
	int status = json ? print_json(event) : print_text(term, event);

	/* The reader of a pipe must get each event without delay. */
	if (status == STATUS_OK && fflush(stdout) != 0)
		status = status_fail(STATUS_FAILED, "cannot write: %m");
	return status;
}
