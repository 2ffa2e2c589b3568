# SPDX-License-Identifier: GPL-2.0
"""Debian's real prometheus scrapes two hosts: it knows what apfctl knows, and the shipped alerts fire.

The waiting times of the rules are shortened here, and nothing else of them is changed.
"""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from apflab import VM
from apflab.host import free_port
from apflab.netlink import Netlink
from apflab.paths import REPO
from apflab.patience import patient

PORT = 9713
SCRAPE_SEC = 3


class Prometheus:
    """The server, started by hand on a port and in a folder of its own."""

    def __init__(self, folder, targets):
        program = shutil.which("prometheus")
        assert program, "prometheus is not installed"
        rules = (REPO / "dashboard/prometheus/apf.rules.yml").read_text()
        rules = re.sub(r"\[\d+m\]", "[20s]", re.sub(r"for: \w+", "for: 4s", rules))
        (folder / "apf.rules.yml").write_text(rules)
        config = (REPO / "dashboard/prometheus/scrape.yml").read_text()
        config = config.replace("scrape_interval: 15s", f"scrape_interval: {SCRAPE_SEC}s\n  evaluation_interval: {SCRAPE_SEC}s")
        config = config.replace("scrape_timeout: 10s", f"scrape_timeout: {SCRAPE_SEC}s")
        config = re.sub(r"          - host1.*\n.*\n", "".join(f"          - 127.0.0.1:{t}\n" for t in targets), config)
        (folder / "prometheus.yml").write_text(config)
        self.port = free_port()
        self.log = open(folder / "log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def ask(self, path, **args):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(args)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except OSError:
            assert self.process.poll() is None, "prometheus ended"
            return None

    def query(self, text):
        """{labels that matter: value} of all series."""
        data = self.ask("query", query=text)
        return {tuple(s["metric"].get(k, "") for k in ("instance", "vm")): float(s["value"][1])
                for s in data["result"]} if data else {}

    def value(self, text, key):
        """The value of one series; a scrape that was too slow leaves a gap."""
        return self.wait_for(text, lambda: [v for k, v in self.query(text).items() if k == key])[0]

    def firing(self):
        data = self.ask("alerts")
        return {(a["labels"]["alertname"], a["labels"].get("instance"), a["labels"].get("vm", ""))
                for a in data["alerts"] if a["state"] == "firing"} if data else set()

    def wait_for(self, what, condition, timeout=patient(60)):
        end = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < end, f"waited {timeout:.0f} s for {what}; firing: {self.firing()}; " \
                f"targets: {[t['lastError'] for t in (self.ask('targets') or {}).get('activeTargets', [])]}"
            time.sleep(0.5)
        return value

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=patient(30))
        finally:
            self.process.kill()
            self.process.wait()
            self.log.seek(0)
            print(self.log.read())
            self.log.close()


@pytest.fixture(scope="module")
def hosts(host, make_host):
    """Two of them, serving."""
    other = make_host(name="prometheus-2", memory_mib=1536)
    other.install(parts=("host-module", "userspace"))
    for h in (host, other):
        Netlink(h).load()
        h.run("systemd-sysusers && systemctl restart apfd apf-exporter.socket", timeout=120)
    yield host, other
    other.close()
    host.run("systemctl stop apf-exporter.socket apf-exporter apfd; rmmod apf_host", check=False, timeout=120)


@pytest.fixture(scope="module")
def guest(hosts):
    """It cannot be told of missing pages, and swaps."""
    with VM(hosts[0], "web-1", workload="-f 4 -w 1 -m 220 -t 0", cmdline="no-kvmapf") as vm:
        vm.wait_ready()
        yield vm


@pytest.fixture(scope="module")
def prometheus(hosts, guest, tmp_path_factory):
    ports = [h.forward_port(PORT) for h in hosts]
    p = Prometheus(tmp_path_factory.mktemp("prometheus"), ports)
    p.instances = [f"127.0.0.1:{port}" for port in ports]
    yield p
    p.stop()


def named(series):
    """Figures of VMs have the UUID; apf_vm_info adds the name."""
    return f"{series} * on (job, instance, uuid) group_left (vm) apf_vm_info"


def counters(host):
    return json.loads(host.run("apfctl --json status web-1").stdout)["counters"]


def test_exporter_has_no_privileges(hosts, prometheus):
    prometheus.wait_for("both hosts", lambda: prometheus.query("up") == dict.fromkeys(
        ((i, "") for i in prometheus.instances), 1))
    for h in hosts:
        pid = h.run("systemctl show -P MainPID apf-exporter").stdout.strip()
        status = h.read(f"/proc/{pid}/status")
        assert not re.search(r"^Uid:\s+0\b", status, re.M)
        assert h.run(f"ps -o user:20= -p {pid}").stdout.strip() == "apf-exporter"
        assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^CapBnd:\s+0+$", status, re.M)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        exposure = h.run("systemd-analyze security --no-pager apf-exporter | tail -n 1", timeout=120).stdout
        assert float(re.search(r"([\d.]+) [A-Z]", exposure).group(1)) <= 1.5, exposure


def test_it_knows_what_apfctl_knows(hosts, guest, prometheus):
    host, _ = hosts
    key = (prometheus.instances[0], "web-1")
    host.run("apfctl set web-1 on")
    prometheus.wait_for("host module", lambda: prometheus.query("apf_host_module_up") == dict.fromkeys(
        ((i, "") for i in prometheus.instances), 1))
    prometheus.wait_for("the number of VMs", lambda: prometheus.query("apf_vms") == {
        (prometheus.instances[0], ""): 1, (prometheus.instances[1], ""): 0})
    for name, series in (("ready", 'apf_swapins_total{kind="async"}'), ("asked", "apf_faults_asked_total"),
                         ("halted", "apf_faults_halted_total"), ("sync_stalls", 'apf_swapins_total{kind="sync"}')):
        before = counters(host)[name]
        # Of a scrape after that look: it takes a second in apfd, one in the exporter, two here.
        [got] = prometheus.wait_for(series, lambda: [v for k, v in prometheus.query(named(series)).items()
                                                     if k == key and v >= before])
        assert before <= got <= counters(host)[name], series
    rate = named('rate(apf_swapins_total{kind="async"}[20s])')
    prometheus.wait_for("a rate", lambda: prometheus.query(rate).get(key, 0) > 5)
    swapped = json.loads(host.run("apfctl --json status web-1").stdout)["swapped_bytes"]
    assert prometheus.value(named("apf_swapped_bytes"), key) == pytest.approx(swapped, rel=0.3)
    below = prometheus.value(named('apf_swapin_latency_seconds_bucket{kind="async",le="0.004096"}'), key)
    count = prometheus.value(named('apf_swapin_latency_seconds_count{kind="async"}'), key)
    # The swap device takes 5 ms.
    assert count > 50 and below < 0.2 * count


def test_memory_of_host_and_vm(hosts, guest, prometheus):
    """The guest swaps through its limit: the kernel's own totals say what the exporter says."""
    host, _ = hosts
    key = (prometheus.instances[0], "web-1")
    status = json.loads(host.run("apfctl --json status web-1").stdout)
    group = host.run("cat '/sys/fs/cgroup" + status["cgroup"] + "/memory.stat'").stdout
    for line, series in (("pswpin", "apf_memory_swapped_in_bytes_total"), ("pswpout", "apf_memory_swapped_out_bytes_total")):
        found = re.search(rf"^{line} (\d+)$", group, re.M)
        if not found:
            assert not prometheus.query(named(series)), "a kernel without the figure"
            continue
        prometheus.wait_for(series, lambda n=int(found[1]) * 4096, s=series: prometheus.query(named(s)).get(key, -1) >= n)
    assert status["memory"]["limit_bytes"] > 100 << 20
    prometheus.wait_for("a peak", lambda: prometheus.query(named("apf_peak_swapin_latency_seconds")).get(key, 0) >= 0.004)
    swapped = int(re.search(r"^pswpin (\d+)$", host.read("/proc/vmstat"), re.M)[1]) * 4096
    prometheus.wait_for("the host's swap-ins", lambda: prometheus.query("apf_host_swapped_in_bytes_total").get(
        (prometheus.instances[0], ""), -1) >= swapped > 0)


def test_silently_inactive_fires_and_ends(hosts, guest, prometheus):
    """In state pv a guest that cannot be told has every swap-in stop its vCPU, for all the state says."""
    host, _ = hosts
    alert = ("ApfSilentlyInactive", prometheus.instances[0], "web-1")
    host.run("apfctl set web-1 on")
    prometheus.wait_for("no alert", lambda: prometheus.ask("rules") and alert not in prometheus.firing())
    host.run("apfctl set web-1 pv")
    prometheus.wait_for("the alert", lambda: alert in prometheus.firing())
    host.run("apfctl set web-1 on")
    prometheus.wait_for("the end of the alert", lambda: alert not in prometheus.firing())


def test_missing_module_and_daemon(hosts, prometheus):
    _, other = hosts
    missing = ("ApfHostModuleMissing", prometheus.instances[1], "")
    down = ("ApfDaemonDown", prometheus.instances[1], "")
    assert not {missing, down} & prometheus.firing()
    other.run("rmmod apf_host", timeout=120)
    prometheus.wait_for("the alert of the module", lambda: missing in prometheus.firing())
    other.run("systemctl stop apfd", timeout=120)
    prometheus.wait_for("the alert of the daemon", lambda: down in prometheus.firing())
    # The exporter answers, so Prometheus has stored that apfd does not.
    key = (prometheus.instances[1], "")
    prometheus.wait_for("a scrape that says so", lambda: prometheus.query("apf_up").get(key) == 0
                        and prometheus.query('up{job="apf"}').get(key) == 1)
    # Nobody started it by looking.
    assert other.run("systemctl is-active apfd", check=False).stdout.strip() == "inactive"
    Netlink(other).load()
    other.run("systemctl start apfd", timeout=120)
    prometheus.wait_for("the end of both", lambda: not {missing, down} & prometheus.firing())
    # The other host was left alone; two scrapes of it that were too slow are an alert that ends by itself.
    prometheus.wait_for("a host that is well", lambda: prometheus.ask("alerts") and not [
        a for a in prometheus.firing() if a[1] == prometheus.instances[0]
        and a[0] in ("ApfHostModuleMissing", "ApfExporterDown", "ApfDaemonDown")])
