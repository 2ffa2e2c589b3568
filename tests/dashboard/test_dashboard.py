# SPDX-License-Identifier: GPL-2.0
"""The Cockpit page: built from its lock file, its pure parts, and its looks before a mock.

The real cockpit and apfd are in tests/lab/test_cockpit.py.
"""

import functools
import gzip
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCE = ROOT / "dashboard/cockpit"
sys.path.insert(0, str(HERE))

from browser import Browser  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402


@pytest.fixture(scope="session")
def dist():
    out = subprocess.run(["make", "--no-print-directory", "-C", ROOT, "dashboard"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400)
    assert out.returncode == 0, out.stdout
    return ROOT / "build/dashboard/dist"


def test_what_is_bundled_makes_the_page_again(dist, tmp_path):
    """The second tarball of a release has all sources of the page: `make dist` packs this list."""
    modules = ROOT / "build/dashboard/node_modules"
    for name in (ROOT / "build/dashboard/bundled").read_text().splitlines():
        (tmp_path / "node_modules" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(modules / name, tmp_path / "node_modules" / name)
    (tmp_path / "tools").mkdir()
    for name in ("esbuild", "@esbuild"):
        (tmp_path / "tools" / name).symlink_to(modules / name)
    out = subprocess.run(["node", SOURCE / "build.mjs", tmp_path / "page"], capture_output=True, text=True, timeout=400,
                         env=dict(os.environ, NODE_PATH=str(tmp_path / "tools"), APF_NODE_MODULES=str(tmp_path / "node_modules")))
    assert out.returncode == 0, out.stderr
    assert {f.name: f.read_bytes() for f in (tmp_path / "page").iterdir()} == \
        {f.name: f.read_bytes() for f in dist.iterdir()}


def test_licences_of_what_is_bundled(dist):
    """Each npm package in the page is named where packages name their licences."""
    bundled = (ROOT / "build/dashboard/bundled").read_text().splitlines()
    names = {re.match(r"(@[^/]+/)?[^/]+", path).group() for path in bundled}
    assert {"react", "@patternfly/react-core"} <= names
    patterns = re.findall(r"node-modules/(\S+)/\*", (ROOT / "packaging/debian/copyright.in").read_text())
    assert {n for n in names if n not in patterns and f"{n.split('/')[0]}" not in patterns} == set()
    spec = (ROOT / "packaging/rpm/apf.spec.in").read_text()
    provided = dict(re.findall(r"^Provides: +bundled\(npm\((\S+)\)\) = (\S+)$", spec, re.M))
    assert provided == {n: json.loads((ROOT / f"build/dashboard/node_modules/{n}/package.json").read_text())["version"]
                        for n in names}


@pytest.fixture(scope="session")
def site(dist, tmp_path_factory):
    """The page where cockpit has it, beside a cockpit.js that is a mock."""
    top = tmp_path_factory.mktemp("site")
    (top / "apf").mkdir()
    for path in dist.iterdir():
        if path.suffix == ".gz":
            (top / "apf" / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        else:
            shutil.copy(path, top / "apf")
    (top / "base1").mkdir()
    shutil.copy(HERE / "mock-cockpit.js", top / "base1/cockpit.js")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(top)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/apf/index.html"
    server.shutdown()


@pytest.fixture(scope="session")
def chromium():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def page(site, chromium):
    """Opens the page; the query says to the mock what there is."""
    def go(query="", width=1400, height=1000):
        chromium.size(width, height)
        chromium.driver.get(f"{site}?{query}")
        chromium.wait(lambda: "Connecting to apfd" not in chromium.text("main") and chromium.find("h1"), "the page")
        return chromium
    chromium.dark(False)
    chromium.errors()
    yield go
    assert chromium.errors() == []


def row(browser, name, part=""):
    return f'tr[data-vm="{name}"] {part}'.strip()


def test_pure_parts():
    out = subprocess.run(["node", "--test", HERE / "unit.mjs"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, timeout=120)
    assert out.returncode == 0, out.stdout
    assert int(re.search(r"^\W*pass (\d+)$", out.stdout, re.M).group(1)) >= 10, out.stdout


def test_versions_are_pinned():
    package = json.loads((SOURCE / "package.json").read_text())
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    for name, version in (package["dependencies"] | package["devDependencies"]).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name}: {version}"
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    for name, entry in lock["packages"].items():
        assert "resolved" not in entry, name
        assert not name or entry.get("integrity", "").startswith("sha512-"), name


def test_bundle_is_whole(dist):
    """Everything it needs is in it or in every cockpit; nothing comes from elsewhere."""
    assert sorted(p.name for p in dist.iterdir()) == ["index.css.gz", "index.html", "index.js.gz", "manifest.json"]
    manifest = json.loads((dist / "manifest.json").read_text())
    assert manifest["menu"]["index"]["label"]
    html = (dist / "index.html").read_text()
    assert sorted(re.findall(r'(?:src|href)="([^"]+)"', html)) == ["../base1/cockpit.js", "index.css", "index.js"]
    assert "<script>" not in html and "style=" not in html, "cockpit's policy forbids what is inline"
    urls = set(re.findall(r"url\(\"?([^)\"]+)", gzip.decompress((dist / "index.css.gz").read_bytes()).decode()))
    assert [u for u in urls if not u.startswith(("data:", "../../static/fonts/"))] == []
    assert sum(p.stat().st_size for p in dist.iterdir()) < 400_000


def test_install(dist, tmp_path):
    script = ROOT / "dashboard/cockpit/install"
    env = dict(os.environ, MESON_SOURCE_ROOT=str(ROOT), MESON_INSTALL_DESTDIR_PREFIX=str(tmp_path / "usr"))
    subprocess.run([script, "enabled"], check=True, env=env, stdout=subprocess.DEVNULL)
    assert (tmp_path / "usr/share/cockpit/apf/manifest.json").read_text() == (dist / "manifest.json").read_text()
    # a checkout where nobody has built it
    env = dict(env, MESON_SOURCE_ROOT=str(tmp_path), MESON_INSTALL_DESTDIR_PREFIX=str(tmp_path / "other"))
    assert subprocess.run([script, "auto"], env=env, stdout=subprocess.DEVNULL).returncode == 0
    assert not (tmp_path / "other").exists()
    out = subprocess.run([script, "enabled"], env=env, capture_output=True, text=True)
    assert out.returncode and "make dashboard" in out.stderr


def test_table(page):
    b = page("vms=3")
    b.wait(row(b, "web-1"), "the table")
    b.wait(lambda: re.search(r"^\d+$", b.text(row(b, "db-2", 'td[data-label="Async/s"]'))), "a rate")
    assert b.text(row(b, "build-3", 'td[data-label="Gate"]')) == "off"
    assert "MiB" in b.text(row(b, "db-2", 'td[data-label="On swap"]'))
    chosen = b.find(row(b, "web-1", '[aria-pressed="true"]'))
    assert [e.text for e in chosen] == ["auto"]
    # names of the charts say their figures
    label = b.find('svg[aria-label^="Swap-ins per second"]')[0].get_attribute("aria-label")
    assert re.search(r"asynchronous: now \d+, highest \d+; synchronous: now", label)


def test_switch(page):
    b = page("vms=3")
    b.click(row(b, "web-1", "[id$='000000-off']"))
    b.wait(row(b, "web-1") + '[data-mode="off"]', "the new mode")
    call = [c for c in b.js("return world.calls") if c[1] == "SetMode"]
    assert [c[2:] for c in call] == [["off", [], False]]
    assert b.wait(lambda: b.js("return document.getElementById('apf-announcement').textContent"), "the announcement") == \
        "web-1 is now set to off"


def test_switch_keeps_the_focus(page):
    b = page("vms=1&slow=1")
    b.wait(row(b, "web-1"), "the table")
    b.js("document.querySelector(arguments[0]).focus()", row(b, "web-1", "[id$='-off']"))
    b.keys(Keys.SPACE)
    b.wait(row(b, "web-1", '[aria-busy="true"]'), "the switch to be under way")
    b.keys(Keys.SPACE)
    b.wait(row(b, "web-1") + '[data-mode="off"]', "the new mode")
    assert b.focused().text == "off"
    assert len([c for c in b.js("return world.calls") if c[1] == "SetMode"]) == 1


def test_older_apfd(page):
    """Without SetMode there is no "auto", and gates are set; without Diagnose the details still open."""
    b = page("vms=1&old=1")
    buttons = b.wait(lambda: b.find(row(b, "web-1", ".pf-v6-c-toggle-group button")), "the switch")
    assert [e.text for e in buttons] == ["on", "pv", "off"]
    b.click(row(b, "web-1", "[id$='-pv']"))
    b.wait(lambda: [c[2:] for c in b.js("return world.calls") if c[1] == "SetState"] == [["pv", []]], "SetState")
    b.click("[id^=apf-open-]")
    b.wait(lambda: b.text("#apf-drawer").count("older than the page") == 2, "the two excuses")


def test_refusal(page):
    b = page("vms=3&refuse=1")
    b.click(row(b, "web-1", "[id$='000000-off']"))
    b.wait(lambda: "Not allowed: 'web-1' was not changed" in b.text("#apf-refusal"), "the refusal")
    assert "administrative access" in b.text("#apf-refusal")
    assert b.find(row(b, "web-1") + '[data-mode="auto"]'), "the switch must show what is"
    b.click("#apf-refusal button")
    b.wait(lambda: not b.text("#apf-refusal"), "the refusal to be closed")


def test_drawer(page):
    b = page("vms=3", height=1600)
    b.click("[id^=apf-open-]")
    b.wait(lambda: "Loading" not in b.text("#apf-drawer"), "findings and decisions")
    states = [e.get_attribute("data-state") for e in b.find("#apf-drawer [data-check]")]
    assert states == ["fail", "warn", "unknown", "ok"], "the worst comes first"
    assert "host-passthrough" in b.text("#apf-drawer")
    assert "vCPUs were stopped 18 %" in b.text(".apf-decisions li")
    assert int(b.find("#apf-drawer svg[data-count]")[0].get_attribute("data-count")) >= 0
    b.click('#apf-drawer button[aria-label^="Close the details"]')
    b.wait(lambda: not b.find("#apf-drawer .apf-findings"), "the drawer to close")


def test_alarms(page):
    b = page("vms=3")
    b.wait(lambda: "web-1: Emergency pool in use" in b.text("#apf-alarms"), "the alarm")
    assert "pool in use" in b.text(row(b, "web-1", 'td[data-label="Guest"]'))
    b.js("""const path = Object.keys(world.vms)[1];
            world.signal(path, "org.apfd.VM1", "GuestEvent", ["pool-exhausted", 1, {}])""")
    b.wait(lambda: "db-2: vCPU 1: the emergency pool was empty" in b.text(".apf-events"), "the event")


def test_without_module(page):
    b = page("vms=2&module=absent&old=1")
    b.wait(lambda: "modprobe apf_host" in b.text("#apf-no-module"), "the banner")
    assert all(not e.is_enabled() for e in b.find(row(b, "web-1", ".pf-v6-c-toggle-group button")))
    assert b.text(row(b, "web-1", 'td[data-label="Async/s"]')) == "–"


@pytest.mark.parametrize("bridge", ["", "&oldbridge=1"])
def test_without_apfd(page, bridge):
    b = page(f"apfd=missing{bridge}")
    b.wait(lambda: "apfd is not running" in b.text("h1"), "the empty state")
    assert "systemctl enable --now apfd" in b.text()
    b.click("main .pf-v6-c-empty-state button")
    b.wait(lambda: "Not allowed" in b.text("main"), "the refusal")
    assert b.js("return world.spawned") == [[["systemctl", "start", "apfd.service"],
                                             {"superuser": "require", "err": "message"}]]
    b.js("world.owner(':1.5')")
    b.wait(row(b, "web-1"), "the table once apfd is there")
    b.js("world.owner('')")
    b.wait(lambda: "apfd is not running" in b.text("h1"), "the empty state again")
    b.js("world.owner(':1.6')")
    b.wait(row(b, "web-1"), "the table again")
    # A call to org.apfd would start apfd, or cancel its stop.
    assert "org.apfd" not in b.js("return world.named")


def test_keyboard(page):
    """From the first key to a switched VM and back, without a mouse."""
    b = page("vms=2&quiet=1")
    b.wait(row(b, "db-2"), "the table")
    for _ in range(40):
        b.keys(Keys.TAB)
        if b.focused().text == "web-1":
            break
    assert b.focused().text == "web-1", "no way to the VM by Tab"
    b.keys(Keys.ENTER)
    b.wait(lambda: b.focused().text == "web-1" and b.focused().tag_name == "h2", "the focus in the details")
    b.keys(Keys.ESCAPE)
    b.wait(lambda: b.focused().tag_name == "button" and b.focused().text == "web-1", "the focus back in the table")
    for _ in range(4):
        b.keys(Keys.TAB)
    assert b.focused().text == "off"
    b.keys(Keys.SPACE)
    b.wait(row(b, "web-1") + '[data-mode="off"]', "the new mode")
    names = b.js("return [...document.querySelectorAll('button, input, svg[role=img]:not([aria-hidden=true]), table')]"
                 ".filter(e => !(e.textContent.trim() || e.ariaLabel || e.getAttribute('aria-label') || e.labels?.length))"
                 ".map(e => e.outerHTML.slice(0, 200))")
    assert names == [], "what has no name"


def contrast(browser, css):
    """Of the text of @css to what is behind it, as WCAG counts it."""
    return browser.js("""
        const light = c => {
            const [r, g, b] = c.match(/[\\d.]+/g).map(Number)
                .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const element = document.querySelector(arguments[0]);
        let behind = element;
        while (behind && /rgba\\(0, 0, 0, 0\\)|transparent/.test(getComputedStyle(behind).backgroundColor))
            behind = behind.parentElement;
        const style = getComputedStyle(element);
        const a = light(style.fill && element.ownerSVGElement ? style.fill : style.color);
        const b = light(behind ? getComputedStyle(behind).backgroundColor : "rgb(255, 255, 255)");
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);""", css)


@pytest.mark.parametrize("style,system,dark", [("dark", False, True), ("light", True, False), ("auto", True, True)])
def test_dark_mode(page, style, system, dark):
    b = page("vms=2")
    b.dark(system)
    b.js(f"localStorage.setItem('shell:style', '{style}')")
    try:
        b = page("vms=2")
        b.dark(system)
        b.wait(row(b, "web-1"), "the table")
        assert ("pf-v6-theme-dark" in (b.find("html")[0].get_attribute("class") or "").split()) == dark
        for css in ("h1", ".apf-tick", ".apf-legend li", row(b, "db-2", "td:nth-child(4)"), "[id^=apf-open-]"):
            assert contrast(b, css) >= 4.5, css
        b.shot(ROOT / f"build/dashboard/shots/{'dark' if dark else 'light'}-{style}.png")
        # told by the shell while the page is open
        b.js("window.dispatchEvent(new CustomEvent('cockpit-style', {detail: {style: arguments[0]}}))",
             "light" if dark else "dark")
        assert ("pf-v6-theme-dark" in (b.find("html")[0].get_attribute("class") or "").split()) != dark
    finally:
        b.js("localStorage.removeItem('shell:style')")


@pytest.mark.parametrize("width", [360, 768, 1900])
def test_nothing_sticks_out(page, width):
    b = page("vms=3", width=width)
    b.wait(row(b, "web-1"), "the table")
    assert b.js("return document.documentElement.scrollWidth") <= width
    b.click("[id^=apf-open-]")
    b.wait(".apf-findings", "the details")
    assert b.js("return document.documentElement.scrollWidth") <= width
    b.shot(ROOT / f"build/dashboard/shots/width-{width}.png")


def test_hundred_vms(page):
    b = page("vms=100&quiet=1")
    b.wait(lambda: len(b.find("tr[data-vm]")) == 100, "a hundred rows")
    search = b.find('input[aria-label^="Find"]')[0]
    search.send_keys("build-3")
    b.wait(lambda: [e.get_attribute("data-vm") for e in b.find("tr[data-vm]")]
           == ["build-3", "build-30", "build-33", "build-36", "build-39"], "what was searched for")


def test_vms_come_and_go(page):
    b = page("vms=2&still=1")
    b.wait(row(b, "web-1"), "the table")
    b.js("""const [path, vm] = Object.entries(world.vms)[0];
        const added = Object.fromEntries(Object.entries({...vm, Name: "late", UUID: "u"}).map(([k, v]) => [k, {t: "?", v}]));
        world.signal("/org/apfd", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded",
            ["/org/apfd/vm/late", {"org.apfd.VM1": added}]);
        world.signal("/org/apfd", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", [path, ["org.apfd.VM1"]]);""")
    b.wait(lambda: [e.get_attribute("data-vm") for e in b.find("tr[data-vm]")] == ["db-2", "late"], "the change")
