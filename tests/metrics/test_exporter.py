# SPDX-License-Identifier: GPL-2.0
"""apf-exporter over real HTTP, against the mock apfd of tests/cli."""

import http.client
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import facts
from conftest import OPENMETRICS, PATIENCE_SEC, ROOT, free_port
from samples import one, parse_openmetrics, parse_text, select

UUID = facts.WEB1['UUID']
TEXT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'
OPENMETRICS_TYPE = OPENMETRICS + '; charset=utf-8'


def short(value):
    return repr(value)[:40]


def promtool_check(text):
    return subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True, text=True)


def test_both_formats_say_what_apfctl_says(start, run, apfd):
    exporter = start()
    status, headers, text = exporter.get()
    assert (status, headers['Content-Type']) == (200, TEXT_TYPE)
    status, headers, openmetrics = exporter.get(headers={'Accept': OPENMETRICS})
    assert (status, headers['Content-Type'], headers['Vary']) == (200, OPENMETRICS_TYPE, 'Accept')

    def without_time(samples):
        return {key: value for key, value in samples.items()
                if not key[0].startswith(('apf_collect_', 'process_'))}

    expected = parse_openmetrics(run('metrics').stdout)
    assert len(expected) > 100
    assert without_time(parse_openmetrics(openmetrics)) == expected
    assert without_time(parse_text(text)) == expected
    assert 0 < one(parse_text(text), 'apf_collect_duration_seconds') < PATIENCE_SEC


@pytest.mark.parametrize('options', [[], ['--vcpus']])
def test_promtool_finds_nothing(start, apfd, options):
    _, _, text = start(*options).get()
    result = promtool_check(text)
    assert (result.returncode, result.stdout + result.stderr) == (0, '')


def test_promtool_would_find_something():
    result = promtool_check('# TYPE apf_swapins counter\napf_swapins 1\n')
    assert result.returncode != 0


@pytest.mark.parametrize('accept, wanted', [
    (None, TEXT_TYPE),
    ('', TEXT_TYPE),
    ('*/*', TEXT_TYPE),
    ('text/plain', TEXT_TYPE),
    ('text/html,application/xhtml+xml;q=0.9,*/*;q=0.8', TEXT_TYPE),
    ('application/openmetrics-text', OPENMETRICS_TYPE),
    ('APPLICATION/OpenMetrics-Text;Version=1.0.0', OPENMETRICS_TYPE),
    # What Debian's prometheus sends.
    ('application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,'
     'text/plain;version=0.0.4;q=0.5,*/*;q=0.1', OPENMETRICS_TYPE),
    ('application/openmetrics-text; version=0.0.1', TEXT_TYPE),
    ('text/plain, application/openmetrics-text;q=0.5', TEXT_TYPE),
    ('text/plain;q=0.4, application/openmetrics-text;q=0.5', OPENMETRICS_TYPE),
    ('application/openmetrics-text;q=0', TEXT_TYPE),
    ('application/openmetrics-text;q=1.5', TEXT_TYPE),
    ('application/openmetrics-text;q=', OPENMETRICS_TYPE),
    (';;;,,,q=1;=', TEXT_TYPE),
    ('application/openmetrics-textual', TEXT_TYPE),
    (',' * 4000, TEXT_TYPE),
], ids=short)
def test_negotiation(start, apfd, accept, wanted):
    status, headers, _ = start().get(headers={} if accept is None else {'Accept': accept})
    assert (status, headers['Content-Type']) == (200, wanted)


def test_guest_that_has_not_enabled_apf(start, empty_apfd):
    """The alert about dropped pages takes this for a guest that boots."""
    off = [{**facts.WEB1_VCPUS[0], 'GuestAPF': 'off'}, facts.WEB1_VCPUS[1]]
    empty_apfd.add_vm(facts.WEB1, off)
    samples = parse_openmetrics(start('--vcpus').get(headers={'Accept': OPENMETRICS})[2])
    assert [one(samples, 'apf_vcpu_guest_apf', vcpu=n) for n in '01'] == [0, 1]


def test_vcpus(start, apfd):
    samples = parse_openmetrics(start('--vcpus').get(headers={'Accept': OPENMETRICS})[2])
    assert select(samples, 'apf_vcpu_gate_state', uuid=UUID, vcpu='0', state='on') == [1]
    assert one(samples, 'apf_vcpu_gate_state', uuid=UUID, vcpu='1', state='off') == 1
    assert one(samples, 'apf_vcpu_swapins_total', uuid=UUID, vcpu='0', kind='async') == 1090
    assert one(samples, 'apf_vcpu_swapins_total', uuid=UUID, vcpu='1', kind='sync') == 200
    assert one(samples, 'apf_vcpu_stall_seconds_total', vcpu='1') == pytest.approx(1.23456789)
    assert one(samples, 'apf_vcpu_saved_seconds_total', vcpu='0') == pytest.approx(11520.123456789)
    assert one(samples, 'apf_vcpu_swapin_latency_seconds_count', vcpu='1', kind='sync') == 200
    assert one(samples, 'apf_vcpu_guest_waits_total', vcpu='0') == 1500
    assert one(samples, 'apf_vcpu_gate_paused', vcpu='0') == 0
    assert [one(samples, 'apf_vcpu_guest_apf', vcpu=n) for n in '01'] == [1, 1]
    # The sums of the VM are there as before, and have no such label.
    assert one(samples, 'apf_swapins_total', uuid=UUID, kind='sync') == 210
    assert not [key for key in samples if not key[0].startswith('apf_vcpu_') and 'vcpu' in dict(key[1])]


def test_vm_that_is_no_longer_watched_costs_its_vcpus_only(start, apfd):
    from mock_apfd import VM
    apfd.fail(apfd.web1, VM, 'GetVCPUs', 'org.apfd.Error.NotWatched', 'it ended')
    status, _, text = start('--vcpus').get()
    assert status == 200
    samples = parse_text(text)
    assert one(samples, 'apf_vm_watched', uuid=UUID) == 1
    assert not [name for name, _ in samples if name.startswith('apf_vcpu_')]


def test_cardinality_is_bounded(start, apfd):
    samples = parse_text(start('--vcpus', '--max-vms=1').get()[2])
    assert one(samples, 'apf_vms') == 2
    assert one(samples, 'apf_vms_dropped') == 1
    assert {dict(labels)['vm'] for _, labels in samples if 'vm' in dict(labels)} == {'web1'}
    assert {dict(labels)['uuid'] for _, labels in samples if 'uuid' in dict(labels)} == {UUID}


def test_hostile_name(start, empty_apfd):
    name = 'x"} 1\n# EOF\n\\ü'
    empty_apfd.add_vm(facts.vm(Name=name))
    exporter = start()
    assert one(parse_text(exporter.get()[2]), 'apf_vm_info', vm=name) == 1
    assert one(parse_openmetrics(exporter.get(headers={'Accept': OPENMETRICS})[2]), 'apf_vm_info', vm=name) == 1


def test_other_paths(start, apfd):
    exporter = start()
    assert exporter.get('/-/healthy')[0] == 200
    assert '/metrics' in exporter.get('/')[2]
    assert exporter.get('/metrics?x=1')[0] == 200
    for path in ('/metric', '/metrics/', '/../metrics', '/%2e%2e/etc/passwd', '/' + 'x' * 8000):
        assert exporter.get(path)[0] == 404, path


def test_other_methods(start, apfd):
    exporter = start()
    status, headers, body = exporter.get(method='HEAD')
    assert (status, body) == (200, '') and int(headers['Content-Length']) > 1000
    for method in ('POST', 'PUT', 'DELETE', 'OPTIONS', 'BREW'):
        status, headers, _ = exporter.get(method=method, body='x' * 100000)
        assert (status, headers['Allow']) == (405, 'GET, HEAD'), method


@pytest.mark.parametrize('request_bytes', [
    b'\r\n\r\n', b'GET\r\n\r\n', b'\x16\x03\x01\x02\x00\x01\x00', b'GET /metrics HTTP/9.9\r\n\r\n',
    b'GET /metrics HTTP/1.1\r\nX: ' + b'x' * 100000 + b'\r\n\r\n',
    b'GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n', b'G' * 200000, b'\0' * 1000,
], ids=short)
def test_bad_requests_do_no_harm(start, apfd, request_bytes):
    exporter = start()
    try:
        answer = exporter.raw(request_bytes)
        assert answer == b'' or re.match(rb'HTTP/1\.[01] [245]\d\d ', answer), answer[:100]
    except ConnectionError:
        pass
    assert exporter.get()[0] == 200


def test_silent_clients_do_not_shut_out_others(start, apfd):
    """One address does not get all connections, and whoever is silent is cut off."""
    exporter = start()
    assert exporter.get()[0] == 200
    silent = [socket.create_connection(('127.0.0.1', exporter.port)) for _ in range(40)]
    try:
        assert exporter.get(source='127.0.0.2')[0] == 200
        end = time.monotonic() + PATIENCE_SEC
        while True:
            try:
                assert exporter.get()[0] == 200
                break
            except ConnectionError:
                assert time.monotonic() < end
                time.sleep(0.2)
    finally:
        for s in silent:
            s.close()


def without_process(text, parse=parse_text):
    return {key: value for key, value in parse(text).items() if not key[0].startswith('process_')}


def is_up(answer):
    return one(parse_text(answer[2]), 'apf_up') == 1


def test_process(start, apfd):
    """With the names of Prometheus's client libraries, and values of this process."""
    exporter = start()
    samples = parse_openmetrics(exporter.get(headers={'Accept': OPENMETRICS})[2])
    with open(f'/proc/{exporter.process.pid}/statm', encoding='ascii') as f:
        size, resident = [int(n) * os.sysconf('SC_PAGESIZE') for n in f.read().split()[:2]]
    assert one(samples, 'process_virtual_memory_bytes') == pytest.approx(size, rel=0.5)
    assert one(samples, 'process_resident_memory_bytes') == pytest.approx(resident, rel=0.5)
    assert 0 < one(samples, 'process_cpu_seconds_total') < PATIENCE_SEC
    assert 0 < time.time() - one(samples, 'process_start_time_seconds') < PATIENCE_SEC
    assert 5 < one(samples, 'process_open_fds') < 50
    assert one(samples, 'process_max_fds') == resource.prlimit(exporter.process.pid, resource.RLIMIT_NOFILE)[0]


def test_apfd_is_not_there_and_comes(start, bus, empty_apfd):
    empty_apfd.stop()
    exporter = start()
    status, headers, text = exporter.get()
    # With another status Prometheus would not store apf_up.
    assert (status, headers['Content-Type']) == (200, TEXT_TYPE)
    assert without_process(text) == {('apf_up', ()): 0}
    assert '# apfd is not running\n' in text
    status, _, text = exporter.get(headers={'Accept': OPENMETRICS})
    assert (status, without_process(text, parse_openmetrics)) == (200, {('apf_up', ()): 0})
    assert exporter.get('/-/healthy')[0] == 200

    from mock_apfd import MockApfd
    mock = MockApfd(bus)
    try:
        mock.set_host(facts.HOST)
        assert is_up(exporter.get())
    finally:
        mock.stop()
    exporter.wait_until('the daemon to be gone', lambda answer: not is_up(answer))


def test_bus_is_not_there(start, tmp_path):
    exporter = start(env={'DBUS_SYSTEM_BUS_ADDRESS': f'unix:path={tmp_path}/none'})
    status, _, text = exporter.get()
    assert status == 200 and without_process(text) == {('apf_up', ()): 0} and 'cannot reach the system bus' in text


def hanging(exporter, process):
    """What is answered while @process stands still, and how long that takes."""
    process.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(exporter.get())) for _ in range(4)]
        for thread in threads:
            thread.start()
        # Meanwhile it is well itself, and says so at once.
        assert exporter.get('/-/healthy')[0] == 200
        for thread in threads:
            thread.join()
        took = time.monotonic() - begin
    finally:
        process.send_signal(signal.SIGCONT)
    assert [(status, without_process(text)) for status, _, text in answers] == [(200, {('apf_up', ()): 0})] * 4
    return took


@pytest.mark.parametrize('who', ['apfd', 'bus'])
def test_hang_is_bounded(start, apfd, bus, who):
    """One second each for whoever looks and whoever waits for that look, not four."""
    exporter = start('--timeout=1')
    assert hanging(exporter, apfd.process if who == 'apfd' else bus.process) < 15
    exporter.wait_until('an answer', is_up)


def test_unit_has_the_user_that_is_made():
    unit = (ROOT / 'systemd' / 'apf-exporter.service.in').read_text()
    made = (ROOT / 'systemd' / 'apf-exporter.sysusers.conf').read_text()
    assert re.search(r'^User=(.*)$', unit, re.M).group(1) == re.search(r'^u (\S+)', made, re.M).group(1)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be another user')
def test_user_that_the_bus_cannot_look_up(exporter_path, environment, apfd, open_directory):
    """dbus-daemon hangs up on it, which is what a DynamicUser without nss-systemd is: that is told."""
    port = free_port()
    unknown = next(uid for uid in range(61184, 65519) if uid not in {p.pw_uid for p in pwd.getpwall()})
    # The build may be where others cannot look.
    program = shutil.copy(exporter_path, open_directory)
    process = subprocess.Popen([program, f'--listen=127.0.0.1:{port}'], env=environment, user=unknown,
                               group=unknown, extra_groups=[])
    try:
        end = time.monotonic() + PATIENCE_SEC
        while socket.socket().connect_ex(('127.0.0.1', port)) != 0:
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=PATIENCE_SEC)
        connection.request('GET', '/metrics')
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        assert without_process(text) == {('apf_up', ()): 0} and 'can it look up our user?' in text
    finally:
        process.terminate()
        assert process.wait(timeout=PATIENCE_SEC) == 0


def test_apfd_of_another_version(start, empty_apfd):
    import dbus
    empty_apfd.object('/org/apfd').UpdateProperties(
        'org.apfd.Manager1', dbus.Dictionary({'NestedGuard': dbus.String('yes')}, signature='sv'))
    status, _, text = start().get()
    assert without_process(text) == {('apf_up', ()): 0} and 'another version' in text


def test_listen_option(exporter_path, environment, apfd):
    port = free_port()
    process = subprocess.Popen([exporter_path, f'--listen=127.0.0.1:{port}'], env=environment)
    try:
        end = time.monotonic() + PATIENCE_SEC
        while socket.socket().connect_ex(('127.0.0.1', port)) != 0:
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_SEC) == 0


@pytest.mark.parametrize('args, status, words', [
    ([], 1, 'no socket'),
    (['--listen=nowhere'], 2, "--listen 'nowhere'"),
    (['--listen=example.org:80'], 2, "--listen 'example.org:80'"),
    (['--listen=192.0.2.1:80'], 1, "--listen '192.0.2.1:80'"),
    (['--max-vms=0'], 2, 'must be 1 to 4096'),
    (['--max-vms=4097'], 2, 'must be 1 to 4096'),
    (['--max-vms=1x'], 2, 'must be 1 to 4096'),
    (['--timeout=61'], 2, 'must be 1 to 60'),
    (['--timeout=-1'], 2, 'must be 1 to 60'),
    (['--vcpus', 'web1'], 2, "unexpected argument 'web1'"),
    (['--frobnicate'], 2, 'unrecognized option'),
])
def test_wrong_usage(exporter_path, environment, args, status, words):
    result = subprocess.run([exporter_path, *args], env=environment, capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout) == (status, '')
    assert words in result.stderr


def test_help_and_manual_name_the_same_options(exporter_path):
    help_text = subprocess.run([exporter_path, '--help'], capture_output=True, text=True, check=True).stdout
    page = (ROOT / 'man' / 'apf-exporter.8').read_text()
    options = page.split('The options are:')[1].split('.Ss Requests')[0]
    assert set(re.findall(r'^\.It Fl (?:h , Fl )?-([a-z-]+)', options, re.M)) == \
        set(re.findall(r'--([a-z-]+)', help_text.split('Options:')[1]))
    version = subprocess.run([exporter_path, '--version'], capture_output=True, text=True, check=True).stdout
    assert version == f'apf-exporter {(ROOT / "VERSION").read_text().strip()}\n'
