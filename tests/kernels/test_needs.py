# SPDX-License-Identifier: GPL-2.0
"""needs.toml and the sources of the modules say the same, and a kernel that lacks a need is found."""

import dataclasses
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import needs
from paths import REPO

# How the names of functions look that are found by name: nothing else in the sources does.
NAME = re.compile(r'"(_*(?:kvm|swap|sysvec)_\w+)"')
# Variables of the host module that point to KVM's objects.
OBJECTS = {"vcpu": "kvm_vcpu", "work": "kvm_async_pf", "kvm": "kvm"}
# The kinds whose names the module hands to the kernel as strings.
BY_NAME = ("hook", "call", "compare", "tracepoint")


def source(module):
    """All C of @module without its comments."""
    text = "\n".join(p.read_text() for p in sorted((REPO / f"{module}-module").glob("*.[ch]")))
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def own_members(text, name):
    """The members of the module's own struct @name."""
    body = re.search(rf"struct {name} {{(.*?)^}};", text, re.S | re.M)
    return set(re.findall(r"\b(\w+)(?:\[\w*\])?;", body.group(1)))


@pytest.mark.parametrize("module", needs.MODULES)
def test_names(module):
    listed = {name for n in needs.load()[module] if n["kind"] in BY_NAME for name in n["names"]}
    assert set(NAME.findall(source(module))) == listed


def test_exports_are_used():
    text = source("host")
    for need in needs.load()["host"]:
        if need["kind"] == "export":
            assert any(re.search(rf"\b{name}\(", text) for name in need["names"]), need


def test_fields():
    text = source("host")
    # The module's own structs are reached by other names, but for a few variables called vcpu.
    own = own_members(text, "apf_host_vcpu") | own_members(text, "apf_host_vm")
    used = {(OBJECTS[variable], path) for variable, path in re.findall(r"\b(vcpu|work|kvm)->([a-z]\w*(?:\.\w+)*)", text)
            if path.split(".")[0] not in own or path in ("kvm", "mm", "vcpu_id")}
    listed = {(n["struct"], n["path"]) for n in needs.load()["host"] if n["kind"] == "field"}
    assert used == listed


class Kernel:
    """Facts of a kernel that has all that the needs of one module ask for."""

    def __init__(self, module):
        self.names, self.exports = {"vmlinux": set(), "kvm": set()}, {"vmlinux": {}, "kvm": {}}
        self.functions, self.fields = {}, {}
        for need in needs.load()[module]:
            if need["kind"] == "field":
                self.fields[need["struct"], need["path"]] = need["type"]
                continue
            name, where = need["names"][-1], need["where"]
            if need["kind"] == "export":
                self.exports[where][name] = ""
                continue
            proto = need["proto"][-1] if isinstance(need.get("proto"), list) else need["proto"]
            if need["kind"] == "tracepoint":
                self.names[where].add(f"__tracepoint_{name}")
                self.functions[f"__traceiter_{name}"] = f"int (void *, {proto})"
                continue
            self.names[where].add(name)
            self.functions[name] = proto.replace("...", "bool")
            if need["kind"] == "call":
                self.exports[where][name] = "module:kvm-amd"

    structs = {"kvm": 1, "kvm_vcpu": 2, "kvm_async_pf": 3}

    def btf(self, where):
        return self

    def function(self, name):
        return self.functions.get(name)

    def field(self, struct, path):
        return self.fields.get((struct, path))


@pytest.fixture(params=needs.MODULES)
def module(request):
    return request.param


def test_a_kernel_that_has_it_all(module):
    assert needs.check(module, (6, 1), Kernel(module)) is None


def test_every_name_that_is_missing_is_found(module):
    for need in needs.load()[module]:
        kernel = Kernel(module)
        if need["kind"] == "field":
            del kernel.fields[need["struct"], need["path"]]
        elif need["kind"] == "export":
            del kernel.exports[need["where"]][need["names"][-1]]
        else:
            name = need["names"][-1]
            kernel.names[need["where"]] -= {name, f"__tracepoint_{name}"}
        found = needs.check(module, (6, 1), kernel)
        assert found and needs.text(need) in found, need


def test_every_prototype_that_differs_is_found(module):
    for need in needs.load()[module]:
        kernel = Kernel(module)
        if need["kind"] == "field":
            kernel.fields[need["struct"], need["path"]] = "struct other"
        elif need["kind"] == "export":
            kernel.exports[need["where"]][need["names"][-1]] = "module:kvm-amd,kvm-intel"
        elif need["kind"] == "tracepoint":
            kernel.functions[f"__traceiter_{need['names'][-1]}"] = "int (void *, struct other *)"
        else:
            kernel.functions[need["names"][-1]] = "void (struct other *)"
        found = needs.check(module, (6, 1), kernel)
        assert found and needs.text(need) in found, need


def test_a_call_needs_an_export():
    kernel = Kernel("host")
    kernel.exports["kvm"].pop("kvm_get_running_vcpu")
    assert "exported to nobody" in needs.check("host", (6, 1), kernel)


def test_a_need_that_ends_is_not_asked_of_a_newer_kernel():
    kernel = Kernel("host")
    kernel.names["vmlinux"].discard("swap_readpage")
    assert "swap_readpage" in needs.check("host", (6, 5), kernel)
    assert needs.check("host", (6, 6), kernel) is None


def test_kvm_may_be_built_in():
    kernel = Kernel("host")
    kernel.names = {"vmlinux": kernel.names["vmlinux"] | kernel.names["kvm"]}
    kernel.exports = {"vmlinux": {**kernel.exports["vmlinux"], **kernel.exports["kvm"]}}
    assert needs.check("host", (6, 1), kernel) is None


def test_without_kvm_only_the_kernel_is_judged():
    kernel = Kernel("host")
    del kernel.names["kvm"], kernel.exports["kvm"]
    assert needs.check("host", (6, 1), kernel) is None
    kernel.names["vmlinux"].clear()
    assert "swap_readpage" in needs.check("host", (6, 1), kernel)


@dataclasses.dataclass(frozen=True)
class Named:
    """As much of a kernel of the archive as the comparison of imports looks at."""

    series: tuple
    flavour: str = "amd64"


def test_imports_of_both_neighbours():
    kernel = Kernel("host")
    older, newer = Named((6, 12)), Named((7, 2))
    imported = {Named((6, 1)): {"gone"}, older: {"a", "old"}, newer: {"a", "new"}, Named((7, 3)): {"newest"},
                Named((7, 2), "rt-amd64"): set()}
    kernel.names["vmlinux"] |= {"a", "old", "new"}
    kernel.exports["vmlinux"] = {"a": ""}
    middle = Named((6, 18))
    assert needs.missing(middle, kernel, imported) is None, "what only one side takes is not asked for"
    kernel.exports["vmlinux"]["a"] = "module:kvm"
    assert needs.missing(middle, kernel, imported) == "import a: exported to module:kvm only"
    del kernel.exports["vmlinux"]["a"]
    assert needs.missing(middle, kernel, imported) == "import a: not exported"
    kernel.names["vmlinux"].discard("a")
    assert needs.missing(middle, kernel, imported) is None, "it may be of a module that is not seen"
    assert needs.missing(Named((7, 9)), kernel, imported) is None, "nothing newer to compare with"
