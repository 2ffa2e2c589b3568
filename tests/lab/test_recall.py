# SPDX-License-Identifier: GPL-2.0
"""Memory brought back from swap ahead of need: what a guest gains, what it costs others, what is refused."""

import json
import time

import pytest

from apflab import VM
from apflab.logs import no_trouble
from apflab.recovery import LOAD, go_on, push_out, recall, recovery

REGION_MIB = 40
PUSHED_MIB = 52
# With less on swap a test says little.
ENOUGH_BYTES = 24 << 20


@pytest.fixture(scope="module")
def host_with_apfd(host):
    """Without apf_host: a recall does not need it."""
    host.run("rmmod apf_host 2>/dev/null; systemctl mask --runtime modprobe@apf_host.service; systemctl restart apfd",
             check=False, timeout=120)
    host.since = int(host.run("date +%s").stdout)
    yield host
    host.run("systemctl stop apfd; systemctl unmask --runtime modprobe@apf_host.service", check=False, timeout=120)


@pytest.fixture(scope="module")
def guest(host_with_apfd):
    with VM(host_with_apfd, "slow", workload=LOAD.format(mib=REGION_MIB), limit_mib=0) as vm:
        vm.wait_ready()
        yield vm


def known(host, vm):
    """apfd is on the bus before a slow libvirt has told it of its VMs."""
    host.wait_for(f"apfctl status {vm.name}", 30, f"{vm.name} to be known")


def test_memory_is_back_sooner(host, guest):
    known(host, guest)
    pushed = push_out(guest, PUSHED_MIB)
    assert pushed > ENOUGH_BYTES
    alone, _ = recovery(guest, False, 300)

    pushed = push_out(guest, PUSHED_MIB)
    assert pushed > ENOUGH_BYTES
    recalled, lines = recovery(guest, True, 300)
    print(f"{pushed >> 20} MiB on swap: 95 % back after {alone:.1f} s alone, after {recalled:.1f} s with recall; {lines[-1]}")
    assert lines[-1]["state"] == "done"
    assert lines[-1]["done_bytes"] > pushed / 2
    assert recalled < alone / 2


def test_pages_are_mapped_and_off_swap(host, guest):
    """The guest does nothing: all that comes back is the recall's."""
    pushed = push_out(guest, PUSHED_MIB)
    lines = recall(guest)
    left = guest.swapped_kib() << 10
    go_on(guest)
    print(f"{pushed >> 20} MiB on swap, {left >> 10} KiB after {lines[-1]['elapsed_sec']:.1f} s; {len(lines)} lines")
    assert lines[-1]["done_bytes"] >= 0.95 * pushed
    assert left < 0.05 * pushed


def test_unit_lets_pages_be_read_ahead(host, guest):
    """Without process_madvise(), which needs CAP_SYS_NICE, pages are read one after the other: much longer."""
    pushed = push_out(guest, PUSHED_MIB)
    host.run("mkdir -p /run/systemd/system/apfd.service.d; "
             "printf '[Service]\\nCapabilityBoundingSet=~CAP_SYS_NICE\\n' >/run/systemd/system/apfd.service.d/nice.conf; "
             "systemctl daemon-reload; systemctl restart apfd")
    known(host, guest)
    slow = recall(guest)[-1]
    host.run("rm /run/systemd/system/apfd.service.d/nice.conf; systemctl daemon-reload; systemctl restart apfd")
    known(host, guest)
    pushed_again = push_out(guest, PUSHED_MIB)
    fast = recall(guest)[-1]
    go_on(guest)
    per_mib = slow["elapsed_sec"] / (pushed >> 20), fast["elapsed_sec"] / (pushed_again >> 20)
    print(f"seconds per MiB: {per_mib[0]:.3f} by touching alone, {per_mib[1]:.3f} with reading ahead")
    assert slow["state"] == fast["state"] == "done"
    assert per_mib[1] < per_mib[0] / 2


def test_refused_and_ended_where_the_limit_is(host, guest):
    """A limit that is too low for what is on swap; then one that is lowered on the way."""
    def oom_kills():
        return host.run("sed -n 's/^oom_kill //p' /proc/vmstat").stdout

    killed = oom_kills()
    pushed = push_out(guest, PUSHED_MIB)
    group = guest.cgroup()
    # apfd reads the VM's figures once a second, and those of a VM that does nothing more seldom
    host.wait_for(lambda: json.loads(host.run(f"apfctl status --json {guest.name}").stdout)["swapped_bytes"]
                  > 0.9 * pushed, 60, "apfd to know what is on swap")
    current = int(guest.cgroup_read("memory.current"))
    host.run(f"echo {current + pushed // 4} >'{group}/memory.max'")
    refused = host.run(f"apfctl recall {guest.name}", check=False)
    assert refused.rc == 1 and "below the limit of the control group" in refused.stderr, refused
    assert guest.swapped_kib() << 10 > 0.9 * pushed

    host.run(f"echo max >'{group}/memory.max'")
    host.run(f"systemd-run -q --unit=recall-lowered -p StandardOutput=file:/run/lab/lowered.json -p RemainAfterExit=yes "
             f"apfctl recall --json --rate 4M {guest.name}")
    host.wait_for("""grep -q '"done_bytes": *[1-9]' /run/lab/lowered.json""", 60, "the recall to have begun")
    host.run(f"echo $(($(cat '{group}/memory.current') + 4194304)) >'{group}/memory.max'")
    host.wait_for("grep -q elapsed_sec /run/lab/lowered.json", 60, "the recall to end")
    last = json.loads(host.read("/run/lab/lowered.json").splitlines()[-1])
    status = host.run("systemctl show -P ExecMainStatus recall-lowered").stdout.strip()
    host.run(f"echo max >'{group}/memory.max'; systemctl stop recall-lowered")
    assert last["state"] == "no-room" and 0 < last["done_bytes"] < last["total_bytes"], last
    assert status == "0", "a limit that is lowered is no error"
    assert oom_kills() == killed
    go_on(guest)


def test_cancelled(host, guest):
    push_out(guest, PUSHED_MIB)
    # One signal: to the second apfctl does not wait for the end. And not before it has begun.
    host.run("rm -f /run/lab/cancelled*; systemd-run -q --unit=recall-cancelled -p RemainAfterExit=yes "
             "-p StandardOutput=file:/run/lab/cancelled.json -p StandardError=file:/run/lab/cancelled "
             f"apfctl recall --json --rate 1M {guest.name}")
    host.wait_for("[ -s /run/lab/cancelled.json ]", 60, "the recall to have begun")
    host.run("systemctl kill -s INT recall-cancelled")
    host.wait_for("[ $(systemctl show -P MainPID recall-cancelled) = 0 ]", 60, "the recall to end")
    status = host.run("systemctl show -P ExecMainStatus recall-cancelled").stdout.strip()
    host.run("systemctl stop recall-cancelled; systemctl reset-failed recall-cancelled", check=False)
    text = host.read("/run/lab/cancelled")
    assert "cancelled" in text and status == "1", (status, text)
    go_on(guest)


MEMFD = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"


def group_swap(vm):
    """On swap, and not in the swap cache: VmSwap does not contain shared memory."""
    stat = dict(line.split() for line in vm.cgroup_read("memory.stat").splitlines())
    return int(vm.cgroup_read("memory.swap.current")) - int(stat["swapcached"])


def test_shared_memory(host, host_with_apfd):
    """A guest in a memfd, as for virtiofs: the page table does not tell what is on swap, the file does."""
    with VM(host, "shared", workload=LOAD.format(mib=REGION_MIB), limit_mib=0) as vm:
        vm.stop()
        vm.xml = vm.xml.replace("<vcpu ", MEMFD + "<vcpu ", 1)
        vm.start().wait_ready()
        push_out(vm, PUSHED_MIB)
        pushed = group_swap(vm)
        assert pushed > ENOUGH_BYTES and vm.swapped_kib() << 10 < pushed / 2
        allocated = int(vm.cgroup_read("memory.current")) + pushed
        line = recall(vm)[-1]
        left = group_swap(vm)
        print(f"memfd: {pushed >> 20} MiB on swap, {left >> 20} MiB left after {line['elapsed_sec']:.1f} s")
        assert line["state"] == "done" and left < 0.1 * pushed
        # Pages that the guest has never used are not allocated.
        assert int(vm.cgroup_read("memory.current")) < allocated + (16 << 20)
        go_on(vm)


def configure(host, *lines):
    host.write("/etc/apfd/apfd.conf.d/50-recall.conf", "\n".join(("[Recall]",) + lines) + "\n")
    host.run("systemctl restart apfd")


def automatic(host, vm):
    [vm] = [each for each in json.loads(host.run("apfctl list --json").stdout) if each["name"] == vm.name]
    return vm["auto_recall"]


def journal(host, since):
    return host.run(f"journalctl -u apfd --since @{since} -o cat").stdout


@pytest.fixture
def when_calm(host, guest):
    yield lambda *lines: configure(host, *lines)
    host.run("rm -f /etc/apfd/apfd.conf.d/50-recall.conf; systemctl restart apfd")
    known(host, guest)
    go_on(guest)


def test_when_calm(host, guest, when_calm):
    """Memory returns by itself when nothing is written to swap any more; but not at once a second time."""
    since = int(host.run("date +%s").stdout)
    # apfd is told of it last: the host may look calm while a slow machine pushes the memory out.
    pushed = push_out(guest, PUSHED_MIB)
    assert pushed > ENOUGH_BYTES
    when_calm("WhenCalm=5s", "CalmRatePerSec=64M")
    known(host, guest)
    host.wait_for(lambda: guest.swapped_kib() << 10 < 0.1 * pushed, 180, "an automatic recall")
    host.wait_for(lambda: "were brought back from swap, automatically" in journal(host, since), 60, "its end")
    print(f"{pushed >> 20} MiB on swap, {guest.swapped_kib()} KiB after an automatic recall")
    assert f"VM {guest.name}: apfd brings about " in journal(host, since)

    # On swap again: it is left alone, although the host is calm.
    pushed = push_out(guest, PUSHED_MIB)
    host.wait_for(lambda: automatic(host, guest)["state"] == "paused", 60, "the pause")
    assert "recalled automatically not long ago" in host.run(f"apfctl status {guest.name}").stdout
    time.sleep(30)
    assert guest.swapped_kib() << 10 > 0.9 * pushed


def test_logs_are_clean(host, guest):
    no_trouble(host.dmesg())
    no_trouble(guest.console())
