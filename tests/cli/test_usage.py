# SPDX-License-Identifier: GPL-2.0
"""The command line itself: nothing here needs an apfd."""

import pathlib
import signal
import time

import pytest

import facts

VERBS = ['list', 'status', 'enable', 'disable', 'on', 'off', 'auto', 'set', 'forget', 'why', 'top',
         'monitor', 'metrics', 'reload', 'doctor', 'policy-replay', 'help']


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


def test_help_verb_is_help_option(run):
    assert run('help').stdout == run('--help').stdout
    for verb in VERBS:
        result = run('help', verb)
        assert (result.returncode, result.stdout) == (0, run(verb, '--help').stdout)
    result = run('help', 'lits')
    assert (result.returncode, result.stdout) == (2, '')
    assert result.stderr == ("apfctl: help: unknown verb 'lits' (did you mean 'list'?); "
                             'see apfctl help\n')


def test_help_lists_only_own_options(run):
    assert '--vcpu' not in run('list', '--help').stdout
    assert '--vcpu LIST' in run('enable', '--help').stdout


def test_hidden_verbs_are_hidden(run):
    assert '__' not in run('--help').stdout
    assert '__' not in run('__tble').stderr.replace("'__tble'", '')


VERSION = (pathlib.Path(__file__).resolve().parents[2] / 'VERSION').read_text().strip()


def test_version_without_apfd(run):
    """It never fails, and asks nothing to be started."""
    result = run('--version')
    assert (result.returncode, result.stderr) == (0, '')
    module = pathlib.Path('/sys/module/apf_host')
    loaded = (module / 'version').read_text().strip() if module.exists() else '(not loaded)'
    assert result.stdout == f'apfctl {VERSION}\napfd (not running)\napf_host {loaded}\n'


def test_version_without_bus(run, tmp_path):
    result = run('--version', env={'DBUS_SYSTEM_BUS_ADDRESS': f'unix:path={tmp_path}/none'})
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.startswith(f'apfctl {VERSION}\napfd (cannot be reached)\n')


def test_version_of_all(run, empty_apfd):
    def version():
        """apfctl waits for two seconds only, which a machine that stands still takes from the mock."""
        for _try in range(3):
            result = run('--version')
            if 'no answer' not in result.stdout:
                break
        return result

    empty_apfd.set_host(dict(facts.HOST, Version='1.2.3', HostModuleVersion='4.5.6\x1b'))
    result = version()
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout == f'apfctl {VERSION}\napfd 1.2.3\napf_host 4.5.6\\x1b\n'
    # What apfd says of its host counts, not this kernel.
    empty_apfd.set_host(dict(facts.HOST_ABSENT, Version='1.2.3'))
    assert version().stdout.endswith('\napf_host (not loaded)\n')


def test_version_of_an_apfd_that_hangs(run, empty_apfd):
    empty_apfd.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    result = run('--version')
    assert (result.returncode, result.stdout.splitlines()[1]) == (0, 'apfd (no answer)')
    assert 1.5 < time.monotonic() - started < 10


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
    (['metrics', 'web1'], ["metrics: unexpected argument 'web1'"]),
    (['help', 'list', 'top'], ["help: unexpected argument 'top'"]),
    (['why'], ['why: VM is missing', 'apfctl why VM... [--json] [--all]']),
    (['enable'], ['enable: VM is missing', 'apfctl enable VM...']),
    (['set'], ['set: VM is missing', 'apfctl set VM... MODE']),
    (['set', 'web1'], ['set: MODE is missing']),
    (['set', '--all'], ['set: MODE is missing']),
    (['set', '--all', 'web1', 'off'], ["set: 'web1' and --all exclude each other"]),
    (['list', '--all', 'web1'], ["list: 'web1' and --all exclude each other"]),
    (['top', '--json', '--csv'], ['top: --json and --csv exclude each other']),
    (['list', '--state=onn'], ["--state 'onn': 'onn' is not a state (on, pv, off, mixed, unknown)",
                               "did you mean 'on'?"]),
    (['list', '--state=on,'], ["--state 'on,': '' is not a state"]),
    (['list', '--sort=nmae'], ["list: --sort 'nmae' is not a column (did you mean 'name'?); use "
                               'name, id, state, mode, vcpus, swapped, pressure, saved, pid or uuid']),
    (['list', '--sort='], ["list: --sort '' is not a column"]),
    (['list', '--sort=--name'], ["list: --sort '-name' is not a column"]),
    (['top', '--sort=uuid'], ["top: --sort 'uuid' is not a column"]),
    (['top', '--sort', '\x1b[2J'], ["'\\x1b[2J' is not a column"]),
    (['monitor', '--event=decided,gate'], ["--event 'decided,gate': 'gate' is not an event",
                                           "'gate-changing' or 'gate-changed'"]),
    (['monitor', '--event='], ["--event '': '' is not an event"]),
    (['list', '--event=decided'], ['--event is only for monitor']),
    (['monitor', '--sort=name'], ['--sort is only for list and top']),
    (['top', '--no-legend'], ['--no-legend is only for list']),
    (['reload', '--all'], ['--all is only for list, status, enable']),
    (['status', ''], ['status: VM is empty']),
    (['set', 'web1', 'onn'], ["'onn' is not a mode", "did you mean 'on'?",
                              'auto, on, pv, off or default']),
    (['set', 'web1', 'ON'], ["'ON' is not a mode"]),
    (['set', 'web1', 'defualt'], ["did you mean 'default'?"]),
    (['list', '--vcpu', '1'], ['list: --vcpu is only for enable, disable, on, off, auto and set']),
    (['top', '--persistent'], ['--persistent is only for enable, disable, on, off, auto and set']),
    (['enable', 'web1', '--json'],
     ['enable: --json is only for list, status, why, top, monitor, recall, doctor and policy-replay']),
    (['reload', 'web1'], ["unexpected argument 'web1'"]),
    (['list', '-H'], ['--host needs a value, HOST']),
    (['list', '--host='], ["--host '': is not a host"]),
    (['status', 'web1', '--count', '1'], ['--count is only for top and monitor']),
    (['monitor', 'web1', ''], ['monitor: VM is empty; usage: apfctl monitor [VM...]']),
    (['monitor', '--interval', '1'], ['--interval is only for top']),
    (['moniter'], ["did you mean 'monitor'?"]),
    (['reload', 'x\x1b[2J'], ['\\x1b[2J']),
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
    ('a', "'a' is not a vCPU number"),
    ('-1', "'-1' is not a vCPU number"),
    ('+1', "'+1' is not a vCPU number"),
    (' 1', "' 1' is not a vCPU number"),
    ('1 ', "'1 ' is neither"),
    ('0x1', "'0x1' is neither"),
    ('0;1', "'0;1' is neither"),
    ('3-', "'3-' is a range without a last vCPU"),
    ('3-x', "'3-x' is a range without a last vCPU"),
    ('3-1', "'3-1' is a range whose end is before its start"),
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
    ('--interval', '1s', 'is not a number of seconds'),
    ('--interval', '', 'is not a number of seconds'),
    ('--interval', '.', 'is not a number of seconds'),
    ('--interval', '1,5', 'is not a number of seconds'),
    ('--interval', '-1', 'is not a number of seconds'),
    ('--interval', 'nan', 'is not a number of seconds'),
    ('--count', '0', 'must be 1 to 1000000000'),
    ('--count', '1000000001', 'must be 1 to 1000000000'),
    ('--count', '-1', 'is not a whole number'),
    ('--count', '1.5', 'is not a whole number'),
    ('--count', '', 'is not a whole number'),
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
