# SPDX-License-Identifier: GPL-2.0
"""Consoles: the log of an L1, and the command channel of an L2."""

import os
import re
import socket
import threading
import time
import uuid

from .errors import LabError, Timeout


def tail(path, lines=40):
    try:
        with open(path, "rb") as f:
            f.seek(max(0, os.path.getsize(path) - 32768))
            text = f.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(line.rstrip("\r") for line in text.split("\n")[-lines:])


def escaped(cmd):
    """@cmd in one line, for printf %b."""
    return cmd.replace("\\", r"\\").replace("\n", r"\n")


class ShellClosed(LabError):
    """QEMU of the L2 closed the channel: it is ending."""


class Shell:
    """Commands for the agent in an L2 (workload/agent.sh).

    A virtio channel, not a second serial port: of what we sent to one, a byte was lost about
    once in 5,000 under emulation, and each byte cost several exits.

    One line out per command, one block back: a line `APF-OUT <id>`, raw bytes, and a line
    `APF-END <id> <rc>`. The agent runs each command beside its reading loop, so one that hangs (a stuck
    task is what some tests look for) does not block the next.
    """

    HEADER = re.compile(rb"APF-OUT (\w+)\n")

    def __init__(self, path):
        self.path = str(path)
        self.sock = None
        self.buffer = b""
        self.done = {}
        self.lock = threading.Lock()

    def connect(self):
        if self.sock is None:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(5)
            try:
                sock.connect(self.path)
            except OSError:
                sock.close()
                raise
            self.sock = sock

    def close(self):
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def _receive(self, wait):
        self.sock.settimeout(wait)
        try:
            data = self.sock.recv(65536)
        except (TimeoutError, socket.timeout):
            return
        except OSError as e:
            raise ShellClosed(f"L2 shell: {e}") from e
        if not data:
            raise ShellClosed("L2 shell: connection closed")
        self.buffer += data
        while True:
            found = self.HEADER.search(self.buffer)
            if not found:
                self.buffer = self.buffer[-256:]
                return
            end = re.compile(rb"\nAPF-END %s (\d+)\n" % found.group(1)).search(self.buffer, found.end())
            if not end:
                return
            self.done[found.group(1).decode()] = int(end.group(1)), self.buffer[found.end():end.start()]
            self.buffer = self.buffer[end.end():]

    def run(self, cmd, timeout, alive=lambda: None):
        """(rc, output); @alive is asked now and then and raises when the guest is gone."""
        deadline = time.monotonic() + timeout
        ident = uuid.uuid4().hex[:8]
        with self.lock:
            self.connect()
            self.sock.settimeout(timeout)
            self.sock.sendall(b"RUN %s %s\n" % (ident.encode(), escaped(cmd).encode()))
            asked = time.monotonic()
            while ident not in self.done:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Timeout(f"L2 command gave no answer in {timeout} s: {cmd}")
                self._receive(min(left, 1))
                if time.monotonic() - asked > 5:
                    alive()
                    asked = time.monotonic()
            rc, body = self.done.pop(ident)
        return rc, body.decode(errors="replace")
