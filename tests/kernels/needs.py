# SPDX-License-Identifier: GPL-2.0
"""The list of what the modules rely on, and whether a kernel image has it."""

import tomllib

from paths import HERE

KEYS = {"hook": {"names", "proto", "where"}, "call": {"names", "proto", "where"}, "compare": {"names", "proto", "where"},
        "tracepoint": {"names", "proto", "where"}, "export": {"names", "where"}, "field": {"struct", "path", "type"}}
MODULES = ("host", "guest")


def load():
    """Module -> its needs, checked for form."""
    needs = tomllib.loads((HERE / "needs.toml").read_text())
    assert set(needs) == set(MODULES)
    for need in (n for module in MODULES for n in needs[module]):
        assert set(need) - {"kind", "before"} == KEYS[need["kind"]], need
    return needs


def text(need):
    if need["kind"] == "field":
        return f"struct {need['struct']}.{need['path']}"
    return f"{need['kind']} {' or '.join(need['names'])}"


def applies(need, series):
    """Whether a kernel of @series (major, minor) is asked for it."""
    return "before" not in need or series < tuple(int(n) for n in need["before"].split("."))


def fits(wanted, found):
    """Whether prototype @found is what the module takes; "..." stands for the rest of the arguments."""
    if wanted.endswith("...)"):
        return found == wanted[:-len(", ...)")] + ")" or found.startswith(wanted[:-len("...)")])
    return found == wanted


def wrong(need, facts):
    """Why the image does not have @need: a text, or None if it has."""
    kind = need["kind"]
    if kind == "field":
        found = (facts.btf("kvm") or facts.btf("vmlinux")).field(need["struct"], need["path"])
        if found is None:
            return f"no {text(need)}"
        return None if found == need["type"] else f"{text(need)} is {found}, not {need['type']}"
    where = need["where"] if need["where"] in facts.names else "vmlinux"
    if kind == "export":
        space = [facts.exports[where].get(name) for name in need["names"]]
        if all(s is None for s in space):
            return f"{text(need)}: not exported"
        return None if "" in space else f"{text(need)}: exported to {space[0]} only"
    prefix = "__tracepoint_" if kind == "tracepoint" else ""
    there = [name for name in need["names"] if prefix + name in facts.names[where]]
    if not there:
        return f"{text(need)}: not in {where}"
    return _wrong_function(need, there[0], where, facts)


def _wrong_function(need, name, where, facts):
    kind = need["kind"]
    wanted = need["proto"]
    if isinstance(wanted, list):
        wanted = wanted[need["names"].index(name)]
    if kind == "call" and name not in facts.exports[where]:
        return f"{text(need)}: exported to nobody, an indirect call may not go there"
    if kind == "tracepoint":
        # what calls the handlers: int (void *, arguments)
        found, wanted = facts.btf(where).function(f"__traceiter_{name}"), f"int (void *, {wanted})"
    else:
        found = facts.btf(where).function(name)
    # pahole leaves out functions whose arguments the compiler changed: then a hook sees other registers
    if found is None:
        return f"{text(need)}: {name}() has no prototype in BTF"
    return None if fits(wanted, found) else f"{text(need)}: {name} is {found}, not {wanted}"


def check(module, series, facts):
    """The first thing of @module that the image does not have, or None."""
    for need in load()[module]:
        if not applies(need, series):
            continue
        if not knows_kvm(facts) and (need.get("where") == "kvm" or only_in_kvm(need, facts)):
            continue
        found = wrong(need, facts)
        if found:
            return found
    return None


def knows_kvm(facts):
    """Whether the facts include KVM's code: its module, or all of it built in."""
    return "kvm" in facts.names or "kvm_arch_destroy_vm" in facts.names["vmlinux"]


def only_in_kvm(need, facts):
    """Whether it is a member of a struct that only KVM's own types describe."""
    return need["kind"] == "field" and need["struct"] not in facts.btf("vmlinux").structs


def missing(kernel, facts, imported):
    """What kernels on both sides of @kernel export to a module, and the image of @kernel does not.

    @imported: kernel -> the symbols that the module built for it imports. Exports of other modules
    than kvm cannot be seen in an image, and are not judged.
    """
    same = [k for k in imported if k.flavour == kernel.flavour]
    older = [k for k in same if k.series < kernel.series]
    newer = [k for k in same if k.series > kernel.series]
    if not older or not newer:
        return None
    exported = {}
    for names in facts.exports.values():
        exported.update(names)
    both = imported[max(older, key=lambda k: k.series)] & imported[min(newer, key=lambda k: k.series)]
    for name in sorted(both):
        if exported.get(name):
            return f"import {name}: exported to {exported[name]} only"
        if name not in exported and any(name in names for names in facts.names.values()):
            return f"import {name}: not exported"
    return None
