# SPDX-License-Identifier: GPL-2.0
"""KVM's interface of asynchronous page faults, as a guest sees it that uses all of it: the same with apf_host in any
state of the gate as without it, but for the faults that a gate does not let through."""

import json
import random

import pytest

from apflab.abi import AbiGuest
from apflab.logs import no_trouble
from apflab.netlink import OFF, ON, PV, difference

# Where the guest takes faults if the gate lets them through, and where none may arrive.
WITH_FAULTS = ("send-always", "user-only-in-user", "no-ack", "again", "disable", "smi", "bad-msr")
WITHOUT = ("not-enabled", "user-only-in-kernel", "interrupts-off")
SCENARIOS = (*WITH_FAULTS, *WITHOUT)
STATES = {"on": ON, "pv": PV, "off": OFF}


@pytest.fixture(scope="module", autouse=True)
def one_page_at_a_time(host):
    """Each page is read for itself: those that came with another would be no faults."""
    before = host.read("/proc/sys/vm/page-cluster").strip()
    host.run("echo 0 >/proc/sys/vm/page-cluster")
    yield
    host.run(f"echo {before} >/proc/sys/vm/page-cluster")


@pytest.fixture(scope="module")
def without_us(host):
    """The guest, and no module of ours."""
    host.run("systemctl stop apfd 2>/dev/null; rmmod apf_host 2>/dev/null; modprobe kvm_amd 2>/dev/null || modprobe kvm_intel",
             check=False)
    with AbiGuest(host) as guest:
        yield guest


@pytest.fixture(scope="module")
def guest(host, nl):
    with AbiGuest(host) as guest:
        yield guest


@pytest.fixture(scope="module")
def vm_id(nl, guest):
    return nl.add(guest.pid)


def check(got, scenario, faults):
    """The interface was kept; @faults: True if some must have arrived, False if none may, None if either is right."""
    said = json.dumps(got)  # whole: pytest shortens dictionaries
    assert got["ended"], said
    assert got["wrong"] == 0, f"line {got['wrong']} of tests/lab/abi/guest.c: {said}"
    assert got["fault"] == [0, 0, 0], said
    assert (got["outstanding"], got["unknown"], got["spurious"], got["bad_data"]) == (0, 0, 0, 0), said
    assert got["refused"] == (4 if scenario == "bad-msr" else 0), said
    if faults is not None:
        assert (got["not_present"] > 0) == faults, said


def kernels_own(scenario, release):
    """What check() is to expect of the kernel by itself: a swap-in of 6.1 is asynchronous with our help only."""
    return False if scenario in WITHOUT else None if release == "bookworm" else True


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_kernel_alone(without_us, scenario, release):
    check(without_us.play(scenario), scenario, kernels_own(scenario, release))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_not_watched(guest, scenario, release):
    check(guest.play(scenario), scenario, kernels_own(scenario, release))


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("state", STATES)
def test_watched(nl, guest, vm_id, state, scenario, release):
    nl.set(vm_id, STATES[state])
    before = nl.vm(vm_id)["STATS"]
    got = guest.play(scenario)
    vcpu = nl.vcpus(vm_id)[0]
    stats = difference(before, nl.vm(vm_id)["STATS"])
    check(got, scenario, scenario in WITH_FAULTS and state != "off")
    assert stats["DELIVERED"] == got["not_present"], stats
    assert stats["NOT_PRESENT"] == stats["DELIVERED"] + stats["HALTED"], stats
    assert stats["NOT_PRESENT"] == stats["READY"] - stats["READY_UNKNOWN"] + stats["DROPPED"] + vcpu["OUTSTANDING"], stats
    assert stats["READY_ALL"] == got["wake_all"], stats
    if state == "off":
        assert stats["NOT_PRESENT"] == 0, stats
        # without our help a swap-in of 6.1 waits where others return, and KVM has nothing to ask
        assert (stats["REFUSED"] > 0) == (release != "bookworm"), stats
    if scenario in ("not-enabled", "user-only-in-kernel"):
        # no fault can be delivered: KVM halts the vCPU instead, where the gate allows it
        assert (stats["HALTED"] > 0) == (state == "on"), stats
    if scenario == "again":
        assert (stats["REPEATED"] > 0) == (state != "off"), stats
    assert (stats["DROPPED"] > 0) <= (scenario == "disable"), stats


def test_gate_changes_while_pages_are_outstanding(nl, guest, vm_id):
    chance = random.Random(1)
    nl.set(vm_id, ON)
    guest.begin("send-always", rounds=30)
    changes = 0
    while not guest.ended():
        nl.set(vm_id, chance.choice((ON, ON, PV, OFF)))
        changes += 1
    check(guest.result(), "send-always", True)
    assert changes > 30


def test_ends_with_pages_outstanding(host, nl):
    """The VMM is killed while its guest waits."""
    guest = AbiGuest(host)
    vm_id = nl.add(guest.pid)
    nl.set(vm_id, ON)
    guest.begin("send-always", rounds=1000)
    host.wait_for(lambda: nl.vm(vm_id)["STATS"]["DELIVERED"] > 50, 30, "faults")
    host.run(f"kill -9 {guest.pid}")
    guest.close()
    host.wait_for(lambda: vm_id not in [vm["VM_ID"] for vm in nl.dump("VM_GET")], 30, "the end of the VM")


def test_nothing_in_the_log(host):
    no_trouble(host.dmesg())
