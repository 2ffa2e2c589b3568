# SPDX-License-Identifier: GPL-2.0
"""What `make check-debug` makes of logs and counts, without a kernel: every kind of report is seen, and fails."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

LAB = Path(__file__).resolve().parents[1] / "lab"
sys.path.insert(0, str(LAB))

from apflab import checkers, flavours, paths  # noqa: E402  (the line above makes them importable)
from apflab.errors import LabError  # noqa: E402

# First lines as Linux 6.12 prints them, each with a line that belongs to it.
REPORTS = {
    "KASAN": "BUG: KASAN: slab-use-after-free in apf_gate_show+0x5a/0xb0 [apf_host]\nRead of size 8 at addr ffff888012345678",
    "lockdep": "WARNING: possible circular locking dependency detected\n6.12.118-apf-kasan #1 Tainted: G           O",
    "lockdep, context": "WARNING: Nested lock is not taken",
    "lockdep, key": "INFO: trying to register non-static key.\nThe code is fine but needs lockdep annotation",
    "lockdep, full": "BUG: MAX_LOCKDEP_CHAINS too low!\nturning off the locking correctness validator.",
    "sleep": "BUG: sleeping function called from invalid context at mm/slab.h:330",
    "RT": "BUG: scheduling while atomic: CPU 0/KVM/812/0x00000002",
    "RCU": "WARNING: suspicious RCU usage\n6.12.118-apf-kasan #1 Tainted: G           O",
    "objects": "ODEBUG: free active (active state 0) object: ffff888012345678 object type: timer_list hint: 0x0",
    "kmemleak": "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "KCSAN": "BUG: KCSAN: data-race in apf_set / apf_get",
}
# What a debug kernel says when it is well.
WELL = ("kmemleak: Kernel memory leak detector initialized (mem pool available: 15755)", "Lock dependency validator: Copyright (c) 2006",
        "kasan: KernelAddressSanitizer initialized", "ODEBUG: selftest passed", "Read-error on swap-device (254:0:1234)")
STRAY = "BUG: TASK stack guard page was hit at 00000000b1d8b1b5 (stack is 1..2)\n---[ end trace 0000000000000000 ]---"


@pytest.fixture(scope="module")
def command(load_command):
    return load_command(LAB / "debug/check")


def log(folder, text, name="console.log"):
    lines = text.splitlines()
    (folder / name).write_text("".join(f"[   12.34567{i % 10}] {line}\r\n" for i, line in enumerate(lines)))


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("name", ["console.log", "dmesg.log", "vm1.console", "vm1.before-812.console"])
def test_every_report_is_found(command, tmp_path, kind, name):
    log(tmp_path, "\n".join([*WELL, REPORTS[kind]]), name)
    got = command.found_in(tmp_path, 0)
    assert got == ([f"{tmp_path.name}/{name}: {REPORTS[kind].splitlines()[0]}"], [])


def test_a_report_in_two_logs_is_one(command, tmp_path):
    log(tmp_path, REPORTS["KASAN"], "console.log")
    log(tmp_path, REPORTS["KASAN"], "dmesg.log")
    assert len(command.found_in(tmp_path, 0)[0]) == 1


def test_a_kernel_that_is_well(command, tmp_path):
    log(tmp_path, "\n".join(WELL))
    assert command.found_in(tmp_path, 0) == ([], [])


def test_old_logs_are_others(command, tmp_path):
    log(tmp_path, REPORTS["KASAN"])
    os.utime(tmp_path / "console.log", (1000, 1000))
    assert command.found_in(tmp_path, 2000) == ([], [])


def test_an_end_by_the_emulator_is_no_report(command, tmp_path):
    log(tmp_path, STRAY)
    reports, ended = command.found_in(tmp_path, 0)
    assert reports == [] and len(ended) == 1


@pytest.mark.parametrize("row, good", [
    ({"passed": 3, "failed": 0, "reports": []}, True), ({"passed": 3, "failed": 1, "reports": []}, False),
    ({"passed": 3, "failed": 0, "reports": ["BUG: KASAN"]}, False), ({"passed": 0, "failed": 0, "reports": []}, False),
])
def test_what_is_good(command, row, good):
    assert bool(command.good(row)) == good


def test_the_rows_are_written_and_fail(command, monkeypatch, tmp_path, capsys):
    found = {"reports": []}
    monkeypatch.setattr(paths, "REPO", tmp_path)
    monkeypatch.setattr(command, "suite", lambda: SimpleNamespace(OUT=tmp_path / "build/check"))
    monkeypatch.setattr(command, "image_of", lambda _name: SimpleNamespace(ensure=lambda: None))
    monkeypatch.setattr(command.subprocess, "run", lambda *_a, **_k: None)
    monkeypatch.setattr(command, "one", lambda _run, release, flavour, place, test: {
        "release": release, "flavour": flavour, "place": place, "kernel": "6.12", "test": test, "passed": 2, "failed": 0, "skipped": 0, "no_result": [],
        "minutes": 1, **found})
    monkeypatch.setattr(sys, "argv", ["check", "-k", "rt", "gate", "guest"])
    assert command.main() == 0
    rows = json.loads((tmp_path / "build/check/debug.json").read_text())
    assert [(r["flavour"], r["place"], r["test"]) for r in rows] == [("rt", "guest", "gate"), ("rt", "guest", "guest")]
    found["reports"] = [REPORTS["RT"]]
    assert command.main() == 1
    out = capsys.readouterr().out
    assert "2 passed, 0 failed" in out and "0 passed, 2 failed" in out
    assert len(json.loads((tmp_path / "build/check/debug.json").read_text())) == 2, "the rows of before are replaced"


@pytest.mark.parametrize("flavour, test, wish, places", [
    ("kasan", "gate", None, ("host",)), ("kasan", "guest", None, ("guest",)), ("lockdep", "hostile", None, ("host", "guest")),
    ("kasan", "gate", "both", ("both",)), ("rt", "gate", None, ("guest",)), ("rt", "hostile", "both", ("guest",)),
])
def test_where_the_runs_of_a_test_have_the_kernel(command, flavour, test, wish, places):
    assert command.places_of(flavour, test, wish) == places


@pytest.mark.parametrize("words", [["-k", "tsan"], ["-r", "bookworm"], ["nothing"], ["-p", "here"]])
def test_what_is_not_there_is_refused(command, monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["check", *words])
    with pytest.raises(SystemExit):
        command.main()


def kernel(leaks="", lockdep="1"):
    return lambda cmd: leaks if cmd == checkers.SCAN else lockdep if cmd == checkers.LOCKDEP else ""


def test_leaks_and_a_lockdep_that_gave_up():
    checkers.finish(kernel(), "l1")
    checkers.finish(kernel(lockdep=""), "without lockdep")
    with pytest.raises(LabError, match="l1: memory leaks:\nunreferenced object"):
        checkers.finish(kernel("unreferenced object 0xffff888012345678 (size 64):\n"), "l1")
    with pytest.raises(LabError, match="lockdep has switched itself off"):
        checkers.finish(kernel(lockdep="0\n"), "l1")


def test_a_kernel_that_is_not_built_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "BUILD", tmp_path)
    with pytest.raises(LabError, match="tests/lab/debug/kernel build 6.12 kasan"):
        flavours.kernel_folder("trixie", "kasan")
    with pytest.raises(LabError, match="no kernel 'kasan' for bookworm"):
        flavours.kernel_folder("bookworm", "kasan")
    (tmp_path / "debug/6.12-kasan-0123456789ab").mkdir(parents=True)
    assert flavours.kernel_folder("trixie", "kasan").name == "6.12-kasan-0123456789ab"


@pytest.mark.parametrize("name, in_host, in_guests, guests", [
    ("trixie-kasan", True, True, "kasan"), ("trixie-kasan-host", True, False, ""), ("trixie-kasan-guest", False, True, "kasan"),
    ("trixie-rt", False, True, "rt"), ("trixie", None, None, ""),
])
def test_where_a_kernel_is(monkeypatch, tmp_path, name, in_host, in_guests, guests):
    monkeypatch.setattr(flavours, "kernel_folder", lambda _release, _flavour: tmp_path)
    assert name in flavours.NAMES and flavours.guest_flavour(name) == guests
    if in_host is not None:
        image = flavours.image_of(name)
        assert (image.release, image.in_host, image.in_guests) == (name, in_host, in_guests)
    kinds = [flavours.image_of(n).kind for n in flavours.NAMES]
    # making an image anew removes what begins with its kind
    assert not [(a, b) for a in kinds for b in kinds if a != b and f"{b}-0123".startswith(f"{a}-")]
