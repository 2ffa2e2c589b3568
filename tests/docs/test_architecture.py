# SPDX-License-Identifier: GPL-2.0
"""docs/architecture.md speaks of files that there are; its picture is what its source draws."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / 'docs' / 'architecture.md').read_text()


def test_files_exist():
    names = set(re.findall(r'`([\w./-]+\.(?:c|h|py|md|xml))`', TEXT))
    assert len(names) > 50
    have = {f.name for folder in ('host-module', 'guest-module', 'lib', 'daemon', 'cli', 'dashboard')
            for f in (ROOT / folder).rglob('*.[ch]')}
    assert {n for n in names if not ((ROOT / n).is_file() if '/' in n else n in have)} == set()


def test_folders_exist():
    folders = set(re.findall(r'`([\w/-]+/)`', TEXT))
    assert len(folders) > 10
    assert {f for f in folders if not (ROOT / f).is_dir()} == set()


def test_rule_is_that_of_the_test():
    """The arrows are the lanes of tests/static/test_layers.py."""
    source = (ROOT / 'tests' / 'static' / 'test_layers.py').read_text()
    lanes = {name: re.findall(r'"([\w/]+)"', row) for name, row in re.findall(r'^    "(\w+)": \[(.*?)\],', source, re.M)}
    arrows = [re.split(r'\s*<-\s*', line.strip()) for line in TEXT.splitlines() if ' <- ' in line]
    assert [lanes['client'], ['', 'dashboard/exporter'], lanes['daemon']] == [[a.strip() for a in row] for row in arrows]


def test_picture_is_drawn_by_its_source():
    drawn = subprocess.run([ROOT / 'docs' / 'architecture-svg'], check=True, capture_output=True, text=True).stdout
    assert (ROOT / 'docs' / 'architecture.svg').read_text() == drawn
