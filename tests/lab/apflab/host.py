# SPDX-License-Identifier: GPL-2.0
"""Host: one L1, a Debian KVM host booted in an emulator, driven over ssh."""

import atexit
import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

from . import paths, proc
from .build import PARTS, Build
from .console import tail
from .errors import CommandFailed, HostDied, LabError, Timeout
from .flavours import image_of
from .images import Emulator
from .patience import patient
from .progress import say, step

_open_hosts = weakref.WeakSet()


@dataclass
class Result:
    rc: int
    stdout: str
    stderr: str

    def __iter__(self):
        return iter((self.rc, self.stdout, self.stderr))


@atexit.register
def _close_all():
    for host in list(_open_hosts):
        host.close(collect=False)


def exit_on_signals(end=SystemExit):
    """Turn SIGTERM and SIGHUP into an ordinary exit, so that logs are kept and VMs closed."""
    def leave(number, _frame):
        raise end(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def accelerator():
    """KVM only where a nested guest can really run in it; else the emulator."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        flags = ""
    vendor = "svm" if " svm" in flags else "vmx" if " vmx" in flags else None
    if vendor and os.access("/dev/kvm", os.R_OK | os.W_OK) and os.environ.get("APF_LAB_ACCEL") != "tcg":
        module = "kvm_amd" if vendor == "svm" else "kvm_intel"
        nested = Path(f"/sys/module/{module}/parameters/nested")
        if nested.exists() and nested.read_text().strip() in ("1", "Y"):
            return "kvm"
    return "tcg"


# A machine shared with others may not run us for half a minute. A kernel that calls that a lockup
# is right about the time and wrong about the cause; one that hangs still is found out.
PATIENT = "watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=300"


# The watchdog of clocks takes a pause of the emulator for a drift of the TSC, and moves host and guests to
# the HPET, where each look at the time goes through a device of the emulator: several times slower from then on.
CLOCK = "tsc=reliable"

# What systemd would do for half a minute of an emulated boot, for sockets that no test connects to and a
# restriction that no unit asks for.
UNUSED = "systemd.ssh_auto=no lsm=landlock,yama,apparmor"

# Whatever CPU restores the registers of the FPU, QEMU 11 also clears a bit of the word in which CPU 0 has the state
# of its guest mode, and not atomically (cpu_clear_ignne() in target/i386/tcg). Where CPU 0 runs guests, a change of
# that word is lost now and then, and the host dies of an interrupt right after VMRUN. So CPU 0 runs none.
NO_GUESTS = 1


class Host:
    """One L1. Use as a context manager, or call boot() and close()."""

    # what its guests boot; the first is in the image, the second comes with install()
    l2_kernel = "/boot/vmlinux-l2"
    l2_initrd = "/var/lib/lab/l2-initrd"

    def __init__(self, release="bookworm", smp=1, memory_mib=4096, name=None, preempt=None, icount=False):
        self.release = release
        self.smp = smp  # CPUs that run guests
        self.preempt = preempt  # "full" opens every kernel function to preemption, here and in all its guests
        self.icount = icount  # the host's clock counts emulated instructions: one each nanosecond
        self.memory_mib = memory_mib
        self.name = name or release
        self.image = image_of(release)
        self.vms = []
        self.unbuilt = {}  # modules that do not compile for this release, and why
        self.qemu = self.master = None
        self.port = None
        self.boot_sec = None
        self.accel = None
        self.logs = self.run_dir = None
        self._kernel = None
        self._locks = []
        self._swap = None
        self._closed = False
        self._collected = False
        self._mutex = threading.RLock()

    def __enter__(self):
        if self.qemu is None:
            self.boot()
        return self

    def __exit__(self, *_exc):
        self.close()

    # -- life --------------------------------------------------------------------------

    def boot(self, timeout=None):
        """Start QEMU and wait for ssh."""
        self.image.ensure()
        emulator = Emulator().command()
        self._make_dirs()
        _open_hosts.add(self)
        self.accel = "tcg" if self.icount else accelerator()
        if timeout is None:
            timeout = patient(120 if self.accel == "tcg" else 15)
        begin = time.monotonic()
        try:
            with step(f"booting {self.name} ({self.release}, {self.accel})"):
                try:
                    self._boot(emulator, timeout)
                except (HostDied, Timeout):
                    if self.accel != "kvm":
                        raise
                    say("hardware virtualisation does not boot here: using software emulation")
                    self.accel = "tcg"
                    self._boot(emulator, patient(120))
        except BaseException:
            self.close()
            raise
        self.boot_sec = time.monotonic() - begin
        return self

    def _boot(self, emulator, timeout):
        deadline = time.monotonic() + timeout
        for _attempt in range(5):
            self._start_qemu(emulator)
            try:
                self._connect(deadline)
                break
            except PortTaken:
                continue
        else:
            raise LabError("no free port on 127.0.0.1 for ssh")
        if self.preempt and self.preemption() != self.preempt:
            raise LabError(f"{self.name}: {self.kernel} does not know preempt={self.preempt}, it runs {self.preemption()}")
        # what a test asks of the host comes before the load of its guests, as on a host with more than one CPU
        cpus = f"AllowedCPUs={NO_GUESTS}-{self.smp}" if self._cpus() > self.smp else ""
        self.run(f"systemctl set-property --runtime machine.slice CPUWeight=10 {cpus}")
        # everybody uses libvirt next; its socket answers when it is really up
        self.wait_for("test -S /run/libvirt/libvirt-sock", max(1, deadline - time.monotonic()), "libvirt's socket")

    def _make_dirs(self):
        paths.make()
        for suffix in ("", *(f"-{n}" for n in range(2, 100))):
            name = self.name + suffix
            folder = paths.LOGS / name
            folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            self._locks.append(fd)
            for old in folder.iterdir():
                if old.name != ".lock":
                    shutil.rmtree(old) if old.is_dir() else old.unlink()
            self.name, self.logs = name, folder
            break
        sweep()
        # under /tmp: a path of a Unix socket must stay below 108 bytes
        self.run_dir = Path(tempfile.mkdtemp(prefix="apflab-"))
        fd = os.open(self.run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self._locks.append(fd)

    def _start_qemu(self, emulator):
        proc.end(self.qemu)
        self.port = free_port()
        if self.accel == "kvm":
            machine = ["-accel", "kvm", "-cpu", "host"]
        else:
            machine = ["-accel", f"tcg,thread={'single' if self.icount else 'multi'},tb-size=1024", "-cpu", "EPYC,+svm,+npt"]
            if self.icount:
                machine += ["-icount", "shift=0"]
        args = [*emulator, "-name", f"apf-lab-{self.name}", "-M", "pc,usb=off", *machine,
                "-smp", self._cpus(), "-m", f"{self.memory_mib}M",
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", self.image.kernel, "-initrd", self.image.initrd,
                "-append", "console=ttyS0 net.ifnames=0 rw loglevel=5 mitigations=off "
                           f"oops=panic panic=-1 systemd.show_status=0 systemd.default_timeout_start_sec={patient(30):.0f}s "
                           f"plymouth.enable=0 {UNUSED} {PATIENT} {CLOCK}" + (f" preempt={self.preempt}" if self.preempt else ""),
                "-drive", f"if=none,id=root,file={self.image.disk},format=raw,snapshot=on,cache=unsafe",
                "-device", "virtio-blk-pci,drive=root",
                "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22",
                "-device", "virtio-net-pci,netdev=net,romfile=",
                "-chardev", f"socket,id=con,path={self.run_dir}/console,server=on,wait=off,"
                            f"logfile={self.logs}/console.log,logappend=on",
                "-serial", "chardev:con",
                "-chardev", f"socket,id=mon,path={self.run_dir}/monitor,server=on,wait=off",
                "-mon", "chardev=mon,mode=readline"]
        with open(self.logs / "qemu.log", "ab") as log:
            # the throw-away overlay of snapshot=on goes to TMPDIR, unlinked from the start
            self.qemu = proc.spawn(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env=dict(os.environ, TMPDIR=str(paths.TMP)))

    def _cpus(self):
        return self.smp + NO_GUESTS if self.smp > 1 and self.accel == "tcg" else self.smp

    def _ssh(self, *options):
        return ["ssh", "-F", "none", "-S", f"{self.run_dir}/ssh", "-p", self.port, "-l", "root",
                "-i", self.image.key_file, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", f"UserKnownHostsFile={self.image.known_hosts}", "-o", "HostKeyAlias=lab",
                "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR", *options]

    def forward_port(self, port):
        """A port on 127.0.0.1 of L0 that leads to @port on 127.0.0.1 of L1, through the shared ssh connection."""
        for _attempt in range(5):
            local = free_port()
            args = self._ssh("-O", "forward", "-L", f"127.0.0.1:{local}:127.0.0.1:{port}", "l1")
            if subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              timeout=patient(30)).returncode == 0:
                return local
            # somebody may have taken it meanwhile
            self.check()
        raise LabError(f"no free port on 127.0.0.1 that leads to port {port} of {self.name}")

    def _connect(self, deadline):
        """Keep trying to open the one ssh connection that all commands share."""
        while True:
            self.check()
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout(f"{self.name}: no ssh in time; end of the console:\n{tail(self.logs / 'console.log')}")
            if self._banner(min(left, 5)):
                with open(self.logs / "ssh.log", "ab") as log:
                    self.master = proc.spawn(
                        self._ssh("-M", "-N", "-o", f"ConnectTimeout={max(5, int(left))}",
                                  "-o", "ServerAliveInterval=20", "-o", "ServerAliveCountMax=9", "127.0.0.1"),
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                while self.master.poll() is None and time.monotonic() < deadline:
                    if (self.run_dir / "ssh").exists():
                        return
                    self.check()
                    time.sleep(0.02)
                proc.end(self.master)
            time.sleep(0.2)

    def _banner(self, wait):
        """True when a real sshd answers (QEMU itself accepts long before that)."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as s:
                return s.recv(4) == b"SSH-"
        except OSError:
            return False

    def check(self):
        """Raise HostDied at once when QEMU is gone."""
        if self.qemu is None or self._closed:
            raise LabError(f"{self.name} is not running")
        if self.qemu.poll() is None:
            return
        log = tail(self.logs / "qemu.log", 10)
        if "Could not set up host forwarding rule" in log and not (self.logs / "console.log").exists():
            (self.logs / "qemu.log").unlink()
            raise PortTaken()
        raise HostDied(f"{self.name}: QEMU ended (status {self.qemu.returncode})\n{log}\n"
                       f"--- end of its console ({self.logs}/console.log) ---\n{tail(self.logs / 'console.log')}")

    def close(self, collect=True):
        """Save logs, end every process, remove what is temporary. Safe to call twice."""
        with self._mutex:
            if self._closed:
                return
            try:
                if collect:
                    self.collect()
            finally:
                self._closed = True
                for vm in self.vms:
                    vm.detach()
                proc.end(self.master)
                proc.end(self.qemu)
                if self.run_dir:
                    shutil.rmtree(self.run_dir, ignore_errors=True)
                for fd in self._locks:
                    os.close(fd)
                _open_hosts.discard(self)

    def collect(self):
        """Copy journal, dmesg and the consoles of all L2 to the log folder; never raises."""
        if self.master is None or self.qemu is None or self.qemu.poll() is not None:
            return
        for name, cmd in (("journal.log", "journalctl --no-pager -o short-monotonic"), ("dmesg.log", "dmesg"),
                          ("domains.log", "tail -n 200 /var/log/libvirt/qemu/*.log")):
            try:
                (self.logs / name).write_text(self.run(cmd, check=False, timeout=60).stdout)
            except (LabError, OSError) as e:
                say(f"{self.name}: could not save {name}: {str(e).splitlines()[0]}")
        try:
            out = self.run("cd /run/lab && ls *.console 2>/dev/null", check=False).stdout
            for name in out.split():
                self.get(f"/run/lab/{name}", self.logs / name)
        except (LabError, OSError) as e:
            say(f"{self.name}: could not save L2 consoles: {str(e).splitlines()[0]}")

    # -- commands ----------------------------------------------------------------------

    def _command(self, cmd, user):
        if not isinstance(cmd, str):
            cmd = shlex.join(map(str, cmd))
        if user:
            cmd = f"runuser -u {shlex.quote(user)} -- sh -c {shlex.quote(cmd)}"
        # without its master, ssh must fail instead of opening a connection of its own
        return self._ssh("-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-T", "127.0.0.1", "--", cmd)

    def run(self, cmd, check=True, timeout=60, input=None, user=None, binary=False):
        """Run a shell command (or argv list) as root or @user; see Result."""
        self.check()
        timeout = patient(timeout)
        args = self._command(cmd, user)
        child = proc.spawn(args, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        data = input.encode() if isinstance(input, str) else input
        try:
            out, err = child.communicate(data, timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            self.check()
            raise Timeout(f"{self.name}: no end after {timeout} s: {cmd}\n"
                          f"{out.decode(errors='replace')[-4000:]}\n{err.decode(errors='replace')[-4000:]}") from None
        except BaseException:
            proc.end(child)
            raise
        if child.returncode == 255:
            self._lost()
        result = Result(child.returncode, out if binary else out.decode(errors="replace"),
                        err.decode(errors="replace"))
        if check and result.rc:
            if binary:
                result.stdout = ""
            raise CommandFailed(self.name, cmd, result)
        return result

    def _lost(self):
        """ssh said 255: was it the connection? QEMU may need a moment to be reaped."""
        for _ in range(20):
            self.check()
            if self.master.poll() is None and (self.run_dir / "ssh").exists():
                return
            time.sleep(0.1)
        raise HostDied(f"{self.name}: the ssh connection broke; end of the console:\n"
                       f"{tail(self.logs / 'console.log')}")

    def popen(self, cmd, user=None, **kwargs):
        """Start a command in the background; a text-mode Popen. Ending it ends the local side only."""
        self.check()
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        kwargs.setdefault("text", True)
        return proc.spawn(self._command(cmd, user), **kwargs)

    def put(self, src, dst, mode=None):
        """Copy a local file or folder (its contents) to @dst in L1."""
        src = Path(src)
        dst = shlex.quote(str(dst))
        if src.is_dir():
            tar = subprocess.run(["tar", "-C", str(src), "--owner=0", "--group=0", "-cf", "-", "."],
                                 stdout=subprocess.PIPE, check=True).stdout
            self.run(f"mkdir -p {dst} && tar -C {dst} --no-overwrite-dir -xf -", input=tar, timeout=120)
        else:
            mode = mode or oct(src.stat().st_mode & 0o777)[2:]
            self.run(f"mkdir -p $(dirname {dst}) && cat >{dst}.part && chmod {mode} {dst}.part && "
                     f"mv {dst}.part {dst}", input=src.read_bytes(), timeout=120)

    def get(self, src, dst):
        """Copy one file of L1 here."""
        Path(dst).write_bytes(self.run(f"cat {shlex.quote(str(src))}", binary=True, timeout=120).stdout)

    def read(self, path):
        return self.run(f"cat {shlex.quote(str(path))}").stdout

    def write(self, path, text):
        path = shlex.quote(str(path))
        self.run(f"mkdir -p $(dirname {path}) && cat >{path}", input=text)

    def wait_for(self, what_is_true, timeout, what=None, interval=0.3):
        """Poll a callable or a command in L1 until it is true; its value (or Result) is returned."""
        deadline = time.monotonic() + patient(timeout)
        while True:
            if callable(what_is_true):
                value = what_is_true()
            else:
                value = self.run(what_is_true, check=False, timeout=max(timeout, 10))
                value = value if value.rc == 0 else None
            if value:
                return value
            self.check()
            if time.monotonic() > deadline:
                raise Timeout(f"{self.name}: not within {patient(timeout):.0f} s: {what or what_is_true}")
            time.sleep(interval)

    def forward(self, remote):
        """A local Unix socket that leads to one in L1."""
        local = self.run_dir / (Path(remote).name + ".fwd")
        proc.call(self._ssh("-O", "forward", "-L", f"{local}:{remote}", "127.0.0.1"), f"forwarding {remote}")
        return local

    def unforward(self, remote):
        local = self.run_dir / (Path(remote).name + ".fwd")
        if local.exists() and self.master.poll() is None:
            subprocess.run(list(map(str, self._ssh("-O", "cancel", "-L", f"{local}:{remote}", "127.0.0.1"))),
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        local.unlink(missing_ok=True)

    def shell(self):
        """An interactive shell on the caller's terminal."""
        return subprocess.call(list(map(str, self._ssh("-o", "ControlMaster=no", "-t", "127.0.0.1"))))

    # -- facts -------------------------------------------------------------------------

    @property
    def kernel(self):
        if self._kernel is None:
            self._kernel = self.run("uname -r").stdout.strip()
        return self._kernel

    def preemption(self):
        """The kernel's mode of preemption: none, voluntary, lazy or full."""
        return chosen(self.read("/sys/kernel/debug/sched/preempt"))

    def journal(self, unit=None):
        return self.run("journalctl --no-pager -o cat" + (f" -u {shlex.quote(unit)}" if unit else "")).stdout

    def dmesg(self):
        return self.run("dmesg").stdout

    def console(self):
        return (self.logs / "console.log").read_text(errors="replace")

    # -- swap --------------------------------------------------------------------------

    def swap_on(self, latency_us=5000, gib=1, kind="null"):
        """Swap with a known latency: null_blk keeps the data, a timer delays each completion.

        kind='zram' is compressed memory: synchronous, so KVM never goes asynchronous on it.
        """
        self.swap_off()
        if kind == "zram":
            self.run(f"""set -e
                modprobe zram num_devices=0; n=$(cat /sys/class/zram-control/hot_add); d=/dev/zram$n
                echo {gib}G >/sys/block/zram$n/disksize; mkswap -q $d; swapon $d; echo $d >/run/lab/swap""")
            self._swap = "zram"
            return
        if kind != "null":
            raise LabError(f"swap_on: no kind '{kind}'")
        self.run(f"""set -e
            modprobe null_blk nr_devices=0
            d=/sys/kernel/config/nullb/apfswap
            mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
            mkdir $d; cd $d
            echo {gib * 1024} >size; echo 4096 >blocksize; echo 1 >memory_backed; echo 2 >irqmode
            echo {latency_us * 1000} >completion_nsec; echo 1 >submit_queues; echo 1 >power
            dev=/dev/nullb$(cat index); n=0
            [ -b /dev/apfswap ] && dev=/dev/apfswap
            until [ -b $dev ] || [ $n = 50 ]; do sleep 0.1; n=$((n+1)); done
            mkswap $dev >/dev/null; swapon $dev; echo $dev >/run/lab/swap""")
        self._swap = "null"

    def swap_off(self):
        """Take swap away again (everything swapped out must fit into memory)."""
        self.run("""d=$(cat /run/lab/swap 2>/dev/null) || exit 0
            swapoff $d && rm /run/lab/swap
            case $d in /dev/zram*) echo ${d#/dev/zram} >/sys/class/zram-control/hot_remove ;;
            *) rmdir /sys/kernel/config/nullb/apfswap ;; esac""", timeout=300)
        self._swap = None

    def swap_device(self):
        return self.read("/run/lab/swap").strip()

    # -- software under test -----------------------------------------------------------

    def install(self, parts=PARTS):
        """Build what the repository has for this release (or some @parts) and put it into L1."""
        return Build(self.release).install(self, parts)


def chosen(text):
    """The word in parentheses of a line like "none (voluntary) full"."""
    found = re.search(r"\((\w+)\)", text)
    if not found:
        raise LabError(f"nothing chosen in {text!r}")
    return found.group(1)


class PortTaken(Exception):
    """Somebody took the port between our look and QEMU's bind."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def sweep():
    """Remove run folders whose owner is gone (killed before it could)."""
    for folder in Path(tempfile.gettempdir()).glob("apflab-*"):
        try:
            fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
