# SPDX-License-Identifier: GPL-2.0
"""Reads BTF: the functions and structs of a kernel, as pahole found them in its debug information.

Written here, in a page of Python, instead of asking pahole or bpftool: Debian 12's do not know the
newest kinds, they print C for people, and both would have to be installed for this one question.
The format: Documentation/bpf/btf.rst of the kernel.
"""

import struct

(INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT,
 DECL_TAG, TYPE_TAG, ENUM64) = range(1, 20)
# Bytes after the common three words: (fixed, for each of vlen)
EXTRA = {INT: (4, 0), PTR: (0, 0), ARRAY: (12, 0), STRUCT: (0, 12), UNION: (0, 12), ENUM: (0, 8), FWD: (0, 0),
         TYPEDEF: (0, 0), VOLATILE: (0, 0), CONST: (0, 0), RESTRICT: (0, 0), FUNC: (0, 0), FUNC_PROTO: (0, 8),
         VAR: (4, 0), DATASEC: (0, 12), FLOAT: (0, 0), DECL_TAG: (4, 0), TYPE_TAG: (0, 0), ENUM64: (0, 12)}
TAGS = {STRUCT: "struct ", UNION: "union ", ENUM: "enum ", ENUM64: "enum "}


class BtfError(Exception):
    """The data is no BTF that this reader knows."""


class Btf:
    """The types of vmlinux, or with @base those of a module on top of them."""

    def __init__(self, data, base=None):
        if len(data) < 24 or struct.unpack_from("<H", data)[0] != 0xeb9f:
            raise BtfError("no BTF")
        hdr, type_off, type_len, str_off, str_len = struct.unpack_from("<5I", data, 4)
        if data[2] != 1 or hdr + max(type_off + type_len, str_off + str_len) > len(data):
            raise BtfError(f"BTF of version {data[2]}, or truncated")
        self.base, self.data = base, data
        self.first = base.count if base else 1          # the lowest of our own ids
        self.str_first = base.str_end if base else 0
        self.strings = data[hdr + str_off:hdr + str_off + str_len]
        self.str_end = self.str_first + str_len
        self.at = []                                    # offsets of our types
        self.functions = {}
        self.structs = {}
        pos, end = hdr + type_off, hdr + type_off + type_len
        while pos < end:
            name, info = struct.unpack_from("<II", data, pos)
            kind = info >> 24 & 0x1f
            if kind not in EXTRA:
                raise BtfError(f"unknown kind {kind} of BTF")
            if kind == FUNC:
                self.functions.setdefault(self.string(name), self.first + len(self.at))
            elif kind in (STRUCT, UNION) and name:
                self.structs.setdefault(self.string(name), self.first + len(self.at))
            self.at.append(pos)
            fixed, each = EXTRA[kind]
            pos += 12 + fixed + each * (info & 0xffff)
        self.count = self.first + len(self.at)

    def string(self, offset):
        if offset < self.str_first:
            return self.base.string(offset)
        offset -= self.str_first
        return self.strings[offset:self.strings.index(b"\0", offset)].decode()

    def _type(self, n):
        """(kind, name, vlen, size or type, Btf that holds it, offset of what follows)"""
        if n < self.first:
            return self.base._type(n)
        pos = self.at[n - self.first]
        name, info, size = struct.unpack_from("<III", self.data, pos)
        return info >> 24 & 0x1f, self.string(name), info & 0xffff, size, self, pos + 12

    def name(self, n):
        """The C name of type @n, as a declaration without an identifier."""
        if n == 0:
            return "void"
        kind, name, vlen, to, where, pos = self._type(n)
        if kind in TAGS:
            return TAGS[kind] + (name or "{...}")
        if kind == FWD:
            return "struct " + name
        if kind in (INT, TYPEDEF, FLOAT):
            return name
        if kind == CONST:
            inner = self.name(to)
            return f"{inner} const" if inner.endswith("*") else f"const {inner}"
        if kind in (VOLATILE, RESTRICT, TYPE_TAG):
            return self.name(to)
        if kind == PTR:
            inner = self.name(to)
            return inner + "*" if inner.endswith("*") else inner + " *"
        if kind == ARRAY:
            elem, _, n = struct.unpack_from("<III", where.data, pos)
            return f"{self.name(elem)}[{n}]"
        if kind == FUNC_PROTO:
            return self._proto(n)
        raise BtfError(f"kind {kind} has no name")

    def _proto(self, n):
        kind, _, vlen, ret, where, pos = self._type(n)
        if kind != FUNC_PROTO:
            raise BtfError("a function without a prototype")
        args = []
        for i in range(vlen):
            _, arg = struct.unpack_from("<II", where.data, pos + 8 * i)
            args.append(self.name(arg))
        return f"{self.name(ret)} ({', '.join(args) or 'void'})"

    def function(self, name):
        """The prototype of function @name, or None: "bool (struct kvm_vcpu *)"."""
        if name in self.functions:
            return self._proto(self._type(self.functions[name])[3])
        return self.base.function(name) if self.base else None

    def _struct(self, name):
        if name in self.structs:
            return self.structs[name]
        return self.base._struct(name) if self.base else None

    def field(self, name, path):
        """The type of member @path (a.b.c) of struct @name, or None if there is no such member."""
        n = self._struct(name)
        for word in path.split("."):
            n = self._member(n, word) if n is not None else None
        return self.name(n) if n is not None else None

    def _member(self, n, name):
        kind, _, vlen, to, where, pos = self._type(n)
        while kind in (TYPEDEF, CONST, VOLATILE, TYPE_TAG):
            kind, _, vlen, to, where, pos = self._type(to)
        if kind not in (STRUCT, UNION):
            return None
        for i in range(vlen):
            member, to, _ = struct.unpack_from("<III", where.data, pos + 12 * i)
            if where.string(member) == name:
                return to
            if not member:      # anonymous: its members are ours
                found = self._member(to, name)
                if found is not None:
                    return found
        return None
