# SPDX-License-Identifier: GPL-2.0
"""Flavours: hosts of a release with a kernel of tests/lab/debug, named like "trixie-kasan".

The kernel is in the host and its guests; in the host alone, "trixie-kasan-host"; or in the guests alone,
"trixie-kasan-guest". The last two take a fraction of the time: what is slow in a host is slow once more in its guests.

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
FLAVOURS = ("kasan", "lockdep", "kcsan", "rt")
BOTH, HOST, GUEST = PLACES = ("both", "host", "guest")
# Where a kernel can be, the default first.
PLACES_OF = {"kasan": PLACES, "lockdep": PLACES, "kcsan": PLACES, "rt": (GUEST,)}


def name_of(release, flavour, place):
    """The name of a host."""
    return f"{release}-{flavour}" + ("" if place == PLACES_OF[flavour][0] else f"-{place}")


NAMES = (*RELEASES, *(name_of(release, flavour, place) for release in SERIES for flavour in FLAVOURS
                      for place in PLACES_OF[flavour]))

# What a guest has more than with Debian's kernel: shadow memory, stacks of allocations, and a kernel twice as large. The
# limit of its memory rises by less, so that the load of a test still swaps: some of that is not used again.
GUEST_MIB = {"kasan": 256, "lockdep": 64, "kcsan": 128}
LIMIT_MIB = {"kasan": 144, "lockdep": 40, "kcsan": 128}
# How many times slower a kernel is than Debian's, for APF_LAB_PATIENCE: bounds are multiplied by it.
SLOWER = {"kasan": 4, "lockdep": 4, "kcsan": 3, "rt": 1.5}


def image_of(name):
    """The image of a release, or of a release with another kernel."""
    release, *flavour = name.split("-")
    return FlavourImage(release, *flavour) if flavour else HostImage(release)


def guest_flavour(name):
    """The kernel of the guests of the host @name, "" for Debian's."""
    _release, flavour, place = (*name.split("-"), "", "")[:3]
    return "" if place == HOST else flavour


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

    def __init__(self, release, flavour, place=None):
        place = place or PLACES_OF[flavour][0]
        self.in_host, self.in_guests = place != GUEST, place != HOST
        self.base = HostImage(release)
        self.source = kernel_folder(release, flavour)
        self.release = name_of(release, flavour, place)
        # a name that begins like another's would go when that image is made anew
        self.kind = f"{flavour}.{place}-{release}"
        # not HostImage's: the name is no release of Debian
        Image.__init__(self)
        self.disk = self.path / "root.ext4"
        self.kernel = self.path / "vmlinux"
        self.initrd = self.path / "initrd"
        self.key_file = self.path / "ssh_key"
        self.known_hosts = self.path / "known_hosts"

    def key(self):
        return digest(self.base.key(), self.source.name, self.in_host, self.in_guests, inspect.getsource(FlavourImage))

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
        if self.in_host and self.in_guests:
            old += [tree / "usr/lib/modules", *tree.glob("usr/src/linux-*")]
        for path in old:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        # what the two trees have both is a hard link here, and not to be written to
        subprocess.run(["cp", "-a", "--remove-destination", f"{self.source}/root/.", tree], check=True)
        debug = (self.source / "kver").read_text().strip(), self.source / "vmlinux"
        for pattern in DROP_MODULES:
            for path in (tree / "usr/lib/modules" / debug[0]).glob(pattern.removeprefix("*/lib/modules/*/").removesuffix("/*")):
                shutil.rmtree(path)
        proc.call(["chroot", tree, "depmod", debug[0]], "depmod")
        usual = self.base.kver, self.base.kernel
        (kver, kernel), (guest_kver, guest_kernel) = debug if self.in_host else usual, debug if self.in_guests else usual
        (folder / "kver").write_text(kver + "\n")
        (folder / "guest_kver").write_text(guest_kver + "\n")
        shutil.copy(kernel, folder / "vmlinux")
        shutil.copy(guest_kernel, tree / "boot" / "vmlinux-l2")
        modules = INITRD_MODULES + [m for m in INITRD_OPTIONAL if has_module(tree, kver, m)]
        make_initrd(tree, kver, modules, {"init": INITRD_INIT}, folder / "initrd")
        proc.call(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0",
                   "-m", "0", "-N", "200000", "-d", tree, Path(folder) / "root.ext4", "6G"], "mke2fs",
                  env=dict(os.environ, LC_ALL="C"))
