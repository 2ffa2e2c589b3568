# SPDX-License-Identifier: GPL-2.0
"""The Cockpit page: built from its lock file, its pure parts, and its looks before a mock.

The real cockpit and apfd are in tests/lab/test_cockpit.py.
"""

import collections
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCE = ROOT / "dashboard/cockpit"
sys.path.insert(0, str(HERE))

from browser import Browser  # noqa: E402
from mocksite import serve  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
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


def css_rules(folder):
    """{selector: how often} in the style sheet of the page in @folder."""
    text = gzip.decompress((folder / "index.css.gz").read_bytes()).decode()
    return collections.Counter(re.findall(r"\.(?:pf-v6|apf)-[\w-]+", text))


def test_offline_with_debians_esbuild(dist, tmp_path):
    """From the tarball of the npm packages alone, without npm; the page has all styles and translations."""
    modules = ROOT / "build/dashboard/node_modules"
    shutil.copytree(ROOT / "dashboard", tmp_path / "dashboard")
    for name in ("Makefile", "VERSION"):
        shutil.copy(ROOT / name, tmp_path)
    subprocess.run(["tar", "-C", modules, "--transform", "s|^|node_modules/|", "--no-recursion", "-T",
                    ROOT / "build/dashboard/bundled", "-cJf", tmp_path / "modules.tar.xz"], check=True)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "tar", "xz", "rm", "mkdir", "touch", "cat", "node", "make", "uname"):
        (tools / name).symlink_to(shutil.which(name))
    out = subprocess.run([tools / "make", "-C", tmp_path, "dashboard", "MODULES=modules.tar.xz"], capture_output=True, text=True,
                         timeout=400, env={"PATH": str(tools)})
    assert out.returncode == 0, out.stdout + out.stderr
    built = tmp_path / "build/dashboard/dist"
    assert {f.name for f in built.iterdir()} == {f.name for f in dist.iterdir()}
    assert not (tmp_path / "build/dashboard/node_modules/esbuild").exists()
    # other versions of esbuild shorten a few selectors differently
    ours, theirs = css_rules(dist), css_rules(built)
    assert ours.keys() == theirs.keys() and len(ours) > 400
    assert abs(ours.total() - theirs.total()) < ours.total() / 100


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
def site_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def site(dist, site_folder):
    with serve(dist, site_folder) as address:
        yield address


@pytest.fixture(scope="session")
def chromium():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def page(site, chromium):
    """Opens the page; the query says to the mock what there is."""
    def go(query="", width=1400, height=1000, address=""):
        chromium.size(width, height)
        # otherwise another fragment alone would not load the page again
        chromium.driver.get("about:blank")
        chromium.driver.get(f"{site}?{query}#/?{address}")
        chromium.wait(lambda: "Connecting to apfd" not in chromium.text("main") and chromium.find("h1"), "the page")
        return chromium
    chromium.dark(False)
    chromium.errors()
    yield go
    assert chromium.errors() == []


def row(browser, name, part=""):
    return f'tr[data-vm="{name}"] {part}'.strip()


def rows(browser):
    return [e.get_attribute("data-vm") for e in browser.find("tr[data-vm]")]


def calls(browser, method):
    return [c[2:] for c in browser.js("return world.calls") if c[1] == method]


def opener(i):
    """The button that opens the details of the mock's VM number @i."""
    return f"[id^=apf-open-][id$='{i:012}']"


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
    assert sorted(p.name for p in dist.iterdir()) == ["index.css.gz", "index.html", "index.js.gz", "manifest.json",
                                                       "po.de.js.gz"]
    manifest = json.loads((dist / "manifest.json").read_text())
    assert manifest["menu"]["index"]["label"]
    html = (dist / "index.html").read_text()
    assert sorted(re.findall(r'(?:src|href)="([^"]+)"', html)) == ["../base1/cockpit.js", "../manifests.js", "index.css", "index.js",
                                                                   "po.js"]
    assert "<script>" not in html and "style=" not in html, "cockpit's policy forbids what is inline"
    urls = set(re.findall(r"url\(\"?([^)\"]+)", gzip.decompress((dist / "index.css.gz").read_bytes()).decode()))
    assert [u for u in urls if not u.startswith(("data:", "../../static/fonts/"))] == []
    assert sum(p.stat().st_size for p in dist.iterdir()) < 400_000


def test_install(dist, tmp_path):
    script = ROOT / "dashboard/cockpit/install"
    env = dict(os.environ, MESON_SOURCE_ROOT=str(ROOT), MESON_INSTALL_DESTDIR_PREFIX=str(tmp_path / "usr"))
    subprocess.run([script, "enabled"], check=True, env=env, stdout=subprocess.DEVNULL)
    assert {f.name: f.read_bytes() for f in (tmp_path / "usr/share/cockpit/apf").iterdir()} == \
        {f.name: f.read_bytes() for f in dist.iterdir()}
    metainfo = (tmp_path / "usr/share/metainfo/org.apfd.cockpit.metainfo.xml").read_text()
    assert '<url type="homepage">https://' in metainfo and "@" not in metainfo
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
    b.click(opener(0))
    b.wait(lambda: b.text("#apf-drawer").count("older than the page") == 4, "the four excuses")


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
    b.click(opener(0))
    b.wait(lambda: b.find("#apf-drawer [data-check]") and "Loading" not in b.text("#apf-drawer"), "findings and decisions")
    states = [(e.get_attribute("data-state"), e.is_displayed()) for e in b.find("#apf-drawer [data-check]")]
    assert states == [("fail", True), ("warn", True), ("unknown", False), ("ok", False)], "the worst comes first, unfolded"
    assert b.text("#apf-drawer section h3") == "Findings", "before everything else"
    b.click("#apf-drawer .apf-folded button")
    b.wait(lambda: all(e.is_displayed() for e in b.find("#apf-drawer [data-check]")), "the other checks")
    assert not b.text(".apf-facts")
    b.click("#apf-facts-toggle")
    b.wait(lambda: "4000" in b.text(".apf-facts"), "the facts")
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
    b = page("vms=2&quiet=1", address="sort=name")
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


# What ends outside of the window, or is hidden by an ancestor that cannot be scrolled.
CUT_OFF = """
    const cut = [];
    for (const e of document.querySelectorAll("main *")) {
        const box = e.getBoundingClientRect(), style = getComputedStyle(e);
        if (!box.width || !box.height || style.visibility === "hidden" || e.closest(".pf-v6-screen-reader, [hidden], svg *"))
            continue;
        if (box.left < -1 || box.right > innerWidth + 1)
            cut.push(`${e.tagName}.${e.className} from ${box.left} to ${box.right}: ${e.textContent.slice(0, 40)}`);
        for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) {
            const outer = p.getBoundingClientRect(), overflow = getComputedStyle(p).overflowX;
            if (overflow !== "visible" && getComputedStyle(p).textOverflow !== "ellipsis" &&
                !p.classList.contains("pf-v6-screen-reader") && (box.left < outer.left - 1 || box.right > outer.right + 1))
                cut.push(`${e.tagName}.${e.className} in ${p.className}: ${e.textContent.slice(0, 40)}`);
        }
    }
    return cut.slice(0, 10);"""


@pytest.mark.parametrize("width", [320, 480, 768, 992, 1024, 1219, 1220, 1339, 1340, 1400, 1600])
def test_nothing_is_cut_off(page, width):
    b = page("vms=12&odd=1&machines=1&recall=1", width=width)
    b.wait("tr[data-vm]", "the table")
    assert b.js(CUT_OFF) == []
    assert b.js("return document.documentElement.scrollWidth") <= width
    b.shot(ROOT / f"build/dashboard/shots/width-{width}.png")
    b.js("document.querySelector(arguments[0]).click()", opener(0))
    b.wait(".apf-findings", "the details")
    b.js("document.getElementById('apf-facts-toggle').click()")
    b.wait(".apf-facts", "the facts")
    b.wait("#apf-recall .apf-recall", "the progress of a recall")
    assert b.js(CUT_OFF) == []
    assert b.js("return document.documentElement.scrollWidth") <= width
    b.shot(ROOT / f"build/dashboard/shots/width-{width}-details.png")
    b.js("world.endRecall('no-room', 'a long reason '.repeat(20))")
    b.wait("[data-result]", "the end of the recall")
    assert b.js(CUT_OFF) == []
    b.js("document.getElementById('apf-recall-open').click()")
    b.wait(".apf-dialog", "the dialog")
    assert b.js(CUT_OFF.replace("main *", ".apf-dialog *")) == []
    b.shot(ROOT / f"build/dashboard/shots/width-{width}-dialog.png")


@pytest.mark.parametrize("width", [320, 1024, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_accessible(page, width, dark):
    """axe-core finds nothing, with 300 VMs of odd names, with all kinds of alarms and the details open."""
    b = page("vms=300&odd=1&machines=1&recall=1&refuse=room", width=width)
    b.js("document.documentElement.classList.toggle('pf-v6-theme-dark', arguments[0])", dark)
    b.driver.execute_script((ROOT / "build/dashboard/node_modules/axe-core/axe.min.js").read_text())
    b.wait('tr[data-level="alarm"]', "a VM that suffers")

    def findings():
        b.wait(lambda: b.js("return document.getAnimations().every(a => a.playState !== 'running')"), "the end of animations")
        found = b.driver.execute_async_script("const done = arguments[0]; axe.run().then(r => done(r.violations), e => done([String(e)]))")
        return [(v["id"], [n["html"][:150] + n["failureSummary"] for n in v["nodes"][:3]]) for v in found]

    b.driver.set_script_timeout(120)
    assert findings() == []
    b.js("document.querySelector(arguments[0]).click()", "tr[data-vm] [id^=apf-open-]")
    b.wait("#apf-drawer .apf-findings", "the details")
    b.js("document.querySelectorAll('#apf-drawer .apf-folded button').forEach(e => e.click())")
    b.wait(lambda: b.text(".apf-facts"), "the facts")
    assert findings() == []
    # a recall under way, its end, and the dialog
    b.js("document.querySelector(`[id^=apf-open-][id$='000000000000']`)?.click() ?? (location.hash = '#/?vm=' + Object.values(world.vms)[0].UUID)")
    b.wait("#apf-recall .apf-recall", "the progress of a recall")
    assert findings() == []
    b.js("world.endRecall('failed', 'a reason')")
    b.wait("[data-result]", "the end of the recall")
    assert findings() == []
    b.click("#apf-recall-open")
    b.click("#apf-recall-start")
    b.wait("#apf-recall-refusal h2", "the refusal")
    assert findings() == []


def test_recall(page):
    """From the button to the end, with the keyboard; a rate that is wrong is refused before apfd is asked."""
    b = page("vms=3&quiet=1&slow=1", height=1600)
    b.click(opener(0))
    b.wait("#apf-recall-open", "the button")
    b.js("document.getElementById('apf-recall-open').focus()")
    b.keys(Keys.ENTER)
    b.wait(".apf-dialog", "the dialog")
    assert "web-1" in b.text(".apf-dialog h1") and "105 MiB" in b.text(".apf-dialog")
    rate = b.find("#apf-recall-rate")[0]
    for wrong in ("0", "-1", "1.5", "x", "1048577"):
        rate.send_keys(Keys.CONTROL, "a")
        rate.send_keys(wrong)
        b.wait(lambda: "from 1 to 1048576" in b.text("#apf-recall-rate-help"), f"the refusal of {wrong}")
        assert not b.find("#apf-recall-start")[0].is_enabled()
    rate.send_keys(Keys.CONTROL, "a")
    rate.send_keys("50", Keys.ENTER)
    b.wait(lambda: b.find("#apf-recall-start .pf-v6-c-spinner"), "the button to say that it is under way")
    b.wait(lambda: not b.find(".apf-dialog"), "the dialog to close")
    assert calls(b, "Recall") == [[{"RatePerSec": {"t": "t", "v": 50 << 20}}]]
    b.wait(lambda: "40 %" in b.text("#apf-recall .apf-recall"), "the progress")
    assert re.search(r"4\d\.\d MiB of 10\d MiB, 8\.00 MiB a second, \d\.\d+ s left, limit 50\.0 MiB a second", b.text("#apf-recall"))
    assert b.focused().get_attribute("id") == "apf-recall-open", "the keyboard focus is back"
    assert b.find("#apf-recall-open")[0].get_attribute("aria-disabled") == "true"
    assert "under way" in b.text("#apf-recall-reason")
    b.js("world.progress(0.705, {Slowed: true})")
    b.wait(lambda: "70 %" in b.text("#apf-recall") and "slowed down" in b.text("#apf-recall"), "more progress")
    b.js("world.progress(1); world.endRecall('done', '')")
    b.wait('[data-result="done"]', "the end")
    assert "The memory is back: 10" in b.text('[data-result="done"]') and not b.find(".apf-recall")
    b.click('[data-result="done"] button')
    b.wait(lambda: not b.find("[data-result]"), "the result to be closed")


@pytest.mark.parametrize("refuse,what", [("room", "104 MiB do not fit into the 12 MiB"), ("1", "the permission org.apfd.recall")])
def test_recall_refused(page, refuse, what):
    b = page(f"vms=1&quiet=1&refuse={refuse}")
    b.click(opener(0))
    b.click("#apf-recall-open")
    b.wait("#apf-recall-rate", "the dialog")
    b.js("document.getElementById('apf-recall-rate').focus()")
    b.keys(Keys.ESCAPE)
    b.wait(lambda: not b.find(".apf-dialog") and b.focused().get_attribute("id") == "apf-recall-open", "the dialog to close")
    b.click("#apf-recall-open")
    b.click("#apf-recall-start")
    b.wait(lambda: what in b.text("#apf-recall-refusal"), "apfd's reason")
    assert calls(b, "Recall") == [[{}]], "no rate means the configured one"
    b.keys(Keys.ESCAPE)
    b.wait(lambda: not b.find(".apf-dialog") and b.focused().get_attribute("id") == "apf-recall-open", "the dialog to close")
    assert not b.find(".apf-recall") and b.find("#apf-drawer h2"), "the details are still open"


def test_recall_that_was_there_before(page):
    """One that apfctl has started, or this page before it was loaded again: it is shown, and can be cancelled."""
    b = page("vms=3&quiet=1&recall=1", height=1600)
    b.wait(lambda: "40 %" in b.text("#apf-recalls"), "the recall above the table")
    b.click("#apf-recalls button")
    b.wait(lambda: b.text("#apf-drawer h2") == "web-1" and "40 %" in b.text("#apf-recall"), "the details")
    assert not b.find("#apf-recalls"), "once is enough"
    b.wait("#apf-recall-cancel", "the button")
    b.js("document.getElementById('apf-recall-cancel').focus()")
    b.keys(Keys.ENTER)
    b.wait('#apf-recall [data-result="cancelled"]', "the end")
    assert re.search(r"cancelled: 4\d\.\d MiB of 10\d MiB", b.text("#apf-recall"))
    b.wait(lambda: b.focused().get_attribute("id") == "apf-recall-open", "the keyboard focus")


def test_recall_cannot_be_cancelled(page):
    b = page("vms=1&quiet=1&recall=1&refuse=cancel", height=1600)
    b.click(opener(0))
    b.click("#apf-recall-cancel")
    b.wait(lambda: "polkit refused org.apfd.recall" in b.text("#apf-recall"), "the refusal")
    assert b.find(".apf-recall"), "the recall goes on"


@pytest.mark.parametrize("result,what", [
    ("no-room", "no more room"), ("failed", "The recall failed"), ("vm-ended", "the VM has ended"), ("a-new-one", "apfd's log")])
def test_ends_of_a_recall(page, result, what):
    """What apfd says of the end is there, in the details and, of a recall of this page, also without them."""
    b = page("vms=2&quiet=1", height=1600)
    b.click(opener(0))
    b.click("#apf-recall-open")
    b.click("#apf-recall-start")
    b.wait(".apf-recall", "the progress")
    b.js("world.progress(0.5); world.endRecall(arguments[0], 'the reason of apfd')", result)
    b.wait(lambda: what in b.text("#apf-recall [data-result]"), "the end")
    assert "the reason of apfd" in b.text("#apf-recall [data-result]")
    b.click(opener(1))
    b.wait(lambda: "web-1" in b.text("#apf-recall-results") and what in b.text("#apf-recall-results"), "the end above the table")
    b.click("#apf-recall-results button")
    b.wait(lambda: not b.find("#apf-recall-results [data-result]"), "the result to be closed")


def test_end_of_a_recall_that_is_lost(page):
    """The bus may lose each of the signals, and apfd may end."""
    b = page("vms=1&quiet=1&recall=1", height=1600)
    b.click(opener(0))
    b.wait(".apf-recall", "the progress")
    b.js("world.endRecall('done', '', undefined, ['InterfacesRemoved'])")
    b.wait('[data-result="unknown"]', "no result")
    b = page("vms=1&quiet=1&recall=1", height=1600)
    b.click(opener(0))
    b.wait(".apf-recall", "the progress")
    b.js("world.endRecall('done', '', undefined, [])")
    b.wait('[data-result="unknown"]', "no result")
    b = page("vms=1&quiet=1&recall=1", height=1600)
    b.wait("#apf-recalls", "the progress")
    b.js("world.recalls = {}; world.owner(''); world.owner(':1.5')")
    b.click(opener(0))
    b.wait('[data-result="lost"]', "the end of apfd")


def test_nothing_to_recall(page):
    b = page("vms=1&quiet=1&still=1")
    b.js("Object.values(world.vms)[0].SwappedBytes = 0")
    b.click(opener(0))
    b.wait(lambda: "Nothing of the VM is on swap" in b.text("#apf-recall-reason"), "the reason")
    b.click("#apf-recall-open")
    assert not b.find(".apf-dialog")


def test_memory_figures(page):
    b = page("vms=3&quiet=1&still=1", height=1600)
    assert b.wait("#apf-host-line", "the line of the host")[0].get_attribute("data-state") == "swapping"
    assert "free 3.00 GiB, reclaimable 10.0 GiB, 10.0 GiB of 36.0 GiB swap used (disk+zram, 180 µs)" in b.text("#apf-host-line")
    b.click(opener(0))
    b.wait(lambda: "room for 1.00 GiB more" in b.text("#apf-memory"), "the figures")
    text = " ".join(b.text("#apf-memory").split())
    for wanted in ("Read 2.00 MiB a second (512 pages)", "Written 1.00 MiB a second (256 pages)", "Share of time stopped 31 %",
                   "at most 65.5 ms", "32.0 MiB, compressed to 16.0 MiB; 31 % of what is on swap", "On zram none",
                   "node 0: 1.50 GiB, node 1: 512 MiB"):
        assert wanted in text
    # an older kernel, and no control group
    b.click(opener(2))
    b.wait(lambda: "Written not counted" in " ".join(b.text("#apf-memory").split()), "what is not counted")
    assert "In zswap not counted" in " ".join(b.text("#apf-memory").split())
    b = page("vms=1&old=1")
    assert not b.find("#apf-host-line")
    b.click(opener(0))
    b.wait(lambda: "older than the page" in b.text("#apf-memory"), "the excuse")


def test_odd_names_are_text(page):
    b = page("vms=300&odd=1&quiet=1", address="rows=50&sort=name")
    b.wait("tr[data-vm]", "the table")
    names = b.js("return Object.values(world.vms).map(vm => vm.Name)")[:12]
    for name in names:
        b.driver.execute_script("location.hash = '#/?vm=' + encodeURIComponent(arguments[0])", name)
        b.wait(lambda: b.js("return document.querySelector('#apf-drawer h2')?.textContent") == name, f"the details of {name}")
    assert not b.find("main img")


def test_sorted_by_stopped_time(page):
    b = page("vms=6&quiet=1")
    b.wait('tr[data-level="alarm"]', "a VM that suffers")
    assert {n.split("-")[0] for n in rows(b)[:2]} == {"build"}, "the most stopped come first"
    assert "alarm" in b.js("return document.querySelector(arguments[0]).textContent", row(b, "build-3", 'td[data-label="Stopped"]'))
    assert b.find(row(b, "build-3") + ".apf-suffers") and not b.find(row(b, "web-1") + ".apf-suffers")
    b.wait(lambda: "build-3: vCPUs are stopped for more than 20 %" in b.text("#apf-alarms"), "the alarm")
    # from the chart to the row
    link = b.wait(lambda: b.find(".apf-worst button"), "a link below the chart")[0]
    name = link.text
    assert name in ("build-3", "build-6")
    link.click()
    b.wait(row(b, name) + '[aria-selected="true"], ' + row(b, name, '[aria-expanded="true"]'), "its row")
    assert b.text("#apf-drawer h2") == name


def test_rows_stay_under_the_pointer(page):
    """Nobody may switch another VM than the one under the pointer."""
    b = page("vms=3&quiet=1&still=1", address="sort=-swap")
    b.wait(row(b, "web-1"), "the table")
    assert rows(b) == ["build-3", "db-2", "web-1"]
    ActionChains(b.driver).move_to_element(b.find(row(b, "db-2", "td:last-child"))[0]).perform()
    b.js("Object.values(world.vms)[0].SwappedBytes = 9e12")
    b.wait(lambda: "8.19 TiB" in b.text(row(b, "web-1")), "the new figure")
    assert rows(b) == ["build-3", "db-2", "web-1"]
    ActionChains(b.driver).move_to_element(b.find("h1")[0]).perform()
    b.wait(lambda: rows(b) == ["web-1", "build-3", "db-2"], "the new order")


def test_three_hundred_vms(page):
    b = page("vms=300", address="sort=name")
    b.wait(lambda: len(b.find("tr[data-vm]")) == 25, "a page of rows")
    assert "1–25 of 300" in b.text(".apf-pages")
    first = rows(b)
    b.click('.apf-pages button[aria-label="Next page"]')
    b.wait(lambda: rows(b) and set(rows(b)).isdisjoint(first) and b.js("return location.hash") == "#/?page=2&sort=name", "the next page")
    # alarms are few, and lead to the rest
    b.wait(lambda: "more virtual machines have alarms" in b.text("#apf-more-alarms"), "the alarms of the others")
    assert len(b.find("#apf-alarms > *")) == 4
    b.click("#apf-more-alarms button")
    b.wait(lambda: "Suffering (10" in b.text("#apf-show-suffering") and b.js("return location.hash") == "#/?show=suffering&sort=name", "those that suffer")
    assert all("apf-suffers" in e.get_attribute("class") for e in b.find("tr[data-vm]"))
    b.click("#apf-show-all")
    search = b.find('input[aria-label^="Find"]')[0]
    search.send_keys("build-30")
    b.wait(lambda: set(rows(b)) == {"build-30", "build-300"}, "what was searched for")
    b.wait(lambda: b.js("return location.hash") == "#/?find=build-30&sort=name", "the address")
    search.send_keys("x")
    b.wait(lambda: "No virtual machine matches" in b.text(), "nothing")
    assert search.get_attribute("value") == "build-30x"


# Fixed work of the kinds that a page does: objects, sorting, text, elements and their layout.
WORK = """
    const times = [];
    for (let turn = 0; turn < 10; turn++) {
        const begin = performance.now();
        const list = [];
        for (let i = 0; i < 20000; i++)
            list.push({ name: `vm-${(i * 7919) % 20011}`, value: (i * 31) % 1000 });
        list.sort((a, b) => a.name < b.name ? -1 : 1);
        const table = document.createElement("table");
        for (const item of list.slice(0, 300)) {
            const line = table.insertRow();
            for (const text of [item.name, String(item.value), "some more text"])
                line.insertCell().textContent = text;
        }
        document.body.append(table);
        table.getBoundingClientRect();
        table.remove();
        times.push(performance.now() - begin);
    }
    return Math.min(...times);
"""
# What the work takes where the page keeps the limit with ease: its longest task takes about three times as long.
WORK_MSEC = 12


def test_no_long_task(page):
    """With 300 VMs nothing keeps the page from reacting for 50 ms, once it is drawn."""
    b = page("vms=300")
    b.wait(lambda: len(b.find("tr[data-vm]")) == 25, "a page of rows")
    b.js("""window.long = [];
        const report = list => window.long.push(...list.getEntries().map(e => Math.round(e.duration)));
        new PerformanceObserver(report).observe({type: "longtask"});""")

    def without_waiting(look):
        """
        The milliseconds that @look returns, less the share that the page's thread waited for a CPU,
        because other programs of this machine had it.
        """
        before = b.scheduled()
        msec = look()
        after = b.scheduled()
        ran, waited = (sum(after[pid][i] - before[pid][i] for pid in before.keys() & after) for i in (0, 1))
        assert ran > 0
        return msec * ran / (ran + waited)

    def longest(action):
        """The browser reports tasks of more than 50 ms."""
        def look():
            b.js("window.long = []; " + action)
            # at least two times new figures, and several redraws
            time.sleep(5)
            return max(b.js("return window.long"), default=0)

        return without_waiting(look)

    # the measurement itself: a script that runs for long is seen
    assert longest("setTimeout(() => { const end = performance.now() + 500; while (performance.now() < end); });") > 50
    for action in ("", "document.querySelector('.apf-pages button[aria-label=\"Next page\"]').click()",
                   "document.querySelector('tr[data-vm] [id^=apf-open-]').click()"):
        # A garbage collection, or a neighbour on the same core, may hit some of them; what the page does itself comes
        # each time. A slower machine has as much more time as it takes for the same work.
        seen, limit = [], 50
        while len(seen) < 8 and min(seen, default=limit + 1) > limit:
            seen.append(longest(action))
            limit = max(limit, 50 / WORK_MSEC * without_waiting(lambda: b.js(WORK)))
        assert min(seen) <= limit, (action, seen, limit)


def test_address(page):
    b = page("vms=12&quiet=1", address="vm=db-5&find=db&sort=-name")
    b.wait(lambda: b.text("#apf-drawer h2") == "db-5", "the VM of the address")
    assert rows(b) == ["db-11", "db-8", "db-5", "db-2"]
    assert b.find('input[aria-label^="Find"]')[0].get_attribute("value") == "db"
    b.click(opener(1))
    b.wait(lambda: b.text("#apf-drawer h2") == "db-2", "the other VM")
    assert b.js("return location.hash") == "#/?find=db&sort=-name&vm=db-2"
    b.driver.back()
    b.wait(lambda: b.text("#apf-drawer h2") == "db-5", "the VM before")
    b.click('#apf-drawer button[aria-label^="Close the details"]')
    b.wait(lambda: b.js("return location.hash") == "#/?find=db&sort=-name" and not b.find("#apf-drawer h2"), "the details to close")
    # by UUID, and as the page Virtual machines writes it
    b.js("location.hash = '#/?vm=' + Object.values(world.vms)[2].UUID")
    b.wait(lambda: b.text("#apf-drawer h2") == "build-3", "the VM with that UUID")
    b.js("location.hash = '#/vm?name=web-1'")
    b.wait(lambda: b.text("#apf-drawer h2") == "web-1", "the VM of the link")
    # nonsense is no error
    b.js("location.hash = '#/?page=-7&rows=x&sort=nothing&show=1&vm=gone'")
    b.wait(lambda: "gone is not running" in b.text("#apf-no-vm") and len(rows(b)) == 12, "the defaults")
    b.click("#apf-no-vm button")
    b.wait(lambda: not b.find("#apf-no-vm"), "the notice to go")


def test_link_to_virtual_machines(page):
    b = page("vms=1&machines=1&odd=1", address="")
    b.click(opener(0))
    b.click("#apf-machines")
    name = b.js("return Object.values(world.vms)[0].Name")
    assert b.js("return world.jumps") == [f"/machines#vm?name={name}&connection=system"]
    b = page("vms=1")
    b.click(opener(0))
    b.wait(".apf-findings", "the details")
    assert not b.find("#apf-machines"), "the page is not installed"


def test_active_mode_becomes_permanent(page):
    b = page("vms=1&quiet=1", height=1600)
    b.click(row(b, "web-1", "[id$='-on']"))
    b.wait(lambda: calls(b, "SetMode") == [["on", [], False]], "the mode for now")
    b.click(opener(0))
    b.click("#apf-make-permanent")
    b.wait(lambda: calls(b, "SetMode")[1:] == [["on", [], True]], "the permanent mode")
    b.wait(lambda: "later starts" in b.js("return document.getElementById('apf-announcement').textContent"), "the announcement")
    # the same by choosing the active mode
    b.click("#apf-persistent")
    b.click("#apf-drawer .apf-setting button[id$='-on']")
    b.wait(lambda: calls(b, "SetMode")[2:] == [["on", [], True]], "the permanent mode")
    b.click("#apf-persistent")
    b.click("#apf-drawer .apf-setting button[id$='-on']")
    assert len(calls(b, "SetMode")) == 3, "nothing to do"


def test_load_module(page):
    b = page("vms=2&module=absent")
    b.click("#apf-no-module button")
    b.wait(lambda: not b.find("#apf-no-module"), "the banner to go")
    assert b.js("return world.spawned") == [[["/sbin/modprobe", "apf_host"], {"superuser": "require", "err": "message"}]]
    b = page("vms=2&module=absent&refuse=module")
    b.click("#apf-no-module button")
    b.wait(lambda: "Module apf_host not found" in b.text("#apf-load-refusal"), "the refusal")
    assert "apf-host-dkms" in b.text("#apf-load-refusal")
    assert b.find("#apf-no-module")


def test_german(page, site_folder):
    po = site_folder / "apf/po.js"
    po.write_bytes(gzip.decompress((ROOT / "build/dashboard/dist/po.de.js.gz").read_bytes()))
    try:
        b = page("vms=300", width=1400)
        b.wait(lambda: "weitere virtuelle Maschinen haben Alarme" in b.text("#apf-alarms"), "alarms in German")
        assert b.text("h1") == "Swap-in virtueller Maschinen"
        assert b.driver.title == "Swap-in virtueller Maschinen"
        assert b.find("html")[0].get_attribute("lang") == "de"
        assert b.text("th:nth-child(7)") == "Stillstand"
        assert b.js(CUT_OFF) == []
        assert "frei 3.00 GiB" in b.text("#apf-host-line")
        b.click("tr[data-vm] [id^=apf-open-]")
        b.wait(lambda: b.text("#apf-recall-open") == "Speicher zurückholen", "the details in German")
        assert b.js(CUT_OFF) == []
    finally:
        po.write_text("")


def test_translations_are_complete():
    """Each text of the page is translated, and with the same placeholders; nothing else is in the files."""
    template = subprocess.run(["node", SOURCE / "po.mjs", "--template"], check=True, capture_output=True, text=True).stdout
    wanted = set(re.findall(r'^msgid (".+")$', template, re.M))
    assert len(wanted) > 150
    for path in (SOURCE / "po").glob("*.po"):
        text = path.read_text()
        pairs = re.findall(r'^msgid (".+")\n(?:msgid_plural .*\n)?((?:msgstr.*\n?)+)', text, re.M)
        assert {i for i, _ in pairs} == wanted, path.name
        assert "fuzzy" not in text and 'msgstr ""' not in text.split("\n\n", 1)[1], path.name
        for source, translated in pairs:
            for one in re.findall(r'"(.*)"$', translated, re.M):
                allowed = set(re.findall(r"\$\d", source)) | {"$0"} if "[0]" in translated else set(re.findall(r"\$\d", source))
                assert set(re.findall(r"\$\d", one)) <= allowed, f"{path.name}: {source}"


def test_metainfo(tmp_path):
    """What software centres show."""
    path = SOURCE / "org.apfd.cockpit.metainfo.xml"
    root = ElementTree.parse(path).getroot()
    assert root.attrib["type"] == "addon"
    assert root.findtext("id") == path.name.removesuffix(".metainfo.xml")
    assert root.findtext("extends") == "org.cockpit_project.cockpit"
    assert root.find("launchable").attrib["type"] == "cockpit-manifest" and root.findtext("launchable") == "apf"
    assert root.findtext("metadata_license") and root.findtext("project_license") == "GPL-2.0-only"
    # the address is filled in when it is installed
    assert root.find("url").attrib["type"] == "homepage" and root.findtext("url") == "@HOMEPAGE@"
    filled = tmp_path / path.name
    filled.write_text(path.read_text().replace("@HOMEPAGE@", "https://localhost/apf"))
    out = subprocess.run(["appstreamcli", "validate", "--no-net", filled], capture_output=True, text=True)
    assert out.returncode == 0, out.stdout + out.stderr


def test_manifest():
    """The page is only in the menu where apfd is installed."""
    manifest = json.loads((SOURCE / "src/manifest.json").read_text())
    assert manifest["conditions"] == [{"path-exists": "/usr/share/dbus-1/system.d/org.apfd.conf"}]
    assert "org.apfd.conf" in (ROOT / "systemd/meson.build").read_text()
    # "conditions" exist since this version
    assert int(manifest["requires"]["cockpit"]) >= 286


def test_vms_come_and_go(page):
    b = page("vms=2&still=1")
    b.wait(row(b, "web-1"), "the table")
    b.js("""const [path, vm] = Object.entries(world.vms)[0];
        const added = Object.fromEntries(Object.entries({...vm, Name: "late", UUID: "u"}).map(([k, v]) => [k, {t: "?", v}]));
        world.signal("/org/apfd", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded",
            ["/org/apfd/vm/late", {"org.apfd.VM1": added}]);
        world.signal("/org/apfd", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", [path, ["org.apfd.VM1"]]);""")
    b.wait(lambda: [e.get_attribute("data-vm") for e in b.find("tr[data-vm]")] == ["db-2", "late"], "the change")
