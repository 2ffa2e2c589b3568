# SPDX-License-Identifier: GPL-2.0
"""Images: recipes for the trees of L1 and for the emulator, built once, kept by recipe hash."""

import hashlib
import inspect
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import paths, proc
from .errors import LabError
from .progress import step

# Kernels of 6.1, 6.12 and the newest that Debian 13 offers, in this order: what each host is made
# from, the suite itself first and then one whose packages are taken where PINNED names them.
SUITES = {
    "bookworm": ("bookworm",),
    "trixie": ("trixie",),
    "backports": ("trixie", "trixie-backports"),
}
RELEASES = tuple(SUITES)
PINNED = "linux-image-* linux-headers-* linux-kbuild-* linux-base*"

# QEMU before 11 loses interrupts in its SVM emulation: 7.2 on any host, 10 on hosts with two CPUs.
EMULATOR = ("trixie", "trixie-backports")
EMULATOR_PINNED = "qemu-* seabios ipxe-*"
EMULATOR_MAJOR = 11

# Files nobody reads in the lab: less to unpack, smaller images.
DROP = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*",
        "/usr/share/lintian/*", "/usr/share/bash-completion/*"]
DROP_MODULES = [f"*/lib/modules/*/kernel/{d}/*" for d in (
    "sound", "drivers/gpu", "drivers/media", "drivers/infiniband", "drivers/isdn",
    "drivers/net/wireless", "drivers/net/ethernet", "drivers/net/usb", "drivers/net/can",
    "drivers/net/phy", "drivers/scsi", "drivers/iio", "drivers/hwmon", "drivers/staging",
    "drivers/usb", "drivers/bluetooth", "drivers/mtd", "drivers/input", "drivers/hid",
    "drivers/platform", "drivers/mfd", "drivers/comedi", "drivers/power", "drivers/edac",
    "drivers/ata", "drivers/i2c", "drivers/thunderbolt", "drivers/firewire", "drivers/mmc",
    "drivers/nvme", "drivers/accel",
    "net/bluetooth", "net/mac80211", "net/wireless", "fs/xfs", "fs/btrfs", "fs/ocfs2",
    "fs/gfs2", "fs/ceph", "fs/f2fs", "fs/nfs", "fs/nfsd", "fs/smb", "fs/cifs", "fs/jfs",
    "fs/reiserfs", "fs/nilfs2", "fs/ubifs")]

PACKAGES = """
systemd systemd-sysv systemd-container udev dbus polkitd openssh-server kmod procps psmisc iproute2
libvirt-daemon-system libvirt-clients qemu-system-x86
linux-image-amd64 linux-headers-amd64 gcc libc6-dev make perl
meson ninja-build pkg-config libsystemd-dev libvirt-dev libnl-3-dev libnl-genl-3-dev
libjson-c-dev libncurses-dev libmicrohttpd-dev libcmocka-dev libxml2-dev
busybox-static libnl-utils python3-minimal python3-dbus strace tmux
cockpit-ws cockpit-bridge cockpit-system
apparmor
""".split()

# Work that only delays a boot of a throw-away host. The serial console keeps its getty.
MASK = """
apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
fstrim.timer man-db.timer logrotate.timer getty@tty1.service getty-static.service
systemd-networkd-wait-online.service libvirt-guests.service systemd-timesyncd.service
systemd-update-utmp.service systemd-update-utmp-runlevel.service rsyslog.service
systemd-tmpfiles-clean.timer modprobe@drm.service modprobe@efi_pstore.service
systemd-pstore.service blk-availability.service
dev-hugepages.mount proc-sys-fs-binfmt_misc.automount
apparmor.service networking.service rc-local.service nftables.service
systemd-machine-id-commit.service keyboard-setup.service console-setup.service
dm-event.socket lvm2-monitor.service lvm2-lvmpolld.socket iscsid.socket
systemd-boot-random-seed.service systemd-hibernate-clear.service
systemd-tpm2-setup.service systemd-tpm2-setup-early.service systemd-pcrmachine.service
cockpit.socket
""".split()

FILES = {
    "etc/hostname": "apf-l1\n",
    "etc/hosts": "127.0.0.1 localhost apf-l1\n",
    "etc/fstab": "/dev/vda / ext4 defaults,noatime 0 0\n",
    # QEMU's user network always has the same addresses; a DHCP client would cost 2 s
    "etc/systemd/system/lab-net.service": """[Unit]
Description=Static address on the lab's user network
DefaultDependencies=no
Wants=network.target
Before=network.target ssh.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'modprobe virtio_net; ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0'
[Install]
WantedBy=sysinit.target
""",
    # PAM would start a logind session and a user manager for every connection
    "etc/ssh/sshd_config": """PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
PrintMotd no
MaxSessions 100
HostKey /etc/ssh/ssh_host_ed25519_key
AcceptEnv LANG
Subsystem sftp internal-sftp
""",
    # sshd needs only the address: do not let it wait for the rest of the boot
    "etc/systemd/system/ssh.service": """[Unit]
Description=Secure shell for the lab
DefaultDependencies=no
After=lab-net.service systemd-tmpfiles-setup-dev.service local-fs.target
Requires=lab-net.service
[Service]
RuntimeDirectory=sshd
ExecStart=/usr/sbin/sshd -D
KillMode=process
[Install]
WantedBy=sysinit.target
""",
    # stdio_handler: virtlogd would rotate consoles away at 2 MiB
    "etc/libvirt/qemu.conf": """security_driver = "none"
stdio_handler = "file"
remember_owner = 0
""",
    "etc/libvirt/libvirtd.conf": "# the distribution's defaults\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\nRateLimitBurst=0\nAudit=no\n",
    "etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStopSec=10s\n",
    "etc/tmpfiles.d/lab.conf": "d /run/lab 0777 root root\n",
    "etc/modules-load.d/lab.conf": "kvm_amd\n",
}

# L1's own initramfs: just enough to reach the root disk.
INITRD_MODULES = ["virtio_pci", "virtio_blk", "ext4"]
# What ext4 asks for by name, so that depmod does not know; newer kernels have it built in as a library.
INITRD_OPTIONAL = ["crc32c_generic"]
INITRD_INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for m in $(/bin/busybox cat /modules/order); do /bin/busybox insmod /modules/$m; done
n=0
until [ -b /dev/vda ] || [ $n = 100 ]; do n=$((n + 1)); /bin/busybox usleep 50000; done
/bin/busybox mount -t ext4 -o rw,noatime /dev/vda /root || exec /bin/busybox reboot -f
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
"""


def digest(*parts):
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()[:12]


def check_machine():
    """Say everything that is missing at once, and how to get it."""
    if os.geteuid():
        raise LabError("the lab must run as root (chroot, mounts, image ownership): use sudo or a root shell")
    need = {"mmdebstrap": "mmdebstrap", "ssh": "openssh-client", "ssh-keygen": "openssh-client",
            "mke2fs": "e2fsprogs", "cpio": "cpio", "setpriv": "util-linux", "unshare": "util-linux",
            "apt-get": "apt"}
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = sorted({pkg for tool, pkg in need.items() if not shutil.which(tool, path=path)})
    if missing:
        raise LabError("missing packages: apt-get install --no-install-recommends " + " ".join(missing))
    os.environ["PATH"] = path


def sources(suites):
    """sources.list lines for @suites on the mirror that this machine's apt already uses."""
    mirror = os.environ.get("APF_LAB_MIRROR")
    if mirror:
        return [f"deb {mirror} {suite} main" for suite in suites]
    out = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)",
         "Created-By: Packages"], capture_output=True, text=True).stdout
    release, *others = suites
    lines = []
    for row in sorted(set(out.split())):
        origin, codename, component, uri = (row.split("|") + [""] * 4)[:4]
        base, _, pocket = codename.partition("-")
        if origin != "Debian" or component != "main":
            continue
        if pocket in ("", "updates", "security"):
            lines.append(f"deb {uri} {release}{'-' + pocket if pocket else ''} main")
        if not pocket:
            # backports are part of the archive proper, whether or not this machine uses them
            lines += [f"deb {uri} {suite} main" for suite in others]
    if not lines:
        raise LabError("apt of this machine knows no Debian archive: run apt-get update, "
                       "or name a mirror in APF_LAB_MIRROR")
    return sorted(set(lines))


def mmdebstrap(suites, variant, packages, tree, log, pinned=""):
    """Make @tree from @suites; @pinned names the packages that come from any but the first."""
    release, *others = suites
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    args = ["mmdebstrap", "--mode=root", f"--variant={variant}", "--format=directory",
            "--aptopt=APT::Install-Recommends \"0\"",
            "--dpkgopt=force-confold", "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude={p}" for p in DROP + DROP_MODULES),
            "--include=" + ",".join(packages)]
    if os.path.exists(keyring):
        args.append("--keyring=" + keyring)
    if variant != "extract":
        # we make our own initrd; initramfs-tools is only there because the kernel depends on it
        args.append("--setup-hook=mkdir -p \"$1/etc/initramfs-tools\"; "
                    "printf 'update_initramfs=no\\n' >\"$1/etc/initramfs-tools/update-initramfs.conf\"")
    for suite in others:
        # apt takes nothing from backports of its own accord
        pin = f"Package: {pinned}\\nPin: release n={suite}\\nPin-Priority: 900\\n"
        args.append("--setup-hook=mkdir -p \"$1/etc/apt/preferences.d\"; "
                    f"printf '{pin}' >\"$1/etc/apt/preferences.d/{suite}\"")
    args += [release, str(tree), *sources(suites)]
    env = dict(os.environ, TMPDIR=str(tree.parent), LC_ALL="C.UTF-8", DEBIAN_FRONTEND="noninteractive",
               INITRD="No")
    env.pop("PYTHONPATH", None)
    with open(log, "w") as f:
        child = proc.spawn([*proc.CONTAINED, *args], stdin=subprocess.DEVNULL, stdout=f, stderr=f, env=env)
        try:
            rc = child.wait()
        except BaseException:
            proc.end(child, grace_sec=0.1)
            raise
    text = Path(log).read_text(errors="replace")
    if rc and "NO_PUBKEY" in text:
        raise LabError(f"apt's keyring does not know the keys of Debian {release}: "
                       "apt-get update && apt-get install debian-archive-keyring")
    if rc:
        raise LabError(f"mmdebstrap {release} failed (log: {log}):\n" + text[-3000:])


class Image:
    """One cached result of a recipe: a folder under build/lab/images/."""

    kind = None

    def __init__(self):
        self.path = paths.IMAGES / f"{self.kind}-{self.key()}"
        self.tree = self.path / "tree"

    def key(self):
        raise NotImplementedError

    def make(self, folder):
        raise NotImplementedError

    def ready(self):
        return self.path.is_dir()

    def ensure(self):
        """Build if this recipe was not built yet; atomic, one builder at a time."""
        if self.ready():
            return self
        check_machine()
        paths.make()
        with proc.locked(paths.BUILD / f"{self.kind}.lock", f"the {self.kind} image"):
            if self.ready():
                return self
            for stale in paths.IMAGES.glob(f".{self.kind}-*"):
                shutil.rmtree(stale)
            folder = Path(tempfile.mkdtemp(prefix=f".{self.kind}-", dir=paths.IMAGES))
            os.chmod(folder, 0o755)
            try:
                with step(f"building the {self.kind} image"):
                    self.make(folder)
                os.rename(folder, self.path)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            for old in paths.IMAGES.glob(f"{self.kind}-*"):
                if old != self.path:
                    shutil.rmtree(old, ignore_errors=True)
        return self


class Emulator(Image):
    """QEMU 11 for L0, only unpacked, started through its own dynamic linker."""

    kind = "qemu"
    packages = ["qemu-system-x86"]

    def key(self):
        return digest(EMULATOR, EMULATOR_PINNED, self.packages, DROP, inspect.getsource(Emulator.make))

    def make(self, folder):
        mmdebstrap(EMULATOR, "extract", self.packages, folder / "tree", paths.BUILD / "qemu-image.log",
                   EMULATOR_PINNED)

    def command(self):
        """argv prefix that starts QEMU; the machine's own when it is new enough."""
        own = shutil.which("qemu-system-x86_64")
        if own:
            out = subprocess.run([own, "--version"], capture_output=True, text=True).stdout
            found = re.search(r"version (\d+)\.", out)
            if found and int(found.group(1)) >= EMULATOR_MAJOR:
                return [own]
        self.ensure()
        usr = self.tree / "usr"
        libs = usr / "lib" / "x86_64-linux-gnu"
        return [str(usr / "lib64" / "ld-linux-x86-64.so.2"), "--library-path",
                f"{libs}:{libs}/pulseaudio",
                str(usr / "bin" / "qemu-system-x86_64"),
                "-L", str(usr / "share" / "qemu"), "-L", str(usr / "share" / "seabios")]


class HostImage(Image):
    """The tree of one L1 release, its root disk, its kernel and a small initrd."""

    def __init__(self, release):
        if release not in RELEASES:
            raise LabError(f"no release '{release}'; there are: {', '.join(RELEASES)}")
        self.release = self.kind = release
        super().__init__()
        self.disk = self.path / "root.ext4"
        self.kernel = self.path / "vmlinux"
        self.initrd = self.path / "initrd"
        self.key_file = self.path / "ssh_key"
        self.known_hosts = self.path / "known_hosts"

    def key(self):
        me = inspect.getsource(inspect.getmodule(HostImage))
        body = me[me.index("class HostImage"):]
        return digest(SUITES[self.release], PINNED, PACKAGES, DROP, DROP_MODULES, MASK, sorted(FILES.items()),
                      INITRD_MODULES, INITRD_OPTIONAL, INITRD_INIT, body)

    @property
    def kver(self):
        return (self.path / "kver").read_text().strip()

    def make(self, folder):
        tree = folder / "tree"
        mmdebstrap(SUITES[self.release], "essential", PACKAGES, tree,
                   paths.BUILD / f"{self.release}-image.log", PINNED)
        kver, = (p.name for p in (tree / "usr/lib/modules").iterdir() if (p / "modules.builtin").exists())
        (folder / "kver").write_text(kver + "\n")
        self.configure(tree, folder)
        make_kernel(tree / "boot" / f"vmlinuz-{kver}", folder / "vmlinux")
        # L2 boots the same kernel; unpacked it skips a decompressor that is slow when emulated twice
        shutil.copy(folder / "vmlinux", tree / "boot" / "vmlinux-l2")
        proc.call(["chroot", tree, "depmod", kver], "depmod")
        modules = INITRD_MODULES + [m for m in INITRD_OPTIONAL if has_module(tree, kver, m)]
        make_initrd(tree, kver, modules, {"init": INITRD_INIT}, folder / "initrd")
        proc.call(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0",
                   "-m", "0", "-N", "200000", "-d", tree, folder / "root.ext4", "6G"], "mke2fs",
                  env=dict(os.environ, LC_ALL="C"))

    def configure(self, tree, folder):
        for name, text in FILES.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                path.unlink()
            path.write_text(text)
        system = tree / "etc/systemd/system"
        for unit in MASK:
            link = system / unit
            if link.is_symlink() or link.exists():
                link.unlink()
            link.symlink_to("/dev/null")
        wants = system / "sysinit.target.wants"
        wants.mkdir(exist_ok=True)
        for unit in ("lab-net.service", "ssh.service"):
            (wants / unit).symlink_to(f"/etc/systemd/system/{unit}")
        for unit in ("ssh.service", "virtlogd.service"):
            (system / "multi-user.target.wants" / unit).unlink(missing_ok=True)
        (tree / "etc/systemd/system/default.target").unlink(missing_ok=True)
        (tree / "etc/systemd/system/default.target").symlink_to("/lib/systemd/system/multi-user.target")
        (tree / "etc/machine-id").write_text(digest(self.release, "machine-id") + "0" * 20 + "\n")
        for point in ("src", "out", "lab"):  # mount points for builds, see build.py
            (tree / point).mkdir()
        run = ["chroot", tree]
        proc.call([*run, "passwd", "-d", "root"], "passwd")
        proc.call([*run, "useradd", "-m", "-s", "/bin/sh", "alice"], "useradd")
        proc.call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", folder / "ssh_key"],
                  "ssh-keygen")
        for name in ("etc/.updated", "var/.updated"):
            # as new as /usr: nothing has to be brought up to date at boot
            (tree / name).touch()
        auth = tree / "root/.ssh"
        auth.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(folder / "ssh_key.pub", auth / "authorized_keys")
        kind, key = (tree / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
        (folder / "known_hosts").write_text(f"lab {kind} {key}\n")


def make_kernel(bzimage, dest):
    """Unpack the ELF kernel out of a bzImage, so that QEMU can enter it directly (PVH)."""
    data = Path(bzimage).read_bytes()
    setup_sects = data[0x1f1] or 4
    start = (setup_sects + 1) * 512 + int.from_bytes(data[0x248:0x24c], "little")
    payload = data[start:start + int.from_bytes(data[0x24c:0x250], "little")]
    if payload.startswith(b"\xfd7zXZ"):
        elf = lzma.LZMADecompressor().decompress(payload)
    elif payload.startswith(b"\x28\xb5\x2f\xfd"):
        elf = subprocess.run(["zstd", "-dc"], input=payload, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL).stdout
    else:
        elf = b""
    Path(dest).write_bytes(elf if elf.startswith(b"\x7fELF") else data)


def has_module(tree, kver, name):
    """Is there a loadable module of that name (the order of files does not matter, nor - and _)?"""
    dep = Path(tree) / "usr/lib/modules" / kver / "modules.dep"
    files = {Path(line.partition(":")[0]).name.split(".")[0].replace("-", "_") for line in dep.read_text().splitlines()}
    return name.replace("-", "_") in files


def module_files(tree, kver, names):
    """Files of modules @names and what they depend on, in loading order, unpacked."""
    files = {}
    for name in names:
        out = proc.call(["chroot", tree, "modprobe", "-S", kver, "--show-depends", name], f"modprobe {name}")
        for line in out.splitlines():
            if not line.startswith("insmod "):
                continue
            path = Path(tree) / line.split()[1].lstrip("/")
            data = path.read_bytes()
            base = path.name
            if base.endswith(".xz"):
                data, base = lzma.decompress(data), base[:-3]
            files.setdefault(base, data)
    return files


def make_initrd(tree, kver, modules, files, dest):
    """A gzip-free cpio: static busybox, @modules with their order, @files (name -> text or bytes)."""
    with tempfile.TemporaryDirectory(dir=Path(dest).parent, prefix=".initrd-") as tmp:
        root = Path(tmp)
        for d in ("bin", "dev", "proc", "sys", "root", "modules", "tmp", "run"):
            (root / d).mkdir()
        shutil.copy(Path(tree) / "bin/busybox", root / "bin/busybox")
        ordered = module_files(tree, kver, modules)
        for name, data in ordered.items():
            (root / "modules" / name).write_bytes(data)
        (root / "modules/order").write_text("\n".join(ordered) + "\n" if ordered else "")
        for name, data in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
            path.chmod(0o755)
        names = "\n".join(sorted(str(p.relative_to(root)) for p in root.rglob("*")))
        part = Path(dest).with_suffix(".part")
        with open(part, "wb") as f:
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=root, stdout=f,
                           input=names.encode(), check=True)
        os.rename(part, dest)
