# SPDX-License-Identifier: GPL-2.0
"""Who may include whom: docs/architecture.md, "The rule"."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# From below to above: a file includes headers of its own folder and of those before it.
LANES = {
    "daemon": ["lib/common", "daemon/source", "daemon/decide", "daemon/doctor", "daemon/bus", "daemon"],
    "client": ["lib/common", "lib/client", "cli/out", "cli", "cli/top", "cli/verbs"],
    "exporter": ["lib/common", "lib/client", "dashboard/exporter"],
}
# What lies below include/ belongs to everybody.
SHARED = ("apf/", "uapi/")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def sources(folder):
    return sorted(f for f in (ROOT / folder).iterdir() if f.suffix in (".c", ".h"))


def offenders(lane):
    """Each "FILE includes HEADER" that the order in @lane does not allow."""
    headers = {folder: {f.name for f in sources(folder) if f.suffix == ".h"} for folder in lane}
    wrong = []
    for place, folder in enumerate(lane):
        allowed = set().union(*(headers[f] for f in lane[:place + 1]))
        for path in sources(folder):
            for name in INCLUDE.findall(path.read_text()):
                if name not in allowed and not name.startswith(SHARED):
                    found = [f for f in lane[place + 1:] if Path(name).name in headers[f]]
                    wrong.append(f"{folder}/{path.name} includes {'/'.join([*found[:1], name])}")
    return wrong


@pytest.mark.parametrize("lane", LANES)
def test_includes_point_down(lane):
    assert offenders(LANES[lane]) == []


def test_every_folder_has_its_place():
    """No source of user space lies where the rule does not look."""
    placed = {folder for lane in LANES.values() for folder in lane}
    found = {str(f.parent.relative_to(ROOT)) for top in ("lib", "daemon", "cli", "dashboard/exporter")
             for f in (ROOT / top).rglob("*.[ch]")}
    assert found == placed


def test_headers_do_not_include_each_other_in_a_circle():
    for lane in LANES.values():
        includes = {f.name: INCLUDE.findall(f.read_text()) for folder in lane for f in sources(folder)
                    if f.suffix == ".h"}
        done = set()

        def visit(name, trail):
            assert name not in trail, " -> ".join([*trail[trail.index(name):], name])
            if name in done:
                return
            for other in includes.get(name, ()):
                visit(other, [*trail, name])
            done.add(name)

        for name in includes:
            visit(name, [])


@pytest.mark.parametrize("folder", sorted({folder for lane in LANES.values() for folder in lane}))
def test_meson_gives_no_folder_more(folder):
    """The compiler sees the same rule: a library adds no folder of headers but its own and those
    of the libraries that it is linked with. What lies in cli/ itself is below its folders."""
    text = (ROOT / folder / "meson.build").read_text()
    named = set(re.findall(r"include_directories\(([^()]*)\)", text))
    assert named <= {"'.'"}, f"{folder}/meson.build: include_directories({', '.join(sorted(named))})"
