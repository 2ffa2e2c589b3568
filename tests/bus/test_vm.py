# SPDX-License-Identifier: GPL-2.0
"""org.apfd.VM1: what is shown, and who may change it."""

import os
import pathlib
import signal
import subprocess
import xml.etree.ElementTree as ET

import dbus
import pytest

import apfdtest
from apfdtest import MANAGER, OTHER_UID, ROOT, VM
from conftest import DOMAINS

WEB1 = "/org/apfd/vm/" + DOMAINS["web1"].replace("-", "_")
DATA = pathlib.Path(__file__).resolve().parents[2] / "daemon/data"

COUNTERS = ["Asked", "Refused", "RefusedNested", "NotPresent", "Delivered", "Halted", "Ready",
            "ReadyUnknown", "ReadyAll", "Dropped", "Repeated", "SyncStalls", "SyncStallNSec",
            "AsyncNSec", "NoWait", "ProbeMisses", "RefusedPaused", "BadReports", "SavedNSec"]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to call as the superuser")


def set_state(apfd, state="off", vcpus=(), uid=OTHER_UID, **kwargs):
    return apfd.call_as(uid, WEB1, VM, "SetState", "sau", [state, list(vcpus)], **kwargs)


def test_all_properties_of_an_unwatched_vm(apfd):
    everything = apfd.managed()[WEB1][VM]
    assert everything == {
        "UUID": DOMAINS["web1"], "Name": "web1", "LibvirtID": 1, "PID": 0, "Watched": False,
        "Mode": "auto", "ModeSource": "default", "VCPUModes": {}, "Manager": "libvirt",
        "ID": "", "VMM": "",
        "Executable": "",
        "State": "unknown", "VCPUStates": [], "Since": 0, "SwappedBytes": 0,
        "SwappedSource": "unknown",
        "Counters": {n: 0 for n in COUNTERS}, "Outstanding": 0, "GuestModule": "unknown",
        "GuestReport": {}, "PausedVCPUs": [], "AsyncRate": 0.0, "SyncRate": 0.0,
        "P50USec": 0, "P95USec": 0, "StallRatio": 0.0, "SavedRatio": 0.0, "SavedUSec": 0, "AsyncHistogram": [0] * 32,
        "SyncHistogram": [0] * 32, "Pressure": {}, "CGroup": "",
        "PeakStallRatio": 0.0, "PeakLatencyUSec": 0, "Memory": {}, "NodeMemory": {},
        "NotCounted": [], "AutoRecall": {"State": "off", "Reason": "WhenCalm=no"},
    }


FIGURES = {"SwappedBytes", "Counters", "Outstanding", "GuestReport", "Pressure", "AsyncRate", "SyncRate",
           "P50USec", "P95USec", "StallRatio", "AsyncHistogram", "SyncHistogram", "PeakStallRatio",
           "PeakLatencyUSec", "Memory", "NodeMemory", "SavedRatio", "SavedUSec",
           "AutoRecall"}


def test_what_is_announced(apfd):
    """The daemon says of each property what the contract says."""
    def announced(xml):
        found = {}
        for p in ET.fromstring(xml).iter("property"):
            notes = {a.get("name"): a.get("value") for a in p.iter("annotation")}
            found[p.get("name")] = notes.get("org.freedesktop.DBus.Property.EmitsChangedSignal", "true")
        return found

    for path, name in ((WEB1, VM), (ROOT, MANAGER)):
        served = ET.fromstring(apfd.object(path, "org.freedesktop.DBus.Introspectable").Introspect())
        [interface] = [i for i in served.iter("interface") if i.get("name") == name]
        contract = (DATA / f"{name}.xml").read_text(encoding="utf-8")
        assert announced(ET.tostring(interface)) == announced(contract)
        silent = {p for p, value in announced(contract).items() if value == "false"}
        assert silent == (FIGURES if name == VM else {"Swap", "MemoryState", "Memory", "Pressure", "Nodes",
                                                         "AutoRecall"})


def test_vcpus_need_the_module(apfd):
    with pytest.raises(dbus.DBusException) as e:
        apfd.object(WEB1, VM).GetVCPUs()
    assert e.value.get_dbus_name() == "org.apfd.Error.NoHostModule"


def test_process(start_apfd, domains_uri, directory, sleeper):
    with open(f"{directory}/web1.pid", "w", encoding="ascii") as f:
        f.write(f"{sleeper.pid}\n")
    apfd = start_apfd("--connect", domains_uri, "--pid-dir", directory)
    assert apfd.get(VM, "PID", WEB1) == sleeper.pid
    assert apfd.get(VM, "Watched", WEB1) is dbus.Boolean(False) or \
        not apfd.get(VM, "Watched", WEB1)
    # This machine may swap, too.
    apfdtest.wait_for("what is on swap", lambda: apfd.get(VM, "SwappedBytes", WEB1)
                      == apfdtest.proc_swapped_bytes(sleeper.pid))
    # Nobody wrote a PID file for the others.
    assert {str(o[VM]["Name"]) for o in apfd.managed().values() if o[VM]["PID"]} == {"web1"}

    sleeper.send_signal(signal.SIGKILL)
    sleeper.wait()
    apfdtest.wait_for("the end of the process to be told",
                      lambda: any(s[4][1].get("PID") == 0
                                  for s in apfd.signals_of("PropertiesChanged", WEB1)))
    assert apfd.get(VM, "PID", WEB1) == 0


def test_process_found_later(start_apfd, domains_uri, directory, sleeper):
    apfd = start_apfd("--connect", domains_uri, "--pid-dir", directory)
    assert apfd.get(VM, "PID", WEB1) == 0
    with open(f"{directory}/new", "w", encoding="ascii") as f:
        f.write(str(sleeper.pid))
    os.rename(f"{directory}/new", f"{directory}/web1.pid")
    changes = apfdtest.wait_for("the process to be found",
                                lambda: apfd.signals_of("PropertiesChanged", WEB1))
    # Only what changed is told.
    assert changes[0][4][0] == VM
    changed = dict(changes[0][4][1])
    assert changed.pop("PID") == sleeper.pid
    assert changed.pop("Executable") == os.path.realpath("/bin/sleep")
    # test_pressure.py looks at that. Figures that its files have are not announced.
    assert set(changed) <= {"CGroup", "SwappedSource"}
    assert changes[0][4][2] == []
    assert not apfd.signals_of("PropertiesChanged", "/org/apfd/vm/" +
                               DOMAINS["web2"].replace("-", "_"))


def test_changes_are_paced(start_apfd, domains_uri, directory):
    """A process that comes and goes many times a second is told of at most once a second."""
    apfd = start_apfd("--connect", domains_uri, "--pid-dir", directory)

    def renew():
        p = subprocess.Popen(["sleep", "600"])
        with open(f"{directory}/new", "w", encoding="ascii") as f:
            f.write(str(p.pid))
        os.rename(f"{directory}/new", f"{directory}/web1.pid")
        apfdtest.let_pass(0.15)
        p.kill()
        p.wait()

    for _ in range(25):
        renew()
    times = [s[0] for s in apfd.signals_of("PropertiesChanged", WEB1)]
    # One that was heard of late, because the machine stood still, is nearer to the next.
    assert sum(b - a <= 0.85 for a, b in zip(times, times[1:])) <= 1, times


def test_process_number_of_nobody(start_apfd, domains_uri, directory, sleeper):
    sleeper.kill()
    sleeper.wait()
    with open(f"{directory}/web1.pid", "w", encoding="ascii") as f:
        f.write(str(sleeper.pid))
    apfd = start_apfd("--connect", domains_uri, "--pid-dir", directory)
    assert apfd.get(VM, "PID", WEB1) == 0


# ---- who may change it ----

def test_nobody_without_polkit(apfd):
    result = set_state(apfd).result()
    assert result["error"] == "org.freedesktop.DBus.Error.AccessDenied"
    assert "polkit is not running" in result["text"]


@needs_root
def test_superuser_without_polkit(apfd):
    assert set_state(apfd, uid=0).result()["error"] == "org.apfd.Error.NoHostModule"


def test_polkit_refuses(apfd, polkit):
    for method, signature, args in [("SetState", "sau", ["off", []]), ("Enable", "au", [[]]),
                                    ("Disable", "au", [[0]])]:
        result = apfd.call_as(OTHER_UID, WEB1, VM, method, signature, args).result()
        assert result["error"] == "org.freedesktop.DBus.Error.AccessDenied"
        assert "org.apfd.manage" in result["text"]


def test_polkit_allows(apfd, polkit):
    polkit.allow("org.apfd.manage")
    for method, signature, args in [("SetState", "sau", ["pv", []]), ("Enable", "au", [[]]),
                                    ("Disable", "au", [[0]])]:
        result = apfd.call_as(OTHER_UID, WEB1, VM, method, signature, args).result()
        assert result["error"] == "org.apfd.Error.NoHostModule"


def test_polkit_allows_something_else(apfd, polkit):
    polkit.allow("org.apfd.other")
    assert set_state(apfd).result()["error"] == "org.freedesktop.DBus.Error.AccessDenied"


def test_what_polkit_is_asked(apfd, polkit):
    polkit.answer_with("ret = (False, False, {})")
    set_state(apfd).result()
    set_state(apfd, interactive=True).result()
    [(_, first), (_, second)] = polkit.calls("CheckAuthorization")
    kind, details = first[0]
    assert kind == "system-bus-name"
    assert details["name"].startswith(":")
    assert first[1] == "org.apfd.manage"
    assert (first[3], second[3]) == (0, 1)
    assert first[4] != second[4]


@pytest.mark.parametrize("method, signature, args, mode, what, later", [
    ("SetState", "sau", ["pv", []], "pv", "VM", False),
    ("Enable", "au", [[]], "on", "VM", False),
    ("Disable", "au", [[1, 2]], "off", "vCPUs of VM", False),
    ("SetMode", "saub", ["auto", [], False], "auto", "VM", False),
    ("SetMode", "saub", ["default", [], True], "default", "VM", True),
    ("SetMode", "saub", ["on", [0], True], "on", "vCPUs of VM", True),
])
def test_polkit_is_told_what_for(apfd, polkit, method, signature, args, mode, what, later):
    """The prompt names VM and mode; rules can look at both."""
    polkit.answer_with("ret = (False, False, {})")
    path = apfd.vm_path("größe & maß")
    apfd.call_as(OTHER_UID, path, VM, method, signature, args).result()
    [(_, asked)] = polkit.calls("CheckAuthorization")
    message = f"Authentication is required to set {what} $(vm) to $(mode) (asynchronous page faults)"
    assert asked[2] == {
        "polkit.message": message + (", also for its later starts" if later else ""),
        "vm": "größe & maß", "uuid": "11111111-aaaa-4bbb-8ccc-000000000005", "mode": mode,
        "persistent": "yes" if later else "no",
    }


def test_polkit_wants_a_password(apfd, polkit):
    polkit.answer_with("ret = (False, True, {})")
    result = set_state(apfd).result()
    assert result["error"] == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
    # Asked, and not given.
    result = set_state(apfd, interactive=True).result()
    assert result["error"] == "org.freedesktop.DBus.Error.AccessDenied"


@pytest.mark.parametrize("code", ["raise dbus.exceptions.DBusException('broken')", "ret = (1,)"])
def test_polkit_is_broken(apfd, polkit, code):
    polkit.answer_with(code)
    assert set_state(apfd).result()["error"] == "org.freedesktop.DBus.Error.AccessDenied"


def test_polkit_answers_late(apfd, polkit):
    polkit.allow("org.apfd.manage")
    polkit.hang(True)
    calls = [set_state(apfd) for _ in range(3)]
    apfdtest.wait_for("polkit to be asked", polkit.hanging)
    # The daemon is not held up by it.
    assert apfd.vm_path("web1") == WEB1
    assert all(c.popen.poll() is None for c in calls)
    polkit.release()
    apfdtest.wait_for("the answers", lambda: polkit.release() or
                      all(c.popen.poll() is not None for c in calls))
    assert [c.result()["error"] for c in calls] == ["org.apfd.Error.NoHostModule"] * 3


def test_caller_leaves(apfd, polkit):
    polkit.hang(True)
    polkit.watch("CancelCheckAuthorization", "s")
    call = set_state(apfd)
    apfdtest.wait_for("polkit to be asked", polkit.hanging)
    call.kill()
    apfdtest.wait_for("the question to be withdrawn",
                      lambda: polkit.calls("CancelCheckAuthorization"))
    polkit.release()
    assert apfd.vm_path("web1") == WEB1


def test_daemon_ends_with_questions_open(apfd, polkit):
    polkit.hang(True)
    call = set_state(apfd)
    apfdtest.wait_for("polkit to be asked", polkit.hanging)
    assert apfd.stop() == 0
    assert call.result()["error"] == "org.freedesktop.DBus.Error.NoReply"


def test_polkit_is_not_flooded_by_one_user(apfd, polkit):
    polkit.hang(True)
    calls = [set_state(apfd) for _ in range(18)]
    apfdtest.wait_for("two to be refused",
                      lambda: sum(c.popen.poll() is not None for c in calls) == 2)
    done = [c for c in calls if c.popen.poll() is not None]
    for result in [c.result() for c in done]:
        assert result["error"] == "org.freedesktop.DBus.Error.LimitsExceeded"
        assert "More than 16 requests" in result["text"]
    for call in calls:
        if call not in done:
            call.kill()


# ---- what is refused before anybody is asked ----

@pytest.mark.parametrize("state", ["", "OFF", "mixed", "unknown", "offf", "auto",
                                   "x" + "ü" * 100])
def test_unknown_state(apfd, polkit, state):
    result = set_state(apfd, state).result()
    assert result["error"] == "org.apfd.Error.InvalidState"
    assert "off, pv or on" in result["text"]


def test_too_many_vcpus(apfd, polkit):
    result = set_state(apfd, "on", range(4097)).result()
    assert result["error"] == "org.apfd.Error.NoSuchVCPU"
    polkit.allow("org.apfd.manage")
    assert set_state(apfd, "on", range(4096)).result()["error"] == "org.apfd.Error.NoHostModule"


def test_wrong_arguments(apfd):
    result = apfd.call_as(OTHER_UID, WEB1, VM, "SetState", "s", ["off"]).result()
    assert result["error"] == "org.freedesktop.DBus.Error.InvalidArgs"
