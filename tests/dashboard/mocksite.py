# SPDX-License-Identifier: GPL-2.0
"""The built page where cockpit has it, beside a cockpit.js that is a mock."""

import contextlib
import functools
import gzip
import http.server
import shutil
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def end_headers(self):
        self.send_header("Cache-Control", "no-store")
        super().end_headers()


def fill(dist, top):
    """The files below the folder @top."""
    (top / "apf").mkdir()
    for path in dist.iterdir():
        if path.suffix == ".gz":
            (top / "apf" / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        else:
            shutil.copy(path, top / "apf")
    (top / "base1").mkdir()
    shutil.copy(HERE / "mock-cockpit.js", top / "base1/cockpit.js")
    # cockpit serves an empty file if it has no translation, and its own list of pages
    (top / "apf/po.js").write_text("")
    (top / "manifests.js").write_text("")


@contextlib.contextmanager
def serve(dist, top):
    """Yields the address of the page."""
    fill(dist, top)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(top)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/apf/index.html"
    finally:
        server.shutdown()
