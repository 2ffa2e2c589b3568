// SPDX-License-Identifier: GPL-2.0
#include "cell.h"

#include <inttypes.h>
#include <stdio.h>

#include "format.h"

void cell_mode(struct table *table, const struct vm *vm)
{
	if (vm->mode)
		table_addf(table, "%s%s", vm->mode, vm->vcpu_modes.n > 0 ? "*" : "");
	else
		table_add(table, "-");
}

void cell_pressure(struct table *table, const struct vm *vm)
{
	const struct pressure *pressure = &vm->pressure;
	char text[FORMAT_MAX];

	if (pressure->known[PRESSURE_SOME_AVG10])
		table_add(table, format_share(text, pressure->figures[PRESSURE_SOME_AVG10] / 100));
	else
		table_add(table, "-");
}

void cell_saved(struct table *table, const struct vm *vm)
{
	char text[FORMAT_MAX];

	table_add(table, vm->watched ? format_vcpu_share(text, vm->saved_ratio) : "-");
}

void cell_counter(struct table *table, const struct counters *counters, enum counter counter)
{
	if (counter_known(counters, counter))
		table_addf(table, "%" PRIu64, counters->value[counter]);
	else
		table_add(table, "-");
}

void cell_outstanding(struct table *table, const struct outstanding *outstanding)
{
	if (outstanding->known)
		table_addf(table, "%u", outstanding->pages);
	else
		table_add(table, "-");
}

void cell_vcpu_state(struct table *table, const struct vcpu *vcpu)
{
	char text[64];

	if (!vcpu->paused) {
		table_add_styled(table, style_of_state(vcpu->state), vcpu->state);
		return;
	}
	snprintf(text, sizeof(text), "%s PAUSED", vcpu->state);
	table_add_styled(table, STYLE_WARN, text);
}
