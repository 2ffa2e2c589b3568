// SPDX-License-Identifier: GPL-2.0
/*
 * "top" on the whole terminal. Nothing here waits: looks and changes are asked of
 * apfd asynchronously, so that keys are heard however long it takes, and the
 * screen stays while apfd is away.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "bus.h"
#include "format.h"
#include "histogram.h"
#include "screen.h"
#include "top.h"
#include "verb.h"

#define NSEC_PER_SEC 1000000000ULL

/* Lines that are no row: title, header, message, keys. */
#define LINES_TAKEN 4

/* Of a message; what a refusal has to say takes two of 80 columns. */
#define MESSAGE_LINES_MAX 3

/* A bar says nothing below the first, and needs no more than the second. */
#define BAR_MIN 5
#define BAR_MAX 60
/* What a latency table takes besides its two bars: range, counts and gaps. */
#define BAR_BESIDE 44

enum page {
	PAGE_VMS,
	PAGE_VCPUS,
	PAGE_LATENCY,
	PAGE_HELP,
};

/**
 * struct choice - of a table: its order, and the row that is chosen
 * @first: row shown in the first line
 */
struct choice {
	unsigned int column;
	bool reversed;
	size_t row;
	size_t first;
};

/**
 * struct top - the screen and what it knows
 * @back: page to go back to from help
 * @path: object of the chosen VM, "" if there is none
 * @vcpus, @vcpus_nsec: its vCPUs, and when they were looked at, CLOCK_MONOTONIC
 * @before, @before_nsec: the look before
 * @no_vcpus: apfd has no figures of them
 * @rows: of the table of vCPUs, in the order shown
 * @away: apfd is not on the bus
 * @message: for the line above the keys; to be freed
 * @mode: to be set for the chosen VM if the user says yes; NULL if nothing is asked
 * @mode_vcpu: only for this vCPU of it, -1 for all
 */
struct top {
	struct apfctl *ctl;
	sd_event *event;
	sigset_t mask_before;
	sd_event_source *timer;
	sd_bus_slot *vms_slot;
	sd_bus_slot *vcpus_slot;
	sd_bus_slot *change_slot;
	enum page page;
	enum page back;
	struct vm_list vms;
	struct choice choice_vms;
	struct choice choice_vcpus;
	size_t first_line;
	char *path;
	struct vcpu_array vcpus, before;
	uint64_t vcpus_nsec, before_nsec;
	bool no_vcpus;
	struct top_vcpu *rows;
	size_t n_rows;
	bool away;
	char *message;
	bool message_bad;
	const char *mode;
	int mode_vcpu;
	int status;
};

static uint64_t now_nsec(void)
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void end(struct top *top, int status)
{
	top->status = status;
	sd_event_exit(top->event, 0);
}

static void end_oom(struct top *top)
{
	end(top, apfctl_fail(APFCTL_FAILED, "out of memory"));
}

static void say(struct top *top, bool bad, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct top *top, bool bad, const char *format, ...)
{
	va_list args;

	free(top->message);
	va_start(args, format);
	if (vasprintf(&top->message, format, args) < 0)
		top->message = NULL;
	va_end(args);
	top->message_bad = bad;
}

/* What was noted as the program's failure is only a message here. */
static void say_failure(struct top *top)
{
	_cleanup_free_ char *text = apfctl_fail_take();

	say(top, true, "%s", text ?: "it failed");
}

/* ---- what is chosen ---- */

static const struct vm *chosen_vm(const struct top *top)
{
	for (size_t i = 0; i < top->vms.n; i++)
		if (strcmp(top->vms.vms[i].path, top->path) == 0)
			return &top->vms.vms[i];
	return NULL;
}

static void forget_vcpus(struct top *top)
{
	top->vcpus_slot = sd_bus_slot_unref(top->vcpus_slot);
	vcpu_array_clear(&top->vcpus);
	vcpu_array_clear(&top->before);
	free(top->rows);
	top->rows = NULL;
	top->vcpus_nsec = 0;
	top->before_nsec = 0;
	top->no_vcpus = false;
	top->choice_vcpus.row = 0;
	top->choice_vcpus.first = 0;
}

/* The VM in the chosen row; its row may move later, the choice goes with it. */
static void choose_vm(struct top *top, size_t row)
{
	char *path;

	if (top->vms.n == 0)
		row = 0;
	else if (row >= top->vms.n)
		row = top->vms.n - 1;
	top->choice_vms.row = row;
	path = strdup(top->vms.n > 0 ? top->vms.vms[row].path : "");
	if (!path) {
		end_oom(top);
		return;
	}
	if (strcmp(path, top->path) != 0)
		forget_vcpus(top);
	free(top->path);
	top->path = path;
}

static bool is_about_one(enum page page)
{
	return page == PAGE_VCPUS || page == PAGE_LATENCY;
}

static void order_vms(struct top *top)
{
	top_sort(&top->vms, top->choice_vms.column, top->choice_vms.reversed);
	for (size_t i = 0; i < top->vms.n; i++) {
		if (strcmp(top->vms.vms[i].path, top->path) == 0) {
			top->choice_vms.row = i;
			return;
		}
	}
	/* It has ended: nothing that was about it may become about its neighbour. */
	if (top->mode || is_about_one(top->page) ||
	    (top->page == PAGE_HELP && is_about_one(top->back)))
		say(top, true, "the VM has ended");
	top->mode = NULL;
	if (is_about_one(top->page))
		top->page = PAGE_VMS;
	top->back = PAGE_VMS;
	choose_vm(top, top->choice_vms.row);
}

static void order_vcpus(struct top *top)
{
	struct top_vcpu *rows = calloc(top->vcpus.n + 1, sizeof(*rows));
	struct choice *choice = &top->choice_vcpus;
	uint32_t index = 0;

	if (!rows) {
		end_oom(top);
		return;
	}
	/* The rows are of the answer before, which may have had fewer, or none. */
	if (top->rows && choice->row < top->n_rows)
		index = top->rows[choice->row].vcpu->index;
	free(top->rows);
	top->rows = rows;
	top->n_rows = top->vcpus.n;
	top_vcpu_rows(rows, &top->vcpus, &top->before, top->vcpus_nsec - top->before_nsec);
	top_sort_vcpus(rows, top->vcpus.n, choice->column, choice->reversed);
	choice->row = 0;
	for (size_t i = 0; i < top->vcpus.n; i++)
		if (rows[i].vcpu->index == index)
			choice->row = i;
}

/* ---- the picture ---- */

struct drawing {
	size_t line;
	size_t row;
	size_t chosen;
	bool header;
};

static void draw_text(void *userdata, enum style style, const char *text)
{
	screen_write(style, text);
}

static void draw_blanks(void *userdata, size_t n)
{
	screen_blanks(n);
}

/* The sign beside the chosen row: not everybody sees what is reversed. */
static void begin_line(const struct drawing *drawing)
{
	bool chosen = !drawing->header && drawing->row == drawing->chosen;

	screen_row(drawing->line, chosen);
	screen_write(STYLE_NONE, chosen ? ">" : " ");
}

static void draw_end(void *userdata)
{
	struct drawing *drawing = userdata;

	screen_fill();
	drawing->line++;
	drawing->row += !drawing->header;
	drawing->header = false;
	begin_line(drawing);
}

static size_t lines_for_rows(void)
{
	return screen_rows() > LINES_TAKEN ? screen_rows() - LINES_TAKEN : 1;
}

/* Draws a table of @n rows below the title, scrolled so that @choice is seen. */
static void draw_table(struct top *top, struct table *table, size_t n, struct choice *choice,
		       bool has_choice)
{
	static const struct table_sink sink = { draw_text, draw_blanks, draw_end };
	size_t shown = lines_for_rows(), columns = screen_columns();
	struct drawing drawing = { .line = 1, .header = true, .chosen = SIZE_MAX };

	if (has_choice) {
		if (choice->first > choice->row)
			choice->first = choice->row;
		if (choice->row >= choice->first + shown)
			choice->first = choice->row - shown + 1;
		drawing.chosen = choice->row;
	}
	if (choice->first + shown > n)
		choice->first = n > shown ? n - shown : 0;
	drawing.row = choice->first;
	begin_line(&drawing);
	if (!table || table_write(table, &sink, &drawing, &top->ctl->term,
				  columns > 1 ? columns - 1 : 1, choice->first, shown) < 0)
		end_oom(top);
	/* The line begun below the last row. */
	screen_row(drawing.line, false);
	screen_write(STYLE_NONE, " ");
}

static void draw_title(const struct top *top)
{
	const struct vm *vm = chosen_vm(top);
	const struct choice *choice = &top->choice_vms;
	const char *column = top_columns[choice->column].header;
	bool falling = top_orders[choice->column].falling != choice->reversed;
	char text[256], date[FORMAT_MAX];
	_cleanup_free_ char *label = text_printable(vm ? vm_label(vm) : "");
	_cleanup_free_ char *host = text_printable(top->ctl->host ?: "");
	struct timespec now = {};

	if (top->page == PAGE_VCPUS) {
		choice = &top->choice_vcpus;
		column = top_vcpu_columns[choice->column].header;
		falling = top_vcpu_orders[choice->column].falling != choice->reversed;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	format_time(date, (uint64_t)now.tv_sec * 1000000);
	screen_row(0, false);
	switch (top->page) {
	case PAGE_VMS:
		snprintf(text, sizeof(text), "%zu VM%s by %s, %s", top->vms.n,
			 top->vms.n == 1 ? "" : "s", column, falling ? "falling" : "rising");
		break;
	case PAGE_VCPUS:
		snprintf(text, sizeof(text), "%.100s: %zu vCPU%s by %s, %s", label ?: "",
			 top->vcpus.n, top->vcpus.n == 1 ? "" : "s", column,
			 falling ? "falling" : "rising");
		break;
	case PAGE_LATENCY:
		snprintf(text, sizeof(text), "%.100s: latency of its swap-ins", label ?: "");
		break;
	default:
		snprintf(text, sizeof(text), "apfctl top: keys");
		break;
	}
	screen_write(STYLE_HEADER, text);
	snprintf(text, sizeof(text), "  %s%s%.100s", date, host && host[0] ? "  " : "", host ?: "");
	screen_write(STYLE_NONE, text);
}

/* Above the keys; a long one covers rows of the table until the next key. */
static void draw_long(enum style style, const char *text)
{
	size_t columns = screen_columns();
	size_t n = (text_columns(text) + columns - 1) / columns;

	n = n < MESSAGE_LINES_MAX ? n : MESSAGE_LINES_MAX;
	if (n + 3 > screen_rows())
		n = 1;
	for (size_t row = screen_rows() - 1 - n; n > 0 && *text; n--, row++) {
		_cleanup_free_ char *line = text_fit(text, columns, "");

		if (!line || line[0] == '\0')
			return;
		screen_row(row, false);
		screen_write(style, line);
		screen_fill();
		text += strlen(line);
	}
}

static void draw_message(const struct top *top)
{
	_cleanup_free_ char *text = NULL;

	if (screen_rows() < 2)
		return;
	screen_row(screen_rows() - 2, false);
	/* A question is answered first; what was done before says little now. */
	if (top->away && !top->mode) {
		screen_write(STYLE_WARN, "apfd is not running, waiting");
		return;
	}
	if (top->message)
		text = text_printable(top->message);
	if (text)
		draw_long(top->message_bad ? STYLE_WARN : STYLE_NONE, text);
}

/* As many as fit; the first are those without which one is lost. */
static void draw_keys(const struct top *top)
{
	static const struct {
		const char *key;
		const char *text;
		unsigned int pages;
	} keys[] = {
		{ "q", "quit", 1U << PAGE_VMS },
		{ "q", "back", 1U << PAGE_VCPUS | 1U << PAGE_LATENCY | 1U << PAGE_HELP },
		{ "?", "help", 1U << PAGE_VMS | 1U << PAGE_VCPUS | 1U << PAGE_LATENCY },
		{ "Enter", "vCPUs", 1U << PAGE_VMS },
		{ "l", "latency", 1U << PAGE_VMS | 1U << PAGE_VCPUS },
		{ "Enter", "vCPUs", 1U << PAGE_LATENCY },
		{ "<>", "sort", 1U << PAGE_VMS | 1U << PAGE_VCPUS },
		{ "r", "reverse", 1U << PAGE_VMS | 1U << PAGE_VCPUS },
		{ "e/d/a", "on/off/auto", 1U << PAGE_VMS | 1U << PAGE_VCPUS },
	};
	size_t left = screen_columns();

	if (screen_rows() < 3)
		return;
	screen_row(screen_rows() - 1, false);
	for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
		size_t wanted = strlen(keys[i].key) + strlen(keys[i].text) + 3;

		if (!(keys[i].pages & 1U << top->page))
			continue;
		if (wanted > left + 2)
			break;
		screen_write(STYLE_HEADER, keys[i].key);
		screen_write(STYLE_NONE, " ");
		screen_write(STYLE_NONE, keys[i].text);
		screen_blanks(2);
		left = left > wanted ? left - wanted : 0;
	}
}

static void draw_note(const char *text)
{
	screen_row(1, false);
	screen_write(STYLE_NONE, text);
}

static void draw_vms(struct top *top)
{
	_cleanup_(table_freep) struct table *table = top_vm_table(&top->vms);

	draw_table(top, table, top->vms.n, &top->choice_vms, top->vms.n > 0);
}

static void draw_vcpus(struct top *top)
{
	_cleanup_(table_freep) struct table *table = NULL;

	if (top->no_vcpus || !top->rows) {
		draw_note(top->no_vcpus ? "apfd has no figures of its vCPUs" : "");
		return;
	}
	table = top_vcpu_table(top->rows, top->vcpus.n);
	draw_table(top, table, top->vcpus.n, &top->choice_vcpus, top->vcpus.n > 0);
}

static void draw_latency(struct top *top)
{
	const struct vm *vm = chosen_vm(top);
	_cleanup_(table_freep) struct table *table = NULL;
	size_t columns = screen_columns(), bar = BAR_MIN;
	struct choice choice = { .first = top->first_line };
	int n;

	if (!vm)
		return;
	if (columns > BAR_BESIDE + 2 * BAR_MIN)
		bar = (columns - BAR_BESIDE) / 2;
	n = histogram_table(&vm->async, &vm->sync, bar < BAR_MAX ? bar : BAR_MAX, &table);
	if (n < 0)
		end_oom(top);
	else if (n == 0)
		draw_note("no page was swapped in so far");
	if (n <= 0)
		return;
	draw_table(top, table, (size_t)n, &choice, false);
	top->first_line = choice.first;
}

static const struct {
	const char *keys;
	const char *text;
} help_lines[] = {
	{ "Up, Down, PgUp, PgDn, Home, End", "choose a row" },
	{ "Enter", "vCPUs of the chosen VM" },
	{ "l", "latencies of its swap-ins, as bars" },
	{ "Left, Right, < and >", "sort by the column to the left or right" },
	{ "r", "turn the order round" },
	{ "e, d, a", "switch the chosen VM or vCPU on, off, or to auto" },
	{ "q, Esc, Backspace", "back; q on the first page ends" },
	{ "Ctrl-C", "end" },
};

static const struct table_column help_columns[] = { { "KEY" }, { "" } };

static void draw_help(struct top *top)
{
	_cleanup_(table_freep) struct table *table =
		table_new(help_columns, ELEMENTSOF(help_columns));
	struct choice choice = { .first = top->first_line };
	bool vcpus = top->back == PAGE_VCPUS;
	unsigned int n = vcpus ? (unsigned int)_TOP_VCPU_MAX : (unsigned int)_TOP_MAX;

	for (size_t i = 0; table && i < ELEMENTSOF(help_lines); i++) {
		table_add(table, help_lines[i].keys);
		table_add(table, help_lines[i].text);
	}
	for (unsigned int i = 0; table && i < n; i++) {
		table_addf(table, "%c", vcpus ? top_vcpu_orders[i].key : top_orders[i].key);
		table_addf(table, "sort by %s",
			   vcpus ? top_vcpu_columns[i].header : top_columns[i].header);
	}
	draw_table(top, table, ELEMENTSOF(help_lines) + n, &choice, false);
	top->first_line = choice.first;
}

static void draw(struct top *top)
{
	static void (*const pages[])(struct top * top) = {
		[PAGE_VMS] = draw_vms,
		[PAGE_VCPUS] = draw_vcpus,
		[PAGE_LATENCY] = draw_latency,
		[PAGE_HELP] = draw_help,
	};

	screen_clear();
	pages[top->page](top);
	draw_title(top);
	draw_message(top);
	draw_keys(top);
	screen_show();
}

/* ---- questions to apfd ---- */

static bool is_away(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY);
}

/* Whether there is an answer; if not, it is dealt with. */
static bool is_answer(struct top *top, sd_bus_message *m, const char *subject)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);

	top->away = error && is_away(error);
	if (!error)
		return true;
	if (!top->away) {
		bus_fail_call(top->ctl, subject, error, -sd_bus_message_get_errno(m));
		say_failure(top);
	}
	return false;
}

static int ask_vcpus(struct top *top);

static int on_vms(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(vm_list_clear) struct vm_list vms = {};
	struct top *top = userdata;
	const char *bad = NULL;
	bool was_away = top->away;
	int r;

	top->vms_slot = sd_bus_slot_unref(top->vms_slot);
	if (is_answer(top, m, "")) {
		r = vm_list_read(m, &vms, &bad);
		if (r < 0) {
			end(top, bus_fail_message(top->ctl, "a VM", bad, r));
			return 0;
		}
		/* It knows its VMs a moment after it is there; the old list is better. */
		if (!was_away || vms.n > 0 || top->vms.n == 0) {
			vm_list_clear(&top->vms);
			top->vms = vms;
			vms = (struct vm_list){};
			order_vms(top);
		}
	}
	draw(top);
	return 0;
}

static int on_vcpus(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(vcpu_array_clear) struct vcpu_array vcpus = {};
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct top *top = userdata;
	const char *bad = NULL;
	int r;

	top->vcpus_slot = sd_bus_slot_unref(top->vcpus_slot);
	if (error) {
		top->no_vcpus = sd_bus_error_has_name(error, "org.apfd.Error.NoHostModule") ||
				sd_bus_error_has_name(error, "org.apfd.Error.NotWatched");
		draw(top);
		return 0;
	}
	r = vcpu_array_read(m, &vcpus, &bad);
	if (r < 0) {
		end(top, bus_fail_message(top->ctl, "the vCPUs", bad, r));
		return 0;
	}
	/* The rows point into these. */
	vcpu_array_clear(&top->before);
	top->before = top->vcpus;
	top->before_nsec = top->vcpus_nsec ?: now_nsec();
	top->vcpus = vcpus;
	vcpus = (struct vcpu_array){};
	top->vcpus_nsec = now_nsec();
	top->no_vcpus = false;
	order_vcpus(top);
	draw(top);
	return 0;
}

static int ask(struct top *top, sd_bus_slot **slot, const char *path, const char *interface,
	       const char *member, sd_bus_message_handler_t handler)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	/* The last question is still open: apfd is slow, more of them do not help. */
	if (*slot)
		return 0;
	r = sd_bus_message_new_method_call(top->ctl->bus, &m, BUS_NAME, path, interface, member);
	/* Who stopped apfd does not want it started by those who watch. */
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, false);
	if (r >= 0)
		r = sd_bus_call_async(top->ctl->bus, slot, m, handler, top, 0);
	if (r < 0)
		end(top, apfctl_fail(APFCTL_FAILED, "top: cannot ask apfd: %s", strerror(-r)));
	return r;
}

static int ask_vms(struct top *top)
{
	return ask(top, &top->vms_slot, MANAGER_PATH, "org.freedesktop.DBus.ObjectManager",
		   "GetManagedObjects", on_vms);
}

static int ask_vcpus(struct top *top)
{
	if (top->page != PAGE_VCPUS || top->path[0] == '\0')
		return 0;
	return ask(top, &top->vcpus_slot, top->path, VM_INTERFACE, "GetVCPUs", on_vcpus);
}

/* ---- changes ---- */

static const char *chosen_name(const struct top *top)
{
	const struct vm *vm = chosen_vm(top);

	return vm ? vm_label(vm) : "";
}

/* The vCPU a change is about, -1 for the whole VM. */
static int chosen_vcpu(const struct top *top)
{
	if (top->page != PAGE_VCPUS || !top->rows || top->choice_vcpus.row >= top->vcpus.n)
		return -1;
	return (int)top->rows[top->choice_vcpus.row].vcpu->index;
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct top *top = userdata;

	top->change_slot = sd_bus_slot_unref(top->change_slot);
	/* There is no place for polkit's question here, but there is elsewhere. */
	if (error && sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
		say(top, true, "not allowed without a password; 'apfctl set' asks for it");
	else if (is_answer(top, m, chosen_name(top)))
		say(top, false, "done");
	else if (top->away)
		say(top, true, "apfd is not running, nothing was changed");
	/* To be seen at once. */
	ask_vms(top);
	ask_vcpus(top);
	draw(top);
	return 0;
}

static void begin_change(struct top *top, const char *mode)
{
	int vcpu = chosen_vcpu(top);

	if (!chosen_vm(top))
		return;
	top->mode = mode;
	top->mode_vcpu = vcpu;
	if (vcpu >= 0)
		say(top, false, "Set vCPU %d of %s to %s? y/n", vcpu, chosen_name(top), mode);
	else
		say(top, false, "Set %s to %s? y/n", chosen_name(top), mode);
}

static void change(struct top *top)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	struct vcpu_list *vcpus = &top->ctl->vcpus;
	int vcpu = top->mode_vcpu, r;

	if (top->change_slot) {
		say(top, true, "the last change is still under way");
		return;
	}
	*vcpus = (struct vcpu_list){};
	if (vcpu >= 0 && vcpu <= VCPU_INDEX_MAX) {
		vcpus->member[vcpu] = true;
		vcpus->n = 1;
	}
	if (bus_new_set_mode(top->ctl, top->path, top->mode, &m) != APFCTL_OK) {
		say_failure(top);
		return;
	}
	/* Polkit's question would be written over the screen. */
	r = sd_bus_message_set_allow_interactive_authorization(m, false);
	if (r >= 0)
		r = sd_bus_call_async(top->ctl->bus, &top->change_slot, m, on_changed, top, 0);
	if (r < 0)
		say(top, true, "cannot ask apfd: %s", strerror(-r));
	else
		say(top, false, "asking apfd");
}

/* ---- keys ---- */

/* The choice that keys move on this page; NULL where there is only a first line. */
static struct choice *page_choice(struct top *top, size_t *ret_n)
{
	if (top->page == PAGE_VMS) {
		*ret_n = top->vms.n;
		return &top->choice_vms;
	}
	if (top->page == PAGE_VCPUS) {
		*ret_n = top->rows ? top->vcpus.n : 0;
		return &top->choice_vcpus;
	}
	return NULL;
}

static size_t moved(size_t from, int key, size_t n)
{
	size_t page = lines_for_rows();

	switch (key) {
	case SCREEN_KEY_UP:
		return from > 0 ? from - 1 : 0;
	case SCREEN_KEY_DOWN:
		return from + 1;
	case SCREEN_KEY_PAGE_UP:
		return from > page ? from - page : 0;
	case SCREEN_KEY_PAGE_DOWN:
		return from + page;
	case SCREEN_KEY_HOME:
		return 0;
	default:
		return n;
	}
}

static void move_choice(struct top *top, int key)
{
	size_t n = 0;
	struct choice *choice = page_choice(top, &n);

	if (!choice) {
		/* Drawing puts it back to where there is something. */
		top->first_line = moved(top->first_line, key, 1000);
		return;
	}
	choice->row = moved(choice->row, key, n);
	if (choice->row >= n)
		choice->row = n > 0 ? n - 1 : 0;
	if (top->page == PAGE_VMS)
		choose_vm(top, choice->row);
}

static void order_again(struct top *top)
{
	if (top->page == PAGE_VMS)
		order_vms(top);
	else if (top->rows)
		order_vcpus(top);
}

static void sort_by(struct top *top, unsigned int column)
{
	size_t n;
	struct choice *choice = page_choice(top, &n);

	choice->reversed = choice->column == column && !choice->reversed;
	choice->column = column;
	order_again(top);
}

/* To the column @step further; round and round. */
static void sort_beside(struct top *top, int step)
{
	size_t n;
	struct choice *choice = page_choice(top, &n);
	unsigned int n_columns =
		top->page == PAGE_VMS ? (unsigned int)_TOP_MAX : (unsigned int)_TOP_VCPU_MAX;

	choice->column = (choice->column + n_columns + (unsigned int)step) % n_columns;
	choice->reversed = false;
	order_again(top);
}

static bool sort_by_key(struct top *top, int key)
{
	const struct top_order *orders = top->page == PAGE_VMS ? top_orders : top_vcpu_orders;
	unsigned int n =
		top->page == PAGE_VMS ? (unsigned int)_TOP_MAX : (unsigned int)_TOP_VCPU_MAX;

	for (unsigned int i = 0; i < n; i++) {
		if (orders[i].key == key) {
			sort_by(top, i);
			return true;
		}
	}
	return false;
}

static void show_page(struct top *top, enum page page)
{
	if (page == PAGE_HELP)
		top->back = top->page;
	else if (page != PAGE_VMS && !chosen_vm(top))
		return;
	/* Those of another VM are of no use. */
	if (page == PAGE_VCPUS && top->page != PAGE_HELP)
		forget_vcpus(top);
	top->page = page;
	top->first_line = 0;
	ask_vcpus(top);
}

static void go_back(struct top *top, bool may_end)
{
	if (top->page == PAGE_HELP)
		show_page(top, top->back);
	else if (top->page != PAGE_VMS)
		show_page(top, PAGE_VMS);
	else if (may_end)
		end(top, APFCTL_OK);
}

/* Keys of the tables of VMs and vCPUs. */
static void on_table_key(struct top *top, int key)
{
	switch (key) {
	case '<':
	case SCREEN_KEY_LEFT:
		sort_beside(top, -1);
		break;
	case '>':
	case SCREEN_KEY_RIGHT:
		sort_beside(top, 1);
		break;
	case 'r':
		sort_by(top,
			top->page == PAGE_VMS ? top->choice_vms.column : top->choice_vcpus.column);
		break;
	case 'e':
		begin_change(top, "on");
		break;
	case 'd':
		begin_change(top, "off");
		break;
	case 'a':
		begin_change(top, "auto");
		break;
	default:
		sort_by_key(top, key);
		break;
	}
}

static void on_key(struct top *top, int key)
{
	if (top->mode) {
		if (key == 'y' || key == 'Y')
			change(top);
		else
			say(top, false, "not changed");
		top->mode = NULL;
		return;
	}
	/* Read, or not: the next key takes it away. */
	free(top->message);
	top->message = NULL;

	switch (key) {
	case SCREEN_KEY_UP:
	case SCREEN_KEY_DOWN:
	case SCREEN_KEY_PAGE_UP:
	case SCREEN_KEY_PAGE_DOWN:
	case SCREEN_KEY_HOME:
	case SCREEN_KEY_END:
		move_choice(top, key);
		break;
	case SCREEN_KEY_ENTER:
		if (top->page == PAGE_VMS || top->page == PAGE_LATENCY)
			show_page(top, PAGE_VCPUS);
		break;
	case SCREEN_KEY_BACK:
		go_back(top, false);
		break;
	case 'q':
		go_back(top, true);
		break;
	case 'l':
		if (top->page == PAGE_VMS || top->page == PAGE_VCPUS)
			show_page(top, PAGE_LATENCY);
		break;
	case '?':
	case 'h':
		if (top->page != PAGE_HELP)
			show_page(top, PAGE_HELP);
		break;
	default:
		if (top->page == PAGE_VMS || top->page == PAGE_VCPUS)
			on_table_key(top, key);
		break;
	}
}

/* ---- events ---- */

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct top *top = userdata;
	int key;

	while ((key = screen_key()) != SCREEN_KEY_NONE)
		on_key(top, key);
	/* The terminal has gone. */
	if (revents & (EPOLLHUP | EPOLLERR))
		end(top, APFCTL_OK);
	else
		draw(top);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct top *top = userdata;
	int r;

	ask_vms(top);
	ask_vcpus(top);
	r = sd_event_source_set_time_relative(source, top->ctl->interval_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	end(userdata, APFCTL_OK);
	return 0;
}

static int on_resize(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	screen_resize();
	draw(userdata);
	return 0;
}

/* Ctrl-Z: the shell gets its terminal, and we have it again afterwards. */
static int on_suspend(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	screen_suspend();
	kill(getpid(), SIGSTOP);
	screen_resize();
	draw(userdata);
	return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct top *top = userdata;
	const char *name, *old, *new;

	if (sd_bus_message_read(m, "sss", &name, &old, &new) < 0 || strcmp(name, BUS_NAME) != 0)
		return 0;
	if (new[0] == '\0')
		top->away = true;
	else
		ask_vms(top);
	draw(top);
	return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_DISCONNECTED, "");
	struct top *top = userdata;

	end(top, bus_fail_call(top->ctl, "", &error, -ENOTCONN));
	return 0;
}

static int listen_to_bus(struct top *top)
{
	int r;

	r = sd_bus_match_signal_async(top->ctl->bus, NULL, "org.freedesktop.DBus",
				      "/org/freedesktop/DBus", "org.freedesktop.DBus",
				      "NameOwnerChanged", on_owner, NULL, top);
	if (r >= 0)
		r = sd_bus_match_signal(top->ctl->bus, NULL, "org.freedesktop.DBus.Local",
					"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
					"Disconnected", on_disconnected, top);
	return r;
}

static int prepare_loop(struct top *top)
{
	static const struct {
		int number;
		sd_event_signal_handler_t handler;
	} signals[] = {
		{ SIGINT, on_stop },  { SIGTERM, on_stop },    { SIGHUP, on_stop },
		{ SIGQUIT, on_stop }, { SIGWINCH, on_resize }, { SIGTSTP, on_suspend },
	};
	sigset_t set;
	int r;

	sigemptyset(&set);
	for (size_t i = 0; i < ELEMENTSOF(signals); i++)
		sigaddset(&set, signals[i].number);
	sigprocmask(SIG_BLOCK, &set, &top->mask_before);

	r = sd_event_new(&top->event);
	for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
		r = sd_event_add_signal(top->event, NULL, signals[i].number, signals[i].handler,
					top);
	if (r >= 0)
		r = sd_event_add_io(top->event, NULL, STDIN_FILENO, EPOLLIN, on_input, top);
	if (r >= 0)
		r = sd_event_add_time_relative(top->event, &top->timer, CLOCK_MONOTONIC,
					       top->ctl->interval_usec, 1000, on_timer, top);
	if (r >= 0)
		r = listen_to_bus(top);
	if (r >= 0)
		r = sd_bus_attach_event(top->ctl->bus, top->event, 0);
	return r;
}

int top_run_screen(struct apfctl *ctl, struct vm_list *vms, bool *ret_no_screen)
{
	struct top top = {
		.ctl = ctl,
		.choice_vms.column = TOP_STALLED,
		.choice_vcpus.column = TOP_VCPU_INDEX,
		.path = strdup(""),
		.vms = *vms,
	};
	int r;

	*vms = (struct vm_list){};
	*ret_no_screen = false;
	r = top.path ? prepare_loop(&top) : -ENOMEM;
	if (r >= 0) {
		/* Now that nothing but the loop's own end can end us. */
		*ret_no_screen = screen_begin(&ctl->term) < 0;
		if (!*ret_no_screen) {
			top_sort(&top.vms, top.choice_vms.column, false);
			choose_vm(&top, 0);
			draw(&top);
			r = sd_event_loop(top.event);
			screen_end();
		}
	}

	sd_bus_slot_unref(top.vms_slot);
	sd_bus_slot_unref(top.change_slot);
	forget_vcpus(&top);
	sd_event_source_unref(top.timer);
	sd_bus_detach_event(ctl->bus);
	sd_event_unref(top.event);
	/* Who goes on without a screen may be stopped like anybody else. */
	if (*ret_no_screen)
		sigprocmask(SIG_SETMASK, &top.mask_before, NULL);
	vm_list_clear(&top.vms);
	free(top.path);
	free(top.message);
	if (r < 0 && top.status == APFCTL_OK)
		return apfctl_fail(APFCTL_FAILED, "top: %s", strerror(-r));
	return top.status;
}
