# SPDX-License-Identifier: GPL-2.0
"""apfd and apfctl on a real host: libvirt, polkit, systemd and the module, together."""

import json
import re
import time

import pytest

from apflab import VM
from apflab.logs import apfd_errors, no_trouble
from apflab.netlink import OFF, ON, PV
from apflab.trace import Trace, tokens

LOAD = "-p -f 4 -w 1 -m 220 -t 0"


@pytest.fixture(scope="module")
def nl(nl_apfd):
    return nl_apfd


@pytest.fixture(scope="module")
def guest(host, nl):
    with VM(host, "web-1", vcpus=2, workload=LOAD) as vm:
        vm.wait_ready()
        yield vm


@pytest.fixture
def web(host, nl, guest):
    """The guest, watched by apfd, all gates on."""
    if not nl.loaded():
        nl.load()
    host.run("systemctl start apfd libvirtd.socket")
    host.wait_for(lambda: watched(host), 30, "apfd to watch the VM")
    host.run("apfctl enable web-1")
    return guest


def apfctl(host, args, user=None):
    return host.run(f"apfctl {args}", check=False, user=user, timeout=60)


def status(host, name="web-1"):
    return json.loads(host.run(f"apfctl --json status {name}").stdout)


def watched(host, name="web-1"):
    r = apfctl(host, f"--json status {name}")
    return r.rc == 0 and json.loads(r.stdout)["watched"]


def started_by_vcpu(host, *counters):
    """How many asynchronous faults KVM itself says it started, per vCPU id, while @counters grew, one for each vCPU.

    What apfd shows is of its last tick, which may be from before the trace: the first that changes is the beginning.
    """
    time.sleep(1)
    with Trace(host) as trace:
        shown = counts(host, counters)
        host.wait_for(lambda: all(a != b for a, b in zip(shown, counts(host, counters))), 60, "the next tick")
        before = counts(host, counters)
        host.wait_for(lambda: all(b > a + 40 for a, b in zip(before, counts(host, counters))), 60,
                      f"{counters} to grow on each vCPU")
    found = [t & 0xfff for t in tokens(trace.events(), "kvm_async_pf_not_present")]
    return {vcpu: found.count(vcpu) for vcpu in (0, 1)}


def counts(host, counters):
    return [vcpu["counters"][name] for vcpu, name in zip(status(host)["vcpus"], counters)]


def test_list_knows_the_vm(host, web):
    rows = json.loads(host.run("apfctl --json list").stdout)
    assert [(r["name"], r["uuid"], r["pid"], r["state"], r["watched"]) for r in rows] == \
        [("web-1", web.uuid, web.pid, "on", True)]
    libvirt_id = host.run("virsh -q domid web-1").stdout.strip()
    assert rows[0]["libvirt_id"] == int(libvirt_id)
    for name in ("web-1", web.uuid, web.uuid.upper(), libvirt_id):
        assert status(host, name)["uuid"] == web.uuid
    # The load has just begun; what apfd shows is some seconds old.
    host.wait_for(lambda: status(host)["swapped_bytes"] == pytest.approx(web.swapped_kib() * 1024, rel=0.2), 20,
                  "apfd to show what is on swap")


def test_switching_is_seen_by_kvm(host, web):
    assert min(started_by_vcpu(host, "not_present", "not_present").values()) >= 10
    assert apfctl(host, "disable web-1").rc == 0
    assert status(host)["state"] == "off"
    assert started_by_vcpu(host, "sync_stalls", "sync_stalls") == {0: 0, 1: 0}
    assert apfctl(host, "enable web-1 --vcpu 1").rc == 0
    s = status(host)
    assert (s["state"], s["vcpu_states"]) == ("mixed", ["off", "on"])
    started = started_by_vcpu(host, "sync_stalls", "not_present")
    assert started[0] == 0 and started[1] >= 10
    assert apfctl(host, "set web-1 pv").rc == 0
    assert status(host)["vcpu_states"] == ["pv", "pv"]


def test_top_moves_with_the_load(host, web):
    def asynchronous():
        looks = [json.loads(line)["vms"][0] for line in
                 host.run("apfctl top --json --count 3", timeout=60).stdout.splitlines()]
        # The disk answers in 5 ms, the machine when it can.
        # What apfd could not read in time is null.
        return all((v["async_swapins_per_sec"] or 0) > 5 and 3000 < (v["latency_p50_usec"] or 0) < 500000
                   for v in looks[1:])
    host.wait_for(asynchronous, 20, "asynchronous swap-ins, look after look")
    host.run("apfctl disable web-1")

    def stalled():
        look = json.loads(host.run("apfctl top --json --count 1").stdout)["vms"][0]
        return (look["sync_swapins_per_sec"] or 0) > 5 and (look["stall_ratio"] or 0) > 0.05
    host.wait_for(stalled, 20, "swap-ins that stop the vCPUs")
    plain = host.run("apfctl top --count 1").stdout
    assert re.search(r"^web-1 +off ", plain, re.M)


def test_refused_to_an_ordinary_user(host, web):
    assert apfctl(host, "list", user="nobody").rc == 0
    for change in ("disable web-1", "enable web-1 --vcpu 0", "set web-1 pv"):
        r = apfctl(host, f"--no-ask-password {change}", user="nobody")
        assert r.rc == 4, r
        assert "web-1" in r.stderr
    assert status(host)["vcpu_states"] == ["on", "on"]


def test_refusals_name_what_is_wrong(host, web):
    for args, rc, text in (("status web-2", 3, "web-1"), ("disable web-1 --vcpu 0,2", 1, "2"),
                           ("set web-1 sideways", 2, "sideways"), ("frobnicate", 2, "frobnicate")):
        r = apfctl(host, args)
        assert r.rc == rc, r
        assert text in r.stderr, r
    assert status(host)["vcpu_states"] == ["on", "on"]


def test_gates_outlive_apfd(host, web, nl):
    host.run("apfctl set web-1 pv; apfctl disable web-1 --vcpu 0")
    old = int(host.run("systemctl show -P MainPID apfd").stdout)
    host.run(f"kill -9 {old}")
    host.wait_for(lambda: int(host.run("systemctl show -P MainPID apfd").stdout) not in (0, old), 30,
                  "systemd to restart apfd")
    host.wait_for(lambda: watched(host) and status(host)["vcpu_states"], 30, "the new apfd to watch the VM")
    s = status(host)
    assert (s["vcpu_states"], s["state"]) == (["off", "pv"], "mixed")
    assert [v["STATE"] for v in nl.vcpus(nl.dump("VM_GET")[0]["VM_ID"])] == [OFF, PV]
    host.run("systemctl stop apfd")
    assert [v["STATE"] for v in nl.vcpus(nl.dump("VM_GET")[0]["VM_ID"])] == [OFF, PV], \
        "stopping the service must not touch gates"
    host.run("systemctl start apfd")


def test_gates_given_back_at_the_end(host, web, nl):
    drop_in = "/etc/apfd/apfd.conf.d/on-exit.conf"
    host.write(drop_in, "[Daemon]\nOnExit=restore\n")
    try:
        host.run("systemctl reload apfd && apfctl set web-1 pv && apfctl disable web-1 --vcpu 0 && systemctl stop apfd")
        assert [v["STATE"] for v in nl.vcpus(nl.dump("VM_GET")[0]["VM_ID"])] == [ON, ON]
    finally:
        host.run(f"rm -f {drop_in}; systemctl start apfd")
    # The modes outlived it.
    host.wait_for(lambda: watched(host) and status(host)["vcpu_states"] == ["off", "pv"], 30,
                  "apfd to do again what was asked of it")


def test_reload_refused(host, web):
    drop_in = "/etc/apfd/apfd.conf.d/wrong.conf"
    host.write(drop_in, "[Daemon]\nTickSec=never\n")
    try:
        assert host.run("systemctl reload apfd", check=False).rc != 0
        r = host.run("apfd --check-config", check=False)
        assert r.rc == 1 and f"{drop_in}:2:" in r.stderr
    finally:
        host.run(f"rm -f {drop_in}; systemctl reload apfd")
    assert watched(host)


def test_libvirtd_restarted(host, web, alone):
    pid = host.run("systemctl show -P MainPID apfd").stdout
    host.run("systemctl restart libvirtd", timeout=120)
    with VM(host, "late", vcpus=1, workload="-f 1 -w 0 -m 100 -t 0", limit_mib=0) as late:
        host.wait_for(lambda: watched(host, "late"), 60, "apfd to see a VM started after libvirtd's restart")
        assert status(host, "late")["pid"] == late.pid
        assert status(host)["watched"]
    host.wait_for(lambda: apfctl(host, "status late").rc == 3, 30, "apfd to forget a VM that was stopped")
    assert host.run("systemctl show -P MainPID apfd").stdout == pid, "apfd was restarted, it should have stayed"


def test_vm_killed(host, web, nl, alone):
    victim = VM(host, "victim", vcpus=1, workload=LOAD)
    with victim:
        victim.wait_ready()
        host.wait_for(lambda: watched(host, "victim"), 30, "apfd to watch the VM")
        victim.kill9()
        host.wait_for(lambda: apfctl(host, "status victim").rc == 3, 30, "apfd to forget the killed VM")
    # KVM destroys a VM when the last read for it is over, which may be after the end of the process.
    host.wait_for(lambda: len(nl.dump("VM_GET")) == 1, 30, "the module to let go of the killed VM")


def test_module_taken_away_and_brought_back(host, web, nl):
    host.run("apfctl disable web-1")
    nl.unload()
    host.wait_for(lambda: status(host)["state"] == "unknown", 10, "apfd to notice")
    r = apfctl(host, "enable web-1")
    assert r.rc == 5 and "apf_host" in r.stderr
    assert apfctl(host, "list").rc == 0
    nl.load()
    host.wait_for(lambda: watched(host), 20, "apfd to pick the module up")
    # A module knows nothing of before, but apfd knows the mode.
    host.wait_for(lambda: status(host)["state"] == "off", 20, "the gate to be as it was set")


def test_service_missing(host, web):
    host.run("systemctl mask --runtime --now apfd")
    try:
        r = apfctl(host, "list")
        assert r.rc == 5 and "apfd" in r.stderr, r
    finally:
        host.run("systemctl unmask --runtime apfd && systemctl daemon-reload && systemctl start apfd")


def test_dbus_starts_the_service(host, web):
    host.run("systemctl stop apfd")
    assert apfctl(host, "list").rc == 0
    # apfd is on the bus before systemd has read that it is ready
    host.wait_for("systemctl is-active -q apfd", 30, "systemd to take note")


def test_unit_and_journal(host, web, nl):
    show = dict(line.split("=", 1) for line in host.run(
        "systemctl show apfd -p Type,ActiveState,NRestarts,WatchdogUSec,Result").stdout.splitlines())
    assert show["Type"] == "notify" and show["ActiveState"] == "active" and show["Result"] == "success"
    assert show["WatchdogUSec"] not in ("0", "infinity")
    entries = [json.loads(line) for line in host.run("journalctl -u apfd -o json --no-pager").stdout.splitlines()]
    switched = [e for e in entries if e.get("APF_VM") == "web-1" and e.get("APF_STATE")]
    assert switched, "no journal entry with the fields APF_VM and APF_STATE"
    # The configuration that was wrong was so on purpose.
    assert apfd_errors(nl, ["/etc/apfd/apfd.conf.d/wrong.conf", "The configuration was not reloaded"]) == []


def test_nothing_of_ours_in_the_kernel_log(host, web, nl):
    """Last in this file: what all of the above left behind."""
    no_trouble(host.dmesg())
    no_trouble(web.console())
    host.run("systemctl stop apfd")
    nl.unload()
    assert nl.probes() == []
