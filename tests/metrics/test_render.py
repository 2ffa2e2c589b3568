# SPDX-License-Identifier: GPL-2.0
"""`apfctl metrics`: every figure of the mock is found again, exactly, in valid OpenMetrics."""

import os
import pty
import re
import subprocess

import pytest

import facts
from samples import one, parse_openmetrics, select

UUID = facts.WEB1['UUID']


def metrics(run):
    result = run('metrics')
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.endswith('\n# EOF\n')
    return parse_openmetrics(result.stdout), result.stdout


def test_host(run, apfd):
    samples, _ = metrics(run)
    assert one(samples, 'apf_up') == 1
    assert one(samples, 'apf_build_info', version='0.1.0', host_module_version='0.1.0') == 1
    assert one(samples, 'apf_host_module_up') == 1
    assert one(samples, 'apf_libvirt_up') == 1
    assert one(samples, 'apf_nested_guard') == 1
    assert one(samples, 'apf_vms') == 2
    assert one(samples, 'apf_vms_dropped') == 0
    assert one(samples, 'apf_nowait_swapin', state='not-needed') == 1
    assert sum(select(samples, 'apf_nowait_swapin')) == 1


def test_host_without_module_and_libvirt(run, empty_apfd):
    empty_apfd.set_host(dict(facts.HOST_ABSENT, Libvirt='connecting'))
    samples, _ = metrics(run)
    assert one(samples, 'apf_host_module_up') == 0
    assert one(samples, 'apf_libvirt_up') == 0
    assert one(samples, 'apf_nowait_swapin', state='unknown') == 1


COUNTERS = {
    'Asked': 'faults_asked', 'Refused': 'faults_refused', 'RefusedNested': 'faults_refused_nested',
    'RefusedPaused': 'faults_refused_paused', 'NotPresent': 'not_present', 'Delivered': 'delivered',
    'Halted': 'halted', 'ReadyUnknown': 'ready_unknown', 'ReadyAll': 'ready_broadcasts',
    'Dropped': 'dropped', 'Repeated': 'repeated', 'NoWait': 'nowait_reads',
    'ProbeMisses': 'probe_misses', 'BadReports': 'bad_reports',
}
GUEST = {
    'PoolSize': 'pool_nodes', 'PoolInUse': 'pool_used_nodes', 'PoolTaken': 'pool_taken_total',
    'PoolExhausted': 'pool_exhausted_total', 'Sleepers': 'sleepers', 'Waits': 'waits_total',
    'Wakes': 'wakes_total', 'EarlyWakes': 'early_wakes_total', 'Rescues': 'rescues_total',
    'UnknownTokens': 'unknown_tokens_total',
}


def test_every_counter_is_told(run, apfd):
    samples, text = metrics(run)
    # These have names of their own.
    others = {'Ready', 'SyncStalls', 'SyncStallNSec', 'AsyncNSec'}
    assert set(COUNTERS) | others == set(facts.COUNTER_KEYS)
    for bus_name, name in COUNTERS.items():
        assert one(samples, f'apf_{name}_total', vm='web1', uuid=UUID) == \
            facts.WEB1['Counters'][bus_name], bus_name
    assert one(samples, 'apf_swapins_total', vm='web1', kind='async') == 1090
    assert one(samples, 'apf_swapins_total', vm='web1', kind='sync') == 210
    # Digits that a double does not have.
    labels = f'{{vm="web1",uuid="{UUID}"}}'
    assert f'\napf_stall_seconds_total{labels} 9007199.254740993\n' in text
    assert f'\napf_async_wait_seconds_total{labels} 5.450000000\n' in text


def test_guest_report(run, apfd):
    samples, _ = metrics(run)
    assert set(GUEST) | {'OldestSleeperMSec', 'AgeMSec'} == set(facts.GUEST_KEYS)
    for bus_name, name in GUEST.items():
        assert one(samples, f'apf_guest_{name}', vm='web1') == facts.WEB1['GuestReport'][bus_name]
    assert one(samples, 'apf_guest_oldest_sleeper_seconds', vm='web1') == 1.2
    assert one(samples, 'apf_guest_module_up', vm='web1') == 1
    # Whoever reports nothing has no pool of size 0.
    assert not [key for key in samples if key[0].startswith('apf_guest_') and ('vm', 'web2') in key[1]]


def test_facts_of_a_vm(run, apfd):
    samples, _ = metrics(run)
    assert one(samples, 'apf_watched', vm='web1') == 1
    assert one(samples, 'apf_vcpus', vm='web1') == 2
    assert one(samples, 'apf_swapped_bytes', vm='web1') == 327155712
    assert one(samples, 'apf_outstanding_pages', vm='web1') == 3
    assert one(samples, 'apf_watch_start_time_seconds', vm='web1') == 1790000000.123456
    states = {dict(labels)['state']: value for (name, labels), value in samples.items()
              if name == 'apf_gate_state' and ('vm', 'web1') in labels}
    assert states == {'off': 0, 'pv': 0, 'on': 0, 'mixed': 1, 'unknown': 0}


PRESSURE = {
    'MemoryBytes': ('memory_bytes', 1), 'SwapBytes': ('memory_swap_bytes', 1),
    'SwapInRate': ('memory_swapin_pages_per_second', 1), 'RefaultRate': ('memory_refaults_per_second', 1),
    'MajorFaultRate': ('memory_major_faults_per_second', 1),
    'SomeAvg10': ('memory_pressure_some_ratio', 0.01), 'FullAvg10': ('memory_pressure_full_ratio', 0.01),
    'StallRatio': ('stall_ratio', 1), 'Trend': ('memory_pressure_trend', 1),
}


def test_pressure(run, apfd):
    samples, _ = metrics(run)
    assert set(PRESSURE) | {'NewFigure'} == set(facts.WEB1['Pressure'])
    for bus_name, (name, factor) in PRESSURE.items():
        assert one(samples, f'apf_{name}', vm='web1') == \
            pytest.approx(facts.WEB1['Pressure'][bus_name] * factor, rel=1e-12), bus_name


def test_mode(run, apfd):
    samples, _ = metrics(run)
    assert one(samples, 'apf_mode', vm='web1', mode='auto') == 1
    assert one(samples, 'apf_mode', vm='web2', mode='off') == 1
    assert sum(select(samples, 'apf_mode')) == 2


def test_swap_devices(run, apfd):
    samples, _ = metrics(run)
    for device in facts.HOST['Swap']:
        labels = {'device': str(device['Path']), 'kind': str(device['Kind'])}
        assert one(samples, 'apf_swap_size_bytes', **labels) == device['Size']
        assert one(samples, 'apf_swap_used_bytes', **labels) == device['Used']
        assert one(samples, 'apf_swap_reads_total', **labels) == device['Reads']
        assert one(samples, 'apf_swap_synchronous', **labels) == device['Synchronous']
        assert select(samples, 'apf_swap_read_latency_seconds', **labels) == \
            ([device['ReadLatencyUSec'] / 1e6] if device['Reads'] else [])
    assert one(samples, 'apf_dry_run') == 0
    assert one(samples, 'apf_config_error') == 0


def test_apfd_without_the_policy(run, older_apfd):
    older_apfd.add_vm(facts.older(facts.WEB1), facts.WEB1_VCPUS, older=True)
    samples, _ = metrics(run)
    assert one(samples, 'apf_watched', vm='web1') == 1
    assert not {'apf_mode', 'apf_dry_run', 'apf_swap_size_bytes', 'apf_stall_ratio'} & {name for name, _ in samples}


def test_what_is_not_known_is_missing(run, apfd):
    """web2 is not watched and has no process: no counter of it is 0."""
    samples, _ = metrics(run)
    told = {name for name, labels in samples if ('vm', 'web2') in labels}
    assert told == {'apf_watched', 'apf_gate_state', 'apf_mode'}
    assert one(samples, 'apf_gate_state', vm='web2', state='unknown') == 1


def test_histogram(run, apfd):
    """Bucket i of apf_host ends at 2^i us."""
    samples, _ = metrics(run)
    for kind, key in (('async', 'AsyncHistogram'), ('sync', 'SyncHistogram')):
        buckets = {dict(ls)['le']: v for (n, ls), v in samples.items()
                   if n == 'apf_swapin_latency_seconds_bucket' and ('vm', 'web1') in ls
                   and ('kind', kind) in ls}
        counts = facts.WEB1[key]
        expected = {f'{2 ** i / 1e6:.6f}': sum(counts[:i + 1]) for i in range(4, 25)}
        assert buckets == {**expected, '+Inf': sum(counts)}
        assert one(samples, 'apf_swapin_latency_seconds_count', vm='web1', kind=kind) == sum(counts)
    assert one(samples, 'apf_swapin_latency_seconds_sum', vm='web1', kind='async') == 5.45


def test_last_bucket_counts_only_as_infinite(run, empty_apfd):
    """The last bucket has no upper bound, however many there are."""
    empty_apfd.add_vm(facts.vm(AsyncHistogram=[1, 2, 4, 8, 16, 32], SyncHistogram=[]))
    samples, _ = metrics(run)
    assert one(samples, 'apf_swapin_latency_seconds_bucket', kind='async', le='0.000016') == 31
    assert one(samples, 'apf_swapin_latency_seconds_bucket', kind='async', le='16.777216') == 31
    assert one(samples, 'apf_swapin_latency_seconds_bucket', kind='async', le='+Inf') == 63
    assert one(samples, 'apf_swapin_latency_seconds_count', kind='sync') == 0


HOSTILE = 'a"} 1\\\\n\nb\napf_up 0 \\'


def test_hostile_name_is_one_label(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name=HOSTILE))
    samples, text = metrics(run)
    assert one(samples, 'apf_up') == 1
    assert one(samples, 'apf_watched', vm=HOSTILE) == 1
    assert [line for line in text.splitlines() if not line.startswith(('apf_', '# '))] == []


def test_long_name_is_cut_between_characters(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='x' + 'ö' * 400))
    samples, _ = metrics(run)
    assert one(samples, 'apf_watched', vm='x' + 'ö' * 127) == 1


def test_names_cannot_steer_the_terminal(apfctl_path, environment, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='a\x1b[2Jb'))
    parent, child = pty.openpty()
    result = subprocess.Popen([apfctl_path, 'metrics'], env=environment, stdout=child,
                              stdin=subprocess.DEVNULL)
    os.close(child)
    text = b''
    try:
        while part := os.read(parent, 65536):
            text += part
    except OSError:
        pass
    os.close(parent)
    assert result.wait(timeout=30) == 0
    assert b'\x1b' not in text and b'a\\\\x1b[2Jb' in text


def test_order_and_heads(run, apfd):
    """Each family is told once, its head before its samples."""
    _, text = metrics(run)
    heads = re.findall(r'^# TYPE (\w+) (gauge|counter|histogram)$', text, re.M)
    assert len({name for name, _ in heads}) == len(heads) > 40
    helps = re.findall(r'^# HELP (\w+) (.*)$', text, re.M)
    assert [name for name, _ in helps] == [name for name, _ in heads]
    assert all(help_text.endswith('.') for _, help_text in helps)


def test_apfd_is_missing(run, bus):
    result = run('metrics')
    assert (result.returncode, result.stdout) == (5, '')
    assert 'apfd is not running' in result.stderr
