# SPDX-License-Identifier: GPL-2.0
"""apfctl monitor: each event of the contract becomes one line."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import dbus
import dbus.bus
import pytest

import facts
from mock_apfd import MANAGER, VM, MockApfd, PrivateBus, typed

MARK = 'mark'


class Monitor:
    """A running monitor; what it printed is read line by line."""

    def __init__(self, apfctl_path, environment, *args):
        self.process = subprocess.Popen([apfctl_path, 'monitor', *args], env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.buffer = b''

    def line(self, timeout=15):
        """The next line, None if there is none within TIMEOUT."""
        end = time.monotonic() + timeout
        while b'\n' not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            part = self.process.stdout.read(65536)
            if not part:
                return None
            self.buffer += part
        line, self.buffer = self.buffer.split(b'\n', 1)
        return line.decode()

    def listen(self, apfd, path):
        """Returns when the monitor hears: then it prints what it is sent."""
        for number in range(300):
            gate_changed(apfd, path, reason=f'{MARK}{number}')
            if self.line(0.1):
                break
        else:
            raise AssertionError('the monitor prints nothing')
        gate_changed(apfd, path, reason='last-mark')
        while 'last-mark' not in self.line():
            pass

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.wait()

    def wait(self, timeout=15):
        status = self.process.wait(timeout=timeout)
        return status, self.process.stderr.read().decode()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def start(apfctl_path, environment):
    monitors = []

    def start_monitor(*args, env=None):
        monitors.append(Monitor(apfctl_path, {**environment, **(env or {})}, *args))
        return monitors[-1]

    yield start_monitor
    for monitor in monitors:
        monitor.close()


def arguments(*values):
    return dbus.Array(values, signature='v')


def gate_changed(apfd, path, state='on', vcpus=(), pid=7, comm='apfd', reason=''):
    apfd.object(path).EmitSignal(VM, 'GateChanged', 'sauiss', arguments(
        dbus.String(state), typed('au', vcpus), dbus.Int32(pid), dbus.String(comm),
        dbus.String(reason)))


def guest_event(apfd, path, event, vcpu, report):
    apfd.object(path).EmitSignal(VM, 'GuestEvent', 'sua{su}', arguments(
        dbus.String(event), dbus.UInt32(vcpu), typed('a{su}', report)))


def gate_changing(apfd, path, state, vcpus, reason):
    apfd.object(path).EmitSignal(VM, 'GateChanging', 'saus', arguments(
        dbus.String(state), typed('au', vcpus), dbus.String(reason)))


def decided(apfd, path, state, vcpus, dry_run):
    apfd.object(path).EmitSignal(VM, 'Decided', 'saussa{sd}b', arguments(
        dbus.String(state), typed('au', vcpus), dbus.String('stalled'),
        dbus.String('it stalls'), typed('a{sd}', {'StallRatio': 0.25, 'SwapInRate': 1234.0}),
        dbus.Boolean(dry_run)))


def host_changed(apfd, **values):
    apfd.object('/org/apfd').UpdateProperties(MANAGER, dbus.Dictionary(values, signature='sv'))


REPORT = facts.guest_report(3, PoolSize=2, PoolInUse=1, PoolTaken=5, PoolExhausted=6, Sleepers=7,
                            EarlyWakes=8, Rescues=9, UnknownTokens=10, OldestSleeperMSec=31400,
                            Waits=12, Wakes=13, Stuck=14)
WEB1 = {'name': 'web1', 'uuid': facts.WEB1['UUID']}
WEB2 = {'name': 'web2', 'uuid': facts.WEB2['UUID']}
HOST = {'name': None, 'uuid': None}


def happen(apfd):
    """Each kind of event but apfd's own coming and going, once."""
    decided(apfd, apfd.web1, 'on', [0, 1, 2], False)
    decided(apfd, apfd.web2, 'off', [], True)
    gate_changing(apfd, apfd.web1, 'on', [0, 1, 2], 'it stalls')
    gate_changing(apfd, apfd.web2, 'pv', [], '')
    gate_changed(apfd, apfd.web1, 'off', [0, 2, 3], 4711, 'apfd', 'apfctl disable')
    gate_changed(apfd, apfd.web2, 'pv', [], 1, 'x\x1b[2J', '')
    for event in ('pool-taken', 'pool-returned', 'pool-exhausted', 'waiter-old', 'slot-stuck', 'brand-new'):
        guest_event(apfd, apfd.web1, event, 1, REPORT)
    guest_event(apfd, apfd.web2, 'report-gone', 0, {})
    apfd.web3 = apfd.add_vm(facts.vm(Name='web3', UUID='5a7e0f3c-0003-4a00-8000-000000000003'))
    apfd.remove_vm(apfd.web1)
    host_changed(apfd, HostModule='absent', HostModuleVersion='')
    host_changed(apfd, HostModule='present', HostModuleVersion='0.2.0')
    host_changed(apfd, Libvirt='disconnected')


def expected_json():
    report = facts.json_guest(REPORT)
    gate = {'event': 'gate-changed'}
    decision = {'event': 'decided', 'rule': 'stalled', 'reason': 'it stalls',
                'inputs': {'StallRatio': 0.25, 'SwapInRate': 1234}}
    return [
        {**decision, **WEB1, 'state': 'on', 'vcpus': [0, 1, 2], 'dry_run': False},
        {**decision, **WEB2, 'state': 'off', 'vcpus': [], 'dry_run': True},
        {'event': 'gate-changing', **WEB1, 'state': 'on', 'vcpus': [0, 1, 2],
         'reason': 'it stalls'},
        {'event': 'gate-changing', **WEB2, 'state': 'pv', 'vcpus': [], 'reason': ''},
        {**gate, **WEB1, 'state': 'off', 'vcpus': [0, 2, 3], 'pid': 4711, 'comm': 'apfd',
         'reason': 'apfctl disable'},
        {**gate, **WEB2, 'state': 'pv', 'vcpus': [], 'pid': 1, 'comm': 'x\x1b[2J', 'reason': ''},
        *({'event': event, **WEB1, 'vcpu': 1, 'guest_report': report} for event in
          ('pool-taken', 'pool-returned', 'pool-exhausted', 'waiter-old', 'slot-stuck', 'brand-new')),
        {'event': 'report-gone', **WEB2, 'vcpu': 0, 'guest_report': None},
        {'event': 'vm-added', 'name': 'web3', 'uuid': '5a7e0f3c-0003-4a00-8000-000000000003'},
        {'event': 'vm-removed', **WEB1},
        {'event': 'host-module', **HOST, 'host_module': 'absent', 'host_module_version': None},
        {'event': 'host-module', **HOST, 'host_module': 'present', 'host_module_version': '0.2.0'},
        {'event': 'libvirt', **HOST, 'libvirt': 'disconnected'},
    ]


# Without the announcements: an automatic change is one line.
TEXTS = [
    'web2  decided state off, rule stalled, a dry run: it stalls',
    'web1  state off of vCPU 0,2,3, by apfd[4711]: apfctl disable',
    'web2  state pv, by x\\x1b[2J[1]',
    'web1  vCPU 1: 1 of 2 emergency nodes in use, its gate is closed',
    'web1  vCPU 1: all emergency nodes are free again, its gate follows its state again',
    'web1  vCPU 1: no emergency node was free, the guest woke all sleeping tasks',
    'web1  vCPU 1: a task has waited 31 s for its page',
    'web1  vCPU 1: a "page ready" interrupt was lost, the guest handled the event later',
    'web1  vCPU 1: brand-new',
    'web2  vCPU 0: reports ended: apf_guest was unloaded or the guest reboots',
    'web3  VM started',
    'web1  VM ended',
    '-  apf_host absent',
    '-  apf_host present 0.2.0',
    '-  libvirt disconnected',
    # No change of a gate followed.
    'web1  decided state on of vCPU 0-2, rule stalled: it stalls',
]


def test_json_lines(start, apfd):
    monitor = start('--json')
    monitor.listen(apfd, apfd.web1)
    before_usec = time.time() * 1e6
    happen(apfd)
    for expected in expected_json():
        got = json.loads(monitor.line())
        assert before_usec - 1 <= got.pop('now_usec') <= time.time() * 1e6
        assert got == expected
    assert monitor.end() == (0, '')
    assert monitor.line(0.1) is None


def test_text(start, apfd):
    monitor = start()
    monitor.listen(apfd, apfd.web1)
    happen(apfd)
    got = []
    for _ in TEXTS:
        line = monitor.line()
        match = re.fullmatch(r'(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d{3}  (.*)', line)
        assert match, line
        got.append(match.group(2))
    # Held for a second, in which not all of it may have happened.
    *others, held = TEXTS
    assert held in got[1:]
    got.remove(held)
    assert got == others
    assert monitor.end(signal.SIGTERM) == (0, '')


def words(line):
    """A line without its time."""
    return line.split('  ', 1)[1]


def quickly(monitor, emit):
    """Emits what is to be heard within the second for which a decision is held; again where that took too long."""
    for _try in range(5):
        begin = time.monotonic()
        emit()
        if time.monotonic() - begin < 0.7:
            return
        while monitor.line(3):
            pass
    raise AssertionError('the mock is too slow: the test says nothing')


def test_automatic_change_is_one_line(start, apfd):
    monitor = start()
    monitor.listen(apfd, apfd.web1)
    reason = 'policy: stalled: it stalls'

    def emit():
        decided(apfd, apfd.web1, 'pv', [3], False)
        decided(apfd, apfd.web2, 'off', [9], False)
        # Two groups of vCPUs are decided, then both gates change; the module cuts long reasons.
        decided(apfd, apfd.web1, 'on', [0, 1], False)
        gate_changing(apfd, apfd.web1, 'on', [0, 1], reason)
        decided(apfd, apfd.web1, 'off', [2], False)
        gate_changing(apfd, apfd.web1, 'off', [2], reason)
        decided(apfd, apfd.web2, 'on', [0], False)
        gate_changed(apfd, apfd.web1, 'on', [0, 1], 7, 'apfd', reason)
        gate_changed(apfd, apfd.web1, 'off', [2], 7, 'apfd', reason[:-3])
        # Then the same once more for the whole VM, which is no news.
        gate_changed(apfd, apfd.web1, 'off', [], 7, 'apfd', 'policy: stalled: all vCPUs have it')
        gate_changed(apfd, apfd.web1, 'off', [], 7, 'apfd', 'policy: found: for vCPUs that are added later')
        # A change by hand is no answer to the decision about web2.
        gate_changed(apfd, apfd.web2, 'on', [0], 8, 'tool', 'it stalls')
        gate_changed(apfd, apfd.web2, 'on', [0], 7, 'apfd', 'policy: rescues: it stalls')

    quickly(monitor, emit)
    assert [words(monitor.line()) for _ in range(7)] == [
        f'web1  state on of vCPU 0,1, by apfd[7]: {reason}',
        f'web1  state off of vCPU 2, by apfd[7]: {reason[:-3]}',
        'web2  state on of vCPU 0, by tool[8]: it stalls',
        'web2  state on of vCPU 0, by apfd[7]: policy: rescues: it stalls',
        # A second later: nothing answered these.
        'web1  decided state pv of vCPU 3, rule stalled: it stalls',
        'web2  decided state off of vCPU 9, rule stalled: it stalls',
        'web2  decided state on of vCPU 0, rule stalled: it stalls',
    ]
    # And what has no answer yet is not lost at the end.
    def emit_before_the_end():
        decided(apfd, apfd.web1, 'on', [0], False)
        gate_changed(apfd, apfd.web2, reason='before the end')

    quickly(monitor, emit_before_the_end)
    assert words(monitor.line()).endswith('before the end')
    assert monitor.end() == (0, '')
    assert words(monitor.line()) == 'web1  decided state on of vCPU 0, rule stalled: it stalls'
    assert monitor.line(0.1) is None


def test_event(start, apfd):
    """Exactly the events that are named, also those that are else part of another line."""
    monitor = start('--event=gate-changing,vm-removed', '--event', 'libvirt,gate-changed,decided')
    monitor.listen(apfd, apfd.web1)
    happen(apfd)
    shown = [words(monitor.line()) for _ in range(8)]
    assert shown == [
        'web1  decided state on of vCPU 0-2, rule stalled: it stalls',
        'web2  decided state off, rule stalled, a dry run: it stalls',
        'web1  apfd requests state on of vCPU 0-2: it stalls',
        'web2  apfd requests state pv',
        'web1  state off of vCPU 0,2,3, by apfd[4711]: apfctl disable',
        'web2  state pv, by x\\x1b[2J[1]',
        'web1  VM ended',
        '-  libvirt disconnected',
    ]
    assert monitor.end() == (0, '')
    assert monitor.line(0.1) is None


def test_each_event_by_its_name(start, apfd):
    monitor = start('--json', '--event=gate-changed,waiter-old,host-module', '--count=999')
    monitor.listen(apfd, apfd.web1)
    happen(apfd)
    assert [json.loads(monitor.line())['event'] for _ in range(5)] == [
        'gate-changed', 'gate-changed', 'waiter-old', 'host-module', 'host-module']
    assert monitor.end() == (0, '')
    assert monitor.line(0.1) is None


def test_pattern(start, apfd):
    """A VM that starts later is shown, too."""
    monitor = start('--json', 'web1', 'w*3')
    monitor.listen(apfd, apfd.web1)
    happen(apfd)
    got = [json.loads(monitor.line()) for _ in range(11)]
    assert {event['name'] for event in got} == {'web1', 'web3'}
    assert (got[9]['event'], got[9]['name']) == ('vm-added', 'web3')
    assert json.loads(monitor.line())['name'] is None
    status, stderr = monitor.end()
    assert (status, stderr) == (0, 'apfctl: note: the name of no VM matches w*3 yet\n')


def test_time_is_local(start, apfd):
    monitor = start(env={'TZ': 'XXX-5:30'})
    monitor.listen(apfd, apfd.web1)
    gate_changed(apfd, apfd.web1)
    told = time.strptime(monitor.line()[:19], '%Y-%m-%d %H:%M:%S')
    assert abs(time.mktime(told) - time.mktime(time.gmtime(time.time() + 5.5 * 3600))) < 10


def test_only_the_vms_asked_for(start, apfd):
    """The host's events are theirs, too; a VM's restart does not lose it."""
    monitor = start('--json', facts.WEB2['UUID'], '7')
    apfd.add_vm(facts.vm(Name='other', UUID='5a7e0f3c-0003-4a00-8000-000000000003', LibvirtID=8))
    # 7 is no VM yet.
    status, stderr = monitor.wait()
    assert status == 3
    assert "monitor 7: No VM is called '7'" in stderr

    # Each one that is missing is named.
    status, stderr = start('--json', 'web3', 'web2', '7').wait()
    assert status == 3
    assert 'monitor web3: ' in stderr and 'monitor 7: ' in stderr

    monitor = start('--json', 'web2')
    monitor.listen(apfd, apfd.web2)
    gate_changed(apfd, apfd.web1)
    guest_event(apfd, apfd.web1, 'pool-taken', 0, REPORT)
    apfd.remove_vm(apfd.web1)
    apfd.remove_vm(apfd.web2)
    apfd.web2 = apfd.add_vm(facts.WEB2)
    host_changed(apfd, Libvirt='disconnected')
    got = [json.loads(monitor.line()) for _ in range(3)]
    assert [(event['event'], event['name']) for event in got] == [
        ('vm-removed', 'web2'), ('vm-added', 'web2'), ('libvirt', None)]


def test_several_vms(start, apfd):
    monitor = start('--json', 'web1', 'web2')
    monitor.listen(apfd, apfd.web1)
    gate_changed(apfd, apfd.web2)
    gate_changed(apfd, apfd.web1)
    assert [json.loads(monitor.line())['name'] for _ in range(2)] == ['web2', 'web1']


def test_vm_given_twice(start, apfd):
    """By name and by UUID: each event is told once."""
    monitor = start('--json', 'web1', facts.WEB1['UUID'])
    monitor.listen(apfd, apfd.web1)
    for n in range(3):
        gate_changed(apfd, apfd.web1, reason=str(n))
    assert [json.loads(monitor.line())['reason'] for _ in range(3)] == ['0', '1', '2']


def match_rules(bus, process):
    """The match rules that a process has on the bus, as the bus has them."""
    connection = dbus.bus.BusConnection(bus.address)
    dbus_daemon = ('org.freedesktop.DBus', '/org/freedesktop/DBus')
    rules = connection.call_blocking(*dbus_daemon, 'org.freedesktop.DBus.Debug.Stats', 'GetAllMatchRules', '', [])
    [found] = [list(map(str, rs)) for name, rs in rules.items() if name.startswith(':') and connection.call_blocking(
        *dbus_daemon, 'org.freedesktop.DBus', 'GetConnectionUnixProcessID', 's', [name]) == process.pid]
    connection.close()
    return [rule for rule in found if 'org.freedesktop.DBus\'' not in rule]


@pytest.mark.parametrize('vms', [[], ['web1', 'web2']])
def test_nothing_else_is_subscribed_to(start, bus, apfd, vms):
    """The bus keeps all that a client subscribed to until the client reads it."""
    monitor = start('--json', *vms)
    monitor.listen(apfd, apfd.web1)
    rules = match_rules(bus, monitor.process)
    assert len(rules) == (7 if vms else 4)
    for rule in rules:
        parts = dict(re.findall(r"(\w+)='([^']*)'", rule))
        assert parts['sender'] == 'org.apfd' and 'path_namespace' not in parts
        about = parts['interface'].split('.')[-1]
        assert about in ('ObjectManager', 'Properties', 'VM1')
        # PropertiesChanged of an interface that is not shown would not be read.
        assert about != 'Properties' or parts['arg0'] in (MANAGER, VM)
        if vms and parts.get('arg0') != MANAGER:
            assert {parts.get('path'), parts.get('arg0path')} & {apfd.web1, apfd.web2}, rule


def test_renamed_vm(start, apfd):
    monitor = start('--json')
    monitor.listen(apfd, apfd.web1)
    apfd.object(apfd.web1).UpdateProperties(
        VM, dbus.Dictionary({'Name': 'new-name'}, signature='sv'))
    apfd.remove_vm(apfd.web1)
    got = json.loads(monitor.line())
    assert (got['event'], got['name']) == ('vm-removed', 'new-name')


def test_what_is_no_news_is_not_told(start, apfd):
    """Figures that change are not events, nor is a property set to what it was."""
    monitor = start('--json')
    monitor.listen(apfd, apfd.web1)
    apfd.object(apfd.web1).UpdateProperties(
        VM, dbus.Dictionary({'GuestModule': 'absent', 'Watched': False}, signature='sv'))
    host_changed(apfd, Libvirt='connected', HostModule='present')
    gate_changed(apfd, apfd.web2, reason='the next')
    assert json.loads(monitor.line())['reason'] == 'the next'


def test_count(start, apfd):
    monitor = start('--json', '--count=3')
    # The marks count, too; whatever their number, three lines come out.
    lines = []
    for _ in range(300):
        gate_changed(apfd, apfd.web1)
        line = monitor.line(0.1)
        if line:
            lines.append(line)
        if monitor.process.poll() is not None:
            break
    while (line := monitor.line(0.5)):
        lines.append(line)
    assert monitor.wait() == (0, '')
    assert len(lines) == 3


STARTED = ('apfd-started', None)


@pytest.mark.parametrize('host, shown, then, expected', [
    ({}, ['stays'], [], [STARTED, ('vm-removed', 'ends')]),
    ({'HostModuleVersion': '0.2.0'}, ['new', 'stays'], [],
     [STARTED, ('host-module', '0.2.0'), ('vm-added', 'new'), ('vm-removed', 'ends')]),
    # Without libvirt it knows no VM: that says nothing until libvirt is there.
    ({'Libvirt': 'connecting'}, [], [('vm', 'stays'), ('vm', 'new'), ('Libvirt', 'connected')],
     [STARTED, ('libvirt', 'connecting'), ('vm-added', 'new'), ('libvirt', 'connected'),
      ('vm-removed', 'ends')]),
])
def test_survives_restarts_of_apfd(start, bus, empty_apfd, host, shown, then, expected):
    """VMs that go on are not news; one that ended meanwhile is, with its name."""
    new = facts.vm(Name='new', UUID='5a7e0f3c-0006-4a00-8000-000000000006')
    stays = facts.vm(Name='stays', UUID='5a7e0f3c-0004-4a00-8000-000000000004')
    ends = facts.vm(Name='ends', UUID='5a7e0f3c-0005-4a00-8000-000000000005')
    path = empty_apfd.add_vm(stays)
    empty_apfd.add_vm(ends)
    monitor = start('--json')
    monitor.listen(empty_apfd, path)
    empty_apfd.process.kill()
    assert json.loads(monitor.line())['event'] == 'apfd-stopped'
    assert monitor.process.poll() is None

    second = MockApfd(bus, 'org.apfd.Starting')
    try:
        second.set_host(dict(facts.HOST, **host))
        for vm in shown:
            second.add_vm({'stays': stays, 'new': new}[vm])
        second.claim()
        for name, value in then:
            if name == 'vm':
                second.add_vm({'stays': stays, 'new': new}[value])
            else:
                host_changed(second, **{name: value})
        got = [json.loads(monitor.line()) for _ in expected]
        assert [(event['event'], event['name'] or event.get('libvirt') or
                 event.get('host_module_version')) for event in got] == expected
        gate_changed(second, path, reason='still heard')
        got = json.loads(monitor.line())
        assert (got['name'], got['reason']) == ('stays', 'still heard')
    finally:
        second.stop()
    assert json.loads(monitor.line())['event'] == 'apfd-stopped'
    assert monitor.end() == (0, '')


def test_survives_restarts_in_text(start, bus, empty_apfd):
    path = empty_apfd.add_vm(facts.vm(Name='db'))
    monitor = start()
    monitor.listen(empty_apfd, path)
    empty_apfd.process.kill()
    assert monitor.line().endswith('  -  apfd has left the bus')
    second = MockApfd(bus, 'org.apfd.Starting')
    second.set_host(facts.HOST)
    second.claim()
    assert monitor.line().endswith('  -  apfd is on the bus')
    second.stop()


def test_vm_never_shown_is_named_by_its_object(start, apfd):
    monitor = start()
    monitor.listen(apfd, apfd.web1)
    apfd.object('/org/apfd').EmitSignalDetailed(
        VM, 'GateChanged', 'sauiss',
        arguments(dbus.String('on'), typed('au', []), dbus.Int32(1), dbus.String('c'),
                  dbus.String('')),
        dbus.Dictionary({'path': '/org/apfd/vm/5a7e0f3c_0009'}, signature='sv'))
    assert '  5a7e0f3c-0009  state on' in monitor.line()


FORGER = '''
import sys, dbus, dbus.bus, dbus.lowlevel
connection = dbus.bus.BusConnection(sys.argv[1])
message = dbus.lowlevel.SignalMessage(sys.argv[2], 'org.apfd.VM1', 'GateChanged')
message.append('off', dbus.Array([], signature='u'), 1, 'forged', 'forged', signature='sauiss')
message.set_destination(sys.argv[3])
connection.send_message(message)
connection.flush()
connection.close()
'''


def test_forged_signals_are_not_believed(start, bus, apfd):
    """Any client of the bus can send a signal to another; only apfd's are apfd's."""
    monitor = start('--json')
    monitor.listen(apfd, apfd.web1)
    connection = dbus.bus.BusConnection(bus.address)
    target = next(name for name in connection.list_names() if name.startswith(':') and
                  connection.call_blocking('org.freedesktop.DBus', '/org/freedesktop/DBus',
                                           'org.freedesktop.DBus', 'GetConnectionUnixProcessID',
                                           's', [name]) == monitor.process.pid)
    connection.close()
    subprocess.run([sys.executable, '-c', FORGER, bus.address, apfd.web1, target], check=True,
                   timeout=30)
    gate_changed(apfd, apfd.web1, reason='true')
    assert json.loads(monitor.line())['reason'] == 'true'


def test_signal_of_another_shape(start, apfd):
    monitor = start()
    monitor.listen(apfd, apfd.web1)
    apfd.object(apfd.web1).EmitSignal(VM, 'GateChanged', 's', arguments(dbus.String('on')))
    status, stderr = monitor.wait()
    assert status == 1
    assert "'GateChanged'" in stderr and 'same version' in stderr


def test_half_a_report(start, apfd):
    monitor = start()
    monitor.listen(apfd, apfd.web1)
    guest_event(apfd, apfd.web1, 'pool-taken', 0, {'PoolSize': 1})
    assert monitor.line().rstrip().endswith('vCPU 0: - of 1 emergency nodes in use, its gate is closed')


def test_bus_ends_meanwhile(start, tmp_path):
    own_bus = PrivateBus(tmp_path)
    apfd = MockApfd(own_bus)
    apfd.set_host(facts.HOST)
    path = apfd.add_vm(facts.vm())
    monitor = start(env={'DBUS_SYSTEM_BUS_ADDRESS': own_bus.address})
    monitor.listen(apfd, path)
    # libdbus ends its process with its bus; this one is ours.
    apfd.connection.set_exit_on_disconnect(False)
    own_bus.stop()
    status, stderr = monitor.wait()
    assert status == 5
    assert 'the system bus closed the connection' in stderr
    apfd.process.kill()
    apfd.process.wait(timeout=10)


def test_reader_that_goes_ends_it_at_once(start, apfd):
    monitor = start()
    monitor.listen(apfd, apfd.web1)
    monitor.process.stdout.close()
    # Nothing happens, nothing is written, and yet it ends.
    assert monitor.wait() == (0, '')


def test_output_to_a_file(apfctl_path, environment, apfd, tmp_path):
    with open(tmp_path / 'events', 'w', encoding='utf-8') as file:
        process = subprocess.Popen([apfctl_path, 'monitor', '--count=1'], env=environment,
                                   stdout=file, stderr=subprocess.PIPE, text=True)
        for _ in range(300):
            gate_changed(apfd, apfd.web1, reason='to a file')
            if process.poll() is not None:
                break
            time.sleep(0.05)
        _, stderr = process.communicate(timeout=10)
    assert (process.returncode, stderr) == (0, '')
    # The first may come before the names are known.
    assert re.fullmatch(rf'.*  (web1|{facts.WEB1["UUID"]})  state on, by apfd\[7\]: to a file\n',
                        (tmp_path / 'events').read_text())


def test_full_disk_ends_it(apfctl_path, environment, apfd):
    with open('/dev/full', 'w', encoding='utf-8') as full:
        process = subprocess.Popen([apfctl_path, 'monitor'], env=environment, stdout=full,
                                   stderr=subprocess.PIPE, text=True)
        for _ in range(300):
            gate_changed(apfd, apfd.web1)
            if process.poll() is not None:
                break
            time.sleep(0.05)
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 1
    assert 'cannot write: No space left on device' in stderr
