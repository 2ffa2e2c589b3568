# SPDX-License-Identifier: GPL-2.0
"""Modes: asked for over the bus, kept in libvirt's metadata, followed when those change.

libvirt is its test driver, over its real protocol."""

import os
import signal

import pytest

import apfdtest
from apfdtest import MANAGER, OTHER_UID, VM
from conftest import DOMAINS

URI = "https://apfd.org/xmlns/1"
PATH = "/org/apfd/vm/6695eb01_f6a4_8304_79aa_97f2502e193f"
WEB1 = "/org/apfd/vm/" + DOMAINS["web1"].replace("-", "_")


class Modes:
    """apfd at a libvirtd with its domain "test", and everybody may change it."""

    def __init__(self, daemon, apfd):
        self.daemon, self.apfd = daemon, apfd

    def set(self, mode, vcpus=(), persistent=False):
        return self.apfd.call_as(OTHER_UID, PATH, VM, "SetMode", "saub",
                                 [mode, list(vcpus), persistent]).result()

    def get(self):
        vm = self.apfd.managed()[PATH][VM]
        return (str(vm["Mode"]), str(vm["ModeSource"]),
                {int(i): str(m) for i, m in vm["VCPUModes"].items()})

    def becomes(self, mode, source, vcpus=None):
        wanted = (mode, source, vcpus or {})
        apfdtest.wait_for(f"{wanted}", lambda: self.get() == wanted)

    def write(self, xml, *args):
        self.daemon.virsh("metadata", "test", URI, *(args or ("--live",)), "--key", "apf", "--set", xml)

    def metadata(self, flag="--live"):
        xml = self.daemon.virsh("dumpxml", *([] if flag == "--live" else ["--inactive"]), "test")
        if "<apf:settings" not in xml:
            return None
        xml = xml[xml.index("<apf:settings"):]
        return xml[:xml.index("</metadata>")].replace("'", '"')


@pytest.fixture
def modes(start_apfd, libvirtd, polkit):
    polkit.allow("org.apfd.manage")
    daemon = libvirtd()
    return Modes(daemon, start_apfd("--connect", daemon.uri))


def test_set_and_kept(modes):
    assert modes.get() == ("auto", "default", {})
    assert modes.set("off") == {"reply": []}
    modes.becomes("off", "metadata")
    assert 'mode="off"' in modes.metadata()
    # The persistent definition was not meant.
    assert modes.metadata("--inactive") is None
    apfdtest.wait_for("it to be told",
                      lambda: any(s[4][1].get("Mode") == "off"
                                  for s in modes.apfd.signals_of("PropertiesChanged", PATH)))
    assert modes.set("default") == {"reply": []}
    modes.becomes("auto", "default")
    apfdtest.wait_for("the element to go", lambda: modes.metadata() is None)


def test_vcpus(modes):
    assert modes.set("on", [1, 3]) == {"reply": []}
    assert modes.set("off", [0]) == {"reply": []}
    modes.becomes("auto", "default", {0: "off", 1: "on", 3: "on"})
    assert modes.set("default", [3]) == {"reply": []}
    modes.becomes("auto", "default", {0: "off", 1: "on"})
    # Who speaks of the VM means all of it.
    assert modes.set("pv") == {"reply": []}
    modes.becomes("pv", "metadata")


def test_persistent(modes):
    assert modes.set("pv", persistent=True) == {"reply": []}
    # The answer waited for it.
    assert "pv" in modes.metadata("--inactive")
    assert modes.get() == ("pv", "metadata", {})
    modes.daemon.virsh("destroy", "test")
    apfdtest.wait_for("the end of the VM", lambda: modes.apfd.names() == [])
    modes.daemon.virsh("start", "test")
    apfdtest.wait_for("the VM", lambda: modes.apfd.names() == ["test"])
    modes.becomes("pv", "metadata")


def test_not_persistent_ends_with_the_vm(modes):
    modes.set("pv", persistent=True)
    modes.set("off")
    modes.becomes("off", "metadata")
    modes.daemon.virsh("destroy", "test")
    apfdtest.wait_for("the end of the VM", lambda: modes.apfd.names() == [])
    modes.daemon.virsh("start", "test")
    apfdtest.wait_for("the VM", lambda: modes.apfd.names() == ["test"])
    modes.becomes("pv", "metadata")


def test_persistent_of_a_transient_domain(modes, directory):
    with open(f"{directory}/new.xml", "w", encoding="utf-8") as f:
        f.write("<domain type='test'><name>new</name><memory>8192</memory>"
                "<os><type>hvm</type></os></domain>")
    modes.daemon.virsh("create", f"{directory}/new.xml")
    apfdtest.wait_for("the VM", lambda: "new" in modes.apfd.names())
    result = modes.apfd.call_as(OTHER_UID, modes.apfd.vm_path("new"), VM, "SetMode", "saub",
                                ["on", [], True]).result()
    assert result["error"] == "org.apfd.Error.Failed"
    assert "libvirt does not keep it" in result["text"]


def test_metadata_are_followed(modes):
    modes.write("<settings mode='on'><vcpu index='2' mode='off'/></settings>")
    modes.becomes("on", "metadata", {2: "off"})
    modes.write("<settings><vcpu index='2' mode='pv'/></settings>")
    modes.becomes("auto", "default", {2: "pv"})
    modes.daemon.virsh("metadata", "test", URI, "--live", "--remove")
    modes.becomes("auto", "default")
    # Somebody else's element is nothing to us.
    modes.daemon.virsh("metadata", "test", "http://example.org/x", "--key", "x", "--set",
                       "<settings mode='off'/>")
    apfdtest.let_pass(0.3)
    assert modes.get() == ("auto", "default", {})


@pytest.mark.parametrize("xml", ["<settings mode='often'/>", "<other mode='on'/>",
                                 "<settings mode='on'><vcpu mode='off'/></settings>",
                                 f"<settings mode='{'on' * 1000}'/>",
                                 "<settings mode='on'><vcpu index='99999999999' mode='on'/></settings>"])
def test_metadata_that_make_no_sense(modes, xml):
    modes.write("<settings mode='pv'/>")
    modes.becomes("pv", "metadata")
    modes.write(xml)
    modes.becomes("auto", "default")
    assert "are invalid, ignoring them" in modes.apfd.log()
    # And can be mended.
    modes.set("off")
    modes.becomes("off", "metadata")


def test_metadata_that_are_huge(modes):
    vcpus = "<vcpu index='1' mode='on'/>" * 12000
    with open(f"{modes.daemon.directory}/huge.xml", "w", encoding="utf-8") as f:
        f.write("<domain type='test'><name>huge</name><memory>8192</memory><os><type>hvm</type></os>"
                f"<metadata><apf:settings xmlns:apf='{URI}' mode='on'>"
                f"{vcpus.replace('<vcpu', '<apf:vcpu')}</apf:settings></metadata></domain>")
    modes.daemon.virsh("create", f"{modes.daemon.directory}/huge.xml")
    apfdtest.wait_for("the warning", lambda: "are invalid, ignoring" in modes.apfd.log())
    assert modes.apfd.get(VM, "Mode", modes.apfd.vm_path("huge")) == "auto"


def test_known_to_a_daemon_started_later(modes, start_apfd):
    modes.set("off", [], False)
    modes.set("pv", [1], False)
    modes.becomes("off", "metadata", {1: "pv"})
    # The test driver forgets all when its last client goes.
    other = apfdtest.Process(["stdbuf", "-oL", "virsh", "-c", modes.daemon.uri, "event", "--loop", "--all"],
                             f"{modes.daemon.directory}/virsh.log")

    def connected():
        modes.daemon.virsh("suspend test; resume test")
        return "lifecycle" in other.log()
    apfdtest.wait_for("another client", connected)
    modes.apfd.stop(signal.SIGKILL)
    modes.apfd = start_apfd("--connect", modes.daemon.uri)
    assert modes.get() == ("off", "metadata", {1: "pv"})


def test_libvirtd_away(modes, libvirtd):
    modes.daemon.stop(signal.SIGKILL)
    apfdtest.wait_for("the loss", lambda: modes.apfd.get(MANAGER, "Libvirt") == "disconnected")
    # It holds, and is written when there is somebody to write it.
    assert modes.set("off") == {"reply": []}
    assert modes.get() == ("off", "runtime", {})
    result = modes.set("on", persistent=True)
    assert result["error"] == "org.apfd.Error.Failed"
    assert "libvirt is not connected" in result["text"]
    assert modes.get() == ("off", "runtime", {})
    modes.daemon = libvirtd()
    modes.becomes("off", "metadata")
    assert "off" in modes.metadata()


def test_libvirtd_hangs(modes):
    modes.daemon.send(signal.SIGSTOP)
    # Nobody waits for it who need not.
    assert modes.set("off") == {"reply": []}
    assert modes.get() == ("off", "runtime", {})
    call = modes.apfd.call_as(OTHER_UID, PATH, VM, "SetMode", "saub", ["pv", [], True])
    apfdtest.wait_for("the mode", lambda: modes.get() == ("pv", "runtime", {}))
    modes.daemon.send(signal.SIGCONT)
    assert call.result() == {"reply": []}
    assert modes.get() == ("pv", "metadata", {})


def test_busy(modes):
    """A call that does not return: later changes are refused or stored later, and nobody waits."""
    modes.daemon.send(signal.SIGSTOP)
    call = modes.apfd.call_as(OTHER_UID, PATH, VM, "SetMode", "saub", ["pv", [], True])
    apfdtest.wait_for("the mode", lambda: modes.get() == ("pv", "runtime", {}))
    apfdtest.let_pass(5.5)
    result = modes.set("on", persistent=True)
    assert result["error"] == "org.apfd.Error.Failed"
    assert "libvirt is busy" in result["text"]
    assert modes.get() == ("pv", "runtime", {})
    # A change for this run of the VM applies at once and is stored later.
    assert modes.set("off") == {"reply": []}
    assert modes.get() == ("off", "runtime", {})
    modes.daemon.send(signal.SIGCONT)
    assert call.result() == {"reply": []}
    modes.becomes("off", "metadata")
    assert "off" in modes.metadata()


def test_ends_with_a_write_under_way(modes):
    modes.daemon.send(signal.SIGSTOP)
    call = modes.apfd.call_as(OTHER_UID, PATH, VM, "SetMode", "saub", ["pv", [], True])
    apfdtest.wait_for("the mode", lambda: modes.get() == ("pv", "runtime", {}))
    assert modes.apfd.stop() == 0
    assert "error" in call.result()


def test_the_last_one_counts(modes):
    for i in range(30):
        assert modes.set(("on", "off", "pv")[i % 3]) == {"reply": []}
    modes.becomes("pv", "metadata")
    apfdtest.let_pass(0.3)
    assert modes.get() == ("pv", "metadata", {})
    assert "pv" in modes.metadata()


def test_over_the_configuration(start_apfd, domains_uri, directory, polkit):
    polkit.allow("org.apfd.manage")
    os.makedirs(f"{directory}/etc/apfd")
    with open(f"{directory}/etc/apfd/apfd.conf", "w", encoding="utf-8") as f:
        f.write('[VM "web1"]\nMode=off\nVCPUModes=0:on,1:pv\n')
    apfd = start_apfd("--connect", domains_uri)

    def get():
        vm = apfd.managed()[WEB1][VM]
        return str(vm["Mode"]), {int(i): str(m) for i, m in vm["VCPUModes"].items()}

    def set_mode(mode, vcpus):
        assert apfd.call_as(OTHER_UID, WEB1, VM, "SetMode", "saub",
                            [mode, vcpus, False]).result() == {"reply": []}

    assert get() == ("off", {0: "on", 1: "pv"})
    set_mode("auto", [0])
    assert get() == ("off", {0: "auto", 1: "pv"})
    set_mode("on", [])
    assert get() == ("on", {})
    set_mode("default", [])
    assert get() == ("off", {0: "on", 1: "pv"})


@pytest.mark.parametrize("mode", ["", "ON", "mixed", "x" + "ü" * 100])
def test_unknown_mode(apfd, polkit, mode):
    result = apfd.call_as(OTHER_UID, WEB1, VM, "SetMode", "saub", [mode, [], False]).result()
    assert result["error"] == "org.apfd.Error.InvalidMode"
    assert "auto, on, pv, off or default" in result["text"]


def test_vcpu_that_cannot_be(apfd, polkit):
    polkit.allow("org.apfd.manage")
    result = apfd.call_as(OTHER_UID, WEB1, VM, "SetMode", "saub", ["on", [4096], False]).result()
    assert result["error"] == "org.apfd.Error.NoSuchVCPU"
    assert apfd.get(VM, "VCPUModes", WEB1) == {}


def test_refused(apfd, polkit):
    result = apfd.call_as(OTHER_UID, WEB1, VM, "SetMode", "saub", ["on", [], False]).result()
    assert result["error"] == "org.freedesktop.DBus.Error.AccessDenied"
    assert apfd.get(VM, "Mode", WEB1) == "auto"
