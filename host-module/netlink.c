// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink family "apf": the module's whole interface to user space.
 * include/uapi/apf_host.h says what each message holds.
 *
 * Context: doit handlers run in the caller's process under the genl mutex,
 * which also keeps them apart from each other. Changes need CAP_NET_ADMIN,
 * asked for in pre_doit and not by GENL_ADMIN_PERM, which refuses in silence.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/utsname.h>
#include <net/genetlink.h>

#include "compat.h"
#include "netlink.h"
#include "nowait.h"
#include "probe.h"
#include "report.h"
#include "stats.h"
#include "vm.h"

static struct genl_family apf_family;

/* Guards family_up: an event of a dying VM may come when the family is gone. */
static DEFINE_MUTEX(event_lock);
static bool family_up;

enum { OP_CHANGES = 1 };	/* genl_ops.internal_flags: needs CAP_NET_ADMIN */
enum { MCGRP_EVENTS };

/* Figures of the vCPU being sent; too large for the stack. Under apf_host_lock. */
static struct apf_host_figures figures;

static int refuse(struct netlink_ext_ack *extack, const struct nlattr *attr, int error)
{
	NL_SET_BAD_ATTR(extack, attr);
	return error;
}

/* Present, or -EINVAL with a text; the kernel's own texts name no attribute. */
static int need(const struct genl_info *info, int attr)
{
	if (info->attrs[attr])
		return 0;

	switch (attr) {
	case APF_A_VM_FD:
		NL_SET_ERR_MSG(info->extack, "attribute VM_FD is missing");
		break;
	case APF_A_VM_ID:
		NL_SET_ERR_MSG(info->extack, "attribute VM_ID is missing");
		break;
	case APF_A_STATE:
		NL_SET_ERR_MSG(info->extack, "attribute STATE is missing");
		break;
	case APF_A_VCPU_INDEX:
		NL_SET_ERR_MSG(info->extack, "attribute VCPU_INDEX is missing");
		break;
	}
	return -EINVAL;
}

static int get_state(const struct genl_info *info, u32 *ret_state)
{
	const struct nlattr *attr = info->attrs[APF_A_STATE];

	if (nla_get_u32(attr) > APF_STATE_MAX) {
		NL_SET_ERR_MSG(info->extack, "unknown state: 0 is off, 1 pv, 2 on");
		return refuse(info->extack, attr, -EINVAL);
	}
	*ret_state = nla_get_u32(attr);
	return 0;
}

static int check_reason(const struct genl_info *info)
{
	const struct nlattr *attr = info->attrs[APF_A_REASON];

	if (!attr || strlen(nla_data(attr)) <= APF_REASON_MAX)
		return 0;
	NL_SET_ERR_MSG(info->extack, "REASON is longer than APF_REASON_MAX");
	return refuse(info->extack, attr, -EINVAL);
}

/* What VM_SET and VCPU_SET have in common. */
static int get_change(const struct genl_info *info, u32 *ret_state)
{
	int ret;

	ret = need(info, APF_A_STATE);
	if (ret)
		return ret;
	ret = get_state(info, ret_state);
	if (ret)
		return ret;
	return check_reason(info);
}

/* Under apf_host_lock, which keeps *ret_vm. */
static int get_vm(const struct genl_info *info, struct apf_host_vm **ret_vm)
{
	const struct nlattr *attr = info->attrs[APF_A_VM_ID];
	struct apf_host_vm *vm;
	int ret;

	ret = need(info, APF_A_VM_ID);
	if (ret)
		return ret;

	vm = apf_host_vm_get(nla_get_u32(attr));
	if (!vm) {
		NL_SET_ERR_MSG(info->extack, "no VM with this id");
		return refuse(info->extack, attr, -ENOENT);
	}
	*ret_vm = vm;
	return 0;
}

static int put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, APF_A_PAD);
}

static int put_stats(struct sk_buff *skb, const u64 *stat)
{
	struct nlattr *nest = nla_nest_start(skb, APF_A_STATS);
	int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = APF_STAT_PAD + 1; i <= APF_STAT_MAX; i++)
		if (nla_put_u64_64bit(skb, i, stat[i], APF_STAT_PAD))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_guest(struct sk_buff *skb, const u32 *value)
{
	struct nlattr *nest = nla_nest_start(skb, APF_A_GUEST);
	int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = APF_GUEST_A_UNSPEC + 1; i <= APF_GUEST_A_MAX; i++)
		if (nla_put_u32(skb, i, value[i]))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* What the vCPU's counters are, and what is counted apart from them. */
static void read_figures(struct apf_host_vcpu *vcpu, struct apf_host_figures *ret)
{
	apf_host_stats_read(&vcpu->stats, ret);
	ret->stat[APF_STAT_BAD_REPORTS] = atomic64_read(&vcpu->report.bad);
}

/* Under apf_host_lock. -EMSGSIZE: does not fit, nothing added; -ENOENT: dying. */
static int put_vm(struct sk_buff *skb, u32 portid, u32 seq, int flags, struct apf_host_vm *vm)
{
	u64 sum[__APF_STAT_MAX] = {};
	u32 i, stat, vcpus;
	void *hdr;
	int ret;

	ret = apf_host_vm_refresh(vm, &vcpus);
	if (ret)
		return ret;

	for (i = 0; i < vcpus; i++) {
		read_figures(vm->vcpus[i], &figures);
		for (stat = 0; stat < __APF_STAT_MAX; stat++)
			sum[stat] += figures.stat[stat];
	}
	sum[APF_STAT_PROBE_MISSES] += atomic64_read(&vm->unseen);

	hdr = genlmsg_put(skb, portid, seq, &apf_family, flags, APF_CMD_VM_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, APF_A_VM_ID, vm->id) ||
	    nla_put_s32(skb, APF_A_PID, vm->pid) ||
	    nla_put_u32(skb, APF_A_STATE, vm->state) ||
	    nla_put_u32(skb, APF_A_VCPU_COUNT, vcpus) ||
	    put_u64(skb, APF_A_AGE_MSEC, div_u64(ktime_get_ns() - vm->added_nsec, NSEC_PER_MSEC)) ||
	    put_stats(skb, sum)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* As put_vm(). */
static int put_vcpu(struct sk_buff *skb, u32 portid, u32 seq, struct apf_host_vm *vm, u32 index)
{
	struct apf_host_vcpu *vcpu = vm->vcpus[index];
	u32 guest[__APF_GUEST_A_MAX];
	bool report;
	void *hdr;

	read_figures(vcpu, &figures);
	report = apf_host_report_get(&vcpu->report, guest);

	hdr = genlmsg_put(skb, portid, seq, &apf_family, NLM_F_MULTI, APF_CMD_VCPU_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, APF_A_VM_ID, vm->id) ||
	    nla_put_u32(skb, APF_A_VCPU_INDEX, index) ||
	    nla_put_u32(skb, APF_A_VCPU_ID, vcpu->vcpu_id) ||
	    nla_put_u32(skb, APF_A_STATE, vcpu->state) ||
	    nla_put_u32(skb, APF_A_OUTSTANDING, figures.outstanding) ||
	    nla_put_u32(skb, APF_A_GUEST_APF, apf_host_vm_guest_apf(vm, index)) ||
	    put_stats(skb, figures.stat) ||
	    nla_put(skb, APF_A_HIST_ASYNC, sizeof(figures.hist_async), figures.hist_async) ||
	    nla_put(skb, APF_A_HIST_SYNC, sizeof(figures.hist_sync), figures.hist_sync) ||
	    nla_put_u8(skb, APF_A_PAUSED, READ_ONCE(vcpu->report.paused)) ||
	    (report && put_guest(skb, guest)) ||
	    /* Pairs with smp_store_release() in features_look(). */
	    (smp_load_acquire(&vcpu->features_known) &&
	     nla_put_u32(skb, APF_A_KVM_FEATURES, vcpu->features))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static void send_event(struct sk_buff *skb, void *hdr)
{
	genlmsg_end(skb, hdr);

	mutex_lock(&event_lock);
	if (family_up)
		genlmsg_multicast(&apf_family, skb, 0, MCGRP_EVENTS, GFP_KERNEL);
	else
		nlmsg_free(skb);
	mutex_unlock(&event_lock);
}

/**
 * apf_host_netlink_vm_gone() - tell that a VM died
 * @vm: taken out of the tables already
 *
 * Context: process, no lock held.
 */
void apf_host_netlink_vm_gone(const struct apf_host_vm *vm)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	void *hdr;

	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &apf_family, 0, APF_CMD_EVENT);
	if (!hdr ||
	    nla_put_u32(skb, APF_A_EVENT, APF_EVENT_VM_GONE) ||
	    nla_put_u32(skb, APF_A_VM_ID, vm->id) ||
	    nla_put_s32(skb, APF_A_PID, vm->pid)) {
		nlmsg_free(skb);
		return;
	}
	send_event(skb, hdr);
}

/**
 * apf_host_netlink_report() - tell of news in a guest's report
 * @vm: the VM
 * @index: its vCPU
 * @event: &enum apf_event
 * @value: the report, by &enum apf_guest_attr
 *
 * Context: process, no lock held.
 */
void apf_host_netlink_report(const struct apf_host_vm *vm, u32 index, u32 event, const u32 *value)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	void *hdr;

	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &apf_family, 0, APF_CMD_EVENT);
	if (!hdr ||
	    nla_put_u32(skb, APF_A_EVENT, event) ||
	    nla_put_u32(skb, APF_A_VM_ID, vm->id) ||
	    nla_put_u32(skb, APF_A_VCPU_INDEX, index) ||
	    (event != APF_EVENT_REPORT_GONE && put_guest(skb, value))) {
		nlmsg_free(skb);
		return;
	}
	send_event(skb, hdr);
}

/*
 * Tells that the caller changed gates. The indices are repeated as they were
 * asked for; the message is as large as the request needs it.
 */
static void event_gate_changed(const struct genl_info *info, u32 id, u32 state)
{
	struct sk_buff *skb;
	struct nlattr *attr;
	void *hdr;
	int rem;

	skb = genlmsg_new(NLMSG_GOODSIZE + genlmsg_len(info->genlhdr), GFP_KERNEL);
	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &apf_family, 0, APF_CMD_EVENT);
	if (!hdr ||
	    nla_put_u32(skb, APF_A_EVENT, APF_EVENT_GATE_CHANGED) ||
	    nla_put_u32(skb, APF_A_VM_ID, id) ||
	    nla_put_u32(skb, APF_A_STATE, state) ||
	    nla_put_s32(skb, APF_A_BY_PID, task_tgid_nr(current)) ||
	    nla_put_string(skb, APF_A_BY_COMM, current->group_leader->comm))
		goto err_put;

	nla_for_each_attr(attr, genlmsg_data(info->genlhdr), genlmsg_len(info->genlhdr), rem)
		if (nla_type(attr) == APF_A_VCPU_INDEX &&
		    nla_put_u32(skb, APF_A_VCPU_INDEX, nla_get_u32(attr)))
			goto err_put;
	if (info->attrs[APF_A_REASON] &&
	    nla_put_string(skb, APF_A_REASON, nla_data(info->attrs[APF_A_REASON])))
		goto err_put;

	send_event(skb, hdr);
	return;

err_put:
	nlmsg_free(skb);
}

static int do_get_info(struct sk_buff *req, struct genl_info *info)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	void *hdr;
	u32 vms;

	if (!skb)
		return -ENOMEM;

	mutex_lock(&apf_host_lock);
	vms = apf_host_vm_count();
	mutex_unlock(&apf_host_lock);

	hdr = genlmsg_put_reply(skb, info, &apf_family, 0, APF_CMD_GET_INFO);
	if (!hdr ||
	    nla_put_string(skb, APF_A_INFO_VERSION, APF_HOST_VERSION) ||
	    nla_put_string(skb, APF_A_INFO_KERNEL, init_utsname()->release) ||
	    nla_put_u32(skb, APF_A_INFO_NOWAIT, apf_host_nowait_state()) ||
	    nla_put_u8(skb, APF_A_INFO_NESTED_GUARD, apf_host_probe_nested_guard()) ||
	    nla_put_u32(skb, APF_A_INFO_MAX_VMS, APF_HOST_MAX_VMS) ||
	    nla_put_u32(skb, APF_A_INFO_VMS, vms) ||
	    put_u64(skb, APF_A_INFO_PROBE_MISSES, apf_host_probe_misses())) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

/* Answers with one VM. Under apf_host_lock. */
static int reply_vm(struct genl_info *info, struct apf_host_vm *vm)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	int ret;

	if (!skb)
		return -ENOMEM;
	ret = put_vm(skb, info->snd_portid, info->snd_seq, 0, vm);
	if (ret) {
		if (ret == -ENOENT)
			NL_SET_ERR_MSG(info->extack, "the VM is being destroyed");
		nlmsg_free(skb);
		return ret;
	}
	return genlmsg_reply(skb, info);
}

static int do_vm_add(struct sk_buff *req, struct genl_info *info)
{
	const struct nlattr *fd = info->attrs[APF_A_VM_FD];
	u32 state = APF_STATE_ON;
	struct apf_host_vm *vm;
	struct file *file;
	int ret;

	ret = need(info, APF_A_VM_FD);
	if (ret)
		return ret;
	if (info->attrs[APF_A_STATE]) {
		ret = get_state(info, &state);
		if (ret)
			return ret;
	}

	file = fget(nla_get_u32(fd));
	if (!file) {
		NL_SET_ERR_MSG(info->extack, "VM_FD is no open descriptor of the caller");
		return refuse(info->extack, fd, -EBADF);
	}
	if (!file_is_kvm(file)) {
		NL_SET_ERR_MSG(info->extack, "VM_FD is not the descriptor of a KVM VM");
		ret = refuse(info->extack, fd, -EINVAL);
		goto out_fput;
	}

	/* The file keeps its VM for as long as we hold it. */
	mutex_lock(&apf_host_lock);
	ret = apf_host_vm_add(file->private_data, state, &vm);
	if (!ret || ret == -EEXIST)
		ret = reply_vm(info, vm);
	else if (ret == -ENOSPC)
		NL_SET_ERR_MSG(info->extack, "as many VMs are watched as the module allows");
	mutex_unlock(&apf_host_lock);

out_fput:
	fput(file);
	return ret;
}

static int do_vm_del(struct sk_buff *req, struct genl_info *info)
{
	struct apf_host_vm *vm;
	int ret;

	mutex_lock(&apf_host_lock);
	ret = get_vm(info, &vm);
	if (!ret)
		apf_host_vm_del(vm);
	mutex_unlock(&apf_host_lock);
	return ret;
}

static int do_vm_get(struct sk_buff *req, struct genl_info *info)
{
	struct apf_host_vm *vm;
	int ret;

	mutex_lock(&apf_host_lock);
	ret = get_vm(info, &vm);
	if (!ret)
		ret = reply_vm(info, vm);
	mutex_unlock(&apf_host_lock);
	return ret;
}

static int do_vm_set(struct sk_buff *req, struct genl_info *info)
{
	struct apf_host_vm *vm;
	u32 state;
	int ret;

	ret = get_change(info, &state);
	if (ret)
		return ret;

	mutex_lock(&apf_host_lock);
	ret = get_vm(info, &vm);
	if (!ret) {
		apf_host_vm_set_state(vm, state);
		event_gate_changed(info, vm->id, state);
	}
	mutex_unlock(&apf_host_lock);
	return ret;
}

static int do_vcpu_set(struct sk_buff *req, struct genl_info *info)
{
	void *head = genlmsg_data(info->genlhdr);
	int rem, len = genlmsg_len(info->genlhdr);
	struct apf_host_vm *vm;
	struct nlattr *attr;
	u32 state, vcpus;
	int ret;

	ret = get_change(info, &state);
	if (ret)
		return ret;
	ret = need(info, APF_A_VCPU_INDEX);
	if (ret)
		return ret;

	mutex_lock(&apf_host_lock);
	ret = get_vm(info, &vm);
	if (ret)
		goto out;
	ret = apf_host_vm_refresh(vm, &vcpus);
	if (ret == -ENOENT)
		NL_SET_ERR_MSG(info->extack, "the VM is being destroyed");
	if (ret)
		goto out;

	/* All or none: first look at every index, then change. */
	nla_for_each_attr(attr, head, len, rem)
		if (nla_type(attr) == APF_A_VCPU_INDEX && nla_get_u32(attr) >= vcpus) {
			NL_SET_ERR_MSG(info->extack, "the VM has no vCPU with this index");
			ret = refuse(info->extack, attr, -ERANGE);
			goto out;
		}
	nla_for_each_attr(attr, head, len, rem)
		if (nla_type(attr) == APF_A_VCPU_INDEX)
			WRITE_ONCE(vm->vcpus[nla_get_u32(attr)]->state, state);
	event_gate_changed(info, vm->id, state);
out:
	mutex_unlock(&apf_host_lock);
	return ret;
}

/*
 * Dumps: args[0] is the id of the VM to go on with, args[1] the index of its
 * vCPU, args[2] the only VM wanted, or 0, args[3] whether it was begun. VMs
 * that come and go between two calls are or are not part of the dump; each
 * message is consistent in itself.
 */
static int dump_vm(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct apf_host_vm *vm;
	u32 id = cb->args[0];
	int ret = 0;

	mutex_lock(&apf_host_lock);
	for (; (vm = apf_host_vm_next(&id)); id++) {
		ret = put_vm(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, NLM_F_MULTI, vm);
		if (ret == -ENOENT)
			continue;
		if (ret)
			break;
	}
	mutex_unlock(&apf_host_lock);

	cb->args[0] = id;
	return ret == -ENOENT || !ret || skb->len ? skb->len : ret;
}

/*
 * The first call of a VCPU_GET dump; under apf_host_lock. Not done in a start
 * handler, where Linux 6.1 has no extended ack yet.
 */
static int dump_vcpu_begin(struct netlink_callback *cb)
{
	const struct nlattr *attr = apf_genl_dump_attrs(cb)[APF_A_VM_ID];

	cb->args[3] = true;
	if (!attr)
		return 0;
	if (!apf_host_vm_get(nla_get_u32(attr))) {
		NL_SET_ERR_MSG(cb->extack, "no VM with this id");
		return -ENOENT;
	}
	cb->args[0] = nla_get_u32(attr);
	cb->args[2] = nla_get_u32(attr);
	return 0;
}

static int dump_vcpu(struct sk_buff *skb, struct netlink_callback *cb)
{
	u32 id, index, only, asked, vcpus;
	struct apf_host_vm *vm;
	int ret = 0;

	mutex_lock(&apf_host_lock);
	if (!cb->args[3]) {
		ret = dump_vcpu_begin(cb);
		if (ret)
			goto out;
	}
	asked = id = cb->args[0];
	index = cb->args[1];
	only = cb->args[2];

	for (; (vm = apf_host_vm_next(&id)); id++, index = 0) {
		if (only && id != only)
			break;
		/* The VM left off at has gone: this one is begun at its start. */
		if (id != asked)
			index = 0;
		if (apf_host_vm_refresh(vm, &vcpus))
			continue;
		if (!index)
			apf_host_vm_look(vm);
		for (; index < vcpus; index++) {
			ret = put_vcpu(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				       vm, index);
			if (ret)
				goto full;
		}
	}
full:
	cb->args[0] = id;
	cb->args[1] = index;
out:
	mutex_unlock(&apf_host_lock);
	return !ret || skb->len ? skb->len : ret;
}

static int pre_doit(const apf_genl_op_t *op, struct sk_buff *skb, struct genl_info *info)
{
	if ((op->internal_flags & OP_CHANGES) && !netlink_capable(skb, CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG(info->extack, "changing APF gates needs CAP_NET_ADMIN");
		return -EPERM;
	}
	return 0;
}

static const struct nla_policy vm_add_policy[] = {
	[APF_A_VM_FD]		= { .type = NLA_U32 },
	[APF_A_STATE]		= { .type = NLA_U32 },
};

static const struct nla_policy vm_id_policy[] = {
	[APF_A_VM_ID]		= { .type = NLA_U32 },
};

static const struct nla_policy set_policy[] = {
	[APF_A_VM_ID]		= { .type = NLA_U32 },
	[APF_A_STATE]		= { .type = NLA_U32 },
	[APF_A_VCPU_INDEX]	= { .type = NLA_U32 },
	[APF_A_REASON]		= { .type = NLA_NUL_STRING },
};

static const struct nla_policy vm_set_policy[] = {
	[APF_A_VM_ID]		= { .type = NLA_U32 },
	[APF_A_STATE]		= { .type = NLA_U32 },
	[APF_A_VCPU_INDEX]	= { .type = NLA_REJECT },
	[APF_A_REASON]		= { .type = NLA_NUL_STRING },
};

#define POLICY(p)	.policy = (p), .maxattr = ARRAY_SIZE(p) - 1

static const struct genl_ops apf_ops[] = {
	{ .cmd = APF_CMD_GET_INFO, .doit = do_get_info },
	{ .cmd = APF_CMD_VM_ADD,   .doit = do_vm_add,   POLICY(vm_add_policy),
	  .internal_flags = OP_CHANGES },
	{ .cmd = APF_CMD_VM_DEL,   .doit = do_vm_del,   POLICY(vm_id_policy),
	  .internal_flags = OP_CHANGES },
	{ .cmd = APF_CMD_VM_SET,   .doit = do_vm_set,   POLICY(vm_set_policy),
	  .internal_flags = OP_CHANGES },
	{ .cmd = APF_CMD_VM_GET,   .doit = do_vm_get,   POLICY(vm_id_policy),
	  .dumpit = dump_vm },
	{ .cmd = APF_CMD_VCPU_SET, .doit = do_vcpu_set, POLICY(set_policy),
	  .internal_flags = OP_CHANGES },
	{ .cmd = APF_CMD_VCPU_GET, .dumpit = dump_vcpu, POLICY(vm_id_policy) },
};

static const struct genl_multicast_group apf_mcgrps[] = {
	[MCGRP_EVENTS] = { .name = APF_GENL_MCGRP_EVENTS },
};

static struct genl_family apf_family __ro_after_init = {
	.name		= APF_GENL_NAME,
	.version	= APF_GENL_VERSION,
	.module		= THIS_MODULE,
	.ops		= apf_ops,
	.n_ops		= ARRAY_SIZE(apf_ops),
	.mcgrps		= apf_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(apf_mcgrps),
	.pre_doit	= pre_doit,
	APF_GENL_RESV_START_OP(APF_CMD_UNSPEC + 1)
};

int apf_host_netlink_init(void)
{
	int ret;

	ret = genl_register_family(&apf_family);
	if (ret)
		return ret;

	mutex_lock(&event_lock);
	family_up = true;
	mutex_unlock(&event_lock);
	return 0;
}

void apf_host_netlink_uninit(void)
{
	mutex_lock(&event_lock);
	family_up = false;
	mutex_unlock(&event_lock);

	genl_unregister_family(&apf_family);
}
