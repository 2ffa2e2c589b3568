#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A storm of gate changes, for tests, run inside the host beside apfnl.py.

  toggle.py SECONDS SEED VM_ID:VCPUS...   sets gates of random vCPUs of these VMs to random states, some of
                     the time of whole VMs, and reads all counters now and then; prints
                     {"toggles": N, "reads": N, "seconds": S}
"""
import json
import random
import sys
import time

from apfnl import Link

STATES = (0, 1, 2)  # off, pv, on
# Now and then as fast as can be, mostly slow enough for faults to come in between.
PAUSES_SEC = (0, 0, 0.002, 0.01, 0.05)


def toggle(chance, vms):
    vm_id, vcpus = chance.choice(vms)
    attrs = [["VM_ID", vm_id], ["STATE", chance.choice(STATES)]]
    if chance.random() < 0.2:
        return {"cmd": "VM_SET", "attrs": attrs}
    chosen = chance.sample(range(vcpus), chance.randint(1, vcpus))
    return {"cmd": "VCPU_SET", "attrs": attrs + [["VCPU_INDEX", i] for i in chosen]}


def main():
    seconds, seed = float(sys.argv[1]), int(sys.argv[2])
    vms = [tuple(map(int, arg.split(":"))) for arg in sys.argv[3:]]
    chance = random.Random(seed)
    link = Link()
    link.resolve()
    begin = time.monotonic()
    toggles = reads = 0
    while time.monotonic() - begin < seconds:
        answer = link.call(toggle(chance, vms))
        if "errno" in answer:
            raise SystemExit(f"refused: {answer}")
        toggles += 1
        if chance.random() < 0.02:
            link.call({"cmd": "VCPU_GET", "dump": True})
            reads += 1
        time.sleep(chance.choice(PAUSES_SEC))
    print(json.dumps({"toggles": toggles, "reads": reads, "seconds": round(time.monotonic() - begin, 1)}))


if __name__ == "__main__":
    main()
