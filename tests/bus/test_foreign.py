# SPDX-License-Identifier: GPL-2.0
"""VMs that libvirt does not know: real processes in a /proc made for them."""

import os
import shutil
import signal
import subprocess

import dbus
import pytest

import apfdtest
from apfdtest import MANAGER, VM

UUID_A = "6f1d0c7e-0000-4000-8000-000000000101"
UUID_B = "6f1d0c7e-0000-4000-8000-000000000202"
POD = "3f0a1b2c-0d0e-4f00-8a00-1234567890ab"
POD_GROUP = ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
             + POD.replace("-", "_") + ".slice/crio-aa11.scope/container")


class World:
    """A host without libvirt. Its PIDs are those of sleeping processes."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = []
        os.makedirs(f"{directory}/proc")
        # KVM is there, and its users are not counted.
        os.makedirs(f"{directory}/sys/module/kvm")
        self.options = ["--connect", f"test+unix:///default?socket={directory}/no-libvirt",
                        f"--proc-dir={directory}/proc", f"--sys-dir={directory}/sys",
                        f"--cgroup-dir={directory}/cgroup", f"--run-dir={directory}/run",
                        f"--pods-dir={directory}/pods"]

    def write(self, name, text):
        path = f"{self.directory}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def start(self, command, cgroup="/", uid=0, exe="/usr/bin/qemu-system-x86_64"):
        """A process that is a VMM for apfd; @command is a list of words."""
        popen = subprocess.Popen(["sleep", "600"])
        apfdtest.started.append(popen)
        self.processes.append(popen)
        self.show(popen.pid, command, cgroup, uid, exe)
        return popen

    def show(self, pid, command, cgroup="/", uid=0, exe="/usr/bin/qemu-system-x86_64"):
        # The descriptor is last: apfd must not see half of a process.
        self.write(f"proc/{pid}/cmdline", "".join(word + "\0" for word in command))
        self.write(f"proc/{pid}/cgroup", f"0::{cgroup}\n")
        self.write(f"proc/{pid}/status", f"Name:\tkvm\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        self.write(f"proc/{pid}/stat", f"{pid} (kvm) S" + " 1" * 18 + f" {pid} 1\n")
        os.symlink(exe, f"{self.directory}/proc/{pid}/exe")
        os.makedirs(f"{self.directory}/proc/{pid}/fd")
        os.symlink("anon_inode:kvm-vm", f"{self.directory}/proc/{pid}/fd/10")

    def end(self, popen):
        shutil.rmtree(f"{self.directory}/proc/{popen.pid}")
        popen.kill()
        popen.wait()

    def proxmox(self, number, name, uuid, **more):
        popen = self.start(["/usr/bin/kvm", "-id", str(number), "-name", f"{name},debug-threads=on",
                            "-no-shutdown", "-smbios", f"type=1,uuid={uuid}"],
                           f"/qemu.slice/{number}.scope", **more)
        self.write(f"run/qemu-server/{number}.pid", f"{popen.pid}\n")
        return popen


@pytest.fixture
def world(directory):
    return World(directory)


def appears(apfd, *names):
    apfdtest.wait_for(f"VMs {names}", lambda: set(apfd.names()) == set(names))


def vm_of(apfd, name):
    return apfd.managed()[apfd.vm_path(name)][VM]


def test_proxmox(start_apfd, world):
    world.write("etc/apfd/apfd.conf", '[VM "101"]\nMode=pv\n[VM "db*"]\nMode=off\n')
    popen = world.proxmox(101, "web-01", UUID_A)
    world.proxmox(102, "db", UUID_B)
    apfd = start_apfd(*world.options)
    appears(apfd, "web-01", "db")
    vm = vm_of(apfd, "web-01")
    assert (vm["UUID"], vm["ID"], vm["PID"]) == (UUID_A, "101", popen.pid)
    assert (vm["Manager"], vm["VMM"], vm["LibvirtID"]) == ("proxmox", "qemu", -1)
    # By name, id and UUID; and the configuration by id and by name.
    assert apfd.vm_path("101") == apfd.vm_path(UUID_A.upper()) == apfd.vm_path("web-01")
    assert (vm["Mode"], vm["ModeSource"]) == ("pv", "config")
    assert vm_of(apfd, "db")["Mode"] == "off"


def test_identity_lasts(start_apfd, world):
    """Over a restart of the VM, for a VMM with a UUID and for one with a name only."""
    old = [world.start(["kvm", "-name", "a", "-uuid", UUID_A]),
           world.start(["/firecracker", "--id", "b"], "/firecracker/b", 123, "/firecracker")]
    apfd = start_apfd(*world.options)
    appears(apfd, "a", "b")
    before = {n: vm_of(apfd, n)["UUID"] for n in ("a", "b")}
    for popen in old:
        world.end(popen)
    appears(apfd)
    world.start(["kvm", "-name", "a", "-uuid", UUID_A])
    world.start(["/firecracker", "--id", "b"], "/firecracker/b", 124, "/firecracker")
    appears(apfd, "a", "b")
    assert {n: vm_of(apfd, n)["UUID"] for n in ("a", "b")} == before
    assert before["a"] == UUID_A


def test_pods(start_apfd, world):
    world.write(f"pods/team-1_virt-launcher-vm-a-x_{POD}/log", "")
    world.start(["/usr/libexec/qemu-kvm", "-name", "guest=team-1_vm-a,debug-threads=on"],
                POD_GROUP + "/libvirt/qemu-1-team-1_vm-a.libvirt-qemu/emulator", 107,
                "/usr/libexec/qemu-kvm")
    apfd = start_apfd(*world.options)
    appears(apfd, "team-1/vm-a")
    vm = vm_of(apfd, POD)
    assert (vm["Name"], vm["ID"], vm["Manager"]) == ("team-1/vm-a", POD, "kubernetes")


def test_the_first_keeps_its_name(start_apfd, world):
    first = world.start(["kvm", "-name", "web", "-uuid", UUID_A])
    apfd = start_apfd(*world.options)
    appears(apfd, "web")
    other = world.start(["kvm", "-name", "web", "-uuid", UUID_A], uid=1000)
    name = f"pid-qemu-system-x86_64-{other.pid}"
    appears(apfd, "web", name)
    assert vm_of(apfd, "web")["PID"] == vm_of(apfd, UUID_A)["PID"] == first.pid
    assert vm_of(apfd, name)["UUID"] != UUID_A
    assert f"Process {other.pid} claims the name or UUID of another VM" in apfd.log()
    # When the name is free, the other VM has it.
    world.end(first)
    appears(apfd, "web")
    assert vm_of(apfd, UUID_A)["PID"] == other.pid


def test_facts_before_claims(start_apfd, world):
    """Who claims a UUID first does not take it from the VM of Proxmox that has it."""
    thief = world.start(["kvm", "-name", "web", "-uuid", UUID_A], uid=1000)
    apfd = start_apfd(*world.options)
    appears(apfd, "web")
    set_mode(apfd, "web", "off")
    right = world.proxmox(101, "web", UUID_A)
    name = f"pid-qemu-system-x86_64-{thief.pid}"
    appears(apfd, "web", name)
    assert vm_of(apfd, "web")["PID"] == vm_of(apfd, UUID_A)["PID"] == right.pid
    assert vm_of(apfd, name)["UUID"] != UUID_A
    # The settings stay with the scope for which they were stored.
    assert mode_of(apfd, "web") == ("auto", "default", {})
    assert mode_of(apfd, name) == ("off", "stored", {})


def test_names_that_look_like_another_vm(start_apfd, world):
    """A tenant of Proxmox chooses the name of his VM, but not its number."""
    right = world.proxmox(101, "web", UUID_A)
    world.proxmox(102, "101", UUID_B)
    world.start(["kvm", "-name", UUID_A])
    world.start(["kvm", "-name", "pid-kvm-1"])
    apfd = start_apfd(*world.options)
    apfdtest.wait_for("four VMs", lambda: len(apfd.names()) == 4)
    assert "pid-kvm-1" not in apfd.names()
    for wanted in ("101", UUID_A, "web"):
        assert vm_of(apfd, wanted)["PID"] == right.pid


def test_hostile_command_line(start_apfd, world):
    popen = world.start(["kvm", "-name", "x\x1b[2J\ny" + "\x7f", "-uuid", "nonsense"])
    long = world.start(["kvm", "-name", "x" * 300, *["-device"] * 300000])
    apfd = start_apfd(*world.options)
    appears(apfd, "x?[2J?y?", f"pid-qemu-system-x86_64-{long.pid}")
    assert vm_of(apfd, "x?[2J?y?")["PID"] == popen.pid


def test_process_that_cannot_be_read(start_apfd, world, directory):
    popen = world.start([])
    os.unlink(f"{directory}/proc/{popen.pid}/cmdline")
    os.mkfifo(f"{directory}/proc/{popen.pid}/cmdline")
    world.start(["kvm", "-name", "web"])
    apfd = start_apfd(*world.options)
    appears(apfd, "web")
    name = f"pid-qemu-system-x86_64-{popen.pid}"
    appears(apfd, "web", name)
    with open(f"{directory}/proc/{popen.pid}/cmdline", "w", encoding="utf-8") as f:
        f.write("kvm\0-name\0late\0")
    appears(apfd, "web", "late")


def test_auto_ends_when_libvirt_answers(start_apfd, world, libvirtd):
    world.start(["kvm", "-name", "web"])
    options = world.options
    options[1] = f"test+unix:///default?socket={world.directory}/run/libvirt-sock"
    apfd = start_apfd(*options)
    appears(apfd, "web")
    daemon = libvirtd()
    appears(apfd, "test")
    assert "are not shown any more (ForeignVMs=auto)" in apfd.log()
    # A libvirt that is away for a while does not start the search again.
    daemon.stop(signal.SIGKILL)
    apfdtest.wait_for("the loss", lambda: apfd.get(MANAGER, "Libvirt") == "disconnected")
    apfdtest.let_pass(0.5)
    assert apfd.names() == ["test"]


# ---- settings that last ----

def set_mode(apfd, vm, mode, persistent=True, vcpus=()):
    return apfd.object(apfd.vm_path(vm), VM).SetMode(
        mode, dbus.Array(vcpus, signature="u"), persistent)


def mode_of(apfd, vm):
    vm = vm_of(apfd, vm)
    return vm["Mode"], vm["ModeSource"], dict(vm["VCPUModes"])


def stored(apfd):
    rows = apfd.object(apfdtest.ROOT, MANAGER).ListStored()
    return {str(row["File"]): {str(k): v for k, v in row.items()} for row in rows}


def test_settings_last(start_apfd, world, directory):
    """Over a restart of apfd and one of the VM, by UUID and by name."""
    web = world.proxmox(101, "web-01", UUID_A)
    fc = world.start(["/firecracker", "--id", "b"], "/firecracker/b", 123, "/firecracker")
    apfd = start_apfd(*world.options)
    appears(apfd, "web-01", "b")
    set_mode(apfd, "101", "off", vcpus=[1])
    set_mode(apfd, "b", "pv")
    assert mode_of(apfd, "b") == ("pv", "stored", {})
    # The call returns when the file is there.
    with open(f"{directory}/state/vms/web-01.vm", encoding="utf-8") as f:
        assert "VCPUModes=1:off\nEnd=\n" in f.read()
    assert os.stat(f"{directory}/state/vms/web-01.vm").st_mode & 0o777 == 0o600
    # Without persistent, until the VM or apfd ends.
    set_mode(apfd, "b", "on", persistent=False)
    assert mode_of(apfd, "b") == ("on", "runtime", {})

    for popen in (web, fc):
        world.end(popen)
    appears(apfd)
    assert not stored(apfd)["b.vm"]["Running"]
    world.proxmox(101, "renamed", UUID_A)
    world.start(["/firecracker", "--id", "b"], "/firecracker/b", 777, "/firecracker")
    appears(apfd, "renamed", "b")
    assert mode_of(apfd, "b") == ("pv", "stored", {})
    assert apfd.stop() == 0

    apfd = start_apfd(*world.options)
    appears(apfd, "renamed", "b")
    assert mode_of(apfd, "renamed") == ("auto", "default", {1: "off"})
    assert mode_of(apfd, "b") == ("pv", "stored", {})
    row = stored(apfd)["web-01.vm"]
    assert (row["UUID"], row["ID"], row["Scope"]) == (UUID_A, "101", "proxmox:101")
    assert (row["Mode"], row["VCPUModes"], row["Error"]) == ("default", "1:off", "")
    assert row["Running"]
    # Removed on request.
    set_mode(apfd, "renamed", "default")
    assert mode_of(apfd, "renamed") == ("auto", "default", {})
    assert list(stored(apfd)) == ["b.vm"]
    assert os.listdir(f"{directory}/state/vms") == ["b.vm"]


def forget(apfd, file):
    apfd.object(apfdtest.ROOT, MANAGER).ForgetStored(file)


def error_of(function, *args):
    with pytest.raises(dbus.DBusException) as e:
        function(*args)
    return e.value.get_dbus_name().removeprefix("org.apfd.Error."), e.value.get_dbus_message()


def test_forget(start_apfd, world, directory, polkit):
    """Only of VMs that do not run, and only with permission; the reply comes when the file is gone."""
    world.write("state/vms/bad.vm", "Mode=of")
    web = world.proxmox(101, "web-01", UUID_A)
    apfd = start_apfd(*world.options)
    appears(apfd, "web-01")
    set_mode(apfd, "101", "off")
    assert error_of(forget, apfd, "web-01.vm") == (
        "VMRuns", "VM web-01 runs: set its mode to default instead")
    world.end(web)
    appears(apfd)

    def as_other():
        return apfd.call_as(apfdtest.OTHER_UID, apfdtest.ROOT, MANAGER, "ForgetStored", "s",
                            ("web-01.vm",)).result()
    assert as_other()["error"] == "org.freedesktop.DBus.Error.AccessDenied"
    assert list(stored(apfd)) == ["bad.vm", "web-01.vm"]
    polkit.allow("org.apfd.manage")
    assert as_other() == {"reply": []}
    assert os.listdir(f"{directory}/state/vms") == ["bad.vm"]
    for name in ("web-01.vm", "../vms/bad.vm", ""):
        assert error_of(forget, apfd, name)[0] == "NoSuchSettings"
    forget(apfd, "bad.vm")
    assert (stored(apfd), os.listdir(f"{directory}/state/vms")) == ({}, [])
    # The VM starts again, with nothing.
    world.proxmox(101, "web-01", UUID_A)
    appears(apfd, "web-01")
    assert mode_of(apfd, "web-01") == ("auto", "default", {})


def test_forget_what_cannot_be_removed(start_apfd, world, directory):
    world.write("state/vms/web.vm", "Scope=user:0\nName=web\nUsed=1790000000\nMode=off\nEnd=\n")
    apfd = start_apfd(*world.options)
    os.rename(f"{directory}/state/vms", f"{directory}/state/away")
    world.write("state/vms", "")
    name, text = error_of(forget, apfd, "web.vm")
    assert name == "Failed" and "The settings are still stored: cannot remove" in text
    assert stored(apfd)["web.vm"]["Mode"] == "off"


def test_settings_of_another_vm(start_apfd, world):
    """Equal claims in another place get nothing."""
    web = world.proxmox(101, "web", UUID_A)
    user = world.start(["kvm", "-name", "mine", "-uuid", UUID_B], uid=1000)
    apfd = start_apfd(*world.options)
    appears(apfd, "web", "mine")
    set_mode(apfd, "web", "off")
    set_mode(apfd, "mine", "off")
    for popen in (web, user):
        world.end(popen)
    appears(apfd)
    world.proxmox(102, "web", UUID_A)
    world.start(["kvm", "-name", "mine", "-uuid", UUID_B], uid=1001)
    appears(apfd, "web", "mine")
    for vm in ("web", "mine"):
        assert mode_of(apfd, vm) == ("auto", "default", {})
    # Its own settings do not replace those of the first.
    set_mode(apfd, "web", "pv")
    assert {f: r["Mode"] for f, r in stored(apfd).items()} == {
        "web.vm": "off", "web-2.vm": "pv", "mine.vm": "off"}


def test_vm_that_cannot_be_found_again(start_apfd, world):
    popen = world.start(["/opt/vmm"], exe="/opt/vmm")
    apfd = start_apfd(*world.options)
    name = f"pid-vmm-{popen.pid}"
    appears(apfd, name)
    with pytest.raises(dbus.DBusException) as e:
        set_mode(apfd, name, "off")
    assert f"The mode of VM {name} cannot be stored: the VM has no UUID and no name" in str(e.value)
    assert mode_of(apfd, name) == ("auto", "default", {})
    set_mode(apfd, name, "off", persistent=False)
    assert mode_of(apfd, name) == ("off", "runtime", {})


def test_wrong_file(start_apfd, world, directory):
    world.write("state/vms/bad.vm", "Scope=user:0\nName=bad\nMode=of")
    world.write("state/vms/web.vm", "Scope=user:0\nName=web\nUsed=1790000000\nMode=off\nEnd=\n")
    world.start(["kvm", "-name", "web"])
    world.start(["kvm", "-name", "bad"])
    apfd = start_apfd(*world.options)
    appears(apfd, "web", "bad")
    assert mode_of(apfd, "web") == ("off", "stored", {})
    assert mode_of(apfd, "bad") == ("auto", "default", {})
    assert f"{directory}/state/vms/bad.vm, ignoring this file: line 3: it is truncated" in apfd.log()
    assert stored(apfd)["bad.vm"]["Error"] == "line 3: it is truncated"
    # A file that was mended is read on a reload.
    world.write("state/vms/bad.vm", "Scope=user:0\nName=bad\nMode=pv\nEnd=\n")
    apfd.send(signal.SIGHUP)
    apfdtest.wait_for("the file", lambda: stored(apfd)["bad.vm"]["Error"] == "")


def test_state_directory_that_cannot_be_written(start_apfd, world, directory):
    world.write("state/vms", "")
    world.start(["kvm", "-name", "web"])
    apfd = start_apfd(*world.options)
    appears(apfd, "web")
    with pytest.raises(dbus.DBusException) as e:
        set_mode(apfd, "web", "off")
    assert "The mode is set now, but apfd cannot store it" in str(e.value)
    assert f"{directory}/state/vms/web.vm: Not a directory" in str(e.value)
    assert mode_of(apfd, "web") == ("off", "runtime", {})


@pytest.mark.parametrize("value", ["yes", "no"])
def test_yes_and_no(start_apfd, world, domains_uri, value):
    world.write("etc/apfd/apfd.conf", f"[Daemon]\nForeignVMs={value}\n")
    popen = world.start(["kvm", "-name", "web1", "-uuid", UUID_A])
    options = world.options
    options[1] = domains_uri
    apfd = start_apfd(*options)
    if value == "no":
        apfdtest.let_pass(0.5)
        assert len(apfd.names()) == 5
        return
    # web1 is libvirt's.
    name = f"pid-qemu-system-x86_64-{popen.pid}"
    apfdtest.wait_for("the VM", lambda: name in apfd.names())
    assert vm_of(apfd, "web1")["Manager"] == "libvirt"
    assert vm_of(apfd, name)["Manager"] == "none"
    # Its UUID is its own.
    assert vm_of(apfd, name)["UUID"] == UUID_A
