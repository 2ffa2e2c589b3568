// SPDX-License-Identifier: GPL-2.0
/* Converts D-Bus values and errors from Cockpit's JSON to plain objects and texts. */
import { _, format } from "./i18n.js";

/* Replaces variants, which Cockpit writes as { t: signature, v: value }, at any depth. */
export function plain(value) {
	if (Array.isArray(value))
		return value.map(plain);
	if (value === null || typeof value !== "object")
		return value;
	const keys = Object.keys(value);
	if (keys.length === 2 && typeof value.t === "string" && "v" in value)
		return plain(value.v);
	return Object.fromEntries(keys.map(key => [key, plain(value[key])]));
}

const DENIED = [
	"org.freedesktop.DBus.Error.AccessDenied",
	"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
];

const UNKNOWN = [
	"org.freedesktop.DBus.Error.UnknownMethod",
	"org.freedesktop.DBus.Error.UnknownInterface",
];

/* True if the error means that this apfd is older than the page. */
export const isUnknown = error => UNKNOWN.includes(error?.name);

/* True if the object of the call does not exist (any longer). */
export const isGone = error => isUnknown(error) || error?.name === "org.freedesktop.DBus.Error.UnknownObject";

/* Of modprobe: what to do about its most frequent failures. */
const MODULE_ADVICE = [
	[/not found/i, _("Install the module: the package apf-host-dkms, or make dkms-install and dkms.")],
	[/key was rejected|required key not available/i,
		_("Secure Boot is on, and this machine does not trust the key that signed the module: enrol DKMS's key, mokutil --import.")],
];

/* Returns { denied, text, advice } for an error of Cockpit; @permission: polkit's, which the call needs. */
export function explain(error, permission = "org.apfd.manage") {
	const text = (error?.message || error?.problem || _("no reason was given")).replace(/\.*$/, ".");
	if (DENIED.includes(error?.name) || error?.problem === "access-denied")
		return {
			denied: true,
			text: format(_("Not allowed: $0"), text),
			advice: format(_("Turn on administrative access in the bar at the top, or ask for the permission $0."), permission),
		};
	if (error?.name === "org.apfd.Error.NoHostModule")
		return { denied: false, text, advice: _("Load the module: modprobe apf_host.") };
	if (error?.problem)
		return { denied: false, text: format(_("apfd cannot be reached: $0"), text), advice: "" };
	return { denied: false, text, advice: "" };
}

/* The same for an error of modprobe. */
export function explainModule(error) {
	const found = MODULE_ADVICE.find(([pattern]) => pattern.test(error?.message || ""));
	if (error?.problem === "access-denied")
		return { ...explain(error), advice: _("Turn on administrative access in the bar at the top.") };
	return { denied: false, text: format(_("The module was not loaded: $0"), error?.message || error?.problem), advice: found?.[1] || "" };
}

/* Sets figures that this host's kernel cannot count to NaN; apfd sends them as 0. */
export function counted(vm) {
	const unknown = (vm.NotCounted || []).filter(name => typeof vm[name] === "number");
	return unknown.length ? { ...vm, ...Object.fromEntries(unknown.map(name => [name, NaN])) } : vm;
}
