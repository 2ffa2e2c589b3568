# SPDX-License-Identifier: GPL-2.0
"""How long memory of a guest stays on swap when nothing presses any more."""

import json
import time

from .errors import LabError, Timeout
from .patience import patient

# One thread that touches pages at random.
LOAD = "-f 1 -w 0 -m {mib} -t 0 -i 500"
SHARE = 0.95
# One each second.
SETTLED_LOOKS = 6


def push_out(vm, mib):
    """Lets the host write memory of the guest to swap, as pressure does, while its load stands still. Bytes on swap."""
    vm.run("killall -STOP workload", check=True)
    group = vm.cgroup()
    # The kernel refuses while it waits for the device.
    vm.host.run(f"cd '{group}'; n=0; while [ $n -lt {mib} ] && [ -d . ]; do "
                "echo 8M >memory.reclaim || sleep 0.2; n=$((n+8)); done; true", timeout=300)
    # what is written, but still in the swap cache, would be there without a read
    vm.host.wait_for(f"cd '{group}'; echo 1M >memory.reclaim; "
                     "[ $(sed -n 's/^swapcached //p' memory.stat) -lt 1000000 ]", 60, "the swap cache to be empty")
    return vm.swapped_kib() << 10


def go_on(vm):
    """The load touches its pages again."""
    vm.run("killall -CONT workload", check=True)


def recall(vm, *options):
    """Runs "apfctl recall" to its end; the lines that it printed."""
    out = vm.host.run(f"apfctl recall --json {' '.join(options)} {vm.name}", timeout=600).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    if not lines:
        raise LabError("apfctl recall printed nothing")
    return lines


def _came(seen):
    return seen[0][1] - seen[-1][1]


def recovery(vm, with_recall, limit_sec):
    """
    Lets the load go on: seconds until 95 % are back of what comes back, and the lines of "apfctl recall". How fast the
    processor is does not count, as it does for a rate; pages that nobody asks for stay on swap.
    """
    seen = [(0, vm.swapped_kib())]
    go_on(vm)
    begin = time.monotonic()
    lines = recall(vm) if with_recall else []
    if lines:
        # without what a slow machine needs to start a program
        begin = time.monotonic() - lines[-1]["elapsed_sec"]
        seen.append((lines[-1]["elapsed_sec"], vm.swapped_kib()))
    # until less than a hundredth of what came back came in the last eighth of the time: however slow the guest is
    while (len(seen) <= SETTLED_LOOKS or _came(seen) <= 0
           or _came(seen[-max(SETTLED_LOOKS, len(seen) // 8):]) > _came(seen) / 100):
        if seen[-1][0] > patient(limit_sec):
            raise Timeout(f"{vm.name}: pages still come back after {limit_sec} s; (seconds, KiB on swap): {seen[-5:]}")
        time.sleep(1)
        seen.append((time.monotonic() - begin, vm.swapped_kib()))
    enough = seen[-1][1] + (1 - SHARE) * _came(seen)
    return next(seconds for seconds, kib in seen if kib <= enough), lines
