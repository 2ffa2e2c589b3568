/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy's explanations and decisions for a VM, read from D-Bus messages.
 */
#ifndef APFCTL_DECISION_H
#define APFCTL_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "figures.h"
#include "vcpu-list.h"

/**
 * struct explanation - an element of org.apfd.VM1.Explain(): one vCPU
 * @state: state that the policy wants
 * @since_usec: microseconds since the epoch, 0 if not known
 * @inputs: figures that the policy used
 */
struct explanation {
	uint32_t index;
	char *mode;
	char *state;
	uint64_t since_usec;
	char *rule;
	char *reason;
	struct figures inputs;
};

struct explanations {
	struct explanation *all;
	size_t n;
};

/**
 * struct decision - an element of org.apfd.VM1.History()
 * @vcpus: vCPUs it applies to; empty for the whole VM
 * @dry_run: the decision was not carried out
 */
struct decision {
	uint64_t time_usec;
	struct vcpu_list vcpus;
	char *state;
	char *rule;
	char *reason;
	struct figures inputs;
	bool dry_run;
};

struct decisions {
	struct decision *all;
	size_t n;
};

void explanations_clear(struct explanations *explanations);
void decisions_clear(struct decisions *decisions);

/* Contract as for vcpu_array_read() in vm.h. */
int explanations_read(sd_bus_message *m, struct explanations *explanations, const char **ret_bad);
int decisions_read(sd_bus_message *m, struct decisions *decisions, const char **ret_bad);

#endif
