# SPDX-License-Identifier: GPL-2.0
"""Trace: what KVM itself says, through tracefs; a witness that shares nothing with the module."""

import re

from .errors import LabError

ROOT = "/sys/kernel/tracing"
LINE = re.compile(r"^\s*(?P<comm>.*)-(?P<tid>\d+)\s+\[\d+\]\s+\S+\s+(?P<sec>[\d.]+):\s+(?P<name>\w+):\s*(?P<rest>.*)$")
APF = ("kvm/kvm_async_pf_not_present", "kvm/kvm_async_pf_ready", "kvm/kvm_async_pf_repeated_fault",
       "kvm/kvm_try_async_get_page")


class Trace:
    """Context manager; .events() after the end gives (seconds, thread, name, text)."""

    def __init__(self, host, events=APF, kprobes=(), switches_of=None):
        """@switches_of: also the context switches of threads with such a name (a glob)."""
        self.host = host
        self.kprobes = kprobes
        self.wanted = [*events, *(f"kprobes/{k.split()[0].split(':')[1]}" for k in kprobes)]
        self.filter = ""
        if switches_of:
            self.wanted.append("sched/sched_switch")
            self.filter = f"echo 'prev_comm ~ \"{switches_of}\"' >events/sched/sched_switch/filter;"
        self.text = None

    def __enter__(self):
        self.host.run(f"""set -e; cd {ROOT}
            echo 0 >tracing_on; echo >set_event; echo >kprobe_events; echo mono >trace_clock
            echo 32768 >buffer_size_kb; echo >trace
            {''.join(f"echo '{k}' >>kprobe_events;" for k in self.kprobes)}
            {self.filter}
            {''.join(f"echo 1 >events/{e}/enable;" for e in self.wanted)}
            echo 1 >tracing_on""")
        return self

    def __exit__(self, *_exc):
        self.text = self.host.run(f"""cd {ROOT}; echo 0 >tracing_on; cat trace
            grep -h overrun per_cpu/cpu*/stats | sed 's/^/# /'
            echo >set_event; echo >kprobe_events; echo 0 >events/sched/sched_switch/filter; echo 1408 >buffer_size_kb; echo >trace""", timeout=300).stdout

    def events(self):
        lost = sum(int(n) for n in re.findall(r"^# overrun: (\d+)", self.text, re.M))
        if lost:
            raise LabError(f"tracefs lost {lost} events: the witness is of no use")
        found = []
        for line in self.text.splitlines():
            m = LINE.match(line)
            if m:
                found.append((float(m["sec"]), int(m["tid"]), m["name"], m["rest"]))
        return found

    def so_far(self, name):
        """How many events @name there were until now, before the end."""
        return int(self.host.run(f"grep -c ' {name}: ' {ROOT}/trace", check=False).stdout)

    def count(self, name):
        return sum(1 for e in self.events() if e[2] == name)


def tokens(events, name):
    """Tokens of all events @name, in order; ~0 means a broadcast."""
    return [int(re.search(r"token (0x[0-9a-f]+|0)\b", rest)[1], 16) for _, _, n, rest in events if n == name]


def async_latencies(events, begin, end):
    """Seconds from "not present" to each "ready" between @begin and @end (trace clock)."""
    open_since, found = {}, []
    for sec, _, name, rest in events:
        if name == "kvm_async_pf_not_present":
            open_since[re.search(r"token (\S+)", rest)[1]] = sec
        elif name == "kvm_async_pf_ready":
            since = open_since.pop(re.search(r"token (\S+)", rest)[1], None)
            if since is not None and begin <= sec <= end:
                found.append(sec - since)
    return found


def waits(events, entry, leave):
    """Seconds from each @entry to the next @leave of the same thread, if it slept in between."""
    inside, slept, found = {}, set(), []
    for sec, tid, name, rest in events:
        if name == entry:
            inside[tid] = sec
            slept.discard(tid)
        elif name == "sched_switch" and not re.search(r"prev_state=R", rest):
            slept.add(tid)
        elif name == leave and tid in inside:
            since = inside.pop(tid)
            if tid in slept:
                found.append(sec - since)
    return found


def times_with_a_page_being_read(events, vcpu, entry, leave, read):
    """
    (seconds that the thread @vcpu ran, seconds that it slept, from @entry to @leave) from "not present" until the event
    @read. For one vCPU that has one page outstanding at a time.
    """
    reading, asleep, last = False, False, 0
    seconds = {False: 0, True: 0}
    for sec, tid, name, _ in events:
        if reading:
            seconds[asleep] += sec - last
        last = sec
        if name == "kvm_async_pf_not_present":
            reading = True
        elif name in (read, "kvm_async_pf_ready"):
            reading = False
        elif tid == vcpu and name in (entry, leave):
            asleep = name == entry
    return seconds[False], seconds[True]


def log2_histogram(seconds, buckets=32):
    """Buckets as in the ABI: below 1 us, then powers of two of microseconds."""
    hist = [0] * buckets
    for s in seconds:
        hist[min(int(s * 1e6).bit_length(), buckets - 1)] += 1
    return hist
