# SPDX-License-Identifier: GPL-2.0
"""Build our modules, userspace and the L2 initramfs natively, inside the tree of an L1 image."""

import hashlib
import json
import os
import shutil

from . import paths, proc
from .errors import LabError
from .flavours import image_of
from .images import has_module, make_initrd, module_files
from .progress import say, step

MODULES = {"host-module": "apf_host", "guest-module": "apf_guest"}
PARTS = (*MODULES, "userspace", "guest")
# For the L2 alone, where it stands in /modules beside the guest module.
TEST_MODULE = "apf_test"
NOT_SOURCE = {"build", ".git", "__pycache__", ".pytest_cache", "node_modules"}

# What an L2 needs for the agent's channel; its disk-less system has everything else built in.
L2_MODULES = ["virtio_pci", "virtio_console"]
L2_PROGRAMS = ("workload", "nested")
# Loaded by the test that wants a guest in the guest; which of them fits depends on L0.
NESTED_MODULES = ["kvm_amd", "kvm_intel"]


def fingerprint(*folders):
    """Hash of names, modes and contents below @folders (missing ones count as empty)."""
    h = hashlib.sha256()
    for top in folders:
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            if path.is_file() and not NOT_SOURCE & set(path.relative_to(paths.REPO).parts):
                h.update(f"{path.relative_to(paths.REPO)} {path.stat().st_mode & 0o111}\0".encode())
                h.update(path.read_bytes())
    return h.hexdigest()


def mirror(src, dst):
    """Copy @src over @dst so that unchanged files keep their time: make rebuilds only the rest."""
    dst.mkdir(parents=True, exist_ok=True)
    wanted = set()
    for path in src.rglob("*"):
        rel = path.relative_to(src)
        if NOT_SOURCE & set(rel.parts) or path.is_dir():
            continue
        wanted.add(rel)
        to = dst / rel
        data = path.read_bytes()
        if not to.exists() or to.read_bytes() != data:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(data)
        shutil.copymode(path, to)
    source_suffixes = {".c", ".h", ".S"}
    for old in dst.rglob("*"):
        if old.is_file() and old.suffix in source_suffixes and not old.name.endswith(".mod.c") \
                and old.relative_to(dst) not in wanted:
            old.unlink()


class Build:
    """What the repository builds to for one release, below build/lab/<release>/."""

    def __init__(self, release):
        self.image = image_of(release).ensure()
        self.release = release
        self.out = paths.BUILD / release
        self.stamps = self.out / "stamps.json"
        self.dest = self.out / "dest"          # what meson installs
        self.modules = self.out / "modules"    # *.ko
        self.initrd = self.out / "l2-initrd"
        self.failed = {}                       # name of a module -> why it is not there
        self.guest_kver = getattr(self.image, "guest_kver", self.image.kver)

    def chroot(self, script, what):
        """Run @script in the tree with the repository read-only at /src, build/lab/<release> at /out."""
        setup = """set -e
            mount --bind "$1" "$3/src"; mount -o remount,bind,ro "$3/src"
            mount --bind "$2" "$3/out"
            mount -t proc proc "$3/proc"; mount -t tmpfs tmp "$3/tmp"
            mount --rbind /dev "$3/dev"
            exec chroot "$3" /bin/sh -e -c "$4" """
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "TERM": "dumb"}
        return proc.call([*proc.CONTAINED, "sh", "-c", setup, "sh", paths.REPO, self.out, self.image.tree, script], what, env=env)

    def _stamp(self, name, value):
        known = json.loads(self.stamps.read_text()) if self.stamps.exists() else {}
        if value is None:
            return known.get(name)
        known[name] = value
        self.stamps.write_text(json.dumps(known))
        return value

    def _once(self, name, key, made, text, body):
        """Run @body unless it was run for the same @key already and its result exists."""
        key = f"{self.image.path.name}:{key}"
        if self._stamp(name, None) == key and made.exists():
            return
        with step(f"building {text} for {self.release}"):
            body()
        self._stamp(name, key)

    def locked(self):
        """One builder or installer per release: they share folders."""
        return proc.locked(self.out / ".lock", f"building for {self.release}")

    def all(self, parts=PARTS):
        with self.locked():
            self._all(parts)
        if self.failed:
            raise LabError("\n".join(self.failed.values()))
        return self

    def _all(self, parts):
        """Build @parts. A module that does not compile is noted in .failed, so that the rest can be tested."""
        wrong = set(parts) - set(PARTS)
        if wrong:
            raise LabError(f"no part {', '.join(sorted(wrong))} to build; there are: {', '.join(PARTS)}")
        if (self.out / "image").exists() and (self.out / "image").read_text() != self.image.path.name:
            # objects of another compiler or kernel
            for folder in ("work", "work-selftest", "meson", "modules", "dest"):
                shutil.rmtree(self.out / folder, ignore_errors=True)
        (self.out / "image").write_text(self.image.path.name)
        for folder, name in MODULES.items():
            if folder in parts:
                self.module_if_it_builds(paths.REPO / folder, name)
        if "userspace" in parts:
            self.userspace()
        if "guest" in parts:
            self.guest()

    def module_if_it_builds(self, source, name, uses=()):
        """The module's file, or None and a note in .failed."""
        try:
            return self.module(source, name, uses=uses)
        except LabError as e:
            self.failed[name] = str(e)
            (self.modules / f"{name}.ko").unlink(missing_ok=True)
            say(f"{name}.ko does not build for {self.release}, going on without it; see {self.out}/{name}.log")
            return None

    def selftested(self):
        """apf_host with the tests that it runs when it is loaded."""
        with self.locked():
            return self.module(paths.REPO / "host-module", "apf_host", "APF_HOST_DEBUG=y", "-selftest")

    def module(self, source, name, option="", suffix="", uses=()):
        """
        One out-of-tree module, with a make @option as name@suffix.ko; its objects stay out of the repository.
        @uses: other folders whose sources it includes.
        """
        if not (source / "Kbuild").exists() and not (source / "Makefile").exists():
            say(f"no {source.name}/ yet, {name}.ko is not built")
            return None
        ko = self.modules / f"{name}{suffix}.ko"
        kver = self.image.kver if name == MODULES["host-module"] else self.guest_kver

        def build():
            work = self.out / f"work{suffix}"
            for folder in (source, *uses):
                mirror(folder, work / folder.name)
            if (paths.REPO / "include").exists():
                mirror(paths.REPO / "include", work / "include")
            if (paths.REPO / "VERSION").exists():
                shutil.copy(paths.REPO / "VERSION", work / "VERSION")
            self.chroot(f"make -j$(nproc) -C /lib/modules/{kver}/build "
                        f"M=/out/work{suffix}/{source.name} W=1 {option} modules >/out/{ko.stem}.log 2>&1 || "
                        f"{{ cat /out/{ko.stem}.log; exit 1; }}\n"
                        f"mkdir -p /out/modules\n"
                        f"strip --strip-debug -o /out/modules/{ko.name} /out/work{suffix}/{source.name}/{name}.ko",
                        f"building {ko.name} for {self.release}")
            warnings = (self.out / f"{ko.stem}.log").read_text()
            if "warning:" in warnings:
                say(f"{ko.stem}: compiler warnings, see {self.out}/{ko.stem}.log")

        sources = [f for f in (source, *uses, paths.REPO / "include", paths.REPO / "VERSION") if f.exists()]
        self._once(ko.stem, fingerprint(*sources), ko, ko.name, build)
        return ko

    def userspace(self):
        if not (paths.REPO / "meson.build").exists():
            say("no meson.build yet, the userspace is not built")
            return
        folders = [paths.REPO / f for f in ("lib", "daemon", "cli", "include", "systemd", "man", "dashboard", "meson.build",
                                            "meson_options.txt", "meson.options", "tests/unit", "tests/meson.build",
                                            "tests/fuzz", "packaging", "subprojects")]

        def build():
            shutil.rmtree(self.dest, ignore_errors=True)
            # a build dir of another meson or option set is set up again from nothing; the page for
            # Cockpit is made on L0, and put in by its test
            self.chroot("""cd /src
                options="--prefix=/usr --sysconfdir=/etc --localstatedir=/var --buildtype=debugoptimized"
                options="$options -Ddashboard=disabled"
                if [ -e /out/meson/build.ninja ]; then ok=1; else rm -rf /out/meson; ok=0; fi
                { [ $ok = 1 ] || meson setup /out/meson /src $options; } >/out/meson.log 2>&1 &&
                { ninja -C /out/meson && DESTDIR=/out/dest meson install --no-rebuild -C /out/meson; } >>/out/meson.log 2>&1 ||
                { tail -n 80 /out/meson.log; exit 1; }""", f"building the userspace for {self.release}")

        self._once("userspace", fingerprint(*(f for f in folders if f.exists())), self.dest, "the userspace", build)

    def guest(self):
        """The L2 initramfs: busybox, the workload, the agent, the test module, and apf_guest.ko when there is one."""
        source = paths.LAB / "workload"
        kos = [ko for ko in (self.modules / "apf_guest.ko",) if ko.exists() and (paths.REPO / "guest-module").exists()]
        kos += filter(None, [self.module_if_it_builds(paths.LAB / "testmod", TEST_MODULE,
                                                      uses=[paths.REPO / "guest-module"])])

        def build():
            files = {"init": (source / "init.sh").read_bytes(), "agent.sh": (source / "agent.sh").read_bytes()}
            for name in L2_PROGRAMS:
                self.chroot(f"gcc -std=gnu17 -O2 -Wall -Wextra -Wno-unused-parameter -static -pthread -o /out/{name} "
                            f"/src/tests/lab/workload/{name}.c", f"building {name}")
                files[f"bin/{name}"] = (self.out / name).read_bytes()
            nested = module_files(self.image.tree, self.guest_kver,
                                  [m for m in NESTED_MODULES if has_module(self.image.tree, self.guest_kver, m)])
            files.update({f"modules/{name}": data for name, data in nested.items()})
            files["modules/nested"] = "\n".join(nested) + "\n"
            files.update({f"modules/{ko.name}": ko.read_bytes() for ko in kos})
            make_initrd(self.image.tree, self.guest_kver, L2_MODULES, files, self.initrd)

        key = repr((L2_MODULES, L2_PROGRAMS, NESTED_MODULES)) + fingerprint(source) + \
            "".join(hashlib.sha256(ko.read_bytes()).hexdigest() for ko in kos)
        self._once("guest", key, self.initrd, "the L2 initramfs", build)

    def install(self, host, parts=PARTS):
        """Build and put the result into a running L1; what did not build is in host.unbuilt."""
        with self.locked():
            self._all(parts)
            self._install(host, parts)
        host.unbuilt.update(self.failed)
        return self

    def _install(self, host, parts):
        if self.image.kver != host.kernel:
            raise LabError(f"{host.name} runs {host.kernel}, the modules are for {self.image.kver}")
        if "guest" in parts:
            host.put(self.initrd, host.l2_initrd)
        kos = [self.modules / f"{name}.ko" for folder, name in MODULES.items()
               if folder in parts and (paths.REPO / folder).exists()
               and (name == MODULES["host-module"] or self.guest_kver == self.image.kver)]
        with step(f"installing into {host.name}"):
            changed = self.module_tree(kos)
            if changed:
                host.put(changed, f"/usr/lib/modules/{self.image.kver}")
            if "userspace" in parts and self.dest.exists() and (paths.REPO / "meson.build").exists():
                host.put(self.dest, "/")
            host.run("""ldconfig
                systemd-sysusers
                systemd-tmpfiles --create --prefix=/var/lib --prefix=/run --prefix=/etc 2>/dev/null
                systemctl daemon-reload
                busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig >/dev/null
                # polkitd watches its folders itself, but only those that were there when it started
                systemctl try-restart polkit
                true""", timeout=120)

    def module_tree(self, kos):
        """Our modules and the index files that name them, made here: depmod takes 4 s when emulated."""
        kos = [ko for ko in kos if ko.exists()]
        if not kos:
            return None
        root, changed = self.out / "modroot", self.out / "modchanged"
        kver = self.image.kver
        for folder in (root, changed):
            shutil.rmtree(folder, ignore_errors=True)
        top = root / "lib/modules" / kver
        shutil.copytree(self.image.tree / "usr/lib/modules" / kver, top, symlinks=True, copy_function=os.link)
        (top / "updates").mkdir(exist_ok=True)
        (changed / "updates").mkdir(parents=True)
        for ko in kos:
            shutil.copy(ko, top / "updates" / ko.name)
            shutil.copy(ko, changed / "updates" / ko.name)
        # depmod renames new files into place, so the image's own (hard links) stay as they are
        self.chroot(f"depmod -b /out/modroot {kver}", "depmod")
        for name in ("modules.dep", "modules.alias", "modules.symbols", "modules.softdep", "modules.devname"):
            for path in top.glob(name + "*"):
                shutil.copy(path, changed / path.name)
        shutil.rmtree(root)
        return changed
