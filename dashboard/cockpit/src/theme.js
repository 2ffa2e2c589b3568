// SPDX-License-Identifier: GPL-2.0
/*
 * Light or dark, as the shell around us: it keeps the choice in localStorage and tells open pages
 * of a change by an event. Every cockpit does so, but the class that PatternFly wants differs
 * by its version, and ours is our own.
 */
const CLASS = "pf-v6-theme-dark";
const KEY = "shell:style";

export function isDark(style, systemIsDark) {
	return style === "dark" || ((style || "auto") === "auto" && systemIsDark);
}

export function followTheme(window) {
	const system = window.matchMedia("(prefers-color-scheme: dark)");
	const apply = style => window.document.documentElement.classList.toggle(
		CLASS, isDark(style || window.localStorage.getItem(KEY), system.matches));

	window.addEventListener("storage", event => event.key === KEY && apply());
	// told inside of the shell's frame by the shell itself
	window.addEventListener("cockpit-style", event => apply(event.detail?.style));
	system.addEventListener("change", () => apply());
	apply();
}
