// SPDX-License-Identifier: GPL-2.0
/* The parts of the Cockpit page that neither draw nor speak to anybody: node --test unit.mjs */
import assert from "node:assert/strict";
import test from "node:test";
import { StallLevel, alarms, gateChanged, guestEvent, suffers } from "../../dashboard/cockpit/src/alarms.js";
import { Apfd } from "../../dashboard/cockpit/src/apfd.js";
import { counted, explain, explainModule, isUnknown, plain } from "../../dashboard/cockpit/src/dbus.js";
import * as format from "../../dashboard/cockpit/src/format.js";
import {
	Histograms, HISTORY_MSEC, SAMPLE_MSEC, Series, bucket, difference, usedBuckets, quantile, runs, sample,
	sampleHost, ticks,
} from "../../dashboard/cockpit/src/history.js";
import { hostFigures, hostLine, memoryFigures } from "../../dashboard/cockpit/src/memory.js";
import { Recalls, SILENCE_MSEC, donePercent, isUnlimited, leftUSec } from "../../dashboard/cockpit/src/recalls.js";
import * as po from "../../dashboard/cockpit/po.mjs";
import { isDark } from "../../dashboard/cockpit/src/theme.js";
import { idOf, readOptions, vmOf, writeOptions } from "../../dashboard/cockpit/src/url.js";

test("variants are unwrapped at any depth, and nothing else is", () => {
	assert.deepEqual(plain({ Name: { t: "s", v: "web-1" }, Watched: { t: "b", v: false } }), { Name: "web-1", Watched: false });
	assert.deepEqual(plain([{ Check: { t: "s", v: "swap" }, Inputs: { t: "a{sd}", v: { StallRatio: 0.5 } } }]),
		[{ Check: "swap", Inputs: { StallRatio: 0.5 } }]);
	assert.deepEqual(plain({ t: "v", v: { t: "au", v: [1, 2] } }), [1, 2]);
	assert.deepEqual(plain({ t: 1, v: 2 }), { t: 1, v: 2 }, "a dictionary that only looks like a variant");
	assert.equal(plain(null), null);
	assert.equal(plain(0), 0);
});

test("what the kernel cannot count is no number, and no 0", () => {
	const vm = counted({ Name: "web-1", NotCounted: ["Ready", "AsyncRate", "AsyncHistogram", "Outstanding"],
		AsyncRate: 0, SyncRate: 0, Outstanding: 0, AsyncHistogram: [], Watched: true });
	assert.ok(Number.isNaN(vm.AsyncRate) && Number.isNaN(vm.Outstanding));
	assert.equal(vm.SyncRate, 0);
	assert.deepEqual(vm.AsyncHistogram, []);
	assert.equal("Ready" in vm, false);
	assert.ok(Number.isNaN(sample(vm).async));
	assert.equal(sampleHost([vm]).sync, 0);
	assert.equal(format.rate(vm.AsyncRate), "–");
	/* An apfd that does not tell of it, and one on whose kernel all is counted. */
	assert.equal(counted({ AsyncRate: 3 }).AsyncRate, 3);
	assert.equal(counted({ AsyncRate: 3, NotCounted: [] }).AsyncRate, 3);
});

test("errors: a refusal says so, with what to do about it", () => {
	for (const name of ["AccessDenied", "InteractiveAuthorizationRequired"]) {
		const e = explain({ name: `org.freedesktop.DBus.Error.${name}`, message: "polkit said no" });
		assert.equal(e.denied, true);
		assert.match(e.text, /^Not allowed: polkit said no\.$/);
		assert.match(e.advice, /administrative access/);
	}
	assert.match(explain({ name: "org.apfd.Error.NoHostModule", message: "apf_host is not loaded" }).advice, /modprobe apf_host/);
	assert.match(explain({ problem: "not-found" }).text, /apfd cannot be reached: not-found/);
	assert.match(explain({}).text, /no reason/);
	assert.equal(isUnknown({ name: "org.freedesktop.DBus.Error.UnknownMethod" }), true);
	assert.equal(isUnknown({ name: "org.freedesktop.DBus.Error.AccessDenied" }), false);
	assert.equal(isUnknown(undefined), false);
});

test("numbers read as those of apfctl", () => {
	assert.equal(format.bytes(0), "0 B");
	assert.equal(format.bytes(1023), "1023 B");
	assert.equal(format.bytes(112 * 1024 * 1024), "112 MiB");
	assert.equal(format.bytes(1.5 * 2 ** 30), "1.50 GiB");
	assert.equal(format.usec(0), "–");
	assert.equal(format.usec(800), "800 µs");
	assert.equal(format.usec(6400), "6.40 ms");
	assert.equal(format.usec(2.5e6), "2.50 s");
	assert.equal(format.rate(0), "0");
	assert.equal(format.rate(3.14), "3.1");
	assert.equal(format.rate(216.4), "216");
	assert.equal(format.percent(0.123), "12 %");
	assert.equal(format.percent(0.0123), "1.2 %");
	for (const f of [format.bytes, format.usec, format.rate, format.percent])
		assert.equal(f(NaN), "–");
	assert.equal(format.percent(2.3), "230 %");
	assert.equal(format.duration(0), "0 s");
	assert.equal(format.duration(2.5e6), "2.50 s");
	assert.equal(format.duration(59.9e6), "59.9 s");
	assert.equal(format.duration(310e6), "5 min 10 s");
	assert.equal(format.duration(11520e6), "3 h 12 min");
	assert.equal(format.duration(90000e6), "1 d 1 h");
	assert.equal(format.duration(NaN), "–");
	assert.equal(format.vcpus([]), "all vCPUs");
	assert.equal(format.vcpus([3, 0, 1, 2, 7]), "vCPU 0-3, 7");
	assert.equal(format.ago(1000, 1500), "just now");
	assert.equal(format.ago(0, 42e3), "42 s ago");
	assert.equal(format.ago(0, 600e3), "10 min ago");
	assert.equal(format.inputs({ SwapInRate: 431, StallRatio: 0.18 }), "StallRatio 0.180, SwapInRate 431");
});

test("a series keeps ten minutes and no more", () => {
	const s = new Series(["a"]);
	const n = 3 * HISTORY_MSEC / SAMPLE_MSEC;
	for (let i = 0; i < n; i++)
		s.push(i * SAMPLE_MSEC, { a: i });
	const points = s.points("a");
	assert.equal(points.length, HISTORY_MSEC / SAMPLE_MSEC + 1);
	assert.deepEqual(points[points.length - 1], [(n - 1) * SAMPLE_MSEC, n - 1]);
	assert.equal(points[points.length - 1][0] - points[0][0], HISTORY_MSEC);
	assert.equal(s.last("a"), n - 1);
	assert.equal(s.points("a", (n - 3) * SAMPLE_MSEC).length, 3);
	s.push(0, { a: 1 });
	assert.equal(s.last("a"), n - 1, "time does not go back");
	assert.ok(Number.isNaN(new Series(["a"]).last("a")));
});

test("gaps: neither the unknown nor a hole in time is drawn over", () => {
	const s = new Series(["a"]);
	for (const [t, a] of [[0, 1], [2000, 2], [4000, undefined], [6000, 3], [60000, 4], [62000, 5]])
		s.push(t, { a });
	assert.deepEqual(runs(s.points("a")), [[[0, 1], [2000, 2]], [[6000, 3]], [[60000, 4], [62000, 5]]]);
	assert.deepEqual(runs([]), []);
});

test("a VM that is not watched has unknown rates, and the host sums the known ones", () => {
	const on = { Watched: true, AsyncRate: 10, SyncRate: 1, StallRatio: 0.2, SwappedBytes: 100 };
	const off = { Watched: false, AsyncRate: 0, SyncRate: 0, StallRatio: 0, SwappedBytes: 50 };
	assert.ok(Number.isNaN(sample(off).async));
	assert.equal(sample(off).swapped, 50);
	assert.equal(sample({ ...off, SwappedSource: "process" }).swapped, 50);
	assert.ok(Number.isNaN(sample({ ...off, SwappedBytes: 0, SwappedSource: "unknown" }).swapped));
	assert.deepEqual(sampleHost([on, off]), { async: 10, sync: 1, stall: 0.2, swapped: 150 });
	assert.deepEqual(sampleHost([]), { async: 0, sync: 0, stall: 0, swapped: 0 });
	assert.ok(Number.isNaN(sampleHost([off]).stall));
});

test("histograms: windows, restarts, quantiles", () => {
	const h = new Histograms();
	h.push(0, [1, 0, 0], [0, 0, 0]);
	h.push(1000, [9, 9, 9], [9, 9, 9]);		/* too soon: not kept */
	h.push(60e3, [1, 4, 0], [0, 2, 0]);
	assert.equal(h.shots.length, 2);
	assert.deepEqual(h.window(120e3, 60e3, [1, 6, 1], [0, 2, 5]), { async: [0, 2, 1], sync: [0, 0, 5] });
	assert.deepEqual(h.window(120e3, 600e3, [1, 6, 1], [0, 2, 5]), { async: [0, 6, 1], sync: [0, 2, 5] });
	assert.deepEqual(new Histograms().window(0, 60e3, [1, 2], [3, 4]), { async: [1, 2], sync: [3, 4] });
	assert.deepEqual(difference([5, 5], [1, 0]), [1, 0], "started anew");
	for (let t = 60e3; t < 3 * HISTORY_MSEC; t += 10e3)
		h.push(t, [1], [1]);
	assert.ok(h.shots.length <= HISTORY_MSEC / 10e3 + 2, `${h.shots.length} kept`);

	assert.deepEqual(bucket(0, 24), [0, 1]);
	assert.deepEqual(bucket(13, 24), [4096, 8192]);
	assert.deepEqual(bucket(23, 24), [2 ** 22, Infinity]);
	assert.equal(quantile([0, 0, 0, 0], 0.5), 0);
	assert.equal(quantile([0, 0, 0, 10, 0], 0.5), 6);
	assert.equal(quantile([0, 0, 0, 0, 7], 0.95), 8, "the last bucket has no upper bound");
	assert.deepEqual(usedBuckets([0, 0, 1, 0, 0], [0, 0, 0, 0, 0]), [1, 3]);
	assert.deepEqual(usedBuckets([1], [0]), [0, 0]);
	assert.equal(usedBuckets([0, 0], [0, 0]), null);
});

test("axes have round figures that hold the highest value", () => {
	assert.deepEqual(ticks(0), [0, 1]);
	assert.deepEqual(ticks(100), [0, 50, 100]);
	assert.deepEqual(ticks(7), [0, 5, 10]);
	assert.deepEqual(ticks(3 * 2 ** 20, 3, 1024), [0, 2 ** 20, 2 * 2 ** 20, 3 * 2 ** 20]);
	for (let max = 0.001; max < 1e12; max *= 1.37)
		for (const base of [10, 1024]) {
			const marks = ticks(max, 3, base);
			assert.ok(marks[marks.length - 1] >= max * (1 - 1e-9), `${max}: ${marks}`);
			assert.ok(marks.length >= 2 && marks.length <= 5, `${max}: ${marks}`);
		}
});

test("alarms of a guest's report", () => {
	assert.deepEqual(alarms({}), []);
	assert.deepEqual(alarms({ PausedVCPUs: [], GuestReport: { PoolExhausted: 0, OldestSleeperMSec: 10 } }), []);
	const found = alarms({ PausedVCPUs: [1, 0], GuestReport: { PoolExhausted: 2, OldestSleeperMSec: 12345 } });
	assert.deepEqual(found.map(a => a.severity), ["danger", "warning", "warning"]);
	assert.match(found[0].text, /vCPU 0-1/);
	assert.match(found[1].text, /2 times/);
	assert.match(found[2].text, /more than 5 s/, "no figure that changes: a screen reader would read each change");
	assert.equal(guestEvent("pool-exhausted", 3, {}).severity, "danger");
	assert.equal(guestEvent("slot-stuck", 3, {}).severity, "warning");
	assert.match(guestEvent("a-new-one", 3, {}).text, /vCPU 3: a-new-one/);
	assert.equal(gateChanged("off", [1], 42, "apfctl", "by hand").text, "vCPU 1 set to off by apfctl (42): by hand");
});

test("a VM suffers when its vCPUs are stopped for long, and marks do not flicker", () => {
	const levels = ratios => {
		const stalls = new StallLevel();
		return ratios.map(ratio => {
			stalls.push(ratio);
			return stalls.level;
		});
	};
	assert.deepEqual(levels([0.3]), ["alarm"], "the first sample already counts");
	assert.deepEqual(levels([0, 0, 0.3, 0.3, 0.3]), ["", "", "", "", "alarm"]);
	assert.deepEqual(levels([0, 0.3, 0, 0.3, 0]), ["", "", "", "", ""], "a single sample is no stall");
	assert.deepEqual(levels([0.3, 0, 0, 0, 0, 0]), ["alarm", "alarm", "alarm", "alarm", "alarm", ""]);
	assert.deepEqual(levels([0.3, 0.1, 0.1, 0.1, 0.1, 0.1]).at(-1), "suffers");
	assert.deepEqual(levels([0.05, 0.049]), ["suffers", "suffers"]);
	assert.deepEqual(levels([0.049]), [""]);
	assert.deepEqual(levels([0.3, NaN, 0]), ["alarm", "", ""], "not watched any more");
	assert.deepEqual(alarms({ level: "alarm" }).map(a => [a.id, a.severity]), [["stall", "danger"]]);
	assert.deepEqual(alarms({ level: "suffers" }), []);
	assert.equal(suffers({ level: "suffers" }), true);
	assert.equal(suffers({ level: "", PausedVCPUs: [0] }), true);
	assert.equal(suffers({ level: "" }), false);
});

test("the address: what is wrong becomes the default, and defaults are left out", () => {
	const state = { vm: "web", find: "w", show: "suffering", sort: "name", page: 2, rows: 50 };
	assert.deepEqual(readOptions(writeOptions(state)), state);
	assert.deepEqual(writeOptions(readOptions({})), {});
	assert.deepEqual(writeOptions(readOptions({ page: "0", rows: "7", sort: "-nothing", show: "x" })), {});
	assert.equal(readOptions({ page: "1e9" }).page, 1e9, "the table has no such page, and shows its last one");
	assert.equal(readOptions({ vm: ["a", "b"] }).vm, "a");
	assert.equal(readOptions({ name: "web", connection: "system" }).vm, "web");
	const vms = [{ Name: "a", UUID: "1" }, { Name: "b", UUID: "2" }, { Name: "a", UUID: "3" }];
	assert.deepEqual(vms.map(vm => idOf(vms, vm)), ["a", "b", "3"], "a name that repeats");
	for (const vm of vms)
		assert.equal(vmOf(vms, idOf(vms, vm)), vm);
	assert.equal(vmOf(vms, ""), undefined);
	assert.equal(vmOf([{ Name: "", UUID: "1" }], ""), undefined);
});

test("modprobe's failures come with advice", () => {
	const failed = message => explainModule(Object.assign(new Error(message), { problem: null, exit_status: 1 }));
	assert.match(failed("modprobe: FATAL: Module apf_host not found in directory /lib/modules/6.12").advice, /apf-host-dkms/);
	assert.match(failed("modprobe: ERROR: could not insert 'apf_host': Key was rejected by service").advice, /mokutil/);
	assert.equal(failed("modprobe: ERROR: could not insert 'apf_host': Exec format error").advice, "");
	assert.equal(explainModule({ problem: "access-denied", message: "no" }).denied, true);
});

test("translations: what Cockpit gets from a .po file", () => {
	const got = {};
	const source = ["msgid \"\"", "msgstr \"\"", "\"Language: xx\\n\"", "\"Plural-Forms: nplurals=2; plural=(n != 1);\\n\"", "",
		"# a comment", "#: app.jsx", "msgid \"one \\\"line\\\"\"", "msgstr \"eine\"", "",
		"msgid \"two \"", "\"parts\"", "msgstr \"\"", "\"zwei\"", "",
		"#, fuzzy", "msgid \"doubtful\"", "msgstr \"zweifelhaft\"", "", "msgid \"not yet\"", "msgstr \"\"", "",
		"msgid \"$0 VM\"", "msgid_plural \"$0 VMs\"", "msgstr[0] \"$0 M\"", "msgstr[1] \"$0 Mn\"", "", "#~ msgid \"gone\"", "#~ msgstr \"weg\""];
	new Function("cockpit", po.script(source.join("\n"), "xx"))({ locale: texts => Object.assign(got, texts) });
	const { "": header, ...texts } = got;
	assert.deepEqual(texts, { "one \"line\"": [null, "eine"], "two parts": [null, "zwei"], "$0 VM": [null, "$0 M", "$0 Mn"] });
	assert.deepEqual([0, 1, 2].map(n => Number(header["plural-forms"](n))), [1, 0, 1]);
	assert.equal(header.language, "xx");
	assert.equal(header["language-direction"], "ltr");
	assert.match(po.script(source.join("\n"), "ar"), /"rtl"/);
	assert.throws(() => po.script("msgid \"\"\nmsgstr \"\"\n", "xx"), /Plural-Forms/);
	assert.throws(() => po.script(source.join("\n").replace("(n != 1)", "alert(1)"), "xx"), /Plural-Forms/);
	assert.throws(() => po.parse("msgid one"), /line 1/);
	assert.deepEqual(po.extract("x = _(\"a\" +\n\t\"b\"); ngettext(\"1\", \"n\", n)"), [{ id: "ab", plural: undefined }, { id: "1", plural: "n" }]);
	assert.throws(() => po.extract("_(name)"), /not a literal/);
});

test("dark mode is the shell's choice, or the system's", () => {
	assert.equal(isDark("dark", false), true);
	assert.equal(isDark("light", true), false);
	assert.equal(isDark("auto", true), true);
	assert.equal(isDark(null, false), false);
});

/* An apfd with one VM; @list answers ListVMs(). */
async function connected(list) {
	const PATH = "/org/apfd/vm/u1";
	const vm = { Name: { t: "s", v: "web" }, Watched: { t: "b", v: true }, AsyncRate: { t: "d", v: 1 }, SyncRate: { t: "d", v: 0 },
		StallRatio: { t: "d", v: 0 }, SwappedBytes: { t: "t", v: 0 } };
	const client = {
		calls: [],
		addEventListener() {}, subscribe() {}, close() {},
		async call(path, _interface, method, args) {
			client.calls.push(method);
			if (method === "GetManagedObjects")
				return [{ [PATH]: { "org.apfd.VM1": vm } }];
			if (method === "ListVMs")
				return [list(args[0], PATH)];
			return method === "GetAll" ? [{ Swap: { t: "aa{sv}", v: [{ Path: { t: "s", v: "/dev/sda2" } }] } }] : [{}];
		},
	};
	let now = 0;
	const apfd = new Apfd({ dbus: () => client }, () => now += 2000);
	apfd._connect(":1.4");
	while (apfd.phase !== "ready")
		await new Promise(done => setImmediate(done));
	return { apfd, client, series: () => apfd.history.get(PATH).series };
}

test("figures are read from apfd, which does not announce them", async () => {
	let rate = 10;
	const { apfd, series } = await connected((names, path) => {
		assert.ok(names.includes("AsyncRate") && !names.includes("Name"));
		assert.ok(!names.includes("Memory"), "this apfd does not have it, and would refuse the call");
		return { [path]: { AsyncRate: { t: "d", v: rate++ } }, "/org/apfd/vm/unknown": { AsyncRate: { t: "d", v: 5 } } };
	});
	await apfd._refresh();
	await apfd._refresh();
	assert.deepEqual(series().points("async").map(([, v]) => v), [1, 10, 11]);
	assert.equal(apfd.vms.size, 1, "a VM that was not announced is not shown");
	assert.deepEqual(apfd.host.Swap, [{ Path: "/dev/sda2" }]);
	clearTimeout(apfd.drawing);
});

test("an apfd that does not answer leaves a gap, an old one announces figures", async () => {
	let error = Object.assign(new Error("too much"), { name: "org.freedesktop.DBus.Error.LimitsExceeded" });
	const { apfd, series } = await connected(() => { throw error; });
	await apfd._refresh();
	assert.equal(series().length, 1);
	error = Object.assign(new Error("old"), { name: "org.freedesktop.DBus.Error.UnknownMethod" });
	apfd._propertiesChanged("/org/apfd/vm/u1", "org.apfd.VM1", { AsyncRate: { t: "d", v: 7 } }, []);
	await apfd._refresh();
	assert.deepEqual(series().points("async").map(([, v]) => v), [1, 7]);
	clearTimeout(apfd.drawing);
});

const RECALL = { VM: "/vm/1", TotalBytes: 200, DoneBytes: 50, BytesPerSec: 50, LimitPerSec: 2 ** 64, Slowed: false };

test("recalls: progress, and what became of each", () => {
	const recalls = new Recalls();
	recalls.add("/r/1", RECALL, "web", 0);
	assert.equal(recalls.update("/r/1", { DoneBytes: 100 }, 1000), true);
	assert.equal(recalls.update("/r/2", { DoneBytes: 100 }, 1000), false, "not known");
	assert.deepEqual(recalls.silent(1000 + SILENCE_MSEC), []);
	assert.deepEqual(recalls.silent(1001 + SILENCE_MSEC), ["/r/1"]);
	recalls.end("/r/1", "done", 200, 200, "");
	/* The object is removed after that. */
	recalls.end("/r/1", "unknown");
	assert.deepEqual(recalls.snapshot(), { running: [],
		results: [{ vmPath: "/vm/1", isMine: false, name: "web", result: "done", text: "", total: 200, done: 200 }] });
	recalls.add("/r/3", RECALL, "web", 2000);
	assert.deepEqual(recalls.snapshot().results, [], "a new recall of the VM");
	recalls.add("/r/4", { ...RECALL, VM: "/vm/2" }, "db", 2000);
	recalls.endOthers(["/r/4", "/vm/2"], "lost");
	assert.deepEqual(recalls.snapshot().results.map(r => [r.vmPath, r.result, r.done]), [["/vm/1", "lost", 50]]);
	assert.deepEqual(recalls.snapshot().running.map(r => r.path), ["/r/4"]);
	recalls.dismiss("/vm/1");
	assert.deepEqual(recalls.snapshot().results, []);
});

test("recalls: percent, time that is left, and no limit", () => {
	assert.equal(donePercent(RECALL), 25);
	assert.equal(donePercent({ TotalBytes: 0, DoneBytes: 0 }), 0);
	assert.equal(donePercent({ TotalBytes: 10, DoneBytes: 11 }), 100);
	assert.equal(donePercent({ TotalBytes: 1000, DoneBytes: 999 }), 99, "not finished");
	assert.equal(leftUSec(RECALL), 3e6);
	assert.equal(leftUSec({ ...RECALL, BytesPerSec: 0 }), Infinity);
	assert.equal(leftUSec({ ...RECALL, DoneBytes: 300 }), 0);
	assert.equal(isUnlimited(JSON.parse("18446744073709551615")), true);
	assert.equal(isUnlimited(2 ** 40), false);
});

const figure = (groups, group, term) => Object.fromEntries(Object.fromEntries(groups)[group])[term];

test("figures of a VM's memory: what is missing is not counted, and never 0", () => {
	const GIB = 2 ** 30;
	const vm = { Watched: true, SwappedBytes: GIB, PeakStallRatio: 0.25, PeakLatencyUSec: 8192,
		Pressure: { SwapInBytesRate: 2 ** 20, SwapInRate: 256, SwapOutBytesRate: 0, SwapOutRate: 0, MemoryBytes: 2 * GIB },
		Memory: { LimitBytes: 4 * GIB, RoomBytes: GIB, ActiveBytes: GIB, ZswappedBytes: GIB / 4, ZswapBytes: GIB / 16, ZramBytes: 0 },
		NodeMemory: { 10: GIB, 2: GIB / 2, 3: 0 } };
	const all = memoryFigures(vm);
	assert.equal(figure(all, "Swap traffic", "Read"), "1.00 MiB a second (256 pages)");
	assert.equal(figure(all, "Swap traffic", "Written"), "0 B a second (0 pages)", "counted, and nothing");
	assert.equal(figure(all, "Highest in the last minute", "Share of time stopped"), "25 %");
	assert.equal(figure(all, "Highest in the last minute", "Latency of a swap-in"), "at most 8.19 ms");
	assert.equal(figure(all, "Compressed", "In zswap"), "256 MiB, compressed to 64.0 MiB; 25 % of what is on swap");
	assert.equal(figure(all, "Compressed", "On zram"), "none");
	assert.equal(figure(all, "Limits", "Memory"), "4.00 GiB, room for 1.00 GiB more");
	assert.equal(figure(all, "Limits", "Swap"), "no limit");
	assert.equal(figure(all, "In memory", "NUMA"), "node 2: 512 MiB, node 10: 1.00 GiB");
	const none = memoryFigures({ Watched: false, SwappedBytes: 0, PeakStallRatio: 0, PeakLatencyUSec: 0, Memory: { MajorFaults: 3 }, NodeMemory: {} });
	assert.deepEqual([...new Set(none.flatMap(([, rows]) => rows.map(([, text]) => text)))], ["not counted"]);
	const uncounted = memoryFigures(counted({ ...vm, NotCounted: ["PeakStallRatio", "PeakLatencyUSec"] }));
	assert.equal(figure(uncounted, "Highest in the last minute", "Latency of a swap-in"), "not counted");
	assert.equal(figure(memoryFigures({ ...vm, PeakLatencyUSec: 0 }), "Highest in the last minute", "Latency of a swap-in"), "no swap-in");
	assert.equal(memoryFigures({ Watched: true }), null, "an apfd from before them");
});

test("figures of the host's memory, in the words of apfctl", () => {
	const GIB = 2 ** 30;
	const swap = [{ Kind: "disk", Used: GIB, ReadLatencyUSec: 5200 }, { Kind: "zram", Used: 0, ReadLatencyUSec: 9e6 }];
	const host = { MemoryState: "swapping", Swap: swap, Memory: { FreeBytes: 3 * GIB, ReclaimableBytes: GIB, SwapTotalBytes: 8 * GIB, SwapFreeBytes: 7 * GIB } };
	assert.equal(hostLine(host), "free 3.00 GiB, reclaimable 1.00 GiB, 1.00 GiB of 8.00 GiB swap used (disk, 5.20 ms)");
	assert.equal(hostLine({ ...host, Memory: { FreeBytes: GIB } }), "free 1.00 GiB, reclaimable not counted, swap not counted");
	assert.match(hostLine({ ...host, Memory: { ...host.Memory, SwapTotalBytes: 0, SwapFreeBytes: 0 } }), /, no swap$/);
	assert.equal(hostLine({}), "", "an apfd from before them");
	assert.deepEqual(hostFigures({}), []);
	const rows = Object.fromEntries(hostFigures({ ...host, Pressure: { SwapInBytesRate: 2048 }, Nodes: [{ Node: 0, FreeBytes: GIB, TotalBytes: 4 * GIB }] }));
	assert.equal(rows["Swap traffic"], "read: 2.00 KiB a second; written: not counted");
	assert.equal(rows.Reclaim, "not counted");
	assert.equal(rows.Pressure, "not counted");
	assert.equal(rows.NUMA, "node 0: 1.00 GiB free of 4.00 GiB");
});

test("a slow apfd gets one request at a time", async () => {
	const { apfd, client } = await connected(() => new Promise(() => {}));
	client.calls.length = 0;
	client.call = async (_path, _interface, method) => { client.calls.push(method); return new Promise(() => {}); };
	apfd._refresh();
	apfd._refresh();
	assert.deepEqual(client.calls, ["ListVMs", "GetAll"]);
	clearTimeout(apfd.drawing);
});
