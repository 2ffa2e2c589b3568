# SPDX-License-Identifier: GPL-2.0
"""A headless Chromium (Debian's), with a profile of its own that is gone afterwards."""

import shutil
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
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
            found[0].click()
            return True
        self.wait(clicked, f"{css} to click", patience_sec)

    def focused(self):
        return self.driver.switch_to.active_element

    def keys(self, *keys):
        for key in keys:
            self.focused().send_keys(key)
