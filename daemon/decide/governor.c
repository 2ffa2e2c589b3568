/* SPDX-License-Identifier: GPL-2.0 */
#include "governor.h"

#include <errno.h>
#include <math.h>

#include "context.h"
#include "gate.h"
#include "vm-log.h"
#include "vm.h"

static struct governor_vcpu *find(struct governor *g, uint32_t index)
{
	for (size_t i = 0; i < g->n_vcpus; i++)
		if (g->vcpus[i].index == index)
			return &g->vcpus[i];
	return NULL;
}

void governor_invalidate(struct vm *vm)
{
	for (size_t i = 0; i < vm->governor.n_vcpus; i++)
		vm->governor.vcpus[i].settled = false;
}

static void gate_changed(struct governor_vcpu *v, enum apf_state state, uint64_t now_usec)
{
	policy_gate_changed(&v->policy, state, now_usec);
	v->since_usec = clock_usec(CLOCK_REALTIME);
	v->settled = false;
}

int governor_match(struct vm *vm, bool anew)
{
	struct governor *g = &vm->governor;
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);
	struct governor_vcpu *vcpus;

	if (!anew && g->n_vcpus == vm->n_vcpus)
		return 0;
	vcpus = calloc(vm->n_vcpus + 1, sizeof(*vcpus));
	if (!vcpus)
		return -ENOMEM;
	for (size_t i = 0; i < vm->n_vcpus; i++) {
		const struct governor_vcpu *known = find(g, vm->vcpus[i].index);

		if (known) {
			vcpus[i] = *known;
		} else {
			vcpus[i].index = vm->vcpus[i].index;
			policy_figures_init(&vcpus[i].figures);
		}
		if (!known || anew)
			gate_changed(&vcpus[i], vm->vcpus[i].state, now_usec);
	}
	free(g->vcpus);
	g->vcpus = vcpus;
	g->n_vcpus = vm->n_vcpus;
	return 0;
}

/* ---- figures ---- */

/* The counters that the figures are made of: while none of them changes, all figures are zero. */
static const enum apf_stat figure_counters[] = {
	APF_STAT_READY,	     APF_STAT_SYNC_STALLS,    APF_STAT_SYNC_STALL_NSEC,
	APF_STAT_ASYNC_NSEC, APF_STAT_REFUSED_NESTED,
};

static bool counters_changed(const struct genl_vcpu *prev, const struct genl_vcpu *cur)
{
	for (size_t i = 0; i < ELEMENTSOF(figure_counters); i++)
		if (prev->totals.counters[figure_counters[i]] !=
		    cur->totals.counters[figure_counters[i]])
			return true;
	return prev->paused != cur->paused ||
	       prev->guest.value[APF_GUEST_A_RESCUES] != cur->guest.value[APF_GUEST_A_RESCUES];
}

static double growth(const struct genl_vcpu *prev, const struct genl_vcpu *cur,
		     enum apf_stat counter)
{
	return stats_growth(&prev->totals, &cur->totals, counter);
}

/* Limits @ratio to 1; NAN stays NAN. */
static double share(double ratio)
{
	return ratio > 1 ? 1 : ratio;
}

void governor_sample(struct vm *vm, size_t i, const struct genl_vcpu *prev,
		     const struct genl_vcpu *cur, uint64_t dt_usec)
{
	struct governor_vcpu *v = &vm->governor.vcpus[i];
	const double seconds = (double)dt_usec / (double)USEC_PER_SEC;
	double *f = v->figures.value;
	double swapins, stalled_sec, waited_sec;

	if (v->settled && !counters_changed(prev, cur))
		return;
	v->settled = false;
	policy_figures_init(&v->figures);
	/* A counter shrank, so the module was loaded again: the figures are not known. */
	for (size_t k = 0; k < ELEMENTSOF(figure_counters); k++)
		if (cur->totals.counters[figure_counters[k]] <
		    prev->totals.counters[figure_counters[k]])
			return;

	/* A counter that the module does not have is NAN, and so is every sum with it. */
	swapins = growth(prev, cur, APF_STAT_READY) + growth(prev, cur, APF_STAT_SYNC_STALLS);
	stalled_sec = growth(prev, cur, APF_STAT_SYNC_STALL_NSEC) / 1e9;
	waited_sec = stalled_sec + growth(prev, cur, APF_STAT_ASYNC_NSEC) / 1e9;
	f[POLICY_NESTED_RATE] = growth(prev, cur, APF_STAT_REFUSED_NESTED) / seconds;
	/* A wait is counted when it ends, and waits overlap: their sum may exceed the interval. */
	f[POLICY_STALL_RATIO] = share(stalled_sec / seconds);
	f[POLICY_WAIT_RATIO] = share(waited_sec / seconds);
	f[POLICY_SWAPIN_RATE] = swapins / seconds;
	if (swapins > 0 && !isnan(waited_sec))
		f[POLICY_LATENCY_USEC] = waited_sec * 1e6 / swapins;
	f[POLICY_POOL_IN_USE] = 0;
	if (cur->paused)
		f[POLICY_POOL_IN_USE] = MAX_OF(cur->guest.value[APF_GUEST_A_POOL_IN_USE], 1);
	if (cur->guest.present)
		f[POLICY_RESCUES] = cur->guest.value[APF_GUEST_A_RESCUES];
}

void governor_not_read(struct vm *vm)
{
	for (size_t i = 0; i < vm->governor.n_vcpus; i++) {
		policy_figures_init(&vm->governor.vcpus[i].figures);
		vm->governor.vcpus[i].settled = false;
	}
}

void governor_pool(struct vm *vm, uint32_t index, uint32_t in_use)
{
	struct governor_vcpu *v = find(&vm->governor, index);

	if (!v)
		return;
	v->figures.value[POLICY_POOL_IN_USE] = in_use;
	v->settled = false;
}

void governor_gate_changed(struct vm *vm, enum apf_state state, const uint32_t *indices,
			   size_t n_indices)
{
	struct governor *g = &vm->governor;
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);

	for (size_t i = 0; i < g->n_vcpus; i++) {
		bool meant = n_indices == 0;

		for (size_t k = 0; !meant && k < n_indices; k++)
			meant = indices[k] == g->vcpus[i].index;
		if (meant && g->vcpus[i].policy.state != state)
			gate_changed(&g->vcpus[i], state, now_usec);
	}
}

/* ---- decisions ---- */

/**
 * struct group - vCPUs that get the same state by the same rule
 * @lead: the vCPU that waits most; its figures are published for the group
 * @decided: some of these decisions are new; false if only the gates are still to be changed
 * @switched: the decision changes the state, not only the pressure
 * @open: some vCPU of the group does not have @state yet
 */
struct group {
	enum apf_state state;
	enum policy_rule rule;
	const struct governor_vcpu *lead;
	bool decided;
	bool switched;
	bool open;
	size_t n_indices;
	uint32_t *indices;
};

/* What governor_run() found out about a vCPU. */
enum mark {
	MARK_DECIDED = 1 << 0,	/* there is a decision to record */
	MARK_SWITCHED = 1 << 1, /* the decision changes the state */
	MARK_OPEN = 1 << 2,	/* the module does not have the state, or its lease, yet */
};

/* Returns NULL without memory; the decision is carried out nevertheless. */
static struct decision *decision_new(const struct group *group, const char *reason, bool dry_run)
{
	struct decision *d = calloc(1, sizeof(*d) + group->n_indices * sizeof(d->indices[0]));

	if (!d) {
		log_oom();
		return NULL;
	}
	d->time_usec = clock_usec(CLOCK_REALTIME);
	d->state = group->state;
	d->rule = group->rule;
	d->switched = group->switched;
	d->dry_run = dry_run;
	d->figures = group->lead->figures;
	memcpy(d->reason, reason, sizeof(d->reason));
	d->n_indices = group->n_indices;
	memcpy(d->indices, group->indices, group->n_indices * sizeof(d->indices[0]));
	return d;
}

/* "0,2,3", truncated to @size. */
static void list_indices(const struct decision *d, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < d->n_indices && len + 8 < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%u", i ? "," : "",
					d->indices[i]);
}

static void log_decision(const struct vm *vm, const struct decision *d)
{
	const double *f = d->figures.value;
	char vcpus[128], rate[32], wait[32], latency[32];

	list_indices(d, vcpus, sizeof(vcpus));
	snprintf(rate, sizeof(rate), "%.1f", f[POLICY_SWAPIN_RATE]);
	snprintf(wait, sizeof(wait), "%.4f", f[POLICY_WAIT_RATIO]);
	snprintf(latency, sizeof(latency), "%.1f", f[POLICY_LATENCY_USEC]);
	log_fields(LOG_INFO, 0,
		   ((const struct log_field[]){
			   { "APF_VM", vm->name },
			   { "APF_UUID", vm->uuid },
			   { "APF_STATE", vm_state_to_string((enum vm_state)d->state) },
			   { "APF_VCPUS", vcpus },
			   { "APF_RULE", policy_rule_to_string(d->rule) },
			   { "APF_REASON", d->reason },
			   { "APF_DRY_RUN", d->dry_run ? "1" : "0" },
			   { "APF_SWAPIN_RATE", isnan(f[POLICY_SWAPIN_RATE]) ? NULL : rate },
			   { "APF_WAIT_RATIO", isnan(f[POLICY_WAIT_RATIO]) ? NULL : wait },
			   { "APF_LATENCY_USEC", isnan(f[POLICY_LATENCY_USEC]) ? NULL : latency },
			   {} }),
		   "VM %s: vCPU %s %s %s (%s): %s", vm->name, vcpus,
		   !d->switched ? "stays" : d->dry_run ? "would be switched" : "switched",
		   vm_state_to_string((enum vm_state)d->state), policy_rule_to_string(d->rule),
		   d->reason);
}

/* Logs and announces a decision, and adds it to the history. */
static void publish(struct vm *vm, const struct group *group, const char *reason, bool dry_run)
{
	struct decision *d = decision_new(group, reason, dry_run);

	if (!d)
		return;
	log_decision(vm, d);
	vm->context->ops->decided(vm, d, vm->context->userdata);
	history_add(&vm->governor.history, d);
}

/*
 * What the policy has closed does not outlive apfd by more than this. Long enough for a restart,
 * and for a machine on which apfd cannot run for a while.
 */
enum { LEASE_MSEC = 30000 };

/* What a person has set stays; open gates are what the kernel has without apfd. */
static bool has_lease(enum apf_state state, enum policy_rule rule)
{
	return state != APF_STATE_ON && rule != POLICY_RULE_MODE;
}

/* Whether the module has to be asked for the gate of the vCPU at @i, or for its lease. */
static bool must_set(const struct vm *vm, size_t i)
{
	const struct policy_vcpu *v = &vm->governor.vcpus[i].policy;

	if (vm->context->dry_run)
		return false;
	if (v->state != vm->vcpus[i].state)
		return true;
	return v->state != APF_STATE_ON && apfd_genl_knows_leases(vm->context->genl) &&
	       vm->vcpus[i].leased != has_lease(v->state, v->rule);
}

/*
 * The state and the lease of the VM's own gate, which is for vCPUs that are added later. A mode of
 * the VM sets the state. In mode auto the state stays; set_whole_vm() changes it. But a closed gate
 * needs a lease then, also if it was closed for a mode that the VM had before.
 */
static bool must_set_later(const struct vm *vm, enum apf_state *ret_state,
			   enum policy_rule *ret_rule)
{
	enum policy_mode mode = vm_mode(vm);

	*ret_state = mode == POLICY_MODE_AUTO ? vm->gate : policy_mode_state(mode);
	*ret_rule = mode == POLICY_MODE_AUTO ? POLICY_RULE_FOUND : POLICY_RULE_MODE;
	if (vm->context->dry_run)
		return false;
	if (vm->gate != *ret_state)
		return true;
	return vm->gate != APF_STATE_ON && apfd_genl_knows_leases(vm->context->genl) &&
	       vm->leased != has_lease(*ret_state, *ret_rule);
}

/* Whether a change of all vCPUs by @rule may change the VM's own gate, too. */
static bool is_whole_vm(const struct vm *vm, enum apf_state state, enum policy_rule rule)
{
	enum policy_mode mode = vm_mode(vm);

	if (mode == POLICY_MODE_AUTO)
		return rule != POLICY_RULE_MODE;
	return rule == POLICY_RULE_MODE && state == policy_mode_state(mode);
}

/* A gate that the module refuses is tried again after 1, 2, 4 seconds, and so on, up to 64. */
enum { RETRY_SHIFT_MAX = 6 };

/* Sets the gates of the vCPUs in @indices, or of the whole VM if @n is 0. 0 or -errno. */
static int carry_out(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n,
		     enum policy_rule rule, const char *reason, uint64_t now_usec)
{
	char text[GENL_TEXT_MAX], words[APF_REASON_MAX + 1];
	const struct gate_change change = {
		.state = state,
		.indices = indices,
		.n_indices = n,
		.lease_msec = has_lease(state, rule) ? LEASE_MSEC : 0,
		.reason = words,
	};
	struct governor *g = &vm->governor;
	int r;

	snprintf(words, sizeof(words), NAME_REASON_POLICY "%s: %s", policy_rule_to_string(rule),
		 reason);
	r = gate_set(vm, &change, text);
	if (r >= 0)
		g->failures = 0;
	/* Without time in this turn of the loop, the next tick requests the change again. */
	if (r >= 0 || r == -ENOENT || r == -ETIME)
		return r;
	log_errno(g->failures > 0 ? LOG_DEBUG : LOG_WARNING, r, "Cannot set the gate of VM %s to %s%s%s",
		  vm->name, vm_state_to_string((enum vm_state)state), text[0] ? ": " : "", text);
	g->retry_usec = now_usec + (USEC_PER_SEC << MIN_OF(g->failures, RETRY_SHIFT_MAX));
	g->failures++;
	return r;
}

static bool waits_more(const struct governor_vcpu *a, const struct governor_vcpu *b)
{
	return a->figures.value[POLICY_WAIT_RATIO] > b->figures.value[POLICY_WAIT_RATIO];
}

/* Moves the first marked vCPU, and all marked vCPUs with the same state and rule, to @ret. */
static void collect_group(const struct vm *vm, uint8_t *marks, struct group *ret)
{
	const struct governor *g = &vm->governor;

	ret->lead = NULL;
	ret->n_indices = 0;
	ret->decided = ret->switched = ret->open = false;
	for (size_t i = 0; i < g->n_vcpus; i++) {
		const struct governor_vcpu *v = &g->vcpus[i];

		if (!marks[i])
			continue;
		if (!ret->lead) {
			ret->lead = v;
			ret->state = v->policy.state;
			ret->rule = v->policy.rule;
		} else if (v->policy.state != ret->state || v->policy.rule != ret->rule) {
			continue;
		}
		if (waits_more(v, ret->lead))
			ret->lead = v;
		ret->decided |= marks[i] & MARK_DECIDED;
		ret->switched |= marks[i] & MARK_SWITCHED;
		ret->open |= marks[i] & MARK_OPEN;
		ret->indices[ret->n_indices++] = v->index;
		marks[i] = 0;
	}
}

/*
 * This changes the gates of all vCPUs, too, so it comes before their own. -ENOENT: the VM is not
 * watched any more.
 */
static int set_later(struct vm *vm, uint64_t now_usec)
{
	const struct governor *g = &vm->governor;
	enum policy_rule rule;
	enum apf_state state;

	if (!must_set_later(vm, &state, &rule) || (g->failures > 0 && now_usec < g->retry_usec))
		return 0;
	return carry_out(vm, state, NULL, 0, rule, NAME_REASON_LATER, now_usec);
}

/* If all vCPUs have the same state, set it for the whole VM, so that new vCPUs get it, too. */
static void set_whole_vm(struct vm *vm, uint64_t now_usec)
{
	const struct governor *g = &vm->governor;
	enum apf_state state;

	if (g->n_vcpus == 0)
		return;
	state = g->vcpus[0].policy.state;
	if (vm->gate == state)
		return;
	for (size_t i = 0; i < g->n_vcpus; i++)
		if (vm->vcpus[i].state != state || g->vcpus[i].policy.state != state ||
		    !is_whole_vm(vm, state, g->vcpus[i].policy.rule))
			return;
	(void)carry_out(vm, state, NULL, 0, g->vcpus[0].policy.rule, NAME_REASON_WHOLE_VM,
			now_usec);
}

/* Adds the figures of the VM and of the host, which are the same for all its vCPUs. */
static void add_shared(const struct vm *vm, struct policy_figures *f)
{
	const struct context *c = vm->context;
	int synchronous = swapdevs_synchronous(&c->swap);
	uint64_t read_usec = swapdevs_read_latency_usec(&c->swap);

	f->value[POLICY_SWAP_SYNCHRONOUS] = synchronous < 0 ? NAN : synchronous;
	f->value[POLICY_READ_LATENCY_USEC] = read_usec > 0 ? (double)read_usec : NAN;
	f->value[POLICY_SOME_AVG10] = vm->view.pressure[PRESSURE_SOME_AVG10];
	f->value[POLICY_FULL_AVG10] = vm->view.pressure[PRESSURE_FULL_AVG10];
	f->value[POLICY_SWAP_BYTES] = vm->view.pressure[PRESSURE_SWAP_BYTES];
	f->value[POLICY_TREND] = vm->view.pressure[PRESSURE_TREND];
}

/* Decides about the vCPU at @i. The enum mark bits of what is to be done. */
static uint8_t decide(struct vm *vm, size_t i, uint64_t now_usec)
{
	struct governor_vcpu *v = &vm->governor.vcpus[i];
	uint8_t mark = 0;

	if (!v->settled) {
		enum apf_state before = v->policy.state;

		add_shared(vm, &v->figures);
		if (policy_decide(&vm->context->policy, vm_vcpu_mode(vm, v->index), &v->figures,
				  now_usec, &v->policy))
			mark |= MARK_DECIDED;
		if (v->policy.state != before) {
			mark |= MARK_SWITCHED;
			v->since_usec = clock_usec(CLOCK_REALTIME);
		}
		v->settled = v->figures.value[POLICY_SWAPIN_RATE] == 0 &&
			     policy_is_settled(&v->policy);
	}
	if (must_set(vm, i))
		mark |= MARK_OPEN;
	return mark;
}

static void run(struct vm *vm, uint8_t *marks, uint32_t *indices, uint64_t now_usec)
{
	const bool dry_run = vm->context->dry_run;
	struct governor *g = &vm->governor;
	bool any = false;

	g->rising = false;
	if (set_later(vm, now_usec) == -ENOENT)
		return;
	for (size_t i = 0; i < g->n_vcpus; i++) {
		marks[i] = decide(vm, i, now_usec);
		g->rising = g->rising || g->vcpus[i].policy.rule == POLICY_RULE_RISING;
		any = any || marks[i];
	}
	while (any) {
		struct group group = { .indices = indices };
		char reason[POLICY_REASON_MAX];
		bool whole;

		collect_group(vm, marks, &group);
		if (!group.lead)
			break;
		policy_reason(&vm->context->policy, &group.lead->figures, &group.lead->policy,
			      reason);
		if (group.decided)
			publish(vm, &group, reason, dry_run);
		if (!group.open || (g->failures > 0 && !group.switched && now_usec < g->retry_usec))
			continue;
		whole = group.n_indices == g->n_vcpus &&
			is_whole_vm(vm, group.state, group.rule);
		if (carry_out(vm, group.state, group.indices, whole ? 0 : group.n_indices,
			      group.rule, reason, now_usec) == -ENOENT)
			return;
	}
	if (any && !dry_run)
		set_whole_vm(vm, now_usec);
}

bool governor_is_settled(const struct vm *vm)
{
	const struct governor *g = &vm->governor;
	enum policy_rule rule;
	enum apf_state state;

	for (size_t i = 0; i < g->n_vcpus; i++)
		if (!g->vcpus[i].settled || must_set(vm, i))
			return false;
	return g->n_vcpus == 0 || !must_set_later(vm, &state, &rule);
}

void governor_run(struct vm *vm, uint64_t now_usec)
{
	_cleanup_free_ uint32_t *indices = NULL;
	_cleanup_free_ uint8_t *marks = NULL;
	struct governor *g = &vm->governor;

	/* The numbers differ until both lists have been updated after a vCPU was added. */
	if (!vm->module_id || g->n_vcpus == 0 || g->n_vcpus != vm->n_vcpus) {
		g->rising = false;
		return;
	}
	/* Decide nothing before the mode is known. */
	if (!vm->settings.known || governor_is_settled(vm)) {
		g->rising = false;
		return;
	}
	indices = calloc(g->n_vcpus, sizeof(*indices));
	marks = calloc(g->n_vcpus, sizeof(*marks));
	if (!indices || !marks) {
		log_oom();
		return;
	}
	run(vm, marks, indices, now_usec);
}

bool governor_misses_pressure(const struct vm *vm)
{
	const struct governor *g = &vm->governor;

	for (size_t i = 0; vm->module_id && i < g->n_vcpus; i++)
		if (!g->vcpus[i].policy.pressure &&
		    vm_vcpu_mode(vm, g->vcpus[i].index) == POLICY_MODE_AUTO)
			return true;
	return false;
}

void governor_apply(struct vm *vm)
{
	governor_invalidate(vm);
	governor_run(vm, clock_usec(CLOCK_MONOTONIC));
}

void governor_reason(const struct vm *vm, const struct governor_vcpu *v,
		     char text[static POLICY_REASON_MAX])
{
	policy_reason(&vm->context->policy, &v->figures, &v->policy, text);
}
