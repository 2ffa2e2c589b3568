# SPDX-License-Identifier: GPL-2.0
"""org.apfd.Manager1 and the object manager."""

import os
import xml.etree.ElementTree as ElementTree

import dbus
import pytest

import apfdtest
from apfdtest import MANAGER, OBJECT_MANAGER, ROOT, VM
from conftest import DOMAINS

DATA = os.path.join(os.path.dirname(__file__), "../../daemon/data")


def path_of(name):
    return "/org/apfd/vm/" + DOMAINS[name].replace("-", "_")


def interface_of(text, name):
    """An interface as comparable values: members with arguments and annotations."""
    [interface] = [i for i in ElementTree.fromstring(text) if i.get("name") == name]
    members = {}
    for member in interface:
        key = (member.tag, member.get("name"))
        assert key not in members
        attributes = {k: v for k, v in member.attrib.items() if k != "name"}
        arguments = [
            {"direction": "in" if member.tag == "method" else "out", **a.attrib}
            for a in member.findall("arg")
        ]
        annotations = {a.get("name"): a.get("value") for a in member.findall("annotation")}
        members[key] = (attributes, arguments, annotations)
    return members


@pytest.mark.parametrize("interface", [MANAGER, VM])
def test_introspection_is_the_published_one(apfd, interface):
    path = ROOT if interface == MANAGER else path_of("web1")
    served = apfd.object(path, "org.freedesktop.DBus.Introspectable").Introspect()
    with open(f"{DATA}/{interface}.xml", encoding="utf-8") as f:
        published = f.read()
    assert interface_of(served, interface) == interface_of(published, interface)


def test_properties(apfd, domains_uri):
    with open(os.path.join(DATA, "../../VERSION"), encoding="ascii") as f:
        version = f.read().strip()
    if os.path.isdir("/sys/module/apf_host"):
        pytest.skip("apf_host is loaded on this machine")
    served = apfd.object(ROOT, apfdtest.PROPERTIES).GetAll(MANAGER)
    # Of this machine; test_pressure.py looks at it.
    for name in ("Swap", "MemoryState", "Memory", "Pressure", "Nodes"):
        del served[name]
    assert served == {
        "Version": version,
        "HostModule": "absent",
        "HostModuleVersion": "",
        "NoWaitSwapin": "unknown",
        "NestedGuard": False,
        "Hooks": [],
        "Libvirt": "connected",
        "LibvirtURI": domains_uri,
        "ConfigFiles": [],
        "ConfigError": "",
        "DryRun": False,
        "AutoRecall": {"State": "off", "Reason": "WhenCalm=no"},
    }


def test_managed_objects(apfd):
    managed = apfd.managed()
    assert {str(p): str(o[VM]["Name"]) for p, o in managed.items()} == \
        {path_of(n): n for n in DOMAINS}
    assert {str(o[VM]["UUID"]) for o in managed.values()} == set(DOMAINS.values())
    assert [int(managed[path_of(n)][VM]["LibvirtID"]) for n in DOMAINS] == [1, 2, 3, 4, 5]


def test_get_vm(apfd):
    for name, uuid in DOMAINS.items():
        assert apfd.vm_path(name) == path_of(name)
        assert apfd.vm_path(uuid) == path_of(name)
        assert apfd.vm_path(uuid.upper()) == path_of(name)
    assert apfd.vm_path("3") == path_of("database")
    # "1" is the name of one and the id of another.
    assert apfd.get(VM, "LibvirtID", path_of("web1")) == 1
    assert apfd.vm_path("1") == path_of("1")


@pytest.mark.parametrize("wanted,near", [
    ("wbe1", "did you mean web1"),
    ("WEB", "did you mean web1 or web2?"),
    ("databas", "did you mean database?"),
    ("nothing-like-it-at-all", None),
    ("", None),
    ("99", None),
    ("-1", "did you mean 1?"),
    ("11111111-aaaa-4bbb-8ccc-00000000000f", None),
    pytest.param("x" * 5000, None, id="very-long"),
    # Cut off, but not in the middle of a character: the bus would not take that.
    pytest.param("x" + "ü" * 100, None, id="long-and-not-ascii"),
    pytest.param("\n\t\x7f", None, id="control-characters"),
])
def test_no_such_vm(apfd, wanted, near):
    with pytest.raises(dbus.DBusException) as e:
        apfd.vm_path(wanted)
    assert e.value.get_dbus_name() == "org.apfd.Error.NoSuchVM"
    text = e.value.get_dbus_message()
    assert wanted[:32] in text
    assert len(text) < 400
    if near:
        assert near in text
    else:
        assert "did you mean" not in text


@pytest.mark.parametrize("path", ["/org/apfd/vm/x",
                                  "/org/apfd/vm/11111111_aaaa_4bbb_8ccc_00000000000f",
                                  path_of("web1").upper()])
def test_no_such_object(apfd, path):
    with pytest.raises(dbus.DBusException) as e:
        apfd.object(path, VM).GetVCPUs()
    assert e.value.get_dbus_name() == "org.freedesktop.DBus.Error.UnknownObject"


def test_reading_is_open(apfd):
    call = apfd.call_as(apfdtest.OTHER_UID, ROOT, MANAGER, "GetVM", "s", ["web1"])
    assert call.result() == {"reply": [path_of("web1")]}
    call = apfd.call_as(apfdtest.OTHER_UID, ROOT, OBJECT_MANAGER, "GetManagedObjects")
    assert "web2" in call.result()["reply"][0]


def test_properties_cannot_be_set(apfd):
    with pytest.raises(dbus.DBusException) as e:
        apfd.object(path_of("web1"), apfdtest.PROPERTIES).Set(VM, "State", "off")
    assert e.value.get_dbus_name() == "org.freedesktop.DBus.Error.PropertyReadOnly"


# ---- ListVMs ----

def list_vms(apfd, *names):
    return apfd.object(ROOT, MANAGER).ListVMs(dbus.Array(names, signature="s"))


def test_list_of_all_properties(apfd):
    """The same as GetManagedObjects() has, value by value and type by type."""
    managed = {path: o[VM] for path, o in apfd.managed().items()}
    listed = list_vms(apfd)
    assert listed == managed
    for path, vm in managed.items():
        for name, value in vm.items():
            assert (type(listed[path][name]), getattr(listed[path][name], "signature", None)) == \
                (type(value), getattr(value, "signature", None)), name


def test_list_of_some_properties(apfd):
    listed = list_vms(apfd, "Name", "LibvirtID", "Name", "AsyncHistogram")
    assert sorted(vm["Name"] for vm in listed.values()) == sorted(DOMAINS)
    assert all(set(vm) == {"Name", "LibvirtID", "AsyncHistogram"} for vm in listed.values())


def test_list_of_an_unknown_property(apfd):
    for name in ("Nmae", "Enable", ""):
        with pytest.raises(dbus.DBusException) as e:
            list_vms(apfd, "Name", name)
        assert e.value.get_dbus_name() == "org.freedesktop.DBus.Error.UnknownProperty"
        assert f'"{name}"' in e.value.get_dbus_message()
