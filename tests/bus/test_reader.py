# SPDX-License-Identifier: GPL-2.0
"""A client that does not read: apfd stays small, and everybody knows the final state."""

import json
import os
import signal
import subprocess
import sys
import time

import dbus
import pytest

import apfdtest
from apfdtest import VM
from conftest import DOMAIN

VMS = 1000
ROUNDS = 15

# dbus-daemon reads nothing more from a client while so much of that client is not delivered.
LIMITS = '<limit name="max_incoming_bytes">262144</limit>'

# A thousand messages in the queue of sd-bus, what the allocator keeps of them, and the noise.
GROWTH_KIB = 6 * 1024

# A client of its own process, so that it can be stopped: prints the modes of all VMs, as it knows
# them from signals, when it is told to.
READER = """
import json, os, sys
import dbus, dbus.bus, dbus.mainloop.glib
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection(sys.argv[1])
modes = {}

def changed(interface, properties, _, path=None):
    if "Mode" in properties:
        modes[path] = properties["Mode"]

def tell(*_):
    # Exactly one request: what a buffer would hold, nobody would be woken for.
    if not os.read(0, 1):
        return False
    print(json.dumps(modes), flush=True)
    return True

bus.add_signal_receiver(changed, "PropertiesChanged", bus_name="org.apfd", path_keyword="path")
# All that is subscribed to, as a curious user does.
bus.add_match_string("type='signal',sender='org.apfd'")
root = dbus.Interface(bus.get_object("org.apfd", "/org/apfd", introspect=False), "org.freedesktop.DBus.ObjectManager")
for path, o in root.GetManagedObjects(timeout=120).items():
    modes[path] = o["org.apfd.VM1"]["Mode"]
GLib.io_add_watch(0, GLib.IO_IN | GLib.IO_HUP, tell)
print("ready", flush=True)
GLib.MainLoop().run()
"""


# A client that calls often and reads no reply: its replies fill the socket of apfd, which holds
# megabytes.
CALLER = """
import sys, time
import dbus.bus, dbus.lowlevel
bus = dbus.bus.BusConnection(sys.argv[1])
for _ in range(int(sys.argv[2])):
    bus.send_message(dbus.lowlevel.MethodCallMessage("org.apfd", "/org/apfd", "org.freedesktop.DBus.ObjectManager",
                                                     "GetManagedObjects"))
bus.flush()
print("sent", flush=True)
time.sleep(600)
"""


def call_without_reading(bus, n):
    caller = subprocess.Popen([sys.executable, "-c", CALLER, bus.address, str(n)], text=True, stdout=subprocess.PIPE)
    apfdtest.started.append(caller)
    assert caller.stdout.readline() == "sent\n"
    return caller


class Reader:
    def __init__(self, bus):
        self.popen = subprocess.Popen([sys.executable, "-c", READER, bus.address], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        apfdtest.started.append(self.popen)
        assert self.popen.stdout.readline() == "ready\n"

    def modes(self):
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        return json.loads(self.popen.stdout.readline())


@pytest.fixture
def bus(directory):
    b = apfdtest.PrivateBus(directory, LIMITS)
    yield b
    b.stop()


@pytest.fixture
def many(start_apfd, directory):
    path = f"{directory}/many.xml"
    with open(path, "w", encoding="utf-8") as f:
        f.write("<node>" + "".join(DOMAIN.format(name=f"vm{n}", uuid=f"11111111-aaaa-4bbb-8ccc-{n:012}")
                                   for n in range(VMS)) + "</node>")
    os.makedirs(f"{directory}/etc/apfd", exist_ok=True)
    apfd = start_apfd("--connect", f"test://{path}")
    apfdtest.wait_for("all VMs", lambda: len(apfd.managed()) == VMS)
    return apfd


def resident_kib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as f:
        [kib] = [int(line.split()[1]) for line in f if line.startswith("VmRSS:")]
    return kib


def set_mode_of_all(apfd, directory, mode):
    """In the configuration: the next tick has a change of each VM to announce."""
    with open(f"{directory}/etc/apfd/apfd.conf", "w", encoding="utf-8") as f:
        f.write(f'[VM "*"]\nMode={mode}\n')
    apfd.send(signal.SIGHUP)


@pytest.fixture
def blocked(many, bus, directory):
    """The daemon, a reader that stopped, one that did not, and the caller that blocks the bus."""
    stops, reads = Reader(bus), Reader(bus)
    # The allocator has what a round of signals needs.
    for mode in ("pv", "off"):
        set_mode_of_all(many, directory, mode)
        apfdtest.wait_for("the mode", lambda: set(reads.modes().values()) == {mode})
    stops.popen.send_signal(signal.SIGSTOP)
    caller = call_without_reading(bus, 100)
    apfdtest.wait_for("the limit of replies", lambda: "Calls on the bus are refused" in many.log())
    return many, stops, reads, caller


def test_reader_that_stops(blocked, directory):
    """Many changes meanwhile; then all who read know the last state."""
    apfd, stops, reads, caller = blocked
    before, sizes = resident_kib(apfd.popen), []
    for n in range(ROUNDS):
        set_mode_of_all(apfd, directory, ("on", "pv", "off")[n % 3])
        time.sleep(1.2)
        sizes.append(resident_kib(apfd.popen))
    set_mode_of_all(apfd, directory, "on")
    time.sleep(1.2)
    print("resident KiB", before, sizes)
    # The bus was blocked, or the test says nothing.
    assert set(reads.modes().values()) != {"on"}
    assert max(sizes) - before < GROWTH_KIB

    caller.kill()
    caller.wait()
    stops.popen.send_signal(signal.SIGCONT)
    for reader in (stops, reads):
        modes = apfdtest.wait_for("the last state", lambda: set(reader.modes().values()) == {"on"} and reader.modes())
        assert len(modes) == VMS
    assert {str(o[VM]["Mode"]) for o in apfd.managed().values()} == {"on"}


def test_daemon_ends_while_the_bus_does_not_read(blocked):
    apfd = blocked[0]
    begin = time.monotonic()
    assert apfd.stop() == 0
    assert time.monotonic() - begin < 15
    assert "the last messages of apfd are lost" in apfd.log()


def test_caller_that_does_not_read_replies(many, bus):
    """Megabytes for each call: some are answered, the others are refused; then a reader is served."""
    apfd = many
    apfd.managed()
    before = resident_kib(apfd.popen)
    caller = call_without_reading(bus, 200)
    sizes = []
    for _ in range(20):
        time.sleep(0.5)
        sizes.append(resident_kib(apfd.popen))
    print("resident KiB", before, sizes)
    # Not the hundreds of megabytes that all replies have together.
    assert max(sizes) - before < 100 * 1024
    caller.kill()
    caller.wait()
    # The bus and apfd have megabytes for the one that is gone before them.
    assert len(apfdtest.wait_for("an answer", lambda: answers(apfd), 120)) == VMS


def test_list_of_many_is_made_in_turns(many, bus):
    """More VMs than a turn has, more callers than are served, and all answers are whole."""
    managed = {path: o[VM] for path, o in many.managed().items()}
    answers_, refused = [], []
    for _ in range(12):
        many.object(apfdtest.ROOT, apfdtest.MANAGER).ListVMs(
            dbus.Array([], signature="s"), reply_handler=answers_.append, error_handler=refused.append, timeout=120)
    apfdtest.wait_for("all answers", lambda: len(answers_) + len(refused) == 12, 120)
    assert all(answer == managed for answer in answers_)
    assert len(answers_) >= 8
    assert {e.get_dbus_name() for e in refused} <= {"org.freedesktop.DBus.Error.LimitsExceeded"}


def answers(apfd):
    try:
        return apfd.managed()
    except dbus.DBusException as e:
        assert e.get_dbus_name() == "org.freedesktop.DBus.Error.LimitsExceeded"
        return None
