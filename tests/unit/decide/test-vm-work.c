/* SPDX-License-Identifier: GPL-2.0 */
/* Work for many VMs: spread over turns of the loop, in order, and forgotten with its VM. */
#include "unit.h"

#include <linux/netlink.h>

#include "context.h"
#include "genl.h"
#include "vm.h"

enum { VMS = 60, BUSY_USEC = 2000, PATIENCE_USEC = 20 * USEC_PER_SEC };

static sd_event *event;
static struct context context;
static struct vm *vms[VMS];
static unsigned int n_restored, n_given_up, n_work_done, n_turns;
static size_t order[VMS];
static bool again;

static size_t number_of(const struct vm *vm)
{
	size_t i = 0;

	while (i < VMS && vms[i] != vm)
		i++;
	assert_true(i < VMS);
	return i;
}

/* As much work as a request to the module, or more. */
static void on_restore(struct vm *vm, void *userdata)
{
	uint64_t until_usec = clock_usec(CLOCK_MONOTONIC) + BUSY_USEC;

	while (clock_usec(CLOCK_MONOTONIC) < until_usec)
		;
	if (again) {
		again = false;
		vm_work(vm, VM_WORK_RESTORE);
		return;
	}
	order[n_restored++] = number_of(vm);
}

static void on_give_up(struct vm *vm, void *userdata)
{
	size_t i = number_of(vm);

	n_given_up++;
	registry_remove(&context.vms, vm);
	vms[i] = vm_free(vm);
}

static void on_work_done(void *userdata)
{
	n_work_done++;
}

static const struct context_ops ops = {
	.restore = on_restore,
	.give_up = on_give_up,
	.work_done = on_work_done,
};

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata)
{
	n_turns++;
	assert_true(sd_event_source_set_time_relative(s, 0) >= 0);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int setup(void **state)
{
	static const struct apfd_genl_peer nobody = { .protocol = NETLINK_USERSOCK, .port = 1 };
	static const struct apfd_genl_ops no_ops;

	memset(&context, 0, sizeof(context));
	n_restored = n_given_up = n_work_done = n_turns = 0;
	again = false;
	context.ops = &ops;
	registry_init(&context.vms);
	vm_works_init(&context);
	assert_true(sd_event_new(&event) >= 0);
	context.event = event;
	assert_int_equal(apfd_genl_new(event, &nobody, &no_ops, NULL, &context.genl), 0);
	for (size_t i = 0; i < VMS; i++) {
		struct virt_domain d = { .name = (char *)"vm", .id = (int)i };

		snprintf(d.uuid, sizeof(d.uuid), "11111111-aaaa-4bbb-8ccc-%012zx", i);
		assert_int_equal(vm_new(&context, &d, true, &vms[i]), 0);
		registry_insert(&context.vms, vms[i]);
	}
	return 0;
}

static int teardown(void **state)
{
	registry_done(&context.vms);
	vm_works_done(&context);
	context.genl = apfd_genl_free(context.genl);
	event = sd_event_unref(event);
	return 0;
}

static void run_until_done(void)
{
	while (!n_work_done)
		assert_true(sd_event_run(event, PATIENCE_USEC) > 0);
}

/* ---- */

static void test_one_is_done_at_once(void **state)
{
	vm_work(vms[3], VM_WORK_RESTORE);
	assert_int_equal(n_restored, 1);
	assert_true(vm_works_empty(&context));
	assert_int_equal(vms[3]->work, 0);
}

/* Others have their turns in between: with 120 ms of work more than one. */
static void test_many_take_turns(void **state)
{
	_cleanup_(sd_event_source_unrefp) sd_event_source *s = NULL;
	unsigned int at_once;

	assert_true(sd_event_add_time_relative(event, &s, CLOCK_MONOTONIC, 0, 1, on_turn, NULL) >=
		    0);
	for (size_t i = 0; i < VMS; i++)
		vm_work(vms[i], VM_WORK_RESTORE);
	at_once = n_restored;
	assert_in_range(at_once, 1, VMS / 2);
	assert_false(vm_works_empty(&context));
	run_until_done();
	assert_int_equal(n_restored, VMS);
	assert_int_equal(n_work_done, 1);
	assert_true(n_turns >= 2);
	for (size_t i = 0; i < VMS; i++)
		assert_int_equal(order[i], i);
}

static void test_work_that_must_be_repeated(void **state)
{
	for (size_t i = 0; i < VMS; i++)
		vm_work(vms[i], VM_WORK_RESTORE);
	again = true;
	run_until_done();
	assert_int_equal(n_restored, VMS);
	/* It had to wait for its turn, behind all others. */
	assert_true(order[VMS - 1] != VMS - 1);
	assert_true(vm_works_empty(&context));
}

static void test_vm_that_ends_takes_its_work_along(void **state)
{
	for (size_t i = 0; i < VMS; i++)
		vm_work(vms[i], VM_WORK_RESTORE);
	for (size_t i = VMS - 3; i < VMS; i++) {
		registry_remove(&context.vms, vms[i]);
		vms[i] = vm_free(vms[i]);
	}
	vm_work_cancel(vms[VMS - 4], VM_WORK_RESTORE);
	run_until_done();
	assert_int_equal(n_restored, VMS - 4);
}

static void test_given_up(void **state)
{
	for (size_t i = 0; i < VMS; i++)
		vm_work(vms[i], i % 2 ? VM_WORK_GIVE_UP : VM_WORK_RESTORE);
	run_until_done();
	assert_int_equal(n_restored, VMS / 2);
	assert_int_equal(n_given_up, VMS / 2);
	assert_int_equal(context.vms.n, VMS / 2);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_is_done_at_once),
		TEST(test_many_take_turns),
		TEST(test_work_that_must_be_repeated),
		TEST(test_vm_that_ends_takes_its_work_along),
		TEST(test_given_up),
	};

	return cmocka_run_group_tests_name("vm-work", tests, NULL, NULL);
}
