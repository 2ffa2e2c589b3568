# SPDX-License-Identifier: GPL-2.0
"""apfctl doctor on a real host: what it finds is true, and what it says helps.

Remedies are taken from its output, as an operator would: lines that are indented
are typed, or put into the domain's XML.
"""

import json
import re

import pytest

from apflab import VM
from apflab.doctor import doctor, literal, of_vm, wait_of_vm

LOAD = "-f 4 -w 1 -m 220 -t 0"
QEMU_XMLNS = re.compile(r"xmlns:qemu='[^']*'")
ASYNC_PF, ASYNC_PF_INT = 1 << 4, 1 << 14


@pytest.fixture(scope="module")
def nl(nl_apfd):
    return nl_apfd


def healthy(host, name):
    rc, _, (found,) = doctor(host, name)
    return rc == 0 and found["guest-apf"]["state"] == "ok"


def watched(host, name):
    r = host.run(f"apfctl --json status {name}", check=False)
    return r.rc == 0 and json.loads(r.stdout)["watched"]


def ready(host, name):
    return json.loads(host.run(f"apfctl --json status {name}").stdout)["counters"]["ready"]


def features(nl, guest):
    """What KVM says the CPUID of all vCPUs offers."""
    [vm_id] = [vm["VM_ID"] for vm in nl.dump("VM_GET") if vm["PID"] == guest.pid]
    values = {vcpu["KVM_FEATURES"] for vcpu in nl.vcpus(vm_id)}
    assert len(values) == 1
    return values.pop()


def works(host, guest):
    """Swap-ins of the guest are asynchronous."""
    host.run(f"apfctl enable {guest.name}")
    before = ready(host, guest.name)
    host.wait_for(lambda: ready(host, guest.name) > before + 100, 60, "asynchronous swap-ins")
    status = json.loads(host.run(f"apfctl --json status {guest.name}").stdout)
    assert {v["guest_apf"] for v in status["vcpus"]} <= {"user", "always"}


def test_missing_module(host, nl):
    assert doctor(host)[1]["module"]["state"] == "ok"
    nl.unload()
    rc, found, _ = doctor(host)
    assert rc == 1 and found["module"]["state"] == "fail"
    commands = literal(found["module"])
    assert commands
    for command in commands:
        host.run(command)
    host.wait_for(lambda: doctor(host)[1]["module"]["state"] == "ok", 30, "apfd to talk to the module")
    host.wait_for(lambda: {"fail", "unknown"}.isdisjoint(c["state"] for c in doctor(host)[1].values()), 60,
                  "the host to be well, apfd connected to libvirt")
    assert doctor(host, user="nobody")[1]["module"]["state"] == "ok"


def test_without_apfd_the_host_is_looked_at(host, nl):
    host.run("systemctl mask --runtime --now apfd")
    try:
        rc, found, _ = doctor(host)
        assert rc == 1 and found["apfd"]["state"] == "fail"
        assert found["module"]["state"] == found["swap"]["state"] == found["kvm"]["state"] == "ok"
        r = host.run("apfctl doctor nobody-knows", check=False)
        assert r.rc == 5 and "fail" in r.stdout
    finally:
        host.run("systemctl unmask --runtime apfd && systemctl daemon-reload")
    for command in literal(found["apfd"]):
        host.run(command)
    assert doctor(host)[1]["apfd"]["state"] == "ok"


@pytest.fixture(scope="module")
def swap_as_it_was(host):
    yield
    host.run("""d=$(cat /run/lab/swap); grep -q "^$d " /proc/swaps || { mkswap $d; swapon $d; }
        for z in /sys/block/zram*; do
            [ ! -e $z ] || { swapoff /dev/${z##*/}; echo ${z#/sys/block/zram} >/sys/class/zram-control/hot_remove; }
        done""", check=False, timeout=300)


@pytest.fixture(scope="module")
def named(host, nl, swap_as_it_was):
    """A domain with one of QEMU's named CPU models."""
    with VM(host, "ill", vcpus=2, workload=LOAD, cpu="EPYC", persistent=True) as vm:
        vm.wait_ready()
        host.wait_for(lambda: len(vcpus := nl.dump("VCPU_GET")) == 2 and all("KVM_FEATURES" in v for v in vcpus), 30,
                      "apf_host to see both vCPUs fault")
        yield vm


@pytest.fixture(scope="module")
def remedy(host, nl, named):
    """What doctor says of that domain, as lines."""
    # What apf_host has seen apfd knows a tick later, and libvirt's words about the CPU when libvirt has answered.
    wait_of_vm(host, "ill", lambda f: f["asyncpf"]["state"] == "ok" and "EPYC" in f["asyncpf-int"]["fact"], 60,
               "doctor to know the CPUID")
    rc, _, (found,) = doctor(host, "ill")
    assert rc == 1
    assert features(nl, named) & (ASYNC_PF | ASYNC_PF_INT) == ASYNC_PF
    assert found["asyncpf"]["state"] == "ok"
    assert found["asyncpf-int"]["state"] == found["guest-apf"]["state"] == "fail"
    return found["asyncpf-int"]["remedy"]


def test_named_model_gets_the_hosts_cpu(host, nl, named, remedy):
    [cpu] = [line for line in literal({"remedy": remedy}) if line.startswith("<cpu ")]
    edited = re.sub(r"<cpu .*</cpu>", cpu, named.xml, flags=re.S)
    assert edited != named.xml

    # the definition alone does not help, and doctor knows
    host.run("virsh -q define /dev/stdin", input=edited)
    # The definition is libvirt's to tell, and doctor does not wait for long.
    finding = wait_of_vm(host, "ill", lambda f: "its definition offers" in (f["asyncpf-int"]["remedy"] or ""), 60,
                         "doctor to see the definition")["asyncpf-int"]
    assert finding["state"] == "fail"
    assert literal(finding) == ["virsh shutdown ill", "virsh start ill"]

    named.stop()
    named.xml = edited
    named.start()
    named.wait_ready()
    host.wait_for(lambda: healthy(host, "ill"), 60, "doctor to be content")
    assert features(nl, named) & ASYNC_PF_INT
    works(host, named)
    found = of_vm(host, "ill")
    # nothing apfd may not look at in its sandbox
    assert {c["check"] for c in found.values()} >= {"encryption", "huge-pages", "locked", "vfio", "swap-limit",
                                                    "cpu-pm", "nested", "asyncpf-int", "gate", "swap-ins"}
    wait_of_vm(host, "ill", lambda f: all(c["state"] != "unknown" for c in f.values()), 60, "nothing to be unknown")


def test_cgroup_may_not_swap(host, nl, named):
    memory, swap = (f"'{named.cgroup()}/memory.{name}'" for name in ("max", "swap.max"))
    # with a limit and no swap it would be killed; the next test gives it another cgroup
    host.run(f"echo max > {memory}; echo 0 > {swap}")
    finding = of_vm(host, "ill")["swap-limit"]
    assert finding["state"] == "fail"
    [command] = literal(finding)
    host.run(command)
    assert host.run(f"cat {swap}").stdout.strip() == "max"
    assert of_vm(host, "ill")["swap-limit"]["state"] == "ok"


def test_named_model_is_kept(host, nl, named, remedy):
    """The other remedy; with Hyper-V's CPUID leaves, which move KVM's out of their usual place."""
    lines = literal({"remedy": remedy})
    element = "\n".join(lines[lines.index("<qemu:commandline>"):])
    named.stop()
    xml = re.sub(r"<cpu [^>]*/>", "<cpu mode='custom' match='exact' check='none'><model>EPYC</model></cpu>", named.xml)
    xml = xml.replace("<domain ", f"<domain {QEMU_XMLNS.search(remedy).group()} ")
    xml = xml.replace("</domain>", f"{element}</domain>")
    named.xml = xml.replace("<apic/>", "<apic/><hyperv><relaxed state='on'/><vapic state='on'/></hyperv>")

    # for the next test, while nobody has anything in swap
    host.run(f"""set -e; swapoff {host.swap_device()}
        modprobe zram num_devices=0; n=$(cat /sys/class/zram-control/hot_add)
        echo 1G >/sys/block/zram$n/disksize; mkswap -q /dev/zram$n; swapon /dev/zram$n""")
    named.start()
    named.wait_ready()
    assert "-cpu\0EPYC," in host.read(f"/proc/{named.pid}/cmdline")
    wait_of_vm(host, "ill", lambda f: f["guest-apf"]["state"] == f["asyncpf-int"]["state"] == "ok", 60,
               "the guest to ask for APF")
    host.wait_for(lambda: all("KVM_FEATURES" in v for v in nl.dump("VCPU_GET")), 30, "apf_host to see both vCPUs fault")
    assert features(nl, named) & (ASYNC_PF | ASYNC_PF_INT) == ASYNC_PF | ASYNC_PF_INT


def test_swap_is_in_memory(host, nl, named):
    """On zram the same VM gets nothing out of APF, until swap is on a disk."""
    host.run("apfctl enable ill")
    host.wait_for(lambda: of_vm(host, "ill")["swap-ins"]["state"] == "fail", 60,
                  "doctor to see that APF is silently inactive")
    rc, found, _ = doctor(host)
    assert rc == 1 and found["swap"]["state"] == "fail" and "zram" in found["swap"]["fact"]
    # what is in capitals only the operator knows
    for command in literal(found["swap"]):
        host.run(command.replace("DEVICE", host.swap_device()), timeout=300)
    assert doctor(host)[1]["swap"]["state"] == "ok"
    works(host, named)
    host.wait_for(lambda: healthy(host, "ill"), 60, "doctor to be content")


@pytest.fixture
def huge_pages(host):
    """For libvirt, which looks for them when it starts."""
    host.run("""set -e; echo 96 >/proc/sys/vm/nr_hugepages
        mkdir -p /dev/hugepages; mountpoint -q /dev/hugepages || mount -t hugetlbfs hugetlbfs /dev/hugepages
        systemctl restart libvirtd""", timeout=120)
    yield
    host.run("echo 0 >/proc/sys/vm/nr_hugepages")


def test_memory_that_is_never_swapped(host, nl, huge_pages, alone):
    """Huge pages, locked memory and vCPUs that KVM cannot halt; without what doctor says to take out, all is well."""
    odd = VM(host, "odd", vcpus=1, memory_mib=160, limit_mib=0, workload=None)
    plain = odd.xml
    odd.xml = plain.replace("<vcpu ", "<memoryBacking><hugepages/><locked/></memoryBacking>\n  <vcpu ") \
        .replace("<domain ", "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' ") \
        .replace("</domain>", "<qemu:commandline><qemu:arg value='-overcommit'/><qemu:arg value='cpu-pm=on'/>"
                              "</qemu:commandline></domain>")
    with odd:
        odd.wait_ready()
        host.wait_for(lambda: watched(host, "odd"), 30, "apfd to watch it")
        # From its XML, which doctor leaves out if libvirt is slow.
        found = wait_of_vm(host, "odd", lambda f: f["locked"]["state"] == "fail" and f["cpu-pm"]["state"] == "warn", 60,
                           "doctor to see how it was started")
        assert found["huge-pages"]["state"] in ("warn", "fail")
        assert literal(found["cpu-pm"]) == ["-overcommit cpu-pm=on"]
        assert "160 MiB" in found["huge-pages"]["fact"]
        assert [literal(found[c]) for c in ("huge-pages", "locked")] == \
            [[f"<memoryBacking><{what}/></memoryBacking>"] for what in ("hugepages", "locked")]
        assert found["nested"]["state"] == "ok" and "may run guests of its own" in found["nested"]["fact"]
    odd.xml = plain
    with odd:
        odd.wait_ready()
        host.wait_for(lambda: watched(host, "odd"), 30, "apfd to watch it")
        found = of_vm(host, "odd")
        assert {found[c]["state"] for c in ("huge-pages", "locked", "cpu-pm")} == {"ok"}


def test_nothing_of_ours_in_the_kernel_log(host, nl):
    """Last in this file: what all of the above left behind."""
    bad = ("BUG:", "WARNING:", "Oops", "Call Trace", "hung task", "blocked for more than")
    assert [line for line in host.dmesg().splitlines() if any(b in line for b in bad)] == []
