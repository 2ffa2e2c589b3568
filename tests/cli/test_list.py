# SPDX-License-Identifier: GPL-2.0
import json

import facts


def test_table(run, apfd):
    result = run('list')
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.splitlines() == [
        'NAME  ID  STATE    MODE   VCPUS    SWAPPED  PRESSURE   PID  UUID',
        f'web1   3  mixed    auto*      2  312.0 MiB      12 %  4242  {facts.WEB1["UUID"]}',
        f'web2   -  unknown  off        -          -         -     -  {facts.WEB2["UUID"]}',
    ]


def test_json(run, apfd):
    result = run('list', '--json')
    assert (result.returncode, result.stderr) == (0, '')
    assert json.loads(result.stdout) == [facts.JSON_WEB1, facts.JSON_WEB2]


def test_empty(run, empty_apfd):
    result = run('list')
    assert result.returncode == 0
    assert result.stdout.split() == ['NAME', 'ID', 'STATE', 'MODE', 'VCPUS', 'SWAPPED', 'PRESSURE',
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
                                                      'executable')),
                  'vcpu_modes': [], 'pressure': dict.fromkeys(facts.JSON_WEB1['pressure'])}
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
    assert 'the last good one holds:\n  /etc/apfd/apfd.conf:3: \\x1b?\n  b.conf:4: c\n' in result.stderr
    assert 'DryRun=yes' in result.stderr


def test_libvirt_lost_is_told(run, empty_apfd):
    empty_apfd.set_host(dict(facts.HOST, Libvirt='disconnected'))
    result = run('list')
    assert result.returncode == 0
    assert 'no connection to libvirt (qemu:///system)' in result.stderr
    assert 'no VM is running' not in result.stderr


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


def test_half_a_report_is_refused(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(GuestModule='present', GuestReport={'PoolSize': 1}))
    result = run('list')
    assert (result.returncode, result.stdout) == (1, '')
    assert "'GuestReport'" in result.stderr


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
