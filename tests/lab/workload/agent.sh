# SPDX-License-Identifier: GPL-2.0
# Commands from the lab, one per line on a virtio channel: RUN <id> <command, escaped for printf %b>.
# The answer is a line APF-OUT <id>, the raw output, and a line APF-END <id> <exit code>. Each command
# runs beside the loop, because a command that never ends must not block the next one. The shell's own
# commands do what they can: starting a program takes its time in a guest that swaps.
exec <>/dev/vport0p1 >&0 || exit

answer() {
	out=/run/agent.$1
	printf '%b' "$2" >"$out.cmd"
	printf 'APF-OUT %s\n' "$1" >"$out"
	setsid sh "$out.cmd" </dev/null >>"$out" 2>&1
	printf '\nAPF-END %s %s\n' "$1" $? >>"$out"
	cat "$out"
	: >"$out"
	: >"$out.cmd"
}

# While nobody is connected there is nothing but an end of file to read. The port stays open all the
# same: what the host sends before one that was closed is opened again, the kernel drops.
while :; do
	while IFS=' ' read -r word id command; do
		[ "$word" = RUN ] && answer "$id" "$command" &
	done
	sleep 0.2
done
