// SPDX-License-Identifier: GPL-2.0
/* The memory of a VM in its details, and the host's in a line. */
import { Facts } from "./facts.jsx";
import { _ } from "./i18n.js";
import { HOST_STATES, hostLine, memoryFigures } from "./memory.js";
import { Label, Title } from "./pf.js";

const COLOURS = { calm: "green", reclaiming: "blue", swapping: "orange", thrashing: "red" };

export function MemoryFigures({ vm }) {
	const groups = memoryFigures(vm);
	return (
		<section id="apf-memory">
			<Title headingLevel="h3" size="md">{_("Memory of the VM on the host")}</Title>
			{groups ? groups.map(([group, rows]) =>
				<div key={group} className="apf-group">
					<Title headingLevel="h4" size="md" className="apf-group-title">{group}</Title>
					<Facts rows={rows} className="apf-figures" />
				</div>)
				: <p>{_("This apfd is older than the page and has no such figures.")}</p>}
		</section>
	);
}

export function HostLine({ host }) {
	const line = hostLine(host);
	const state = host.MemoryState;
	if (!line)
		return null;
	return (
		<p id="apf-host-line" data-state={state}>
			{_("Host memory")} <Label isCompact color={COLOURS[state] || "grey"}>{state}</Label>
			{" "}<span className="apf-subtle">{HOST_STATES[state] ? `${HOST_STATES[state]}: ${line}` : line}</span>
		</p>
	);
}
