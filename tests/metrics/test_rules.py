# SPDX-License-Identifier: GPL-2.0
"""Alert rules and the Grafana dashboard, against promtool and against what the exporter tells."""

import json
import re
import subprocess

import pytest

from conftest import ROOT
from samples import parse_text

PROMETHEUS = ROOT / 'dashboard' / 'prometheus'
RULES = PROMETHEUS / 'apf.rules.yml'
DASHBOARD = json.loads((ROOT / 'dashboard' / 'grafana' / 'apf.json').read_text())


def promtool(*args):
    result = subprocess.run(['promtool', *args], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_promtool_check_rules():
    assert re.search(r'SUCCESS: (\d+) rules found', promtool('check', 'rules', '--lint=all', '--lint-fatal', RULES))


def test_promtool_test_rules():
    assert 'SUCCESS' in promtool('test', 'rules', PROMETHEUS / 'apf.rules.test.yml')


def test_example_configuration():
    assert 'SUCCESS' in promtool('check', 'config', PROMETHEUS / 'scrape.yml')


def alerts():
    return re.findall(r'^      - alert: (\w+)$', RULES.read_text(), re.M)


def test_every_alert_is_tested_both_ways():
    text = (PROMETHEUS / 'apf.rules.test.yml').read_text()
    assert len(alerts()) >= 8
    for alert in alerts():
        assert re.search(rf'alertname: {alert}, exp_alerts: \[\]', text), alert
        assert re.search(rf'alertname: {alert}\n\s+exp_alerts:\n\s+- ', text), alert


@pytest.fixture
def told(start, apfd):
    """{name: set of its labels} of all the exporter tells."""
    names = {}
    for name, labels in parse_text(start('--vcpus').get()[2]):
        names.setdefault(name, set()).update(key for key, _ in labels)
    return names


def panels():
    return [p for p in DASHBOARD['panels'] if p['type'] != 'row']


def queries():
    return [t['expr'] for p in panels() for t in p['targets']] + \
        [v['query']['query'] for v in DASHBOARD['templating']['list'] if v['type'] == 'query']


def annotations():
    """Besides the alerts, which are of Prometheus itself."""
    return [a['expr'] for a in DASHBOARD['annotations']['list'] if 'ALERTS' not in a['expr']]


def expressions():
    return re.findall(r'^        expr: (?:\|\n)?(.*?)\n        (?:for|labels):', RULES.read_text(), re.M | re.S)


def check_used(texts, told):
    used = set()
    for text in texts:
        for name, selector in re.findall(r'\b(apf_\w+)\b(?:\{(.*?)\})?', text):
            assert name in told, f'{name} is not told: {text}'
            used.add(name)
            for label in re.findall(r'(\w+)\s*=~?"', selector):
                assert label in told[name] | {'job', 'instance'}, f'{name} has no label {label}: {text}'
    return used


def anchors(path):
    """As GitHub makes them of headings."""
    headings = re.findall(r'^#+ (.*)$', path.read_text(), re.M)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def test_every_alert_has_a_runbook():
    text = RULES.read_text()
    links = re.findall(r'^          runbook_url: "(.*)"$', text, re.M)
    assert len(links) == len(alerts())
    for link in links:
        path, anchor = re.fullmatch(r'@HOMEPAGE@/(docs/[\w.-]+)#(.+)', link).groups()
        assert anchor in anchors(ROOT / path), link


def test_built_rules_have_addresses(exporter_path):
    """What is installed: the same rules with the address of the project."""
    built = (exporter_path.parent / 'apf.rules.yml').read_text()
    homepage = re.search(r'^HOMEPAGE=(.*)$', (ROOT / 'packaging' / 'project').read_text(), re.M).group(1)
    assert built == RULES.read_text().replace('@HOMEPAGE@', homepage)


def test_severities():
    """What grows worse has an alert of each."""
    of = dict(re.findall(r'^      - alert: (\w+)$.*?severity: (\w+)$', RULES.read_text(), re.M | re.S))
    assert set(of) == set(alerts()) and set(of.values()) == {'info', 'warning', 'critical'}
    for warning, critical in (('ApfStallRatioHigh', 'ApfStallRatioCritical'), ('ApfSwapFilling', 'ApfSwapFull'),
                              ('ApfHostThrashing', 'ApfHostThrashingLong'), ('ApfExporterDown', 'ApfDaemonDown')):
        assert (of[warning], of[critical]) == ('warning', 'critical')


def deprecated(text):
    return set(re.findall(r'^# HELP (\w+) .* Deprecated: use ', text, re.M))


def test_nothing_deprecated_is_used(start, apfd):
    old = deprecated(start('--vcpus').get()[2])
    assert len(old) > 10
    for text in expressions() + queries() + annotations():
        assert not old & set(re.findall(r'\bapf_\w+\b', text)), text


def test_rules_use_what_is_told(told):
    assert len(expressions()) == len(alerts())
    assert len(check_used(expressions(), told)) >= 8


def test_dashboard_uses_what_is_told(told):
    assert len(check_used(queries() + annotations(), told)) >= 25


def test_dashboard_queries_are_promql(tmp_path):
    """As rules, with Grafana's variables filled in, they pass promtool."""
    lines = ['groups:', '- name: panels', '  rules:']
    for n, text in enumerate([t['expr'] for p in panels() for t in p['targets']] + annotations()):
        expr = re.sub(r'\$(job|instance|vm)', 'x', text.replace('$__rate_interval', '1m'))
        assert '$' not in expr, expr
        lines += [f'  - record: panel:{n}', f'    expr: {json.dumps(expr)}']
    (tmp_path / 'panels.yml').write_text('\n'.join(lines) + '\n')
    promtool('check', 'rules', tmp_path / 'panels.yml')


def test_dashboard_shows_the_worst():
    """Of a thousand VMs a graph shows ten; a table has the worst of each figure."""
    table = next(p for p in panels() if p['type'] == 'table')
    assert len(table['targets']) >= 4
    assert all(t['expr'].startswith('topk(') and t['format'] == 'table' and t['instant'] for t in table['targets'])
    renamed = next(t for t in table['transformations'] if t['id'] == 'organize')['options']['renameByName']
    assert {f'Value #{t["refId"]}' for t in table['targets']} <= set(renamed)
    units = {o['matcher']['options'] for o in table['fieldConfig']['overrides']}
    assert units <= set(renamed.values())
    # Each other table of figures is merged by the VM.
    assert [t['id'] for t in table['transformations']] == ['merge', 'organize']


def test_dashboard_annotations():
    by_name = {a['name']: a for a in DASHBOARD['annotations']['list']}
    assert set(by_name) == {'Alerts', 'Gate changes'}
    for a in by_name.values():
        assert a['enable'] and a['datasource'] == {'type': 'prometheus', 'uid': '${datasource}'}
    assert 'changes(apf_gate_state' in by_name['Gate changes']['expr']


def test_dashboard_is_sound():
    assert DASHBOARD['uid'] and DASHBOARD['title'] and DASHBOARD['schemaVersion'] >= 36
    ids = [p['id'] for p in DASHBOARD['panels']]
    assert len(set(ids)) == len(ids)
    variables = {v['name'] for v in DASHBOARD['templating']['list']}
    assert set(re.findall(r'\$\{?(\w+)\}?', json.dumps(DASHBOARD))) <= variables | {'__rate_interval', '__all'}
    taken = set()
    for panel in DASHBOARD['panels']:
        at = panel['gridPos']
        cells = {(x, y) for x in range(at['x'], at['x'] + at['w']) for y in range(at['y'], at['y'] + at['h'])}
        assert at['x'] + at['w'] <= 24 and not cells & taken, panel['title']
        taken |= cells
    for panel in panels():
        assert panel['title'] and panel['targets'] and panel['fieldConfig']['defaults']['unit']
        assert panel['datasource'] == {'type': 'prometheus', 'uid': '${datasource}'}
        refs = [t['refId'] for t in panel['targets']]
        assert len(set(refs)) == len(refs)
