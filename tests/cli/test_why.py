# SPDX-License-Identifier: GPL-2.0
"""apfctl why: what the policy wants, once for all vCPUs it holds for, and what it decided."""

import json

import facts

STALLED = {'Mode': 'auto', 'State': 'on', 'Since': 1790000000000000, 'Rule': 'stalled',
           'Reason': 'stall ratio 25 % is above 5 % since 3 s',
           'Inputs': {'StallRatio': 0.25, 'SwapInRate': 1234.0}}
EXPLAIN = [
    {'Index': 0, **STALLED},
    {'Index': 1, **STALLED},
    {'Index': 2, 'Mode': 'off', 'State': 'off', 'Since': 0, 'Rule': 'mode', 'Reason': 'is set',
     'Inputs': {}},
    {'Index': 3, **STALLED},
]
HISTORY = [
    {'Time': 1790000000000000, 'VCPUs': [], 'State': 'off', 'Rule': 'calm', 'Reason': 'no \x1b[2J',
     'Inputs': {'StallRatio': 0.0}, 'DryRun': True},
    {'Time': 1790000060000000, 'VCPUs': [0, 1, 3], 'State': 'on', 'Rule': 'stalled',
     'Reason': 'it stalls', 'Inputs': {}, 'DryRun': False},
]


def test_text(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='db', Mode='auto', VCPUModes={2: 'off'}), explain=EXPLAIN,
                      history=HISTORY)
    result = run('why', 'db')
    assert (result.returncode, result.stderr) == (0, '')
    parts = [[line.strip() for line in part.splitlines()] for part in result.stdout.split('\n\n')]
    assert parts[0] == ['VM: db', 'State: on', 'Mode: auto (from config)', 'vCPU mode: 2: off',
                        'Auto recall: off (WhenCalm=no)']
    assert parts[1][:3] == ['vCPU: 0,1,3', 'Mode: auto', 'Wanted: on']
    assert parts[1][3].startswith('Since: 2026-09-21 14:13:20 UTC (')
    assert parts[1][4:] == ['Rule: stalled', 'Reason: stall ratio 25 % is above 5 % since 3 s',
                            'Figures: StallRatio 0.25, SwapInRate 1234']
    assert parts[2] == ['vCPU: 2', 'Mode: off', 'Wanted: off', 'Rule: mode', 'Reason: is set']
    assert parts[3] == [
        'TIME                     VCPU   STATE  RULE     REASON',
        '2026-09-21 14:13:20 UTC  all    off    calm     dry run: no \\x1b[2J',
        '2026-09-21 14:14:20 UTC  0,1,3  on     stalled  it stalls',
    ]


def test_json(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='db', Mode='auto', VCPUModes={2: 'off'}), explain=EXPLAIN,
                      history=HISTORY)
    result = run('why', 'db', '--json')
    assert (result.returncode, result.stderr) == (0, '')
    got = json.loads(result.stdout)
    assert set(got) == {'name', 'uuid', 'mode', 'mode_source', 'vcpu_modes', 'auto_recall', 'vcpus', 'decisions'}
    assert got['auto_recall'] == {'state': 'off', 'reason': 'WhenCalm=no'}
    assert (got['name'], got['mode'], got['vcpu_modes']) == ('db', 'auto',
                                                             [{'index': 2, 'mode': 'off'}])
    assert got['vcpus'][1] == {
        'index': 1, 'mode': 'auto', 'state': 'on', 'since_usec': 1790000000000000,
        'rule': 'stalled', 'reason': STALLED['Reason'],
        'inputs': {'StallRatio': 0.25, 'SwapInRate': 1234}}
    assert got['vcpus'][2]['since_usec'] is None
    assert got['decisions'][0]['dry_run'] is True
    assert got['decisions'][1] == {
        'time_usec': 1790000060000000, 'vcpus': [0, 1, 3], 'state': 'on', 'rule': 'stalled',
        'reason': 'it stalls', 'inputs': {}, 'dry_run': False}


def test_without_a_decision(run, empty_apfd):
    empty_apfd.add_vm(facts.vm(Name='db'), explain=EXPLAIN[:1])
    result = run('why', 'db')
    assert result.returncode == 0
    assert 'TIME' not in result.stdout


def test_half_an_explanation_is_refused(run, empty_apfd):
    half = {k: v for k, v in EXPLAIN[0].items() if k != 'Rule'}
    empty_apfd.add_vm(facts.vm(Name='db'), explain=[half])
    result = run('why', 'db')
    assert (result.returncode, result.stdout) == (1, '')
    assert "'Rule' is missing or wrong in apfd's data about the reasons" in result.stderr


def test_no_such_vm(run, apfd):
    assert run('why', 'wbe1').returncode == 3


def test_several_vms(run, empty_apfd):
    """JSON is an array whenever more than one VM could have been meant."""
    empty_apfd.add_vm(facts.vm(Name='db1', UUID='5a7e0f3c-0001-4a00-8000-000000000001'),
                      explain=EXPLAIN)
    result = run('why', 'db*', '--json')
    assert [vm['name'] for vm in json.loads(result.stdout)] == ['db1']
    empty_apfd.add_vm(facts.vm(Name='db2', UUID='5a7e0f3c-0002-4a00-8000-000000000002'))
    for args in (['db1', 'db2'], ['--all'], ['*']):
        result = run('why', *args, '--json')
        assert (result.returncode, result.stderr) == (0, '')
        assert [(vm['name'], len(vm['vcpus'])) for vm in json.loads(result.stdout)] == [
            ('db1', len(EXPLAIN)), ('db2', 0)]
    result = run('why', 'db2', 'db3', 'db1')
    assert result.returncode == 3
    assert [line.split()[-1] for line in result.stdout.splitlines() if ' VM: ' in line] == [
        'db2', 'db1']
    assert '\n\n          VM: db1\n' in result.stdout
    assert result.stderr.startswith('apfctl: why db3: ')


def test_all_of_none(run, empty_apfd):
    result = run('why', '--all', '--json')
    assert (result.returncode, json.loads(result.stdout)) == (0, [])
