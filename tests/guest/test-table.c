// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of the table core: one promise of table.h each. Entries are static, as a failed test
 * leaves them in the table behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "world.h"

enum { RESCUE = 5000, AGE = 1000 };

static struct world w;

static int setup(void **state)
{
	world_init(&w, RESCUE, AGE);
	return 0;
}

/* Whatever a test did, the books balance and nothing is left behind. */
static int teardown(void **state)
{
	struct apf_figures f;
	unsigned int cpu;

	for (cpu = 0; cpu < WORLD_CPUS; cpu++)
		apf_table_broadcast(&w.t, cpu, 0);
	apf_table_total(&w.t, &f);
	if (f.sleepers || f.waits != f.wakes + f.rescues + f.broadcasts)
		return -1;
	if (apf_table_purge(&w.t) || w.nodes)
		return -1;
	return 0;
}

static bool wait_on(unsigned int cpu, struct apf_entry *e, u32 token, u32 now)
{
	return apf_table_wait(&w.t, cpu, e, e, token, now);
}

static void ready(unsigned int cpu, u32 token, u32 now)
{
	apf_table_wake(&w.t, cpu, token, now);
}

static struct apf_figures of(unsigned int cpu)
{
	struct apf_figures f;

	apf_table_figures(&w.t, cpu, &f);
	return f;
}

static struct apf_figures total(void)
{
	struct apf_figures f;

	apf_table_total(&w.t, &f);
	return f;
}

static void *woken[8];
static unsigned int nr_woken;

static void note_wake(struct world *world, void *task)
{
	struct apf_entry *e = task;

	/*
	 * The wake comes after the entry was let go: a sleeper that runs at once must find it so.
	 */
	assert_false(apf_entry_queued(e));
	woken[nr_woken++ % 8] = task;
}

static void wait_then_wake(void **state)
{
	static struct apf_entry e;

	w.wake = note_wake;
	nr_woken = 0;
	assert_true(wait_on(1, &e, 0x1001, 10));
	assert_true(apf_entry_queued(&e));
	assert_int_equal(of(1).sleepers, 1);
	assert_int_equal(apf_table_sleepers(&w.t), 1);
	ready(1, 0x1001, 20);
	assert_false(apf_entry_queued(&e));
	assert_int_equal(nr_woken, 1);
	assert_ptr_equal(woken[0], &e);
	assert_int_equal(of(1).waits, 1);
	assert_int_equal(of(1).wakes, 1);
	assert_int_equal(of(1).sleepers, 0);
	/* The usual path takes no memory and leaves nothing to look after. */
	assert_int_equal(w.nodes, 0);
	assert_false(apf_table_scan(&w.t, 30));
}

static void wake_on_another_cpu(void **state)
{
	static struct apf_entry e;

	assert_true(wait_on(0, &e, 0x1001, 0));
	ready(3, 0x1001, 1);
	assert_false(apf_entry_queued(&e));
	/* Counted where the fault was. */
	assert_int_equal(of(0).wakes, 1);
	assert_int_equal(of(3).wakes, 0);
	/* And the other way round: an early wake there, its fault here. */
	ready(3, 0x2001, 2);
	assert_false(wait_on(0, &e, 0x2001, 3));
	assert_int_equal(of(3).early_wakes, 1);
	assert_int_equal(of(0).wakes, 2);
	assert_int_equal(w.nodes, 0);
}

static void early_wake_is_used_once(void **state)
{
	static struct apf_entry e;

	ready(0, 0x1001, 0);
	assert_int_equal(w.nodes, 1);
	assert_true(apf_table_scan(&w.t, AGE - 1));
	assert_true(w.on[0]);
	assert_false(wait_on(0, &e, 0x1001, AGE));
	assert_int_equal(w.nodes, 0);
	assert_true(wait_on(0, &e, 0x1001, AGE));
	ready(0, 0x1001, AGE);
	assert_false(apf_entry_queued(&e));
}

static void early_wake_ages_out(void **state)
{
	static struct apf_entry e;

	ready(2, 0x1001, 0);
	assert_true(apf_table_scan(&w.t, AGE - 1));
	assert_int_equal(w.nodes, 1);
	assert_false(apf_table_scan(&w.t, AGE));
	assert_int_equal(w.nodes, 0);
	assert_int_equal(of(2).aged, 1);
	assert_int_equal(of(2).unknown_tokens, 1);
	assert_true(wait_on(2, &e, 0x1001, AGE));
}

static void second_wake_is_a_duplicate(void **state)
{
	static struct apf_entry e;

	ready(0, 0x1001, 0);
	ready(1, 0x1001, AGE - 1);
	assert_int_equal(w.nodes, 1);
	assert_int_equal(of(1).duplicates, 1);
	assert_int_equal(total().early_wakes, 1);
	/* It is as good as new. */
	assert_true(apf_table_scan(&w.t, AGE));
	assert_false(wait_on(0, &e, 0x1001, AGE));
}

static void one_wake_for_all_who_share_a_token(void **state)
{
	static struct apf_entry a, b;

	assert_true(wait_on(0, &a, 0x1001, 0));
	assert_true(wait_on(1, &b, 0x1001, 0));
	ready(0, 0x1001, 1);
	assert_false(apf_entry_queued(&a));
	assert_false(apf_entry_queued(&b));
	assert_int_equal(total().wakes, 2);
}

static void token_zero_is_nobodys(void **state)
{
	ready(0, APF_TOKEN_NONE, 0);
	assert_int_equal(of(0).zero_tokens, 1);
	assert_int_equal(of(0).unknown_tokens, 1);
	assert_int_equal(of(0).early_wakes, 0);
	assert_int_equal(w.nodes, 0);
	assert_false(apf_table_scan(&w.t, 1));
}

static void broadcast_wakes_its_cpu_only(void **state)
{
	static struct apf_entry e[4];
	unsigned int i;

	for (i = 0; i < 4; i++)
		assert_true(wait_on(i, &e[i], 0x1001 + i, 0));
	ready(2, APF_TOKEN_ALL, 1);
	for (i = 0; i < 4; i++)
		assert_int_equal(apf_entry_queued(&e[i]), i != 2);
	assert_int_equal(of(2).broadcasts, 1);
	assert_int_equal(total().broadcasts, 1);
	assert_int_equal(apf_table_broadcast(&w.t, 0, 2), 1);
	assert_int_equal(apf_table_broadcast(&w.t, 0, 2), 0);
	/* A wake sent before the host forgot is late, not early. */
	ready(2, 0x1003, 3);
	assert_int_equal(of(2).late, 1);
	assert_int_equal(w.nodes, 0);
}

static void pool_is_taken_when_memory_is_refused(void **state)
{
	static struct apf_entry e, other;

	w.refuse = 1;
	assert_true(wait_on(0, &e, 0x1001, 0));
	assert_true(wait_on(1, &other, 0x2001, 0));
	ready(0, 0x3001, 1);
	assert_int_equal(of(0).pool_in_use, 1);
	assert_int_equal(of(0).pool_taken, 1);
	assert_int_equal(of(0).blocked, 1);
	/* APF off here and only here, and its sleepers awake: the host has forgotten them. */
	assert_false(w.on[0]);
	assert_true(w.on[1]);
	assert_false(apf_entry_queued(&e));
	assert_true(apf_entry_queued(&other));
	/* Nobody sleeps on a CPU to which the host owes nothing. */
	assert_false(wait_on(0, &e, 0x4001, 2));
	assert_int_equal(of(0).refused, 1);
	/* The fault: the node comes back, and when the owner hears of it APF does. */
	assert_false(wait_on(1, &e, 0x3001, 3));
	assert_int_equal(of(0).pool_in_use, 0);
	assert_false(w.on[0]);
	assert_true(w.kicked[0]);
	world_settle(&w, 4);
	assert_true(w.on[0]);
	assert_int_equal(of(0).blocked, 0);
	assert_true(wait_on(0, &e, 0x4001, 5));
	/*
	 * The wake of the one refused would have been told from an early one, but this one sleeps.
	 */
	ready(0, 0x4001, 6);
	assert_false(apf_entry_queued(&e));
}

static void pool_node_ages_out(void **state)
{
	w.refuse = 1;
	ready(0, 0x3001, 0);
	assert_false(w.on[0]);
	apf_table_scan(&w.t, AGE - 1);
	world_settle(&w, AGE - 1);
	assert_false(w.on[0]);
	apf_table_scan(&w.t, AGE);
	assert_int_equal(of(0).pool_in_use, 0);
	world_settle(&w, AGE);
	assert_true(w.on[0]);
}

static void node_back_before_its_owner_looked(void **state)
{
	static struct apf_entry e;

	w.refuse = 1;
	ready(0, 0x3001, 0);
	assert_false(wait_on(1, &e, 0x3001, 1));
	/* Taken again before the kick arrives: it must not switch APF on. */
	ready(0, 0x3002, 2);
	world_settle(&w, 3);
	assert_false(w.on[0]);
	assert_false(wait_on(1, &e, 0x3002, 4));
	world_settle(&w, 5);
	assert_true(w.on[0]);
}

static void second_need_of_the_node_wakes_who_sleeps(void **state)
{
	static struct apf_entry e, other;

	/* A host that sends wakes to a CPU whose APF is off; somebody sleeps all the same. */
	w.refuse = 1;
	ready(0, 0x2001, 0);
	w.cpu[0].blocked = 0;
	assert_true(wait_on(0, &e, 0x1001, 0));
	w.cpu[0].blocked = 1;
	assert_true(wait_on(1, &other, 0x1002, 0));
	ready(0, 0x3001, 1);
	assert_int_equal(of(0).pool_exhausted, 1);
	assert_int_equal(of(0).early_wakes, 2);
	assert_int_equal(of(0).broadcasts, 1);
	assert_false(apf_entry_queued(&e));
	/* The other CPU's sleeper has nothing to do with that, and the first wake is kept. */
	assert_true(apf_entry_queued(&other));
	assert_false(wait_on(1, &e, 0x2001, 2));
	assert_int_equal(of(0).pool_in_use, 0);
	world_settle(&w, 3);
	assert_true(w.on[0]);
	/* The wake that nobody was owed is not: the rescue is for its fault. */
	assert_true(wait_on(0, &e, 0x3001, 4));
	apf_table_scan(&w.t, 4 + RESCUE);
	assert_false(apf_entry_queued(&e));
}

static void host_cannot_make_us_allocate_without_end(void **state)
{
	unsigned int i;

	for (i = 0; i < 10 * APF_EARLY_MAX; i++)
		ready(0, (i + 1) << 12, 0);
	assert_int_equal(w.nodes, APF_EARLY_MAX);
	assert_int_equal(of(0).pool_in_use, 1);
	assert_int_equal(of(0).pool_exhausted, 9 * APF_EARLY_MAX - 1);
	assert_false(w.on[0]);
	/* Another CPU is not affected. */
	ready(1, 0x7777, 0);
	assert_int_equal(w.nodes, APF_EARLY_MAX + 1);
	apf_table_scan(&w.t, AGE);
	world_settle(&w, AGE);
	assert_true(w.on[0]);
	assert_int_equal(w.nodes, 0);
}

static void rescue_and_late_wake(void **state)
{
	static struct apf_entry e;

	assert_true(wait_on(0, &e, 0x1001, 100));
	assert_true(apf_table_scan(&w.t, 100 + RESCUE - 1));
	assert_true(apf_entry_queued(&e));
	assert_int_equal(of(0).oldest, RESCUE - 1);
	assert_true(apf_table_scan(&w.t, 100 + RESCUE));
	assert_false(apf_entry_queued(&e));
	assert_int_equal(of(0).rescues, 1);
	assert_int_equal(of(0).oldest, 0);
	ready(0, 0x1001, 101 + RESCUE);
	assert_int_equal(of(0).late, 1);
	assert_int_equal(of(0).early_wakes, 0);
	assert_int_equal(w.nodes, 0);
	assert_int_equal(of(0).wakes, 0);
	/*
	 * Late, but not lost: were it an early wake of a token used again, its fault would go on.
	 */
	assert_false(wait_on(0, &e, 0x1001, 102 + RESCUE));
	assert_int_equal(of(0).wakes, 1);
}

static void late_token_ages_out(void **state)
{
	static struct apf_entry e;

	assert_true(wait_on(0, &e, 0x1001, 0));
	apf_table_broadcast(&w.t, 0, 1);
	assert_true(apf_table_scan(&w.t, AGE));
	assert_false(apf_table_scan(&w.t, AGE + 1));
	/* From here on it is an early wake like any other. */
	ready(0, 0x1001, AGE + 2);
	assert_int_equal(of(0).late, 0);
	assert_int_equal(of(0).early_wakes, 1);
}

static void new_fault_ends_the_memory_of_the_old(void **state)
{
	static struct apf_entry e;

	assert_true(wait_on(0, &e, 0x1001, 0));
	apf_table_broadcast(&w.t, 0, 1);
	/* The same page again, still due: sleeps, and its wake is its own. */
	assert_true(wait_on(0, &e, 0x1001, 2));
	ready(0, 0x1001, 3);
	assert_false(apf_entry_queued(&e));
	assert_int_equal(of(0).wakes, 1);
	assert_int_equal(of(0).late, 0);
	assert_false(apf_table_scan(&w.t, 3));
}

static void second_late_wake_is_a_duplicate(void **state)
{
	static struct apf_entry e;

	assert_true(wait_on(0, &e, 0x1001, 0));
	apf_table_broadcast(&w.t, 0, 1);
	ready(0, 0x1001, 2);
	ready(0, 0x1001, 3);
	assert_int_equal(of(0).late, 1);
	assert_int_equal(of(0).duplicates, 1);
	assert_int_equal(w.nodes, 0);
}

static void late_tokens_are_bounded_and_ready_ones_stay(void **state)
{
	static struct apf_entry e[APF_LATE_SLOTS + 3];
	u32 token[APF_LATE_SLOTS + 3];
	unsigned int i;

	for (i = 0; i < APF_LATE_SLOTS + 3; i++)
		token[i] = world_collide(0x1001, i);
	/* All slots due, the third one the oldest. */
	for (i = 0; i < APF_LATE_SLOTS; i++) {
		assert_true(wait_on(0, &e[i], token[i], 0));
		apf_table_broadcast(&w.t, 0, i == 2 ? 1 : 2 + i);
	}
	/* One too many: the oldest is forgotten, and its wake is an early one again. */
	assert_true(wait_on(0, &e[i], token[i], 20));
	apf_table_broadcast(&w.t, 0, 20);
	ready(0, token[2], 21);
	assert_int_equal(of(0).early_wakes, 1);
	assert_false(wait_on(0, &e[2], token[2], 21));
	/* All the others are remembered; now all hold a wake. */
	for (i = 0; i <= APF_LATE_SLOTS; i++)
		if (i != 2)
			ready(0, token[i], 22);
	assert_int_equal(of(0).late, APF_LATE_SLOTS);
	/* No slot is given up for one that is only due: that would lose a wake. */
	assert_true(wait_on(0, &e[APF_LATE_SLOTS + 1], token[APF_LATE_SLOTS + 1], 23));
	apf_table_broadcast(&w.t, 0, 23);
	for (i = 0; i <= APF_LATE_SLOTS; i++)
		if (i != 2)
			assert_false(wait_on(0, &e[i], token[i], 24));
	ready(0, token[APF_LATE_SLOTS + 1], 25);
	assert_int_equal(of(0).early_wakes, 2);
}

static void refused_task_uses_up_its_wake(void **state)
{
	static struct apf_entry e;

	/* Wake first, in memory, as a late one, and not at all. */
	ready(0, 0x1001, 0);
	apf_table_refuse(&w.t, 0, 0x1001, 1);
	assert_int_equal(w.nodes, 0);

	assert_true(wait_on(0, &e, 0x2001, 1));
	apf_table_broadcast(&w.t, 0, 1);
	ready(0, 0x2001, 2);
	apf_table_refuse(&w.t, 0, 0x2001, 3);
	assert_true(wait_on(0, &e, 0x2001, 4));

	apf_table_refuse(&w.t, 0, 0x3001, 5);
	ready(0, 0x3001, 6);
	assert_int_equal(of(0).late, 2);
	assert_int_equal(of(0).refused, 3);
}

static void rescue_can_be_off(void **state)
{
	static struct apf_entry e;

	w.t.rescue = 0;
	assert_true(wait_on(0, &e, 0x1001, 0));
	assert_true(apf_table_scan(&w.t, 1000000));
	assert_true(apf_entry_queued(&e));
	assert_int_equal(of(0).oldest, 1000000);
	ready(0, 0x1001, 1000001);
	assert_false(apf_entry_queued(&e));
	assert_int_equal(of(0).oldest, 0);
}

static void time_may_wrap(void **state)
{
	u32 start = -10U;
	static struct apf_entry e;

	assert_true(wait_on(0, &e, 0x1001, start));
	ready(0, 0x2001, start);
	apf_table_scan(&w.t, start + 20);
	assert_true(apf_entry_queued(&e));
	assert_int_equal(of(0).oldest, 20);
	assert_int_equal(w.nodes, 1);
	apf_table_scan(&w.t, start + AGE);
	assert_int_equal(w.nodes, 0);
	apf_table_scan(&w.t, start + RESCUE);
	assert_false(apf_entry_queued(&e));
}

static void entry_younger_than_the_scan(void **state)
{
	static struct apf_entry e;

	/* The scan took the time just before this one came in. */
	assert_true(wait_on(0, &e, 0x1001, 100));
	assert_true(apf_table_scan(&w.t, 99));
	assert_true(apf_entry_queued(&e));
	assert_int_equal(of(0).oldest, 0);
}

static void oldest_is_the_oldest_of_its_cpu(void **state)
{
	static struct apf_entry e[3];

	assert_true(wait_on(0, &e[0], 0x1001, 10));
	assert_true(wait_on(0, &e[1], 0x2001, 5));
	assert_true(wait_on(1, &e[2], 0x3001, 1));
	apf_table_scan(&w.t, 20);
	assert_int_equal(of(0).oldest, 15);
	assert_int_equal(of(1).oldest, 19);
	assert_int_equal(total().oldest, 19);
	ready(0, 0x2001, 21);
	apf_table_scan(&w.t, 30);
	assert_int_equal(of(0).oldest, 20);
}

static void stop_and_start(void **state)
{
	static struct apf_entry e;

	assert_true(wait_on(0, &e, 0x1001, 0));
	apf_table_stop(&w.t, 0, APF_STOP_SWITCH, 1);
	assert_false(apf_entry_queued(&e));
	assert_false(w.on[0]);
	assert_false(wait_on(0, &e, 0x2001, 2));
	/* Two reasons: both have to go. */
	apf_table_stop(&w.t, 0, APF_STOP_DOWN, 3);
	apf_table_start(&w.t, 0, APF_STOP_SWITCH, 4);
	assert_false(w.on[0]);
	apf_table_start(&w.t, 0, APF_STOP_DOWN, 5);
	assert_true(w.on[0]);
	assert_true(wait_on(0, &e, 0x2001, 6));
}

static void start_sees_to_what_others_did(void **state)
{
	static struct apf_entry e;

	w.refuse = 1;
	ready(0, 0x1001, 0);
	apf_table_stop(&w.t, 0, APF_STOP_DOWN, 1);
	/* The kernel brings the CPU back and switches APF on, while a node is still in use. */
	w.on[0] = 1;
	apf_table_start(&w.t, 0, APF_STOP_DOWN, 2);
	assert_false(w.on[0]);
	assert_false(wait_on(1, &e, 0x1001, 3));
	world_settle(&w, 4);
	assert_true(w.on[0]);
}

static void hash_collisions(void **state)
{
	static struct apf_entry e[32];
	unsigned int i, k;

	for (i = 0; i < 32; i++)
		assert_true(wait_on(0, &e[i], world_collide(0x1001, i), 0));
	/* From both ends and the middle. */
	for (k = 0; k < 3; k++)
		for (i = k; i < 32; i += 3) {
			ready(0, world_collide(0x1001, i), 1);
			assert_false(apf_entry_queued(&e[i]));
			assert_int_equal(total().sleepers, apf_table_sleepers(&w.t));
		}
	assert_int_equal(total().sleepers, 0);
}

static void purge_says_who_is_left(void **state)
{
	static struct apf_entry e;

	w.refuse = 1;
	ready(0, 0x1001, 0);
	w.refuse = 0;
	ready(0, 0x2001, 0);
	assert_true(wait_on(1, &e, 0x3001, 0));
	assert_int_equal(apf_table_purge(&w.t), 1);
	assert_int_equal(w.nodes, 0);
	world_settle(&w, 1);
	assert_true(w.on[0]);
	ready(0, 0x3001, 2);
	assert_int_equal(apf_table_purge(&w.t), 0);
}

/* A fault that comes between the wake's look and its entry: ops->alloc is where that can happen. */
static struct apf_entry between;
static const struct apf_table_ops *real_ops;

static void *alloc_while_fault_comes(struct apf_table *t)
{
	void *e = real_ops->alloc(t);

	assert_true(apf_table_wait(t, 1, &between, &between, 0x1001, 0));
	return e;
}

static void fault_between_look_and_entry(void **state)
{
	struct apf_table_ops ops;
	int refuse;

	real_ops = w.t.ops;
	ops = *real_ops;
	ops.alloc = alloc_while_fault_comes;
	for (refuse = 0; refuse < 2; refuse++) {
		w.refuse = refuse;
		w.t.ops = &ops;
		ready(0, 0x1001, 0);
		w.t.ops = real_ops;
		assert_false(apf_entry_queued(&between));
		/* The node was not needed: not counted, given back. */
		assert_int_equal(w.nodes, 0);
		assert_int_equal(of(0).early_wakes, 0);
		assert_int_equal(of(0).pool_taken, 0);
		assert_int_equal(of(0).pool_in_use, 0);
		world_settle(&w, 0);
		assert_true(w.on[0]);
		assert_int_equal(of(1).wakes, refuse + 1);
	}
	/* The same without any node at all. */
	w.cpu[0].in_use = 1;
	w.t.ops = &ops;
	ready(0, 0x1001, 0);
	w.t.ops = real_ops;
	assert_false(apf_entry_queued(&between));
	assert_int_equal(of(0).pool_exhausted, 0);
	w.cpu[0].in_use = 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(wait_then_wake),
		T(wake_on_another_cpu),
		T(early_wake_is_used_once),
		T(early_wake_ages_out),
		T(second_wake_is_a_duplicate),
		T(one_wake_for_all_who_share_a_token),
		T(token_zero_is_nobodys),
		T(broadcast_wakes_its_cpu_only),
		T(pool_is_taken_when_memory_is_refused),
		T(pool_node_ages_out),
		T(node_back_before_its_owner_looked),
		T(second_need_of_the_node_wakes_who_sleeps),
		T(host_cannot_make_us_allocate_without_end),
		T(rescue_and_late_wake),
		T(late_token_ages_out),
		T(new_fault_ends_the_memory_of_the_old),
		T(second_late_wake_is_a_duplicate),
		T(late_tokens_are_bounded_and_ready_ones_stay),
		T(refused_task_uses_up_its_wake),
		T(rescue_can_be_off),
		T(time_may_wrap),
		T(entry_younger_than_the_scan),
		T(oldest_is_the_oldest_of_its_cpu),
		T(stop_and_start),
		T(start_sees_to_what_others_did),
		T(hash_collisions),
		T(purge_says_who_is_left),
		T(fault_between_look_and_entry),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
