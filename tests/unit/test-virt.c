/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The connection to libvirt, on libvirt's own test driver: test:///default is
 * one host for all connections of a process, so a second one plays the operator.
 */
#include "unit.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "virt.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)
#define UUID	      "6695eb01-f6a4-8304-79aa-97f2502e193f" /* of the driver's domain "test" */

static sd_event *event;
static struct virt *v;

static struct {
	int listed, running, stopped;
	size_t n_domains;
	bool has_pid_files;
	char uuid[NAME_UUID_LEN + 1], name[64];
	int id;
	int xml;
	uint64_t cookie;
	char live[64], config[64];
	enum virt_state states[16];
	int n_states;
} seen;

static void on_state(enum virt_state state, void *userdata)
{
	if (seen.n_states < (int)ELEMENTSOF(seen.states))
		seen.states[seen.n_states++] = state;
}

static void note_domain(const struct virt_domain *d)
{
	memcpy(seen.uuid, d->uuid, sizeof(seen.uuid));
	snprintf(seen.name, sizeof(seen.name), "%s", d->name);
	seen.id = d->id;
}

static void on_listed(const struct virt_domain *domains, size_t n, bool has_pid_files,
		      void *userdata)
{
	seen.listed++;
	seen.n_domains = n;
	seen.has_pid_files = has_pid_files;
	if (n > 0)
		note_domain(&domains[0]);
}

static void on_running(const struct virt_domain *d, void *userdata)
{
	seen.running++;
	note_domain(d);
}

static void on_stopped(const char *uuid, void *userdata)
{
	seen.stopped++;
	memcpy(seen.uuid, uuid, sizeof(seen.uuid));
}

static void on_xml(uint64_t cookie, const char *live, const char *config, void *userdata)
{
	seen.xml++;
	seen.cookie = cookie;
	snprintf(seen.live, sizeof(seen.live), "%s", live ?: "");
	snprintf(seen.config, sizeof(seen.config), "%s", config ?: "");
}

static const struct virt_ops ops = {
	.state_changed = on_state,
	.listed = on_listed,
	.running = on_running,
	.stopped = on_stopped,
	.xml = on_xml,
};

static int setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	assert_true(sd_event_new(&event) >= 0);
	return 0;
}

static int teardown(void **state)
{
	v = virt_free(v);
	event = sd_event_unref(event);
	return 0;
}

static void run_until(const int *counter, int want)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	while (*counter < want) {
		assert_true(clock_usec(CLOCK_MONOTONIC) < end_usec);
		assert_true(sd_event_run(event, 10 * USEC_PER_MSEC) >= 0);
	}
}

static void connect_to(const char *uri)
{
	assert_int_equal(virt_new(event, uri, &ops, NULL, &v), 0);
	assert_int_equal(virt_state(v), VIRT_DISCONNECTED);
	assert_int_equal(virt_start(v), 0);
	assert_int_equal(virt_state(v), VIRT_CONNECTING);
}

static void test_listing(void **state)
{
	connect_to("test:///default");
	run_until(&seen.listed, 1);
	run_until(&seen.n_states, 2);
	assert_int_equal(virt_state(v), VIRT_CONNECTED);
	assert_int_equal(seen.states[0], VIRT_CONNECTING);
	assert_int_equal(seen.states[1], VIRT_CONNECTED);
	assert_true(virt_ever_tried(v));
	assert_int_equal(seen.n_domains, 1);
	assert_string_equal(seen.name, "test");
	assert_string_equal(seen.uuid, UUID);
	assert_int_equal(seen.id, 1);
	assert_false(seen.has_pid_files);
}

static void test_lifecycle(void **state)
{
	virConnectPtr conn;
	virDomainPtr dom;

	connect_to("test:///default");
	run_until(&seen.listed, 1);
	run_until(&seen.n_states, 2);

	conn = virConnectOpen("test:///default");
	assert_non_null(conn);
	dom = virDomainLookupByName(conn, "test");
	assert_non_null(dom);

	assert_int_equal(virDomainDestroy(dom), 0);
	run_until(&seen.stopped, 1);
	assert_string_equal(seen.uuid, UUID);

	memset(seen.uuid, 0, sizeof(seen.uuid));
	assert_int_equal(virDomainCreate(dom), 0);
	run_until(&seen.running, 1);
	assert_string_equal(seen.uuid, UUID);
	assert_string_equal(seen.name, "test");
	/* Another run, another number. */
	assert_int_equal(seen.id, (int)virDomainGetID(dom));
	assert_true(seen.id > 1);

	assert_int_equal(virDomainSuspend(dom), 0);
	run_until(&seen.running, 2);
	assert_int_equal(virDomainResume(dom), 0);
	run_until(&seen.running, 3);
	assert_int_equal(seen.stopped, 1);
	assert_int_equal(seen.listed, 1);

	virDomainFree(dom);
	virConnectClose(conn);
}

static void test_xml(void **state)
{
	assert_int_equal(virt_new(event, "test:///default", &ops, NULL, &v), 0);
	assert_int_equal(virt_read_xml(v, UUID, 1), -ENOTCONN);
	assert_int_equal(virt_start(v), 0);
	assert_int_equal(virt_read_xml(v, UUID, 2), -ENOTCONN);
	run_until(&seen.listed, 1);
	run_until(&seen.n_states, 2);

	assert_int_equal(virt_read_xml(v, UUID, 3), 0);
	run_until(&seen.xml, 1);
	assert_int_equal(seen.cookie, 3);
	assert_non_null(strstr(seen.live, "<domain type='test' id='"));
	assert_non_null(strstr(seen.config, "<domain type='test'>"));

	/* One that is not there. */
	assert_int_equal(virt_read_xml(v, "6695eb01-f6a4-8304-79aa-97f2502e193e", 4), 0);
	run_until(&seen.xml, 2);
	assert_int_equal(seen.cookie, 4);
	assert_string_equal(seen.live, "");
	assert_string_equal(seen.config, "");

	/* And those on their way at the end, of which there are not more than so many. */
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(virt_read_xml(v, UUID, 5 + i), 0);
	assert_int_equal(virt_read_xml(v, UUID, 69), -ENOBUFS);
	run_until(&seen.xml, 3);
	assert_int_equal(virt_read_xml(v, UUID, 70), 0);
}

static void test_unreachable(void **state)
{
	uint64_t start_usec = clock_usec(CLOCK_MONOTONIC);

	connect_to("test+unix:///default?socket=/nonexistent/socket");
	/* Connecting, not, connecting, not, connecting, not: with growing pauses. */
	run_until(&seen.n_states, 6);
	assert_int_equal(seen.states[1], VIRT_DISCONNECTED);
	assert_int_equal(seen.states[2], VIRT_CONNECTING);
	assert_int_equal(seen.states[5], VIRT_DISCONNECTED);
	assert_true(virt_ever_tried(v));
	assert_int_equal(seen.listed, 0);
	/* 0.5 s and 1 s. */
	assert_true(clock_usec(CLOCK_MONOTONIC) - start_usec >= 1500 * USEC_PER_MSEC);
}

static void test_freed_in_the_middle(void **state)
{
	/* The worker is wherever it is. */
	for (int i = 0; i < 5; i++) {
		connect_to("test:///default");
		if (i % 2)
			assert_true(sd_event_run(event, (uint64_t)i * 500) >= 0);
		v = virt_free(v);
	}
	/* Never started. */
	assert_int_equal(virt_new(event, "test:///default", &ops, NULL, &v), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_listing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lifecycle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_xml, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreachable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_in_the_middle, setup, teardown),
	};

	return cmocka_run_group_tests_name("virt", tests, NULL, NULL);
}
