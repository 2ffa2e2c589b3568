# SPDX-License-Identifier: GPL-2.0
"""The storm's arithmetic, without a host: what is counted where, and that what is wrong is seen."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

LAB = Path(__file__).resolve().parents[1] / "lab"
sys.path.insert(0, str(LAB))

from apflab import patience, storm, verdict  # noqa: E402  (the line above makes them importable)
from apflab.errors import HostDied, LabError, Timeout, VMDied  # noqa: E402
from apflab.storm import FAILURE, NO_RESULT, PASS, Outcome, Wrong  # noqa: E402


@pytest.fixture(scope="module")
def command(load_command):
    return load_command(LAB / "storm")


def outcome(kind, **counts):
    return Outcome(kind=kind, why="" if kind == PASS else "because", kernel="6.12", **counts)


def ignore(_row):
    pass


def test_no_result_is_repeated_and_counted_apart(command):
    left = [outcome(PASS, seconds=120, toggles=10, faults=5), outcome(NO_RESULT, seconds=60, toggles=99, faults=99),
            outcome(PASS, seconds=120, toggles=20, faults=5, rescues=1)]
    row = command.row("trixie", "two CPUs")
    assert command.pieces(row, 2, lambda: left.pop(0), ignore)
    assert left == []
    assert (row["minutes"], row["toggles"], row["faults"], row["rescues"]) == (4, 30, 10, 1)
    assert (row["failures"], row["no_result"]) == (0, 1)


def test_no_result_for_ever_is_no_pass(command):
    row = command.row("trixie", "two CPUs")
    assert not command.pieces(row, 2, lambda: outcome(NO_RESULT), ignore)
    assert (row["failures"], row["no_result"]) == (0, 2 * command.TRIES)


def test_failure_is_not_repeated(command):
    row = command.row("trixie", "two CPUs")
    assert command.pieces(row, 1, lambda: outcome(FAILURE, toggles=3), ignore)
    assert (row["failures"], row["no_result"]) == (1, 0)
    assert row["why"] == ["failure (because)"]


def test_boots_before_the_emulators_end_count(command):
    left = [outcome(NO_RESULT, boots=3, faults=30), outcome(PASS, boots=2, faults=20)]
    asked = []
    row = command.row("trixie", "boots")
    assert command.guest_boots(row, 5, lambda count: asked.append(count) or left.pop(0), ignore)
    assert asked == [5, 2]
    assert (row["boots"], row["faults"], row["failures"], row["no_result"]) == (5, 50, 0, 1)


@pytest.fixture
def run(command, monkeypatch, tmp_path):
    """The command with one piece for each of some releases, and figures in tmp_path."""
    out = tmp_path / "build" / "check" / "storm.json"
    out.parent.mkdir(parents=True)
    monkeypatch.setattr(command.paths, "REPO", tmp_path)

    def one(*releases, **options):
        default = {"release": releases, "boots": 0, "pieces": 1, "minutes": 0, "more": False}
        return command.run(SimpleNamespace(**{**default, **options}))
    one.rows = lambda: json.loads(out.read_text())
    return one


@pytest.fixture
def pieces_are(monkeypatch):
    """pieces_are(storm, boots): functions with the outcome of each piece."""
    def become(one, boots=None):
        made = SimpleNamespace(storm=lambda _seconds: one(), boots=boots)
        monkeypatch.setattr(storm, "Pieces", lambda *_a, **_k: nullcontext(made))
    return become


def test_exit_status_and_figures(run, pieces_are, capsys):
    kind = PASS
    pieces_are(lambda: outcome(kind, toggles=7))
    assert run("trixie", "backports") == 0
    assert [(r["release"], r["kernel"], r["toggles"], r["failures"]) for r in run.rows()] == [
        ("trixie", "6.12", 7, 0), ("backports", "6.12", 7, 0)]
    kind = FAILURE
    assert run("trixie", "backports") == 1
    kind = NO_RESULT
    assert run("trixie", "backports") == 1
    assert "no_result" in capsys.readouterr().out


def test_rows_of_other_releases_stay(run, pieces_are):
    pieces_are(lambda: outcome(PASS, toggles=7))
    run("trixie")
    run("backports")
    run("trixie")
    assert [(r["release"], r["pieces"], r["toggles"]) for r in run.rows()] == [("trixie", 1, 7), ("backports", 1, 7)]


def test_more_does_the_rest(run, pieces_are):
    done = []
    pieces_are(lambda: done.append("piece") or outcome(PASS, toggles=7, boots=2),
               lambda count: done.append(count) or outcome(PASS, boots=count))
    run("trixie", pieces=2)
    assert run("trixie", pieces=3, boots=10, more=True) == 0
    assert done == ["piece", "piece", "piece", 4]
    counts = {r["kind"]: (r["pieces"], r["boots"], r["toggles"]) for r in run.rows()}
    assert counts == {"two CPUs": (3, 6, 21), "boots": (0, 4, 0)}


def vcpu(index=0, outstanding=0, **stats):
    base = {"NOT_PRESENT": 0, "READY": 0, "READY_UNKNOWN": 0, "DROPPED": 0, "SYNC_STALLS": 0}
    return {"VCPU_INDEX": index, "OUTSTANDING": outstanding, "STATS": {**base, **stats}}


class FakeNetlink:
    host = SimpleNamespace(run=lambda *_a, **_k: None)

    def __init__(self, *vcpus):
        self.vcpus = lambda _vm_id: vcpus


VM = SimpleNamespace(name="storm1")


def test_host_counts_add_up():
    nl = FakeNetlink(vcpu(NOT_PRESENT=10, READY=9, READY_UNKNOWN=2, DROPPED=2, outstanding=1, SYNC_STALLS=4), vcpu(1))
    assert storm.host_counts(nl, VM, 1) == 14


@pytest.mark.parametrize("wrong", [
    vcpu(1, NOT_PRESENT=10, READY=9), vcpu(1, NOT_PRESENT=10, READY=11), vcpu(1, NOT_PRESENT=10, READY=10, outstanding=1),
])
def test_host_counts_that_do_not_add_up(wrong):
    with pytest.raises(Wrong, match="storm1 vCPU 1: NOT_PRESENT"):
        storm.host_counts(FakeNetlink(vcpu(NOT_PRESENT=1, READY=1), wrong), VM, 1)


def test_host_without_faults():
    with pytest.raises(Wrong, match="no faults"):
        storm.host_counts(FakeNetlink(vcpu()), VM, 1)


class FakeGuest:
    name = "storm1"

    def __init__(self, gone="waits 9 = wakes 7 + rescues 1 + broadcasts 1; refused 0", dmesg="", stack=""):
        self.gone, self.dmesg, self.stack = gone, dmesg, stack

    def run(self, cmd, **_kwargs):
        if cmd.startswith("cd /proc"):
            return 0, self.stack
        if cmd.startswith("["):
            return (0 if self.gone else 1), ""
        return 0, f"[ 99.1] apf_guest: unloaded: {self.gone}\n" if cmd.startswith("rmmod") else self.dmesg


def test_guest_counts_add_up():
    assert storm.guest_counts(FakeGuest()) == 1
    assert storm.guest_counts(FakeGuest(gone="")) == 0, "without the module"


@pytest.mark.parametrize("guest, text", [
    (FakeGuest(gone="waits 9 = wakes 7 + rescues 0 + broadcasts 1; refused 0"), "does not add up"),
    (FakeGuest(gone="waits 0 = wakes 0 + rescues 0 + broadcasts 0; refused 0"), "no wait"),
    (FakeGuest(gone="nothing"), "told no counts"),
    (FakeGuest(dmesg="[ 50.0] INFO: task workload:77 blocked for more than 120 seconds.\n"), "blocked for more"),
    (FakeGuest(stack="task 77/task/80\n[<0>] kvm_async_pf_task_wait_schedule+0x9a/0x150\n"), "stuck after the end"),
])
def test_guest_that_is_wrong(guest, text, monkeypatch):
    monkeypatch.setattr(patience, "FACTOR", 0.0)
    with pytest.raises(Wrong, match=text):
        storm.guest_counts(guest)


class FakeHost:
    preempt = None

    def __init__(self, console="", smp=2, dead=False, vms=()):
        self.smp, self.vms, self._console = smp, vms, console
        self.qemu = SimpleNamespace(poll=lambda: 0 if dead else None)

    def console(self):
        return self._console

    def run(self, *_a, **_k):
        return SimpleNamespace(rc=0)


DYING = VMDied("storm1 ended by itself; end of its console:\n")
OOPS = "[ 5.0] BUG: kernel NULL pointer dereference, address: 0000000000000018\n"
GUARD = "[ 5.0] BUG: TASK stack guard page was hit at 1 (stack is 2..3)\n[ 5.0] RIP: 0010:error_entry+0x1c/0x140\n"


@pytest.mark.parametrize("host, error, kind", [
    (FakeHost(GUARD, dead=True), HostDied(""), NO_RESULT),
    # seen first by somebody who waited for an answer
    (FakeHost(GUARD, dead=True), Timeout("no end after 60 s"), NO_RESULT),
    (FakeHost(OOPS, dead=True), HostDied(""), FAILURE),
    (FakeHost("", dead=True), HostDied(""), NO_RESULT),
    (FakeHost(""), Timeout("no end after 60 s"), FAILURE),
    (FakeHost(""), Wrong("NOT_PRESENT"), FAILURE),
    (FakeHost("", vms=[SimpleNamespace(name="storm1", text=lambda: "")]), DYING, NO_RESULT),
    (FakeHost("", vms=[SimpleNamespace(name="storm1", text=lambda: "")], smp=1), DYING, FAILURE),
    (FakeHost("", vms=[SimpleNamespace(name="storm1", text=lambda: OOPS)]), DYING, FAILURE),
    (FakeHost("", vms=[]), LabError("compiler errors"), FAILURE),
])
def test_who_is_to_blame(host, error, kind):
    got = storm._judge(host, error, Outcome())
    assert got.kind == kind and got.why, got
    assert {FAILURE, NO_RESULT} == {verdict.FAILURE, verdict.NO_RESULT}
