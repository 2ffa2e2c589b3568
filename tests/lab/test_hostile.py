# SPDX-License-Identifier: GPL-2.0
"""Storms: what a host, its swap device or an attacker may do to the two modules while guests swap.

Each storm takes a few rounds, or as many as fit into its share of MIN=60 minutes; SEED=N takes the same chances
again. After each one the same must be true: every thread of every load moves, every fault that was started has
ended or is outstanding, nothing is left over, no kernel complains. Adds to build/check/hostile.json.
"""

import json
import os
import random
import time

import pytest

from apflab import VM, checkers, paths, results, storm
from apflab.jailer import make_minivmm
from apflab.logs import no_trouble
from apflab.netlink import FOLDER, OFF, ON
from apflab.patience import patient

SECONDS = float(os.environ.get("MIN", "0")) * 60
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
STORMS = 9
VCPUS, LOAD = storm.VCPUS, storm.LOAD
HALT_SEC = 5 if not SECONDS else 60
DM = "apf-fails"


@pytest.fixture
def rounds(request, host):
    """Yields the numbers of rounds for as long as a storm has time, at least @least; counts them."""
    name = request.node.name.removeprefix("test_")
    state = {"done": 0}

    def go(least):
        end = time.monotonic() + SECONDS / STORMS
        while state["done"] < least or time.monotonic() < end:
            yield state["done"]
            state["done"] += 1

    def add(n):
        state["done"] += n

    go.add = add
    yield go
    failed = getattr(getattr(request.node, "report_call", None), "failed", False)
    row = {"storm": name, "release": host.release, "kernel": host.kernel, "rounds": state["done"], "failures": int(failed)}
    results.merge("hostile", row, ("storm", "release"))


@pytest.fixture(scope="module")
def dm_swap(host):
    """Swap on a device of the device mapper, which can be told to stop or to fail; other swap is off."""
    host.run(f"""set -e; modprobe dm-mod
        d=$(cat /run/lab/swap); swapoff $d
        dmsetup create {DM} --table "0 $(blockdev --getsz $d) linear $d 0"
        mkswap /dev/mapper/{DM} >/dev/null; swapon /dev/mapper/{DM}""", timeout=300)
    yield DM
    host.run(f"""dmsetup resume {DM}; swapoff /dev/mapper/{DM}; dmsetup remove --retry {DM}
        d=$(cat /run/lab/swap); mkswap $d >/dev/null && swapon $d
        # the OOM killer's report is what was wanted here, and the files that follow look at the whole log
        dmesg --clear""", timeout=300)


@pytest.fixture(scope="module")
def guest(host, nl, dm_swap):
    """Two vCPUs under swap load, with apf_guest at work."""
    with VM(host, "hostile", vcpus=VCPUS, workload=LOAD, insmod="apf_guest") as vm:
        vm.wait_ready()
        watch(nl, vm)
        yield vm
        if vm.alive():
            checkers.finish_guest(vm)


def all_is_well(nl, vm):
    """What must be true after any storm."""
    nl.set(vm.vm_id, ON)
    before = storm.switches(vm)
    storm.everybody_moves(vm, before)
    # A module that was just loaded has counted nothing yet, if all of them waited for the CPU.
    nl.host.wait_for(lambda: (s := nl.vm(vm.vm_id)["STATS"])["NOT_PRESENT"] + s["SYNC_STALLS"], 60,
                     "faults to be counted")
    storm.host_counts(nl, vm, vm.vm_id)
    no_trouble(nl.host.dmesg())


def watch(nl, vm):
    """The module knows @vm from now on; to be repeated when the module was loaded anew."""
    vm.vm_id = nl.add(vm.pid)
    nl.set(vm.vm_id, ON)


def let_go(nl, vm_id):
    nl.host.wait_for(lambda: vm_id not in [v["VM_ID"] for v in nl.dump("VM_GET")], 60, "the module to let go of the VM")


def dm_change(host, target):
    """From now on the swap device is the target @target of the device mapper, e.g. "error"."""
    host.run(f"""set -e; d=$(cat /run/lab/swap); dmsetup suspend --noflush {DM}
        dmsetup load {DM} --table "0 $(blockdev --getsz $d) {target}"; dmsetup resume {DM}""")


def test_netlink_messages(host, nl, guest, rounds):
    """Right messages with one thing changed, attributes by chance, bytes by chance: each is answered."""
    host.put(paths.LAB / "nlfuzz.py", f"{FOLDER}/nlfuzz.py")
    for turn in rounds(1):
        seconds = min(SECONDS / STORMS, 60)
        out = host.run(f"python3 {FOLDER}/nlfuzz.py {SEED + turn} {seconds} 3000 {guest.vm_id}:{VCPUS}",
                       timeout=300).stdout
        got = json.loads(out)
        print(f"SEED={SEED + turn}: {got}")
        rounds.add(got["sent"] - 1)
        # it came past the first checks, and not everything was let through
        assert got["accepted"] > got["sent"] / 50 and got["errors"].get("EINVAL", 0) > got["sent"] / 50, got
        assert set(got["errors"]) <= {"EINVAL", "ENOENT", "ERANGE", "EBADF", "EOPNOTSUPP", "ENOTSUP", "EPERM"}, got
        all_is_well(nl, guest)
    assert [v["VM_ID"] for v in nl.dump("VM_GET")] == [guest.vm_id]


def test_gates_toggle(host, nl, guest, rounds):
    host.put(paths.LAB / "toggle.py", f"{FOLDER}/toggle.py")
    for turn in rounds(1):
        out = host.run(f"python3 {FOLDER}/toggle.py 10 {SEED + turn} {guest.vm_id}:{VCPUS}", timeout=120)
        rounds.add(json.loads(out.stdout)["toggles"] - 1)
        all_is_well(nl, guest)


def test_host_module_comes_and_goes(host, nl, guest, rounds):
    chance = random.Random(SEED)
    for _turn in rounds(3):
        nl.unload()
        if chance.random() < 0.5:
            storm.everybody_moves(guest, storm.switches(guest))
        nl.load()
        watch(nl, guest)
    all_is_well(nl, guest)


def test_guest_module_comes_and_goes(nl, guest, rounds):
    for _turn in rounds(3):
        guest.run("rmmod apf_guest && insmod /modules/apf_guest.ko", timeout=120, check=True)
    all_is_well(nl, guest)


def descriptors(host):
    """Open KVM VMs of all processes, and VMs with a directory in KVM's statistics."""
    return host.run("ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c kvm-vm; ls -d /sys/kernel/debug/kvm/*-* 2>/dev/null | wc -l",
                    check=False).stdout.split()


def test_vms_come_and_are_killed(host, nl, guest, rounds):
    """VMs that end while they are watched, their gates change and their counters are read."""
    minivmm = make_minivmm(host, "killed-vmm")
    before = descriptors(host)
    for _turn in rounds(10):
        out = host.run(f"""set -e; cd {FOLDER}
            for n in 1 2 3 4 5; do
                mkfifo vmm$n.ready; {minivmm} >vmm$n.ready 2>/dev/null </dev/null & pids="$pids $!"
                read word <vmm$n.ready; rm vmm$n.ready; [ "$word" = created ]
            done; echo $pids""", timeout=120).stdout
        pids = [int(p) for p in out.split()]
        ids = [nl.add(pid) for pid in pids]
        args = " ".join(f"{vm_id}:1" for vm_id in ids)
        toggles = host.popen(f"python3 {FOLDER}/toggle.py 20 {SEED} {args}")
        for pid in pids:
            host.run(f"kill -9 {pid}")
        host.wait_for(lambda: len(nl.dump("VM_GET")) == 1, 60, "the module to give up the VMs that ended")
        # refused, for there is no such VM any more, which is the end of it
        toggles.wait(timeout=patient(60))
        rounds.add(len(pids) - 1)
        all_is_well(nl, guest)
    host.wait_for(lambda: descriptors(host) == before, 60, f"the VMs to be gone, {before} were there")


def test_clock_is_set(host, nl, guest, rounds):
    """A lease is a time that passes, whatever the host's clock is set to."""
    for _turn in rounds(1):
        lease = {"cmd": "VM_SET", "attrs": [["VM_ID", guest.vm_id], ["STATE", OFF], ["LEASE_MSEC", 600000]]}
        assert "errno" not in nl.calls(lease)[0]
        host.run("date -s '+2 hours' >/dev/null")
        time.sleep(2)
        assert nl.vm(guest.vm_id)["STATE"] == OFF, "a lease of ten minutes ended with the clock"
        host.run("date -s '-2 hours' >/dev/null")
        lease["attrs"][2][1] = 1000
        assert "errno" not in nl.calls(lease)[0]
        host.run("date -s '-1 hour' >/dev/null")
        host.wait_for(lambda: nl.vm(guest.vm_id)["STATE"] == ON, 10, "the end of a lease of a second")
        host.run("date -s '+1 hour' >/dev/null")
        all_is_well(nl, guest)


def test_swap_device_stops_answering(host, nl, guest, rounds):
    """Nothing is read for a while: whoever waits goes on waiting, and comes back when the device does."""
    for _turn in rounds(1):
        storm.everybody_moves(guest, storm.switches(guest))
        host.run(f"dmsetup suspend --noflush {DM}")
        time.sleep(HALT_SEC)
        # what is asked of the module meanwhile does not wait for the device
        began = time.monotonic()
        nl.vcpus(guest.vm_id)
        nl.set(guest.vm_id, OFF)
        nl.set(guest.vm_id, ON)
        assert time.monotonic() - began < patient(5)
        host.run(f"dmsetup resume {DM}")
        all_is_well(nl, guest)


def test_out_of_memory(host, nl, rounds):
    """The OOM killer takes a VM in the middle of its swap-ins."""
    for turn in rounds(1):
        with VM(host, f"oom{turn}", vcpus=VCPUS, workload=LOAD) as vm:
            vm.wait_ready()
            watch(nl, vm)
            group = vm.cgroup()
            host.run(f"echo 0 >'{group}/memory.swap.max'; echo 40M >'{group}/memory.max'", check=False)
            host.wait_for(lambda: not vm.alive(), 60, "the OOM killer")
            vm.detach()
            let_go(nl, vm.vm_id)


def test_swap_device_fails(host, nl, dm_swap, rounds):
    """A page that cannot be read: KVM goes on trying asynchronously, and tells the VMM where the gate is off.

    Last in this file: nothing of such a VM is left.
    """
    for turn in rounds(1):
        with VM(host, f"doomed{turn}", vcpus=VCPUS, workload=LOAD) as vm:
            vm.wait_ready()
            watch(nl, vm)
            dm_change(host, "error")
            host.wait_for("dmesg | grep -q 'Read-error on swap-device'", 60, "a read that fails")
            nl.set(vm.vm_id, OFF)
            host.wait_for(lambda: not vm.alive() or vm.state() != "running", 60, "the VMM to be told")
            vm.kill9()
            let_go(nl, vm.vm_id)
        dm_change(host, "linear $d 0")
    nl.unload()
    nl.load()
    no_trouble("\n".join(line for line in host.dmesg().splitlines() if "apf_" in line))
