// SPDX-License-Identifier: GPL-2.0
#include "recall-show.h"

#include <stdio.h>
#include <string.h>

#include "apf/cleanup.h"
#include "format.h"
#include "json.h"
#include "names.h"

#define USEC_PER_SEC 1000000.0

enum {
	BAR_COLUMNS = 24,
	NAME_COLUMNS = 20,
};

static int add_figures(struct json_object *o, const char *vm, const char *state,
		       const struct recall_progress *p)
{
	int r = 0;

	r |= json_add_string(o, "vm", vm);
	r |= json_add_string(o, "state", state);
	r |= json_add_uint(o, "total_bytes", p->total_bytes);
	r |= json_add_uint(o, "done_bytes", p->done_bytes);
	return r;
}

static int print_json_progress(const char *vm, const struct recall_progress *p)
{
	_cleanup_(json_putp) struct json_object *o = json_object_new_object();
	const uint64_t left_usec = recall_left_usec(p);
	int r;

	if (!o)
		return status_fail(STATUS_FAILED, "out of memory");
	r = add_figures(o, vm, NAME_RUNNING, p);
	r |= json_add_uint(o, "bytes_per_sec", p->bytes_per_sec);
	r |= p->limit_per_sec == UINT64_MAX
		     ? json_add_null(o, "limit_bytes_per_sec")
		     : json_add_uint(o, "limit_bytes_per_sec", p->limit_per_sec);
	r |= json_add_bool(o, "slowed", p->slowed);
	r |= left_usec == UINT64_MAX
		     ? json_add_null(o, "left_sec")
		     : json_add_double(o, "left_sec", (double)left_usec / USEC_PER_SEC);
	return json_print(r < 0 ? NULL : o, true);
}

static int print_json_end(const char *vm, const struct recall_progress *p,
			  const struct recall_end *end, uint64_t elapsed_usec)
{
	_cleanup_(json_putp) struct json_object *o = json_object_new_object();
	int r;

	if (!o)
		return status_fail(STATUS_FAILED, "out of memory");
	r = add_figures(o, vm, end->result, p);
	r |= json_add_double(o, "elapsed_sec", (double)elapsed_usec / USEC_PER_SEC);
	r |= json_add_string(o, "text", end->text);
	return json_print(r < 0 ? NULL : o, true);
}

/* "web1  [#######.................]  29 %  58.0 MiB of 200 MiB, 38.1 MiB/s, 3.7 s left" */
static void draw(const struct term *term, const char *vm, const struct recall_progress *p)
{
	_cleanup_free_ char *printable = text_printable(vm), *name = NULL, *line = NULL,
			    *fit = NULL;
	char bar[BAR_COLUMNS + 1], done[FORMAT_MAX], total[FORMAT_MAX], rate[FORMAT_MAX];
	char left[FORMAT_MAX];
	const uint64_t left_usec = recall_left_usec(p);

	name = text_fit(printable ?: "", NAME_COLUMNS, term->utf8 ? "…" : "");
	format_bar(bar, p->done_bytes, p->total_bytes, BAR_COLUMNS);
	if (asprintf(&line, "%s  [%-*s] %3.0f %%  %s of %s, %s/s, %s left%s", name ?: "",
		     BAR_COLUMNS, bar,
		     p->total_bytes ? 100.0 * (double)p->done_bytes / (double)p->total_bytes : 0.0,
		     format_bytes(done, p->done_bytes), format_bytes(total, p->total_bytes),
		     format_bytes(rate, p->bytes_per_sec),
		     left_usec == UINT64_MAX ? "?" : format_usec(left, left_usec),
		     p->slowed ? ", slowed" : "") < 0) {
		line = NULL;
		return;
	}
	/* A line that is as wide as the terminal would begin a new one. */
	fit = text_fit(line, term->columns > 1 ? term->columns - 1 : 1, "");
	printf("\r%s\033[K", fit ?: "");
	fflush(stdout);
}

void recall_show_progress(const struct apfctl *ctl, const char *vm,
			  const struct recall_progress *progress)
{
	if (ctl->json) {
		(void)print_json_progress(vm, progress);
		fflush(stdout);
	} else if (ctl->term.cursor) {
		draw(&ctl->term, vm, progress);
	}
}

void recall_show_nothing(const struct apfctl *ctl)
{
	if (ctl->term.cursor && !ctl->json) {
		fputs("\r\033[K", stdout);
		fflush(stdout);
	}
}

int recall_show_end(const struct apfctl *ctl, const char *vm,
		    const struct recall_progress *progress, const struct recall_end *end,
		    uint64_t elapsed_usec)
{
	_cleanup_free_ char *name = text_printable(vm);
	char done[FORMAT_MAX], total[FORMAT_MAX], elapsed[FORMAT_MAX];

	recall_show_nothing(ctl);
	if (ctl->json)
		return print_json_end(vm, progress, end, elapsed_usec);
	printf("%s: %s of %s brought back from swap in %s\n", name ?: "",
	       format_bytes(done, progress->done_bytes), format_bytes(total, progress->total_bytes),
	       format_usec(elapsed, elapsed_usec));
	return STATUS_OK;
}
