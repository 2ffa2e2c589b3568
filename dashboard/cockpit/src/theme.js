// SPDX-License-Identifier: GPL-2.0
/*
 * Light or dark, as Cockpit's shell: the shell stores the choice in localStorage and sends an
 * event to open pages when it changes. Every Cockpit does this, but the class name depends on
 * the version of PatternFly, and this page has its own version.
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
	// sent by the shell to pages inside its frame
	window.addEventListener("cockpit-style", event => apply(event.detail?.style));
	system.addEventListener("change", () => apply());
	apply();
}
