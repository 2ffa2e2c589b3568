// SPDX-License-Identifier: GPL-2.0
#include "top-draw.h"

#include <stdio.h>
#include <string.h>

#include "format.h"
#include "histogram-table.h"
#include "host-summary.h"
#include "screen.h"
#include "top-state.h"

/* Lines that are not table rows: title, header, message, keys. */
#define LINES_TAKEN 4

/* On a smaller screen the rows of the table are worth more than the line of the host. */
#define HOST_ROWS_MIN 12

/* Maximum lines of a message; a polkit refusal needs two lines of 80 columns. */
#define MESSAGE_LINES_MAX 3

/* Width of a bar: a narrower one shows nothing useful, a wider one adds nothing. */
#define BAR_MIN 5
#define BAR_MAX 60
/* Columns of the latency table without its two bars: range, counts and gaps. */
#define BAR_BESIDE 44

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

/* Marks the chosen row with ">" too: not every terminal shows reversed text clearly. */
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

/* Lines below the title for the figures of the host: one, if apfd sends them. */
static size_t host_lines(const struct top *top)
{
	return top->page == PAGE_VMS && top->host.memory_state && screen_rows() >= HOST_ROWS_MIN;
}

size_t top_lines_for_rows(const struct top *top)
{
	size_t taken = LINES_TAKEN + host_lines(top);

	return screen_rows() > taken ? screen_rows() - taken : 1;
}

static void draw_host(const struct top *top)
{
	_cleanup_free_ char *line = NULL, *printable = NULL;
	char text[HOST_SUMMARY_MAX];

	if (host_lines(top) == 0)
		return;
	printable = text_printable(host_summary(text, &top->host));
	line = printable ? text_fit(printable, screen_columns(), "") : NULL;
	screen_row(1, false);
	screen_write(host_summary_style(&top->host), line ?: "");
	screen_fill();
}

/* Draws a table of @n rows below the title, scrolled so that the chosen row is visible. */
static void draw_table(struct top *top, struct table *table, size_t n, struct choice *choice,
		       bool has_choice)
{
	static const struct table_sink sink = { draw_text, draw_blanks, draw_end };
	size_t shown = top_lines_for_rows(top), columns = screen_columns();
	struct drawing drawing = {
		.line = 1 + host_lines(top),
		.header = true,
		.chosen = SIZE_MAX,
	};

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
		top_end_oom(top);
	/* draw_end() has begun one more line below the last row: clear it. */
	screen_row(drawing.line, false);
	screen_write(STYLE_NONE, " ");
}

static void draw_title(const struct top *top)
{
	const struct vm *vm = top_chosen_vm(top);
	const struct choice *choice = &top->choice_vms;
	const char *column = top_columns[choice->by.column].header;
	bool falling = top_orders[choice->by.column].falling != choice->by.reversed;
	char text[256], date[FORMAT_MAX];
	_cleanup_free_ char *label = text_printable(vm ? vm_label(vm) : "");
	_cleanup_free_ char *host = text_printable(top->ctl->client.host ?: "");
	struct timespec now = {};

	if (top->page == PAGE_VCPUS) {
		choice = &top->choice_vcpus;
		column = top_vcpu_columns[choice->by.column].header;
		falling = top_vcpu_orders[choice->by.column].falling != choice->by.reversed;
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
		snprintf(text, sizeof(text), "%.100s: latency of swap-ins", label ?: "");
		break;
	default:
		snprintf(text, sizeof(text), "apfctl top: keys");
		break;
	}
	screen_write(STYLE_HEADER, text);
	snprintf(text, sizeof(text), "  %s%s%.100s", date, host && host[0] ? "  " : "", host ?: "");
	screen_write(STYLE_NONE, text);
}

/* Draws a text above the keys; a long text covers table rows until the next key. */
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
	/* A question to the user stays visible; any other message is less important than this. */
	if (top->apfd_missing && !top->mode) {
		screen_write(STYLE_WARN, "apfd is not running, waiting");
		return;
	}
	if (top->message)
		text = text_printable(top->message);
	if (text)
		draw_long(top->message_bad ? STYLE_WARN : STYLE_NONE, text);
}

/* Draws as many keys as fit; the most important keys are first. */
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
		draw_note(top->no_vcpus ? "apfd has no figures for the vCPUs" : "");
		return;
	}
	table = top_vcpu_table(top->rows, top->vcpus.n);
	draw_table(top, table, top->vcpus.n, &top->choice_vcpus, top->vcpus.n > 0);
}

static void draw_latency(struct top *top)
{
	const struct vm *vm = top_chosen_vm(top);
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
		top_end_oom(top);
	else if (n == 0)
		draw_note("no page was swapped in yet");
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
	{ "l", "latencies of the chosen VM's swap-ins, as bars" },
	{ "Left, Right, < and >", "sort by the column to the left or right" },
	{ "r", "reverse the order" },
	{ "e, d, a", "switch the chosen VM or vCPU on, off, or to auto" },
	{ "q, Esc, Backspace", "back; on the first page, q ends" },
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

void top_draw(struct top *top)
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
	draw_host(top);
	draw_message(top);
	draw_keys(top);
	screen_show();
}
