// SPDX-License-Identifier: GPL-2.0
/* The VMs, those that suffer most first, a page of them at a time. */
import { memo, useEffect, useRef, useState } from "react";
import { alarms, suffers } from "./alarms.js";
import { byName, bytes, percent, rate, usec } from "./format.js";
import { swappedKnown } from "./history.js";
import { _, format } from "./i18n.js";
import { Gate, ModeSwitch, modeOf } from "./mode.jsx";
import {
	Button, EmptyState, EmptyStateBody, ExclamationCircleIcon, ExclamationTriangleIcon, Icon,
	Pagination, SearchInput, Table, Tbody, Th, Thead, ToggleGroup, ToggleGroupItem, Toolbar,
	ToolbarContent, ToolbarItem, Tooltip, Tr,
} from "./pf.js";
import { ROWS, SORTS } from "./url.js";

/* Figures of a VM that is not watched do not change and have no meaning. */
const watched = (vm, text) => vm.Watched ? text : "–";

/*
 * @id: of a column that can be sorted, as in the address of the page; @long: without room, the details
 * have the same figure; @first: of these, the first to go.
 */
const COLUMNS = [
	{ id: "name", label: _("Name"), key: vm => vm.Name, show: null },
	{ label: _("Mode"), show: null },
	{ id: "gate", label: _("Gate"), key: vm => vm.State, show: vm => <Gate state={vm.State} /> },
	{ id: "async", label: _("Async/s"), key: vm => vm.AsyncRate, show: vm => watched(vm, rate(vm.AsyncRate)), long: true },
	{ id: "sync", label: _("Sync/s"), key: vm => vm.SyncRate, show: vm => watched(vm, rate(vm.SyncRate)), long: true },
	{ id: "p95", label: _("p95"), key: vm => vm.P95USec, show: vm => watched(vm, usec(vm.P95USec)), long: true },
	{ id: "stopped", label: _("Stopped"), key: vm => vm.Watched ? vm.StallRatio : NaN, show: vm => <Stopped vm={vm} /> },
	{ id: "saved", label: _("Saved"), key: vm => vm.Watched ? vm.SavedRatio ?? NaN : NaN,
		show: vm => watched(vm, percent(vm.SavedRatio)), long: true, first: true },
	{ id: "swap", label: _("On swap"), key: vm => swappedKnown(vm) ? vm.SwappedBytes : NaN,
		show: vm => swappedKnown(vm) ? bytes(vm.SwappedBytes) : "–" },
	{ label: _("Guest"), show: vm => <Guest vm={vm} />, long: true },
];

/* From this number of VMs on, the table has a search field. */
const SEARCH_FROM = 8;
/* Write the search text to the address when the user has stopped typing. */
const TYPING_MSEC = 300;

/* Sort unknown figures below 0. */
const rank = value => Number.isFinite(value) ? value : -1;

function compare(a, b) {
	return typeof a === "string" ? byName(a, b) : rank(a) - rank(b);
}

function Stopped({ vm }) {
	const text = watched(vm, percent(vm.StallRatio));
	if (!vm.level)
		return text;
	const alarm = vm.level === "alarm";
	return (
		<span className="apf-stopped">
			<Icon status={alarm ? "danger" : "warning"} isInline>{alarm ? <ExclamationCircleIcon /> : <ExclamationTriangleIcon />}</Icon>
			{" "}{text}<span className="pf-v6-screen-reader">{alarm ? _(", alarm") : _(", suffers")}</span>
		</span>
	);
}

function Guest({ vm }) {
	const found = alarms(vm).filter(a => a.id !== "stall");
	if (!found.length)
		return vm.GuestModule === "present" ? _("reports") : vm.GuestModule === "absent" ? _("no report") : "–";
	const danger = found.some(a => a.severity === "danger");
	return (
		<Tooltip content={found.map(a => a.text).join(" ")}>
			<Button variant="plain" hasNoPadding className="apf-guest">
				<Icon status={danger ? "danger" : "warning"} isInline>
					{danger ? <ExclamationCircleIcon /> : <ExclamationTriangleIcon />}
				</Icon>
				{" "}{danger ? _("pool in use") : _("warning")}
			</Button>
		</Tooltip>
	);
}

/* What Td of PatternFly draws; that one observes its size and its text, which is slow for many rows. */
function Cell({ label, modifier = "", children }) {
	return <td className={`pf-v6-c-table__td ${modifier}`} data-label={label} role="cell">{children}</td>;
}

function Row({ vm, columns, selected, pending, onSelect, onSet }) {
	return (
		<Tr isRowSelected={selected} data-vm={vm.Name} data-mode={modeOf(vm)} data-state={vm.State} data-level={vm.level}
			className={suffers(vm) ? "apf-suffers" : undefined}>
			<Cell label={COLUMNS[0].label} modifier="pf-m-break-word">
				<Button variant="link" isInline id={`apf-open-${vm.UUID}`} className="apf-name" aria-expanded={selected}
					aria-controls={selected ? "apf-drawer" : undefined} onClick={() => onSelect(selected ? null : vm)}>
					<bdi>{vm.Name}</bdi>
				</Button>
			</Cell>
			<Cell label={COLUMNS[1].label}><ModeSwitch vm={vm} pending={pending} onSet={onSet} /></Cell>
			{columns.filter(c => c.show).map(({ label, show }) =>
				<Cell key={label} label={label} modifier="pf-m-nowrap">{show(vm)}</Cell>)}
		</Tr>
	);
}

/*
 * Figures change every two seconds, and with them the order. While the pointer or the keyboard focus
 * is in the table rows stay where they are, so that nobody switches the wrong VM. @key: another
 * sorting or filter starts a new order.
 */
function useSteadyOrder(sorted, key) {
	const body = useRef(null);
	const order = useRef({ key: null, paths: new Map() });
	let rows = sorted;
	if (order.current.key === key && body.current?.querySelector(":hover, :focus-visible")) {
		const place = vm => order.current.paths.get(vm.path) ?? Infinity;
		rows = sorted.map((vm, i) => [vm, place(vm), i])
			.sort(([, a, i], [, b, j]) => a === b ? i - j : a - b).map(([vm]) => vm);
	}
	useEffect(() => {
		order.current = { key, paths: new Map(rows.map((vm, i) => [vm.path, i])) };
	});
	return [rows, body];
}

function Search({ value, found, onChange }) {
	const [text, setText] = useState(value);
	const written = useRef(value);
	const timer = useRef(null);
	/* the address changed otherwise, e.g. by the browser's "back" */
	useEffect(() => {
		if (value !== written.current) {
			written.current = value;
			setText(value);
		}
	}, [value]);
	const write = next => {
		setText(next);
		clearTimeout(timer.current);
		timer.current = setTimeout(() => {
			written.current = next;
			onChange(next);
		}, TYPING_MSEC);
	};
	return (
		<SearchInput aria-label={_("Find a virtual machine by its name or UUID")} resetButtonLabel={_("Clear the search")}
			placeholder={_("Name or UUID")} value={text} resultsCount={value ? found : undefined}
			onChange={(_event, next) => write(next)} onClear={() => write("")} />
	);
}

const Pages = memo(({ count, page, rows, onAddress }) =>
	<Pagination isCompact itemCount={count} page={page} perPage={rows}
		perPageOptions={ROWS.map(value => ({ title: `${value}`, value }))}
		titles={{
			items: "", page: "", perPageSuffix: _("on a page"),
			toPreviousPageAriaLabel: _("Previous page"), toNextPageAriaLabel: _("Next page"),
			paginationAriaLabel: _("Pages of the table"),
		}}
		toggleTemplate={({ firstIndex, lastIndex, itemCount }) => format(_("$0–$1 of $2"), firstIndex, lastIndex, itemCount)}
		onSetPage={(_event, next) => onAddress({ page: next })}
		onPerPageSelect={(_event, next) => onAddress({ rows: next, page: 1 })} />);

function matches(vm, wanted) {
	return vm.Name.toLowerCase().includes(wanted) || vm.UUID.includes(wanted);
}

export function VMTable({ vms, address, onAddress, selected, pending, short, tight, onSelect, onSet }) {
	const { find, show, sort, rows: perPage } = address;
	const id = sort.replace(/^-/, ""), sign = sort.startsWith("-") ? -1 : 1;
	const { key } = COLUMNS.find(c => c.id === id);
	const wanted = find.trim().toLowerCase();
	const suffering = vms.filter(suffers).length;
	const sorted = vms.filter(vm => matches(vm, wanted) && (show === "all" || suffers(vm)))
		.sort((a, b) => sign * compare(key(a), key(b)) || byName(a.Name, b.Name));
	const [found, body] = useSteadyOrder(sorted, `${sort} ${show} ${wanted}`);
	const page = Math.max(1, Math.min(address.page, Math.ceil(found.length / perPage)));
	const shown = found.slice((page - 1) * perPage, page * perPage);
	/* without room for long columns: the details have the same figures */
	const columns = COLUMNS.filter(c => (!short || !c.long) && (!tight || !c.first));
	const sorting = column => ({
		columnIndex: COLUMNS.indexOf(column),
		sortBy: { index: COLUMNS.findIndex(c => c.id === id), direction: sign > 0 ? "asc" : "desc",
			defaultDirection: column.id === "name" ? "asc" : "desc" },
		onSort: (_event, _index, direction) =>
			onAddress({ sort: direction === "asc" ? column.id : `-${column.id}`, page: 1 }),
	});

	/* A VM that was selected by a link may be on another page. */
	useEffect(() => {
		const index = found.findIndex(vm => vm.path === selected);
		if (index >= 0 && Math.floor(index / perPage) + 1 !== page)
			onAddress({ page: Math.floor(index / perPage) + 1 }, true);
	}, [selected]);

	if (!vms.length)
		return (
			<EmptyState titleText={_("No virtual machines are running")} headingLevel="h3" variant="sm">
				<EmptyStateBody>{_("A virtual machine appears here when it is started.")}</EmptyStateBody>
			</EmptyState>
		);
	return (
		<>
			{(vms.length >= SEARCH_FROM || find || show !== "all") &&
				<Toolbar>
					<ToolbarContent>
						<ToolbarItem className="apf-search">
							<Search value={find} found={found.length} onChange={text => onAddress({ find: text, page: 1 }, true)} />
						</ToolbarItem>
						<ToolbarItem>
							<ToggleGroup aria-label={_("Which virtual machines are shown")}>
								<ToggleGroupItem buttonId="apf-show-all" text={format(_("All ($0)"), vms.length)} isSelected={show === "all"}
									onChange={() => onAddress({ show: "all", page: 1 })} />
								<ToggleGroupItem buttonId="apf-show-suffering" text={format(_("Suffering ($0)"), suffering)}
									isSelected={show === "suffering"} onChange={() => onAddress({ show: "suffering", page: 1 })} />
							</ToggleGroup>
						</ToolbarItem>
						<ToolbarItem className="apf-pages">
							<Pages count={found.length} page={page} rows={perPage} onAddress={onAddress} />
						</ToolbarItem>
					</ToolbarContent>
				</Toolbar>}
			<Table variant="compact" gridBreakPoint="grid-lg" aria-label={_("Virtual machines")} className="apf-table">
				<Thead>
					<Tr>
						{columns.map(column =>
							<Th key={column.label} modifier="nowrap" sort={SORTS.includes(column.id) ? sorting(column) : undefined}>
								{column.label}
							</Th>)}
					</Tr>
				</Thead>
				<Tbody ref={body}>
					{shown.map(vm =>
						<Row key={vm.path} vm={vm} columns={columns} selected={selected === vm.path} pending={pending.get(vm.path)}
							onSelect={onSelect} onSet={onSet} />)}
				</Tbody>
			</Table>
			{!found.length && <p className="apf-none">{_("No virtual machine matches.")}</p>}
		</>
	);
}
