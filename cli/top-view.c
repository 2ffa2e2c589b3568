// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format.h"
#include "json.h"
#include "table.h"
#include "top.h"

/* Lines of the screen that are no VM: title, header, the line of those left out. */
#define SCREEN_LINES_TAKEN 4

static const struct table_column columns[] = {
	{ "NAME", .flexible = true },
	{ "STATE" },
	{ "SWAPPED", .right = true },
	{ "ASYNC/S", .right = true },
	{ "SYNC/S", .right = true },
	{ "P50", .right = true },
	{ "P95", .right = true },
	{ "STALLED", .right = true },
	{ "GUEST" },
};

/* What the guest's module says in one word; the worst first. */
static void add_guest(struct table *table, const struct vm *vm)
{
	const uint32_t *figures = vm->guest.figures;
	char text[FORMAT_MAX], alarm[FORMAT_MAX + 8];

	if (!vm->guest.present) {
		table_add(table, "-");
		return;
	}
	if (figures[GUEST_POOL_IN_USE] > 0)
		snprintf(alarm, sizeof(alarm), "POOL %u", figures[GUEST_POOL_IN_USE]);
	else if (guest_waiter_is_old(&vm->guest))
		snprintf(alarm, sizeof(alarm), "WAIT %s",
			 format_usec(text, figures[GUEST_OLDEST_SLEEPER_MSEC] * 1000ULL));
	else
		alarm[0] = '\0';
	if (alarm[0] != '\0')
		table_add_styled(table, STYLE_WARN, alarm);
	else
		table_add_styled(table, STYLE_GOOD, "ok");
}

static struct table *new_table(const struct top_sample *sample)
{
	struct table *table = table_new(columns, ELEMENTSOF(columns));

	for (size_t i = 0; table && i < sample->vms.n; i++) {
		const struct vm *vm = &sample->vms.vms[i];
		char text[FORMAT_MAX];

		table_add(table, vm_label(vm));
		table_add_styled(table, style_of_state(vm->state), vm->state);
		table_add(table,
			  vm_knows_swapped(vm) ? format_bytes(text, vm->swapped_bytes) : "-");
		if (!vm->watched) {
			for (unsigned int n = 0; n < 6; n++)
				table_add(table, "-");
			continue;
		}
		table_add(table, format_rate(text, vm->async_per_sec));
		table_add(table, format_rate(text, vm->sync_per_sec));
		table_add(table, vm->p95_usec > 0 ? format_usec(text, vm->p50_usec) : "-");
		table_add(table, vm->p95_usec > 0 ? format_usec(text, vm->p95_usec) : "-");
		table_add(table, format_share(text, vm->stall_ratio));
		add_guest(table, vm);
	}
	return table;
}

static void print_title(FILE *file, const struct top_sample *sample)
{
	time_t now_sec = (time_t)(sample->now_usec / 1000000);
	struct tm tm = {};
	char date[64];

	localtime_r(&now_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(file, "%s  %zu VM%s\n", date, sample->vms.n, sample->vms.n == 1 ? "" : "s");
}

static int table_show(struct apfctl *ctl, const struct top_sample *sample)
{
	_cleanup_(table_freep) struct table *table = new_table(sample);

	if (!table)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	print_title(stdout, sample);
	if (table_print(table, stdout, &ctl->term, sample->vms.n) < 0)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	putchar('\n');
	return APFCTL_OK;
}

const struct top_view top_view_table = { .show = table_show };

static void screen_begin(struct apfctl *ctl)
{
	/* The alternate screen: what was on the terminal comes back at the end. */
	fputs("\033[?1049h\033[?25l\033[H\033[2J", stdout);
}

static void screen_end(struct apfctl *ctl)
{
	fputs("\033[?25h\033[?1049l", stdout);
}

static int screen_show(struct apfctl *ctl, const struct top_sample *sample)
{
	_cleanup_(table_freep) struct table *table = new_table(sample);
	_cleanup_free_ char *text = NULL;
	size_t size, max_rows, n_shown;
	FILE *file;
	int r;

	term_read_size(&ctl->term);
	max_rows = ctl->term.rows > SCREEN_LINES_TAKEN ? ctl->term.rows - SCREEN_LINES_TAKEN : 1;
	n_shown = sample->vms.n < max_rows ? sample->vms.n : max_rows;

	file = open_memstream(&text, &size);
	if (!file || !table) {
		if (file)
			fclose(file);
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	}
	print_title(file, sample);
	r = table_print(table, file, &ctl->term, n_shown);
	if (n_shown < sample->vms.n)
		fprintf(file, "and %zu more\n", sample->vms.n - n_shown);
	if (fclose(file) != 0 || r < 0)
		return apfctl_fail(APFCTL_FAILED, "out of memory");

	/* Each line clears what it does not cover: no flicker, no remains. */
	fputs("\033[H", stdout);
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		fwrite(line, 1, len, stdout);
		fputs("\033[K\r\n", stdout);
		line += len + (line[len] == '\n');
	}
	fputs("\033[J", stdout);
	return APFCTL_OK;
}

const struct top_view top_view_screen = {
	.begin = screen_begin,
	.show = screen_show,
	.end = screen_end,
};

static int json_show(struct apfctl *ctl, const struct top_sample *sample)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!object || !array || json_add_uint(object, "now_usec", sample->now_usec) < 0)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	for (size_t i = 0; i < sample->vms.n; i++)
		if (json_append(array, json_vm(&sample->vms.vms[i])) < 0)
			return apfctl_fail(APFCTL_FAILED, "out of memory");
	if (json_add(object, "vms", TAKE_PTR(array)) < 0)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	return json_print(object, true);
}

const struct top_view top_view_json = { .show = json_show };
