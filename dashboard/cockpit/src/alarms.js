// SPDX-License-Identifier: GPL-2.0
/* When a VM suffers, alarms from its stalls and its guest's report, and texts for events. */
import { vcpus } from "./format.js";
import { _, format, ngettext } from "./i18n.js";

const WAITS_LONG_MSEC = 5000;

/*
 * Shares of time that vCPUs are stopped. A VM suffers from the share at which apfd's policy sees
 * pressure (EnterStallRatio in apfd.conf), and an alarm is raised as by the Prometheus rule
 * ApfStallRatioHigh.
 */
const SUFFERS = 0.05;
const ALARM = 0.2;
/* Samples: a level starts and ends later than its share of time, so that marks do not flicker. */
const START = 3;
const END = 5;

/* How much a VM suffers: "" (not), "suffers" or "alarm". */
export class StallLevel {
	constructor() {
		this.ratios = [];
		this.level = "";
	}

	_reached(share, before) {
		return before ? Math.max(...this.ratios) >= share : Math.min(...this.ratios.slice(-START)) >= share;
	}

	/* @ratio: the stall ratio of the last interval, NaN if it is not known. */
	push(ratio) {
		if (!Number.isFinite(ratio)) {
			this.ratios = [];
			this.level = "";
			return;
		}
		this.ratios = [...this.ratios, ratio].slice(-END);
		if (this._reached(ALARM, this.level === "alarm"))
			this.level = "alarm";
		else
			this.level = this._reached(SUFFERS, this.level !== "") ? "suffers" : "";
	}
}

/*
 * [{ id, severity, text }] of one VM. A screen reader reads each change of a text: no text has a
 * figure that changes all the time.
 */
export function alarms(vm) {
	const found = [];
	const report = vm.GuestReport || {};
	if (vm.PausedVCPUs?.length)
		found.push({
			id: "pool",
			severity: "danger",
			text: format(_("Emergency pool in use: the guest has no memory to store waiting tasks; " +
				"no asynchronous faults on $0 until it has memory."), vcpus(vm.PausedVCPUs)),
		});
	if (vm.level === "alarm")
		found.push({
			id: "stall",
			severity: "danger",
			text: format(_("vCPUs are stopped for more than $0 % of the time, because they wait for pages on swap."),
				ALARM * 100),
		});
	if (report.PoolExhausted > 0)
		found.push({
			id: "exhausted",
			severity: "warning",
			text: format(ngettext("The emergency pool was empty once since the guest loaded apf_guest.",
				"The emergency pool was empty $0 times since the guest loaded apf_guest.", report.PoolExhausted),
			report.PoolExhausted),
		});
	if (report.OldestSleeperMSec > WAITS_LONG_MSEC)
		found.push({
			id: "old-sleeper",
			severity: "warning",
			text: format(_("A task has waited for its page for more than $0 s."), WAITS_LONG_MSEC / 1000),
		});
	return found;
}

export const suffers = vm => Boolean(vm.level) || alarms(vm).length > 0;

const EVENTS = {
	"pool-taken": ["danger", _("an emergency node was taken into use, the gate is closed")],
	"pool-returned": ["info", _("all emergency nodes are free again, the gate follows its state again")],
	"pool-exhausted": ["danger", _("the emergency pool was empty, all sleeping tasks were woken")],
	"waiter-old": ["warning", _("a task has waited longer than the limit")],
	"slot-stuck": ["warning", _("a \"page ready\" interrupt was lost, the guest handled the event later")],
	"report-gone": ["info", _("the guest's module was unloaded or the guest reboots")],
};

export function guestEvent(event, vcpu) {
	const [severity, text] = EVENTS[event] || ["info", event];
	return { severity, text: `vCPU ${vcpu}: ${text}` };
}

export function gateChanged(state, list, pid, comm, reason) {
	return {
		severity: "info",
		text: (comm ? format(_("$0 set to $1 by $2 ($3)"), vcpus(list), state, comm, pid)
			: format(_("$0 set to $1"), vcpus(list), state)) + (reason ? `: ${reason}` : ""),
	};
}
