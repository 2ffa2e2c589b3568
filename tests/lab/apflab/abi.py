# SPDX-License-Identifier: GPL-2.0
"""A guest that speaks KVM's interface of asynchronous page faults directly; see tests/lab/abi."""

import contextlib
import itertools
import json
import select
import subprocess

from . import paths, proc
from .errors import LabError
from .patience import patient

FOLDER = "/run/lab/abi"
# What the guest is copied from has no data of its own, and its handlers save general registers only.
FLAGS = ("-O1 -mno-red-zone -mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fno-jump-tables "
         "-fno-asynchronous-unwind-tables")

_numbers = itertools.count(1)


class AbiGuest:
    """One such guest with its VMM, in a scope of its own; a context manager."""

    def __init__(self, host):
        self.host = host
        self.unit = f"abi-{next(_numbers)}"
        host.put(paths.LAB / "abi", FOLDER)
        host.run(f"cd {FOLDER} && {{ [ -x vmm ] || gcc {FLAGS} -o vmm guest.c vmm.c; }}", timeout=120)
        self.child = host.popen(f"systemd-run --scope -q --unit={self.unit} -p MemoryAccounting=yes {FOLDER}/vmm "
                                f"/sys/fs/cgroup/system.slice/{self.unit}.scope", stdin=subprocess.PIPE)
        try:
            self.pid = int(self._line(60).removeprefix("created "))
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()

    def close(self):
        """The VMM ends with its standard input."""
        with contextlib.suppress(OSError):
            self.child.stdin.close()
        try:
            self.child.wait(patient(30))
        except subprocess.TimeoutExpired:
            self.host.run(f"systemctl kill -s KILL {self.unit}.scope", check=False)
        finally:
            proc.end(self.child)

    def begin(self, scenario, rounds=1):
        self.child.stdin.write(f"{scenario} {rounds}\n")
        self.child.stdin.flush()

    def ended(self, seconds=0):
        """Has the scenario an answer, at the latest after @seconds?"""
        return bool(select.select([self.child.stdout], [], [], seconds)[0])

    def result(self):
        return json.loads(self._line(240))

    def play(self, scenario, rounds=1):
        """What the guest has counted; see struct mailbox."""
        self.begin(scenario, rounds)
        return self.result()

    def _line(self, seconds):
        line = self.child.stdout.readline() if self.ended(patient(seconds)) else None
        if not line:
            self.host.check()
            raise LabError(f"{self.unit}: {'no answer' if line is None else self.child.stderr.read()}")
        return line.strip()
