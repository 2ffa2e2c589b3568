# SPDX-License-Identifier: GPL-2.0
"""apfd with a module that answers late, never, or wrongly: nobody waits for it but who has to.

The module is fakemodule.py; the daemon is apfd-peer, which differs in nothing but whom it asks.
"""

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import dbus
import pytest

import apfdtest
from apfdtest import ROOT, VM
from conftest import DOMAIN
from fakemodule import CMD, OFF, ON, FakeModule

PEER = Path(os.environ["APFD"]).resolve().parents[1] / "tests/unit/apfd-peer"
# What the service manager grants: WatchdogSec of the unit is much more.
WATCHDOG_SEC = 3
# Well below the 25 s after which a caller gives up; a turn of the loop takes a tenth of a second.
ANSWER_SEC = 3
# More than half of what a request may take, so that a turn has room for one.
LATE_SEC = 0.06
ALL = tuple(CMD.values())

pytestmark = pytest.mark.skipif(not os.access(PEER, os.X_OK), reason="apfd-peer is not built")


class Notify:
    """The service manager's end: what apfd tells it, and the longest time without a WATCHDOG=1."""

    def __init__(self, path):
        self.path, self.text, self.longest, self.last, self.pace = path, [], 0, None, None
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            self.text.append(self.socket.recv(4096).decode())
            if "WATCHDOG=1" in self.text[-1]:
                # By the time that the daemon had.
                now = time.monotonic() - (self.pace.lost() if self.pace else 0)
                self.longest = max(self.longest, now - (self.last or now))
                self.last = now


@pytest.fixture
def module():
    m = FakeModule()
    yield m
    m.stop()


@pytest.fixture
def world(directory):
    """Processes and PID files of VMs, and the node for libvirt's test driver: world(n) -> names."""
    started = []

    def make(n):
        os.mkdir(f"{directory}/pid")
        names = [f"vm{i}" for i in range(n)]
        for name in names:
            started.append(subprocess.Popen(["sleep", "600"]))
            Path(f"{directory}/pid/{name}.pid").write_text(f"{started[-1].pid}\n")
        text = "".join(DOMAIN.format(name=name, uuid=uuid_of(i)) for i, name in enumerate(names))
        Path(f"{directory}/node.xml").write_text(f"<node>{text}</node>")
        return names

    make.processes = started
    yield make
    for p in started:
        p.kill()
        p.wait()


def uuid_of(i):
    return f"11111111-aaaa-4bbb-8ccc-{i:012x}"


def path_of(i):
    return "/org/apfd/vm/" + uuid_of(i).replace("-", "_")


@pytest.fixture
def start(start_apfd, directory, module, monkeypatch):
    monkeypatch.setenv("APFD", str(PEER))

    def run(*options, notify=None, wait=True):
        env = {"APF_PEER": str(module.port)}
        if notify:
            env |= {"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": str(WATCHDOG_SEC * 1000000)}
        apfd = start_apfd("--connect", f"test://{directory}/node.xml", "--pid-dir", f"{directory}/pid", *options,
                          env=env, wait=False)
        apfd.pace = apfdtest.Pace(apfd.popen.pid)
        if notify:
            notify.pace = apfd.pace
        if wait:
            apfd.wait_for_name()
        return apfd

    return run


def watched(apfd):
    return sum(bool(o[VM]["Watched"]) for path, o in apfd.managed().items() if VM in o)


def rules(apfd, i):
    return {str(v["Rule"]) for v in apfd.object(path_of(i), VM).Explain()}


def rate(apfd, i):
    return apfd.get(VM, "AsyncRate", path_of(i))


def slowest_answer(apfd, until):
    """Asks until @until() is true; the longest time that an answer took."""
    slowest, end = 0, time.monotonic() + apfdtest.PATIENCE_SEC
    def ask():
        apfd.object(ROOT, "org.freedesktop.DBus.Peer").Ping()
        apfd.object(ROOT, apfdtest.PROPERTIES).GetAll(apfdtest.MANAGER)

    while not until():
        assert time.monotonic() < end
        slowest = max(slowest, apfd.pace.took(ask))
        apfdtest.let_pass(0.05)
    return slowest


def wait_for_figures(apfd, module, vms):
    def known():
        module.swap()
        return all(rate(apfd, i) > 0 and "unknown" not in rules(apfd, i) for i in vms)

    apfdtest.wait_for(f"the figures of {list(vms)}", known)


@pytest.fixture
def notify(directory):
    return Notify(f"{directory}/notify")


def test_module_that_answers(module, world, start):
    """The fake does what a module does, so that the other tests prove something."""
    world(3)
    apfd = start()
    apfdtest.wait_for("the VMs to be watched", lambda: watched(apfd) == 3)
    assert apfd.get(VM, "State", path_of(1)) == "on" and len(apfd.object(path_of(1), VM).GetVCPUs()) == 2
    wait_for_figures(apfd, module, range(3))
    apfd.object(path_of(1), VM).SetMode("off", dbus.Array([], signature="u"), False)
    assert module.of(world.processes[1].pid).states == [OFF, OFF]
    assert apfd.get(VM, "State", path_of(1)) == "off"


@pytest.mark.parametrize("wrong", ["malformed", "no-id", "twice", "silent"])
def test_one_vm_that_cannot_be_read(module, world, start, wrong):
    """It is unknown; the figures of the others go on; and it is back when its records are."""
    world(4)
    apfd = start()
    apfdtest.wait_for("the VMs to be watched", lambda: watched(apfd) == 4)
    wait_for_figures(apfd, module, range(4))
    bad = module.of(world.processes[1].pid)
    module.wrong[bad.number] = wrong

    def others_go_on():
        module.swap()
        return all(rate(apfd, i) > 0 and "unknown" not in rules(apfd, i) for i in (0, 2, 3)) \
            and rules(apfd, 1) == {"unknown"}

    apfdtest.wait_for("the rates of the others, and the rule of this one", others_go_on)
    # Again and again: the readings go on.
    before = len(module.requests)
    apfdtest.wait_for("further readings", lambda: module.requests[before:].count(CMD["VM_GET"]) >= 3)
    apfdtest.wait_for("the same after these", others_go_on)
    assert "Cannot read the counters of apf_host for VM vm1," in apfd.log()
    module.wrong.clear()
    wait_for_figures(apfd, module, range(4))
    assert apfd.get(VM, "State", path_of(1)) == "on" and module.sets == []


def test_vm_that_is_not_listed(module, world, start):
    """Its vCPUs are read nevertheless, so that it is known."""
    world(3)
    apfd = start()
    apfdtest.wait_for("the VMs to be watched", lambda: watched(apfd) == 3)
    module.wrong[module.of(world.processes[1].pid).number] = "listing"
    wait_for_figures(apfd, module, range(3))
    before = len(module.requests)
    apfdtest.wait_for("further readings", lambda: module.requests[before:].count(CMD["VM_GET"]) >= 3)
    wait_for_figures(apfd, module, range(3))


def test_late_answers(module, world, start, notify, directory):
    """A hundred VMs, each answer late: callers are answered, the watchdog is fed, all is done in the end."""
    n = 100
    world(n)
    module.delay_sec = LATE_SEC
    Path(f"{directory}/etc/apfd").mkdir(parents=True)
    Path(f"{directory}/etc/apfd/apfd.conf").write_text("[Daemon]\nOnExit=restore\n")
    apfd = start(notify=notify)
    slowest = slowest_answer(apfd, lambda: watched(apfd) == n)

    def swapping():
        module.swap()
        return all(rate(apfd, i) > 0 for i in range(n))

    slowest = max(slowest, slowest_answer(apfd, swapping))
    for i in range(30):
        apfd.object(path_of(i), VM).SetMode("off", dbus.Array([], signature="u"), False)
    # Restoring these takes its time, too.
    apfd.send(15)
    assert apfd.wait() == 0, apfd.log()
    assert [vm.states for vm in module.vms.values()] == [[ON, ON]] * n
    print(f"slowest answer {slowest:.3f} s, longest without a watchdog {notify.longest:.3f} s")
    assert slowest < ANSWER_SEC
    assert notify.last and notify.longest < WATCHDOG_SEC
    assert "READY=1" in "\n".join(notify.text) and "STOPPING=1" in "\n".join(notify.text)
    assert "The gates of 30 VMs were set to on" in apfd.log()


def test_silence(module, world, start, notify, directory):
    """No answer at all: as above, all VMs are unknown, gates stay; then it answers again."""
    n = 20
    world(n)
    Path(f"{directory}/etc/apfd").mkdir(parents=True)
    Path(f"{directory}/etc/apfd/apfd.conf").write_text("[Daemon]\nOnExit=restore\n")
    apfd = start(notify=notify)
    apfdtest.wait_for("the VMs to be watched", lambda: watched(apfd) == n)
    wait_for_figures(apfd, module, range(n))
    module.silent = ALL
    slowest = slowest_answer(apfd, lambda: all(rules(apfd, i) == {"unknown"} for i in range(n)))

    def refused():
        with pytest.raises(dbus.DBusException) as e:
            apfd.object(path_of(1), VM).SetMode("off", dbus.Array([], signature="u"), False)
        assert "did not answer in time" in e.value.get_dbus_message() and "vm1" in e.value.get_dbus_message()

    slowest = max(slowest, apfd.pace.took(refused))
    module.silent = ()
    wait_for_figures(apfd, module, range(n))
    for i in range(n):
        apfd.object(path_of(i), VM).SetMode("off", dbus.Array([], signature="u"), False)
    module.silent = ALL
    apfd.send(15)
    assert apfd.wait() == 0, apfd.log()
    assert slowest < ANSWER_SEC
    assert notify.last and notify.longest < WATCHDOG_SEC
    assert apfd.log().count("Cannot restore the gates of VM") == 1


def test_silent_from_the_start(module, world, start):
    """apfd starts without the module, and takes it when it answers."""
    world(2)
    module.silent = ALL
    apfd = start()
    assert apfd.get(apfdtest.MANAGER, "HostModule") == "absent" and watched(apfd) == 0
    module.silent = ()
    apfdtest.wait_for("the VMs to be watched", lambda: watched(apfd) == 2)


def test_silent_about_new_vms(module, world, start):
    """The VMs are shown, and watched soon after the module answers, not after the retries of each."""
    n = 20
    world(n)
    module.silent = (CMD["VM_ADD"],)
    apfd = start()
    assert len(apfd.managed()) == n and watched(apfd) == 0
    # Once a second, whichever VM is meant.
    apfdtest.wait_for("some requests", lambda: module.requests.count(CMD["VM_ADD"]) >= 5)
    assert apfd.get(VM, "Watched", path_of(1)) == 0
    module.silent = ()
    apfdtest.wait_for("the VMs to be watched", lambda: watched(apfd) == n)


def set_mode(apfd, mode, *vcpus):
    apfd.object(path_of(0), VM).SetMode(mode, dbus.Array(vcpus, signature="u"), False)


@pytest.fixture
def closed_by_a_person(module, world, start):
    """A VM that was set to off, whose second vCPU the policy would close, too: (apfd, the module's VM)."""
    world(1)
    apfd = start()
    apfdtest.wait_for("the VM to be watched", lambda: watched(apfd) == 1)
    vm = module.of(world.processes[0].pid)
    set_mode(apfd, "off")
    assert (vm.states, vm.leases, vm.gate, vm.leased) == ([OFF, OFF], [False, False], OFF, False)

    def nested():
        vm.nested[1] += 10
        return apfd.object(path_of(0), VM).Explain()[1]["Inputs"].get("NestedRate", 0) > 0

    apfdtest.wait_for("the reason to close the second vCPU", nested)
    yield apfd, vm


def wait_for_states(vm, states, leases):
    def reached():
        vm.nested[1] += 10
        return vm.states == states and vm.leases == leases

    apfdtest.wait_for(f"states {states} and leases {leases}", reached)


def test_what_the_policy_takes_over_gets_a_lease(closed_by_a_person):
    """Not only vCPUs: the VM's own gate, which vCPUs that are added later get, is given back, too."""
    apfd, vm = closed_by_a_person
    set_mode(apfd, "auto")
    wait_for_states(vm, [ON, OFF], [False, True])
    assert vm.gate == ON or vm.leased
    apfd.send(9)
    apfd.wait()
    vm.end_leases()
    assert vm.states == [ON, ON] and vm.gate == ON


def test_what_a_person_has_set_gets_no_lease(closed_by_a_person):
    """One vCPU goes to the policy: the other one, and those that are added later, stay off."""
    apfd, vm = closed_by_a_person
    set_mode(apfd, "auto", 1)
    wait_for_states(vm, [OFF, OFF], [False, True])
    assert (vm.gate, vm.leased) == (OFF, False)
    apfd.send(9)
    apfd.wait()
    vm.end_leases()
    assert vm.states == [OFF, ON] and vm.gate == OFF


def test_modes_of_vcpus_do_not_become_the_mode_of_the_vm(closed_by_a_person, module):
    """Both vCPUs are off for a person, in a VM in auto: nobody wants this for vCPUs that are added later."""
    apfd, vm = closed_by_a_person
    set_mode(apfd, "auto")
    set_mode(apfd, "off", 0, 1)
    wait_for_states(vm, [OFF, OFF], [False, False])
    before = len(module.requests)
    apfdtest.wait_for("further readings", lambda: module.requests[before:].count(CMD["VM_GET"]) >= 3)
    changes = len(module.sets)
    assert vm.gate == ON or vm.leased
    before = len(module.requests)
    apfdtest.wait_for("further readings", lambda: module.requests[before:].count(CMD["VM_GET"]) >= 3)
    assert len(module.sets) == changes, "the gates are set again and again"
    apfd.send(9)
    apfd.wait()
    vm.end_leases()
    assert vm.states == [OFF, OFF] and vm.gate == ON


def test_dry_run_renews_no_lease(module, world, start, directory):
    """What an earlier apfd has closed is given back."""
    world(1)
    Path(f"{directory}/etc/apfd").mkdir(parents=True)
    Path(f"{directory}/etc/apfd/apfd.conf").write_text("[Daemon]\nDryRun=yes\n")
    apfd = start()
    apfdtest.wait_for("the VM to be watched", lambda: watched(apfd) == 1)
    apfdtest.wait_for("some readings", lambda: module.requests.count(CMD["VM_GET"]) >= 3)
    assert CMD["RENEW"] not in module.requests
    Path(f"{directory}/etc/apfd/apfd.conf").write_text("")
    apfd.send(1)
    apfdtest.wait_for("a renewal", lambda: CMD["RENEW"] in module.requests)
