// SPDX-License-Identifier: GPL-2.0
import { startTransition, useEffect, useState } from "react";

/*
 * As useSyncExternalStore(), but React draws the new value in steps of a few milliseconds: with many
 * VMs, keys and clicks do not wait for the whole table.
 */
export function useStore(subscribe, snapshot) {
	const [value, setValue] = useState(snapshot);

	useEffect(() => {
		const update = () => startTransition(() => setValue(snapshot));
		const unsubscribe = subscribe(update);
		update();
		return unsubscribe;
	}, [subscribe, snapshot]);
	return value;
}
