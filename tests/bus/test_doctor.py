# SPDX-License-Identifier: GPL-2.0
"""Diagnose() of the host and of a VM, on libvirt's test driver."""

import os
import signal
import subprocess
import time

import dbus
import pytest

import apfdtest
from apfdtest import MANAGER, ROOT, VM
from conftest import DOMAINS

WEB1 = "/org/apfd/vm/" + DOMAINS["web1"].replace("-", "_")


def diagnose(apfd, path=ROOT, interface=MANAGER):
    findings = apfd.object(path, interface).Diagnose()
    assert findings.signature == "a{sv}"
    for f in findings:
        assert set(f) == {"Check", "State", "Fact", "Remedy"}
        assert all(type(v) is dbus.String for v in f.values())
        assert f["State"] in ("ok", "warn", "fail", "unknown")
        assert f["Fact"] and "\n" not in f["Fact"]
    return {str(f["Check"]): f for f in findings}


def test_host(apfd, domains_uri):
    found = diagnose(apfd)
    assert found["apfd"]["State"] == found["libvirt"]["State"] == "ok"
    assert domains_uri in found["libvirt"]["Fact"]
    assert os.uname().release in found["kernel"]["Fact"]
    if not os.path.isdir("/sys/module/apf_host"):
        assert found["module"]["State"] == "fail"
        assert "\n  modprobe apf_host" in found["module"]["Remedy"]
    # Of the host, and nothing of a VM.
    assert "swap" in found and "asyncpf-int" not in found


def test_host_without_libvirt(start_apfd, directory):
    apfd = start_apfd("--connect", f"test+unix:///default?socket={directory}/none")
    found = diagnose(apfd)
    assert found["libvirt"]["State"] in ("fail", "unknown")


def test_control_groups_are_where_the_option_says(start_apfd, domains_uri, directory, sleeper):
    """Not below /sys, where this machine may have any."""
    os.makedirs(f"{directory}/cgroup/system.slice/systemd-oomd.service")
    os.makedirs(f"{directory}/cgroup/vms.slice/web1.scope")
    for name, text in (("cgroup.controllers", "cpu io\n"),
                       ("system.slice/systemd-oomd.service/cgroup.events", "populated 1\nfrozen 0\n"),
                       ("vms.slice/web1.scope/memory.swap.max", "0\n")):
        with open(f"{directory}/cgroup/{name}", "w", encoding="ascii") as f:
            f.write(text)
    os.makedirs(f"{directory}/proc/{sleeper.pid}")
    with open(f"{directory}/proc/{sleeper.pid}/cgroup", "w", encoding="ascii") as f:
        f.write("0::/vms.slice/web1.scope\n")
    with open(f"{directory}/web1.pid", "w", encoding="ascii") as f:
        f.write(f"{sleeper.pid}\n")
    apfd = start_apfd("--connect", domains_uri, "--pid-dir", directory, f"--proc-dir={directory}/proc",
                      f"--cgroup-dir={directory}/cgroup")
    host = diagnose(apfd)
    assert (host["cgroup"]["State"], "no memory controller" in host["cgroup"]["Fact"]) == ("warn", True)
    assert "systemd-oomd does not run" not in host["oomd"]["Fact"]
    limit = diagnose(apfd, WEB1, VM)["swap-limit"]
    assert (limit["State"], "0 in /vms.slice/web1.scope" in limit["Fact"]) == ("fail", True)


def test_control_groups_are_below_the_other_sys(start_apfd, domains_uri, directory):
    os.makedirs(f"{directory}/sys/fs/cgroup")
    with open(f"{directory}/sys/fs/cgroup/cgroup.controllers", "w", encoding="ascii") as f:
        f.write("memory\n")
    apfd = start_apfd("--connect", domains_uri, f"--sys-dir={directory}/sys")
    host = diagnose(apfd)
    assert host["cgroup"]["State"] == host["oomd"]["State"] == "ok"


def test_vm_without_process(apfd):
    found = diagnose(apfd, WEB1, VM)
    assert found["watched"]["State"] == "fail"
    assert "asyncpf-int" not in found and "swap" not in found


@pytest.fixture
def pretender():
    """A process with options of a QEMU, which VMs of libvirt's test driver have not."""
    process = subprocess.Popen(["sh", "-c", "read -r _", "-cpu", "EPYC,monitor=off"],
                               stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def test_vm_with_process(start_apfd, domains_uri, directory, pretender):
    with open(f"{directory}/web1.pid", "w", encoding="ascii") as f:
        f.write(f"{pretender.pid}\n")
    apfd = start_apfd("--connect", domains_uri, "--pid-dir", directory)
    found = diagnose(apfd, WEB1, VM)
    # Its CPU by its command line, the remedy for a VM of libvirt.
    assert found["asyncpf-int"]["State"] == "fail"
    assert "EPYC" in found["asyncpf-int"]["Fact"]
    assert "virsh edit web1" in found["asyncpf-int"]["Remedy"]
    assert "\n  <cpu mode='host-passthrough'/>" in found["asyncpf-int"]["Remedy"]
    assert found["locked"]["State"] == found["huge-pages"]["State"] == "ok"


def test_reading_is_open(apfd):
    for path, interface in ((ROOT, MANAGER), (WEB1, VM)):
        call = apfd.call_as(apfdtest.OTHER_UID, path, interface, "Diagnose")
        assert "reply" in call.result()


def test_libvirtd_that_hangs(start_apfd, libvirtd):
    """The answer comes without what libvirt would have said; not everybody may wait for it."""
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    [path] = apfd.managed()
    answers, errors = [], []
    pace = apfdtest.Pace(apfd.popen.pid)
    daemon.send(signal.SIGSTOP)
    begin = time.monotonic()
    try:
        for _ in range(70):
            apfd.bus.connection.call_async(apfdtest.NAME, path, VM, "Diagnose", "", (),
                                           answers.append, errors.append,
                                           timeout=apfdtest.PATIENCE_SEC)
        # Others are served meanwhile.
        assert diagnose(apfd)["apfd"]["State"] == "ok"
        # Only a few requests about one domain wait; the others are answered without libvirt.
        apfdtest.wait_for("the first answers", lambda: len(answers) >= 50)
        # After five seconds those are answered, too, which a machine that stands still needs for the first.
        assert len(answers) < 60 or time.monotonic() - begin > 4
        apfdtest.wait_for("all answers", lambda: len(answers) + len(errors) == 70)
        # What is still asked of libvirt does not pile up: this one does not wait behind it.
        assert pace.took(lambda: answers.append(diagnose(apfd, path, VM)["watched"])) < 4, "it waited as the others did"
        assert answers.pop()["State"] == "fail"
    finally:
        daemon.send(signal.SIGCONT)
    assert errors == []
    assert {str(f["Check"]): str(f["State"]) for f in answers[0]}["watched"] == "fail"


def test_vm_that_ends_meanwhile(start_apfd, libvirtd):
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    [path] = apfd.managed()
    answers, errors = [], []
    for _ in range(20):
        apfd.bus.connection.call_async(apfdtest.NAME, path, VM, "Diagnose", "", (),
                                       answers.append, errors.append,
                                       timeout=apfdtest.PATIENCE_SEC)
    daemon.virsh("destroy", "test")
    apfdtest.wait_for("all answers", lambda: len(answers) + len(errors) == 20)
    # Sooner or later than its end, but each is one of the two.
    assert {e.get_dbus_name() for e in errors} <= {"org.apfd.Error.NoSuchVM"}
