// SPDX-License-Identifier: GPL-2.0
import { useCallback, useMemo } from "react";
import { useStore } from "./store.js";
import { readOptions, writeOptions } from "./url.js";

/* [state, change(changes, replace)]: @replace makes no new entry in the browser's history. */
export function useAddress(cockpit) {
	const subscribe = useCallback(listener => {
		cockpit.addEventListener("locationchanged", listener);
		return () => cockpit.removeEventListener("locationchanged", listener);
	}, [cockpit]);
	const snapshot = useCallback(() => cockpit.location.href, [cockpit]);
	const href = useStore(subscribe, snapshot);
	const state = useMemo(() => readOptions(cockpit.location.options), [cockpit, href]);
	const change = useCallback((changes, replace = false) => {
		const options = writeOptions({ ...readOptions(cockpit.location.options), ...changes });
		if (replace)
			cockpit.location.replace([], options);
		else
			cockpit.location.go([], options);
	}, [cockpit]);
	return [state, change];
}
