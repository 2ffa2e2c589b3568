# SPDX-License-Identifier: GPL-2.0
"""The configuration: --check-config, SIGHUP and Reload, and what it says of VMs."""

import os
import re
import signal
import subprocess

import dbus
import pytest

import apfdtest
from apfdtest import MANAGER, OTHER_UID, ROOT, VM
from conftest import DOMAINS

HERE = os.path.dirname(__file__)


def path_of(name):
    return "/org/apfd/vm/" + DOMAINS[name].replace("-", "_")


@pytest.fixture
def write(directory):
    """Writes a file below /etc/apfd of the root directory for tests."""
    def write(text, name="apfd.conf", folder="etc/apfd"):
        path = f"{directory}/{folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path
    return write


def check(*args):
    return subprocess.run([os.environ["APFD"], "--check-config", *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=apfdtest.PATIENCE_SEC)


def test_the_installed_file_is_right(directory):
    path = os.path.join(HERE, "../../daemon/data/apfd.conf")
    r = check(f"--config={path}")
    assert (r.returncode, r.stdout, r.stderr) == (0, f"{path}\n", "")
    # And so it is with everything in it in force.
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"^#(?=\[|\w+=)", "", f.read(), flags=re.M)
    assert text.count("=") > 15
    with open(f"{directory}/all.conf", "w", encoding="utf-8") as f:
        f.write(text)
    r = check(f"--config={directory}/all.conf")
    assert (r.returncode, r.stderr) == (0, "")


def test_check_names_every_problem(directory, write):
    path = write("[Daemon]\nLogLevel=loud\nTickSec=5ms\nNews=1\n\n[Policy]\nEnterStallRatio=2\n"
                 "[Elsewhere]\nx=y\n[VM web]\nMode=on\n[VM \"*\"]\nMode=often\nVCPUModes=0:of\nnonsense\n")
    r = check(f"--config-root={directory}")
    assert r.returncode == 1
    said = r.stderr.splitlines()
    assert [re.sub(r"^(warning: )?(.*?):(\d+): .*", r"\1\3", line) for line in said] == \
        ["2", "3", "warning: 4", "7", "warning: 8", "10", "13", "14", "15"]
    assert all(path in line for line in said)


def test_check_of_a_file_that_is_not_there(directory):
    r = check(f"--config={directory}/none")
    assert r.returncode == 1
    assert "There is no such file" in r.stderr


def test_nothing_configured(directory):
    r = check(f"--config-root={directory}")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")


def test_unknown_keys_are_no_error(directory, write):
    write("[Daemon]\nFuture=1\n")
    r = check(f"--config-root={directory}")
    assert r.returncode == 0
    assert "Future" in r.stderr


def test_modes_by_name(start_apfd, domains_uri, write):
    write("[VM \"web*\"]\nMode=pv\nVCPUModes=1:off\n[VM \"web2\"]\nMode=off\n")
    apfd = start_apfd("--connect", domains_uri)
    vms = {n: apfd.managed()[path_of(n)][VM] for n in ("web1", "web2", "database")}
    assert {n: (v["Mode"], v["ModeSource"], dict(v["VCPUModes"])) for n, v in vms.items()} == {
        "web1": ("pv", "config", {1: "off"}),
        "web2": ("off", "config", {1: "off"}),
        "database": ("auto", "default", {}),
    }


def reload(apfd, uid=0):
    if os.geteuid() != 0:
        pytest.skip("needs root, to call as the superuser")
    return apfd.call_as(uid, ROOT, MANAGER, "Reload").result()


def test_reload(start_apfd, domains_uri, write):
    path = write("[VM \"web1\"]\nMode=on\n")
    apfd = start_apfd("--connect", domains_uri)
    assert apfd.get(MANAGER, "ConfigFiles") == [path]
    other = write("[VM \"web1\"]\nMode=off\n", "50-site.conf", "run/apfd/apfd.conf.d")
    assert reload(apfd) == {"reply": []}
    assert apfd.get(MANAGER, "ConfigFiles") == [path, other]
    assert apfd.get(VM, "Mode", path_of("web1")) == "off"
    apfdtest.wait_for("the files to be told",
                      lambda: any(s[4][1].get("ConfigFiles") == [path, other]
                                  for s in apfd.signals_of("PropertiesChanged", ROOT)))
    apfdtest.wait_for("the mode to be told",
                      lambda: any(s[4][1].get("Mode") == "off"
                                  for s in apfd.signals_of("PropertiesChanged", path_of("web1"))))


def test_reload_with_errors_keeps_the_last_good_one(start_apfd, domains_uri, write):
    path = write("[VM \"web1\"]\nMode=on\n")
    apfd = start_apfd("--connect", domains_uri)
    write("[VM \"web1\"]\nMode=off\n[Daemon]\nTickSec=never\n")
    result = reload(apfd)
    assert result["error"] == "org.apfd.Error.InvalidConfig"
    assert f"{path}:4: TickSec=never" in result["text"]
    assert apfd.get(MANAGER, "ConfigError") == result["text"]
    assert apfd.get(VM, "Mode", path_of("web1")) == "on"
    write("[VM \"web1\"]\nMode=off\n")
    assert reload(apfd) == {"reply": []}
    assert apfd.get(MANAGER, "ConfigError") == ""
    assert apfd.get(VM, "Mode", path_of("web1")) == "off"


def test_reload_needs_permission(start_apfd, domains_uri, write, polkit):
    apfd = start_apfd("--connect", domains_uri)
    result = apfd.call_as(OTHER_UID, ROOT, MANAGER, "Reload").result()
    assert result["error"] == "org.freedesktop.DBus.Error.AccessDenied"
    polkit.allow("org.apfd.manage")
    assert apfd.call_as(OTHER_UID, ROOT, MANAGER, "Reload").result() == {"reply": []}


def test_hangup_reloads(start_apfd, domains_uri, write):
    write("[VM \"web1\"]\nMode=on\n")
    apfd = start_apfd("--connect", domains_uri)
    write("[VM \"web1\"]\nMode=pv\n")
    apfd.send(signal.SIGHUP)
    apfdtest.wait_for("the new mode", lambda: apfd.get(VM, "Mode", path_of("web1")) == "pv")
    write("[VM \"web1\"]\nMode=\"on\"\n")
    apfd.send(signal.SIGHUP)
    apfdtest.wait_for("the error", lambda: apfd.get(MANAGER, "ConfigError"))
    assert apfd.get(VM, "Mode", path_of("web1")) == "pv"
    assert "the previous one is still in use" in apfd.log()


def test_starts_with_errors(start_apfd, domains_uri, write):
    """Without the lines that are wrong: a daemon that does not start helps nobody."""
    write("[VM \"web1\"]\nMode=pv\nVCPUModes=nonsense\n")
    apfd = start_apfd("--connect", domains_uri)
    assert apfd.get(VM, "Mode", path_of("web1")) == "pv"
    assert "VCPUModes=nonsense" in apfd.get(MANAGER, "ConfigError")


def test_log_level(start_apfd, domains_uri, write):
    write("[Daemon]\nLogLevel=debug\n")
    apfd = start_apfd("--connect", domains_uri)
    assert "debug:" in apfd.log()
    write("[Daemon]\nLogLevel=err\n")
    apfd.send(signal.SIGHUP)
    apfdtest.wait_for("the reload", lambda: apfd.get("org.freedesktop.LogControl1", "LogLevel",
                                                     "/org/freedesktop/LogControl1") == "err")
    before = apfd.log()
    apfd.send(signal.SIGHUP)
    apfd.managed()
    assert apfd.log() == before


def test_dump(apfd):
    apfd.send(signal.SIGUSR1)
    apfdtest.wait_for("the dump", lambda: apfd.log().count("not watched:") >= len(DOMAINS))
    assert f"{len(DOMAINS)} VMs, libvirt connected" in apfd.log()
    for name in DOMAINS:
        assert f"VM {name}: PID 0" in apfd.log()


def test_configuration_cannot_be_set_by_everybody(apfd):
    with pytest.raises(dbus.DBusException) as e:
        apfd.object(ROOT, apfdtest.PROPERTIES).Set(MANAGER, "ConfigError", "")
    assert e.value.get_dbus_name() == "org.freedesktop.DBus.Error.PropertyReadOnly"


def test_dump_is_the_signal_with_permission(start_apfd, domains_uri, write, polkit):
    """What SIGUSR1 logs, for whom polkit allows it; refused, nothing is logged."""
    write("")
    apfd = start_apfd("--connect", domains_uri)
    result = apfd.call_as(OTHER_UID, ROOT, MANAGER, "Dump").result()
    assert result["error"] == "org.freedesktop.DBus.Error.AccessDenied"
    assert "State of apfd" not in apfd.log()
    polkit.allow("org.apfd.manage")
    assert apfd.call_as(OTHER_UID, ROOT, MANAGER, "Dump").result() == {"reply": []}
    # It is there when the call is answered.
    dumped = apfd.log()
    assert dumped.count("State of apfd") == 1
    apfd.send(signal.SIGUSR1)
    apfdtest.wait_for("the signal's", lambda: apfd.log().count("State of apfd") == 2)
    for name in DOMAINS:
        assert f"VM {name}: PID 0" in dumped
