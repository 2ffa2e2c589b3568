# SPDX-License-Identifier: GPL-2.0
"""What each D-Bus error becomes: exit status, the argument to blame, cause, remedy."""

import contextlib
import json
import os
import pathlib
import pty
import shutil
import socket
import subprocess
import threading
import time

import pytest

VM = 'org.apfd.VM1'


@pytest.mark.parametrize('args', [['status', 'wbe1'], ['enable', 'wbe1'], ['set', 'wbe1', 'pv'],
                                  ['disable', 'wbe1', '--vcpu', '0']])
def test_no_such_vm(run, apfd, args):
    result = run(*args)
    assert (result.returncode, result.stdout) == (3, '')
    # The near matches are the daemon's.
    assert result.stderr == (f"apfctl: {args[0]} wbe1: No VM is called 'wbe1'; near matches: "
                             "web1, web2; 'apfctl list' shows all VMs\n")


@pytest.mark.parametrize('error, text, status, words', [
    ('org.apfd.Error.NoHostModule', 'whatever', 5,
     ['enable web1 --vcpu 0,2-4: apf_host is not loaded; modprobe apf_host']),
    ('org.apfd.Error.NoSuchVCPU', 'web1 has vCPUs 0-1, not 2', 1,
     ['enable web1 --vcpu 0,2-4: web1 has vCPUs 0-1, not 2; ']),
    ('org.apfd.Error.NotWatched', 'web1 has no KVM descriptor.', 1,
     ['web1 has no KVM descriptor; ']),
    ('org.apfd.Error.Failed', 'the module said: no memory', 1,
     ['the module said: no memory', 'journalctl -u apfd']),
    ('org.apfd.Error.Failed', 'a question?', 1, ['a question? see ']),
    ('org.apfd.Error.InvalidState', "'on' is not known", 2, ["'on' is not known"]),
    ('org.freedesktop.DBus.Error.AccessDenied', 'polkit says no', 4,
     ['polkit says no', 'org.apfd.manage']),
    ('org.freedesktop.DBus.Error.InteractiveAuthorizationRequired', 'a password is needed', 4,
     ['a password is needed', '--no-ask-password']),
    ('org.freedesktop.DBus.Error.UnknownObject', 'no object', 3, ['the VM has ended']),
    ('org.freedesktop.DBus.Error.UnknownMethod', 'no method', 1, ['of the same version?']),
    ('org.freedesktop.DBus.Error.NoReply', 'silence', 1, ['apfd did not answer']),
    ('org.freedesktop.DBus.Error.Spawn.ExecFailed', 'silence', 5, ['apfd could not be started']),
    ('org.freedesktop.systemd1.NoSuchUnit', 'Unit not found', 5, ['apfd is not installed']),
    ('org.freedesktop.systemd1.UnitMasked', 'Unit is masked', 5, ['systemctl unmask apfd']),
    ('org.freedesktop.systemd1.LoadFailed', 'bad unit', 5, ['bad unit', 'systemctl status apfd']),
    ('com.example.Error.New', 'something new', 1, ['something new']),
    ('com.example.Error.New', 'evil\x1b[2J\ntext', 1, ['evil\\x1b[2J\\x0atext']),
])
def test_refused_change(run, apfd, error, text, status, words):
    apfd.fail(apfd.web1, VM, 'SetState', error, text)
    result = run('enable', 'web1', '--vcpu', '0,2-4')
    assert (result.returncode, result.stdout) == (status, '')
    assert result.stderr.startswith('apfctl: enable web1 --vcpu 0,2-4: ')
    assert result.stderr.count('\n') == 1
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize('args', [['list'], ['status', 'web1'], ['enable', 'web1'], ['top'],
                                  ['top', '--json'], ['list', '--json'], ['monitor'],
                                  ['monitor', 'web1', '--json']])
def test_apfd_missing(run, args):
    result = run(*args)
    assert (result.returncode, result.stdout) == (5, '')
    assert 'apfd is not running; systemctl start apfd' in result.stderr


def test_bus_missing(run, tmp_path):
    result = run('list', env={'DBUS_SYSTEM_BUS_ADDRESS': f'unix:path={tmp_path}/none'})
    assert (result.returncode, result.stdout) == (5, '')
    assert 'cannot reach the system bus' in result.stderr


def test_bus_that_hangs_up(run, tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / 'bus'))
        server.listen()

        def hang_up():
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        result = run('list', env={'DBUS_SYSTEM_BUS_ADDRESS': f'unix:path={tmp_path}/bus'})
        thread.join(timeout=10)
    assert (result.returncode, result.stdout) == (5, '')
    assert 'is D-Bus running?' in result.stderr


def test_name_that_is_not_utf8(apfctl_path, environment, apfd):
    result = subprocess.run([apfctl_path, 'status', b'web\xff'], env=environment,
                            capture_output=True, check=False)
    assert result.returncode == 2
    assert b'not UTF-8' in result.stderr


ALLOW_INTERACTIVE = 0x4


def sent_flags(apfctl_path, environment, bus, args):
    """Header flags of apfctl's SetState() message, as seen by a monitor on the bus."""
    monitor = subprocess.Popen(
        ['busctl', f'--address={bus.address}', 'monitor', '--json=short',
         "--match=member='SetState'"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        # It says so when it listens.
        assert 'Monitoring' in monitor.stderr.readline()
        subprocess.run([apfctl_path, *args], env=environment, stdin=subprocess.DEVNULL,
                       check=True, timeout=30)
        return json.loads(monitor.stdout.readline())['flags']
    finally:
        monitor.terminate()
        monitor.wait(timeout=10)
        monitor.stdout.close()
        monitor.stderr.close()


def test_polkit_may_ask_unless_forbidden(apfctl_path, environment, bus, apfd):
    flags = sent_flags(apfctl_path, environment, bus, ['enable', 'web1'])
    assert flags & ALLOW_INTERACTIVE
    flags = sent_flags(apfctl_path, environment, bus, ['enable', 'web1', '--no-ask-password'])
    assert not flags & ALLOW_INTERACTIVE


AGENT = '/usr/bin/pkttyagent'


def run_at_terminal(binary, environment, **options):
    """Runs 'enable web1' at a terminal; returns its result and the names of its children."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen([binary, 'enable', 'web1'], env=environment, stdin=terminal,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True, **options)
    children = set()
    while process.poll() is None:
        listing = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children')
        for pid in listing.read_text().split():
            # A child that is dead but not yet waited for still has its name.
            with contextlib.suppress(OSError):
                children.add(pathlib.Path(f'/proc/{pid}/comm').read_text().strip())
        time.sleep(0.02)
    stdout, stderr = process.communicate(timeout=10)
    os.close(terminal)
    os.close(controller)
    # Between fork and exec the child still has its parent's name.
    return process.returncode, stdout, stderr, children - {binary.name}


@pytest.fixture
def slow_refusal(apfd):
    apfd.object(apfd.web1).AddMethod(
        VM, 'SetState', 'sau', '',
        'import time; time.sleep(1)\n'
        'raise dbus.exceptions.DBusException("no", '
        'name="org.freedesktop.DBus.Error.AccessDenied")')


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can become another user')
@pytest.mark.skipif(not os.path.exists(AGENT), reason='pkttyagent is not installed')
def test_agent_is_started_for_a_user_at_a_terminal(apfctl_path, environment, slow_refusal,
                                                   open_directory):
    """It finds no polkit here and ends at once; apfctl goes on and says what apfd says."""
    # The build may be where only root may look.
    binary = open_directory / 'apfctl'
    shutil.copy(apfctl_path, binary)
    started = time.monotonic()
    status, stdout, stderr, children = run_at_terminal(binary, environment, user=65534,
                                                       group=65534)
    assert (status, stdout) == (4, '')
    assert 'org.apfd.manage' in stderr
    assert children == {'pkttyagent'}
    assert time.monotonic() - started < 10


@pytest.mark.skipif(os.geteuid() != 0, reason='root is not asked, others are')
def test_no_agent_for_root(apfctl_path, environment, slow_refusal):
    status, _, stderr, children = run_at_terminal(apfctl_path, environment)
    assert status == 4
    assert stderr.count('\n') == 1
    assert children == set()
