/* SPDX-License-Identifier: GPL-2.0 */
#include "genl-parse.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "utf8.h"
#include "util.h"

/* Same value as the kernel's MAX_ERRNO. */
#define ERRNO_MAX 4095

#define HIST_BYTES (APF_HIST_BUCKETS * sizeof(uint64_t))
#define HIST_POLICY                                                            \
	{                                                                      \
		.type = NLA_UNSPEC, .minlen = HIST_BYTES, .maxlen = HIST_BYTES \
	}

/* clang-format off */
static const struct nla_policy policy[APF_A_MAX + 1] = {
	[APF_A_INFO_VERSION]	  = { .type = NLA_STRING },
	[APF_A_INFO_KERNEL]	  = { .type = NLA_STRING },
	[APF_A_INFO_NOWAIT]	  = { .type = NLA_U32 },
	[APF_A_INFO_NESTED_GUARD] = { .type = NLA_U8 },
	[APF_A_INFO_MAX_VMS]	  = { .type = NLA_U32 },
	[APF_A_INFO_VMS]	  = { .type = NLA_U32 },
	[APF_A_INFO_PROBE_MISSES] = { .type = NLA_U64 },
	[APF_A_VM_ID]		  = { .type = NLA_U32 },
	[APF_A_PID]		  = { .type = NLA_U32 },
	[APF_A_STATE]		  = { .type = NLA_U32 },
	[APF_A_VCPU_COUNT]	  = { .type = NLA_U32 },
	[APF_A_AGE_MSEC]	  = { .type = NLA_U64 },
	[APF_A_VCPU_INDEX]	  = { .type = NLA_U32 },
	[APF_A_VCPU_ID]		  = { .type = NLA_U32 },
	[APF_A_OUTSTANDING]	  = { .type = NLA_U32 },
	[APF_A_GUEST_APF]	  = { .type = NLA_U32 },
	[APF_A_STATS]		  = { .type = NLA_NESTED },
	[APF_A_HIST_ASYNC]	  = HIST_POLICY,
	[APF_A_HIST_SYNC]	  = HIST_POLICY,
	[APF_A_EVENT]		  = { .type = NLA_U32 },
	[APF_A_BY_PID]		  = { .type = NLA_U32 },
	[APF_A_BY_COMM]		  = { .type = NLA_STRING },
	[APF_A_REASON]		  = { .type = NLA_STRING },
	[APF_A_PAUSED]		  = { .type = NLA_U8 },
	[APF_A_GUEST]		  = { .type = NLA_NESTED },
	[APF_A_KVM_FEATURES]	  = { .type = NLA_U32 },
	[APF_A_INFO_HOOKS]	  = { .type = NLA_U32 },
	[APF_A_INFO_HOOK]	  = { .type = NLA_NESTED },
	[APF_A_INFO_LEASES]	  = { .type = NLA_U32 },
	[APF_A_LEASED]		  = { .type = NLA_U8 },
};
/* clang-format on */

static const struct nla_policy hook_policy[APF_HOOK_A_MAX + 1] = {
	[APF_HOOK_A_ID] = { .type = NLA_U32 },
	[APF_HOOK_A_NAME] = { .type = NLA_STRING },
	[APF_HOOK_A_ERROR] = { .type = NLA_U32 },
};

/* clang-format off */
static const struct nla_policy ctrl_policy[CTRL_ATTR_MAX + 1] = {
	[CTRL_ATTR_FAMILY_ID]	 = { .type = NLA_U16 },
	[CTRL_ATTR_FAMILY_NAME]	 = { .type = NLA_STRING },
	[CTRL_ATTR_VERSION]	 = { .type = NLA_U32 },
	[CTRL_ATTR_MCAST_GROUPS] = { .type = NLA_NESTED },
};
/* clang-format on */

static const struct nla_policy group_policy[CTRL_ATTR_MCAST_GRP_MAX + 1] = {
	[CTRL_ATTR_MCAST_GRP_NAME] = { .type = NLA_STRING },
	[CTRL_ATTR_MCAST_GRP_ID] = { .type = NLA_U32 },
};

static int parse(struct nlmsghdr *hdr, struct nlattr *a[static APF_A_MAX + 1])
{
	if (!genlmsg_valid_hdr(hdr, 0))
		return -EBADMSG;
	return genlmsg_parse(hdr, 0, a, APF_A_MAX, policy) < 0 ? -EBADMSG : 0;
}

/* Copies a string and truncates it if it is too long; a missing attribute gives "". */
static void get_string(struct nlattr *a, char *buf, size_t size)
{
	buf[0] = '\0';
	if (a) {
		nla_strlcpy(buf, a, size);
		utf8_make_valid(buf);
	}
}

static uint32_t get_u32(struct nlattr *a)
{
	return a ? nla_get_u32(a) : 0;
}

static int get_state(struct nlattr *a, enum apf_state *ret)
{
	if (!a || nla_get_u32(a) > APF_STATE_MAX)
		return -EBADMSG;
	*ret = (enum apf_state)nla_get_u32(a);
	return 0;
}

static int parse_hook(struct nlattr *nest, uint32_t placed, struct hooks *ret)
{
	struct nlattr *a[APF_HOOK_A_MAX + 1];
	struct hook *hook;

	if (nla_parse_nested(a, APF_HOOK_A_MAX, nest, hook_policy) < 0 || !a[APF_HOOK_A_ID])
		return -EBADMSG;
	/* INFO_HOOKS has no bit for this hook, so its state is not known. */
	if (nla_get_u32(a[APF_HOOK_A_ID]) >= HOOKS_MAX || ret->n >= ELEMENTSOF(ret->hook))
		return 0;
	hook = &ret->hook[ret->n++];
	hook->id = nla_get_u32(a[APF_HOOK_A_ID]);
	hook->placed = placed & (UINT32_C(1) << hook->id);
	hook->error = (int)get_u32(a[APF_HOOK_A_ERROR]);
	/* Ignore a number that is not an errno. */
	if (hook->placed || hook->error > 0 || hook->error < -ERRNO_MAX)
		hook->error = 0;
	get_string(a[APF_HOOK_A_NAME], hook->on, sizeof(hook->on));
	return 0;
}

static int parse_hooks(struct nlmsghdr *hdr, const struct nlattr *mask, struct hooks *ret)
{
	struct nlattr *pos;
	uint32_t placed, seen = 0, last = 0;
	int r, rem;

	memset(ret, 0, sizeof(*ret));
	if (!mask)
		return 0;
	ret->reported = true;
	placed = nla_get_u32(mask);
	/* INFO_HOOK is repeated; the caller's attribute table contains only the last one. */
	nla_for_each_attr(pos, genlmsg_attrdata(genlmsg_hdr(hdr), 0),
			  genlmsg_attrlen(genlmsg_hdr(hdr), 0), rem) {
		if (nla_type(pos) != APF_A_INFO_HOOK)
			continue;
		r = parse_hook(pos, placed, ret);
		if (r < 0)
			return r;
	}
	/* Hooks for which the module sent a bit in INFO_HOOKS, but no INFO_HOOK. */
	for (size_t i = 0; i < ret->n; i++) {
		seen |= UINT32_C(1) << ret->hook[i].id;
		last = MAX_OF(last, ret->hook[i].id);
	}
	/* The module sends all hooks that it knows: hooks after the last one are newer. */
	if (!seen)
		last = APF_HOOK_MAX;
	for (uint32_t id = 0; id <= MIN_OF(last, (uint32_t)APF_HOOK_MAX) &&
			      ret->n < ELEMENTSOF(ret->hook); id++)
		if (!(seen & (UINT32_C(1) << id)))
			ret->hook[ret->n++] = (struct hook){
				.id = id,
				.placed = placed & (UINT32_C(1) << id),
			};
	return 0;
}

int genl_parse_info(struct nlmsghdr *hdr, struct genl_info *ret)
{
	struct nlattr *a[APF_A_MAX + 1];
	int r;

	r = parse(hdr, a);
	if (r < 0)
		return r;
	if (!a[APF_A_INFO_VERSION] || !a[APF_A_INFO_NOWAIT] ||
	    nla_get_u32(a[APF_A_INFO_NOWAIT]) > APF_NOWAIT_MAX)
		return -EBADMSG;
	get_string(a[APF_A_INFO_VERSION], ret->version, sizeof(ret->version));
	get_string(a[APF_A_INFO_KERNEL], ret->kernel, sizeof(ret->kernel));
	ret->nowait = (enum apf_nowait)nla_get_u32(a[APF_A_INFO_NOWAIT]);
	ret->nested_guard = a[APF_A_INFO_NESTED_GUARD] && nla_get_u8(a[APF_A_INFO_NESTED_GUARD]);
	ret->max_vms = get_u32(a[APF_A_INFO_MAX_VMS]);
	ret->n_vms = get_u32(a[APF_A_INFO_VMS]);
	ret->probe_misses =
		a[APF_A_INFO_PROBE_MISSES] ? nla_get_u64(a[APF_A_INFO_PROBE_MISSES]) : 0;
	ret->knows_leases = a[APF_A_INFO_LEASES];
	return parse_hooks(hdr, a[APF_A_INFO_HOOKS], &ret->hooks);
}

/* @ret_uncounted: if not NULL, receives a STATS_BIT() for each counter that is missing. */
static int parse_stats(struct nlattr *nest, uint64_t counters[static APF_STAT_MAX + 1],
		       uint64_t *ret_uncounted)
{
	struct nla_policy stat_policy[APF_STAT_MAX + 1] = {};
	struct nlattr *a[APF_STAT_MAX + 1];

	for (int i = APF_STAT_PAD + 1; i <= APF_STAT_MAX; i++)
		stat_policy[i].type = NLA_U64;
	if (nla_parse_nested(a, APF_STAT_MAX, nest, stat_policy) < 0)
		return -EBADMSG;
	for (int i = APF_STAT_PAD + 1; i <= APF_STAT_MAX; i++) {
		counters[i] = a[i] ? nla_get_u64(a[i]) : 0;
		if (!a[i] && ret_uncounted)
			*ret_uncounted |= STATS_BIT(i);
	}
	return 0;
}

int genl_parse_vm(struct nlmsghdr *hdr, struct genl_vm *ret)
{
	struct nlattr *a[APF_A_MAX + 1];
	int r;

	r = parse(hdr, a);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->id = get_u32(a[APF_A_VM_ID]);
	if (ret->id == 0)
		return -EBADMSG;
	r = get_state(a[APF_A_STATE], &ret->state);
	if (r < 0)
		return r;
	ret->pid = (pid_t)get_u32(a[APF_A_PID]);
	ret->n_vcpus = get_u32(a[APF_A_VCPU_COUNT]);
	ret->age_msec = a[APF_A_AGE_MSEC] ? nla_get_u64(a[APF_A_AGE_MSEC]) : 0;
	ret->leased_known = a[APF_A_LEASED];
	ret->leased = a[APF_A_LEASED] && nla_get_u8(a[APF_A_LEASED]);
	ret->has_counters = a[APF_A_STATS];
	return a[APF_A_STATS] ? parse_stats(a[APF_A_STATS], ret->counters, NULL) : 0;
}

/* @nest is NULL if there is no report. The module has already checked the guest's values. */
static int parse_guest(struct nlattr *nest, struct genl_guest *ret)
{
	struct nla_policy guest_policy[APF_GUEST_A_MAX + 1] = {};
	struct nlattr *a[APF_GUEST_A_MAX + 1];

	memset(ret, 0, sizeof(*ret));
	if (!nest)
		return 0;
	for (int i = APF_GUEST_A_UNSPEC + 1; i <= APF_GUEST_A_MAX; i++)
		guest_policy[i].type = NLA_U32;
	if (nla_parse_nested(a, APF_GUEST_A_MAX, nest, guest_policy) < 0)
		return -EBADMSG;
	if (!a[APF_GUEST_A_POOL_SIZE] || !a[APF_GUEST_A_POOL_IN_USE])
		return -EBADMSG;
	for (int i = APF_GUEST_A_UNSPEC + 1; i <= APF_GUEST_A_MAX; i++)
		ret->value[i] = get_u32(a[i]);
	ret->present = true;
	return 0;
}

int genl_parse_vcpu(struct nlmsghdr *hdr, struct genl_vcpu *ret)
{
	struct nlattr *a[APF_A_MAX + 1];
	int r;

	r = parse(hdr, a);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->vm_id = get_u32(a[APF_A_VM_ID]);
	if (ret->vm_id == 0 || !a[APF_A_VCPU_INDEX] || !a[APF_A_STATS])
		return -EBADMSG;
	ret->index = nla_get_u32(a[APF_A_VCPU_INDEX]);
	if (ret->index >= GENL_VCPUS_MAX || get_u32(a[APF_A_GUEST_APF]) > APF_GUEST_APF_ALWAYS)
		return -EBADMSG;
	r = get_state(a[APF_A_STATE], &ret->state);
	if (r < 0)
		return r;
	ret->vcpu_id = get_u32(a[APF_A_VCPU_ID]);
	ret->outstanding = get_u32(a[APF_A_OUTSTANDING]);
	ret->guest_apf = (enum apf_guest_apf)get_u32(a[APF_A_GUEST_APF]);
	ret->leased = a[APF_A_LEASED] && nla_get_u8(a[APF_A_LEASED]);
	ret->paused = a[APF_A_PAUSED] && nla_get_u8(a[APF_A_PAUSED]);
	ret->kvm_features_known = a[APF_A_KVM_FEATURES];
	ret->kvm_features = get_u32(a[APF_A_KVM_FEATURES]);
	r = parse_guest(a[APF_A_GUEST], &ret->guest);
	if (r < 0)
		return r;
	if (!a[APF_A_OUTSTANDING])
		ret->totals.uncounted |= STATS_BIT(STATS_OUTSTANDING);
	/* Attributes are aligned to 4 bytes only: copy, do not point. */
	if (a[APF_A_HIST_ASYNC])
		memcpy(ret->totals.hist_async, nla_data(a[APF_A_HIST_ASYNC]), HIST_BYTES);
	else
		ret->totals.uncounted |= STATS_BIT(STATS_HIST_ASYNC);
	if (a[APF_A_HIST_SYNC])
		memcpy(ret->totals.hist_sync, nla_data(a[APF_A_HIST_SYNC]), HIST_BYTES);
	else
		ret->totals.uncounted |= STATS_BIT(STATS_HIST_SYNC);
	return parse_stats(a[APF_A_STATS], ret->totals.counters, &ret->totals.uncounted);
}

uint32_t genl_parse_vm_id(struct nlmsghdr *hdr)
{
	struct nlattr *a;

	if (!genlmsg_valid_hdr(hdr, 0))
		return 0;
	a = nlmsg_find_attr(hdr, GENL_HDRLEN, APF_A_VM_ID);
	return a && nla_len(a) >= (int)sizeof(uint32_t) ? nla_get_u32(a) : 0;
}

static int parse_gate_event(struct nlmsghdr *hdr, struct nlattr *a[static APF_A_MAX + 1],
			    struct genl_event *ret)
{
	struct nlattr *pos;
	int r, rem;

	r = get_state(a[APF_A_STATE], &ret->state);
	if (r < 0)
		return r;
	ret->by_pid = (pid_t)get_u32(a[APF_A_BY_PID]);
	get_string(a[APF_A_BY_COMM], ret->by_comm, sizeof(ret->by_comm));
	get_string(a[APF_A_REASON], ret->reason, sizeof(ret->reason));

	/* VCPU_INDEX is repeated; the table @a contains only the last one. */
	nla_for_each_attr(pos, genlmsg_attrdata(genlmsg_hdr(hdr), 0),
			  genlmsg_attrlen(genlmsg_hdr(hdr), 0), rem) {
		if (nla_type(pos) != APF_A_VCPU_INDEX)
			continue;
		if (ret->n_indices >= ELEMENTSOF(ret->indices) ||
		    nla_get_u32(pos) >= GENL_VCPUS_MAX)
			return -EBADMSG;
		ret->indices[ret->n_indices++] = nla_get_u32(pos);
	}
	return 0;
}

static int parse_guest_event(struct nlattr *a[static APF_A_MAX + 1], struct genl_event *ret)
{
	if (!a[APF_A_VCPU_INDEX] || nla_get_u32(a[APF_A_VCPU_INDEX]) >= GENL_VCPUS_MAX)
		return -EBADMSG;
	if (!a[APF_A_GUEST] != (ret->type == APF_EVENT_REPORT_GONE))
		return -EBADMSG;
	ret->indices[0] = nla_get_u32(a[APF_A_VCPU_INDEX]);
	ret->n_indices = 1;
	return parse_guest(a[APF_A_GUEST], &ret->guest);
}

int genl_parse_event(struct nlmsghdr *hdr, struct genl_event *ret)
{
	struct nlattr *a[APF_A_MAX + 1];
	int r;

	r = parse(hdr, a);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->vm_id = get_u32(a[APF_A_VM_ID]);
	if (ret->vm_id == 0 || !a[APF_A_EVENT] || nla_get_u32(a[APF_A_EVENT]) > APF_EVENT_MAX)
		return -EBADMSG;
	ret->type = (enum apf_event)nla_get_u32(a[APF_A_EVENT]);
	ret->pid = (pid_t)get_u32(a[APF_A_PID]);
	switch (ret->type) {
	case APF_EVENT_GATE_CHANGED:
		return parse_gate_event(hdr, a, ret);
	case APF_EVENT_POOL_TAKEN:
	case APF_EVENT_POOL_RETURNED:
	case APF_EVENT_POOL_EXHAUSTED:
	case APF_EVENT_WAITER_OLD:
	case APF_EVENT_REPORT_GONE:
	case APF_EVENT_SLOT_STUCK:
		return parse_guest_event(a, ret);
	default:
		return 0;
	}
}

static int parse_ctrl(struct nlmsghdr *hdr, struct nlattr *a[static CTRL_ATTR_MAX + 1])
{
	if (!genlmsg_valid_hdr(hdr, 0))
		return -EBADMSG;
	return genlmsg_parse(hdr, 0, a, CTRL_ATTR_MAX, ctrl_policy) < 0 ? -EBADMSG : 0;
}

/* 0 and *ret_group unchanged if there is no such group. */
static int find_group(struct nlattr *groups, const char *name, uint32_t *ret_group)
{
	struct nlattr *pos;
	int rem, seen = 0;

	nla_for_each_nested(pos, groups, rem) {
		struct nlattr *g[CTRL_ATTR_MCAST_GRP_MAX + 1];

		if (++seen > GENL_GROUPS_MAX)
			return -EBADMSG;
		if (nla_parse_nested(g, CTRL_ATTR_MCAST_GRP_MAX, pos, group_policy) < 0)
			return -EBADMSG;
		if (g[CTRL_ATTR_MCAST_GRP_NAME] && g[CTRL_ATTR_MCAST_GRP_ID] &&
		    nla_strcmp(g[CTRL_ATTR_MCAST_GRP_NAME], name) == 0)
			*ret_group = nla_get_u32(g[CTRL_ATTR_MCAST_GRP_ID]);
	}
	return 0;
}

int genl_parse_family(struct nlmsghdr *hdr, struct genl_family *ret)
{
	struct nlattr *a[CTRL_ATTR_MAX + 1];
	int r;

	r = parse_ctrl(hdr, a);
	if (r < 0)
		return r;
	if (!a[CTRL_ATTR_FAMILY_NAME] || !a[CTRL_ATTR_FAMILY_ID])
		return -EBADMSG;
	memset(ret, 0, sizeof(*ret));
	ret->is_ours = nla_strcmp(a[CTRL_ATTR_FAMILY_NAME], APF_GENL_NAME) == 0;
	ret->id = nla_get_u16(a[CTRL_ATTR_FAMILY_ID]);
	/* Lower message types are reserved for netlink itself. */
	if (ret->id < NLMSG_MIN_TYPE)
		return -EBADMSG;
	ret->version = get_u32(a[CTRL_ATTR_VERSION]);
	if (a[CTRL_ATTR_MCAST_GROUPS])
		return find_group(a[CTRL_ATTR_MCAST_GROUPS], APF_GENL_MCGRP_EVENTS,
				  &ret->events_group);
	return 0;
}

int genl_parse_group(struct nlmsghdr *hdr, const char *name, uint32_t *ret_group)
{
	struct nlattr *a[CTRL_ATTR_MAX + 1];
	uint32_t group = 0;
	int r;

	r = parse_ctrl(hdr, a);
	if (r < 0)
		return r;
	if (a[CTRL_ATTR_MCAST_GROUPS]) {
		r = find_group(a[CTRL_ATTR_MCAST_GROUPS], name, &group);
		if (r < 0)
			return r;
	}
	if (group == 0)
		return -ENOENT;
	*ret_group = group;
	return 0;
}

int genl_parse_ack(const struct nlmsghdr *hdr, char text[static GENL_TEXT_MAX])
{
	size_t len = hdr->nlmsg_len, offset;
	struct nlattr *pos;
	int error, rem;

	text[0] = '\0';
	if (len < NLMSG_LENGTH(sizeof(error)))
		return hdr->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&error, NLMSG_DATA(hdr), sizeof(error));
	if (error > 0)
		return -EBADMSG;
	if (!(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return error;

	offset = NLMSG_LENGTH(sizeof(error));
	if (hdr->nlmsg_type == NLMSG_ERROR) {
		struct nlmsghdr request;

		/* The request's header follows, then its payload unless NLM_F_CAPPED is set. */
		if (len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
			return -EBADMSG;
		memcpy(&request, (const char *)NLMSG_DATA(hdr) + sizeof(error), sizeof(request));
		offset = NLMSG_LENGTH(sizeof(struct nlmsgerr));
		if (!(hdr->nlmsg_flags & NLM_F_CAPPED) && request.nlmsg_len > sizeof(request)) {
			if (request.nlmsg_len > len)
				return -EBADMSG;
			offset += NLMSG_ALIGN(request.nlmsg_len - sizeof(request));
		}
	}
	if (offset > len)
		return -EBADMSG;
	nla_for_each_attr(pos, (struct nlattr *)((char *)hdr + offset), (int)(len - offset), rem) {
		if (nla_type(pos) == NLMSGERR_ATTR_MSG) {
			nla_strlcpy(text, pos, GENL_TEXT_MAX);
			utf8_make_valid(text);
		}
	}
	return error;
}

/* ---- arrays ---- */

int genl_vcpus_add(struct genl_vcpus *v, const struct genl_vcpu *vcpu)
{
	if (v->n == v->n_allocated) {
		size_t n = v->n_allocated ? v->n_allocated * 2 : 16;
		struct genl_vcpu *all = realloc(v->all, n * sizeof(*all));

		if (!all)
			return -ENOMEM;
		v->all = all;
		v->n_allocated = n;
	}
	v->all[v->n++] = *vcpu;
	return 0;
}

static int compare_index(const void *a, const void *b)
{
	const struct genl_vcpu *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

void genl_vcpus_sort(struct genl_vcpus *v)
{
	if (v->n > 0)
		qsort(v->all, v->n, sizeof(*v->all), compare_index);
}
