# SPDX-License-Identifier: GPL-2.0
"""docs/performance.md names benchmarks that there are, and each figure has its day or says that there is none."""

import re
import shlex
import subprocess
import sys

import pytest

from doccommands import ROOT, commands

TEXT = (ROOT / 'docs/performance.md').read_text()


def test_each_benchmark_is_named_and_exists():
    named = set(re.findall(r'\bB=(\w+)', TEXT))
    have = {f.name for f in (ROOT / 'tests/bench').iterdir() if f.is_file() and f.stat().st_mode & 0o100}
    assert named == have


@pytest.mark.parametrize('command', commands('docs/performance.md', 'How to repeat it'), ids=str)
def test_options_are_those_of_the_benchmark(command):
    words = shlex.split(command.text)
    assert words[:2] in (['make', 'bench'], ['make', 'demo']), command
    for word in words[2:]:
        name, _, value = word.partition('=')
        if name == 'B':
            program = ROOT / 'tests/bench' / value
            usage = subprocess.run([sys.executable, '-B', program, '--help'], capture_output=True, text=True, check=True).stdout
        else:
            assert name == 'ARGS', command
            for option in re.findall(r'--[\w-]+', value):
                assert option in usage, (command, option)


def test_each_section_with_figures_has_its_day():
    """A section with a table of figures names the day and the command."""
    sections = re.split(r'^## ', TEXT, flags=re.M)[1:]
    for section in sections:
        tables = [line for line in section.splitlines() if line.startswith('|') and re.search(r'\| [\d.]+( %| ms| MiB)? ', line)]
        if tables and not section.startswith('How to repeat it'):
            assert re.search(r'20\d\d-\d\d-\d\d', section), section.splitlines()[0]
            assert 'make ' in section, section.splitlines()[0]


def test_record_of_the_demo_is_that_of_the_readme():
    readme = (ROOT / 'README.md').read_text()
    rows = re.findall(r'^    (kernel alone|gate off|gate on) +(\d+) +(\d+)', readme, re.M)
    assert len(rows) == 3
    for arm, touches, work in rows:
        assert re.search(rf'\| {arm} \| {touches} \| {work} \|', TEXT), arm
