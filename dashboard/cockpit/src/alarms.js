// SPDX-License-Identifier: GPL-2.0
/* Alarms from a guest's report, and texts for events. */
import { vcpus } from "./format.js";

const WAITS_LONG_MSEC = 5000;

/* [{ severity, text }] of one VM. */
export function alarms(vm) {
	const found = [];
	const report = vm.GuestReport || {};
	if (vm.PausedVCPUs?.length)
		found.push({
			severity: "danger",
			text: `Emergency pool in use: the guest has no memory to store waiting tasks; ` +
				`no asynchronous faults on ${vcpus(vm.PausedVCPUs)} until it has memory.`,
		});
	if (report.PoolExhausted > 0)
		found.push({
			severity: "warning",
			text: `The emergency pool was empty ${report.PoolExhausted === 1 ? "once" : `${report.PoolExhausted} times`} ` +
				`since the guest loaded apf_guest.`,
		});
	if (report.OldestSleeperMSec > WAITS_LONG_MSEC)
		found.push({
			severity: "warning",
			text: `A task has waited ${Math.round(report.OldestSleeperMSec / 1000)} s for its page.`,
		});
	return found;
}

const EVENTS = {
	"pool-taken": ["danger", "an emergency node was taken into use, the gate is closed"],
	"pool-returned": ["info", "all emergency nodes are free again, the gate follows its state again"],
	"pool-exhausted": ["danger", "the emergency pool was empty, all sleeping tasks were woken"],
	"waiter-old": ["warning", "a task has waited longer than the limit"],
	"slot-stuck": ["warning", "a \"page ready\" interrupt was lost, the guest handled the event later"],
	"report-gone": ["info", "the guest's module was unloaded or the guest reboots"],
};

export function guestEvent(event, vcpu) {
	const [severity, text] = EVENTS[event] || ["info", event];
	return { severity, text: `vCPU ${vcpu}: ${text}` };
}

export function gateChanged(state, list, pid, comm, reason) {
	return {
		severity: "info",
		text: `${vcpus(list)} set to ${state}` + (comm ? ` by ${comm} (${pid})` : "") +
			(reason ? `: ${reason}` : ""),
	};
}
