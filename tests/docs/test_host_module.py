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
    assert len(counters()) == 19
    assert [item[1] for item in items(PAGE.section('NETLINK', 'Counters'))] == counters()


def test_guest_report():
    names = [name.removeprefix('APF_GUEST_A_') for name in enum('apf_guest_attr')]
    assert len(names) == 13
    assert [item[1] for item in items(PAGE.section('NETLINK', 'Report'))] == names
    on_bus = re.findall(r'\[APF_GUEST_A_(\w+)\]\s*= "(\w+)"', (ROOT / 'lib' / 'common' / 'names.c').read_text())
    assert on_bus == [(name, camel(name).replace('Msec', 'MSec')) for name in names]
    rows = re.findall(r'\{ APF_GUEST_A_(\w+), "(\w+)" \}', (ROOT / 'lib' / 'client' / 'guest.c').read_text())
    assert rows == [(name, name.lower()) for name in names]


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
    on_bus = re.findall(r'\[APF_STAT_(\w+)\]\s*= "(\w+)"', (ROOT / 'lib' / 'common' / 'stats.c').read_text())
    assert on_bus == [(name, camel(name)) for name in counters()]
    rows = re.findall(r'\{ APF_STAT_(\w+), "(\w+)"(, true)? \}', (ROOT / 'lib' / 'client' / 'vm.c').read_text())
    assert [(stat, json) for stat, json, _ in rows] == [(name, name.lower()) for name in counters()]
    assert [stat for stat, _, nsec in rows if nsec] == [name for name in counters() if name.endswith('_NSEC')]


def test_commands_and_events():
    got = [item[1] for item in items(PAGE.section('NETLINK'))]
    assert [name for name in got if name.startswith('APF_CMD_')] == enum('apf_cmd')
    events = set(re.findall(r'APF_EVENT_\w+', '\n'.join(PAGE.lines)))
    assert events == set(enum('apf_event'))


def test_errors():
    in_header = re.findall(r'^ \*  -(E[A-Z]+)[ ,]', HEADER, re.M)
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
    # Not built unless for tests.
    sources = re.sub(r'^#ifdef APF_HOST_DEBUG$.*?^#(else|endif)', '', sources, flags=re.M | re.S)
    declared = set(re.findall(r'^module_param(?:_cb|_named)?\((\w+),', sources, re.M))
    assert declared
    assert {item[1] for item in items(PAGE.section('DESCRIPTION', 'Parameters'))} == declared


def test_limits():
    header = (ROOT / 'host-module' / 'vm.h').read_text()
    limit = re.search(r'define APF_HOST_MAX_VMS\s+(\d+)', header).group(1)
    dkms = (ROOT / 'host-module' / 'dkms.conf').read_text()
    configs = re.search(r'APF_CONFIG="(.*)"', dkms).group(1).split()
    text = ' '.join(PAGE.rendered('LIMITS'))
    assert f'At most {limit} VMs' in text
    assert marked(PAGE.section('LIMITS'), 'Dv') == configs
    # doctor looks for the same, and for modules at all.
    kernel = (ROOT / 'lib' / 'common' / 'host-kernel.c').read_text()
    assert set(re.findall(r'^\t"(CONFIG_\w+)",$', kernel, re.M)) == {*configs, 'CONFIG_MODULES'}


def test_tested_kernels():
    """One range, wherever it is named."""
    skip = (ROOT / 'packaging' / 'dkms-skip').read_text()
    oldest, newest = re.findall(r'^APF_TESTED_(?:MIN|MAX)=([\d.]+)$', skip, re.M)
    header = (ROOT / 'lib' / 'common' / 'host-kernel.h').read_text()
    for name, value in (('OLDEST', oldest), ('NEWEST', newest)):
        assert re.search(rf'HOST_KERNEL_{name} HOST_KERNEL\({value.replace(".", ", ")}\)$', header, re.M)
    assert f'HOST_KERNEL_TESTED "{oldest} to {newest}"' in header
    words = f'Linux {oldest} to {newest}'
    for name in ('README.md', 'docs/operators.md', 'docs/troubleshooting.md', 'man/apf_host.4', 'man/apfctl.1'):
        assert words in (ROOT / name).read_text(), name


def takes(text):
    """Counters, histograms and the like in a text about what goes missing."""
    text = text.replace('latencies of asynchronous swap-ins', 'HIST_ASYNC').replace('lengths of stalls', 'HIST_SYNC')
    text = text.replace('outstanding pages', 'OUTSTANDING')
    known = [*counters(), 'HIST_ASYNC', 'HIST_SYNC', 'OUTSTANDING']
    return {word for word in re.findall(r'[A-Z][A-Z_]+', text.replace('STAT_', '')) if word in known}


def test_hooks():
    """What a hook takes away: the header, the manual and the programs say the same."""
    hooks = [name.removeprefix('APF_HOOK_') for name in enum('apf_hook')]
    section = PAGE.section('DESCRIPTION', 'Hooks')
    assert [item[1] for item in items(section)] == hooks
    comment = re.search(r'^/\*\*\n \* enum apf_hook -.*?\*/', HEADER, re.M | re.S).group(0)
    source = (ROOT / 'lib' / 'common' / 'hook.c').read_text()
    both = re.search(r'#define BOTH_ENDS(.*?)\n\n', source, re.S).group(1)
    source = source[source.index('hook_table['):].replace('BOTH_ENDS', both)
    for name in hooks:
        said = re.search(rf'@APF_HOOK_{name}: (.*?)(?=\n \* @|\n \*/)', comment, re.S).group(1)
        start = section.index(f'.It Dv {name}')
        end = next((i for i in range(start + 1, len(section)) if section[i].startswith('.It')), len(section))
        row = re.search(rf'\[APF_HOOK_{name}\] = (.*?)(?=\[APF_HOOK_|^\}};)', source, re.S | re.M).group(1)
        expected = takes(said.split('Without it:')[1]) if 'Without it:' in said else set()
        assert takes(' '.join(section[start:end]).split('Without it:')[-1] if expected else '') == expected, name
        masked = re.findall(r'STATS_BIT\((?:APF_STAT_|STATS_)(\w+)\)', row)
        assert set(masked) == expected, name
        assert ('required' in said) == (', true,' in row), name
        assert f'"{name.lower().replace("_", "-")}"' in row
