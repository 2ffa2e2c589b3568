/* SPDX-License-Identifier: GPL-2.0 */
#include "governor.h"

#include <errno.h>
#include <math.h>

#include "action.h"
#include "log.h"
#include "manager.h"
#include "vm.h"
#include "vm-bus.h"

void governor_done(struct governor *g)
{
	for (size_t i = 0; i < ELEMENTSOF(g->history); i++)
		free(g->history[i]);
	free(g->vcpus);
	*g = (struct governor){};
}

static struct governor_vcpu *find(struct governor *g, uint32_t index)
{
	for (size_t i = 0; i < g->n_vcpus; i++)
		if (g->vcpus[i].index == index)
			return &g->vcpus[i];
	return NULL;
}

void governor_stir(struct vm *vm)
{
	for (size_t i = 0; i < vm->governor.n_vcpus; i++)
		vm->governor.vcpus[i].quiet = false;
}

static void found(struct governor_vcpu *v, enum apf_state state, uint64_t now_usec)
{
	policy_found(&v->policy, state, now_usec);
	v->since_usec = clock_usec(CLOCK_REALTIME);
	v->quiet = false;
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
			found(&vcpus[i], vm->vcpus[i].state, now_usec);
	}
	free(g->vcpus);
	g->vcpus = vcpus;
	g->n_vcpus = vm->n_vcpus;
	return 0;
}

/* ---- figures ---- */

/* What makes figures; as long as none of it moves, they are all zero. */
static const enum apf_stat moving[] = {
	APF_STAT_READY,	     APF_STAT_SYNC_STALLS,    APF_STAT_SYNC_STALL_NSEC,
	APF_STAT_ASYNC_NSEC, APF_STAT_REFUSED_NESTED,
};

static bool moved(const struct genl_vcpu *prev, const struct genl_vcpu *cur)
{
	for (size_t i = 0; i < ELEMENTSOF(moving); i++)
		if (prev->totals.counters[moving[i]] != cur->totals.counters[moving[i]])
			return true;
	return prev->paused != cur->paused ||
	       prev->guest.value[APF_GUEST_A_RESCUES] != cur->guest.value[APF_GUEST_A_RESCUES];
}

void governor_sample(struct vm *vm, size_t i, const struct genl_vcpu *prev,
		     const struct genl_vcpu *cur, uint64_t dt_usec)
{
	struct governor_vcpu *v = &vm->governor.vcpus[i];
	const double seconds = (double)dt_usec / (double)USEC_PER_SEC;
	double *f = v->figures.value;
	double swapins, stalled_sec, waited_sec;

	if (v->quiet && !moved(prev, cur))
		return;
	v->quiet = false;
	policy_figures_init(&v->figures);
	/* A counter that shrank is of another module: nothing is known of the interval. */
	for (size_t k = 0; k < ELEMENTSOF(moving); k++)
		if (cur->totals.counters[moving[k]] < prev->totals.counters[moving[k]])
			return;

#define GROWTH(c) ((double)(cur->totals.counters[c] - prev->totals.counters[c]))
	swapins = GROWTH(APF_STAT_READY) + GROWTH(APF_STAT_SYNC_STALLS);
	stalled_sec = GROWTH(APF_STAT_SYNC_STALL_NSEC) / 1e9;
	waited_sec = stalled_sec + GROWTH(APF_STAT_ASYNC_NSEC) / 1e9;
	f[POLICY_NESTED_RATE] = GROWTH(APF_STAT_REFUSED_NESTED) / seconds;
#undef GROWTH
	/* Told when they end, waits can exceed the interval; and several of them overlap. */
	f[POLICY_STALL_RATIO] = MIN_OF(stalled_sec / seconds, 1.0);
	f[POLICY_WAIT_RATIO] = MIN_OF(waited_sec / seconds, 1.0);
	f[POLICY_SWAPIN_RATE] = swapins / seconds;
	if (swapins > 0)
		f[POLICY_LATENCY_USEC] = waited_sec * 1e6 / swapins;
	f[POLICY_POOL_IN_USE] = 0;
	if (cur->paused)
		f[POLICY_POOL_IN_USE] = MAX_OF(cur->guest.value[APF_GUEST_A_POOL_IN_USE], 1);
	if (cur->guest.present)
		f[POLICY_RESCUES] = cur->guest.value[APF_GUEST_A_RESCUES];
}

void governor_pool(struct vm *vm, uint32_t index, uint32_t in_use)
{
	struct governor_vcpu *v = find(&vm->governor, index);

	if (!v)
		return;
	v->figures.value[POLICY_POOL_IN_USE] = in_use;
	v->quiet = false;
}

void governor_found(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n_indices)
{
	struct governor *g = &vm->governor;
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);

	for (size_t i = 0; i < g->n_vcpus; i++) {
		bool meant = n_indices == 0;

		for (size_t k = 0; !meant && k < n_indices; k++)
			meant = indices[k] == g->vcpus[i].index;
		if (meant && g->vcpus[i].policy.state != state)
			found(&g->vcpus[i], state, now_usec);
	}
}

/* ---- decisions ---- */

/**
 * struct group - vCPUs that get the same state for the same rule
 * @lead: the one of them that waits most: its figures stand for all
 * @decided: just now, not only not carried out yet
 */
struct group {
	enum apf_state state;
	enum policy_rule rule;
	const struct governor_vcpu *lead;
	bool decided;
	size_t n_indices;
	uint32_t *indices;
};

static void remember(struct governor *g, const struct group *group, const char *reason,
		     bool dry_run)
{
	struct governor_decision *d;
	size_t at;

	d = calloc(1, sizeof(*d) + group->n_indices * sizeof(d->indices[0]));
	if (!d) {
		log_oom();
		return;
	}
	d->time_usec = clock_usec(CLOCK_REALTIME);
	d->state = group->state;
	d->rule = group->rule;
	d->dry_run = dry_run;
	d->figures = group->lead->figures;
	memcpy(d->reason, reason, sizeof(d->reason));
	d->n_indices = group->n_indices;
	memcpy(d->indices, group->indices, group->n_indices * sizeof(d->indices[0]));

	at = (g->history_begin + g->n_history) % ELEMENTSOF(g->history);
	if (g->n_history < ELEMENTSOF(g->history))
		g->n_history++;
	else
		g->history_begin = (g->history_begin + 1) % ELEMENTSOF(g->history);
	free(g->history[at]);
	g->history[at] = d;
}

const struct governor_decision *governor_decision_at(const struct governor *g, size_t i)
{
	return g->history[(g->history_begin + i) % ELEMENTSOF(g->history)];
}

/* "0,2,3"; as much of it as has room. */
static void list_indices(const struct group *group, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < group->n_indices && len + 8 < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%u", i ? "," : "",
					group->indices[i]);
}

static void tell(struct vm *vm, const struct group *group, const char *reason, bool dry_run)
{
	const double *f = group->lead->figures.value;
	char vcpus[128], rate[32], wait[32], latency[32];

	list_indices(group, vcpus, sizeof(vcpus));
	snprintf(rate, sizeof(rate), "%.1f", f[POLICY_SWAPIN_RATE]);
	snprintf(wait, sizeof(wait), "%.4f", f[POLICY_WAIT_RATIO]);
	snprintf(latency, sizeof(latency), "%.1f", f[POLICY_LATENCY_USEC]);
	log_fields(LOG_INFO, 0,
		   ((const struct log_field[]){
			   { "APF_VM", vm->name },
			   { "APF_UUID", vm->uuid },
			   { "APF_STATE", vm_state_to_string((enum vm_state)group->state) },
			   { "APF_VCPUS", vcpus },
			   { "APF_RULE", policy_rule_to_string(group->rule) },
			   { "APF_REASON", reason },
			   { "APF_DRY_RUN", dry_run ? "1" : "0" },
			   { "APF_SWAPIN_RATE", isnan(f[POLICY_SWAPIN_RATE]) ? NULL : rate },
			   { "APF_WAIT_RATIO", isnan(f[POLICY_WAIT_RATIO]) ? NULL : wait },
			   { "APF_LATENCY_USEC", isnan(f[POLICY_LATENCY_USEC]) ? NULL : latency },
			   {} }),
		   "VM %s: vCPU %s %s %s (%s): %s", vm->name, vcpus,
		   dry_run ? "would be switched" : "switched",
		   vm_state_to_string((enum vm_state)group->state),
		   policy_rule_to_string(group->rule), reason);
	vm_bus_decided(vm, group->state, group->indices, group->n_indices, group->rule, reason,
		       &group->lead->figures, dry_run);
}

/* Of one group, or of all vCPUs if it has them all. 0 or what the module says. */
static int carry_out(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n,
		     enum policy_rule rule, const char *reason)
{
	char text[GENL_TEXT_MAX], words[APF_REASON_MAX + 1];
	struct governor *g = &vm->governor;
	int r;

	snprintf(words, sizeof(words), "policy: %s: %s", policy_rule_to_string(rule), reason);
	vm_bus_gate_changing(vm, state, indices, n, words);
	r = action_set_state(vm->manager->genl, vm->module_id, state, indices, n, words, text);
	if (r >= 0) {
		g->failed = false;
		vm_gate_set(vm, state, indices, n);
		return 0;
	}
	if (r == -ENOENT) {
		vm_lost(vm);
		return r;
	}
	/* Tried again with every tick. */
	log_errno(g->failed ? LOG_DEBUG : LOG_WARNING, r, "Cannot set the gate of VM %s to %s%s%s",
		  vm->name, vm_state_to_string((enum vm_state)state), text[0] ? ": " : "", text);
	g->failed = true;
	return r;
}

static bool waits_more(const struct governor_vcpu *a, const struct governor_vcpu *b)
{
	return a->figures.value[POLICY_WAIT_RATIO] > b->figures.value[POLICY_WAIT_RATIO];
}

/* The vCPUs in @todo that belong together with the first of them; they are taken off it. */
static void take_group(const struct vm *vm, bool *todo, const bool *decided, struct group *ret)
{
	const struct governor *g = &vm->governor;

	ret->lead = NULL;
	ret->n_indices = 0;
	ret->decided = false;
	for (size_t i = 0; i < g->n_vcpus; i++) {
		const struct governor_vcpu *v = &g->vcpus[i];

		if (!todo[i])
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
		ret->decided = ret->decided || decided[i];
		ret->indices[ret->n_indices++] = v->index;
		todo[i] = false;
	}
}

/* What all vCPUs have, the VM gets as a whole: those added later, too. */
static void level_vm(struct vm *vm)
{
	const struct governor *g = &vm->governor;
	enum apf_state state;

	if (g->n_vcpus == 0)
		return;
	state = g->vcpus[0].policy.state;
	if (vm->gate == state)
		return;
	for (size_t i = 0; i < g->n_vcpus; i++)
		if (vm->vcpus[i].state != state || g->vcpus[i].policy.state != state)
			return;
	(void)carry_out(vm, state, NULL, 0, g->vcpus[0].policy.rule, "all vCPUs have it");
}

/* The figures of the whole VM and the host, which every vCPU of it shares. */
static void add_shared(const struct vm *vm, struct policy_figures *f)
{
	const struct manager *m = vm->manager;
	int synchronous = swapdevs_synchronous(&m->swap);
	uint64_t read_usec = swapdevs_read_latency_usec(&m->swap);

	f->value[POLICY_SWAP_SYNCHRONOUS] = synchronous < 0 ? NAN : synchronous;
	f->value[POLICY_READ_LATENCY_USEC] = read_usec > 0 ? (double)read_usec : NAN;
	f->value[POLICY_SOME_AVG10] = vm->view.pressure[PRESSURE_SOME_AVG10];
	f->value[POLICY_FULL_AVG10] = vm->view.pressure[PRESSURE_FULL_AVG10];
	f->value[POLICY_SWAP_BYTES] = vm->view.pressure[PRESSURE_SWAP_BYTES];
	f->value[POLICY_TREND] = vm->view.pressure[PRESSURE_TREND];
}

static void run(struct vm *vm, bool *todo, bool *decided, uint32_t *indices, uint64_t now_usec)
{
	const bool dry_run = vm->manager->dry_run;
	struct governor *g = &vm->governor;
	bool any = false;

	g->rising = false;
	for (size_t i = 0; i < g->n_vcpus; i++) {
		struct governor_vcpu *v = &g->vcpus[i];

		if (!v->quiet) {
			add_shared(vm, &v->figures);
			decided[i] = policy_decide(&vm->manager->policy, vm_vcpu_mode(vm, v->index),
						   &v->figures, now_usec, &v->policy);
			if (decided[i])
				v->since_usec = clock_usec(CLOCK_REALTIME);
			v->quiet = v->figures.value[POLICY_SWAPIN_RATE] == 0 &&
				   policy_is_settled(&v->policy);
		}
		g->rising = g->rising || v->policy.rule == POLICY_RULE_RISING;
		todo[i] = decided[i] || (!dry_run && v->policy.state != vm->vcpus[i].state);
		any = any || todo[i];
	}
	while (any) {
		struct group group = { .indices = indices };
		char reason[POLICY_REASON_MAX];
		bool whole;

		take_group(vm, todo, decided, &group);
		if (!group.lead)
			break;
		policy_reason(&vm->manager->policy, &group.lead->figures, &group.lead->policy,
			      reason);
		if (group.decided) {
			remember(g, &group, reason, dry_run);
			tell(vm, &group, reason, dry_run);
		}
		if (dry_run)
			continue;
		whole = group.n_indices == g->n_vcpus;
		if (carry_out(vm, group.state, group.indices, whole ? 0 : group.n_indices,
			      group.rule, reason) == -ENOENT)
			return;
	}
	if (any && !dry_run)
		level_vm(vm);
}

bool governor_is_quiet(const struct vm *vm)
{
	const struct governor *g = &vm->governor;

	for (size_t i = 0; i < g->n_vcpus; i++)
		if (!g->vcpus[i].quiet ||
		    (!vm->manager->dry_run && g->vcpus[i].policy.state != vm->vcpus[i].state))
			return false;
	return true;
}

void governor_run(struct vm *vm, uint64_t now_usec)
{
	_cleanup_free_ uint32_t *indices = NULL;
	_cleanup_free_ bool *marks = NULL;
	struct governor *g = &vm->governor;

	/* The two are of the same vCPUs as soon as both have been told of them. */
	if (!vm->module_id || g->n_vcpus == 0 || g->n_vcpus != vm->n_vcpus)
		return;
	/* A mode that is not known yet may be any. */
	if (!vm->settings.known || governor_is_quiet(vm)) {
		g->rising = false;
		return;
	}
	indices = calloc(g->n_vcpus, sizeof(*indices));
	marks = calloc(2 * g->n_vcpus, sizeof(*marks));
	if (!indices || !marks) {
		log_oom();
		return;
	}
	run(vm, marks, marks + g->n_vcpus, indices, now_usec);
}

bool governor_is_waiting(const struct vm *vm)
{
	const struct governor *g = &vm->governor;

	for (size_t i = 0; vm->module_id && i < g->n_vcpus; i++)
		if (g->vcpus[i].policy.state == APF_STATE_OFF &&
		    vm_vcpu_mode(vm, g->vcpus[i].index) == POLICY_MODE_AUTO)
			return true;
	return false;
}

void governor_reason(const struct vm *vm, const struct governor_vcpu *v,
		     char text[static POLICY_REASON_MAX])
{
	policy_reason(&vm->manager->policy, &v->figures, &v->policy, text);
}
