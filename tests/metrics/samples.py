# SPDX-License-Identifier: GPL-2.0
"""Answers as {(name, labels): value}."""

from prometheus_client import parser as text_parser
from prometheus_client.openmetrics import parser as openmetrics_parser


def _collect(families):
    found = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f'twice: {key}'
            found[key] = sample.value
    return found


def parse_openmetrics(text):
    """Raises if it breaks a rule of OpenMetrics 1.0."""
    return _collect(openmetrics_parser.text_string_to_metric_families(text))


def parse_text(text):
    return _collect(text_parser.text_string_to_metric_families(text))


def select(samples, name, **labels):
    """Values of the samples called @name that have these labels."""
    return [v for (n, ls), v in samples.items() if n == name and labels.items() <= dict(ls).items()]


def one(samples, name, **labels):
    values = select(samples, name, **labels)
    assert len(values) == 1, (name, labels, values)
    return values[0]
