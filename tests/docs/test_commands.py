# SPDX-License-Identifier: GPL-2.0
"""The commands of the documents, as far as can be told without running them; run-commands runs them."""

import re

import pytest

from doccommands import NEEDS, ROOT, SECTIONS, commands, everything, without_comment


@pytest.mark.parametrize("document,title", SECTIONS)
def test_each_section_has_commands(document, title):
    assert commands(document, title), f"{document} has no section '{title}' with commands"


def test_each_reason_is_needed():
    """Of a list of exceptions that nobody uses, nobody knows what it hides."""
    used = {c.needs for c in everything()}
    assert [what for _, what in NEEDS if what not in used] == []
    named = {name for _, what in NEEDS for name in re.findall(r"tests/\S+", what)}
    assert [n for n in named if not (ROOT / n).exists()] == []


def test_most_of_the_installation_is_run():
    run = [re.sub("^sudo ", "", c.text) for c in everything() if not c.needs]
    for start in ("make deb PAGE=no", "apt-get install ./build/deb/apfd_", "apt-get install ./build/deb/apf-guest-dkms_",
                  "apt-get install ./build/deb/apf-exporter_", "apt-get purge ", "make install", "make modules",
                  "make dkms-install", "dkms install apf-host/", "apfctl list", "apfctl doctor"):
        assert [c for c in run if c.startswith(start)], start


def test_targets_and_verbs_exist(tables):
    makefile = (ROOT / "Makefile").read_text()
    verbs = {v["name"] for v in tables["verbs"]}
    packages = set(re.findall(r"^Package: (\S+)", (ROOT / "packaging/debian/control.in").read_text(), re.M))
    for command in everything():
        words = re.sub("^sudo ", "", command.text).split()
        if words[0] == "make" and len(words) > 1 and not words[1].startswith("-"):
            assert re.search(rf"^{words[1]}:", makefile, re.M), command
        if words[0] == "apfctl" and not words[1].startswith("-"):
            assert words[1] in verbs, command
        for name in re.findall(r"build/deb/(\S+?)_\*", command.text):
            assert name in packages, command
        if words[:2] == ["apt-get", "purge"]:
            assert set(words[2:]) <= packages, command


@pytest.mark.parametrize("text,bare", [
    ("make deb      # all of it", "make deb"), ("make deb", "make deb"), ('echo "a # b" c', 'echo "a # b" c'),
    ("# only a comment", ""), ("dkms install apf/$(cat VERSION)  # x", "dkms install apf/$(cat VERSION)"),
])
def test_comments(text, bare):
    assert without_comment(text) == bare
