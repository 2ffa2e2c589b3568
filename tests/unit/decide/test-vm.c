/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One VM and what the bus shows of it, without a module: its readings are made
 * by the test, the bus is a socket pair with the daemon's end at one side.
 */
#include "bus-pair.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <systemd/sd-bus.h>

#include "context.h"
#include "governor.h"
#include "server.h"
#include "vm-bus.h"
#include "vm-event.h"
#include "vm-vcpus.h"
#include "vm.h"

#define UUID	  "11111111-aaaa-4bbb-8ccc-000000000001"
#define PATH	  "/org/apfd/vm/11111111_aaaa_4bbb_8ccc_000000000001"
#define MODULE_ID 7

enum { VCPUS = 3 };

static struct context context;
static struct server server = { .context = &context };
static sd_bus *client;
static struct vm *vm;
static struct genl_vcpu reading[VCPUS];

static int setup(void **state)
{
	struct virt_domain d = { .uuid = UUID, .name = (char *)"web1", .id = 1 };

	memset(&context, 0, sizeof(context));
	registry_init(&context.vms);
	bus_pair(&server.bus, &client);
	assert_true(vm_bus_register(&server) >= 0);
	assert_true(sd_bus_add_object_manager(server.bus, NULL, BUS_PATH_ROOT) >= 0);

	assert_int_equal(vm_new(&context, &d, true, &vm), 0);
	registry_insert(&context.vms, vm);
	/* As after a successful VM_ADD. */
	vm->module_id = MODULE_ID;
	vm->view.watched = 1;
	vm->announced = true;
	vm->gate = APF_STATE_ON;

	memset(reading, 0, sizeof(reading));
	for (uint32_t i = 0; i < VCPUS; i++) {
		reading[i].vm_id = MODULE_ID;
		reading[i].index = i;
		reading[i].state = APF_STATE_ON;
	}
	return 0;
}

static int teardown(void **state)
{
	vm_free(vm);
	sd_bus_close_unref(client);
	sd_bus_close_unref(server.bus);
	return 0;
}

/* ---- readings ---- */

/* A report of vCPU @i, with value @base + k for figure k, but @in_use emergency nodes in use. */
static void set_report(size_t i, uint32_t base, uint32_t in_use)
{
	reading[i].guest.present = true;
	for (uint32_t k = 1; k <= APF_GUEST_A_MAX; k++)
		reading[i].guest.value[k] = base + k;
	reading[i].guest.value[APF_GUEST_A_POOL_IN_USE] = in_use;
	reading[i].paused = in_use > 0;
}

static void read_all(void)
{
	static uint64_t usec;

	usec += USEC_PER_SEC;
	assert_int_equal(vm_update_vcpus(vm, reading, VCPUS, usec), 0);
}

static struct genl_event event_of(enum apf_event type, uint32_t index)
{
	struct genl_event e = {
		.type = type, .vm_id = MODULE_ID, .indices = { index }, .n_indices = 1
	};

	if (type != APF_EVENT_REPORT_GONE)
		e.guest = reading[index].guest;
	return e;
}

/* ---- what the bus shows ---- */

/* The dictionary at the front of @m: the number of @name, or -1; @ret_n: how many are in it. */
static int64_t figure(sd_bus_message *m, const char *name, size_t *ret_n)
{
	int64_t found = -1;
	const char *key;
	uint32_t value;

	*ret_n = 0;
	assert_true(sd_bus_message_enter_container(m, 'a', "{su}") > 0);
	while (sd_bus_message_read(m, "{su}", &key, &value) > 0) {
		(*ret_n)++;
		if (streq(key, name))
			found = value;
	}
	assert_true(sd_bus_message_exit_container(m) >= 0);
	return found;
}

/* Asks for a property, as a client would. */
static sd_bus_message *get_property(const char *name)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	sd_bus_message *reply;
	uint64_t cookie, answered;

	assert_true(sd_bus_message_new_method_call(client, &m, "org.apfd", PATH,
						   "org.freedesktop.DBus.Properties", "Get") >= 0);
	assert_true(sd_bus_message_append(m, "ss", "org.apfd.VM1", name) >= 0);
	assert_true(sd_bus_send(client, m, &cookie) >= 0);
	reply = bus_pair_next(server.bus, client);
	assert_non_null(reply);
	assert_false(sd_bus_message_is_method_error(reply, NULL));
	assert_true(sd_bus_message_get_reply_cookie(reply, &answered) >= 0);
	assert_int_equal(answered, cookie);
	return reply;
}

static void assert_module(const char *wanted)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = get_property("GuestModule");
	const char *got;

	assert_true(sd_bus_message_read(m, "v", "s", &got) > 0);
	assert_string_equal(got, wanted);
}

/* -1: it is empty; the figure must be there otherwise. */
static void assert_figure(const char *name, int64_t wanted)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = get_property("GuestReport");
	size_t n;

	assert_true(sd_bus_message_enter_container(m, 'v', "a{su}") > 0);
	assert_int_equal(figure(m, name, &n), wanted);
	/* All but the age. */
	assert_int_equal(n, wanted < 0 ? 0 : APF_GUEST_A_MAX - 1);
}

/* @mask: a bit for each paused vCPU. */
static void assert_paused(uint32_t mask)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = get_property("PausedVCPUs");
	const uint32_t *indices;
	uint32_t got = 0;
	size_t size;

	assert_true(sd_bus_message_enter_container(m, 'v', "au") > 0);
	assert_true(sd_bus_message_read_array(m, 'u', (const void **)&indices, &size) >= 0);
	for (size_t i = 0; i < size / sizeof(*indices); i++)
		got |= 1U << indices[i];
	assert_int_equal(got, mask);
}

/*
 * What the next PropertiesChanged names, one bit for each of three; -1 if there is none. The
 * report is a figure, and must never be named.
 */
enum { MODULE = 1, REPORT = 2, PAUSED = 4 };

static int published(void)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int bits = 0;
	const char *interface, *name;

	vm_bus_publish(&server, vm);
	m = bus_pair_next(server.bus, client);
	if (!m)
		return -1;
	assert_true(sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties",
					     "PropertiesChanged") > 0);
	assert_true(sd_bus_message_read(m, "s", &interface) > 0);
	assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		assert_true(sd_bus_message_read(m, "s", &name) > 0);
		bits |= streq(name, "GuestModule")   ? MODULE
			: streq(name, "GuestReport") ? REPORT
			: streq(name, "PausedVCPUs") ? PAUSED
						     : 0;
		assert_true(sd_bus_message_skip(m, "v") >= 0);
		assert_true(sd_bus_message_exit_container(m) >= 0);
	}
	return bits;
}

/* ---- tests ---- */

static void test_without_reports(void **state)
{
	read_all();
	assert_module("absent");
	assert_figure("PoolSize", -1);
	assert_paused(0);
}

static void test_sums(void **state)
{
	set_report(0, 1000, 0);
	set_report(2, 500, 2);
	read_all();
	assert_module("present");
	assert_figure("PoolSize", 1500 + 2 * APF_GUEST_A_POOL_SIZE);
	assert_figure("Wakes", 1500 + 2 * APF_GUEST_A_WAKES);
	assert_figure("PoolInUse", 2);
	/* The oldest of all, not the sum. */
	assert_figure("OldestSleeperMSec", 1000 + APF_GUEST_A_OLDEST_SLEEPER_MSEC);
	assert_paused(1U << 2);
}

static void test_totals_wrap(void **state)
{
	set_report(0, 0, 0);
	set_report(1, 0, 0);
	reading[0].guest.value[APF_GUEST_A_WAITS] = UINT32_MAX;
	reading[1].guest.value[APF_GUEST_A_WAITS] = 5;
	read_all();
	assert_figure("Waits", 4);
}

static void test_only_what_changed_is_told(void **state)
{
	read_all();
	(void)published();
	read_all();
	assert_int_equal(published(), -1);

	set_report(1, 10, 0);
	read_all();
	assert_int_equal(published(), MODULE);
	read_all();
	assert_int_equal(published(), -1);

	/* It was looked at again, and is older now: nothing that anybody wants to know. */
	reading[1].guest.value[APF_GUEST_A_AGE_MSEC] += 1000;
	read_all();
	assert_int_equal(published(), -1);

	reading[1].guest.value[APF_GUEST_A_POOL_IN_USE] = 1;
	reading[1].paused = true;
	read_all();
	assert_int_equal(published(), PAUSED);

	/* Another vCPU in its place: as many are paused as before. */
	set_report(0, 10, 1);
	set_report(1, 10, 0);
	reading[1].guest.present = false;
	memset(reading[1].guest.value, 0, sizeof(reading[1].guest.value));
	reading[0].guest.value[APF_GUEST_A_AGE_MSEC] = 0;
	read_all();
	assert_int_equal(published(), PAUSED);
	assert_paused(1U << 0);
}

static void test_unwatched(void **state)
{
	set_report(0, 10, 1);
	read_all();
	(void)published();
	vm_unwatch(vm, "the test wants it");
	assert_int_equal(published(), MODULE | PAUSED);
	assert_module("unknown");
	assert_figure("PoolSize", -1);
	assert_paused(0);
}

static void test_vcpus_plugged(void **state)
{
	set_report(2, 10, 1);
	read_all();
	(void)published();
	/* The paused one is gone. */
	assert_int_equal(vm_update_vcpus(vm, reading, 2, 100 * USEC_PER_SEC), 0);
	assert_int_equal(published(), MODULE | PAUSED);
	assert_module("absent");
	assert_paused(0);
}

static void test_event_is_news_at_once(void **state)
{
	struct genl_event e;

	read_all();
	(void)published();
	set_report(1, 10, 1);
	e = event_of(APF_EVENT_POOL_TAKEN, 1);
	vm_guest_event(vm, &e);
	assert_module("present");
	assert_figure("PoolInUse", 1);
	assert_paused(1U << 1);
	/* One more look finds the same: told once. */
	assert_int_equal(published(), MODULE | PAUSED);
	read_all();
	assert_int_equal(published(), -1);

	e = event_of(APF_EVENT_REPORT_GONE, 1);
	vm_guest_event(vm, &e);
	assert_module("absent");
	assert_paused(0);

	/* Of a vCPU that was not read yet. */
	e.indices[0] = 4000;
	vm_guest_event(vm, &e);
	assert_module("absent");
}

static void test_signal(void **state)
{
	static const struct {
		enum apf_event type;
		const char *name;
	} events[] = {
		{ APF_EVENT_POOL_TAKEN, "pool-taken" },
		{ APF_EVENT_POOL_RETURNED, "pool-returned" },
		{ APF_EVENT_POOL_EXHAUSTED, "pool-exhausted" },
		{ APF_EVENT_WAITER_OLD, "waiter-old" },
		{ APF_EVENT_REPORT_GONE, "report-gone" },
		{ APF_EVENT_SLOT_STUCK, "slot-stuck" },
	};

	set_report(2, 70, 1);
	for (size_t i = 0; i < ELEMENTSOF(events); i++) {
		_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
		bool gone = events[i].type == APF_EVENT_REPORT_GONE;
		struct genl_event e = event_of(events[i].type, 2);
		const char *name;
		uint32_t vcpu;
		size_t n;

		vm_bus_guest_event(&server, vm, &e);
		m = bus_pair_next(server.bus, client);
		assert_non_null(m);
		assert_true(sd_bus_message_is_signal(m, "org.apfd.VM1", "GuestEvent") > 0);
		assert_string_equal(sd_bus_message_get_path(m), PATH);
		assert_string_equal(sd_bus_message_get_signature(m, 1), "sua{su}");
		assert_true(sd_bus_message_read(m, "su", &name, &vcpu) > 0);
		assert_string_equal(name, events[i].name);
		assert_int_equal(vcpu, 2);
		assert_int_equal(figure(m, "AgeMSec", &n), gone ? -1 : 70 + APF_GUEST_A_AGE_MSEC);
		assert_int_equal(n, gone ? 0 : APF_GUEST_A_MAX);
	}
}

/* A guest with nothing better to do fills no log, and its noise hides no warning. */
static void test_log_is_bounded(void **state)
{
	struct genl_event taken, old;
	char text[65536];
	size_t lines = 0;
	int saved, fds[2];
	ssize_t n;

	set_report(0, 10, 1);
	read_all();
	taken = event_of(APF_EVENT_POOL_TAKEN, 0);
	old = event_of(APF_EVENT_WAITER_OLD, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	saved = dup(STDERR_FILENO);
	dup2(fds[0], STDERR_FILENO);
	for (int i = 0; i < 100; i++)
		vm_guest_event(vm, &taken);
	for (int i = 0; i < 100; i++)
		vm_guest_event(vm, &old);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[0]);

	n = recv(fds[1], text, sizeof(text) - 1, MSG_WAITALL);
	close(fds[1]);
	assert_true(n > 0);
	text[n] = '\0';
	for (const char *s = text; (s = strchr(s, '\n')); s++)
		lines++;
	assert_int_equal(lines, 2 * (5 + 1));
	assert_non_null(strstr(text, "waits for too long (20 ms)"));
	assert_non_null(strstr(text, "more than 5 notices"));
	assert_non_null(strstr(text, "more than 5 warnings"));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_without_reports),
		TEST(test_sums),
		TEST(test_totals_wrap),
		TEST(test_only_what_changed_is_told),
		TEST(test_unwatched),
		TEST(test_vcpus_plugged),
		TEST(test_event_is_news_at_once),
		TEST(test_signal),
		TEST(test_log_is_bounded),
	};

	return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
