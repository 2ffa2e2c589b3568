# SPDX-License-Identifier: GPL-2.0
"""apf_host for a machine without KVM: a thread that answers on a netlink socket of the user protocol.

It answers as the module does, or late, never, or wrongly for some VM. What the numbers mean is in
include/uapi/apf_host.h; they are read from there.
"""

import collections
import os
import re
import select
import socket
import struct
import threading
import time
from pathlib import Path

HEADER = Path(__file__).resolve().parents[2] / "include/uapi/apf_host.h"
NETLINK_USERSOCK, GENL_ID_CTRL, FAMILY = 2, 16, 0x42
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_MULTI, NLM_F_DUMP, NLM_F_CAPPED = 0x2, 0x300, 0x100
NEWFAMILY, CTRL_ID, CTRL_NAME, CTRL_VERSION, CTRL_GROUPS, GROUP_NAME, GROUP_ID = 1, 1, 2, 3, 7, 1, 2
GROUPS = {"nlctrl": ("notify", 5), "apf": ("events", 6)}


def names(enum):
    """The values of an enum of the header, by name without its prefix."""
    body = re.search(rf"enum {enum} {{(.*?)}};", HEADER.read_text(), re.S)[1]
    words = [w for w in re.findall(r"^\t(\w+)", body, re.M) if not w.startswith("__") and "=" not in w]
    prefix = os.path.commonprefix(words).rpartition("_")[0] + "_"
    return {w.removeprefix(prefix): i for i, w in enumerate(words)}


CMD, A, STAT = names("apf_cmd"), names("apf_attr"), names("apf_stat")
OFF, PV, ON = 0, 1, 2


def attr(kind, value):
    if isinstance(value, int):
        value = struct.pack("I", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    data = struct.pack("HH", 4 + len(value), kind) + value
    return data + bytes(-len(data) % 4)


def attrs(data):
    found = []
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        found.append((kind & 0x3fff, data[4:length]))
        data = data[(length + 3) & ~3:]
    return found


def u32(value):
    return struct.unpack("I", value)[0]


class Vm:
    """@swapins: of each vCPU, so far. @nested: for each vCPU, faults that were refused for a nested guest.
    @leases, @leased: whether @states, @gate have a lease."""

    def __init__(self, number, vcpus):
        self.number, self.states, self.gate, self.swapins = number, [ON] * vcpus, ON, 0
        self.nested, self.leases, self.leased = [0] * vcpus, [False] * vcpus, False

    def end_leases(self):
        """What the module does when leases are not renewed."""
        self.states = [ON if leased else state for state, leased in zip(self.states, self.leases)]
        self.gate = ON if self.leased else self.gate
        self.leases, self.leased = [False] * len(self.states), False


class FakeModule:
    """@delay_sec: before each answer. @silent: the commands that get no answer. @wrong: for each VM, by its id, what
    is wrong with its records: "malformed", "no-id", "twice", "listing", "silent"."""

    def __init__(self, vcpus=2):
        self.vcpus, self.delay_sec, self.silent, self.wrong = vcpus, 0, (), {}
        self.vms, self.requests, self.sets = {}, [], []
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_USERSOCK)
        self.socket.bind((0, 0))
        self.port = self.socket.getsockname()[0]
        self.stop_fd = os.eventfd(0)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def stop(self):
        os.eventfd_write(self.stop_fd, 1)
        self.thread.join()
        self.socket.close()
        os.close(self.stop_fd)

    def of(self, pid):
        """The VM with this process."""
        return self.vms.get(pid)

    def swap(self, vms=None):
        for vm in vms or list(self.vms.values()):
            vm.swapins += 100

    # -- messages ----------------------------------------------------------------------

    def _serve(self):
        """Carries out requests when they arrive; a delayed answer does not delay the next one."""
        late = collections.deque()
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        poll.register(self.stop_fd, select.POLLIN)
        while True:
            wait = max(0, late[0][0] - time.monotonic()) * 1000 if late else None
            ready = {fd for fd, _ in poll.poll(wait)}
            if self.stop_fd in ready:
                return
            while late and late[0][0] <= time.monotonic():
                self._send(*late.popleft()[1:])
            if self.socket.fileno() not in ready:
                continue
            data, (port, _) = self.socket.recvfrom(65536)
            length, kind, flags, seq, _ = struct.unpack_from("IHHII", data)
            cmd = data[16]
            if kind == FAMILY:
                self.requests.append(cmd)
                if cmd in self.silent:
                    continue
            out = self._answer(kind, cmd, flags, seq, data[20:length])
            if kind == FAMILY and self.delay_sec:
                late.append((time.monotonic() + self.delay_sec, out, port))
            else:
                self._send(out, port)

    def _send(self, out, port):
        for piece in out:
            try:
                self.socket.sendto(piece, (port, 0))
            except OSError:
                # the reader did not wait for it
                return

    @staticmethod
    def _message(kind, cmd, seq, payload, flags=0):
        body = struct.pack("BBH", cmd, 1, 0) + payload
        data = struct.pack("IHHII", 16 + len(body), kind, flags, seq, 0) + body
        return data + bytes(-len(data) % 4)

    @staticmethod
    def _end(seq, error, dump=False):
        if dump:
            return struct.pack("IHHIIi", 20, NLMSG_DONE, NLM_F_MULTI, seq, 0, error)
        return struct.pack("IHHIIi", 36, NLMSG_ERROR, NLM_F_CAPPED, seq, 0, error) + struct.pack("IHHII", 16, 0, 0, seq, 0)

    def _answer(self, kind, cmd, flags, seq, data):
        if kind == GENL_ID_CTRL:
            return [self._family(seq, dict(attrs(data))[CTRL_NAME].rstrip(b"\0").decode()), self._end(seq, 0)]
        given = attrs(data)
        known = dict(given)
        vm_id = u32(known.get(A["VM_ID"], bytes(4)))
        vm = next((v for v in self.vms.values() if v.number == vm_id), None)
        if vm_id and not vm:
            return [self._end(seq, -2)]
        if flags & NLM_F_DUMP == NLM_F_DUMP:
            return self._dump(cmd, seq, vm)
        return self._do(cmd, seq, vm, known, [u32(v) for k, v in given if k == A["VCPU_INDEX"]])

    def _family(self, seq, name):
        group, number = GROUPS[name]
        payload = attr(CTRL_NAME, name) + attr(CTRL_ID, struct.pack("H", FAMILY if name == "apf" else GENL_ID_CTRL))
        payload += attr(CTRL_VERSION, 1)
        payload += attr(CTRL_GROUPS, attr(1, attr(GROUP_NAME, group) + attr(GROUP_ID, number)))
        return self._message(GENL_ID_CTRL, NEWFAMILY, seq, payload)

    def _do(self, cmd, seq, vm, known, indices):
        reply = []
        if cmd == CMD["GET_INFO"]:
            reply = [self._message(FAMILY, cmd, seq, attr(A["INFO_VERSION"], "fake") + attr(A["INFO_NOWAIT"], 0)
                                   + attr(A["INFO_LEASES"], sum(any(v.leases) or v.leased for v in self.vms.values())))]
        elif cmd == CMD["VM_ADD"]:
            pid = u32(known[A["VM_FD"]])
            vm = self.vms.setdefault(pid, Vm(len(self.vms) + 1, self.vcpus))
            reply = [self._vm(vm, seq, 0)]
        elif cmd in (CMD["VM_SET"], CMD["VCPU_SET"]):
            state = u32(known[A["STATE"]])
            self.sets.append((vm.number, state))
            lease = A["LEASE_MSEC"] in known
            for i in indices or range(len(vm.states)):
                vm.states[i], vm.leases[i] = state, lease
            if not indices:
                vm.gate, vm.leased = state, lease
        elif cmd == CMD["VM_DEL"]:
            self.vms = {pid: v for pid, v in self.vms.items() if v is not vm}
        return [*reply, self._end(seq, 0)]

    def _stats(self, swapins, nested):
        values = {"READY": swapins, "ASYNC_NSEC": swapins * 5000000, "NOT_PRESENT": swapins, "DELIVERED": swapins,
                  "REFUSED_NESTED": nested}
        return attr(A["STATS"], b"".join(attr(i, struct.pack("Q", values.get(name, 0)))
                                         for name, i in STAT.items() if name not in ("UNSPEC", "PAD")))

    def _vm(self, vm, seq, flags):
        return self._message(FAMILY, CMD["VM_GET"], seq, attr(A["VM_ID"], vm.number) + attr(A["STATE"], vm.gate)
                             + attr(A["VCPU_COUNT"], len(vm.states)) + attr(A["LEASED"], bytes([vm.leased]))
                             + self._stats(vm.swapins * len(vm.states), sum(vm.nested)), flags)

    def _vcpu(self, vm, index, seq):
        wrong = self.wrong.get(vm.number) if index == 1 else None
        payload = b"" if wrong == "no-id" else attr(A["VM_ID"], vm.number)
        if wrong not in ("no-id", "malformed"):
            payload += attr(A["VCPU_INDEX"], 0 if wrong == "twice" else index) + attr(A["STATE"], vm.states[index])
            payload += attr(A["LEASED"], bytes([vm.leases[index]])) + self._stats(vm.swapins, vm.nested[index])
        return self._message(FAMILY, CMD["VCPU_GET"], seq, payload, NLM_F_MULTI)

    def _dump(self, cmd, seq, only):
        out, piece = [], b""
        for vm in [only] if only else list(self.vms.values()):
            wrong = self.wrong.get(vm.number)
            if cmd == CMD["VM_GET"]:
                records = [self._message(FAMILY, cmd, seq, attr(A["VM_ID"], vm.number), NLM_F_MULTI)
                           if wrong == "listing" else self._vm(vm, seq, NLM_F_MULTI)]
            elif wrong == "silent":
                return [*out, piece] if piece else out
            else:
                records = [self._vcpu(vm, i, seq) for i in range(len(vm.states))]
            for record in records:
                if len(piece) + len(record) > 30000:
                    out.append(piece)
                    piece = b""
                piece += record
        return [*out, piece + self._end(seq, 0, dump=True)]
