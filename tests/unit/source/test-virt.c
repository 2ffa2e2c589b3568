/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The connection to libvirt, on libvirt's own test driver: test:///default is
 * one host for all connections of a process, so a second one plays the operator.
 */
#include "unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>

#include "virt.h"

/* The package is also built on machines that have a tenth of a CPU to spare. */
#define PATIENCE_USEC (120 * USEC_PER_SEC)
#define UUID	      "6695eb01-f6a4-8304-79aa-97f2502e193f" /* of the driver's domain "test" */

static sd_event *event;
static struct virt *v;

static struct {
	int listed, running, stopped;
	size_t n_domains;
	bool has_pid_files;
	bool all_known;
	char uuid[UUID_LEN + 1], name[64];
	int id;
	int xml, written, error;
	uint64_t cookie;
	void *written_cookie;
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
	seen.all_known = true;
	for (size_t i = 0; i < n; i++)
		seen.all_known = seen.all_known && domains[i].metadata_known;
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

static void on_written(const char *uuid, int error, const char *text, void *cookie, void *userdata)
{
	seen.written++;
	seen.error = error;
	seen.written_cookie = cookie;
}

/* libvirt reports every change of metadata, also ours. */
static void on_metadata(const char *uuid, const char *xml, void *userdata)
{
}

static const struct virt_ops ops = {
	.metadata = on_metadata,
	.written = on_written,
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

/* No domain is left out: which of them there is room for is not libvirt's to say. */
static void test_listing_of_many(void **state)
{
	enum { MANY = 4200 };
	char path[] = "/tmp/apfd-test-virt-XXXXXX", uri[64];
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	assert_non_null(f);
	fputs("<node>", f);
	for (int i = 1; i <= MANY; i++)
		fprintf(f,
			"<domain type='test'><name>vm%d</name>"
			"<uuid>5a7e0f3c-0000-4a00-8000-%012x</uuid><memory>8192</memory>"
			"<os><type>hvm</type></os></domain>",
			i, i);
	fputs("</node>", f);
	assert_int_equal(fclose(f), 0);
	snprintf(uri, sizeof(uri), "test://%s", path);
	connect_to(uri);
	run_until(&seen.listed, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(seen.n_domains, MANY);
	assert_true(seen.all_known);
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

	/* And one on its way at the end. */
	assert_int_equal(virt_read_xml(v, UUID, 5), 0);
}

/* ---- domains whose calls do not return ---- */

enum { DOMAINS = 4, WORKERS = 3, QUEUED_MAX = 16, XMLS_MAX = 64 };

static const char *const uuids[DOMAINS] = {
	UUID,
	"11111111-aaaa-4bbb-8ccc-000000000001",
	"11111111-aaaa-4bbb-8ccc-000000000002",
	"11111111-aaaa-4bbb-8ccc-000000000003",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static bool hangs[DOMAINS];
static unsigned int n_hanging;

/* Stands in for libvirt's function: as while a migration holds the lock of the domain. */
char *virDomainGetXMLDesc(virDomainPtr dom, unsigned int flags)
{
	char *(*real)(virDomainPtr, unsigned int) =
		(char *(*)(virDomainPtr, unsigned int))dlsym(RTLD_NEXT, "virDomainGetXMLDesc");
	char uuid[VIR_UUID_STRING_BUFLEN];

	assert_int_equal(virDomainGetUUIDString(dom, uuid), 0);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < DOMAINS; i++) {
		if (!streq(uuid, uuids[i]) || !hangs[i])
			continue;
		n_hanging++;
		while (hangs[i])
			pthread_cond_wait(&released, &lock);
		n_hanging--;
	}
	pthread_mutex_unlock(&lock);
	return real(dom, flags);
}

static void set_hanging(size_t first, size_t n, bool hanging)
{
	pthread_mutex_lock(&lock);
	for (size_t i = first; i < first + n; i++)
		hangs[i] = hanging;
	pthread_cond_broadcast(&released);
	pthread_mutex_unlock(&lock);
}

static unsigned int count_hanging(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = n_hanging;
	pthread_mutex_unlock(&lock);
	return n;
}

static void wait_until_hanging(unsigned int n)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	while (count_hanging() < n) {
		assert_true(clock_usec(CLOCK_MONOTONIC) < end_usec);
		assert_true(sd_event_run(event, 10 * USEC_PER_MSEC) >= 0);
	}
}

static void wait_until_busy(const char *uuid)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	while (!virt_is_busy(v, uuid)) {
		assert_true(clock_usec(CLOCK_MONOTONIC) < end_usec);
		assert_true(sd_event_run(event, 50 * USEC_PER_MSEC) >= 0);
	}
}

/* The domains besides "test", on the connection of an operator, which keeps them. */
static virConnectPtr make_domains(void)
{
	virConnectPtr conn = virConnectOpen("test:///default");
	char xml[256];

	assert_non_null(conn);
	for (size_t i = 1; i < DOMAINS; i++) {
		virDomainPtr dom;

		snprintf(xml, sizeof(xml),
			 "<domain type='test'><name>d%zu</name><uuid>%s</uuid>"
			 "<memory>8192</memory><os><type>hvm</type></os></domain>",
			 i, uuids[i]);
		dom = virDomainCreateXML(conn, xml, 0);
		assert_non_null(dom);
		virDomainFree(dom);
	}
	connect_to("test:///default");
	run_until(&seen.listed, 1);
	run_until(&seen.n_states, 2);
	return conn;
}

static void end_domains(virConnectPtr conn)
{
	for (size_t i = 1; i < DOMAINS; i++) {
		virDomainPtr dom = virDomainLookupByUUIDString(conn, uuids[i]);

		assert_int_equal(virDomainDestroy(dom), 0);
		virDomainFree(dom);
	}
	virConnectClose(conn);
}

static void test_one_domain_hangs(void **state)
{
	virConnectPtr conn = make_domains();
	uint64_t start_usec;

	set_hanging(0, 1, true);
	assert_int_equal(virt_read_xml(v, uuids[0], 1), 0);
	wait_until_hanging(1);
	start_usec = clock_usec(CLOCK_MONOTONIC);
	assert_int_equal(virt_write_metadata(v, uuids[0], "<settings mode='on'/>", false, &conn),
			 0);

	/* Others are served, reading and writing, before anybody can call the first one busy. */
	for (size_t i = 1; i < DOMAINS; i++) {
		assert_int_equal(virt_read_xml(v, uuids[i], 10 + i), 0);
		run_until(&seen.xml, (int)i);
		assert_int_equal(seen.cookie, 10 + i);
		assert_int_equal(
			virt_write_metadata(v, uuids[i], "<settings mode='pv'/>", false, &seen), 0);
		run_until(&seen.written, (int)i);
		assert_int_equal(seen.error, 0);
		assert_ptr_equal(seen.written_cookie, &seen);
	}
	assert_false(virt_is_busy(v, uuids[0]));
	assert_true(clock_usec(CLOCK_MONOTONIC) - start_usec < 5 * USEC_PER_SEC);

	wait_until_busy(uuids[0]);
	assert_int_equal(virt_read_xml(v, uuids[0], 2), -EBUSY);
	assert_int_equal(virt_write_metadata(v, uuids[0], NULL, false, NULL), -EBUSY);
	assert_false(virt_is_busy(v, uuids[1]));
	assert_int_equal(virt_read_xml(v, uuids[1], 20), 0);
	run_until(&seen.xml, DOMAINS);
	assert_int_equal(seen.cookie, 20);
	/* One worker at most for a domain: its second request waited. */
	assert_int_equal(seen.written, DOMAINS - 1);

	set_hanging(0, 1, false);
	run_until(&seen.written, DOMAINS);
	assert_int_equal(seen.cookie, 1);
	assert_ptr_equal(seen.written_cookie, &conn);
	assert_int_equal(seen.error, 0);
	assert_false(virt_is_busy(v, uuids[0]));
	assert_int_equal(virt_read_xml(v, uuids[0], 3), 0);
	run_until(&seen.xml, DOMAINS + 2);
	v = virt_free(v);
	end_domains(conn);
}

static void test_bounds_of_the_queue(void **state)
{
	virConnectPtr conn = make_domains();
	int n = 0;

	set_hanging(0, WORKERS, true);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(virt_read_xml(v, uuids[i], 1), 0);
	wait_until_hanging(WORKERS);
	n = WORKERS;
	for (size_t i = 0; i < WORKERS; i++) {
		for (int k = 0; k < QUEUED_MAX; k++, n++)
			assert_int_equal(virt_read_xml(v, uuids[i], 2), 0);
		assert_int_equal(virt_read_xml(v, uuids[i], 2), -EBUSY);
	}
	/* The last domain waits for a worker, and its requests count for all. */
	for (; n < XMLS_MAX; n++)
		assert_int_equal(virt_read_xml(v, uuids[WORKERS], 3), 0);
	assert_int_equal(virt_read_xml(v, uuids[WORKERS], 3), -ENOBUFS);
	assert_int_equal(seen.xml, 0);
	/* No worker is left: then every domain is busy. */
	wait_until_busy(uuids[WORKERS]);
	assert_int_equal(virt_write_metadata(v, uuids[WORKERS], NULL, false, NULL), -EBUSY);

	set_hanging(0, WORKERS, false);
	run_until(&seen.xml, XMLS_MAX);
	assert_false(virt_is_busy(v, uuids[WORKERS]));
	v = virt_free(v);
	end_domains(conn);
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
		cmocka_unit_test_setup_teardown(test_listing_of_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lifecycle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_xml, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_domain_hangs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds_of_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreachable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_in_the_middle, setup, teardown),
	};

	return cmocka_run_group_tests_name("virt", tests, NULL, NULL);
}
