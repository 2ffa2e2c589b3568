# SPDX-License-Identifier: GPL-2.0
"""A headless Chromium (Debian's), with a profile of its own that is gone afterwards."""

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import (ElementClickInterceptedException, ElementNotInteractableException,
                                        StaleElementReferenceException)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
         "--force-prefers-reduced-motion", "--ignore-certificate-errors", "--lang=en")


class Browser:
    """One window; find() and wait() look into the frame that was switched to last."""

    def __init__(self, patience_sec=20):
        self.patience_sec = patience_sec
        self.profile = tempfile.mkdtemp(prefix="apf-browser-")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={self.profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        try:
            self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        except BaseException:
            shutil.rmtree(self.profile, ignore_errors=True)
            raise
        self.driver.set_page_load_timeout(300)

    def close(self):
        try:
            self.driver.quit()
        finally:
            shutil.rmtree(self.profile, ignore_errors=True)

    # -- the window --------------------------------------------------------------------

    def size(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def dark(self, is_dark):
        """What the system says it prefers."""
        value = "dark" if is_dark else "light"
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": value}]})

    def scheduled(self):
        """{process: (nanoseconds that it ran, that it waited for a CPU)} of the processes that draw pages."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        found = {}
        for pid, parent in parents.items():
            while parent in parents and parent != self.driver.service.process.pid:
                parent = parents[parent]
            # the main thread draws and runs scripts
            with contextlib.suppress(OSError):
                if parent in parents and b"--type=renderer" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    times = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
                    found[pid] = int(times[0]), int(times[1])
        return found

    def shot(self, path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(path))

    def js(self, code, *args):
        return self.driver.execute_script(code, *args)

    def errors(self):
        """What the page complained of since the last call; a missing font or icon is no error."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"
                and not any(s in e["message"] for s in ("/fonts/", "favicon.ico", "404 ("))]

    # -- what is in it -----------------------------------------------------------------

    def find(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css="body"):
        """Visible text of the first match, "" if there is none."""
        try:
            return next((e.text for e in self.find(css)), "")
        except StaleElementReferenceException:
            return ""

    def wait(self, condition, what, patience_sec=None):
        """The first true value of @condition (a function, or a selector of something to be there)."""
        deadline = time.monotonic() + (patience_sec or self.patience_sec)
        while True:
            try:
                value = condition() if callable(condition) else self.find(condition)
            except StaleElementReferenceException:
                value = None
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"not in time: {what}; the page says:\n{self.text()[:3000]}")
            time.sleep(0.1)

    def click(self, css, patience_sec=None):
        """Clicks the first match as soon as it is there and takes clicks."""
        def clicked():
            found = self.find(css)
            if not found or not found[0].is_enabled() or not found[0].is_displayed():
                return False
            self.js("arguments[0].scrollIntoView({block: 'center'})", found[0])
            try:
                found[0].click()
            except (ElementClickInterceptedException, ElementNotInteractableException):
                return False  # it moves, or something is about to leave its place
            return True
        self.wait(clicked, f"{css} to click", patience_sec)

    def focused(self):
        return self.driver.switch_to.active_element

    def keys(self, *keys):
        for key in keys:
            self.focused().send_keys(key)
