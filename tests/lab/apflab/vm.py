# SPDX-License-Identifier: GPL-2.0
"""VM: one L2, a libvirt KVM domain in an L1, with less memory than it was promised."""

import json
import shlex
import time
import uuid as uuidlib
from xml.sax.saxutils import escape

from .console import Shell, ShellClosed
from .errors import LabError, Timeout, VMDied
from .flavours import GUEST_MIB, LIMIT_MIB, guest_flavour
from .host import PATIENT, chosen
from .patience import patient

DOMAIN = """<domain type='kvm'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>{memory_mib}</memory>
  {memtune}
  <vcpu current='{vcpus_now}'>{vcpus}</vcpu>
  {metadata}
  <os>
    <type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{cmdline}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  {cpu}
  <clock offset='utc'><timer name='hpet' present='no'/><timer name='kvmclock' present='yes'/></clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='/run/lab/{name}.console'/><target port='0'/></serial>
    <channel type='unix'>
      <source mode='bind' path='/run/lab/{name}.sock'/>
      <target type='virtio' name='org.apfd.lab'/>
    </channel>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def cpu_xml(cpu):
    if cpu.startswith("<"):
        return cpu
    if cpu in ("host-passthrough", "host-model"):
        return f"<cpu mode='{cpu}'/>"
    return f"<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>{escape(cpu)}</model></cpu>"


class VM:
    """One L2. start() returns when libvirt has created it, wait_ready() when it does its job."""

    def __init__(self, host, name="vm1", vcpus=1, memory_mib=512, limit_mib=200,
                 workload="-f 4 -w 4 -m 160 -t 0", cpu="host-passthrough", cmdline="", insmod=None,
                 persistent=False, vcpus_now=None, metadata="", machine="pc", uuid=None):
        self.host = host
        self.name = name
        self.uuid = uuid or str(uuidlib.uuid4())
        self.vcpus, self.memory_mib = vcpus, memory_mib
        self.workload = workload
        self.persistent = persistent
        # A vCPU that writes to its console waits for QEMU, which swaps: 142 s were seen on a busy machine, and the
        # threshold is 120 s at most. A vCPU that loops shows as well by commands without an answer.
        words = ["console=ttyS0", "quiet", "panic=-1", "mitigations=off", "audit=0", PATIENT, "nosoftlockup"]
        if flavour := guest_flavour(host.release):
            # warnings, too: lockdep's reports are some
            words.append("loglevel=5")
            memory_mib += GUEST_MIB.get(flavour, 0)
            limit_mib = limit_mib and limit_mib + LIMIT_MIB.get(flavour, 0)
        if host.preempt:
            words.append(f"preempt={host.preempt}")
        if workload:
            words.append(f'apf.run="{workload}"')
        if insmod:
            words.append(f'apf.insmod="{insmod}"')
        if cmdline:
            words.append(cmdline)
        self.cmdline = " ".join(words)
        memtune = f"<memtune><hard_limit unit='MiB'>{limit_mib}</hard_limit></memtune>" if limit_mib else ""
        self.xml = DOMAIN.format(
            name=escape(name), uuid=self.uuid, memory_mib=memory_mib, memtune=memtune, vcpus=vcpus, vcpus_now=vcpus_now or vcpus,
            metadata=f"<metadata>{metadata}</metadata>" if metadata else "", machine=machine, kernel=host.l2_kernel,
            initrd=host.l2_initrd, cmdline=escape(self.cmdline), cpu=cpu_xml(cpu))
        self._pid = None
        self._shell = None
        self._text = b""
        self._running = False
        self._stopped = False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_exc):
        self.stop()

    # -- life --------------------------------------------------------------------------

    def start(self, timeout=120):
        if self._running:
            raise LabError(f"{self.name} is running")
        self._warm()
        name = shlex.quote(self.name)
        self._text = b""
        self.host.run(f"cd /run/lab; rm -f {name}.sock; "
                      f"[ ! -e {name}.console ] || mv {name}.console {name}.before-$(cat /proc/uptime | cut -d. -f1).console")
        verb = "virsh -q define /dev/stdin && virsh -q start " + name if self.persistent \
            else "virsh -q create /dev/stdin"
        self.host.run(verb + f" && cat /run/libvirt/qemu/{name}.pid >/run/lab/{name}.pid",
                      input=self.xml, timeout=timeout)
        self._pid = int(self.host.read(f"/run/libvirt/qemu/{self.name}.pid"))
        self._running, self._stopped = True, False
        if self not in self.host.vms:
            self.host.vms.append(self)
        return self

    def _warm(self):
        """Read what every QEMU maps into the page cache, charged to nobody's limit.

        Otherwise most major faults of a limited guest are QEMU's own text.
        """
        self.host.run("""[ ! -e /run/lab/warm ] || exit 0
            [ -e %s ] || { echo 'no L2 initramfs in this host: call host.install() first' >&2; exit 1; }
            q=/usr/bin/qemu-system-x86_64
            cat $q $(ldd $q | sed -n 's/.*=> \\([^ ]*\\).*/\\1/p') %s %s >/dev/null; touch /run/lab/warm"""
                      % (self.host.l2_initrd, self.host.l2_kernel, self.host.l2_initrd))

    def wait_ready(self, timeout=180):
        """Until the workload has filled its memory and runs, or (without one) the shell answers."""
        deadline = time.monotonic() + patient(timeout)
        while True:
            alive = self._fetch()
            if self.workload:
                # the line may have come in part
                if b'"start":true' in self._text and self.sample():
                    return self
            elif b"lab: init up" in self._text:
                self.run("true")
                return self
            if not alive:
                self._raise_dead()
            if time.monotonic() > deadline:
                raise Timeout(f"{self.name}: not ready in {patient(timeout):.0f} s; end of its console:\n"
                              + "\n".join(self.text().splitlines()[-30:]))
            time.sleep(0.5)

    def stop(self):
        """Pull the plug. Its console stays readable."""
        if not self._running or self._stopped:
            return
        self._stopped = True
        self.detach()
        try:
            self._fetch()
        except LabError:
            pass
        name = shlex.quote(self.name)
        self.host.run(f"virsh -q destroy {name}; " + (f"virsh -q undefine {name}; " if self.persistent else "") +
                      f"n=0; while [ -d /proc/{self._pid} ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done",
                      check=False, timeout=120)
        self._running = False

    def kill9(self):
        """What the OOM killer does to a VMM."""
        self.host.run(f"kill -9 {self.pid}", check=False)
        self.host.wait_for(f"! [ -d /proc/{self.pid} ]", 60, f"the end of {self.name}")
        self.detach()
        self._running = False

    def suspend(self):
        """Stops its vCPUs; its clock stops, too, or its watchdogs would see minutes without progress afterwards."""
        self.host.run(f"virsh -q suspend {shlex.quote(self.name)}")

    def resume(self):
        self.host.run(f"virsh -q resume {shlex.quote(self.name)}")

    def detach(self):
        if self._shell is not None:
            self._shell.close()
            self._shell = None
            if not self.host._closed:
                self.host.unforward(f"/run/lab/{self.name}.sock")

    # -- facts -------------------------------------------------------------------------

    @property
    def pid(self):
        """PID of its QEMU in L1."""
        if self._pid is None:
            raise LabError(f"{self.name} was not started")
        return self._pid

    def alive(self):
        return self._running and self.host.run(
            f"[ -d /proc/{self.pid} ] && ! grep -q '^State:.Z' /proc/{self.pid}/status", check=False).rc == 0

    def state(self):
        return self.host.run(f"virsh -q domstate {shlex.quote(self.name)}", check=False).stdout.strip()

    def cgroup(self):
        """Its cgroup v2 folder in L1: the one that libvirt puts the limit on, threads are below it.

        The name contains backslashes: quote it in a shell, or use cgroup_read().
        """
        path = self.host.run(f"sed -n 's/^0:://p' /proc/{self.pid}/cgroup").stdout.strip()
        scope, sep, below = path.partition(".scope")
        return "/sys/fs/cgroup" + scope + sep + ("/libvirt" if below.startswith("/libvirt") else "")

    def cgroup_read(self, name):
        """One file of its cgroup, e.g. memory.pressure."""
        return self.host.read(f"{self.cgroup()}/{name}")

    def preemption(self):
        """Its kernel's mode of preemption, as Host.preemption()."""
        return chosen(self.run("cat /sys/kernel/debug/sched/preempt", check=True)[1])

    def swapped_kib(self):
        out = self.host.run(f"sed -n 's/^VmSwap:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/{self.pid}/status").stdout
        return int(out or 0)

    def check(self):
        """Raise VMDied when it has ended."""
        if not self.alive():
            self._raise_dead()

    def _raise_dead(self):
        try:
            self._fetch()
        finally:
            self._running = False
        log = self.host.run(f"tail -n 5 /var/log/libvirt/qemu/{shlex.quote(self.name)}.log", check=False).stdout
        raise VMDied(f"{self.name} ended by itself; end of its console:\n"
                     + "\n".join(self.text().splitlines()[-40:]) + f"\n--- QEMU ---\n{log}")

    # -- console -----------------------------------------------------------------------

    def _fetch(self):
        """Read what is new on the console; True while QEMU lives."""
        out = self.host.run(f"[ -d /proc/{self._pid} ] && echo 1 || echo 0; "
                            f"tail -c +{len(self._text) + 1} /run/lab/{shlex.quote(self.name)}.console",
                            check=False, binary=True, timeout=60).stdout
        alive, _, new = out.partition(b"\n")
        self._text += new
        return alive == b"1"

    def text(self):
        return self._text.decode(errors="replace").replace("\r", "")

    def console(self):
        """Everything on ttyS0 so far."""
        if self._pid is not None and not self.host._closed:
            self._fetch()
        return self.text()

    def samples(self):
        """The workload's JSON lines so far (cumulative counts, the last may have "done")."""
        found = []
        for line in self.console().split("\n")[:-1]:
            start = line.find("{\"")
            if start < 0:
                continue
            try:
                row = json.loads(line[start:])
            except ValueError:
                continue  # a kernel message cut into it
            if "touches" in row:
                found.append(row)
        return found

    def sample(self):
        rows = self.samples()
        return rows[-1] if rows else None

    def wait_done(self, timeout):
        """The workload's last line, for one started with -t."""
        deadline = time.monotonic() + patient(timeout)
        while True:
            row = self.sample()
            if row and row.get("done"):
                return row
            if time.monotonic() > deadline:
                raise Timeout(f"{self.name}: workload not done in {patient(timeout):.0f} s, last sample {row}")
            self.check()
            time.sleep(1)

    def run(self, cmd, timeout=60, check=False):
        """Run a shell command in L2: (rc, output)."""
        deadline = time.monotonic() + patient(timeout)
        if self._shell is None:
            local = self.host.forward(f"/run/lab/{self.name}.sock")
            self._shell = Shell(local)
            # the agent starts early in init, but a byte sent before it does would be lost
            while b"lab: init up" not in self._text:
                if not self._fetch():
                    self._raise_dead()
                if time.monotonic() > deadline:
                    raise Timeout(f"{self.name}: init not up in {patient(timeout):.0f} s")
                time.sleep(0.3)
            # asked again in case the agent was not listening yet, less and less often: it answers each
            wait = 3
            while True:
                try:
                    if self._shell.run("true", wait, self.check)[0] == 0:
                        break
                except Timeout:
                    if time.monotonic() > deadline:
                        raise
                    wait *= 2
        try:
            rc, out = self._shell.run(cmd, max(1, deadline - time.monotonic()), self.check)
        except ShellClosed:
            self.host.check()
            self.host.wait_for(lambda: not self.alive(), 30, f"the end of {self.name}, whose channel closed")
            self._raise_dead()
        if check and rc:
            raise LabError(f"{self.name} (L2): exit {rc}: {cmd}\n{out}")
        return rc, out
