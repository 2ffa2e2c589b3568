// SPDX-License-Identifier: GPL-2.0
import { useState } from "react";
import { alarms } from "./alarms.js";
import { bytes, percent, rate, usec } from "./format.js";
import { swappedKnown } from "./history.js";
import { Gate, ModeSwitch, modeOf } from "./mode.jsx";
import {
	Button, EmptyState, EmptyStateBody, ExclamationCircleIcon, ExclamationTriangleIcon, Icon,
	SearchInput, Table, Tbody, Td, Th, Thead, Toolbar, ToolbarContent, ToolbarItem, Tooltip,
	Tr,
} from "./pf.js";

const COLUMNS = [
	{ label: "Name", key: vm => vm.Name, show: null },
	{ label: "Mode", show: null },
	{ label: "Gate", key: vm => vm.State, show: vm => <Gate state={vm.State} /> },
	{ label: "Async/s", key: vm => vm.AsyncRate, show: vm => watched(vm, rate(vm.AsyncRate)), long: true },
	{ label: "Sync/s", key: vm => vm.SyncRate, show: vm => watched(vm, rate(vm.SyncRate)), long: true },
	{ label: "p95", key: vm => vm.P95USec, show: vm => watched(vm, usec(vm.P95USec)), long: true },
	{ label: "Stopped", key: vm => vm.StallRatio, show: vm => watched(vm, percent(vm.StallRatio)) },
	{ label: "Saved", key: vm => vm.SavedRatio ?? NaN, show: vm => watched(vm, percent(vm.SavedRatio)), long: true },
	{ label: "On swap", key: vm => swappedKnown(vm) ? vm.SwappedBytes : NaN, show: vm => swappedKnown(vm) ? bytes(vm.SwappedBytes) : "–" },
	{ label: "Guest", show: vm => <Guest vm={vm} />, long: true },
];

/* Figures of a VM that is not watched do not change and have no meaning. */
const watched = (vm, text) => vm.Watched ? text : "–";

/* From this number of VMs on, the table has a search field. */
const SEARCH_FROM = 8;

/* Sort unknown figures below 0. */
const rank = value => Number.isNaN(value) ? -1 : value;

function compare(a, b) {
	return typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : rank(a) - rank(b);
}

function Guest({ vm }) {
	const found = alarms(vm);
	if (!found.length)
		return vm.GuestModule === "present" ? "reports" : vm.GuestModule === "absent" ? "no report" : "–";
	const danger = found.some(a => a.severity === "danger");
	return (
		<Tooltip content={found.map(a => a.text).join(" ")}>
			<span tabIndex={0} className="apf-guest">
				<Icon status={danger ? "danger" : "warning"} isInline>
					{danger ? <ExclamationCircleIcon /> : <ExclamationTriangleIcon />}
				</Icon>
				{" "}{danger ? "pool in use" : "warning"}
			</span>
		</Tooltip>
	);
}

function Row({ vm, columns, selected, pending, onSelect, onSet }) {
	return (
		<Tr isRowSelected={selected} data-vm={vm.Name} data-mode={modeOf(vm)} data-state={vm.State}>
			<Td dataLabel="Name" modifier="breakWord">
				<Button variant="link" isInline id={`apf-open-${vm.UUID}`} aria-expanded={selected}
					aria-controls={selected ? "apf-drawer" : undefined} onClick={() => onSelect(selected ? null : vm.path)}>
					{vm.Name}
				</Button>
			</Td>
			<Td dataLabel="Mode"><ModeSwitch vm={vm} pending={pending} onSet={onSet} /></Td>
			{columns.filter(c => c.show).map(({ label, show }) =>
				<Td key={label} dataLabel={label} modifier="nowrap">{show(vm)}</Td>)}
		</Tr>
	);
}

export function VMTable({ vms, selected, pending, short, onSelect, onSet }) {
	const [sort, setSort] = useState({ index: 0, direction: "asc" });
	const [search, setSearch] = useState("");
	const key = COLUMNS[sort.index].key;
	const sign = sort.direction === "asc" ? 1 : -1;
	const shown = vms.filter(vm => vm.Name.toLowerCase().includes(search.toLowerCase()))
		.sort((a, b) => sign * compare(key(a), key(b)) || compare(a.Name, b.Name));
	/* beside the details there is no room for long columns, and the details have the same figures */
	const columns = COLUMNS.filter(c => !short || !c.long);
	const sorting = columnIndex => ({
		columnIndex,
		sortBy: { ...sort, defaultDirection: columnIndex ? "desc" : "asc" },
		onSort: (_event, index, direction) => setSort({ index, direction }),
	});

	if (!vms.length)
		return (
			<EmptyState titleText="No virtual machines are running" headingLevel="h3" variant="sm">
				<EmptyStateBody>A virtual machine appears here when it is started.</EmptyStateBody>
			</EmptyState>
		);
	return (
		<>
			{(vms.length >= SEARCH_FROM || search) &&
				<Toolbar>
					<ToolbarContent>
						<ToolbarItem>
							<SearchInput aria-label="Find a virtual machine by its name" placeholder="Name" value={search}
								resultsCount={search ? shown.length : undefined}
								onChange={(_event, value) => setSearch(value)} onClear={() => setSearch("")} />
						</ToolbarItem>
					</ToolbarContent>
				</Toolbar>}
			<Table variant="compact" gridBreakPoint="grid-lg" aria-label="Virtual machines">
				<Thead>
					<Tr>
						{columns.map(column =>
							<Th key={column.label} modifier="nowrap" sort={column.key && sorting(COLUMNS.indexOf(column))}>
								{column.label}
							</Th>)}
					</Tr>
				</Thead>
				<Tbody>
					{shown.map(vm =>
						<Row key={vm.path} vm={vm} columns={columns} selected={selected === vm.path} pending={pending.get(vm.path)}
							onSelect={onSelect} onSet={onSet} />)}
				</Tbody>
			</Table>
		</>
	);
}
