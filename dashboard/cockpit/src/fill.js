// SPDX-License-Identifier: GPL-2.0
import { Fragment, createElement } from "react";

/* As format() in i18n.js, for arguments that React draws, such as the name of a VM. */
export function fill(text, ...nodes) {
	return text.split(/\$(\d)/g).map((part, i) => createElement(Fragment, { key: i }, i % 2 ? nodes[part] : part));
}
