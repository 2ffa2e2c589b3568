/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-lists.h"

#include "append.h"
#include "names.h"
#include "server.h"
#include "vm.h"

#define CHECK(call)               \
	do {                      \
		r = (call);       \
		if (r < 0)        \
			return r; \
	} while (0)

static int append_vcpu(sd_bus_message *m, const struct vm *vm, size_t at)
{
	const struct genl_vcpu *vcpu = &vm->vcpus[at];
	static const char *const guest_apf_names[] = {
		[APF_GUEST_APF_OFF] = NAME_OFF,
		[APF_GUEST_APF_USER] = "user",
		[APF_GUEST_APF_ALWAYS] = "always",
	};
	static const enum stats_count hists[] = { STATS_HIST_ASYNC, STATS_HIST_SYNC };
	int r;

	CHECK(sd_bus_message_open_container(m, 'a', "{sv}"));
	CHECK(sd_bus_message_append(m, "{sv}", "Index", "u", vcpu->index));
	CHECK(sd_bus_message_append(m, "{sv}", "VCPUID", "u", vcpu->vcpu_id));
	CHECK(sd_bus_message_append(m, "{sv}", "State", "s",
				    vm_state_to_string((enum vm_state)vcpu->state)));
	CHECK(sd_bus_message_append(m, "{sv}", "GuestAPF", "s", guest_apf_names[vcpu->guest_apf]));
	if (stats_counted(&vcpu->totals, STATS_OUTSTANDING))
		CHECK(sd_bus_message_append(m, "{sv}", "Outstanding", "u", vcpu->outstanding));
	CHECK(sd_bus_message_append(m, "{sv}", "Paused", "b", vcpu->paused));
	if (vcpu->guest.present) {
		CHECK(sd_bus_message_open_container(m, 'e', "sv"));
		CHECK(sd_bus_message_append(m, "s", "GuestReport"));
		CHECK(sd_bus_message_open_container(m, 'v', "a{su}"));
		CHECK(append_guest(m, vcpu->guest.value, true));
		CHECK(sd_bus_message_close_container(m));
		CHECK(sd_bus_message_close_container(m));
	}

	CHECK(sd_bus_message_open_container(m, 'e', "sv"));
	CHECK(sd_bus_message_append(m, "s", "Counters"));
	CHECK(sd_bus_message_open_container(m, 'v', "a{st}"));
	CHECK(append_counters(m, &vcpu->totals));
	CHECK(sd_bus_message_close_container(m));
	CHECK(sd_bus_message_close_container(m));

	for (size_t i = 0; i < ELEMENTSOF(hists); i++) {
		if (!stats_counted(&vcpu->totals, hists[i]))
			continue;
		CHECK(sd_bus_message_open_container(m, 'e', "sv"));
		CHECK(sd_bus_message_append(m, "s", stats_count_names[hists[i]]));
		CHECK(sd_bus_message_open_container(m, 'v', "at"));
		CHECK(append_histogram(m, &vcpu->totals, hists[i]));
		CHECK(sd_bus_message_close_container(m));
		CHECK(sd_bus_message_close_container(m));
	}
	return sd_bus_message_close_container(m);
}

/* Appends the entry "Inputs" to the open dictionary. */
static int append_inputs(sd_bus_message *m, const struct policy_figures *f)
{
	int r;

	CHECK(sd_bus_message_open_container(m, 'e', "sv"));
	CHECK(sd_bus_message_append(m, "s", "Inputs"));
	CHECK(sd_bus_message_open_container(m, 'v', "a{sd}"));
	CHECK(append_figures(m, f));
	CHECK(sd_bus_message_close_container(m));
	return sd_bus_message_close_container(m);
}

static int append_explanation(sd_bus_message *m, const struct vm *vm, size_t at)
{
	const struct governor_vcpu *v = &vm->governor.vcpus[at];
	char reason[POLICY_REASON_MAX];
	int r;

	governor_reason(vm, v, reason);
	CHECK(sd_bus_message_open_container(m, 'a', "{sv}"));
	CHECK(sd_bus_message_append(m, "{sv}", "Index", "u", v->index));
	CHECK(sd_bus_message_append(m, "{sv}", "Mode", "s",
				    policy_mode_to_string(vm_vcpu_mode(vm, v->index))));
	CHECK(sd_bus_message_append(m, "{sv}", "State", "s",
				    vm_state_to_string((enum vm_state)v->policy.state)));
	CHECK(sd_bus_message_append(m, "{sv}", "Since", "t", v->since_usec));
	CHECK(sd_bus_message_append(m, "{sv}", "Rule", "s", policy_rule_to_string(v->policy.rule)));
	CHECK(sd_bus_message_append(m, "{sv}", "Reason", "s", reason));
	CHECK(append_inputs(m, &v->figures));
	return sd_bus_message_close_container(m);
}

static int append_decision(sd_bus_message *m, const struct vm *vm, size_t at)
{
	const struct decision *d = history_at(&vm->governor.history, at);
	int r;

	CHECK(sd_bus_message_open_container(m, 'a', "{sv}"));
	CHECK(sd_bus_message_append(m, "{sv}", "Time", "t", d->time_usec));
	CHECK(sd_bus_message_open_container(m, 'e', "sv"));
	CHECK(sd_bus_message_append(m, "s", "VCPUs"));
	CHECK(sd_bus_message_open_container(m, 'v', "au"));
	CHECK(sd_bus_message_append_array(m, 'u', d->indices,
					  d->n_indices * sizeof(d->indices[0])));
	CHECK(sd_bus_message_close_container(m));
	CHECK(sd_bus_message_close_container(m));
	CHECK(sd_bus_message_append(m, "{sv}", "State", "s",
				    vm_state_to_string((enum vm_state)d->state)));
	CHECK(sd_bus_message_append(m, "{sv}", "Rule", "s", policy_rule_to_string(d->rule)));
	CHECK(sd_bus_message_append(m, "{sv}", "Reason", "s", d->reason));
	CHECK(append_inputs(m, &d->figures));
	CHECK(sd_bus_message_append(m, "{sv}", "DryRun", "b", (int)d->dry_run));
	return sd_bus_message_close_container(m);
}
#undef CHECK

/* Answers with a list of @n dictionaries; @append appends one of them. */
static int answer_list(sd_bus_message *message, const struct vm *vm, size_t n,
		       int (*append)(sd_bus_message *reply, const struct vm *vm, size_t i))
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = append(reply, vm, i);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}

int vm_list_vcpus(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct vm *vm = userdata;
	int r;

	r = server_check_watched(vm, error);
	/* Use the last reading, a second old at most, so that callers cannot cause requests. */
	return r < 0 ? r : answer_list(message, vm, vm->n_vcpus, append_vcpu);
}

int vm_list_reasons(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct vm *vm = userdata;
	int r;

	r = server_check_watched(vm, error);
	return r < 0 ? r : answer_list(message, vm, vm->governor.n_vcpus, append_explanation);
}

int vm_list_decisions(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return answer_list(message, vm, vm->governor.history.n, append_decision);
}
