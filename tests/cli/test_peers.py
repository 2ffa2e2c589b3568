# SPDX-License-Identifier: GPL-2.0
"""apfctl with an apfd of another version: what that apfd lacks is not counted, what it has more
is skipped. Neither is ever an error."""

import json

import facts

LACKING = {'BadReports', 'RefusedPaused', 'NoWait'}
REPORT_LACKING = {'EarlyWakes', 'PoolExhausted'}


def trimmed(values, names):
    return {name: value for name, value in values.items() if name not in names}


def vcpus(change, change_report):
    return [dict(v, Counters=change(v['Counters']),
                 **({'GuestReport': change_report(v['GuestReport'])} if 'GuestReport' in v else {}))
            for v in facts.WEB1_VCPUS]


def older(apfd):
    vm = dict(facts.WEB1, Counters=trimmed(facts.WEB1['Counters'], LACKING),
              GuestReport=trimmed(facts.WEB1['GuestReport'], REPORT_LACKING))
    apfd.add_vm(vm, vcpus(lambda c: trimmed(c, LACKING), lambda r: trimmed(r, REPORT_LACKING)))


def test_older_apfd_in_json(run, empty_apfd):
    older(empty_apfd)
    result = run('status', 'web1', '--json')
    assert (result.returncode, result.stderr) == (0, '')
    status = json.loads(result.stdout)
    for counters in (status['counters'], *(v['counters'] for v in status['vcpus'])):
        assert {k for k, v in counters.items() if v is None} == {facts.COUNTER_KEYS[n] for n in LACKING}
        assert set(counters) == set(facts.COUNTER_KEYS.values())
    report = status['guest_report']
    assert {k for k, v in report.items() if v is None} == {facts.GUEST_KEYS[n] for n in REPORT_LACKING}
    assert report['waits'] == 1500


def test_older_apfd_in_tables(run, empty_apfd):
    older(empty_apfd)
    result = run('status', 'web1')
    assert (result.returncode, result.stderr) == (0, '')
    assert 'taken: 11, exhausted: -' in result.stdout
    assert 'early wakes: -' in result.stdout
    assert run('list').returncode == run('top', '--count', '1').returncode == 0


def test_older_apfd_in_metrics(run, empty_apfd):
    older(empty_apfd)
    result = run('metrics')
    assert (result.returncode, result.stderr) == (0, '')
    assert 'apf_guest_waits' in result.stdout and 'apf_guest_early_wakes_total{' not in result.stdout
    assert 'apf_guest_pool_exhausted_total{' not in result.stdout


def test_newer_apfd(run, empty_apfd):
    more = dict(facts.WEB1, Counters=dict(facts.WEB1['Counters'], TimeTravel=1),
                GuestReport=dict(facts.WEB1['GuestReport'], Dreams=2))
    empty_apfd.add_vm(more, vcpus(lambda c: dict(c, TimeTravel=1), lambda r: dict(r, Dreams=2)))
    newer = run('status', 'web1', '--json')
    assert (newer.returncode, newer.stderr) == (0, '')
    status = json.loads(newer.stdout)
    assert status['counters'] == facts.json_counters(facts.WEB1['Counters'])
    assert status['guest_report'] == facts.json_guest(facts.WEB1['GuestReport'])
