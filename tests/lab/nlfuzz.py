#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Netlink messages that nobody in his right mind sends, for tests, run inside the host beside apfnl.py.

  nlfuzz.py SEED SECONDS COUNT VM_ID:VCPUS...   sends messages to the family "apf" until COUNT were sent and
                SECONDS have passed: right ones with one thing changed, attributes by chance, bytes by chance;
                prints {"sent": N, "accepted": N, "errors": {NAME: N}, "seconds": S}

A message has to be answered, with an error or without. The VMs named are never given up by a message: what is
sent contains VM_DEL for other numbers only.
"""
import errno
import json
import random
import struct
import sys
import time

from apfnl import ATTR, CMD, Link, Refused, attr

BORDERS = (0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff)


class Fuzzer:
    def __init__(self, seed, vms):
        self.chance = random.Random(seed)
        self.vms = vms
        self.attrs = [a for name, a in ATTR.items() if name not in ("APF_A_UNSPEC", "APF_A_PAD")]
        self.cmds = list(CMD.values())

    def number(self):
        c = self.chance
        return c.choice((c.choice(BORDERS), c.randrange(8), c.getrandbits(32)))

    def good(self):
        """A message that is accepted."""
        c = self.chance
        vm_id, vcpus = c.choice(self.vms)
        parts = [attr(ATTR["APF_A_VM_ID"], struct.pack("I", vm_id))]
        cmd = c.choice(("VM_SET", "VCPU_SET", "VM_GET", "VCPU_GET", "GET_INFO", "RENEW"))
        if cmd in ("GET_INFO", "RENEW"):
            return CMD["APF_CMD_" + cmd], []
        if cmd.endswith("_SET"):
            parts.append(attr(ATTR["APF_A_STATE"], struct.pack("I", c.randrange(3))))
            if c.random() < 0.3:
                parts.append(attr(ATTR["APF_A_LEASE_MSEC"], struct.pack("I", c.randrange(1000, 5000))))
            if c.random() < 0.3:
                parts.append(attr(ATTR["APF_A_REASON"], bytes(c.randrange(1, 128) for _ in range(c.randrange(20))) + b"\0"))
        if cmd == "VCPU_SET":
            parts += [attr(ATTR["APF_A_VCPU_INDEX"], struct.pack("I", i)) for i in c.sample(range(vcpus), c.randint(1, vcpus))]
        return CMD["APF_CMD_" + cmd], parts

    def some_attr(self):
        c = self.chance
        length = c.choice((0, 1, 2, 4, 4, 4, 8, 128, c.randrange(300)))
        payload = struct.pack("I", self.number()) if length == 4 else c.randbytes(length)
        kind = c.choice(self.attrs) if c.random() < 0.8 else c.getrandbits(16)
        return attr(kind, payload)

    def spoiled(self):
        """A right message with one thing changed."""
        c = self.chance
        cmd, parts = self.good()
        how = c.randrange(6)
        if how == 0 and parts:
            parts.pop(c.randrange(len(parts)))
        elif how == 1:
            parts.insert(c.randint(0, len(parts)), self.some_attr())
        elif how == 2 and parts:
            parts.append(c.choice(parts))
        elif how == 3:
            cmd = c.choice(self.cmds)
        elif how == 4:
            parts += [self.some_attr() for _ in range(c.randrange(200))]
        data = bytearray(b"".join(parts))
        if how == 5 and data:
            data[c.randrange(len(data))] = c.randrange(256)
        return cmd, bytes(data)

    def message(self):
        c = self.chance
        kind = c.random()
        if kind < 0.5:
            cmd, data = self.spoiled()
        elif kind < 0.8:
            cmd, data = c.choice(self.cmds), b"".join(self.some_attr() for _ in range(c.randrange(6)))
        else:
            cmd, data = c.getrandbits(8), c.randbytes(c.randrange(400))
        if cmd == CMD["APF_CMD_VM_DEL"]:
            data = attr(ATTR["APF_A_VM_ID"], struct.pack("I", c.getrandbits(32) | 0x40000000)) + data[8:]
            data = data[:8]
        return cmd, data, c.random() < 0.1


def main():
    seed, seconds, count = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    fuzzer = Fuzzer(seed, [tuple(map(int, arg.split(":"))) for arg in sys.argv[4:]])
    link = Link()
    link.resolve()
    errors, sent, accepted = {}, 0, 0
    begin = time.monotonic()
    while sent < count or time.monotonic() - begin < seconds:
        cmd, data, dump = fuzzer.message()
        sent += 1
        try:
            link.request(link.family, cmd, data, dump, raw=True)
            accepted += 1
        except Refused as e:
            name = errno.errorcode.get(e.number, str(e.number))
            errors[name] = errors.get(name, 0) + 1
    # a message that was not answered would have ended in a time-out
    print(json.dumps({"sent": sent, "accepted": accepted, "errors": errors, "seconds": round(time.monotonic() - begin, 1)}))


if __name__ == "__main__":
    main()
