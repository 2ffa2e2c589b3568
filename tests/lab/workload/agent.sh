# SPDX-License-Identifier: GPL-2.0
# Commands from the lab, one per line on a virtio channel: RUN <id> <base64>. The answer is a header
# with the exit code and the number of bytes, then the raw output. Each command runs beside
# the loop, because a command that never ends must not block the next one.
exec <>/dev/vport0p1 >&0 || exit

answer() {
	out=/run/agent.$1
	echo "$2" | base64 -d >"$out.cmd"
	setsid sh "$out.cmd" </dev/null >"$out" 2>&1
	rc=$?
	(
		flock 9
		printf 'APF-OUT %s %s %s\n' "$1" "$rc" "$(stat -c %s "$out")"
		cat "$out"
	) 9>/run/agent.lock
	rm -f "$out" "$out.cmd"
}

# While nobody is connected there is nothing but an end of file to read. The port stays open all the
# same: what the host sends before one that was closed is opened again, the kernel drops.
while :; do
	while read -r word id command; do
		[ "$word" = RUN ] && answer "$id" "$command" &
	done
	sleep 0.2
done
