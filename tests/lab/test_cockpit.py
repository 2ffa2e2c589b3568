# SPDX-License-Identifier: GPL-2.0
"""The page in the host's real cockpit, in a real browser: what it shows and what it switches.

The host is slow and serves everything itself: each wait is long, and none is longer than needed.
"""

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest

from apflab import VM
from apflab.logs import apfd_errors
from apflab.netlink import OFF, ON
from apflab.paths import REPO

sys.path.insert(0, str(REPO / "tests/dashboard"))

from browser import Browser  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

LOAD = "-f 4 -w 1 -m 220 -t 0"
SHOTS = REPO / "build/check/cockpit"
PASSWORD = "apf-Lab-7"
PATIENCE_SEC = 180
LOGIN_SEC = 300
FRAME = "iframe[name*='/apf']"
RATES = 'svg[aria-label^="Swap-ins per second"]'


@pytest.fixture(scope="module")
def dist():
    """The page, built on this machine: the host has no Node.js, and needs none."""
    out = subprocess.run(["make", "--no-print-directory", "-C", REPO, "dashboard"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    assert out.returncode == 0, out.stdout
    return REPO / "build/dashboard/dist"


@pytest.fixture(scope="module")
def nl(nl_apfd):
    return nl_apfd


@pytest.fixture(scope="module")
def vms(host, nl):
    with VM(host, "web-1", vcpus=2, workload=LOAD) as web, \
            VM(host, "idle-1", workload="-f 1 -w 0 -m 60 -t 0", limit_mib=0) as idle:
        web.wait_ready()
        idle.wait_ready()
        host.wait_for(lambda: all(row["watched"] for row in listed(host)) and len(listed(host)) == 2, 60,
                      "apfd to watch both VMs")
        yield web, idle


@pytest.fixture(scope="module")
def cockpit(host, dist, vms):
    """The address of the host's cockpit, where root and alice can log in."""
    host.put(dist, "/usr/share/cockpit/apf")
    # cockpit gives a log-in half a minute: too little for an emulator on a busy machine
    host.write("/etc/cockpit/cockpit.conf", "[basic]\ntimeout = 300\nresponse-timeout = 300\n")
    host.run(f"""sed -i /^root$/d /etc/cockpit/disallowed-users
        printf 'root:{PASSWORD}\\nalice:{PASSWORD}\\n' | chpasswd
        systemctl unmask cockpit.socket && systemctl start cockpit.socket""")
    # cockpit takes plain HTTP from the host itself, which is where this comes from as far as it knows
    port = host.forward_port(9090)
    host.wait_for("python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:9090/', timeout=60)\"", 120,
                  "cockpit to answer")
    yield f"http://127.0.0.1:{port}"
    host.run("systemctl stop cockpit.socket cockpit.service 'cockpit-wsinstance-*' 'cockpit-session*'; "
             "systemctl mask cockpit.socket", check=False)


@pytest.fixture(scope="module")
def browser():
    browser = Browser(PATIENCE_SEC)
    browser.size(1500, 1100)
    browser.dark(False)
    yield browser
    browser.close()


@contextmanager
def still(host):
    """Guests that wait while somebody logs in: the host has one slow CPU. One that was suspended before stays so."""
    running = host.run("virsh -q list --name --state-running").stdout.split()
    host.run(f"for vm in {' '.join(running)}; do virsh -q suspend $vm; done")
    try:
        yield
    finally:
        host.run(f"for vm in {' '.join(running)}; do virsh -q resume $vm; done")


def log_in(host, browser, address, user):
    with still(host):
        return log_in_quietly(browser, address, user)


def log_in_quietly(browser, address, user):
    browser.driver.switch_to.default_content()
    browser.driver.delete_all_cookies()
    browser.driver.get(f"{address}/apf")
    browser.wait(lambda: any(e.is_displayed() for e in browser.find("#login-user-input")), "the log-in form")
    browser.find("#login-user-input")[0].send_keys(user)
    browser.find("#login-password-input")[0].send_keys(PASSWORD)
    browser.click("#login-button")
    browser.wait(FRAME, "the frame of the page", LOGIN_SEC)
    browser.driver.switch_to.frame(browser.find(FRAME)[0])
    browser.wait(row("web-1"), "the VMs")
    return browser


@pytest.fixture(scope="module")
def session(host, browser, cockpit):
    """The page as root, logged in once."""
    return log_in(host, browser, cockpit, "root")


@pytest.fixture
def page(request, session, host, nl, vms):
    """Module and apfd there, gates on."""
    if not nl.loaded():
        nl.load()
    host.run("systemctl start apfd")
    # It is on the bus before a slow libvirt has told it of its VMs.
    host.wait_for(lambda: [r["watched"] for r in listed(host)] == [True, True], 60, "apfd to watch the VMs")
    # by hand: what apfd would decide for them by itself is another test's business
    host.run("apfctl enable web-1; apfctl enable idle-1")
    session.wait(row("web-1") + '[data-state="on"]', "the page to show it")
    yield session
    session.shot(SHOTS / f"{request.node.name}.png")


def listed(host):
    return json.loads(host.run("apfctl --json list").stdout)


def row(name, part=""):
    return f'tr[data-vm="{name}"] {part}'.strip()


def button(name, mode):
    return row(name, f"button[id$='-{mode}']")


def gate(nl, vm):
    """What the module itself says of a VM's gate; nothing of apfd is involved."""
    return next(v["STATE"] for v in nl.dump("VM_GET") if v["PID"] == vm.pid)


def latest(page, chart):
    """(points drawn, newest value) of the first chart of that kind."""
    for found in page.find(chart):
        return int(found.get_attribute("data-points")), float(found.get_attribute("data-latest"))
    return 0, 0.0


def figure(page, vm, column):
    """What the table says; 0 while it is drawn again."""
    return float(page.text(row(vm, f'td[data-label="{column}"]')).replace("–", "0") or 0)


def test_list(page, vms):
    page.wait(lambda: {e.get_attribute("data-vm") for e in page.find("tr[data-vm]")} == {"idle-1", "web-1"}, "both VMs")
    # cockpit's own code for addresses
    page.js("location.hash = '#/?sort=-name'")
    page.wait(lambda: [e.get_attribute("data-vm") for e in page.find("tr[data-vm]")] == ["web-1", "idle-1"], "the order of the address")
    page.js("location.hash = '#/'")
    page.wait(lambda: "MiB" in page.text(row("web-1", 'td[data-label="On swap"]')), "swapped memory")
    assert not page.find("#apf-no-module")


def test_charts_move_under_load(page):
    page.wait(lambda: latest(page, RATES)[1] > 0, "swap-ins in the chart")
    points = latest(page, RATES)[0]
    page.wait(lambda: latest(page, RATES)[0] >= points + 6, "the chart to go on")
    page.wait(lambda: figure(page, "web-1", "Async/s") > 0, "a rate in the table")
    label = page.find('svg[aria-label^="Memory on swap"]')[0].get_attribute("aria-label")
    assert "MiB" in label


def test_switched_by_the_administrator(page, host, nl, vms):
    page.click(button("web-1", "off"))
    page.wait(row("web-1") + '[data-state="off"]', "the page to show it")
    assert gate(nl, vms[0]) == OFF and gate(nl, vms[1]) == ON
    assert {r["name"]: r["state"] for r in listed(host)} == {"web-1": "off", "idle-1": "on"}
    page.wait(lambda: page.text(row("web-1", 'td[data-label="Async/s"]')) == "0"
              and figure(page, "web-1", "Sync/s") > 0, "all swap-ins to stop the vCPU")
    page.wait(lambda: page.text(row("web-1", 'td[data-label="Stopped"]')) not in ("", "–", "0 %"), "stopped time")
    page.click(button("web-1", "on"))
    page.wait(row("web-1") + '[data-state="on"]', "the page to show it")
    assert gate(nl, vms[0]) == ON
    assert not page.text("#apf-refusal")


def test_others_changes_are_seen(page, host):
    host.run("apfctl set idle-1 pv")
    page.wait(row("idle-1") + '[data-state="pv"]', "a change that apfctl made")
    host.run("apfctl enable idle-1")
    page.wait(row("idle-1") + '[data-state="on"]', "and the next")


def test_details_by_keyboard(page, nl, vms):
    """Opened, switched and left without a mouse."""
    opener = row("web-1", "[id^=apf-open-]")
    page.js("document.querySelector(arguments[0]).focus()", opener)
    page.keys(Keys.ENTER)
    page.wait(lambda: page.focused().tag_name == "h2" and page.focused().text == "web-1", "the focus in the details")
    page.wait(lambda: "Loading" not in page.text("#apf-drawer"), "apfd's answers")
    page.wait(lambda: any(int(e.get_attribute("data-count")) > 0 for e in page.find("#apf-drawer svg[data-count]")),
              "counts in the histogram")
    assert page.js("return cockpit.location.options.vm") == "web-1"
    # folded
    facts = "return document.querySelector('#apf-drawer .apf-facts')?.textContent || ''"
    page.wait(lambda: str(vms[0].pid) in page.js(facts), "the process among the facts")
    page.wait("#apf-drawer [data-check][data-state]", "what apfd finds about the VM")
    assert "older than the page" not in page.text("#apf-drawer")
    for _ in range(12):
        page.keys(Keys.TAB)
        if page.focused().text == "off":
            break
    page.keys(Keys.SPACE)
    page.wait(row("web-1") + '[data-state="off"]', "the gate to be closed")
    assert gate(nl, vms[0]) == OFF
    page.shot(SHOTS / "details.png")
    page.keys(Keys.ESCAPE)
    page.wait(lambda: page.focused().tag_name == "button" and page.focused().text == "web-1", "the focus back")


def test_dark_mode_follows_the_shell(page):
    def is_dark():
        return "pf-v6-theme-dark" in (page.find("html")[0].get_attribute("class") or "").split()

    assert not is_dark()
    page.driver.switch_to.default_content()
    # what the shell's own switch does
    page.js("""localStorage.setItem('shell:style', 'dark');
               window.dispatchEvent(new CustomEvent('cockpit-style', {detail: {style: 'dark'}}));""")
    page.driver.switch_to.frame(page.find(FRAME)[0])
    page.wait(is_dark, "the page to become dark")
    page.click(row("web-1", "[id^=apf-open-]"))
    page.wait("#apf-drawer h2", "the details")
    page.shot(SHOTS / "dark.png")
    page.click('#apf-drawer button[aria-label^="Close"]')
    page.driver.switch_to.default_content()
    page.js("localStorage.setItem('shell:style', 'auto')")
    page.driver.switch_to.frame(page.find(FRAME)[0])
    page.wait(lambda: not is_dark(), "the page to become light again")


def test_module_taken_away(page, host, nl):
    nl.unload()
    page.wait(lambda: "modprobe apf_host" in page.text("#apf-no-module"), "the banner")
    page.wait(row("web-1") + '[data-state="unknown"]', "the state to be unknown")
    page.shot(SHOTS / "no-module.png")
    page.click("#apf-no-module button")
    page.wait(lambda: not page.find("#apf-no-module"), "the banner to go")
    assert nl.loaded() and not page.text("#apf-load-refusal")
    page.wait(row("web-1") + '[data-state="on"]', "the gate to be known again")


def test_apfd_stopped_and_started_from_the_page(page, host):
    host.run("systemctl stop apfd")
    page.wait(lambda: "apfd is not running" in page.text("h1"), "the page to notice")
    assert host.run("systemctl is-active apfd", check=False).stdout.strip() != "active", "the page must not start it by itself"
    page.click("main .pf-v6-c-empty-state button")
    page.wait(row("web-1"), "the VMs again")
    # apfd is on the bus before systemd has read that it is ready
    host.wait_for("systemctl is-active -q apfd", 30, "systemd to take note")


def reload(host, browser):
    with still(host):
        browser.driver.switch_to.default_content()
        browser.driver.refresh()
        browser.wait(FRAME, "the frame of the page", LOGIN_SEC)
        browser.driver.switch_to.frame(browser.find(FRAME)[0])
        browser.wait(row("web-1"), "the VMs", LOGIN_SEC)


def show(page, name):
    page.js("location.hash = '#/?vm=' + arguments[0]", name)
    page.wait(lambda: page.text("#apf-drawer h2") == name, "the details")


def press(page, css, until, what):
    """The findings above come and go, and move what is below them: a click at a place may miss it."""
    def pressed():
        if not page.find(until):
            page.js("document.querySelector(arguments[0])?.click()", css)
        return page.find(until)
    page.wait(pressed, what)


def start_recall(page, rate_mib=""):
    press(page, "#apf-recall-open", "#apf-recall-rate", "the dialog")
    if rate_mib:
        page.find("#apf-recall-rate")[0].send_keys(rate_mib)
    page.click("#apf-recall-start")


def test_recall(page, browser, host, vms):
    """Refused while the limit is in the way; cancelled after a reload of the page; and to its end."""
    web = vms[0]
    group = web.cgroup()
    limit = web.cgroup_read("memory.max").strip()
    show(page, "web-1")
    page.wait(lambda: "a second" in page.text("#apf-memory .apf-figures"), "what is read from swap")
    # apfd knows it when it has read the host's figures twice
    page.wait(lambda: any(e.get_attribute("data-state") in ("calm", "reclaiming", "swapping", "thrashing")
                          for e in page.find("#apf-host-line")), "the state of the host")
    try:
        start_recall(page)
        page.wait(lambda: "below the limit of the control group" in page.text("#apf-recall-refusal"), "apfd's reason")
        page.keys(Keys.ESCAPE)
        page.wait(lambda: not page.find(".apf-dialog"), "the dialog to close")
        # a guest that runs brings its memory back itself, and the page may take minutes to load again
        host.run(f"virsh -q suspend web-1; echo max >'{group}/memory.max'")
        host.run(f"echo 120M >'{group}/memory.reclaim'", check=False)
        start_recall(page, "1")
        page.wait("#apf-recall .apf-recall", "the progress")
        reload(host, browser)
        show(page, "web-1")
        page.wait(lambda: " MiB, " in page.text("#apf-recall .apf-recall"), "the progress after the reload")
        page.shot(SHOTS / "recall.png")
        press(page, "#apf-recall-cancel", '#apf-recall [data-result="cancelled"]', "the end")
        host.run(f"echo 100M >'{group}/memory.reclaim'", check=False)
        before = web.swapped_kib()
        host.run("systemd-run -q --collect apfctl recall --rate 100M web-1")
        page.wait('#apf-recall [data-result="done"]', "the end of a recall that apfctl has started")
        assert web.swapped_kib() < before / 4
    finally:
        host.run(f"echo {limit} >'{group}/memory.max'; virsh -q resume web-1", check=False)
        page.js("location.hash = '#/'")


def test_in_german(page, browser, host):
    """Cockpit chooses the translation by a cookie of its shell."""
    browser.driver.add_cookie({"name": "CockpitLang", "value": "de-de"})
    try:
        reload(host, browser)
        assert page.text("h1") == "Swap-in virtueller Maschinen"
    finally:
        browser.driver.delete_cookie("CockpitLang")
        reload(host, browser)
    assert page.text("h1") == "Swap-in of virtual machines"


def test_refused_to_an_ordinary_user(page, browser, cockpit, host, nl, vms):
    """Last, because it logs the administrator out."""
    log_in(host, browser, cockpit, "alice")
    page.wait(lambda: latest(page, RATES)[1] > 0, "swap-ins in the chart: looking is open to everybody")
    page.click(button("web-1", "off"))
    page.wait(lambda: "Not allowed" in page.text("#apf-refusal"), "the refusal")
    assert "web-1 was not set to off" in page.text("#apf-refusal")
    assert "administrative access" in page.text("#apf-refusal")
    assert gate(nl, vms[0]) == ON
    assert page.find(row("web-1") + '[data-state="on"]')
    # who is given the permission may, in the same page
    host.write("/etc/polkit-1/rules.d/50-lab.rules", """polkit.addRule(function(action, subject) {
        if (action.id == "org.apfd.manage" && subject.user == "alice")
            return polkit.Result.YES;
    });
    """)
    try:
        host.run("systemctl restart polkit")
        page.click(button("web-1", "off"))
        page.wait(row("web-1") + '[data-state="off"]', "the page to show it")
        assert gate(nl, vms[0]) == OFF
        assert not page.text("#apf-refusal")
    finally:
        host.run("rm /etc/polkit-1/rules.d/50-lab.rules; systemctl restart polkit")


def test_nothing_was_complained_of(browser, nl):
    # before it shows its form, cockpit's log-in page asks whether one is logged in already
    assert [e for e in browser.errors() if "/cockpit/login" not in e] == []
    assert apfd_errors(nl) == []
