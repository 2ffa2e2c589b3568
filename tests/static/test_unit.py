# SPDX-License-Identifier: GPL-2.0
"""The unit of the daemon: how much of the host it exposes, and that systemd understands it."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Exposure times ten: what systemd-analyze says of the sandbox must not get worse than that. 2 of it are
# for ProtectControlGroups=no, which the unit explains.
EXPOSURE_MAX = 23


@pytest.fixture
def unit(tmp_path):
    text = (ROOT / "systemd/apfd.service.in").read_text().replace("@sbindir@/apfd", "/bin/true")
    path = tmp_path / "apfd.service"
    path.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.M))
    return path


def test_exposure(unit):
    r = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                        f"--threshold={EXPOSURE_MAX}", unit], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr


def test_systemd_understands_every_line(unit):
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit],
                       capture_output=True, text=True)
    wrong = [line for line in (r.stdout + r.stderr).splitlines() if unit.name in line]
    assert wrong == []


def test_every_capability_has_its_reason():
    lines = (ROOT / "systemd/apfd.service.in").read_text().splitlines()
    places = [i for i, line in enumerate(lines) if line.startswith("CapabilityBoundingSet=")]
    assert len(places) >= 3
    for i in places:
        assert len(lines[i].split()) == 1, "one a line"
        assert lines[i - 1].startswith("# "), lines[i]
