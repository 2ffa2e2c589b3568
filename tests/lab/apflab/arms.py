# SPDX-License-Identifier: GPL-2.0
"""Arms of a benchmark: the same VM without apf and in each mode, and what its guest gets done per second."""

from contextlib import suppress
from pathlib import Path

from .progress import say

KERNEL_ALONE = "kernel alone"
# A measurement is made again if the emulated host had to wait for a CPU in more than this share of the time in which
# it could run; so often at most.
WAITED_PERCENT = 5
TRIES = 3


def set_arm(host, nl, vm, arm):
    """Puts the host into @arm, KERNEL_ALONE or a mode, through the tools that an operator has."""
    if arm == KERNEL_ALONE:
        host.run("systemctl stop apfd", timeout=60)
        if nl.loaded():
            nl.unload()
        return
    if not nl.loaded():
        nl.load()
    host.run("systemctl start apfd", timeout=60)
    host.wait_for(f"apfctl --json status {vm.name} | grep -q '\"watched\": *true'", 60, f"apfd to watch {vm.name}")
    host.run(f"apfctl set {vm.name} {arm}")


def wait_sample(host, vm, condition, what, timeout):
    """The first sample of the load that fulfils @condition."""
    host.wait_for(lambda: condition(vm.sample()), timeout, f"{vm.name}: {what}", interval=1)
    return vm.sample()


def steady(host, vm, seconds, settle):
    """The first and the last sample of @seconds of load by the guest's clock, which begin @settle seconds from now."""
    now = vm.sample()
    first = wait_sample(host, vm, lambda s: s["ms"] >= now["ms"] + 1000 * settle, "time", 10 * settle + 60)
    last = wait_sample(host, vm, lambda s: s["ms"] >= first["ms"] + 1000 * seconds, "time", 10 * seconds + 60)
    return first, last


def per_second(first, last, seconds=None):
    """Touches and work per second between two samples; @seconds of load if it was not all the time."""
    seconds = seconds or (last["ms"] - first["ms"]) / 1000
    return {key: (last[key] - first[key]) / seconds for key in ("touches", "work")}


def cpu_sec(host):
    """(seconds in which the threads of the emulator ran, seconds in which they waited because others had the CPUs)."""
    ran = waited = 0
    if qemu := getattr(host, "qemu", None):
        for stat in Path(f"/proc/{qemu.pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                fields = stat.read_text().split()
                ran, waited = ran + int(fields[0]), waited + int(fields[1])
    return ran / 1e9, waited / 1e9


def undisturbed(host, measure):
    """What measure() gives, with waited_percent; of another try if other programs had the CPUs for long."""
    for n in range(TRIES):
        before = cpu_sec(host)
        figures = measure()
        # A thread that has ended takes its seconds with it.
        ran, waited = (max(0.0, a - b) for a, b in zip(cpu_sec(host), before))
        percent = 100 * waited / (ran + waited) if ran + waited else 0.0
        if percent <= WAITED_PERCENT:
            break
        say(f"the emulated host waited for a CPU in {percent:.0f} % of its time"
            + (", measured again" if n + 1 < TRIES else ", the figure is of a busy machine"))
    return figures | {"waited_percent": percent}
