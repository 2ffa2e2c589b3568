# SPDX-License-Identifier: GPL-2.0
import json

import pytest

import facts


def test_table(run, apfd):
    result = run('list')
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.splitlines() == [
        'NAME  ID  STATE    MODE   VCPUS    SWAPPED  PRESSURE  SAVED   PID  UUID',
        f'web1   3  mixed    auto*      2  312.0 MiB      12 %   41 %  4242  {facts.WEB1["UUID"]}',
        f'web2   -  unknown  off        -          -         -      -     -  {facts.WEB2["UUID"]}',
    ]


def test_json(run, apfd):
    result = run('list', '--json')
    assert (result.returncode, result.stderr) == (0, '')
    assert json.loads(result.stdout) == [facts.JSON_WEB1, facts.JSON_WEB2]


def test_swapped_bytes_that_are_not_known(run, empty_apfd):
    """Not 0: the VM shares its control group with another, and has memory that /proc does not count."""
    empty_apfd.add_vm(facts.vm(SwappedBytes=0, SwappedSource='unknown', CGroup='/vms.service'))
    assert run('list').stdout.splitlines()[1].split()[5] == '-'
    [vm] = json.loads(run('list', '--json').stdout)
    assert (vm['swapped_bytes'], vm['swapped_source']) == (None, 'unknown')
    top = run('top', '--count=1').stdout.splitlines()
    assert top[3].split()[3] == '-'
    assert 'not known: the VM has shared memory, and shares its cgroup with another VM' in run('status', 'web2').stdout
    empty_apfd.add_vm(facts.vm(Name='web3', UUID='5a7e0f3c-0000-4a00-8000-000000000003', SwappedSource='unknown'))
    assert 'not known: the VM has shared memory, and no cgroup accounts it' in run('status', 'web3').stdout


def test_swapped_bytes_of_an_older_apfd(run, empty_apfd):
    vm = facts.vm(SwappedBytes=1 << 20)
    del vm['SwappedSource']
    empty_apfd.add_vm(vm, older=True)
    assert '1.0 MiB' in run('list').stdout
    assert json.loads(run('list', '--json').stdout)[0]['swapped_source'] is None


def test_empty(run, empty_apfd):
    result = run('list')
    assert result.returncode == 0
    assert result.stdout.split() == ['NAME', 'ID', 'STATE', 'MODE', 'VCPUS', 'SWAPPED', 'PRESSURE', 'SAVED',
                                     'PID', 'UUID']
    assert result.stderr == 'apfctl: note: no VM is running\n'

    result = run('list', '--json')
    assert (result.returncode, json.loads(result.stdout), result.stderr) == (0, [], '')


def test_order_counts_digits(run, empty_apfd):
    for number, name in enumerate(['web10', 'web2', 'alpha']):
        empty_apfd.add_vm(facts.vm(Name=name, UUID=f'5a7e0f3c-0000-4a00-8000-00000000000{number}'))
    names = [vm['name'] for vm in json.loads(run('list', '--json').stdout)]
    assert names == ['alpha', 'web2', 'web10']


def test_vm_without_name_is_shown_by_uuid(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name=''))
    assert run('list').stdout.splitlines()[1].startswith(facts.WEB2['UUID'])
    assert json.loads(run('list', '--json').stdout)[0]['name'] == ''


def test_columns_line_up_with_wide_and_combining_characters(run, empty_apfd):
    # Two columns each; an accent of no width; a plain name.
    for number, name in enumerate(['東京-db', 'cafe\u0301', 'plain-name']):
        empty_apfd.add_vm(facts.vm(Name=name, UUID=f'5a7e0f3c-0000-4a00-8000-00000000000{number}'))
    for locale in ('C.UTF-8', 'C'):
        lines = run('list', env={'LC_ALL': locale}).stdout.splitlines()
        by_name = {line.split()[0]: line for line in lines}
        # 'plain-name' has 10 columns; each name is padded to as many.
        assert by_name['plain-name'].startswith('plain-name   7  on ')
        assert by_name['東京-db'].startswith('東京-db' + 3 * ' ' + '   7  on ')
        assert by_name['cafe\u0301'].startswith('cafe\u0301' + 6 * ' ' + '   7  on ')


def test_names_cannot_steer_the_terminal(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='a\x1b[2Jb\nc\u202ed'))
    result = run('list')
    assert len(result.stdout.splitlines()) == 2
    assert 'a\\x1b[2Jb\\x0ac\\xe2\\x80\\xaed' in result.stdout


def test_module_absent_is_told(run, empty_apfd):
    empty_apfd.set_host(facts.HOST_ABSENT)
    empty_apfd.add_vm(facts.WEB2)
    result = run('list')
    assert result.returncode == 0
    assert 'apf_host is not loaded' in result.stderr
    assert 'modprobe apf_host' in result.stderr


def test_older_apfd(run, older_apfd):
    """One without the policy: what it does not tell is not known, and no failure."""
    older_apfd.add_vm(facts.older(facts.WEB1), facts.WEB1_VCPUS, older=True)
    result = run('list')
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.splitlines()[1].split()[:4] == ['web1', '3', 'mixed', '-']
    vm, = json.loads(run('list', '--json').stdout)
    assert vm == {**facts.JSON_WEB1, **dict.fromkeys(('mode', 'mode_source', 'cgroup', 'manager',
                                                      'id', 'vmm', 'executable', 'saved_ratio', 'auto_recall')),
                  'vcpu_modes': [], 'pressure': dict.fromkeys(facts.JSON_WEB1['pressure']),
                  'memory': dict.fromkeys(facts.JSON_WEB1['memory']), 'memory_nodes': [],
                  'peak_stall_ratio': None, 'peak_latency_usec': None}
    result = run('status', 'web1')
    assert (result.returncode, result.stderr) == (0, '')
    assert not {'Mode', 'Manager', 'Cgroup', 'Pressure', 'Host swap'} & {
        line.split(':')[0].strip() for line in result.stdout.splitlines()}
    host = json.loads(run('status', 'web1', '--json').stdout)['host']
    assert (host['swap'], host['config_error'], host['dry_run']) == (None, None, False)


def test_wrong_configuration_is_told(run, empty_apfd):
    empty_apfd.set_host(dict(facts.HOST, ConfigError='/etc/apfd/apfd.conf:3: \x1b?\nb.conf:4: c', DryRun=True))
    result = run('list')
    assert result.returncode == 0
    assert 'the last good one stays in effect:\n  /etc/apfd/apfd.conf:3: \\x1b?\n  b.conf:4: c\n' in result.stderr
    assert 'DryRun=yes' in result.stderr


def test_libvirt_lost_is_told(run, empty_apfd):
    empty_apfd.set_host(dict(facts.HOST, Libvirt='disconnected'))
    result = run('list')
    assert result.returncode == 0
    assert 'no connection to libvirt (qemu:///system)' in result.stderr
    assert 'no VM is running' not in result.stderr


def test_host_without_libvirt(run, empty_apfd):
    """There, nothing is missing; and the id is the one of the manager."""
    empty_apfd.set_host(dict(facts.HOST, Libvirt='disconnected'))
    empty_apfd.add_vm(facts.vm(LibvirtID=-1, Manager='proxmox', ID='101', VMM='qemu'))
    result = run('list')
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.splitlines()[1].split()[1] == '101'


def test_missing_property_is_no_zero(run, apfd, bus):
    """An older apfd that does not tell a figure must not be shown as telling 0."""
    import dbus
    mock = apfd.object('/org/apfd')
    values = dict(facts.vm(Name='old', UUID='5a7e0f3c-0009-4a00-8000-000000000009'))
    del values['StallRatio']
    from mock_apfd import VM, property_types, typed
    types = property_types(VM)
    mock.AddObject('/org/apfd/vm/old', VM,
                   dbus.Dictionary({k: typed(types[k], v) for k, v in values.items()},
                                   signature='sv'),
                   dbus.Array([], signature='(ssss)'))
    result = run('list')
    assert (result.returncode, result.stdout) == (1, '')
    assert "'StallRatio'" in result.stderr
    assert 'same version' in result.stderr


def test_half_a_report_is_shown(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(GuestModule='present', GuestReport={'PoolSize': 1}))
    result = run('list')
    assert (result.returncode, result.stderr) == (0, '')
    assert len(result.stdout.splitlines()) == 2


def test_wrong_type_is_refused(run, empty_apfd):
    import dbus
    empty_apfd.object('/org/apfd').UpdateProperties(
        'org.apfd.Manager1', dbus.Dictionary({'NestedGuard': dbus.String('yes')}, signature='sv'))
    result = run('list')
    assert result.returncode == 1
    assert "'NestedGuard'" in result.stderr


def test_newer_apfd_may_tell_more(run, apfd):
    import dbus
    apfd.object(apfd.web1).AddProperties(
        'org.apfd.VM1', dbus.Dictionary({'Newest': dbus.Array(['x'], signature='s')},
                                        signature='sv'))
    assert run('list').returncode == 0


def test_stored(run, empty_apfd):
    empty_apfd.store([
        {'File': 'web-01.vm', 'Name': 'web-01', 'ID': '101', 'UUID': facts.WEB1['UUID'],
         'Scope': 'proxmox:101', 'Mode': 'off', 'VCPUModes': '1:pv', 'Used': 1790000000000000,
         'Running': True},
        {'File': 'b.vm', 'Name': 'b', 'Scope': 'user:1000', 'Mode': 'default',
         'Used': 1790000000000000},
        {'File': 'bad\x1b.vm', 'Mode': 'default', 'Error': 'line 3: it is \x1b truncated'},
    ])
    result = run('list', '--stored')
    assert result.returncode == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ['NAME', 'ID', 'MODE', 'VCPUS', 'SEEN', 'SCOPE', 'FILE', 'UUID']
    assert lines[1] == ['web-01', '101', 'off', '1:pv', 'now', 'proxmox:101', 'web-01.vm',
                        facts.WEB1['UUID']]
    assert lines[2][:4] == ['b', '-', 'default', '-']
    assert lines[2][4].startswith('2026-09-')
    assert 'bad\\x1b.vm: line 3: it is \\x1b truncated' in result.stderr
    rows = json.loads(run('list', '--stored', '--json').stdout)
    assert rows[0] == {
        'file': 'web-01.vm', 'name': 'web-01', 'id': '101', 'uuid': facts.WEB1['UUID'],
        'scope': 'proxmox:101', 'mode': 'off', 'vcpu_modes': '1:pv',
        'used_usec': 1790000000000000, 'running': True, 'error': ''}
    assert [row['running'] for row in rows] == [True, False, False]


@pytest.fixture
def three_stored(empty_apfd):
    """No two columns order them alike."""
    rows = [
        dict(File='c.vm', Name='x', ID='9', Mode='pv', VCPUModes='0:pv', Scope='user:2',
             UUID=facts.WEB1['UUID'], Used=1790000000000000),
        dict(File='b.vm', Name='y', ID='101', Mode='auto', VCPUModes='0:off', Scope='user:1',
             Used=1780000000000000),
        dict(File='a.vm', Name='w', Mode='off', Scope='user:3', Used=1700000000000000,
             Running=True, Error='line 3: it is truncated'),
    ]
    empty_apfd.store(rows)
    return empty_apfd


@pytest.mark.parametrize('word, order', [
    ('name', 'wxy'), ('id', 'wxy'), ('mode', 'ywx'), ('vcpus', 'wyx'), ('seen', 'wxy'),
    ('scope', 'yxw'), ('file', 'wyx'), ('uuid', 'wyx'),
])
def test_stored_sort(run, three_stored, word, order):
    result = run('list', '--stored', f'--sort={word}')
    assert result.returncode == 0
    assert ''.join(line.split()[0] for line in result.stdout.splitlines()[1:]) == order
    rows = json.loads(run('list', '--stored', '--json', '--sort', word).stdout)
    assert ''.join(row['name'] for row in rows) == order
    # Equal ones stay in the order of their names.
    reverse = 'xwy' if word == 'uuid' else order[::-1]
    rows = json.loads(run('list', '--stored', '--json', f'--sort=-{word}').stdout)
    assert ''.join(row['name'] for row in rows) == reverse


def test_stored_without_sort_is_in_the_order_of_apfd(run, three_stored):
    rows = json.loads(run('list', '--stored', '--json').stdout)
    assert ''.join(row['name'] for row in rows) == 'xyw'


def test_stored_no_legend(run, three_stored):
    assert 'a.vm: line 3: it is truncated' in run('list', '--stored').stderr
    result = run('list', '--stored', '--no-legend')
    assert (result.returncode, result.stderr) == (0, '')
    assert [line.split()[0] for line in result.stdout.splitlines()] == ['x', 'y', 'w']


@pytest.mark.parametrize('args, error', [
    (['--sort=swapped'], "list: --sort 'swapped' is not a column; use name, id, mode, vcpus, seen, "
                         'scope, file or uuid'),
    (['--state=on'], 'list: --stored and --state exclude each other'),
    (['--all'], 'list: --stored and --all exclude each other'),
    (['web\x1b1'], "list: 'web\\x1b1' and --stored exclude each other"),
])
def test_stored_and_what_is_only_for_vms(run, three_stored, args, error):
    result = run('list', '--stored', *args)
    assert (result.returncode, result.stdout) == (2, '')
    assert error in result.stderr
    assert run('list', '--sort=seen').returncode == 2


FORGET = '/org/apfd', 'ForgetStored'


@pytest.mark.parametrize('args, files', [
    (['x'], ['c.vm']), (['9', 'y'], ['c.vm', 'b.vm']), ([facts.WEB1['UUID'].upper()], ['c.vm']),
    (['b.vm', 'y'], ['b.vm']), (['[xy]'], ['c.vm', 'b.vm']),
    # A pattern means no VM that runs; apfd decides about one that is named.
    (['*'], ['c.vm', 'b.vm']), (['w'], ['a.vm']),
])
def test_forget(run, three_stored, args, files):
    result = run('forget', *args)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
    assert three_stored.calls(*FORGET) == [[file] for file in files]


def test_forget_nothing(run, three_stored):
    result = run('forget', 'web\x1b1', 'w*', 'y')
    assert result.returncode == 3
    assert ('apfctl: forget web\\x1b1: apfd has stored no settings of such a VM; '
            "'apfctl list --stored' shows all stored settings\n") in result.stderr
    assert 'forget w*: apfd has stored no settings of such a VM that does not run;' in result.stderr
    assert three_stored.calls(*FORGET) == [['b.vm']]


def test_forget_names_that_are_not_unique(run, three_stored):
    three_stored.store([{'File': 'a.vm', 'Name': '101', 'Mode': 'on'},
                        {'File': 'b.vm', 'Name': 'b', 'ID': '101', 'Mode': 'off'}])
    result = run('forget', '101')
    assert result.returncode == 1
    assert 'forget 101: settings of 2 VMs with this name are stored; use the name of a file' in result.stderr
    assert three_stored.calls(*FORGET) == []


def test_forget_a_vm_that_runs(run, three_stored):
    three_stored.fail('/org/apfd', 'org.apfd.Manager1', 'ForgetStored', 'org.apfd.Error.VMRuns',
                      'VM w runs: set its mode to default instead')
    result = run('forget', 'w')
    assert result.returncode == 1
    assert ('apfctl: forget w: VM w runs: set its mode to default instead; '
            "'apfctl set VM default --persistent'") in result.stderr


def test_ids_of_other_managers(run, empty_apfd):
    """A number is ordered as a number, whoever gave it; VMs without an id are first."""
    for number, (name, rows) in enumerate({
            'a': dict(LibvirtID=20), 'b': dict(LibvirtID=-1, ID='101', Manager='proxmox'),
            'c': dict(LibvirtID=3), 'd': dict(LibvirtID=-1, ID=''),
            'e': dict(LibvirtID=-1, ID='fc-9', Manager='firecracker'),
            'f': dict(LibvirtID=-1, ID='fc-10', Manager='firecracker')}.items()):
        empty_apfd.add_vm(facts.vm(UUID=UUID.format(number), Name=name, **rows))
    assert names(run, '--sort=id') == 'dcabef'
    assert names(run, '--sort=-id') == 'febacd'


def test_the_note_about_libvirt_counts_all_vms(run, empty_apfd):
    """A VM of Proxmox that is not shown shows, too, that the host needs no libvirt."""
    empty_apfd.set_host({**facts.HOST, 'Libvirt': 'disconnected'})
    empty_apfd.add_vm(facts.vm(UUID=UUID.format(0), Name='p', Manager='proxmox', State='on'))
    empty_apfd.add_vm(facts.vm(UUID=UUID.format(1), Name='q', Manager='libvirt', State='off'))
    assert run('list', '--state=off').stderr == ''
    assert run('list', 'q').stderr == ''


def test_stored_of_an_older_apfd(run, apfd):
    result = run('list', '--stored')
    assert result.returncode != 0
    assert result.stdout == ''


UUID = '5a7e0f3c-0000-4a00-8000-00000000000{}'


@pytest.fixture
def four(empty_apfd):
    """No two columns order them alike."""
    rows = [
        dict(Name='b', LibvirtID=4, State='on', Mode='pv', VCPUStates=['on'], PID=30,
             SwappedBytes=3 << 20, Pressure={'SomeAvg10': 3.0}, SavedRatio=0.5),
        dict(Name='a', LibvirtID=3, State='off', Mode='off', VCPUStates=['off'] * 4, PID=40,
             SwappedBytes=1 << 20, Pressure={'SomeAvg10': 1.0}, SavedRatio=0.4),
        dict(Name='d', LibvirtID=2, State='mixed', Mode='on', VCPUStates=['on', 'off'], PID=10,
             SwappedBytes=4 << 20, Pressure={'SomeAvg10': 2.0}, SavedRatio=1.3),
        dict(Name='c', LibvirtID=1, State='on', Mode='auto', VCPUStates=['on'] * 3, PID=20,
             SwappedBytes=2 << 20, Pressure={'SomeAvg10': 4.0}, SavedRatio=0.2),
    ]
    for number, row in enumerate(rows):
        empty_apfd.add_vm(facts.vm(UUID=UUID.format(number), **row))
    return empty_apfd


def names(run, *args):
    result = run('list', *args)
    assert result.returncode == 0
    return ''.join(line.split()[0] for line in result.stdout.splitlines()[1:])


@pytest.mark.parametrize('word, order', [
    ('name', 'abcd'), ('id', 'cdab'), ('state', 'dabc'), ('mode', 'cadb'), ('vcpus', 'acdb'),
    ('swapped', 'dbca'), ('pressure', 'cbda'), ('saved', 'dbac'), ('pid', 'dcba'), ('uuid', 'badc'),
])
def test_sort(run, four, word, order):
    assert names(run, f'--sort={word}') == order
    assert names(run, '--sort', word.upper()) == order
    listed = json.loads(run('list', '--json', f'--sort={word}').stdout)
    assert ''.join(vm['name'] for vm in listed) == order
    # Equal ones stay in the order of their names.
    reverse = 'bcad' if word == 'state' else order[::-1]
    assert names(run, f'--sort=-{word}') == reverse


def test_state(run, four):
    assert names(run, '--state=on') == 'bc'
    assert names(run, '--state=mixed,off') == 'ad'
    assert names(run, '--state=mixed', '--state=off', '--sort=-name') == 'da'
    result = run('list', '--state=unknown')
    # There are VMs, though none in this state.
    assert (len(result.stdout.splitlines()), result.stderr) == (1, '')
    assert json.loads(run('list', '--json', '--state=pv').stdout) == []


def test_some_vms(run, four):
    assert names(run, 'b', '[ad]', UUID.format(0)) == 'abd'
    assert names(run, '--all') == 'abcd'
    result = run('list', 'b', 'x*', 'y')
    assert result.returncode == 3
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ['b']
    assert 'list x*: the name of no VM matches' in result.stderr and 'list y: ' in result.stderr
    assert run('list', 'y').stdout == ''


def test_no_legend(run, four, empty_apfd):
    result = run('list', '--no-legend', 'a')
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.split() == ['a', '3', 'off', 'off', '4', '1.0', 'MiB', '1.0', '%', '40',
                                     '%', '40', UUID.format(1)]


def test_no_legend_and_no_vm(run, empty_apfd):
    empty_apfd.set_host(facts.HOST_ABSENT)
    result = run('list', '--no-legend')
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
