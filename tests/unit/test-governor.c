/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM under the policy, without a module: counters are made by the test, a dry
 * run asks no module, and the bus is a socket pair that the test listens to.
 */
#include "bus-pair.h"

#include <math.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "manager.h"
#include "vm-bus.h"

#define UUID	  "11111111-aaaa-4bbb-8ccc-000000000001"
#define MODULE_ID 7

enum { VCPUS = 3 };

static struct manager manager;
static sd_bus *client;
static struct vm *vm;
static struct genl_vcpu reading[VCPUS];
static uint64_t now;

static int setup(void **state)
{
	struct virt_domain d = { .uuid = UUID, .name = (char *)"web1", .id = 1 };

	memset(&manager, 0, sizeof(manager));
	TAILQ_INIT(&manager.vms);
	policy_params_init(&manager.policy);
	manager.dry_run = true;
	bus_pair(&manager.bus, &client);
	assert_true(vm_bus_register(&manager) >= 0);

	assert_int_equal(vm_new(&manager, &d, true, &vm), 0);
	manager_insert(&manager, vm);
	vm->module_id = MODULE_ID;
	vm->settings.known = true;
	vm->gate = APF_STATE_OFF;
	memset(reading, 0, sizeof(reading));
	for (uint32_t i = 0; i < VCPUS; i++) {
		reading[i].vm_id = MODULE_ID;
		reading[i].index = i;
		reading[i].state = APF_STATE_OFF;
	}
	/* The policy has no use for a time that is long past. */
	now = clock_usec(CLOCK_MONOTONIC);
	return 0;
}

static int teardown(void **state)
{
	vm_free(vm);
	sd_bus_close_unref(client);
	sd_bus_close_unref(manager.bus);
	return 0;
}

/* So many synchronous swap-ins of @usec each in the next second. */
static void stall(size_t i, uint64_t n, uint64_t usec)
{
	reading[i].totals.counters[APF_STAT_SYNC_STALLS] += n;
	reading[i].totals.counters[APF_STAT_SYNC_STALL_NSEC] += n * usec * 1000;
}

static void tick(void)
{
	now += USEC_PER_SEC;
	assert_int_equal(vm_update_vcpus(vm, reading, VCPUS, now), 0);
	governor_run(vm, now);
}

static enum apf_state wanted(size_t i)
{
	return vm->governor.vcpus[i].policy.state;
}

static double figure(size_t i, enum policy_figure f)
{
	return vm->governor.vcpus[i].figures.value[f];
}

/* ---- */

static void test_figures_of_an_interval(void **state)
{
	tick();
	stall(1, 40, 5000);
	reading[1].totals.counters[APF_STAT_READY] += 60;
	reading[1].totals.counters[APF_STAT_ASYNC_NSEC] += 60 * UINT64_C(10000000);
	reading[1].totals.counters[APF_STAT_REFUSED_NESTED] += 3;
	reading[1].guest.present = true;
	reading[1].guest.value[APF_GUEST_A_RESCUES] = 17;
	tick();
	assert_float_equal(figure(1, POLICY_STALL_RATIO), 0.2, 1e-9);
	assert_float_equal(figure(1, POLICY_WAIT_RATIO), 0.8, 1e-9);
	assert_float_equal(figure(1, POLICY_SWAPIN_RATE), 100, 1e-9);
	assert_float_equal(figure(1, POLICY_LATENCY_USEC), 8000, 1e-9);
	assert_float_equal(figure(1, POLICY_NESTED_RATE), 3, 1e-9);
	assert_float_equal(figure(1, POLICY_RESCUES), 17, 0);
	assert_float_equal(figure(1, POLICY_POOL_IN_USE), 0, 0);
	/* No swap device is known here. */
	assert_true(isnan(figure(1, POLICY_SWAP_SYNCHRONOUS)));
	/* The others had none. */
	assert_float_equal(figure(0, POLICY_SWAPIN_RATE), 0, 0);
	assert_true(isnan(figure(0, POLICY_LATENCY_USEC)));
	assert_true(isnan(figure(0, POLICY_RESCUES)));
}

static void test_a_counter_that_shrank(void **state)
{
	tick();
	stall(0, 500, 5000);
	tick();
	reading[0].totals.counters[APF_STAT_SYNC_STALLS] = 0;
	tick();
	assert_true(isnan(figure(0, POLICY_SWAPIN_RATE)));
	assert_int_equal(wanted(0), APF_STATE_OFF);
}

static void test_only_the_vcpus_that_wait(void **state)
{
	const struct governor_decision *d;

	tick();
	for (int i = 0; i < 3; i++) {
		stall(0, 50, 5000);
		stall(2, 90, 5000);
		tick();
	}
	assert_int_equal(wanted(0), APF_STATE_ON);
	assert_int_equal(wanted(1), APF_STATE_OFF);
	assert_int_equal(wanted(2), APF_STATE_ON);
	/* One decision for both, with the figures of the one that waits more. */
	assert_int_equal(vm->governor.n_history, 1);
	d = governor_decision_at(&vm->governor, 0);
	assert_int_equal(d->n_indices, 2);
	assert_int_equal(d->indices[0], 0);
	assert_int_equal(d->indices[1], 2);
	assert_int_equal(d->state, APF_STATE_ON);
	assert_int_equal(d->rule, POLICY_RULE_PRESSURE);
	assert_true(d->dry_run);
	assert_float_equal(d->figures.value[POLICY_WAIT_RATIO], 0.45, 1e-9);
	assert_non_null(strstr(d->reason, "45.0 %"));
	/* A dry run: the gates are what they were. */
	for (size_t i = 0; i < VCPUS; i++)
		assert_int_equal(vm->vcpus[i].state, APF_STATE_OFF);
}

static void test_decided_is_told(void **state)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	const char *text, *rule, *reason, *key;
	const uint32_t *indices;
	size_t size, n = 0;
	double value;
	int dry_run;

	tick();
	for (int i = 0; i < 2; i++) {
		stall(1, 90, 5000);
		tick();
	}
	m = bus_pair_next(manager.bus, client);
	assert_non_null(m);
	assert_true(sd_bus_message_is_signal(m, "org.apfd.VM1", "Decided"));
	assert_true(sd_bus_message_read(m, "s", &text) > 0);
	assert_string_equal(text, "on");
	assert_true(sd_bus_message_read_array(m, 'u', (const void **)&indices, &size) >= 0);
	assert_int_equal(size, sizeof(*indices));
	assert_int_equal(indices[0], 1);
	assert_true(sd_bus_message_read(m, "ss", &rule, &reason) > 0);
	assert_string_equal(rule, "pressure");
	assert_non_null(strstr(reason, "swap-ins/s"));
	assert_true(sd_bus_message_enter_container(m, 'a', "{sd}") > 0);
	while (sd_bus_message_read(m, "{sd}", &key, &value) > 0) {
		assert_false(isnan(value));
		n++;
	}
	assert_true(n >= 5);
	assert_true(sd_bus_message_exit_container(m) >= 0);
	assert_true(sd_bus_message_read(m, "b", &dry_run) > 0);
	assert_true(dry_run);
	/* Nothing is about to change. */
	assert_null(bus_pair_next(manager.bus, client));
}

/* An emergency node does not wait for the tick. */
static void test_pool_at_once(void **state)
{
	tick();
	for (int i = 0; i < 2; i++) {
		stall(1, 90, 5000);
		tick();
	}
	assert_int_equal(wanted(1), APF_STATE_ON);
	governor_pool(vm, 1, 1);
	governor_run(vm, now + 1000);
	assert_int_equal(wanted(1), APF_STATE_OFF);
	assert_int_equal(vm->governor.vcpus[1].policy.rule, POLICY_RULE_POOL);
	assert_int_equal(wanted(0), APF_STATE_OFF);
}

static void test_somebody_else_changes_gates(void **state)
{
	const uint32_t one = 1;

	tick();
	tick();
	assert_true(governor_is_quiet(vm));
	governor_found(vm, APF_STATE_ON, &one, 1);
	assert_false(governor_is_quiet(vm));
	assert_int_equal(wanted(0), APF_STATE_OFF);
	assert_int_equal(wanted(1), APF_STATE_ON);
	/* It is closed when the policy would, not at once. */
	for (int i = 0; i < 10; i++) {
		tick();
		assert_int_equal(wanted(1), APF_STATE_ON);
	}
	tick();
	assert_int_equal(wanted(1), APF_STATE_OFF);
}

static void test_a_mode_is_kept(void **state)
{
	vm->settings.own.mode = POLICY_MODE_PV;
	assert_int_equal(settings_set_vcpu(&vm->settings.own, 2, POLICY_MODE_OFF), 0);
	tick();
	assert_int_equal(wanted(0), APF_STATE_PV);
	assert_int_equal(wanted(1), APF_STATE_PV);
	assert_int_equal(wanted(2), APF_STATE_OFF);
	for (int i = 0; i < 5; i++) {
		stall(0, 500, 5000);
		stall(2, 500, 5000);
		tick();
	}
	assert_int_equal(wanted(0), APF_STATE_PV);
	assert_int_equal(wanted(2), APF_STATE_OFF);
	assert_int_equal(vm->governor.vcpus[2].policy.rule, POLICY_RULE_MODE);
}

static void test_nothing_before_modes_are_known(void **state)
{
	vm->settings.known = false;
	tick();
	for (int i = 0; i < 5; i++) {
		stall(0, 500, 5000);
		tick();
	}
	assert_int_equal(wanted(0), APF_STATE_OFF);
	assert_int_equal(vm->governor.n_history, 0);
	vm->settings.known = true;
	stall(0, 500, 5000);
	tick();
	stall(0, 500, 5000);
	tick();
	assert_int_equal(wanted(0), APF_STATE_ON);
}

static void test_history_is_bounded(void **state)
{
	const struct governor *g = &vm->governor;
	uint64_t before = 0;

	tick();
	for (int i = 0; i < 100; i++) {
		vm->settings.own.mode = i % 2 ? POLICY_MODE_ON : POLICY_MODE_PV;
		governor_stir(vm);
		tick();
	}
	assert_int_equal(g->n_history, GOVERNOR_HISTORY_MAX);
	for (size_t i = 0; i < g->n_history; i++) {
		const struct governor_decision *d = governor_decision_at(g, i);

		assert_true(d->time_usec >= before);
		before = d->time_usec;
		assert_int_equal(d->state, i % 2 ? APF_STATE_ON : APF_STATE_PV);
	}
}

/* vCPUs that are plugged in or gone leave the others' story alone. */
static void test_vcpus_come_and_go(void **state)
{
	tick();
	for (int i = 0; i < 2; i++) {
		stall(1, 90, 5000);
		tick();
	}
	assert_int_equal(wanted(1), APF_STATE_ON);
	now += USEC_PER_SEC;
	assert_int_equal(vm_update_vcpus(vm, reading, 2, now), 0);
	governor_run(vm, now);
	assert_int_equal(vm->governor.n_vcpus, 2);
	assert_int_equal(wanted(1), APF_STATE_ON);
	tick();
	assert_int_equal(vm->governor.n_vcpus, VCPUS);
	assert_int_equal(wanted(1), APF_STATE_ON);
	assert_int_equal(wanted(2), APF_STATE_OFF);
}

/* ---- what must be read again ---- */

static struct genl_vm listing(void)
{
	struct genl_vm l = {
		.id = MODULE_ID, .state = vm->gate, .n_vcpus = VCPUS, .has_counters = true
	};

	for (size_t i = 0; i < VCPUS; i++)
		for (size_t k = 0; k <= APF_STAT_MAX; k++)
			l.counters[k] += reading[i].totals.counters[k];
	return l;
}

static void test_news(void **state)
{
	struct genl_vm l = listing();

	/* Never read yet. */
	assert_true(vm_has_news(vm, &l));
	tick();
	tick();
	assert_false(vm_has_news(vm, &l));
	vm_has_no_news(vm, now);
	stall(1, 1, 1);
	l = listing();
	assert_true(vm_has_news(vm, &l));
	tick();
	/* What had a rate has to have none, and then there is nothing. */
	assert_true(vm_has_news(vm, &l));
	tick();
	assert_false(vm_has_news(vm, &l));
	l.n_vcpus++;
	assert_true(vm_has_news(vm, &l));
	l = listing();
	reading[0].outstanding = 1;
	tick();
	assert_true(vm_has_news(vm, &l));
	reading[0].outstanding = 0;
	tick();
	assert_false(vm_has_news(vm, &l));
	/* A module that says nothing of counters is asked for all. */
	l.has_counters = false;
	assert_true(vm_has_news(vm, &l));
	/* A gate of the VM that nobody told of. */
	l = listing();
	assert_false(vm_has_news(vm, &l));
	l.state = APF_STATE_ON;
	assert_true(vm_has_news(vm, &l));
	assert_int_equal(vm->gate, APF_STATE_ON);
	assert_false(vm_has_news(vm, &l));
}

/* An interval after quiet ones is of its own length, not of all of them. */
static void test_rates_after_quiet(void **state)
{
	tick();
	tick();
	for (int i = 0; i < 30; i++) {
		now += USEC_PER_SEC;
		vm_has_no_news(vm, now);
	}
	stall(0, 90, 5000);
	tick();
	assert_float_equal(figure(0, POLICY_SWAPIN_RATE), 90, 1e-9);
	assert_float_equal(vm->view.figures.sync_rate, 90, 1e-9);
}

int main(void)
{
#define FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		FIXTURE(test_figures_of_an_interval),
		FIXTURE(test_a_counter_that_shrank),
		FIXTURE(test_only_the_vcpus_that_wait),
		FIXTURE(test_decided_is_told),
		FIXTURE(test_pool_at_once),
		FIXTURE(test_somebody_else_changes_gates),
		FIXTURE(test_a_mode_is_kept),
		FIXTURE(test_nothing_before_modes_are_known),
		FIXTURE(test_history_is_bounded),
		FIXTURE(test_vcpus_come_and_go),
		FIXTURE(test_news),
		FIXTURE(test_rates_after_quiet),
	};

	return cmocka_run_group_tests_name("governor", tests, NULL, NULL);
}
