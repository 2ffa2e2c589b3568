# SPDX-License-Identifier: GPL-2.0
"""VMs that libvirt does not know: a bare QEMU, and a VMM that is no QEMU at all."""

import json

import pytest

from apflab import VM, paths
from apflab.logs import apfd_errors, trouble
from apflab.netlink import OFF, ON, PV

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
    # Nothing could keep it.
    r = host.run(f"busctl call org.apfd /org/apfd/vm/{row['uuid'].replace('-', '_')} org.apfd.VM1 "
                 "SetMode saub on 0 true", check=False)
    assert r.rc != 0 and "not of libvirt" in r.stderr

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


def test_nothing_bad_in_the_logs(host, foreign):
    """Last in this file: what all of the above left behind."""
    assert trouble(host.dmesg()) == []
    assert apfd_errors(foreign) == []
