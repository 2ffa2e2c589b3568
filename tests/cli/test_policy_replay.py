# SPDX-License-Identifier: GPL-2.0
"""apfctl policy-replay: histories in tests/policy/ through the policy of apfd."""

import json
import pathlib
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1] / 'policy'
SHAPES = sorted(p.stem for p in FOLDER.glob('*.history'))
# Seconds in which a gate must follow the pressure: the second look, a second after the first.
REACTION_SEC = 2


# What stands before a history, and where the decisions are that are expected then.
RESTS = {'off': 'expected', 'on': 'rest-on.expected'}


def replay(run, path):
    result = run('policy-replay', '--json', str(path))
    assert (result.returncode, result.stderr) == (0, '')
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def decisions(run, tmp_path):
    def find(shape, rest='off'):
        path = tmp_path / 'history'
        path.write_text(json.dumps({'params': {'Rest': rest}}) + '\n' + (FOLDER / f'{shape}.history').read_text())
        return replay(run, path)
    return find


def samples(shape):
    lines = (FOLDER / f'{shape}.history').read_text().splitlines()
    rows = [json.loads(line) for line in lines if not line.startswith('#')]
    return [row for row in rows if 't' in row]


def test_there_are_all_shapes():
    assert set(SHAPES) >= {'calm', 'burst', 'ramp', 'sawtooth', 'thrash', 'fast-swap', 'dead-guest',
                           'flapping'}


@pytest.mark.parametrize('rest', RESTS)
@pytest.mark.parametrize('shape', SHAPES)
def test_shape(decisions, shape, rest):
    expected = [line for line in (FOLDER / f'{shape}.{RESTS[rest]}').read_text().splitlines()
                if not line.startswith('#')]
    found = decisions(shape, rest)
    assert [f'{d["t"]:g} {d["vcpu"]} {d["state"]} {d["rule"]}' for d in found] == expected
    assert all(len(d['reason']) > 10 for d in found)


@pytest.mark.parametrize('shape', ['burst', 'ramp', 'sawtooth'])
def test_two_switches_for_an_onset(decisions, shape):
    found = decisions(shape)
    assert [d['state'] for d in found] == ['on', 'off']
    first = next(s['t'] for s in samples(shape) if s['WaitRatio'] >= 0.05)
    assert first <= found[0]['t'] <= first + REACTION_SEC


@pytest.mark.parametrize('rest', RESTS)
@pytest.mark.parametrize('shape', SHAPES)
def test_never_on_while_it_must_be_off(decisions, shape, rest):
    """Whatever the shape: by the figures themselves, not by what the policy says of them."""
    states = {(d['t'], d['vcpu']): d['state'] for d in decisions(shape, rest)}
    state = {}
    for s in samples(shape):
        vcpu = s.get('vcpu', 0)
        state[vcpu] = states.get((s['t'], vcpu), s.get('state', state.get(vcpu, rest)))
        if s.get('PoolInUse', 0) > 0 or s.get('NestedRate', 0) > 0 or s['SwapSynchronous'] == 1:
            assert state[vcpu] == 'off', s


@pytest.mark.parametrize('shape', SHAPES)
def test_closed_for_a_cause_only(decisions, shape):
    """Rest=on: pressure and its end are recorded and change no gate."""
    causes = {'emergency-pool', 'nested', 'rescues', 'fast-swap', 'cool-down', 'mode'}
    for d in decisions(shape, 'on'):
        assert d['state'] == 'on' or d['rule'] in causes, d


def test_text(run):
    result = run('policy-replay', str(FOLDER / 'burst.history'))
    lines = result.stdout.splitlines()
    assert [line.split()[:5] for line in lines] == [['21.000', 'vCPU', '0', 'on', 'pressure'],
                                                   ['50.000', 'vCPU', '0', 'on', 'calm']]
    assert all('swap-ins/s' in line for line in lines)


def test_standard_input(apfctl_path, environment):
    text = (FOLDER / 'thrash.history').read_text()
    result = subprocess.run([apfctl_path, 'policy-replay', '-'], input=text, env=environment,
                            capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0 and result.stdout.count('\n') == 1


@pytest.mark.parametrize('line, text', [
    ('{', 'not a JSON object'),
    ('[1]', 'not a JSON object'),
    ('{"WaitRatio": 0.5}', 't is missing'),
    ('{"t": -1}', 't is missing'),
    ('{"t": null}', 't is not a number'),
    ('{"t": "abc"}', 't is not a number'),
    ('{"t": 1e300}', 't is missing'),
    ('{"t": 0.5}', 'not later'),
    ('{"t": 2, "vcpu": 4096}', 'vCPU 4096'),
    ('{"t": 2, "vcpu": -1}', 'vCPU -1'),
    ('{"t": 2, "vcpu": "x"}', 'vcpu'),
    ('{"t": 2, "mode": "sideways"}', 'sideways'),
    ('{"t": 2, "state": "auto"}', 'auto'),
    ('{"t": 2, "SwapInrate": 5}', 'SwapInrate'),
    ('{"t": 2, "SwapInRate": "5"}', 'SwapInRate'),
    ('{"t": 2, "SwapInRate": NaN}', 'SwapInRate'),
    ('{"params": {"EnterHold": 1}}', 'EnterHold'),
    ('{"params": {"EnterStallRatio": 2}}', 'EnterStallRatio'),
    ('{"params": {"EnterStallRatio": "1"}}', 'EnterStallRatio'),
    ('{"params": {"LeaveStallRatio": 0.5}}', 'LeaveStallRatio must be less'),
    ('{"params": {"Rest": "auto"}}', 'Rest is not on, pv or off'),
    ('{"params": {"Rest": 1}}', 'Rest'),
    ('{"params": 5}', 'params'),
    ('{"params": {}, "t": 2}', 'params'),
    ('{"t": 2, "x": "' + 'x' * 70000 + '"}', 'too long'),
])
def test_wrong_lines_are_named(run, tmp_path, line, text):
    path = tmp_path / 'wrong.history'
    path.write_text('# a comment\n\n{"t": 1, "WaitRatio": 0.5, "Trend": null}\n' + line + '\n')
    result = run('policy-replay', str(path))
    assert result.returncode == 1
    assert f'{path}:4: ' in result.stderr and text in result.stderr


def test_file_that_is_not_there(run, tmp_path):
    result = run('policy-replay', str(tmp_path / 'none'))
    assert result.returncode == 1 and 'No such file' in result.stderr
    assert run('policy-replay').returncode == 2
