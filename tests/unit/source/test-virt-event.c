/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "virt-event.h"

/* Longer than any of it can take, also under valgrind; nothing waits for it to pass. */
#define PATIENCE_USEC (20 * USEC_PER_SEC)

static sd_event *event;
static struct virt_event *ve;

static int setup(void **state)
{
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(virt_event_new(event, &ve), 0);
	return 0;
}

static int teardown(void **state)
{
	ve = virt_event_free(ve);
	event = sd_event_unref(event);
	return 0;
}

/* Runs the loop until *flag is at least @want. */
static void run_until(const atomic_int *flag, int want)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	while (atomic_load(flag) < want) {
		assert_true(clock_usec(CLOCK_MONOTONIC) < end_usec);
		assert_true(sd_event_run(event, 10 * USEC_PER_MSEC) >= 0);
	}
}

static void run_for(uint64_t usec)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + usec, now_usec;

	while ((now_usec = clock_usec(CLOCK_MONOTONIC)) < end_usec)
		assert_true(sd_event_run(event, end_usec - now_usec) >= 0);
}

struct probe {
	atomic_int called, freed, events;
	atomic_int id;
	int fd, remove_in_call, update_in_call;
	pthread_t freed_by;
	bool freed_while_called, in_call;
};

static void on_free(void *opaque)
{
	struct probe *p = opaque;

	p->freed_while_called = p->in_call;
	p->freed_by = pthread_self();
	p->freed++;
}

static void on_handle(int id, int fd, int events, void *opaque)
{
	struct probe *p = opaque;

	/* 0 while libvirt's thread has not even got the answer. */
	assert_true(id == p->id || p->id == 0);
	assert_int_equal(fd, p->fd);
	p->in_call = true;
	p->events = events;
	p->called++;
	if (p->remove_in_call)
		assert_int_equal(virEventRemoveHandle(id), 0);
	p->in_call = false;
}

static void on_timeout(int id, void *opaque)
{
	struct probe *p = opaque;

	p->in_call = true;
	p->called++;
	if (p->remove_in_call)
		assert_int_equal(virEventRemoveTimeout(p->id), 0);
	if (p->update_in_call)
		virEventUpdateTimeout(p->id, -1);
	p->in_call = false;
}

static void make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void test_only_one(void **state)
{
	struct virt_event *other = NULL;

	assert_int_equal(virt_event_new(event, &other), -EBUSY);
	assert_null(other);
}

static void test_handle(void **state)
{
	struct probe p = {};
	int fds[2];
	char c;

	make_pair(fds);
	p.fd = fds[0];
	p.id = virEventAddHandle(fds[0], VIR_EVENT_HANDLE_READABLE, on_handle, &p, on_free);
	assert_true(p.id > 0);
	run_for(20 * USEC_PER_MSEC);
	assert_int_equal(p.called, 0);

	assert_int_equal(write(fds[1], "x", 1), 1);
	run_until(&p.called, 1);
	assert_int_equal(p.events, VIR_EVENT_HANDLE_READABLE);
	/* Not read yet: it is told again, as poll(2) would. */
	run_until(&p.called, 2);

	/* Nothing wanted, nothing told; not even a hang-up. */
	virEventUpdateHandle(p.id, 0);
	run_for(5 * USEC_PER_MSEC);
	p.called = 0;
	run_for(20 * USEC_PER_MSEC);
	assert_int_equal(p.called, 0);

	assert_int_equal(read(fds[0], &c, 1), 1);
	virEventUpdateHandle(p.id, VIR_EVENT_HANDLE_WRITABLE);
	run_until(&p.called, 1);
	assert_int_equal(p.events, VIR_EVENT_HANDLE_WRITABLE);

	close(fds[1]);
	virEventUpdateHandle(p.id, VIR_EVENT_HANDLE_READABLE);
	run_for(5 * USEC_PER_MSEC);
	p.called = 0;
	run_until(&p.called, 1);
	assert_true(p.events & VIR_EVENT_HANDLE_HANGUP);

	assert_int_equal(virEventRemoveHandle(p.id), 0);
	/* Never from inside libvirt's call, which may hold the lock that the callback takes. */
	assert_int_equal(p.freed, 0);
	p.called = 0;
	run_until(&p.freed, 1);
	assert_int_equal(p.called, 0);
	assert_int_equal(virEventRemoveHandle(p.id), -1);
	run_for(5 * USEC_PER_MSEC);
	assert_int_equal(p.freed, 1);
	close(fds[0]);
}

static void test_remove_in_callback(void **state)
{
	struct probe p = { .remove_in_call = true };
	int fds[2];

	make_pair(fds);
	p.fd = fds[0];
	p.id = virEventAddHandle(fds[0], VIR_EVENT_HANDLE_WRITABLE, on_handle, &p, on_free);
	run_until(&p.freed, 1);
	assert_int_equal(p.called, 1);
	assert_false(p.freed_while_called);
	run_for(10 * USEC_PER_MSEC);
	assert_int_equal(p.called, 1);
	assert_int_equal(p.freed, 1);
	close(fds[0]);
	close(fds[1]);
}

/*
 * libvirt removes a handle and closes its descriptor at once; the number is used
 * again by the next socket before the loop has heard of either.
 */
static void test_descriptor_used_again(void **state)
{
	struct probe old = {}, new = {};
	int first[2], second[2];

	make_pair(first);
	old.fd = first[0];
	old.id = virEventAddHandle(first[0], VIR_EVENT_HANDLE_READABLE, on_handle, &old, on_free);
	run_for(5 * USEC_PER_MSEC);

	assert_int_equal(virEventRemoveHandle(old.id), 0);
	close(first[0]);
	make_pair(second);
	assert_int_equal(second[0], first[0]);
	new.fd = second[0];
	new.id = virEventAddHandle(second[0], VIR_EVENT_HANDLE_READABLE, on_handle, &new, on_free);
	assert_int_equal(write(second[1], "x", 1), 1);
	run_until(&new.called, 1);
	run_until(&old.freed, 1);
	assert_int_equal(old.called, 0);

	/* The peer of a closed descriptor sees its end: our copy is gone, too. */
	char c;

	assert_int_equal(read(first[1], &c, 1), 0);

	assert_int_equal(virEventRemoveHandle(new.id), 0);
	run_until(&new.freed, 1);
	close(first[1]);
	close(second[0]);
	close(second[1]);
}

static void test_timeout(void **state)
{
	struct probe p = {};

	p.id = virEventAddTimeout(-1, on_timeout, &p, on_free);
	assert_true(p.id > 0);
	run_for(30 * USEC_PER_MSEC);
	assert_int_equal(p.called, 0);

	/* Again and again, until switched off. */
	virEventUpdateTimeout(p.id, 5);
	run_until(&p.called, 3);
	virEventUpdateTimeout(p.id, -1);
	run_for(10 * USEC_PER_MSEC);
	p.called = 0;
	run_for(40 * USEC_PER_MSEC);
	assert_int_equal(p.called, 0);

	/* 0: every turn of the loop. */
	virEventUpdateTimeout(p.id, 0);
	run_until(&p.called, 50);

	/* The callback switches itself off. */
	p.update_in_call = true;
	p.called = 0;
	run_until(&p.called, 1);
	run_for(20 * USEC_PER_MSEC);
	assert_int_equal(p.called, 1);

	p.update_in_call = false;
	p.remove_in_call = true;
	virEventUpdateTimeout(p.id, 1);
	run_until(&p.freed, 1);
	assert_int_equal(p.called, 2);
	assert_false(p.freed_while_called);
	assert_int_equal(virEventRemoveTimeout(p.id), -1);
}

static void test_handle_and_timeout_are_apart(void **state)
{
	struct probe p = {};

	p.id = virEventAddTimeout(-1, on_timeout, &p, on_free);
	assert_int_equal(virEventRemoveHandle(p.id), -1);
	assert_int_equal(virEventRemoveTimeout(p.id), 0);
	run_until(&p.freed, 1);
}

static void test_bad_descriptor(void **state)
{
	struct probe p = {};

	assert_int_equal(virEventAddHandle(-1, VIR_EVENT_HANDLE_READABLE, on_handle, &p, on_free),
			 -1);
	run_for(5 * USEC_PER_MSEC);
	assert_int_equal(p.freed, 0);
}

static void test_free_drops_the_rest(void **state)
{
	struct probe handle = {}, timeout = {}, removed = {};
	int fds[2];

	make_pair(fds);
	handle.fd = fds[0];
	handle.id =
		virEventAddHandle(fds[0], VIR_EVENT_HANDLE_READABLE, on_handle, &handle, on_free);
	timeout.id = virEventAddTimeout(1000, on_timeout, &timeout, on_free);
	removed.id = virEventAddTimeout(1000, on_timeout, &removed, on_free);
	assert_int_equal(virEventRemoveTimeout(removed.id), 0);
	ve = virt_event_free(ve);
	assert_int_equal(handle.freed, 1);
	assert_int_equal(timeout.freed, 1);
	assert_int_equal(removed.freed, 1);
	/* libvirt's threads may be late: nobody is there any more. */
	assert_int_equal(virEventRemoveTimeout(timeout.id), -1);
	assert_int_equal(virEventAddTimeout(5, on_timeout, &timeout, on_free), -1);
	virEventUpdateTimeout(timeout.id, 5);
	close(fds[0]);
	close(fds[1]);
}

enum { THREADS = 4, ROUNDS = 200 };

static atomic_int threads_done;

/* What libvirt's threads do, as fast as they can, while the loop runs. */
static void *stress(void *arg)
{
	struct probe *probes = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct probe *p = &probes[i];
		int fds[2], timer;

		make_pair(fds);
		p->fd = fds[0];
		p->id = 0;
		timer = virEventAddTimeout(0, on_timeout, p, on_free);
		assert_true(timer > 0);
		virEventUpdateTimeout(timer, i % 3 - 1);
		assert_int_equal(write(fds[1], "x", 1), 1);
		if (i % 7 == 0)
			usleep(500);
		assert_int_equal(virEventRemoveTimeout(timer), 0);
		close(fds[0]);
		close(fds[1]);
	}
	threads_done++;
	return NULL;
}

static void test_threads(void **state)
{
	static struct probe probes[THREADS][ROUNDS];
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stress, probes[i]), 0);
	run_until(&threads_done, THREADS);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++)
		for (int j = 0; j < ROUNDS; j++) {
			run_until(&probes[i][j].freed, 1);
			assert_true(pthread_equal(probes[i][j].freed_by, pthread_self()));
			assert_false(probes[i][j].freed_while_called);
		}
	run_for(5 * USEC_PER_MSEC);
	for (int i = 0; i < THREADS; i++)
		for (int j = 0; j < ROUNDS; j++)
			assert_int_equal(probes[i][j].freed, 1);
}

static void *add_from_elsewhere(void *arg)
{
	struct probe *p = arg;

	/* As virConnectOpen() on the worker: the loop sleeps in epoll_wait() meanwhile. */
	usleep(50000);
	p->id = virEventAddHandle(p->fd, VIR_EVENT_HANDLE_WRITABLE, on_handle, p, on_free);
	return NULL;
}

static void test_thread_wakes_loop(void **state)
{
	struct probe p = { .remove_in_call = true };
	uint64_t start_usec = clock_usec(CLOCK_MONOTONIC);
	pthread_t thread;
	int fds[2];

	make_pair(fds);
	p.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, add_from_elsewhere, &p), 0);
	while (!p.called) {
		/* One long sleep: only the eventfd can end it in time. */
		assert_true(sd_event_run(event, PATIENCE_USEC) >= 0);
		assert_true(clock_usec(CLOCK_MONOTONIC) - start_usec < PATIENCE_USEC / 2);
	}
	pthread_join(thread, NULL);
	run_until(&p.freed, 1);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
#define ON_LOOP(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		ON_LOOP(test_only_one),
		ON_LOOP(test_handle),
		ON_LOOP(test_remove_in_callback),
		ON_LOOP(test_descriptor_used_again),
		ON_LOOP(test_timeout),
		ON_LOOP(test_handle_and_timeout_are_apart),
		ON_LOOP(test_bad_descriptor),
		ON_LOOP(test_free_drops_the_rest),
		ON_LOOP(test_threads),
		ON_LOOP(test_thread_wakes_loop),
	};

	return cmocka_run_group_tests_name("virt-event", tests, NULL, NULL);
}
