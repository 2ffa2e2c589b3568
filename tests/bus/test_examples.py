# SPDX-License-Identifier: GPL-2.0
"""The programs in docs/examples do what they say, on a real apfd."""

import os
import pathlib
import subprocess
import sys

import apfdtest
from conftest import DOMAINS

WATCH = pathlib.Path(__file__).resolve().parents[2] / "docs/examples/apf-watch"


def watch(bus, *args, **kwargs):
    env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen([sys.executable, WATCH, *args], env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)


def test_lists_every_vm(bus, apfd):
    p = watch(bus, "--once")
    out, err = p.communicate(timeout=apfdtest.PATIENCE_SEC)
    assert (p.returncode, err) == (0, "")
    assert [line[:20].strip() for line in out.splitlines()] == sorted(DOMAINS)


def test_says_what_the_daemon_says(bus, apfd):
    p = watch(bus, "--set", "web9", "off")
    out, err = p.communicate(timeout=apfdtest.PATIENCE_SEC)
    assert (p.returncode, out) == (1, "")
    assert "web9" in err and "org.apfd.Error.NoSuchVM" in err


def test_without_the_daemon(bus):
    p = watch(bus, "--once")
    out, err = p.communicate(timeout=apfdtest.PATIENCE_SEC)
    assert (p.returncode, out) == (1, "")
    assert "org.freedesktop.DBus.Error.ServiceUnknown" in err
