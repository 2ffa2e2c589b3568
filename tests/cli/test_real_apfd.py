# SPDX-License-Identifier: GPL-2.0
"""apfctl and the real apfd together, where apf_host is not loaded.

libvirt's test driver stands in for the VMs: they have no process, so nothing is
watched. What needs the module is tested in tests/lab/.
"""

import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import time

import pytest

import facts

WEB1, WEB2 = facts.WEB1['UUID'], facts.WEB2['UUID']


@contextlib.contextmanager
def running(process):
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def domains(names_and_uuids):
    return '<node>' + ''.join(
        f"<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>8192</memory>"
        f'<vcpu>8</vcpu><os><type>hvm</type></os></domain>'
        for name, uuid in names_and_uuids) + '</node>'


@pytest.fixture
def node():
    """What libvirt's test driver has; a test may have another."""
    return domains([('web1', WEB1), ('web2', WEB2)])


@pytest.fixture
def real_apfd(apfctl_path, environment, bus, tmp_path, run, node):
    if pathlib.Path('/sys/module/apf_host').exists():
        pytest.skip('apf_host is loaded')
    binary = pathlib.Path(os.environ.get('APFD', apfctl_path.parents[1] / 'daemon' / 'apfd'))
    assert binary.is_file(), f'{binary} is not built; set APFD'
    node_xml = tmp_path / 'node.xml'
    node_xml.write_text(node)
    with open(tmp_path / 'apfd.log', 'w', encoding='utf-8') as log:
        process = subprocess.Popen([binary, f'--connect=test://{node_xml}', f'--pid-dir={tmp_path}'],
                                   env=environment, stdout=log, stderr=log)
    with running(process):
        for _ in range(200):
            result = run('list', '--json')
            if result.returncode == 0 and len(json.loads(result.stdout)) == node.count('<name>'):
                break
            assert process.poll() is None, (tmp_path / 'apfd.log').read_text()
            time.sleep(0.05)
        else:
            raise AssertionError('apfd does not show its VMs')
        yield process


def test_list(run, real_apfd):
    vms = json.loads(run('list', '--json').stdout)
    assert [(vm['name'], vm['uuid'], vm['watched'], vm['state'], vm['stall_ratio'])
            for vm in vms] == [('web1', WEB1, False, 'unknown', None),
                               ('web2', WEB2, False, 'unknown', None)]
    result = run('list')
    assert 'apf_host is not loaded' in result.stderr


def test_status_by_name_uuid_and_id(run, real_apfd):
    by_name = json.loads(run('status', 'web2', '--json').stdout)
    assert by_name['uuid'] == WEB2
    assert by_name['host']['host_module'] == 'absent'
    assert [f['id'] for f in by_name['findings']] == ['module-absent']
    for name in (WEB2, WEB2.upper(), str(by_name['libvirt_id'])):
        assert json.loads(run('status', name, '--json').stdout)['uuid'] == WEB2


def test_no_such_vm_gets_near_matches(run, real_apfd):
    result = run('status', 'wbe1')
    assert result.returncode == 3
    assert 'web1' in result.stderr


@pytest.mark.parametrize('args', [['enable', 'web1'], ['disable', 'web1', '--vcpu', '0'],
                                  ['set', 'web1', 'pv']])
def test_change_needs_the_module(run, real_apfd, args):
    result = run(*args)
    assert (result.returncode, result.stdout) == (5, '')
    assert 'apf_host is not loaded; modprobe apf_host' in result.stderr


def test_vm_that_has_ended(run, real_apfd, bus):
    """The object is gone, as between two calls of one apfctl: what the bus then says."""
    import dbus
    import dbus.bus
    connection = dbus.bus.BusConnection(bus.address)
    with pytest.raises(dbus.DBusException) as error:
        connection.call_blocking('org.apfd', '/org/apfd/vm/gone',
                                 'org.freedesktop.DBus.Properties', 'GetAll', 's',
                                 ['org.apfd.VM1'])
    connection.close()
    # The name bus.c takes for "the VM has ended".
    assert error.value.get_dbus_name() == 'org.freedesktop.DBus.Error.UnknownObject'


def test_top(run, real_apfd):
    look = json.loads(run('top', '--json', '--count=1').stdout)
    assert {vm['name'] for vm in look['vms']} == {'web1', 'web2'}


def test_monitor_goes_on_when_apfd_is_restarted(apfctl_path, environment, real_apfd, run):
    """The same VMs are there again: nothing is told of them."""
    monitor = subprocess.Popen([apfctl_path, 'monitor', '--json', 'web1'], env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with running(monitor):
        # It hears apfd's end only once it listens; it is asleep in its loop then.
        proc_status = pathlib.Path(f'/proc/{monitor.pid}/status')
        for _ in range(300):
            blocked = int(next(line.split()[1] for line in proc_status.read_text().splitlines()
                               if line.startswith('SigBlk:')), 16)
            if blocked & (1 << (signal.SIGTERM - 1)):
                break
            time.sleep(0.02)
        else:
            raise AssertionError('the monitor does not reach its loop')
        real_apfd.terminate()
        assert real_apfd.wait(timeout=20) == 0
        assert json.loads(monitor.stdout.readline())['event'] == 'apfd-stopped'
        with running(subprocess.Popen(real_apfd.args, env=environment,
                                      stderr=subprocess.DEVNULL)):
            assert json.loads(monitor.stdout.readline())['event'] == 'apfd-started'
            # Takes longer than what the monitor asks: had it found news, they were told.
            assert run('status', 'web1').returncode == 0
        assert json.loads(monitor.stdout.readline())['event'] == 'apfd-stopped'
        monitor.send_signal(signal.SIGINT)
        assert (monitor.wait(timeout=10), monitor.stderr.read()) == (0, '')
        monitor.stdout.close()
        monitor.stderr.close()


HUNDRED = [(f'vm{i}', f'5a7e0f3c-0000-4a00-8000-{i:012d}') for i in range(100)]


@pytest.mark.parametrize('node', [domains(HUNDRED)], ids=['100'])
def test_a_hundred_vms_are_listed_at_once(run, real_apfd, node):
    """The best of some: a reader waits 50 ms at most; more where the machine takes long to start a program at all."""
    took_msec, bare_msec = [], []
    for _ in range(20):
        begin = time.monotonic()
        assert run('--version').returncode == 0
        middle = time.monotonic()
        result = run('list')
        took_msec.append((time.monotonic() - middle) * 1000)
        bare_msec.append((middle - begin) * 1000)
        assert (result.returncode, len(result.stdout.splitlines())) == (0, 101)
    print('ms:', *(f'{msec:.0f}' for msec in sorted(took_msec)), 'bare:', *(f'{msec:.0f}' for msec in sorted(bare_msec)))
    assert min(took_msec) < 50 or statistics.median(took_msec) < 10 * statistics.median(bare_msec)
