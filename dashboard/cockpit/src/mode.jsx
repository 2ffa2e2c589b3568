// SPDX-License-Identifier: GPL-2.0
/* The mode switch of a VM, and the texts for modes. */
import { Label, ToggleGroup, ToggleGroupItem } from "./pf.js";

const MODES = [
	["auto", "apfd decides from the VM's pressure"],
	["on", "the default behaviour of KVM"],
	["pv", "asynchronous only while KVM can notify the guest"],
	["off", "every swap-in stops the vCPU"],
];

const COLOURS = { on: "green", pv: "teal", off: "grey", mixed: "orange", unknown: "grey" };

export const modeOf = vm => vm.Mode ?? vm.State;

export function Gate({ state }) {
	return <Label isCompact color={COLOURS[state] || "grey"}>{state}</Label>;
}

export function ModeSwitch({ vm, pending, onSet }) {
	const modes = MODES.filter(([mode]) => mode !== "auto" || "Mode" in vm);
	/* A mode can be set for a VM that is not watched yet, a gate cannot. */
	const disabled = !vm.Watched && !("Mode" in vm);
	const chosen = pending ?? modeOf(vm);

	return (
		<ToggleGroup isCompact aria-label={`Asynchronous page faults of ${vm.Name}`} aria-busy={pending !== undefined}>
			{modes.map(([mode, title]) =>
				<ToggleGroupItem key={mode} text={mode} title={title} buttonId={`apf-${vm.UUID}-${mode}`}
					isSelected={chosen === mode} isDisabled={disabled}
					/* not disabled while pending: the button would lose the keyboard focus */
					onChange={() => pending === undefined && chosen !== mode && onSet(vm, mode)} />)}
		</ToggleGroup>
	);
}
