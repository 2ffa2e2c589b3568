// SPDX-License-Identifier: GPL-2.0
/*
 * What the address of the page says: a link shows the same VM and the same rows again.
 *   /apf#/?vm=NAME&find=TEXT&show=suffering&sort=-stopped&page=2&rows=50
 * vm is a name or a UUID; name=, as in the addresses of the page "Virtual machines", is the same.
 */
export const ROWS = [10, 25, 50];
export const SORTS = ["name", "gate", "async", "sync", "p95", "stopped", "saved", "swap"];
const DEFAULTS = { vm: "", find: "", show: "all", sort: "-stopped", page: 1, rows: 25 };

const first = value => Array.isArray(value) ? value[0] : value;

/* State of the page from the options of cockpit.location; anything wrong becomes the default. */
export function readOptions(options) {
	const text = name => first(options[name]) ?? DEFAULTS[name];
	const page = Number(text("page")), rows = Number(text("rows"));
	return {
		vm: text("vm") || (first(options.name) ?? ""),
		find: text("find"),
		show: text("show") === "suffering" ? "suffering" : "all",
		sort: SORTS.includes(text("sort").replace(/^-/, "")) ? text("sort") : DEFAULTS.sort,
		page: Number.isInteger(page) && page > 0 ? page : DEFAULTS.page,
		rows: ROWS.includes(rows) ? rows : DEFAULTS.rows,
	};
}

/* The reverse, without defaults. */
export function writeOptions(state) {
	return Object.fromEntries(Object.keys(DEFAULTS).filter(name => state[name] !== DEFAULTS[name])
		.map(name => [name, `${state[name]}`]));
}

/* The VM that @wanted is the name or UUID of; names of VMs without libvirt may repeat. */
export const vmOf = (vms, wanted) => wanted ? vms.find(v => v.UUID === wanted) || vms.find(v => v.Name === wanted) : undefined;

/* The shortest text that finds @vm again. */
export const idOf = (vms, vm) => vm.Name && vmOf(vms, vm.Name) === vm ? vm.Name : vm.UUID;
