/* SPDX-License-Identifier: GPL-2.0 */
/* More domains than apfd has room for: what libvirt would say is said by the test. */
#include "unit.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "conf.h"
#include "genl.h"
#include "log.h"
#include "manager.h"
#include "server.h"
#include "vm-attach.h"
#include "vm.h"
#include "vms.h"

enum { MAX = REGISTRY_VMS_MAX, MANY = 5000 };

static struct conf conf;
static struct server server;
static struct manager m;
static struct virt_domain domains[MANY];
/* whether list() lets the event loop take in all domains */
static bool turns = true;
/* of each domain, to see whether it is still the same object */
static const struct vm *was[MANY];

/* Each look at the clock takes 5 ms: the machine is slow. */
static bool slow;

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	static long late_msec;
	long r = syscall(SYS_clock_gettime, clock, ret);

	if (slow)
		late_msec += 5;
	if (clock == CLOCK_MONOTONIC) {
		ret->tv_sec += late_msec / 1000;
		ret->tv_nsec += late_msec % 1000 * 1000000;
		if (ret->tv_nsec >= 1000000000) {
			ret->tv_sec++;
			ret->tv_nsec -= 1000000000;
		}
	}
	return (int)r;
}

static const char *uuid_of(int i)
{
	static char uuid[UUID_LEN + 1];

	snprintf(uuid, sizeof(uuid), "5a7e0f3c-0000-4a00-8000-%012x", i);
	return uuid;
}

static struct vm *find(int i)
{
	return registry_find_by_uuid(&m.context.vms, uuid_of(i));
}

/* Domain @i was started as number i + 1. */
static void describe(struct virt_domain *d, int i)
{
	char name[32];

	snprintf(name, sizeof(name), "vm%d", i);
	*d = (struct virt_domain){ .name = strdup(name), .id = i + 1, .metadata_known = true };
	snprintf(d->uuid, sizeof(d->uuid), "%s", uuid_of(i));
}

/* Lists all of the first @n domains but @missing, in another order with each @seed. */
static void list(int n, int missing, unsigned int seed)
{
	int n_listed = 0;

	for (int i = 0; i < n; i++)
		/* 1999 and MANY have no common factor, nor have 1999 and smaller numbers. */
		if ((int)((i * 1999u + seed) % (unsigned int)n) != missing)
			describe(&domains[n_listed++], (int)((i * 1999u + seed) % (unsigned int)n));
	vms_virt_ops.listed(domains, (size_t)n_listed, false, &m);
	for (int i = 0; i < n_listed; i++)
		free(domains[i].name);
	while (turns && sd_event_run(m.context.event, 0) > 0)
		;
}

static void event(int i, bool running)
{
	struct virt_domain d;

	describe(&d, i);
	d.metadata_known = false;
	if (running)
		vms_virt_ops.running(&d, &m);
	else
		vms_virt_ops.stopped(d.uuid, &m);
	free(d.name);
}

static void run(void)
{
	while (sd_event_run(m.context.event, 0) > 0)
		;
}

static const struct virt_ops no_ops;
/* Never started: the module counts as absent. */
static const struct apfd_genl_ops no_genl_ops;

static void on_work_done(void *userdata)
{
}

static void on_announce(struct vm *vm, void *userdata)
{
}

static void on_attach(struct vm *vm, void *userdata)
{
	vm_attach_now(vm);
}

static const struct context_ops context_ops = {
	.attach = on_attach,
	.announce = on_announce,
	.work_done = on_work_done,
};

static int setup(void **state)
{
	m = (struct manager){ .server = &server };
	slow = false;
	turns = true;
	conf = (struct conf){ .tick_usec = 3600 * USEC_PER_SEC };
	m.context.conf = &conf;
	m.context.ops = &context_ops;
	registry_init(&m.context.vms);
	vm_works_init(&m.context);
	waiting_init(&m.waiting);
	log_set_level(LOG_WARNING);
	assert_true(sd_event_new(&m.context.event) >= 0);
	/* Never started: it knows no metadata. */
	assert_int_equal(virt_new(m.context.event, "test:///default", &no_ops, NULL,
				  &m.context.virt),
			 0);
	assert_int_equal(apfd_genl_new(m.context.event, NULL, &no_genl_ops, NULL, &m.context.genl),
			 0);
	return 0;
}

static int teardown(void **state)
{
	virt_free(m.context.virt);
	apfd_genl_free(m.context.genl);
	registry_done(&m.context.vms);
	waiting_clear(&m.waiting);
	sd_event_source_disable_unref(m.waiting_source);
	vm_works_done(&m.context);
	sd_event_source_disable_unref(m.tick.source);
	sd_event_unref(m.context.event);
	return 0;
}

static void remember(void)
{
	for (int i = 0; i < MANY; i++)
		was[i] = find(i);
}

static void test_first_are_kept(void **state)
{
	list(MANY, -1, 0);
	assert_int_equal(m.context.vms.n, MAX);
	assert_int_equal(m.waiting.n, MANY - MAX);
	assert_true(m.vms_max_logged);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(!!find(i), i < MAX);
	remember();
	/* Whatever order they are listed in. */
	for (unsigned int seed = 1; seed < 4; seed++) {
		list(MANY, -1, seed * 711);
		run();
		for (int i = 0; i < MANY; i++)
			assert_ptr_equal(find(i), was[i]);
	}
	assert_int_equal(m.waiting.n, MANY - MAX);
}

static void test_those_here_stay(void **state)
{
	/* They were started last, but were here first: libvirt knew no others. */
	for (int i = MANY - 100; i < MANY; i++)
		event(i, true);
	remember();
	list(MANY, -1, 0);
	assert_int_equal(m.context.vms.n, MAX);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(!!find(i), i < MAX - 100 || i >= MANY - 100);
	assert_ptr_equal(find(MANY - 1), was[MANY - 1]);
}

static void test_taken_in(void **state)
{
	list(MANY, -1, 0);
	remember();
	/* One stops; the one that waits longest comes. */
	event(17, false);
	run();
	assert_int_equal(m.context.vms.n, MAX);
	assert_null(find(17));
	assert_non_null(find(MAX));
	assert_string_equal(find(MAX)->name, "vm4096");
	/* Its metadata is from the listing. */
	assert_true(find(MAX)->settings.known);
	assert_null(find(MAX + 1));

	/* One that waits stops, and one that has stopped starts: it is the last now. */
	event(MAX + 1, false);
	event(17, true);
	assert_int_equal(m.waiting.n, MANY - MAX - 1);
	event(18, false);
	run();
	assert_null(find(MAX + 1));
	assert_non_null(find(MAX + 2));
	assert_null(find(17));

	/* Many stop at once, as a listing shows: there is room for all. */
	list(1000, 17, 0);
	assert_int_equal(m.waiting.n, 0);
	assert_int_equal(m.context.vms.n, 999);
	assert_ptr_equal(find(999), was[999]);
	run();
	assert_false(m.vms_max_logged);
}

static void test_many_stop(void **state)
{
	list(MANY, -1, 0);
	for (int i = 0; i < 1500; i++)
		event(i, false);
	run();
	assert_int_equal(m.waiting.n, 0);
	assert_int_equal(m.context.vms.n, MANY - 1500);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(!!find(i), i >= 1500);
}

static void test_bit_by_bit(void **state)
{
	enum { SOME = 100, EACH = 8 };

	/* The loop is not held up by a listing, nor by an event meanwhile. */
	turns = false;
	slow = true;
	list(SOME, -1, 0);
	assert_int_equal(m.context.vms.n, EACH);
	assert_int_equal(m.waiting.n, SOME - EACH);
	/* The work for those taken in has turns of its own. */
	while (m.context.vms.n == EACH)
		assert_true(sd_event_run(m.context.event, 0) > 0);
	assert_int_equal(m.context.vms.n, 2 * EACH);
	/* One that waits is resumed: it is not there twice, and waits for its turn. */
	event(90, true);
	assert_int_equal(m.context.vms.n, 3 * EACH);
	assert_int_equal(m.waiting.n, SOME - 3 * EACH);
	assert_null(find(90));
	/* Others stop, before and after their turn; one starts. */
	event(80, false);
	event(3, false);
	event(SOME, true);
	assert_null(find(SOME));
	run();
	assert_int_equal(m.waiting.n, 0);
	assert_int_equal(m.context.vms.n, SOME - 1);
	for (int i = 0; i <= SOME; i++)
		assert_int_equal(!!find(i), i != 80 && i != 3);
	/* Nothing is left to do in each turn. */
	assert_int_equal(sd_event_run(m.context.event, 0), 0);
	/* All of them are here: a listing has nothing to add. */
	remember();
	list(SOME + 1, 80, 0);
	assert_int_equal(m.context.vms.n, SOME);
	assert_ptr_equal(find(90), was[90]);
}

static int on_other(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	size_t *n_waiting = userdata;

	*n_waiting = m.waiting.n;
	return sd_event_source_set_enabled(s, SD_EVENT_OFF);
}

/* What came after the listing does not wait until all VMs are in: libvirtd would not. */
static void test_others_have_their_turn(void **state)
{
	_cleanup_(sd_event_source_unrefp) sd_event_source *source = NULL;
	size_t n_waiting = SIZE_MAX;
	int fd = eventfd(1, EFD_CLOEXEC);

	turns = false;
	slow = true;
	list(1000, -1, 0);
	assert_true(sd_event_run(m.context.event, 0) > 0);
	assert_true(sd_event_add_io(m.context.event, &source, fd, EPOLLIN, on_other,
				    &n_waiting) >= 0);
	for (int i = 0; i < 4; i++)
		assert_true(sd_event_run(m.context.event, 0) > 0);
	assert_true(n_waiting < 1000 && n_waiting > 900);
	run();
	assert_int_equal(m.context.vms.n, 1000);
	close(fd);
}

static void test_metadata_that_changes_meanwhile(void **state)
{
	turns = false;
	slow = true;
	list(100, -1, 0);
	vms_virt_ops.metadata(uuid_of(50), "<settings/>", &m);
	vms_virt_ops.read_failed(uuid_of(51), "no memory", &m);
	run();
	assert_false(find(50)->settings.known);
	assert_false(find(51)->settings.known);
	assert_true(find(52)->settings.known);
}

static void test_said_once(void **state)
{
	list(MAX, -1, 0);
	assert_false(m.vms_max_logged);
	event(MAX, true);
	assert_true(m.vms_max_logged);
	/* One more, one less: this would be said all day. */
	event(1, false);
	run();
	assert_int_equal(m.waiting.n, 0);
	assert_int_equal(m.context.vms.n, MAX);
	assert_true(m.vms_max_logged);
	event(2, false);
	assert_true(m.vms_max_logged);
}

static void test_metadata_that_a_listing_lacks(void **state)
{
	struct virt_domain d;

	list(1, -1, 0);
	assert_true(find(0)->settings.known);
	assert_false(find(0)->settings.outdated);
	/* An event has none; nothing was to be read. */
	event(0, true);
	assert_false(find(0)->settings.outdated);
	describe(&d, 0);
	d.metadata_known = false;
	vms_virt_ops.listed(&d, 1, false, &m);
	assert_true(find(0)->settings.outdated);
	free(d.name);
	list(1, -1, 0);
	assert_false(find(0)->settings.outdated);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_first_are_kept), TEST(test_those_here_stay),
		TEST(test_taken_in),	   TEST(test_many_stop),
		TEST(test_bit_by_bit),	   TEST(test_metadata_that_changes_meanwhile),
		TEST(test_others_have_their_turn),
		TEST(test_said_once),	   TEST(test_metadata_that_a_listing_lacks),
	};

	return cmocka_run_group_tests_name("vms", tests, NULL, NULL);
}
