# SPDX-License-Identifier: GPL-2.0
"""VMMs that Debian does not have: minivmm under their names, with their command lines and control groups."""

import shlex

from . import paths

MINIVMM = "/run/lab/minivmm"


def make_minivmm(host, name):
    """minivmm as a program called @name; its path."""
    host.put(paths.LAB / "minivmm.c", f"{MINIVMM}.c")
    host.run(f"[ -x {MINIVMM} ] || gcc -O1 -o {MINIVMM} {MINIVMM}.c; cp {MINIVMM} /run/lab/{name}", timeout=120)
    return f"/run/lab/{name}"


class JailedVM:
    """Firecracker's jailer: a user of its own, and a group /firecracker/ID that systemd does not know."""

    UID = 64123

    def __init__(self, host, vm_id, memory_mib=0):
        self.host, self.vm_id, self.memory_mib = host, vm_id, memory_mib
        self.group = f"/firecracker/{vm_id}"
        self.pid = None

    def start(self):
        top, group = "/sys/fs/cgroup/firecracker", f"/sys/fs/cgroup{self.group}"
        command = (f"{make_minivmm(self.host, 'firecracker')} --id {self.vm_id} --start-time-us 4711 "
                   "--start-time-cpu-us 42 --parent-cpu-time-us 7 --api-sock /run/firecracker.socket")
        jail = (f"echo $$ >{group}/cgroup.procs; echo $$ >/run/lab/{self.vm_id}.pid; exec env MINIVMM_MIB={self.memory_mib} "
                f"setpriv --reuid {self.UID} --regid kvm --clear-groups {command}")
        self.host.run(f"mkdir -p {group}; echo +memory >{top}/cgroup.subtree_control; rm -f /run/lab/{self.vm_id}.out; "
                      f"setsid sh -c {shlex.quote(jail)} >/run/lab/{self.vm_id}.out 2>&1 </dev/null &")
        self.host.wait_for(f"grep -q created /run/lab/{self.vm_id}.out", 20, f"the VM {self.vm_id}")
        self.pid = int(self.host.read(f"/run/lab/{self.vm_id}.pid"))
        return self

    def stop(self):
        if self.pid:
            self.host.run(f"kill -9 {self.pid}", check=False)
            self.host.wait_for(f"rmdir /sys/fs/cgroup{self.group}", 20, f"the end of {self.vm_id}")
        self.pid = None
