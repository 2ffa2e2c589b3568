# SPDX-License-Identifier: GPL-2.0
"""AppArmor on a host of the lab: sVirt for its domains, and what was denied to whom."""

import re

from .errors import LabError

QEMU_CONF = "/etc/libvirt/qemu.conf"
FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|(\S+))')


class AppArmor:
    """Context manager: loads the profiles of the host and lets libvirt confine its domains.

    Domains that run meanwhile stay as they are, so there should be none, neither at the begin nor at the end.
    """

    def __init__(self, host):
        self.host = host
        self.since = 0.0

    def __enter__(self):
        if self.host.read("/sys/module/apparmor/parameters/enabled").strip() != "Y":
            raise LabError(f"{self.host.name}: the kernel has no AppArmor")
        self.since = float(self.host.read("/proc/uptime").split()[0])
        self.host.run("systemctl unmask apparmor.service && systemctl start apparmor.service", timeout=180)
        self._libvirt("apparmor")
        return self

    def __exit__(self, *_exc):
        self._libvirt("none")
        # Stopping the service leaves the profiles loaded.
        self.host.run("systemctl stop apparmor.service; systemctl mask apparmor.service; aa-teardown", check=False,
                      timeout=120)

    def _libvirt(self, driver):
        """libvirt chooses the driver when it starts."""
        self.host.run(f"sed -i 's/^security_driver = .*/security_driver = \"{driver}\"/' {QEMU_CONF} && "
                      f"grep -q '\"{driver}\"' {QEMU_CONF} && systemctl restart libvirtd && virsh -q list", timeout=120)

    def label(self, pid):
        """The label of a process, as "NAME (MODE)" or "unconfined"."""
        return self.host.read(f"/proc/{pid}/attr/current").strip("\0\n")

    def load(self, name, text):
        """Loads a profile from a file /etc/apparmor.d/@name."""
        path = f"/etc/apparmor.d/{name}"
        self.host.write(path, text)
        self.host.run(f"apparmor_parser -r {path}")

    def unload(self, name):
        self.host.run(f"apparmor_parser -R /etc/apparmor.d/{name}; rm -f /etc/apparmor.d/{name}", check=False)

    def denials(self):
        """What was denied since the begin: dictionaries with the fields of AppArmor's messages."""
        found = []
        for line in self.host.dmesg().splitlines():
            at = re.match(r"\[\s*([\d.]+)\]", line)
            if at and float(at[1]) >= self.since and 'apparmor="DENIED"' in line:
                found.append({key: quoted or plain for key, quoted, plain in FIELD.findall(line)})
        return found
