# SPDX-License-Identifier: GPL-2.0
"""Debian trees, one per release and purpose, made once and kept by recipe, and commands in copies of them."""

import contextlib
import os
import shutil
import subprocess
import tempfile

import archive
from paths import CACHE, REPO

from apflab import proc
from apflab.errors import LabError
from apflab.images import DROP, digest
from apflab.progress import step

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Mounts what programs in the tree expect; all of it goes with the mount namespace.
ENTER = """set -e
tree=$1; shift
while [ "$1" != -- ]; do mkdir -p "$tree$2"; mount --bind "$1" "$tree$2"; shift 2; done; shift
mount -t proc proc "$tree/proc"; mount -t tmpfs tmp "$tree/tmp"; mount --rbind /dev "$tree/dev"
exec chroot "$tree" "$@" """


class Chroot:
    """A tree of @release with @packages, below the cache."""

    def __init__(self, release, name, packages):
        self.release, self.name, self.packages = release, name, sorted(packages)
        self.lines = archive.lines(release)
        key = digest(self.release, self.packages, self.lines, DROP)
        self.path = CACHE / "chroots" / f"{name}-{release}-{key}"

    def ensure(self):
        if self.path.is_dir():
            return self
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with proc.locked(CACHE / f"{self.path.name}.lock", f"the {self.name} tree"):
            if self.path.is_dir():
                return self
            for old in self.path.parent.glob(f"*{self.name}-{self.release}-*"):
                shutil.rmtree(old, ignore_errors=True)
            work = self.path.with_name("." + self.path.name)
            log = CACHE / f"{self.name}-{self.release}.log"
            with step(f"making a Debian {self.release} tree ({self.name})"):
                self._make(work, log)
            os.rename(work, self.path)
        return self

    def _make(self, work, log):
        args = [*proc.CONTAINED, "mmdebstrap", "--mode=root", "--variant=apt", "--format=directory",
                "--aptopt=APT::Install-Recommends \"0\"", "--aptopt=Acquire::Check-Valid-Until \"false\"",
                "--dpkgopt=force-unsafe-io",
                *(f"--dpkgopt=path-exclude={p}" for p in DROP), f"--keyring={archive.KEYRING}",
                "--include=" + ",".join(self.packages), self.release, work, *self.lines]
        env = dict(os.environ, TMPDIR=str(self.path.parent), LC_ALL="C.UTF-8", DEBIAN_FRONTEND="noninteractive")
        env.pop("PYTHONPATH", None)
        with open(log, "w") as f:
            child = proc.spawn(args, stdin=subprocess.DEVNULL, stdout=f, stderr=f, env=env)
            try:
                rc = child.wait()
            except BaseException:
                proc.end(child, grace_sec=0.1)
                raise
        if rc:
            shutil.rmtree(work, ignore_errors=True)
            raise LabError(f"mmdebstrap {self.release} failed (log: {log}):\n" + log.read_text(errors="replace")[-3000:])

    @contextlib.contextmanager
    def copy(self):
        """A throw-away copy of the tree."""
        top = CACHE / "tmp"
        top.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f"{self.name}-{self.release}-", dir=top)
        try:
            subprocess.run(["cp", "-a", "--reflink=auto", f"{self.path}/.", folder], check=True)
            yield Copy(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Copy:
    """A tree that commands may change."""

    def __init__(self, tree):
        self.tree = tree
        self.binds = []     # (outside, inside)

    def run(self, *command, env=None, timeout=1800, stdin=None):
        """Run @command in the tree: (exit status, its whole output)."""
        binds = [str(x) for bind in self.binds for x in bind]
        args = [*proc.CONTAINED, "sh", "-c", ENTER, "sh", self.tree, *binds, "--", *command]
        full = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "TERM": "dumb", "DEBIAN_FRONTEND": "noninteractive",
                **(env or {})}
        child = proc.spawn(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           errors="replace", env=full)
        try:
            out, _ = child.communicate(timeout=timeout)
        except BaseException:
            proc.end(child, grace_sec=0.1)
            raise
        return child.returncode, out


def sources_of(folder):
    """What the modules are built from, copied to @folder."""
    for name in ("host-module", "guest-module", "include", "packaging", "VERSION", "Makefile"):
        src = REPO / name
        if src.is_dir():
            shutil.copytree(src, os.path.join(folder, name), dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("*.o", "*.ko", "*.cmd", "*.mod*", "Module.symvers", "modules.order"))
        else:
            shutil.copy(src, folder)
