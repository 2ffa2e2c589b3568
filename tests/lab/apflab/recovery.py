# SPDX-License-Identifier: GPL-2.0
"""How long a guest stays slow after its memory went to swap, when nothing presses any more."""

import json
import statistics
import time

from .errors import LabError, Timeout
from .patience import patient

# One thread that touches pages at random: what it reaches depends on its memory alone.
SAMPLE_MSEC = 500
LOAD = f"-f 1 -w 0 -m {{mib}} -t 0 -i {SAMPLE_MSEC}"
NORMAL_SAMPLES = 20
WINDOW_SAMPLES = 2
SHARE = 0.95
SETTLED_LOOKS = 6


def rates(samples):
    """Touches per second, each over a second: (end of the second in the guest's milliseconds, rate)."""
    return [(b["ms"], (b["touches"] - a["touches"]) * 1000 / (b["ms"] - a["ms"]))
            for a, b in zip(samples, samples[WINDOW_SAMPLES:])]


def normal_rate(vm):
    """What the load reaches with all of its memory there."""
    begin = len(vm.samples())
    deadline = time.monotonic() + patient(NORMAL_SAMPLES * SAMPLE_MSEC / 1000 * 2)
    while len(vm.samples()) < begin + NORMAL_SAMPLES:
        if time.monotonic() > deadline:
            raise Timeout(f"{vm.name}: no samples")
        time.sleep(1)
    return statistics.median(rate for _, rate in rates(vm.samples()[begin:]))


def push_out(vm, mib):
    """Lets the host write memory of the guest to swap, as pressure does, while its load stands still. Bytes on swap."""
    vm.run("killall -STOP workload", check=True)
    group = vm.cgroup()
    vm.host.run(f"cd '{group}'; n=0; while [ $n -lt {mib} ] && [ -d . ]; do echo 8M >memory.reclaim || break; n=$((n+8)); done; "
                "true", timeout=300)
    # what is written, but still in the swap cache, would be there without a read
    vm.host.wait_for(f"cd '{group}'; echo 1M >memory.reclaim; "
                     "[ $(sed -n 's/^swapcached //p' memory.stat) -lt 1000000 ]", 60, "the swap cache to be empty")
    return vm.swapped_kib() << 10


def go_on(vm):
    """The load touches its pages again; its time now, milliseconds."""
    vm.run("killall -CONT workload", check=True)
    return vm.sample()["ms"]


def _seen_to_come_back(vm, limit_sec):
    """(seconds, KiB on swap) each second, until less than a hundredth of what came back came in the last looks."""
    begin = time.monotonic()
    seen = [(0, vm.swapped_kib())]
    while len(seen) <= SETTLED_LOOKS or seen[-SETTLED_LOOKS][1] - seen[-1][1] > (seen[0][1] - seen[-1][1]) / 100:
        if seen[-1][0] > patient(limit_sec):
            raise Timeout(f"{vm.name}: pages still come back after {limit_sec} s; (seconds, KiB on swap): {seen[-5:]}")
        time.sleep(1)
        seen.append((time.monotonic() - begin, vm.swapped_kib()))
    return seen


def back_sec(vm, limit_sec):
    """Seconds until 95 % are back of what comes back: how fast the processor is does not count, as it does for a rate.
    Pages that nobody asks for stay on swap."""
    seen = _seen_to_come_back(vm, limit_sec)
    enough = seen[-1][1] + (1 - SHARE) * (seen[0][1] - seen[-1][1])
    return next(seconds for seconds, kib in seen if kib <= enough)


def recovery_sec(vm, begin_ms, limit_sec):
    """Seconds of the guest from @begin_ms to the first second with 95 % of its normal rate, and this rate.

    The rate is measured when no page comes back any more: a machine that others use, too, has another one each minute.
    """
    _seen_to_come_back(vm, limit_sec)
    normal = normal_rate(vm)
    reached = (ms for ms, rate in rates([s for s in vm.samples() if s["ms"] >= begin_ms]) if rate >= SHARE * normal)
    return (next(reached) - begin_ms) / 1000, normal


def recall(vm, *options):
    """Runs "apfctl recall" to its end; the lines that it printed."""
    out = vm.host.run(f"apfctl recall --json {' '.join(options)} {vm.name}", timeout=600).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    if not lines:
        raise LabError("apfctl recall printed nothing")
    return lines
