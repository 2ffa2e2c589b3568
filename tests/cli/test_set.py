# SPDX-License-Identifier: GPL-2.0
import pytest

import facts
from mock_apfd import MANAGER, VM


@pytest.mark.parametrize('args, state, vcpus', [
    (['enable', 'web1'], 'on', []),
    (['on', 'web1'], 'on', []),
    (['off', 'web1'], 'off', []),
    (['disable', 'web1'], 'off', []),
    (['set', 'web1', 'off'], 'off', []),
    (['set', 'web1', 'pv'], 'pv', []),
    (['set', 'web1', 'on'], 'on', []),
    (['enable', 'web1', '--vcpu', '1'], 'on', [1]),
    (['--vcpu=0,2-4', 'disable', 'web1'], 'off', [0, 2, 3, 4]),
    (['set', '--vcpu', '3,1,1,2-3', 'web1', 'pv'], 'pv', [1, 2, 3]),
    (['enable', 'web1', '--vcpu', '0', '--vcpu', '2'], 'on', [0, 2]),
    (['enable', '--no-ask-password', '--', '3'], 'on', []),
])
def test_is_sent(run, apfd, args, state, vcpus):
    result = run(*args)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
    assert apfd.calls(apfd.web1, 'SetState') == [[state, vcpus]]


def test_highest_vcpus_are_all_sent(run, apfd):
    assert run('enable', 'web1', '--vcpu', '0-4095').returncode == 0
    assert apfd.calls(apfd.web1, 'SetState') == [['on', list(range(4096))]]


@pytest.mark.parametrize('args, mode, vcpus, persistent', [
    (['auto', 'web1'], 'auto', [], False),
    (['set', 'web1', 'auto'], 'auto', [], False),
    (['set', 'web1', 'default'], 'default', [], False),
    (['auto', 'web1', '--vcpu', '0,2', '--persistent'], 'auto', [0, 2], True),
    (['enable', 'web1', '--persistent'], 'on', [], True),
    (['disable', '--persistent', 'web1', '--vcpu=1'], 'off', [1], True),
    (['set', 'web1', 'pv', '--persistent'], 'pv', [], True),
    (['set', 'web1', 'default', '--persistent', '--vcpu=3'], 'default', [3], True),
])
def test_mode_is_sent(run, apfd, args, mode, vcpus, persistent):
    result = run(*args)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
    assert apfd.calls(apfd.web1, 'SetMode') == [[mode, vcpus, persistent]]
    assert apfd.calls(apfd.web1, 'SetState') == []


def test_reload_is_sent(run, apfd):
    result = run('reload')
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
    assert apfd.calls('/org/apfd', 'Reload') == [[]]


def test_wrong_configuration_is_told(run, apfd):
    apfd.fail('/org/apfd', MANAGER, 'Reload', 'org.apfd.Error.InvalidConfig',
              "/etc/apfd/apfd.conf:12: no such key 'TickSecs'\n/etc/apfd/b.conf:3: \x1b[2J")
    result = run('reload')
    assert (result.returncode, result.stdout) == (1, '')
    assert result.stderr == (
        'apfctl: reload: the configuration is wrong; the last good one stays in effect:\n'
        "  /etc/apfd/apfd.conf:12: no such key 'TickSecs'\n"
        '  /etc/apfd/b.conf:3: \\x1b[2J\n')


def test_older_apfd_knows_states_but_no_modes(run, older_apfd):
    path = older_apfd.add_vm(facts.older(facts.vm(Name='old')), older=True)
    for args in (['enable', 'old'], ['set', 'old', 'pv', '--vcpu', '0']):
        assert run(*args).returncode == 0
    assert older_apfd.calls(path, 'SetState') == [['on', []], ['pv', [0]]]
    for args in (['auto', 'old'], ['enable', 'old', '--persistent'], ['why', 'old']):
        result = run(*args)
        assert result.returncode == 1
        assert 'apfd does not support this; are apfd and apfctl of the same version?' in result.stderr


def test_nothing_is_sent_after_wrong_usage(run, apfd):
    for args in (['enable', 'web1', '--vcpu', '0,x'], ['set', 'web1', 'onn'],
                 ['enable', '--all', 'web2'], ['enable', 'web1', '--json'],
                 ['set', 'web1', 'web2']):
        assert run(*args).returncode == 2
    assert apfd.calls(apfd.web1, 'SetState') == []
    assert apfd.calls('/org/apfd', 'GetVM') == []


def states_sent(apfd):
    return [apfd.calls(apfd.web1, 'SetState'), apfd.calls(apfd.web2, 'SetState')]


@pytest.mark.parametrize('args, sent', [
    (['enable', 'web1', 'web2'], [['on', []]]),
    (['disable', '--all', '--vcpu', '0'], [['off', [0]]]),
    (['set', 'web1', 'web2', 'pv'], [['pv', []]]),
    (['set', '--all', 'off'], [['off', []]]),
    (['on', 'web[12]'], [['on', []]]),
    # Each VM once, however it is named.
    (['off', 'web*', 'web2', facts.WEB1['UUID'], '*'], [['off', []]]),
])
def test_several_vms(run, apfd, args, sent):
    result = run(*args)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
    assert states_sent(apfd) == [sent, sent]


def test_pattern_takes_only_what_matches(run, apfd):
    apfd.add_vm(facts.vm(Name='db', UUID='5a7e0f3c-0003-4a00-8000-000000000003'))
    assert run('set', '?eb[!1]', 'off').returncode == 0
    assert states_sent(apfd) == [[], [['off', []]]]


def test_exact_name_wins_over_pattern(run, apfd):
    """libvirt allows brackets in a name: 'web[12]' is then this VM, not web1 and web2."""
    path = apfd.add_vm(facts.vm(Name='web[12]', UUID='5a7e0f3c-0003-4a00-8000-000000000003'))
    assert run('disable', 'web[12]').returncode == 0
    assert states_sent(apfd) == [[], []]
    assert apfd.calls(path, 'SetState') == [['off', []]]


def test_failures_stop_nothing_and_the_worst_is_returned(run, apfd):
    apfd.fail(apfd.web1, VM, 'SetState', 'org.freedesktop.DBus.Error.AccessDenied', 'no')
    result = run('disable', 'wbe1', 'web1', 'db-*', 'web2')
    assert (result.returncode, result.stdout) == (4, '')
    assert [line.split(': ')[1] for line in result.stderr.splitlines()] == [
        'disable wbe1', 'disable db-*', 'disable web1']
    assert apfd.calls(apfd.web2, 'SetState') == [['off', []]]


def test_name_that_is_not_utf8_stops_all(apfctl_path, environment, apfd):
    """Wrong usage: nothing was done."""
    import subprocess
    result = subprocess.run([apfctl_path, 'disable', 'web1', b'web\xff'], env=environment,
                            capture_output=True, check=False)
    assert result.returncode == 2
    assert states_sent(apfd) == [[], []]


def test_vm_of_a_list_that_has_ended_is_no_failure(run, apfd):
    apfd.fail(apfd.web1, VM, 'SetState', 'org.freedesktop.DBus.Error.UnknownObject', 'gone')
    for args in (['disable', '--all'], ['disable', 'web*']):
        result = run(*args)
        assert (result.returncode, result.stderr) == (0, '')
    assert apfd.calls(apfd.web2, 'SetState') == [['off', []]] * 2
    # But a VM that was named is missed.
    assert run('disable', 'web1').returncode == 3


def test_all_without_vms(run, empty_apfd):
    result = run('disable', '--all')
    assert (result.returncode, result.stdout) == (0, '')
    assert result.stderr == 'apfctl: note: no VM is running\n'


def test_apfd_missing_is_said_once(run):
    result = run('disable', 'web1', 'web2')
    assert result.returncode == 5
    assert result.stderr.count('apfd is not running') == 1


def keeps_modes(apfd, path):
    """From now on a change of the mode is what the VM has."""
    code = ('modes = dict.fromkeys(map(int, args[1]), str(args[0]))\n'
            f'props = self.props[{VM!r}]\n'
            'if modes:\n'
            '    props["VCPUModes"] = dbus.Dictionary(modes, signature="us")\n'
            'else:\n'
            '    props["Mode"] = dbus.String(args[0])')
    apfd.object(path).AddMethod(VM, 'SetState', 'sau', '', code)
    apfd.object(path).AddMethod(VM, 'SetMode', 'saub', '', code)


def test_end_of_automatic_control_is_said(run, apfd):
    keeps_modes(apfd, apfd.web1)
    result = run('disable', 'web1')
    assert (result.returncode, result.stdout) == (0, '')
    assert result.stderr == ("apfctl: note: web1: automatic control has ended; 'apfctl auto web1' "
                             'starts it again\n')
    # It is over already; auto itself ends nothing.
    for args in (['enable', 'web1'], ['auto', 'web1'], ['set', 'web1', 'auto']):
        assert run(*args).stderr == ''


def test_end_for_some_vcpus(run, apfd):
    keeps_modes(apfd, apfd.web1)
    # vCPU 1 has a mode of its own, vCPU 0 has the VM's.
    assert run('enable', 'web1', '--vcpu', '1').stderr == ''
    result = run('disable', 'web1', '--vcpu', '0,2-3')
    assert result.stderr == (
        "apfctl: note: vCPU 0,2,3 of web1: automatic control has ended; "
        "'apfctl auto web1 --vcpu 0,2,3' starts it again\n")
    # The mock keeps the modes of the last change alone: vCPU 1 is automatic, vCPU 0 is not.
    assert 'vCPU 0,1 of web1: automatic control has ended' in run(
        'enable', 'web1', '--vcpu', '0,1').stderr


def test_end_for_many_is_one_note(run, empty_apfd):
    for number in range(5):
        keeps_modes(empty_apfd, empty_apfd.add_vm(facts.vm(
            Name=f'vm{number}', Mode='auto', UUID=f'5a7e0f3c-0000-4a00-8000-00000000000{number}')))
    result = run('set', '--all', 'on')
    assert result.returncode == 0
    assert result.stderr == ("apfctl: note: vm0, vm1, vm2 and 2 more: automatic control has ended; "
                             "'apfctl auto VM' starts it again\n")


def test_default_that_is_auto_ends_nothing(run, apfd):
    """The mock keeps its mode auto."""
    assert run('set', 'web1', 'default').stderr == ''
