// SPDX-License-Identifier: GPL-2.0
/* The switch of one VM, and the words for what it is set to. */
import { Label, ToggleGroup, ToggleGroupItem } from "./pf.js";

const MODES = [
	["auto", "apfd decides by the VM's pressure"],
	["on", "whatever KVM would do"],
	["pv", "asynchronous only while the guest can be told"],
	["off", "every swap-in stops the vCPU"],
];

const COLOURS = { on: "green", pv: "teal", off: "grey", mixed: "orange", unknown: "grey" };

export const modeOf = vm => vm.Mode ?? vm.State;

export function Gate({ state }) {
	return <Label isCompact color={COLOURS[state] || "grey"}>{state}</Label>;
}

export function ModeSwitch({ vm, pending, onSet }) {
	const modes = MODES.filter(([mode]) => mode !== "auto" || "Mode" in vm);
	/* A setting can be kept for a VM that is not watched yet, a gate cannot be changed. */
	const disabled = !vm.Watched && !("Mode" in vm);
	const chosen = pending ?? modeOf(vm);

	return (
		<ToggleGroup isCompact aria-label={`Asynchronous page faults of ${vm.Name}`} aria-busy={pending !== undefined}>
			{modes.map(([mode, title]) =>
				<ToggleGroupItem key={mode} text={mode} title={title} buttonId={`apf-${vm.UUID}-${mode}`}
					isSelected={chosen === mode} isDisabled={disabled}
					/* not disabled meanwhile: that would take the focus away from who pressed it */
					onChange={() => pending === undefined && chosen !== mode && onSet(vm, mode)} />)}
		</ToggleGroup>
	);
}
