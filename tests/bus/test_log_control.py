# SPDX-License-Identifier: GPL-2.0
"""org.freedesktop.LogControl1, as systemctl service-log-level uses it."""

import os
import signal
import subprocess
import sys

import dbus
import pytest

import apfdtest
from apfdtest import OTHER_UID, PROPERTIES

PATH = "/org/freedesktop/LogControl1"
INTERFACE = "org.freedesktop.LogControl1"
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"


def get(apfd, name):
    return apfd.get(INTERFACE, name, PATH)


def put(apfd, name, value):
    apfd.object(PATH, PROPERTIES).Set(INTERFACE, name, dbus.String(value, variant_level=1))


def test_what_it_says(apfd):
    assert get(apfd, "LogLevel") == "info"
    assert get(apfd, "LogTarget") == "console"
    assert get(apfd, "SyslogIdentifier") == "apfd"


def test_level_is_changed_until_a_reload(apfd):
    for level in ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"):
        put(apfd, "LogLevel", level)
        assert get(apfd, "LogLevel") == level
    put(apfd, "LogLevel", "err")
    assert "log level is set to err" in apfd.log()
    before = len(apfd.log())
    apfd.object(apfdtest.ROOT, apfdtest.MANAGER).Reload()
    assert get(apfd, "LogLevel") == "info"
    assert "The configuration was reloaded" in apfd.log()[before:]
    put(apfd, "LogLevel", "err")
    before = len(apfd.log())
    # Logs its state, at level notice: for that, the level need not be changed.
    apfd.send(signal.SIGUSR1)
    apfdtest.wait_for("the state", lambda: "State of apfd" in apfd.log()[before:])
    assert get(apfd, "LogLevel") == "err"


@pytest.mark.parametrize("name, wrong", [("LogLevel", "loud"), ("LogLevel", ""), ("LogTarget", "printer")])
def test_wrong_value_is_named(apfd, name, wrong):
    before = get(apfd, name)
    with pytest.raises(dbus.DBusException) as e:
        put(apfd, name, wrong)
    assert e.value.get_dbus_name() == INVALID and f'"{wrong}"' in e.value.get_dbus_message()
    assert get(apfd, name) == before


def test_target(apfd):
    for target, shown in (("journal", "journal"), ("console", "console"), ("auto", "console")):
        put(apfd, "LogTarget", target)
        assert get(apfd, "LogTarget") == shown


def test_identifier_is_constant(apfd):
    with pytest.raises(dbus.DBusException) as e:
        put(apfd, "SyslogIdentifier", "other")
    assert e.value.get_dbus_name() == "org.freedesktop.DBus.Error.PropertyReadOnly"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_others_may_read_and_not_write(apfd):
    script = ("import dbus, dbus.bus, sys\n"
              "o = dbus.bus.BusConnection(sys.argv[1]).get_object('org.apfd', '%s', introspect=False)\n"
              "p = dbus.Interface(o, '%s')\n"
              "print(p.Get('%s', 'LogLevel'))\n"
              "try:\n    p.Set('%s', 'LogLevel', dbus.String('debug', variant_level=1))\n"
              "except dbus.DBusException as e:\n    print(e.get_dbus_name())\n" % (PATH, PROPERTIES, INTERFACE, INTERFACE))
    out = subprocess.run([sys.executable, "-c", script, apfd.bus.address], user=OTHER_UID, group=OTHER_UID,
                         extra_groups=[], cwd="/", capture_output=True, text=True, timeout=apfdtest.PATIENCE_SEC)
    assert out.stdout.split() == ["info", "org.freedesktop.DBus.Error.AccessDenied"], out.stderr
    assert get(apfd, "LogLevel") == "info"
