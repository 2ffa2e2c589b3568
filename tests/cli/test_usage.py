# SPDX-License-Identifier: GPL-2.0
"""The command line itself: nothing here needs an apfd."""

import pytest

VERBS = ['list', 'status', 'enable', 'disable', 'auto', 'set', 'why', 'top', 'monitor', 'metrics',
         'reload', 'doctor', 'policy-replay']


def test_help(run):
    result = run('--help')
    assert (result.returncode, result.stderr) == (0, '')
    for verb in VERBS:
        assert f'\n  {verb}' in result.stdout


@pytest.mark.parametrize('verb', VERBS)
@pytest.mark.parametrize('order', ['before', 'after'])
def test_verb_help(run, verb, order):
    result = run(verb, '--help') if order == 'after' else run('-h', verb)
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.startswith(f'Usage: apfctl {verb}')


def test_help_lists_only_own_options(run):
    assert '--vcpu' not in run('list', '--help').stdout
    assert '--vcpu LIST' in run('enable', '--help').stdout


def test_hidden_verbs_are_hidden(run):
    assert '__' not in run('--help').stdout
    assert '__' not in run('__tble').stderr.replace("'__tble'", '')


def test_version(run):
    import pathlib
    version = (pathlib.Path(__file__).resolve().parents[2] / 'VERSION').read_text().strip()
    result = run('--version')
    assert (result.returncode, result.stdout) == (0, f'apfctl {version}\n')


@pytest.mark.parametrize('args, words', [
    ([], ['a verb is missing']),
    (['lits'], ["unknown verb 'lits'", "did you mean 'list'?"]),
    (['sta'], ["did you mean 'status'?"]),
    (['diable', 'web1'], ["did you mean 'disable'?"]),
    (['xable', 'web1'], ["did you mean 'enable'?"]),
    (['list', '--interval-count'], ["did you mean '--interval'?"]),
    (['reboot'], ["unknown verb 'reboot';"]),
    (['list', '--jsno'], ["unknown option '--jsno'", "did you mean '--json'?"]),
    (['list', '--jsno=1'], ["unknown option '--jsno=1'", "did you mean '--json'?"]),
    (['list', '-x'], ["unknown option '-x'"]),
    (['list', '--json=yes'], ['--json takes no value']),
    (['enable', 'web1', '--vcpu'], ['--vcpu needs a value, LIST']),
    (['list', 'web1'], ["list: 'web1' is one argument too many"]),
    (['status'], ['status: VM is missing', 'apfctl status VM']),
    (['set', 'web1'], ['set: MODE is missing']),
    (['status', ''], ['status: VM is empty']),
    (['set', 'web1', 'onn'], ["'onn' is no mode", "did you mean 'on'?",
                              'auto, on, pv, off or default']),
    (['set', 'web1', 'ON'], ["'ON' is no mode"]),
    (['set', 'web1', 'defualt'], ["did you mean 'default'?"]),
    (['list', '--vcpu', '1'], ['list: --vcpu is only for enable, disable, auto and set']),
    (['top', '--persistent'], ['--persistent is only for enable, disable, auto and set']),
    (['enable', 'web1', '--json'],
     ['enable: --json is only for list, status, why, top, monitor, doctor and policy-replay']),
    (['reload', 'web1'], ["'web1' is one argument too many"]),
    (['list', '-H'], ['--host needs a value, HOST']),
    (['list', '--host='], ["--host '': is no host"]),
    (['status', 'web1', '--count', '1'], ['--count is only for top and monitor']),
    (['monitor', 'web1', ''], ['monitor: VM is empty; usage: apfctl monitor [VM...]']),
    (['monitor', '--interval', '1'], ['--interval is only for top']),
    (['moniter'], ["did you mean 'monitor'?"]),
    (['status', 'web\x1b[2J1', 'x\x1b[2J'], ['\\x1b[2J']),
])
def test_wrong_usage(run, args, words):
    result = run(*args)
    assert (result.returncode, result.stdout) == (2, '')
    assert result.stderr.startswith('apfctl: ')
    assert result.stderr.count('\n') == 1
    assert '\x1b' not in result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize('text, cause', [
    ('', 'an element is empty'),
    ('0,,2', 'an element is empty'),
    ('0,', 'an element is empty'),
    (',0', 'an element is empty'),
    ('a', "'a' is no vCPU number"),
    ('-1', "'-1' is no vCPU number"),
    ('+1', "'+1' is no vCPU number"),
    (' 1', "' 1' is no vCPU number"),
    ('1 ', "'1 ' is neither"),
    ('0x1', "'0x1' is neither"),
    ('0;1', "'0;1' is neither"),
    ('3-', "'3-' is a range without an end"),
    ('3-x', "'3-x' is a range without an end"),
    ('3-1', "'3-1' is a range backwards"),
    ('1-2-3', "'1-2-3' is neither"),
    ('4096', "'4096' is above the highest vCPU, 4095"),
    ('0-4096', "'0-4096' is above the highest vCPU, 4095"),
    ('18446744073709551616', 'is above the highest vCPU'),
])
def test_vcpu_list_refused(run, text, cause):
    result = run('enable', 'web1', f'--vcpu={text}')
    assert result.returncode == 2
    assert f"--vcpu '{text}'" in result.stderr
    assert cause in result.stderr
    assert '0,2-3' in result.stderr


@pytest.mark.parametrize('option, value, cause', [
    ('--interval', '0', 'must be 0.1 to 3600'),
    ('--interval', '0.09', 'must be 0.1 to 3600'),
    ('--interval', '3600.1', 'must be 0.1 to 3600'),
    ('--interval', '99999999999999999999999', 'must be 0.1 to 3600'),
    ('--interval', '1s', 'is no number of seconds'),
    ('--interval', '', 'is no number of seconds'),
    ('--interval', '.', 'is no number of seconds'),
    ('--interval', '1,5', 'is no number of seconds'),
    ('--interval', '-1', 'is no number of seconds'),
    ('--interval', 'nan', 'is no number of seconds'),
    ('--count', '0', 'must be 1 to 1000000000'),
    ('--count', '1000000001', 'must be 1 to 1000000000'),
    ('--count', '-1', 'is no whole number'),
    ('--count', '1.5', 'is no whole number'),
    ('--count', '', 'is no whole number'),
])
def test_top_values_refused(run, option, value, cause):
    result = run('top', f'{option}={value}')
    assert result.returncode == 2
    assert f"{option} '{value}': {cause}" in result.stderr


def test_full_disk_is_a_failure(apfctl_path, environment):
    import subprocess
    with open('/dev/full', 'w', encoding='utf-8') as full:
        result = subprocess.run([apfctl_path, '--help'], env=environment, stdout=full,
                                stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1
    assert 'No space left on device' in result.stderr
