# SPDX-License-Identifier: GPL-2.0
"""Netlink: the host module as a test sees it, through tests/lab/apfnl.py."""

import json
import select
import shlex
import subprocess
import time

from . import paths, proc
from .errors import LabError
from .patience import patient

OFF, PV, ON = 0, 1, 2
NOT_NEEDED, NOWAIT_OFF, NOWAIT_ACTIVE, UNAVAILABLE = 0, 1, 2, 3
FOLDER = "/run/lab"


class Refused(LabError):
    """The module said no: .errno (a name) and .text (its extended ack)."""

    def __init__(self, answer):
        super().__init__(f"{answer['errno']}: {answer['text']}")
        self.errno = answer["errno"]
        self.text = answer["text"]


class Netlink:
    """Talks to apf_host in an L1; nothing of apfd is involved."""

    def __init__(self, host):
        self.host = host
        self._server = None
        host.put(paths.LAB / "apfnl.py", f"{FOLDER}/apfnl.py")
        host.put(paths.REPO / "include/uapi/apf_host.h", f"{FOLDER}/apf_host.h")

    # -- the module --------------------------------------------------------------------

    def load(self, **params):
        if "apf_host" in self.host.unbuilt:
            raise LabError(self.host.unbuilt["apf_host"])
        words = " ".join(f"{k}={v}" for k, v in params.items())
        self.host.run(f"modprobe kvm_amd 2>/dev/null || modprobe kvm_intel; modprobe apf_host {words}")
        return self

    def unload(self):
        self.host.run("rmmod apf_host", timeout=120)

    def loaded(self):
        return self.host.run("test -d /sys/module/apf_host", check=False).rc == 0

    def probes(self):
        """Our functions among the kernel's list of placed probes."""
        listed = self.host.read("/sys/kernel/debug/kprobes/list")
        return sorted(line.split()[2].split("+")[0] for line in listed.splitlines())

    def hooks(self):
        """KVM's functions that ftrace has a hook in, whoever placed it."""
        listed = self.host.read("/sys/kernel/tracing/enabled_functions")
        return sorted(line.split()[0] for line in listed.splitlines() if "[kvm" in line)

    def watches_nothing(self):
        """Waits until the module, with no VM to watch, has taken all hooks away."""
        self.host.wait_for(lambda: not self.hooks() and not self.probes(), 30, "the hooks to go")

    # -- calls -------------------------------------------------------------------------

    def calls(self, *calls, user=None):
        """One answer for each of @calls; those of root go through a process that stays, for python starts slowly."""
        if user:
            args = " ".join(shlex.quote(json.dumps(c)) for c in calls)
            text = self.host.run(f"python3 {FOLDER}/apfnl.py {args}", user=user, check=False).stdout
        else:
            text = self._ask(json.dumps(calls))
        try:
            answers = json.loads(text)
        except ValueError:
            raise LabError(f"apfnl.py: {text}") from None
        if "failed" in answers:
            raise LabError(f"apfnl.py: {answers['failed']}")
        # no family: the same for each
        return [answers] * len(calls) if "errno" in answers else answers

    def _ask(self, line):
        if self._server is None or self._server.poll() is not None:
            self._server = self.host.popen(f"python3 {FOLDER}/apfnl.py --serve", stdin=subprocess.PIPE)
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()
        if not select.select([self._server.stdout], [], [], patient(60))[0]:
            proc.end(self._server)
            raise LabError(f"apfnl.py: no answer after {patient(60):.0f} s to {line}")
        answer = self._server.stdout.readline()
        if not answer:
            self.host.check()
            raise LabError(f"apfnl.py: {self._server.communicate()[1]}")
        return answer

    def call(self, cmd, user=None, **attrs):
        """One command; attributes by name, e.g. VM_ID=1. Raises Refused."""
        call = {"cmd": cmd, "attrs": [[k, v] for k, v in attrs.items()]}
        answer = self.calls(call, user=user)[0]
        if "errno" in answer:
            raise Refused(answer)
        return answer["reply"]

    def info(self):
        return self.call("GET_INFO")[0]

    def add(self, pid, **call):
        answer = self.calls({"cmd": "VM_ADD", "vm_pid": pid, **call})[0]
        if "errno" in answer:
            raise Refused(answer)
        return answer["reply"][0]["VM_ID"]

    def set(self, vm_id, state, vcpus=(), reason=None):
        attrs = [["VM_ID", vm_id], ["STATE", state], *(["VCPU_INDEX", i] for i in vcpus)]
        if reason is not None:
            attrs.append(["REASON", reason])
        answer = self.calls({"cmd": "VCPU_SET" if vcpus else "VM_SET", "attrs": attrs})[0]
        if "errno" in answer:
            raise Refused(answer)

    def vm(self, vm_id):
        return self.call("VM_GET", VM_ID=vm_id)[0]

    def dump(self, cmd, **attrs):
        answer = self.calls({"cmd": cmd, "dump": True, "attrs": [[k, v] for k, v in attrs.items()]})[0]
        if "errno" in answer:
            raise Refused(answer)
        return answer["reply"]

    def vcpus(self, vm_id):
        return self.dump("VCPU_GET", VM_ID=vm_id)

    def vcpus_at(self, vm_id):
        """(vCPUs, seconds of the host's CLOCK_MONOTONIC at which they were read)."""
        clock = {"cmd": "CLOCK"}
        first, answer, last = self.calls(clock, {"cmd": "VCPU_GET", "dump": True, "attrs": [["VM_ID", vm_id]]}, clock)
        if "errno" in answer:
            raise Refused(answer)
        return answer["reply"], (first["reply"][0]["MONOTONIC"] + last["reply"][0]["MONOTONIC"]) / 2

    def listen(self, event, count):
        """Starts to gather events; .result() waits for @count of the kind @event and gives these."""
        return Listener(self.host, event, count)


class Listener:
    def __init__(self, host, event, count):
        self.seconds = patient(30)
        self.child = host.popen(f"python3 {FOLDER}/apfnl.py --listen {self.seconds} {event} {count}")
        if "listening" not in self.child.stdout.readline():
            raise LabError("cannot listen for events: " + self.child.stderr.read())

    def result(self):
        out, _ = self.child.communicate(timeout=self.seconds + 60)
        return [json.loads(line) for line in out.splitlines()]


def difference(before, after):
    """What counters grew by; lists and dictionaries element by element."""
    if isinstance(after, dict):
        return {k: difference(before[k], v) for k, v in after.items()}
    if isinstance(after, list):
        return [difference(b, a) for b, a in zip(before, after)]
    return after - before


def rates(vm, seconds):
    """Growth per second of the guest's own counts, over about @seconds of its time."""
    first = vm.sample()
    time.sleep(seconds)
    last = vm.sample()
    elapsed = (last["ms"] - first["ms"]) / 1000
    if elapsed <= 0:
        raise LabError(f"{vm.name} printed nothing for {seconds} s: {last}")
    return {k: (last[k] - first[k]) / elapsed for k in ("touches", "work", "apf_int")}
