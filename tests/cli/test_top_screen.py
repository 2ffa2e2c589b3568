# SPDX-License-Identifier: GPL-2.0
"""apfctl top on a whole terminal: what a person does and sees there."""

import os
import signal
import time

import pytest

import facts
from mock_apfd import VM, MockApfd
from tmux import PATIENCE_SEC, Tmux

UUID = '5a7e0f3c-0000-4a00-8000-00000000000{}'


def vm(number, **given):
    return facts.vm(Name=f'vm{number}', UUID=UUID.format(number), **given)


@pytest.fixture
def terminal(apfctl_path, environment, tmp_path):
    made = []

    def start(*args, columns=80, rows=24, env=None):
        made.append(Tmux(tmp_path, {**environment, **(env or {})}, columns, rows))
        made[-1].run(apfctl_path, 'top', *args)
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def three(empty_apfd):
    """vm1 stalls most, vm2 swaps most, vm3 has most on swap."""
    empty_apfd.add_vm(vm(1, StallRatio=0.5, SyncRate=9.0, SwappedBytes=1 << 20, Mode='on'))
    empty_apfd.add_vm(vm(2, StallRatio=0.1, AsyncRate=500.0, SwappedBytes=2 << 20, Mode='auto'))
    empty_apfd.add_vm(vm(3, SwappedBytes=3 << 20, Mode='off', AsyncHistogram=facts.histogram(
        {12: 10, 13: 40}), SyncHistogram=facts.histogram({14: 20})))
    return empty_apfd


def names(text):
    return [line[1:].split()[0] for line in text.split('\n')[2:] if line[1:].startswith('vm')]


def in_order(terminal, *wanted):
    terminal.wait(lambda text: names(text) == list(wanted), f'the order {wanted}')


def chosen(terminal, name):
    terminal.wait_for(rf'^>{name} ')


def process_of(terminal):
    """apfctl's process: the child of the window's shell."""
    shell = int(terminal.format('pane_pid'))
    return int(open(f'/proc/{shell}/task/{shell}/children', encoding='ascii').read().split()[0])


def test_sorts(terminal, three):
    top = terminal()
    in_order(top, 'vm1', 'vm2', 'vm3')
    top.wait_for('^3 VMs by STALLED, falling')
    # The same key turns it round, and so does r.
    top.keys('W')
    in_order(top, 'vm3', 'vm2', 'vm1')
    top.wait_for('^3 VMs by SWAPPED, falling')
    top.keys('W')
    in_order(top, 'vm1', 'vm2', 'vm3')
    top.wait_for('^3 VMs by SWAPPED, rising')
    top.keys('r')
    in_order(top, 'vm3', 'vm2', 'vm1')
    # The next columns to the right, also one that the screen has no room for; and back over the
    # first to the last.
    top.keys('>')
    top.wait_for('^3 VMs by OUT/S, falling')
    top.keys('>')
    top.wait_for('^3 VMs by ASYNC/S, falling')
    in_order(top, 'vm2', 'vm1', 'vm3')
    top.keys('N')
    top.wait_for('^3 VMs by NAME, rising')
    top.keys('Left')
    top.wait_for('^3 VMs by GUEST, falling')
    for key, column in zip('SMOAY59TKVPG', ('STATE', 'MODE', 'OUT/S', 'ASYNC/S', 'SYNC/S', 'P50', 'P95',
                                            'STALLED', 'PEAK', 'SAVED', 'PRESSURE')):
        top.keys(key)
        top.wait_for(f'^3 VMs by {column}, ')


def test_begins_as_told(terminal, three):
    top = terminal('--sort=-swapped', 'vm[13]', '--interval=0.1')
    top.wait_for('^2 VMs by SWAPPED, rising')
    in_order(top, 'vm1', 'vm3')
    # Of the VMs that start later, only those that match.
    three.add_vm(vm(4, SwappedBytes=9 << 20))
    three.remove_vm('/org/apfd/vm/' + UUID.format(1).replace('-', '_'))
    top.wait_for('^1 VM by SWAPPED, rising')
    in_order(top, 'vm3')


def test_the_choice_goes_with_its_vm(terminal, three):
    top = terminal('--interval=0.1')
    chosen(top, 'vm1')
    top.keys('Down')
    chosen(top, 'vm2')
    top.keys('W')
    chosen(top, 'vm2')
    top.keys('End')
    chosen(top, 'vm1')
    # It ends: its neighbour is chosen.
    three.remove_vm('/org/apfd/vm/' + UUID.format(1).replace('-', '_'))
    top.wait_for('^2 VMs')
    chosen(top, 'vm2')
    # A new one does not take the choice away.
    three.add_vm(vm(4, SwappedBytes=9 << 20))
    in_order(top, 'vm4', 'vm3', 'vm2')
    chosen(top, 'vm2')


def test_scrolls(terminal, empty_apfd):
    for number in range(10):
        empty_apfd.add_vm(vm(number))
    top = terminal('--interval=60', rows=8)
    in_order(top, 'vm0', 'vm1', 'vm2', 'vm3')
    for _ in range(5):
        top.keys('Down')
    in_order(top, 'vm2', 'vm3', 'vm4', 'vm5')
    chosen(top, 'vm5')
    top.keys('PageDown')
    chosen(top, 'vm9')
    in_order(top, 'vm6', 'vm7', 'vm8', 'vm9')
    top.keys('Home')
    in_order(top, 'vm0', 'vm1', 'vm2', 'vm3')


def test_vcpus_of_a_vm(terminal, empty_apfd):
    path = empty_apfd.add_vm(facts.WEB1, facts.WEB1_VCPUS)
    top = terminal('--interval=0.1')
    top.wait_for('^>web1 ')
    top.keys('Enter')
    top.wait_for('^web1: 2 vCPUs by VCPU, rising')
    top.wait_for(r'^>   0  on +user +3 +0 +0 +0 % +0 % +1090 +10$')
    top.wait_for(r'^    1  off +always +0 +0 +0 +0 % +0 % +0 +200$')
    top.keys('C')
    top.wait_for('^web1: 2 vCPUs by SYNC, falling')
    top.wait(lambda text: text.split('\n')[2].split()[:2] in (['1', 'off'], ['>', '1']),
             'vCPU 1 above')
    # Rates come from two looks.
    vcpus = [dict(facts.WEB1_VCPUS[0]), dict(facts.WEB1_VCPUS[1])]
    vcpus[1]['Counters'] = dict(vcpus[1]['Counters'], Ready=987654321)
    empty_apfd.answer_growing(path, 'GetVCPUs', vcpus, 987654321)
    top.wait_for(r'^.+1  off +always +0 +[1-9]\d{5,} ')
    assert top.wait_for(r'^.+0  on +user +3 +0 +0 ')
    top.keys('Escape')
    top.wait_for('^1 VM by STALLED')


def test_vcpus_that_come_and_go(terminal, empty_apfd):
    """Of a VM that is just being made there are none yet."""
    path = empty_apfd.add_vm(facts.WEB1, [])
    top = terminal('--interval=0.2')
    top.wait_for('^>web1 ')
    top.keys('Enter')
    top.wait_for('^web1: 0 vCPUs')
    for vcpus in (facts.WEB1_VCPUS, [], facts.WEB1_VCPUS[:1], facts.WEB1_VCPUS):
        empty_apfd.answer_growing(path, 'GetVCPUs', vcpus, 987654321)
        top.wait_for(f'^web1: {len(vcpus)} vCPU')
        top.keys('Down')


def test_without_vcpu_figures(terminal, empty_apfd):
    path = empty_apfd.add_vm(vm(1))
    empty_apfd.fail(path, VM, 'GetVCPUs', 'org.apfd.Error.NotWatched', 'not now')
    top = terminal('--interval=0.1')
    chosen(top, 'vm1')
    top.keys('Enter')
    top.wait_for('apfd has no figures for the vCPUs')
    top.keys('q')
    chosen(top, 'vm1')


def test_latency_as_bars(terminal, three):
    top = terminal()
    chosen(top, 'vm1')
    top.keys('l')
    top.wait_for('no page was swapped in yet')
    top.keys('BSpace', 'End', 'l')
    top.wait_for('^vm3: latency of swap-ins')
    text = top.wait(lambda text: '#' in text and text, 'bars')
    bars = {line.split('ms')[0].strip(): line.count('#') for line in text.split('\n') if '#' in line}
    first, longest = list(bars.values())[:2]
    assert 0 < 3 * first < longest <= 5 * first
    top.resize(200, 50)
    top.wait(lambda text: text.count('#') > 2 * sum(bars.values()), 'wider bars')


def test_follows_the_size_of_the_window(terminal, empty_apfd):
    for number in range(10):
        empty_apfd.add_vm(facts.vm(Name=f'vm{number}-' + 30 * 'x', UUID=UUID.format(number)))
    top = terminal('--interval=0.2')
    top.wait_for('^ vm9')
    assert len(top.lines) == 24
    assert 'P50' not in top.lines[2] and 'STALLED' in top.lines[2]
    for columns, rows in ((200, 50), (80, 24), (20, 5), (8, 2), (1, 1), (20, 5), (200, 50)):
        top.resize(columns, rows)
        if columns >= 20:
            top.wait(lambda text: text.startswith('10 VMs') and '\n>vm0' in text,
                     f'the table at {columns}x{rows}')
            shown = min(10, rows - 4)
            top.wait(lambda text: len(names(text)) == shown, f'{shown} rows')
            top.wait_for(r'^q quit  \? help')
    assert top.lines[1] == facts.HOST_LINE
    assert top.lines[2].split() == ['NAME', 'STATE', 'MODE', 'SWAPPED', 'OUT/S', 'ASYNC/S', 'SYNC/S', 'P50',
                                    'P95', 'STALLED', 'PEAK', 'SAVED', 'PRESSURE', 'GUEST']
    assert 30 * 'x' in top.text


def test_survives_restarts_of_apfd(terminal, bus, empty_apfd):
    empty_apfd.add_vm(vm(1))
    top = terminal('--interval=0.2')
    chosen(top, 'vm1')
    top.keys('N')
    for number in (2, 3):
        empty_apfd.process.kill()
        top.wait_for('^apfd is not running, waiting')
        # What was seen last stays.
        chosen(top, 'vm1')
        empty_apfd.process.wait(timeout=10)
        second = MockApfd(bus, 'org.apfd.Starting')
        second.set_host(facts.HOST)
        second.add_vm(vm(1))
        second.add_vm(vm(number))
        second.claim()
        top.wait_for('^2 VMs by NAME')
        in_order(top, 'vm1', f'vm{number}')
        top.wait(lambda text: 'not running' not in text, 'the end of the notice')
        empty_apfd.process = second.process
        second.connection.close()


def test_bus_that_ends_is_told_on_the_usual_screen(terminal, tmp_path, empty_apfd):
    """The way to apfd is gone for good, for instance ssh's."""
    top = terminal()
    top.wait_for('^0 VMs')
    pid = process_of(top)
    # Its connection, from within: the bus of all tests goes on.
    import socket
    fds = [fd for fd in os.listdir(f'/proc/{pid}/fd')
           if os.readlink(f'/proc/{pid}/fd/{fd}').startswith('socket:')]
    assert len(fds) == 1
    pidfd = os.pidfd_open(pid)
    copy = pidfd_getfd(pidfd, int(fds[0]))
    with socket.socket(fileno=copy) as connection:
        connection.shutdown(socket.SHUT_RDWR)
    os.close(pidfd)
    top.wait_for('^apfctl: top: the system bus closed the connection; is D-Bus running')
    assert top.format('alternate_on') == '0'


def pidfd_getfd(pidfd, fd):
    import ctypes
    result = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, fd, 0)
    if result < 0:
        pytest.skip(f'pidfd_getfd: {os.strerror(ctypes.get_errno())}')
    return result


def test_switches(terminal, three):
    path = '/org/apfd/vm/' + UUID.format(1).replace('-', '_')
    top = terminal('--interval=0.2')
    chosen(top, 'vm1')
    for key, question in (('e', 'Set vm1 to on'), ('d', 'Set vm1 to off'), ('a', 'Set vm1 to auto')):
        top.keys(key)
        top.wait_for(rf'^{question}\? y/n')
        top.keys('n')
        top.wait_for('^not changed')
        top.keys(key)
        top.wait_for(rf'^{question}\? y/n')
        top.keys('y')
        top.wait_for('^done')
    assert three.calls(path, 'SetState') == [['on', []], ['off', []]]
    assert three.calls(path, 'SetMode') == [['auto', [], False]]


def test_switches_one_vcpu(terminal, empty_apfd):
    path = empty_apfd.add_vm(facts.WEB1, facts.WEB1_VCPUS)
    top = terminal('--interval=0.2')
    top.wait_for('^>web1 ')
    top.keys('Enter')
    top.wait_for('^>   0  on ')
    top.keys('Down', 'd')
    top.wait_for(r'^Set vCPU 1 of web1 to off\? y/n')
    top.keys('y')
    top.wait_for('^done')
    assert empty_apfd.calls(path, 'SetState') == [['off', [1]]]


def test_says_that_automatic_control_ends(terminal, empty_apfd):
    """web1 is automatic, its vCPU 1 is not."""
    empty_apfd.add_vm(facts.WEB1, facts.WEB1_VCPUS)
    top = terminal('--interval=0.2')
    top.wait_for('^>web1 ')
    top.keys('d')
    top.wait_for(r'^Set web1 to off \(ends automatic control\)\? y/n')
    top.keys('n', 'a')
    top.wait_for(r'^Set web1 to auto\? y/n')
    top.keys('n', 'Enter')
    top.wait_for('^>   0  on ')
    top.keys('e')
    top.wait_for(r'^Set vCPU 0 of web1 to on \(ends automatic control\)\? y/n')
    top.keys('n', 'Down', 'e')
    top.wait_for(r'^Set vCPU 1 of web1 to on\? y/n')


def test_a_question_outlives_a_new_size(terminal, three):
    path = '/org/apfd/vm/' + UUID.format(1).replace('-', '_')
    top = terminal('--interval=0.2')
    chosen(top, 'vm1')
    top.keys('d')
    top.wait_for(r'^Set vm1 to off\? y/n')
    top.resize(100, 30)
    top.wait(lambda text: len(text.rstrip('\n').split('\n')) == 30 and 'Set vm1 to off? y/n' in text, 'the new size')
    top.keys('y')
    top.wait_for('^done')
    assert three.calls(path, 'SetState') == [['off', []]]


def test_a_refusal_is_shown_and_it_goes_on(terminal, three):
    path = '/org/apfd/vm/' + UUID.format(1).replace('-', '_')
    three.fail(path, VM, 'SetState',
               'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired', 'a password is needed')
    top = terminal('--interval=0.2')
    chosen(top, 'vm1')
    top.keys('d', 'y')
    top.wait_for("^not allowed without a password; 'apfctl set' asks for it$")
    # A long one takes more lines, until the next key.
    three.fail(path, VM, 'SetState', 'org.apfd.Error.Failed', 10 * 'words and ' + 'the end')
    top.keys('d', 'y')
    top.wait(lambda text: "the end; see 'journalctl -u apfd'" in text.replace('\n', '') and
             text.split('\n')[-4].startswith('top vm1: words'), 'the whole message')
    top.keys('Up')
    top.wait(lambda text: 'words' not in text, 'its end')
    chosen(top, 'vm1')
    top.keys('W')
    in_order(top, 'vm3', 'vm2', 'vm1')


def test_a_question_about_a_vm_that_ends_is_dropped(terminal, three):
    """A yes that comes too late must not be one to its neighbour."""
    top = terminal('--interval=0.2')
    chosen(top, 'vm1')
    top.keys('d')
    top.wait_for(r'^Set vm1 to off\? y/n')
    three.remove_vm('/org/apfd/vm/' + UUID.format(1).replace('-', '_'))
    top.wait_for('^the VM has ended')
    chosen(top, 'vm2')
    top.keys('y')
    top.wait(lambda text: 'the VM has ended' not in text, 'the key')
    for number in (2, 3):
        path = '/org/apfd/vm/' + UUID.format(number).replace('-', '_')
        assert three.calls(path, 'SetState') == []


def test_help_tells_every_key(terminal, three):
    top = terminal(rows=40)
    chosen(top, 'vm1')
    top.keys('?')
    top.wait_for('^apfctl top: keys')
    for line in ('Enter +vCPUs of', 'r +reverse', 'W +sort by SWAPPED', 'G +sort by GUEST'):
        top.wait_for(rf'^ {line}')
    top.resize(20, 5)
    top.wait(lambda text: 'Up, Down' in text and 'sort' not in text, 'its beginning')
    top.keys('End')
    top.wait_for(r'^ G\b')
    top.keys('q')
    top.wait_for('^3 VMs')


@pytest.mark.parametrize('colour', [True, False])
def test_colour_is_never_the_only_sign(terminal, three, colour):
    top = terminal('--interval=60', env={} if colour else {'NO_COLOR': '1'})
    chosen(top, 'vm1')
    green = any(code in top.styled for code in ('\x1b[32m', ';32m'))
    assert green == colour
    assert 'on' in top.lines[3].split()


def test_names_cannot_steer_the_terminal(terminal, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='vm\x1b[2J\n東京', UUID=UUID.format(1)))
    top = terminal()
    top.wait_for(r'^>vm\\x1b\[2J\\x0a東京 +on ')
    top.keys('l')
    top.wait_for(r'^vm\\x1b\[2J\\x0a東京: latency')


def settings(terminal):
    """The terminal's modes, as stty has them."""
    import subprocess
    tty = terminal.format('pane_tty')
    return subprocess.run(['stty', '-a', '-F', tty], capture_output=True, text=True,
                          check=True).stdout


@pytest.mark.parametrize('how', ['q', 'C-c', 'C-\\', signal.SIGTERM, signal.SIGINT, signal.SIGQUIT,
                                 signal.SIGSEGV, signal.SIGABRT])
def test_gives_the_terminal_back(terminal, three, environment, how):
    top = terminal()
    chosen(top, 'vm1')
    assert top.format('alternate_on') == '1'
    during = settings(top)
    assert '-icanon' in during
    if isinstance(how, str):
        top.keys(how)
    else:
        os.kill(process_of(top), how)
    # What was there before is back, with what is typed now.
    top.wait(lambda text: text.count('READY>') >= 2 and 'VMs by' not in text, 'the shell again')
    assert (top.format('alternate_on'), top.format('cursor_flag')) == ('0', '1')
    top.type('stty -a | grep -c -e " icanon.* echo "; echo status $?')
    top.keys('Enter')
    top.wait_for('^status 0')


def test_terminal_that_goes_ends_it(terminal, three):
    top = terminal()
    chosen(top, 'vm1')
    pid = process_of(top)
    top.tmux('kill-server')
    end = time.monotonic() + PATIENCE_SEC
    while os.path.exists(f'/proc/{pid}'):
        assert time.monotonic() < end, 'it goes on without a terminal'
        time.sleep(0.05)


def test_stopped_and_continued(terminal, three):
    top = terminal('--interval=0.2')
    chosen(top, 'vm1')
    top.keys('C-z')
    top.wait_for('Stopped')
    assert top.format('alternate_on') == '0'
    three.add_vm(vm(4))
    top.run('fg')
    top.wait_for('^4 VMs by STALLED')
    assert top.format('alternate_on') == '1'


@pytest.mark.parametrize('args, env', [(['--count=2', '--interval=0.1'], {}),
                                       (['--json', '--count=1'], {}),
                                       (['--interval=0.1'], {'TERM': 'no-such-terminal'})])
def test_plain_where_no_screen_is_wanted(apfctl_path, terminal, three, args, env):
    # tmux sets TERM itself.
    top = terminal(*args) if not env else terminal('--count=1')
    if env:
        top.wait_for('^READY>$')
        top.run('env', *(f'{k}={v}' for k, v in env.items()), apfctl_path, 'top', *args)
        top.wait(lambda text: text.count('NAME') >= 2, 'several tables')
        top.keys('C-c')
    top.wait_for('READY>$' if '--json' in args else '^vm1 ')
    assert top.format('alternate_on') == '0'
