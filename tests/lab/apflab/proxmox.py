# SPDX-License-Identifier: GPL-2.0
"""VMs as Proxmox VE starts them, without Proxmox: the layout of slices, PID files and command lines."""

# Proxmox's QEMU is the program kvm. Debian's /usr/bin/kvm is a script, so a link takes its place.
KVM = "/run/lab/kvm"


class ProxmoxVM:
    """QEMU by itself in /qemu.slice/ID.scope; its option -id is Proxmox's own and missing here."""

    def __init__(self, host, number, name, uuid, vcpus=2):
        self.host = host
        self.number, self.name, self.uuid, self.vcpus = number, name, uuid, vcpus
        self.pid = None

    def start(self):
        pid_file = f"/run/qemu-server/{self.number}.pid"
        self.host.run(f"mkdir -p /run/qemu-server; ln -sf /usr/bin/qemu-system-x86_64 {KVM}; rm -f {pid_file}")
        self.host.run(
            f"systemd-run -q --scope --collect --slice=qemu.slice --unit={self.number} {KVM} "
            f"-name '{self.name},debug-threads=on' -no-shutdown -pidfile {pid_file} -daemonize "
            f"-smbios type=1,uuid={self.uuid} -smp {self.vcpus},sockets=1,cores={self.vcpus},maxcpus={self.vcpus} "
            "-nodefaults -vnc none -cpu host -accel kvm -m 64 -S")
        self.pid = int(self.host.read(pid_file))
        group = self.host.read(f"/proc/{self.pid}/cgroup").strip()
        assert group.endswith(f"/qemu.slice/{self.number}.scope"), group
        return self

    def stop(self):
        if self.pid:
            self.host.run(f"kill -9 {self.pid}; systemctl stop {self.number}.scope", check=False)
        self.host.run(f"rm -f /run/qemu-server/{self.number}.pid")
        self.pid = None


class NoLibvirt:
    """While entered, libvirt is not installed on the host: its daemon cannot be started by anything."""

    UNITS = "libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
    DAEMON = "/usr/sbin/libvirtd"

    def __init__(self, host):
        self.host = host

    def __enter__(self):
        self.host.run(f"systemctl stop {self.UNITS}; mv {self.DAEMON} {self.DAEMON}.away; "
                      f"systemctl mask --runtime {self.UNITS}; rm -rf /run/libvirt/libvirt-sock*", timeout=120)
        return self

    def __exit__(self, *_exc):
        self.host.run(f"mv {self.DAEMON}.away {self.DAEMON}; systemctl unmask --runtime {self.UNITS}; "
                      "systemctl start libvirtd.socket libvirtd.service", timeout=120)
