# SPDX-License-Identifier: GPL-2.0
"""Everything around apfd, and apfd itself, killed and restarted at random while guests swap.

MIN=30 makes it go on for so many minutes, SEED=N does the same again as far as time allows.
"""

import json
import os
import random
import re
import time
import xml.etree.ElementTree as ET

import pytest

from apflab import VM
from apflab.errors import LabError
from apflab.logs import apfd_errors, no_trouble
from apflab.netlink import OFF, ON, PV

# By default every turn is taken once, however long that takes on an emulated CPU.
SECONDS = float(os.environ.get("MIN", "0")) * 60
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
STATES = {"off": OFF, "pv": PV, "on": ON}
PATIENCE_SEC = 120
# What apfd may call an error here: it says so when the bus is taken from it.
EXPECTED = ("The system bus is gone", "Cannot connect to the system bus", "The bus does not give us the name")


class Chaos:
    """Two guests that stay, one that is killed, and what can be done to them and the host."""

    def __init__(self, host, nl, stay):
        self.host, self.nl, self.stay = host, nl, stay
        self.rng = random.Random(SEED)
        self.victim = None

    # -- what happens ------------------------------------------------------------------

    def kill_apfd(self):
        self.host.run("systemctl kill -s KILL apfd", check=False)

    def restart_apfd(self):
        self.host.run("systemctl restart apfd", check=False, timeout=PATIENCE_SEC)

    def restart_bus(self):
        self.host.run("systemctl restart dbus", check=False, timeout=PATIENCE_SEC)

    def kill_bus(self):
        self.host.run("systemctl kill -s KILL dbus", check=False, timeout=PATIENCE_SEC)

    def kill_libvirtd(self):
        self.host.run("systemctl kill -s KILL --kill-whom=main libvirtd; systemctl start libvirtd", check=False,
                      timeout=PATIENCE_SEC)

    def hang_libvirtd(self):
        self.host.run("systemctl kill -s STOP --kill-whom=main libvirtd; sleep 3; "
                      "systemctl kill -s CONT --kill-whom=main libvirtd", check=False)

    def reload_module(self):
        self.host.run("rmmod apf_host; modprobe apf_host", check=False, timeout=PATIENCE_SEC)

    def reload_conf(self):
        self.host.run("systemctl kill -s HUP apfd; systemctl kill -s USR1 apfd", check=False)

    def replace_victim(self):
        if self.victim:
            self.host.run(f"kill -9 {self.victim.pid}", check=False)
            self.victim.stop()
        self.victim = VM(self.host, "victim", vcpus=1, workload="-f 1 -w 0 -m 20 -t 0", memory_mib=192, limit_mib=0)
        try:
            self.victim.start()
        except LabError:
            # libvirt may just be away; another turn brings it back
            self.host.run("virsh -q destroy victim", check=False)
            self.victim = None

    def set_modes(self):
        vm = self.rng.choice(self.stay)
        mode = self.rng.choice(sorted(STATES))
        vcpu = self.rng.choice(["", " --vcpu 1"])
        self.host.run(f"timeout 20 apfctl set {vm.name} {mode}{vcpu}", check=False, timeout=60)

    def go(self, names, seconds):
        """One after the other, in an order by chance, each at least once."""
        print(f"SEED={SEED}")
        end = time.monotonic() + seconds
        while True:
            turn = list(names)
            self.rng.shuffle(turn)
            for name in turn:
                print(f"{time.strftime('%T')} {name}", flush=True)
                getattr(self, name)()
                time.sleep(self.rng.random() * 1.5)
            if time.monotonic() > end:
                return

    # -- what is left ------------------------------------------------------------------

    def settle(self):
        """Everything runs again, and apfd knows every VM."""
        self.host.run("systemctl start dbus; systemctl restart libvirtd; modprobe apf_host; systemctl start apfd",
                      timeout=PATIENCE_SEC)
        for vm in self.stay:
            if not vm.alive():
                self.start_again(vm)
        self.host.wait_for(self._all_watched, PATIENCE_SEC, "apfd to watch every VM that is left", interval=1)

    def start_again(self, vm):
        """libvirtd itself ends a VM if it loses the bus while it looks for those it knows."""
        ends = self.host.run(f"grep 'shutting down, reason=' /var/log/libvirt/qemu/{vm.name}.log", check=False).stdout
        assert "reason=daemon" in ends or "reason=unknown" in ends, f"{vm.name} did not survive, by nobody's hand: {ends}"
        print(f"{vm.name} was ended by libvirtd, starting it again", flush=True)
        vm.stop()
        vm.start()
        vm.wait_ready()
        self.host.wait_for(f"apfctl set {vm.name} pv", PATIENCE_SEC, f"a mode of {vm.name}")

    def _all_watched(self):
        r = self.host.run("apfctl --json list", check=False, timeout=60)
        running = self.host.run("virsh -q list --name", check=False, timeout=60)
        if r.rc or running.rc:
            return False
        watched = {row["name"] for row in json.loads(r.stdout) if row["watched"]}
        return watched == set(running.stdout.split()) >= {vm.name for vm in self.stay}

    def wanted(self, vm):
        """Gates by libvirt's metadata, which is where settings are kept."""
        xml = self.host.run(f"virsh -q dumpxml {vm.name}", timeout=60).stdout
        ns = "{https://apfd.org/xmlns/1}"
        settings = ET.fromstring(xml).find(f"metadata/{ns}settings")
        assert settings is not None, f"{vm.name} lost its settings"
        modes = {int(v.get("index")): v.get("mode") for v in settings.findall(f"{ns}vcpu")}
        return [STATES[modes.get(i, settings.get("mode"))] for i in (0, 1)]

    def gates(self, vm):
        path = "/org/apfd/vm/" + vm.uuid.replace("-", "_")
        states = json.loads(self.host.run(f"busctl --json=short get-property org.apfd {path} org.apfd.VM1 VCPUStates",
                                          timeout=60).stdout)["data"]
        return [STATES[s] for s in states]

    def check(self):
        self.settle()
        for vm in self.stay:
            # libvirt may be told of the last mode only now.
            self.host.wait_for(lambda: self.gates(vm) == self.wanted(vm), PATIENCE_SEC,
                               f"the gates of {vm.name} to be what its settings say")
        # What apfd says is what the module does.
        known = sorted([v["STATE"] for v in self.nl.vcpus(m["VM_ID"])] for m in self.nl.dump("VM_GET"))
        for vm in self.stay:
            assert self.wanted(vm) in known

    def apfd(self):
        """(PID, descriptors, KiB resident) of the daemon."""
        out = self.host.run("p=$(systemctl show -P MainPID apfd); echo $p; ls /proc/$p/fd | wc -l; "
                            "sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$p/status").stdout.split()
        return tuple(map(int, out))


@pytest.fixture(scope="module")
def chaos(host, nl_apfd):
    stay = []
    try:
        # One that swaps, and one that does little; neither takes the CPU from what is to happen.
        for name, mode, limit, workload in (("stays-1", "on", 150, "-f 1 -w 0 -m 180 -t 0"),
                                            ("stays-2", "pv", 0, "-f 1 -w 0 -m 20 -t 0")):
            vm = VM(host, name, vcpus=2, memory_mib=384, limit_mib=limit, workload=workload, persistent=True)
            stay.append(vm)
            vm.start()
            vm.wait_ready()
            host.wait_for(f"apfctl set {name} {mode}", PATIENCE_SEC, f"a mode of {name}")
        c = Chaos(host, nl_apfd, stay)
        c.replace_victim()
        yield c
        if c.victim:
            c.victim.stop()
    finally:
        for vm in stay:
            vm.stop()


def test_gates_are_what_settings_say(chaos):
    chaos.go(["kill_apfd", "restart_apfd", "restart_bus", "kill_bus", "kill_libvirtd", "hang_libvirtd", "reload_module",
              "replace_victim", "set_modes"], SECONDS / 2)
    chaos.check()


def test_nothing_grows(chaos):
    """apfd is left alive now: it has to get over everything else, again and again."""
    names = ["kill_libvirtd", "hang_libvirtd", "reload_module", "reload_conf", "replace_victim",
             "set_modes"]
    # What is there after the first time of everything may stay.
    chaos.go(["kill_libvirtd", "reload_module", "replace_victim"], 0)
    chaos.check()
    pid, descriptors, kib = chaos.apfd()
    chaos.go(names, SECONDS / 2)
    chaos.check()
    # A connection being renewed, a file being read, or a VM more.
    now = chaos.host.wait_for(lambda: (n := chaos.apfd())[1] <= descriptors + 4 and n, PATIENCE_SEC,
                              f"apfd to have as few descriptors as before, {descriptors}")
    print(f"apfd before and after: {(pid, descriptors, kib)} {now}")
    assert now[0] == pid, "apfd was restarted"
    assert now[2] <= kib + 4096


def test_nothing_bad_in_the_logs(host, chaos):
    """Last in this file: what all of the above left behind."""
    no_trouble(host.dmesg())
    for vm in chaos.stay:
        no_trouble(vm.console())
    assert apfd_errors(chaos.nl, EXPECTED) == []
    journal = host.journal("apfd")
    assert not re.search(r"[Ww]atchdog timeout|status=\d*/?(ABRT|SEGV)|dumped core", journal)
