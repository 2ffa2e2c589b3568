# SPDX-License-Identifier: GPL-2.0
"""The readers of BTF and of the kernel's symbol list, on data made here, byte for byte."""

import struct
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import btf
import image
import needs

from apflab.errors import LabError


class Maker:
    """Writes BTF: the opposite of what is tested, as the documentation of the format has it."""

    def __init__(self, first=1, str_first=0):
        self.types, self.strings = b"", b"\0" if not str_first else b""
        self.n, self.str_first = first - 1, str_first

    def name(self, text):
        if not text:
            return 0
        at = self.str_first + len(self.strings)
        self.strings += text.encode() + b"\0"
        return at

    def add(self, kind, name, to, extra=b"", vlen=0):
        self.types += struct.pack("<III", self.name(name), kind << 24 | vlen, to) + extra
        self.n += 1
        return self.n

    def members(self, kind, name, *members):
        extra = b"".join(struct.pack("<III", self.name(n), t, 0) for n, t in members)
        return self.add(kind, name, 8, extra, len(members))

    def proto(self, ret, *args):
        return self.add(btf.FUNC_PROTO, "", ret, b"".join(struct.pack("<II", 0, a) for a in args), len(args))

    def bytes(self):
        return struct.pack("<HBBIIIII", 0xeb9f, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings)) \
            + self.types + self.strings


@pytest.fixture
def kernel():
    m = Maker()
    uint = m.add(btf.INT, "unsigned int", 4, struct.pack("<I", 32))
    u32 = m.add(btf.TYPEDEF, "u32", uint)
    inner = m.members(btf.STRUCT, "", ("msr", u32))
    union = m.members(btf.UNION, "", ("deep", u32), ("other", uint))
    apf = m.add(btf.CONST, "", inner)
    outer = m.members(btf.STRUCT, "vcpu", ("id", uint), ("apf", apf), ("", union))
    ptr = m.add(btf.PTR, "", outer)
    ptr2 = m.add(btf.PTR, "", ptr)
    m.add(btf.ENUM, "mode", 4, struct.pack("<II", 0, 1), 1)
    m.add(btf.ENUM64, "wide", 8, struct.pack("<III", 0, 1, 2), 1)
    m.add(btf.DECL_TAG, "tag", outer, struct.pack("<I", 1))
    m.add(btf.DATASEC, ".data", 4, struct.pack("<III", uint, 0, 4), 1)
    constant = m.add(btf.CONST, "", outer)
    to_constant = m.add(btf.PTR, "", constant)
    m.add(btf.FUNC, "gate", m.proto(u32, ptr, ptr2))
    m.add(btf.FUNC, "end", m.proto(0, to_constant))
    m.add(btf.FUNC, "none", m.proto(uint))
    return m


def test_prototypes(kernel):
    b = btf.Btf(kernel.bytes())
    assert b.function("gate") == "u32 (struct vcpu *, struct vcpu **)"
    assert b.function("end") == "void (const struct vcpu *)"
    assert b.function("none") == "unsigned int (void)"
    assert b.function("absent") is None


def test_fields(kernel):
    b = btf.Btf(kernel.bytes())
    assert b.field("vcpu", "id") == "unsigned int"
    assert b.field("vcpu", "apf.msr") == "u32", "through const"
    assert b.field("vcpu", "deep") == "u32", "in an anonymous union"
    assert b.field("vcpu", "apf.deep") is None
    assert b.field("vcpu", "id.msr") is None, "an integer has no members"
    assert b.field("no_struct", "id") is None


def test_a_module_stands_on_the_kernel(kernel):
    base = btf.Btf(kernel.bytes())
    m = Maker(first=base.count, str_first=base.str_end)
    ptr = m.add(btf.PTR, "", base.structs["vcpu"])
    m.add(btf.FUNC, "mine", m.proto(0, ptr))
    b = btf.Btf(m.bytes(), base)
    assert b.function("mine") == "void (struct vcpu *)"
    assert b.function("none") == "unsigned int (void)", "found below"
    assert b.field("vcpu", "apf.msr") == "u32"


def test_what_is_no_btf_is_refused(kernel):
    data = kernel.bytes()
    for bad in (b"", b"\0" * 64, data[:-1], data[:2] + b"\x02" + data[3:]):
        with pytest.raises(btf.BtfError):
            btf.Btf(bad)
    unknown = Maker()
    unknown.add(31, "new", 0)
    with pytest.raises(btf.BtfError):
        btf.Btf(unknown.bytes())


def test_prototypes_are_compared():
    assert needs.fits("bool (struct kvm_vcpu *)", "bool (struct kvm_vcpu *)")
    assert not needs.fits("bool (struct kvm_vcpu *)", "void (struct kvm_vcpu *)")
    assert not needs.fits("bool (struct kvm_vcpu *)", "bool (struct kvm_vcpu *, int)")
    rest = "int (struct kvm_vcpu *, ...)"
    assert needs.fits(rest, "int (struct kvm_vcpu *)")
    assert needs.fits(rest, "int (struct kvm_vcpu *, bool, int)")
    assert not needs.fits(rest, "int (struct kvm *, bool)")
    assert not needs.fits(rest, "int (struct kvm_vcpu **, bool)")


def kallsyms(names, seqs, gap):
    """The list as scripts/kallsyms.c writes it, with as few tokens as it may be."""
    tokens = [bytes([c]) if 0x21 <= c <= 0x7e else b"?" for c in range(256)]
    tokens[1] = b"kvm_"
    packed, markers = b"", []
    for i, name in enumerate(names):
        if i % 256 == 0:
            markers.append(len(packed))
        text = name.encode().replace(b"kvm_", b"\1")
        size = len(text)
        packed += (bytes([size]) if size < 0x80 else bytes([size & 0x7f | 0x80, size >> 7])) + text

    def aligned(data, to=8):
        return data + b"\0" * (-len(data) % to)

    return aligned(b"\x11" * 100000 + b"\0" * 4) + aligned(struct.pack("<I", len(names)), gap) + aligned(packed) \
        + aligned(struct.pack(f"<{len(markers)}I", *markers)) + aligned(b"\x22" * (3 * len(names) if seqs else 0)) \
        + b"".join(t + b"\0" for t in tokens)


@pytest.mark.parametrize("seqs", [False, True])
@pytest.mark.parametrize("gap", [4, 8])
def test_symbol_list(seqs, gap):
    names = [f"tkvm_function_number_{i}" for i in range(256 * 40 + 7)] + ["T" + "long_" * 60, "Tkvm_gate"]
    assert image.kallsyms(kallsyms(names, seqs, gap)) == {n[1:] for n in names}


def test_no_symbol_list():
    with pytest.raises(LabError):
        image.kallsyms(b"\0" * 100000)
