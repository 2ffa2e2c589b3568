# SPDX-License-Identifier: GPL-2.0
"""What the host's kernel cannot count is shown as not counted, never as 0."""

import json

import dbus
import facts

# What apf_host leaves out without its hooks "ready" and "stall".
GONE = ['Delivered', 'Halted', 'Ready', 'ReadyUnknown', 'ReadyAll', 'Dropped', 'AsyncNSec', 'SyncStalls',
        'SyncStallNSec', 'SavedNSec']
PROPERTIES = {'AsyncHistogram': [], 'SyncHistogram': [], 'Outstanding': 0, 'AsyncRate': 0.0, 'SyncRate': 0.0,
              'P50USec': 0, 'P95USec': 0, 'StallRatio': 0.0, 'PeakStallRatio': 0.0, 'PeakLatencyUSec': 0,
              'SavedRatio': 0.0, 'SavedUSec': 0}


def hook(name, error, takes):
    return {'Name': dbus.String(name), 'Placed': dbus.Boolean(not error), 'Required': dbus.Boolean(False),
            'On': dbus.String('kvm_it'), 'Error': dbus.String(error), 'Takes': dbus.Array(takes, signature='s')}


HOOKS = [hook('forget', '', []), hook('ready', 'no such function', ['Ready', 'AsyncHistogram']),
         hook('stall', 'taken over', ['SyncStalls'])]


def trimmed(counters):
    return {name: value for name, value in counters.items() if name not in GONE}


VM = dict(facts.WEB1, Counters=trimmed(facts.WEB1['Counters']), NotCounted=[*GONE, *PROPERTIES],
          Pressure={k: v for k, v in facts.WEB1['Pressure'].items() if k != 'StallRatio'}, **PROPERTIES)
VCPUS = [{k: trimmed(v) if k == 'Counters' else v for k, v in vcpu.items()
          if k not in ('Outstanding', 'AsyncHistogram', 'SyncHistogram')} for vcpu in facts.WEB1_VCPUS]


def show(apfd):
    apfd.set_host(dict(facts.HOST, Hooks=HOOKS))
    return apfd.add_vm(VM, VCPUS)


def test_list_says_which_hooks(run, empty_apfd):
    show(empty_apfd)
    result = run('list')
    assert result.returncode == 0
    assert 'cannot place some of its hooks on this kernel (ready, stall)' in result.stderr
    assert 'forget' not in result.stderr


def test_top(run, empty_apfd):
    show(empty_apfd)
    result = run('top', '--count=1')
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.strip().splitlines()[2:] == [
        'NAME  STATE  MODE     SWAPPED    OUT/S  ASYNC/S  SYNC/S  P50  P95  STALLED  PEAK  SAVED  PRESSURE  GUEST',
        'web1  mixed  auto*  312.0 MiB  1.0 MiB        -       -    -    -        -     -      -      12 %  ok',
    ]


def test_top_of_one_that_counts_comes_first(run, empty_apfd):
    show(empty_apfd)
    empty_apfd.add_vm(facts.vm(Name='zzz', UUID='5a7e0f3c-0000-4a00-8000-000000000009'))
    result = run('top', '--count=1')
    assert [line.split()[0] for line in result.stdout.strip().splitlines()[3:]] == ['zzz', 'web1']


def test_status(run, empty_apfd):
    show(empty_apfd)
    result = run('status', 'web1')
    assert (result.returncode, result.stderr) == (0, '')
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    fields = dict(line.strip().split(':', 1) for line in lines if ':' in line)
    fields = {k: v.strip() for k, v in fields.items()}
    assert fields['Waiting for'] == '-'
    assert fields['Swap-ins'] == '-/s asynchronous, -/s synchronous'
    assert fields['Stall ratio'] == '-, - in total'
    assert fields['Saved'] == '-'
    assert fields['Not counted'] == ', '.join([*GONE, *PROPERTIES])
    assert not {'In total', 'Latency'} & set(fields)
    # Nothing is concluded from what nobody counted.
    assert 'no page was swapped in' not in result.stdout
    assert 'asynchronous share' not in result.stdout
    head = next(i for i, line in enumerate(lines) if line.split()[:1] == ['VCPU'])
    cells = lines[head + 1].split()
    assert cells[:10] == ['0', 'on', 'user', '-', '-', '-', '-', '-', '-', '-']
    # Without a histogram there is none to draw.
    assert not any(line.split()[:2] == ['LATENCY', 'ASYNC'] for line in lines)


def test_json(run, empty_apfd):
    show(empty_apfd)
    result = run('status', '--json', 'web1')
    assert (result.returncode, result.stderr) == (0, '')
    got = json.loads(result.stdout)
    for key in ('outstanding_pages', 'async_swapins_per_sec', 'sync_swapins_per_sec', 'latency_p50_usec',
                'latency_p95_usec', 'stall_ratio', 'async_histogram_log2_usec', 'sync_histogram_log2_usec'):
        assert key in got and got[key] is None, key
    keys = facts.COUNTER_KEYS
    assert got['counters'] == {key: VM['Counters'].get(name) for name, key in keys.items()}
    assert {keys[name] for name in GONE} == {k for k, v in got['counters'].items() if v is None}
    for vcpu in got['vcpus']:
        assert vcpu['outstanding_pages'] is None and vcpu['async_histogram_log2_usec'] is None
        assert vcpu['counters']['ready'] is None and vcpu['counters']['asked'] > 0
    assert got['host']['hooks'][1] == {'name': 'ready', 'placed': False, 'required': False, 'on': 'kvm_it',
                                       'error': 'no such function', 'takes': ['Ready', 'AsyncHistogram']}
    assert got['host']['hooks'][0]['error'] is None


def test_metrics(run, empty_apfd):
    show(empty_apfd)
    result = run('metrics')
    assert (result.returncode, result.stderr) == (0, '')
    series = [line for line in result.stdout.splitlines() if not line.startswith('#')]
    for name in ('delivered', 'halted', 'dropped', 'stall_seconds', 'async_wait_seconds', 'swapins',
                 'swapin_latency_seconds', 'outstanding_pages', 'ready_unknown', 'ready_broadcasts', 'stall_ratio'):
        assert not any(line.startswith((f'apf_{name}', f'apf_vcpu_{name}')) for line in series), name
    assert any(line.startswith('apf_faults_asked_total{') and line.endswith(' 1200') for line in series)
    assert 'apf_hook_placed{hook="forget"} 1' in series
    assert 'apf_hook_placed{hook="stall"} 0' in series


def test_an_older_apfd_counts_all_it_sends(run, older_apfd):
    older_apfd.add_vm(facts.older(facts.WEB1), facts.WEB1_VCPUS, older=True)
    got = json.loads(run('status', '--json', 'web1').stdout)
    assert got['host']['hooks'] is None
    assert None not in got['counters'].values()
    assert got['outstanding_pages'] == 3
    assert got['latency_p95_usec'] == 8200
