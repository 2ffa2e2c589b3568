# SPDX-License-Identifier: GPL-2.0
"""Pressure, CGroup, Swap, Explain and History, from a /proc, a /sys and a cgroup tree of files."""

import os
import subprocess

import dbus
import pytest

import apfdtest
from apfdtest import MANAGER, ROOT, VM
from conftest import DOMAINS

WEB1 = "/org/apfd/vm/" + DOMAINS["web1"].replace("-", "_")
# As libvirt names it: the backslashes are in the name.
SCOPE = "/machine.slice/machine-qemu\\x2d1\\x2dweb1.scope"

STAT = """anon 205000000
file 1000
workingset_refault_anon {refaults}
pgfault 25352
pgmajfault {faults}
"""
PRESSURE = """some avg10={some} avg60=8.53 avg300=2.30 total=7392524
full avg10=7.02 avg60=4.78 avg300=1.32 total=4338173
"""


def write(path, text):
    """At once, as the kernel's files change."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)


class Files:
    """The world of one VM's process."""

    def __init__(self, directory, pid):
        self.directory, self.pid = directory, pid
        self.cgroup = f"{directory}/cgroup{SCOPE}/libvirt"
        self.proc(SCOPE + "/libvirt/emulator")
        # Threads are in groups without a memory controller.
        os.makedirs(f"{self.cgroup}/emulator")
        self.memory(refaults=1000, faults=500)
        self.swaps("")
        os.makedirs(f"{directory}/sys/class/block")

    def proc(self, group, shmem_kib=0, swap_kib=2048, pid=None):
        proc = f"{self.directory}/proc/{pid or self.pid}"
        write(f"{proc}/cgroup", f"0::{group}\n")
        write(f"{proc}/status", f"Name:\tqemu\nRssShmem:\t {shmem_kib} kB\nVmSwap:\t  {swap_kib} kB\n")

    def memory(self, refaults, faults, some="14.51", swap=142147584):
        write(f"{self.cgroup}/memory.current", "209592320\n")
        write(f"{self.cgroup}/memory.swap.current", f"{swap}\n")
        write(f"{self.cgroup}/memory.stat", STAT.format(refaults=refaults, faults=faults))
        write(f"{self.cgroup}/memory.pressure", PRESSURE.format(some=some))

    def swaps(self, lines):
        write(f"{self.directory}/proc/swaps",
              "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" + lines)

    def device(self, name, reads, msec):
        write(f"{self.directory}/sys/class/block/{name}/stat",
              f" {reads} 246 52632 {msec} 1687 6031 327064 30218 2 21068 71625 0 0 0 0 0 0\n")


@pytest.fixture
def files(directory, sleeper):
    with open(f"{directory}/web1.pid", "w", encoding="ascii") as f:
        f.write(f"{sleeper.pid}\n")
    return Files(directory, sleeper.pid)


@pytest.fixture
def start(start_apfd, domains_uri, directory):
    def with_files(*args):
        return start_apfd("--connect", domains_uri, "--pid-dir", directory,
                          f"--proc-dir={directory}/proc", f"--sys-dir={directory}/sys",
                          f"--cgroup-dir={directory}/cgroup", *args)

    return with_files


def pressure(apfd):
    return {str(k): float(v) for k, v in apfd.get(VM, "Pressure", WEB1).items()}


def test_group_of_a_domain(files, start):
    apfd = start()
    assert apfd.get(VM, "CGroup", WEB1) == SCOPE + "/libvirt"
    # a thread reads its mappings
    apfdtest.wait_for("what is on swap", lambda: swapped(apfd) == (2048 * 1024, "process"))
    first = pressure(apfd)
    assert first["MemoryBytes"] == 209592320 and first["SwapBytes"] == 142147584
    assert first["SomeAvg10"] == 14.51 and first["FullAvg10"] == 7.02
    # Rates need two readings, and nothing has changed between them; the vCPUs' figures need the module.
    assert [n for n in ("MajorFaultRate", "RefaultRate", "SwapInRate", "SwapOutRate") if first.get(n)] == []
    assert "StallRatio" not in first


def test_rates(files, start):
    apfd = start()
    count = 1000
    apfdtest.wait_for("what is on swap", lambda: swapped(apfd) == (2048 * 1024, "process"))
    apfd.signals.clear()

    def seen():
        nonlocal count
        # It swaps all the time, so it is looked at with every tick.
        count += 50
        files.memory(refaults=count, faults=count // 2, some="50.00", swap=142147584 + count)
        return pressure(apfd).get("MajorFaultRate", 0) > 0

    apfdtest.wait_for("rates", seen)
    now = pressure(apfd)
    assert now["RefaultRate"] > 0 and now["SomeAvg10"] == 50
    # Each page that came back was one of two faults; the files change between two reads.
    assert 1 < now["RefaultRate"] / now["MajorFaultRate"] < 4
    # Figures are read, not announced.
    apfdtest.let_pass(2)
    assert not apfd.signals_of("PropertiesChanged", WEB1)


def memory(apfd, path=WEB1):
    return {str(k): int(v) for k, v in apfd.get(VM, "Memory", path).items()}


def test_memory(files, start):
    write(f"{files.cgroup}/memory.max", "max\n")
    write(f"{files.cgroup}/memory.swap.max", "200000000\n")
    # A limit of the slice.
    above = f"{files.directory}/cgroup/machine.slice"
    write(f"{above}/memory.max", "300000000\n")
    write(f"{above}/memory.current", "250000000\n")
    write(f"{files.cgroup}/memory.numa_stat", "anon N0=100 N1=200\nshmem N0=1 N1=0\n")
    with open(f"{files.cgroup}/memory.stat", "a", encoding="ascii") as f:
        f.write("pswpin 5\npswpout 7\nzswap 1000\nzswapped 3000\nactive_anon 4000\nworkingset_activate_anon 17\n")
    apfd = start()
    page = os.sysconf("SC_PAGESIZE")
    assert memory(apfd) == {
        "LimitBytes": 300000000, "RoomBytes": 50000000, "SwapLimitBytes": 200000000,
        "SwapRoomBytes": 200000000 - 142147584, "SwappedInBytes": 5 * page, "SwappedOutBytes": 7 * page,
        "RefaultPages": 1000, "ActivationPages": 17, "MajorFaults": 500, "SomeUSec": 7392524, "FullUSec": 4338173,
        "ActiveBytes": 4000, "ZswapBytes": 1000, "ZswappedBytes": 3000, "ZramBytes": 0,
    }
    assert dict(apfd.get(VM, "NodeMemory", WEB1)) == {"0": 101, "1": 200}
    assert apfd.get(VM, "PeakStallRatio", WEB1) == 0 and apfd.get(VM, "PeakLatencyUSec", WEB1) == 0


def test_swap_traffic(files, start):
    """Pages and bytes, in and out."""
    apfd = start()
    count = 0

    def seen():
        nonlocal count
        count += 100
        files.memory(refaults=1000, faults=500, swap=142147584 + count)
        with open(f"{files.cgroup}/memory.stat", "a", encoding="ascii") as f:
            f.write(f"pswpin {count}\npswpout {3 * count}\n")
        return pressure(apfd).get("SwapOutRate", 0) > 0 and pressure(apfd).get("SwapInRate", 0) > 0

    apfdtest.wait_for("rates", seen)
    now = pressure(apfd)
    assert now["SwapOutRate"] == pytest.approx(3 * now["SwapInRate"], rel=0.9)
    page = os.sysconf("SC_PAGESIZE")
    assert now["SwapInBytesRate"] == pytest.approx(now["SwapInRate"] * page)
    assert now["SwapOutBytesRate"] == pytest.approx(now["SwapOutRate"] * page)


def host(apfd, name):
    return {str(k): float(v) for k, v in apfd.get(MANAGER, name, ROOT).items()}


def test_memory_of_the_host(files, start):
    proc = f"{files.directory}/proc"
    write(f"{proc}/meminfo", "MemTotal: 4000 kB\nMemFree: 100 kB\nMemAvailable: 900 kB\n"
                             "SwapTotal: 2000 kB\nSwapFree: 1500 kB\n")
    write(f"{proc}/pressure/memory", PRESSURE.format(some="45.00"))
    write(f"{proc}/vmstat", "pswpin 100\npswpout 200\npgscan_kswapd 0\npgscan_direct 0\n")
    write(f"{files.directory}/sys/devices/system/node/node1/meminfo",
          "Node 1 MemTotal: 4000 kB\nNode 1 MemFree: 100 kB\n")
    apfd = start()
    figures = host(apfd, "Memory")
    assert figures["TotalBytes"] == 4000 << 10 and figures["ReclaimableBytes"] == 800 << 10
    assert figures["SwapFreeBytes"] == 1500 << 10 and figures["SomeUSec"] == 7392524
    assert figures["SwappedOutBytes"] == 200 * os.sysconf("SC_PAGESIZE")
    assert [dict(n) for n in apfd.get(MANAGER, "Nodes", ROOT)] == [
        {"Node": 1, "TotalBytes": 4000 << 10, "FreeBytes": 100 << 10}]

    def is_now(state):
        return lambda: apfd.get(MANAGER, "MemoryState", ROOT) == state

    apfdtest.wait_for("a second reading", is_now("calm"))
    # A hundred thousand pages, at once and each way.
    write(f"{proc}/vmstat", "pswpin 100100\npswpout 100200\npgscan_kswapd 0\npgscan_direct 0\n")
    apfdtest.wait_for("the state", is_now("thrashing"))
    assert host(apfd, "Pressure")["SomeAvg10"] == 45 and host(apfd, "Pressure")["SwapInBytesRate"] > 262144
    write(f"{proc}/pressure/memory", PRESSURE.format(some="5.00").replace("7.02", "0.00"))
    apfdtest.wait_for("less pressure", is_now("swapping"))
    # Ten seconds later that is over.
    apfdtest.wait_for("the end of it", is_now("calm"))
    assert not apfd.signals_of("PropertiesChanged", ROOT)


def test_group_that_cannot_be_read(files, start):
    files.memory(1000, 500)
    for name in ("memory.stat", "memory.pressure"):
        os.remove(f"{files.cgroup}/{name}")
    write(f"{files.cgroup}/memory.swap.current", "max\n")
    apfd = start()
    assert pressure(apfd) == {"MemoryBytes": 209592320}
    assert apfd.popen.poll() is None


def test_no_group(files, start):
    """Version 1, or a container's root: what /proc has stands in."""
    write(f"{files.directory}/proc/{files.pid}/cgroup", "12:memory:/machine\n1:name=systemd:/\n")
    apfd = start()
    assert apfd.get(VM, "CGroup", WEB1) == ""
    apfdtest.wait_for("the figure of the process", lambda: pressure(apfd) == {"SwapBytes": 2048 * 1024})


def swapped(apfd, path=WEB1):
    return int(apfd.get(VM, "SwappedBytes", path)), str(apfd.get(VM, "SwappedSource", path))


def test_shared_memory(files, start):
    """A memfd: VmSwap does not contain it."""
    files.proc(SCOPE + "/libvirt/emulator", shmem_kib=5060728, swap_kib=0)
    apfd = start()
    assert swapped(apfd) == (142147584, "cgroup")
    assert pressure(apfd)["SwapBytes"] == 142147584


def test_process_that_moves(files, start):
    """libvirt is told to move it, or an administrator does."""
    apfd = start()
    assert apfd.get(VM, "CGroup", WEB1) == SCOPE + "/libvirt"
    group = f"{files.directory}/cgroup/other.slice/vm.scope"
    write(f"{group}/memory.current", "4096\n")
    write(f"{group}/memory.swap.current", "0\n")
    files.proc("/other.slice/vm.scope")
    apfdtest.wait_for("the other group", lambda: apfd.get(VM, "CGroup", WEB1) == "/other.slice/vm.scope")
    assert pressure(apfd)["MemoryBytes"] == 4096
    apfdtest.wait_for("the signal", lambda: any("CGroup" in s[4][1] for s in apfd.signals_of("PropertiesChanged", WEB1)))


def test_two_vms_in_one_group(files, start, sleeper):
    """Neither is charged the whole: VmSwap is one's figure, and of the other there is none."""
    other = subprocess.Popen(["sleep", "600"])
    try:
        with open(f"{files.directory}/web2.pid", "w", encoding="ascii") as f:
            f.write(f"{other.pid}\n")
        files.proc("/vms.service")
        files.proc("/vms.service", shmem_kib=5060728, pid=other.pid)
        group = f"{files.directory}/cgroup/vms.service"
        write(f"{group}/memory.current", "209592320\n")
        write(f"{group}/memory.swap.current", "142147584\n")
        apfd = start()
        web2 = apfd.vm_path("web2")
        # whoever was found first is looked at again with the next tick
        apfdtest.wait_for("both to be seen", lambda: (swapped(apfd), swapped(apfd, web2), pressure(apfd)) ==
                          ((2048 * 1024, "process"), (0, "unknown"), {"SwapBytes": 2048 * 1024}))
        assert apfd.get(VM, "CGroup", WEB1) == apfd.get(VM, "CGroup", web2) == "/vms.service"
        assert dict(apfd.get(VM, "Pressure", web2)) == {}

        # The other ends.
        files.proc("/vms.service", shmem_kib=5060728)
        other.kill()
        other.wait()
        apfdtest.wait_for("the end", lambda: swapped(apfd) == (142147584, "cgroup"))
    finally:
        other.kill()
        other.wait()


def test_hostile_group(files, start):
    files.proc("/../../../../etc")
    apfd = start()
    assert apfd.get(VM, "CGroup", WEB1) == ""


def swap(apfd):
    return [{str(k): v for k, v in d.items()} for d in apfd.get(MANAGER, "Swap", ROOT)]


def test_swap_devices(files, start):
    files.swaps("/dev/zram0 partition\t1048572\t\t2048\t\t100\n"
                "/dev/vdb2 partition\t2097148\t\t0\t\t-2\n"
                "/var/swap\\040file file\t4096\t\t4\t\t-3\n")
    files.device("zram0", 100, 0)
    files.device("vdb2", 100, 1000)
    apfd = start()
    rows = swap(apfd)
    assert [(r["Path"], r["Kind"], bool(r["Synchronous"]), int(r["Size"]), int(r["Used"]))
            for r in rows] == [("/dev/zram0", "zram", True, 1048572 << 10, 2048 << 10),
                               ("/dev/vdb2", "disk", False, 2097148 << 10, 0),
                               ("/var/swap file", "file", False, 4096 << 10, 4096)]
    assert rows[1]["Reads"] == 100 and rows[1]["ReadLatencyUSec"] == 0

    # 400 reads in 2000 ms.
    files.device("vdb2", 500, 3000)
    apfdtest.wait_for("the latency", lambda: swap(apfd)[1]["ReadLatencyUSec"] == 5000)
    assert not apfd.signals_of("PropertiesChanged", ROOT)

    files.swaps("")
    apfdtest.wait_for("the devices to be gone", lambda: swap(apfd) == [])


def test_swap_devices_without_vms(files, start_apfd, directory):
    """The host has its figures without any VM."""
    with open(f"{directory}/empty.xml", "w", encoding="utf-8") as f:
        f.write("<node/>")
    files.swaps("/dev/vdb2 partition\t2097148\t\t0\t\t-2\n")
    apfd = start_apfd("--connect", f"test://{directory}/empty.xml", f"--proc-dir={directory}/proc",
                      f"--sys-dir={directory}/sys", f"--cgroup-dir={directory}/cgroup")
    assert apfd.names() == []
    for used in (1024, 2048, 4096):
        files.swaps(f"/dev/vdb2 partition\t2097148\t\t{used}\t\t-2\n")
        apfdtest.wait_for("the use of swap", lambda: swap(apfd)[0]["Used"] == used << 10)


def test_explain_needs_the_module(files, start):
    apfd = start()
    with pytest.raises(dbus.DBusException) as e:
        apfd.object(WEB1, VM).Explain()
    assert e.value.get_dbus_name() == "org.apfd.Error.NoHostModule"
    assert list(apfd.object(WEB1, VM).History()) == []


def test_process_that_ends(files, start, sleeper):
    apfd = start()
    assert pressure(apfd)
    sleeper.kill()
    sleeper.wait()
    apfdtest.wait_for("its end", lambda: apfd.get(VM, "PID", WEB1) == 0)
    assert pressure(apfd) == {} and apfd.get(VM, "CGroup", WEB1) == ""


def test_many_rounds_leak_nothing(files, start):
    """Readings open and close files; a group that comes and goes does, too."""
    apfd = start()

    def descriptors():
        return len(os.listdir(f"/proc/{apfd.popen.pid}/fd"))

    before = descriptors()
    for i in range(5):
        files.memory(refaults=i, faults=i, swap=i)
        apfdtest.let_pass(0.3)
        subprocess.run(["rm", "-r", files.cgroup], check=True)
        apfdtest.let_pass(0.3)
    # A reading may be under way.
    apfdtest.wait_for(f"{before} descriptors", lambda: descriptors() <= before)
