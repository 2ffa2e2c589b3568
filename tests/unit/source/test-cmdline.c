/* SPDX-License-Identifier: GPL-2.0 */
/* Command lines of real processes, and of made-up ones that do not let themselves be read. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>

#include "cmdline.h"
#include "fixture.h"

#define PID 4711

enum { AT_ONCE = 8 }; /* as many as cmdline.c reads */

static sd_event *event;
static char *got;
static unsigned int n_calls;

static int setup(void **state)
{
	fixture_begin();
	got = NULL;
	n_calls = 0;
	return sd_event_new(&event) < 0;
}

static int teardown(void **state)
{
	free(got);
	sd_event_unref(event);
	return fixture_end();
}

static void on_args(char *args, void *userdata)
{
	struct cmdline **c = userdata;

	n_calls++;
	free(got);
	got = args;
	/* As a query does, whose answer this is the last of. */
	if (c)
		*c = cmdline_free(*c);
}

static void turn(void)
{
	for (int i = 0; i < 100 && n_calls == 0; i++)
		assert_true(sd_event_run(event, 100000) >= 0);
}

static void test_own(void **state)
{
	struct cmdline *c = NULL;

	assert_int_equal(cmdline_new(event, "/proc", getpid(), on_args, &c, &c), 0);
	turn();
	assert_int_equal(n_calls, 1);
	assert_null(c);
	assert_non_null(got);
	assert_non_null(strstr(got, "test-cmdline"));
}

static void test_words(void **state)
{
	char *args;

	fixture_bytes("proc/4711/cmdline", "qemu\0-cpu\0host", 14);
	args = cmdline_load(fixture_path("proc"), PID);
	assert_memory_equal(args, "qemu\0-cpu\0host\0", 16);
	free(args);
	fixture_bytes("proc/4711/cmdline", "", 0);
	args = cmdline_load(fixture_path("proc"), PID);
	assert_memory_equal(args, "\0", 2);
	free(args);
	assert_null(cmdline_load(fixture_path("proc"), PID + 1));
}

static void test_nobody(void **state)
{
	struct cmdline *c = NULL;

	assert_int_equal(cmdline_new(event, fixture_path("proc"), PID, on_args, &c, &c), 0);
	turn();
	assert_int_equal(n_calls, 1);
	assert_null(got);
}

/* Whoever waits at the pipe gets a word and the end of it. */
static void let_go(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return;
	assert_int_equal(write(fd, "word", 5), 5);
	close(fd);
}

/* A pipe without a writer stands for a process whose memory cannot be had. */
static void test_hanging(void **state)
{
	struct cmdline *c[AT_ONCE] = {}, *more = NULL;
	const char *path = fixture_path("proc/4711/cmdline"), *proc_root = fixture_path("proc");
	unsigned int n = 0;

	fixture_file("proc/4711/status", "");
	assert_int_equal(mkfifo(path, 0600), 0);
	for (unsigned int i = 0; i < AT_ONCE; i++)
		assert_int_equal(cmdline_new(event, proc_root, PID, on_args, NULL, &c[i]), 0);
	assert_int_equal(cmdline_new(event, proc_root, PID, on_args, NULL, &more), -EAGAIN);
	assert_true(sd_event_run(event, 0) >= 0);
	assert_int_equal(n_calls, 0);
	/* All but the first give up waiting. */
	for (unsigned int i = 1; i < AT_ONCE; i++)
		cmdline_free(c[i]);
	for (int i = 0; i < 1000 && n_calls == 0; i++) {
		let_go(path);
		assert_true(sd_event_run(event, 10000) >= 0);
	}
	assert_int_equal(n_calls, 1);
	cmdline_free(c[0]);
	/* They all end, and there is room for as many again. */
	for (int i = 0; i < 1000 && n < AT_ONCE; i++) {
		let_go(path);
		if (cmdline_new(event, proc_root, PID, on_args, NULL, &c[n]) == 0)
			n++;
		else
			usleep(10000);
	}
	assert_int_equal(n, AT_ONCE);
	for (int i = 0; i < 1000 && n_calls < 1 + AT_ONCE; i++) {
		let_go(path);
		assert_true(sd_event_run(event, 10000) >= 0);
	}
	assert_int_equal(n_calls, 1 + AT_ONCE);
	for (unsigned int i = 0; i < AT_ONCE; i++)
		cmdline_free(c[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hanging, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
