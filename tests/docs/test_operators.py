# SPDX-License-Identifier: GPL-2.0
"""The tables of docs/operators.md name figures that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Parts of apf that are not metrics.
PARTS = {"apf_host", "apf_guest"}


def table():
    text = (ROOT / "docs/operators.md").read_text()
    return text.split("## Coming from VMware\n", 1)[1].split("\n## ", 1)[0]


def code(pattern):
    return set(re.findall(rf"`({pattern})`", table()))


def test_metrics():
    families = "".join(p.read_text() for p in (ROOT / "lib/client").glob("openmetrics*.c"))
    there = {f"apf_{name}" + ("_total" if kind == "COUNTER" else "")
             for name, kind in re.findall(r'\{ "([a-z_]+)", (GAUGE|COUNTER|HISTOGRAM)', families)}
    named = set(re.findall(r"apf_[a-z_]+", table())) - PARTS
    assert len(there) > 80 and len(named) > 20
    assert named - there == set()


def test_properties():
    manual = (ROOT / "man/org.apfd.5").read_text()
    named = code(r"[A-Z][a-z]+[A-Z]\w+") - code(r"Apf\w+")
    assert len(named) > 25
    assert {n for n in named if not re.search(rf"\b{n}\b", manual)} == set()


def test_columns_and_lines():
    manual = (ROOT / "man/apfctl.1").read_text()
    columns = code(r"[A-Z]+(?:/S)?")
    assert len(columns) > 6
    assert {c for c in columns if not re.search(rf"^\.It .*{c}", manual, re.M)} == set()
    source = "".join(p.read_text() for p in (ROOT / "cli").rglob("*.c"))
    lines = set(re.findall(r"`(\w[\w /]*)`", " ".join(re.findall(r"lines? (`[^;|(]*`) of `status`", table()))))
    assert len(lines) > 6
    assert {line for line in lines if f'"{line}"' not in source} == set()


def test_alerts():
    rules = (ROOT / "dashboard/prometheus/apf.rules.yml").read_text()
    named = code(r"Apf\w+")
    assert len(named) > 5
    assert {n for n in named if f"alert: {n}\n" not in rules} == set()
