// SPDX-License-Identifier: GPL-2.0
/*
 * Bundles the page: node build.mjs [OUTDIR]. APF_NODE_MODULES is the folder of the npm packages
 * (default: ../../build/dashboard/node_modules). esbuild is taken from there; if it is not there, from
 * NODE_PATH or Debian's package esbuild. Nothing is written to the source folder.
 * APF_BUNDLED: a file to list in what of these packages is in the page, with the package.json and
 * the licences of each: the sources and the licences that a release must include.
 */
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import zlib from "node:zlib";
import { script } from "./po.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "../..");
const modules = path.resolve(process.env.APF_NODE_MODULES || path.join(root, "build/dashboard/node_modules"));
const out = path.resolve(process.argv[2] || path.join(root, "build/dashboard/dist"));

/* Debian has esbuild in the folder of its architecture, where Debian's own Node.js finds it. */
const debian = fs.readdirSync("/usr/lib").map(name => `/usr/lib/${name}/nodejs`);
const require = createRequire(import.meta.url);
const folder = [modules, ...(process.env.NODE_PATH || "").split(":"), ...debian]
	.find(name => name && fs.existsSync(path.join(name, "esbuild/package.json")));
if (!folder) {
	process.stderr.write("build.mjs: no esbuild; on Debian: apt-get install esbuild\n");
	process.exit(1);
}
/* Its script looks for its program with paths that only Debian's Node.js has. */
if (debian.includes(folder))
	process.env.ESBUILD_BINARY_PATH ??= "/usr/bin/esbuild";
const esbuild = await import(pathToFileURL(require.resolve(path.join(folder, "esbuild")))).then(m => m.default);

/* Leave out PatternFly's fonts, which every Cockpit has, and its images, which are not used. */
const assets = {
	name: "assets",
	setup(build) {
		build.onResolve({ filter: /\/assets\/fonts\/.*\.woff2$/ }, args => ({
			path: args.path.replace(/^.*\/assets\/fonts\//, "../../static/fonts/"), external: true,
		}));
		build.onResolve({ filter: /^\.\.\/\.\.\/static\// }, args => ({ path: args.path, external: true }));
		build.onResolve({ filter: /\/assets\/(images|pficon)\// }, args => ({
			path: args.path, namespace: "unused",
		}));
		build.onLoad({ filter: /.*/, namespace: "unused" }, () => ({ contents: "", loader: "dataurl" }));
		/*
		 * PatternFly's packages have side effects only in style sheets. esbuild before 0.18 does not
		 * look for style sheets behind a file that only re-exports others.
		 */
		build.onResolve({ filter: /^\..*|^@patternfly\// }, async args => {
			if (args.pluginData === assets || args.kind === "entry-point" || !`${args.path} ${args.importer}`.includes("@patternfly"))
				return undefined;
			const { kind, importer, resolveDir } = args;
			const resolved = await build.resolve(args.path, { kind, importer, resolveDir, pluginData: assets });
			return resolved.errors.length ? undefined : { path: resolved.path, sideEffects: true };
		});
	},
};

fs.rmSync(out, { recursive: true, force: true });
const result = await esbuild.build({
	entryPoints: [path.join(here, "src/index.jsx")],
	outdir: out,
	bundle: true,
	minify: true,
	format: "iife",
	// browsers from the time of Debian 12
	target: ["chrome110", "firefox102", "safari16"],
	jsx: "automatic",
	nodePaths: [modules],
	define: { "process.env.NODE_ENV": "\"production\"" },
	legalComments: "eof",
	metafile: true,
	plugins: [assets],
	logLevel: "warning",
});
/* Cockpit serves compressed files as they are: a tenth of the size. */
for (const name of ["index.js", "index.css"]) {
	const file = path.join(out, name);
	fs.writeFileSync(`${file}.gz`, zlib.gzipSync(fs.readFileSync(file), { level: 9 }));
	fs.rmSync(file);
}
for (const name of fs.readdirSync(path.join(here, "po")).filter(file => file.endsWith(".po"))) {
	const language = name.slice(0, -3);
	fs.writeFileSync(path.join(out, `po.${language}.js.gz`),
		zlib.gzipSync(script(fs.readFileSync(path.join(here, "po", name), "utf8"), language), { level: 9 }));
}
for (const name of ["index.html", "manifest.json"])
	fs.copyFileSync(path.join(here, "src", name), path.join(out, name));

function bundled()
{
	const found = new Set();

	for (const input of Object.keys(result.metafile.inputs)) {
		const relative = path.relative(modules, path.resolve(input.replace(/^[a-z]+:/, "")));
		if (relative.startsWith("..") || !fs.existsSync(path.join(modules, relative)))
			continue;
		found.add(relative);
		for (let folder = path.dirname(relative); folder !== "."; folder = path.dirname(folder))
			for (const name of fs.readdirSync(path.join(modules, folder)))
				if (/^(package\.json|licen[cs]e.*|notice.*)$/i.test(name))
					found.add(path.join(folder, name));
	}
	return [...found].sort();
}

if (process.env.APF_BUNDLED)
	fs.writeFileSync(process.env.APF_BUNDLED, bundled().join("\n") + "\n");
