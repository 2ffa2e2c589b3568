/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "genl-parse.h"
#include "util.h"

APF_DEFINE_CLEANUP(struct nl_msg *, nlmsg_free);
#define _cleanup_msg_ _cleanup_(nlmsg_freep)

static struct nl_msg *message(uint16_t type, uint8_t cmd)
{
	struct nl_msg *m = nlmsg_alloc_size(32768);

	assert_non_null(m);
	assert_non_null(genlmsg_put(m, 0, 1, type, 0, 0, cmd, 1));
	return m;
}

static struct nl_msg *vcpu_message(void)
{
	struct nl_msg *m = message(0x20, APF_CMD_VCPU_GET);
	uint64_t hist[APF_HIST_BUCKETS] = { [3] = 33, [APF_HIST_BUCKETS - 1] = 44 };
	struct nlattr *nest;

	nla_put_u32(m, APF_A_VM_ID, 7);
	nla_put_u32(m, APF_A_VCPU_INDEX, 2);
	nla_put_u32(m, APF_A_VCPU_ID, 4);
	nla_put_u32(m, APF_A_STATE, APF_STATE_PV);
	nla_put_u32(m, APF_A_OUTSTANDING, 5);
	nla_put_u32(m, APF_A_GUEST_APF, APF_GUEST_APF_ALWAYS);
	nest = nla_nest_start(m, APF_A_STATS | NLA_F_NESTED);
	nla_put_u64(m, APF_STAT_READY, UINT64_C(1) << 40);
	nla_put_u64(m, APF_STAT_PROBE_MISSES, 9);
	/* A counter this program does not know yet. */
	nla_put_u64(m, APF_STAT_MAX + 5, 1);
	nla_nest_end(m, nest);
	nla_put(m, APF_A_HIST_ASYNC, sizeof(hist), hist);
	hist[3] = 55;
	nla_put(m, APF_A_HIST_SYNC, sizeof(hist), hist);
	return m;
}

/* A report with value 100 + i in attribute i. */
static void put_guest(struct nl_msg *m)
{
	struct nlattr *nest = nla_nest_start(m, APF_A_GUEST | NLA_F_NESTED);

	for (int i = 1; i <= APF_GUEST_A_MAX; i++)
		nla_put_u32(m, i, (uint32_t)(100 + i));
	/* A figure this program does not know yet. */
	nla_put_u64(m, APF_GUEST_A_MAX + 5, 1);
	nla_nest_end(m, nest);
}

static void test_vcpu(void **state)
{
	_cleanup_msg_ struct nl_msg *m = vcpu_message();
	struct genl_vcpu v;

	assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), 0);
	assert_int_equal(v.vm_id, 7);
	assert_int_equal(v.index, 2);
	assert_int_equal(v.vcpu_id, 4);
	assert_int_equal(v.state, APF_STATE_PV);
	assert_int_equal(v.outstanding, 5);
	assert_int_equal(v.guest_apf, APF_GUEST_APF_ALWAYS);
	assert_true(v.totals.counters[APF_STAT_READY] == UINT64_C(1) << 40);
	assert_int_equal(v.totals.counters[APF_STAT_PROBE_MISSES], 9);
	assert_int_equal(v.totals.counters[APF_STAT_ASKED], 0);
	assert_int_equal(v.totals.hist_async[3], 33);
	assert_int_equal(v.totals.hist_async[APF_HIST_BUCKETS - 1], 44);
	assert_int_equal(v.totals.hist_sync[3], 55);
}

static void test_vcpu_with_report(void **state)
{
	_cleanup_msg_ struct nl_msg *m = vcpu_message();
	struct genl_vcpu v;

	/* A module that knows of no reports. */
	assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), 0);
	assert_false(v.paused);
	assert_false(v.guest.present);
	for (int i = 0; i <= APF_GUEST_A_MAX; i++)
		assert_int_equal(v.guest.value[i], 0);

	/* One that does, of a guest that gives none. */
	nla_put_u8(m, APF_A_PAUSED, 0);
	assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), 0);
	assert_false(v.paused);
	assert_false(v.guest.present);

	nla_put_u8(m, APF_A_PAUSED, 1);
	put_guest(m);
	assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), 0);
	assert_true(v.paused);
	assert_true(v.guest.present);
	assert_int_equal(v.guest.value[0], 0);
	for (int i = 1; i <= APF_GUEST_A_MAX; i++)
		assert_int_equal(v.guest.value[i], 100 + i);
	/* The rest is read as before. */
	assert_int_equal(v.totals.hist_async[3], 33);
}

/* What a module leaves out it does not count: no counter is read as 0 for that. */
static void test_uncounted(void **state)
{
	for (int missing = APF_STAT_ASKED; missing <= APF_STAT_MAX; missing++) {
		_cleanup_msg_ struct nl_msg *m = message(0x20, APF_CMD_VCPU_GET);
		uint64_t hist[APF_HIST_BUCKETS] = {};
		struct nlattr *nest;
		struct genl_vcpu v;

		nla_put_u32(m, APF_A_VM_ID, 7);
		nla_put_u32(m, APF_A_VCPU_INDEX, 2);
		nla_put_u32(m, APF_A_STATE, APF_STATE_PV);
		nla_put_u32(m, APF_A_OUTSTANDING, 0);
		nla_put(m, APF_A_HIST_ASYNC, sizeof(hist), hist);
		nla_put(m, APF_A_HIST_SYNC, sizeof(hist), hist);
		nest = nla_nest_start(m, APF_A_STATS | NLA_F_NESTED);
		for (int i = APF_STAT_ASKED; i <= APF_STAT_MAX; i++)
			if (i != missing)
				nla_put_u64(m, i, 100 + (uint64_t)i);
		nla_nest_end(m, nest);
		assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), 0);
		assert_true(v.totals.uncounted == STATS_BIT(missing));
		for (int i = APF_STAT_ASKED; i <= APF_STAT_MAX; i++)
			assert_int_equal(v.totals.counters[i], i == missing ? 0 : 100 + i);
	}
	for (int missing = 0; missing < 3; missing++) {
		static const int attrs[] = { APF_A_HIST_ASYNC, APF_A_HIST_SYNC, APF_A_OUTSTANDING };
		static const int counts[] = { STATS_HIST_ASYNC, STATS_HIST_SYNC,
					      STATS_OUTSTANDING };
		_cleanup_msg_ struct nl_msg *m = message(0x20, APF_CMD_VCPU_GET);
		uint64_t hist[APF_HIST_BUCKETS] = {};
		struct nlattr *nest;
		struct genl_vcpu v;

		nla_put_u32(m, APF_A_VM_ID, 7);
		nla_put_u32(m, APF_A_VCPU_INDEX, 2);
		nla_put_u32(m, APF_A_STATE, APF_STATE_PV);
		for (int i = 0; i < 3; i++)
			if (i != missing)
				nla_put(m, attrs[i],
					attrs[i] == APF_A_OUTSTANDING ? 4 : sizeof(hist), hist);
		nest = nla_nest_start(m, APF_A_STATS | NLA_F_NESTED);
		for (int i = APF_STAT_ASKED; i <= APF_STAT_MAX; i++)
			nla_put_u64(m, i, 1);
		nla_nest_end(m, nest);
		assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), 0);
		assert_true(v.totals.uncounted == STATS_BIT(counts[missing]));
	}
}

static void test_vcpu_with_features(void **state)
{
	_cleanup_msg_ struct nl_msg *m = vcpu_message();
	struct genl_vcpu v;

	/* A vCPU that was not seen yet, or a module that does not tell. */
	assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), 0);
	assert_false(v.kvm_features_known);
	assert_int_equal(v.kvm_features, 0);

	/* Nothing of KVM offered is something else than not known. */
	nla_put_u32(m, APF_A_KVM_FEATURES, 0);
	assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), 0);
	assert_true(v.kvm_features_known);
	assert_int_equal(v.kvm_features, 0);

	nla_put_u32(m, APF_A_KVM_FEATURES, 0x01007efb);
	assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), 0);
	assert_true(v.kvm_features_known);
	assert_int_equal(v.kvm_features, 0x01007efb);

	nla_put_u8(m, APF_A_KVM_FEATURES, 1);
	assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), -EBADMSG);
}

static void test_malformed_report(void **state)
{
	/* Every figure, one byte too short, in a nest that has all the others. */
	for (int bad = 1; bad <= APF_GUEST_A_MAX; bad++) {
		_cleanup_msg_ struct nl_msg *m = vcpu_message();
		struct nlattr *nest = nla_nest_start(m, APF_A_GUEST);
		struct genl_vcpu v;

		for (int i = 1; i <= APF_GUEST_A_MAX; i++)
			nla_put(m, i, i == bad ? 3 : 4, "\1\0\0\0");
		nla_nest_end(m, nest);
		assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), -EBADMSG);
	}

	/* Every figure missing: only what the size and the use of the pool is must be there. */
	for (int missing = 1; missing <= APF_GUEST_A_MAX; missing++) {
		bool needed =
			missing == APF_GUEST_A_POOL_SIZE || missing == APF_GUEST_A_POOL_IN_USE;
		_cleanup_msg_ struct nl_msg *m = vcpu_message();
		struct nlattr *nest = nla_nest_start(m, APF_A_GUEST);
		struct genl_vcpu v;

		for (int i = 1; i <= APF_GUEST_A_MAX; i++)
			if (i != missing)
				nla_put_u32(m, i, 7);
		nla_nest_end(m, nest);
		assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), needed ? -EBADMSG : 0);
		if (!needed) {
			assert_true(v.guest.present);
			assert_int_equal(v.guest.value[missing], 0);
		}
	}

	/* Nothing inside, less than a header inside, a length beyond the nest. */
	for (int len = 0; len <= 8; len += 2) {
		_cleanup_msg_ struct nl_msg *m = vcpu_message();
		char data[8] = { 99, 0, APF_GUEST_A_POOL_SIZE };
		struct genl_vcpu v;

		nla_put(m, APF_A_GUEST, len, data);
		assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), -EBADMSG);
	}
}

/* Whatever is cut off: refused or understood, never read beyond (valgrind and ASan watch). */
static void test_cut_short(void **state)
{
	_cleanup_msg_ struct nl_msg *m = vcpu_message();
	unsigned int refused = 0;
	size_t whole;

	put_guest(m);
	whole = nlmsg_hdr(m)->nlmsg_len;

	for (size_t len = 0; len < whole; len++) {
		_cleanup_free_ struct nlmsghdr *copy = malloc(len ? len : 1);
		struct genl_vcpu v;
		struct genl_event e;
		struct genl_info i;
		struct genl_vm vm;
		struct genl_family f;
		uint32_t group;

		if (len < sizeof(*copy))
			continue;
		memcpy(copy, nlmsg_hdr(m), len);
		copy->nlmsg_len = (uint32_t)len;
		refused += genl_parse_vcpu(copy, &v) == -EBADMSG;
		(void)genl_parse_event(copy, &e);
		(void)genl_parse_info(copy, &i);
		(void)genl_parse_vm(copy, &vm);
		(void)genl_parse_family(copy, &f);
		(void)genl_parse_group(copy, "x", &group);
	}
	/* The nest of counters ends with what follows it missing: everything before fails. */
	assert_true(refused > 60);
}

/* Every attribute of every message, one byte too short. */
static void test_short_attributes(void **state)
{
	for (int type = 1; type <= APF_A_MAX; type++) {
		_cleanup_msg_ struct nl_msg *m = message(0x20, APF_CMD_VCPU_GET);
		char data[APF_HIST_BUCKETS * sizeof(uint64_t)] = {};
		struct genl_vcpu v;
		size_t len;

		switch (type) {
		case APF_A_PAD:
		case APF_A_VM_FD:     /* only ever sent, as the next one */
		case APF_A_LEASE_MSEC:
		case APF_A_INFO_HOOK: /* looked into only in the answer it belongs to */
			continue;
		case APF_A_HIST_ASYNC:
		case APF_A_HIST_SYNC:
			len = sizeof(data) - 1;
			break;
		case APF_A_INFO_PROBE_MISSES:
		case APF_A_AGE_MSEC:
			len = 7;
			break;
		case APF_A_INFO_NESTED_GUARD:
		case APF_A_PAUSED:
		case APF_A_LEASED:
			len = 0;
			break;
		case APF_A_STATS:
			/* A header that promises more than there is. */
			data[0] = 99;
			data[2] = APF_STAT_READY;
			len = 8;
			break;
		case APF_A_INFO_VERSION:
		case APF_A_INFO_KERNEL:
		case APF_A_BY_COMM:
		case APF_A_REASON:
			/* No final NUL. */
			memset(data, 'x', 4);
			len = 4;
			break;
		default:
			len = 3;
		}
		nla_put_u32(m, APF_A_VM_ID, 7);
		nla_put_u32(m, APF_A_VCPU_INDEX, 2);
		nla_put_u32(m, APF_A_STATE, APF_STATE_PV);
		if (type != APF_A_STATS) {
			struct nlattr *nest = nla_nest_start(m, APF_A_STATS);

			nla_put_u64(m, APF_STAT_READY, 1);
			nla_nest_end(m, nest);
		}
		nla_put(m, type, (int)len, data);
		if (type != APF_A_STATS) {
			assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), -EBADMSG);
			continue;
		}
		/* libnl skips what does not fit: then the counters read 0. */
		if (genl_parse_vcpu(nlmsg_hdr(m), &v) == 0)
			assert_int_equal(v.totals.counters[APF_STAT_READY], 0);
	}
}

static void test_vcpu_out_of_range(void **state)
{
	static const struct {
		int attr;
		uint32_t value;
	} bad[] = {
		{ APF_A_VM_ID, 0 },
		{ APF_A_VCPU_INDEX, GENL_VCPUS_MAX },
		{ APF_A_STATE, APF_STATE_MAX + 1 },
		{ APF_A_GUEST_APF, APF_GUEST_APF_ALWAYS + 1 },
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		_cleanup_msg_ struct nl_msg *m = vcpu_message();
		struct genl_vcpu v;

		/* Of an attribute given twice the last one counts. */
		nla_put_u32(m, bad[i].attr, bad[i].value);
		assert_int_equal(genl_parse_vcpu(nlmsg_hdr(m), &v), -EBADMSG);
	}
}

static void test_vm(void **state)
{
	_cleanup_msg_ struct nl_msg *m = message(0x20, APF_CMD_VM_GET);
	struct genl_vm vm;

	nla_put_u32(m, APF_A_VM_ID, 3);
	assert_int_equal(genl_parse_vm(nlmsg_hdr(m), &vm), -EBADMSG);
	nla_put_u32(m, APF_A_STATE, APF_STATE_OFF);
	nla_put_u32(m, APF_A_PID, 4711);
	nla_put_u32(m, APF_A_VCPU_COUNT, 2);
	nla_put_u64(m, APF_A_AGE_MSEC, UINT64_C(1) << 33);
	assert_int_equal(genl_parse_vm(nlmsg_hdr(m), &vm), 0);
	assert_int_equal(vm.id, 3);
	assert_int_equal(vm.state, APF_STATE_OFF);
	assert_int_equal(vm.pid, 4711);
	assert_int_equal(vm.n_vcpus, 2);
	assert_true(vm.age_msec == UINT64_C(1) << 33);
}

static void test_info(void **state)
{
	_cleanup_msg_ struct nl_msg *m = message(0x20, APF_CMD_GET_INFO);
	struct genl_info info;

	nla_put_u32(m, APF_A_INFO_NOWAIT, APF_NOWAIT_ACTIVE);
	assert_int_equal(genl_parse_info(nlmsg_hdr(m), &info), -EBADMSG);
	nla_put_string(m, APF_A_INFO_VERSION, "0.1.0\xff\n");
	nla_put_u8(m, APF_A_INFO_NESTED_GUARD, 1);
	nla_put_u32(m, APF_A_INFO_MAX_VMS, 1024);
	assert_int_equal(genl_parse_info(nlmsg_hdr(m), &info), 0);
	assert_string_equal(info.version, "0.1.0??");
	assert_int_equal(info.nowait, APF_NOWAIT_ACTIVE);
	assert_true(info.nested_guard);
	assert_int_equal(info.max_vms, 1024);
	nla_put_u32(m, APF_A_INFO_NOWAIT, APF_NOWAIT_MAX + 1);
	assert_int_equal(genl_parse_info(nlmsg_hdr(m), &info), -EBADMSG);
}

static struct nl_msg *info_message(void)
{
	struct nl_msg *m = message(0x20, APF_CMD_GET_INFO);

	nla_put_u32(m, APF_A_INFO_NOWAIT, APF_NOWAIT_ACTIVE);
	nla_put_string(m, APF_A_INFO_VERSION, "0.1.0");
	return m;
}

static void put_hook(struct nl_msg *m, uint32_t id, const char *name, int error)
{
	struct nlattr *nest = nla_nest_start(m, APF_A_INFO_HOOK | NLA_F_NESTED);

	nla_put_u32(m, APF_HOOK_A_ID, id);
	if (name)
		nla_put_string(m, APF_HOOK_A_NAME, name);
	if (error != 1)
		nla_put_u32(m, APF_HOOK_A_ERROR, (uint32_t)error);
	/* Something this program does not know yet. */
	nla_put_u32(m, APF_HOOK_A_MAX + 1, 7);
	nla_nest_end(m, nest);
}

static void test_hooks(void **state)
{
	_cleanup_msg_ struct nl_msg *m = info_message();
	struct genl_info info;
	char longest[300];

	/* A module that knows of no hooks says nothing of them. */
	memset(&info, 0xff, sizeof(info));
	assert_int_equal(genl_parse_info(nlmsg_hdr(m), &info), 0);
	assert_false(info.hooks.reported);
	assert_int_equal(info.hooks.n, 0);

	/* One that only has the bits. */
	nla_put_u32(m, APF_A_INFO_HOOKS, 1U << APF_HOOK_GATE | 1U << APF_HOOK_READY | 1U << 20);
	assert_int_equal(genl_parse_info(nlmsg_hdr(m), &info), 0);
	assert_true(info.hooks.reported);
	assert_int_equal(info.hooks.n, APF_HOOK_MAX + 1);
	for (uint32_t id = 0; id <= APF_HOOK_MAX; id++) {
		assert_int_equal(info.hooks.hook[id].id, id);
		assert_int_equal(info.hooks.hook[id].placed,
				 id == APF_HOOK_GATE || id == APF_HOOK_READY);
		assert_string_equal(info.hooks.hook[id].on, "");
	}

	/* The bit decides; names and errors are words about it; strange ones are none. */
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	put_hook(m, APF_HOOK_STALL, "kvm_mmu_faultin_pfn,kvm_faultin_pfn", -ENOENT);
	put_hook(m, APF_HOOK_GATE, "kvm_can_do_async_pf\xff", -ENOENT);
	put_hook(m, 20, longest, 0);
	put_hook(m, 21, NULL, 1);
	put_hook(m, 22, "x", INT32_MIN);
	put_hook(m, 32, "no bit", -ENOENT);
	put_hook(m, UINT32_MAX, "no bit", -ENOENT);
	assert_int_equal(genl_parse_info(nlmsg_hdr(m), &info), 0);
	assert_int_equal(info.hooks.n, 5 + APF_HOOK_MAX + 1 - 2);
	assert_int_equal(info.hooks.hook[0].id, APF_HOOK_STALL);
	assert_false(info.hooks.hook[0].placed);
	assert_int_equal(info.hooks.hook[0].error, -ENOENT);
	assert_string_equal(info.hooks.hook[0].on, "kvm_mmu_faultin_pfn,kvm_faultin_pfn");
	assert_true(info.hooks.hook[1].placed);
	assert_int_equal(info.hooks.hook[1].error, 0);
	assert_string_equal(info.hooks.hook[1].on, "kvm_can_do_async_pf?");
	assert_true(info.hooks.hook[2].placed);
	assert_int_equal(strlen(info.hooks.hook[2].on), HOOK_ON_MAX - 1);
	assert_false(info.hooks.hook[3].placed);
	assert_string_equal(info.hooks.hook[3].on, "");
	assert_int_equal(info.hooks.hook[4].error, 0);

	/* As often as somebody likes. */
	for (int i = 0; i < 3 * HOOKS_MAX; i++)
		put_hook(m, 3, "again", -EBUSY);
	assert_int_equal(genl_parse_info(nlmsg_hdr(m), &info), 0);
	assert_int_equal(info.hooks.n, HOOKS_MAX);
}

/* A kernel cannot lack a hook that the module does not know. */
static void test_hooks_of_an_older_module(void **state)
{
	_cleanup_msg_ struct nl_msg *m = info_message();
	struct genl_info info;

	nla_put_u32(m, APF_A_INFO_HOOKS, (1U << APF_HOOK_QUEUED) - 1);
	for (uint32_t id = 0; id < APF_HOOK_QUEUED; id++)
		put_hook(m, id, "x", 0);
	assert_int_equal(genl_parse_info(nlmsg_hdr(m), &info), 0);
	assert_int_equal(info.hooks.n, APF_HOOK_QUEUED);
	for (size_t i = 0; i < info.hooks.n; i++)
		assert_true(info.hooks.hook[i].placed);
}

static void test_malformed_hooks(void **state)
{
	for (int bad = 0; bad < 4; bad++) {
		_cleanup_msg_ struct nl_msg *m = info_message();
		struct genl_info info;
		struct nlattr *nest;

		nla_put(m, APF_A_INFO_HOOKS, bad == 0 ? 3 : 4, "\1\0\0\0");
		nest = nla_nest_start(m, APF_A_INFO_HOOK | NLA_F_NESTED);
		if (bad != 1)
			nla_put(m, APF_HOOK_A_ID, bad == 2 ? 3 : 4, "\1\0\0\0");
		nla_put(m, APF_HOOK_A_ERROR, bad == 3 ? 2 : 4, "\0\0\0\0");
		nla_nest_end(m, nest);
		assert_int_equal(genl_parse_info(nlmsg_hdr(m), &info), -EBADMSG);
	}
}

static void test_event(void **state)
{
	_cleanup_msg_ struct nl_msg *m = message(0x20, APF_CMD_EVENT);
	char longest[400];
	struct genl_event e;

	memset(longest, 'r', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	nla_put_u32(m, APF_A_EVENT, APF_EVENT_GATE_CHANGED);
	nla_put_u32(m, APF_A_VM_ID, 3);
	assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), -EBADMSG);
	nla_put_u32(m, APF_A_STATE, APF_STATE_ON);
	nla_put_u32(m, APF_A_BY_PID, 99);
	nla_put_string(m, APF_A_BY_COMM, "a-name-longer-than-a-comm");
	nla_put_string(m, APF_A_REASON, longest);
	nla_put_u32(m, APF_A_VCPU_INDEX, 5);
	nla_put_u32(m, APF_A_VCPU_INDEX, 1);
	assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), 0);
	assert_int_equal(e.type, APF_EVENT_GATE_CHANGED);
	assert_int_equal(e.n_indices, 2);
	assert_int_equal(e.indices[0], 5);
	assert_int_equal(e.indices[1], 1);
	assert_int_equal(e.by_pid, 99);
	assert_string_equal(e.by_comm, "a-name-longer-t");
	assert_int_equal(strlen(e.reason), APF_REASON_MAX);
	nla_put_u32(m, APF_A_VCPU_INDEX, GENL_VCPUS_MAX);
	assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), -EBADMSG);
}

static void test_report_event(void **state)
{
	for (uint32_t type = APF_EVENT_POOL_TAKEN; type <= APF_EVENT_REPORT_GONE; type++) {
		_cleanup_msg_ struct nl_msg *m = message(0x20, APF_CMD_EVENT);
		bool gone = type == APF_EVENT_REPORT_GONE;
		struct genl_event e;

		nla_put_u32(m, APF_A_EVENT, type);
		nla_put_u32(m, APF_A_VM_ID, 3);
		/* Which vCPU? */
		if (!gone)
			put_guest(m);
		assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), -EBADMSG);
		nla_put_u32(m, APF_A_VCPU_INDEX, GENL_VCPUS_MAX);
		assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), -EBADMSG);
		nla_put_u32(m, APF_A_VCPU_INDEX, 4);
		assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), 0);
		assert_int_equal(e.type, type);
		assert_int_equal(e.vm_id, 3);
		assert_int_equal(e.n_indices, 1);
		assert_int_equal(e.indices[0], 4);
		assert_int_equal(e.guest.present, !gone);
		assert_int_equal(e.guest.value[APF_GUEST_A_WAKES],
				 gone ? 0 : 100 + APF_GUEST_A_WAKES);
		/* A report that is gone and there. */
		if (gone) {
			put_guest(m);
			assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), -EBADMSG);
		}
	}
}

static void test_report_event_without_report(void **state)
{
	for (uint32_t type = APF_EVENT_POOL_TAKEN; type < APF_EVENT_REPORT_GONE; type++) {
		_cleanup_msg_ struct nl_msg *m = message(0x20, APF_CMD_EVENT);
		struct genl_event e;

		nla_put_u32(m, APF_A_EVENT, type);
		nla_put_u32(m, APF_A_VM_ID, 3);
		nla_put_u32(m, APF_A_VCPU_INDEX, 4);
		assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), -EBADMSG);
		nla_put(m, APF_A_GUEST, 8, "\x63\0\1\0\0\0\0");
		assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), -EBADMSG);
	}
}

static void test_event_with_too_many_vcpus(void **state)
{
	_cleanup_msg_ struct nl_msg *m = nlmsg_alloc_size(64 * 1024);
	struct genl_event e;

	assert_non_null(genlmsg_put(m, 0, 1, 0x20, 0, 0, APF_CMD_EVENT, 1));
	nla_put_u32(m, APF_A_EVENT, APF_EVENT_GATE_CHANGED);
	nla_put_u32(m, APF_A_VM_ID, 3);
	nla_put_u32(m, APF_A_STATE, APF_STATE_ON);
	for (int i = 0; i < GENL_VCPUS_MAX; i++)
		assert_int_equal(nla_put_u32(m, APF_A_VCPU_INDEX, 1), 0);
	assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), 0);
	assert_int_equal(nla_put_u32(m, APF_A_VCPU_INDEX, 1), 0);
	assert_int_equal(genl_parse_event(nlmsg_hdr(m), &e), -EBADMSG);
}

static void test_family(void **state)
{
	_cleanup_msg_ struct nl_msg *m = message(GENL_ID_CTRL, CTRL_CMD_NEWFAMILY);
	struct nlattr *groups, *group;
	struct genl_family f;
	uint32_t id;

	nla_put_string(m, CTRL_ATTR_FAMILY_NAME, "apf");
	assert_int_equal(genl_parse_family(nlmsg_hdr(m), &f), -EBADMSG);
	nla_put_u16(m, CTRL_ATTR_FAMILY_ID, 33);
	nla_put_u32(m, CTRL_ATTR_VERSION, 1);
	groups = nla_nest_start(m, CTRL_ATTR_MCAST_GROUPS);
	for (int i = 1; i <= 3; i++) {
		group = nla_nest_start(m, i);
		nla_put_string(m, CTRL_ATTR_MCAST_GRP_NAME,
			       i == 1	? "other"
			       : i == 2 ? "events"
					: "eventss");
		nla_put_u32(m, CTRL_ATTR_MCAST_GRP_ID, (uint32_t)(100 + i));
		nla_nest_end(m, group);
	}
	nla_nest_end(m, groups);
	assert_int_equal(genl_parse_family(nlmsg_hdr(m), &f), 0);
	assert_true(f.is_ours);
	assert_int_equal(f.id, 33);
	assert_int_equal(f.version, 1);
	assert_int_equal(f.events_group, 102);
	assert_int_equal(genl_parse_group(nlmsg_hdr(m), "other", &id), 0);
	assert_int_equal(id, 101);
	assert_int_equal(genl_parse_group(nlmsg_hdr(m), "event", &id), -ENOENT);

	/* An id that is netlink's own would make errors look like our messages. */
	nla_put_u16(m, CTRL_ATTR_FAMILY_ID, NLMSG_DONE);
	assert_int_equal(genl_parse_family(nlmsg_hdr(m), &f), -EBADMSG);
}

static struct nlmsghdr *ack(uint16_t type, uint16_t flags, int error, const void *rest, size_t len)
{
	struct nlmsghdr *h = calloc(1, NLMSG_LENGTH(sizeof(error)) + len);

	assert_non_null(h);
	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	h->nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(error)) + len);
	memcpy(NLMSG_DATA(h), &error, sizeof(error));
	if (len)
		memcpy((char *)NLMSG_DATA(h) + sizeof(error), rest, len);
	return h;
}

static void test_ack(void **state)
{
	struct {
		struct nlmsghdr request;
		struct nlattr msg;
		char text[12];
	} capped = {
		.request = { .nlmsg_len = 5000 }, /* of which only the header is sent back */
		.msg = { .nla_len = NLA_HDRLEN + 12, .nla_type = NLMSGERR_ATTR_MSG },
		.text = "no such VM\n",
	};
	char text[GENL_TEXT_MAX];
	struct nlmsghdr *h;

	h = ack(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, -ENOENT, &capped, sizeof(capped));
	assert_int_equal(genl_parse_ack(h, text), -ENOENT);
	assert_string_equal(text, "no such VM?");
	/* Not capped, so the request should have been repeated whole: 5000 bytes are not there. */
	h->nlmsg_flags = NLM_F_ACK_TLVS;
	assert_int_equal(genl_parse_ack(h, text), -EBADMSG);
	/* Without the flag there is no text, whatever follows. */
	h->nlmsg_flags = NLM_F_CAPPED;
	assert_int_equal(genl_parse_ack(h, text), -ENOENT);
	assert_string_equal(text, "");
	free(h);

	h = ack(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, -EPERM, &capped,
		sizeof(capped.request) + 6);
	assert_int_equal(genl_parse_ack(h, text), -EPERM);
	assert_string_equal(text, "");
	free(h);

	/* At the end of a dump the text follows the number at once. */
	h = ack(NLMSG_DONE, NLM_F_ACK_TLVS, -EINVAL, &capped.msg,
		sizeof(capped) - offsetof(__typeof__(capped), msg));
	assert_int_equal(genl_parse_ack(h, text), -EINVAL);
	assert_string_equal(text, "no such VM?");
	free(h);

	h = ack(NLMSG_ERROR, 0, 0, &capped.request, sizeof(capped.request));
	assert_int_equal(genl_parse_ack(h, text), 0);
	h->nlmsg_len = NLMSG_HDRLEN + 2;
	assert_int_equal(genl_parse_ack(h, text), -EBADMSG);
	free(h);

	h = ack(NLMSG_ERROR, 0, 22, &capped.request, sizeof(capped.request));
	assert_int_equal(genl_parse_ack(h, text), -EBADMSG);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vcpu),
		cmocka_unit_test(test_vcpu_with_report),
		cmocka_unit_test(test_vcpu_with_features),
		cmocka_unit_test(test_malformed_report),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_short_attributes),
		cmocka_unit_test(test_vcpu_out_of_range),
		cmocka_unit_test(test_vm),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_uncounted),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_hooks_of_an_older_module),
		cmocka_unit_test(test_malformed_hooks),
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_report_event),
		cmocka_unit_test(test_report_event_without_report),
		cmocka_unit_test(test_event_with_too_many_vcpus),
		cmocka_unit_test(test_family),
		cmocka_unit_test(test_ack),
	};

	return cmocka_run_group_tests_name("genl-parse", tests, NULL, NULL);
}
