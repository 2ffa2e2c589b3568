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
        self.path, self.text, self.longest, self.last = path, [], 0, None
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        while True:
            self.text.append(self.socket.recv(4096).decode())
            if "WATCHDOG=1" in self.text[-1]:
                now = time.monotonic()
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
        return start_apfd("--connect", f"test://{directory}/node.xml", "--pid-dir", f"{directory}/pid", *options,
                          env=env, wait=wait)

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
    while not until():
        assert time.monotonic() < end
        begin = time.monotonic()
        apfd.object(ROOT, "org.freedesktop.DBus.Peer").Ping()
        apfd.object(ROOT, apfdtest.PROPERTIES).GetAll(apfdtest.MANAGER)
        slowest = max(slowest, time.monotonic() - begin)
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
    begin = time.monotonic()
    with pytest.raises(dbus.DBusException) as e:
        apfd.object(path_of(1), VM).SetMode("off", dbus.Array([], signature="u"), False)
    assert "did not answer in time" in e.value.get_dbus_message() and "vm1" in e.value.get_dbus_message()
    slowest = max(slowest, time.monotonic() - begin)
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
