# SPDX-License-Identifier: GPL-2.0
"""Here: this machine as a host for benchmarks, where the lab has an emulated one."""

import glob
import os
import shutil
import subprocess
from pathlib import Path

from . import paths, proc
from .build import L2_MODULES
from .errors import CommandFailed, LabError, Timeout
from .host import Host, Result
from .images import make_initrd

FOLDER = Path("/run/lab")
PROGRAMS = {"gcc": "gcc libc6-dev", "busybox": "busybox-static", "cpio": "cpio", "modinfo": "kmod", "virsh": "libvirt-clients",
            "qemu-system-x86_64": "qemu-system-x86", "apfctl": "apfctl (make deb)", "apfd": "apfd (make deb)"}


def missing():
    """What keeps this machine from being measured, one line each."""
    found = []
    if os.geteuid():
        found.append("only root can load modules and start VMs")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        found.append("/dev/kvm cannot be used: no hardware virtualisation, or it is disabled in the firmware")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found += [f"{name} is missing: install {package}" for name, package in PROGRAMS.items() if not shutil.which(name, path=path)]
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        found.append("the control groups are those of version 1: boot with systemd.unified_cgroup_hierarchy=1")
    if not swaps():
        found.append("no swap is active: add a swap device or file of the kind that is to be measured")
    if subprocess.run(["sh", "-c", "modinfo apf_host"], capture_output=True, check=False).returncode:
        found.append(f"there is no apf_host for {os.uname().release}: install apf-host-dkms and the kernel's headers")
    others = vms()
    if others:
        found.append(f"VMs run (processes {', '.join(map(str, others))}): they would lose their gates during the measurement; "
                     "stop or migrate them first")
    return found


def swaps():
    """The active swap devices and files, with the highest priority first: (name, kind, KiB, priority)."""
    rows = [line.split() for line in Path("/proc/swaps").read_text().splitlines()[1:]]
    return sorted(((r[0], r[1], int(r[2]), int(r[4])) for r in rows), key=lambda r: -r[3])


def vms():
    """Processes with a KVM VM."""
    found = set()
    for fd in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(fd) == "anon_inode:kvm-vm":
                found.add(int(fd.split("/")[2]))
        except OSError:
            continue
    return sorted(found)


class Here:
    """This machine with the methods of Host that a benchmark with one VM uses. It is left as it was found."""

    name = "this host"
    preempt = None
    l2_initrd = str(FOLDER / "l2-initrd")

    def __init__(self, guest_kernel=None):
        """@guest_kernel: the file that the guest boots; default: the kernel of this machine."""
        why_not = missing()
        if why_not:
            raise LabError("this host cannot be measured:\n  " + "\n  ".join(why_not))
        self.kernel = os.uname().release
        files = [guest_kernel] if guest_kernel else [f"/boot/vmlinuz-{self.kernel}", f"/usr/lib/modules/{self.kernel}/vmlinuz"]
        self.l2_kernel = next((f for f in files if Path(f).exists()), None)
        if not self.l2_kernel:
            raise LabError(f"the guest is to boot {files[0]}, which is missing")
        self.vms, self.unbuilt, self._closed = [], {}, False
        self.accel = "kvm"

    def __enter__(self):
        self.had_module = Path("/sys/module/apf_host").exists()
        self.had_apfd = self.run("systemctl is-active apfd", check=False).rc == 0
        self.had_folder = FOLDER.exists()
        FOLDER.mkdir(mode=0o755, exist_ok=True)
        # QEMU, which runs as a user of its own, makes the guest's files in it
        FOLDER.chmod(0o1777)
        self._make_guest()
        return self

    def __exit__(self, *_):
        self._closed = True
        for vm in self.vms:
            vm.detach()
        self.run(f"systemctl {'start' if self.had_apfd else 'stop'} apfd", check=False)
        loaded = Path("/sys/module/apf_host").exists()
        if loaded != self.had_module:
            self.run("modprobe apf_host" if self.had_module else "modprobe -r apf_host", check=False)
        if not self.had_folder:
            shutil.rmtree(FOLDER, ignore_errors=True)

    def _make_guest(self):
        """The initramfs of the guest: busybox and the load, compiled here."""
        source = paths.LAB / "workload"
        load = FOLDER / "workload"
        proc.call(["gcc", "-std=gnu17", "-O2", "-static", "-pthread", "-o", load, source / "workload.c"], "building the load")
        files = {"init": (source / "init.sh").read_bytes(), "agent.sh": (source / "agent.sh").read_bytes(),
                 "bin/workload": load.read_bytes()}
        make_initrd("/", self.kernel, L2_MODULES, files, self.l2_initrd)

    # -- as in Host --------------------------------------------------------------------

    wait_for = Host.wait_for

    def check(self):
        """This machine runs."""

    def run(self, cmd, check=True, timeout=60, input=None, binary=False):
        data = input.encode() if isinstance(input, str) else input
        try:
            r = subprocess.run(["sh", "-c", cmd], timeout=4 * timeout, capture_output=True, check=False,
                               **({"input": data} if data is not None else {"stdin": subprocess.DEVNULL}))
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name}: no end after {4 * timeout} s: {cmd}") from None
        result = Result(r.returncode, r.stdout if binary else r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace"))
        if check and result.rc:
            raise CommandFailed(self.name, cmd, result)
        return result

    def read(self, path):
        return Path(path).read_text()

    def put(self, src, dst):
        Path(dst).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(src, dst)
