# SPDX-License-Identifier: GPL-2.0
"""The commands in the documents, and which of them need more than a clean Debian without a kernel of its own."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In the order in which one machine can follow them: packages are removed before the sources are installed.
SECTIONS = [
    ("README.md", "Quick start on your own host"),
    ("docs/operators.md", "Install"),
    ("docs/operators.md", "First look"),
    ("docs/operators.md", "Modes"),
    ("docs/operators.md", "Watching many hosts"),
    ("docs/operators.md", "Uninstalling"),
    ("README.md", "From the sources"),
    ("docs/cockpit.md", "The Cockpit page"),
    ("docs/performance.md", "How to repeat it"),
    ("docs/performance.md", "On real hardware"),
]
# What a command needs that a chroot does not have: (pattern, what). A command that no pattern matches is run.
NEEDS = [
    (r"systemctl ", "systemd as the first process; see tests/lab/test_packages.py"),
    (r"(modprobe|depmod)\b", "the running kernel; see tests/lab/test_packages.py"),
    (r"apfctl (enable|disable|auto|off|set) ", "a KVM host with the module; see tests/lab/test_apfd.py"),
    (r"apfctl -H ", "another host; see tests/cli/test_remote.py"),
    (r"apfctl (top|monitor)\b", "a terminal and VMs; see tests/lab/test_top.py"),
    (r"apfctl \S+ (web-1|101)\b", "a VM; see tests/lab/test_doctor.py"),
    (r"curl http://127\.0\.0\.1:9713/", "the socket of systemd; see tests/lab/test_prometheus.py"),
    (r"make (bench|demo)\b", "a lab, and up to hours; see tests/docs/test_performance.py"),
    (r"tests/bench/bm --here", "a KVM host with swap; see tests/lab/test_bench.py"),
    (r"make deb$|make dashboard\b|apt-get install .*(cockpit|nodejs)", "npm; see tests/dashboard"),
]


@dataclass(frozen=True)
class Command:
    document: str
    line: int
    text: str

    @property
    def bare(self):
        return re.sub(r"^sudo ", "", self.text)

    @property
    def needs(self):
        """What a chroot lacks for this command, or None."""
        return next((what for pattern, what in NEEDS if re.match(pattern, self.bare)), None)

    def __str__(self):
        return f"{self.document}:{self.line}: {self.text}"


def section(document, title):
    """[(line number, line)] of the section, without the sections of the same or a higher level that follow."""
    level, found = 0, []
    for number, line in enumerate((ROOT / document).read_text(encoding="utf-8").splitlines(), 1):
        heading = re.match(r"(#+) (.*)", line)
        if heading and level:
            break
        if heading and heading[2] == title:
            level = len(heading[1])
        elif level:
            found.append((number, line))
    return found


def commands(document, title):
    """Commands in the indented blocks of the section: lines after "$ ", or, in a block without one, all."""
    found, block = [], []
    for number, line in [*section(document, title), (0, "end")]:
        if line.startswith("    ") or (block and not line.strip()):
            block.append((number, line[4:]))
            continue
        prompted = [(n, text[2:]) for n, text in block if text.startswith("$ ")]
        for n, text in prompted or block:
            text = without_comment(text)
            if text:
                found.append(Command(document, n, text))
        block = []
    # lines of a configuration file are no commands
    return [c for c in found if not re.match(r"\[|\w+=", c.text)]


def without_comment(text):
    """The command before a "#" that no quotes hold."""
    lexer = shlex.shlex(text, posix=False, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    end = len(text)
    for word in lexer:
        if word.startswith("#"):
            end = text.index(word)
            break
    return text[:end].strip()


def everything():
    return [c for document, title in SECTIONS for c in commands(document, title)]
