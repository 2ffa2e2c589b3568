/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What apfd keeps for a bus that does not read. The bus is a socket pair: while the test lets the
 * client read nothing, the socket fills, and then the queue of sd-bus.
 */
#include "bus-pair.h"

#include <stdio.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "backlog.h"
#include "conf.h"
#include "connection.h"
#include "context.h"
#include "gate.h"
#include "genl.h"
#include "manager-bus.h"
#include "server.h"
#include "vm-bus.h"
#include "vm.h"

/* More than fit into the queue, and into the socket. */
enum { VMS = 1000, ROUNDS = 12 };

/* The limit, and what one announcement may add. */
enum { QUEUE_MAX = 1024 + 8 };

static struct context context;
static struct conf conf;
static char no_error[] = "";
static struct server server;
static sd_bus *client;

static void strv_cleanup(char ***strv)
{
	for (char **s = *strv; s && *s; s++)
		free(*s);
	free(*strv);
}

/* ---- the client: what it knows of the VMs ---- */

enum { UNKNOWN = -1 };

static struct {
	int pid[VMS]; /* of VM i, UNKNOWN: the client knows no such VM */
	size_t n_events;
	size_t n_conf;
	size_t n_refused;
	size_t n_replies;
} seen;

static size_t number_of(const char *path)
{
	return strtoul(path + strlen(path) - 4, NULL, 10);
}

static void read_properties(sd_bus_message *m, size_t i)
{
	const char *name;
	uint32_t pid;

	assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		assert_true(sd_bus_message_read(m, "s", &name) > 0);
		if (streq(name, "PID")) {
			assert_true(sd_bus_message_read(m, "v", "u", &pid) > 0);
			seen.pid[i] = (int)pid;
		} else {
			assert_true(sd_bus_message_skip(m, "v") >= 0);
		}
		assert_true(sd_bus_message_exit_container(m) >= 0);
	}
	assert_true(sd_bus_message_exit_container(m) >= 0);
}

static void read_added(sd_bus_message *m)
{
	const char *path, *interface;
	size_t i;

	assert_true(sd_bus_message_read(m, "o", &path) > 0);
	i = number_of(path);
	/* A client must never be told of a VM that it knows, or lose the end of a VM. */
	assert_int_equal(seen.pid[i], UNKNOWN);
	assert_true(sd_bus_message_enter_container(m, 'a', "{sa{sv}}") > 0);
	while (sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0) {
		assert_true(sd_bus_message_read(m, "s", &interface) > 0);
		if (streq(interface, BUS_INTERFACE_VM))
			read_properties(m, i);
		else
			assert_true(sd_bus_message_skip(m, "a{sv}") >= 0);
		assert_true(sd_bus_message_exit_container(m) >= 0);
	}
	assert_int_not_equal(seen.pid[i], UNKNOWN);
}

static void read_removed(sd_bus_message *m)
{
	_cleanup_(strv_cleanup) char **interfaces = NULL;
	const char *path;
	bool found = false;

	assert_true(sd_bus_message_read(m, "o", &path) > 0);
	assert_true(sd_bus_message_read_strv(m, &interfaces) >= 0);
	for (char **i = interfaces; i && *i; i++)
		found = found || streq(*i, BUS_INTERFACE_VM);
	assert_true(found);
	assert_int_not_equal(seen.pid[number_of(path)], UNKNOWN);
	seen.pid[number_of(path)] = UNKNOWN;
}

static void read_changed(sd_bus_message *m)
{
	const char *interface;

	assert_true(sd_bus_message_read(m, "s", &interface) > 0);
	if (streq(interface, BUS_INTERFACE_MANAGER)) {
		seen.n_conf++;
		return;
	}
	assert_int_not_equal(seen.pid[number_of(sd_bus_message_get_path(m))], UNKNOWN);
	read_properties(m, number_of(sd_bus_message_get_path(m)));
}

static void read_message(sd_bus_message *m)
{
	if (sd_bus_message_is_signal(m, NULL, "InterfacesAdded") > 0)
		read_added(m);
	else if (sd_bus_message_is_signal(m, NULL, "InterfacesRemoved") > 0)
		read_removed(m);
	else if (sd_bus_message_is_signal(m, NULL, "PropertiesChanged") > 0)
		read_changed(m);
	else if (sd_bus_message_is_signal(m, NULL, "GateChanging") > 0)
		seen.n_events++;
	else if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_LIMITS_EXCEEDED) > 0)
		seen.n_refused++;
	else
		seen.n_replies++;
}

static uint64_t queued(void)
{
	uint64_t n;

	assert_true(sd_bus_get_n_queued_write(server.bus, &n) >= 0);
	return n;
}

/* The client reads all that there is. */
static void client_reads(void)
{
	sd_bus_message *m;

	while ((m = bus_pair_next(server.bus, client))) {
		read_message(m);
		sd_bus_message_unref(m);
	}
	assert_int_equal(queued(), 0);
}

/* ---- the daemon ---- */

static struct vm *vm_of(size_t i)
{
	char uuid[UUID_LEN + 1];

	snprintf(uuid, sizeof(uuid), "11111111-aaaa-4bbb-8ccc-00000000%04zu", i);
	return registry_find_by_uuid(&context.vms, uuid);
}

static void vm_starts(size_t i, uint32_t pid)
{
	struct virt_domain d = { .name = (char *)"web", .id = 1 };
	struct vm *vm;

	snprintf(d.uuid, sizeof(d.uuid), "11111111-aaaa-4bbb-8ccc-00000000%04zu", i);
	assert_int_equal(vm_new(&context, &d, true, &vm), 0);
	vm->view.pid = pid;
	registry_insert(&context.vms, vm);
	vm_bus_added(&server, vm);
}

static void vm_ends(size_t i)
{
	struct vm *vm = vm_of(i);

	vm_bus_removed(&server, vm);
	registry_remove(&context.vms, vm);
	vm_free(vm);
}

static void set_pids(uint32_t pid)
{
	struct vm *vm;

	REGISTRY_FOREACH(vm, &context.vms)
	vm->view.pid = pid;
}

/* Each client's view of each VM is the daemon's. */
static void assert_views_equal(void)
{
	for (size_t i = 0; i < VMS; i++) {
		const struct vm *vm = vm_of(i);

		assert_int_equal(seen.pid[i], vm ? (int)vm->view.pid : UNKNOWN);
	}
}

static int setup(void **state)
{
	const int sndbuf = 64 * 1024;

	memset(&context, 0, sizeof(context));
	memset(&server, 0, sizeof(server));
	memset(&seen, 0, sizeof(seen));
	for (size_t i = 0; i < VMS; i++)
		seen.pid[i] = UNKNOWN;
	registry_init(&context.vms);
	context.conf = &conf;
	context.conf_error = no_error;
	assert_true(sd_event_new(&context.event) >= 0);
	server.context = &context;
	bus_pair(&server.bus, &client);
	assert_true(connection_serve(&server) >= 0);
	/* sd-bus asks for 8 MiB, which take long to fill. */
	assert_int_equal(setsockopt(sd_bus_get_fd(server.bus), SOL_SOCKET, SO_SNDBUF, &sndbuf,
				    sizeof(sndbuf)),
			 0);
	for (size_t i = 0; i < VMS; i++) {
		vm_starts(i, 1);
		if (i % 100 == 0)
			client_reads();
	}
	client_reads();
	assert_views_equal();
	return 0;
}

static int teardown(void **state)
{
	registry_done(&context.vms);
	backlog_done(&server.backlog);
	sd_bus_close_unref(client);
	sd_bus_close_unref(server.bus);
	sd_event_unref(context.event);
	return 0;
}

/* ---- tests ---- */

/* As the tick does: first those for which there was no room last time. */
static void publish_all(void)
{
	struct vm *vm;

	REGISTRY_FOREACH(vm, &context.vms)
	if (vm->publish_late)
		vm_bus_publish(&server, vm);
	REGISTRY_FOREACH(vm, &context.vms)
	vm_bus_publish(&server, vm);
}

static void test_changes_wait(void **state)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		set_pids(100 + round);
		publish_all();
		assert_in_range(queued(), 0, QUEUE_MAX);
	}
	/* The test says nothing unless the queue was full. */
	assert_in_range(queued(), QUEUE_MAX / 2, QUEUE_MAX);
	client_reads();
	publish_all();
	client_reads();
	assert_views_equal();
}

/* If less fits than changes, each VM has its turn. */
static void test_nobody_waits_forever(void **state)
{
	size_t n_old = 0;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		set_pids(200 + round);
		publish_all();
		/* The client reads some of them. */
		for (size_t i = 0; i < VMS / 2; i++) {
			sd_bus_message *m = bus_pair_next(server.bus, client);

			if (m)
				read_message(m);
			sd_bus_message_unref(m);
		}
	}
	/* Each VM waits for two or three rounds, and its signal waits in the queue for as many. */
	for (size_t i = 0; i < VMS; i++)
		n_old += seen.pid[i] < 200 + ROUNDS - 8;
	assert_int_equal(n_old, 0);
}

static void fill_queue(void)
{
	while (queued() < QUEUE_MAX - 8) {
		uint32_t pid = vm_of(0)->view.pid;

		set_pids(pid + 1);
		publish_all();
	}
}

static void test_starts_and_ends_wait(void **state)
{
	fill_queue();
	for (size_t i = 0; i < 100; i++)
		vm_ends(i);
	/* Started again: the end must be announced before the start. */
	for (size_t i = 0; i < 50; i++)
		vm_starts(i, 300);
	/* Ended again, and nobody knows that they had started. */
	for (size_t i = 0; i < 10; i++)
		vm_ends(i);
	/* Many more, and yet no more is stored. */
	for (size_t i = 0; i < 10000; i++) {
		vm_starts(0, 301);
		vm_ends(0);
	}
	assert_int_equal(server.backlog.n_removed, 100);
	assert_in_range(queued(), 0, QUEUE_MAX);

	client_reads();
	/* Nothing happens any more: the timer announces it. */
	assert_true(sd_event_run(context.event, 10 * USEC_PER_SEC) > 0);
	publish_all();
	client_reads();
	assert_views_equal();
	assert_int_equal(server.backlog.n_removed, 0);
}

static void test_order_without_the_timer(void **state)
{
	fill_queue();
	vm_ends(5);
	vm_starts(5, 400);
	vm_ends(6);
	client_reads();
	/* The next announcement comes after the ones that wait. */
	vm_starts(6, 401);
	publish_all();
	client_reads();
	assert_views_equal();
}

static void test_events_are_lost(void **state)
{
	const struct gate_change change = { .state = APF_STATE_OFF, .reason = "the test" };

	fill_queue();
	for (size_t i = 0; i < 5000; i++)
		vm_bus_gate_changing(&server, vm_of(i % VMS), &change);
	assert_in_range(queued(), 0, QUEUE_MAX);
	assert_int_equal(server.backlog.n_lost, 5000);
	client_reads();
	assert_int_equal(seen.n_events, 0);
	vm_bus_gate_changing(&server, vm_of(0), &change);
	client_reads();
	assert_int_equal(seen.n_events, 1);
	assert_int_equal(server.backlog.n_lost, 0);
}

static void test_host_waits(void **state)
{
	fill_queue();
	for (size_t i = 0; i < 3000; i++)
		manager_bus_conf_changed(&server);
	assert_in_range(queued(), 0, QUEUE_MAX);
	client_reads();
	assert_int_equal(seen.n_conf, 0);
	assert_true(sd_event_run(context.event, 10 * USEC_PER_SEC) > 0);
	client_reads();
	assert_int_equal(seen.n_conf, 1);
}

/* Sends @n calls without reading their replies. */
static void call(const char *path, const char *interface, const char *member, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
		uint64_t cookie;

		assert_true(sd_bus_message_new_method_call(client, &m, BUS_NAME, path, interface,
							   member) >= 0);
		assert_true(sd_bus_send(client, m, &cookie) >= 0);
		while (sd_bus_process(server.bus, NULL) > 0)
			;
	}
}

static void test_replies_are_bounded(void **state)
{
	enum { CALLS = 40 };

	/* A thousand VMs have megabytes; this would be hundreds of megabytes. */
	call(BUS_PATH_ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", CALLS);
	client_reads();
	assert_int_equal(seen.n_replies + seen.n_refused, CALLS);
	assert_in_range(seen.n_replies, 8, 18);

	/* Whoever reads gets a reply again. */
	memset(&seen, 0, sizeof(seen));
	call(BUS_PATH_ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", 1);
	client_reads();
	assert_int_equal(seen.n_replies, 1);
}

static void test_refusals_are_bounded(void **state)
{
	call(BUS_PATH_ROOT, "org.freedesktop.DBus.Peer", "Ping", 20000);
	assert_in_range(queued(), 1000, 4 * QUEUE_MAX);
	client_reads();
	assert_true(seen.n_refused > 1000);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_changes_wait),
		TEST(test_nobody_waits_forever),
		TEST(test_starts_and_ends_wait),
		TEST(test_order_without_the_timer),
		TEST(test_events_are_lost),
		TEST(test_host_waits),
		TEST(test_replies_are_bounded),
		TEST(test_refusals_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
