# SPDX-License-Identifier: GPL-2.0
"""Memory brought back from swap: real processes and real calls of the kernel, made-up facts about swap."""

import os
import struct
import subprocess
import sys
import time

import dbus
import pytest

from apfdtest import MANAGER, OTHER_UID, PROPERTIES, ROOT, VM, let_pass, wait_for

WEB1 = "/org/apfd/vm/11111111_aaaa_4bbb_8ccc_000000000001"
WEB2 = "/org/apfd/vm/11111111_aaaa_4bbb_8ccc_000000000002"
RECALL = "org.apfd.Recall1"
SCOPE = "/machine.slice/web1.scope"
PAGE = os.sysconf("SC_PAGE_SIZE")
PRESENT, SWAPPED = 1 << 63, 1 << 62
PAGES = 512

# The memory of a VM: private, or a memfd, of which only every other page has data. No page is mapped.
MEMORY = """
import ctypes, os, sys, time
kind, pages, page = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
if kind == "private":
    address = libc.mmap(None, pages * page, 3, 0x22, -1, 0)
else:
    fd = os.memfd_create("pc.ram")
    os.ftruncate(fd, pages * page)
    for i in range(0, pages, 2):
        os.pwrite(fd, b"x", i * page)
    address = libc.mmap(None, pages * page, 3, 1, fd, 0)
libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(pages * page), 15)  # no huge pages
print(address, flush=True)
time.sleep(600)
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(text)
    os.rename(path + ".new", path)


class Memory:
    """A process, and what the made-up /proc says of it."""

    def __init__(self, directory, name, kind="private", pages=PAGES):
        self.directory, self.kind, self.pages = directory, kind, pages
        self.popen = subprocess.Popen([sys.executable, "-c", MEMORY, kind, str(pages), str(PAGE)],
                                      stdout=subprocess.PIPE, text=True)
        self.pid = self.popen.pid
        self.address = int(self.popen.stdout.readline())
        with open(f"{directory}/{name}.pid", "w", encoding="ascii") as f:
            f.write(str(self.pid))
        self.proc = f"{directory}/proc/{self.pid}"
        self.swapped = range(0, pages, 3) if kind == "private" else range(0, pages, 2)
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as f:
            [maps] = [line for line in f if line.startswith(f"{self.address:x}-")] if kind != "private" else \
                [f"{self.address:x}-{self.address + pages * PAGE:x} rw-p 00000000 00:00 0 \n"]
        write(f"{self.proc}/maps", maps)
        self.swap_kib(len(self.swapped) * PAGE // 1024)
        write(f"{self.proc}/cgroup", f"0::{SCOPE}\n")
        os.symlink(f"/proc/{self.pid}/fd", f"{self.proc}/fd")
        # A sparse file with an entry for each page of the address space.
        with open(f"{self.proc}/pagemap", "wb") as f:
            f.seek(self.address // PAGE * 8)
            f.write(b"".join(struct.pack("<Q", SWAPPED if kind == "private" and i in self.swapped else 0)
                             for i in range(pages)))

    def swap_kib(self, kib):
        write(f"{self.proc}/status", f"Name:\tqemu\nRssShmem:\t0 kB\nVmSwap:\t{kib} kB\n")

    def swap_mib(self, mib):
        self.swap_kib(mib * 1024)

    def mapped(self):
        """Which of its pages are really mapped."""
        with open(f"/proc/{self.pid}/pagemap", "rb") as f:
            f.seek(self.address // PAGE * 8)
            entries = struct.unpack(f"<{self.pages}Q", f.read(self.pages * 8))
        return [i for i, entry in enumerate(entries) if entry & PRESENT]

    def end(self):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdout.close()


class World:
    def __init__(self, directory):
        self.directory = directory
        self.memories = []
        self.host(4096, 2048)
        self.group(1024, 256)

    def host(self, total_mib, available_mib):
        write(f"{self.directory}/proc/meminfo", f"MemTotal: {total_mib * 1024} kB\nMemFree: 1 kB\n"
              f"MemAvailable: {available_mib * 1024} kB\n")

    def vmstat(self, pages_out, pages_in=0):
        write(f"{self.directory}/proc/vmstat", f"pswpin {pages_in}\npswpout {pages_out}\npgscan_kswapd 0\n"
              "pgscan_direct 0\n")

    def group(self, limit_mib, current_mib):
        group = f"{self.directory}/cgroup{SCOPE}"
        write(f"{group}/memory.max", f"{limit_mib << 20}\n")
        write(f"{group}/memory.high", "max\n")
        write(f"{group}/memory.current", f"{current_mib << 20}\n")

    def memory(self, name, *args):
        self.memories.append(Memory(self.directory, name, *args))
        return self.memories[-1]


@pytest.fixture
def world(directory):
    w = World(directory)
    yield w
    for memory in w.memories:
        memory.end()


@pytest.fixture
def start(start_apfd, domains_uri, directory, world):
    def started():
        apfd = start_apfd("--connect", domains_uri, "--pid-dir", directory, f"--proc-dir={directory}/proc",
                          f"--sys-dir={directory}/sys", f"--cgroup-dir={directory}/cgroup")
        # Of a process that was just found it is not known yet how much is on swap, so that nothing is refused.
        wait_for("the processes", lambda: sum(bool(o[VM]["PID"] and o[VM]["SwappedSource"] != "unknown")
                                              for o in apfd.managed().values()) == len(world.memories))
        return apfd

    return started


def recall(apfd, path=WEB1, **options):
    typed = {k: dbus.UInt64(v) for k, v in options.items()}
    return str(apfd.object(path, VM).Recall(dbus.Dictionary(typed, signature="sv")))


def finished(apfd, path):
    """(result, total, done, text)"""
    [signal] = wait_for("the end", lambda: apfd.signals_of("Finished", path))
    return tuple(signal[4])


def refused(call):
    with pytest.raises(dbus.DBusException) as e:
        call()
    return e.value.get_dbus_name(), e.value.get_dbus_message()


@pytest.mark.parametrize("kind", ["private", "memfd"])
def test_pages_on_swap_are_mapped_and_no_others(start, world, kind):
    memory = world.memory("web1", kind)
    assert memory.mapped() == []
    apfd = start()
    path = recall(apfd)
    n = len(memory.swapped) * PAGE
    assert finished(apfd, path) == ("done", n, n, "")
    assert memory.mapped() == list(memory.swapped)
    # The object is gone, and the bus was told.
    assert path not in apfd.managed()
    assert [s[4][0] for s in apfd.signals_of("InterfacesAdded")] == [path]
    wait_for("the removal", lambda: [s[4][0] for s in apfd.signals_of("InterfacesRemoved")] == [path])


def test_nothing_on_swap(start, world):
    memory = world.memory("web1")
    with open(f"{memory.proc}/pagemap", "r+b") as f:
        f.seek(memory.address // PAGE * 8)
        f.write(bytes(PAGES * 8))
    apfd = start()
    assert finished(apfd, recall(apfd)) == ("done", 0, 0, "")
    assert memory.mapped() == []


def test_progress_and_cancellation(start, world):
    memory = world.memory("web1")
    apfd = start()
    path = recall(apfd, RatePerSec=1 << 18)
    assert apfd.get(RECALL, "VM", path) == WEB1
    # a client that comes later sees it
    assert apfd.managed()[path][RECALL]["VM"] == WEB1
    assert apfd.get(RECALL, "State", path) == "running"
    assert apfd.get(RECALL, "LimitPerSec", path) == (1 << 18) / 4
    assert refused(lambda: recall(apfd))[0] == "org.apfd.Error.Busy"
    changes = wait_for("progress", lambda: [s[4] for s in apfd.signals_of("PropertiesChanged", path)])
    interface, changed, _ = changes[0]
    assert interface == RECALL
    assert set(changed) == {"TotalBytes", "DoneBytes", "BytesPerSec", "LimitPerSec", "Slowed"}
    total = len(memory.swapped) * PAGE
    assert changed["TotalBytes"] == total and changed["DoneBytes"] < total and not changed["Slowed"]
    apfd.object(path, RECALL).Cancel()
    result, _, done, text = finished(apfd, path)
    assert (result, text) == ("cancelled", "cancelled") and done < total
    assert memory.mapped() == list(memory.swapped)[:int(done) // PAGE]
    # The VM can be recalled again.
    assert finished(apfd, recall(apfd))[0] == "done"


def test_rate_is_kept(start, world):
    """Two thirds of a MiB; a quarter of a MiB a second is the rate, and it grows to the whole of it."""
    memory = world.memory("web1")
    apfd = start()
    begin = time.monotonic()
    path = recall(apfd, RatePerSec=1 << 18)

    def may_be_done(now):
        return (now - begin) * (1 << 18)

    let_pass(2.5)
    assert 0 < len(memory.mapped()) * PAGE <= may_be_done(time.monotonic()) + 16 * PAGE
    _, total, done, _ = finished(apfd, path)
    assert done == total <= may_be_done(time.monotonic())
    # When it was told; it was done before.
    told = [(now, args[1]["DoneBytes"]) for now, *_, args in apfd.signals_of("PropertiesChanged", path)]
    assert told and all(done <= may_be_done(now) for now, done in told)


@pytest.mark.parametrize("host, group, what", [
    ((4096, 128), (1024, 256), "0 MiB that the host has available"),
    ((4096, 2048), (256, 256), "0 MiB below the limit of the control group " + SCOPE),
])
def test_refused_with_the_figures(start, world, host, group, what):
    memory = world.memory("web1")
    world.host(*host)
    world.group(*group)
    apfd = start()
    name, text = refused(lambda: recall(apfd))
    assert name == "org.apfd.Error.NoRoom"
    assert what in text
    assert memory.mapped() == []


def test_limit_that_is_lowered_on_the_way(start, world):
    memory = world.memory("web1")
    apfd = start()
    path = recall(apfd, RatePerSec=1 << 18)
    wait_for("some pages", lambda: len(memory.mapped()) > 16)
    world.group(256, 256)
    result, total, done, text = finished(apfd, path)
    assert result == "no-room" and SCOPE in text
    assert 0 < done < total


def test_vm_that_ends_on_the_way(start, world):
    memory = world.memory("web1")
    apfd = start()
    path = recall(apfd, RatePerSec=1 << 18)
    wait_for("some pages", memory.mapped)
    memory.end()
    assert finished(apfd, path)[0] == "vm-ended"


def test_daemon_ends_on_the_way(start, world):
    world.memory("web1")
    apfd = start()
    recall(apfd, RatePerSec=1 << 18)
    assert apfd.stop() == 0


def test_two_vms_at_once(start, world):
    memories = [world.memory("web1"), world.memory("web2")]
    apfd = start()
    paths = [recall(apfd, RatePerSec=1 << 20), recall(apfd, WEB2)]
    assert len(set(paths)) == 2
    assert [finished(apfd, path)[0] for path in paths] == ["done", "done"]
    assert [m.mapped() for m in memories] == [list(m.swapped) for m in memories]


def test_vm_without_a_process(start, world):
    apfd = start()
    assert refused(lambda: recall(apfd))[0] == "org.apfd.Error.Failed"


def test_process_that_cannot_be_read(start, world):
    memory = world.memory("web1")
    os.unlink(f"{memory.proc}/pagemap")
    os.mkdir(f"{memory.proc}/pagemap")
    apfd = start()
    result, _, _, text = finished(apfd, recall(apfd))
    assert result == "failed" and "cannot read" in text


def test_wrong_options(start, world):
    apfd = start()
    for options in ({"Rate": dbus.UInt64(1)}, {"RatePerSec": "fast"}):
        name, _ = refused(lambda o=options: apfd.object(WEB1, VM).Recall(dbus.Dictionary(o, signature="sv")))
        assert name == "org.freedesktop.DBus.Error.InvalidArgs"


def test_others_need_permission(start, world, polkit):
    world.memory("web1")
    apfd = start()

    def call(path, interface, method, signature="", args=()):
        return apfd.call_as(OTHER_UID, path, interface, method, signature, args).result()

    polkit.allow("org.apfd.manage")
    result = call(WEB1, VM, "Recall", "a{sv}", [{}])
    assert result["error"] == "org.freedesktop.DBus.Error.AccessDenied" and "org.apfd.recall" in result["text"]
    polkit.allow("org.apfd.recall")
    path = recall(apfd, RatePerSec=1 << 14)
    polkit.allow("org.apfd.manage")
    assert call(path, RECALL, "Cancel")["error"] == "org.freedesktop.DBus.Error.AccessDenied"
    assert apfd.object(path, PROPERTIES).Get(RECALL, "State") == "running"
    polkit.allow("org.apfd.recall")
    assert call(path, RECALL, "Cancel") == {"reply": []}
    assert finished(apfd, path)[0] == "cancelled"


# ---- recalls that apfd itself starts ----

def configure(directory, recall, vms=""):
    write(f"{directory}/etc/apfd/apfd.conf", f"[Recall]\n{recall}\n{vms}\n")


def automatic(apfd, path=WEB1):
    """(state, reason), of a VM or of the host"""
    told = apfd.get(MANAGER if path == ROOT else VM, "AutoRecall", path)
    return str(told["State"]), str(told["Reason"])


def started(apfd):
    """[(path, properties)] of all recalls so far"""
    return [(str(s[4][0]), s[4][1][RECALL]) for s in apfd.signals_of("InterfacesAdded") if RECALL in s[4][1]]


@pytest.fixture
def calm(world, directory):
    """A host that writes nothing to swap, whose VMs read from it, and two VMs, the second with more on swap."""
    world.vmstat(0)
    # With 256 KiB a second at first, it takes longer than a slow test needs to look.
    memories = [world.memory("web1", "private", 4 * PAGES), world.memory("web2", "private", 4 * PAGES)]
    memories[0].swap_mib(20)
    memories[1].swap_mib(30)
    configure(directory, "WhenCalm=1s\nCalmRatePerSec=1M")
    return memories


def test_off_by_default(start, world, calm, directory):
    os.unlink(f"{directory}/etc/apfd/apfd.conf")
    apfd = start()
    let_pass(4)
    assert automatic(apfd) == automatic(apfd, ROOT) == ("off", "WhenCalm=no")
    assert started(apfd) == []


def test_one_after_the_other_when_calm(start, world, calm):
    apfd = start()
    [(first, properties)] = wait_for("a recall", lambda: started(apfd))
    assert (properties["VM"], properties["Origin"]) == (WEB2, "automatic")
    assert properties["LimitPerSec"] == (1 << 20) / 4
    assert automatic(apfd, WEB2)[0] == "running"
    assert automatic(apfd) == ("waiting", "another VM is recalled")
    assert automatic(apfd, ROOT) == ("running", "VM web2")
    assert finished(apfd, first)[0] == "done"
    _, (second, properties) = wait_for("the next recall", lambda: len(started(apfd)) == 2 and started(apfd))
    assert properties["VM"] == WEB1
    assert finished(apfd, second)[0] == "done"
    assert [m.mapped() for m in calm] == [list(m.swapped) for m in calm]
    # What is on swap again is left alone.
    let_pass(3)
    assert len(started(apfd)) == 2
    for path in (WEB1, WEB2):
        state, reason = automatic(apfd, path)
        assert state == "paused" and reason.startswith("recalled automatically not long ago; 5"), reason
    log = apfd.log()
    assert "VM web2: apfd brings about 30 MiB back from swap: the host has been calm for " in log
    assert "MiB were brought back from swap, automatically" in log


def test_not_while_the_host_writes_to_swap(start, world, calm, directory):
    configure(directory, "WhenCalm=2s\nCalmRatePerSec=1M")
    apfd = start()
    for pages in range(0, 2000, 200):
        world.vmstat(pages, pages)
        let_pass(0.5)
    assert automatic(apfd) == ("waiting", "the host is not calm: it writes to swap or reclaims memory")
    assert automatic(apfd, ROOT)[0] == "waiting"
    assert started(apfd) == []


def test_ended_when_the_host_is_not_calm_any_more(start, world, calm):
    apfd = start()
    [(path, _)] = wait_for("a recall", lambda: started(apfd))
    wait_for("some pages", calm[1].mapped)
    # Reads alone do not end the recall.
    world.vmstat(0, 100000)
    let_pass(1.2)
    assert apfd.get(RECALL, "State", path) == "running"
    world.vmstat(100000, 100000)
    result, total, done, text = finished(apfd, path)
    assert (result, text) == ("cancelled", "the host is not calm any more")
    assert 0 < done < total
    assert len(started(apfd)) == 1


def test_ended_when_room_becomes_less(start, world, calm):
    """An eighth of the host's memory stays available: four times as much as for a request."""
    apfd = start()
    [(path, _)] = wait_for("a recall", lambda: started(apfd))
    world.host(4096, 500)
    result, _, _, text = finished(apfd, path)
    assert result == "no-room" and "0 MiB that the host has available" in text
    # The other one is not even begun.
    wait_for("the refusal", lambda: automatic(apfd)[0] == "paused")
    assert automatic(apfd)[1].startswith("its memory on swap does not fit into what is available; ")
    assert len(started(apfd)) == 1
    # A person may still request it.
    assert finished(apfd, recall(apfd))[0] == "done"


def test_request_takes_the_recall_over(start, world, calm):
    apfd = start()
    [(path, _)] = wait_for("a recall", lambda: started(apfd))
    world.host(4096, 1024)
    assert recall(apfd, WEB2, RatePerSec=2 << 20) == path
    assert apfd.get(RECALL, "Origin", path) == "request"
    wait_for("the announcement", lambda: [s for s in apfd.signals_of("PropertiesChanged", path)
                                          if s[4][1].get("Origin") == "request"])
    # It is not ended by the host's state any more.
    world.vmstat(100000)
    assert finished(apfd, path)[0] == "done"


def test_gives_way_to_a_request_for_another_vm(start, world, calm):
    apfd = start()
    [(path, _)] = wait_for("a recall", lambda: started(apfd))
    requested = recall(apfd, RatePerSec=1 << 18)
    assert finished(apfd, path)[::3] == ("cancelled", "another recall was requested")
    assert apfd.get(RECALL, "Origin", requested) == "request"


def test_left_alone_after_a_cancellation(start, world, calm):
    apfd = start()
    [(path, _)] = wait_for("a recall", lambda: started(apfd))
    apfd.object(path, RECALL).Cancel()
    assert finished(apfd, path)[::3] == ("cancelled", "cancelled")
    state, reason = automatic(apfd, WEB2)
    assert state == "paused" and reason.startswith("a recall was cancelled; 35"), reason
    # The other VM is next.
    _, (_, properties) = wait_for("the next recall", lambda: len(started(apfd)) == 2 and started(apfd))
    assert properties["VM"] == WEB1


def test_configuration_of_vms_and_reload(start, world, calm, directory):
    configure(directory, "WhenCalm=1s\nCalmRatePerSec=1M", '[VM "web2"]\nRecallWhenCalm=no')
    apfd = start()
    [(path, properties)] = wait_for("a recall", lambda: started(apfd))
    assert properties["VM"] == WEB1
    assert automatic(apfd, WEB2) == ("off", "RecallWhenCalm=no")
    configure(directory, "WhenCalm=no")
    apfd.object(ROOT, MANAGER).Reload()
    assert finished(apfd, path)[::3] == ("cancelled", "the configuration does not allow it any more")
    assert automatic(apfd) == ("off", "WhenCalm=no")


def test_little_on_swap_and_dry_run(start, world, calm, directory):
    calm[0].swap_mib(7)
    calm[1].swap_mib(7)
    apfd = start()
    wait_for("the host to be calm", lambda: automatic(apfd, ROOT) == ("waiting", "no VM needs a recall now"))
    assert automatic(apfd) == ("not-needed", "less than 8 MiB on swap")
    write(f"{directory}/etc/apfd/apfd.conf", "[Daemon]\nDryRun=yes\n[Recall]\nWhenCalm=1s\n")
    apfd.object(ROOT, MANAGER).Reload()
    # Not before: it would be recalled at once.
    calm[0].swap_mib(20)
    let_pass(2.5)
    assert automatic(apfd) == automatic(apfd, ROOT) == ("off", "DryRun=yes")
    assert started(apfd) == []
