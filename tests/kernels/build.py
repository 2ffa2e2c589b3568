# SPDX-License-Identifier: GPL-2.0
"""Both modules built for one kernel of the archive, with its headers and its release's compiler."""

import re
import shutil
import subprocess
from pathlib import Path

import chroot
import image
from paths import CACHE

from apflab.progress import step

FOLDERS = {"host": "host-module", "guest": "guest-module"}
PACKAGES = ["gcc", "make", "sparse", "libc6-dev", "libelf1", "perl", "bc"]
# A warning is an error, sparse's as well; so is what modpost warns of.
SCRIPT = """set -e
cp -r /src/. /tmp; cd /tmp
make -C "$1" KDIR="$2" clean
make -C "$2" M="$PWD/$1" W=1 C=2 CF="-D__CHECK_ENDIAN__ -Wsparse-error" KCFLAGS=-Werror \
	CONFIG_DEBUG_INFO_BTF_MODULES= modules
cp "$1"/*.ko /out
"""
COMPLAINT = re.compile(r"^.*(?:\b(?:error|warning|ERROR|WARNING):|\*\*\*).*$", re.M)
# What Debian's headers cannot help: they have no vmlinux to make BTF from.
HARMLESS = re.compile(r"Skipping BTF generation|(?:the compiler|pahole version) differs from the one used to build the kernel")


def compiler(release):
    """The tree with the compiler of @release, and headers of the kernels added so far."""
    return chroot.Chroot(release, "build", PACKAGES).ensure()


def headers(known, kernel, tree):
    """Unpack the headers of @kernel into @tree, once; they are not installed, for that needs an image."""
    stamp = tree.path / "var/lib/apf-headers" / f"{kernel}-{kernel.version}"
    if not stamp.exists():
        work = CACHE / "tmp" / f"headers-{kernel}"
        shutil.rmtree(work, ignore_errors=True)
        with step(f"fetching the headers of {kernel}"):
            for deb in known.fetch(kernel.release, known.header_packages(kernel), work):
                # after usrmerge /lib is a link, which -x would replace by a folder
                subprocess.run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"',
                                "sh", deb, tree.path], check=True)
        shutil.rmtree(work)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    return f"/usr/src/linux-headers-{kernel}"


def build(known, kernel, module, log):
    """Build @module ("host" or "guest") for @kernel: (first complaint or None, names that it imports)."""
    tree = compiler(kernel.release)
    kdir = headers(known, kernel, tree)
    work = CACHE / "tmp" / f"build-{kernel}-{module}"
    shutil.rmtree(work, ignore_errors=True)
    try:
        (work / "src").mkdir(parents=True)
        (work / "out").mkdir()
        chroot.sources_of(work / "src")
        inside = chroot.Copy(tree.path)
        inside.binds = [(work / "src", "/src"), (work / "out", "/out")]
        rc, text = inside.run("sh", "-c", SCRIPT, "sh", FOLDERS[module], kdir)
        Path(log).write_text(text)
        found = [line.strip() for line in COMPLAINT.findall(text) if not HARMLESS.search(line)]
        if found or rc:
            return (found or text.strip().splitlines()[-1:] or ["no output"])[0].replace("/tmp/", ""), set()
        return None, imports((work / "out" / f"apf_{module}.ko").read_bytes())
    finally:
        shutil.rmtree(work, ignore_errors=True)


def imports(data):
    """The symbols that a module takes from elsewhere."""
    return {name for name, section, _ in image.Elf(data).symbols() if name and section is None}
