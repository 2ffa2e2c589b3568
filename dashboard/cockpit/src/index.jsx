// SPDX-License-Identifier: GPL-2.0
import "@patternfly/react-core/dist/styles/base.css";
import "./apf.css";
import { createRoot } from "react-dom/client";
import { Apfd } from "./apfd.js";
import { App } from "./app.jsx";
import { followTheme } from "./theme.js";

followTheme(window);
/* the title of the page */
window.cockpit.translate();
if (window.cockpit.language)
	document.documentElement.lang = window.cockpit.language.replace("_", "-");
const apfd = new Apfd(window.cockpit);
apfd.start();
createRoot(document.getElementById("apf")).render(<App apfd={apfd} />);
