// SPDX-License-Identifier: GPL-2.0
/*
 * Translations: Cockpit reads po.js of the user's language before this script. The sources of the
 * translations are in ../po. Names of modes, gate states and properties are not translated: users
 * type them in apfctl and apfd.conf.
 */
const cockpit = globalThis.cockpit;

export const _ = text => cockpit ? cockpit.gettext(text) : text;

export function ngettext(one, many, n) {
	if (cockpit)
		return cockpit.ngettext(one, many, n);
	return n === 1 ? one : many;
}

/* Replaces $0, $1... in @text. */
export const format = (text, ...args) => text.replace(/\$(\d)/g, (_all, n) => args[n]);
