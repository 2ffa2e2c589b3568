// SPDX-License-Identifier: GPL-2.0
/*
 * Figures of the memory of a VM and of the host, as texts. A figure that is missing on the bus is not
 * counted on this kernel, or for this VM; it is never shown as 0.
 */
import { bytes, percent, pressureText, rate, usec } from "./format.js";
import { swappedKnown } from "./history.js";
import { _, format } from "./i18n.js";

const NOT_COUNTED = _("not counted");

const known = (value, text) => Number.isFinite(value) ? text(value) : NOT_COUNTED;

function traffic(bytesPerSec, pagesPerSec) {
	if (!Number.isFinite(bytesPerSec))
		return NOT_COUNTED;
	return Number.isFinite(pagesPerSec) ? format(_("$0 a second ($1 pages)"), bytes(bytesPerSec), rate(pagesPerSec))
		: format(_("$0 a second"), bytes(bytesPerSec));
}

/* @stored: of what is on swap; @used: after compression, undefined if nothing is compressed or it is not counted. */
function share(vm, stored, used) {
	if (!Number.isFinite(stored))
		return NOT_COUNTED;
	if (!stored)
		return _("none");
	const text = Number.isFinite(used) ? format(_("$0, compressed to $1"), bytes(stored), bytes(used)) : bytes(stored);
	return swappedKnown(vm) && vm.SwappedBytes > 0
		? format(_("$0; $1 of what is on swap"), text, percent(Math.min(1, stored / vm.SwappedBytes))) : text;
}

/* The limits are those of the VM's control group: without one of its own, nothing is known of them. */
function limit(memory, size, room) {
	if (!("ActiveBytes" in memory))
		return NOT_COUNTED;
	if (!Number.isFinite(memory[size]))
		return _("no limit");
	return Number.isFinite(memory[room]) ? format(_("$0, room for $1 more"), bytes(memory[size]), bytes(memory[room]))
		: bytes(memory[size]);
}

function nodes(map) {
	const used = Object.entries(map || {}).map(([node, n]) => [Number(node), n]).filter(([, n]) => n > 0)
		.sort(([a], [b]) => a - b);
	return used.length ? used.map(([node, n]) => format(_("node $0: $1"), node, bytes(n))).join(", ") : NOT_COUNTED;
}

const peakLatency = value => value > 0 ? format(_("at most $0"), usec(value)) : _("no swap-in");

/* [[group, [[term, text], ...]], ...] of a VM; null if this apfd does not have these figures. */
export function memoryFigures(vm) {
	const { Memory: memory, Pressure: pressure = {} } = vm;
	const peak = name => vm.Watched ? vm[name] : NaN;

	if (!memory)
		return null;
	return [
		[_("Swap traffic"), [
			[_("Read"), traffic(pressure.SwapInBytesRate, pressure.SwapInRate)],
			[_("Written"), traffic(pressure.SwapOutBytesRate, pressure.SwapOutRate)],
		]],
		[_("Highest in the last minute"), [
			[_("Share of time stopped"), known(peak("PeakStallRatio"), percent)],
			[_("Latency of a swap-in"), known(peak("PeakLatencyUSec"), peakLatency)],
		]],
		[_("Compressed"), [
			[_("In zswap"), share(vm, memory.ZswappedBytes, memory.ZswapBytes)],
			[_("On zram"), share(vm, memory.ZramBytes)],
		]],
		[_("Limits"), [
			[_("Memory"), limit(memory, "LimitBytes", "RoomBytes")],
			[_("Slowed down from"), limit(memory, "HighBytes")],
			[_("Swap"), limit(memory, "SwapLimitBytes", "SwapRoomBytes")],
		]],
		[_("In memory"), [
			[_("Size"), known(pressure.MemoryBytes, bytes)],
			[_("Used lately"), known(memory.ActiveBytes, bytes)],
			[_("NUMA"), nodes(vm.NodeMemory)],
		]],
	];
}

/* What a state of the host's memory means; the rules are in org.apfd(5). */
export const HOST_STATES = {
	calm: _("no shortage of memory"),
	reclaiming: _("the kernel looks for memory that it can free"),
	swapping: _("memory is moved from or to swap"),
	thrashing: _("memory is moved from and to swap, and tasks wait for it"),
	unknown: _("not known yet"),
};

/* The kinds of the devices in use, of all devices if none is in use. */
function swapKinds(devices = []) {
	const used = devices.filter(d => d.Used > 0);
	return [...new Set((used.length ? used : devices).map(d => d.Kind))].join("+");
}

function swapUsed(host) {
	const { SwapTotalBytes: total, SwapFreeBytes: free } = host.Memory;
	if (!Number.isFinite(total) || !Number.isFinite(free))
		return format(_("swap $0"), NOT_COUNTED);
	if (!total)
		return _("no swap");
	/* of the slowest device in use */
	const latency = Math.max(0, ...(host.Swap || []).filter(d => d.Used > 0).map(d => d.ReadLatencyUSec || 0));
	const kinds = [swapKinds(host.Swap), latency > 0 && usec(latency)].filter(Boolean).join(", ");
	return format(_("$0 of $1 swap used"), bytes(Math.max(0, total - free)), bytes(total)) + (kinds ? ` (${kinds})` : "");
}

/* One line of the most important figures of the host; "" if this apfd does not have them. */
export function hostLine(host) {
	const { Memory: memory } = host;
	if (!host.MemoryState || !memory)
		return "";
	return [
		format(_("free $0"), known(memory.FreeBytes, bytes)),
		format(_("reclaimable $0"), known(memory.ReclaimableBytes, bytes)),
		swapUsed(host),
	].join(", ");
}

/* [[term, text], ...] of the host: all others. */
export function hostFigures(host) {
	const { Memory: memory, Pressure: pressure = {}, Nodes: list = [] } = host;
	if (!memory)
		return [];
	return [
		[_("Memory"), format(_("$0 in total, $1 available without swapping"), known(memory.TotalBytes, bytes),
			known(memory.AvailableBytes, bytes))],
		[_("Swap traffic"), format(_("read: $0; written: $1"), traffic(pressure.SwapInBytesRate), traffic(pressure.SwapOutBytesRate))],
		[_("Reclaim"), known(pressure.ScanRate, value => format(_("$0 pages a second are looked at"), rate(value)))],
		[_("Pressure"), Number.isFinite(pressure.SomeAvg10) && Number.isFinite(pressure.FullAvg10)
			? pressureText(pressure) : NOT_COUNTED],
		[_("In zswap"), known(memory.ZswappedBytes, value => value
			? format(_("$0, compressed to $1"), bytes(value), known(memory.ZswapBytes, bytes)) : _("none"))],
		[_("NUMA"), list.map(n => format(_("node $0: $1 free of $2"), n.Node, bytes(n.FreeBytes), bytes(n.TotalBytes))).join(", ")],
	];
}
