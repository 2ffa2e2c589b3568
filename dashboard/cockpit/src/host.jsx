// SPDX-License-Identifier: GPL-2.0
/* The host: its module, its swap, what doctor finds. */
import { useState } from "react";
import { Findings } from "./drawer.jsx";
import { Facts } from "./facts.jsx";
import { bytes, usec } from "./format.js";
import { _, format } from "./i18n.js";
import { hostFigures } from "./memory.js";
import { Card, CardBody, ExpandableSection } from "./pf.js";

export const NO_WAIT = {
	"not-needed": _("not needed by this kernel"),
	off: _("off: apf_host has nowait_swapin=0"),
	active: _("active"),
	unavailable: _("not possible on this kernel: asynchronous page faults are hardly ever started"),
};

function swapText(device) {
	return format(_("$0 ($1): $2 of $3"), device.Path, device.Kind, bytes(device.Used), bytes(device.Size)) +
		(device.ReadLatencyUSec ? format(_(", reads take $0"), usec(device.ReadLatencyUSec)) : "") +
		(device.Synchronous ? _("; synchronous: asynchronous page faults bring no gain") : "");
}

/* Hooks that apf_host cannot place on this kernel. */
const missing = host => (host.Hooks || []).filter(h => !h.Placed);

export function Host({ apfd, host }) {
	const [open, setOpen] = useState(false);
	const rows = [
		["apfd", host.Version],
		[_("Module apf_host"), host.HostModule === "present" ? host.HostModuleVersion || _("present") : _("absent")],
		[_("Missing hooks"), missing(host).map(h => <div key={h.Name}>{`${h.Name}: ${h.Error}`}</div>)],
		[_("No-wait swap-in"), NO_WAIT[host.NoWaitSwapin]],
		["libvirt", host.Libvirt && `${host.Libvirt} (${host.LibvirtURI})`],
		[_("Swap"), host.Swap?.length ? host.Swap.map(d => <div key={d.Path}>{swapText(d)}</div>) : host.Swap && _("none")],
		...hostFigures(host),
		[_("Configuration"), host.ConfigFiles?.join(", ")],
	];
	return (
		<Card isCompact>
			<CardBody>
				<ExpandableSection toggleText={_("The host and its swap")} isExpanded={open} onToggle={(_event, o) => setOpen(o)}>
					<Facts rows={rows} />
					{open && <Findings read={() => apfd.readHostRows("Diagnose")} subject="host" />}
				</ExpandableSection>
			</CardBody>
		</Card>
	);
}
