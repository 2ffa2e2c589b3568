# SPDX-License-Identifier: GPL-2.0
"""Races of the two modules, where they can happen: on a host with two CPUs. tests/lab/storm does more of it."""

import os

import pytest

from apflab import storm

SECONDS = int(os.environ.get("APF_LAB_RACE_SEC", "60"))
TRIES = 3


def test_gates_change_under_load_on_two_cpus(release):
    """One piece with a result. A host that the emulator ended has none, and is tried again on a fresh one."""
    ended = []
    for _try in range(TRIES):
        with storm.Pieces(release) as pieces:
            got = pieces.storm(SECONDS)
        print(f"{got}, seed {got.seed}: {got.toggles} toggles, {got.faults} faults, {got.rescues} rescues "
              f"in {got.seconds:.0f} s")
        if got.kind != storm.NO_RESULT:
            break
        ended.append(got.why)
    else:
        pytest.skip(f"the emulator ended all {TRIES} hosts: {ended}")
    assert got.kind == storm.PASS, got
    assert got.toggles > SECONDS and got.faults > SECONDS, "too little happened to say anything"
