# SPDX-License-Identifier: GPL-2.0
"""Where things are: the repository, and the one folder the lab writes to."""

import os
from pathlib import Path

LAB = Path(__file__).resolve().parents[1]
REPO = LAB.parents[1]
BUILD = Path(os.environ.get("APF_LAB_DIR") or REPO / "build" / "lab").resolve()
IMAGES = BUILD / "images"
LOGS = BUILD / "logs"
TMP = BUILD / "tmp"


def make():
    for folder in (IMAGES, LOGS, TMP):
        folder.mkdir(parents=True, exist_ok=True)
