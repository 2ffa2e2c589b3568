# SPDX-License-Identifier: GPL-2.0
"""apfctl where it is at home: top on a terminal, the policy's reasons, a host through ssh."""

import json
import re
import shlex

import pytest

from apflab import VM

LOAD = "-p -f 4 -w 1 -m 220 -t 0"
SOCKET = "/run/lab/top.tmux"
# The host is an emulator, and its one CPU belongs to the guests.
PATIENCE_SEC = 60


class Screen:
    """apfctl top in a tmux of the host; what follows its end stays on the terminal."""

    def __init__(self, host, args="", user=None, columns=80, rows=24):
        self.host = host
        self.user = user
        self.socket = f"{SOCKET}.{user or 'root'}"
        command = f"apfctl top --interval=0.5 {args}; echo ended $?; exec sleep 3600"
        self.tmux("-u", "-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", rows, command)

    def tmux(self, *args):
        words = ["tmux", "-S", self.socket, *map(str, args)]
        return self.host.run(shlex.join(words), user=self.user, timeout=PATIENCE_SEC).stdout

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", columns, "-y", rows)

    def text(self):
        return self.tmux("capture-pane", "-p")

    def wait(self, condition, what):
        """The picture for which @condition is true."""
        last = [""]

        def look():
            last[0] = self.text()
            return last[0] if condition(last[0]) else None
        try:
            return self.host.wait_for(look, PATIENCE_SEC, what)
        except Exception:
            print(last[0])
            raise

    def wait_for(self, pattern):
        return self.wait(lambda text: re.search(pattern, text, re.M), pattern)

    def process(self):
        shell = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        return self.host.run(f"pgrep -P {shell} -x apfctl").stdout.strip()

    def close(self):
        self.host.run(f"tmux -S {self.socket} kill-server", check=False, user=self.user)


@pytest.fixture(scope="module")
def nl(nl_apfd):
    return nl_apfd


@pytest.fixture(scope="module")
def guests(host, nl):
    """One that swaps, and one that has all its memory and nothing to do."""
    with VM(host, "swaps", vcpus=2, workload=LOAD) as swaps, \
            VM(host, "calm", workload=None, limit_mib=0, memory_mib=128) as calm:
        swaps.wait_ready()
        host.wait_for(lambda: vm(host, "swaps")["watched"] and vm(host, "calm")["watched"],
                      PATIENCE_SEC, "apfd to watch both")
        host.run("apfctl enable swaps; apfctl enable calm")
        yield {"swaps": swaps, "calm": calm}


@pytest.fixture
def screen(host, guests):
    made = []

    def start(*args, **kwargs):
        made.append(Screen(host, *args, **kwargs))
        return made[-1]

    yield start
    for one in made:
        one.close()


def vm(host, name):
    r = host.run(f"apfctl --json status {name}", check=False)
    return json.loads(r.stdout) if r.rc == 0 else {"watched": False}


def row(text, name):
    """Cells of a VM's row; None if it is not there."""
    for line in text.splitlines()[2:]:
        cells = line[1:].split()
        if cells and cells[0] == name:
            return cells
    return None


def order(text):
    return [cells[0] for cells in (line[1:].split() for line in text.splitlines()[2:-2])
            if cells and cells[0] in ("swaps", "calm")]


def test_a_swapping_vm_is_seen_and_sorted(screen, guests):
    top = screen()
    top.wait_for("^2 VMs by STALLED, falling")
    # It swaps, and the other does not; figures as in every other view.
    text = top.wait(lambda t: row(t, "swaps") and row(t, "swaps")[1] == "on" and
                    re.search(r"^.swaps .* MiB +[1-9]\d*", t, re.M), "swap-ins of the one that swaps")
    assert re.search(r"^.calm .* (0|-) ", text, re.M)
    top.keys("A")
    top.wait_for("^2 VMs by ASYNC/S, falling")
    top.wait(lambda t: order(t) == ["swaps", "calm"], "most swap-ins first")
    top.keys("r")
    top.wait(lambda t: order(t) == ["calm", "swaps"], "fewest swap-ins first")
    top.keys("N")
    top.wait(lambda t: order(t) == ["calm", "swaps"], "by name")
    top.keys("N")
    top.wait(lambda t: order(t) == ["swaps", "calm"], "by name, the last first")


def test_resizes(screen, guests):
    top = screen(columns=100, rows=30)
    top.wait_for("^2 VMs by STALLED")
    for columns, rows in ((80, 24), (200, 50), (80, 24)):
        top.resize(columns, rows)
        text = top.wait(lambda t: len(t.rstrip("\n").split("\n")) == rows and
                        t.rstrip("\n").split("\n")[-1].startswith("q quit") and
                        ("P50" in t.split("\n")[2]) == (columns == 200),
                        f"the picture at {columns}x{rows}")
        assert row(text, "swaps") and row(text, "calm")
        assert max(map(len, text.split("\n"))) <= columns


def test_vcpus_and_latencies(screen, guests):
    top = screen()
    top.wait_for("^>(swaps|calm) ")
    top.keys("N", "N", "Home")
    top.wait_for("^>swaps ")
    top.keys("Enter")
    top.wait_for("^swaps: 2 vCPUs by VCPU")
    # Each of them waits for pages, and the rate of the last look says so.
    top.wait_for(r"^.+0  on +(user|always) +\d+ +[1-9][\d.]*")
    top.keys("l")
    top.wait_for("^swaps: latency of swap-ins")
    # Swap answers in 5 ms: no bar is below 2 ms but for pages of the cache.
    text = top.wait_for(r"ms - .*#####")
    bars = {line.strip().split("  ")[0]: line.count("#") for line in text.split("\n") if "#" in line}
    longest = max(bars, key=bars.get)
    assert re.match(r"(4\.1|8\.2|16|33|66|131|262) ms", longest), bars
    top.keys("q", "q")
    top.wait_for("^ended 0")


def test_survives_restarts_of_apfd(host, screen, guests):
    top = screen()
    top.wait_for("^2 VMs by STALLED")
    pid = top.process()
    host.run("systemctl stop apfd")
    top.wait_for("^apfd is not running, waiting")
    # Who stopped it does not want it back because somebody watches.
    top.keys("W")
    top.wait_for("^2 VMs by SWAPPED")
    assert host.run("systemctl is-active apfd", check=False).stdout.strip() == "inactive"
    host.run("systemctl start apfd")
    top.wait(lambda t: "not running" not in t and row(t, "swaps") and row(t, "swaps")[1] == "on",
             "the VMs again")
    host.run("systemctl restart apfd")
    top.wait(lambda t: "not running" not in t and
             re.search(r"^.swaps .* MiB +[1-9]\d*", t, re.M), "rates again")
    assert top.process() == pid


def test_switches_and_is_refused(host, screen, guests):
    top = screen()
    top.wait_for("^>(swaps|calm) ")
    top.keys("N", "Home")
    top.wait_for("^>calm ")
    top.keys("d")
    top.wait_for(r"^Set calm to off\? y/n")
    top.keys("y")
    top.wait_for("^done")
    top.wait(lambda t: row(t, "calm") and row(t, "calm")[1] == "off", "calm off")
    assert vm(host, "calm")["state"] == "off"
    # Whoever may not, reads why, and the screen stays.
    other = screen(user="nobody")
    other.wait_for("^>(swaps|calm) ")
    other.keys("N", "Home", "e", "y")
    other.wait_for("^not allowed without a password; 'apfctl set' asks for it")
    other.wait(lambda t: row(t, "calm") and row(t, "calm")[1] == "off", "calm still off")
    host.run("apfctl enable calm")
    other.wait(lambda t: row(t, "calm") and row(t, "calm")[1] == "on", "calm on again")


def test_why(host, guests):
    """What the policy wants, from the real one."""
    host.run("apfctl set swaps off")

    def unwanted():
        off = json.loads(host.run("apfctl --json why swaps").stdout)
        return {(v["index"], v["mode"], v["state"]) for v in off["vcpus"]} == {(0, "off", "off"), (1, "off", "off")}
    host.wait_for(unwanted, PATIENCE_SEC, "both vCPUs to be off by hand")
    host.run("apfctl auto swaps")

    def wanted():
        why = json.loads(host.run("apfctl --json why swaps").stdout)
        return why if [v["state"] for v in why["vcpus"]] == ["on", "on"] else None
    # It stalls, so that the policy switches it on.
    why = host.wait_for(wanted, PATIENCE_SEC, "the policy to want it on")
    assert (why["mode"], {v["mode"] for v in why["vcpus"]}) == ("auto", {"auto"})
    assert all(v["rule"] and v["reason"] and v["inputs"] for v in why["vcpus"])
    assert why["decisions"][-1]["state"] == "on" and not why["decisions"][-1]["dry_run"]
    text = host.run("apfctl why swaps").stdout
    assert "Wanted: on" in text and why["decisions"][-1]["reason"] in text
    host.run("apfctl enable swaps")


def test_reload_tells_what_is_wrong(host, guests):
    host.run("mkdir -p /etc/apfd/apfd.conf.d")
    host.write("/etc/apfd/apfd.conf.d/wrong.conf", "[Policy]\nNoSuchThing=1\nEnterHoldSec=often\n")
    r = host.run("apfctl reload", check=False)
    assert r.rc == 1
    assert "the last good one stays in effect:\n  /etc/apfd/apfd.conf.d/wrong.conf:" in r.stderr
    assert "wrong.conf" in host.run("apfctl list").stderr
    host.run("rm /etc/apfd/apfd.conf.d/wrong.conf; apfctl reload")
    assert host.run("apfctl list").stderr == ""


def test_another_host_through_ssh(host, screen, guests):
    """sshd's host is the same one; ssh, systemd-stdio-bridge and the way are real."""
    host.run("""set -e; umask 077; mkdir -p /root/.ssh; cd /root/.ssh
        [ -e id_top ] || ssh-keygen -q -t ed25519 -N '' -f id_top
        cat id_top.pub >>authorized_keys
        printf 'IdentityFile /root/.ssh/id_top\\nStrictHostKeyChecking accept-new\\n' >config""")
    here = json.loads(host.run("apfctl --json list").stdout)
    there = json.loads(host.run("apfctl -H root@localhost --json list").stdout)
    assert [v["uuid"] for v in there] == [v["uuid"] for v in here]
    host.run("apfctl -H localhost disable calm --vcpu 0")
    assert vm(host, "calm")["vcpu_states"][0] == "off"
    host.run("apfctl enable calm")
    # No sshd there; its words, and then ours.
    r = host.run("apfctl -H localhost:1 list", check=False)
    assert r.rc == 5
    assert "apfctl: localhost:1: list: " in r.stderr
    top = screen("-H root@localhost", columns=120)
    top.wait_for("^2 VMs by STALLED.*root@localhost")
    top.wait(lambda t: row(t, "swaps") and row(t, "calm"), "both")
