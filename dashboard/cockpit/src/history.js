// SPDX-License-Identifier: GPL-2.0
/* The figures of the last ten minutes; only the page stores them. */

export const SAMPLE_MSEC = 2000;
export const HISTORY_MSEC = 10 * 60 * 1000;
/* Histograms change slowly and are large: store one every ten seconds. */
export const SNAPSHOT_MSEC = 10 * 1000;

/* A ring buffer of samples: times, and one array of numbers for each field. */
export class Series {
	constructor(fields, capacity = Math.ceil(HISTORY_MSEC / SAMPLE_MSEC) + 1) {
		this.capacity = capacity;
		this.time = new Float64Array(capacity);
		this.values = Object.fromEntries(fields.map(f => [f, new Float64Array(capacity)]));
		this.next = 0;
		this.length = 0;
	}

	/* A value that is not a number (not known) is stored as a gap. */
	push(time, values) {
		if (this.length && time <= this.time[this._at(this.length - 1)])
			return;
		this.time[this.next] = time;
		for (const [field, array] of Object.entries(this.values))
			array[this.next] = Number.isFinite(values[field]) ? values[field] : NaN;
		this.next = (this.next + 1) % this.capacity;
		this.length = Math.min(this.length + 1, this.capacity);
	}

	_at(i) {
		return (this.next - this.length + i + this.capacity) % this.capacity;
	}

	/* [time, value] pairs of one field, oldest first, not older than @since. */
	points(field, since = -Infinity) {
		const found = [];
		for (let i = 0; i < this.length; i++) {
			const at = this._at(i);
			if (this.time[at] >= since)
				found.push([this.time[at], this.values[field][at]]);
		}
		return found;
	}

	last(field) {
		return this.length ? this.values[field][this._at(this.length - 1)] : NaN;
	}
}

/* Splits points into runs without a gap; an unknown value or missing samples are a gap. */
export function runs(points, hole = 3.5 * SAMPLE_MSEC) {
	const found = [];
	let before = null;
	for (const [time, value] of points) {
		if (!Number.isFinite(value)) {
			before = null;
			continue;
		}
		if (before === null || time - before > hole)
			found.push([]);
		found[found.length - 1].push([time, value]);
		before = time;
	}
	return found;
}

/* Subtracts histograms; if a count has decreased, counting was restarted from 0. */
export function difference(before, after) {
	if (!before || before.length !== after.length || after.some((n, i) => n < before[i]))
		return after;
	return after.map((n, i) => n - before[i]);
}

/* Snapshots of a VM's two histograms. */
export class Histograms {
	constructor() {
		this.shots = [];
	}

	push(time, async, sync) {
		const last = this.shots[this.shots.length - 1];
		if (last && time - last.time < SNAPSHOT_MSEC)
			return;
		this.shots.push({ time, async, sync });
		while (this.shots.length > 1 && time - this.shots[1].time >= HISTORY_MSEC)
			this.shots.shift();
	}

	/* Counts of the last @msec before @now, from the newest totals. */
	window(now, msec, async, sync) {
		let first = null;
		for (const shot of this.shots)
			if (!first || shot.time <= now - msec)
				first = shot;
		return { async: difference(first?.async, async || []), sync: difference(first?.sync, sync || []) };
	}
}

/* Bucket i of a log2 histogram in microseconds: [from, to), to may be Infinity. */
export function bucket(i, length) {
	return [i ? 2 ** (i - 1) : 0, i === length - 1 ? Infinity : 2 ** i];
}

/* Quantile by linear interpolation in its bucket, as in apfd; 0 without counts. */
export function quantile(counts, q) {
	const total = counts.reduce((a, b) => a + b, 0);
	if (!total)
		return 0;
	let left = total * q;
	for (let i = 0; i < counts.length; i++) {
		if (counts[i] && left <= counts[i]) {
			const [from, to] = bucket(i, counts.length);
			return Number.isFinite(to) ? from + (to - from) * left / counts[i] : from;
		}
		left -= counts[i];
	}
	return bucket(counts.length - 1, counts.length)[0];
}

/* First and last bucket to draw: the buckets with counts, and one more on each side. */
export function usedBuckets(...histograms) {
	const length = Math.max(0, ...histograms.map(h => h.length));
	let first = length, last = -1;
	for (let i = 0; i < length; i++)
		if (histograms.some(h => h[i] > 0)) {
			first = Math.min(first, i);
			last = i;
		}
	return last < 0 ? null : [Math.max(0, first - 1), Math.min(length - 1, last + 1)];
}

export const FIELDS = ["async", "sync", "stall", "swapped"];

/* An apfd that does not send SwappedSource does not know the difference. */
export const swappedKnown = vm => vm.SwappedSource !== "unknown";

/* A sample of a VM; rates of a VM that is not watched are unknown, not zero. */
export function sample(vm) {
	return {
		async: vm.Watched ? vm.AsyncRate : NaN,
		sync: vm.Watched ? vm.SyncRate : NaN,
		stall: vm.Watched ? vm.StallRatio : NaN,
		swapped: swappedKnown(vm) ? vm.SwappedBytes : NaN,
	};
}

/* A sample of the host: sums over the VMs, but the stall ratio of the worst VM. */
export function sampleHost(vms) {
	const samples = vms.map(sample);
	const known = field => samples.map(s => s[field]).filter(Number.isFinite);
	const sum = list => list.length || !vms.length ? list.reduce((a, b) => a + b, 0) : NaN;
	const stalls = known("stall");
	return {
		async: sum(known("async")),
		sync: sum(known("sync")),
		stall: stalls.length ? Math.max(...stalls) : vms.length ? NaN : 0,
		swapped: sum(known("swapped")),
	};
}

/* Round numbers for an axis from 0 to at least @max. */
export function ticks(max, count = 3, base = 10) {
	if (!(max > 0))
		return [0, 1];
	const raw = max / count;
	const power = base ** Math.floor(Math.log(raw) / Math.log(base) + 1e-9);
	const steps = base === 10 ? [1, 2, 5, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
	const step = steps.find(s => s * power >= raw * (1 - 1e-9)) * power;
	const found = [];
	for (let i = 0; i === 0 || found[i - 1] < max * (1 - 1e-9); i++)
		found.push(i * step);
	return found;
}
