# SPDX-License-Identifier: GPL-2.0
import json
import re
import signal
import subprocess
import time

import facts


def busy(name, number, **given):
    return facts.vm(Name=name, UUID=f'5a7e0f3c-0000-4a00-8000-00000000000{number}', **given)


def test_piped_table(run, apfd):
    started = time.monotonic()
    result = run('top', '--count', '3', '--interval', '0.2')
    assert (result.returncode, result.stderr) == (0, '')
    # The first look is at once, then two intervals.
    assert 0.4 <= time.monotonic() - started < 5
    looks = result.stdout.strip().split('\n\n')
    assert len(looks) == 3
    for look in looks:
        lines = look.splitlines()
        assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  2 VMs', lines[0])
        assert lines[1:] == [
            'NAME  STATE    MODE     SWAPPED  ASYNC/S  SYNC/S     P50     P95  STALLED  PRESSURE  '
            'GUEST',
            'web1  mixed    auto*  312.0 MiB      120     3.2  5.1 ms  8.2 ms    2.4 %      12 %  '
            'ok',
            'web2  unknown  off            -        -       -       -       -        -         -  '
            '-',
        ]
    assert '\x1b' not in result.stdout


def test_json_lines(run, apfd):
    before_usec = time.time() * 1e6
    result = run('top', '--json', '--count=2', '--interval=0.1')
    assert (result.returncode, result.stderr) == (0, '')
    looks = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(looks) == 2
    for look in looks:
        assert set(look) == {'now_usec', 'vms'}
        assert look['vms'] == [facts.JSON_WEB1, facts.JSON_WEB2]
        assert before_usec <= look['now_usec'] <= time.time() * 1e6
    assert looks[1]['now_usec'] - looks[0]['now_usec'] >= 90000


def reported(name, number, **figures):
    return busy(name, number, GuestModule='present',
                GuestReport=facts.guest_sum(PoolSize=4, **figures))


def test_guest_alarms(run, empty_apfd):
    empty_apfd.add_vm(busy('a-absent', 1))
    empty_apfd.add_vm(reported('b-ok', 2, Sleepers=9, OldestSleeperMSec=4999))
    empty_apfd.add_vm(reported('c-wait', 3, Sleepers=1, OldestSleeperMSec=12400))
    # The pool closes the gate: worse than a wait.
    empty_apfd.add_vm(reported('d-pool', 4, PoolInUse=3, Sleepers=1, OldestSleeperMSec=12400))
    lines = run('top', '--count=1').stdout.splitlines()
    column = lines[1].index('GUEST')
    assert {line.split()[0]: line[column:] for line in lines[2:6]} == {
        'a-absent': '-', 'b-ok': 'ok', 'c-wait': 'WAIT 12 s', 'd-pool': 'POOL 3',
    }


def test_most_stalled_first(run, empty_apfd):
    empty_apfd.add_vm(busy('idle', 1))
    empty_apfd.add_vm(busy('swapping', 2, AsyncRate=500.0))
    empty_apfd.add_vm(busy('stalled', 3, StallRatio=0.9, SyncRate=3.0))
    vms = json.loads(run('top', '--json', '--count=1').stdout)['vms']
    assert [vm['name'] for vm in vms] == ['stalled', 'swapping', 'idle']


def test_follows_changes(apfctl_path, environment, empty_apfd):
    process = subprocess.Popen([apfctl_path, 'top', '--json', '--interval=0.1'], env=environment,
                               stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(process.stdout.readline())['vms'] == []
        empty_apfd.add_vm(busy('late', 1))
        for _ in range(50):
            names = [vm['name'] for vm in json.loads(process.stdout.readline())['vms']]
            if names:
                break
        assert names == ['late']
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=10)
        process.stdout.close()
    assert status == 0


def test_apfd_ends_meanwhile(apfctl_path, environment, apfd):
    process = subprocess.Popen([apfctl_path, 'top', '--json', '--interval=0.1'], env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert json.loads(process.stdout.readline())['vms']
    apfd.process.kill()
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 5
    assert 'apfd is not running' in stderr
