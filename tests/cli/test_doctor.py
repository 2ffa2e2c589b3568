# SPDX-License-Identifier: GPL-2.0
"""apfctl doctor, with findings that a test makes up, and without an apfd."""

import json
import os

import pytest

import facts
from mock_apfd import MANAGER, VM

CPU_REMEDY = ("give it the host's CPU (virsh edit web1):\n  <cpu mode='host-passthrough'/>\n"
              "or keep its model:\n    <qemu:arg value='x86_64-cpu.kvm-asyncpf-int=on'/>")
HOST = [('kernel', 'ok', 'Linux 6.12 is fine', ''),
        ('swap', 'warn', 'some swap is in memory', 'take it out of use:\n  swapoff /dev/zram0')]
WEB1 = [('watched', 'ok', 'apf_host watches it', ''),
        ('asyncpf-int', 'fail', 'not offered', CPU_REMEDY),
        ('guest-apf', 'unknown', 'cannot be told', '')]
WEB2 = [('watched', 'ok', 'apf_host watches it', '')]


def as_json(findings):
    return [{'check': c, 'state': s, 'fact': f, 'remedy': r or None} for c, s, f, r in findings]


@pytest.fixture
def ill(apfd):
    """web1 is ill, the host not quite well, web2 well."""
    apfd.diagnose('/org/apfd', MANAGER, HOST)
    apfd.diagnose(apfd.web1, VM, WEB1)
    apfd.diagnose(apfd.web2, VM, WEB2)
    return apfd


def test_text(run, ill):
    result = run('doctor', 'web1')
    assert result.returncode == 1
    assert result.stderr == 'apfctl: doctor: 1 check failed\n'
    assert result.stdout == '''\
host
  ok       kernel        Linux 6.12 is fine
  warn     swap          some swap is in memory
                         take it out of use:
                           swapoff /dev/zram0

web1
  ok       watched       apf_host watches it
  fail     asyncpf-int   not offered
                         give it the host's CPU (virsh edit web1):
                           <cpu mode='host-passthrough'/>
                         or keep its model:
                             <qemu:arg value='x86_64-cpu.kvm-asyncpf-int=on'/>
  unknown  guest-apf     cannot be told

1 failed, 1 warned
'''


def test_warnings_are_no_failure(run, ill):
    result = run('doctor', 'web2')
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.endswith('\n0 failed, 1 warned\n')
    assert 'web1' not in result.stdout


def test_json(run, ill):
    result = run('doctor', '--json', 'web2', facts.WEB1['UUID'])
    assert result.returncode == 1
    assert json.loads(result.stdout) == {
        'host': {'worst': 'warn', 'checks': as_json(HOST)},
        'vms': [
            {'name': 'web2', 'uuid': facts.WEB2['UUID'], 'worst': 'ok', 'checks': as_json(WEB2)},
            {'name': 'web1', 'uuid': facts.WEB1['UUID'], 'worst': 'fail',
             'checks': as_json(WEB1)},
        ],
    }


def test_all_vms(run, ill):
    answer = json.loads(run('doctor', '--json').stdout)
    assert [(vm['name'], vm['worst']) for vm in answer['vms']] == [('web1', 'fail'), ('web2', 'ok')]


def test_no_vm(run, empty_apfd):
    empty_apfd.diagnose('/org/apfd', MANAGER, HOST)
    result = run('doctor', '--json')
    assert (result.returncode, json.loads(result.stdout)['vms']) == (0, [])


def test_no_such_vm(run, ill):
    result = run('doctor', 'web3')
    assert (result.returncode, result.stdout) == (3, '')
    assert 'web3' in result.stderr


def test_unknown_is_the_worst_of_a_healthy_one(run, ill):
    ill.diagnose(ill.web2, VM, [('asyncpf', 'unknown', 'not known', '')])
    result = run('doctor', '--json', 'web2')
    assert result.returncode == 0
    assert json.loads(result.stdout)['vms'][0]['worst'] == 'unknown'


def test_texts_of_others_are_made_printable(run, ill):
    ill.diagnose(ill.web2, VM, [('swap', 'ok', 'a \x1b[31mname', 'do\n  x\x07y')])
    result = run('doctor', 'web2')
    assert '\x1b' not in result.stdout and '\x07' not in result.stdout


def test_without_apfd_the_host_is_looked_at(run):
    result = run('doctor', '--json')
    assert result.returncode == 1
    answer = json.loads(result.stdout)
    assert answer['vms'] == []
    checks = {c['check']: c for c in answer['host']['checks']}
    assert checks['apfd']['state'] == 'fail'
    assert '\n  systemctl start apfd' in checks['apfd']['remedy']
    assert os.uname().release in checks['kernel']['fact']
    assert 'swap' in checks and 'libvirt' not in checks
    if not os.path.isdir('/sys/module/apf_host'):
        assert checks['module']['state'] == 'fail'

    # A VM that was asked for cannot be looked at.
    result = run('doctor', 'web1')
    assert result.returncode == 5
    assert result.stdout.startswith('host\n  fail     apfd ')


def test_another_host_without_apfd_is_not_this_one(run, tmp_path):
    ssh = tmp_path / 'ssh'
    ssh.write_text('#!/bin/sh\nexit 255\n')
    ssh.chmod(0o755)
    result = run('doctor', '--host', 'elsewhere',
                 env={'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'SYSTEMD_SSH': str(ssh)})
    assert result.returncode not in (0, 1)
    assert result.stdout == ''


def test_an_apfd_that_cannot_diagnose(run, apfd):
    apfd.fail('/org/apfd', MANAGER, 'Diagnose', 'org.freedesktop.DBus.Error.UnknownMethod', 'none')
    result = run('doctor')
    assert (result.returncode, result.stdout) == (6, '')
    assert 'same version' in result.stderr


def test_nowhere_to_write(run, ill):
    """What nobody could read was not checked."""
    result = run('doctor', 'web1', stdout='/dev/full')
    assert result.returncode == 6
    assert 'cannot write' in result.stderr


def test_too_many(run, ill):
    ill.fail(ill.web1, VM, 'Diagnose', 'org.freedesktop.DBus.Error.LimitsExceeded', 'Too many')
    result = run('doctor', 'web1')
    assert (result.returncode, result.stdout) == (6, '')
    assert 'Too many; try again' in result.stderr


def test_patterns_and_failures(run, ill):
    """Every VM that can be checked is checked; the status is the worst."""
    names = [vm['name'] for vm in json.loads(run('doctor', '--json', 'web[2-9]', 'web1').stdout)['vms']]
    assert names == ['web2', 'web1']
    result = run('doctor', '--json', 'web3', 'web2')
    assert result.returncode == 3
    assert [vm['name'] for vm in json.loads(result.stdout)['vms']] == ['web2']
    assert 'doctor web3: ' in result.stderr
    ill.fail(ill.web1, VM, 'Diagnose', 'org.freedesktop.DBus.Error.LimitsExceeded', 'Too many')
    # 6 is the worst: web1 could not be checked, though web3 does not exist.
    assert run('doctor', 'web3', 'web1').returncode == 6
    result = run('doctor', '--json', '--all')
    assert result.returncode == 6
    assert [vm['name'] for vm in json.loads(result.stdout)['vms']] == ['web2']
    assert 'doctor web1: Too many' in result.stderr
