// SPDX-License-Identifier: GPL-2.0
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Alarms, Banners, Missing } from "./banners.jsx";
import { RateChart, StallChart, SwappedChart } from "./charts.jsx";
import { explain } from "./dbus.js";
import { VMDrawer } from "./drawer.jsx";
import { fill } from "./fill.js";
import { percent } from "./format.js";
import { Host } from "./host.jsx";
import { _, format } from "./i18n.js";
import { HostLine } from "./memory.jsx";
import { Recalls } from "./recall.jsx";
import { useStore } from "./store.js";
import { VMTable } from "./table.jsx";
import {
	Alert, AlertActionCloseButton, Button, Card, CardBody, CardTitle, Drawer, DrawerContent,
	DrawerContentBody, EmptyState, Spinner, Title,
} from "./pf.js";
import { idOf, vmOf } from "./url.js";
import { useAddress } from "./use-address.js";

const WORST_SHOWN = 3;

/* The VMs behind the line of the chart, as links to their rows. */
function Worst({ vms, onSelect }) {
	const worst = vms.filter(vm => vm.level).sort((a, b) => b.StallRatio - a.StallRatio).slice(0, WORST_SHOWN);
	return (
		<ul className="apf-worst" aria-label={_("Virtual machines that are stopped most")}>
			{worst.map(vm =>
				<li key={vm.path}>
					<Button variant="link" isInline onClick={() => onSelect(vm)}>
						<bdi className="apf-short-name">{vm.Name}</bdi>
					</Button>
					{" "}{percent(vm.StallRatio)}
				</li>)}
		</ul>
	);
}

function useMedia(condition) {
	const query = useMemo(() => window.matchMedia(condition), [condition]);
	const subscribe = useCallback(listener => {
		query.addEventListener("change", listener);
		return () => query.removeEventListener("change", listener);
	}, [query]);
	return useSyncExternalStore(subscribe, () => query.matches);
}

/* The table and the details fit beside each other. */
const WIDE = "(min-width: 1280px)";
/* Rows are lines, not cards, but not all columns fit. */
const NARROW_TABLE = "(min-width: 992px) and (max-width: 1219px)";
/* All columns fit but the least important one. */
const TIGHT_TABLE = "(min-width: 992px) and (max-width: 1339px)";

/* { VMs whose mode is being changed, why the last change failed, what a screen reader is told, set() } */
function useModes(apfd) {
	const [pending, setPending] = useState(new Map());
	const [refusal, setRefusal] = useState(null);
	const [announcement, setAnnouncement] = useState("");

	const set = useCallback(async (vm, mode, persistent) => {
		setRefusal(null);
		setPending(before => new Map(before).set(vm.path, mode));
		try {
			await apfd.setMode(vm, mode, persistent);
			setAnnouncement(persistent ? format(_("$0 is now set to $1, for later starts, too"), vm.Name, mode)
				: format(_("$0 is now set to $1"), vm.Name, mode));
		} catch (error) {
			setRefusal({ ...explain(error), vm, mode });
		} finally {
			setPending(before => {
				const next = new Map(before);
				next.delete(vm.path);
				return next;
			});
		}
	}, [apfd]);
	return { pending, refusal, announcement, set, dismiss: () => setRefusal(null) };
}

function Overview({ apfd, vms, now, onSelect }) {
	return (
		<div className="apf-charts">
			<Card isCompact>
				<CardTitle component="h2">{_("Swap-ins per second")}</CardTitle>
				<CardBody><RateChart series={apfd.total} now={now} /></CardBody>
			</Card>
			<Card isCompact>
				<CardTitle component="h2">{_("Share of time stopped")}</CardTitle>
				<CardBody>
					<StallChart series={apfd.total} now={now} label={_("worst VM")} />
					<Worst vms={vms} onSelect={onSelect} />
				</CardBody>
			</Card>
			<Card isCompact>
				<CardTitle component="h2">{_("Memory on swap")}</CardTitle>
				<CardBody><SwappedChart series={apfd.total} now={now} /></CardBody>
			</Card>
		</div>
	);
}

export function App({ apfd }) {
	const { phase, problem, host, vms, events, recalls, now } = useStore(apfd.subscribe, apfd.snapshot);
	const [address, setAddress] = useAddress(apfd.cockpit);
	const modes = useModes(apfd);
	const head = useRef(null);
	const wide = useMedia(WIDE);
	const narrow = useMedia(NARROW_TABLE);
	const tight = useMedia(TIGHT_TABLE);
	/* A VM that has just ended is in @vms a moment longer than in the history. */
	const found = vmOf(vms, address.vm);
	const vm = found && apfd.history.has(found.path) ? found : undefined;
	const selected = vm?.path;

	const select = useCallback(target => setAddress({ vm: target ? idOf(vms, target) : "" }), [vms, setAddress]);
	/* Keyboard users: opening moves the focus to the details, closing moves it back to the VM. */
	const uuid = vm?.UUID;
	const close = useCallback(() => {
		setAddress({ vm: "" });
		document.getElementById(`apf-open-${uuid}`)?.focus();
	}, [uuid, setAddress]);
	useEffect(() => {
		if (selected)
			head.current?.focus();
	}, [selected]);

	if (phase === "missing")
		return <main className="apf-page"><Missing apfd={apfd} problem={problem} /></main>;
	if (phase === "connecting")
		return (
			<main className="apf-page">
				<EmptyState titleText={_("Connecting to apfd")} icon={Spinner} headingLevel="h1" />
			</main>
		);

	const panel = vm && <VMDrawer key={vm.path} apfd={apfd} vm={vm} host={host} now={now} events={events}
		recalls={recalls} pending={modes.pending.get(vm.path)} headRef={head} onSet={modes.set} onClose={close} />;
	return (
		<main className="apf-page">
			<Drawer isExpanded={Boolean(vm)} isInline={wide}>
				<DrawerContent panelContent={panel}>
					<DrawerContentBody>
						<div className="apf-body">
							<Title headingLevel="h1" size="2xl">{_("Swap-in of virtual machines")}</Title>
							<HostLine host={host} />
							<Banners apfd={apfd} host={host} />
							<div aria-live="assertive" id="apf-refusal">
								{modes.refusal &&
									<Alert isInline variant="danger" component="h2" className="apf-refusal"
										title={fill(_("$0 was not set to $1"), <bdi>{modes.refusal.vm.Name}</bdi>, modes.refusal.mode)}
										actionClose={<AlertActionCloseButton aria-label={_("Close")} onClose={modes.dismiss} />}>
										<p>{modes.refusal.text}</p>
										{modes.refusal.advice && <p>{modes.refusal.advice}</p>}
									</Alert>}
							</div>
							<div role="status" className="pf-v6-screen-reader" id="apf-announcement">{modes.announcement}</div>
							{address.vm && !found &&
								<Alert isInline variant="info" component="h2" id="apf-no-vm"
									title={fill(_("$0 is not running"), <bdi>{address.vm}</bdi>)}
									actionClose={<AlertActionCloseButton aria-label={_("Close")} onClose={() => select(null)} />}>
									{_("The details open when the virtual machine starts.")}
								</Alert>}
							<Alarms vms={vms} now={now} events={events} onSelect={select}
								onSuffering={() => setAddress({ show: "suffering", find: "", page: 1 })} />
							<Recalls apfd={apfd} recalls={recalls} vms={vms} selected={selected} onSelect={select} />
							<Overview apfd={apfd} vms={vms} now={now} onSelect={select} />
							<Card isCompact>
								<CardTitle component="h2">{_("Virtual machines")}</CardTitle>
								<CardBody>
									<VMTable vms={vms} address={address} onAddress={setAddress} selected={selected} pending={modes.pending}
										short={(Boolean(vm) && wide) || narrow} tight={tight} onSelect={select} onSet={modes.set} />
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
