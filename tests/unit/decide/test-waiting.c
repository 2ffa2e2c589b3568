/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <stdio.h>

#include "util.h"
#include "waiting.h"

static struct waiting w;
/* of the domain that was taken last */
static bool metadata_known;

static int setup(void **state)
{
	waiting_init(&w);
	return 0;
}

static int teardown(void **state)
{
	waiting_clear(&w);
	assert_int_equal(w.n, 0);
	assert_true(TAILQ_EMPTY(&w.list));
	return 0;
}

static struct virt_domain domain(int id, const char *name)
{
	struct virt_domain d = { .name = (char *)name, .id = id, .metadata = (char *)"old",
				 .metadata_known = true };

	snprintf(d.uuid, sizeof(d.uuid), "00000000-0000-4000-8000-00000000000%c", name[0]);
	return d;
}

static void append(int id, const char *name)
{
	struct virt_domain d = domain(id, name);

	assert_int_equal(waiting_append(&w, &d), 0);
}

static void update(int id, const char *name)
{
	struct virt_domain d = domain(id, name);

	d.metadata = NULL;
	d.metadata_known = false;
	assert_int_equal(waiting_update(&w, &d), 0);
}

static void assert_next(int id, const char *name)
{
	struct virt_domain d = { .name = NULL };

	assert_int_equal(waiting_take(&w, &d), 1);
	assert_int_equal(d.id, id);
	assert_string_equal(d.name, name);
	assert_int_equal(d.uuid[35], name[0]);
	assert_true(!!d.metadata == d.metadata_known);
	metadata_known = d.metadata_known;
	free(d.name);
	free(d.metadata);
}

static void test_order(void **state)
{
	struct virt_domain d;

	assert_int_equal(waiting_take(&w, &d), 0);
	append(7, "a");
	append(8, "b");
	append(9, "c");
	assert_int_equal(w.n, 3);
	assert_next(7, "a");
	update(10, "d");
	assert_next(8, "b");
	assert_next(9, "c");
	assert_next(10, "d");
	assert_int_equal(waiting_take(&w, &d), 0);
	append(11, "e");
}

static void test_events(void **state)
{
	append(1, "a");
	append(2, "b");
	append(3, "c");
	/* Paused and resumed, with another name: it keeps its place. */
	update(1, "a2");
	/* Started again: it is the last now. */
	update(4, "b");
	waiting_remove(&w, "00000000-0000-4000-8000-00000000000c");
	waiting_remove(&w, "00000000-0000-4000-8000-00000000000x");
	assert_int_equal(w.n, 2);
	assert_next(1, "a2");
	assert_next(4, "b");
}

static void test_metadata(void **state)
{
	append(1, "a");
	append(2, "b");
	append(3, "c");
	/* An event says nothing of it; a change, or a failure to read it, makes it old. */
	update(1, "a");
	waiting_forget_metadata(&w, "00000000-0000-4000-8000-00000000000b");
	waiting_forget_metadata(&w, "00000000-0000-4000-8000-00000000000x");
	assert_next(1, "a");
	assert_true(metadata_known);
	assert_next(2, "b");
	assert_false(metadata_known);
	append(2, "b");
	update(4, "b");
	assert_next(3, "c");
	assert_true(metadata_known);
	assert_next(4, "b");
	assert_false(metadata_known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_metadata, setup, teardown),
	};

	return cmocka_run_group_tests_name("waiting", tests, NULL, NULL);
}
