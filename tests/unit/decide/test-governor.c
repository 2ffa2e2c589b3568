/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM under the policy, without a module: counters are made by the test, a dry
 * run asks no module, and the bus is a socket pair that the test listens to.
 */
#include "bus-pair.h"

#include <math.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "context.h"
#include "gate.h"
#include "genl.h"
#include "governor.h"
#include "server.h"
#include "vm-bus.h"
#include "vm-event.h"
#include "vm-vcpus.h"
#include "vm.h"

#define UUID	  "11111111-aaaa-4bbb-8ccc-000000000001"
#define MODULE_ID 7

enum { VCPUS = 3 };

static struct context context;
static struct server server = { .context = &context };
static sd_bus *client;
static struct vm *vm;
static struct genl_vcpu reading[VCPUS];
static uint64_t now;
static unsigned int n_announced;

static void on_decided(struct vm *decided, const struct decision *d, void *userdata)
{
	vm_bus_decided(&server, decided, d);
}

static void on_gate_changing(struct vm *changing, const struct gate_change *c, void *userdata)
{
	n_announced++;
}

static const struct context_ops ops = {
	.gate_changing = on_gate_changing,
	.decided = on_decided,
};

static int setup(void **state)
{
	struct virt_domain d = { .uuid = UUID, .name = (char *)"web1", .id = 1 };

	memset(&context, 0, sizeof(context));
	context.ops = &ops;
	registry_init(&context.vms);
	policy_params_init(&context.policy);
	/* gates that follow the pressure show what was decided */
	context.policy.rest = APF_STATE_OFF;
	context.dry_run = true;
	bus_pair(&server.bus, &client);
	assert_true(vm_bus_register(&server) >= 0);

	assert_int_equal(vm_new(&context, &d, true, &vm), 0);
	registry_insert(&context.vms, vm);
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
	sd_bus_close_unref(server.bus);
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

/* What is not counted is not known: neither calm nor pressure follows from it. */
static void test_uncounted(void **state)
{
	const uint64_t async = STATS_BIT(APF_STAT_READY) | STATS_BIT(APF_STAT_ASYNC_NSEC);
	const uint64_t sync = STATS_BIT(APF_STAT_SYNC_STALLS) | STATS_BIT(APF_STAT_SYNC_STALL_NSEC);

	/* Stalls alone open a gate; while it is open there are none, and nothing else is known. */
	reading[0].totals.uncounted = async;
	tick();
	for (int i = 0; i < 3; i++) {
		stall(0, 100, 5000);
		tick();
	}
	assert_float_equal(figure(0, POLICY_STALL_RATIO), 0.5, 1e-9);
	assert_true(isnan(figure(0, POLICY_WAIT_RATIO)));
	assert_true(isnan(figure(0, POLICY_SWAPIN_RATE)));
	assert_true(isnan(figure(0, POLICY_LATENCY_USEC)));
	assert_int_equal(wanted(0), APF_STATE_ON);
	for (int i = 0; i < 60; i++)
		tick();
	assert_int_equal(wanted(0), APF_STATE_ON);
	assert_false(governor_is_settled(vm));
	/* The sum of the VM knows as little; a vCPU that counts everything is calm. */
	assert_true(isnan(vm->view.figures.async_rate));
	assert_float_equal(vm->view.figures.sync_rate, 0, 0);
	assert_true(isnan(vm->waiting));
	assert_int_equal(wanted(1), APF_STATE_OFF);

	/* The other half: a closed gate gives no sign. */
	reading[2].totals.uncounted = sync;
	for (int i = 0; i < 5; i++) {
		stall(2, 500, 5000);
		tick();
	}
	assert_true(isnan(figure(2, POLICY_STALL_RATIO)));
	assert_int_equal(wanted(2), APF_STATE_OFF);
	reading[1].totals.uncounted = STATS_BIT(APF_STAT_REFUSED_NESTED);
	stall(1, 1, 1);
	tick();
	assert_true(isnan(figure(1, POLICY_NESTED_RATE)));
	assert_float_equal(figure(1, POLICY_SWAPIN_RATE), 1, 1e-9);
}

/* The answer to Get of a property of the VM. */
static sd_bus_message *property(const char *name)
{
	sd_bus_message *m, *got;
	uint64_t cookie;

	assert_true(sd_bus_message_new_method_call(client, &m, NULL, vm->path,
						   "org.freedesktop.DBus.Properties", "Get") >= 0);
	assert_true(sd_bus_message_append(m, "ss", "org.apfd.VM1", name) >= 0);
	/* Who does not want to know the number of the call gets no answer. */
	assert_true(sd_bus_send(client, m, &cookie) >= 0);
	sd_bus_message_unref(m);
	do
		got = bus_pair_next(server.bus, client);
	while (got && sd_bus_message_is_signal(got, NULL, NULL));
	assert_non_null(got);
	assert_true(sd_bus_message_enter_container(got, 'v', NULL) >= 0);
	return got;
}

static bool lists(const char *name, const char *wanted)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = property(name);
	bool found = false;
	const char *s;

	assert_true(sd_bus_message_enter_container(m, 'a', "s") >= 0);
	while (sd_bus_message_read(m, "s", &s) > 0)
		found = found || streq(s, wanted);
	return found;
}

static bool has_counter(const char *wanted)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = property("Counters");
	bool found = false;
	const char *s;
	uint64_t value;

	assert_true(sd_bus_message_enter_container(m, 'a', "{st}") >= 0);
	while (sd_bus_message_read(m, "{st}", &s, &value) > 0)
		found = found || streq(s, wanted);
	return found;
}

/* On the bus a counter that is not counted is missing, and what is made of it is named. */
static void test_uncounted_on_the_bus(void **state)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *rate = NULL, *hist = NULL;
	const void *buckets;
	size_t size;
	double real;

	tick();
	assert_true(has_counter("Ready"));
	assert_false(lists("NotCounted", "Ready"));
	reading[1].totals.uncounted = STATS_BIT(APF_STAT_READY) | STATS_BIT(STATS_HIST_ASYNC);
	tick();
	tick();
	assert_false(has_counter("Ready"));
	assert_true(has_counter("SyncStalls"));
	assert_true(lists("NotCounted", "Ready"));
	assert_true(lists("NotCounted", "AsyncRate"));
	assert_true(lists("NotCounted", "AsyncHistogram"));
	assert_true(lists("NotCounted", "P95USec"));
	assert_false(lists("NotCounted", "SyncRate"));
	assert_false(lists("NotCounted", "Outstanding"));
	rate = property("AsyncRate");
	assert_true(sd_bus_message_read(rate, "d", &real) > 0);
	assert_float_equal(real, 0, 0);
	hist = property("AsyncHistogram");
	assert_true(sd_bus_message_read_array(hist, 't', &buckets, &size) >= 0);
	assert_int_equal(size, 0);
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
	const struct decision *d;

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
	assert_int_equal(vm->governor.history.n, 1);
	d = history_at(&vm->governor.history, 0);
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

/* Pressure is recorded at rest, too, and no gate is set for it: there is no module to ask here. */
static void test_at_rest_pressure_sets_no_gate(void **state)
{
	const struct history *h = &vm->governor.history;

	context.policy.rest = APF_STATE_ON;
	context.dry_run = false;
	for (size_t i = 0; i < VCPUS; i++)
		reading[i].state = APF_STATE_ON;
	vm->gate = APF_STATE_ON;
	tick();
	for (int i = 0; i < 3; i++) {
		stall(1, 90, 5000);
		tick();
	}
	assert_int_equal(h->n, 1);
	assert_int_equal(history_at(h, 0)->state, APF_STATE_ON);
	assert_int_equal(history_at(h, 0)->rule, POLICY_RULE_PRESSURE);
	assert_false(history_at(h, 0)->switched);
	for (int i = 0; i < 12; i++)
		tick();
	assert_int_equal(h->n, 2);
	assert_int_equal(history_at(h, 1)->state, APF_STATE_ON);
	assert_int_equal(history_at(h, 1)->rule, POLICY_RULE_CALM);
	assert_int_equal(vm->governor.failures, 0);
	assert_true(governor_is_settled(vm));
}

/* A gate that cannot be set is not announced with every tick. */
static void test_refused_again_and_again(void **state)
{
	static const struct apfd_genl_peer nobody = { .protocol = NETLINK_USERSOCK, .port = 1 };
	static const struct apfd_genl_ops no_ops;
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;

	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(apfd_genl_new(event, &nobody, &no_ops, NULL, &context.genl), 0);
	context.policy.rest = APF_STATE_ON;
	context.dry_run = false;
	n_announced = 0;
	for (int i = 0; i < 130; i++) {
		tick();
		assert_int_equal(wanted(0), i == 0 ? APF_STATE_OFF : APF_STATE_ON);
	}
	/* After 0, 1, 3, 7, 15, 31, 63 and 127 seconds. */
	assert_in_range(n_announced, 7, 9);
	assert_int_equal(vm->governor.failures, n_announced);
	context.genl = apfd_genl_free(context.genl);
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
	m = bus_pair_next(server.bus, client);
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
	assert_null(bus_pair_next(server.bus, client));
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
	assert_true(governor_is_settled(vm));
	governor_gate_changed(vm, APF_STATE_ON, &one, 1);
	assert_false(governor_is_settled(vm));
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
	assert_int_equal(vm->governor.history.n, 0);
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
		governor_invalidate(vm);
		tick();
	}
	assert_int_equal(g->history.n, HISTORY_MAX);
	for (size_t i = 0; i < g->history.n; i++) {
		const struct decision *d = history_at(&g->history, i);

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
	assert_true(vm_update_sums(vm, &l));
	tick();
	tick();
	assert_false(vm_update_sums(vm, &l));
	vm_skip_interval(vm, now);
	stall(1, 1, 1);
	l = listing();
	assert_true(vm_update_sums(vm, &l));
	/* Listed is not read. */
	assert_true(vm_update_sums(vm, &l));
	tick();
	/* What had a rate has to have none, and then there is nothing. */
	assert_true(vm_update_sums(vm, &l));
	tick();
	assert_false(vm_update_sums(vm, &l));
	l.n_vcpus++;
	assert_true(vm_update_sums(vm, &l));
	l = listing();
	reading[0].outstanding = 1;
	tick();
	assert_true(vm_update_sums(vm, &l));
	reading[0].outstanding = 0;
	tick();
	assert_false(vm_update_sums(vm, &l));
	/* A module that says nothing of counters is asked for all. */
	l.has_counters = false;
	assert_true(vm_update_sums(vm, &l));
	/* A gate of the VM that nobody told of. */
	l = listing();
	assert_false(vm_update_sums(vm, &l));
	l.state = APF_STATE_ON;
	assert_true(vm_update_sums(vm, &l));
	assert_int_equal(vm->gate, APF_STATE_ON);
	assert_false(vm_update_sums(vm, &l));
}

/* A change that could not be read is still to be read, and until then nothing is known. */
static void test_not_read_is_not_calm(void **state)
{
	struct genl_vm l;

	tick();
	tick();
	assert_true(governor_is_settled(vm));
	stall(1, 90, 5000);
	l = listing();
	for (int i = 0; i < 3; i++) {
		assert_true(vm_update_sums(vm, &l));
		vm_not_read(vm);
		now += USEC_PER_SEC;
		governor_run(vm, now);
		assert_true(isnan(figure(1, POLICY_SWAPIN_RATE)));
		assert_true(isnan(vm->waiting));
		assert_int_equal(vm->governor.vcpus[1].policy.rule, POLICY_RULE_UNKNOWN);
		assert_int_equal(wanted(1), APF_STATE_OFF);
		assert_false(governor_is_settled(vm));
	}
	/* The interval is that since the last reading: 90 swap-ins in four seconds. */
	tick();
	assert_float_equal(figure(1, POLICY_SWAPIN_RATE), 22.5, 1e-9);
	assert_int_not_equal(vm->governor.vcpus[1].policy.rule, POLICY_RULE_UNKNOWN);
}

/* An interval after quiet ones is of its own length, not of all of them. */
static void test_rates_after_quiet(void **state)
{
	tick();
	tick();
	for (int i = 0; i < 30; i++) {
		now += USEC_PER_SEC;
		vm_skip_interval(vm, now);
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
		FIXTURE(test_uncounted),
		FIXTURE(test_uncounted_on_the_bus),
		FIXTURE(test_a_counter_that_shrank),
		FIXTURE(test_only_the_vcpus_that_wait),
		FIXTURE(test_at_rest_pressure_sets_no_gate),
		FIXTURE(test_refused_again_and_again),
		FIXTURE(test_decided_is_told),
		FIXTURE(test_pool_at_once),
		FIXTURE(test_somebody_else_changes_gates),
		FIXTURE(test_a_mode_is_kept),
		FIXTURE(test_nothing_before_modes_are_known),
		FIXTURE(test_history_is_bounded),
		FIXTURE(test_vcpus_come_and_go),
		FIXTURE(test_news),
		FIXTURE(test_not_read_is_not_calm),
		FIXTURE(test_rates_after_quiet),
	};

	return cmocka_run_group_tests_name("governor", tests, NULL, NULL);
}
