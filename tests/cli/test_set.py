# SPDX-License-Identifier: GPL-2.0
import pytest

import facts
from mock_apfd import MANAGER


@pytest.mark.parametrize('args, state, vcpus', [
    (['enable', 'web1'], 'on', []),
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
        'apfctl: reload: the configuration is wrong, the last good one still holds:\n'
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
        assert 'apfd does not know this; are apfd and apfctl of the same version?' in result.stderr


def test_nothing_is_sent_after_wrong_usage(run, apfd):
    for args in (['enable', 'web1', '--vcpu', '0,x'], ['set', 'web1', 'onn'],
                 ['enable', 'web1', 'web2'], ['enable', 'web1', '--json']):
        assert run(*args).returncode == 2
    assert apfd.calls(apfd.web1, 'SetState') == []
    assert apfd.calls('/org/apfd', 'GetVM') == []
