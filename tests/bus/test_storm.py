# SPDX-License-Identifier: GPL-2.0
"""A hundred domains defined, started, given modes, destroyed: all seen, nothing left behind."""

import os

import apfdtest
from apfdtest import MANAGER, VM

DOMAINS = 100
URI = "https://apfd.org/xmlns/1"
DOMAIN = """<domain type='test'><name>{name}</name><memory>8192</memory><os><type>hvm</type></os>
<metadata><apf:settings xmlns:apf='{uri}' mode='pv'/></metadata></domain>"""
# The loop is never held up; callers on a busy machine may be.
ANSWER_SEC = 5


def footprint(apfd):
    """(descriptors, KiB resident)"""
    pid = apfd.popen.pid
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        [kib] = [int(line.split()[1]) for line in f if line.startswith("VmRSS:")]
    return len(os.listdir(f"/proc/{pid}/fd")), kib


def test_storm(start_apfd, libvirtd, directory):
    daemon = libvirtd()
    apfd = start_apfd("--connect", daemon.uri)
    names = [f"vm{i:03}" for i in range(DOMAINS)]
    for name in names:
        with open(f"{directory}/{name}.xml", "w", encoding="utf-8") as f:
            f.write(DOMAIN.format(name=name, uri=URI))
    up = "; ".join(f"define {directory}/{n}.xml; start {n}" for n in names)
    change = "; ".join(f"metadata {n} {URI} --live --key apf --set \"<settings mode='off'/>\"" for n in names)
    down = "; ".join(f"destroy {n}; undefine {n}" for n in names)
    footprints = []
    pace = apfdtest.Pace(apfd.popen.pid)
    for _ in range(3):
        virsh = apfdtest.Process(["virsh", "-q", "-c", daemon.uri, up], f"{directory}/virsh.log")
        slowest = 0
        while virsh.popen.poll() is None:
            slowest = max(slowest, pace.took(lambda: apfd.get(MANAGER, "Version")))
        assert virsh.wait() == 0, virsh.log()
        assert slowest < ANSWER_SEC
        apfdtest.wait_for("all of them, with their modes", lambda: all_in_mode(apfd, "pv"))
        daemon.virsh(change)
        apfdtest.wait_for("the change of all of them", lambda: all_in_mode(apfd, "off"))
        daemon.virsh(down)
        apfdtest.wait_for("their end", lambda: apfd.names() == ["test"])
        footprints.append(footprint(apfd))
    print(footprints, f"slowest answer {slowest:.3f} s")
    # The first round makes what the allocator keeps.
    assert footprints[-1][0] <= footprints[0][0]
    # A sanitizer keeps what is freed, on purpose.
    if not os.environ.get("APF_SANITIZER"):
        assert footprints[-1][1] <= footprints[0][1] + 2048
    assert "are invalid, ignoring" not in apfd.log()


def all_in_mode(apfd, mode):
    modes = [str(o[VM]["Mode"]) for o in apfd.managed().values() if o[VM]["Name"] != "test"]
    return modes == [mode] * DOMAINS
