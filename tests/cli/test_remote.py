# SPDX-License-Identifier: GPL-2.0
"""apfctl -H: apfd on another host.

ssh is a stand-in that runs the real systemd-stdio-bridge on the test's bus; the
lab does it with the real one.
"""

import json
import os
import signal
import subprocess

import pytest

import facts
from mock_apfd import VM
from tmux import Tmux

FAKE_SSH = """#!/bin/sh
printf '%s\\n' "$@" >{directory}/argv
exec systemd-stdio-bridge --bus-path={address}
"""


@pytest.fixture
def remote(environment, bus, tmp_path):
    """The environment of a host without a bus of its own; and what ssh was asked."""
    directory = tmp_path / 'bin'
    directory.mkdir()
    ssh = directory / 'ssh'
    ssh.write_text(FAKE_SSH.format(directory=tmp_path, address=bus.address))
    ssh.chmod(0o755)
    return dict(environment, PATH=f'{directory}:{os.environ["PATH"]}',
                DBUS_SYSTEM_BUS_ADDRESS=f'unix:path={tmp_path}/none')


def ssh_argv(tmp_path):
    return (tmp_path / 'argv').read_text().split('\n')[:-1]


@pytest.mark.parametrize('option, argv', [
    (['-H', 'kvm1'], ['-xT', '--', 'kvm1', 'systemd-stdio-bridge']),
    (['-Hroot@kvm1'], ['-xT', '--', 'root@kvm1', 'systemd-stdio-bridge']),
    (['--host=kvm1:2222'], ['-xT', '-p', '2222', '--', 'kvm1', 'systemd-stdio-bridge']),
    (['-H', '-oProxyCommand=x'], ['-xT', '--', '-oProxyCommand=x', 'systemd-stdio-bridge']),
])
def test_list(run, remote, apfd, tmp_path, option, argv):
    result = run(*option, 'list', '--json', env=remote)
    assert (result.returncode, result.stderr) == (0, '')
    assert json.loads(result.stdout) == [facts.JSON_WEB1, facts.JSON_WEB2]
    assert ssh_argv(tmp_path) == argv


def test_changes_and_refusals(run, remote, apfd):
    assert run('-H', 'kvm1', 'auto', 'web1', '--vcpu=1', env=remote).returncode == 0
    assert apfd.calls(apfd.web1, 'SetMode') == [['auto', [1], False]]
    apfd.fail(apfd.web1, VM, 'SetState', 'org.freedesktop.DBus.Error.AccessDenied', 'polkit says no')
    result = run('-H', 'kvm1', 'enable', 'web1', env=remote)
    assert (result.returncode, result.stdout) == (4, '')
    assert result.stderr.startswith('apfctl: kvm1: enable web1: polkit says no; ')
    result = run('-H', 'me@kvm1', 'status', 'wbe1', env=remote)
    assert (result.returncode, result.stdout) == (3, '')
    assert result.stderr.startswith("apfctl: me@kvm1: status wbe1: No VM is called 'wbe1'; ")


def test_notes_name_the_host(run, remote, empty_apfd):
    result = run('-H', 'kvm1', 'list', env=remote)
    assert (result.returncode, result.stderr) == (0, 'apfctl: kvm1: note: no VM is running\n')


def test_apfd_missing_there(run, remote):
    result = run('-H', 'kvm1', 'list', env=remote)
    assert (result.returncode, result.stdout) == (5, '')
    assert result.stderr == ('apfctl: kvm1: list: apfd is not running; systemctl start apfd\n')


def test_host_that_cannot_be_reached(run, remote, apfd, tmp_path):
    (tmp_path / 'bin' / 'ssh').write_text(
        '#!/bin/sh\necho "ssh: no such host" >&2\nexit 255\n')
    result = run('-H', 'kvm\x1b1', 'list', env=remote)
    assert (result.returncode, result.stdout) == (5, '')
    said, ours = result.stderr.splitlines()
    assert said == 'ssh: no such host'
    assert ours.startswith('apfctl: kvm\\x1b1: list: ')
    assert "ssh" in ours or 'cannot reach the host' in ours


def test_monitor(apfctl_path, remote, apfd):
    """Signals come through as answers do, and only the owner's of apfd's name."""
    from test_monitor import Monitor, gate_changed
    monitor = Monitor(apfctl_path, remote, '-H', 'kvm1', '--json', 'web1')
    try:
        monitor.listen(apfd, apfd.web1)
        gate_changed(apfd, apfd.web1, 'off', [1])
        assert json.loads(monitor.line())['vcpus'] == [1]
        assert monitor.end(signal.SIGTERM) == (0, '')
    finally:
        monitor.close()


def test_top(apfctl_path, remote, apfd, tmp_path):
    terminal = Tmux(tmp_path, remote)
    try:
        terminal.run('env', f'PATH={remote["PATH"]}', apfctl_path, '-H', 'root@kvm1', 'top')
        terminal.wait_for('^2 VMs by STALLED.* root@kvm1$')
        terminal.wait_for('^>web1 ')
        # The way there ends: said on the usual screen.
        pid = subprocess.run(['pgrep', '-f', f'systemd-stdio-bridge --bus-path={apfd.address}'],
                             capture_output=True, text=True, check=True).stdout.split()[0]
        os.kill(int(pid), signal.SIGKILL)
        terminal.wait_for('^apfctl: root@kvm1: top: the connection to the host ended')
        assert terminal.format('alternate_on') == '0'
    finally:
        terminal.close()
