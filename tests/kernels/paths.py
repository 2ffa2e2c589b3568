# SPDX-License-Identifier: GPL-2.0
"""Where things are: the repository, and the folder that keeps what was built from the archive."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
# Kept between runs, as the images of the lab are: `make distclean` removes the folder.
CACHE = Path(os.environ.get("APF_KERNELS_DIR") or REPO / "build" / "kernels").resolve()
RESULT = REPO / "build" / "check" / "kernels.json"

# Processes, locks, progress and the machine's package sources are the lab's.
sys.path.insert(0, str(HERE.parent / "lab"))
