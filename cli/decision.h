/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the policy wants of a VM, and what it decided, read from D-Bus messages.
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
 * struct explanation - an element of org.apfd.VM1.Explain(), of a vCPU
 * @state: what is wanted
 * @since_usec: since the epoch, 0 if not known
 * @inputs: what was looked at
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
 * @vcpus: whose; empty for the whole VM
 * @dry_run: nothing was done
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

/* As vcpu_array_read() of vm.h. */
int explanations_read(sd_bus_message *m, struct explanations *explanations, const char **ret_bad);
int decisions_read(sd_bus_message *m, struct decisions *decisions, const char **ret_bad);

#endif
