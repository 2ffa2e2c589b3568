# SPDX-License-Identifier: GPL-2.0
"""The completion scripts as built, run by their shells."""

import os
import shutil
import subprocess

import pytest

import facts


VERBS = ['list', 'status', 'enable', 'disable', 'on', 'off', 'auto', 'set', 'forget', 'why', 'top',
         'monitor', 'recall', 'metrics', 'reload', 'doctor', 'policy-replay', 'help']


@pytest.fixture
def shell_environment(apfctl_path, environment, tmp_path):
    hosts = tmp_path / 'hosts'
    hosts.write_text('192.0.2.1 kvm-host1\n192.0.2.2 kvm-host2\n')
    return dict(environment, PATH=f'{apfctl_path.parent}:{os.environ["PATH"]}',
                HOSTFILE=str(hosts))


@pytest.fixture
def scripts(apfctl_path):
    directory = apfctl_path.parent / 'completion'
    assert (directory / 'apfctl').is_file(), 'the completion scripts are not built'
    return directory


@pytest.fixture
def bash_complete(scripts, shell_environment):
    def complete(*words):
        code = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _apfctl; '
                'printf "%s\\n" "${COMPREPLY[@]}"')
        result = subprocess.run(['bash', '--norc', '-c', code, 'bash', scripts / 'apfctl',
                                 'apfctl', *words], env=shell_environment, capture_output=True,
                                text=True, check=True, timeout=30)
        assert result.stderr == ''
        return result.stdout.split('\n')[:-1] if result.stdout != '\n' else []

    return complete


def test_bash_verbs_and_options(bash_complete):
    assert bash_complete('') == VERBS
    assert bash_complete('st') == ['status']
    assert bash_complete('--v') == ['--version', '--vcpu']
    assert bash_complete('list', '--') == ['--help', '--version', '--no-ask-password', '--host',
                                           '--json', '--stored', '--all', '--state', '--sort',
                                           '--no-legend']
    assert '--vcpu' in bash_complete('enable', 'web1', '--')
    assert bash_complete('nonsense', '') == []


def test_bash_vms_and_states(bash_complete, apfd):
    assert bash_complete('status', '') == ['web1', 'web2']
    assert bash_complete('enable', 'web1') == ['web1']
    assert bash_complete('--vcpu', '0', 'set', 'w') == ['web1', 'web2']
    assert bash_complete('why', 'w') == ['web1', 'web2']
    assert bash_complete('doctor', 'web1', '') == ['web1', 'web2']
    # After the first VM comes another one, or the mode.
    assert bash_complete('set', 'web1', '') == ['web1', 'web2', 'auto', 'on', 'pv', 'off', 'default']
    assert bash_complete('set', 'web1', 'web2', 'o') == ['on', 'off']
    assert bash_complete('set', '--all', 'o') == ['on', 'off']
    assert bash_complete('enable', '--all', '') == []
    assert bash_complete('status', 'web1', '') == ['web1', 'web2']
    assert bash_complete('reload', '') == []
    assert bash_complete('help', 'o') == ['on', 'off']
    assert bash_complete('help', 'off', '') == []
    assert bash_complete('monitor', '') == ['web1', 'web2']
    assert bash_complete('monitor', 'web1', 'web2', '--json', 'w') == ['web1', 'web2']
    assert bash_complete('list', '') == ['web1', 'web2']
    assert bash_complete('metrics', '') == []
    assert bash_complete('enable', '--vcpu', '') == []


def test_bash_stored(bash_complete, empty_apfd):
    empty_apfd.store([{'File': 'a.vm', 'Name': 'gone'}, {'File': 'bad.vm'},
                      {'File': 'c.vm', 'Name': 'runs', 'Running': True}])
    assert bash_complete('forget', '') == ['gone', 'bad.vm']
    assert bash_complete('forget', 'bad.vm', 'g') == ['gone']
    assert bash_complete('-H', 'kvm1', 'forget', '') == []


def test_bash_values_of_options(bash_complete):
    assert bash_complete('list', '--state', '') == ['on', 'pv', 'off', 'mixed', 'unknown']
    # As bash itself makes words of it.
    assert bash_complete('list', '--state', '=', 'on,of') == ['on,off']
    assert bash_complete('list', '--state', '=') == ['on', 'pv', 'off', 'mixed', 'unknown']
    assert bash_complete('list', '--sort', 'u') == ['uuid']
    assert bash_complete('top', '--sort', 's') == ['state', 'swapped', 'sync', 'stalled', 'saved']
    assert bash_complete('monitor', '--event', 'vm-added,gate-changed,pool-r') == [
        'vm-added,gate-changed,pool-returned']
    assert bash_complete('top', '--interval', '') == []


def test_bash_asks_no_other_host(bash_complete, apfd):
    """ssh could ask for a password where nobody sees it."""
    assert bash_complete('-H', 'kvm1', 'status', '') == []
    assert bash_complete('--host=kvm1', 'status', '') == []
    # As bash itself makes words of it.
    assert bash_complete('--host', '=', 'kvm1', 'st') == ['status']
    assert bash_complete('--host', '=', 'kvm1', 'status', '') == []
    assert sorted(bash_complete('--host', '=', 'kvm-')) == ['kvm-host1', 'kvm-host2']
    assert sorted(bash_complete('--host', '=')) == ['kvm-host1', 'kvm-host2']
    assert bash_complete('set', '--vcpu', '=', '0', 'web1', 'of') == ['off']
    assert bash_complete('-H', 'kvm1', 'st') == ['status']
    assert sorted(bash_complete('-H', 'kvm-')) == ['kvm-host1', 'kvm-host2']
    assert bash_complete('list', '--host', 'kvm-host1') == ['kvm-host1']


def test_bash_quotes_odd_names(bash_complete, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='my $HOME vm'))
    assert bash_complete('status', '') == ['my\\ \\$HOME\\ vm']
    assert bash_complete('status', 'my\\ ') == ['my\\ \\$HOME\\ vm']


def test_bash_is_silent_without_apfd(bash_complete):
    assert bash_complete('status', '') == []


@pytest.mark.skipif(not shutil.which('fish'), reason='fish is not installed')
def test_fish(scripts, shell_environment, apfd, tmp_path):
    def complete(line):
        result = subprocess.run(
            ['fish', '--no-config', '-c',
             f'source {scripts}/apfctl.fish; complete -C "{line}"'],
            env=dict(shell_environment, HOME=str(tmp_path)), capture_output=True, text=True,
            check=True, timeout=30)
        return [row.split('\t')[0] for row in result.stdout.splitlines()]

    assert sorted(complete('apfctl ')) == sorted(VERBS)
    assert complete('apfctl status ') == ['web1', 'web2']
    assert complete('apfctl reload ') == []
    assert complete('apfctl list --sort pres') == ['pressure']
    assert 'vm-added' in complete('apfctl monitor --event vm-')
    assert complete('apfctl help stat') == ['status']
    assert complete('apfctl monitor web1 web2 ') == ['web1', 'web2']
    assert sorted(complete('apfctl set web1 ')) == ['auto', 'default', 'off', 'on', 'pv', 'web1',
                                                    'web2']
    assert '--vcpu' in complete('apfctl enable --')
    assert '--vcpu' not in complete('apfctl list --')


@pytest.mark.skipif(not shutil.which('zsh'), reason='zsh is not installed')
def test_zsh(scripts, shell_environment, apfd, tmp_path):
    """zsh only completes at a terminal: one is made, TAB is pressed, what it offers is read."""
    import pty
    import select
    import time
    env = dict(shell_environment, HOME=str(tmp_path), ZDOTDIR=str(tmp_path), TERM='dumb')
    (tmp_path / '.zshrc').write_text(
        f'fpath=({scripts} $fpath); autoload -U compinit; compinit -u; PS1="READY> "\n'
        'setopt list_ambiguous no_always_last_prompt; LISTMAX=1000; bindkey "^I" complete-word\n')
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe('zsh', ['zsh', '-i'], env)

    def read_until(word):
        text = ''
        end = time.monotonic() + 20
        while word not in text:
            assert time.monotonic() < end, f'{word!r} not in {text!r}'
            if select.select([fd], [], [], 0.1)[0]:
                text += os.read(fd, 65536).decode(errors='replace')
        return text

    try:
        read_until('READY> ')
        os.write(fd, b'apfctl sta\t')
        read_until('apfctl status ')
        os.write(fd, b'we\t')
        read_until('web')
        os.write(fd, b'\t')
        assert 'web2' in read_until('web2')
        # Any number of VMs.
        os.write(fd, b'\x15apfctl monitor web1 web2 w\t\t')
        read_until('web1  web2')
        os.write(fd, b'\x15apfctl set web1 de\t')
        read_until('default ')
        os.write(fd, b'\x15apfctl list --sort=pre\t')
        read_until('--sort=pressure')
        os.write(fd, b'\x15apfctl list --state=on,mi\t')
        read_until('--state=on,mixed')
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(fd)
