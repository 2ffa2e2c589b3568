// SPDX-License-Identifier: GPL-2.0
/* Formats numbers for people, with the units of apfctl. */
import { _, format } from "./i18n.js";

const NONE = "–";

/* Compares names: "web-2" is before "web-10". */
export const byName = new Intl.Collator(undefined, { numeric: true }).compare;

function digits(value) {
	return value >= 100 || value === 0 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function bytes(value) {
	if (!Number.isFinite(value))
		return NONE;
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;
	while (value >= 1024 && i < units.length - 1) {
		value /= 1024;
		i++;
	}
	return `${i ? digits(value) : value.toFixed(0)} ${units[i]}`;
}

export function usec(value) {
	if (!Number.isFinite(value) || value <= 0)
		return NONE;
	if (value < 1000)
		return `${value.toFixed(0)} µs`;
	if (value < 1e6)
		return `${digits(value / 1e3)} ms`;
	return `${digits(value / 1e6)} s`;
}

export function rate(value) {
	if (!Number.isFinite(value))
		return NONE;
	return value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1);
}

export function percent(ratio) {
	if (!Number.isFinite(ratio))
		return NONE;
	const value = ratio * 100;
	return `${value === 0 || value >= 10 ? value.toFixed(0) : value.toFixed(1)} %`;
}

/* Of Pressure on the bus, whose averages are in percent. */
export function pressureText({ SomeAvg10, FullAvg10 }) {
	return format(_("some $0, full $1 of the last 10 s"), percent(SomeAvg10 / 100), percent(FullAvg10 / 100));
}

/* A long time: "850 ms", "3 h 12 min". */
export function duration(value) {
	const sec = Math.floor(value / 1e6);
	if (!Number.isFinite(value) || sec < 60)
		return value === 0 ? "0 s" : usec(value);
	const units = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
	const [big, bigName, small, smallName] = units.find(([size]) => sec >= size);
	return `${Math.floor(sec / big)} ${bigName} ${Math.floor(sec % big / small)} ${smallName}`;
}

/* [1, 2, 3, 5] -> "1-3, 5" */
export function ranges(numbers) {
	const sorted = [...new Set(numbers)].sort((a, b) => a - b);
	const found = [];
	for (const n of sorted) {
		const last = found[found.length - 1];
		if (last && last[1] === n - 1)
			last[1] = n;
		else
			found.push([n, n]);
	}
	return found.map(([a, b]) => a === b ? `${a}` : `${a}-${b}`).join(", ");
}

export function vcpus(numbers) {
	if (!numbers?.length)
		return _("all vCPUs");
	return format(_("vCPU $0"), ranges(numbers));
}

/* "12 s ago" for a time in milliseconds. */
export function ago(msec, now) {
	const sec = Math.max(0, Math.round((now - msec) / 1000));
	if (sec < 5)
		return _("just now");
	if (sec < 120)
		return format(_("$0 s ago"), sec);
	if (sec < 7200)
		return format(_("$0 min ago"), Math.round(sec / 60));
	return format(_("$0 h ago"), Math.round(sec / 3600));
}

/* Inputs of a decision, sorted by name, with few digits. */
export function inputs(map) {
	return Object.keys(map || {}).sort()
		.map(key => `${key} ${Number.isInteger(map[key]) ? map[key] : Number(map[key]).toPrecision(3)}`)
		.join(", ");
}
