# SPDX-License-Identifier: GPL-2.0
"""What can go wrong in the lab; every text is one a person can act on."""


class LabError(Exception):
    """Something the lab needs is missing or failed."""


class Timeout(LabError):
    """A bounded wait ran out."""


class HostDied(LabError):
    """QEMU of an L1 ended: panic, reset or a crash of the emulator."""


class VMDied(LabError):
    """An L2 domain ended although nobody stopped it."""


class CommandFailed(LabError):
    """A command returned non-zero; the text carries its output."""

    def __init__(self, where, cmd, result):
        self.result = result
        text = f"{where}: exit {result.rc}: {cmd}"
        for name in ("stdout", "stderr"):
            body = getattr(result, name).rstrip()
            if body:
                text += f"\n--- {name} ---\n{body[-8000:]}"
        super().__init__(text)
