# SPDX-License-Identifier: GPL-2.0
"""apf_host(4) = netlink header = counters on the bus = counters of apfctl."""

import pathlib
import re

from mdoc import Page, items, marked

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = Page('apf_host.4')
HEADER = (ROOT / 'include' / 'uapi' / 'apf_host.h').read_text()


def enum(name):
    """Members of an enum, without the limits and placeholders."""
    body = re.search(rf'^enum {name} \{{(.*?)^\}};', HEADER, re.M | re.S).group(1)
    members = re.findall(r'^\t(APF_\w+)', body, re.M)
    return [m for m in members if not re.search(r'_(UNSPEC|PAD|MAX)$', m)]


def counters():
    return [name.removeprefix('APF_STAT_') for name in enum('apf_stat')]


def camel(name):
    """SYNC_STALL_NSEC -> SyncStallNSec, NOWAIT -> NoWait: the names on the bus."""
    special = {'NOWAIT': 'NoWait'}
    parts = {'NSEC': 'NSec'}
    return special.get(name) or ''.join(parts.get(p, p.capitalize()) for p in name.split('_'))


def test_counters():
    assert len(counters()) == 18
    assert [item[1] for item in items(PAGE.section('NETLINK', 'Counters'))] == counters()


def test_guest_report():
    names = [name.removeprefix('APF_GUEST_A_') for name in enum('apf_guest_attr')]
    assert len(names) == 12
    assert [item[1] for item in items(PAGE.section('NETLINK', 'Report'))] == names
    rows = re.findall(r'\{ "([A-Z]\w+)", "(\w+)"', (ROOT / 'cli' / 'guest.c').read_text())
    assert rows == [(camel(name).replace('Msec', 'MSec'), name.lower()) for name in names]


def test_counters_on_the_bus():
    xml = (ROOT / 'daemon' / 'data' / 'org.apfd.VM1.xml').read_text()
    comment = re.search(r'Counters: sums(.*?)-->', xml, re.S).group(1)
    named = re.findall(r'\b[A-Z]\w+', comment.split('prefix:')[1])
    assert named == [camel(name) for name in counters()]
    lines = Page('org.apfd.5').section('INTERFACE org.apfd.VM1', 'Properties')
    start = lines.index('.It Va Counters No (a{st})')
    end = next(i for i in range(start + 1, len(lines)) if lines[i].startswith('.It'))
    assert marked(lines[start + 1:end], 'Va') == named


def test_counters_of_apfctl():
    rows = re.findall(r'\{ "([A-Z]\w+)", "(\w+)"(, true)? \}', (ROOT / 'cli' / 'vm.c').read_text())
    assert [(bus, json) for bus, json, _ in rows] == \
        [(camel(name), name.lower()) for name in counters()]
    assert [bus for bus, _, nsec in rows if nsec] == \
        [camel(name) for name in counters() if name.endswith('_NSEC')]


def test_commands_and_events():
    got = [item[1] for item in items(PAGE.section('NETLINK'))]
    assert [name for name in got if name.startswith('APF_CMD_')] == enum('apf_cmd')
    events = set(re.findall(r'APF_EVENT_\w+', '\n'.join(PAGE.lines)))
    assert events == set(enum('apf_event'))


def test_errors():
    in_header = re.findall(r'^ \*  -(E[A-Z]+) ', HEADER, re.M)
    assert len(in_header) >= 7
    assert [item[1] for item in items(PAGE.section('NETLINK', 'Errors'))] == in_header


def test_states():
    got = [item[1] for item in items(PAGE.section('DESCRIPTION', 'States'))]
    assert got == [name.removeprefix('APF_STATE_').lower() for name in enum('apf_state')]


def test_nowait_states():
    got = [item[1] for item in items(PAGE.section('DESCRIPTION', 'No-wait swap-in'))]
    expected = [name.removeprefix('APF_NOWAIT_').lower().replace('_', '-')
                for name in enum('apf_nowait')]
    assert got == expected
    # The same words on the bus.
    xml = (ROOT / 'daemon' / 'data' / 'org.apfd.Manager1.xml').read_text()
    comment = re.search(r'NoWaitSwapin: (.*?)-->', xml, re.S).group(1)
    assert set(re.findall(r'"([a-z-]+)"', comment)) == set(expected) | {'unknown'}


def test_guest_apf_words():
    words = [name.removeprefix('APF_GUEST_APF_').lower() for name in enum('apf_guest_apf')]
    assert f'({", ".join(words)})' in ' '.join(PAGE.rendered('NETLINK'))


def test_histogram_size():
    buckets = int(re.search(r'define APF_HIST_BUCKETS\s+(\d+)', HEADER).group(1))
    assert f'histograms of {buckets} buckets' in ' '.join(PAGE.rendered('NETLINK'))


def test_parameters():
    sources = ''.join(path.read_text() for path in (ROOT / 'host-module').glob('*.c'))
    declared = set(re.findall(r'^module_param(?:_cb|_named)?\((\w+),', sources, re.M))
    assert declared
    assert {item[1] for item in items(PAGE.section('DESCRIPTION', 'Parameters'))} == declared


def test_limits():
    header = (ROOT / 'host-module' / 'vm.h').read_text()
    limit = re.search(r'define APF_HOST_MAX_VMS\s+(\d+)', header).group(1)
    dkms = (ROOT / 'host-module' / 'dkms.conf').read_text()
    oldest = re.search(r'BUILD_EXCLUSIVE_KERNEL_MIN="([\d.]+)"', dkms).group(1)
    configs = re.search(r'BUILD_EXCLUSIVE_CONFIG="(.*)"', dkms).group(1).split()
    text = ' '.join(PAGE.rendered('LIMITS'))
    assert f'At most {limit} VMs' in text
    assert f'Linux {oldest} and newer' in text
    assert marked(PAGE.section('LIMITS'), 'Dv') == configs
