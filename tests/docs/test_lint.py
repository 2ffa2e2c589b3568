# SPDX-License-Identifier: GPL-2.0
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('APF_BUILD_DIR', ROOT / 'build'))
PAGES = sorted((ROOT / 'man').glob('*.[1-9]'))


def test_there_are_pages():
    assert {'apfctl.1', 'org.apfd.5', 'apf_host.4'} <= {page.name for page in PAGES}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing(page):
    result = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', page], capture_output=True,
                            text=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, '')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_groff_finds_nothing(page):
    result = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', '-Tutf8', page],
                            capture_output=True, text=True, check=False,
                            env={'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'MANWIDTH': '80'})
    assert (result.returncode, result.stderr) == (0, '')
    # Macro names in the text: a line that misses its leading dot.
    for macro in (' Ns Ar', ' Ns Cm', ' Op Fl', '.Cm ', '.Ar ', '.Xr '):
        assert macro not in result.stdout


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_is_installed(page):
    assert f"'{page.name}'" in (ROOT / 'man' / 'meson.build').read_text()


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_licence_first(page):
    assert page.read_text().startswith('.\\" SPDX-License-Identifier: GPL-2.0\n')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_files_history_and_bugs(page):
    text = page.read_text()
    for section in ('FILES', 'HISTORY', 'BUGS', 'SEE ALSO'):
        assert f'\n.Sh {section}\n' in text
    assert '\n.Lk @BUGS@ .\n' in text
    filled = (BUILD / 'man' / page.name).read_text()
    address = re.search(r'^BUGS=(.*)', (ROOT / 'packaging/project').read_text(), re.M).group(1)
    assert f'\n.Lk {address} .\n' in filled and not re.search('@[A-Z]+@', filled)
