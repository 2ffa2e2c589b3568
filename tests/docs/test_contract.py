# SPDX-License-Identifier: GPL-2.0
"""What was published once stays: org.apfd against the list of its members.

A line that is missing or different breaks programs out there; it needs a new
interface (org.apfd.VM2), not a change of this list. New members are fine: add
their lines, which `tests/docs/test_contract.py` prints when run as a program.
"""

import pathlib
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parents[1] / 'daemon' / 'data'
FROZEN = HERE / 'org.apfd.contract'


def members():
    lines = []
    for path in sorted(DATA.glob('org.apfd.*.xml')):
        for interface in ET.parse(path).getroot().iter('interface'):
            for member in interface:
                if member.tag not in ('method', 'signal', 'property'):
                    continue
                args = [f'{a.get("direction", "out")} {a.get("type")} {a.get("name")}'
                        for a in member.findall('arg')]
                what = member.get('type', ', '.join(args))
                lines.append(f'{interface.get("name")} {member.tag} {member.get("name")}: {what}'.rstrip())
    return sorted(lines)


def test_nothing_published_is_gone_or_different():
    frozen = [line for line in FROZEN.read_text().splitlines() if not line.startswith('#')]
    assert len(frozen) > 50
    assert sorted(set(frozen) - set(members())) == []


def test_what_is_new_is_listed():
    """Else nothing would hold it."""
    assert sorted(set(members()) - set(FROZEN.read_text().splitlines())) == []


if __name__ == '__main__':
    print('\n'.join(members()))
