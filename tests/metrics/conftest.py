# SPDX-License-Identifier: GPL-2.0
"""The mock apfd, its bus and its facts are those of tests/cli."""

import contextlib
import http.client
import importlib.util
import os
import pathlib
import random
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI_TESTS = ROOT / 'tests' / 'cli'
sys.path.insert(0, str(CLI_TESTS))

_spec = importlib.util.spec_from_file_location('cli_conftest', CLI_TESTS / 'conftest.py')
cli = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cli)

apfctl_path, bus, environment, run = cli.apfctl_path, cli.bus, cli.environment, cli.run
open_directory = cli.open_directory_fixture
empty_apfd, apfd, older_apfd = cli.empty_apfd, cli.apfd, cli.older_apfd

OPENMETRICS = 'application/openmetrics-text; version=1.0.0'
# Longer than anything takes on a slow machine; nothing waits for it to pass.
PATIENCE_SEC = 40


# Hands over a socket as systemd does it.
LISTEN = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Exporter:
    """apf-exporter at a socket of its own."""

    def __init__(self, path, environment, *options):
        with socket.create_server(('127.0.0.1', 0)) as listening:
            self.port = listening.getsockname()[1]
            self.process = subprocess.Popen(
                [sys.executable, '-c', LISTEN, str(listening.fileno()), path, *options],
                env=environment, pass_fds=[listening.fileno()], start_new_session=True)

    def get(self, path='/metrics', method='GET', headers=None, body=None, source='127.0.0.1'):
        """(status, headers, text). Connections wait in the socket until the program is up."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=PATIENCE_SEC,
                                                source_address=(source, 0))
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def raw(self, data):
        """What it answers to these bytes, until it closes."""
        with socket.create_connection(('127.0.0.1', self.port), timeout=PATIENCE_SEC) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            answer = b''
            while part := s.recv(65536):
                answer += part
            return answer

    def wait_until(self, what, condition):
        """@condition of an answer of /metrics; an answer younger than a second is given again."""
        end = time.monotonic() + PATIENCE_SEC
        while not condition(answer := self.get()):
            assert time.monotonic() < end, f'waited for {what}, last answer: {answer}'
            time.sleep(0.1)
        return answer

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(timeout=PATIENCE_SEC)
        finally:
            self.process.kill()
            self.process.wait()


def free_port():
    """A port that is free, and that no connection gets by chance: the kernel gives those other numbers."""
    while True:
        port = random.randrange(10240, 32768)
        with contextlib.suppress(OSError), socket.create_server(('127.0.0.1', port)):
            return port


@pytest.fixture(scope='session')
def exporter_path():
    build = pathlib.Path(os.environ.get('APF_BUILD_DIR', ROOT / 'build'))
    path = (build / 'dashboard' / 'exporter' / 'apf-exporter').resolve()
    assert path.is_file(), f'{path} is not built; set APF_BUILD_DIR, install libmicrohttpd-dev'
    return path


@pytest.fixture
def start(exporter_path, environment):
    """start(*options) -> Exporter; stopped after the test, and that must go well."""
    running = []

    def start_exporter(*options, env=None):
        # It waits for apfd as long as a slow machine needs; the last --timeout counts.
        options = (f'--timeout={PATIENCE_SEC}', *options)
        running.append(Exporter(exporter_path, {**environment, **(env or {})}, *options))
        return running[-1]

    yield start_exporter
    assert [e.stop() for e in running] == [0] * len(running)
