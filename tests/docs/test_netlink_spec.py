# SPDX-License-Identifier: GPL-2.0
"""include/uapi/apf_host.yaml = include/uapi/apf_host.h: names, numbers, types, who sends what.

The kernel's own schema (genetlink-c.yaml) and validator come with the kernel's
sources only, no Debian package has them; the rules of it that this file can
break are checked here.
"""

import pathlib
import re

import pytest
import yaml

UAPI = pathlib.Path(__file__).resolve().parents[2] / 'include' / 'uapi'
HEADER = (UAPI / 'apf_host.h').read_text()
SPEC = yaml.safe_load((UAPI / 'apf_host.yaml').read_text())

# Numbers that are no value: the end of an enum, and what is not used.
LIMIT = re.compile(r'^__|_MAX$')
# Enums of numbers in the file, and of attributes.
ENUMS = {d['enum-name'].replace('-', '_'): d for d in SPEC['definitions'] if d['type'] == 'enum'}
SETS = {s['enum-name'].replace('-', '_'): s for s in SPEC['attribute-sets']}
# What the header says of all members at once.
ALL_OF = {'apf_guest_attr': 'u32', 'apf_stat': 'u64'}


def header_enums():
    return re.findall(r'^enum (\w+) \{', HEADER, re.M)


def header_members(enum):
    """{member: number} without limits."""
    body = re.search(rf'^enum {enum} \{{(.*?)^\}};', HEADER, re.M | re.S).group(1)
    members, number = {}, 0
    for name, value in re.findall(r'^\t(\w+)(?: = ([^,\n]+))?', body, re.M):
        if LIMIT.search(name):
            continue
        number = int(value, 0) if value else number
        members[name] = number
        number += 1
    return members


def header_docs(enum):
    """{member: text of its @ line}."""
    comment = re.search(rf'^/\*\*\n \* enum {enum} - (.*?)\*/\nenum {enum} ', HEADER, re.M | re.S).group(1)
    text = re.sub(r'^ \*[ \t]?', '', comment, flags=re.M)
    return {name: ' '.join(doc.split())
            for name, doc in re.findall(r'^@(APF_\w+): (.*?)(?=^@|^\s*$|\Z)', text, re.S | re.M)}


def c_name(prefix, name):
    return (prefix + name).upper().replace('-', '_')


def spec_members(enum):
    if enum == 'apf_cmd':
        operations = SPEC['operations']
        return {c_name(operations['name-prefix'], o['name']): o for o in operations['list']}
    if enum in ENUMS:
        return {c_name(ENUMS[enum]['name-prefix'], e['name']): e for e in ENUMS[enum]['entries']}
    return {c_name(SETS[enum]['name-prefix'], a['name']): a for a in SETS[enum]['attributes']}


def test_every_enum_is_there():
    assert sorted(header_enums()) == sorted([*ENUMS, *SETS, 'apf_cmd'])
    assert SPEC['operations']['enum-name'] == 'apf-cmd'


@pytest.mark.parametrize('enum', header_enums())
def test_numbers(enum):
    expected = {name: number for name, number in header_members(enum).items()
                if not (name.endswith('_UNSPEC') and enum not in ENUMS)}
    assert len(expected) > 2
    assert {name: each['value'] for name, each in spec_members(enum).items()} == expected


@pytest.mark.parametrize('enum', header_enums())
def test_everything_is_explained(enum):
    docs = header_docs(enum)
    for name, each in spec_members(enum).items():
        assert len(each['doc']) > 5, name
        # Commands are explained in the table above them.
        if enum != 'apf_cmd' and not name.endswith(('_PAD', '_UNSPEC')):
            assert docs.get(name), f'{name} is not explained in the header'
    assert set(docs) <= set(header_members(enum))


def header_type(enum, doc):
    """(type, nested or pointed at enum) of a member, from "[type] &enum name ..."."""
    if enum in ALL_OF:
        assert f'all {ALL_OF[enum]}' in HEADER[:HEADER.index(f'\nenum {enum} {{')].rsplit('/**', 1)[1]
        return ALL_OF[enum], None
    kind, text = re.match(r'\[([^\]]*(?:\[\w+\][^\]]*)?)\] (.*)', doc).groups()
    # A word of the kernel's comments for "as the one before".
    kind = 'binary' if kind.startswith('binary') else kind
    if kind.startswith('nest'):
        return 'nest', re.search(r'&enum (\w+)', kind).group(1)
    pointed = re.match(r'&enum (\w+)', text)
    return kind.split(',')[0], pointed.group(1) if pointed else None


@pytest.mark.parametrize('enum', SETS)
def test_types(enum):
    docs = header_docs(enum)
    for name, attribute in spec_members(enum).items():
        if name.endswith('_PAD'):
            assert attribute['type'] == 'pad'
            continue
        kind, other = header_type(enum, docs[name])
        assert attribute['type'] == kind, name
        if kind == 'nest':
            assert attribute['nested-attributes'] == SETS[other]['name'], name
        elif other:
            assert attribute['enum'] == ENUMS[other]['name'], name
        else:
            assert 'enum' not in attribute, name
    if enum == 'apf_attr':
        buckets = define('APF_HIST_BUCKETS')
        for name in ('APF_A_HIST_ASYNC', 'APF_A_HIST_SYNC'):
            assert spec_members(enum)[name]['sub-type'] == 'u64'
            assert spec_members(enum)[name]['checks'] == {'exact-len': 8 * buckets}
        assert spec_members(enum)['APF_A_REASON']['checks'] == {'max-len': 'reason-max'}
        assert {n for n, a in spec_members(enum).items() if a.get('multi-attr')} == \
            {'APF_A_VCPU_INDEX', 'APF_A_INFO_HOOK'}


def define(name):
    return int(re.search(rf'^#define {name}\s+(\d+)$', HEADER, re.M).group(1))


def test_constants():
    constants = {c_name('apf-', d['name']): d for d in SPEC['definitions'] if d['type'] == 'const'}
    numbers = set(re.findall(r'^#define (APF_\w+)\s+\d+$', HEADER, re.M)) - {'APF_GENL_VERSION'}
    assert {name: d['value'] for name, d in constants.items()} == {n: define(n) for n in numbers}
    assert all(d['doc'] for d in constants.values())


def test_names():
    strings = dict(re.findall(r'^#define (APF_\w+)\s+"(\w+)"$', HEADER, re.M))
    groups = SPEC['mcast-groups']['list']
    assert {c_name('', SPEC['c-family-name']): SPEC['name'],
            **{c_name('', g['c-define-name']): g['name'] for g in groups}} == strings
    # A family is of version 1 unless it says otherwise, which genetlink-c cannot.
    assert define(c_name('', SPEC['c-version-name'])) == 1


def names_in(text):
    """Attributes named in a cell of the header's table, as in the file."""
    return [w.lower().replace('_', '-') for w in re.findall(r'[A-Z][A-Z_*]+', re.sub(r'\([^)]*\)', '', text))]


def header_table():
    """{command: (request, reply)} of the table of commands, each a text."""
    lines = HEADER.splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(r' \*  command +request +reply', line))
    request, reply = lines[start].index('request'), lines[start].index('reply')
    rows, command = {}, None
    for line in lines[start + 1:]:
        if line.strip() == '*':
            break
        command = line[4:request].strip() or command
        before = rows.get(command, ('', ''))
        rows[command] = (before[0] + ' ' + line[request:reply].strip(), before[1] + ' ' + line[reply:].strip())
    # A cell in brackets may go on in the next line.
    return {c: tuple(cell.strip() for cell in cells) for c, cells in rows.items()}


def test_messages():
    table = header_table()
    operations = {o['name'].upper().replace('-', '_'): o for o in SPEC['operations']['list']}
    assert set(table) == set(operations) - {'EVENT'}
    attributes = [a['name'] for a in SETS['apf_attr']['attributes']]

    def reply(command):
        text = table[command][1]
        if text.startswith('as '):
            return reply(text.split()[1])
        found = names_in(text)
        return [a for a in attributes if a.startswith('info-')] if found and found[0] == 'info-*' else found

    for command, (request, _) in table.items():
        operation = operations[command]
        assert operation['flags'] == ['admin-perm'], command
        assert ('dump' in operation) == ('dump' in request), command
        assert ('do' in operation) == (not request.startswith('dump')), command
        for kind in ('do', 'dump'):
            if kind not in operation:
                continue
            message = operation[kind]
            given = message.get('request', {}).get('attributes', [])
            if kind == 'do' or 'do' not in operation:
                assert sorted(given) == sorted(names_in(request)), command
            assert sorted(message.get('reply', {}).get('attributes', [])) == sorted(reply(command)), command
            assert set(given) <= set(attributes)


def test_notification():
    event = next(o for o in SPEC['operations']['list'] if o['name'] == 'event')
    block = HEADER[HEADER.index('APF_CMD_EVENT      '):].split('\n *\n')[0]
    block = re.sub(r'APF_CMD_EVENT|EVENT_[A-Z_*]+', '', block)
    assert set(event['event']['attributes']) == set(names_in(block.replace('(no VCPU_INDEX', '(')))
    assert event['mcgrp'] in [g['name'] for g in SPEC['mcast-groups']['list']]
    # Every kind of event is explained.
    kinds = [e['name'] for e in ENUMS['apf_event']['entries'] if e['name'] != 'unspec']
    for kind in kinds:
        assert kind in event['doc'] or f'{kind.split("-")[0]}-*' in event['doc'], kind


# Of genetlink-c.yaml: what an element may have, and what it must.
MAY = {
    'spec': ({'name', 'doc', 'attribute-sets', 'operations'},
             {'protocol', 'uapi-header', 'c-family-name', 'c-version-name', 'definitions', 'mcast-groups'}),
    'definition': ({'name', 'type'}, {'doc', 'value', 'entries', 'enum-name', 'name-prefix'}),
    'entry': ({'name'}, {'value', 'doc'}),
    'set': ({'name', 'attributes'}, {'enum-name', 'name-prefix', 'doc'}),
    'attribute': ({'name', 'type'}, {'value', 'doc', 'enum', 'nested-attributes', 'multi-attr', 'sub-type', 'checks'}),
    'operation': ({'name', 'doc'}, {'value', 'attribute-set', 'flags', 'do', 'dump', 'event', 'mcgrp'}),
    'group': ({'name'}, {'c-define-name', 'flags'}),
}
TYPES = {'unused', 'pad', 'flag', 'binary', 'uint', 'sint', 'u8', 'u16', 'u32', 'u64', 's32', 's64', 'string', 'nest'}


def test_form():
    def check(what, each):
        must, may = MAY[what]
        assert must <= set(each) <= must | may, each
        # "on" without quotes is a truth, not a name.
        assert isinstance(each['name'], str) and re.fullmatch(r'[a-z][a-z0-9-]*', each['name']), each

    check('spec', SPEC)
    assert SPEC['protocol'] == 'genetlink-c'
    for definition in SPEC['definitions']:
        check('definition', definition)
        for entry in definition.get('entries', []):
            check('entry', entry)
    for attribute_set in SPEC['attribute-sets']:
        check('set', attribute_set)
        for attribute in attribute_set['attributes']:
            check('attribute', attribute)
            assert attribute['type'] in TYPES
    for operation in SPEC['operations']['list']:
        check('operation', operation)
        assert operation['attribute-set'] == SETS['apf_attr']['name']
    for group in SPEC['mcast-groups']['list']:
        check('group', group)
        assert group['flags'] == ['admin-perm']
