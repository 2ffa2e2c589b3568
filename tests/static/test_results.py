# SPDX-License-Identifier: GPL-2.0
"""Result files of the lab: lanes that run at once lose none of each other's rows."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

from apflab import paths, results  # noqa: E402  (the line above makes them importable)


def add(top, n):
    paths.REPO = top
    results.merge("hostile", {"storm": f"s{n % 20}", "release": "trixie", "rounds": n}, ("storm", "release"))


def test_many_write_rows_at_once(tmp_path):
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(add, [tmp_path] * 60, range(60), chunksize=5))
    rows = json.loads((tmp_path / "build/check/hostile.json").read_text())
    assert sorted(r["storm"] for r in rows) == sorted(f"s{n}" for n in range(20))
    assert all(r["rounds"] % 20 == int(r["storm"][1:]) for r in rows)
    assert [p.name for p in (tmp_path / "build/check").iterdir() if p.suffix == ".part"] == []


def test_a_row_replaces_its_predecessor_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "REPO", tmp_path)
    for release, rounds in (("trixie", 1), ("bookworm", 2), ("trixie", 3)):
        path = results.merge("hostile", {"storm": "s", "release": release, "rounds": rounds}, ("storm", "release"))
    assert [(r["release"], r["rounds"]) for r in json.loads(path.read_text())] == [("trixie", 3), ("bookworm", 2)]


def test_folder_of_benchmarks(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "REPO", tmp_path)
    path = results.merge("harm", {"load": "steady", "touches": 1}, ("load",), folder="bench")
    assert path == tmp_path / "build/bench/harm.json" and json.loads(path.read_text())[0]["touches"] == 1
