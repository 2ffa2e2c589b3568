// SPDX-License-Identifier: GPL-2.0
#include "top-keys.h"

#include <string.h>

#include "names.h"
#include "screen.h"
#include "top-request.h"
#include "top-draw.h"
#include "top-state.h"
#include "verb.h"

/* The row choice of the current page; NULL for a page that can only be scrolled. */
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

static size_t row_after_key(const struct top *top, size_t from, int key, size_t n)
{
	size_t page = top_lines_for_rows(top);

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
		/* draw_table() limits this to the number of lines. */
		top->first_line = row_after_key(top, top->first_line, key, 1000);
		return;
	}
	choice->row = row_after_key(top, choice->row, key, n);
	if (choice->row >= n)
		choice->row = n > 0 ? n - 1 : 0;
	if (top->page == PAGE_VMS)
		top_choose_vm(top, choice->row);
}

static void order_again(struct top *top)
{
	if (top->page == PAGE_VMS)
		top_order_vms(top);
	else if (top->rows)
		top_order_vcpus(top);
}

static void sort_by(struct top *top, unsigned int column)
{
	size_t n;
	struct choice *choice = page_choice(top, &n);

	choice->by.reversed = choice->by.column == column && !choice->by.reversed;
	choice->by.column = column;
	order_again(top);
}

/* Sorts by the column @step to the right; after the last column comes the first. */
static void sort_beside(struct top *top, int step)
{
	size_t n;
	struct choice *choice = page_choice(top, &n);
	unsigned int n_columns =
		top->page == PAGE_VMS ? (unsigned int)_TOP_MAX : (unsigned int)_TOP_VCPU_MAX;

	choice->by.column = (choice->by.column + n_columns + (unsigned int)step) % n_columns;
	choice->by.reversed = false;
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
	else if (page != PAGE_VMS && !top_chosen_vm(top))
		return;
	/* The vCPUs may be those of another VM. */
	if (page == PAGE_VCPUS && top->page != PAGE_HELP)
		top_clear_vcpus(top);
	top->page = page;
	top->first_line = 0;
	top_request_vcpus(top);
}

static void go_back(struct top *top, bool may_end)
{
	if (top->page == PAGE_HELP)
		show_page(top, top->back);
	else if (top->page != PAGE_VMS)
		show_page(top, PAGE_VMS);
	else if (may_end)
		top_end(top, STATUS_OK);
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
		sort_by(top, top->page == PAGE_VMS ? top->choice_vms.by.column
						   : top->choice_vcpus.by.column);
		break;
	case 'e':
		top_begin_change(top, NAME_ON);
		break;
	case 'd':
		top_begin_change(top, NAME_OFF);
		break;
	case 'a':
		top_begin_change(top, NAME_AUTO);
		break;
	default:
		sort_by_key(top, key);
		break;
	}
}

void top_on_key(struct top *top, int key)
{
	if (top->mode) {
		if (key == 'y' || key == 'Y')
			top_change_mode(top);
		else
			top_set_message(top, false, "not changed");
		top->mode = NULL;
		return;
	}
	/* Any key removes the message. */
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
