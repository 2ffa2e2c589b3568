# SPDX-License-Identifier: GPL-2.0
"""VMs as KubeVirt starts them, without Kubernetes: the layout of control groups, folders and command lines."""

import hashlib
import shlex

from .vm import VM

# What the QEMU of virt-launcher is called. libvirt runs in the pod, where the host does not see it.
QEMU = "/usr/libexec/qemu-kvm"
PODS = "/var/log/pods"
# Debian's user for QEMU, who may open /dev/kvm; in a pod it is 107.
USER = "libvirt-qemu"


class PodVM(VM):
    """QEMU by itself in the container's scope of a Burstable pod; libvirt makes no groups in a pod.

    @swap: what kubelet allows, memory.swap.max of the container; its default is 0 (swapBehavior: NoSwap).
    """

    def __init__(self, host, namespace, name, pod_uid, uuid, swap="0", limit_mib=0, **kwargs):
        super().__init__(host, f"{namespace}-{name}", uuid=uuid, limit_mib=0, **kwargs)
        self.namespace, self.vmi, self.pod_uid = namespace, name, pod_uid
        self.swap, self.pod_limit_mib = swap, limit_mib
        self.container = hashlib.sha256(pod_uid.encode()).hexdigest()
        self.scope = f"cri-containerd-{self.container}.scope"
        uid = pod_uid.replace("-", "_")
        self.slice = f"kubepods-burstable-pod{uid}.slice"
        self.group = f"/kubepods.slice/kubepods-burstable.slice/{self.slice}/{self.scope}"
        self.folder = f"{PODS}/{namespace}_virt-launcher-{name}-x7k2p_{pod_uid}"

    def command(self):
        """As libvirt writes it in a pod."""
        size = self.memory_mib << 20
        words = [QEMU, "-name", f"guest={self.namespace}_{self.vmi},debug-threads=on",
                 "-machine", "pc,usb=off,dump-guest-core=off,memory-backend=pc.ram", "-accel", "kvm",
                 "-cpu", "host,migratable=on", "-m", f"size={size >> 10}k",
                 "-object", f'{{"qom-type":"memory-backend-ram","id":"pc.ram","size":{size}}}',
                 "-overcommit", "mem-lock=off", "-smp", f"{self.vcpus},sockets=1,dies=1,cores={self.vcpus},threads=1",
                 "-uuid", self.uuid,
                 "-smbios", f"type=1,manufacturer=KubeVirt,product=None,uuid={self.uuid},family=KubeVirt",
                 "-no-user-config", "-nodefaults", "-rtc", "base=utc", "-no-shutdown", "-boot", "strict=on",
                 "-kernel", self.host.l2_kernel, "-initrd", self.host.l2_initrd, "-append", self.cmdline,
                 "-serial", f"file:/run/lab/{self.name}.console", "-display", "none",
                 "-pidfile", f"/run/lab/{self.name}.pid", "-daemonize"]
        return " ".join(map(shlex.quote, words))

    def start(self, timeout=120):
        self._warm()
        self._text = b""
        limits = f"-p MemorySwapMax={self.swap}" + (f" -p MemoryMax={self.pod_limit_mib}M" if self.pod_limit_mib else "")
        self.host.run(f"mkdir -p /usr/libexec {self.folder}/compute; ln -sf /usr/bin/qemu-system-x86_64 {QEMU}; "
                      f"rm -f /run/lab/{self.name}.*")
        self.host.run(f"systemd-run -q --scope --collect --uid={USER} --gid=kvm --slice={self.slice} --unit={self.scope} "
                      f"{limits} {self.command()}", timeout=timeout)
        self._pid = int(self.host.read(f"/run/lab/{self.name}.pid"))
        self._running, self._stopped = True, False
        group = self.host.read(f"/proc/{self._pid}/cgroup").strip()
        assert group == f"0::{self.group}", group
        return self

    def stop(self):
        if self._running:
            self.host.run(f"kill -9 {self._pid}; systemctl stop {self.scope} {self.slice}; rm -rf {self.folder}", check=False)
            self.host.wait_for(f"! [ -d /proc/{self._pid} ]", 60, f"the end of {self.name}")
        self._running = False

    def set_limits(self, **limits):
        """What kubelet does when a pod's resources or its own swapBehavior change."""
        words = " ".join(f"{key}={value}" for key, value in limits.items())
        self.host.run(f"systemctl set-property --runtime {self.scope} {words}")

    def cgroup(self):
        return "/sys/fs/cgroup" + self.group
