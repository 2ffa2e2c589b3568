// SPDX-License-Identifier: GPL-2.0
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { alarms } from "./alarms.js";
import { RateChart, StallChart, SwappedChart } from "./charts.jsx";
import { explain } from "./dbus.js";
import { EventList, Findings, VMDrawer } from "./drawer.jsx";
import { bytes, usec } from "./format.js";
import { VMTable } from "./table.jsx";
import {
	Alert, AlertActionCloseButton, Button, Card, CardBody, CardTitle, DescriptionList,
	DescriptionListDescription, DescriptionListGroup, DescriptionListTerm, Drawer, DrawerContent,
	DrawerContentBody, EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter,
	ExclamationCircleIcon, ExpandableSection, Spinner, Title,
} from "./pf.js";

function Missing({ apfd, problem }) {
	const [refusal, setRefusal] = useState(null);
	const denied = problem === "access-denied";
	const start = () => {
		setRefusal(null);
		apfd.startService().then(() => apfd.find(), error => setRefusal(explain(error)));
	};
	return (
		<EmptyState titleText={denied ? "No access to apfd" : "apfd is not running"} icon={ExclamationCircleIcon} headingLevel="h1">
			<EmptyStateBody>
				<p>Without this service nothing can be shown. Gates do not change, and virtual machines continue to run.</p>
				<p>To start the service, now and at each boot: <code>systemctl enable --now apfd</code></p>
				{problem && problem !== "not-found" && <p>{problem}</p>}
			</EmptyStateBody>
			<EmptyStateFooter>
				<EmptyStateActions>
					<Button onClick={start}>Start apfd</Button>
					<Button variant="link" onClick={() => apfd.find()}>Try again</Button>
				</EmptyStateActions>
				<div aria-live="assertive">
					{refusal && <Alert isInline variant="danger" title={refusal.text} className="apf-refusal">{refusal.advice}</Alert>}
				</div>
			</EmptyStateFooter>
		</EmptyState>
	);
}

const NO_WAIT = {
	"not-needed": "not needed by this kernel",
	off: "off: apf_host has nowait_swapin=0",
	active: "active",
	unavailable: "not possible on this kernel: asynchronous page faults are hardly ever started",
};

function Banners({ host }) {
	return (
		<>
			{host.HostModule === "absent" &&
				<Alert isInline variant="warning" title="The module apf_host is not loaded" component="h2" id="apf-no-module">
					Virtual machines are shown, but their gates cannot be changed and counters do not change.
					To load the module: <code>modprobe apf_host</code>
				</Alert>}
			{host.Libvirt && host.Libvirt !== "connected" &&
				<Alert isInline variant="warning" title="apfd is not connected to libvirt" component="h2">
					Virtual machines that libvirt manages are missing until {host.LibvirtURI} answers; apfd keeps trying.
				</Alert>}
			{host.NoWaitSwapin === "unavailable" &&
				<Alert isInline variant="warning" title={`No-wait swap-in is ${NO_WAIT.unavailable}`} component="h2" />}
			{host.ConfigError &&
				<Alert isInline variant="danger" title="apfd's configuration has an error; the last good one stays in effect" component="h2">
					{host.ConfigError}
				</Alert>}
			{host.DryRun &&
				<Alert isInline variant="info" title="Dry run: apfd reports its decisions, but changes nothing" component="h2" />}
		</>
	);
}

function Alarms({ vms, now, events, onSelect }) {
	const found = vms.flatMap(vm => alarms(vm).map(a => ({ ...a, vm })));
	const guestEvents = events.filter(e => e.kind === "guest");
	return (
		<>
			{/* a live region must exist before its content, or nothing is announced */}
			<div aria-live="polite" id="apf-alarms">
				{found.map(a =>
					<Alert key={a.vm.path + a.text} isInline variant={a.severity} title={`${a.vm.Name}: ${a.text}`} component="h2"
						actionLinks={<Button variant="link" isInline onClick={() => onSelect(a.vm.path)}>Show {a.vm.Name}</Button>} />)}
			</div>
			{guestEvents.length > 0 &&
				<Card isCompact>
					<CardTitle component="h2">Reports of guests</CardTitle>
					<CardBody><EventList events={guestEvents.slice(0, 10)} now={now} withName /></CardBody>
				</Card>}
		</>
	);
}

function swapText(device) {
	const used = `${bytes(device.Used)} of ${bytes(device.Size)}`;
	const latency = device.ReadLatencyUSec ? `, reads take ${usec(device.ReadLatencyUSec)}` : "";
	const gain = device.Synchronous ? "; synchronous: asynchronous page faults bring no gain" : "";
	return `${device.Path} (${device.Kind}): ${used}${latency}${gain}`;
}

/* Hooks that apf_host cannot place on this kernel. */
const missing = host => (host.Hooks || []).filter(h => !h.Placed);

function Host({ apfd, host }) {
	const [open, setOpen] = useState(false);
	const rows = [
		["apfd", host.Version],
		["Module apf_host", host.HostModule === "present" ? host.HostModuleVersion || "present" : "absent"],
		["Missing hooks", missing(host).map(h => <div key={h.Name}>{`${h.Name}: ${h.Error}`}</div>)],
		["No-wait swap-in", NO_WAIT[host.NoWaitSwapin]],
		["libvirt", host.Libvirt && `${host.Libvirt} (${host.LibvirtURI})`],
		["Swap", host.Swap?.length ? host.Swap.map(d => <div key={d.Path}>{swapText(d)}</div>) : host.Swap && "none"],
		["Configuration", host.ConfigFiles?.join(", ")],
	];
	return (
		<Card isCompact>
			<CardBody>
				<ExpandableSection toggleText="The host and its swap" isExpanded={open} onToggle={(_event, o) => setOpen(o)}>
					<DescriptionList isHorizontal isCompact>
						{rows.filter(([, value]) => value && value.length !== 0).map(([term, value]) =>
							<DescriptionListGroup key={term}>
								<DescriptionListTerm>{term}</DescriptionListTerm>
								<DescriptionListDescription>{value}</DescriptionListDescription>
							</DescriptionListGroup>)}
					</DescriptionList>
					{open && <Findings read={() => apfd.readHostRows("Diagnose")} subject="host" />}
				</ExpandableSection>
			</CardBody>
		</Card>
	);
}

/* True if the table and the details fit beside each other. */
function useWide() {
	const query = window.matchMedia("(min-width: 1100px)");
	return useSyncExternalStore(listener => {
		query.addEventListener("change", listener);
		return () => query.removeEventListener("change", listener);
	}, () => query.matches);
}

export function App({ apfd }) {
	const { phase, problem, host, vms, events, now } = useSyncExternalStore(apfd.subscribe, apfd.snapshot);
	const [selected, setSelected] = useState(null);
	const [pending, setPending] = useState(new Map());
	const [refusal, setRefusal] = useState(null);
	const [announcement, setAnnouncement] = useState("");
	const head = useRef(null);
	const wide = useWide();
	/* A VM that has just ended is in @vms a moment longer than in the history. */
	const vm = vms.find(v => v.path === selected && apfd.history.has(v.path));

	/* Keyboard users: opening moves the focus to the details, closing moves it back to the VM. */
	const close = useCallback(() => {
		const uuid = vms.find(v => v.path === selected)?.UUID;
		setSelected(null);
		document.getElementById(`apf-open-${uuid}`)?.focus();
	}, [vms, selected]);
	useEffect(() => {
		if (selected)
			head.current?.focus();
	}, [selected]);
	useEffect(() => {
		if (selected && phase === "ready" && !vm)
			setSelected(null);
	}, [selected, phase, vm]);

	const set = async (target, mode, persistent) => {
		setRefusal(null);
		setPending(before => new Map(before).set(target.path, mode));
		try {
			await apfd.setMode(target, mode, persistent);
			setAnnouncement(`${target.Name} is now set to ${mode}`);
		} catch (error) {
			setRefusal({ ...explain(error), title: `${target.Name} was not set to ${mode}` });
		} finally {
			setPending(before => {
				const next = new Map(before);
				next.delete(target.path);
				return next;
			});
		}
	};

	if (phase === "missing")
		return <main className="apf-page"><Missing apfd={apfd} problem={problem} /></main>;
	if (phase === "connecting")
		return (
			<main className="apf-page">
				<EmptyState titleText="Connecting to apfd" icon={Spinner} headingLevel="h1" />
			</main>
		);

	const worst = vms.filter(v => v.Watched).sort((a, b) => (b.StallRatio || 0) - (a.StallRatio || 0))[0];
	const panel = vm && <VMDrawer key={vm.path} apfd={apfd} vm={vm} now={now} events={events} pending={pending.get(vm.path)}
		headRef={head} onSet={set} onReset={(v, persistent) => set(v, "default", persistent)} onClose={close} />;
	return (
		<main className="apf-page">
			<Drawer isExpanded={Boolean(vm)} isInline={wide}>
				<DrawerContent panelContent={panel}>
					<DrawerContentBody>
						<div className="apf-body">
							<Title headingLevel="h1" size="2xl">Swap-in of virtual machines</Title>
							<Banners host={host} />
							<div aria-live="assertive" id="apf-refusal">
								{refusal &&
									<Alert isInline variant="danger" title={refusal.title} component="h2" className="apf-refusal"
										actionClose={<AlertActionCloseButton onClose={() => setRefusal(null)} />}>
										<p>{refusal.text}</p>
										{refusal.advice && <p>{refusal.advice}</p>}
									</Alert>}
							</div>
							<div role="status" className="pf-v6-screen-reader" id="apf-announcement">{announcement}</div>
							<Alarms vms={vms} now={now} events={events} onSelect={setSelected} />
							<div className="apf-charts">
								<Card isCompact>
									<CardTitle component="h2">Swap-ins per second</CardTitle>
									<CardBody><RateChart series={apfd.total} now={now} /></CardBody>
								</Card>
								<Card isCompact>
									<CardTitle component="h2">Share of time stopped</CardTitle>
									<CardBody><StallChart series={apfd.total} now={now}
										label={worst?.StallRatio > 0 ? `worst VM, now ${worst.Name}` : "worst VM"} /></CardBody>
								</Card>
								<Card isCompact>
									<CardTitle component="h2">Memory on swap</CardTitle>
									<CardBody><SwappedChart series={apfd.total} now={now} /></CardBody>
								</Card>
							</div>
							<Card isCompact>
								<CardTitle component="h2">Virtual machines</CardTitle>
								<CardBody>
									<VMTable vms={vms} selected={selected} pending={pending} short={Boolean(vm) && wide}
										onSelect={setSelected} onSet={set} />
								</CardBody>
							</Card>
							<Host apfd={apfd} host={host} />
						</div>
					</DrawerContentBody>
				</DrawerContent>
			</Drawer>
		</main>
	);
}
