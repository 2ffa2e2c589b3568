# SPDX-License-Identifier: GPL-2.0
"""apf_guest in guests that swap: nobody stays asleep, whatever is done to the module or the guest."""

import os
import re
import struct
import time

import pytest

from apflab import VM, Timeout, checkers
from apflab.logs import no_trouble
from apflab.netlink import ON
from apflab.patience import patient

LOAD = "-p -f 4 -w 1 -m 220 -t 0"
# Enough turns to catch a CPU in any state; a quick look may do with less.
TURNS = int(os.environ.get("APF_LAB_TURNS", "50"))
RESCUE_MS = 3000
# Longer than any sleep apf_guest allows by default: who has slept so long is not waiting for a rescue.
HANG_SEC = 20
PARAM = "/sys/module/apf_guest/parameters"
TEST = "/sys/module/apf_test/parameters"
STATS = "/sys/module/apf_guest/stats"
APF_ON = 1


def watch(nl, guest):
    """Have its swap-ins made asynchronous, on hosts that need help for that."""
    nl.set(nl.add(guest.pid), ON)
    return guest


@pytest.fixture(scope="module")
def guest(host, nl):
    """Two vCPUs under swap load, without the module at first."""
    with VM(host, "guest", vcpus=2, workload=LOAD) as vm:
        vm.wait_ready()
        yield watch(nl, vm)
        if vm.alive():
            checkers.finish_guest(vm)


@pytest.fixture
def loaded(guest):
    """The module in, and the one that spoils things for it; out again afterwards, with every wait ended."""
    sh(guest, f"insmod /modules/apf_test.ko && insmod /modules/apf_guest.ko rescue_ms={RESCUE_MS} age_ms=2000")
    until(guest, lambda: figures(guest)["waits"] > 50, "faults that go through the module")
    yield guest
    sh(guest, "rmmod apf_test", 120)
    if guest.run("[ -d /sys/module/apf_guest ]")[0] == 0:
        all_ended(sh(guest, "rmmod apf_guest; dmesg | grep 'apf_guest: unloaded' | tail -1", 120))


def sh(guest, cmd, timeout=60):
    rc, out = guest.run(cmd, timeout=timeout)
    assert rc == 0, f"{cmd}: {rc}: {out}"
    return out


def until(guest, condition, what, timeout=60):
    deadline = time.monotonic() + patient(timeout)
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < deadline, f"not in {patient(timeout):.0f} s: {what}"
        time.sleep(0.5)


def figures(guest, cpu=None):
    folder = STATS if cpu is None else f"{STATS}/cpu{cpu}"
    # builtins only: a fork takes its time in a guest that swaps
    out = sh(guest, f"cd {folder}; for f in *; do [ -d $f ] || {{ read v <$f; echo $f $v; }}; done")
    return {name: int(value, 0) for name, value in (line.split() for line in out.splitlines() if line)}


def inject(guest, **what):
    sh(guest, " && ".join(f"echo {n} >{TEST}/{name}" for name, n in what.items()))


def lost_is_not_slow(guest):
    """For tests in which nobody may be rescued: a page that takes seconds on a starved machine is late,
    not lost. A sleeper whose wake is lost is still found, by nobody_stuck() and the count of rescues.
    Returns that count: a machine that stood still before has some already."""
    sh(guest, f"echo 20000 >{PARAM}/rescue_ms")
    return figures(guest)["rescues"]


def all_ended(line):
    """The line of the unload: every wait was ended by somebody."""
    found = re.search(r"waits (\d+) = wakes (\d+) \+ rescues (\d+) \+ broadcasts (\d+);", line)
    assert found, line
    waits, wakes, rescues, broadcasts = map(int, found.groups())
    assert waits == wakes + rescues + broadcasts, line
    return waits, wakes, rescues, broadcasts


def nobody_stuck(guest, timeout=60):
    """Every thread of the load has gone to sleep and come back since the call began.

    Sleeping threads are to be expected, the load swaps; a stuck one never switches again.
    """
    switches = ("for t in /proc/$(pidof workload | cut -d' ' -f1)/task/*; do "
                "echo ${t##*/} $(sed -n 's/^voluntary_ctxt_switches:.//p;s/^nonvoluntary_ctxt_switches:.//p' $t/status); done")

    def read():
        rows = (line.split() for line in sh(guest, switches, timeout).splitlines() if line)
        return {row[0]: row[1:] for row in rows}

    before = read()
    assert len(before) >= 6
    # the main thread sleeps between two samples, the others fault and work
    until(guest, lambda: all(read()[t] != n for t, n in before.items()), "each thread getting on", timeout)


def test_selftests_pass(loaded):
    sh(loaded, f"echo 1 >{TEST}/selftest", 300)
    assert re.fullmatch(r"pass \d+ fail 0", sh(loaded, f"cat {TEST}/selftest").strip())
    log = sh(loaded, "dmesg | sed -n '/KTAP version 1/,$p'")
    plan = int(re.search(r"1\.\.(\d+)", log).group(1))
    assert plan >= 12
    assert len(re.findall(r"^\S* ?.*\] ok \d+ ", log, re.M)) == plan
    assert "not ok" not in log


def read_block(host, guest, cpu):
    """The report block as the host finds it: the register's address, and the guest's memory there."""
    address = (figures(guest, cpu)["msr"] & ~0x3f) + 8
    out = host.run(f"virsh -q qemu-monitor-command {guest.name} --hmp 'xp /14xw {address:#x}'").stdout
    words = [int(w, 16) for line in out.splitlines() if ":" in line for w in line.split(":")[1].split()]
    return struct.pack("<14I", *words)


def test_report_block_says_what_sysfs_says(host, loaded):
    names = ("magic", "version", "flags", "seq", "pool_size", "pool_in_use", "pool_taken", "pool_exhausted",
             "sleepers", "early_wakes", "rescues", "unknown_tokens", "oldest_sleeper_ms", "waits", "wakes", "stuck")
    for cpu in (0, 1):
        before = figures(loaded, cpu)
        block = dict(zip(names, struct.unpack("<IHHIHH10I", read_block(host, loaded, cpu))))
        after = figures(loaded, cpu)
        assert (block["magic"], block["version"], block["stuck"]) == (0x41504647, 2, 0)
        assert block["pool_size"] == 1 and block["flags"] == 0
        # Taken while the guest runs: between the two looks at sysfs.
        for name in ("waits", "wakes", "rescues", "early_wakes", "pool_taken", "pool_exhausted", "unknown_tokens"):
            assert before[name] <= block[name] <= after[name], name
        assert block["waits"] > 0


def test_load_and_unload_under_load(host, guest):
    worked = 0
    for first in range(0, TURNS, 10):
        # Longer and shorter than a swap-in takes. Ten in one go: a program started in a guest that swaps, and the
        # way there and back, take longer than the rest.
        naps = [f"0.{turn % 10}" for turn in range(first, min(first + 10, TURNS))]
        out = sh(guest, f"for nap in {' '.join(naps)}; do "
                        "insmod /modules/apf_guest.ko && sleep $nap && rmmod apf_guest || exit 1; done; "
                        f"dmesg | grep 'apf_guest: unloaded' | tail -{len(naps)}", 300)
        lines = out.splitlines()
        assert len(lines) == len(naps), out
        for line in lines:
            waits, _wakes, rescues, _broadcasts = all_ended(line)
            assert rescues == 0, "a wake was lost"
            worked += waits > 0
    assert worked > TURNS / 2, "no faults: the test says nothing"
    nobody_stuck(guest)
    # zeros again, which is the condition for a load
    assert guest.run("insmod /modules/apf_guest.ko && rmmod apf_guest", timeout=120)[0] == 0


@pytest.fixture
def lossy(guest):
    """The test module in: it loses page-ready events of the load, whoever's table they are for."""
    sh(guest, "insmod /modules/apf_test.ko comm=workload")
    yield guest
    # a test that failed may leave somebody asleep, and nothing of ours in charge
    sh(guest, "rmmod apf_test; if [ -d /sys/module/apf_guest ]; then rmmod apf_guest; fi", 120)


def lose_one(guest):
    """Have one page-ready event lost; who waited for it."""
    sh(guest, f"echo 1 >{TEST}/misdirect")
    until(guest, lambda: sh(guest, f"cat {TEST}/misdirect").strip() == "0", "a page-ready event to lose")
    return int(sh(guest, f"cat {TEST}/victims"))


def look(guest, tid):
    """State of a thread of the load, how often it went to sleep of itself, and where it sleeps."""
    out = sh(guest, f"cd /proc/$(pidof workload | cut -d' ' -f1)/task/{tid} && "
                    "sed -n 's/^State:.\\(.\\).*/\\1/p; s/^voluntary_ctxt_switches:.//p' status && cat stack").splitlines()
    return out[0], int(out[1]), "\n".join(out[2:])


def runs_again(guest, tid, timeout=30):
    """It goes to sleep and comes back, more than once."""
    switches = look(guest, tid)[1]
    until(guest, lambda: look(guest, tid)[1] > switches + 3, f"thread {tid} at work", timeout)


def test_lost_wake_hangs_for_ever_without_us(lossy):
    tid = lose_one(lossy)
    state, switches, stack = look(lossy, tid)
    assert state == "D" and "kvm_async_pf_task_wait_schedule" in stack
    began = time.monotonic()
    while time.monotonic() - began < HANG_SEC:
        time.sleep(2)
        assert look(lossy, tid) == (state, switches, stack), "it has moved"
    # all the while the others get on: it is this wake that is missing, not the swap
    others = "cat /proc/$(pidof workload | cut -d' ' -f1)/task/*/status | grep ^voluntary"
    before = sh(lossy, others)
    until(lossy, lambda: sh(lossy, others) != before, "the others getting on")
    assert look(lossy, tid) == (state, switches, stack)

    # the load of the module wakes all that sleep in the kernel's table
    sh(lossy, f"insmod /modules/apf_guest.ko rescue_ms={RESCUE_MS} age_ms=2000", 120)
    runs_again(lossy, tid)
    nobody_stuck(lossy)
    all_ended(sh(lossy, "rmmod apf_guest; dmesg | grep 'apf_guest: unloaded' | tail -1", 120))


def test_the_same_lost_wake_is_rescued_with_us(lossy):
    sh(lossy, f"insmod /modules/apf_guest.ko rescue_ms={RESCUE_MS} age_ms=2000", 120)
    until(lossy, lambda: figures(lossy)["waits"] > 50, "faults that go through the module")
    before = figures(lossy)
    tid = lose_one(lossy)
    until(lossy, lambda: figures(lossy)["rescues"] > before["rescues"], "the rescue", HANG_SEC)
    runs_again(lossy, tid)
    nobody_stuck(lossy)
    # where it went nobody waited: taken for early, and dropped
    until(lossy, lambda: figures(lossy)["aged"] > before["aged"], "the misdirected wake to age")
    all_ended(sh(lossy, "rmmod apf_guest; dmesg | grep 'apf_guest: unloaded' | tail -1", 120))


def test_dropped_wake_is_rescued(loaded):
    rescues = figures(loaded)["rescues"]
    inject(loaded, drop=3)
    # one more where a page took so long
    until(loaded, lambda: figures(loaded)["rescues"] >= rescues + 3, "three rescues")
    nobody_stuck(loaded)


def test_without_rescue_it_sleeps_until_the_unload(loaded):
    # one of the load: it could be the shell that is to tell of it
    sh(loaded, f"echo workload >{TEST}/comm")
    sh(loaded, f"echo 0 >{PARAM}/rescue_ms")
    inject(loaded, misdirect=1)
    until(loaded, lambda: figures(loaded)["oldest_sleeper_ms"] > 2 * RESCUE_MS, "a sleeper nobody wakes")
    line = sh(loaded, "rmmod apf_guest; dmesg | grep 'apf_guest: unloaded' | tail -1", 120)
    assert all_ended(line)[3] >= 1
    nobody_stuck(loaded)


def test_wake_delayed_past_the_rescue_is_late_not_early(loaded):
    # remembered for longer than any wake may be late
    sh(loaded, f"echo 60000 >{PARAM}/age_ms")
    before = figures(loaded)
    inject(loaded, ms=RESCUE_MS + 7000, delay=2)
    until(loaded, lambda: figures(loaded)["late"] >= before["late"] + 2, "two late wakes")
    now = figures(loaded)
    assert now["rescues"] >= before["rescues"] + 2
    assert now["early_wakes"] == before["early_wakes"]
    nobody_stuck(loaded)


def test_emergency_node_used_and_returned(loaded):
    # One fault has to find no memory for the wake that overtakes it. Long enough to look at, in a guest
    # whose answers take seconds, and from the host; the node must come back with its fault, not age out.
    sh(loaded, f"echo 120000 >{PARAM}/age_ms")
    inject(loaded, ms=40000, refuse=1, hold=1)
    found = sh(loaded, f"""cd {STATS}; n=0
        while [ $n -lt 200 ]; do
            for c in 0 1; do
                read used <cpu$c/pool_in_use
                [ $used = 0 ] || {{ echo $c; exit 0; }}
            done
            sleep 0.1; n=$((n+1))
        done; exit 1""")
    cpu = int(found)
    during = figures(loaded, cpu)
    assert during["msr"] & APF_ON == 0
    assert figures(loaded, 1 - cpu)["msr"] & APF_ON
    block = struct.unpack("<IHHIHH10I", read_block(loaded.host, loaded, cpu))
    assert block[2] == 1 and block[5] == 1 and block[6] == 1, "the host is not told"
    until(loaded, lambda: figures(loaded, cpu)["pool_in_use"] == 0, "the node back")
    after = figures(loaded, cpu)
    assert after["aged"] == 0
    assert after["msr"] & APF_ON
    assert (after["pool_taken"], after["pool_exhausted"]) == (1, 0)
    waits = after["waits"]
    until(loaded, lambda: figures(loaded, cpu)["waits"] > waits + 10, "faults on this CPU again")
    nobody_stuck(loaded)


def stamp(guest, text):
    """Seconds in the kernel log of the last line with @text."""
    line = sh(guest, f"dmesg | grep '{text}' | tail -1")
    return float(re.search(r"\[ *(\d+\.\d+)\]", line).group(1))


def slots(guest):
    """The word of each CPU by which the host says which page is there."""
    return [int(word, 0) for word in sh(guest, f"cat {TEST}/slots").split()]


def test_stuck_slot_is_freed(loaded):
    rescues = lost_is_not_slow(loaded)
    before = figures(loaded, 1)
    # an event whose interrupt never came: without help no other would ever come to this CPU
    sh(loaded, f"echo 1 >{TEST}/stick")
    until(loaded, lambda: figures(loaded, 1)["stuck"] == before["stuck"] + 1, "the slot to be found stuck")
    # both lines by the clock of the guest
    took = stamp(loaded, "apf_guest: CPU 1: the interrupt for page-ready") - stamp(loaded, "apf_test: CPU 1: its page-ready slot")
    # sooner than by the rescue after 20 s; a machine may stand still for some seconds meanwhile
    assert 1 <= took < patient(4)
    waits = figures(loaded, 1)["wakes"]
    until(loaded, lambda: figures(loaded, 1)["wakes"] > waits + 20, "wakes on this CPU again")
    nobody_stuck(loaded)
    assert figures(loaded)["rescues"] == rescues, "a wake was lost"
    assert figures(loaded, 0)["stuck"] == 0 and figures(loaded, 1)["stuck"] == before["stuck"] + 1


def test_slot_stuck_by_the_kernel_is_freed_at_load(guest):
    """A CPU goes offline with an event under way: the kernel's handler neither clears the slot nor acknowledges."""
    online = "/sys/devices/system/cpu/cpu1/online"
    sh(guest, f"insmod /modules/apf_test.ko && echo 1 >{TEST}/offline && echo 0 >{online} && echo 1 >{online}")
    try:
        assert sh(guest, f"cat {TEST}/offline").strip() == "0", "the CPU went offline some other way"
        word = slots(guest)[1]
        assert word != 0, "the kernel has cleared the slot: nothing to cure"
        time.sleep(3)
        assert slots(guest)[1] == word, "the slot is not stuck"
        sh(guest, f"insmod /modules/apf_guest.ko rescue_ms={RESCUE_MS}", 120)
        assert (figures(guest, 0)["stuck"], figures(guest, 1)["stuck"]) == (0, 1)
        waits = figures(guest, 1)["wakes"]
        until(guest, lambda: figures(guest, 1)["wakes"] > waits + 20, "wakes on this CPU")
        nobody_stuck(guest)
        all_ended(sh(guest, "rmmod apf_guest; dmesg | grep 'apf_guest: unloaded' | tail -1", 120))
    finally:
        sh(guest, "rmmod apf_test; if [ -d /sys/module/apf_guest ]; then rmmod apf_guest; fi", 120)


def test_hooks_that_do_not_come_out_keep_the_module(loaded):
    inject(loaded, cling=2)
    line = sh(loaded, "rmmod apf_guest; dmesg | grep 'apf_guest: unloaded' | tail -1", 120)
    all_ended(line)
    assert sh(loaded, f"cat {TEST}/cling").strip() == "0"
    # twice a second, in which the text was still there
    assert stamp(loaded, "apf_guest: unloaded") - stamp(loaded, "ftrace does not remove the hooks") >= 2
    nobody_stuck(loaded)


def test_given_up_when_faults_do_not_arrive(vm):
    """Page-ready events without a single fault: the tasks sleep somewhere else, so the module hands back."""
    guest = vm("unhooked", vcpus=2, workload=None, limit_mib=0)
    sh(guest, "insmod /modules/apf_test.ko && insmod /modules/apf_guest.ko")
    assert figures(guest)["active"] == 1
    if figures(guest)["waits"] + figures(guest)["refused"]:
        pytest.fail("this guest has faulted: the test says nothing")
    sh(guest, f"echo 0 >{TEST}/stray")
    until(guest, lambda: figures(guest)["active"] == 0, "the module to give up")
    assert "the kernel's own table is in use again" in sh(guest, "dmesg | grep 'apf_guest: ' | tail -1")
    assert sh(guest, "cat /sys/kernel/tracing/enabled_functions | grep -c apf || true").strip() == "0"
    for cpu in (0, 1):
        now = figures(guest, cpu)
        assert now["report"] == 0 and now["msr"] & APF_ON
    sh(guest, "rmmod apf_guest && rmmod apf_test", 120)


def test_cpu_offline_and_online(loaded):
    rescues = lost_is_not_slow(loaded)
    online = "/sys/devices/system/cpu/cpu1/online"
    for _turn in range(5):
        sh(loaded, f"echo 0 >{online}")
        assert sh(loaded, f"cat {STATS}/cpu1/report").strip() == "0"
        sh(loaded, f"sleep 0.5; echo 1 >{online}")
        assert figures(loaded, 1)["report"] == 1
        assert figures(loaded, 1)["msr"] & APF_ON
    waits = figures(loaded, 1)["waits"]
    until(loaded, lambda: figures(loaded, 1)["waits"] > waits, "faults on the CPU that is back")
    nobody_stuck(loaded)
    assert figures(loaded)["rescues"] == rescues, "a wake was lost"


def suspend_and_resume(guest):
    """The channel of commands may not come back by itself: Linux 7.3 takes the host for gone until it connects again."""
    sh(guest, "rm -f /run/pm; (echo core >/sys/power/pm_test; echo mem >/sys/power/state; rc=$?; "
              "echo none >/sys/power/pm_test; echo $rc >/run/pm) >/dev/null 2>&1 &")
    deadline = time.monotonic() + patient(120)
    while time.monotonic() < deadline:
        try:
            rc, out = guest.run("cat /run/pm", timeout=5)
            if rc == 0:
                return int(out)
        except Timeout:
            pass
        guest.detach()
    raise Timeout("no end of the suspend")


def test_suspend_and_resume(loaded):
    # everything but the last step into the firmware
    assert suspend_and_resume(loaded) == 0
    for cpu in (0, 1):
        now = figures(loaded, cpu)
        assert now["report"] == 1 and now["msr"] & APF_ON
    nobody_stuck(loaded)
    waits = figures(loaded)["waits"]
    until(loaded, lambda: figures(loaded)["waits"] > waits + 10, "faults after the resume")


def test_tracing_cannot_be_switched_off_under_it(loaded):
    rescues = lost_is_not_slow(loaded)
    assert loaded.run("echo 0 >/proc/sys/kernel/ftrace_enabled")[0] != 0
    # nor is the redirect skipped where others trace the same functions, those of them that this kernel has
    sh(loaded, "cd /sys/kernel/tracing; grep -xE 'kvm_async_pf_task_(wait_schedule|wake)|__sysvec_kvm_asyncpf_interrupt' "
               "available_filter_functions >set_ftrace_filter; echo function >current_tracer")
    waits = figures(loaded)["waits"]
    until(loaded, lambda: figures(loaded)["waits"] > waits + 50, "faults while traced")
    sh(loaded, "cd /sys/kernel/tracing; echo nop >current_tracer; echo >set_ftrace_filter")
    nobody_stuck(loaded)
    assert figures(loaded)["rescues"] == rescues, "a wake went to the other table"


def test_save_and_restore_with_faults_outstanding(host, nl, alone):
    # not more of it swapped out than is needed to fault: the save reads it back, 5 ms a piece
    with VM(host, "saved", vcpus=2, workload="-f 4 -w 1 -m 195 -t 0", insmod=f"apf_guest rescue_ms={RESCUE_MS}") as vm:
        vm.wait_ready()
        watch(nl, vm)
        until(vm, lambda: figures(vm)["waits"] > 50, "faults")
        host.run("virsh -q save saved /run/lab/saved.img", timeout=300)
        vm.detach()
        host.run("virsh -q restore /run/lab/saved.img && cat /run/libvirt/qemu/saved.pid >/run/lab/saved.pid; "
                 "rm -f /run/lab/saved.img", timeout=300)
        vm._pid = int(host.read("/run/libvirt/qemu/saved.pid"))
        watch(nl, vm)
        # all of it is cold now, the agent's shell included
        nobody_stuck(vm, 240)
        # the load's four, once the shell and the rest of the guest are back
        until(vm, lambda: figures(vm)["sleepers"] <= 4, "no sleepers but the load's", 120)
        waits = figures(vm)["waits"]
        until(vm, lambda: figures(vm)["waits"] > waits + 10, "faults after the restore", 120)


def test_guest_reboots(host, nl, alone):
    with VM(host, "reboots", vcpus=2, workload=LOAD, insmod="apf_guest") as vm:
        vm.wait_ready()
        watch(nl, vm)
        until(vm, lambda: figures(vm)["waits"] > 50, "faults")
        # the lab's guests end where others would come up again
        vm.run("(sleep 1; reboot -f) >/dev/null 2>&1 &")
        host.wait_for(lambda: not vm.alive(), 60, "the end of the guest")
        no_trouble(vm.console())


@pytest.mark.parametrize("kwargs, text", [
    ({"cmdline": "no-kvmapf"}, "APF is off on CPU 0 (no-kvmapf?), not loading"),
    # QEMU's named models do not have the flag
    ({"cpu": "EPYC"}, "the host does not offer kvm-asyncpf-int, not loading"),
])
def test_refused_with_one_line_and_nothing_changed(vm, kwargs, text):
    guest = vm("refused", workload=None, **kwargs)
    rc, _out = guest.run("insmod /modules/apf_guest.ko")
    assert rc != 0
    # busybox tries twice, with either system call
    log = [x.split("] ", 1)[1] for x in sh(guest, "dmesg").splitlines() if "apf_guest: " in x and "taint" not in x]
    assert 1 <= len(log) <= 2 and set(log) == {f"apf_guest: {text}"}
    assert guest.run("[ -d /sys/module/apf_guest ]")[0] != 0
    assert sh(guest, "cat /sys/kernel/tracing/enabled_functions").strip() == ""


def test_refused_where_there_is_no_kvm(host, nl, alone):
    """The host itself: no KVM guest under software emulation, one with hardware virtualisation."""
    is_guest = host.run("systemd-detect-virt", check=False).stdout.strip() == "kvm"
    refused = host.run("insmod /lib/modules/$(uname -r)/updates/apf_guest.ko", check=False).rc != 0
    log = [x for x in host.dmesg().splitlines() if "apf_guest: " in x]
    assert any("this is not a KVM guest, not loading" in x for x in log) == (not is_guest)
    assert refused or is_guest
    host.run("rmmod apf_guest", check=is_guest and not refused)


def test_refused_without_ftrace(vm):
    guest = vm("noftrace", workload=None)
    rc, out = guest.run("echo 0 >/proc/sys/kernel/ftrace_enabled")
    if rc:
        # Debian's 7.3 does not let anybody switch ftrace off: there is nothing to refuse
        assert "Operation not supported" in out
        return
    rc, _out = guest.run("insmod /modules/apf_guest.ko")
    assert rc != 0
    assert "no ftrace with registers for kvm_async_pf_task_wait_schedule" in sh(guest, "dmesg | grep 'apf_guest: ' | tail -1")
    # what was switched off for the attempt is on again
    sh(guest, "echo 1 >/proc/sys/kernel/ftrace_enabled && insmod /modules/apf_guest.ko")
    assert figures(guest, 0)["msr"] & APF_ON
    sh(guest, "rmmod apf_guest")


def test_parameters_out_of_range(vm):
    guest = vm("params", workload=None)
    for bad in ("rescue_ms=99", "age_ms=0", "rescue_ms=86400001"):
        assert guest.run(f"insmod /modules/apf_guest.ko {bad}")[0] != 0, bad
    # one of an earlier version, which somebody may still have in a file, is no reason to refuse
    sh(guest, "insmod /modules/apf_guest.ko rescue_ms=0 pool=8")
    assert figures(guest, 0)["pool_size"] == 1
    assert sh(guest, f"cat {PARAM}/rescue_ms").strip() == "0"
    # what costs an exit to the host, or every lock of the table, is not for everybody
    modes = sh(guest, f"cd {STATS}; stat -c '%n %a' sleepers_in_table cpu0/msr cpu0/waits").split()
    assert modes == ["sleepers_in_table", "400", "cpu0/msr", "400", "cpu0/waits", "444"]
    sh(guest, "rmmod apf_guest")


def test_nothing_bad_in_the_guest_log(guest):
    """Last in this file: what all of the above left behind."""
    no_trouble(sh(guest, "dmesg"))
