# SPDX-License-Identifier: GPL-2.0
"""A host with eight VMs that swap, for pictures: the real apfd, with files in the place of /proc, /sys and the
control groups, and tests/bus/fakemodule.py in the place of apf_host. All figures are made up."""

import os
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/bus"))

from apfdtest import VM, Apfd, PrivateBus, end_all, wait_for  # noqa: E402
from fakemodule import A, CMD, FAMILY, NLM_F_MULTI, STAT, FakeModule, attr, names  # noqa: E402

GUEST = names("apf_guest_attr")
HIST_BUCKETS = 32
MIB, GIB = 1 << 20, 1 << 30
PAGE = os.sysconf("SC_PAGE_SIZE")
# The device reads a page in 0.6 ms; with the queue before it, a swap-in takes 0.5 to 2 ms.
READ_SEC = 0.0006
BUCKETS = {10: 0.5, 11: 0.4, 12: 0.1}


@dataclass
class Load:
    """Of a VM, per second: @asynchronous, @synchronous swap-ins, vCPU-seconds that these take or save."""
    name: str
    vcpus: int
    memory: int
    swapped: int
    asynchronous: float
    synchronous: float
    stopped: float
    saved: float
    pressure: float
    reports: bool = True


LOADS = [
    Load("build-1", 16, 24 * GIB, 1900 * MIB, 0, 840, 0.96, 0, 22.1),
    Load("db-1", 8, 16 * GIB, 3100 * MIB, 40, 2600, 3.04, 0.01, 41.5, reports=False),
    Load("db-2", 8, 16 * GIB, 2200 * MIB, 610, 30, 0.04, 0.72, 9.4),
    Load("mail-1", 2, 4 * GIB, 740 * MIB, 12, 0, 0, 0.01, 0.3),
    Load("proxy-1", 2, 2 * GIB, 96 * MIB, 0, 0, 0, 0, 0, reports=False),
    Load("web-1", 4, 8 * GIB, 1240 * MIB, 420, 6, 0.01, 0.41, 6.2),
    Load("web-2", 4, 8 * GIB, 1130 * MIB, 385, 5, 0.01, 0.38, 5.8),
    Load("web-3", 4, 8 * GIB, 860 * MIB, 35, 0, 0, 0.03, 0.6),
]


def uuid_of(number):
    return f"5a7e0f3c-61d2-4c8e-9b1f-{0xd04c00a3e100 + number:012x}"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


class LoadModule(FakeModule):
    """The counters grow with time. @loads: by PID."""

    def __init__(self):
        super().__init__()
        self.loads, self.begin = {}, time.monotonic()

    def load_of(self, vm):
        return self.loads[next(pid for pid, v in self.vms.items() if v is vm)]

    def _do(self, cmd, seq, vm, known, indices):
        if cmd == CMD["VM_ADD"]:
            self.vcpus = self.loads[struct.unpack("I", known[A["VM_FD"]])[0]].vcpus
        return super()._do(cmd, seq, vm, known, indices)

    def _figures(self, load, vcpus):
        """Of so many of its vCPUs: (statistics, async histogram, sync histogram)."""
        age = (time.monotonic() - self.begin) * vcpus / load.vcpus
        ready, stalls = int(load.asynchronous * age), int(load.synchronous * age)
        values = {"READY": ready, "NOT_PRESENT": ready, "DELIVERED": ready, "ASKED": ready + stalls, "ASYNC_NSEC": int(ready * 1.1e6),
                  "SYNC_STALLS": stalls, "SYNC_STALL_NSEC": int(load.stopped * age * 1e9), "SAVED_NSEC": int(load.saved * age * 1e9)}
        stats = attr(A["STATS"], b"".join(attr(i, struct.pack("Q", values.get(name, 0)))
                                          for name, i in STAT.items() if name not in ("UNSPEC", "PAD")))
        return stats, *(struct.pack(f"{HIST_BUCKETS}Q", *(int(n * BUCKETS.get(i, 0)) for i in range(HIST_BUCKETS)))
                        for n in (ready, stalls))

    def _vm(self, vm, seq, flags):
        load = self.load_of(vm)
        return self._message(FAMILY, CMD["VM_GET"], seq, attr(A["VM_ID"], vm.number) + attr(A["STATE"], vm.gate)
                             + attr(A["VCPU_COUNT"], load.vcpus) + self._figures(load, load.vcpus)[0], flags)

    def _vcpu(self, vm, index, seq):
        load = self.load_of(vm)
        stats, asynchronous, synchronous = self._figures(load, 1)
        payload = attr(A["VM_ID"], vm.number) + attr(A["VCPU_INDEX"], index) + attr(A["STATE"], vm.states[index])
        payload += stats + attr(A["HIST_ASYNC"], asynchronous) + attr(A["HIST_SYNC"], synchronous)
        if load.reports:
            report = {"POOL_SIZE": 64, "WAITS": 1000, "WAKES": 1000}
            payload += attr(A["GUEST"], b"".join(attr(i, report.get(name, 0)) for name, i in GUEST.items() if name != "UNSPEC"))
        return self._message(FAMILY, CMD["VCPU_GET"], seq, payload, NLM_F_MULTI)


class World:
    """@directory must be empty, and others may look into it, see PrivateBus."""

    def __init__(self, directory, peer):
        self.directory = Path(directory)
        self.module = LoadModule()
        self.processes = []
        self.begin = time.monotonic()
        self.ended = threading.Event()
        domains = ""
        for number, load in enumerate(LOADS):
            self.processes.append(subprocess.Popen(["sleep", "infinity"]))
            pid = self.processes[-1].pid
            self.module.loads[pid] = load
            write(self.directory / f"pid/{load.name}.pid", f"{pid}\n")
            domains += (f"<domain type='test'><name>{load.name}</name><uuid>{uuid_of(number)}</uuid>"
                        f"<memory unit='bytes'>{load.memory}</memory><os><type>hvm</type></os></domain>")
        write(self.directory / "node.xml", f"<node>{domains}</node>")
        write(self.directory / "proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"
              f"/dev/nvme0n1p3\tpartition\t{32 * GIB >> 10}\t{sum(load.swapped for load in LOADS) >> 10}\t-2\n")
        write(self.directory / "proc/meminfo", "".join(f"{name}: {kib >> 10} kB\n" for name, kib in (
            ("MemTotal", 64 * GIB), ("MemFree", 1300 * MIB), ("MemAvailable", 7900 * MIB), ("SwapTotal", 32 * GIB),
            ("SwapFree", 32 * GIB - sum(load.swapped for load in LOADS)), ("Zswap", 0), ("Zswapped", 0))))
        write(self.directory / "proc/pressure/memory", "some avg10=31.20 avg60=28.00 avg300=20.00 total=7392524\n"
              "full avg10=6.40 avg60=5.00 avg300=4.00 total=4338173\n")
        self._write_counters()
        self.thread = threading.Thread(target=self._count, daemon=True)
        self.thread.start()
        self.bus = PrivateBus(str(self.directory))
        os.environ["APFD"] = str(peer)
        self.apfd = Apfd(self.bus, "--connect", f"test://{self.directory}/node.xml", "--pid-dir", f"{self.directory}/pid",
                         *(f"--{name}-dir={self.directory}/{name}" for name in ("proc", "sys", "cgroup")),
                         env={"APF_PEER": str(self.module.port)})
        wait_for("all VMs to be watched",
                 lambda: sum(bool(o[VM]["Watched"]) for o in self.apfd.managed().values() if VM in o) == len(LOADS))

    def _write_counters(self):
        """What grows with time in the files."""
        age = time.monotonic() - self.begin + 3600
        read = sum(load.asynchronous + load.synchronous for load in LOADS) * age
        write(self.directory / "proc/vmstat", f"pswpin {int(read)}\npswpout {int(read * 0.6)}\npgscan_kswapd {int(read * 2)}\n"
              "pgscan_direct 0\nworkingset_refault_anon 0\n")
        write(self.directory / "sys/class/block/nvme0n1p3/stat",
              f" {int(read)} 0 {int(read * 8)} {int(read * READ_SEC * 1000)} 0 0 0 0 0 0 0 0 0 0 0 0 0\n")
        for load, process in zip(LOADS, self.processes):
            swapins = load.asynchronous + load.synchronous
            group = f"/machine.slice/machine-qemu-{load.name}.scope"
            proc, cgroup = self.directory / f"proc/{process.pid}", self.directory / f"cgroup{group}"
            if not proc.exists():
                write(proc / "cgroup", f"0::{group}\n")
                write(proc / "status", f"Name:\tqemu\nRssShmem:\t0 kB\nVmSwap:\t{load.swapped >> 10} kB\n")
                write(cgroup / "memory.current", f"{load.memory - load.swapped}\n")
                write(cgroup / "memory.swap.current", f"{load.swapped}\n")
                write(cgroup / "memory.pressure", f"some avg10={load.pressure:.2f} avg60=0.00 avg300=0.00 total=1000\n"
                      f"full avg10={load.pressure / 4:.2f} avg60=0.00 avg300=0.00 total=1000\n")
            write(cgroup / "memory.stat", f"anon {load.memory - load.swapped}\nactive_anon {load.memory // 2}\n"
                  f"pgmajfault {int(swapins * age)}\nworkingset_refault_anon {int(swapins * age / 2)}\n"
                  f"pswpin {int(swapins * age)}\npswpout {int(swapins * age * 0.6)}\n")

    def _count(self):
        while not self.ended.wait(0.2):
            self._write_counters()

    def end(self):
        self.apfd.stop()
        self.bus.stop()
        self.module.stop()
        self.ended.set()
        self.thread.join()
        for process in self.processes:
            process.kill()
            process.wait()
        end_all()
