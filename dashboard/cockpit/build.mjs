// SPDX-License-Identifier: GPL-2.0
/*
 * Bundles the page: node build.mjs [OUTDIR]. What npm installed is in the folder named by
 * APF_NODE_MODULES (default: ../../build/dashboard/node_modules); nothing is written beside the
 * sources.
 */
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import zlib from "node:zlib";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "../..");
const modules = path.resolve(process.env.APF_NODE_MODULES || path.join(root, "build/dashboard/node_modules"));
const out = path.resolve(process.argv[2] || path.join(root, "build/dashboard/dist"));

const require = createRequire(import.meta.url);
const esbuild = await import(pathToFileURL(require.resolve("esbuild", { paths: [modules] })))
	.then(m => m.default);

/* PatternFly brings its fonts; every cockpit has them already. Its pictures nobody uses here. */
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
	},
};

fs.rmSync(out, { recursive: true, force: true });
await esbuild.build({
	entryPoints: [path.join(here, "src/index.jsx")],
	outdir: out,
	bundle: true,
	minify: true,
	format: "iife",
	// what the browsers of Debian 12's time understand
	target: ["chrome110", "firefox102", "safari16"],
	jsx: "automatic",
	nodePaths: [modules],
	define: { "process.env.NODE_ENV": "\"production\"" },
	legalComments: "eof",
	plugins: [assets],
	logLevel: "warning",
});
/* Cockpit serves them as they are: a tenth of the bytes for the same text. */
for (const name of ["index.js", "index.css"]) {
	const file = path.join(out, name);
	fs.writeFileSync(`${file}.gz`, zlib.gzipSync(fs.readFileSync(file), { level: 9 }));
	fs.rmSync(file);
}
for (const name of ["index.html", "manifest.json"])
	fs.copyFileSync(path.join(here, "src", name), path.join(out, name));
