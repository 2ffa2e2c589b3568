# SPDX-License-Identifier: GPL-2.0
"""docs/reliability.md and SECURITY.md name tests that there are; a figure has its day, or says that there is none."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELIABILITY = (ROOT / 'docs' / 'reliability.md').read_text()
BOTH = {'docs/reliability.md': RELIABILITY, 'SECURITY.md': (ROOT / 'SECURITY.md').read_text()}


def rows():
    """The cells of each row of the tables, without heads and rules."""
    for line in RELIABILITY.splitlines():
        if line.startswith('|') and not line.startswith(('|---', '| promise')):
            yield [cell.strip() for cell in line.strip('|').split('|')]


@pytest.mark.parametrize('page', BOTH)
def test_tests_exist(page):
    named = re.findall(r'`((?:tests|docs)/[\w./-]+)(?:::(\w+))?[^`]*`', BOTH[page])
    assert len(named) > 10
    wrong = []
    for path, function in named:
        file = ROOT / path
        if not file.exists() or (function and not re.search(rf'^def {function}\(', file.read_text(), re.M)):
            wrong.append(f'{path}::{function}' if function else path)
    assert wrong == []


@pytest.mark.parametrize('page', BOTH)
def test_make_knows_the_targets(page):
    makefile = (ROOT / 'Makefile').read_text()
    for target in re.findall(r'`(?:MIN=\d+ )?make ([\w-]+)', BOTH[page]):
        assert re.search(rf'^{target}:', makefile, re.M), target


def test_each_promise_has_a_test_and_a_figure_with_its_day():
    found = list(rows())
    assert len(found) > 30
    for row in found:
        assert len(row) == 4, row
        promise, test, figure, when = row
        assert promise and figure, row
        if when:
            assert re.search(r'20\d\d-\d\d-\d\d', when) and '`' in test, row
        else:
            assert 'not measured yet' in figure, row


def test_security_has_every_attacker():
    for head in ('Hostile guest', 'Hostile VMM', 'Unprivileged user', 'Hostile libvirt metadata', 'Reporting'):
        assert f'\n## {head}\n' in BOTH['SECURITY.md'], head
