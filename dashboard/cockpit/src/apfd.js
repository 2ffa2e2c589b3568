// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that is said to and heard from apfd, and nothing about how it looks.
 *
 * Reading is open to everybody, so one ordinary client reads for as long as the page lives.
 * Each change opens a client of its own with whatever rights the user has at that moment: a
 * switch to administrative access counts at once, without a reload.
 */
import { gateChanged, guestEvent } from "./alarms.js";
import { plain } from "./dbus.js";
import { FIELDS, Histograms, SAMPLE_MSEC, Series, sample, sampleHost } from "./history.js";

const NAME = "org.apfd";
const ROOT = "/org/apfd";
const MANAGER = "org.apfd.Manager1";
const VM = "org.apfd.VM1";
const PROPERTIES = "org.freedesktop.DBus.Properties";
const OBJECTS = "org.freedesktop.DBus.ObjectManager";

const CALL_MSEC = 30 * 1000;
/* polkit may ask somebody */
const CHANGE_MSEC = 120 * 1000;
const EVENTS_KEPT = 100;
/* Drawing is the dear part: signals that come together are drawn together. */
const DRAW_MSEC = 250;

export class Apfd {
	constructor(cockpit, now = Date.now) {
		this.cockpit = cockpit;
		this.now = now;
		this.listeners = new Set();
		this.client = null;
		this.phase = "connecting";
		this.problem = "";
		this.host = {};
		this.vms = new Map();		/* path -> properties */
		this.history = new Map();	/* path -> { series, histograms } */
		this.total = new Series(FIELDS);
		this.events = [];		/* newest first */
		this.drawing = null;
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
			vms: [...this.vms].map(([path, vm]) => ({ path, ...vm })),
			events: this.events,
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
		/* Told without asking for org.apfd, which would start it again and again. */
		const bus = this.cockpit.dbus(null, { bus: "system" });
		bus.subscribe({ interface: "org.freedesktop.DBus", member: "NameOwnerChanged", arg0: NAME },
			(_path, _interface, _member, [, , owner]) => owner ? this.connect() : this._lost("not-found"));
		setInterval(() => this._sample(), SAMPLE_MSEC);
		this.connect();
	}

	/* Starts apfd if D-Bus can. */
	connect() {
		if (this.client)
			return;
		const client = this.cockpit.dbus(NAME, { bus: "system" });
		this.client = client;
		if (this.phase !== "ready")
			this.phase = "connecting";
		const mine = handler => (...args) => this.client === client && handler(...args);
		client.addEventListener("close", mine((_event, options) => this._lost(options?.problem)));
		/* The bridge of older cockpits tells of owners here only; so it stays until apfd is back. */
		client.addEventListener("owner", (_event, owner) => {
			if (this.client === client && !owner) {
				this.client = null;
				this._lost("not-found");
			} else if (this.client !== client && owner) {
				this.connect();
				client.close();
			}
		});
		client.subscribe({ interface: OBJECTS, path: ROOT }, mine((_path, _interface, member, args) =>
			member === "InterfacesAdded" ? this._added(...args) : this._removed(...args)));
		client.subscribe({ interface: PROPERTIES, member: "PropertiesChanged", path_namespace: ROOT },
			mine((path, _interface, _member, args) => this._propertiesChanged(path, ...args)));
		client.subscribe({ interface: VM, path_namespace: ROOT },
			mine((path, _interface, member, args) => this._told(path, member, args)));
		Promise.all([
			this._read(client, ROOT, PROPERTIES, "GetAll", "s", [MANAGER]),
			this._read(client, ROOT, OBJECTS, "GetManagedObjects", "", []),
		]).then(mine(([[host], [objects]]) => {
			this.host = plain(host);
			this.vms.clear();
			for (const [path, interfaces] of Object.entries(objects))
				this._added(path, interfaces);
			this.phase = "ready";
			this.problem = "";
			this._sample();
		})).catch(mine(error => this._lost(error.problem || error.message)));
		this._draw();
	}

	_lost(problem) {
		const client = this.client;
		this.client = null;
		client?.close();
		this.phase = "missing";
		this.problem = problem || "";
		this.vms.clear();
		this.host = {};
		this._draw();
	}

	/* -- what apfd tells ----------------------------------------------------------- */

	_added(path, interfaces) {
		if (!interfaces[VM])
			return;
		this.vms.set(path, plain(interfaces[VM]));
		if (!this.history.has(path))
			this.history.set(path, { series: new Series(FIELDS), histograms: new Histograms() });
		this._changed();
	}

	_removed(path, interfaces) {
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
			this.vms.set(path, { ...this.vms.get(path), ...plain(changed) });
		else
			return;
		if (invalidated?.length)
			this._read(this.client, path, PROPERTIES, "GetAll", "s", [name])
				.then(([all]) => this._propertiesChanged(path, name, all, []))
				.catch(() => {});	/* it went away meanwhile, and we are told */
		this._changed();
	}

	_told(path, member, args) {
		const values = plain(args);
		if (member === "GuestEvent")
			this._event(path, "guest", guestEvent(...values));
		else if (member === "GateChanged")
			this._event(path, "gate", gateChanged(...values));
	}

	_event(path, kind, event) {
		const name = this.vms.get(path)?.Name || path;
		const entry = { ...event, kind, path, name, time: this.now() };
		this.events = [entry, ...this.events].slice(0, EVENTS_KEPT);
		this._changed();
	}

	_sample() {
		if (this.phase === "ready") {
			const now = this.now();
			this.total.push(now, sampleHost([...this.vms.values()]));
			for (const [path, vm] of this.vms) {
				const { series, histograms } = this.history.get(path);
				series.push(now, sample(vm));
				if (vm.Watched)
					histograms.push(now, vm.AsyncHistogram, vm.SyncHistogram);
			}
		}
		this._draw();
	}

	/* -- what we ask --------------------------------------------------------------- */

	async _read(client, path, interface_, method, type, args) {
		return client.call(path, interface_, method, args, { type, timeout: CALL_MSEC });
	}

	/* Rows of Diagnose() or History(); rejects where this apfd has no such method. */
	async ask(path, method) {
		if (!this.client)
			throw Object.assign(new Error("apfd is not running"), { problem: "not-found" });
		const [rows] = await this._read(this.client, path, path === ROOT ? MANAGER : VM, method, "", []);
		return plain(rows);
	}

	askHost(method) {
		return this.ask(ROOT, method);
	}

	/* Sets how a VM waits for swapped memory; "default" drops the setting. */
	async setMode(vm, mode, persistent = false) {
		const client = this.cockpit.dbus(NAME, { bus: "system", superuser: "try" });
		try {
			if ("Mode" in vm)
				await client.call(vm.path, VM, "SetMode", [mode, [], persistent], { type: "saub", timeout: CHANGE_MSEC });
			else
				await client.call(vm.path, VM, "SetState", [mode, []], { type: "sau", timeout: CHANGE_MSEC });
			/* The signal may take a second: do not show the old state until then. */
			const [all] = await this._read(client, vm.path, PROPERTIES, "GetAll", "s", [VM]);
			this._propertiesChanged(vm.path, VM, all, []);
		} finally {
			client.close();
		}
	}

	startService() {
		return this.cockpit.spawn(["systemctl", "start", "apfd.service"],
			{ superuser: "require", err: "message" });
	}
}
