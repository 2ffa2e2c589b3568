# SPDX-License-Identifier: GPL-2.0
"""Mode auto on real swap: a calm guest, one that bursts and one that thrashes; and zram."""

import json
import time

import pytest

from apflab import VM
from apflab.errors import CommandFailed
from apflab.logs import no_trouble
from apflab.netlink import OFF, ON, Netlink
from apflab.patience import patient

# Gates that follow the pressure show what is decided; the state of rest has a test of its own.
CONF = """[Policy]
Rest=off
LeaveHoldSec=5
MinDwellSec=3
FlapWindowSec=0
"""
# Before Linux 6.5 the kernel tells of pressure only to those who have this. And one test stops apfd for longer
# than systemd would wait.
DROP_IN = """[Service]
CapabilityBoundingSet=CAP_SYS_RESOURCE
WatchdogSec=0
"""
MONITOR = "/run/lab/monitor.json"
FIGURES = "/run/lab/figures.json"
ENTER_STALL, ENTER_RATE = 0.05, 200


@pytest.fixture(scope="module")
def nl(host):
    nl = Netlink(host).load()
    nl.begin_sec = now(host) // 1000000
    host.run("mkdir -p /etc/apfd/apfd.conf.d")
    host.write("/etc/apfd/apfd.conf.d/50-test.conf", CONF)
    host.run("mkdir -p /etc/systemd/system/apfd.service.d")
    host.write("/etc/systemd/system/apfd.service.d/50-test.conf", DROP_IN)
    host.run("systemctl daemon-reload; systemctl restart apfd")
    # Everything apfd says, with the time of this host.
    host.run(f"systemd-run -q --unit=apf-monitor -p StandardOutput=file:{MONITOR} "
             "busctl --json=short --match=\"type='signal',path_namespace='/org/apfd'\" monitor")
    # Its figures, which are read, not announced.
    host.run(f"systemd-run -q --unit=apf-figures -p StandardOutput=file:{FIGURES} "
             "apfctl top --json --interval 0.5")
    yield nl
    host.run("systemctl stop apf-monitor apf-figures; rm /etc/apfd/apfd.conf.d/50-test.conf "
             "/etc/systemd/system/apfd.service.d/50-test.conf; systemctl daemon-reload; systemctl stop apfd; "
             "rmmod apf_host", check=False, timeout=120)


def plain(value):
    """What busctl prints, without the types it names."""
    if isinstance(value, dict):
        if set(value) == {"type", "data"}:
            return plain(value["data"])
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


def call(host, vm, method):
    path = "/org/apfd/vm/" + vm.uuid.replace("-", "_")
    out = host.run(f"busctl --json=short call org.apfd {path} org.apfd.VM1 {method}").stdout
    return plain(json.loads(out))[0]


def explain(host, vm):
    return call(host, vm, "Explain")[0]


def history(host, vm, since=0):
    return [d for d in call(host, vm, "History") if d["Time"] > since]


def signals(host, vm, since=0):
    """(time, member, payload) of a VM's signals."""
    path = "/org/apfd/vm/" + vm.uuid.replace("-", "_")
    found = []
    for line in host.read(MONITOR).splitlines():
        try:
            m = json.loads(line)
        except ValueError:
            continue  # the last one, half written
        if m.get("path") == path and m.get("timestamp-realtime", 0) > since:
            found.append((m["timestamp-realtime"], m["member"], plain(m["payload"]["data"])))
    return found


def gate(nl, vm):
    [known] = [v for v in nl.dump("VM_GET") if v["PID"] == vm.pid]
    return [v["STATE"] for v in nl.vcpus(known["VM_ID"])]


def now(host):
    """Of the host, microseconds."""
    return int(host.run("date +%s%6N").stdout)


def wait_state(host, vm, state, rule, seconds):
    def reached():
        try:
            e = explain(host, vm)
        except (CommandFailed, IndexError):
            return False  # an apfd that has just started may not have heard of the VM yet
        return (e["State"], e["Rule"]) == (state, rule)
    host.wait_for(reached, seconds, f"{vm.name} to be {state} for {rule}")


@pytest.fixture(scope="module")
def calm(host, nl):
    """Has much on swap, and touches none of it."""
    with VM(host, "calm", workload="-f 0 -w 0 -m 140 -t 0") as vm:
        vm.wait_ready()
        yield vm


@pytest.fixture(scope="module")
def burst(host, nl):
    """As its load is stopped and goes on."""
    with VM(host, "burst", workload="-f 2 -w 0 -m 180 -t 0") as vm:
        vm.wait_ready()
        vm.run("killall -STOP workload", check=True)
        yield vm


@pytest.fixture(scope="module")
def thrash(host, nl):
    with VM(host, "thrash", workload="-f 4 -w 0 -m 220 -t 0") as vm:
        vm.wait_ready()
        yield vm


def onset(host, vm, since):
    """When apfd first had the pressure, by its figures: host clock, microseconds."""
    for line in host.read(FIGURES).splitlines():
        try:
            sample = json.loads(line)
        except ValueError:
            continue  # the last one, half written
        for figures in sample["vms"]:
            if figures["uuid"] != vm.uuid or sample["now_usec"] <= since:
                continue
            if (figures["stall_ratio"] or 0) >= ENTER_STALL or \
                    (figures["async_swapins_per_sec"] or 0) + (figures["sync_swapins_per_sec"] or 0) >= ENTER_RATE:
                return sample["now_usec"]
    raise AssertionError(f"{vm.name}: no figure over a limit was read")


def test_the_right_vcpus_in_time(host, nl, calm, burst, thrash):
    # Starting up is pressure, too; then each is what its name says.
    wait_state(host, thrash, "on", "pressure", 60)
    wait_state(host, calm, "off", "calm", 60)
    wait_state(host, burst, "off", "calm", 60)
    assert (gate(nl, calm), gate(nl, burst), gate(nl, thrash)) == ([OFF], [OFF], [ON])
    assert calm.swapped_kib() > 10000, "nothing of the calm guest is swapped out, the test says little"

    begin = now(host)
    burst.run("killall -CONT workload", check=True)
    wait_state(host, burst, "on", "pressure", 30)
    time.sleep(6)
    assert gate(nl, burst) == [ON]
    burst.run("killall -STOP workload", check=True, timeout=120)
    stopped = now(host)
    wait_state(host, burst, "off", "calm", 60)
    assert (gate(nl, calm), gate(nl, burst), gate(nl, thrash)) == ([OFF], [OFF], [ON])

    # One onset, two switches, and none of the others.
    decided = history(host, burst, begin)
    assert [(d["State"], d["Rule"], d["VCPUs"]) for d in decided] == [("on", "pressure", [0]), ("off", "calm", [0])]
    assert history(host, calm, begin) == [] and history(host, thrash, begin) == []
    took = (decided[0]["Time"] - onset(host, burst, begin)) / 1e6
    back = (decided[1]["Time"] - stopped) / 1e6
    print(f"switched {took:+.2f} s after the pressure was first told, back {back:.2f} s after its end")
    # apfd runs on the emulated host, too: its readings are late when the emulator is
    assert took < patient(2)
    assert back < 5 + patient(10), "the hold is 5 s"

    # Told as decided, and why.
    # busctl, which writes them down, is another process: the last may come a little later.
    host.wait_for(lambda: [m for _, m, _ in signals(host, burst, begin)].count("GateChanged") >= 2, 20, "the signals")
    told = [p for _, member, p in signals(host, burst, begin) if member == "Decided"]
    assert [(p[0], p[1], p[2], p[5]) for p in told] == [("on", [0], "pressure", False), ("off", [0], "calm", False)]
    assert told[0][4]["WaitRatio"] >= ENTER_STALL or told[0][4]["SwapInRate"] >= ENTER_RATE
    members = [member for _, member, _ in signals(host, burst, begin)]
    assert members.index("Decided") < members.index("GateChanging") < members.index("GateChanged")


def test_why_names_the_figures(host, calm, burst, thrash):
    def told():
        """The figures of a tick in which the machine did not stand still: the swap device takes 5 ms."""
        inputs = explain(host, thrash)["Inputs"]
        known = {"WaitRatio", "SwapInRate", "LatencyUSec", "SomeAvg10", "SwapBytes"} <= set(inputs)
        return inputs if known and 4000 < inputs.get("ReadLatencyUSec", 0) < 100000 else None
    assert host.wait_for(told, 20, "all figures of the guest that thrashes")["SwapSynchronous"] == 0
    text = host.run("apfctl why thrash").stdout
    assert "pressure" in text and "swap-ins/s" in text and "% of the time" in text
    assert "calm" in host.run("apfctl why calm").stdout
    # Of the one that was switched for certain: thrash may have been found with its gate on.
    entries = [json.loads(line) for line in
               host.run("journalctl -u apfd -o json --no-pager APF_VM=burst APF_RULE=pressure").stdout.splitlines()]
    assert entries
    assert all("swap-ins/s" in e["APF_REASON"] and float(e["APF_SWAPIN_RATE"]) > 0 for e in entries)


def test_pressure_of_the_group(host, thrash):
    """What apfd tells is what the kernel's files say."""
    path = "/org/apfd/vm/" + thrash.uuid.replace("-", "_")
    group = plain(json.loads(host.run(f"busctl --json=short get-property org.apfd {path} org.apfd.VM1 CGroup").stdout))
    assert "/sys/fs/cgroup" + group == thrash.cgroup()

    def pressure():
        told = plain(json.loads(host.run(
            f"busctl --json=short get-property org.apfd {path} org.apfd.VM1 Pressure").stdout))
        # There are ticks in which a guest that shares its CPU did nothing.
        rates = ("SwapInRate", "MajorFaultRate", "RefaultRate", "SomeAvg10")
        return told if all(told.get(name, 0) > 0 for name in rates) else None
    told = host.wait_for(pressure, 20, "the pressure of a guest that thrashes")
    assert told["MemoryBytes"] == pytest.approx(int(thrash.cgroup_read("memory.current")), rel=0.1)
    assert told["SwapBytes"] == pytest.approx(int(thrash.cgroup_read("memory.swap.current")), rel=0.2)
    assert -1 < told["Trend"] < 1


def test_a_restart_does_not_flap(host, nl, thrash, calm):
    begin = now(host)
    host.run("systemctl restart apfd")
    wait_state(host, thrash, "on", "pressure", 30)
    wait_state(host, calm, "off", "calm", 30)
    time.sleep(8)  # longer than the hold
    assert history(host, thrash, begin) == [] and history(host, calm, begin) == []
    changed = [m for _, m, _ in signals(host, thrash, begin) + signals(host, calm, begin) if m == "GateChanged"]
    assert changed == []
    assert (gate(nl, calm), gate(nl, thrash)) == ([OFF], [ON])
    # The kernel tells of the pressure of each that has something on swap.
    # ls complains of a file that apfd has closed meanwhile.
    host.wait_for(lambda: host.run("ls -l /proc/$(systemctl show -P MainPID apfd)/fd", check=False).stdout.count(
        "/memory.pressure") >= 2, 30, "triggers for both")


def test_dry_run(host, nl, thrash):
    host.run("apfctl disable thrash")
    assert gate(nl, thrash) == [OFF]
    time.sleep(5)
    assert gate(nl, thrash) == [OFF], "the policy must not touch what somebody has set"
    assert explain(host, thrash)["Rule"] == "mode"
    host.write("/etc/apfd/apfd.conf.d/60-test.conf", "[Daemon]\nDryRun=yes\n")
    try:
        host.run("systemctl reload apfd")
        begin = now(host)
        host.run("apfctl auto thrash")
        host.wait_for(lambda: [(d["State"], d["DryRun"]) for d in history(host, thrash, begin)] == [("on", True)], 20,
                      "a decision that is not carried out")
        time.sleep(3)
        assert gate(nl, thrash) == [OFF]
    finally:
        host.run("rm /etc/apfd/apfd.conf.d/60-test.conf; systemctl reload apfd")
    host.wait_for(lambda: gate(nl, thrash) == [ON], 20, "what was decided to be carried out after all")


def test_at_rest_gates_are_as_the_kernel_has_them(host, nl, calm, burst, thrash):
    """The default: pressure is told, and no gate moves for it."""
    host.write("/etc/apfd/apfd.conf.d/60-test.conf", "[Policy]\nRest=on\n")
    try:
        host.run("systemctl reload apfd")
        wait_state(host, calm, "on", "calm", 30)
        wait_state(host, burst, "on", "calm", 30)
        wait_state(host, thrash, "on", "pressure", 30)
        assert (gate(nl, calm), gate(nl, burst), gate(nl, thrash)) == ([ON], [ON], [ON])
        begin = now(host)
        burst.run("killall -CONT workload", check=True)
        wait_state(host, burst, "on", "pressure", 30)
        burst.run("killall -STOP workload", check=True, timeout=120)
        wait_state(host, burst, "on", "calm", 60)
        assert [(d["State"], d["Rule"]) for d in history(host, burst, begin)] == [("on", "pressure"), ("on", "calm")]
        changed = [m for _, m, _ in signals(host, burst, begin) if m in ("GateChanging", "GateChanged")]
        assert changed == [], "a gate was touched"
    finally:
        host.run("rm /etc/apfd/apfd.conf.d/60-test.conf; systemctl reload apfd")
    wait_state(host, calm, "off", "calm", 30)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_what_the_policy_has_closed_does_not_outlive_apfd(host, nl, calm, burst, thrash, how):
    """Whatever becomes of apfd; what a person has switched off stays off."""
    host.run("apfctl disable thrash")
    wait_state(host, calm, "off", "calm", 30)
    wait_state(host, burst, "off", "calm", 30)
    pid = host.run("systemctl show -P MainPID apfd").stdout.strip()
    try:
        if how == "stopped":
            host.run(f"kill -STOP {pid}")
        else:
            host.run(f"systemctl mask --runtime -q apfd; kill -9 {pid}")
        begin = now(host)
        host.wait_for(lambda: (gate(nl, calm), gate(nl, burst)) == ([ON], [ON]), 60, "the gates to be given back")
        assert gate(nl, thrash) == [OFF], "somebody has switched it off"
        print(f"given back after {(now(host) - begin) / 1e6:.0f} s")
    finally:
        if how == "stopped":
            host.run(f"kill -CONT {pid}")
        else:
            host.run("systemctl unmask --runtime -q apfd; systemctl start apfd")
    # and apfd goes on from there
    wait_state(host, calm, "off", "calm", 60)
    # One that was stopped still says what it said before, until it has read the module.
    host.wait_for(lambda: gate(nl, calm) == [OFF], 60, "the gate to be closed again")
    assert gate(nl, thrash) == [OFF]
    host.run("apfctl auto thrash")
    wait_state(host, thrash, "on", "pressure", 60)


def test_zram_is_left_off(host, nl, calm, burst, thrash):
    """Last: without the others, their swap device goes."""
    for vm in (calm, burst, thrash):
        vm.stop()
    host.swap_on(kind="zram")
    try:
        look_at_zram(host, nl)
    finally:
        host.swap_on()


def look_at_zram(host, nl):
    with VM(host, "fast", workload="-f 2 -w 0 -m 180 -t 0") as vm:
        vm.wait_ready()
        wait_state(host, vm, "off", "fast-swap", 60)
        time.sleep(5)

        def swapping():
            e = explain(host, vm)
            return e if e["Inputs"].get("SwapInRate", 0) > 0 else None
        e = host.wait_for(swapping, 20, "a tick in which it swaps")
        assert (e["State"], e["Rule"]) == ("off", "fast-swap") and "zram" in e["Reason"]
        assert gate(nl, vm) == [OFF]
        assert "on" not in [d["State"] for d in history(host, vm)]
        assert "zram" in host.run("apfctl why fast").stdout
    devices = plain(json.loads(host.run("busctl --json=short get-property org.apfd /org/apfd org.apfd.Manager1 Swap").stdout))
    assert [(d["Kind"], d["Synchronous"]) for d in devices] == [("zram", True)]


def test_nothing_went_wrong(host, nl):
    # What other files of the session did is theirs.
    entries = [json.loads(line) for line in
               host.run(f"journalctl -u apfd -o json --no-pager --since @{nl.begin_sec}").stdout.splitlines()]
    wrong = [e["MESSAGE"] for e in entries if int(e["PRIORITY"]) <= 4 and e.get("_COMM") == "apfd"]
    # of a client that was stopped for half a minute libvirtd hears nothing
    assert [m for m in wrong if not m.startswith("Lost the connection to libvirt")] == []
    no_trouble(host.dmesg())
