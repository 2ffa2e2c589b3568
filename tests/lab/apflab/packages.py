# SPDX-License-Identifier: GPL-2.0
"""Debian packages of the tree as it is here, built in a clean Debian of a release, and what they need in an L1."""

import re
import shutil
import subprocess
import sys

from . import paths
from .build import fingerprint
from .errors import LabError
from .images import HostImage, digest
from .progress import step

sys.path.insert(0, str(paths.REPO / "tests/kernels"))

import archive  # noqa: E402  (the line above makes them importable)
import chroot  # noqa: E402

# What an L1 is made from; its newer kernel makes no difference to packages.
SUITE = {"bookworm": "bookworm", "trixie": "trixie", "backports": "trixie"}
TOOLS = ["build-essential", "fakeroot", "xz-utils"]
VERSION = (paths.REPO / "VERSION").read_text().strip()
# A version that the tree never had: the same sources under a lower number.
PREVIOUS = "0.1.99"
PAGE = paths.REPO / "build/dashboard/dist"


def build_depends():
    """Names in Build-Depends."""
    text = (paths.REPO / "packaging/debian/control.in").read_text()
    field = re.search(r"^Build-Depends:\n((?: .*\n)+)", text, re.M).group(1)
    names = {re.split(r"[\s:|(<]", line.strip())[0] for line in field.replace(",", "").splitlines()}
    # what provides these two
    return sorted(names - {"debhelper-compat", "dh-sequence-dkms"} | {"debhelper", "dh-dkms"})


class Packages:
    """The packages of one release, below build/lab/packages/."""

    def __init__(self, release):
        self.suite = SUITE[release]
        self.image = HostImage(release)
        self.top = paths.BUILD / "packages" / release

    def build(self, version=VERSION):
        """The folder with the packages of this tree as @version."""
        out = self.top / version
        stamp = out / "stamp"
        key = digest(version, fingerprint(*(p for p in sorted(paths.REPO.iterdir()) if p.name not in (".git", "build"))),
                     fingerprint(PAGE))
        if stamp.exists() and stamp.read_text() == key:
            return out
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        clean = chroot.Chroot(self.suite, "packages", TOOLS + build_depends()).ensure()
        with step(f"building the packages {version} for {self.suite}"), clean.copy() as copy:
            source = self.top / "source"
            self._source(source, version)
            copy.binds = [(source, "/src"), (out, "/out")]
            # The same sources under another number need no second run of the unit tests.
            env = {} if version == VERSION else {"DEB_BUILD_OPTIONS": "nocheck"}
            rc, text = copy.run("sh", "-c", "/src/packaging/deb /out/deb", env=env, timeout=3600)
            (out / "log").write_text(text)
            if rc:
                raise LabError(f"packaging/deb {version} in {self.suite} (log: {out}/log):\n{text[-3000:]}")
        shutil.rmtree(source)
        stamp.write_text(key)
        return out

    def _source(self, folder, version):
        """What a release has: the files of the tree, and the page, which is built on this machine."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        names = subprocess.run(["git", "-C", paths.REPO, "-c", f"safe.directory={paths.REPO}", "ls-files", "-z"],
                               check=True, capture_output=True).stdout
        subprocess.run(["tar", "-C", paths.REPO, "--null", "-T", "-", "-cf", folder / "t.tar"], input=names, check=True)
        subprocess.run(["tar", "-C", folder, "-xf", folder / "t.tar"], check=True)
        (folder / "t.tar").unlink()
        shutil.copytree(PAGE, folder / "dashboard/cockpit/dist")
        if version != VERSION:
            (folder / "VERSION").write_text(version + "\n")
            (folder / "NEWS.md").write_text(f"## {version} (2026-01-01)\n\n- For the test of the upgrade.\n")

    def needs(self, *packages):
        """The folder with Debian's packages that an L1 lacks to install @packages; an L1 has no network."""
        folder = self.top / "needs"
        shutil.rmtree(folder, ignore_errors=True)
        with step(f"fetching what {', '.join(packages)} need on {self.suite}"):
            archive.Archive().update([self.suite]).download(self.suite, packages,
                                                            self.image.tree / "var/lib/dpkg/status", folder)
        return folder


def debs(folder, *names):
    """Files of the packages @names in @folder of Packages.build()."""
    found = []
    for name in names:
        files = sorted((folder / "deb").glob(f"{name}_*.deb"))
        if len(files) != 1:
            raise LabError(f"{folder}/deb has {len(files)} packages {name}")
        found += files
    return found
