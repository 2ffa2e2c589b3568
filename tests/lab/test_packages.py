# SPDX-License-Identifier: GPL-2.0
"""The Debian packages in a host that never had apf: install, upgrade, remove, purge, install again.

The tests are one story: each begins where the one before it ended. A guest runs and swaps all the
time, and must not notice.
"""

import contextlib
import json
import re
import subprocess

import pytest

from apflab import VM
from apflab.logs import no_trouble
from apflab.netlink import OFF, ON, Netlink
from apflab.packages import PREVIOUS, VERSION, Packages, debs
from apflab.paths import REPO

HOST = ("apfd", "apfctl", "apf-exporter", "apf-host-dkms")
LOAD = "-f 4 -w 1 -m 220 -t 0"
DEBS = "/var/lib/lab/debs"
# DKMS compiles apf_host: the emulator takes minutes.
DKMS_SEC = 900
# Folders that packages write to. Not /var/log, /var/cache and /run, where nothing has to be tidy.
WRITTEN = "/etc /usr /var/lib /boot"
# What changes without leaving anything behind: dpkg's own records, and what others rebuilt.
NOT_OURS = re.compile(r"/var/lib/(dpkg|apt|systemd/(timers|random-seed|catalog)|libvirt|polkit-1|private)(/|$)"
                      r"|/etc/(ld\.so\.cache|machine-id|passwd-|group-|shadow-|gshadow-|\.pwd\.lock|subuid-|subgid-)"
                      r"|/usr/lib/modules/[^/]+/modules\.|\.pyc$|__pycache__"
                      # the key with which DKMS signs the modules of all packages
                      r"|/var/lib/dkms/mok\.(key|pub)$"
                      # an empty folder that any package with a module of DKMS would have made
                      r"|/usr/lib/modules/[^/]+/updates(/dkms)?$")


@pytest.fixture(scope="module")
def packages(release):
    out = subprocess.run(["make", "--no-print-directory", "-C", REPO, "dashboard"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200)
    assert out.returncode == 0, out.stdout
    made = Packages(release)
    # before there is a host, whose guest would work all the while
    for version in (PREVIOUS, VERSION):
        made.build(version)
    return made


@pytest.fixture(scope="module")
def clean(make_host, packages):
    """A host with DKMS, and nothing of apf: what the lab itself installs is for guests."""
    h = make_host(name="packages", memory_mib=2560)
    h.install(parts=("guest",))
    h.swap_on()
    # The compiler first: the guest works and swaps on with a small share of the only CPU.
    h.run("systemctl set-property --runtime machine.slice CPUWeight=10")
    # the lab's copy for guests apart, no file of the tree may be here
    assert h.run("command -v apfd apfctl; modinfo apf_host", check=False).stdout == ""
    h.put(packages.needs("dkms"), f"{DEBS}/needs")
    # dkms comes last: that of Debian 12 is not unpacked before lsb-release is configured
    h.run(f"cd {DEBS}/needs && dpkg -i $(ls *.deb | grep -v ^dkms_) && dpkg -i dkms_*.deb", timeout=600)
    return h


@pytest.fixture(scope="module")
def before(clean):
    return files(clean)


@pytest.fixture(scope="module")
def guest(clean, before):
    with VM(clean, "web-1", vcpus=2, workload=LOAD) as vm:
        vm.wait_ready()
        yield vm


@pytest.fixture(scope="module")
def nl(clean):
    """Talks to the module if it is loaded, and never loads it."""
    return Netlink(clean)


def files(host):
    return set(host.run(f"find {WRITTEN} -xdev", timeout=300).stdout.splitlines())


def left(host, before):
    return sorted(f for f in files(host) - before if not NOT_OURS.search(f))


def install(host, folder, names=HOST):
    """dpkg -i; its output."""
    host.run(f"rm -rf {DEBS}/apf; mkdir -p {DEBS}/apf")
    for deb in debs(folder, *names):
        host.put(deb, f"{DEBS}/apf/{deb.name}")
    r = host.run(f"DEBIAN_FRONTEND=noninteractive dpkg -i {DEBS}/apf/*.deb 2>&1", timeout=DKMS_SEC)
    whole(host)
    return r.stdout


def whole(host):
    assert host.run("dpkg --audit").stdout == ""


def dkms(host, module="apf-host"):
    """Versions of @module that DKMS has installed for the running kernel."""
    out = host.run(f"dkms status -m {module} -k {host.kernel}", timeout=120).stdout
    return re.findall(rf"^{module}[/, ]+([\w.]+),.*installed", out, re.M)


def module_version(host):
    return host.read("/sys/module/apf_host/version").strip()


def gates(nl):
    return {v["STATE"] for vm in nl.dump("VM_GET") for v in nl.vcpus(vm["VM_ID"])}


def at_work(host, nl, guest, version):
    """Everything is of @version, or says so: built, loaded, running, and watching the guest."""
    assert dkms(host) == [version]
    log = host.read(f"/var/lib/dkms/apf-host/{version}/{host.kernel}/x86_64/log/make.log")
    assert "CC [M]" not in log, "compiled again after the trial"
    assert host.run("modinfo -F filename apf_host").stdout.strip().split("/")[-2:-1] == ["dkms"]
    assert nl.loaded()
    assert host.run("systemctl is-enabled apfd apf-exporter.socket").stdout.split() == ["enabled", "enabled"]
    assert host.run("systemctl is-active apfd apf-exporter.socket").stdout.split() == ["active", "active"]
    assert host.run("apfctl --version").stdout.splitlines() == [
        f"apfctl {version}", f"apfd {version}", f"apf_host {module_version(host)}"]
    pid = host.run("systemctl show -P MainPID apfd").stdout.strip()
    assert host.run(f"readlink /proc/{pid}/exe").stdout.strip() == "/usr/sbin/apfd", "the old program still runs"
    host.wait_for(lambda: vm_pids(host) == [guest.pid], 60, "apfd to watch the guest")
    doctor = host.run("apfctl --json doctor", check=False, timeout=120)
    assert doctor.rc in (0, 1) and not doctor.stderr, doctor
    checks = json.loads(doctor.stdout)
    text = json.dumps(checks)
    assert f"apfd {version} runs" in text, text

    def metrics():
        """The exporter waits for apfd for some seconds only."""
        text = host.run("python3 -c \"import urllib.request as u; "
                        "print(u.urlopen('http://127.0.0.1:9713/metrics', timeout=60).read().decode())\"").stdout
        return text if re.search(r"^apf_up 1$", text, re.M) and re.search(r"^apf_vms 1$", text, re.M) else None
    assert f'version="{version}"' in host.wait_for(metrics, 60, "the exporter to show the guest")


def vm_pids(host):
    r = host.run("apfctl --json list", check=False)
    return [row["pid"] for row in json.loads(r.stdout) if row["watched"]] if r.rc == 0 else []


@contextlib.contextmanager
def called(host):
    """Somebody calls apfd all the time, as "watch apfctl list" does: a call starts apfd if it does not run."""
    host.run("systemd-run --quiet --unit=lab-caller sh -c "
             "'while sleep 0.1; do busctl call org.apfd /org/apfd org.freedesktop.DBus.Peer Ping; done'")
    try:
        yield
        # once more than it may have been asleep
        host.run("sleep 2")
    finally:
        host.run("systemctl stop lab-caller")


def unnoticed(guest, work_before):
    """The guest runs and works on."""
    assert guest.alive()
    guest.host.wait_for(lambda: guest.sample()["touches"] > work_before, 60, "the guest to go on")


def test_install_the_previous_version(clean, packages, before, guest, nl):
    touches = guest.sample()["touches"]
    install(clean, packages.build(PREVIOUS))
    at_work(clean, nl, guest, PREVIOUS)
    assert module_version(clean) == PREVIOUS
    assert gates(nl) == {ON}
    unnoticed(guest, touches)


def test_upgrade(clean, packages, guest, nl):
    """apfd is new at once; the module changes when the administrator says so. A mode that was set stays."""
    clean.write("/etc/apfd/apfd.conf.d/site.conf", "[Policy]\nCoolDownSec=31\n")
    clean.run("apfctl disable web-1")
    touches = guest.sample()["touches"]
    said = install(clean, packages.build())
    at_work(clean, nl, guest, VERSION)
    assert gates(nl) == {OFF}
    assert module_version(clean) == PREVIOUS
    assert f"apf_host {PREVIOUS} stays loaded; for {VERSION}, at any time: modprobe -r apf_host && modprobe apf_host" in said
    clean.run("modprobe -r apf_host && modprobe apf_host", timeout=120)
    assert module_version(clean) == VERSION
    clean.wait_for(lambda: gates(nl) == {OFF}, 60, "apfd to set the mode again")
    assert clean.read("/etc/apfd/apfd.conf.d/site.conf") == "[Policy]\nCoolDownSec=31\n"
    unnoticed(guest, touches)


def test_the_guests_package_is_harmless_on_a_host(clean, packages, nl):
    """Built and installed; where it cannot be loaded, neither dpkg nor the boot has an error."""
    install(clean, packages.build(), ("apf-guest-dkms",))
    assert dkms(clean, "apf-guest") == [VERSION]
    clean.run("systemctl daemon-reload")
    wants = clean.run("systemctl show -P Wants multi-user.target").stdout.split()
    assert "modprobe@apf_guest.service" in wants
    clean.run("systemctl start modprobe@apf_guest.service", timeout=120)
    clean.run("dpkg -P apf-guest-dkms", timeout=300)
    assert dkms(clean, "apf-guest") == []
    whole(clean)


def test_remove(clean, guest, nl):
    """The gate that was closed is given back, the module is gone, the configuration stays."""
    assert gates(nl) == {OFF}
    touches = guest.sample()["touches"]
    with called(clean):
        clean.run("dpkg -r " + " ".join(HOST), timeout=300)
    whole(clean)
    assert not nl.loaded(), "the module, and with it the closed gates, are still there"
    assert nl.hooks() == [] and nl.probes() == []
    assert dkms(clean) == []
    assert clean.run("modinfo apf_host", check=False).rc != 0
    assert clean.run("systemctl is-active apfd apf-exporter.socket", check=False).stdout.split() == ["inactive"] * 2
    assert clean.run("pgrep -x 'apfd|apf-exporter'", check=False).stdout == ""
    assert clean.run("test -e /etc/apfd/apfd.conf -a -e /etc/apfd/apfd.conf.d/site.conf", check=False).rc == 0
    unnoticed(guest, touches)


def test_purge(clean, before, guest):
    """Nothing is left but the administrator's own file, and the system user, as Debian's policy wants it."""
    clean.run("dpkg -P " + " ".join(HOST), timeout=300)
    whole(clean)
    assert left(clean, before) == ["/etc/apfd", "/etc/apfd/apfd.conf.d", "/etc/apfd/apfd.conf.d/site.conf"]
    clean.run("rm -r /etc/apfd")
    assert clean.run("ls /var/log/apf-* /run/apf-*", check=False).stdout == ""
    assert clean.run("systemctl list-unit-files 'apf*' --no-legend", check=False).stdout == ""
    failed = clean.run("systemctl --failed --no-legend --plain").stdout
    assert not re.findall(r"^\S*(?:apf|modprobe|modules-load)\S*", failed, re.M), failed


def test_install_again(clean, packages, guest, nl):
    touches = guest.sample()["touches"]
    install(clean, packages.build())
    at_work(clean, nl, guest, VERSION)
    assert module_version(clean) == VERSION
    # the mode that was set is stored in the domain
    clean.wait_for(lambda: gates(nl) == {OFF}, 60, "apfd to read the mode of the domain")
    clean.run("apfctl set web-1 default")
    clean.wait_for(lambda: gates(nl) == {ON}, 60, "the gates at rest")
    unnoticed(guest, touches)


def test_purge_at_once(clean, before, guest, nl):
    """Without removing first, and only the daemon at first: it takes the closed gates with it."""
    clean.run("apfctl disable web-1")
    assert gates(nl) == {OFF}
    with called(clean):
        clean.run("dpkg -P apfd", timeout=300)
    assert not nl.loaded()
    assert clean.run("pgrep -x apfd", check=False).stdout == ""
    clean.run("dpkg -P apfctl apf-exporter apf-host-dkms", timeout=300)
    whole(clean)
    assert left(clean, before) == []


def test_no_kernel_complained(clean, guest):
    no_trouble(clean.dmesg())
