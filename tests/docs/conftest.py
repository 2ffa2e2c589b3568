# SPDX-License-Identifier: GPL-2.0
import json
import os
import pathlib
import subprocess
import xml.etree.ElementTree as ET

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def apfctl(*args):
    build = pathlib.Path(os.environ.get('APF_BUILD_DIR', ROOT / 'build'))
    path = pathlib.Path(os.environ.get('APFCTL', build / 'cli' / 'apfctl')).resolve()
    assert path.is_file(), f'{path} is not built; set APF_BUILD_DIR or APFCTL'
    return subprocess.run([path, *args], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope='session')
def tables():
    """apfctl's own tables of verbs, options, states and exit statuses."""
    return json.loads(apfctl('__tables'))


@pytest.fixture(scope='session')
def help_of():
    return apfctl


@pytest.fixture(scope='session')
def interfaces():
    found = {}
    for path in sorted((ROOT / 'daemon' / 'data').glob('org.apfd.*.xml')):
        for interface in ET.parse(path).findall('interface'):
            found[interface.get('name')] = interface
    assert found
    return found
