# SPDX-License-Identifier: GPL-2.0
"""`tests/bench/bm --here`: the lab's host stands for a machine that somebody measures with its own swap."""

import json

import pytest

from apflab import VM
from apflab.paths import LAB, REPO

TREE = "/root/apf"
# Arms of a few seconds: the figures are of no interest, only that each arm has some.
SHORT = "--here --load 1+1 --rounds 1 --seconds 2 --settle 1 --limit-mib 120 --vcpus 1 --limit 0 --kernel /boot/vmlinux-l2"


@pytest.fixture(scope="module")
def machine(make_host):
    h = make_host(name="bench")
    h.install()
    h.put(LAB, f"{TREE}/tests/lab")
    h.put(REPO / "tests/bench", f"{TREE}/tests/bench")
    h.put(REPO / "include", f"{TREE}/include")
    # the image has no cpio; a machine of the field has
    h.run("printf '#!/bin/sh\\nexec busybox cpio \"$@\"\\n' >/usr/local/bin/cpio; chmod 755 /usr/local/bin/cpio")
    return h


def bm(host, words):
    return host.run(f"cd {TREE} && PYTHONDONTWRITEBYTECODE=1 python3 tests/bench/bm {words}", check=False, timeout=900)


def test_says_what_is_missing(machine):
    """Without swap, and with a VM of somebody else."""
    machine.swap_off()
    r = bm(machine, SHORT)
    assert r.rc == 1 and "no swap is active" in r.stderr, r
    machine.swap_on()
    with VM(machine, "other", workload=None) as vm:
        r = bm(machine, SHORT)
        assert r.rc == 1 and f"VMs run (processes {vm.pid})" in r.stderr, r
        assert vm.alive()


def test_measures_and_leaves_the_machine_as_it_was(machine):
    machine.swap_on()
    machine.run("modprobe apf_host; systemctl start apfd", timeout=120)
    r = bm(machine, SHORT)
    assert r.rc == 0, r
    series = ".".join(machine.kernel.split(".")[:2])
    result = json.loads(machine.read(f"{TREE}/build/bench/bm-here.json"))[series]
    assert [row["arm"] for row in result["rows"]] == result["arms"]
    assert all(row["touches"] > 0 and row["work"] > 0 for row in result["rows"]), result
    assert result["kernel"] == machine.kernel and result["accelerator"] == "kvm"
    assert machine.swap_device() in r.stdout
    assert machine.run("virsh -q list").stdout.strip() == ""
    assert machine.run("systemctl is-active apfd").stdout.strip() == "active"
    assert machine.run("test -d /sys/module/apf_host", check=False).rc == 0


def test_measures_without_apfd_running(machine):
    """What was stopped is stopped afterwards."""
    machine.run("systemctl stop apfd; rmmod apf_host", timeout=120)
    r = bm(machine, SHORT)
    assert r.rc == 0, r
    assert machine.run("systemctl is-active apfd", check=False).stdout.strip() == "inactive"
    assert machine.run("test -d /sys/module/apf_host", check=False).rc != 0
