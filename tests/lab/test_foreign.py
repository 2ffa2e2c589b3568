# SPDX-License-Identifier: GPL-2.0
"""VMs that libvirt does not know: a bare QEMU, and a VMM that is no QEMU at all."""

import json

import pytest

from apflab import VM, paths
from apflab.logs import apfd_errors, no_trouble
from apflab.netlink import OFF, ON, PV
from apflab.proxmox import NoLibvirt, ProxmoxVM

DROP_IN = "/etc/apfd/apfd.conf.d/foreign.conf"
# Looked for every 5 s, by an emulated CPU that others use, too.
PATIENCE_SEC = 60
QEMU = "qemu-system-x86_64 -accel kvm -cpu host -m 64 -smp 2 -nodefaults -display none -S"


@pytest.fixture(scope="module")
def foreign(host, nl_apfd):
    """apfd that looks for them, and takes its hands off their gates."""
    host.write(DROP_IN, '[Daemon]\nForeignVMs=yes\n[VM "pid-*"]\nMode=on\n')
    host.put(paths.LAB / "minivmm.py", "/run/lab/minivmm.py")
    host.run("systemctl reload apfd")
    yield nl_apfd
    host.run(f"rm -f {DROP_IN}; systemctl reload apfd", check=False)


@pytest.fixture
def start(host):
    """Starts a program in the host; its PID."""
    units = []

    def start(command):
        units.append(f"lab-foreign-{len(units)}")
        host.run(f"systemd-run -q --collect --unit={units[-1]} -p Type=exec {command}")
        return int(host.run(f"systemctl show -P MainPID {units[-1]}").stdout)

    yield start
    host.run("systemctl stop " + " ".join(units), check=False)


def vms(host):
    return {r["pid"]: r for r in json.loads(host.run("apfctl --json list").stdout)}


def found(host, pid):
    """The VM of that process, as soon as it is watched."""
    def look():
        row = vms(host).get(pid)
        return row if row and row["watched"] else None
    return host.wait_for(look, PATIENCE_SEC, f"apfd to find process {pid}", interval=1)


def prop(host, uuid, name):
    path = "/org/apfd/vm/" + uuid.replace("-", "_")
    out = host.run(f"busctl --json=short get-property org.apfd {path} org.apfd.VM1 {name}")
    return json.loads(out.stdout)["data"]


def states(nl, n):
    """Gates of the one VM with @n vCPUs that the module knows."""
    [gates] = [g for g in ([v["STATE"] for v in nl.vcpus(vm["VM_ID"])] for vm in nl.dump("VM_GET")) if len(g) == n]
    return gates


def test_bare_qemu(host, foreign, start):
    pid = start(QEMU)
    row = found(host, pid)
    assert row["name"] == f"pid-qemu-system-x86_64-{pid}"
    assert row["libvirt_id"] is None
    assert prop(host, row["uuid"], "Manager") == "none"
    assert prop(host, row["uuid"], "Executable").endswith("/qemu-system-x86_64")
    assert prop(host, row["uuid"], "ModeSource") == "config"
    assert states(foreign, 2) == [ON, ON]

    host.run(f"apfctl set {row['name']} pv && apfctl disable {row['name']} --vcpu 1")
    assert states(foreign, 2) == [PV, OFF]
    assert prop(host, row["uuid"], "ModeSource") == "runtime"
    # After a restart, nothing would tell that it is this VM.
    r = host.run(f"busctl call org.apfd /org/apfd/vm/{row['uuid'].replace('-', '_')} org.apfd.VM1 "
                 "SetMode saub on 0 true", check=False)
    assert r.rc != 0 and "the VM has no UUID and no name that last" in r.stderr

    host.run(f"kill -9 {pid}")
    host.wait_for(lambda: pid not in vms(host), PATIENCE_SEC, "apfd to forget it")
    assert foreign.dump("VM_GET") == []


def test_another_vmm(host, foreign, start):
    pid = start("python3 /run/lab/minivmm.py")
    row = found(host, pid)
    assert row["name"].startswith("pid-python3") and row["name"].endswith(f"-{pid}")
    assert states(foreign, 1) == [ON]
    host.run(f"apfctl disable {row['name']}")
    assert states(foreign, 1) == [OFF]
    host.run(f"kill {pid}")
    host.wait_for(lambda: pid not in vms(host), PATIENCE_SEC, "apfd to forget it")


def test_domains_are_libvirts(host, foreign, start):
    """A domain beside a bare QEMU: each found once; taken away, the option shows domains alone."""
    pid = start(QEMU)
    with VM(host, "domain", vcpus=1, workload=None, limit_mib=0) as vm:
        found(host, pid)
        found(host, vm.pid)
        assert prop(host, vm.uuid, "Manager") == "libvirt"
        assert len(vms(host)) == 2
        host.write(DROP_IN, "[Daemon]\nForeignVMs=no\n")
        host.run("systemctl reload apfd")
        assert list(vms(host)) == [vm.pid]
        assert [v["PID"] for v in foreign.dump("VM_GET")] == [vm.pid], "the module still watches the other"


# ---- a host like those of Proxmox VE: no libvirt, no configuration ----

UUID_101 = "6f1d0c7e-0000-4000-8000-000000000101"
UUID_102 = "6f1d0c7e-0000-4000-8000-000000000102"


@pytest.fixture(scope="module")
def proxmox(host, foreign):
    """apfd with its defaults on a host without libvirt."""
    host.run(f"rm -f {DROP_IN}")
    with NoLibvirt(host):
        host.run("systemctl restart apfd")
        yield foreign
    host.run("rm -rf /var/lib/apfd/vms; systemctl restart apfd")


@pytest.fixture
def web(host, proxmox):
    vm = ProxmoxVM(host, 101, "web-01", UUID_101).start()
    yield vm
    vm.stop()


def row_of(host, uuid):
    return next((r for r in vms(host).values() if r["uuid"] == uuid), None)


def test_proxmox_identity(host, proxmox, web):
    row = found(host, web.pid)
    assert (row["name"], row["id"], row["uuid"]) == ("web-01", "101", UUID_101)
    assert (row["manager"], row["vmm"], row["libvirt_id"]) == ("proxmox", "qemu", None)
    assert row["cgroup"] == "/qemu.slice/101.scope"
    for wanted in ("101", "web-01", UUID_101.upper()):
        assert json.loads(host.run(f"apfctl status {wanted} --json").stdout)["uuid"] == UUID_101
    assert states(proxmox, 2) == [ON, ON]


def test_proxmox_configuration_by_id(host, proxmox, web):
    found(host, web.pid)
    host.write(DROP_IN, '[VM "101"]\nMode=pv\n')
    try:
        host.run("systemctl reload apfd")
        assert states(proxmox, 2) == [PV, PV]
    finally:
        host.run(f"rm -f {DROP_IN}; systemctl reload apfd")


def test_proxmox_settings_last(host, proxmox, web):
    """Over a restart of the VM and one of apfd; and a VM that claims its UUID gets nothing."""
    found(host, web.pid)
    host.run("apfctl set 101 off --persistent")
    assert states(proxmox, 2) == [OFF, OFF]
    web.stop()
    host.wait_for(lambda: not row_of(host, UUID_101), PATIENCE_SEC, "apfd to forget it")
    host.run("systemctl restart apfd")
    [stored] = json.loads(host.run("apfctl list --stored --json").stdout)
    assert (stored["name"], stored["id"], stored["uuid"]) == ("web-01", "101", UUID_101)
    assert (stored["mode"], stored["running"], stored["error"]) == ("off", False, "")
    thief = ProxmoxVM(host, 102, "web-01", UUID_101, vcpus=1).start()
    try:
        assert found(host, thief.pid)["mode_source"] == "default"
        assert states(proxmox, 1) == [ON]
    finally:
        thief.stop()
    web.start()
    row = found(host, web.pid)
    assert (row["name"], row["mode"], row["mode_source"]) == ("web-01", "off", "stored")
    host.wait_for(lambda: states(proxmox, 2) == [OFF, OFF], PATIENCE_SEC, "the gates")
    host.run("apfctl set 101 default --persistent")
    assert json.loads(host.run("apfctl list --stored --json").stdout) == []


def test_proxmox_two_vms(host, proxmox, web):
    other = ProxmoxVM(host, 102, "101", UUID_102, vcpus=1).start()
    try:
        found(host, web.pid)
        found(host, other.pid)
        # The number counts, not the name that its user has chosen.
        host.run("apfctl disable 101")
        assert states(proxmox, 2) == [OFF, OFF]
        assert states(proxmox, 1) == [ON]
    finally:
        other.stop()


def test_nothing_bad_in_the_logs(host, foreign):
    """Last in this file: what all of the above left behind."""
    no_trouble(host.dmesg())
    assert apfd_errors(foreign) == []
