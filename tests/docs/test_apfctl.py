# SPDX-License-Identifier: GPL-2.0
"""apfctl(1) = --help = tables = JSON."""

import pathlib
import re

import pytest

from mdoc import Page, items, marked

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = ROOT / 'cli'
CLIENT = ROOT / 'lib' / 'client'
COMMON = ROOT / 'lib' / 'common'
PAGE = Page('apfctl.1')


FORMS = {'one': '{}', 'optional': '[{}]', 'any': '[{}...]', 'some': '{}...'}


def synopsis(tables, verb):
    options = {o['name']: o for o in tables['options']}
    parts = ['apfctl', verb['name'],
             *(FORMS[arg['count']].format(arg['name']) for arg in verb['args'])]
    for name in verb['options']:
        arg = options[name]['arg']
        parts.append(f'[--{name} {arg}]' if arg else f'[--{name}]')
    return ' '.join(parts)


def test_synopsis(tables):
    expected = [synopsis(tables, verb) for verb in tables['verbs']]
    expected += ['apfctl [VERB] --help', 'apfctl --version']
    assert PAGE.rendered('SYNOPSIS') == expected


def test_verbs(tables):
    got = [[w for w in item if w not in ('Cm', 'Ar')]
           for item in items(PAGE.section('DESCRIPTION', 'Verbs'))]
    forms = {'one': '{}', 'optional': 'Op {}', 'any': 'Op {} ...', 'some': '{} ...'}
    assert got == [
        [v['name'], *(w for a in v['args'] for w in forms[a['count']].format(a['name']).split())]
        for v in tables['verbs']
    ]


def test_options(tables):
    got = set()
    for item in items(PAGE.section('DESCRIPTION', 'Options')):
        names = tuple(w.lstrip('-') for w in marked(['.It ' + ' '.join(item)], 'Fl'))
        args = marked(['.It ' + ' '.join(item)], 'Ar')
        got.add((names, args[0] if args else None))
    expected = {
        (tuple(n for n in (o['short_name'], o['name']) if n), o['arg']) for o in tables['options']
    }
    assert got == expected


def test_no_other_option_anywhere(tables):
    names = {o['name'] for o in tables['options']} | {o['short_name'] for o in tables['options']}
    assert {w.lstrip('-') for w in marked(PAGE.lines, 'Fl')} <= names


def test_options_name_their_verbs(tables):
    """'For list, status and top:' names exactly the verbs that take the option."""
    text = '\n'.join(PAGE.section('DESCRIPTION', 'Options'))
    entries = re.findall(r'^\.It Fl ([^\n]*)\n(.*?)(?=^\.It|^\.El)', text, re.M | re.S)
    seen = set()
    for head, body in entries:
        name = re.findall(r'-([a-z-]+)', head)[0]
        match = re.match(r'For\n(.*?):\n', body, re.S)
        takers = {v['name'] for v in tables['verbs'] if name in v['options']}
        verbs = '|'.join(v['name'] for v in tables['verbs'])
        named = set(re.findall(rf'\b({verbs})\b', match.group(1))) if match else set()
        assert named == takers, name
        seen.add(name)
    assert seen == {o['name'] for o in tables['options']}


def test_modes(tables):
    got = [item[1] for item in items(PAGE.section('DESCRIPTION', 'Verbs'), depth=2)]
    assert got == tables['modes']


def test_exit_statuses(tables, help_of):
    numbers = [int(item[0]) for item in items(PAGE.section('EXIT STATUS'))]
    assert numbers == list(range(len(tables['exit_statuses'])))
    in_help = re.findall(r'^  (\d)  (.*)$', help_of('--help'), re.M)
    assert in_help == [(str(n), text) for n, text in enumerate(tables['exit_statuses'])]


def test_help_has_every_verb_and_option(tables, help_of):
    text = help_of('--help')
    assert re.findall(r'^  ([a-z-]+)(?: [A-Z\[\]. ]+?)? {2,}', text, re.M) == \
        [v['name'] for v in tables['verbs']]
    assert re.findall(r'--([a-z-]+)', text.split('Options:')[1].split('Exit')[0]) == \
        [o['name'] for o in tables['options']]
    for row in tables['verbs'] + tables['options']:
        assert row['help'] in text


def test_verb_help(tables, help_of):
    for verb in tables['verbs']:
        text = help_of(verb['name'], '--help')
        assert text.startswith(f'Usage: {synopsis(tables, verb)}\n\n{verb["help"]}.\n')
        own = {o['name'] for o in tables['options'] if o['every_verb']} | set(verb['options'])
        assert set(re.findall(r'--([a-z-]+)', text.split('Options:')[1])) == own


def json_keys():
    """Keys the sources write; verbs/complete.c is not for users."""
    keys = set()
    for path in (CLIENT / 'json.c', CLI / 'top' / 'top-view.c', CLI / 'out' / 'event-print.c', CLI / 'verbs' / 'doctor.c',
                 CLI / 'verbs' / 'list-stored.c', CLI / 'verbs' / 'status-host.c',
                 CLI / 'verbs' / 'recall-show.c'):
        keys |= set(re.findall(r'\b(?:json_)?add\w*\(\s*\w+,\s*(?:[^",;]+,\s*)?"(\w+)"', path.read_text()))
    pressure = set(re.findall(r'\[PRESSURE_\w+\] = "(\w+)"', (CLIENT / 'pressure.c').read_text()))
    counters = set(re.findall(r'\{ APF_STAT_\w+, "(\w+)"', (CLIENT / 'vm.c').read_text()))
    figures = set(re.findall(r'\{ APF_GUEST_A_\w+, "(\w+)"', (CLIENT / 'guest.c').read_text()))
    assert len(keys) > 50 and len(counters) == 19 and len(figures) == 13 and len(pressure) == 12
    memory = set(re.findall(r'\{ "[A-Z]\w+", "(\w+)" \}', (COMMON / 'memory-figures.c').read_text()))
    assert len(memory) > 25
    return keys | counters | figures | pressure | memory


def test_json_keys():
    assert set(marked(PAGE.section('JSON'), 'Va')) == json_keys()


def notes():
    """{constant: (id, check)} of the notes of status."""
    source = (COMMON / 'diagnosis.c').read_text()
    return {note: (id, check) for note, id, check in
            re.findall(r'\[(NOTE_\w+)\] = \{ "([a-z-]+)", (CHECK_\w+) \}', source)}


def test_findings():
    used = set(re.findall(r'add_finding\(\s*&?f,\s*(NOTE_\w+)', (CLIENT / 'finding.c').read_text()))
    assert used == set(notes())
    documented = [item[1] for item in items(PAGE.section('FINDINGS'))]
    assert sorted(documented) == sorted(id for id, _ in notes().values())


def test_notes_and_checks_share_one_space_of_names():
    """A note has the name of a check only if it is about that check."""
    checks = dict(re.findall(r'\[(CHECK_\w+)\] = \{ "([a-z-]+)"', (COMMON / 'diagnosis.c').read_text()))
    for id, check in notes().values():
        assert id not in checks.values() or checks[check] == id


def test_checks(tables):
    for of_vm, title in ((False, 'Checks of the host'), (True, 'Checks of a VM')):
        documented = [item[1] for item in items(PAGE.section('CHECKS', title))]
        assert documented == [c['name'] for c in tables['checks'] if c['of_vm'] == of_vm]


def test_every_check_is_made():
    """And none without a row in the table."""
    made = set()
    for path in [*(ROOT / 'daemon' / 'doctor').glob('*.c'), *COMMON.glob('doctor-*.c')]:
        made |= set(re.findall(r'diag_add\(\w+, (CHECK_\w+)', path.read_text()))
    in_table = re.findall(r'\[(CHECK_\w+)\]', (COMMON / 'diagnosis.c').read_text())
    assert made == set(in_table)


def words_of(tables, verb, option):
    return next(v['values'][option] for v in tables['verbs'] if v['name'] == verb)


def test_events(tables):
    source = (CLI / 'out' / 'event-print.c').read_text()
    names = dict(re.findall(r'#define (NAME_\w+)\s+"([^"]+)"', (COMMON / 'names.h').read_text()))
    ids = [names.get(word, word.strip('"')) for word in
           re.findall(r'^\t(?:\[EVENT_\w+\] = )?\{ ("[a-z-]+"|NAME_\w+), STYLE_', source, re.M)]
    assert len(ids) == 15
    documented = [w for item in items(PAGE.section('EVENTS')) for w in item[1:] if w != ',']
    assert sorted(documented) == sorted(ids)
    assert sorted(words_of(tables, 'monitor', 'event')) == sorted(ids)


def test_csv():
    """Every column, in its order."""
    source = (CLI / 'top' / 'top-csv.c').read_text()
    table = re.search(r'csv_columns\[\] = \{(.*?)\n\};', source, re.S).group(1)
    names = ['time', 'name', *re.findall(r'\{ "(\w+)"', table)]
    assert len(names) == 31
    documented = [w for item in items(PAGE.section('CSV')) for w in item[1:] if w != ',']
    assert documented == names
    # Named as in JSON, for all that JSON has.
    assert set(names) - {'time'} <= json_keys()


def test_words_of_state(tables):
    text = '\n'.join(PAGE.section('DESCRIPTION', 'Options'))
    entry = re.search(r'^\.It Fl -state(.*?)^\.It', text, re.M | re.S).group(1)
    assert marked(entry.splitlines(), 'Sy') == words_of(tables, 'list', 'state')


def test_environment():
    read = set()
    for path in [*CLI.rglob('*.c'), *CLIENT.glob('*.c')]:
        read |= set(re.findall(r'getenv\("(\w+)"\)', path.read_text()))
    # libsystemd reads this one for us.
    read.add('DBUS_SYSTEM_BUS_ADDRESS')
    assert set(marked(PAGE.section('ENVIRONMENT'), 'Ev')) == read


@pytest.mark.parametrize('source, array', [('top/top-view.c', 'top_columns'),
                                           ('top/top-view.c', 'top_vcpu_columns'),
                                           ('verbs/status.c', 'vcpu_columns'),
                                           ('verbs/status.c', 'guest_columns'),
                                           ('verbs/list.c', 'list_columns'),
                                           ('verbs/list-stored.c', 'stored_columns'),
                                           ('verbs/why.c', 'columns')])
def test_columns(source, array):
    body = re.search(rf'table_column {array}\[\w*\] = \{{(.*?)\n\}};', (CLI / source).read_text(),
                     re.S).group(1)
    headers = re.findall(r'\{ "([^"]+)"', body)
    lines = PAGE.section('OUTPUT')
    documented = ' , '.join(' '.join(item) for item in items(lines)).replace(' , ', ',').split(',')
    documented = [name.strip() for name in documented]
    assert len(headers) >= 5
    for header in headers:
        assert header in documented


def test_keys_of_top():
    """Every key that orders, of both tables, in the order of their columns."""
    source = (CLI / 'top' / 'top-order.c').read_text()
    tables = [re.findall(r"\{ '(.)', ", body)
              for body in re.findall(r'top_order top_\w+\[\w+\] = \{(.*?)\n\};', source, re.S)]
    assert [len(keys) for keys in tables] == [14, 10]
    documented = [[w for w in item if w != ','] for item in items(PAGE.section('KEYS OF TOP'))]
    for keys in tables:
        assert len(set(keys)) == len(keys)
        assert keys in documented
    screen = (CLI / 'top' / 'top-keys.c').read_text()
    single = {key for item in documented if item not in tables for key in item if len(key) == 1}
    assert single == set(re.findall(r"case '(.)':", screen)) - {'h'}
    # No key of the screen is one that orders.
    assert not single & {key for keys in tables for key in keys}


def test_figures_of_a_history():
    """The keys of a record are the figures that the policy knows."""
    source = (COMMON / 'policy.c').read_text()
    table = re.search(r'policy_figure_names\[.*?\{(.*?)\};', source, re.S).group(1)
    documented = {word for item in items(PAGE.section('RECORDED HISTORIES')) for word in item
                  if word[0].isupper() and word != 'Sy'}
    assert documented == set(re.findall(r'"(\w+)"', table))
