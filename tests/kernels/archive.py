# SPDX-License-Identifier: GPL-2.0
"""The kernels of Debian's archive, and their packages, by an apt of our own.

The machine's apt knows the machine's release only. Here apt gets a state of its own below the
cache, with the lines of every release, on the mirror that the machine uses.
"""

import dataclasses
import os
import re
import subprocess
import time

from paths import CACHE

from apflab import images, proc
from apflab.errors import LabError
from apflab.progress import step

# Suites that a host of the release has, beside those that the machine's apt has for its own.
SUITES = {"bookworm": ("bookworm-backports",), "trixie": ("trixie-backports",), "sid": ()}
RELEASES = tuple(SUITES)
FLAVOURS = ("amd64", "cloud-amd64", "rt-amd64")
# The oldest kernel that the modules are for; older ones of the archive are no topic here.
OLDEST = (6, 1)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# A mirror may stand still: what it signed long ago is good enough here.
VALID = ["-o", "Acquire::Check-Valid-Until=false"]
# Lists that are younger than this are not fetched again.
FRESH_SEC = 6 * 3600


def lines(release):
    """The sources.list of @release, one line per suite."""
    found = images.sources((release, *SUITES[release]))
    if release == "sid":
        # no updates and no security: what is new comes into sid itself
        found = [line for line in found if line.split()[2] == "sid"]
    return [line.replace("deb ", f"deb [signed-by={KEYRING}] ", 1) for line in sorted(set(found))]


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel of the archive, as `uname -r` names it."""

    release: str
    name: str       # 7.3.4+deb13-cloud-amd64
    version: str    # of the package
    headers: bool   # whether there are headers to build with

    @property
    def flavour(self):
        return next(f for f in reversed(sorted(FLAVOURS, key=len)) if self.name.endswith("-" + f))

    @property
    def series(self):
        return tuple(int(n) for n in re.match(r"(\d+)\.(\d+)", self.version).groups())

    @property
    def order(self):
        return [int(n) for n in re.findall(r"\d+", self.version)]

    def __str__(self):
        return self.name


class Archive:
    """The package lists of all releases."""

    def __init__(self):
        self.folder = CACHE / "apt"
        self.packages = {}      # release -> {package: version}

    def _config(self, release):
        """Options that make apt use the state of @release below the cache."""
        top = self.folder / release
        return ["-o", f"Dir::Etc={top}/etc", "-o", f"Dir::State={top}/state", "-o", f"Dir::Cache={top}/cache",
                "-o", f"Dir::State::status={top}/status", "-o", "APT::Architecture=amd64",
                "-o", "APT::Architectures=amd64", "-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root",
                "-o", "Acquire::Retries=3", *VALID]

    def update(self, releases=RELEASES):
        for release in releases:
            top = self.folder / release
            for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "state/lists/partial",
                         "cache/archives/partial"):
                (top / name).mkdir(parents=True, exist_ok=True)
            (top / "status").touch()
            text = "\n".join(lines(release)) + "\n"
            listing, stamp = top / "etc/sources.list", top / "updated"
            fresh = stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH_SEC
            if not fresh or not listing.exists() or listing.read_text() != text:
                listing.write_text(text)
                with step(f"fetching the package lists of {release}"):
                    proc.call(["apt-get", *self._config(release), "update"], f"apt-get update for {release}")
                stamp.touch()
            self.packages[release] = self._read(release)
        return self

    def _read(self, release):
        """Names and newest versions of all kernel packages of @release."""
        out = subprocess.run(["apt-get", *self._config(release), "indextargets", "--format", "$(FILENAME)",
                              "Created-By: Packages"], capture_output=True, text=True, check=True).stdout
        found = {}
        for index in out.split():
            text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", index], capture_output=True, text=True,
                                  check=True).stdout
            name = None
            for line in text.splitlines():
                if line.startswith("Package: "):
                    name = line[9:] if line.startswith("Package: linux-") else None
                elif name and line.startswith("Version: "):
                    version = line[9:]
                    if name not in found or (version != found[name] and _newer(version, found[name])):
                        found[name] = version
        return found

    def download(self, release, packages, status, folder):
        """Fetches to @folder what a system with dpkg's @status lacks to install @packages."""
        (folder / "partial").mkdir(parents=True)
        proc.call(["apt-get", *self._config(release), "-o", f"Dir::State::status={status}",
                   "-o", f"Dir::Cache::archives={folder}", "-o", "APT::Install-Recommends=false",
                   "-o", "Debug::NoLocking=true", "-y", "--download-only", "install", *packages],
                  f"fetching {', '.join(packages)} of {release}")
        (folder / "lock").unlink(missing_ok=True)
        (folder / "partial").rmdir()

    def kernels(self, release):
        """The newest kernel of each series and flavour that @release has, oldest first."""
        newest = {}
        for package, version in self.packages[release].items():
            m = re.fullmatch(r"linux-(headers|image)-(\d\S*)", package)
            if not m or not re.match(r"\d+\.\d+\.\d", m.group(2)):
                continue
            kernel = Kernel(release, m.group(2), version, f"linux-headers-{m.group(2)}" in self.packages[release])
            if not re.search(r"\d[^-]*(-\d+)?-(cloud-|rt-)?amd64$", kernel.name) or kernel.series < OLDEST:
                continue
            key = kernel.series, kernel.flavour
            # headers first: without them little can be said of a kernel
            if key not in newest or (kernel.headers, kernel.order) > (newest[key].headers, newest[key].order):
                newest[key] = kernel
        return [newest[key] for key in sorted(newest)]

    def image_packages(self, kernel):
        """The packages that hold vmlinuz and kvm.ko of @kernel; for some the archive has no kvm.ko any more."""
        have = self.packages[kernel.release]
        if f"linux-binary-{kernel}" in have:
            return [p for p in (f"linux-binary-{kernel}", f"linux-modules-{kernel}") if p in have]
        return [f"linux-image-{kernel}"]

    def header_packages(self, kernel):
        """The packages that a module for @kernel is built with, without compiler."""
        out = subprocess.run(["apt-cache", *self._config(kernel.release), "depends", "--no-recommends", "--no-suggests",
                              "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", "--recurse",
                              f"linux-headers-{kernel}={kernel.version}"], capture_output=True, text=True, check=True).stdout
        want = re.compile(r"linux-(headers|kbuild)-\d\S*$")
        names = {line.strip() for line in out.splitlines() if want.match(line)}
        return sorted(names | {f"linux-headers-{kernel}"})

    def fetch(self, release, packages, folder):
        """Download @packages into @folder; the paths of the files."""
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [f"{p}={self.packages[release][p]}" for p in packages]
        before = set(folder.iterdir())
        proc.call(["apt-get", *self._config(release), "download", *wanted], f"downloading {' '.join(packages)}",
                  cwd=folder, env=dict(os.environ, LC_ALL="C.UTF-8"))
        return sorted(set(folder.glob("*.deb")) - before)


def _newer(a, b):
    return subprocess.run(["dpkg", "--compare-versions", a, "gt", b]).returncode == 0
