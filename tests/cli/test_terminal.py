# SPDX-License-Identifier: GPL-2.0
"""Output on a terminal: a pseudo-terminal of a known size."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time

import pytest

import facts

ESCAPE = re.compile(r'\x1b\[[?0-9;]*[A-Za-z]')


class Terminal:
    def __init__(self, columns, rows=24):
        self.controller, self.terminal = pty.openpty()
        self.resize(columns, rows)
        self.output = b''

    def resize(self, columns, rows):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def start(self, argv, env):
        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(argv, env=env, stdin=self.terminal, stdout=self.terminal,
                                        stderr=self.terminal, preexec_fn=take_terminal)
        os.set_blocking(self.controller, False)

    def read_until(self, wanted, timeout=15):
        """Reads until WANTED(output) or the end of the program."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            ended = self.process.poll() is not None
            try:
                self.output += os.read(self.controller, 65536)
                continue
            except BlockingIOError:
                pass
            if wanted(self.text) or ended:
                return self.text
            time.sleep(0.02)
        raise AssertionError(f'not seen: {self.text!r}')

    @property
    def text(self):
        return self.output.decode(errors='replace')

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        os.close(self.controller)
        os.close(self.terminal)


@pytest.fixture
def on_terminal(apfctl_path, environment):
    terminals = []

    def start(*args, columns=120, rows=24, env=None):
        terminal = Terminal(columns, rows)
        terminals.append(terminal)
        terminal.start([apfctl_path, *args], {**environment, **(env or {})})
        return terminal

    yield start
    for terminal in terminals:
        terminal.close()


def finish(terminal):
    text = terminal.read_until(lambda _: False)
    return terminal.process.wait(timeout=10), text


def test_colour_is_never_the_only_sign(on_terminal, apfd):
    status, coloured = finish(on_terminal('list'))
    assert status == 0
    assert '\x1b[33mmixed\x1b[0m' in coloured
    _, plain = finish(on_terminal('list', env={'NO_COLOR': '1'}))
    assert '\x1b' not in plain
    assert ESCAPE.sub('', coloured) == plain


def test_no_colour_on_a_dumb_terminal(on_terminal, apfd):
    assert '\x1b' not in finish(on_terminal('list', env={'TERM': 'dumb'}))[1]


def test_empty_no_color_counts_as_unset(on_terminal, apfd):
    assert '\x1b[33m' in finish(on_terminal('list', env={'NO_COLOR': ''}))[1]


@pytest.mark.parametrize('locale, ellipsis', [('C.UTF-8', '…'), ('C', '~')])
@pytest.mark.parametrize('columns, headers', [
    (36, ['NAME', 'ID', 'STATE', 'VCPUS', 'SWAPPED']),
    (60, ['NAME', 'ID', 'STATE', 'MODE', 'VCPUS', 'SWAPPED']),
    (80, ['NAME', 'ID', 'STATE', 'MODE', 'VCPUS', 'SWAPPED', 'PRESSURE', 'SAVED', 'PID']),
    (120, ['NAME', 'ID', 'STATE', 'MODE', 'VCPUS', 'SWAPPED', 'PRESSURE', 'SAVED', 'PID', 'UUID']),
])
def test_narrow_terminal(on_terminal, empty_apfd, locale, ellipsis, columns, headers):
    """Columns that can be missed give way first, then long names, never the state."""
    empty_apfd.add_vm(facts.vm(Name='a-very-long-name-of-a-virtual-machine-' + 30 * 'x'))
    env = {'NO_COLOR': '1', 'LC_ALL': locale}
    lines = finish(on_terminal('list', columns=columns, env=env))[1].splitlines()
    assert all(len(line) <= columns for line in lines), lines
    assert lines[0].split() == headers
    assert lines[1].startswith('a-very-') and f'{ellipsis}  ' in lines[1]
    assert ' on ' in lines[1]


def test_wide_terminal_shortens_nothing(on_terminal, empty_apfd):
    name = 'a-very-long-name-of-a-virtual-machine-' + 30 * 'x'
    empty_apfd.add_vm(facts.vm(Name=name))
    text = finish(on_terminal('list', columns=200, env={'NO_COLOR': '1'}))[1]
    assert name in text and 'UUID' in text


def test_top_on_a_dumb_terminal_prints_tables(on_terminal, apfd):
    status, text = finish(on_terminal('top', '--count=2', '--interval=0.1', env={'TERM': 'dumb'}))
    assert status == 0
    assert '\x1b' not in text
    assert text.count('NAME') == 2


def test_doctor_wraps_words_but_nothing_that_is_to_be_copied(on_terminal, empty_apfd):
    command = '  modprobe ' + 'x' * 90
    empty_apfd.diagnose('/org/apfd', 'org.apfd.Manager1',
                        [('memory', 'fail', 'word ' * 20, 'long ' * 20 + '\n' + command)])
    status, coloured = finish(on_terminal('doctor', columns=80))
    assert status == 1
    assert '\x1b[1;31mfail' in coloured
    lines = ESCAPE.sub('', coloured).replace('\r', '').split('\n')
    assert lines[1] == '  fail     memory        ' + ' '.join(['word'] * 11)
    assert lines[2] == ' ' * 25 + ' '.join(['word'] * 9)
    assert lines[3] == ' ' * 25 + ' '.join(['long'] * 11)
    assert ' ' * 25 + command in lines
