# SPDX-License-Identifier: GPL-2.0
"""Storm: gates that change all the time under two swapping guests, and what must be true afterwards.

Races show on hosts with two CPUs for guests. There the emulator may lose a guest, or the host (see verdict.py): such
a piece has no result. So there are several, and little is lost with one. One CPU with preempt=full carries a long piece.
"""

import json
import random
import re
import shutil
import time
from dataclasses import dataclass

from . import checkers, paths, verdict
from .errors import HostDied, LabError, Timeout, VMDied
from .host import Host
from .logs import trouble
from .netlink import FOLDER, ON, Netlink
from .patience import patient
from .vm import VM

PASS, FAILURE, NO_RESULT = "pass", verdict.FAILURE, verdict.NO_RESULT

# Each of two guests has 220 MiB and may keep 200 with its QEMU: about every second touch swaps.
LOAD = "-p -f 4 -w 1 -m 220 -t 0"
SHORT_LOAD = "-p -f 4 -w 1 -m 220 -t 3"
GUESTS = ("storm1", "storm2")
VCPUS = 2
# How long the gates move between two looks at the guests.
SLICE_SEC = 30
PIECE_SEC = 600

STATS = "/sys/module/apf_guest/stats"
WAITS = re.compile(r"waits (\d+) = wakes (\d+) \+ rescues (\d+) \+ broadcasts (\d+)")
# Where a task sleeps that waits for a page, in the kernel's table or in ours.
ASLEEP = "kvm_async_pf_task_wait|apf_guest_wait|apf_sleep_until"


class Wrong(LabError):
    """An invariant does not hold: our software has failed."""


@dataclass
class Outcome:
    """What one piece came to; the counts are those of its guests together."""
    kind: str = PASS
    why: str = ""
    kernel: str = ""
    seed: int = 0
    seconds: float = 0
    boots: int = 0
    toggles: int = 0
    faults: int = 0
    rescues: int = 0

    def __str__(self):
        return self.kind + (f" ({self.why})" if self.why else "")


class Pieces:
    """Pieces of a storm, one after the other on one host. A host that did not get over a piece is given up, and the next
    piece gets a fresh one. A context manager."""

    def __init__(self, release, smp=2, preempt=None):
        self._new = lambda: Host(release, smp=smp, preempt=preempt, name=f"{release}-storm")
        self._host = None

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self._give_up()

    def _give_up(self):
        if self._host:
            self._host.close(collect=False)
        self._host = None

    def storm(self, seconds, seed=None):
        """Gates that change for @seconds under two guests."""
        outcome = Outcome(seed=random.randrange(1 << 32) if seed is None else seed)
        return self._piece(lambda host, nl: _storm(host, nl, seconds, outcome), outcome)

    def boots(self, count, seconds=PIECE_SEC):
        """Boots of a guest: @count of them, or as many as fit into @seconds."""
        outcome = Outcome()
        return self._piece(lambda host, nl: _boots(host, nl, count, seconds, outcome), outcome)

    def _piece(self, body, outcome):
        if self._host is None:
            self._host = self._new()
            judged(self._host, _prepare, outcome)
        if outcome.kind == PASS:
            judged(self._host, lambda host: _loaded(host, body), outcome)
        if outcome.kind != PASS:
            self._give_up()
        return outcome


def judged(host, body, outcome):
    """Run body(host) on @host, which is booted if it is not yet, and judge how that ends."""
    try:
        if host.qemu is None:
            host.boot()
    except HostDied as e:
        return _judge(host, e, outcome)
    except Timeout:
        # nothing of ours is in it yet
        outcome.kind, outcome.why = NO_RESULT, "the host did not boot in time"
        return outcome
    try:
        outcome.kernel = host.kernel
        body(host)
    except LabError as e:
        _judge(host, e, outcome)
        host.collect()
        # the next host has the same folder
        kept = paths.REPO / "build" / "check" / f"{host.name}-{time.strftime('%H%M%S')}"
        shutil.copytree(host.logs, kept, dirs_exist_ok=True)
        (kept / "why.txt").write_text(f"{outcome}\n\n{e}\n")
    return outcome


def _judge(host, error, outcome):
    got = _verdict(host, error)
    outcome.kind, outcome.why = got.kind, got.why
    return outcome


def _verdict(host, error):
    # a host that is dying is first seen by whoever talks to it
    if isinstance(error, HostDied) or _ends(host):
        return verdict.of_dead_host(host.console())
    bad = verdict.of_living(host.console(), "host")
    if bad:
        return bad
    if isinstance(error, VMDied):
        # with one CPU no guest was ever lost by the emulator
        of_guest = verdict.of_dead_guest if host.smp > 1 else verdict.of_living
        found = [got for vm in host.vms if (got := of_guest(vm.text(), f"guest {vm.name}"))]
        if found:
            # one that fails counts more than one that has no result
            return min(found, key=lambda got: got.kind != FAILURE)
        if host.smp > 1:
            return verdict.Verdict(NO_RESULT, str(error).splitlines()[0].replace(" by itself", " without a word"))
    return verdict.Verdict(FAILURE, " / ".join(str(error).splitlines()[:3]))


def _ends(host, seconds=5):
    deadline = time.monotonic() + patient(seconds)
    while time.monotonic() < deadline:
        if host.qemu.poll() is not None:
            return True
        try:
            if host.run("true", check=False, timeout=2).rc == 0:
                return False
        except LabError:
            time.sleep(0.5)
    return host.qemu.poll() is not None


# -- the pieces ------------------------------------------------------------------------------------------------


def _prepare(host):
    checkers.begin(host)
    host.install()
    host.swap_on()
    host.put(paths.LAB / "toggle.py", f"{FOLDER}/toggle.py")


def _loaded(host, body):
    """Run body(host, nl) with the module loaded; afterwards nothing of it is left, and no log says anything bad."""
    nl = Netlink(host).load()
    body(host, nl)
    nl.unload()
    found = trouble(host.dmesg())
    if found:
        raise Wrong(f"host: {found[0]}")
    checkers.finish_host(host)


def _guest(host, name, load):
    module = None if "apf_guest" in host.unbuilt else "apf_guest"
    return VM(host, name, vcpus=VCPUS, workload=load, insmod=module)


def _storm(host, nl, seconds, outcome):
    guests = {}
    for name in GUESTS:
        vm = _guest(host, name, LOAD).start()
        guests[vm] = nl.add(vm.pid)
    for vm in guests:
        vm.wait_ready()
        if host.preempt and vm.preemption() != host.preempt:
            raise LabError(f"{vm.name} does not run with preempt={host.preempt}")
    begin, turn = time.monotonic(), 0
    while (left := seconds - (time.monotonic() - begin)) > 0:
        before = {vm: switches(vm) for vm in guests} if turn else None
        out = host.run(f"python3 {FOLDER}/toggle.py {min(left, SLICE_SEC):.1f} {outcome.seed + turn} "
                       + " ".join(f"{vm_id}:{VCPUS}" for vm_id in guests.values()), timeout=SLICE_SEC + 60, check=False)
        if out.rc:
            for vm in guests:
                vm.check()
            raise Wrong(f"toggle.py: {out.stderr.strip()}")
        outcome.toggles += json.loads(out.stdout)["toggles"]
        turn += 1
        if before:
            for vm in guests:
                everybody_moves(vm, before[vm])
    outcome.seconds = time.monotonic() - begin
    for vm in guests:
        end_load(vm)
    for vm, vm_id in guests.items():
        outcome.faults += host_counts(nl, vm, vm_id)
        outcome.rescues += guest_counts(vm)
        outcome.boots += 1
        vm.stop()


def _boots(host, nl, count, seconds, outcome):
    begin = time.monotonic()
    while outcome.boots < count and (outcome.boots == 0 or time.monotonic() - begin < seconds):
        with _guest(host, f"boot{outcome.boots + 1}", SHORT_LOAD) as vm:
            vm_id = nl.add(vm.pid)
            nl.set(vm_id, ON)
            vm.wait_ready()
            vm.wait_done(60)
            outcome.faults += host_counts(nl, vm, vm_id)
            outcome.rescues += guest_counts(vm)
        outcome.boots += 1
    outcome.seconds = time.monotonic() - begin


# -- what must be true -----------------------------------------------------------------------------------------


def switches(vm):
    """Thread of the load -> how often it went to sleep or was put aside."""
    out = vm.run("for t in /proc/$(pidof workload | cut -d' ' -f1)/task/*; do echo ${t##*/} "
                 "$(sed -n 's/^[a-z]*voluntary_ctxt_switches:.//p' $t/status); done", check=True)[1]
    return {row[0]: row[1:] for row in map(str.split, out.splitlines()) if row}


def everybody_moves(vm, before):
    """Each thread of the load has run since @before: one that sleeps for ever does not."""
    deadline = time.monotonic() + patient(60)
    while True:
        still = [t for t, n in switches(vm).items() if before.get(t) == n]
        if not still:
            return
        if time.monotonic() > deadline:
            raise Wrong(f"{vm.name}: threads {' '.join(still)} do not move\n{stacks(vm)}")
        time.sleep(1)


def stacks(vm):
    """Where tasks sleep that wait for a page."""
    return vm.run(f"cd /proc; for f in $(grep -lE '{ASLEEP}' [0-9]*/task/*/stack 2>/dev/null); do "
                  "echo $f; cat $f; done; true")[1]


def end_load(vm):
    """Stop the load. It says so when all its threads have come back."""
    vm.run("kill -TERM $(pidof workload)", check=True)
    try:
        vm.wait_done(60)
    except Timeout:
        raise Wrong(f"{vm.name}: the load does not end, somebody is stuck\n{stacks(vm)}") from None


def host_counts(nl, vm, vm_id):
    """Every asynchronous fault that was started has ended in one way or is outstanding; how many faults there were."""
    # with the vCPUs out of KVM_RUN nothing changes between two figures
    nl.host.run(f"virsh -q suspend {vm.name}")
    vcpus = nl.vcpus(vm_id)
    nl.host.run(f"virsh -q resume {vm.name}")
    for vcpu in vcpus:
        s = vcpu["STATS"]
        if s["NOT_PRESENT"] != s["READY"] - s["READY_UNKNOWN"] + s["DROPPED"] + vcpu["OUTSTANDING"]:
            raise Wrong(f"{vm.name} vCPU {vcpu['VCPU_INDEX']}: NOT_PRESENT is not READY - READY_UNKNOWN + DROPPED + "
                        f"OUTSTANDING: {s}, {vcpu['OUTSTANDING']} outstanding")
    faults = sum(v["STATS"]["NOT_PRESENT"] + v["STATS"]["SYNC_STALLS"] for v in vcpus)
    if not faults:
        raise Wrong(f"{vm.name}: no faults, the piece says nothing")
    return faults


def guest_counts(vm):
    """After its load: nobody waits for a page, apf_guest has ended every wait, its kernel is well. Rescues."""
    deadline = time.monotonic() + patient(30)
    while asleep := stacks(vm):
        if time.monotonic() > deadline:
            raise Wrong(f"{vm.name}: stuck after the end of the load\n{asleep}")
        time.sleep(1)
    rescues = 0
    if vm.run(f"[ -d {STATS} ]")[0] == 0:
        line = vm.run("rmmod apf_guest && dmesg | grep 'apf_guest: unloaded' | tail -1", timeout=120, check=True)[1]
        found = WAITS.search(line)
        if not found:
            raise Wrong(f"{vm.name}: apf_guest told no counts: {line}")
        waits, wakes, rescues, broadcasts = map(int, found.groups())
        if waits != wakes + rescues + broadcasts:
            raise Wrong(f"{vm.name}: {found.group(0)} does not add up")
        if not waits:
            raise Wrong(f"{vm.name}: no wait went through apf_guest")
    found = trouble(vm.run("dmesg", check=True)[1])
    if found:
        raise Wrong(f"{vm.name}: {found[0]}")
    checkers.finish_guest(vm)
    return rescues
