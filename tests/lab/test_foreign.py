# SPDX-License-Identifier: GPL-2.0
"""VMs that libvirt does not know: of a bare QEMU, of other VMMs, of Proxmox, in pods and in jails."""

import json

import pytest

from apflab import VM
from apflab.doctor import literal, of_vm, wait_of_vm
from apflab.jailer import JailedVM, make_minivmm
from apflab.logs import apfd_errors, no_trouble
from apflab.netlink import OFF, ON, PV
from apflab.pods import PodVM
from apflab.proxmox import NoLibvirt, ProxmoxVM

DROP_IN = "/etc/apfd/apfd.conf.d/foreign.conf"
# Looked for every 5 s, by an emulated CPU that others use, too.
PATIENCE_SEC = 60
QEMU = "qemu-system-x86_64 -accel kvm -cpu host -m 64 -smp 2 -nodefaults -display none -S"


@pytest.fixture(scope="module")
def foreign(host, nl_apfd):
    """apfd that looks for them, and takes its hands off their gates."""
    host.write(DROP_IN, '[Daemon]\nForeignVMs=yes\n[VM "pid-*"]\nMode=on\n')
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
    host.wait_for(lambda: foreign.dump("VM_GET") == [], PATIENCE_SEC, "the module to let go of it")


def test_another_vmm(host, foreign, start):
    pid = start(make_minivmm(host, "other-vmm"))
    row = found(host, pid)
    assert row["name"] == f"pid-other-vmm-{pid}"
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
        # A busy apfd gives a VM up in a later turn of its loop.
        host.wait_for(lambda: list(vms(host)) == [vm.pid], PATIENCE_SEC, "domains alone")
        assert [v["PID"] for v in foreign.dump("VM_GET")] == [vm.pid], "the module still watches the other"


# ---- hosts without libvirt, without configuration ----

@pytest.fixture(scope="module")
def without_libvirt(host, foreign):
    """apfd with its defaults; no slice of Proxmox, kubelet or jailer exists when it starts."""
    host.run(f"rm -f {DROP_IN}")
    with NoLibvirt(host):
        host.run("systemctl restart apfd")
        yield foreign
    host.run("rm -rf /var/lib/apfd/vms; systemctl restart apfd")


def reclaim(host, group, mib=32):
    """Something of the group is on swap afterwards."""
    host.run(f"echo {mib}M >'/sys/fs/cgroup{group}/memory.reclaim'", check=False)
    host.wait_for(f"[ $(cat '/sys/fs/cgroup{group}/memory.swap.current') -gt 0 ]", 30, f"{group} to be on swap")


def has_trigger(host, group):
    """The kernel tells apfd when tasks of the group wait for memory."""
    # ls complains of a file that apfd has closed meanwhile
    links = host.run("ls -l /proc/$(systemctl show -P MainPID apfd)/fd", check=False).stdout
    return f"{group}/memory.pressure\n" in links


def gets_trigger(host, group, vm):
    host.wait_for(lambda: has_trigger(host, group), PATIENCE_SEC, f"a trigger for {group}", interval=1)
    finding = of_vm(host, vm)["psi-trigger"]
    assert (finding["state"], finding["fact"]) == ("ok", "the kernel notifies apfd when the VM waits for memory")


# ---- a host like those of Proxmox VE ----

UUID_101 = "6f1d0c7e-0000-4000-8000-000000000101"
UUID_102 = "6f1d0c7e-0000-4000-8000-000000000102"


@pytest.fixture
def web(host, without_libvirt):
    vm = ProxmoxVM(host, 101, "web-01", UUID_101).start()
    yield vm
    vm.stop()


def row_of(host, uuid):
    return next((r for r in vms(host).values() if r["uuid"] == uuid), None)


def test_proxmox_identity(host, without_libvirt, web):
    row = found(host, web.pid)
    assert (row["name"], row["id"], row["uuid"]) == ("web-01", "101", UUID_101)
    assert (row["manager"], row["vmm"], row["libvirt_id"]) == ("proxmox", "qemu", None)
    assert row["cgroup"] == "/qemu.slice/101.scope"
    for wanted in ("101", "web-01", UUID_101.upper()):
        assert json.loads(host.run(f"apfctl status {wanted} --json").stdout)["uuid"] == UUID_101
    assert states(without_libvirt, 2) == [ON, ON]


def test_proxmox_configuration_by_id(host, without_libvirt, web):
    found(host, web.pid)
    host.write(DROP_IN, '[VM "101"]\nMode=pv\n')
    try:
        host.run("systemctl reload apfd")
        # A busy apfd applies it in a later turn of its loop.
        host.wait_for(lambda: states(without_libvirt, 2) == [PV, PV], PATIENCE_SEC, "the gates")
    finally:
        host.run(f"rm -f {DROP_IN}; systemctl reload apfd")


def test_proxmox_settings_last(host, without_libvirt, web):
    """Over a restart of the VM and one of apfd; and a VM that claims its UUID gets nothing."""
    found(host, web.pid)
    host.run("apfctl set 101 off --persistent")
    assert states(without_libvirt, 2) == [OFF, OFF]
    web.stop()
    host.wait_for(lambda: not row_of(host, UUID_101), PATIENCE_SEC, "apfd to forget it")
    host.run("systemctl restart apfd")
    [stored] = json.loads(host.run("apfctl list --stored --json").stdout)
    assert (stored["name"], stored["id"], stored["uuid"]) == ("web-01", "101", UUID_101)
    assert (stored["mode"], stored["running"], stored["error"]) == ("off", False, "")
    thief = ProxmoxVM(host, 102, "web-01", UUID_101, vcpus=1).start()
    try:
        assert found(host, thief.pid)["mode_source"] == "default"
        assert states(without_libvirt, 1) == [ON]
    finally:
        thief.stop()
    web.start()
    row = found(host, web.pid)
    assert (row["name"], row["mode"], row["mode_source"]) == ("web-01", "off", "stored")
    host.wait_for(lambda: states(without_libvirt, 2) == [OFF, OFF], PATIENCE_SEC, "the gates")
    host.run("apfctl set 101 default --persistent")
    assert json.loads(host.run("apfctl list --stored --json").stdout) == []


def test_proxmox_two_vms(host, without_libvirt, web):
    other = ProxmoxVM(host, 102, "101", UUID_102, vcpus=1).start()
    try:
        found(host, web.pid)
        found(host, other.pid)
        # The number counts, not the name that its user has chosen.
        host.run("apfctl disable 101")
        assert states(without_libvirt, 2) == [OFF, OFF]
        assert states(without_libvirt, 1) == [ON]
    finally:
        other.stop()


def test_proxmox_pressure(host, without_libvirt, web):
    """qemu.slice came after apfd, and comes again with its next VM; a sandbox that is too strict is found."""
    for _turn in range(2):
        found(host, web.pid)
        reclaim(host, "/qemu.slice/101.scope")
        gets_trigger(host, "/qemu.slice/101.scope", "101")
        web.stop()
        host.run("systemctl stop qemu.slice")
        host.wait_for("! [ -d /sys/fs/cgroup/qemu.slice ]", PATIENCE_SEC, "the slice to end with its last VM")
        web.start()

    drop_in = "/etc/systemd/system/apfd.service.d/lab.conf"
    host.write(drop_in, "[Service]\nProtectControlGroups=yes\n")
    try:
        host.run("systemctl daemon-reload; systemctl restart apfd")
        found(host, web.pid)
        reclaim(host, "/qemu.slice/101.scope")
        finding = host.wait_for(lambda: (f := of_vm(host, "101")["psi-trigger"])["state"] == "warn" and f, PATIENCE_SEC,
                                "doctor to see that apfd may not write")
        assert "pressure in /qemu.slice/101.scope: Read-only file system" in finding["fact"]
        # as an operator would: what is to be edited comes last of all drop-ins
        edit, section, setting, restart = literal(finding)
        assert edit == "systemctl edit apfd"
        host.write("/etc/systemd/system/apfd.service.d/override.conf", f"{section}\n{setting}\n")
        host.run(f"systemctl daemon-reload; {restart}")
        found(host, web.pid)
        gets_trigger(host, "/qemu.slice/101.scope", "101")
    finally:
        host.run("rm -rf /etc/systemd/system/apfd.service.d; systemctl daemon-reload; systemctl restart apfd")


# ---- a host like those of KubeVirt ----

UUID_POD = "6f1d0c7e-0000-4000-8000-000000000301"
POD_UIDS = ("3f0a1b2c-0d0e-4f00-8a00-1234567890ab", "3f0a1b2c-0d0e-4f00-8a00-1234567890ac")


def pod_vm(host, number, **kwargs):
    return PodVM(host, "shop", "db-0", POD_UIDS[number], UUID_POD, vcpus=2, **kwargs)


@pytest.fixture(scope="module")
def pod(host, without_libvirt):
    with pod_vm(host, 0) as vm:
        vm.wait_ready()
        yield vm


def test_pod_identity(host, without_libvirt, pod):
    row = found(host, pod.pid)
    assert (row["name"], row["id"], row["uuid"]) == ("shop/db-0", POD_UIDS[0], UUID_POD)
    assert (row["manager"], row["vmm"], row["libvirt_id"]) == ("kubernetes", "qemu", None)
    assert row["cgroup"] == pod.group
    for wanted in ("shop/db-0", "'shop/*'", POD_UIDS[0], UUID_POD):
        found_by = json.loads(host.run(f"apfctl status {wanted} --json").stdout)
        assert UUID_POD in (found_by[0] if isinstance(found_by, list) else found_by)["uuid"]
    assert states(without_libvirt, 2) == [ON, ON]


def test_pod_may_not_swap(host, without_libvirt, pod):
    """kubelet's default; when kubelet lets the pod swap, the VM swaps, and the kernel tells of its pressure."""
    finding = of_vm(host, "shop/db-0")["swap-limit"]
    assert finding["state"] == "fail" and f"memory.swap.max is 0 in {pod.group}" in finding["fact"]
    assert "swapBehavior: LimitedSwap" in finding["remedy"] and "echo" not in finding["remedy"]
    # kubelet with LimitedSwap gives the container a part of the swap, here 600 MiB
    pod.set_limits(MemorySwapMax="600M")
    # systemd answers before it has written the limit
    wait_of_vm(host, "shop/db-0", lambda f: "600 MiB in swap" in f["swap-limit"]["fact"] and f["swap-limit"]["state"] == "ok",
               PATIENCE_SEC, "swap to be allowed")
    pod.set_limits(MemoryMax="200M")
    gets_trigger(host, pod.group, "shop/db-0")
    # What apfd had no figures of yet is unknown, and the first swap-ins may be those of QEMU alone.
    wait_of_vm(host, "shop/db-0", lambda f: all(c["state"] not in ("fail", "unknown") for c in f.values()), PATIENCE_SEC,
               "doctor to be content")
    swap_ins = json.loads(host.run("apfctl status shop/db-0 --json").stdout)["counters"]["ready"]
    host.wait_for(lambda: json.loads(host.run("apfctl status shop/db-0 --json").stdout)["counters"]["ready"] > swap_ins,
                  PATIENCE_SEC, "asynchronous swap-ins of the VM in the pod")


def test_pod_settings_last(host, without_libvirt, pod):
    """The VM's next pod has another UID; a VM of another namespace has another scope; and the end."""
    host.run("apfctl set shop/db-0 pv --persistent")
    assert states(without_libvirt, 2) == [PV, PV]
    assert host.run("apfctl forget shop/db-0", check=False).rc == 1, "it runs"
    pod.stop()
    host.wait_for(lambda: not row_of(host, UUID_POD), PATIENCE_SEC, "apfd to forget it")
    with pod_vm(host, 1, workload=None, memory_mib=128) as again:
        row = found(host, again.pid)
        assert (row["name"], row["id"], row["mode"], row["mode_source"]) == ("shop/db-0", POD_UIDS[1], "pv", "stored")
        host.wait_for(lambda: states(without_libvirt, 2) == [PV, PV], PATIENCE_SEC, "the gates")
    with PodVM(host, "team", "db-0", POD_UIDS[0], UUID_POD, vcpus=2, workload=None, memory_mib=128) as other:
        row = found(host, other.pid)
        assert (row["name"], row["mode_source"]) == ("team/db-0", "default")
    host.wait_for(lambda: vms(host) == {}, PATIENCE_SEC, "apfd to forget it")
    [stored] = json.loads(host.run("apfctl list --stored --json").stdout)
    assert (stored["name"], stored["scope"], stored["running"]) == ("shop/db-0", "pod:shop", False)
    host.run("apfctl forget shop/db-0")
    assert json.loads(host.run("apfctl list --stored --json").stdout) == []
    assert host.run("ls /var/lib/apfd/vms").stdout == ""


def test_pod_without_kubelets_folder(host, without_libvirt):
    with PodVM(host, "shop", "db-1", POD_UIDS[1], UUID_102, workload=None, memory_mib=128) as vm:
        host.run(f"rm -rf {vm.folder}; systemctl restart apfd")
        row = found(host, vm.pid)
        assert (row["name"], row["id"], row["manager"]) == ("shop_db-1", POD_UIDS[1], "kubernetes")
        assert json.loads(host.run(f"apfctl status {POD_UIDS[1]} --json").stdout)["pid"] == vm.pid


# ---- Firecracker in its jail, Cloud Hypervisor ----

def test_firecracker(host, without_libvirt):
    vm = JailedVM(host, "fn-43", memory_mib=48).start()
    try:
        row = found(host, vm.pid)
        assert (row["name"], row["id"], row["vmm"], row["manager"]) == ("fn-43", "fn-43", "firecracker", "none")
        assert row["cgroup"] == vm.group
        host.run("apfctl set fn-43 off --persistent")
        assert states(without_libvirt, 1) == [OFF]
        [stored] = json.loads(host.run("apfctl list --stored --json").stdout)
        assert (stored["name"], stored["scope"]) == ("fn-43", "cgroup:/firecracker")

        # the jailer was told to forbid swap; the remedy is the file of a group that only its owner changes
        host.run(f"echo 0 >/sys/fs/cgroup{vm.group}/memory.swap.max")
        finding = of_vm(host, "fn-43")["swap-limit"]
        assert finding["state"] == "fail" and "jailer" in finding["remedy"]
        for command in literal(finding):
            host.run(command)
        assert of_vm(host, "fn-43")["swap-limit"]["state"] == "ok"
        reclaim(host, vm.group)
        gets_trigger(host, vm.group, "fn-43")
    finally:
        vm.stop()
    host.wait_for(lambda: vms(host) == {}, PATIENCE_SEC, "apfd to forget it")
    vm.start()
    try:
        assert found(host, vm.pid)["mode_source"] == "stored"
        host.wait_for(lambda: states(without_libvirt, 1) == [OFF], PATIENCE_SEC, "the gate")
    finally:
        vm.stop()
    host.wait_for(lambda: vms(host) == {}, PATIENCE_SEC, "apfd to forget it")
    host.run("apfctl forget 'fn-*'")


def test_cloud_hypervisor(host, without_libvirt, start):
    pid = start(f"{make_minivmm(host, 'cloud-hypervisor')} --api-socket path=/run/ch/web.sock --cpus boot=1 "
                f"--memory size=64M --platform uuid={UUID_102}")
    row = found(host, pid)
    assert (row["name"], row["vmm"], row["uuid"]) == ("web", "cloud-hypervisor", UUID_102)
    assert states(without_libvirt, 1) == [ON]
    host.run("apfctl set web off --persistent && apfctl set web default --persistent")
    assert json.loads(host.run("apfctl list --stored --json").stdout) == []


def test_nothing_bad_in_the_logs(host, foreign):
    """Last in this file: what all of the above left behind."""
    no_trouble(host.dmesg())
    assert apfd_errors(foreign) == []
