# SPDX-License-Identifier: GPL-2.0
"""What apf_guest reports reaches apfd: properties, events, the paused gate, the journal."""

import json
import struct
import threading
import time

import pytest

from apflab import VM
from apflab.errors import CommandFailed
from apflab.logs import apfd_errors, no_trouble
from apflab.netlink import difference

LOAD = "-p -f 4 -w 1 -m 220 -t 0"
VCPUS = 2
IFACE = "org.apfd.VM1"
PARAMS = "/sys/module/apf_guest/parameters"
TEST = "/sys/module/apf_test/parameters"
STATS = "/sys/module/apf_guest/stats"
FIGURES = {"PoolSize", "PoolInUse", "PoolTaken", "PoolExhausted", "Sleepers", "EarlyWakes",
           "Rescues", "UnknownTokens", "OldestSleeperMSec", "Waits", "Wakes", "Stuck"}
PATIENCE_SEC = 60


def plain(value):
    """busctl's JSON without its types."""
    if isinstance(value, dict) and set(value) == {"type", "data"}:
        return plain(value["data"])
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


class Watched:
    """The guest, as apfd and the guest itself show it."""

    def __init__(self, host, vm):
        self.host = host
        self.vm = vm
        self.path = "/org/apfd/vm/" + vm.uuid.replace("-", "_")

    def call(self, interface, method, args=""):
        out = self.host.run(f"busctl --system --json=short call org.apfd {self.path} "
                            f"{interface} {method} {args}")
        return plain(json.loads(out.stdout))[0]

    def props(self):
        return self.call("org.freedesktop.DBus.Properties", "GetAll", f"s {IFACE}")

    def vcpus(self):
        return self.call(IFACE, "GetVCPUs")

    def wait_props(self, what, condition):
        """Properties for which @condition is true."""
        def look():
            try:
                p = self.props()
            except CommandFailed:
                return None  # an apfd that has just started may not have heard of the VM yet
            return p if condition(p) else None
        return self.host.wait_for(look, PATIENCE_SEC, what)

    def figure(self, name):
        rc, out = self.vm.run(f"cat {STATS}/{name}", timeout=PATIENCE_SEC)
        assert rc == 0, out
        return out.strip()

    def inject(self, **params):
        """In this order, in one command: the guest is busy, the next one comes late."""
        folder = {"rescue_ms": PARAMS, "age_ms": PARAMS}
        self.vm.run(" && ".join(f"echo {v} >{folder.get(k, TEST)}/{k}" for k, v in params.items()),
                    timeout=PATIENCE_SEC, check=True)

    def settled(self):
        """Nothing is injected any more and no emergency node is in use."""
        self.inject(hold=0, refuse=0, drop=0, delay=0, rescue_ms=1000, age_ms=20000)
        self.wait_props("the pool to be full", lambda p: p["GuestModule"] == "present" and
                        not p["PausedVCPUs"] and p["GuestReport"]["PoolInUse"] == 0)


class Listener:
    """Signals about VMs, from the bus itself."""

    def __init__(self, host):
        self.host = host
        self.seen = []
        self.child = host.popen(
            "sh -c 'echo $$ >/run/lab/listener.pid; exec busctl --system monitor --json=short "
            "--match \"type='\\''signal'\\'',path_namespace='\\''/org/apfd/vm'\\''\"'")
        threading.Thread(target=self._read, daemon=True).start()
        # Not every busctl says when it is ready.
        host.wait_for(self._hears, PATIENCE_SEC, "the first signal")

    def _hears(self):
        self.host.run("busctl --system emit /org/apfd/vm/listener org.apfd.Lab Ready s now")
        return self.seen

    def _read(self):
        for line in self.child.stdout:
            m = json.loads(line)
            self.seen.append((m["path"], m["member"], plain(m["payload"])))

    def guest_events(self, path):
        """(event, vcpu, report) of one VM, in the order they came."""
        return [tuple(args) for p, member, args in self.seen
                if p == path and member == "GuestEvent"]

    def changes(self, path, name):
        """The values that PropertiesChanged told of one property."""
        return [args[1][name] for p, member, args in self.seen
                if p == path and member == "PropertiesChanged" and name in args[1]]

    def wait_for(self, path, *events):
        """Until these were told, in this order, about one vCPU; that vCPU."""
        def found():
            for vcpu in range(VCPUS):
                names = iter(e[0] for e in self.guest_events(path) if e[1] == vcpu)
                if all(wanted in names for wanted in events):
                    return [vcpu]
            return None
        return self.host.wait_for(found, PATIENCE_SEC, f"{events}, not {self.seen}")[0]

    def close(self):
        self.host.run("kill $(cat /run/lab/listener.pid)", check=False)
        self.child.communicate(timeout=PATIENCE_SEC)


@pytest.fixture(scope="module")
def nl(nl_apfd):
    return nl_apfd


@pytest.fixture(scope="module")
def guest(host, nl):
    with VM(host, "reports", vcpus=VCPUS, workload=LOAD,
            insmod="apf_guest") as vm:
        vm.wait_ready()
        assert "lab: loaded apf_guest" in vm.text()
        vm.run("insmod /modules/apf_test.ko", timeout=PATIENCE_SEC, check=True)
        g = Watched(host, vm)
        g.wait_props("apfd to watch the VM",
                     lambda p: p["Watched"] and p["GuestModule"] == "present")
        # The pause is the module's; in mode auto apfd would close the gate as well.
        host.run("apfctl enable reports")
        yield g


@pytest.fixture
def listener(host, guest):
    li = Listener(host)
    yield li
    li.close()


def test_report_is_shown(host, nl, guest):
    waits, wakes = int(guest.figure("waits")), int(guest.figure("wakes"))
    guest.wait_props("a newer report", lambda p: p["GuestReport"]["Waits"] > waits and p["GuestReport"]["Wakes"] >= wakes)
    p, vcpus = guest.props(), guest.vcpus()
    status = json.loads(host.run("apfctl --json status reports").stdout)
    later = int(guest.figure("waits"))

    assert p["GuestModule"] == "present"
    assert set(p["GuestReport"]) == FIGURES
    assert p["GuestReport"]["PoolSize"] == VCPUS
    assert waits < p["GuestReport"]["Waits"] <= later
    assert p["GuestReport"]["Wakes"] >= wakes
    assert (p["GuestReport"]["PoolInUse"], p["PausedVCPUs"]) == (0, [])
    assert (p["Counters"]["RefusedPaused"], p["Counters"]["BadReports"]) == (0, 0)

    assert [(v["Index"], v["Paused"]) for v in vcpus] == [(0, False), (1, False)]
    for v in vcpus:
        assert set(v["GuestReport"]) == FIGURES | {"AgeMSec"}
        assert v["GuestReport"]["PoolSize"] == 1
        # each second, by a host that may be slow
        assert v["GuestReport"]["AgeMSec"] < 15000
    # At most one reading lies between the two.
    assert sum(v["GuestReport"]["Waits"] for v in vcpus) >= p["GuestReport"]["Waits"]
    assert status["guest_module"] == "present"
    assert status["guest_report"]["pool_size"] == VCPUS
    assert waits < status["guest_report"]["waits"] <= later


def test_emergency_node(nl, guest, listener):
    """No memory for a wake-up that came early: the gate closes until the node is back."""
    guest.settled()
    before = guest.props()
    # Long, because the guest is slow to answer; the node must come back with its fault, not age out.
    guest.inject(age_ms=60000, ms=25000, refuse=1, hold=1)
    p = guest.wait_props("a paused vCPU", lambda p: p["PausedVCPUs"] and p["GuestReport"].get("PoolInUse"))
    assert p["GuestReport"]["PoolInUse"] == 1
    [paused] = p["PausedVCPUs"]
    assert [v["Paused"] for v in guest.vcpus()] == [i == paused for i in range(VCPUS)]

    assert listener.wait_for(guest.path, "pool-taken", "pool-returned") == paused
    after = guest.wait_props("the gate to be open", lambda p: not p["PausedVCPUs"])
    assert after["GuestReport"]["PoolTaken"] == before["GuestReport"]["PoolTaken"] + 1
    assert after["GuestReport"]["PoolInUse"] == 0
    assert after["GuestReport"]["EarlyWakes"] > before["GuestReport"]["EarlyWakes"]
    # The guest had APF off meanwhile, and without the module KVM would have halted the vCPU.
    assert after["Counters"]["RefusedPaused"] > before["Counters"]["RefusedPaused"]
    assert int(guest.figure(f"cpu{paused}/msr"), 0) & 1, "the guest has APF on again"
    # What the gate was set to is not touched by this.
    assert after["VCPUStates"] == ["on", "on"]

    [taken] = [e for e in listener.guest_events(guest.path) if e[0] == "pool-taken"]
    assert set(taken[2]) == FIGURES | {"AgeMSec"}
    assert (taken[2]["PoolSize"], taken[2]["PoolInUse"]) == (1, 1)
    # A machine that stands still has waiters that are old.
    assert [e[0] for e in listener.guest_events(guest.path) if e[0] != "waiter-old"] == ["pool-taken", "pool-returned"]
    assert listener.changes(guest.path, "PausedVCPUs")[0] == [paused]
    guest.host.wait_for(lambda: listener.changes(guest.path, "PausedVCPUs")[-1] == [], 20,
                        "the end to be told")


def test_the_guest_has_apf_off_while_paused(nl, guest):
    """Seen by the guest's own register, and by KVM's: it starts nothing on that vCPU."""
    guest.settled()
    # Long, because the guest is slow to answer; settled() ends it by age.
    guest.inject(age_ms=120000, ms=60000, refuse=1, hold=1)
    [paused] = guest.wait_props("a paused vCPU", lambda p: p["PausedVCPUs"])["PausedVCPUs"]
    vm_id = nl.dump("VM_GET")[0]["VM_ID"]
    first = nl.vcpus(vm_id)
    msr = int(guest.figure(f"cpu{paused}/msr"), 0)
    last = nl.vcpus(vm_id)
    if not (first[paused]["PAUSED"] and last[paused]["PAUSED"]):
        pytest.fail("the pause was over before both looks: the test says nothing")
    assert msr & 1 == 0
    grown = difference(first[paused]["STATS"], last[paused]["STATS"])
    assert grown["NOT_PRESENT"] == 0
    assert last[1 - paused]["STATE"] == 2 and not last[1 - paused]["PAUSED"]
    guest.settled()


def test_pool_exhausted(guest, listener):
    """
    Wake-ups held back until nobody remembers their sleepers, then one after the other, and no
    memory: the first takes the emergency node, the others find none. No host does that: they come
    to a CPU whose APF is off.
    """
    guest.settled()
    before = guest.props()["GuestReport"]
    guest.inject(rescue_ms=100, age_ms=100, ms=3000, refuse=64, delay=12)
    vcpu = listener.wait_for(guest.path, "pool-taken", "pool-exhausted", "pool-returned")
    guest.settled()
    after = guest.props()["GuestReport"]
    assert after["PoolExhausted"] > before["PoolExhausted"]
    assert after["Rescues"] > before["Rescues"]
    events = listener.guest_events(guest.path)
    assert all(e[2]["PoolExhausted"] > 0 for e in events if e[:2] == ("pool-exhausted", vcpu))
    # It goes on working.
    touches = guest.vm.sample()["touches"]
    guest.host.wait_for(lambda: guest.vm.sample()["touches"] > touches + 100, PATIENCE_SEC,
                        "the guest working on")


def test_old_waiter(host, guest, listener):
    param = "/sys/module/apf_host/parameters/waiter_limit_ms"
    limit = host.read(param).strip()
    guest.settled()
    # test_journal() looks for the warning, and those of the test above may be of the same minute.
    room_for_a_warning(host)
    host.write(param, "1000\n")
    try:
        guest.inject(rescue_ms=600000, drop=2)
        listener.wait_for(guest.path, "waiter-old")

        def told(vcpu):
            return [e[2] for e in listener.guest_events(guest.path)
                    if e[:2] == ("waiter-old", vcpu)]
        p = guest.wait_props("the property",
                             lambda p: p["GuestReport"]["OldestSleeperMSec"] >= 1000)
        assert p["GuestReport"]["Sleepers"] >= 1
        assert p["PausedVCPUs"] == []

        def old():
            return {v["Index"]: v.get("GuestReport", {}).get("OldestSleeperMSec", 0) for v in guest.vcpus()}

        def stays_old():
            """
            A vCPU whose waiter was old for some seconds, and how often that was told before and after: where the
            machine stands still, pages that were not dropped are late as well, but they come.
            """
            before = {vcpu: (msec, len(told(vcpu))) for vcpu, msec in old().items() if msec >= 1000}
            time.sleep(3)
            after = old()
            return [(n, len(told(vcpu))) for vcpu, (msec, n) in before.items()
                    if n and after.get(vcpu, 0) >= msec + 2000]
        # Told once, not once a second.
        for before, after in host.wait_for(stays_old, PATIENCE_SEC, "a waiter that stays"):
            assert after == before
        for vcpu in range(VCPUS):
            assert all(e["OldestSleeperMSec"] >= 1000 and e["Sleepers"] >= 1 for e in told(vcpu))
    finally:
        guest.settled()
        host.write(param, limit + "\n")
    guest.wait_props("the rescue", lambda p: p["GuestReport"]["OldestSleeperMSec"] < 1000)


def room_for_a_warning(host):
    """The journal holds five warnings a minute about what one guest does, and test_journal() looks for the next."""
    host.wait_for(lambda: len(host.run("journalctl -u apfd -p 4..4 --since -61s -o cat -q APF_VM=reports").stdout.splitlines()) < 5,
                  70, "the limit of warnings to be over", interval=2)


def test_stuck_slot(host, guest, listener):
    """An interrupt that got lost: the guest notices, and everybody on the way to the screen hears of it."""
    guest.settled()
    stuck = guest.props()["GuestReport"]["Stuck"]
    log = "/run/lab/monitor.log"
    monitor = host.popen(f"sh -c 'echo $$ >/run/lab/monitor.pid; exec apfctl --json monitor reports >{log}'")
    try:
        def heard():
            host.run("apfctl disable reports && apfctl enable reports")
            return host.run(f"grep -q gate-changed {log}", check=False).rc == 0
        host.wait_for(heard, PATIENCE_SEC, "apfctl monitor to listen")
        room_for_a_warning(host)
        guest.inject(stick=1)
        assert listener.wait_for(guest.path, "slot-stuck") == 1

        def told():
            lines = [json.loads(line) for line in host.read(log).splitlines()]
            return [e for e in lines if e["event"] == "slot-stuck"]
        host.wait_for(told, PATIENCE_SEC, "apfctl monitor to tell of it")
        assert [(e["vcpu"], e["guest_report"]["stuck"]) for e in told()] == [(1, stuck + 1)]
    finally:
        host.run("kill $(cat /run/lab/monitor.pid)", check=False)
        monitor.communicate(timeout=PATIENCE_SEC)
    guest.wait_props("the sum", lambda p: p["GuestReport"]["Stuck"] == stuck + 1)
    status = json.loads(host.run("apfctl --json status reports").stdout)
    assert "slot-stuck" in [f["id"] for f in status["findings"]]
    waits = int(guest.figure("cpu1/wakes"))
    guest.host.wait_for(lambda: int(guest.figure("cpu1/wakes")) > waits + 10, PATIENCE_SEC, "wakes on this vCPU")


def test_journal(host, guest):
    """All of the above, with fields, and no more of it than a log should hold."""
    lines = host.run("journalctl -u apfd -o json --no-pager").stdout.splitlines()
    entries = [json.loads(line) for line in lines]
    events = [e for e in entries if e.get("APF_VM") == "reports" and "APF_EVENT" in e]
    levels = {e["APF_EVENT"]: e["PRIORITY"] for e in events}
    assert levels["pool-taken"] == "5"
    assert levels["pool-exhausted"] == "4"
    assert levels["waiter-old"] == "4"
    assert levels["slot-stuck"] == "4"
    for e in events:
        assert e["APF_VCPU"] in ("0", "1")
        assert (e["APF_UUID"], e["APF_STATE"]) == (guest.vm.uuid, "on")
        begin = int(e["__MONOTONIC_TIMESTAMP"])
        minute = [o for o in events if 0 <= int(o["__MONOTONIC_TIMESTAMP"]) - begin < 55e6]
        assert len(minute) <= 20, "5 warnings and 5 notices a minute; it may hold parts of two"


def test_apfd_restarted_while_paused(host, guest):
    guest.settled()
    guest.inject(age_ms=120000, ms=60000, refuse=1, hold=1)
    guest.wait_props("a paused vCPU", lambda p: p["PausedVCPUs"])
    host.run("systemctl restart apfd")
    p = guest.wait_props("apfd to watch the VM again", lambda p: p["Watched"])
    assert p["GuestModule"] == "present"
    assert p["PausedVCPUs"], "the new apfd knows at once"
    guest.settled()


def asynchronous(guest):
    """Does the host start asynchronous faults, on each vCPU?"""
    def started():
        return [v["Counters"]["NotPresent"] for v in guest.vcpus()]
    before = started()
    guest.host.wait_for(lambda: all(b > a + 5 for a, b in zip(before, started())), PATIENCE_SEC,
                        "asynchronous faults on each vCPU")


@pytest.fixture(scope="module")
def without_module(guest):
    """(events, addresses): the guest after rmmod in a pause, and where its reports were."""
    guest.settled()
    areas = [int(guest.figure(f"cpu{i}/msr"), 0) & ~0x3f for i in range(VCPUS)]
    li = Listener(guest.host)
    try:
        guest.inject(age_ms=60000, ms=25000, refuse=1, hold=1)
        guest.wait_props("a paused vCPU", lambda p: p["PausedVCPUs"])
        guest.vm.run("rmmod apf_guest", timeout=120, check=True)
        guest.wait_props("the module to be gone", lambda p: p["GuestModule"] == "absent")

        def gone():
            return sum(e[0] == "report-gone" for e in li.guest_events(guest.path))
        guest.host.wait_for(lambda: gone() >= VCPUS, PATIENCE_SEC, "report-gone of each vCPU")
    finally:
        li.close()
    return li.guest_events(guest.path), areas


def test_report_gone(guest, without_module):
    events, _ = without_module
    gone = [e for e in events if e[0] == "report-gone"]
    assert sorted(e[1] for e in gone) == list(range(VCPUS))
    assert all(e[2] == {} for e in gone)
    p = guest.props()
    assert (p["GuestReport"], p["PausedVCPUs"]) == ({}, [])
    assert all("GuestReport" not in v and not v["Paused"] for v in guest.vcpus())
    asynchronous(guest)


class Pad:
    """
    The guest's memory behind the 8 bytes that KVM uses, written from outside: for the host it
    makes no difference who wrote it, and Linux in the guest leaves it alone.
    """

    def __init__(self, guest, area):
        self.host, self.pid = guest.host, guest.vm.pid
        out = guest.host.run(f"virsh qemu-monitor-command {guest.vm.name} "
                             f"--hmp 'gpa2hva {area + 8:#x}'")
        self.address = int(out.stdout.split()[-1], 16)

    def write(self, data):
        self._python(f'os.pwrite(f, bytes.fromhex("{data.hex()}"), {self.address})')

    def read(self):
        return bytes.fromhex(self._python(f"print(os.pread(f, 56, {self.address}).hex())"))

    def _python(self, what):
        program = f'import os; f = os.open("/proc/{self.pid}/mem", os.O_RDWR); {what}'
        return self.host.run(["python3", "-c", program]).stdout


def report(version=2, size=1, in_use=0, taken=0, sleepers=0, waits=0, stuck=0):
    """As in apf_guest.h."""
    return struct.pack("<IHHIHH10I", 0x41504647, version, 0, 2, size, in_use, taken, 0, sleepers,
                       0, 0, 0, 0, waits, 0, stuck)


HOSTILE = {
    "a version to come": report(version=3),
    "no version": report(version=0),
    "no pool": report(size=0),
    "pool too large": report(size=65),
    "more in use than there are": report(size=1, in_use=2),
    "more sleepers than tasks": report(sleepers=0xffffffff),
    "what version 1 did not have": report(version=1, stuck=1),
    "all ones behind the magic": report()[:4] + b"\xff" * 52,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_nonsense_is_counted_and_changes_nothing(guest, without_module, what):
    pad = Pad(guest, without_module[1][0])
    assert pad.read() == bytes(56), "this is not the pad, or the module left something behind"
    bad = guest.props()["Counters"]["BadReports"]
    try:
        pad.write(HOSTILE[what])
        p = guest.wait_props("the nonsense to be counted",
                             lambda p: p["Counters"]["BadReports"] > bad)
        assert (p["GuestModule"], p["GuestReport"], p["PausedVCPUs"]) == ("absent", {}, [])
        assert p["VCPUStates"] == ["on", "on"]
        asynchronous(guest)
    finally:
        pad.write(bytes(56))


def test_a_lie_closes_the_gate_of_the_liar_alone(nl, guest, without_module):
    pad = Pad(guest, without_module[1][0])
    try:
        # of a guest whose module is of the first version
        pad.write(report(version=1, size=8, in_use=1, taken=7, waits=0xffffffff))
        p = guest.wait_props("the lie to be believed", lambda p: p["PausedVCPUs"] and p["GuestReport"])
        assert (p["PausedVCPUs"], p["GuestModule"]) == ([0], "present")
        assert (p["GuestReport"]["PoolSize"], p["GuestReport"]["Waits"], p["GuestReport"]["Stuck"]) == (8, 0xffffffff, 0)
        # From the module: apfd's counters are up to a second older than the pause it shows.
        vm_id = nl.dump("VM_GET")[0]["VM_ID"]
        before = nl.vcpus(vm_id)

        def grown():
            return [difference(b["STATS"], a["STATS"]) for b, a in zip(before, nl.vcpus(vm_id))]
        guest.host.wait_for(lambda: grown()[0]["REFUSED_PAUSED"] > 0 and grown()[1]["NOT_PRESENT"] > 0, 20,
                            "faults on each vCPU")
        assert grown()[0]["NOT_PRESENT"] == 0 and grown()[1]["REFUSED_PAUSED"] == 0
    finally:
        pad.write(bytes(56))
    guest.wait_props("the gate to be open",
                     lambda p: p["GuestModule"] == "absent" and not p["PausedVCPUs"])
    asynchronous(guest)


def test_a_pad_in_use_is_left_alone(guest, without_module):
    pad = Pad(guest, without_module[1][1])
    theirs = b"theirs" + bytes(50)
    try:
        pad.write(theirs)
        rc, out = guest.vm.run("insmod /modules/apf_guest.ko", timeout=PATIENCE_SEC)
        assert rc != 0
        _, out = guest.vm.run("dmesg | grep 'apf_guest: ' | tail -1", timeout=PATIENCE_SEC)
        assert "CPU 1: somebody uses the padding of the APF data area, not loading" in out
        assert pad.read() == theirs
        assert guest.props()["GuestModule"] == "absent"
        asynchronous(guest)
    finally:
        pad.write(bytes(56))


def test_nothing_of_ours_in_the_kernel_log(host, nl, guest):
    """Last in this file: what all of the above left behind."""
    no_trouble(host.dmesg())
    no_trouble(guest.vm.console())
    assert apfd_errors(nl) == []
