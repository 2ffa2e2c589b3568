# SPDX-License-Identifier: GPL-2.0
"""What no log of a kernel may contain, and no journal of apfd."""

import json

# Words of a kernel in trouble, whichever of the two modules was the cause.
KERNEL_TROUBLE = ("BUG:", "WARNING:", "Oops", "Call Trace", "hung task", "blocked for more than", "refcount", "kmemleak",
                  "Unexpected async PF", "apf_host: self-test", "not ok")


def trouble(text):
    """Lines of a kernel's log that tell of trouble."""
    return [line for line in text.splitlines() if any(word in line for word in KERNEL_TROUBLE)]


def apfd_errors(nl, expected=()):
    """What apfd logged as an error since the fixture @nl_apfd, but for texts that begin like one of @expected."""
    lines = nl.host.run(f"journalctl -u apfd --since @{nl.since} -o json --no-pager -q").stdout.splitlines()
    found = [e["MESSAGE"] for e in map(json.loads, lines) if int(e["PRIORITY"]) <= 3 and e.get("_COMM") == "apfd"]
    return [m for m in found if not m.startswith(tuple(expected))]
