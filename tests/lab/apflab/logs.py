# SPDX-License-Identifier: GPL-2.0
"""What no log of a kernel may contain, and no journal of apfd."""

import json

# Words of a kernel in trouble, whichever of the two modules was the cause.
KERNEL_TROUBLE = ("BUG:", "WARNING:", "Oops", "Call Trace", "hung task", "blocked for more than", "refcount",
                  "new suspected memory leaks", "Unexpected async PF", "apf_host: self-test", "not ok")


def trouble(text):
    """Lines of a kernel's log that tell of trouble."""
    return [line for line in text.splitlines() if is_trouble(line)]


def is_trouble(line):
    return any(word in line for word in KERNEL_TROUBLE)


def no_trouble(text):
    """Fails with the lines around the first trouble in a kernel's log, for a reader who has nothing but that."""
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if is_trouble(line)), None)
    if first is not None:
        raise AssertionError("trouble in the kernel's log:\n" + "\n".join(lines[max(first - 6, 0):first + 24]))


def apfd_errors(nl, expected=()):
    """What apfd logged as an error since the fixture @nl_apfd, but for texts that begin like one of @expected."""
    lines = nl.host.run(f"journalctl -u apfd --since @{nl.since} -o json --no-pager -q").stdout.splitlines()
    found = [e["MESSAGE"] for e in map(json.loads, lines) if int(e["PRIORITY"]) <= 3 and e.get("_COMM") == "apfd"]
    return [m for m in found if not m.startswith(tuple(expected))]
