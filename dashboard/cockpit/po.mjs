// SPDX-License-Identifier: GPL-2.0
/*
 * Translations: converts po/LANG.po to the file that Cockpit serves as po.js to users of LANG, which
 * calls cockpit.locale(). The texts of manifest.json are in the same file, as every Cockpit takes them.
 */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const RIGHT_TO_LEFT = ["ar", "fa", "he", "ur"];

/* [{ id, texts, fuzzy }] of a .po file; the header has the id "". */
export function parse(po) {
	const entries = [];
	let entry = null, key = null;

	for (const [i, line] of po.split("\n").entries()) {
		const found = /^(?:(msgid|msgid_plural|msgstr)(?:\[(\d)\])?\s+)?(".*")\s*$/.exec(line);
		if (line.startsWith("#,") && line.includes("fuzzy")) {
			entry = { fuzzy: true, texts: [] };
		} else if (/^\s*(#|$)/.test(line)) {
			continue;
		} else if (!found) {
			throw new Error(`line ${i + 1} is not understood: ${line}`);
		} else {
			const [, keyword, index, quoted] = found;
			if (keyword === "msgid") {
				if (!entry || entry.id !== undefined)
					entry = { fuzzy: false, texts: [] };
				entry.id = "";
				entries.push(entry);
			}
			if (keyword)
				key = keyword === "msgstr" ? Number(index ?? 0) : keyword;
			if (key === "msgid")
				entry.id += JSON.parse(quoted);
			else if (key !== "msgid_plural")
				entry.texts[key] = (entry.texts[key] ?? "") + JSON.parse(quoted);
		}
	}
	return entries;
}

/* The script for Cockpit. */
export function script(po, language) {
	const entries = parse(po);
	const header = entries.find(e => e.id === "")?.texts[0] || "";
	const plural = /^Plural-Forms: nplurals=\d; plural=([n\d\s()<>=!%&|?:]+);$/m.exec(header)?.[1];
	if (!plural)
		throw new Error(`${language}.po: no Plural-Forms`);
	const texts = Object.fromEntries(entries.filter(e => e.id && !e.fuzzy && e.texts.every(Boolean))
		.map(e => [e.id, [null, ...e.texts]]));
	const direction = RIGHT_TO_LEFT.includes(language.replace(/[_-].*/, "")) ? "rtl" : "ltr";
	return `cockpit.locale({"":{"plural-forms":n=>${plural},"language":${JSON.stringify(language)},` +
		`"language-direction":"${direction}"},${JSON.stringify(texts).slice(1)});\n`;
}

/* Joins "..." + "..." to one text. */
const literal = source => [...source.matchAll(/"(?:[^"\\]|\\.)*"/g)].map(m => JSON.parse(m[0])).join("");

/* [{ id, plural }] of the calls of _() and ngettext() in a source file. */
export function extract(source) {
	const text = String.raw`("(?:[^"\\]|\\.)*"(?:\s*\+\s*"(?:[^"\\]|\\.)*")*)`;
	const found = [];

	for (const call of source.matchAll(/(?<![\w.]|const |function )(_|ngettext)\(/g)) {
		const rest = source.slice(call.index + call[0].length);
		const pattern = call[1] === "_" ? `^\\s*${text}\\s*\\)` : `^\\s*${text},\\s*${text},`;
		const match = new RegExp(pattern).exec(rest);
		if (!match)
			throw new Error(`not a literal: ${call[0]}${rest.slice(0, 60)}`);
		found.push({ id: literal(match[1]), plural: match[2] && literal(match[2]) });
	}
	return found;
}

/* Texts of manifest.json and index.html. */
export function extractPage(manifest, html) {
	const items = [...Object.values(manifest.menu || {}), ...Object.values(manifest.tools || {})];
	return [
		...items.flatMap(item => [item.label, ...(item.keywords || []).flatMap(k => k.matches)]),
		...[...html.matchAll(/translate="yes">([^<]+)</g)].map(m => m[1]),
	].map(id => ({ id }));
}

/* The template of the translations in @folder: node po.mjs --template */
export function template(folder) {
	const source = name => fs.readFileSync(path.join(folder, "src", name), "utf8");
	const files = fs.readdirSync(path.join(folder, "src")).filter(name => /\.jsx?$/.test(name)).sort();
	const found = new Map();
	const add = (name, entries) => entries.forEach(entry => {
		if (found.has(entry.id))
			found.get(entry.id).files.add(name);
		else
			found.set(entry.id, { ...entry, files: new Set([name]) });
	});

	add("manifest.json", extractPage(JSON.parse(source("manifest.json")), source("index.html")));
	files.forEach(name => add(name, extract(source(name))));
	const header = "msgid \"\"\nmsgstr \"\"\n\"Content-Type: text/plain; charset=UTF-8\\n\"\n" +
		"\"Plural-Forms: nplurals=2; plural=(n != 1);\\n\"\n";
	return [header, ...[...found.values()].map(({ id, plural, files: names }) =>
		`#: ${[...names].join(" ")}\nmsgid ${JSON.stringify(id)}\n` + (plural
			? `msgid_plural ${JSON.stringify(plural)}\nmsgstr[0] ""\nmsgstr[1] ""\n` : "msgstr \"\"\n"))].join("\n");
}

if (process.argv[2] === "--template")
	process.stdout.write(template(path.dirname(fileURLToPath(import.meta.url))));
