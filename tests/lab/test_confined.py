# SPDX-License-Identifier: GPL-2.0
"""VMs that AppArmor confines, as libvirt does on Debian and Ubuntu (sVirt), and an apfd that it confines, too."""

import json

import pytest

from apflab import VM
from apflab.apparmor import AppArmor
from apflab.doctor import literal, of_vm, wait_of_vm
from apflab.logs import apfd_errors, no_trouble
from apflab.netlink import OFF, ON
from apflab.recovery import LOAD, go_on, push_out, recall

REGION_MIB = 100
PUSHED_MIB = 104
# Name of a file and of the profile in it: everything is allowed to apfd but the access to other processes.
PROFILE = "lab-apfd"
RULES = """profile %s /usr/sbin/apfd flags=(attach_disconnected) {
  capability,
  dbus,
  file,
  network,
  signal,
  unix,
  %s
}
"""


@pytest.fixture(scope="module")
def apparmor(host, nl_apfd):
    with AppArmor(host) as a:
        yield a


@pytest.fixture(scope="module")
def guest(host, nl_apfd, apparmor):
    with VM(host, "web-1", workload=LOAD.format(mib=REGION_MIB), limit_mib=0) as vm:
        vm.wait_ready()
        host.wait_for(lambda: status(host)["watched"], 60, "apfd to watch the VM")
        yield vm


def status(host):
    r = host.run("apfctl --json status web-1", check=False)
    return json.loads(r.stdout) if r.rc == 0 else {"watched": False}


def gates(nl):
    [vm] = nl.dump("VM_GET")
    return [v["STATE"] for v in nl.vcpus(vm["VM_ID"])]


def pid_of_apfd(host):
    return int(host.run("systemctl show -P MainPID apfd").stdout)


def test_the_vm_is_confined_and_apfd_is_not(host, apparmor, guest):
    assert apparmor.label(guest.pid) == f"libvirt-{guest.uuid} (enforce)"
    assert f"libvirt-{guest.uuid}" in host.run("aa-status").stdout
    libvirtd = host.run("systemctl show -P MainPID libvirtd").stdout.strip()
    assert apparmor.label(libvirtd) == "libvirtd (enforce)"
    assert apparmor.label(pid_of_apfd(host)) == "unconfined"


def test_apfd_sees_what_the_vm_has_on_swap(host, guest):
    pushed = push_out(guest, PUSHED_MIB)
    assert pushed > 60 << 20, "too little is on swap, the test says little"
    host.wait_for(lambda: status(host)["swapped_bytes"] == pytest.approx(guest.swapped_kib() * 1024, rel=0.05), 60,
                  "apfd to show what is on swap")
    assert status(host)["executable"].endswith("/qemu-system-x86_64")


def test_gates_switch(host, nl_apfd, guest):
    """What was pushed out above comes back, first with the gate off, then with the gate on."""
    def counts():
        # From the module: what apfctl shows is some seconds old.
        [vm] = nl_apfd.dump("VM_GET")
        return vm["STATS"]["SYNC_STALLS"], vm["STATS"]["NOT_PRESENT"]

    try:
        host.run("apfctl disable web-1")
        assert gates(nl_apfd) == [OFF]
        before = counts()
        go_on(guest)
        host.wait_for(lambda: counts()[0] > before[0] + 50, 60, "swap-ins that stop the vCPU")
        assert counts()[1] == before[1]
    finally:
        host.run("apfctl enable web-1")
    assert gates(nl_apfd) == [ON]
    before = counts()
    host.wait_for(lambda: counts()[1] > before[1] + 50, 60, "asynchronous swap-ins")


def test_doctor_can_read_everything(host, guest):
    found = of_vm(host, "web-1")
    assert {c["check"] for c in found.values()} >= {"watched", "encryption", "huge-pages", "locked", "shared", "vfio",
                                                    "swap-limit", "asyncpf-int", "psi-trigger"}
    # Most swap-ins so far may have been those of the closed gate.
    assert [c for c in found.values() if c["state"] != "ok" and c["check"] != "swap-ins"] == []


def recalled(guest):
    """Pushes memory out and recalls it, while the guest does nothing."""
    pushed = push_out(guest, PUSHED_MIB)
    assert pushed > 60 << 20
    last = recall(guest)[-1]
    left = guest.swapped_kib() << 10
    go_on(guest)
    print(f"{pushed >> 20} MiB on swap, {left >> 10} KiB after {last['elapsed_sec']:.1f} s of recall")
    assert last["state"] == "done" and left < 0.05 * pushed, last


def test_recall(guest):
    recalled(guest)


def test_nothing_was_denied(apparmor, guest):
    assert [d for d in apparmor.denials() if d.get("comm") == "apfd" or d["profile"] == f"libvirt-{guest.uuid}"] == []


@pytest.fixture(scope="module")
def confined(host, apparmor, guest):
    """apfd with a profile, as an operator may write one."""
    apparmor.load(PROFILE, RULES % (PROFILE, ""))
    host.run("systemctl restart apfd")
    assert apparmor.label(pid_of_apfd(host)) == f"{PROFILE} (enforce)"
    yield
    apparmor.unload(PROFILE)
    host.run("systemctl restart apfd")


def test_profile_of_apfd_without_the_rule(host, apparmor, guest, confined):
    """What apfd is refused, doctor and recall name, and the rule that doctor prints helps, while apfd runs."""
    watched = wait_of_vm(host, "web-1", lambda f: "may not access" in f["watched"]["fact"], 20,
                         "apfd to be refused")["watched"]
    labels = f'apfd is confined as "{PROFILE} (enforce)", the process as "libvirt-{guest.uuid} (enforce)"'
    assert watched["state"] == "fail" and labels in watched["fact"]
    denied = [d for d in apparmor.denials() if d.get("comm") == "apfd"]
    assert {(d["profile"], d["operation"], d.get("peer")) for d in denied} == \
        {(PROFILE, "ptrace", f"libvirt-{guest.uuid}")}, denied
    refused = host.run("apfctl recall web-1", check=False)
    assert refused.rc == 1 and labels in refused.stderr, refused

    [rule] = literal(watched)
    apparmor.load(PROFILE, RULES % (PROFILE, rule))
    # Once a minute apfd tries again.
    host.wait_for(lambda: of_vm(host, "web-1")["watched"]["state"] == "ok", 90, "apfd to watch the VM")
    before = apparmor.denials()
    recalled(guest)
    assert apparmor.denials() == before


def test_logs_are_clean(host, nl_apfd, guest):
    no_trouble(host.dmesg())
    no_trouble(guest.console())
    assert apfd_errors(nl_apfd) == []
