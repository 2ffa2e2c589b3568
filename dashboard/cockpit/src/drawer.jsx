// SPDX-License-Identifier: GPL-2.0
/* The details of one VM: charts, findings of doctor, decisions, guest report. */
import { useEffect, useState } from "react";
import { alarms } from "./alarms.js";
import { Histogram, RateChart, StallChart, SwappedChart } from "./charts.jsx";
import { isUnknown } from "./dbus.js";
import { ago, bytes, duration, inputs, percent, rate, usec, vcpus } from "./format.js";
import { Gate, ModeSwitch } from "./mode.jsx";
import {
	Alert, Button, CheckCircleIcon, Checkbox, DescriptionList, DescriptionListDescription,
	DescriptionListGroup, DescriptionListTerm, DrawerActions, DrawerCloseButton, DrawerHead,
	DrawerPanelBody, DrawerPanelContent, ExclamationCircleIcon, ExclamationTriangleIcon, Icon,
	QuestionCircleIcon, Title, ToggleGroup, ToggleGroupItem,
} from "./pf.js";

const STATES = {
	ok: ["success", CheckCircleIcon],
	warn: ["warning", ExclamationTriangleIcon],
	fail: ["danger", ExclamationCircleIcon],
	unknown: ["custom", QuestionCircleIcon],
};
const WORST_FIRST = ["fail", "warn", "unknown", "ok"];

const PERIODS = [["last minute", 60e3], ["last 10 minutes", 600e3], ["since apfd watches", Infinity]];
/* Decisions are rare; findings are expensive to collect. */
const DECISIONS_MSEC = 5000;
const FINDINGS_MSEC = 30000;

/* Calls read() every @msec while the component is shown, and at once if @subject changes. */
function usePolling(read, msec, subject) {
	const [answer, setAnswer] = useState({});	/* { rows, missing, error } */
	useEffect(() => {
		let timer, unmounted = false;
		const poll = () => read()
			.then(rows => ({ rows }), error => isUnknown(error) ? { missing: true } : { error: error.message || error.problem })
			.then(next => {
				if (unmounted)
					return;
				setAnswer(before => next.error ? { ...before, error: next.error } : next);
				timer = setTimeout(poll, msec);
			});
		poll();
		return () => {
			unmounted = true;
			clearTimeout(timer);
		};
	}, [subject]);
	return answer;
}

export function Findings({ read, subject, level = "h3" }) {
	const { rows, missing, error } = usePolling(read, FINDINGS_MSEC, subject);
	let body;
	if (missing)
		body = <p>This apfd is older than the page and has no checks.</p>;
	else if (!rows)
		body = <p>{error ? `Cannot be read: ${error}` : "Loading…"}</p>;
	else if (!rows.length)
		body = <p>Nothing was found.</p>;
	else
		body = (
			<ul className="apf-findings" aria-label="Findings">
				{[...rows].sort((a, b) => WORST_FIRST.indexOf(a.State) - WORST_FIRST.indexOf(b.State)).map((f, i) => {
					const [status, Picture] = STATES[f.State] || STATES.unknown;
					return (
						<li key={`${f.Check}-${i}`} data-check={f.Check} data-state={f.State}>
							<Icon status={status} isInline><Picture /></Icon>
							<div>
								<span className="apf-state">{f.State}</span> <span>{f.Fact}</span>
								{f.Remedy && f.State !== "ok" && <pre className="apf-remedy">{f.Remedy}</pre>}
							</div>
						</li>
					);
				})}
			</ul>
		);
	return (
		<section>
			<Title headingLevel={level} size="md">Findings</Title>
			{body}
		</section>
	);
}

function Decisions({ read, subject, now }) {
	const { rows, missing, error } = usePolling(read, DECISIONS_MSEC, subject);
	let body;
	if (missing)
		body = <p>This apfd is older than the page and has no policy.</p>;
	else if (!rows)
		body = <p>{error ? `Cannot be read: ${error}` : "Loading…"}</p>;
	else if (!rows.length)
		body = <p>None yet.</p>;
	else
		body = (
			<ol className="apf-decisions" aria-label="Decisions, newest first">
				{[...rows].reverse().slice(0, 12).map((d, i) =>
					<li key={`${d.Time}-${i}`}>
						<div>
							<Gate state={d.State} /> {vcpus(d.VCPUs)}
							{d.DryRun && " (dry run)"}
							{" "}<time dateTime={new Date(d.Time / 1000).toISOString()}>{ago(d.Time / 1000, now)}</time>
						</div>
						<div>{d.Reason || d.Rule}</div>
						{d.Inputs && Object.keys(d.Inputs).length > 0 &&
							<div className="apf-inputs">{d.Rule}: {inputs(d.Inputs)}</div>}
					</li>)}
			</ol>
		);
	return (
		<section>
			<Title headingLevel="h3" size="md">Last decisions</Title>
			{body}
		</section>
	);
}

function Facts({ rows }) {
	return (
		<DescriptionList isHorizontal isCompact className="apf-facts">
			{rows.filter(([, value]) => value !== undefined && value !== "").map(([term, value]) =>
				<DescriptionListGroup key={term}>
					<DescriptionListTerm>{term}</DescriptionListTerm>
					<DescriptionListDescription>{value}</DescriptionListDescription>
				</DescriptionListGroup>)}
		</DescriptionList>
	);
}

const SOURCES = {
	default: "the default", config: "from apfd.conf", metadata: "from the VM's metadata in libvirt", runtime: "set by a user",
};

function facts(vm) {
	const r = vm.GuestReport || {};
	const p = vm.Pressure || {};
	return [
		["Gate", <Gate key="gate" state={vm.State} />],
		["Mode", vm.Mode && `${vm.Mode}${SOURCES[vm.ModeSource] ? `, ${SOURCES[vm.ModeSource]}` : ""}`],
		["vCPUs", vm.VCPUStates?.length ? vm.VCPUStates.map((s, i) => `${i}: ${s}`).join(", ") : undefined],
		["Latency", `50 % below ${usec(vm.P50USec)}, 95 % below ${usec(vm.P95USec)}`],
		["Time saved", vm.Watched && vm.SavedUSec !== undefined ? `${percent(vm.SavedRatio)} of a vCPU, ${duration(vm.SavedUSec)} in total` : undefined],
		["Outstanding pages", Number.isNaN(vm.Outstanding) ? "–" : vm.Outstanding],
		["Not counted here", vm.NotCounted?.join(", ")],
		["Memory", p.MemoryBytes !== undefined ? bytes(p.MemoryBytes) : undefined],
		["Pressure", p.FullAvg10 !== undefined ? `some ${percent(p.SomeAvg10 / 100)}, full ${percent(p.FullAvg10 / 100)} of the last 10 s` : undefined],
		["Guest's report", vm.GuestModule],
		["Emergency pool", vm.GuestModule === "present" ? `${r.PoolInUse ?? 0} of ${r.PoolSize ?? 0} in use, taken ${rate(r.PoolTaken ?? 0)} times` : undefined],
		["Tasks asleep", vm.GuestModule === "present" ? `${r.Sleepers ?? 0}, longest ${usec((r.OldestSleeperMSec ?? 0) * 1000)}` : undefined],
		["Rescued tasks", vm.GuestModule === "present" ? r.Rescues : undefined],
		["Process", vm.PID || undefined],
		["UUID", vm.UUID],
	];
}

export function VMDrawer({ apfd, vm, now, events, pending, headRef, onSet, onReset, onClose }) {
	const [period, setPeriod] = useState(1);
	const [persistent, setPersistent] = useState(false);
	const { series, histograms } = apfd.history.get(vm.path);
	const [words, msec] = PERIODS[period];
	const counts = Number.isFinite(msec)
		? histograms.window(now, msec, vm.AsyncHistogram, vm.SyncHistogram)
		: { async: vm.AsyncHistogram || [], sync: vm.SyncHistogram || [] };
	const own = events.filter(e => e.path === vm.path).slice(0, 8);

	return (
		<DrawerPanelContent id="apf-drawer" isResizable defaultSize="520px" minSize="320px" maxSize="70%"
			aria-label={`Virtual machine ${vm.Name}`} className="apf-drawer"
			onKeyDown={event => event.key === "Escape" && onClose()}>
			<DrawerHead>
				<h2 tabIndex={-1} ref={headRef} className="apf-drawer-title">{vm.Name}</h2>
				<DrawerActions><DrawerCloseButton onClick={onClose} aria-label={`Close the details of ${vm.Name}`} /></DrawerActions>
			</DrawerHead>
			<DrawerPanelBody>
				{alarms(vm).map(a => <Alert key={a.text} isInline variant={a.severity} title={a.text} component="h3" />)}
				<section className="apf-setting">
					<ModeSwitch vm={vm} pending={pending} onSet={(v, mode) => onSet(v, mode, persistent)} />
					{"Mode" in vm && <Checkbox id="apf-persistent" label="also for later starts of the VM" isChecked={persistent}
						onChange={(_event, checked) => setPersistent(checked)} />}
					{["metadata", "runtime"].includes(vm.ModeSource) &&
						<Button variant="link" isInline onClick={() => onReset(vm, persistent)}>Reset to the mode in apfd.conf</Button>}
				</section>
				<section>
					<Title headingLevel="h3" size="md">Swap-ins per second</Title>
					<RateChart series={series} now={now} />
				</section>
				<section>
					<Title headingLevel="h3" size="md">Share of time stopped</Title>
					<StallChart series={series} now={now} label="mean of its vCPUs" />
				</section>
				<section>
					<div className="apf-heading">
						<Title headingLevel="h3" size="md">Latency of swap-ins</Title>
						<ToggleGroup isCompact aria-label="Period of the histogram">
							{PERIODS.map(([label], i) =>
								<ToggleGroupItem key={label} text={["1 min", "10 min", "all"][i]} title={label} isSelected={i === period}
									onChange={() => setPeriod(i)} />)}
						</ToggleGroup>
					</div>
					<Histogram async={counts.async} sync={counts.sync} period={words} />
				</section>
				<section>
					<Title headingLevel="h3" size="md">Memory on swap</Title>
					<SwappedChart series={series} now={now} />
				</section>
				<Findings read={() => apfd.readRows(vm.path, "Diagnose")} subject={vm.path} />
				<Decisions read={() => apfd.readRows(vm.path, "History")} subject={vm.path} now={now} />
				<section>
					<Title headingLevel="h3" size="md">Facts</Title>
					<Facts rows={facts(vm)} />
				</section>
				{own.length > 0 &&
					<section>
						<Title headingLevel="h3" size="md">Events</Title>
						<EventList events={own} now={now} />
					</section>}
			</DrawerPanelBody>
		</DrawerPanelContent>
	);
}

export function EventList({ events, now, withName = false }) {
	return (
		<ul className="apf-events" aria-label="Events, newest first">
			{events.map((e, i) =>
				<li key={`${e.time}-${i}`}>
					<time dateTime={new Date(e.time).toISOString()}>{ago(e.time, now)}</time>
					<span className={`apf-severity-${e.severity}`}>{withName && <strong>{e.name}: </strong>}{e.text}</span>
				</li>)}
		</ul>
	);
}
