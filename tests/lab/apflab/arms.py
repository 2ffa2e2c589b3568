# SPDX-License-Identifier: GPL-2.0
"""Arms of a benchmark: the same VM without apf and in each mode, and what its guest gets done per second."""

KERNEL_ALONE = "kernel alone"


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
