# SPDX-License-Identifier: GPL-2.0
import pytest


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


def test_nothing_is_sent_after_wrong_usage(run, apfd):
    for args in (['enable', 'web1', '--vcpu', '0,x'], ['set', 'web1', 'onn'],
                 ['enable', 'web1', 'web2'], ['enable', 'web1', '--json']):
        assert run(*args).returncode == 2
    assert apfd.calls(apfd.web1, 'SetState') == []
    assert apfd.calls('/org/apfd', 'GetVM') == []
