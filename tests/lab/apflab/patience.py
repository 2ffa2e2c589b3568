# SPDX-License-Identifier: GPL-2.0
"""How long is too long. Bounds are written down as an idle machine needs them."""

import os

# The lab emulates a host whose guests are emulated once more, on a machine that others use: what takes
# a second may take ten. Waiting longer costs nothing where all is well.
FACTOR = float(os.environ.get("APF_LAB_PATIENCE", "4"))


def patient(seconds):
    """When to give up waiting for what should take at most @seconds."""
    return seconds * FACTOR
