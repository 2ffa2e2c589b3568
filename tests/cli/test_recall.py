# SPDX-License-Identifier: GPL-2.0
"""apfctl recall: what it asks apfd for, what it shows of the progress, how it ends."""

import json
import signal
import subprocess
import time

import dbus
import pytest

from mock_apfd import VM
from tmux import Tmux

RECALL, PATH = 'org.apfd.Recall1', '/org/apfd/recall/7'
MIB = 1 << 20
UNLIMITED = 2**64 - 1


class Recalls:
    """A mock whose recalls go on as a test says."""

    def __init__(self, apfd):
        self.apfd = apfd
        for vm in (apfd.web1, apfd.web2):
            apfd.object(vm).AddMethod(VM, 'Recall', 'a{sv}', 'o', f'ret = dbus.ObjectPath({PATH!r})')
        apfd.object('/org/apfd').AddObject(
            PATH, RECALL, dbus.Dictionary({'State': dbus.String('running')}, signature='sv'),
            dbus.Array([('Cancel', '', '', '')], signature='(ssss)'))

    def begun(self, vm, n=1):
        """The options of the @n-th call."""
        wait_for(lambda: len(self.apfd.object(vm).GetMethodCalls('Recall')) >= n)
        [options] = self.apfd.object(vm).GetMethodCalls('Recall')[n - 1][1]
        return {str(k): int(v) for k, v in options.items()}

    def emit(self, interface, name, signature, *args):
        self.apfd.object(PATH).EmitSignal(interface, name, signature, dbus.Array(args, signature='v'))

    def progress(self, total, done, rate, limit=UNLIMITED, slowed=False):
        changed = {'TotalBytes': dbus.UInt64(total), 'DoneBytes': dbus.UInt64(done), 'BytesPerSec': dbus.UInt64(rate),
                   'LimitPerSec': dbus.UInt64(limit), 'Slowed': dbus.Boolean(slowed)}
        self.emit('org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as', RECALL,
                  dbus.Dictionary(changed, signature='sv'), dbus.Array([], signature='s'))

    def finish(self, result='done', total=200 * MIB, done=200 * MIB, text=''):
        self.emit(RECALL, 'Finished', 'stts', result, dbus.UInt64(total), dbus.UInt64(done), text)


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def recalls(apfd):
    return Recalls(apfd)


@pytest.fixture
def begin(apfctl_path, environment):
    started = []

    def popen(*args):
        started.append(subprocess.Popen([apfctl_path, 'recall', *args], env=environment, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return started[-1]

    yield popen
    for process in started:
        process.kill()
        process.communicate()


def end(process):
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@pytest.mark.parametrize('args, options', [
    ([], {}),
    (['--rate', '64M'], {'RatePerSec': 64 * MIB}),
    (['--rate=unlimited'], {'RatePerSec': UNLIMITED}),
    (['--before-migration'], {'RatePerSec': UNLIMITED}),
    (['--before-migration', '--rate', '2G'], {'RatePerSec': 2048 * MIB}),
])
def test_what_is_asked_for_and_the_end(apfd, recalls, begin, args, options):
    process = begin('web1', *args)
    assert recalls.begun(apfd.web1) == options
    recalls.progress(200 * MIB, 58 * MIB, 38 * MIB)
    recalls.finish()
    status, out, err = end(process)
    assert (status, err) == (0, '')
    assert out.startswith('web1: 200.0 MiB of 200.0 MiB brought back from swap in ')
    assert len(out.splitlines()) == 1, 'no bar without a terminal'


def test_lines_of_json(apfd, recalls, begin):
    process = begin('web1', '--json')
    recalls.begun(apfd.web1)
    recalls.progress(200 * MIB, 50 * MIB, 50 * MIB)
    recalls.progress(200 * MIB, 100 * MIB, 0, limit=64 * MIB, slowed=True)
    recalls.finish()
    status, out, err = end(process)
    assert (status, err) == (0, '')
    first, second, last = map(json.loads, out.splitlines())
    assert first == {'vm': 'web1', 'state': 'running', 'total_bytes': 200 * MIB, 'done_bytes': 50 * MIB,
                     'bytes_per_sec': 50 * MIB, 'limit_bytes_per_sec': None, 'slowed': False, 'left_sec': 3.0}
    assert (second['limit_bytes_per_sec'], second['slowed'], second['left_sec']) == (64 * MIB, True, None)
    assert set(last) == {'vm', 'state', 'total_bytes', 'done_bytes', 'elapsed_sec', 'text'}
    assert (last['state'], last['done_bytes'], last['text']) == ('done', 200 * MIB, '')


@pytest.mark.parametrize('result', ['vm-ended', 'no-room'])
def test_early_end_is_no_failure_except_before_a_migration(apfd, recalls, begin, result):
    process = begin('web1')
    recalls.begun(apfd.web1)
    recalls.finish(result, done=MIB, text='the reason')
    status, out, err = end(process)
    assert status == 0 and out.startswith('web1: 1.0 MiB of 200.0 MiB')
    assert err == 'apfctl: note: recall web1: ended early: the reason\n'

    process = begin('web1', '--before-migration')
    recalls.begun(apfd.web1, 2)
    recalls.finish(result, done=MIB, text='the reason')
    status, _, err = end(process)
    assert (status, err) == (1, 'apfctl: recall web1: the reason\n')


def test_failure(apfd, recalls, begin):
    process = begin('web1')
    recalls.begun(apfd.web1)
    recalls.finish('failed', done=0, text='cannot \x1b[2J')
    status, _, err = end(process)
    assert (status, err) == (1, 'apfctl: recall web1: cannot \\x1b[2J\n')


def test_interrupt_cancels_and_no_other_vm_is_recalled(apfd, recalls, begin):
    process = begin('web1', 'web2')
    recalls.begun(apfd.web1)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: apfd.calls(PATH, 'Cancel') == [[]])
    assert process.poll() is None, 'it waits for the end'
    recalls.finish('cancelled', done=MIB, text='cancelled')
    status, out, err = end(process)
    assert status == 1 and out.startswith('web1: 1.0 MiB of 200.0 MiB')
    assert err == 'apfctl: recall web1: cancelled\n'
    assert apfd.calls(apfd.web2, 'Recall') == []


def test_one_after_the_other(apfd, recalls, begin):
    process = begin('--all')
    recalls.begun(apfd.web1)
    assert apfd.calls(apfd.web2, 'Recall') == []
    recalls.finish()
    recalls.begun(apfd.web2)
    recalls.finish()
    status, out, _ = end(process)
    assert status == 0 and [line.split(':')[0] for line in out.splitlines()] == ['web1', 'web2']


def test_not_waiting(apfd, recalls, run):
    result = run('recall', '--no-wait', 'web1', 'web2')
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')
    assert recalls.begun(apfd.web1) == recalls.begun(apfd.web2) == {}


def test_end_that_was_not_heard_of(apfd, recalls, begin):
    """The bus drops signals of a client that is too slow: apfctl must not wait for ever."""
    process = begin('web1')
    recalls.begun(apfd.web1)
    apfd.object('/org/apfd').RemoveObject(PATH)
    status, _, err = end(process)
    assert status == 1 and 'the result is not known' in err


def test_apfd_ends(apfd, recalls, begin):
    process = begin('web1')
    recalls.begun(apfd.web1)
    apfd.process.kill()
    status, _, err = end(process)
    assert (status, err) == (5, 'apfctl: recall web1: apfd has ended, and with it the recall\n')


@pytest.mark.parametrize('error, status, text', [
    ('org.apfd.Error.NoRoom', 1, 'apfctl: recall web1: 9 MiB do not fit; free memory, or raise the limit, first\n'),
    ('org.apfd.Error.Busy', 1, 'apfctl: recall web1: 9 MiB do not fit\n'),
    ('org.freedesktop.DBus.Error.AccessDenied', 4,
     'apfctl: recall web1: 9 MiB do not fit; run it as root, or let polkit allow you org.apfd.recall\n'),
])
def test_refused(apfd, run, error, status, text):
    apfd.fail(apfd.web1, VM, 'Recall', error, '9 MiB do not fit')
    result = run('recall', 'web1')
    assert (result.returncode, result.stdout, result.stderr) == (status, '', text)


def test_older_apfd(older_apfd, run):
    import facts
    path = older_apfd.add_vm(facts.older(facts.WEB1), older=True)
    result = run('recall', 'web1')
    assert path and result.returncode == 1 and 'apfd does not support this' in result.stderr


@pytest.mark.parametrize('args, text', [
    (['--rate', '1'], "--rate '1': must be a number of bytes from 1M to 1T, like 256M, or unlimited"),
    (['--rate', 'fast'], "--rate 'fast': must be a number of bytes from 1M to 1T, like 256M, or unlimited"),
    (['--no-wait', '--before-migration'], 'recall: --before-migration and --no-wait exclude each other'),
])
def test_wrong_usage(apfd, run, args, text):
    result = run('recall', 'web1', *args)
    assert (result.returncode, result.stdout, result.stderr) == (2, '', f'apfctl: {text}\n')
    assert apfd.calls(apfd.web1, 'Recall') == []


def test_bar_on_a_terminal(apfd, recalls, apfctl_path, environment, tmp_path):
    screen = Tmux(tmp_path, environment, columns=100)
    try:
        screen.run(apfctl_path, 'recall', 'web1')
        recalls.begun(apfd.web1)
        recalls.progress(200 * MIB, 50 * MIB, 25 * MIB)
        screen.wait(lambda text: 'web1  [######                  ]  25 %  50.0 MiB of 200.0 MiB, 25.0 MiB/s, 6.0 s left'
                    in text, 'the bar')
        recalls.progress(200 * MIB, 100 * MIB, 25 * MIB, slowed=True)
        screen.wait(lambda text: ', slowed' in text, 'the next one')
        assert screen.text.count('web1  [') == 1, 'on the same line'
        recalls.finish()
        screen.wait(lambda text: 'brought back' in text, 'the end')
        assert '[#' not in screen.text
    finally:
        screen.tmux('kill-server')


def test_bar_that_does_not_fit_is_cut(apfd, recalls, apfctl_path, environment, tmp_path):
    screen = Tmux(tmp_path, environment, columns=50)
    try:
        screen.run(apfctl_path, 'recall', 'web1')
        recalls.begun(apfd.web1)
        recalls.progress(200 * MIB, 50 * MIB, 25 * MIB)
        screen.wait(lambda text: 'web1  [###' in text, 'the bar')
        assert screen.lines[-1] == 'web1  [######                  ]  25 %  50.0 MiB'
        recalls.finish()
        screen.wait(lambda text: 'brought back' in text, 'the end')
        assert '[#' not in screen.text
    finally:
        screen.tmux('kill-server')
