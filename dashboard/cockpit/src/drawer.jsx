// SPDX-License-Identifier: GPL-2.0
/* The details of one VM: charts, findings of doctor, decisions, guest report. */
import { useCallback, useEffect, useState } from "react";
import { alarms } from "./alarms.js";
import { Histogram, RateChart, StallChart, SwappedChart } from "./charts.jsx";
import { isUnknown } from "./dbus.js";
import { Facts } from "./facts.jsx";
import { ago, duration, inputs, percent, pressureText, rate, usec, vcpus } from "./format.js";
import { _, format, ngettext } from "./i18n.js";
import { MemoryFigures } from "./memory.jsx";
import { Gate, ModeSwitch } from "./mode.jsx";
import {
	Alert, Button, CheckCircleIcon, Checkbox, DrawerActions, DrawerCloseButton, DrawerHead,
	DrawerPanelBody, DrawerPanelContent, ExclamationCircleIcon, ExclamationTriangleIcon,
	ExpandableSection, Icon, QuestionCircleIcon, Title, ToggleGroup, ToggleGroupItem,
} from "./pf.js";
import { Recall } from "./recall.jsx";

const STATES = {
	ok: ["success", CheckCircleIcon],
	warn: ["warning", ExclamationTriangleIcon],
	fail: ["danger", ExclamationCircleIcon],
	unknown: ["custom", QuestionCircleIcon],
};
const WORST_FIRST = ["fail", "warn", "unknown", "ok"];
const isWrong = finding => finding.State === "fail" || finding.State === "warn";

const PERIODS = [
	[_("1 min"), _("last minute"), 60e3],
	[_("10 min"), _("last 10 minutes"), 600e3],
	[_("all"), _("since apfd watches"), Infinity],
];
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

function FindingList({ rows, label }) {
	return (
		<ul className="apf-findings" aria-label={label}>
			{rows.map((f, i) => {
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
}

/* Only what is wrong is unfolded. */
export function Findings({ read, subject, level = "h3" }) {
	const { rows, missing, error } = usePolling(read, FINDINGS_MSEC, subject);
	let body;
	if (missing)
		body = <p>{_("This apfd is older than the page and has no checks.")}</p>;
	else if (!rows)
		body = <p>{error ? format(_("Cannot be read: $0"), error) : _("Loading…")}</p>;
	else {
		const sorted = [...rows].sort((a, b) => WORST_FIRST.indexOf(a.State) - WORST_FIRST.indexOf(b.State));
		const wrong = sorted.filter(isWrong), others = sorted.filter(f => !isWrong(f));
		body = (
			<>
				{wrong.length ? <FindingList rows={wrong} label={_("Findings")} /> : <p>{_("Nothing is wrong.")}</p>}
				{others.length > 0 &&
					<ExpandableSection className="apf-folded"
						toggleText={format(ngettext("$0 more check", "$0 more checks", others.length), others.length)}>
						<FindingList rows={others} label={_("Other checks")} />
					</ExpandableSection>}
			</>
		);
	}
	return (
		<section>
			<Title headingLevel={level} size="md">{_("Findings")}</Title>
			{body}
		</section>
	);
}

function Decisions({ read, subject, now }) {
	const { rows, missing, error } = usePolling(read, DECISIONS_MSEC, subject);
	let body;
	if (missing)
		body = <p>{_("This apfd is older than the page and has no policy.")}</p>;
	else if (!rows)
		body = <p>{error ? format(_("Cannot be read: $0"), error) : _("Loading…")}</p>;
	else if (!rows.length)
		body = <p>{_("None yet.")}</p>;
	else
		body = (
			<ol className="apf-decisions" aria-label={_("Decisions, newest first")}>
				{[...rows].reverse().slice(0, 12).map((d, i) =>
					<li key={`${d.Time}-${i}`}>
						<div>
							<Gate state={d.State} /> {vcpus(d.VCPUs)}
							{d.DryRun && ` (${_("dry run")})`}
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
			<Title headingLevel="h3" size="md">{_("Last decisions")}</Title>
			{body}
		</section>
	);
}

const SOURCES = {
	default: _("the default"), config: _("from apfd.conf"), metadata: _("from the VM's metadata in libvirt"),
	stored: _("stored by apfd"), runtime: _("set by a user"),
};

function facts(vm) {
	const r = vm.GuestReport || {};
	const p = vm.Pressure || {};
	return [
		[_("Gate"), <Gate key="gate" state={vm.State} />],
		[_("Mode"), vm.Mode && `${vm.Mode}${SOURCES[vm.ModeSource] ? `, ${SOURCES[vm.ModeSource]}` : ""}`],
		[_("vCPUs"), vm.VCPUStates?.length ? vm.VCPUStates.map((s, i) => `${i}: ${s}`).join(", ") : undefined],
		[_("Latency"), format(_("50 % below $0, 95 % below $1"), usec(vm.P50USec), usec(vm.P95USec))],
		[_("Time saved"), vm.Watched && vm.SavedUSec !== undefined
			? format(_("$0 of a vCPU, $1 in total"), percent(vm.SavedRatio), duration(vm.SavedUSec)) : undefined],
		[_("Outstanding pages"), Number.isNaN(vm.Outstanding) ? "–" : vm.Outstanding],
		[_("Not counted here"), vm.NotCounted?.join(", ")],
		[_("Pressure"), p.FullAvg10 !== undefined ? pressureText(p) : undefined],
		[_("Guest's report"), vm.GuestModule],
		[_("Emergency pool"), vm.GuestModule === "present"
			? format(_("$0 of $1 in use, taken $2 times"), r.PoolInUse ?? 0, r.PoolSize ?? 0, rate(r.PoolTaken ?? 0)) : undefined],
		[_("Tasks asleep"), vm.GuestModule === "present"
			? format(_("$0, longest $1"), r.Sleepers ?? 0, usec((r.OldestSleeperMSec ?? 0) * 1000)) : undefined],
		[_("Rescued tasks"), vm.GuestModule === "present" ? r.Rescues : undefined],
		[_("Process"), vm.PID || undefined],
		["UUID", vm.UUID],
	];
}

/* The page "Virtual machines" of Cockpit shows the VMs of libvirt, if it is installed. */
function MachinesLink({ cockpit, vm, uri }) {
	const connection = /^qemu:\/\/\/(system|session)/.exec(uri || "")?.[1];
	if (!cockpit.manifests?.machines || !connection || (vm.Manager ?? "libvirt") !== "libvirt")
		return null;
	return (
		<Button variant="link" isInline id="apf-machines"
			onClick={() => cockpit.jump(`/machines#vm?name=${encodeURIComponent(vm.Name)}&connection=${connection}`)}>
			{_("Show in Virtual machines")}
		</Button>
	);
}

function Setting({ vm, pending, onSet }) {
	const [persistent, setPersistent] = useState(false);
	const set = useCallback((v, mode) => onSet(v, mode, persistent), [onSet, persistent]);
	return (
		<section>
			<Title headingLevel="h3" size="md">{_("Mode")}</Title>
			<div className="apf-setting">
				<ModeSwitch vm={vm} pending={pending} again={persistent} onSet={set} />
				{"Mode" in vm && <Checkbox id="apf-persistent" label={_("also for later starts of the VM")} isChecked={persistent}
					onChange={(_event, checked) => setPersistent(checked)} />}
				{"Mode" in vm &&
					<Button variant="link" isInline id="apf-make-permanent" onClick={() => pending === undefined && onSet(vm, vm.Mode, true)}>
						{format(_("Keep $0 for later starts"), vm.Mode)}
					</Button>}
				{["metadata", "stored", "runtime"].includes(vm.ModeSource) &&
					<Button variant="link" isInline onClick={() => onSet(vm, "default", persistent)}>{_("Reset to the mode in apfd.conf")}</Button>}
			</div>
		</section>
	);
}

function Latency({ vm, histograms, now }) {
	const [period, setPeriod] = useState(1);
	const [, words, msec] = PERIODS[period];
	const counts = Number.isFinite(msec)
		? histograms.window(now, msec, vm.AsyncHistogram, vm.SyncHistogram)
		: { async: vm.AsyncHistogram || [], sync: vm.SyncHistogram || [] };
	return (
		<section>
			<div className="apf-heading">
				<Title headingLevel="h3" size="md">{_("Latency of swap-ins")}</Title>
				<ToggleGroup isCompact aria-label={_("Period of the histogram")}>
					{PERIODS.map(([short, label], i) =>
						<ToggleGroupItem key={label} text={short} title={label} buttonId={`apf-period-${i}`} isSelected={i === period}
							onChange={() => setPeriod(i)} />)}
				</ToggleGroup>
			</div>
			<Histogram async={counts.async} sync={counts.sync} period={words} />
		</section>
	);
}

export function VMDrawer({ apfd, vm, host, now, events, recalls, pending, headRef, onSet, onClose }) {
	const { series, histograms } = apfd.history.get(vm.path);
	const own = events.filter(e => e.path === vm.path).slice(0, 8);

	return (
		<DrawerPanelContent id="apf-drawer" isResizable defaultSize="520px" minSize="320px" maxSize="70%"
			resizeAriaLabel={_("Width of the details")} aria-label={format(_("Virtual machine $0"), vm.Name)} className="apf-drawer"
			/* a dialog's events come here, too, because the dialog is a component of the drawer */
			onKeyDown={event => event.key === "Escape" && event.currentTarget.contains(event.target) && onClose()}>
			<DrawerHead>
				<h2 tabIndex={-1} ref={headRef} className="apf-drawer-title" dir="auto">{vm.Name}</h2>
				<DrawerActions>
					<DrawerCloseButton onClick={onClose} aria-label={format(_("Close the details of $0"), vm.Name)} />
				</DrawerActions>
			</DrawerHead>
			<DrawerPanelBody>
				<MachinesLink cockpit={apfd.cockpit} vm={vm} uri={host.LibvirtURI} />
				{alarms(vm).map(a => <Alert key={a.id} isInline variant={a.severity} title={a.text} component="h3" />)}
				<Findings read={() => apfd.readRows(vm.path, "Diagnose")} subject={vm.path} />
				<Setting vm={vm} pending={pending} onSet={onSet} />
				<Recall apfd={apfd} vm={vm} recalls={recalls} />
				<section>
					<Title headingLevel="h3" size="md">{_("Swap-ins per second")}</Title>
					<RateChart series={series} now={now} />
				</section>
				<section>
					<Title headingLevel="h3" size="md">{_("Share of time stopped")}</Title>
					<StallChart series={series} now={now} label={_("mean of its vCPUs")} />
				</section>
				<Latency vm={vm} histograms={histograms} now={now} />
				<section>
					<Title headingLevel="h3" size="md">{_("Memory on swap, over time")}</Title>
					<SwappedChart series={series} now={now} />
				</section>
				<MemoryFigures vm={vm} />
				<Decisions read={() => apfd.readRows(vm.path, "History")} subject={vm.path} now={now} />
				{own.length > 0 &&
					<section>
						<Title headingLevel="h3" size="md">{_("Events")}</Title>
						<EventList events={own} now={now} />
					</section>}
				<section>
					<ExpandableSection className="apf-folded" toggleText={_("Facts")} toggleId="apf-facts-toggle">
						<Facts rows={facts(vm)} className="apf-facts" />
					</ExpandableSection>
				</section>
			</DrawerPanelBody>
		</DrawerPanelContent>
	);
}

export function EventList({ events, now, withName = false }) {
	return (
		<ul className="apf-events" aria-label={_("Events, newest first")}>
			{events.map((e, i) =>
				<li key={`${e.time}-${i}`}>
					<time dateTime={new Date(e.time).toISOString()}>{ago(e.time, now)}</time>
					<span className={`apf-severity-${e.severity}`}>{withName && <strong><bdi>{e.name}</bdi>: </strong>}{e.text}</span>
				</li>)}
		</ul>
	);
}
