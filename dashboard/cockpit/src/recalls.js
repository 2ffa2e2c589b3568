// SPDX-License-Identifier: GPL-2.0
/* Recalls under way, as apfd announces them, and how the last one of each VM ended. */

/* apfd announces the progress once a second. After this time, is the recall still there? */
export const SILENCE_MSEC = 5000;
/* Larger rates are "no limit", 2^64 - 1 on the bus, which a number of JavaScript only comes near. */
const UNLIMITED = 2 ** 62;

export const isUnlimited = rate => rate >= UNLIMITED;

/* Time that is left at the rate of the last second, microseconds; Infinity if nothing was read. */
export function leftUSec({ TotalBytes, DoneBytes, BytesPerSec }) {
	return BytesPerSec > 0 ? Math.max(0, TotalBytes - DoneBytes) / BytesPerSec * 1e6 : Infinity;
}

/* 0 to 100, an integer; 0 while the bytes are being counted. */
export function donePercent({ TotalBytes, DoneBytes }) {
	return TotalBytes > 0 ? Math.min(100, Math.floor(DoneBytes / TotalBytes * 100)) : 0;
}

export class Recalls {
	constructor() {
		this.running = new Map();	/* path of the recall -> its properties, name of the VM, time of the last news */
		this.results = new Map();	/* path of the VM -> { name, result, total, done, text } */
		this.mine = new Set();		/* paths of VMs whose last recall was started here */
	}

	/* @name: of the VM, which may have ended when the recall ends. */
	add(path, properties, name, now) {
		this.running.set(path, { ...properties, name, news: now });
		this.results.delete(properties.VM);
	}

	update(path, properties, now) {
		const recall = this.running.get(path);
		if (recall)
			this.running.set(path, { ...recall, ...properties, news: now });
		return Boolean(recall);
	}

	/* @result: of the signal Finished, "lost" if apfd has ended, "unknown" if the signal was lost. */
	end(path, result, total, done, text = "") {
		const recall = this.running.get(path);
		if (!recall)
			return;
		this.running.delete(path);
		this.results.set(recall.VM, { name: recall.name, result, text,
			total: total ?? recall.TotalBytes, done: done ?? recall.DoneBytes });
	}

	/* Ends all but those of @paths. */
	endOthers(paths, result) {
		for (const path of [...this.running.keys()])
			if (!paths.includes(path))
				this.end(path, result);
	}

	/* Paths of recalls that apfd has said nothing of for long. */
	silent(now) {
		return [...this.running].filter(([, recall]) => now - recall.news > SILENCE_MSEC).map(([path]) => path);
	}

	dismiss(vmPath) {
		this.results.delete(vmPath);
		this.mine.delete(vmPath);
	}

	/* For React: new objects, so that it sees the change. */
	snapshot() {
		return {
			running: [...this.running].map(([path, recall]) => ({ path, ...recall })),
			results: [...this.results].map(([vmPath, result]) => ({ vmPath, isMine: this.mine.has(vmPath), ...result })),
		};
	}
}
