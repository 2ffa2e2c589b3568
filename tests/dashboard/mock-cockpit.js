// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for ../base1/cockpit.js with an apfd behind it, for states of the page that are hard
 * to bring about on a host (a hundred VMs, an emergency pool in use). It is a mock and proves
 * nothing about cockpit or apfd: tests/lab/test_cockpit.py has the real ones.
 *
 * The address says what there is: ?vms=3&module=absent&apfd=missing&refuse=1&old=1&quiet=1&slow=1&still=1
 * &oldbridge=1&odd=1 (names that are hard to show)&machines=1 (that page is installed)&refuse=module
 * &refuse=room (for a recall)&recall=1 (one that somebody else has started is under way)
 */
(() => {
	const want = new URLSearchParams(window.location.search);
	const count = Number(want.get("vms") ?? 3);
	const VM = "org.apfd.VM1", MANAGER = "org.apfd.Manager1", RECALL = "org.apfd.Recall1";
	const GIB = 2 ** 30;
	const present = want.get("module") !== "absent";
	const variants = map => Object.fromEntries(Object.entries(map).map(([k, v]) => [k, { t: "?", v }]));
	const clients = new Set();
	const world = { running: want.get("apfd") !== "missing" && ":1.4", named: [], calls: [], vms: {}, recalls: {}, spawned: [], jumps: [] };
	window.world = world;

	const host = {
		Version: "0.1.0", HostModule: present ? "present" : "absent", HostModuleVersion: present ? "0.1.0" : "",
		NoWaitSwapin: present ? "active" : "unknown", NestedGuard: present, Libvirt: "connected",
		LibvirtURI: "qemu:///system",
		Swap: [
			{ Path: "/dev/nvme0n1p3", Kind: "disk", Size: 2 ** 35, Used: 9.1e9, Reads: 1234, ReadLatencyUSec: 180, Synchronous: false },
			{ Path: "/dev/zram0", Kind: "zram", Size: 2 ** 32, Used: 2 ** 30, Reads: 99, ReadLatencyUSec: 0, Synchronous: true },
		].map(variants),
	};
	if (!want.get("old"))
		Object.assign(host, {
			MemoryState: "swapping",
			Memory: { TotalBytes: 64 * GIB, FreeBytes: 3 * GIB, AvailableBytes: 13 * GIB, ReclaimableBytes: 10 * GIB,
				SwapTotalBytes: 36 * GIB, SwapFreeBytes: 26 * GIB, ZswapBytes: GIB, ZswappedBytes: 3 * GIB },
			Pressure: { SomeAvg10: 7.5, FullAvg10: 2.5, SwapInBytesRate: 5 * 2 ** 20, SwapOutBytesRate: 2 ** 20, ScanRate: 640 },
			Nodes: [{ Node: 0, TotalBytes: 32 * GIB, FreeBytes: GIB }, { Node: 1, TotalBytes: 32 * GIB, FreeBytes: 2 * GIB }].map(variants),
		});
	const histogram = (peak, n) => Array.from({ length: 24 }, (_, i) => Math.round(n * Math.exp(-((i - peak) ** 2) / 2)));

	const ODD = [
		"a-very-long-name-without-a-space-".repeat(7), "خادم-قاعدة-البيانات", "🦆🦆 web 👩🏽‍💻", "<img src=x onerror=alert(1)>",
		"\"quoted\" & 'more'", "x\u202egnp.exe", "  spaces  ", "Ünïcödé\u0301\u0323\u0308", "$0 $1 %s", "数据库服务器", "שרת-בניין",
		"many words in one name that goes on and on and on",
	];
	const nameOf = i => want.get("odd") && ODD[i] || `${["web", "db", "build"][i % 3]}-${i + 1}`;

	for (let i = 0; i < count; i++) {
		const id = `${i}`.padStart(12, "0");
		const vm = {
			UUID: `912e1e27-0fe1-4286-bad1-${id}`, Name: nameOf(i), LibvirtID: i + 1,
			PID: 4000 + i, Watched: present, State: present ? (i % 3 === 2 ? "off" : "on") : "unknown",
			VCPUStates: present ? [i % 3 === 2 ? "off" : "on", i % 3 === 2 ? "off" : "on"] : [],
			Since: 0, SwappedBytes: (i + 1) * 1.1e8, Counters: {}, Outstanding: i, GuestModule: i % 3 ? "absent" : "present",
			GuestReport: i % 3 ? {} : { PoolSize: 64, PoolInUse: i === 0 ? 2 : 0, PoolTaken: 5, PoolExhausted: 0, Sleepers: 3,
				EarlyWakes: 1, Rescues: 0, UnknownTokens: 0, Waits: 100, Wakes: 97, OldestSleeperMSec: 40 },
			PausedVCPUs: i === 0 && !want.get("quiet") ? [1] : [], AsyncRate: 0, SyncRate: 0, P50USec: 6400, P95USec: 13000,
			StallRatio: 0, SavedRatio: 0, SavedUSec: 0, AsyncHistogram: histogram(13, i % 3 === 2 ? 0 : 400), SyncHistogram: histogram(13, i % 3 === 2 ? 300 : 8),
		};
		if (!want.get("old"))
			Object.assign(vm, { Mode: i % 3 === 2 ? "off" : i % 3 ? "on" : "auto", ModeSource: i % 3 === 2 ? "runtime" : "default", VCPUModes: [],
				Pressure: { MemoryBytes: 2 ** 31, SomeAvg10: 12.5, FullAvg10: 3.25, SwapInRate: 512, SwapInBytesRate: 2 ** 21,
					/* an older kernel does not count what is written */
					...(i % 3 === 2 ? {} : { SwapOutRate: 256, SwapOutBytesRate: 2 ** 20 }) },
				PeakStallRatio: 0.31, PeakLatencyUSec: 65536, SwappedSource: "process",
				/* and a VM may have no control group of its own */
				Memory: i % 3 === 2 ? { MajorFaults: 12 } : { LimitBytes: 4 * GIB, RoomBytes: GIB, SwapLimitBytes: 2 * GIB, SwapRoomBytes: GIB,
					ActiveBytes: GIB, ZswapBytes: 2 ** 24, ZswappedBytes: 2 ** 25, ZramBytes: 0, MajorFaults: 7 },
				NodeMemory: i % 3 === 2 ? {} : { 0: 1.5 * GIB, 1: 0.5 * GIB } });
		world.vms[`/org/apfd/vm/${vm.UUID.replaceAll("-", "_")}`] = vm;
	}

	const fail = (name, message) => Promise.reject(Object.assign(new Error(message), { name, message }));

	function answer(path, iface, method, args) {
		world.calls.push([path, method, ...args]);
		const vm = world.vms[path];
		if (method === "GetAll")
			return args[0] === RECALL && !world.recalls[path] ? fail("org.freedesktop.DBus.Error.UnknownObject", `no ${path}`)
				: [variants(args[0] === MANAGER ? host : args[0] === RECALL ? world.recalls[path] : vm)];
		if (method === "ListVMs" && !want.get("old"))
			return [Object.fromEntries(Object.entries(world.vms).map(([p, v]) =>
				[p, variants(Object.fromEntries(args[0].filter(name => name in v).map(name => [name, v[name]])))]))];
		if (method === "GetManagedObjects")
			return [Object.fromEntries([...Object.entries(world.recalls).map(([p, r]) => [p, { [RECALL]: variants(r) }]),
				...Object.entries(world.vms).map(([p, v]) => [p, { [VM]: variants(v) }])])];
		if (method === "Recall" && !want.get("old"))
			return recall(path, args[0]);
		if (method === "Cancel") {
			if (want.get("refuse") === "cancel")
				return fail("org.freedesktop.DBus.Error.AccessDenied", "polkit refused org.apfd.recall");
			setTimeout(() => world.endRecall("cancelled", "cancelled", path), 50);
			return [];
		}
		if (method === "SetMode" || method === "SetState") {
			if (want.get("refuse") === "1")
				return fail("org.freedesktop.DBus.Error.AccessDenied", `'${vm.Name}' was not changed: polkit refused org.apfd.manage`);
			const [mode] = args;
			vm.State = mode === "auto" ? "on" : mode;
			vm.VCPUStates = vm.VCPUStates.map(() => vm.State);
			if (method === "SetMode")
				Object.assign(vm, { Mode: mode, ModeSource: args[2] ? "metadata" : "runtime" });
			return [];
		}
		if (want.get("old"))
			return fail("org.freedesktop.DBus.Error.UnknownMethod", `no ${method}`);
		if (method === "Diagnose")
			return [[
				{ Check: "host-module", State: "ok", Fact: "apf_host 0.1.0 is loaded", Remedy: "" },
				{ Check: "asyncpf-int", State: "fail", Fact: "The CPU model EPYC hides kvm-asyncpf-int from the guest, which then never asks for asynchronous page faults",
					Remedy: "<cpu mode='host-passthrough'/>\nor <qemu:arg value='EPYC,+kvm-asyncpf-int'/>" },
				{ Check: "swap-kind", State: "warn", Fact: "/dev/zram0 completes in the caller: nothing to gain from it", Remedy: "swap on a disk or SSD" },
				{ Check: "guest-msr", State: "unknown", Fact: "The guest has not finished booting", Remedy: "" },
			].map(variants)];
		if (method === "History")
			return [[
				{ Time: (Date.now() - 600e3) * 1000, VCPUs: [], State: "pv", Rule: "leave", Reason: "stalls are rare again", Inputs: { StallRatio: 0.004 }, DryRun: false },
				{ Time: (Date.now() - 42e3) * 1000, VCPUs: [0, 1], State: "on", Rule: "enter", Reason: "vCPUs were stopped 18 % of the last 10 s", Inputs: { StallRatio: 0.18, SwapInRate: 431 }, DryRun: false },
			].map(variants)];
		return fail("org.freedesktop.DBus.Error.UnknownMethod", method);
	}

	/* -- recalls -- */

	const objects = (member, args) => world.signal("/org/apfd", "org.freedesktop.DBus.ObjectManager", member, args);

	function startRecall(path, limit) {
		const total = Math.round(world.vms[path].SwappedBytes);
		const job = `/org/apfd/recall/${++recallNumber}`;
		world.recalls[job] = { VM: path, State: "running", TotalBytes: 0, DoneBytes: 0, BytesPerSec: 0, LimitPerSec: limit, Slowed: false };
		objects("InterfacesAdded", [job, { [RECALL]: variants(world.recalls[job]) }]);
		setTimeout(() => world.progress(0.4, { TotalBytes: total }), 100);
		return job;
	}

	let recallNumber = 0;

	function recall(path, options) {
		if (want.get("refuse") === "room")
			return fail("org.apfd.Error.NoRoom", "There is no room for the memory of VM web-1: 104 MiB do not fit into the 12 MiB that the host has available");
		if (want.get("refuse") === "1")
			return fail("org.freedesktop.DBus.Error.AccessDenied", "polkit refused org.apfd.recall");
		return [startRecall(path, options.RatePerSec?.v ?? 2 ** 64)];
	}

	world.progress = (share, more = {}) => {
		for (const [path, r] of Object.entries(world.recalls)) {
			Object.assign(r, more);
			Object.assign(r, { DoneBytes: Math.round(r.TotalBytes * share), BytesPerSec: 2 ** 23 });
			const { VM: _vm, State: _state, ...changed } = r;
			world.signal(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", [RECALL, variants(changed), []]);
		}
	};

	world.endRecall = (result, text, path = Object.keys(world.recalls)[0], signals = ["Finished", "InterfacesRemoved"]) => {
		const job = world.recalls[path];
		delete world.recalls[path];
		if (signals.includes("Finished"))
			world.signal(path, RECALL, "Finished", [result, job.TotalBytes, job.DoneBytes, text]);
		if (signals.includes("InterfacesRemoved"))
			objects("InterfacesRemoved", [path, [RECALL]]);
	};

	function emit(match, ...signal) {
		for (const client of clients)
			for (const [wanted, handler] of client.subscribed)
				if (match(wanted))
					handler(...signal);
	}

	/* with slow=1 */
	const SLOW_MSEC = { SetMode: 1500, SetState: 1500, Recall: 4000 };
	const NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner";

	window.cockpit = {
		dbus(name, options) {
			const handlers = {};
			const client = {
				name, options, subscribed: [],
				handlers,
				addEventListener: (event, handler) => { handlers[event] = handler; },
				subscribe: (match, handler) => client.subscribed.push([match, handler]),
				call: async (path, iface, method, args) => {
					await new Promise(done => setTimeout(done, want.get("slow") && SLOW_MSEC[method] || 20));
					if (method === "GetNameOwner")
						return world.running ? [world.running] : fail(NO_OWNER, `no ${args[0]}`);
					if (name !== world.running)
						return fail("org.freedesktop.DBus.Error.ServiceUnknown", `no ${name}`);
					return answer(path, iface, method, args);
				},
				close: () => clients.delete(client),
			};
			clients.add(client);
			world.named.push(name);
			return client;
		},
		spawn(argv, options) {
			world.spawned.push([argv, options]);
			if (argv[0].endsWith("modprobe") && want.get("refuse") === "module")
				return Promise.reject(Object.assign(new Error("modprobe: FATAL: Module apf_host not found in directory /lib/modules/6.12"),
					{ problem: null, exit_status: 1 }));
			if (argv[0].endsWith("modprobe"))
				return new Promise(done => setTimeout(() => done(world.loaded()), 300));
			return Promise.reject(Object.assign(new Error("Not permitted to perform this action."), { problem: "access-denied" }));
		},
	};

	/* The part of cockpit.js that translates; po.js of a language calls locale(). */
	let texts = {};
	Object.assign(window.cockpit, {
		language: "en", language_direction: "ltr",
		locale(po) {
			texts = po;
			window.cockpit.language = po[""].language;
		},
		gettext: text => texts[text]?.[1] || text,
		ngettext(one, many, n) {
			return texts[one] ? texts[one][1 + Number(texts[""]["plural-forms"](n))] : n === 1 ? one : many;
		},
		translate: () => document.querySelectorAll("[translate=yes]").forEach(e => { e.textContent = window.cockpit.gettext(e.textContent); }),
		manifests: want.get("machines") ? { machines: {} } : {},
		jump: to => world.jumps.push(to),
	});

	/* Likewise cockpit.location, whose event comes later than the change. */
	const watching = new Set();
	const decode = () => {
		const [path, query] = window.location.hash.slice(1).split("?");
		return {
			href: window.location.hash.slice(1),
			path: path.split("/").filter(Boolean).map(decodeURIComponent),
			options: Object.fromEntries((query || "").split("&").filter(Boolean).map(o => o.split("=").map(decodeURIComponent))),
			go(to, options) { window.location.hash = encode(to, options); },
			replace(to, options) { window.location.replace(encode(to, options)); },
		};
	};
	const encode = (path, options) => {
		const query = Object.keys(options).sort().map(k => `${encodeURIComponent(k)}=${encodeURIComponent(options[k])}`).join("&");
		return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
	};
	window.cockpit.location = decode();
	window.cockpit.addEventListener = (event, listener) => event === "locationchanged" && watching.add(listener);
	window.cockpit.removeEventListener = (_event, listener) => watching.delete(listener);
	window.addEventListener("hashchange", () => {
		window.cockpit.location = decode();
		watching.forEach(listener => listener());
	});

	/* the module comes, as apfd announces it */
	world.loaded = () => {
		Object.assign(host, { HostModule: "present", HostModuleVersion: "0.1.0" });
		world.signal("/org/apfd", "org.freedesktop.DBus.Properties", "PropertiesChanged", [MANAGER, variants(host), []]);
	};

	/* apfd dies, apfd comes; an old bridge says nothing of names that come */
	world.owner = owner => {
		const before = world.running;
		world.running = owner || false;
		if (before && !owner)
			clients.forEach(client => client.name === before && client.handlers.owner?.({}, null));
		if (!want.get("oldbridge"))
			emit(m => m.member === "NameOwnerChanged", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged",
				["org.apfd", before || "", owner]);
	};
	world.signal = (path, iface, member, args) => emit(m => m.interface === iface, path, iface, member, args);

	if (want.get("recall"))
		startRecall(Object.keys(world.vms)[0], 2 ** 64);

	let turn = 0;
	world.tick = () => {
		turn++;
		Object.entries(world.vms).forEach(([path, vm], i) => {
			if (vm.Watched) {
				const wave = 1 + 0.4 * Math.sin((turn + 9 * i) / 12) + 0.15 * Math.sin(turn * 1.7 + i);
				Object.assign(vm, {
					AsyncRate: vm.State === "off" ? 0 : 160 * wave, SyncRate: vm.State === "off" ? 70 * wave : 4 * wave,
					StallRatio: vm.State === "off" ? 0.4 * wave : 0.012 * wave,
					SavedRatio: vm.State === "off" ? 0 : 0.5 * wave, SavedUSec: vm.SavedUSec + (vm.State === "off" ? 0 : 5e5 * wave),
					AsyncHistogram: vm.AsyncHistogram.map((n, b) => n + (vm.State === "off" ? 0 : [0, 30, 80, 30][b - 11] || 0)),
					SyncHistogram: vm.SyncHistogram.map((n, b) => n + (vm.State === "off" ? [0, 9, 30, 9][b - 11] || 0 : 0)),
				});
			}
			vm.SwappedBytes *= 1 + 0.004 * Math.sin((turn + 5 * i) / 20);
			/* Only an old apfd announces figures. */
			const told = want.get("old") ? vm : { State: vm.State, VCPUStates: vm.VCPUStates };
			world.signal(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", [VM, variants(told), []]);
		});
	};
	if (!want.get("still"))
		setInterval(world.tick, 1000);
})();
