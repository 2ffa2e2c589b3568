# SPDX-License-Identifier: GPL-2.0
"""The daemon as a process: options, ends, the service manager."""

import os
import re
import signal
import socket
import subprocess

import pytest

import apfdtest
from apfdtest import NAME


def run(*args):
    return subprocess.run([os.environ["APFD"], *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=apfdtest.PATIENCE_SEC)


def test_help():
    r = run("--help")
    assert r.returncode == 0
    assert r.stderr == ""
    for option in ("--connect", "--pid-dir", "--proc-dir", "--sys-dir", "--cgroup-dir", "--debug",
                   "--help", "--version"):
        assert option in r.stdout


def test_manual_page_has_the_same_options():
    in_help = set(re.findall(r"--([a-z-]+)", run("--help").stdout))
    with open(os.path.join(os.path.dirname(__file__), "../../man/apfd.8"), encoding="utf-8") as f:
        in_page = set(re.findall(r"\bFl -([a-z-]+)", f.read()))
        # The second half of "Fl c | -connect".
        f.seek(0)
        in_page |= set(re.findall(r"\bFl \w \| -([a-z-]+)", f.read()))
    assert in_page == in_help


def test_version():
    with open(os.path.join(os.path.dirname(__file__), "../../VERSION"), encoding="ascii") as f:
        assert run("--version").stdout == f"apfd {f.read().strip()}\n"


@pytest.mark.parametrize("args", [["--nonsense"], ["extra"], ["--connect"]])
def test_wrong_options(args):
    r = run(*args)
    assert r.returncode == 2
    assert r.stdout == ""
    assert "apfd --help" in r.stderr


def test_no_bus(directory):
    r = subprocess.run([os.environ["APFD"], "--connect", "test:///default"],
                       env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={directory}/no"},
                       stderr=subprocess.PIPE, text=True, timeout=apfdtest.PATIENCE_SEC)
    assert r.returncode == 1
    assert "Cannot connect to the system bus" in r.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_when_told(apfd, bus, number):
    assert apfd.stop(number) == 0
    assert bus.owner(NAME) is None


def test_second_daemon(apfd, start_apfd, bus):
    second = start_apfd("--connect", "test:///default", wait=False)
    assert second.wait() == 1
    assert "is another apfd running?" in second.log()
    assert bus.owner(NAME) == apfd.owner


def test_killed_and_started_again(start_apfd, domains_uri):
    first = start_apfd("--connect", domains_uri)
    names = first.names()
    first.stop(signal.SIGKILL)
    assert start_apfd("--connect", domains_uri).names() == names


def test_bus_ends(apfd, bus):
    bus.process.stop()
    # The service manager starts it again.
    assert apfd.wait() == 1
    assert "The system bus is gone" in apfd.log()


def test_says_that_the_module_is_missing(apfd):
    if os.path.isdir("/sys/module/apf_host"):
        pytest.skip("apf_host is loaded on this machine")
    assert apfd.log().count("apf_host is not loaded") == 1


def test_debug(start_apfd, domains_uri):
    assert "debug:" in start_apfd("--connect", domains_uri, "--debug").log()


def test_quiet_otherwise(apfd):
    assert "debug:" not in apfd.log()


def test_service_manager_is_told(start_apfd, directory, domains_uri):
    path = f"{directory}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(apfdtest.PATIENCE_SEC)
        apfd = start_apfd("--connect", domains_uri,
                          env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"})
        seen = []
        while not ("READY=1" in seen and seen.count("WATCHDOG=1") >= 3):
            seen += s.recv(4096).decode().split("\n")
        # Only who can answer is ready.
        assert apfd.names()
        apfd.send(signal.SIGTERM)
        while "STOPPING=1" not in seen:
            seen += s.recv(4096).decode().split("\n")
    assert apfd.wait() == 0
