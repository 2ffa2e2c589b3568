# SPDX-License-Identifier: GPL-2.0
"""A KVM host with overcommitted guests on any machine: see tests/lab/README.md."""

from .errors import CommandFailed, HostDied, LabError, Timeout
from .host import Host
from .vm import VM

__all__ = ["CommandFailed", "Host", "HostDied", "LabError", "Timeout", "VM"]
