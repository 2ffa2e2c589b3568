# SPDX-License-Identifier: GPL-2.0
"""One booted host for the session, guests on demand, and no quiet skips."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import apflab  # noqa: E402  (the line above makes it importable from anywhere)
from apflab import checkers  # noqa: E402
from apflab.host import exit_on_signals  # noqa: E402
from apflab.flavours import NAMES  # noqa: E402
from apflab.netlink import Netlink  # noqa: E402


def pytest_addoption(parser):
    group = parser.getgroup("lab")
    group.addoption("--release", choices=NAMES, default=os.environ.get("APF_LAB_RELEASE", "bookworm"),
                    help="Debian release of the KVM host under test, or one with a kernel of tests/lab/debug, as "
                         "trixie-kasan (env: APF_LAB_RELEASE)")
    group.addoption("--no-skip", action="store_true", default=os.environ.get("APF_NO_SKIP") == "1",
                    help="a skipped test fails (env: APF_NO_SKIP=1)")


def pytest_configure(config):
    # a SystemExit would only fail the test it hits
    exit_on_signals(lambda status: pytest.exit.Exception(f"ended by signal {status - 128}", status))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"report_{report.when}", report)
    if report.skipped and item.config.getoption("no_skip") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"skipped, and skips are failures here (--no-skip): {reason}"


@pytest.fixture(scope="session")
def release(pytestconfig):
    return pytestconfig.getoption("release")


@pytest.fixture(scope="session")
def host(release):
    """A booted L1 with our software installed and slow swap on."""
    with apflab.Host(release, preempt=os.environ.get("APF_LAB_PREEMPT")) as h:
        checkers.begin(h)
        h.install()
        h.swap_on()
        yield h
        if h.qemu.poll() is None:
            checkers.finish_host(h)


@pytest.fixture(scope="module")
def nl(host):
    """The module alone: apfd would set gates of its own accord."""
    host.run("systemctl stop apfd 2>/dev/null; rmmod apf_host 2>/dev/null", check=False)
    netlink = Netlink(host).load()
    yield netlink
    host.run("rmmod apf_host", check=False, timeout=120)


@pytest.fixture(scope="module")
def nl_apfd(host):
    """The module, and apfd at work with it."""
    netlink = Netlink(host).load()
    # Files of tests share the host: what others did to apfd is theirs.
    netlink.since = int(host.run("date +%s").stdout)
    host.run("systemctl restart apfd")
    yield netlink
    host.run("systemctl stop apfd; rmmod apf_host", check=False, timeout=120)


@pytest.fixture(scope="session")
def make_host(release):
    """Factory for further L1s: make_host(smp=2); all are closed at the end of the session."""
    made = []

    def make(**kwargs):
        kwargs.setdefault("release", release)
        h = apflab.Host(**kwargs)
        made.append(h)
        h.boot()
        return h

    yield make
    for h in made:
        h.close()


@pytest.fixture
def alone(host):
    """Suspends the guests that the file has running: beside their load a test of another takes minutes."""
    others = [guest for guest in host.vms if guest.alive()]
    for guest in others:
        guest.suspend()
    yield
    for guest in others:
        guest.resume()


@pytest.fixture
def vm(host, alone, request):
    """Factory of started guests on the session's host: vm(), vm(name='b', limit_mib=0).

    They are stopped when the test ends; when it failed, host and guest logs are saved first.
    """
    made = []

    def make(name=None, ready=True, **kwargs):
        guest = apflab.VM(host, name or f"vm{len(made) + 1}", **kwargs)
        made.append(guest)
        guest.start()
        if ready:
            guest.wait_ready()
        return guest

    yield make
    failed = getattr(getattr(request.node, "report_call", None), "failed", False)
    if failed:
        host.collect()
        print(f"logs of the host and its guests: {host.logs}")
    for guest in made:
        guest.stop()
