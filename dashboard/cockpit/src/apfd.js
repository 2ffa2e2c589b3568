// SPDX-License-Identifier: GPL-2.0
/*
 * All communication with apfd, and nothing about the display.
 *
 * Every user may read, so one ordinary client reads while the page is open. Each change
 * opens its own client with the rights that the user has at that moment: a switch to
 * administrative access takes effect at once, without a reload.
 */
import { StallLevel, gateChanged, guestEvent } from "./alarms.js";
import { counted, isGone, isUnknown, plain } from "./dbus.js";
import { _ } from "./i18n.js";
import { FIELDS, Histograms, SAMPLE_MSEC, Series, sample, sampleHost } from "./history.js";
import { Recalls } from "./recalls.js";

const NAME = "org.apfd";
const BUS = "org.freedesktop.DBus";
const ROOT = "/org/apfd";
const MANAGER = "org.apfd.Manager1";
const VM = "org.apfd.VM1";
const RECALL = "org.apfd.Recall1";
const PROPERTIES = "org.freedesktop.DBus.Properties";
const OBJECTS = "org.freedesktop.DBus.ObjectManager";

const NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner";

const CALL_MSEC = 30 * 1000;
/* polkit may ask for a password */
const CHANGE_MSEC = 120 * 1000;
const EVENTS_MAX = 100;
/* Properties that apfd does not announce, because they change with each of its ticks. */
const FIGURES = [
	"SwappedBytes", "Outstanding", "GuestReport", "Pressure", "AsyncRate", "SyncRate", "P50USec", "P95USec",
	"StallRatio", "SavedRatio", "SavedUSec", "AsyncHistogram", "SyncHistogram", "SwappedSource", "Memory", "NodeMemory",
	"PeakStallRatio", "PeakLatencyUSec",
];
/* Drawing is slow: draw once for all signals within this time. */
const DRAW_MSEC = 250;

const notRunning = () => Object.assign(new Error(_("apfd is not running")), { problem: "not-found" });

export class Apfd {
	constructor(cockpit, now = Date.now) {
		this.cockpit = cockpit;
		this.now = now;
		this.listeners = new Set();
		this.bus = null;		/* a client of the bus itself */
		this.finding = false;
		this.client = null;
		this.owner = null;		/* unique name of apfd */
		this.phase = "connecting";
		this.problem = "";
		this.host = {};
		this.vms = new Map();		/* path -> properties */
		this.history = new Map();	/* path -> { series, histograms, stalls } */
		this.total = new Series(FIELDS);
		this.events = [];		/* newest first */
		this.recalls = new Recalls();
		this.drawing = null;
		this.refreshing = null;		/* the client that reads figures now */
		this.state = this._state();
	}

	/* -- for React ----------------------------------------------------------------- */

	subscribe = listener => {
		this.listeners.add(listener);
		return () => this.listeners.delete(listener);
	};

	snapshot = () => this.state;

	_state() {
		return {
			phase: this.phase,
			problem: this.problem,
			host: this.host,
			vms: [...this.vms].map(([path, vm]) => ({ path, level: this.history.get(path).stalls.level, ...vm })),
			events: this.events,
			recalls: this.recalls.snapshot(),
			now: this.now(),
		};
	}

	_draw() {
		clearTimeout(this.drawing);
		this.drawing = null;
		this.state = this._state();
		this.listeners.forEach(listener => listener());
	}

	_changed() {
		this.drawing ??= setTimeout(() => this._draw(), DRAW_MSEC);
	}

	/* -- life ---------------------------------------------------------------------- */

	start() {
		setInterval(() => this._refresh(), SAMPLE_MSEC);
		this.find();
	}

	/*
	 * Calls go to apfd's unique name: one to org.apfd would start an apfd that somebody has stopped,
	 * or cancel the stop.
	 */
	async find() {
		if (this.finding)
			return;
		this.finding = true;
		try {
			const [owner] = await this._bus().call("/org/freedesktop/DBus", BUS, "GetNameOwner", [NAME],
				{ type: "s", timeout: CALL_MSEC });
			this._connect(owner);
		} catch (error) {
			this._lost(error.name === NO_OWNER ? "not-found" : error.problem || error.message);
		} finally {
			this.finding = false;
		}
	}

	_bus() {
		if (!this.bus) {
			const bus = this.cockpit.dbus(BUS, { bus: "system" });
			this.bus = bus;
			bus.addEventListener("close", () => { this.bus = null; });
			/* The bridges of older Cockpits do not report this signal: _refresh() asks. */
			bus.subscribe({ interface: BUS, member: "NameOwnerChanged", arg0: NAME },
				(_path, _interface, _member, [, , owner]) => owner ? this._connect(owner) : this._lost("not-found"));
		}
		return this.bus;
	}

	_connect(owner) {
		if (this.owner === owner)
			return;
		this.client?.close();
		const client = this.cockpit.dbus(owner, { bus: "system" });
		this.client = client;
		this.owner = owner;
		const mine = handler => (...args) => this.client === client && handler(...args);
		client.addEventListener("close", mine((_event, options) => this._lost(options?.problem)));
		client.addEventListener("owner", mine((_event, now) => now || this._lost("not-found")));
		client.subscribe({ interface: OBJECTS, path: ROOT }, mine((_path, _interface, member, args) => {
			if (member === "InterfacesAdded") {
				this._added(...args);
				this._recallAdded(...args);
			} else {
				this._removed(...args);
			}
		}));
		client.subscribe({ interface: PROPERTIES, member: "PropertiesChanged", path_namespace: ROOT },
			mine((path, _interface, _member, args) => this._propertiesChanged(path, ...args)));
		client.subscribe({ interface: VM, path_namespace: ROOT },
			mine((path, _interface, member, args) => this._onSignal(path, member, args)));
		client.subscribe({ interface: RECALL, member: "Finished", path_namespace: ROOT },
			mine((path, _interface, _member, args) => this._recallEnded(path, ...plain(args))));
		Promise.all([
			this._read(client, ROOT, PROPERTIES, "GetAll", "s", [MANAGER]),
			this._read(client, ROOT, OBJECTS, "GetManagedObjects", "", []),
		]).then(mine(([[host], [objects]]) => {
			this.host = plain(host);
			this.vms.clear();
			this.recalls.endOthers(Object.keys(objects), "lost");
			for (const [path, interfaces] of Object.entries(objects))
				this._added(path, interfaces);
			/* A VM may be listed behind its recall. */
			for (const [path, interfaces] of Object.entries(objects))
				this._recallAdded(path, interfaces);
			this.phase = "ready";
			this.problem = "";
			this._sample();
		})).catch(mine(error => this._lost(error.problem || error.message)));
		this._draw();
	}

	_lost(problem) {
		const client = this.client;
		this.client = null;
		this.owner = null;
		client?.close();
		this.phase = "missing";
		this.problem = problem || "";
		this.vms.clear();
		this.recalls.endOthers([], "lost");
		this.host = {};
		this._draw();
	}

	/* -- data from apfd ------------------------------------------------------------ */

	_added(path, interfaces) {
		if (!interfaces[VM])
			return;
		this.vms.set(path, counted(plain(interfaces[VM])));
		if (!this.history.has(path))
			this.history.set(path, { series: new Series(FIELDS), histograms: new Histograms(), stalls: new StallLevel() });
		this._changed();
	}

	_recallAdded(path, interfaces) {
		if (!interfaces[RECALL])
			return;
		const recall = plain(interfaces[RECALL]);
		this.recalls.add(path, recall, this.vms.get(recall.VM)?.Name || recall.VM, this.now());
		this._changed();
	}

	_recallEnded(path, ...end) {
		this.recalls.end(path, ...end);
		this._changed();
	}

	_removed(path, interfaces) {
		/* Finished comes before this signal, unless it was lost. */
		if (interfaces.includes(RECALL))
			this._recallEnded(path, "unknown");
		if (!interfaces.includes(VM))
			return;
		this.vms.delete(path);
		this.history.delete(path);
		this._changed();
	}

	_propertiesChanged(path, name, changed, invalidated) {
		if (name === MANAGER)
			this.host = { ...this.host, ...plain(changed) };
		else if (name === VM && this.vms.has(path))
			this.vms.set(path, counted({ ...this.vms.get(path), ...plain(changed) }));
		else if (name !== RECALL || !this.recalls.update(path, plain(changed), this.now()))
			return;
		if (invalidated?.length)
			this._read(this.client, path, PROPERTIES, "GetAll", "s", [name])
				.then(([all]) => this._propertiesChanged(path, name, all, []))
				.catch(() => {});	/* the object is gone, another signal reports that */
		this._changed();
	}

	_onSignal(path, member, args) {
		const values = plain(args);
		if (member === "GuestEvent")
			this._event(path, "guest", guestEvent(...values));
		else if (member === "GateChanged")
			this._event(path, "gate", gateChanged(...values));
	}

	_event(path, kind, event) {
		const name = this.vms.get(path)?.Name || path;
		const entry = { ...event, kind, path, name, time: this.now() };
		this.events = [entry, ...this.events].slice(0, EVENTS_MAX);
		this._changed();
	}

	/* Reads the figures of all VMs, then stores a sample. */
	async _refresh() {
		const client = this.client;
		if (this.phase !== "ready") {
			if (this.phase === "missing")
				this.find();
			this._draw();
			return;
		}
		/* The last reply has not come yet: apfd is slow, more requests do not help. */
		if (this.refreshing === client)
			return;
		this.refreshing = client;
		this._askForSilentRecalls(client);
		try {
			const [[vms], [host]] = await Promise.all([
				this._read(client, ROOT, MANAGER, "ListVMs", "as", [this._figureNames()]),
				this._read(client, ROOT, PROPERTIES, "GetAll", "s", [MANAGER]),
			]);
			if (this.client === client)
				this._figures(vms, host);
		} catch (error) {
			/* An old apfd has no ListVMs(), but announces figures. Other errors: a gap. */
			if (this.client === client && isUnknown(error))
				this._sample();
		} finally {
			if (this.refreshing === client)
				this.refreshing = null;
		}
	}

	/* An older apfd refuses a name that it does not know. */
	_figureNames() {
		const [vm] = this.vms.values();
		return vm ? FIGURES.filter(name => name in vm) : [];
	}

	/* The bus may have lost the signal of their end. */
	_askForSilentRecalls(client) {
		for (const path of this.recalls.silent(this.now()))
			this._read(client, path, PROPERTIES, "GetAll", "s", [RECALL]).then(
				([recall]) => this.client === client && this._propertiesChanged(path, RECALL, recall, []),
				error => this.client === client && isGone(error) && this._recallEnded(path, "unknown"));
	}

	_figures(vms, host) {
		for (const [path, figures] of Object.entries(vms))
			if (this.vms.has(path))
				this.vms.set(path, counted({ ...this.vms.get(path), ...plain(figures) }));
		this.host = { ...this.host, ...plain(host) };
		this._sample();
	}

	_sample() {
		if (this.phase === "ready") {
			const now = this.now();
			this.total.push(now, sampleHost([...this.vms.values()]));
			for (const [path, vm] of this.vms) {
				const { series, histograms, stalls } = this.history.get(path);
				const figures = sample(vm);
				series.push(now, figures);
				stalls.push(figures.stall);
				if (vm.Watched)
					histograms.push(now, vm.AsyncHistogram, vm.SyncHistogram);
			}
		}
		this._draw();
	}

	/* -- calls to apfd ------------------------------------------------------------- */

	async _read(client, path, interface_, method, type, args) {
		return client.call(path, interface_, method, args, { type, timeout: CALL_MSEC });
	}

	/* Returns the rows of Diagnose() or History(); rejects if this apfd has no such method. */
	async readRows(path, method) {
		if (!this.client)
			throw notRunning();
		const [rows] = await this._read(this.client, path, path === ROOT ? MANAGER : VM, method, "", []);
		return plain(rows);
	}

	readHostRows(method) {
		return this.readRows(ROOT, method);
	}

	/* Sets the mode of a VM; "default" removes the setting. */
	async setMode(vm, mode, persistent = false) {
		if (!this.owner)
			throw notRunning();
		const client = this.cockpit.dbus(this.owner, { bus: "system", superuser: "try" });
		try {
			if ("Mode" in vm)
				await client.call(vm.path, VM, "SetMode", [mode, [], persistent], { type: "saub", timeout: CHANGE_MSEC });
			else
				await client.call(vm.path, VM, "SetState", [mode, []], { type: "sau", timeout: CHANGE_MSEC });
			/* The signal may take a second: read the new state now. */
			const [all] = await this._read(client, vm.path, PROPERTIES, "GetAll", "s", [VM]);
			this._propertiesChanged(vm.path, VM, all, []);
		} finally {
			client.close();
		}
	}

	/*
	 * Starts to bring the memory of a VM back from swap; @ratePerSec: bytes, undefined for the configured
	 * rate. The progress comes as signals.
	 */
	async recall(vm, ratePerSec) {
		if (!this.owner)
			throw notRunning();
		const options = ratePerSec === undefined ? {} : { RatePerSec: { t: "t", v: ratePerSec } };
		const client = this.cockpit.dbus(this.owner, { bus: "system", superuser: "try" });
		try {
			this.recalls.mine.add(vm.path);
			const [path] = await client.call(vm.path, VM, "Recall", [options], { type: "a{sv}", timeout: CHANGE_MSEC });
			/* The bus may have lost the signal of its begin. */
			if (!this.recalls.running.has(path))
				await this._read(client, path, PROPERTIES, "GetAll", "s", [RECALL]).then(
					([recall]) => this._recallAdded(path, { [RECALL]: recall }),
					() => {});	/* it has ended */
		} catch (error) {
			this.recalls.mine.delete(vm.path);
			throw error;
		} finally {
			client.close();
		}
	}

	/* A recall that has ended meanwhile needs no cancellation. */
	async cancelRecall(path) {
		if (!this.owner)
			throw notRunning();
		const client = this.cockpit.dbus(this.owner, { bus: "system", superuser: "try" });
		try {
			await client.call(path, RECALL, "Cancel", [], { type: "", timeout: CHANGE_MSEC });
		} catch (error) {
			if (!isGone(error))
				throw error;
		} finally {
			client.close();
		}
	}

	dismissRecall(vmPath) {
		this.recalls.dismiss(vmPath);
		this._draw();
	}

	startService() {
		return this.cockpit.spawn(["systemctl", "start", "apfd.service"],
			{ superuser: "require", err: "message" });
	}

	/* apfd sees by itself that the module is there. */
	loadModule() {
		return this.cockpit.spawn(["/sbin/modprobe", "apf_host"], { superuser: "require", err: "message" });
	}
}
