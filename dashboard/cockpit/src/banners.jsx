// SPDX-License-Identifier: GPL-2.0
/* What is wrong with the host or with VMs, above everything else. */
import { useState } from "react";
import { alarms } from "./alarms.js";
import { explain, explainModule } from "./dbus.js";
import { EventList } from "./drawer.jsx";
import { fill } from "./fill.js";
import { byName } from "./format.js";
import { NO_WAIT } from "./host.jsx";
import { _, format, ngettext } from "./i18n.js";
import {
	Alert, AlertActionLink, Button, Card, CardBody, CardTitle, EmptyState, EmptyStateActions,
	EmptyStateBody, EmptyStateFooter, ExclamationCircleIcon,
} from "./pf.js";

/* More alarms than this would push the table out of sight. */
const ALARMS_SHOWN = 3;
const SEVERITIES = ["danger", "warning"];

export function Refusal({ refusal }) {
	return <Alert isInline variant="danger" title={refusal.text} component="h2" className="apf-refusal">{refusal.advice}</Alert>;
}

export function Missing({ apfd, problem }) {
	const [refusal, setRefusal] = useState(null);
	const denied = problem === "access-denied";
	const start = () => {
		setRefusal(null);
		apfd.startService().then(() => apfd.find(), error => setRefusal(explain(error)));
	};
	return (
		<EmptyState titleText={denied ? _("No access to apfd") : _("apfd is not running")} icon={ExclamationCircleIcon} headingLevel="h1">
			<EmptyStateBody>
				<p>{_("Without this service nothing can be shown. Gates do not change, and virtual machines continue to run.")}</p>
				<p>{fill(_("To start the service, now and at each boot: $0"), <code>systemctl enable --now apfd</code>)}</p>
				{problem && problem !== "not-found" && <p>{problem}</p>}
			</EmptyStateBody>
			<EmptyStateFooter>
				<EmptyStateActions>
					<Button onClick={start}>{_("Start apfd")}</Button>
					<Button variant="link" onClick={() => apfd.find()}>{_("Try again")}</Button>
				</EmptyStateActions>
				<div aria-live="assertive">
					{refusal && <Refusal refusal={refusal} />}
				</div>
			</EmptyStateFooter>
		</EmptyState>
	);
}

function NoModule({ apfd }) {
	const [loading, setLoading] = useState(false);
	const [refusal, setRefusal] = useState(null);
	const load = () => {
		setRefusal(null);
		setLoading(true);
		/* The banner goes away as soon as apfd reports the module. */
		apfd.loadModule().catch(error => setRefusal(explainModule(error))).finally(() => setLoading(false));
	};
	return (
		<>
			<Alert isInline variant="warning" title={_("The module apf_host is not loaded")} component="h2" id="apf-no-module"
				actionLinks={<Button variant="secondary" size="sm" isLoading={loading} spinnerAriaValueText={_("Loading the module")}
					onClick={() => loading || load()}>{_("Load")}</Button>}>
				{fill(_("Virtual machines are shown, but their gates cannot be changed and counters do not change. " +
					"The button does what $0 does."), <code>modprobe apf_host</code>)}
			</Alert>
			<div aria-live="assertive" id="apf-load-refusal">
				{refusal && <Refusal refusal={refusal} />}
			</div>
		</>
	);
}

export function Banners({ apfd, host }) {
	return (
		<>
			{host.HostModule === "absent" && <NoModule apfd={apfd} />}
			{host.Libvirt && host.Libvirt !== "connected" &&
				<Alert isInline variant="warning" title={_("apfd is not connected to libvirt")} component="h2">
					{format(_("Virtual machines that libvirt manages are missing until $0 answers; apfd keeps trying."), host.LibvirtURI)}
				</Alert>}
			{host.NoWaitSwapin === "unavailable" &&
				<Alert isInline variant="warning" title={format(_("No-wait swap-in is $0"), NO_WAIT.unavailable)} component="h2" />}
			{host.ConfigError &&
				<Alert isInline variant="danger" title={_("apfd's configuration has an error; the last good one stays in effect")} component="h2">
					{host.ConfigError}
				</Alert>}
			{host.DryRun &&
				<Alert isInline variant="info" title={_("Dry run: apfd reports its decisions, but changes nothing")} component="h2" />}
		</>
	);
}

export function Alarms({ vms, now, events, onSelect, onSuffering }) {
	/* By name, not by a figure: alarms must not change places while somebody reads them. */
	const found = vms.flatMap(vm => alarms(vm).map(a => ({ ...a, vm }))).sort((a, b) =>
		SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
		byName(a.vm.Name, b.vm.Name));
	const shown = found.slice(0, ALARMS_SHOWN);
	const others = new Set(found.slice(ALARMS_SHOWN).map(a => a.vm.path)).size;
	const guestEvents = events.filter(e => e.kind === "guest");
	return (
		<>
			{/* a live region must exist before its content, or nothing is announced */}
			<div aria-live="polite" id="apf-alarms">
				{shown.map(a =>
					<Alert key={a.vm.path + a.id} isInline variant={a.severity} component="h2" className="apf-alarm"
						title={<><bdi>{a.vm.Name}</bdi>: {a.text}</>}
						actionLinks={<AlertActionLink onClick={() => onSelect(a.vm)}>
							{fill(_("Show $0"), <bdi>{a.vm.Name}</bdi>)}
						</AlertActionLink>} />)}
				{others > 0 &&
					<Alert isInline variant={found[ALARMS_SHOWN].severity} component="h2" id="apf-more-alarms"
						title={format(ngettext("$0 more virtual machine has alarms", "$0 more virtual machines have alarms", others), others)}
						actionLinks={<AlertActionLink onClick={onSuffering}>{_("Show all that suffer")}</AlertActionLink>} />}
			</div>
			{guestEvents.length > 0 &&
				<Card isCompact>
					<CardTitle component="h2">{_("Reports of guests")}</CardTitle>
					<CardBody><EventList events={guestEvents.slice(0, 10)} now={now} withName /></CardBody>
				</Card>}
		</>
	);
}
