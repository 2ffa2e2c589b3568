# SPDX-License-Identifier: GPL-2.0
"""VMs that come and go, and a libvirtd that does: its test driver, but over its real protocol."""

import signal
import socket
import time

import pytest

import apfdtest
from apfdtest import MANAGER, OTHER_UID, ROOT, VM

# A test in which seconds matter says nothing when the machine stands still for as long.
TRIES = 3
UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
PATH = "/org/apfd/vm/" + UUID.replace("-", "_")


def libvirt_is(apfd, state):
    return lambda: apfd.get(MANAGER, "Libvirt") == state


def test_started_and_stopped(start_apfd, libvirtd):
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    assert apfd.names() == ["test"]
    assert apfd.get(MANAGER, "LibvirtURI") == daemon.uri

    daemon.virsh("destroy", "test")
    [removed] = apfdtest.wait_for("InterfacesRemoved",
                                  lambda: apfd.signals_of("InterfacesRemoved"))
    assert removed[1] == ROOT
    assert removed[4][0] == PATH
    assert VM in removed[4][1]
    assert apfd.names() == []

    daemon.virsh("start", "test")
    [added] = apfdtest.wait_for("InterfacesAdded", lambda: apfd.signals_of("InterfacesAdded"))
    assert added[4][0] == PATH
    assert added[4][1][VM]["Name"] == "test"
    assert added[4][1][VM]["UUID"] == UUID
    first_id = int(added[4][1][VM]["LibvirtID"])
    assert first_id > 0
    assert apfd.names() == ["test"]

    # A paused VM is a running process.
    daemon.virsh("suspend", "test")
    daemon.virsh("resume", "test")
    daemon.virsh("reboot", "test")
    apfdtest.let_pass(0.3)
    assert apfd.names() == ["test"]
    assert len(apfd.signals_of("InterfacesAdded")) == 1


def test_created_and_saved(start_apfd, libvirtd, directory):
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    xml = f"{directory}/new.xml"
    with open(xml, "w", encoding="utf-8") as f:
        f.write("<domain type='test'><name>new</name><memory>8192</memory>"
                "<os><type>hvm</type></os></domain>")
    daemon.virsh("create", xml)
    apfdtest.wait_for("the new VM", lambda: apfd.names() == ["new", "test"])
    daemon.virsh("shutdown", "new")
    apfdtest.wait_for("its end", lambda: apfd.names() == ["test"])


def test_many_at_once(start_apfd, libvirtd, directory):
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    names = [f"vm{i:03}" for i in range(60)]
    script = []
    for name in names:
        with open(f"{directory}/{name}.xml", "w", encoding="utf-8") as f:
            f.write(f"<domain type='test'><name>{name}</name><memory>8192</memory>"
                    "<os><type>hvm</type></os></domain>")
        script.append(f"create {directory}/{name}.xml")
    daemon.virsh("; ".join(script))
    apfdtest.wait_for("all of them", lambda: apfd.names() == sorted(names + ["test"]))
    daemon.virsh("; ".join(f"destroy {n}" for n in names))
    apfdtest.wait_for("their end", lambda: apfd.names() == ["test"])
    assert len(apfd.signals_of("InterfacesAdded")) == 60
    assert len(apfd.signals_of("InterfacesRemoved")) == 60


def test_libvirtd_comes_later(start_apfd, libvirtd, directory):
    uri = f"test+unix:///default?socket={directory}/run/libvirt-sock"
    apfd = start_apfd("--connect", uri)
    assert apfd.get(MANAGER, "Libvirt") in ("connecting", "disconnected")
    assert apfd.names() == []
    libvirtd()
    apfdtest.wait_for("the connection", libvirt_is(apfd, "connected"))
    assert apfd.names() == ["test"]


def test_libvirtd_restarts(start_apfd, libvirtd):
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    for number in (signal.SIGTERM, signal.SIGKILL):
        daemon.stop(number)
        apfdtest.wait_for("the loss to be seen", lambda: not libvirt_is(apfd, "connected")())
        # A VM does not end with libvirtd.
        assert apfd.names() == ["test"]
        daemon = libvirtd()
        apfdtest.wait_for("the connection", libvirt_is(apfd, "connected"))
        assert apfd.names() == ["test"]
        # The events of the new one arrive.
        daemon.virsh("destroy", "test")
        apfdtest.wait_for("the end of the VM", lambda: apfd.names() == [])
        daemon.virsh("start", "test")
        apfdtest.wait_for("the VM", lambda: apfd.names() == ["test"])
    states = [str(s[4][1]["Libvirt"]) if "Libvirt" in s[4][1] else None
              for s in apfd.signals_of("PropertiesChanged", ROOT)]
    assert states.count("connected") == 2
    assert "disconnected" in states


def test_vm_ended_while_libvirtd_was_away(start_apfd, libvirtd, directory):
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    xml = f"{directory}/new.xml"
    with open(xml, "w", encoding="utf-8") as f:
        f.write("<domain type='test'><name>new</name><memory>8192</memory>"
                "<os><type>hvm</type></os></domain>")
    daemon.virsh("create", xml)
    apfdtest.wait_for("the new VM", lambda: apfd.names() == ["new", "test"])
    # The test driver forgets it.
    daemon.stop()
    apfdtest.wait_for("the loss to be seen", lambda: not libvirt_is(apfd, "connected")())
    assert apfd.names() == ["new", "test"]
    libvirtd()
    apfdtest.wait_for("the connection", libvirt_is(apfd, "connected"))
    assert apfd.names() == ["test"]


def test_libvirtd_hangs_at_start(start_apfd, libvirtd):
    daemon = libvirtd()
    daemon.send(signal.SIGSTOP)
    # The name does not wait for it for ever, and the loop does not wait at all.
    apfd = start_apfd("--connect", daemon.uri, libvirt=False)
    pace = apfdtest.Pace(apfd.popen.pid)
    for _ in range(20):
        assert pace.took(lambda: apfd.get(MANAGER, "Libvirt")) < 1
        assert apfd.get(MANAGER, "Libvirt") == "connecting"
    daemon.send(signal.SIGCONT)
    apfdtest.wait_for("the connection", libvirt_is(apfd, "connected"))
    assert apfd.names() == ["test"]


def test_hangup_before_the_name(start_apfd, libvirtd, directory):
    """Reloading is no reason to say READY: libvirt hangs, and the name comes seconds later."""
    daemon = libvirtd()
    daemon.send(signal.SIGSTOP)
    for attempt in range(TRIES):
        path = f"{directory}/notify{attempt}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            apfd = start_apfd("--connect", daemon.uri, env={"NOTIFY_SOCKET": path}, wait=False, libvirt=False)
            # signals are blocked, and the loop handles this one, as soon as there is an event loop
            apfdtest.wait_for("the daemon to take signals", lambda: takes(apfd.popen.pid, signal.SIGHUP))
            logged = len(apfd.log())
            apfd.send(signal.SIGHUP)
            apfdtest.wait_for("the reload", lambda: "The configuration was reloaded" in apfd.log()[logged:])
            s.setblocking(False)
            try:
                told = s.recv(4096)
            except BlockingIOError:
                s.settimeout(apfdtest.PATIENCE_SEC)
                assert s.recv(4096).decode().split("\n")[0] == "READY=1"
                apfd.wait_for_name()
                break
            # The seconds may be over already; then what was told says nothing.
            assert apfd.bus.owner(apfdtest.NAME), told
            apfd.stop()
    else:
        pytest.fail("it has its name always: the test says nothing")
    daemon.send(signal.SIGCONT)


def test_bus_that_is_late_with_the_name(start_apfd, libvirtd, bus):
    daemon = libvirtd()
    daemon.send(signal.SIGSTOP)
    for _attempt in range(TRIES):
        apfd = start_apfd("--connect", daemon.uri, env={"SYSTEMD_BUS_TIMEOUT": "2s"}, wait=False, libvirt=False)
        apfdtest.wait_for("apfd on the bus", lambda: apfd.popen.pid in bus.pids())
        bus.process.send(signal.SIGSTOP)
        try:
            apfdtest.wait_for("the request to time out", lambda: "has not given us the name" in apfd.log(), 20)
            break
        except AssertionError:
            # It may have had its name before the bus stood still.
            bus.process.send(signal.SIGCONT)
            apfd.stop()
    else:
        pytest.fail("the request does not time out, or it has its name always")
    bus.process.send(signal.SIGCONT)
    apfd.wait_for_name()
    daemon.send(signal.SIGCONT)


def takes(pid, number):
    """Does a process wait for this signal instead of being ended by it?"""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        blocked = next(int(line.split()[1], 16) for line in f if line.startswith("SigBlk:"))
    return blocked >> (number - 1) & 1


def test_daemon_ends_while_libvirtd_hangs(start_apfd, libvirtd):
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    daemon.send(signal.SIGSTOP)
    start = time.monotonic()
    apfd.send(signal.SIGTERM)
    assert apfd.wait() == 0
    assert time.monotonic() - start < 15


def test_libvirtd_hangs(start_apfd, libvirtd):
    """Noticed by keep-alive within 20 seconds; the bus is served all the time."""
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    daemon.send(signal.SIGSTOP)
    apfdtest.wait_for("the hang to be noticed", lambda: not libvirt_is(apfd, "connected")(), 60)
    assert "does not answer" in apfd.log()
    assert apfd.names() == ["test"]
    daemon.send(signal.SIGCONT)
    apfdtest.wait_for("the connection", libvirt_is(apfd, "connected"), 60)


def test_vm_ends_while_polkit_thinks(start_apfd, libvirtd, polkit):
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    polkit.allow("org.apfd.manage")
    polkit.hang(True)
    call = apfd.call_as(OTHER_UID, PATH, VM, "Disable", "au", [[]])
    apfdtest.wait_for("polkit to be asked", polkit.hanging)
    daemon.virsh("destroy", "test")
    apfdtest.wait_for("the end of the VM", lambda: apfd.names() == [])
    polkit.release()
    assert call.result()["error"] == "org.apfd.Error.NoSuchVM"
