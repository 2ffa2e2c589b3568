// SPDX-License-Identifier: GPL-2.0
/* The mode switch of a VM, and the texts for modes. */
import { memo } from "react";
import { _, format } from "./i18n.js";
import { Label, ToggleGroup, ToggleGroupItem } from "./pf.js";

const MODES = [
	["auto", _("apfd decides from the VM's pressure")],
	["on", _("the default behaviour of KVM")],
	["pv", _("asynchronous only while KVM can notify the guest")],
	["off", _("every swap-in stops the vCPU")],
];

const COLOURS = { on: "green", pv: "teal", off: "grey", mixed: "orange", unknown: "grey" };

export const modeOf = vm => vm.Mode ?? vm.State;

export function Gate({ state }) {
	return <Label isCompact color={COLOURS[state] || "grey"}>{state}</Label>;
}

/* Figures of a VM change all the time, its switch does not. */
const isSame = (a, b) => a.pending === b.pending && a.again === b.again && a.onSet === b.onSet && a.vm.path === b.vm.path &&
	a.vm.Name === b.vm.Name && a.vm.Watched === b.vm.Watched && "Mode" in a.vm === "Mode" in b.vm && modeOf(a.vm) === modeOf(b.vm);

/* @again: choosing the active mode calls onSet(), too: to make it permanent. */
export const ModeSwitch = memo(({ vm, pending, again = false, onSet }) => {
	const modes = MODES.filter(([mode]) => mode !== "auto" || "Mode" in vm);
	/* A mode can be set for a VM that is not watched yet, a gate cannot. */
	const disabled = !vm.Watched && !("Mode" in vm);
	const chosen = pending ?? modeOf(vm);

	return (
		<ToggleGroup isCompact aria-label={format(_("Asynchronous page faults of $0"), vm.Name)} aria-busy={pending !== undefined}>
			{modes.map(([mode, title]) =>
				<ToggleGroupItem key={mode} text={mode} title={title} buttonId={`apf-${vm.UUID}-${mode}`}
					isSelected={chosen === mode} isDisabled={disabled}
					/* not disabled while pending: the button would lose the keyboard focus */
					onChange={() => pending === undefined && (again || chosen !== mode) && onSet(vm, mode)} />)}
		</ToggleGroup>
	);
}, isSame);
