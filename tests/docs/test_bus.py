# SPDX-License-Identifier: GPL-2.0
"""org.apfd(5) = interface XML = what apfctl understands."""

import pathlib
import re

import pytest

from mdoc import Page, items, marked

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = Page('org.apfd.5')
INTERFACES = ['org.apfd.Manager1', 'org.apfd.Recall1', 'org.apfd.VM1']


def section(interface, part):
    return PAGE.section(f'INTERFACE {interface}', part)


def documented_calls(interface, part):
    """{name: (arguments in, argument out)} of .It Fn lines."""
    calls = {}
    for item in items(section(interface, part)):
        assert item[0] == 'Fn'
        name, rest, out = item[1], item[2:], ''
        if 'No' in rest:
            split = rest.index('No')
            assert rest[split + 1:split + 3] == ['\\(->', 'Em']
            rest, out = rest[:split], ' '.join(rest[split + 3:])
        calls[name] = (rest, out)
    return calls


def described_calls(node, kind):
    calls = {}
    for call in node.findall(kind):
        args = {'in': [], 'out': []}
        for arg in call.findall('arg'):
            args[arg.get('direction', 'in')].append(f'{arg.get("type")} {arg.get("name")}')
        calls[call.get('name')] = (args['in'], ' '.join(args['out']))
    return calls


def test_no_other_interface(interfaces):
    assert sorted(interfaces) == INTERFACES
    sections = [line[len('.Sh INTERFACE '):] for line in PAGE.lines
                if line.startswith('.Sh INTERFACE ')]
    assert sections == INTERFACES


@pytest.mark.parametrize('name', INTERFACES)
def test_methods(interfaces, name):
    expected = described_calls(interfaces[name], 'method')
    assert expected
    assert documented_calls(name, 'Methods') == expected


@pytest.mark.parametrize('name', INTERFACES)
def test_signals(interfaces, name):
    assert documented_calls(name, 'Signals') == described_calls(interfaces[name], 'signal')


@pytest.mark.parametrize('name', INTERFACES)
def test_properties(interfaces, name):
    documented = {}
    for item in items(section(name, 'Properties')):
        pairs = re.findall(r'Va (\w+) No \(([a-z{}]+)\)', ' '.join(item))
        assert pairs
        documented.update(pairs)
    assert documented == {p.get('name'): p.get('type')
                          for p in interfaces[name].findall('property')}


@pytest.mark.parametrize('name', INTERFACES)
def test_constants(interfaces, name):
    text = '\n'.join(section(name, 'Properties'))
    constant = {
        re.search(r'Va (\w+)', entry).group(1)
        for entry in re.split(r'^\.It ', text, flags=re.M)[1:] if 'Constant.' in entry
    }
    expected = {
        p.get('name') for p in interfaces[name].findall('property')
        if p.find('annotation[@value="const"]') is not None
    }
    assert constant == expected


def xml_text():
    return ''.join((ROOT / 'daemon' / 'data' / f'{name}.xml').read_text() for name in INTERFACES)


def test_errors():
    named = set(re.findall(r'\borg\.(?:apfd|freedesktop\.DBus)\.Error\.\w+', xml_text()))
    assert len(named) >= 8
    assert {item[1] for item in items(PAGE.section('BUS ERRORS'))} == named
    # Anywhere else only those, too.
    assert set(re.findall(r'\borg\.[\w.]+\.Error\.\w+', '\n'.join(PAGE.lines))) == named


def test_apfctl_knows_every_error():
    source = (ROOT / 'lib' / 'client' / 'bus.c').read_text()
    header = (ROOT / 'lib' / 'common' / 'names.h').read_text()
    ours = {name: constant for constant, name in re.findall(r'#define (BUS_ERROR_\w+)\s+"([^"]+)"', header)}
    for item in items(PAGE.section('BUS ERRORS')):
        name = item[1]
        constant = 'SD_BUS_ERROR_' + re.sub(r'(?<!^)(?=[A-Z])', '_', name.split('.')[-1]).upper()
        assert ours.get(name, constant) in source, name


def test_vcpu_keys():
    comment = re.search(r'GetVCPUs: one dictionary(.*?)-->', xml_text(), re.S).group(1)
    in_xml = set(re.findall(r'\b([A-Z]\w+) (?:u|s|b|at|a\{st\}|a\{su\})(?!\w)', comment))
    in_man = {w for item in items(section('org.apfd.VM1', 'Methods'), depth=2)
              for w in marked(['.It ' + ' '.join(item)], 'Va')}
    in_cli = set(re.findall(r'VCPU\("(\w+)"', (ROOT / 'lib' / 'client' / 'vm.c').read_text()))
    assert in_man == in_xml == in_cli


def guest_figures():
    comment = re.search(r'GuestReport: what it reports(.*?)-->', xml_text(), re.S).group(1)
    names = set(re.findall(r'\b((?:Pool|Sleepers|Early|Rescues|Unknown|Waits|Wakes|Stuck|Oldest)\w*)\b',
                           comment))
    assert len(names) == 12
    return names


def test_guest_figures():
    lines = section('org.apfd.VM1', 'Properties')
    start = lines.index('.It Va GuestReport No (a{su})')
    end = next(i for i in range(start + 1, len(lines)) if lines[i].startswith('.It'))
    assert set(marked(lines[start + 1:end], 'Va')) - {'GuestModule'} == guest_figures()
    rows = re.findall(r'\[APF_GUEST_A_\w+\]\s*= "(\w+)"', (ROOT / 'lib' / 'common' / 'names.c').read_text())
    # The age is of the report of one vCPU.
    assert set(rows) == guest_figures() | {'AgeMSec'}


def test_guest_events():
    comment = re.search(r'GuestEvent: (.*?)-->', xml_text(), re.S).group(1)
    in_xml = list(dict.fromkeys(re.findall(r'"([a-z-]+)" \(', comment)))
    documented = [item[1] for item in items(section('org.apfd.VM1', 'Signals'), depth=2)]
    assert documented == in_xml
    header = (ROOT / 'include' / 'uapi' / 'apf_host.h').read_text()
    body = re.search(r'^enum apf_event \{(.*?)^\}', header, re.M | re.S).group(1)
    of_guests = re.findall(r'APF_EVENT_((?:POOL|WAITER|REPORT|SLOT)_\w+)', body)
    assert in_xml == [name.lower().replace('_', '-') for name in of_guests]


def test_apfctl_hears_signals(interfaces):
    """Each with the types it has."""
    source = (ROOT / 'lib' / 'client' / 'watch.c').read_text()
    heard = dict(re.findall(r'\{ BUS_INTERFACE_VM, "(\w+)", "([a-z{}]+)"', source))
    recall = (ROOT / 'lib' / 'client' / 'recall.c').read_text()
    heard['Finished'] = re.search(r'recall_read_end\(.*?sd_bus_message_read\(m, "(\w+)"', recall, re.S).group(1)
    described = {
        signal.get('name'): ''.join(arg.get('type') for arg in signal.findall('arg'))
        for interface in interfaces.values() for signal in interface.findall('signal')
    }
    assert {name: heard.get(name) for name in described} == described


def test_apfctl_reads_properties(interfaces):
    """Each with the type it has; one that may be missing need not be served yet."""
    source = (ROOT / 'lib' / 'client' / 'vm.c').read_text()
    for macro, name in (('HOST', 'org.apfd.Manager1'), ('VM', 'org.apfd.VM1')):
        rows = {row[0]: row[1:] for row in
                re.findall(rf'\b{macro}\("(\w+)", "([a-z{{}}]+)"(.*)\),\n', source)}
        described = {p.get('name'): p.get('type') for p in interfaces[name].findall('property')}
        assert {key: rows[key][0] for key in described} == described
        # What is not told yet cannot be demanded.
        assert all('optional' in rows[key][1] for key in set(rows) - set(described))
