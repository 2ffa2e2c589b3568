# SPDX-License-Identifier: GPL-2.0
"""Checkers: what a kernel of tests/lab/debug has found, beside the reports in its log."""

from .errors import LabError

KMEMLEAK = "/sys/kernel/debug/kmemleak"
# Nothing is called a leak before its fifth second; one scan more tells a leak from a pointer on the move.
SCAN = f"[ ! -e {KMEMLEAK} ] || {{ sleep 6; echo scan >{KMEMLEAK}; sleep 1; echo scan >{KMEMLEAK}; cat {KMEMLEAK}; }}"
FORGET = f"[ ! -e {KMEMLEAK} ] || {{ echo scan >{KMEMLEAK}; echo clear >{KMEMLEAK}; }}"
LOCKDEP = "sed -n 's/^ *debug_locks: *//p' /proc/lockdep_stats 2>/dev/null || true"


def begin(host):
    """What was lost while @host booted is none of ours."""
    host.run(FORGET, timeout=120)


def finish(run, name):
    """
    Fails when memory was lost in the kernel @name, or when lockdep has stopped looking. @run runs a command there and
    gives its output; a kernel without these checkers passes. To be called when the modules are unloaded.
    """
    leaks = run(SCAN).strip()
    if leaks:
        raise LabError(f"{name}: memory leaks:\n{leaks[:6000]}")
    if run(LOCKDEP).strip() == "0":
        raise LabError(f"{name}: lockdep has switched itself off, see the kernel's log")


def finish_host(host):
    host.run("systemctl stop apfd; ! grep -q ^apf_host /proc/modules || rmmod apf_host", check=False, timeout=120)
    finish(lambda cmd: host.run(cmd, timeout=300).stdout, host.name)


def finish_guest(vm):
    # beside a load, a scan of the guest's memory takes minutes
    vm.run("kill -TERM $(pidof workload) 2>/dev/null; true")
    vm.run("! grep -q ^apf_guest /proc/modules || rmmod apf_guest", timeout=120)
    finish(lambda cmd: vm.run(cmd, timeout=300, check=True)[1], vm.name)
