# SPDX-License-Identifier: GPL-2.0
"""What the mock tells: a host, and VMs whose every figure is different."""

import dbus

HOST = {
    'Version': '0.1.0',
    'HostModule': 'present',
    'HostModuleVersion': '0.1.0',
    'NoWaitSwapin': 'not-needed',
    'NestedGuard': True,
    'Libvirt': 'connected',
    'LibvirtURI': 'qemu:///system',
    'ConfigFiles': ['/etc/apfd/apfd.conf'],
    'ConfigError': '',
    'DryRun': False,
    'Swap': [{'Path': dbus.String('/dev/vdb'), 'Kind': dbus.String('disk'),
              'Size': dbus.UInt64(8 << 30), 'Used': dbus.UInt64(327155712),
              'Reads': dbus.UInt64(4711), 'ReadLatencyUSec': dbus.UInt64(5200),
              'ReadUSec': dbus.UInt64(24497200),
              'Synchronous': dbus.Boolean(False)}],
    'Hooks': [],
    'MemoryState': 'swapping',
    'Memory': {'TotalBytes': 64 << 30, 'FreeBytes': 1 << 30, 'AvailableBytes': 5 << 30, 'ReclaimableBytes': 4 << 30,
               'SwapTotalBytes': 8 << 30, 'SwapFreeBytes': (8 << 30) - 327155712, 'ZswapBytes': 3 << 20,
               'ZswappedBytes': 9 << 20, 'SwappedInBytes': 5 << 30, 'SwappedOutBytes': 6 << 30,
               'ScannedPages': 70001, 'DirectScannedPages': 801, 'RefaultPages': 90001, 'SomeUSec': 12345678,
               'FullUSec': 2345678, 'NewFigure': 1},
    'Pressure': {'SomeAvg10': 12.5, 'FullAvg10': 3.25, 'SwapInBytesRate': 3145728.0, 'SwapOutBytesRate': 2097152.0,
                 'ScanRate': 700.5, 'RefaultRate': 30.5, 'NewFigure': 1.0},
    'Nodes': [{'Node': dbus.UInt32(n), 'TotalBytes': dbus.UInt64(32 << 30), 'FreeBytes': dbus.UInt64(free << 20)}
              for n, free in ((0, 24), (1, 1000))],
    'AutoRecall': dbus.Dictionary({'State': 'running', 'Reason': 'VM web1', 'NewFigure': 1}, signature='sv'),
}
HOST_ABSENT = dict(HOST, HostModule='absent', HostModuleVersion='', NoWaitSwapin='unknown',
                   NestedGuard=False)

# In the first line of "top".
HOST_LINE = ('host swapping: 1.0 GiB free, 4.0 GiB reclaimable, 312.0 MiB of 8.0 GiB swap used (disk, 5.2 ms), '
             'some 12 %, full 3.2 %')

# What an apfd without the policy tells nothing of.
NEW_OF_HOST = ('ConfigFiles', 'ConfigError', 'DryRun', 'Swap', 'Hooks', 'MemoryState', 'Memory', 'Nodes',
               'AutoRecall')
NEW_OF_VM = ('Mode', 'ModeSource', 'VCPUModes', 'Pressure', 'CGroup', 'Manager', 'ID', 'VMM', 'Executable',
             'NotCounted', 'PeakStallRatio', 'PeakLatencyUSec', 'NodeMemory', 'SavedRatio', 'SavedUSec', 'AutoRecall')


def older(values):
    return {k: v for k, v in values.items() if k not in NEW_OF_HOST + NEW_OF_VM}


COUNTER_KEYS = {
    'Asked': 'asked', 'Refused': 'refused', 'RefusedNested': 'refused_nested',
    'NotPresent': 'not_present', 'Delivered': 'delivered', 'Halted': 'halted',
    'Ready': 'ready', 'ReadyUnknown': 'ready_unknown', 'ReadyAll': 'ready_all',
    'Dropped': 'dropped', 'Repeated': 'repeated', 'SyncStalls': 'sync_stalls',
    'SyncStallNSec': 'sync_stall_nsec', 'AsyncNSec': 'async_nsec', 'NoWait': 'nowait',
    'ProbeMisses': 'probe_misses', 'RefusedPaused': 'refused_paused',
    'BadReports': 'bad_reports', 'SavedNSec': 'saved_nsec',
}

GUEST_KEYS = {
    'AgeMSec': 'age_msec', 'PoolSize': 'pool_size', 'PoolInUse': 'pool_in_use',
    'PoolTaken': 'pool_taken', 'PoolExhausted': 'pool_exhausted', 'Sleepers': 'sleepers',
    'EarlyWakes': 'early_wakes', 'Rescues': 'rescues', 'UnknownTokens': 'unknown_tokens',
    'OldestSleeperMSec': 'oldest_sleeper_msec', 'Waits': 'waits', 'Wakes': 'wakes',
    'Stuck': 'stuck',
}

BUCKETS = 32


def counters(**given):
    assert set(given) <= set(COUNTER_KEYS), given
    return {name: given.get(name, 0) for name in COUNTER_KEYS}


def json_counters(values):
    return {COUNTER_KEYS[name]: value for name, value in values.items()}


def guest_sum(**given):
    """A report without its age: the sum of all vCPUs."""
    assert set(given) <= set(GUEST_KEYS), given
    return {name: given.get(name, 0) for name in GUEST_KEYS if name != 'AgeMSec'}


def guest_report(AgeMSec, **given):
    return {'AgeMSec': AgeMSec, **guest_sum(**given)}


def json_guest(values):
    return {GUEST_KEYS[name]: value for name, value in values.items()}


def histogram(given):
    """{bucket: count} as the list of all buckets."""
    return [given.get(i, 0) for i in range(BUCKETS)]


# Larger than 2^53: a detour through a double would change it.
BIG = 9007199254740993

WEB1 = {
    'UUID': '5a7e0f3c-0001-4a00-8000-000000000001',
    'Name': 'web1',
    'LibvirtID': 3,
    'PID': 4242,
    'Watched': True,
    'State': 'mixed',
    'VCPUStates': ['on', 'off'],
    'Since': 1790000000123456,
    'SwappedBytes': 327155712,
    'SwappedSource': 'cgroup',
    'Counters': counters(Asked=1200, Refused=30, RefusedNested=4, NotPresent=1100, Delivered=1050,
                         Halted=50, Ready=1090, ReadyUnknown=2, ReadyAll=1, Dropped=9,
                         Repeated=17, SyncStalls=210, SyncStallNSec=BIG,
                         AsyncNSec=5450000000, NoWait=6, ProbeMisses=5, RefusedPaused=7, SavedNSec=11520123456789),
    'Outstanding': 3,
    'GuestModule': 'present',
    'GuestReport': guest_sum(PoolSize=2, PoolTaken=11, Sleepers=4, EarlyWakes=12,
                             UnknownTokens=13, OldestSleeperMSec=1200, Waits=1500, Wakes=1496),
    'PausedVCPUs': [],
    'AsyncRate': 120.5,
    'SyncRate': 3.25,
    'P50USec': 5100,
    'P95USec': 8200,
    'StallRatio': 0.024,
    'SavedRatio': 0.41,
    'SavedUSec': 11520123456,
    'AsyncHistogram': histogram({12: 90, 13: 1000}),
    'SyncHistogram': histogram({3: 10, 13: 200}),
    'Mode': 'auto',
    'ModeSource': 'metadata',
    'VCPUModes': {1: 'off'},
    'Pressure': {'MemoryBytes': 1073741824.0, 'SwapBytes': 268435456.0, 'SwapInRate': 123.75,
                 'RefaultRate': 17.5, 'MajorFaultRate': 99.0, 'SomeAvg10': 12.5,
                 'FullAvg10': 3.25, 'StallRatio': 0.024, 'Trend': -0.0025, 'SwapOutRate': 256.5,
                 'SwapInBytesRate': 506880.0, 'SwapOutBytesRate': 1050624.0, 'NewFigure': 1.0},
    'AutoRecall': dbus.Dictionary({'State': 'running', 'Reason': '12 of 157 MiB are back'}, signature='sv'),
    'CGroup': '/machine.slice/machine-qemu\\x2d3\\x2dweb1.scope',
    'Manager': 'libvirt',
    'ID': '',
    'VMM': '',
    'Executable': '/usr/bin/qemu-system-x86_64',
    'PeakStallRatio': 0.375,
    'PeakLatencyUSec': 131072,
    'Memory': {'LimitBytes': 3 << 30, 'RoomBytes': 77 << 20, 'HighBytes': 2 << 30, 'SwapLimitBytes': 1 << 30,
               'SwapRoomBytes': 768 << 20, 'SwappedInBytes': 11 << 20, 'SwappedOutBytes': 13 << 20,
               'RefaultPages': 1701, 'ActivationPages': 901, 'MajorFaults': 3001, 'SomeUSec': 7392524,
               'FullUSec': 4338173, 'ActiveBytes': 600 << 20, 'ZswapBytes': 2 << 20, 'ZswappedBytes': 7 << 20,
               'ZramBytes': 0, 'NewFigure': 1},
    'NodeMemory': {'1': 700 << 20, '0': 300 << 20},
    'NotCounted': [],
}

WEB1_VCPUS = [
    {
        'Index': 0, 'VCPUID': 0, 'State': 'on', 'GuestAPF': 'user', 'Outstanding': 3,
        'Counters': counters(Asked=1100, NotPresent=1100, Delivered=1050, Halted=50, Ready=1090,
                             SyncStalls=10, SyncStallNSec=20000000, AsyncNSec=5450000000,
                             SavedNSec=11520123456789),
        'AsyncHistogram': histogram({12: 90, 13: 1000}),
        'SyncHistogram': histogram({3: 10}),
        'Paused': False,
        'GuestReport': guest_report(250, PoolSize=2, PoolTaken=11, Sleepers=4, EarlyWakes=12,
                                    UnknownTokens=13, OldestSleeperMSec=1200, Waits=1500,
                                    Wakes=1496),
    },
    {
        'Index': 1, 'VCPUID': 16, 'State': 'off', 'GuestAPF': 'always', 'Outstanding': 0,
        'Counters': counters(Asked=100, Refused=30, SyncStalls=200, SyncStallNSec=1234567890,
                             RefusedPaused=7, BadReports=0),
        'AsyncHistogram': histogram({}),
        'SyncHistogram': histogram({13: 200}),
        'Paused': False,
    },
]

WEB2 = {
    'UUID': '5a7e0f3c-0002-4a00-8000-000000000002',
    'Name': 'web2',
    'LibvirtID': -1,
    'PID': 0,
    'Watched': False,
    'State': 'unknown',
    'VCPUStates': [],
    'Since': 0,
    'SwappedBytes': 0,
    'SwappedSource': 'unknown',
    'Counters': counters(),
    'Outstanding': 0,
    'GuestModule': 'unknown',
    'GuestReport': {},
    'PausedVCPUs': [],
    'AsyncRate': 0.0,
    'SyncRate': 0.0,
    'P50USec': 0,
    'P95USec': 0,
    'StallRatio': 0.0,
    'SavedRatio': 0.0,
    'SavedUSec': 0,
    'AsyncHistogram': [],
    'SyncHistogram': [],
    'Mode': 'off',
    'ModeSource': 'config',
    'VCPUModes': {},
    'Pressure': {},
    'AutoRecall': dbus.Dictionary({'State': 'off', 'Reason': 'WhenCalm=no'}, signature='sv'),
    'CGroup': '',
    'Manager': 'libvirt',
    'ID': '',
    'VMM': '',
    'Executable': '',
    'PeakStallRatio': 0.0,
    'PeakLatencyUSec': 0,
    'Memory': {},
    'NodeMemory': {},
    'NotCounted': [],
}


def vm(**given):
    """A quiet, watched VM, changed as given."""
    base = dict(WEB2, Watched=True, GuestModule='absent', State='on', VCPUStates=['on'],
                Since=1790000000000000, LibvirtID=7, PID=77, SwappedSource='process', AsyncHistogram=histogram({}),
                SyncHistogram=histogram({}))
    assert set(given) <= set(base), given
    return {**base, **given}


JSON_WEB1 = {
    'name': 'web1',
    'uuid': '5a7e0f3c-0001-4a00-8000-000000000001',
    'libvirt_id': 3,
    'pid': 4242,
    'watched': True,
    'since_usec': 1790000000123456,
    'state': 'mixed',
    'vcpu_states': ['on', 'off'],
    'swapped_bytes': 327155712,
    'swapped_source': 'cgroup',
    'outstanding_pages': 3,
    'async_swapins_per_sec': 120.5,
    'sync_swapins_per_sec': 3.25,
    'latency_p50_usec': 5100,
    'latency_p95_usec': 8200,
    'stall_ratio': 0.024,
    'saved_ratio': 0.41,
    'guest_module': 'present',
    'guest_report': {
        'pool_size': 2, 'pool_in_use': 0, 'pool_taken': 11, 'pool_exhausted': 0, 'sleepers': 4,
        'early_wakes': 12, 'rescues': 0, 'unknown_tokens': 13, 'oldest_sleeper_msec': 1200,
        'waits': 1500, 'wakes': 1496, 'stuck': 0,
    },
    'paused_vcpus': [],
    'mode': 'auto',
    'mode_source': 'metadata',
    'vcpu_modes': [{'index': 1, 'mode': 'off'}],
    'pressure': {
        'memory_bytes': 1073741824, 'swap_bytes': 268435456, 'swapin_pages_per_sec': 123.75,
        'refaults_per_sec': 17.5, 'major_faults_per_sec': 99, 'some_avg10_percent': 12.5,
        'full_avg10_percent': 3.25, 'stall_ratio': 0.024, 'trend_per_sec': -0.0025,
        'swapout_pages_per_sec': 256.5, 'swapin_bytes_per_sec': 506880, 'swapout_bytes_per_sec': 1050624,
    },
    'peak_stall_ratio': 0.375,
    'peak_latency_usec': 131072,
    'memory': {
        'limit_bytes': 3 << 30, 'room_bytes': 77 << 20, 'high_bytes': 2 << 30, 'swap_limit_bytes': 1 << 30,
        'swap_room_bytes': 768 << 20, 'swapped_in_bytes': 11 << 20, 'swapped_out_bytes': 13 << 20,
        'refault_pages': 1701, 'activation_pages': 901, 'major_faults': 3001, 'some_usec': 7392524,
        'full_usec': 4338173, 'active_bytes': 600 << 20, 'zswap_bytes': 2 << 20, 'zswapped_bytes': 7 << 20,
        'zram_bytes': 0,
    },
    'memory_nodes': [{'node': 0, 'bytes': 300 << 20}, {'node': 1, 'bytes': 700 << 20}],
    'auto_recall': {'state': 'running', 'reason': '12 of 157 MiB are back'},
    'cgroup': '/machine.slice/machine-qemu\\x2d3\\x2dweb1.scope',
    'manager': 'libvirt',
    'id': '',
    'vmm': '',
    'executable': '/usr/bin/qemu-system-x86_64',
}

JSON_WEB2 = {
    'name': 'web2',
    'uuid': '5a7e0f3c-0002-4a00-8000-000000000002',
    'libvirt_id': None,
    'pid': None,
    'watched': False,
    'since_usec': None,
    'state': 'unknown',
    'vcpu_states': [],
    'swapped_bytes': None,
    'swapped_source': 'unknown',
    'outstanding_pages': None,
    'async_swapins_per_sec': None,
    'sync_swapins_per_sec': None,
    'latency_p50_usec': None,
    'latency_p95_usec': None,
    'stall_ratio': None,
    'saved_ratio': None,
    'guest_module': 'unknown',
    'guest_report': None,
    'paused_vcpus': [],
    'mode': 'off',
    'mode_source': 'config',
    'vcpu_modes': [],
    'pressure': dict.fromkeys(JSON_WEB1['pressure']),
    'peak_stall_ratio': None,
    'peak_latency_usec': None,
    'memory': dict.fromkeys(JSON_WEB1['memory']),
    'memory_nodes': [],
    'auto_recall': {'state': 'off', 'reason': 'WhenCalm=no'},
    'cgroup': '',
    'manager': 'libvirt',
    'id': '',
    'vmm': '',
    'executable': '',
}
