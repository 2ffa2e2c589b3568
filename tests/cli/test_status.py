# SPDX-License-Identifier: GPL-2.0
import json
import re

import dbus
import pytest

import facts


def fields(stdout):
    """{'State': 'mixed', ...} of the upper part of status."""
    pairs = (re.match(r'\s*([^:]*): (.*)', line) for line in stdout.split('\n\n')[0].splitlines())
    return {m.group(1): m.group(2) for m in pairs if m}


@pytest.mark.parametrize('name', ['web1', facts.WEB1['UUID'], '3'])
def test_found_by_name_uuid_and_id(run, apfd, name):
    result = run('status', name)
    assert (result.returncode, result.stderr) == (0, '')
    assert fields(result.stdout)['UUID'] == facts.WEB1['UUID']


def test_fields(run, apfd):
    got = fields(run('status', 'web1').stdout)
    assert got['VM'] == 'web1'
    assert got['libvirt id'] == '3'
    assert got['PID'] == '4242'
    assert got['State'] == 'mixed'
    assert got['Watched'].startswith('since 2026-09-21 14:13:20 UTC (')
    assert got['Swapped'] == '312.0 MiB'
    assert got['Mode'] == 'auto (from metadata)'
    assert got['vCPU mode'] == '1: off'
    assert got['Manager'] == 'libvirt'
    assert got['Executable'] == '/usr/bin/qemu-system-x86_64'
    assert got['Cgroup'] == facts.WEB1['CGroup']
    assert got['Memory'] == '1.0 GiB, and 256.0 MiB on swap'
    assert got['Pressure'] == 'some 12 %, full 3.2 % (mean of 10 s)'
    assert got['Trend'] == '-0.0025/s'
    assert got['Rate'] == '99.0/s major faults'
    assert got['Peak'] == 'stalled 38 %, latency up to 131 ms (last minute)'
    assert got['Active'] == '600.0 MiB'
    assert got['In zswap'] == '7.0 MiB, compressed to 2.0 MiB'
    assert got['Host memory'] == facts.HOST_LINE[len('host '):]
    assert got['Host swap'] == '/dev/vdb (disk), 312.0 MiB of 8.0 GiB used, reads take 5.2 ms'
    assert not {'Config error', 'Dry run'} & set(got)
    assert got['Waiting for'] == '3 pages'
    assert got['Swap-ins'] == '120/s asynchronous, 3.2/s synchronous'
    assert got['In total'] == '1300 swap-ins, 84 % of them asynchronous'
    assert got['Latency'] == 'p50 5.1 ms, p95 8.2 ms'
    assert got['Stall ratio'] == '2.4 %, 104 d 5 h in total'
    assert got['Saved'] == '41 % of a vCPU, 3 h 12 min since start'
    assert got['Guest module'] == 'present'
    assert got['Guest pool'] == '0 of 2 nodes in use; taken: 11, exhausted: 0'
    assert got['Guest tasks'] == '4 asleep, the oldest for 1.2 s'
    assert got['Guest total'] == ('waits: 1500, wakes: 1496, rescues: 0, unknown tokens: 13, '
                                  'early wakes: 12, lost interrupts: 0')
    assert 'Paused' not in got
    assert got['Host'] == 'apf_host present 0.1.0, no-wait swap-in not-needed, nested guard on'
    assert 'Note' not in got


def test_wrong_configuration_and_dry_run(run, apfd):
    apfd.set_host(dict(facts.HOST, ConfigError='a.conf:3: b\nc.conf:4: \x1b', DryRun=True))
    text = run('status', 'web1').stdout
    assert re.findall('^ *Config error: (.*)$', text, re.M) == ['a.conf:3: b', 'c.conf:4: \\x1b']
    assert fields(text)['Dry run'] == 'apfd only reports its decisions and changes nothing'


def test_vcpus(run, apfd):
    table = run('status', 'web1').stdout.split('\n\n')[1].splitlines()
    assert [line.split() for line in table] == [
        ['VCPU', 'STATE', 'GUEST', 'APF', 'WAITING', 'NOTIFIED', 'HALTED', 'READY', 'AVG', 'SYNC',
         'AVG', 'REFUSED', 'PAUSED', 'DROPPED', 'REPEATED', 'MISSED', 'BAD'],
        ['0', 'on', 'user', '3', '1050', '50', '1090', '5.0', 'ms', '10', '2.0', 'ms', '0', '0',
         '0', '0', '0', '0'],
        ['1', 'off', 'always', '0', '0', '0', '0', '-', '200', '6.2', 'ms', '30', '7', '0', '0',
         '0', '0'],
    ]


def test_reports(run, apfd):
    """Only of vCPUs the guest reports about."""
    table = run('status', 'web1').stdout.split('\n\n')[2].splitlines()
    assert [line.split() for line in table] == [
        ['VCPU', 'POOL', 'TAKEN', 'EXHAUSTED', 'ASLEEP', 'OLDEST', 'WAITS', 'WAKES', 'RESCUES',
         'UNKNOWN', 'EARLY', 'SEEN'],
        ['0', '0/2', '11', '0', '4', '1.2', 's', '1500', '1496', '0', '13', '12', '250', 'ms',
         'ago'],
    ]


def test_guest_without_module(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='db'), [vcpu()])
    result = run('status', 'db')
    got = fields(result.stdout)
    assert got['Guest module'] == 'absent'
    assert not {'Guest pool', 'Guest tasks', 'Guest total', 'Paused'} & set(got)
    assert 'ASLEEP' not in result.stdout
    assert got['Note'].startswith('no page was swapped in')
    status = json.loads(run('status', 'db', '--json').stdout)
    assert (status['guest_module'], status['guest_report']) == ('absent', None)
    assert status['vcpus'][0]['guest_report'] is None


def test_paused(run, empty_apfd):
    """An emergency node in use: said of the VM, the vCPU, and why."""
    report = dict(PoolSize=2, PoolInUse=1, PoolTaken=3, Sleepers=1, OldestSleeperMSec=900)
    paused = dict(vcpu('off', Ready=1000), Index=1, VCPUID=1, Paused=True,
                  GuestReport=facts.guest_report(40, **report))
    empty_apfd.add_vm(facts.vm(Name='db', VCPUStates=['on'], PausedVCPUs=[1],
                               Counters=facts.counters(Ready=1000), GuestModule='present',
                               GuestReport=facts.guest_sum(**report)), [paused])
    result = run('status', 'db')
    got = fields(result.stdout)
    assert got['State'] == 'on'
    assert got['Paused'] == 'vCPU 1'
    assert got['Guest pool'] == '1 of 2 nodes in use; taken: 3, exhausted: 0'
    assert result.stdout.split('\n\n')[1].splitlines()[1].split()[:4] == ['1', 'on', 'PAUSED',
                                                                         'off']
    status = json.loads(run('status', 'db', '--json').stdout)
    assert status['paused_vcpus'] == [1]
    assert status['vcpus'][0]['paused'] is True
    assert status['vcpus'][0]['guest_report'] == facts.json_guest(paused['GuestReport'])
    # The guest's module switched APF off on this vCPU; it is not that it never asked.
    assert [(f['id'], f['check']) for f in status['findings']] == [('pool-in-use', 'guest-pool')]
    assert got['Note'] == ('the gate of 1 vCPU is closed: the guest lacked memory for a wake-up '
                           'and has 1 of 2 emergency nodes in use; it opens when they are free again')


def test_histogram(run, apfd):
    rows = run('status', 'web1').stdout.split('\n\n')[3].splitlines()
    assert rows[0].split() == ['LATENCY', 'ASYNC', 'SYNC']
    # From the first bucket in use to the last: 3 to 13.
    assert len(rows) == 1 + 11
    assert rows[1].split() == ['4', 'us', '-', '8', 'us', '0', '10', '#']
    assert rows[10].split() == ['2.0', 'ms', '-', '4.1', 'ms', '90', '##', '0']
    assert rows[11].split() == ['4.1', 'ms', '-', '8.2', 'ms', '1000', 18 * '#', '200', '####']


def test_json(run, apfd):
    result = run('status', 'web1', '--json')
    assert (result.returncode, result.stderr) == (0, '')
    assert json.loads(result.stdout) == {
        **facts.JSON_WEB1,
        'counters': facts.json_counters(facts.WEB1['Counters']),
        'async_histogram_log2_usec': facts.WEB1['AsyncHistogram'],
        'sync_histogram_log2_usec': facts.WEB1['SyncHistogram'],
        'vcpus': [
            {
                'index': vcpu['Index'],
                'vcpu_id': vcpu['VCPUID'],
                'state': vcpu['State'],
                'guest_apf': vcpu['GuestAPF'],
                'outstanding_pages': vcpu['Outstanding'],
                'paused': vcpu['Paused'],
                'guest_report': facts.json_guest(vcpu['GuestReport'])
                if 'GuestReport' in vcpu else None,
                'counters': facts.json_counters(vcpu['Counters']),
                'async_histogram_log2_usec': vcpu['AsyncHistogram'],
                'sync_histogram_log2_usec': vcpu['SyncHistogram'],
            } for vcpu in facts.WEB1_VCPUS
        ],
        'findings': [],
        'host': {
            'apfd_version': '0.1.0',
            'host_module': 'present',
            'host_module_version': '0.1.0',
            'nowait_swapin': 'not-needed',
            'nested_guard': True,
            'libvirt': 'connected',
            'libvirt_uri': 'qemu:///system',
            'config_files': ['/etc/apfd/apfd.conf'],
            'config_error': '',
            'dry_run': False,
            'swap': [{'path': '/dev/vdb', 'kind': 'disk', 'size_bytes': 8 << 30,
                      'used_bytes': 327155712, 'reads': 4711, 'read_latency_usec': 5200,
                      'read_usec': 24497200, 'synchronous': False}],
            'hooks': [],
            'memory_state': 'swapping',
            'memory': {
                'total_bytes': 64 << 30, 'free_bytes': 1 << 30, 'available_bytes': 5 << 30,
                'reclaimable_bytes': 4 << 30, 'swap_total_bytes': 8 << 30,
                'swap_free_bytes': (8 << 30) - 327155712, 'zswap_bytes': 3 << 20, 'zswapped_bytes': 9 << 20,
                'swapped_in_bytes': 5 << 30, 'swapped_out_bytes': 6 << 30, 'scanned_pages': 70001,
                'direct_scanned_pages': 801, 'refault_pages': 90001, 'some_usec': 12345678,
                'full_usec': 2345678,
            },
            'pressure': {'some_avg10_percent': 12.5, 'full_avg10_percent': 3.25, 'swapin_bytes_per_sec': 3145728,
                         'swapout_bytes_per_sec': 2097152, 'scanned_pages_per_sec': 700.5,
                         'refaults_per_sec': 30.5},
            'memory_nodes': [{'node': 0, 'bytes': 32 << 30, 'free_bytes': 24 << 20},
                             {'node': 1, 'bytes': 32 << 30, 'free_bytes': 1000 << 20}],
            'auto_recall': {'state': 'running', 'reason': 'VM web1'},
        },
    }


@pytest.mark.parametrize('error', ['org.apfd.Error.NoHostModule', 'org.apfd.Error.NotWatched'])
def test_without_vcpu_figures(run, apfd, error):
    apfd.fail(apfd.web2, 'org.apfd.VM1', 'GetVCPUs', error, 'not now')
    result = run('status', 'web2')
    assert (result.returncode, result.stderr) == (0, '')
    assert fields(result.stdout)['Watched'] == 'no'
    assert 'VCPU' not in result.stdout
    # What is not known is not shown as 0.
    assert fields(result.stdout)['Swapped'] == 'not known'
    assert not {'Waiting for', 'Swap-ins', 'Latency', 'Stall ratio'} & set(fields(result.stdout))
    status = json.loads(run('status', 'web2', '--json').stdout)
    assert {key: status[key] for key in facts.JSON_WEB2} == facts.JSON_WEB2
    for key in ('vcpus', 'counters', 'async_histogram_log2_usec', 'sync_histogram_log2_usec'):
        assert status[key] is None


def vcpu(guest_apf='user', **counter_values):
    return {'Index': 0, 'VCPUID': 0, 'State': 'on', 'GuestAPF': guest_apf, 'Outstanding': 0,
            'Counters': facts.counters(**counter_values),
            'AsyncHistogram': facts.histogram({}), 'SyncHistogram': facts.histogram({}),
            'Paused': False}


def reported(**figures):
    """A VM that had swap-ins and whose guest reports."""
    return {'Counters': facts.counters(Ready=1000), 'GuestModule': 'present',
            'GuestReport': facts.guest_sum(PoolSize=1, **figures)}


BUSY = {'Ready': 30, 'SyncStalls': 970}


@pytest.mark.parametrize('host, vm, guest_apf, finding, text', [
    ({'NoWaitSwapin': 'off'}, {'Counters': facts.counters(**BUSY)}, 'user',
     'nowait-off', 'asynchronous share 3.0 %: no-wait swap-in is off'),
    ({'NoWaitSwapin': 'unavailable'}, {'Counters': facts.counters(**BUSY)}, 'user',
     'nowait-unavailable', 'asynchronous share 3.0 %: this kernel needs no-wait swap-in'),
    ({'NoWaitSwapin': 'off'}, {'State': 'off', 'Counters': facts.counters(**BUSY)}, 'user',
     'gate-off', 'asynchronous share 3.0 %: the state is off'),
    ({}, {'Counters': facts.counters(Asked=1000, RefusedNested=900, **BUSY)}, 'user',
     'nested', 'a nested guest was running at 900 of 1000 faults'),
    ({}, {'Counters': facts.counters(Asked=1000, RefusedPaused=900, **BUSY)}, 'user',
     'paused', "closed for the guest's emergency nodes at 900 of 1000 faults"),
    ({}, dict(reported(PoolInUse=1), PausedVCPUs=[0, 2]), 'user',
     'pool-in-use', 'the gate of 2 vCPUs is closed'),
    ({}, reported(PoolExhausted=3), 'user', 'pool-exhausted', 'ran out of emergency nodes 3 times'),
    ({}, reported(Sleepers=1, OldestSleeperMSec=5000), 'user', 'waiter-old',
     'has waited 5.0 s for its page'),
    ({}, reported(Rescues=4), 'user', 'rescues', 'did not come in time: 4 so far'),
    ({}, reported(Stuck=3), 'user', 'slot-stuck', 'handled the events later: 3 so far'),
    ({}, {'Counters': facts.counters(Ready=1000, BadReports=2)}, 'user', 'bad-reports',
     'were ignored: 2 so far'),
    ({}, {'Counters': facts.counters(Ready=1000)}, 'off',
     'guest-apf-off', 'KVM can only halt its vCPUs'),
    ({}, {'State': 'pv', 'Counters': facts.counters(Ready=1000)}, 'off',
     'guest-apf-off', 'in state pv every swap-in is synchronous'),
    ({}, {}, 'user', 'no-swap-in', 'no page was swapped in'),
    ({}, {'Counters': facts.counters(Ready=1000, NotPresent=1000, ProbeMisses=10)}, 'user',
     'probe-misses', '10 events could not be classified'),
    ({'HostModule': 'absent'}, {}, 'user', 'module-absent', 'modprobe apf_host'),
    ({}, {'Watched': False, 'State': 'unknown'}, 'user', 'not-watched', 'is not watched'),
])
def test_findings(run, empty_apfd, host, vm, guest_apf, finding, text):
    empty_apfd.set_host({**facts.HOST, **host})
    empty_apfd.add_vm(facts.vm(Name='db', **vm), [vcpu(guest_apf)])
    assert text in fields(run('status', 'db').stdout)['Note']
    findings = json.loads(run('status', 'db', '--json').stdout)['findings']
    assert [f['id'] for f in findings] == [finding]
    assert text in findings[0]['text']


@pytest.mark.parametrize('host, counters', [
    # Mostly asynchronous: nothing to explain.
    ({'NoWaitSwapin': 'off'}, {'Ready': 900, 'SyncStalls': 100}),
    # Too few to tell.
    ({'NoWaitSwapin': 'off'}, {'Ready': 1, 'SyncStalls': 98}),
    # A low share whose reason is not in the figures.
    ({}, BUSY),
    # Below one in a hundred.
    ({}, {'Ready': 1000, 'NotPresent': 1000, 'ProbeMisses': 9}),
])
def test_no_finding_without_proof(run, empty_apfd, host, counters):
    empty_apfd.set_host({**facts.HOST, **host})
    empty_apfd.add_vm(facts.vm(Name='db', Counters=facts.counters(**counters)), [vcpu()])
    assert json.loads(run('status', 'db', '--json').stdout)['findings'] == []


@pytest.mark.parametrize('figures', [
    {},
    # Used once, and back.
    {'PoolTaken': 5},
    # Not yet old; old, but awake by now.
    {'Sleepers': 3, 'OldestSleeperMSec': 4999},
    {'Sleepers': 0, 'OldestSleeperMSec': 60000},
    # The host had forgotten tokens: nothing the user could change.
    {'UnknownTokens': 7, 'EarlyWakes': 7},
])
def test_no_finding_of_a_sound_guest(run, empty_apfd, figures):
    empty_apfd.add_vm(facts.vm(Name='db', **reported(**figures)), [vcpu()])
    assert json.loads(run('status', 'db', '--json').stdout)['findings'] == []


def test_several_vms(run, apfd):
    for args in (['web1', 'web2'], ['--all'], ['web?'], ['web[12]', 'web1']):
        result = run('status', '--json', *args)
        assert (result.returncode, result.stderr) == (0, '')
        vms = json.loads(result.stdout)
        assert [vm['name'] for vm in vms] == ['web1', 'web2']
        assert len(vms[0]['vcpus']) == 2
    # One VM is an object, however it is named; a pattern is an array, however few match.
    assert json.loads(run('status', '--json', '3').stdout)['name'] == 'web1'
    assert [vm['name'] for vm in json.loads(run('status', '--json', '*2').stdout)] == ['web2']
    result = run('status', 'web2', 'web3', 'web1')
    assert result.returncode == 3
    assert [line.split()[-1] for line in result.stdout.splitlines() if ' VM: ' in line] == [
        'web2', 'web1']
    assert result.stderr.startswith('apfctl: status web3: ')


def test_vm_without_figures_is_told_with_the_others(run, apfd):
    apfd.fail(apfd.web1, 'org.apfd.VM1', 'GetVCPUs', 'org.apfd.Error.Failed', 'no figures')
    result = run('status', '--all', '--json')
    assert result.returncode == 1
    assert [vm['name'] for vm in json.loads(result.stdout)] == ['web2']
    assert result.stderr.startswith('apfctl: status web1: no figures')


def test_host(run, apfd):
    apfd.add_vm(facts.vm(Name='db', UUID='5a7e0f3c-0003-4a00-8000-000000000003', AsyncRate=9.5,
                         SyncRate=0.75, SwappedBytes=1 << 20, StallRatio=0.25))
    result = run('status')
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.splitlines() == [
        '        apfd: 0.1.0',
        '    apf_host: present 0.1.0',
        '     No-wait: not-needed',
        'Nested guard: on',
        '     libvirt: connected (qemu:///system)',
        ' Config file: /etc/apfd/apfd.conf',
        ' Host memory: ' + facts.HOST_LINE[len('host '):],
        '    Host I/O: 3.0 MiB/s from swap, 2.0 MiB/s to swap, 700 pages/s scanned',
        '  Host zswap: 9.0 MiB in 3.0 MiB',
        '   Host node: 0: 24.0 MiB free of 32.0 GiB',
        '   Host node: 1: 1000.0 MiB free of 32.0 GiB',
        '   Host swap: /dev/vdb (disk), 312.0 MiB of 8.0 GiB used, reads take 5.2 ms',
        ' Auto recall: running (VM web1)',
        '         VMs: 3, 2 of them watched; 1 on; 1 mixed; 1 unknown',
        '     Swapped: 313.0 MiB',
        '    Swap-ins: 130/s asynchronous, 4.0/s synchronous',
        'Most stalled: db, 25 %',
    ]


def test_memory_of_a_vm(run, apfd):
    """Each limit, rate and node has a line."""
    text = run('status', 'web1').stdout
    assert re.findall('^ *Limit: (.*)$', text, re.M) == [
        '3.0 GiB of memory, 77.0 MiB left', '2.0 GiB of memory before it is slowed down',
        '1.0 GiB of swap, 768.0 MiB left']
    assert re.findall('^ *Swap I/O: (.*)$', text, re.M) == [
        '495.0 KiB/s from swap (124 pages/s)', '1.0 MiB/s to swap (256 pages/s)']
    assert re.findall('^ *On node: (.*)$', text, re.M) == ['0: 300.0 MiB', '1: 700.0 MiB']
    # There is none on zram.
    assert 'On zram' not in text
    # Nothing of it is known of the other one.
    assert not {'Limit', 'Swap I/O', 'On node', 'Active', 'In zswap', 'Peak'} & set(fields(run('status', 'web2').stdout))


def test_host_that_thrashes_without_swap(run, empty_apfd):
    empty_apfd.set_host(dict(facts.HOST, MemoryState='thrashing', Swap=[], Pressure={}, Nodes=[],
                             Memory={'FreeBytes': 1 << 20, 'SwapTotalBytes': 0, 'SwapFreeBytes': 0}))
    got = fields(run('status').stdout)
    assert got['Host memory'] == 'thrashing: 1.0 MiB free, - reclaimable, no swap'
    assert not {'Host I/O', 'Host zswap', 'Host node'} & set(got)


def test_host_in_json(run, apfd):
    result = run('status', '--json')
    assert (result.returncode, result.stderr) == (0, '')
    got = json.loads(result.stdout)
    assert got.pop('host') == json.loads(run('status', 'web1', '--json').stdout)['host']
    assert got == {
        'vm_count': 2, 'watched_vm_count': 1,
        'vm_count_by_state': {'on': 0, 'pv': 0, 'off': 0, 'mixed': 1, 'unknown': 1},
        'swapped_bytes': 327155712, 'async_swapins_per_sec': 120.5, 'sync_swapins_per_sec': 3.25,
    }


def test_host_without_module_and_vms(run, empty_apfd):
    empty_apfd.set_host(dict(facts.HOST_ABSENT, DryRun=True, Swap=[],
                             ConfigError='/etc/apfd/apfd.conf:3: wrong', Hooks=[
                                 {'Name': dbus.String('ready'), 'Placed': dbus.Boolean(False),
                                  'Required': dbus.Boolean(False), 'On': dbus.String('x'),
                                  'Error': dbus.String('gone'),
                                  'Takes': dbus.Array(['Ready'], signature='s')}]))
    shown = fields(run('status').stdout)
    assert shown['apf_host'] == 'absent'
    assert shown['Not placed'] == 'ready'
    assert shown['Config error'] == '/etc/apfd/apfd.conf:3: wrong'
    assert shown['Dry run'] == 'apfd only reports its decisions and changes nothing'
    assert shown['VMs'] == '0, 0 of them watched'
    assert shown['Swap-ins'] == '-/s asynchronous, -/s synchronous'
    assert 'Most stalled' not in shown
    got = json.loads(run('status', '--json').stdout)
    assert (got['async_swapins_per_sec'], got['vm_count']) == (None, 0)


def test_automatic_recalls(run, apfd):
    """Off is not worth a line of each VM."""
    assert fields(run('status', 'web1').stdout)['Auto recall'] == 'running (12 of 157 MiB are back)'
    assert 'Auto recall' not in run('status', 'web2').stdout
