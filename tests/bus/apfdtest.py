# SPDX-License-Identifier: GPL-2.0
"""What the bus tests are made of: a private bus, processes that are ended, callers.

The daemon under test is $APFD; $APFD_WRAPPER, if set, is put before it (for
example "valgrind -q --leak-check=full --error-exitcode=99").
"""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import dbus
import dbus.bus
import dbus.mainloop.glib
from gi.repository import GLib

dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)

NAME = "org.apfd"
ROOT = "/org/apfd"
MANAGER = "org.apfd.Manager1"
VM = "org.apfd.VM1"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"

# Longer than anything takes, also under valgrind; nothing waits for it to pass.
PATIENCE_SEC = 40

# An ordinary user, for tests run by root, whom polkit is never asked about.
OTHER_UID = 65534

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <deny own="org.apfd"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy user="{user}">
    <allow own="org.apfd"/>
  </policy>
  <include>{policy}</include>
  {limits}
</busconfig>
"""

# Run by a python of its own, so that it can be another user; prints one line of JSON.
CALLER = """
import json, sys
import dbus, dbus.bus, dbus.lowlevel
address, path, interface, method, signature, args, interactive = json.loads(sys.argv[1])
bus = dbus.bus.BusConnection(address)
message = dbus.lowlevel.MethodCallMessage("org.apfd", path, interface, method)
message.append(signature=signature, *args)
if interactive:
    message.set_allow_interactive_authorization(True)
try:
    reply = bus.send_message_with_reply_and_block(message, 60)
    print(json.dumps({"reply": [str(a) for a in reply.get_args_list()]}))
except dbus.DBusException as e:
    print(json.dumps({"error": e.get_dbus_name(), "text": e.get_dbus_message()}))
"""


def wait_for(what, condition, patience_sec=PATIENCE_SEC):
    """Waits for @condition to be true, letting signals in; returns its value."""
    end = time.monotonic() + patience_sec
    context = GLib.MainContext.default()
    while True:
        while context.iteration(False):
            pass
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience_sec} s for {what}")
        time.sleep(0.01)


def let_pass(seconds):
    """Lets signals in for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        while GLib.MainContext.default().iteration(False):
            pass
        time.sleep(0.01)


class Pace:
    """
    The time that a process did not get: others had its CPU, or the whole machine stood still. What a test says of the
    speed of the daemon is without it; a daemon that waits for something itself gets no such time.
    """

    BEAT_SEC = 0.05

    def __init__(self, pid):
        self.pid, self.stood_still = pid, 0.0
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self):
        last = time.monotonic()
        while os.path.exists(f"/proc/{self.pid}"):
            time.sleep(self.BEAT_SEC)
            now = time.monotonic()
            self.stood_still += max(0, now - last - 2 * self.BEAT_SEC)
            last = now

    def lost(self):
        """Seconds so far."""
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/schedstat", encoding="ascii") as f:
                waited = int(f.read().split()[1]) / 1e9
        except OSError:
            waited = 0
        return waited + self.stood_still

    def took(self, function):
        """Seconds that @function took, without those that were lost."""
        lost, begin = self.lost(), time.monotonic()
        function()
        took = time.monotonic() - begin
        # The thread that counts may wake up a little later than this one.
        time.sleep(2 * self.BEAT_SEC if took > 1 else 0)
        return took - (self.lost() - lost)


def listens(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


# Every process started, so that none outlives its test, however that ends.
started = []


def end_all():
    while started:
        popen = started.pop()
        if popen.poll() is None:
            popen.kill()
        popen.wait()


class Process:
    """A process with a log file."""

    def __init__(self, argv, log, **kwargs):
        self.log_path = log
        # In a session of its own: the kernel sends SIGHUP and SIGCONT to a group with a stopped process when the shell
        # that has started the tests ends.
        kwargs.setdefault("start_new_session", True)
        with open(log, "ab") as f:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                          **kwargs)
        started.append(self.popen)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def send(self, number):
        self.popen.send_signal(number)

    def wait(self):
        return self.popen.wait(PATIENCE_SEC)

    def stop(self, number=signal.SIGTERM):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(number)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise


class PrivateBus:
    """A bus of our own, with the policy file that is installed for apfd."""

    def __init__(self, directory, limits=""):
        self.directory = directory
        self.address = f"unix:path={directory}/bus"
        config = f"{directory}/bus.conf"
        policy = os.path.join(os.path.dirname(__file__), "../../systemd/org.apfd.conf")
        # The bus must be able to read it, whoever runs it.
        shutil.copy(policy, f"{directory}/org.apfd.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(BUS_CONFIG.format(socket=f"{directory}/bus", user=os.geteuid(),
                                      policy=f"{directory}/org.apfd.conf", limits=limits))
        self.process = Process(["dbus-daemon", "--nofork", "--nopidfile", f"--config-file={config}"],
                               f"{directory}/bus.log")
        wait_for("the bus", lambda: listens(f"{directory}/bus"))
        self.connection = dbus.bus.BusConnection(self.address)

    def owner(self, name):
        try:
            return self.connection.get_name_owner(name)
        except dbus.DBusException:
            return None

    def pids(self):
        """The processes that the bus has answered first."""
        names = [n for n in self.connection.list_names() if n.startswith(":")]
        return [self._pid(n) for n in names]

    def _pid(self, name):
        try:
            return int(self.connection.call_blocking("org.freedesktop.DBus", "/", "org.freedesktop.DBus",
                                                     "GetConnectionUnixProcessID", "s", [name]))
        except dbus.DBusException:
            return None

    def stop(self):
        self.connection.close()
        self.process.stop()


class Apfd(Process):
    """The daemon, and what a client sees of it."""

    def __init__(self, bus, *args, env=None, wait=True, libvirt=None):
        """@libvirt: whether it answers; by default, whether there is one."""
        self.libvirt = self._has_libvirt(args) if libvirt is None else libvirt
        # Not the machine's own configuration and settings.
        args = [f"--config-root={bus.directory}", f"--state-dir={bus.directory}/state", *args]
        argv = shlex.split(os.environ.get("APFD_WRAPPER", "")) + [os.environ["APFD"], *args]
        super().__init__(argv, f"{bus.directory}/apfd.log",
                         env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address, **(env or {})})
        self.bus = bus
        self.signals = []
        bus.connection.add_signal_receiver(
            self._on_signal, bus_name=None, path_keyword="path", member_keyword="member",
            interface_keyword="interface", sender_keyword="sender")
        if wait:
            self.wait_for_name()

    @staticmethod
    def _has_libvirt(args):
        uri = dict(zip(args, args[1:])).get("--connect", "")
        return uri.startswith("test:") or "socket=" in uri and listens(uri.partition("socket=")[2])

    def wait_for_name(self):
        wait_for("the name org.apfd",
                 lambda: self.popen.poll() is not None or self.bus.owner(NAME))
        assert self.popen.poll() is None, self.log()
        self.owner = self.bus.owner(NAME)
        # The name does not wait for a libvirt that needs some seconds, as where the machine stands still.
        if self.libvirt:
            wait_for("libvirt's VMs", lambda: self.get(MANAGER, "Libvirt") == "connected")
        # What was told before anybody could ask is not of interest.
        self.managed()
        let_pass(0.02)
        self.signals.clear()

    def _on_signal(self, *args, path, member, interface, sender):
        if sender == self.bus.owner(NAME):
            self.signals.append((time.monotonic(), path, interface, member, args))

    def signals_of(self, member, path=None):
        return [s for s in self.signals if s[3] == member and path in (None, s[1])]

    def object(self, path, interface):
        return dbus.Interface(self.bus.connection.get_object(NAME, path, introspect=False),
                              interface)

    def get(self, interface, name, path=ROOT):
        return self.object(path, PROPERTIES).Get(interface, name)

    def managed(self):
        # A busy machine may need more than the usual 25 s for a thousand VMs.
        return self.object(ROOT, OBJECT_MANAGER).GetManagedObjects(timeout=120)

    def vm_path(self, vm):
        return self.object(ROOT, MANAGER).GetVM(vm)

    def names(self):
        return sorted(str(o[VM]["Name"]) for o in self.managed().values())

    def call_as(self, uid, path, interface, method, signature="", args=(), interactive=False):
        """Calls as another user, or as ourselves if that is impossible; a Call."""
        return Call(self.bus, uid, path, interface, method, signature, args, interactive)


class Call:
    """A method call under way in a process of its own."""

    def __init__(self, bus, uid, path, interface, method, signature, args, interactive):
        request = json.dumps([bus.address, path, interface, method, signature, args, interactive])
        user = {"user": uid, "group": uid, "extra_groups": []} if os.geteuid() == 0 else {}
        self.popen = subprocess.Popen([sys.executable, "-c", CALLER, request], cwd="/",
                                      stdout=subprocess.PIPE, text=True, **user)
        started.append(self.popen)

    def result(self):
        out, _ = self.popen.communicate(timeout=PATIENCE_SEC)
        return json.loads(out)

    def kill(self):
        self.popen.kill()
        self.popen.communicate(timeout=PATIENCE_SEC)


class Libvirtd(Process):
    """A libvirtd without any driver but the test one, which is then real, remote libvirt."""

    def __init__(self, directory):
        self.directory = directory
        self.socket = f"{directory}/run/libvirt-sock"
        self.uri = f"test+unix:///default?socket={self.socket}"
        for name in ("run", "home", "no-drivers"):
            os.makedirs(f"{directory}/{name}", exist_ok=True)
            if os.geteuid() == 0:
                os.chown(f"{directory}/{name}", OTHER_UID, OTHER_UID)
        config = f"{directory}/libvirtd.conf"
        with open(config, "w", encoding="utf-8") as f:
            f.write(f'auth_unix_rw = "none"\nauth_unix_ro = "none"\n'
                    f'unix_sock_dir = "{directory}/run"\n')
        # Not as root, where it would leave files all over /run.
        user = {"user": OTHER_UID, "group": OTHER_UID, "extra_groups": []} \
            if os.geteuid() == 0 else {}
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": f"{directory}/home",
               "XDG_RUNTIME_DIR": f"{directory}/run",
               "LIBVIRT_DRIVER_DIR": f"{directory}/no-drivers"}
        super().__init__(["libvirtd", "--config", config, "-p", f"{directory}/run/pid"],
                         f"{directory}/libvirtd.log", cwd="/", env=env, **user)
        wait_for("libvirtd", lambda: self.popen.poll() is not None or listens(self.socket))
        assert self.popen.poll() is None, self.log()

    def virsh(self, *args):
        return subprocess.run(["virsh", "-q", "-c", self.uri, *args], check=True, text=True,
                              stdout=subprocess.PIPE, timeout=PATIENCE_SEC).stdout


def proc_swapped_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("VmSwap:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmSwap")
