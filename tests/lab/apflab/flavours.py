# SPDX-License-Identifier: GPL-2.0
"""Flavours: hosts of a release with a kernel of tests/lab/debug in them and their guests, named like "trixie-kasan".

With PREEMPT_RT only the guests have that kernel: KVM does not load there without a TSC that is constant, and the
emulator cannot say that its own is.
"""

import inspect
import os
import shutil
import subprocess
from pathlib import Path

from . import paths, proc
from .errors import LabError
from .images import (DROP_MODULES, INITRD_INIT, INITRD_MODULES, INITRD_OPTIONAL, RELEASES, HostImage, Image, digest,
                     has_module, make_initrd)

# The series of a release's kernel, as tests/lab/debug/kernel names it.
SERIES = {"trixie": "6.12", "backports": "7.3"}
FLAVOURS = ("kasan", "kcsan", "rt")
IN_GUESTS_ONLY = ("rt",)
NAMES = (*RELEASES, *(f"{release}-{flavour}" for release in SERIES for flavour in FLAVOURS))

# What a guest has more than with Debian's kernel: shadow memory, stacks of allocations, and a kernel twice as large.
GUEST_MIB = {"kasan": 256, "kcsan": 128}
# How many times slower a kernel is than Debian's, for APF_LAB_PATIENCE: bounds are multiplied by it.
SLOWER = {"kasan": 4, "kcsan": 3, "rt": 1.5}


def image_of(name):
    """The image of a release, or of a release with another kernel."""
    release, _, flavour = name.partition("-")
    return FlavourImage(release, flavour) if flavour else HostImage(release)


def flavour_of(name):
    """The kernel of the host @name, "" for Debian's."""
    return name.partition("-")[2]


def kernel_folder(release, flavour):
    """What `tests/lab/debug/kernel build` has made."""
    if release not in SERIES or flavour not in FLAVOURS:
        raise LabError(f"no kernel '{flavour}' for {release}; there are: {', '.join(NAMES)}")
    found = list((paths.BUILD / "debug").glob(f"{SERIES[release]}-{flavour}-*"))
    if len(found) != 1:
        raise LabError(f"the kernel is not there: tests/lab/debug/kernel build {SERIES[release]} {flavour}")
    return found[0]


class FlavourImage(HostImage):
    """The image of a release with the kernel, modules and headers exchanged or added; all else is hard links."""

    def __init__(self, release, flavour):
        self.in_host = flavour not in IN_GUESTS_ONLY
        self.base = HostImage(release)
        self.source = kernel_folder(release, flavour)
        self.release = f"{release}-{flavour}"
        # a name that begins like a release's would go when that image is made anew
        self.kind = f"{flavour}-{release}"
        # not HostImage's: the name is no release of Debian
        Image.__init__(self)
        self.disk = self.path / "root.ext4"
        self.kernel = self.path / "vmlinux"
        self.initrd = self.path / "initrd"
        self.key_file = self.path / "ssh_key"
        self.known_hosts = self.path / "known_hosts"

    def key(self):
        return digest(self.base.key(), self.source.name, inspect.getsource(FlavourImage))

    @property
    def guest_kver(self):
        return (self.path / "guest_kver").read_text().strip()

    def make(self, folder):
        self.base.ensure()
        tree = folder / "tree"
        subprocess.run(["cp", "-al", self.base.tree, tree], check=True)
        for name in ("ssh_key", "ssh_key.pub", "known_hosts"):
            shutil.copy(self.base.path / name, folder / name)
        old = [tree / "boot/vmlinux-l2"]
        if self.in_host:
            old += [tree / "usr/lib/modules", *tree.glob("usr/src/linux-*")]
        for path in old:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        # what the two trees have both is a hard link here, and not to be written to
        subprocess.run(["cp", "-a", "--remove-destination", f"{self.source}/root/.", tree], check=True)
        kver = guest_kver = (self.source / "kver").read_text().strip()
        (folder / "guest_kver").write_text(guest_kver + "\n")
        for pattern in DROP_MODULES:
            for path in (tree / "usr/lib/modules" / kver).glob(pattern.removeprefix("*/lib/modules/*/").removesuffix("/*")):
                shutil.rmtree(path)
        proc.call(["chroot", tree, "depmod", guest_kver], "depmod")
        if not self.in_host:
            kver = self.base.kver
        (folder / "kver").write_text(kver + "\n")
        shutil.copy(self.source / "vmlinux" if self.in_host else self.base.kernel, folder / "vmlinux")
        shutil.copy(self.source / "vmlinux", tree / "boot" / "vmlinux-l2")
        modules = INITRD_MODULES + [m for m in INITRD_OPTIONAL if has_module(tree, kver, m)]
        make_initrd(tree, kver, modules, {"init": INITRD_INIT}, folder / "initrd")
        proc.call(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0",
                   "-m", "0", "-N", "200000", "-d", tree, Path(folder) / "root.ext4", "6G"], "mke2fs",
                  env=dict(os.environ, LC_ALL="C"))
