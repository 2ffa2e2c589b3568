# SPDX-License-Identifier: GPL-2.0
"""Rules that hold for every file of the tree."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Files that have no comments, or belong to a format of their own.
NO_SPDX = {"COPYING", "VERSION", ".gitignore"}
NO_SPDX_SUFFIXES = {".md", ".json", ".svg"}
# Made by `make pictures` once for each release: small, and with nothing in them but the picture.
PICTURES = ROOT / "docs/pictures"
PICTURE_MAX_BYTES = 100_000
PICTURE_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"sRGB", b"gAMA", b"IDAT", b"IEND"}


def tracked():
    if (ROOT / ".git").exists():
        out = subprocess.run(["git", "-C", ROOT, "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
                             check=True, capture_output=True).stdout
        return [ROOT / f for f in os.fsdecode(out).split("\0") if f and (ROOT / f).is_file()]
    return [f for f in ROOT.rglob("*") if f.is_file() and "build" not in f.relative_to(ROOT).parts]


TRACKED = tracked()
FILES = [f for f in TRACKED if f.parent != PICTURES]


def rel(path):
    return str(path.relative_to(ROOT))


def test_every_file_names_its_licence_first():
    wrong = []
    for path in FILES:
        if path.name in NO_SPDX or path.suffix in NO_SPDX_SUFFIXES:
            continue
        head = path.read_text().splitlines()[:4]
        if not any("SPDX-License-Identifier: GPL-2.0" in line for line in head):
            wrong.append(rel(path))
    assert wrong == []


def chunks(data):
    """The names of the chunks of a PNG file."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at = 8
    while at < len(data):
        yield data[at + 4:at + 8]
        at += 12 + int.from_bytes(data[at:at + 4], "big")


def test_pictures_are_small_and_used():
    documents = [f.read_text() for f in FILES if f.suffix == ".md"]
    pictures = [f for f in TRACKED if f.parent == PICTURES]
    assert pictures
    for path in pictures:
        assert path.suffix == ".png" and path.stat().st_size < PICTURE_MAX_BYTES, path.name
        assert set(chunks(path.read_bytes())) <= PICTURE_CHUNKS, f"{path.name}: data beside the picture"
        assert any(f"pictures/{path.name})" in text for text in documents), f"{path.name}: no document shows it"


def test_text_is_clean():
    """No white space at line ends, no missing newline, no CR; nothing binary."""
    wrong = []
    for path in FILES:
        data = path.read_bytes()
        if b"\0" in data:
            wrong.append(f"{rel(path)}: binary")
            continue
        if data and not data.endswith(b"\n"):
            wrong.append(f"{rel(path)}: no newline at the end")
        if path.name == "COPYING":
            continue
        for number, line in enumerate(data.split(b"\n"), 1):
            if line != line.rstrip() or b"\r" in line:
                wrong.append(f"{rel(path)}:{number}: white space at the end")
    assert wrong == []


def test_c_layout():
    """Kernel layout: tabs, at most 100 columns but for texts, no // comments but the licence."""
    wrong = []
    for path in FILES:
        if path.suffix not in (".c", ".h"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            where = f"{rel(path)}:{number}"
            if len(line.expandtabs(8)) > 100 and '"' not in line:
                wrong.append(f"{where}: {len(line.expandtabs(8))} columns")
            if re.match(r" {8}", line):
                wrong.append(f"{where}: indented with spaces")
            if re.match(r"\s*//", line) and number > 1:
                wrong.append(f"{where}: // comment")
    assert wrong == []


def shells():
    """Shell scripts by the dialect they are checked as."""
    found = {"bash": [], "dash": []}
    for path in FILES:
        first = path.read_bytes()[:40].split(b"\n")[0]
        if first.startswith(b"#!") and b"bash" in first:
            found["bash"].append(path)
        elif path.suffix == ".sh" or (first.startswith(b"#!") and first.endswith(b"sh")):
            found["dash"].append(path)
    return found


@pytest.mark.parametrize("dialect", ["bash", "dash"])
def test_shell_scripts_pass_shellcheck(dialect):
    # SC2187: busybox's ash is checked as dash, which is what we want
    out = subprocess.run(["shellcheck", "-S", "warning", "-s", dialect, "-e", "SC2187", *shells()[dialect]],
                         capture_output=True, text=True)
    assert out.returncode == 0, out.stdout


def test_python_compiles():
    for path in FILES:
        if path.suffix == ".py" or path.read_bytes()[:17] == b"#!/usr/bin/python":
            compile(path.read_text(), rel(path), "exec")


def test_xml_is_well_formed():
    files = [f for f in FILES if f.suffix in (".xml", ".policy") or f.name == "org.apfd.conf"]
    assert files
    out = subprocess.run(["xmllint", "--noout", "--nonet", *files], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr


def test_no_package_host_is_named():
    """Packages come from wherever the machine's apt and npm get theirs."""
    hosts = re.compile(r"(deb|ftp|snapshot|security)\." + r"debian\.org|registry\." + r"npmjs|archive\." + r"ubuntu")
    wrong = [rel(f) for f in FILES if hosts.search(f.read_text())]
    assert wrong == []


def headers():
    return sorted(Path("/usr/src").glob("linux-headers-*-amd64"))


@pytest.mark.parametrize("module", ["host-module", "guest-module"])
def test_modules_build_without_a_warning(module, tmp_path):
    """W=1 and sparse, for the newest kernel whose headers are installed here."""
    if not (ROOT / module / "Kbuild").exists():
        pytest.fail(f"{module}/Kbuild is missing")
    if not headers():
        pytest.skip("no linux-headers-*-amd64 installed")
    subprocess.run(["cp", "-r", ROOT / module, ROOT / "include", ROOT / "VERSION", tmp_path], check=True)
    out = subprocess.run(["make", "-C", headers()[-1], f"M={tmp_path / module}", "W=1", "C=2",
                          "CF=-D__CHECK_ENDIAN__", "modules"], capture_output=True, text=True)
    text = out.stdout + out.stderr
    assert out.returncode == 0, text
    assert re.findall(r"^.*(?:warning|error):.*$", text, re.M) == []
