# SPDX-License-Identifier: GPL-2.0
"""Tell a waiting person what is going on: one updating line on a terminal, plain lines elsewhere."""

import contextlib
import os
import sys
import threading
import time

QUIET = os.environ.get("APF_LAB_QUIET") == "1"


def say(text):
    if not QUIET:
        print(f"lab: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text):
    """Show @text with elapsed seconds while the body runs, then how long it took."""
    begin = time.monotonic()
    stop = threading.Event()
    tty = sys.stderr.isatty() and not QUIET

    def tick():
        while not stop.wait(1):
            print(f"\r\033[Klab: {text} ... {time.monotonic() - begin:.0f} s", end="",
                  file=sys.stderr, flush=True)

    ticker = None
    if tty:
        print(f"lab: {text} ...", end="", file=sys.stderr, flush=True)
        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
    word = "failed after"
    try:
        yield
        word = "done in"
    finally:
        stop.set()
        if ticker:
            ticker.join()
            print("\r\033[K", end="", file=sys.stderr)
        say(f"{text}: {word} {time.monotonic() - begin:.1f} s")
