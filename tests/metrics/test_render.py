# SPDX-License-Identifier: GPL-2.0
"""`apfctl metrics`: every figure of the mock is found again, exactly, in valid OpenMetrics."""

import os
import pty
import re
import subprocess

import dbus
import pytest

import facts
from conftest import ROOT
from mock_apfd import VM
from samples import one, parse_openmetrics, parse_text, select
from test_uncounted import hook

UUID, WEB2 = facts.WEB1['UUID'], facts.WEB2['UUID']


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
    'RefusedPaused': 'faults_refused_paused', 'NotPresent': 'faults_started', 'Delivered': 'faults_delivered',
    'Halted': 'faults_halted', 'ReadyUnknown': 'pages_unmatched', 'ReadyAll': 'ready_broadcasts',
    'Dropped': 'pages_dropped', 'Repeated': 'faults_repeated', 'NoWait': 'nowait_reads',
    'ProbeMisses': 'probe_misses', 'BadReports': 'bad_reports',
}
GUEST = {
    'PoolSize': 'pool_nodes', 'PoolInUse': 'pool_used_nodes', 'PoolTaken': 'pool_taken_total',
    'PoolExhausted': 'pool_exhausted_total', 'Sleepers': 'sleepers', 'Waits': 'waits_total',
    'Wakes': 'wakes_total', 'EarlyWakes': 'early_wakes_total', 'Rescues': 'rescues_total',
    'UnknownTokens': 'unknown_tokens_total', 'Stuck': 'interrupts_lost_total',
}


def test_every_counter_is_told(run, apfd):
    samples, text = metrics(run)
    # These have names of their own.
    others = {'Ready', 'SyncStalls', 'SyncStallNSec', 'AsyncNSec', 'SavedNSec'}
    assert set(COUNTERS) | others == set(facts.COUNTER_KEYS)
    for bus_name, name in COUNTERS.items():
        assert one(samples, f'apf_{name}_total', uuid=UUID) == \
            facts.WEB1['Counters'][bus_name], bus_name
    assert one(samples, 'apf_swapins_total', uuid=UUID, kind='async') == 1090
    assert one(samples, 'apf_swapins_total', uuid=UUID, kind='sync') == 210
    # Digits that a double does not have.
    labels = f'{{uuid="{UUID}"}}'
    assert f'\napf_stall_seconds_total{labels} 9007199.254740993\n' in text
    assert f'\napf_vm_saved_seconds_total{labels} 11520.123456789\n' in text
    assert f'\napf_async_wait_seconds_total{labels} 5.450000000\n' in text


def test_guest_report(run, apfd):
    samples, _ = metrics(run)
    assert set(GUEST) | {'OldestSleeperMSec', 'AgeMSec'} == set(facts.GUEST_KEYS)
    for bus_name, name in GUEST.items():
        assert one(samples, f'apf_guest_{name}', uuid=UUID) == facts.WEB1['GuestReport'][bus_name]
    assert one(samples, 'apf_guest_oldest_sleeper_seconds', uuid=UUID) == 1.2
    assert one(samples, 'apf_guest_module_up', uuid=UUID) == 1
    # Whoever reports nothing has no pool of size 0.
    assert not [key for key in samples if key[0].startswith('apf_guest_') and ('uuid', WEB2) in key[1]]


def test_swapped_bytes_that_are_not_known(run, empty_apfd):
    """There is no sample, rather than a 0 that says all is well."""
    empty_apfd.add_vm(facts.vm(Name='mine'))
    empty_apfd.add_vm(facts.vm(Name='shared', UUID=UUID, SwappedSource='unknown'))
    samples, _ = metrics(run)
    assert one(samples, 'apf_swapped_bytes', uuid=WEB2) == 0
    assert not [key for key in samples if key[0] == 'apf_swapped_bytes' and ('uuid', UUID) in key[1]]
    assert one(samples, 'apf_vm_info', uuid=UUID) == 1


def test_facts_of_a_vm(run, apfd):
    samples, _ = metrics(run)
    assert one(samples, 'apf_vm_watched', uuid=UUID) == 1
    assert one(samples, 'apf_vcpus', uuid=UUID) == 2
    assert one(samples, 'apf_swapped_bytes', uuid=UUID) == 327155712
    assert one(samples, 'apf_outstanding_pages', uuid=UUID) == 3
    assert one(samples, 'apf_watch_start_time_seconds', uuid=UUID) == 1790000000.123456
    states = {dict(labels)['state']: value for (name, labels), value in samples.items()
              if name == 'apf_gate_state' and ('uuid', UUID) in labels}
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
    # Rates that Prometheus makes of counters.
    assert set(PRESSURE) | {'NewFigure', 'SwapOutRate', 'SwapInBytesRate', 'SwapOutBytesRate'} == \
        set(facts.WEB1['Pressure'])
    for bus_name, (name, factor) in PRESSURE.items():
        assert one(samples, f'apf_{name}', uuid=UUID) == \
            pytest.approx(facts.WEB1['Pressure'][bus_name] * factor, rel=1e-12), bus_name


VM_MEMORY = {
    'LimitBytes': 'memory_limit_bytes', 'RoomBytes': 'memory_room_bytes', 'HighBytes': 'memory_high_bytes',
    'SwapLimitBytes': 'memory_swap_limit_bytes', 'SwapRoomBytes': 'memory_swap_room_bytes',
    'SwappedInBytes': 'memory_swapped_in_bytes_total', 'SwappedOutBytes': 'memory_swapped_out_bytes_total',
    'RefaultPages': 'memory_refault_pages_total', 'ActivationPages': 'memory_activation_pages_total',
    'MajorFaults': 'memory_major_faults_total', 'ActiveBytes': 'memory_active_bytes',
    'ZswapBytes': 'memory_zswap_bytes', 'ZswappedBytes': 'memory_zswapped_bytes', 'ZramBytes': 'memory_zram_bytes',
}
HOST_MEMORY = {
    'TotalBytes': 'host_memory_size_bytes', 'FreeBytes': 'host_memory_free_bytes',
    'AvailableBytes': 'host_memory_available_bytes', 'ZswapBytes': 'host_zswap_bytes',
    'ZswappedBytes': 'host_zswapped_bytes', 'SwappedInBytes': 'host_swapped_in_bytes_total',
    'SwappedOutBytes': 'host_swapped_out_bytes_total', 'ScannedPages': 'host_scanned_pages_total',
    'DirectScannedPages': 'host_direct_scanned_pages_total', 'RefaultPages': 'host_refault_pages_total',
}


def test_memory_of_a_vm(run, apfd):
    samples, _ = metrics(run)
    memory = facts.WEB1['Memory']
    assert set(VM_MEMORY) | {'SomeUSec', 'FullUSec', 'NewFigure'} == set(memory)
    for bus_name, name in VM_MEMORY.items():
        assert one(samples, f'apf_{name}', uuid=UUID) == memory[bus_name], bus_name
    for kind in ('some', 'full'):
        assert one(samples, 'apf_memory_stall_seconds_total', uuid=UUID, kind=kind) == \
            memory[f'{kind.title()}USec'] / 1e6
    assert {n: one(samples, 'apf_memory_node_bytes', uuid=UUID, node=n) for n in '01'} == \
        facts.WEB1['NodeMemory']
    assert one(samples, 'apf_peak_stall_ratio', uuid=UUID) == 0.375
    assert one(samples, 'apf_peak_swapin_latency_seconds', uuid=UUID) == 0.131072


def test_memory_of_the_host(run, apfd):
    samples, _ = metrics(run)
    memory = facts.HOST['Memory']
    # Swap is told by device; what is reclaimable is available and not free.
    assert set(HOST_MEMORY) | {'SomeUSec', 'FullUSec', 'NewFigure', 'ReclaimableBytes', 'SwapTotalBytes',
                               'SwapFreeBytes'} == set(memory)
    for bus_name, name in HOST_MEMORY.items():
        assert one(samples, f'apf_{name}') == memory[bus_name], bus_name
    for kind in ('some', 'full'):
        assert one(samples, 'apf_host_memory_stall_seconds_total', kind=kind) == memory[f'{kind.title()}USec'] / 1e6
    states = {dict(labels)['state']: value for (name, labels), value in samples.items()
              if name == 'apf_host_memory_state'}
    assert states == {'unknown': 0, 'calm': 0, 'reclaiming': 0, 'swapping': 1, 'thrashing': 0}
    for node in facts.HOST['Nodes']:
        assert one(samples, 'apf_host_node_memory_size_bytes', node=str(int(node['Node']))) == node['TotalBytes']
        assert one(samples, 'apf_host_node_memory_free_bytes', node=str(int(node['Node']))) == node['FreeBytes']


DEPRECATED = {
    'apf_watched': 'apf_vm_watched', 'apf_not_present_total': 'apf_faults_started_total',
    'apf_delivered_total': 'apf_faults_delivered_total', 'apf_halted_total': 'apf_faults_halted_total',
    'apf_repeated_total': 'apf_faults_repeated_total', 'apf_dropped_total': 'apf_pages_dropped_total',
    'apf_ready_unknown_total': 'apf_pages_unmatched_total', 'apf_guest_stuck_total': 'apf_guest_interrupts_lost_total',
}
# With another meaning than what replaces them, or not told by apfctl.
DEPRECATED_OTHERS = {
    'apf_swap_read_latency_seconds', 'apf_memory_swapin_pages_per_second', 'apf_memory_refaults_per_second',
    'apf_memory_major_faults_per_second', 'apf_memory_pressure_some_ratio', 'apf_memory_pressure_full_ratio',
    'apf_stall_ratio', 'apf_memory_pressure_trend', 'apf_collect_seconds', 'apf_vcpu_paused',
    *(name.replace('apf_', 'apf_vcpu_', 1) for name in DEPRECATED if name != 'apf_watched'),
}


def test_old_names_go_on(run, apfd):
    samples, text = metrics(run)
    for old, new in DEPRECATED.items():
        assert one(samples, old, uuid=UUID) == one(samples, new, uuid=UUID)
        assert re.search(rf'^# HELP {old.removesuffix("_total")} .* Deprecated: use {new}\.$', text, re.M)


def test_deprecated_metrics_are_in_the_news_and_can_be_left_out(start, apfd):
    everything = start('--vcpus').get()[2]
    old = set(re.findall(r'^# HELP (\w+) .* Deprecated: use ', everything, re.M))
    assert old == set(DEPRECATED) | DEPRECATED_OTHERS
    current = start('--vcpus', '--no-deprecated').get()[2]
    names = {name for name, _ in parse_text(everything)}
    assert {name for name, _ in parse_text(current)} == names - old
    news = (ROOT / 'NEWS.md').read_text()
    assert [name for name in sorted(old) if not name.startswith('apf_vcpu_') and name not in news] == []


def test_names_end_with_their_unit(start, apfd):
    """As OpenMetrics and Prometheus ask for: base units, and "total" for counters."""
    text = start('--vcpus', '--no-deprecated').get()[2]
    for name, kind in re.findall(r'^# TYPE (apf_\w+) (\w+)$', text, re.M):
        assert (kind == 'counter') == name.endswith('_total'), name
        assert not re.search(r'(usec|msec|nsec|milli|kilo|kib|mib|percent|_per_second)', name), name


def test_mode(run, apfd):
    samples, _ = metrics(run)
    assert one(samples, 'apf_mode', uuid=UUID, mode='auto') == 1
    assert one(samples, 'apf_mode', uuid=WEB2, mode='off') == 1
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
        assert one(samples, 'apf_swap_read_seconds_total', **labels) == device['ReadUSec'] / 1e6
    assert one(samples, 'apf_dry_run') == 0
    assert one(samples, 'apf_config_error') == 0


def test_apfd_without_the_policy(run, older_apfd):
    older_apfd.add_vm(facts.older(facts.WEB1), facts.WEB1_VCPUS, older=True)
    samples, _ = metrics(run)
    assert one(samples, 'apf_vm_watched', uuid=UUID) == 1
    assert not {'apf_host_memory_state', 'apf_memory_limit_bytes', 'apf_peak_stall_ratio',
                'apf_swap_read_seconds_total'} & {name for name, _ in samples}
    assert not {'apf_mode', 'apf_dry_run', 'apf_swap_size_bytes', 'apf_stall_ratio'} & {name for name, _ in samples}


def test_what_is_not_known_is_missing(run, apfd):
    """web2 is not watched and has no process: no counter of it is 0."""
    samples, _ = metrics(run)
    told = {name for name, labels in samples if ('uuid', WEB2) in labels}
    assert told == {'apf_vm_info', 'apf_vm_watched', 'apf_watched', 'apf_gate_state', 'apf_mode'}
    assert one(samples, 'apf_gate_state', uuid=WEB2, state='unknown') == 1


def test_histogram(run, apfd):
    """Bucket i of apf_host ends at 2^i us."""
    samples, _ = metrics(run)
    for kind, key in (('async', 'AsyncHistogram'), ('sync', 'SyncHistogram')):
        buckets = {dict(ls)['le']: v for (n, ls), v in samples.items()
                   if n == 'apf_swapin_latency_seconds_bucket' and ('uuid', UUID) in ls
                   and ('kind', kind) in ls}
        counts = facts.WEB1[key]
        expected = {f'{2 ** i / 1e6:.6f}': sum(counts[:i + 1]) for i in range(4, 25)}
        assert buckets == {**expected, '+Inf': sum(counts)}
        assert one(samples, 'apf_swapin_latency_seconds_count', uuid=UUID, kind=kind) == sum(counts)
    assert one(samples, 'apf_swapin_latency_seconds_sum', uuid=UUID, kind='async') == 5.45


def test_last_bucket_counts_only_as_infinite(run, empty_apfd):
    """The last bucket has no upper bound, however many there are."""
    empty_apfd.add_vm(facts.vm(AsyncHistogram=[1, 2, 4, 8, 16, 32], SyncHistogram=[0] * 6))
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
    assert one(samples, 'apf_vm_info', vm=HOSTILE) == 1
    assert [line for line in text.splitlines() if not line.startswith(('apf_', '# '))] == []


def test_long_name_is_cut_between_characters(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='x' + 'ö' * 400))
    samples, _ = metrics(run)
    assert one(samples, 'apf_vm_info', vm='x' + 'ö' * 127) == 1


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


def test_names_are_in_one_family(run, apfd):
    samples, _ = metrics(run)
    assert one(samples, 'apf_vm_info', uuid=UUID, vm='web1', manager='libvirt') == 1
    assert one(samples, 'apf_vm_info', uuid=WEB2, vm='web2') == 1
    assert {name for name, labels in samples if 'vm' in dict(labels)} == {'apf_vm_info'}
    # Whatever is of a VM has its UUID.
    assert len([key for key in samples if 'uuid' in dict(key[1])]) > 100


def test_renamed_vm_keeps_its_series(run, apfd):
    before, _ = metrics(run)
    apfd.object(apfd.web1).UpdateProperties(VM, dbus.Dictionary({'Name': 'new-name'}, signature='sv'))
    after, _ = metrics(run)

    def series(samples):
        return {key for key in samples if key[0] != 'apf_vm_info'}

    assert series(after) == series(before)
    assert [dict(labels)['vm'] for name, labels in after if name == 'apf_vm_info'] == ['new-name', 'web2']


# ---- how many ----

def numbers_of_the_manual():
    """The section of apf-exporter(8): (numbers of its sentence, {number of VMs: numbers of its row})."""
    page = (ROOT / 'man' / 'apf-exporter.8').read_text()
    text = page.split('.Ss Number of time series\n')[1].split('.Sh ')[0]
    sentence = re.sub(r'\s+', ' ', text.split('.Bl ')[0])
    rows = re.findall(r'^\.It ([\d,]+) Ta ([\d,]+) Ta ([\d,]+) Ta ([\d,]+)$', text, re.M)
    return [int(n) for n in re.findall(r'(\d+) time series', sentence)], \
        {int(row[0].replace(',', '')): [int(n.replace(',', '')) for n in row[1:]] for row in rows}


def count(samples):
    """(series of the host and the exporter, series of VMs, series of vCPUs)"""
    vcpus = len([1 for name, _ in samples if name.startswith('apf_vcpu_')])
    vms = len([1 for _, labels in samples if 'uuid' in dict(labels)]) - vcpus
    return len(samples) - vms - vcpus, vms, vcpus


HOOK_NAMES = re.findall(r'\[APF_HOOK_\w+\] = \{\s*"([a-z-]+)"', (ROOT / 'lib' / 'common' / 'hook.c').read_text())


def vm_number(n, **values):
    """A VM of which everything is known."""
    return facts.vm(**{**facts.WEB1, 'Name': f'vm{n}', 'UUID': f'5a7e0f3c-0000-4a00-8000-{n:012}',
                       'LibvirtID': 100 + n, **values})


def test_number_of_series_is_that_of_the_manual(start, empty_apfd):
    """Counted for some VMs, and so for many: each VM adds the same."""
    empty_apfd.set_host(dict(facts.HOST, Hooks=[hook(name, '', []) for name in HOOK_NAMES]))
    sizes = {}
    for n in (1, 2, 3):
        empty_apfd.add_vm(vm_number(n), facts.WEB1_VCPUS[:1])
        sizes[n] = count(parse_text(start('--vcpus').get()[2]))
        if n == 1:
            current = count(parse_text(start('--vcpus', '--no-deprecated').get()[2]))
    host, one_vm, one_vcpu = sizes[1]
    assert sizes == {n: (host, n * one_vm, n * one_vcpu) for n in sizes}

    bare = {'GuestModule': 'absent', 'GuestReport': {}}
    for n in (4, 5):
        empty_apfd.add_vm(vm_number(n, **bare), [{k: v for k, v in facts.WEB1_VCPUS[0].items() if k != 'GuestReport'}])
    with_bare = count(parse_text(start('--vcpus').get()[2]))
    bare_vm = (with_bare[1] - 3 * one_vm) // 2

    sentence, table = numbers_of_the_manual()
    assert sentence == [one_vm, bare_vm, one_vcpu, host, *(before - after for before, after in zip(sizes[1], current))]
    assert table == {vms: [host + vms * bare_vm, host + vms * one_vm, host + vms * (one_vm + 4 * one_vcpu)]
                     for vms in (100, 1000)}


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
