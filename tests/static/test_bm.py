# SPDX-License-Identifier: GPL-2.0
"""What tests/bench/bm makes of its rounds: medians, spread, ratios, the named figures, and what it calls missed."""

import importlib.util
import json
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/lab"))


@pytest.fixture(scope="module")
def bm():
    loader = SourceFileLoader("bm", str(REPO / "tests/bench/bm"))
    spec = importlib.util.spec_from_loader("bm", loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bm"] = module   # dataclasses look their module up
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def rounds(**arms):
    """Three rounds of each arm, around (touches, work)."""
    return {name.replace("_", " "): [{"touches": t * f, "work": w * f} for f in (0.5, 1, 1.25)] for name, (t, w) in arms.items()}


FOUND = rounds(kernel_alone=(100, 1000), off=(100, 900), pv=(600, 1900), on=(700, 2100), auto=(690, 2058))


def test_medians_and_spread(bm):
    rows = {r["arm"]: r for r in bm.rows_of("5", "4+4", FOUND)}
    assert list(rows) == list(bm.ARMS)
    assert (rows["on"]["touches"], rows["on"]["touches_spread"]) == (700, [350, 875])
    assert (rows["on"]["work"], rows["on"]["work_spread"]) == (2100, [1050, 2625])
    assert len(rows["on"]["rounds"]) == 3


def test_named_figures_are_of_5_ms_and_their_load(bm):
    rows = bm.rows_of("5", "1+1", FOUND) + bm.rows_of("5", "4+4", FOUND)
    found = bm.summary(rows)
    assert found["work_1_1_on_vs_kernel"] == 2.1
    assert found["touches_4_4_on_vs_kernel"] == 7.0
    # work of auto to "on" with 1+1, touches with 4+4
    assert [a["auto_vs_best"] for a in found["auto"]] == [0.98, 0.986]
    assert found["auto_vs_best_lowest"] == 0.98
    other = bm.summary(bm.rows_of("20", "1+1", FOUND) + bm.rows_of("5", "working only", FOUND))
    assert not set(bm.NAMED) & set(other)


def test_nothing_done_is_no_ratio(bm):
    nothing = rounds(kernel_alone=(0, 0), off=(0, 0), pv=(0, 0), on=(0, 0), auto=(0, 0))
    found = bm.summary(bm.rows_of("5", "1+1", nothing))
    assert found["work_1_1_on_vs_kernel"] is None and found["auto_vs_best_lowest"] is None
    assert bm.failures("6.1", found, 0.97) == []


def test_what_is_missed_is_named(bm):
    bad = rounds(kernel_alone=(100, 1000), off=(100, 900), pv=(600, 1900), on=(640, 1990), auto=(600, 1890))
    found = bm.summary(bm.rows_of("5", "1+1", bad) + bm.rows_of("5", "4+4", bad))
    texts = bm.failures("6.1", found, 0.97)
    assert len(texts) == 4
    for word in ("1+1: auto has 0.95", "4+4: auto has 0.94", "work_1_1_on_vs_kernel is 1.99", "touches_4_4_on_vs_kernel is 6.40"):
        assert [t for t in texts if word in t], (word, texts)
    assert len(bm.failures("6.12", found, 0.97)) == 2, "the aims are those of 6.1"
    assert bm.failures("6.12", found, 0.9) == []


def test_what_was_measured_before_stays_in_the_file(bm, tmp_path):
    out = tmp_path / "bm.json"
    good = rounds(kernel_alone=(100, 1000), off=(100, 900), pv=(600, 1900), on=(640, 1990), auto=(640, 1990))
    bad = rounds(kernel_alone=(100, 1000), off=(100, 900), pv=(600, 1900), on=(640, 1990), auto=(600, 1890))
    bm.keep(out, bm.series_of("6.12.118+deb13-amd64"), {"kernel": "a"}, bm.rows_of("5", "1+1", good))
    bm.keep(out, bm.series_of("6.1.0-50-amd64"), {"kernel": "b"}, bm.rows_of("5", "1+1", bad))
    bm.keep(out, bm.series_of("6.1.0-50-amd64"), {"kernel": "b"}, bm.rows_of("5", "4+4", bad))
    bm.keep(out, bm.series_of("6.1.0-51-amd64"), {"kernel": "c"}, bm.rows_of("5", "1+1", good))
    known = json.loads(out.read_text())
    found = known["6.1"]
    assert [(a["load"], a["auto_vs_best"]) for a in found["auto"]] == [("4+4", 0.938), ("1+1", 1.0)]
    assert (found["touches_4_4_on_vs_kernel"], found["work_1_1_on_vs_kernel"]) == (6.4, 1.99)
    assert found["kernel"] == "c" and len(found["rows"]) == 10
    assert known["6.12"]["kernel"] == "a" and len(known["6.12"]["rows"]) == 5


def test_a_run_is_judged_by_what_it_measured(bm, tmp_path, monkeypatch):
    """A load that missed its aim in an earlier run stays in the file, and does not fail a run that measures another."""
    out = tmp_path / "bm.json"
    good = rounds(kernel_alone=(100, 1000), off=(100, 900), pv=(700, 2100), on=(700, 2100), auto=(700, 2100))
    bad = rounds(kernel_alone=(100, 1000), off=(100, 900), pv=(600, 1900), on=(640, 1990), auto=(600, 1890))
    host = FakeHost()
    host.kernel, host.accel = "6.1.0-50-amd64", "tcg"
    monkeypatch.setattr(sys, "argv", ["bm", "--swap", "5", "--load", "1+1"])
    monkeypatch.setattr(bm, "Netlink", FakeNetlink)
    monkeypatch.setattr(bm, "run_load", lambda *_: good)
    bm.keep(out, "6.1", {}, bm.rows_of("5", "4+4", bad))
    assert bm.measure(host, bm.arguments(), out, lambda _swap: None) == []
    monkeypatch.setattr(bm, "run_load", lambda *_: bad)
    assert len(bm.measure(host, bm.arguments(), out, lambda _swap: None)) == 2
    assert len(json.loads(out.read_text())["6.1"]["rows"]) == 10


def test_a_table_for_each_load(bm):
    text = bm.line("6.1", bm.rows_of("5", "4+4", FOUND))
    assert "700.0" in text and "350-875" in text and text.splitlines()[0].endswith("0.99")


def test_loads_and_swaps_of_the_record(bm):
    assert bm.ARMS == ("kernel alone", "off", "pv", "on", "auto")
    assert [(x.faulting, x.working) for x in bm.LOADS.values()] == [(1, 1), (4, 4), (4, 0), (0, 4)]
    assert list(bm.SWAPS) == ["0.5", "5", "20", "zram"] and bm.ROUNDS >= 5 and bm.OVERCOMMIT == 4


class FakeVM:
    """A guest whose clock goes on by a second with each look, with 7 touches and 11 units of work."""

    def __init__(self, host, name, **what):
        self.name, self.what, self.looks = name, what, 0
        host.vms.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait_ready(self, timeout):
        pass

    def sample(self):
        self.looks += 1
        return {"ms": 1000 * self.looks, "touches": 7 * self.looks, "work": 11 * self.looks}


class FakeHost:
    def __init__(self):
        self.vms, self.loaded, self.said = [], False, []

    def run(self, cmd, **_):
        self.said.append(cmd)

    def wait_for(self, condition, *_args, **_kwargs):
        while callable(condition) and not condition():
            pass


class FakeNetlink:
    def __init__(self, host):
        self.host = host

    def loaded(self):
        return self.host.loaded

    def load(self):
        self.host.loaded = True

    def unload(self):
        self.host.loaded = False


def test_arms_take_turns_in_one_guest_of_four_times_its_limit(bm, monkeypatch):
    host, order = FakeHost(), []
    monkeypatch.setattr(bm, "VM", FakeVM)
    monkeypatch.setattr(bm, "set_arm", lambda h, nl, vm, arm, real=bm.set_arm: (order.append(arm), real(h, nl, vm, arm)))
    monkeypatch.setattr(sys, "argv", ["bm", "--rounds", "5", "--limit-mib", "100"])
    found = bm.run_load(host, FakeNetlink(host), bm.LOADS["4+4"], "trial", bm.arguments())
    assert len(host.vms) == 1
    assert host.vms[0].what == {"vcpus": 1, "memory_mib": 400, "limit_mib": 100, "workload": "-f 4 -w 4 -m 300 -t 0 -i 500"}
    assert [sorted(order[i:i + 5]) for i in range(0, 25, 5)] == [sorted(bm.ARMS)] * 5
    assert sorted(order[::5]) == sorted(bm.ARMS), "each arm is the first of a round"
    assert all(found[arm] == [{"touches": 7, "work": 11, "waited_percent": 0}] * 5 for arm in bm.ARMS)
    sets = [cmd for cmd in host.said if cmd.startswith("apfctl set")]
    assert [sets.count(f"apfctl set apf-bm {mode}") for mode in ("off", "pv", "on", "auto")] == [5] * 4
    assert host.said.count("systemctl stop apfd") == 5


def test_measured_again_if_others_had_the_cpus(bm, monkeypatch):
    """The emulator ran for a second in each try, and waited for a CPU for long in all but the third."""
    def measured(waits):
        now, tries = [0.0, 0.0], []

        def measure():
            now[0] += 1
            now[1] += waits[len(tries)]
            tries.append(None)
            return {"touches": len(tries)}

        monkeypatch.setitem(bm.undisturbed.__globals__, "cpu_sec", lambda _host: tuple(now))
        return bm.undisturbed(None, measure)

    assert measured([0.01]) == {"touches": 1, "waited_percent": pytest.approx(0.99, abs=0.01)}
    assert measured([0.5, 1, 0.02])["touches"] == 3
    assert measured([0.5, 1, 1]) == {"touches": 3, "waited_percent": 50}, "after three tries it is as it is"


@pytest.mark.parametrize("words", ["--here --release trixie", "--here --swap 5", "--kernel x", "--rounds 0", "--limit-mib 50"])
def test_options_that_make_no_sense_are_refused(bm, monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "argv", ["bm", *words.split()])
    with pytest.raises(SystemExit) as e:
        bm.arguments()
    assert e.value.code == 2 and "bm: error:" in capsys.readouterr().err
