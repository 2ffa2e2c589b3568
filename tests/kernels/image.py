# SPDX-License-Identifier: GPL-2.0
"""What a kernel image and its kvm.ko say about themselves: names, exports, types.

Debian's packages have no System.map any more, but the kernel carries the list itself, packed, for
/proc/kallsyms. A stripped vmlinux has no symbol that leads there: the list is found by its shape.
"""

import gzip
import json
import lzma
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from btf import Btf
from paths import CACHE

from apflab.errors import LabError
from apflab.images import digest
from apflab.progress import step


# How the kernel inside a bzImage may be packed: first bytes -> what unpacks it from stdin to stdout.
PACKED = {b"\xfd7zXZ": ["xz", "-dc", "--single-stream"], b"\x28\xb5\x2f\xfd": ["zstd", "-dc"],
          b"\x02!L\x18": ["lz4", "-dc"]}


class Elf:
    """Sections and symbols of a 64-bit ELF file."""

    def __init__(self, data):
        if data[:5] != b"\x7fELF\x02":
            raise LabError("no 64-bit ELF file")
        self.data = data
        self.sections = {}
        self.numbers = []
        shoff, = struct.unpack_from("<Q", data, 40)
        shentsize, shnum, shstrndx = struct.unpack_from("<HHH", data, 58)
        rows = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * shentsize) for i in range(shnum)]
        names = rows[shstrndx]
        for name, kind, _, addr, off, size, link, info, _, entsize in rows:
            text = self._cstring(names[4] + name)
            self.numbers.append(text)
            self.sections[text] = (kind, addr, off, size)

    def _cstring(self, pos):
        return self.data[pos:self.data.index(b"\0", pos)].decode()

    def section(self, name):
        kind, _, off, size = self.sections[name]
        return b"" if kind == 8 else self.data[off:off + size]

    def symbols(self):
        """(name, section, value) of every symbol."""
        if ".symtab" not in self.sections:
            return
        table = self.section(".symtab")
        names = self.sections[".strtab"][2]
        for name, _, _, shndx, value, _ in struct.iter_unpack("<IBBHQQ", table):
            yield self._cstring(names + name), self.numbers[shndx] if 0 < shndx < len(self.numbers) else None, value


def module_exports(elf):
    """Exported name -> namespace, of a module."""
    strings = elf.section("__ksymtab_strings") if "__ksymtab_strings" in elf.sections else b""
    found = {}
    for name, section, value in elf.symbols():
        if name.startswith("__kstrtabns_"):
            found[name[len("__kstrtabns_"):]] = strings[value:strings.index(b"\0", value)].decode()
    return found


def vmlinux_exports(elf):
    """Exported name -> namespace, of a linked kernel: three relative references per symbol."""
    _, str_addr, str_off, _ = elf.sections["__ksymtab_strings"]
    found = {}
    for section in ("__ksymtab", "__ksymtab_gpl"):
        if section not in elf.sections:
            continue
        _, addr, off, size = elf.sections[section]
        for i in range(0, size - size % 12, 12):
            _, name, space = struct.unpack_from("<iii", elf.data, off + i)
            where = [str_off + addr + i + field + rel - str_addr for field, rel in ((4, name), (8, space))]
            found[elf._cstring(where[0])] = elf._cstring(where[1]) if space else ""
    return found


def kallsyms(data):
    """The names in the kernel's own symbol list, found in @data, the section .rodata."""
    # Tokens 0x30 to 0x39 are the digits themselves.
    digits = b"".join(b"%d\0" % n for n in range(10))
    pos = -1
    while True:
        pos = data.find(digits, pos + 1)
        if pos < 0:
            raise LabError("no kallsyms in this kernel")
        try:
            return _kallsyms_at(data, pos)
        except (ValueError, struct.error, IndexError):
            continue


def _kallsyms_at(data, digits):
    table = digits
    for _ in range(0x30):
        table = data.rindex(b"\0", 0, table - 1) + 1
    tokens, pos = [], table
    for _ in range(256):
        end = data.index(b"\0", pos)
        tokens.append(data[pos:end].decode("ascii"))
        pos = end + 1
    # Before it, at some distance: the offset of every 256th name, beginning with 0.
    pos, markers = _markers(data, table)
    # Before that: the names, and before them their number.
    for start in range(pos - markers[-1] - 0x10000, pos - markers[-1] + 1):
        for gap in (8, 4):      # aligned to 8 bytes or to 4, depending on the release
            count, = struct.unpack_from("<I", data, start - gap)
            if (len(markers) - 1) * 256 < count <= len(markers) * 256 and _fits(data, start, markers):
                return _names(data, start, count, tokens)
    raise ValueError("no names")


def _markers(data, end):
    """Where the last row of steadily growing numbers before @end begins, and the row."""
    words = memoryview(data[:end - end % 4]).cast("I")

    def grows(i):
        return 256 < words[i + 1] - words[i] < 256 * 128

    for first in range(len(words) - 2, 0, -1):
        if words[first] == 0 and grows(first) and all(grows(first + k) for k in range(1, 32)):
            last = first
            while last + 1 < len(words) and grows(last):
                last += 1
            return first * 4, words[first:last + 1].tolist()
    raise ValueError("no markers")


def _length(data, pos):
    """Length of the name at @pos, and where its tokens begin: long ones have two bytes of length."""
    size = data[pos]
    if size & 0x80:
        return size & 0x7f | data[pos + 1] << 7, pos + 2
    return size, pos + 1


def _fits(data, start, markers):
    pos = start
    for marker in markers[1:8]:
        for _ in range(256):
            size, pos = _length(data, pos)
            pos += size
        if pos - start != marker:
            return False
    return True


def _names(data, start, count, tokens):
    names, pos = set(), start
    for _ in range(count):
        size, pos = _length(data, pos)
        # the first character is the symbol's type
        names.add("".join([tokens[b] for b in data[pos:pos + size]])[1:])
        pos += size
    return names


def unpacked(bzimage):
    """The ELF kernel out of a bzImage (Documentation/arch/x86/boot.rst: payload_offset, payload_length)."""
    start = ((bzimage[0x1f1] or 4) + 1) * 512 + int.from_bytes(bzimage[0x248:0x24c], "little")
    payload = bzimage[start:start + int.from_bytes(bzimage[0x24c:0x250], "little")]
    for magic, command in PACKED.items():
        if payload.startswith(magic):
            # the length of the result follows the packed data: some call that garbage
            return subprocess.run(command, input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    raise LabError(f"a kernel packed in an unknown way: {payload[:4].hex()}")


class Facts:
    """What is kept of one kernel image."""

    def __init__(self, folder):
        self.folder = folder
        lists = json.loads((folder / "names.json").read_text())
        self.names = {where: set(names) for where, names in lists["names"].items()}
        self.exports = lists["exports"]
        self._btf = {}

    def btf(self, where):
        if where not in self._btf:
            path = self.folder / f"{where}.btf.gz"
            if not path.exists():
                return None
            base = None if where == "vmlinux" else self.btf("vmlinux")
            self._btf[where] = Btf(gzip.decompress(path.read_bytes()), base)
        return self._btf[where]



# What Facts has been made of: a change here makes it anew.
RECIPE = 1


def facts(known, kernel):
    """The Facts of @kernel; downloads its packages if they are not in the cache."""
    packages = known.image_packages(kernel)
    key = digest(RECIPE, kernel.version, packages)
    top = CACHE / "facts"
    folder = top / f"{kernel}-{key}"
    if not folder.is_dir():
        top.mkdir(parents=True, exist_ok=True)
        for old in (*top.glob(f"{kernel}-*"), *top.glob(f".{kernel}-*")):
            shutil.rmtree(old)
        work = Path(tempfile.mkdtemp(prefix=f".{kernel}-", dir=top))
        try:
            with step(f"reading the image of {kernel}"):
                _extract(known, kernel, packages, work)
            work.rename(folder)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    return Facts(folder)


def _extract(known, kernel, packages, work):
    debs = known.fetch(kernel.release, packages, work / "debs")
    for deb in debs:
        # --wildcards without a match is an error to tar, and both packages match something else
        subprocess.run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --wildcards "*/vmlinuz*" '
                        '"*/arch/x86/kvm/kvm.ko*" 2>/dev/null || true', "sh", deb, work], check=True)
    # in /boot, from 7.2 on beside the modules
    image, = (p for p in work.rglob("vmlinuz*") if p.is_file() and not p.is_symlink())
    elf = Elf(unpacked(image.read_bytes()))
    if ".BTF" not in elf.sections:
        raise LabError(f"the image of {kernel} has no BTF")
    names = {"vmlinux": sorted(kallsyms(elf.section(".rodata")))}
    exports = {"vmlinux": vmlinux_exports(elf)}
    (work / "vmlinux.btf.gz").write_bytes(gzip.compress(elf.section(".BTF"), 3))
    modules = [p for p in work.rglob("kvm.ko*") if re.fullmatch(r"kvm\.ko(\.xz|\.zst)?", p.name)]
    for path in modules[:1]:
        data = path.read_bytes()
        if path.suffix == ".xz":
            data = lzma.decompress(data)
        elif path.suffix == ".zst":
            data = subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
        elf = Elf(data)
        names["kvm"] = sorted({name for name, section, _ in elf.symbols() if section})
        exports["kvm"] = module_exports(elf)
        (work / "kvm.btf.gz").write_bytes(gzip.compress(elf.section(".BTF"), 3))
    (work / "names.json").write_text(json.dumps({"names": names, "exports": exports}))
    for path in list(work.iterdir()):
        if path.name != "names.json" and not path.name.endswith(".btf.gz"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
