# SPDX-License-Identifier: GPL-2.0
import csv
import io
import json
import re
import signal
import subprocess
import time

import facts


def busy(name, number, **given):
    return facts.vm(Name=name, UUID=f'5a7e0f3c-0000-4a00-8000-00000000000{number}', **given)


def test_piped_table(run, apfd):
    took = []
    # The machine may stand still in one of them.
    while not took or (min(took) >= 5 and len(took) < 3):
        started = time.monotonic()
        result = run('top', '--count', '3', '--interval', '0.2')
        took.append(time.monotonic() - started)
        assert (result.returncode, result.stderr) == (0, '')
    # The first look is at once, then two intervals.
    assert 0.4 <= min(took) < 5
    looks = result.stdout.strip().split('\n\n')
    assert len(looks) == 3
    for look in looks:
        lines = look.splitlines()
        assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  2 VMs', lines[0])
        assert lines[1] == facts.HOST_LINE
        assert lines[2:] == [
            'NAME  STATE    MODE     SWAPPED    OUT/S  ASYNC/S  SYNC/S     P50     P95  STALLED  PEAK  SAVED  PRESSURE  '
            'GUEST',
            'web1  mixed    auto*  312.0 MiB  1.0 MiB      120     3.2  5.1 ms  8.2 ms    2.4 %  38 %   41 %      12 %  '
            'ok',
            'web2  unknown  off            -        -        -       -       -       -        -     -      -         -  '
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
        assert set(look) == {'now_usec', 'vms', 'host'}
        assert look['host'] == json.loads(run('status', '--json').stdout)['host']
        assert look['vms'] == [facts.JSON_WEB1, facts.JSON_WEB2]
        assert before_usec <= look['now_usec'] <= time.time() * 1e6
    # the first may come late, so that the second follows soon
    assert looks[0]['now_usec'] < looks[1]['now_usec'] and time.time() * 1e6 - before_usec >= 100000


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
    column = lines[2].index('GUEST')
    assert {line.split()[0]: line[column:] for line in lines[3:7]} == {
        'a-absent': '-', 'b-ok': 'ok', 'c-wait': 'WAIT 12 s', 'd-pool': 'POOL 3',
    }


def test_most_stalled_first(run, empty_apfd):
    empty_apfd.add_vm(busy('idle', 1))
    empty_apfd.add_vm(busy('swapping', 2, AsyncRate=500.0))
    empty_apfd.add_vm(busy('stalled', 3, StallRatio=0.9, SyncRate=3.0))
    vms = json.loads(run('top', '--json', '--count=1').stdout)['vms']
    assert [vm['name'] for vm in vms] == ['stalled', 'swapping', 'idle']


def first_names(process):
    """The names in the first sample, of the next 50, that has VMs."""
    for _ in range(50):
        names = [vm['name'] for vm in json.loads(process.stdout.readline())['vms']]
        if names:
            break
    return names


def test_follows_changes(apfctl_path, environment, empty_apfd):
    process = subprocess.Popen([apfctl_path, 'top', '--json', '--interval=0.1'], env=environment,
                               stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(process.stdout.readline())['vms'] == []
        empty_apfd.add_vm(busy('late', 1))
        assert first_names(process) == ['late']
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
    # It ended between two calls, or in the middle of one.
    assert (process.returncode, 'apfd is not running' in stderr, 'apfd did not answer' in stderr) in \
        ((5, True, False), (1, False, True)), stderr


CSV_HEADER = ['time', 'name', 'uuid', 'state', 'mode', 'swapped_bytes', 'outstanding_pages',
              'async_swapins_per_sec', 'sync_swapins_per_sec', 'latency_p50_usec',
              'latency_p95_usec', 'stall_ratio', 'some_avg10_percent', 'full_avg10_percent',
              'ready', 'async_nsec', 'sync_stalls', 'sync_stall_nsec', 'pool_in_use',
              'oldest_sleeper_msec', 'swapin_bytes_per_sec', 'swapout_bytes_per_sec',
              'peak_stall_ratio', 'peak_latency_usec', 'room_bytes', 'swap_room_bytes', 'refault_pages',
              'zswapped_bytes', 'zram_bytes', 'saved_ratio', 'saved_nsec']


def test_csv(run, apfd):
    """The same figures as JSON, empty where JSON has null."""
    result = run('top', '--csv', '--count=2', '--interval=0.1')
    assert (result.returncode, result.stderr) == (0, '')
    header, *rows = csv.reader(result.stdout.splitlines())
    assert header == CSV_HEADER
    assert [row[1] for row in rows] == ['web1', 'web2'] * 2
    counters = facts.json_counters(facts.WEB1['Counters'])
    for row, vm in zip(rows, [facts.JSON_WEB1, facts.JSON_WEB2] * 2):
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', row[0])
        known = {**vm, **vm['pressure'], **vm['memory'], **(counters if vm['watched'] else {}),
                 **(vm['guest_report'] or {})}
        for name, text in list(zip(header, row))[1:]:
            value = known.get(name)
            assert text == ('' if value is None else str(value)), name


def test_csv_names_are_exact(run, empty_apfd):
    odd = ['comma,quote"', 'line\nbreak', 'plain']
    for number, name in enumerate(odd):
        empty_apfd.add_vm(busy(name, number))
    text = run('top', '--csv', '--count=1', '--sort=name').stdout
    assert '"comma,quote"""' in text and 'Z,plain,' in text
    rows = list(csv.reader(io.StringIO(text)))
    assert [row[1] for row in rows[1:]] == odd
    assert all(len(row) == len(CSV_HEADER) for row in rows)


def test_sort(run, empty_apfd):
    empty_apfd.add_vm(busy('a', 1, AsyncRate=5.0, SwappedBytes=1 << 20, StallRatio=0.5))
    empty_apfd.add_vm(busy('b', 2, AsyncRate=7.0, SwappedBytes=3 << 20, SavedRatio=0.2))
    empty_apfd.add_vm(busy('c', 3, AsyncRate=6.0, SwappedBytes=2 << 20, SavedRatio=2.3))
    for word, order in (('async', 'bca'), ('-async', 'acb'), ('swapped', 'bca'), ('NAME', 'abc'),
                        ('-name', 'cba'), ('stalled', 'abc'), ('saved', 'cba'), ('-saved', 'abc')):
        top = json.loads(run('top', '--json', '--count=1', f'--sort={word}').stdout)
        assert ''.join(vm['name'] for vm in top['vms']) == order, word


def test_some_vms(run, apfd):
    apfd.add_vm(busy('db', 1))
    for args, shown in ((['web2'], ['web2']), (['w*1', 'db'], ['db', 'web1']),
                        (['--all'], ['db', 'web1', 'web2'])):
        top = json.loads(run('top', '--json', '--count=1', '--sort=name', *args).stdout)
        assert [vm['name'] for vm in top['vms']] == shown
    result = run('top', 'web1', 'x', 'y', '--count=1')
    assert (result.returncode, result.stdout) == (3, '')
    assert 'top x: ' in result.stderr and 'top y: ' in result.stderr


def test_pattern_waits_for_vms(apfctl_path, environment, empty_apfd):
    process = subprocess.Popen([apfctl_path, 'top', '--json', '--interval=0.1', 'la*'],
                               env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    try:
        assert json.loads(process.stdout.readline())['vms'] == []
        empty_apfd.add_vm(busy('other', 1))
        empty_apfd.add_vm(busy('late', 2))
        assert first_names(process) == ['late']
    finally:
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
    assert stderr == 'apfctl: note: the name of no VM matches la* yet\n'
