/* SPDX-License-Identifier: GPL-2.0 */
/* Dumps that the event loop reads: what is wrong with one VM costs that VM alone. */
#include "genl-peer.h"

enum { VMS_MAX = 8 };

static sd_event *event;
static struct genl_dump *d;
static struct {
	unsigned int vcpus[VMS_MAX], bad[VMS_MAX], vms, done;
	size_t all_vms, all_vcpus;
	uint64_t ready;
	uint32_t last_vm;
	int error;
	bool again;
} seen;

static void on_vm(const struct genl_vm *vm, void *userdata)
{
	seen.vms++;
	seen.last_vm = vm->id;
}

static void on_vcpus(uint32_t vm_id, struct genl_vcpu *vcpus, size_t n, void *userdata)
{
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(vcpus[i].vm_id, vm_id);
		assert_true(i == 0 || vcpus[i - 1].index < vcpus[i].index);
		seen.ready += vcpus[i].totals.counters[APF_STAT_READY];
	}
	seen.all_vms++;
	seen.all_vcpus += n;
	if (vm_id < VMS_MAX)
		seen.vcpus[vm_id] = (unsigned int)n;
}

static void on_bad(uint32_t vm_id, void *userdata)
{
	assert_true(vm_id < VMS_MAX);
	seen.bad[vm_id]++;
}

static void on_done(int error, void *userdata);

static const struct genl_dump_ops ops = { on_vm, on_vcpus, on_bad, on_done };

static void on_done(int error, void *userdata)
{
	seen.done++;
	seen.error = error;
	if (seen.again) {
		seen.again = false;
		assert_int_equal(genl_dump_start(d, FAMILY, APF_CMD_VCPU_GET, 2, &ops, NULL), 0);
	}
}

static int setup(void **state)
{
	struct apfd_genl_peer to;

	memset(&seen, 0, sizeof(seen));
	if (peer_start(true, NORMAL) < 0)
		return -1;
	to = (struct apfd_genl_peer){ NETLINK_USERSOCK, peer.port, PEER_WAIT_MSEC };
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(genl_dump_new(event, &to, &d), 0);
	return 0;
}

static int teardown(void **state)
{
	d = genl_dump_free(d);
	event = sd_event_unref(event);
	peer_stop();
	return 0;
}

static void run_until_done(unsigned int n)
{
	while (seen.done < n)
		assert_true(sd_event_run(event, PATIENCE_USEC) > 0);
}

static void dump(enum mode mode, uint32_t vm_id)
{
	unsigned int done = seen.done;
	bool again = seen.again;

	memset(&seen, 0, sizeof(seen));
	seen.done = done;
	seen.again = again;
	peer.mode = mode;
	assert_int_equal(genl_dump_start(d, FAMILY, APF_CMD_VCPU_GET, vm_id, &ops, NULL), 0);
	run_until_done(done + 1);
}

static void assert_seen(unsigned int vm1, unsigned int vm2, unsigned int bad2, int error)
{
	assert_int_equal(seen.vcpus[1], vm1);
	assert_int_equal(seen.vcpus[2], vm2);
	assert_int_equal(seen.bad[1], 0);
	assert_int_equal(seen.bad[2], bad2);
	assert_int_equal(seen.error, error);
}

/* ---- */

static void test_all(void **state)
{
	dump(NORMAL, 0);
	assert_seen(3, 3, 0, 0);
	assert_int_equal(seen.ready, 3 * 3000 + 6);
}

static void test_one(void **state)
{
	dump(NORMAL, 2);
	assert_seen(0, 3, 0, 0);
}

static void test_listing(void **state)
{
	assert_int_equal(genl_dump_start(d, FAMILY, APF_CMD_VM_GET, 0, &ops, NULL), 0);
	assert_int_equal(genl_dump_start(d, FAMILY, APF_CMD_VM_GET, 0, &ops, NULL), -EBUSY);
	run_until_done(1);
	assert_int_equal(seen.vms, 1);
	assert_int_equal(seen.last_vm, 12);
}

static void test_the_next_one_begins_at_the_end(void **state)
{
	seen.again = true;
	dump(NORMAL, 1);
	run_until_done(2);
	assert_seen(3, 3, 0, 0);
	assert_int_equal(peer.dumps, 2);
}

static void test_bad_record_costs_its_vm_alone(void **state)
{
	dump(BAD_VCPU, 0);
	assert_seen(3, 0, 1, 0);
	dump(TWICE, 0);
	assert_seen(3, 0, 1, 0);
	dump(NORMAL, 0);
	assert_seen(3, 3, 0, 0);
}

/* The caller sees that a vCPU is missing, and is told that something was left out. */
static void test_record_without_vm(void **state)
{
	dump(NO_ID, 0);
	assert_seen(3, 2, 0, -EBADMSG);
	dump(OVERSIZED, 0);
	assert_seen(3, 2, 0, -EBADMSG);
	dump(MALFORMED, 0);
	assert_seen(3, 3, 0, -EBADMSG);
	dump(CUT, 0);
	assert_seen(3, 3, 0, -EBADMSG);
}

static void test_order(void **state)
{
	dump(BACKWARDS, 0);
	assert_seen(3, 3, 0, 0);
	/* What follows of VM 1 is less than it has. */
	dump(TORN, 0);
	assert_seen(1, 3, 0, 0);
}

static void test_errors(void **state)
{
	dump(REFUSE, 0);
	assert_seen(0, 0, 0, -ERANGE);
	dump(DONE_WITH_ERROR, 0);
	assert_int_equal(seen.error, -ENOMEM);
	dump(NORMAL, 0);
	assert_seen(3, 3, 0, 0);
}

/* VM 1 was there. Of VM 2 a part was, and is not taken for the whole. */
static void test_dump_that_stops(void **state)
{
	dump(STALLED, 0);
	assert_seen(3, 0, 0, -ETIMEDOUT);
	dump(SILENT, 0);
	assert_seen(0, 0, 0, -ETIMEDOUT);
	dump(NORMAL, 0);
	assert_seen(3, 3, 0, 0);
}

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata)
{
	unsigned int *turns = userdata;

	(*turns)++;
	assert_true(sd_event_source_set_time_relative(s, USEC_PER_MSEC) >= 0);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* Others get their turn while an answer is late, and while one arrives that never ends. */
static void test_loop_goes_on(void **state)
{
	_cleanup_(sd_event_source_unrefp) sd_event_source *s = NULL;
	unsigned int turns = 0;

	assert_true(sd_event_add_time_relative(event, &s, CLOCK_MONOTONIC, 0, 1, on_turn, &turns) >=
		    0);
	peer.delay_msec = 200;
	dump(NORMAL, 0);
	assert_seen(3, 3, 0, 0);
	assert_true(turns > 20);
	peer.delay_msec = 0;
	turns = 0;
	memset(&seen, 0, sizeof(seen));
	peer.mode = ENDLESS;
	assert_int_equal(genl_dump_start(d, FAMILY, APF_CMD_VCPU_GET, 0, &ops, NULL), 0);
	while (turns < 200)
		assert_true(sd_event_run(event, PATIENCE_USEC) > 0);
	genl_dump_end(d, -ECANCELED);
	assert_int_equal(seen.error, -ECANCELED);
	/* VM 1 had vCPU 0 again and again; and nothing of it is left for the next dump. */
	assert_int_equal(seen.vcpus[1], 0);
	dump(NORMAL, 0);
	assert_seen(3, 3, 0, 0);
}

static void test_many(void **state)
{
	dump(MANY, 0);
	assert_int_equal(seen.error, 0);
	assert_int_equal(seen.all_vms, MANY_VMS);
	assert_int_equal(seen.all_vcpus, MANY_VMS * MANY_VCPUS);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all),
		TEST(test_one),
		TEST(test_listing),
		TEST(test_the_next_one_begins_at_the_end),
		TEST(test_bad_record_costs_its_vm_alone),
		TEST(test_record_without_vm),
		TEST(test_order),
		TEST(test_errors),
		TEST(test_dump_that_stops),
		TEST(test_loop_goes_on),
		TEST(test_many),
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	if (fd < 0) {
		printf("skipped: this kernel has no NETLINK_USERSOCK\n");
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests_name("genl-dump", tests, NULL, NULL);
}
