# SPDX-License-Identifier: GPL-2.0
import os
import shutil
import subprocess
import sys
import tempfile

import dbus
import pytest

import apfdtest


def pytest_configure(config):
    if not os.access(os.environ.get("APFD", ""), os.X_OK):
        raise pytest.UsageError("set APFD to the daemon to be tested")


DOMAIN = """
<domain type='test'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>64</memory>
  <os><type>hvm</type></os>
</domain>
"""

# Started in this order, so their libvirt ids are 1, 2, ...
DOMAINS = {
    "web1": "11111111-aaaa-4bbb-8ccc-000000000001",
    "web2": "11111111-aaaa-4bbb-8ccc-000000000002",
    "database": "11111111-aaaa-4bbb-8ccc-000000000003",
    "1": "11111111-aaaa-4bbb-8ccc-000000000004",
    "größe & maß": "11111111-aaaa-4bbb-8ccc-000000000005",
}


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    apfdtest.end_all()


@pytest.fixture
def directory(nothing_is_left):
    """Not pytest's own: other users must get into it."""
    path = tempfile.mkdtemp(prefix="apfd-test-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def bus(directory):
    b = apfdtest.PrivateBus(directory)
    yield b
    b.stop()


@pytest.fixture
def start_apfd(bus):
    """Starts daemons; each must end with code 0 when told to, whatever happened to it."""
    started = []

    def start(*args, **kwargs):
        daemon = apfdtest.Apfd(bus, *args, **kwargs)
        started.append(daemon)
        return daemon

    yield start
    for daemon in started:
        if daemon.popen.poll() is None:
            assert daemon.stop() == 0, daemon.log()
        print(daemon.log())


@pytest.fixture
def domains_uri(directory):
    """libvirt's test driver with a few domains, inside the daemon."""
    text = "".join(DOMAIN.format(name=n.replace("&", "&amp;"), uuid=u) for n, u in DOMAINS.items())
    path = f"{directory}/node.xml"
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"<node>{text}</node>")
    return f"test://{path}"


@pytest.fixture
def apfd(start_apfd, domains_uri):
    return start_apfd("--connect", domains_uri)


@pytest.fixture
def libvirtd(directory):
    started = []

    def start():
        started.append(apfdtest.Libvirtd(directory))
        return started[-1]

    yield start
    for daemon in started:
        if daemon.popen.poll() is None:
            daemon.stop()


class Polkit:
    """python-dbusmock's polkit, plus what it was asked."""

    def __init__(self, bus):
        self.process = apfdtest.Process(
            [sys.executable, "-m", "dbusmock", "--system", "--template", "polkitd"],
            f"{bus.directory}/polkit.log",
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address})
        apfdtest.wait_for("polkit", lambda: bus.owner("org.freedesktop.PolicyKit1"))
        self.mock = dbus.Interface(
            bus.connection.get_object("org.freedesktop.PolicyKit1",
                                      "/org/freedesktop/PolicyKit1/Authority", introspect=False),
            "org.freedesktop.DBus.Mock")
        # The name comes first, then the object, then what the template adds to it.
        apfdtest.wait_for("polkit's template", self._answers)

    def _answers(self):
        try:
            self.mock.HaveHangingCalls()
            return True
        except dbus.DBusException:
            return False

    def allow(self, *actions):
        self.mock.SetAllowed(dbus.Array(actions, signature="s"), signature="as")

    def hang(self, on):
        self.mock.SimulateHang(on)

    def hanging(self):
        return self.mock.HaveHangingCalls()

    def release(self):
        self.mock.ReleaseHangingCalls()

    def answer_with(self, code):
        """Replaces CheckAuthorization by python code that sets ret."""
        self.mock.AddMethod("org.freedesktop.PolicyKit1.Authority", "CheckAuthorization",
                            "(sa{sv})sa{ss}us", "(bba{ss})", code)

    def watch(self, method, signature):
        self.mock.AddMethod("org.freedesktop.PolicyKit1.Authority", method, signature, "", "")

    def calls(self, method):
        return self.mock.GetMethodCalls(method)


@pytest.fixture
def polkit(bus):
    p = Polkit(bus)
    yield p
    p.process.stop()


@pytest.fixture
def sleeper():
    """A process to be taken for a VM's."""
    p = subprocess.Popen(["sleep", "600"])
    yield p
    p.kill()
    p.wait()
