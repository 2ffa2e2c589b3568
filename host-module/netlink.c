// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink family "apf": the module's whole interface to user space.
 * include/uapi/apf_host.h describes all messages.
 *
 * Context: handlers run in the caller's process, several at once (parallel_ops);
 * apf_host_lock serializes them. Every request needs CAP_NET_ADMIN, which the generic
 * netlink core checks (GENL_ADMIN_PERM).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/utsname.h>
#include <net/genetlink.h>

#include "compat.h"
#include "gate.h"
#include "hooks.h"
#include "netlink.h"
#include "nowait.h"
#include "report.h"
#include "stats.h"
#include "symbol.h"
#include "vm.h"

static struct genl_family apf_family;

/* Guards family_up: a VM may end after the family was unregistered. */
static DEFINE_MUTEX(event_lock);
static bool family_up;

enum { MCGRP_EVENTS };

/* Figures of the vCPU that is being sent; too large for the stack. Under apf_host_lock. */
static struct apf_host_figures figures;

static int refuse(struct netlink_ext_ack *extack, const struct nlattr *attr, int error)
{
	NL_SET_BAD_ATTR(extack, attr);
	return error;
}

/* Under apf_host_lock, which keeps *ret_vm valid. */
static int get_vm(struct genl_info *info, struct apf_host_vm **ret_vm)
{
	const struct nlattr *attr = info->attrs[APF_A_VM_ID];
	struct apf_host_vm *vm;

	if (GENL_REQ_ATTR_CHECK(info, APF_A_VM_ID))
		return -EINVAL;
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

/* Hooks that a counter, or another value below, needs. */
#define PENDING_HOOKS	(BIT(APF_HOOK_NOT_PRESENT) | BIT(APF_HOOK_READY))
#define OUTSTANDING_HOOKS (PENDING_HOOKS | BIT(APF_HOOK_FORGET))
#define SAVED_HOOKS	(OUTSTANDING_HOOKS | BIT(APF_HOOK_STALL) | BIT(APF_HOOK_QUEUED))

static const u32 stat_hooks[__APF_STAT_MAX] = {
	[APF_STAT_NOT_PRESENT]		= BIT(APF_HOOK_NOT_PRESENT),
	[APF_STAT_DELIVERED]		= OUTSTANDING_HOOKS,
	[APF_STAT_HALTED]		= OUTSTANDING_HOOKS,
	[APF_STAT_READY]		= BIT(APF_HOOK_READY),
	[APF_STAT_READY_UNKNOWN]	= PENDING_HOOKS,
	[APF_STAT_READY_ALL]		= BIT(APF_HOOK_READY),
	[APF_STAT_DROPPED]		= OUTSTANDING_HOOKS,
	[APF_STAT_REPEATED]		= BIT(APF_HOOK_REPEATED),
	[APF_STAT_SYNC_STALLS]		= BIT(APF_HOOK_STALL),
	[APF_STAT_SYNC_STALL_NSEC]	= BIT(APF_HOOK_STALL),
	[APF_STAT_ASYNC_NSEC]		= PENDING_HOOKS,
	[APF_STAT_SAVED_NSEC]		= SAVED_HOOKS,
};

/* Whether all hooks of the mask @needed are placed. */
static bool counted(u32 needed)
{
	return !(needed & ~apf_host_hooks_placed());
}

static int put_stats(struct sk_buff *skb, const u64 *stat)
{
	struct nlattr *nest = nla_nest_start(skb, APF_A_STATS);
	int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = APF_STAT_PAD + 1; i <= APF_STAT_MAX; i++)
		if (counted(stat_hooks[i]) && nla_put_u64_64bit(skb, i, stat[i], APF_STAT_PAD))
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

/* Reads the vCPU's counters, and adds the ones that are stored elsewhere. */
static void read_figures(struct apf_host_vcpu *vcpu, struct apf_host_figures *ret)
{
	apf_host_stats_read(&vcpu->stats, ret);
	ret->stat[APF_STAT_BAD_REPORTS] = atomic64_read(&vcpu->report.bad);
}

/* Under apf_host_lock. -EMSGSIZE: no space, nothing was added; -ENOENT: the VM is ending. */
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
	    nla_put_u8(skb, APF_A_LEASED, vm->leased) ||
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
	    (counted(OUTSTANDING_HOOKS) &&
	     nla_put_u32(skb, APF_A_OUTSTANDING, figures.outstanding)) ||
	    nla_put_u32(skb, APF_A_GUEST_APF, apf_host_vm_guest_apf(vm, index)) ||
	    put_stats(skb, figures.stat) ||
	    (counted(PENDING_HOOKS) &&
	     nla_put(skb, APF_A_HIST_ASYNC, sizeof(figures.hist_async), figures.hist_async)) ||
	    (counted(BIT(APF_HOOK_STALL)) &&
	     nla_put(skb, APF_A_HIST_SYNC, sizeof(figures.hist_sync), figures.hist_sync)) ||
	    nla_put_u8(skb, APF_A_PAUSED, READ_ONCE(vcpu->report.paused)) ||
	    nla_put_u8(skb, APF_A_LEASED, vcpu->leased) ||
	    (report && put_guest(skb, guest)) ||
	    /* Pairs with smp_store_release() in apf_host_vm_learn_features(). */
	    (smp_load_acquire(&vcpu->features_known) &&
	     nla_put_u32(skb, APF_A_KVM_FEATURES, vcpu->features))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* Whether somebody receives events; if not, do not build a message. */
static bool event_wanted(void)
{
	bool wanted;

	mutex_lock(&event_lock);
	wanted = family_up && genl_has_listeners(&apf_family, &init_net, MCGRP_EVENTS);
	mutex_unlock(&event_lock);
	return wanted;
}

/* Makes a message with the kind of event and the VM; NULL if no memory, or nobody receives it. */
static struct sk_buff *event_new(u32 event, u32 vm_id, size_t more, void **ret_hdr)
{
	struct sk_buff *skb;

	if (!event_wanted())
		return NULL;
	skb = genlmsg_new(NLMSG_GOODSIZE + more, GFP_KERNEL);
	if (!skb)
		return NULL;
	*ret_hdr = genlmsg_put(skb, 0, 0, &apf_family, 0, APF_CMD_EVENT);
	if (!*ret_hdr ||
	    nla_put_u32(skb, APF_A_EVENT, event) ||
	    nla_put_u32(skb, APF_A_VM_ID, vm_id)) {
		nlmsg_free(skb);
		return NULL;
	}
	return skb;
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
 * apf_host_netlink_vm_gone() - send the event that a VM has ended
 * @vm: the entry, already removed from the tables
 *
 * Context: process, no lock held.
 */
void apf_host_netlink_vm_gone(const struct apf_host_vm *vm)
{
	struct sk_buff *skb;
	void *hdr;

	skb = event_new(APF_EVENT_VM_GONE, vm->id, 0, &hdr);
	if (!skb)
		return;
	if (nla_put_s32(skb, APF_A_PID, vm->pid))
		nlmsg_free(skb);
	else
		send_event(skb, hdr);
}

/**
 * apf_host_netlink_report() - send an event about a guest's report
 * @vm: the VM
 * @index: its vCPU
 * @event: &enum apf_event
 * @value: the report, by &enum apf_guest_attr
 *
 * Context: process, no lock held.
 */
void apf_host_netlink_report(const struct apf_host_vm *vm, u32 index, u32 event, const u32 *value)
{
	struct sk_buff *skb;
	void *hdr;

	skb = event_new(event, vm->id, 0, &hdr);
	if (!skb)
		return;
	if (nla_put_u32(skb, APF_A_VCPU_INDEX, index) ||
	    (event != APF_EVENT_REPORT_GONE && put_guest(skb, value)))
		nlmsg_free(skb);
	else
		send_event(skb, hdr);
}

/*
 * Sends the event that the caller changed gates. Copies the indices from the request; the
 * message is large enough for all of them.
 */
static void event_gate_changed(const struct genl_info *info, u32 id, u32 state)
{
	char comm[TASK_COMM_LEN];
	struct sk_buff *skb;
	struct nlattr *attr;
	void *hdr;
	int rem;

	skb = event_new(APF_EVENT_GATE_CHANGED, id, genlmsg_len(info->genlhdr), &hdr);
	if (!skb)
		return;
	/* Another thread may change the name meanwhile: the length and the copy must agree. */
	get_task_comm(comm, current->group_leader);
	if (nla_put_u32(skb, APF_A_STATE, state) ||
	    nla_put_s32(skb, APF_A_BY_PID, task_tgid_nr(current)) ||
	    nla_put_string(skb, APF_A_BY_COMM, comm))
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

/**
 * apf_host_netlink_lease_ended() - send the event that a lease changed gates
 * @vm: the VM
 * @whole: all its gates; else those of vCPUs that are marked as leased
 *
 * Context: process, under apf_host_lock.
 */
void apf_host_netlink_lease_ended(const struct apf_host_vm *vm, bool whole)
{
	struct sk_buff *skb;
	u32 i, n = 0;
	void *hdr;

	for (i = 0; !whole && i < vm->vcpus_max; i++)
		n += vm->vcpus[i] && vm->vcpus[i]->leased;
	skb = event_new(APF_EVENT_GATE_CHANGED, vm->id, n * nla_total_size(sizeof(u32)), &hdr);
	if (!skb)
		return;
	if (nla_put_u32(skb, APF_A_STATE, APF_STATE_ON) ||
	    nla_put_s32(skb, APF_A_BY_PID, 0) ||
	    nla_put_string(skb, APF_A_BY_COMM, KBUILD_MODNAME) ||
	    nla_put_string(skb, APF_A_REASON, "the lease was not renewed"))
		goto err_put;
	for (i = 0; !whole && i < vm->vcpus_max; i++)
		if (vm->vcpus[i] && vm->vcpus[i]->leased && nla_put_u32(skb, APF_A_VCPU_INDEX, i))
			goto err_put;
	send_event(skb, hdr);
	return;

err_put:
	nlmsg_free(skb);
}

static int put_hook(struct sk_buff *skb, u32 id)
{
	struct nlattr *nest = nla_nest_start(skb, APF_A_INFO_HOOK);
	char name[128];
	int error;

	if (!nest)
		return -EMSGSIZE;
	apf_host_hooks_describe(id, name, sizeof(name), &error);
	if (nla_put_u32(skb, APF_HOOK_A_ID, id) ||
	    nla_put_string(skb, APF_HOOK_A_NAME, name) ||
	    nla_put_s32(skb, APF_HOOK_A_ERROR, error))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_hooks(struct sk_buff *skb)
{
	u32 id;

	if (nla_put_u32(skb, APF_A_INFO_HOOKS, apf_host_hooks_placed()))
		return -EMSGSIZE;
	for (id = 0; id <= APF_HOOK_MAX; id++)
		if (put_hook(skb, id))
			return -EMSGSIZE;
	return 0;
}

static int do_get_info(struct sk_buff *req, struct genl_info *info)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	u32 vms, leases;
	void *hdr;

	if (!skb)
		return -ENOMEM;

	mutex_lock(&apf_host_lock);
	vms = apf_host_vm_count();
	leases = apf_host_vm_leases();
	mutex_unlock(&apf_host_lock);

	hdr = genlmsg_put_reply(skb, info, &apf_family, 0, APF_CMD_GET_INFO);
	if (!hdr ||
	    nla_put_string(skb, APF_A_INFO_VERSION, APF_HOST_VERSION) ||
	    nla_put_string(skb, APF_A_INFO_KERNEL, init_utsname()->release) ||
	    nla_put_u32(skb, APF_A_INFO_NOWAIT, apf_host_nowait_state()) ||
	    nla_put_u8(skb, APF_A_INFO_NESTED_GUARD, apf_host_gate_nested_guard()) ||
	    nla_put_u32(skb, APF_A_INFO_MAX_VMS, APF_HOST_MAX_VMS) ||
	    nla_put_u32(skb, APF_A_INFO_VMS, vms) ||
	    nla_put_u32(skb, APF_A_INFO_LEASES, leases) ||
	    put_u64(skb, APF_A_INFO_PROBE_MISSES, apf_host_hooks_misses()) ||
	    put_hooks(skb)) {
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
	struct apf_host_vm *vm;
	const char *failed;
	struct file *file;
	bool added;
	u32 state;
	int ret;

	if (GENL_REQ_ATTR_CHECK(info, APF_A_VM_FD))
		return -EINVAL;
	state = info->attrs[APF_A_STATE] ? nla_get_u32(info->attrs[APF_A_STATE]) : APF_STATE_ON;

	file = fget(nla_get_u32(fd));
	if (!file) {
		NL_SET_ERR_MSG(info->extack, "VM_FD is no open descriptor of the caller");
		return refuse(info->extack, fd, -EBADF);
	}
	if (!apf_host_file_is_kvm(file)) {
		NL_SET_ERR_MSG(info->extack, "VM_FD is not the descriptor of a KVM VM");
		ret = refuse(info->extack, fd, -EINVAL);
		goto out_fput;
	}

	ret = apf_host_hooks_get(&failed);
	if (ret) {
		if (!strcmp(failed, "kvm_can_do_async_pf"))
			NL_SET_ERR_MSG(info->extack, "kvm_can_do_async_pf() cannot be hooked");
		else
			NL_SET_ERR_MSG(info->extack, "kvm_arch_destroy_vm() cannot be hooked");
		goto out_fput;
	}

	/* Our reference to the file keeps its VM valid. */
	mutex_lock(&apf_host_lock);
	ret = apf_host_vm_add(file->private_data, state, &vm);
	added = !ret;
	if (!ret || ret == -EEXIST)
		ret = reply_vm(info, vm);
	else if (ret == -ENOSPC)
		NL_SET_ERR_MSG(info->extack, "as many VMs are watched as the module allows");
	mutex_unlock(&apf_host_lock);
	/* A new entry keeps its reference to the hooks until it is freed. */
	if (!added)
		apf_host_hooks_put();
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

/* 0 if there is none. */
static u32 lease_of(const struct genl_info *info)
{
	const struct nlattr *attr = info->attrs[APF_A_LEASE_MSEC];

	return attr ? nla_get_u32(attr) : 0;
}

static int do_renew(struct sk_buff *req, struct genl_info *info)
{
	mutex_lock(&apf_host_lock);
	apf_host_vm_renew_leases();
	mutex_unlock(&apf_host_lock);
	return 0;
}

static int do_vm_set(struct sk_buff *req, struct genl_info *info)
{
	struct apf_host_vm *vm;
	u32 state;
	int ret;

	if (GENL_REQ_ATTR_CHECK(info, APF_A_STATE))
		return -EINVAL;
	state = nla_get_u32(info->attrs[APF_A_STATE]);

	mutex_lock(&apf_host_lock);
	ret = get_vm(info, &vm);
	if (!ret) {
		apf_host_vm_set_state(vm, state, lease_of(info));
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

	if (GENL_REQ_ATTR_CHECK(info, APF_A_STATE) || GENL_REQ_ATTR_CHECK(info, APF_A_VCPU_INDEX))
		return -EINVAL;
	state = nla_get_u32(info->attrs[APF_A_STATE]);

	mutex_lock(&apf_host_lock);
	ret = get_vm(info, &vm);
	if (ret)
		goto out;
	ret = apf_host_vm_refresh(vm, &vcpus);
	if (ret == -ENOENT)
		NL_SET_ERR_MSG(info->extack, "the VM is being destroyed");
	if (ret)
		goto out;

	/* Change all vCPUs or none: check all indices before the first change. */
	nla_for_each_attr(attr, head, len, rem)
		if (nla_type(attr) == APF_A_VCPU_INDEX && nla_get_u32(attr) >= vcpus) {
			NL_SET_ERR_MSG(info->extack, "the VM has no vCPU with this index");
			ret = refuse(info->extack, attr, -ERANGE);
			goto out;
		}
	nla_for_each_attr(attr, head, len, rem)
		if (nla_type(attr) == APF_A_VCPU_INDEX)
			apf_host_vm_set_vcpu_state(vm, nla_get_u32(attr), state, lease_of(info));
	event_gate_changed(info, vm->id, state);
out:
	mutex_unlock(&apf_host_lock);
	return ret;
}

/*
 * Dumps: args[0] is the id of the next VM, args[1] the index of its next vCPU, args[2]
 * the only requested VM, or 0 for all, args[3] whether the dump has begun. VMs that start
 * or end between two calls may be missing in the dump; each message is consistent.
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
 * The first call of a VCPU_GET dump; under apf_host_lock. This is not a start handler,
 * because start handlers of Linux 6.1 have no extended ack.
 */
static int dump_vcpu_begin(struct netlink_callback *cb)
{
	const struct nlattr *attr = nlmsg_find_attr(cb->nlh, GENL_HDRLEN, APF_A_VM_ID);

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
		/* The VM of the last call has ended: begin this VM with its first vCPU. */
		if (id != asked)
			index = 0;
		if (apf_host_vm_refresh(vm, &vcpus))
			continue;
		if (!index)
			apf_host_vm_scan_idle(vm);
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

static const struct nla_policy vm_add_policy[] = {
	[APF_A_VM_FD]		= { .type = NLA_U32 },
	[APF_A_STATE]		= NLA_POLICY_MAX(NLA_U32, APF_STATE_MAX),
};

static const struct nla_policy vm_id_policy[] = {
	[APF_A_VM_ID]		= { .type = NLA_U32 },
};

/* Not const: Linux 6.1 has a pointer to what it could change. */
static struct netlink_range_validation lease_range = {
	.min = APF_LEASE_MIN_MSEC,
	.max = APF_LEASE_MAX_MSEC,
};

static const struct nla_policy vcpu_set_policy[] = {
	[APF_A_VM_ID]		= { .type = NLA_U32 },
	[APF_A_STATE]		= NLA_POLICY_MAX(NLA_U32, APF_STATE_MAX),
	[APF_A_VCPU_INDEX]	= { .type = NLA_U32 },
	[APF_A_REASON]		= { .type = NLA_NUL_STRING, .len = APF_REASON_MAX },
	[APF_A_LEASE_MSEC]	= NLA_POLICY_FULL_RANGE(NLA_U32, &lease_range),
};

static const struct nla_policy vm_set_policy[] = {
	[APF_A_VM_ID]		= { .type = NLA_U32 },
	[APF_A_STATE]		= NLA_POLICY_MAX(NLA_U32, APF_STATE_MAX),
	[APF_A_VCPU_INDEX]	= { .type = NLA_REJECT },
	[APF_A_REASON]		= { .type = NLA_NUL_STRING, .len = APF_REASON_MAX },
	[APF_A_LEASE_MSEC]	= NLA_POLICY_FULL_RANGE(NLA_U32, &lease_range),
};

#define OP(command, ...)	{ .cmd = (command), .flags = GENL_ADMIN_PERM, __VA_ARGS__ }
#define POLICY(p)		.policy = (p), .maxattr = ARRAY_SIZE(p) - 1

static const struct genl_ops apf_ops[] = {
	OP(APF_CMD_GET_INFO, .doit = do_get_info),
	OP(APF_CMD_VM_ADD,   .doit = do_vm_add,   POLICY(vm_add_policy)),
	OP(APF_CMD_VM_DEL,   .doit = do_vm_del,   POLICY(vm_id_policy)),
	OP(APF_CMD_VM_SET,   .doit = do_vm_set,   POLICY(vm_set_policy)),
	OP(APF_CMD_VM_GET,   .doit = do_vm_get,   POLICY(vm_id_policy), .dumpit = dump_vm),
	OP(APF_CMD_VCPU_SET, .doit = do_vcpu_set, POLICY(vcpu_set_policy)),
	OP(APF_CMD_VCPU_GET, .dumpit = dump_vcpu, POLICY(vm_id_policy)),
	OP(APF_CMD_RENEW,    .doit = do_renew),
};

static const struct genl_multicast_group apf_mcgrps[] = {
	[MCGRP_EVENTS] = { .name = APF_GENL_MCGRP_EVENTS, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

static struct genl_family apf_family __ro_after_init = {
	.name		= APF_GENL_NAME,
	.version	= APF_GENL_VERSION,
	.module		= THIS_MODULE,
	.ops		= apf_ops,
	.n_ops		= ARRAY_SIZE(apf_ops),
	.mcgrps		= apf_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(apf_mcgrps),
	.parallel_ops	= true,
	.resv_start_op	= APF_CMD_UNSPEC + 1,
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
