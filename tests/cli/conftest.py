# SPDX-License-Identifier: GPL-2.0
import contextlib
import os
import pathlib
import subprocess
import tempfile

import pytest

import facts
from mock_apfd import MockApfd, PrivateBus

ROOT = pathlib.Path(__file__).resolve().parents[2]


def find_apfctl():
    build = pathlib.Path(os.environ.get('APF_BUILD_DIR', ROOT / 'build'))
    return pathlib.Path(os.environ.get('APFCTL', build / 'cli' / 'apfctl')).resolve()


@pytest.fixture(scope='session')
def apfctl_path():
    path = find_apfctl()
    # Not a skip: a suite that vanishes with its program passes for ever.
    assert path.is_file(), f'{path} is not built; set APF_BUILD_DIR or APFCTL'
    return path


@contextlib.contextmanager
def open_directory():
    """For other users, too. Not pytest's own: each pytest that starts closes the folder of all of them."""
    with tempfile.TemporaryDirectory(prefix='apf-test-') as path:
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


@pytest.fixture(name='open_directory')
def open_directory_fixture():
    with open_directory() as path:
        yield path


@pytest.fixture(scope='session')
def bus():
    with open_directory() as directory:
        private_bus = PrivateBus(directory)
        yield private_bus
        private_bus.stop()


@pytest.fixture
def environment(bus):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith('LC_') and k not in ('LANG', 'NO_COLOR')}
    env.update(DBUS_SYSTEM_BUS_ADDRESS=bus.address, LC_ALL='C.UTF-8', TERM='xterm', TZ='UTC')
    return env


@pytest.fixture
def run(apfctl_path, environment):
    """run(*args, env={...}) -> CompletedProcess of apfctl with text output."""
    def run_apfctl(*args, env=None, timeout=30, stdout=None):
        with open(stdout or os.devnull, 'w', encoding='ascii') as file:
            return subprocess.run([apfctl_path, *args], env={**environment, **(env or {})},
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                  stdout=file if stdout else subprocess.PIPE,
                                  timeout=timeout, check=False)

    return run_apfctl


@pytest.fixture
def empty_apfd(bus):
    """An apfd without a VM."""
    mock = MockApfd(bus)
    mock.set_host(facts.HOST)
    yield mock
    mock.stop()


@pytest.fixture
def older_apfd(bus):
    """An apfd from before the policy, without a VM."""
    mock = MockApfd(bus)
    mock.set_host(facts.older(facts.HOST), older=True)
    yield mock
    mock.stop()


@pytest.fixture
def apfd(empty_apfd):
    """An apfd with the VMs of facts.py."""
    empty_apfd.web1 = empty_apfd.add_vm(facts.WEB1, facts.WEB1_VCPUS)
    empty_apfd.web2 = empty_apfd.add_vm(facts.WEB2)
    return empty_apfd
