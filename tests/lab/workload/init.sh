#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# Init of an L2: mounts, the agent, and the workload that the command line names.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mkdir -p /dev/shm
export PATH=/bin HOME=/

for m in $(cat /modules/order); do
	insmod "/modules/$m"
done
(while :; do setsid sh /agent.sh; sleep 1; done) </dev/null >/dev/null 2>&1 &

# apf.insmod="apf_guest pool=1": load our guest module before any load starts
insmod_line=$(sed -n 's/.*apf\.insmod="\([^"]*\)".*/\1/p' /proc/cmdline)
if [ -n "$insmod_line" ]; then
	set -- $insmod_line
	module=$1
	shift
	if insmod "/modules/$module.ko" "$@"; then
		echo "lab: loaded $module"
	else
		echo "lab: could not load $module"
	fi
fi

load=$(sed -n 's/.*apf\.run="\([^"]*\)".*/\1/p' /proc/cmdline)
echo "lab: init up"
if [ -n "$load" ]; then
	# commands of the agent come first
	sh -c 'renice -n 10 -p $$; exec workload "$@"' sh $load
	echo "lab: workload ended with $?"
fi
# init must never end
while :; do sleep 3600; done
