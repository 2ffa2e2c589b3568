# SPDX-License-Identifier: GPL-2.0
"""A stand-in for apfd on a private bus, for tests of apfctl alone.

It is a mock and proves nothing about apfd: what it offers is made from the
interface descriptions that apfd itself is built with (daemon/data/*.xml), what
it answers is what a test tells it to. tests/bus/ tests the real apfd.
"""

import os
import pathlib
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import dbus
import dbus.bus

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANAGER, VM = 'org.apfd.Manager1', 'org.apfd.VM1'
MOCK = 'org.freedesktop.DBus.Mock'

BUS_CONFIG = '''<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*" eavesdrop="true"/>
  </policy>
</busconfig>
'''


# All properties, whatever is asked for.
LIST_VMS = f'ret = dbus.Dictionary({{dbus.ObjectPath(k): o.props["{VM}"] for k, o in objects.items() ' \
    'if k.startswith("/org/apfd/vm/")}, signature="oa{sv}")'

# What an apfd from before the policy lacks.
NEW_METHODS = ('Reload', 'SetMode', 'Explain', 'History', 'Diagnose', 'Recall')


def interface_xml(name):
    tree = ET.parse(ROOT / 'daemon' / 'data' / f'{name}.xml')
    return tree.find(f'interface[@name="{name}"]')


def property_types(name):
    return {p.get('name'): p.get('type') for p in interface_xml(name).findall('property')}


def methods(name):
    """(method, signature in, signature out) of an interface."""
    def signature(method, direction):
        return ''.join(a.get('type') for a in method.findall('arg')
                       if a.get('direction', 'in') == direction)

    return [(m.get('name'), signature(m, 'in'), signature(m, 'out'))
            for m in interface_xml(name).findall('method')]


def typed(signature, value):
    """VALUE as the D-Bus type SIGNATURE; the mock must not guess 32 bits for 64."""
    basic = {'s': dbus.String, 'b': dbus.Boolean, 'i': dbus.Int32, 'u': dbus.UInt32,
             't': dbus.UInt64, 'd': dbus.Double}
    if signature == 'v':
        # The test says what type it has.
        return value
    if signature in basic:
        return basic[signature](value)
    if signature.startswith('a{'):
        return dbus.Dictionary({typed(signature[2], k): typed(signature[3:-1], v)
                                for k, v in value.items()}, signature=signature[2:-1])
    assert signature[0] == 'a', signature
    return dbus.Array([typed(signature[1:], v) for v in value], signature=signature[1:])


def typed_properties(interface, values, older=False):
    types = property_types(interface)
    if not older:
        assert set(values) == set(types), 'the test does not give exactly the contract\'s properties'
    return dbus.Dictionary({name: typed(types[name], value) for name, value in values.items()},
                           signature='sv')


class PrivateBus:
    """A dbus-daemon of its own; the machine's bus is never touched."""

    def __init__(self, directory):
        self.socket = directory / 'bus'
        config = directory / 'bus.conf'
        config.write_text(BUS_CONFIG.format(socket=self.socket))
        self.process = subprocess.Popen(
            ['dbus-daemon', f'--config-file={config}', '--nofork', '--nopidfile',
             '--print-address=1'], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline(), 'dbus-daemon did not start'
        # Left open: apfctl under test runs as another user in some tests.
        os.chmod(self.socket, 0o777)

    @property
    def address(self):
        return f'unix:path={self.socket}'

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10)
        self.process.stdout.close()


class MockApfd:
    """Owns org.apfd, or NAME until claim(): the real one has all it shows before that."""

    def __init__(self, bus, name='org.apfd'):
        self.name = name
        self.address = bus.address
        env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bus.address)
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'dbusmock', '--system', '-m', name, '/org/apfd', MANAGER],
            env=env, stdout=subprocess.DEVNULL, start_new_session=True)
        self.connection = dbus.bus.BusConnection(bus.address)
        end = time.monotonic() + 60
        while not self.connection.name_has_owner(name):
            assert self.process.poll() is None, 'dbusmock ended'
            assert time.monotonic() < end, 'dbusmock does not answer'
            time.sleep(0.05)
        self.paths = {}
        self.has_host = False

    def stop(self):
        self.connection.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def object(self, path):
        return dbus.Interface(self.connection.get_object(self.name, path, introspect=False), MOCK)

    def run(self, code):
        """Runs CODE in the mock, at its object /org/apfd."""
        self.object('/org/apfd').AddMethod('test.Mock', 'Run', '', '', code)
        self.connection.call_blocking(self.name, '/org/apfd', 'test.Mock', 'Run', '', [])

    def claim(self):
        self.run('self.claimed = dbus.service.BusName("org.apfd", self.connection)')

    def set_host(self, values, older=False):
        """OLDER: the host of an apfd that has less than the contract."""
        mock = self.object('/org/apfd')
        properties = typed_properties(MANAGER, values, older)
        if self.has_host:
            # dbusmock cannot update a dictionary.
            dicts = {k: v for k, v in properties.items() if isinstance(v, dbus.Dictionary)}
            for name, value in dicts.items():
                plain = {str(k): next(t(v) for t in (str, float, int) if isinstance(v, t)) for k, v in value.items()}
                self.run(f'self.props[{MANAGER!r}][{name!r}] = '
                         f'dbus.Dictionary({plain!r}, signature={str(value.signature)!r})')
            mock.UpdateProperties(MANAGER, dbus.Dictionary(
                {k: v for k, v in properties.items() if k not in dicts}, signature='sv'))
        else:
            mock.AddProperties(MANAGER, properties)
            mock.AddMethods(MANAGER, dbus.Array(
                [('Reload', '', '', ''), ('ForgetStored', 's', '', ''),
                 ('ListVMs', 'as', 'a{oa{sv}}', LIST_VMS)] if not older else [],
                signature='(ssss)'))
        self.has_host = True
        self._update_get_vm()

    def add_vm(self, values, vcpus=(), explain=(), history=(), older=False):
        """A VM with exactly the contract's properties, and its answers.

        OLDER: the VM of an apfd that has less than the contract.
        """
        path = '/org/apfd/vm/' + values['UUID'].replace('-', '_')
        codes = {'GetVCPUs': 'ret = ' + dicts_code(vcpus, VCPU_TYPES),
                 'Explain': 'ret = ' + dicts_code(explain, EXPLAIN_TYPES),
                 'History': 'ret = ' + dicts_code(history, HISTORY_TYPES)}
        rows = dbus.Array([(name, sig_in, sig_out, codes.get(name, ''))
                           for name, sig_in, sig_out in methods(VM)
                           if not older or name not in NEW_METHODS], signature='(ssss)')
        self.object('/org/apfd').AddObject(path, VM, typed_properties(VM, values, older), rows)
        for key in (values['Name'], values['UUID'], str(values['LibvirtID'])):
            self.paths[key] = path
        self._update_get_vm()
        self.run(f'self.object_manager_emit_added({path!r})')
        return path

    def remove_vm(self, path):
        # Objects of the mock have no interfaces left to name once they are removed.
        self.run(f'self.object_manager_emit_removed({path!r})')
        self.object('/org/apfd').RemoveObject(path)

    def _update_get_vm(self):
        code = (f'paths = {self.paths!r}\n'
                'if args[0] not in paths:\n'
                '    raise dbus.exceptions.DBusException(\n'
                '        "No VM is called \'%s\'; near matches: web1, web2" % args[0],\n'
                '        name="org.apfd.Error.NoSuchVM")\n'
                'ret = dbus.ObjectPath(paths[args[0]])')
        self.object('/org/apfd').AddMethod(MANAGER, 'GetVM', 's', 'o', code)

    def diagnose(self, path, interface, findings):
        """From now on Diagnose() of the object answers (check, state, fact, remedy)..."""
        entries = ['dbus.Dictionary({' + ', '.join(
            f'{key!r}: dbus.String({value!r}, variant_level=1)'
            for key, value in zip(('Check', 'State', 'Fact', 'Remedy'), finding)
        ) + '}, signature="sv")' for finding in findings]
        self.object(path).AddMethod(interface, 'Diagnose', '', 'aa{sv}',
                                    f'ret = dbus.Array([{", ".join(entries)}], signature="a{{sv}}")')

    def store(self, rows):
        """From now on ListStored() answers ROWS; what a row leaves out is empty."""
        types = {'File': 's', 'Name': 's', 'ID': 's', 'UUID': 's', 'Scope': 's', 'Mode': 's',
                 'VCPUModes': 's', 'Used': 't', 'Running': 'b', 'Error': 's'}
        empty = {key: {'s': '', 't': 0, 'b': False}[kind] for key, kind in types.items()}
        self.object('/org/apfd').AddMethod(
            MANAGER, 'ListStored', '', 'aa{sv}',
            'ret = ' + dicts_code([{**empty, **row} for row in rows], types))

    def fail(self, path, interface, method, error, text):
        """From now on METHOD fails with the D-Bus error ERROR."""
        sig_in, sig_out = next((i, o) for m, i, o in methods(interface) if m == method)
        self.object(path).AddMethod(
            interface, method, sig_in, sig_out,
            f'raise dbus.exceptions.DBusException({text!r}, name={error!r})')

    def answer_growing(self, path, method, dicts, number):
        """From now on METHOD of a VM returns DICTS, where NUMBER grows by itself each time."""
        types = {'GetVCPUs': VCPU_TYPES, 'Explain': EXPLAIN_TYPES, 'History': HISTORY_TYPES}[method]
        source = dicts_code(dicts, types).replace(str(number), f'{number} * self.calls_so_far')
        self.object(path).AddMethod(
            VM, method, '', 'aa{sv}',
            'self.calls_so_far = getattr(self, "calls_so_far", 0) + 1\nret = ' + source)

    def calls(self, path, method):
        """Arguments of each call of METHOD so far, as plain Python values."""
        def plain(value):
            return [plain(v) for v in value] if isinstance(value, (list, tuple)) else \
                int(value) if isinstance(value, int) else str(value)

        return [plain(args) for _, args in self.object(path).GetMethodCalls(method)]


VCPU_TYPES = {'Index': 'u', 'VCPUID': 'u', 'State': 's', 'GuestAPF': 's', 'Outstanding': 'u',
              'Counters': 'a{st}', 'AsyncHistogram': 'at', 'SyncHistogram': 'at',
              'Paused': 'b', 'GuestReport': 'a{su}'}
EXPLAIN_TYPES = {'Index': 'u', 'Mode': 's', 'State': 's', 'Since': 't', 'Rule': 's', 'Reason': 's',
                 'Inputs': 'a{sd}'}
HISTORY_TYPES = {'Time': 't', 'VCPUs': 'au', 'State': 's', 'Rule': 's', 'Reason': 's',
                 'Inputs': 'a{sd}', 'DryRun': 'b'}


def dicts_code(dicts, types):
    """Python source of a method's aa{sv}; the mock evaluates it."""
    basic = {'s': 'String', 'u': 'UInt32', 'b': 'Boolean', 't': 'UInt64'}

    def source(signature, value):
        if signature in basic:
            return f'dbus.{basic[signature]}({value!r}, variant_level=1)'
        if signature in ('at', 'au'):
            return f'dbus.Array({value!r}, signature="{signature[1]}", variant_level=1)'
        assert signature in ('a{st}', 'a{su}', 'a{sd}'), signature
        return f'dbus.Dictionary({value!r}, signature="{signature[2:-1]}", variant_level=1)'

    entries = ['dbus.Dictionary({' + ', '.join(
        f'{key!r}: {source(types[key], value)}' for key, value in each.items()
    ) + '}, signature="sv")' for each in dicts]
    return f'dbus.Array([{", ".join(entries)}], signature="a{{sv}}")'
