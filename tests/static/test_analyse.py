# SPDX-License-Identifier: GPL-2.0
"""The semantic patches find what they are for, and the list of accepted findings has its reasons."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PATCHES = sorted((HERE / "semantic").glob("*.cocci"))

WRONG = {
    "errno-lost": "int f(int fd) { if (write(fd, p, 1) < 0) { close(fd); return -errno; } return 0; }",
    "realloc-lost": "char *f(char *x) { x = realloc(x, 5); return x; }",
    "sizeof-pointer": "void f(struct s *x) { memset(x, 0, sizeof(x)); }",
    "snprintf-sum": "int f(char *b, int s) { int n = 0; n += snprintf(b + n, s - n, \"x\"); return n; }",
    "unlocked-return": "int f(int x) { mutex_lock(&m); if (x) return 1; mutex_unlock(&m); return 0; }",
}
RIGHT = {
    "errno-lost": "int f(int fd) { int r = 0; if (write(fd, p, 1) < 0) r = -errno; close(fd); return r; }",
    "realloc-lost": "char *f(char *x) { char *y = realloc(x, 5); return y ? y : x; }",
    "sizeof-pointer": "void f(struct s *x) { memset(x, 0, sizeof(*x)); }",
    "snprintf-sum": "int f(char *b, int s) { int n = snprintf(b, s, \"x\"); return n; }",
    "unlocked-return": "int f(int x) { mutex_lock(&m); if (x) { mutex_unlock(&m); return 1; } mutex_unlock(&m); return 0; }",
}


@pytest.fixture(scope="module")
def analyse(load_command):
    return load_command(HERE / "analyse")


def test_every_patch_is_tried():
    assert {p.stem for p in PATCHES} == set(WRONG) == set(RIGHT)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda p: p.stem)
def test_patch_finds_it(analyse, patch, tmp_path):
    source = tmp_path / "source.c"
    source.write_text(WRONG[patch.stem] + "\n")
    found = analyse.spatch("coccinelle", patch, [source])
    assert len(found) == 1 and found[0].file == str(source) and found[0].line == "1", found
    source.write_text(RIGHT[patch.stem] + "\n")
    assert analyse.spatch("coccinelle", patch, [source]) == []


def test_patch_that_cannot_be_read_is_a_finding(analyse, tmp_path):
    patch = tmp_path / "wrong.cocci"
    patch.write_text("@r@ nonsense\n")
    source = tmp_path / "source.c"
    source.write_text("int x;\n")
    assert analyse.spatch("coccinelle", patch, [source]) != []


def test_compilers_output_is_read(analyse):
    text = (f"{analyse.ROOT}/lib/common/util.c:12:3: warning: dereference of NULL 'p' [-Wanalyzer-null-dereference]\n"
            "   12 |  *p = 1;\n../lib/x.c:1:1: error: no such type\nnote: nothing\n")
    found = analyse.parse("gcc", text, analyse.ROOT / "build")
    assert [str(f) for f in found] == [
        "gcc: lib/common/util.c:12: dereference of NULL 'p' [-Wanalyzer-null-dereference]", "gcc: lib/x.c:1: no such type"]
    assert "*p = 1" in found[0].detail


def test_what_is_accepted_has_a_reason(analyse, tmp_path, monkeypatch):
    for key, reason in analyse.accepted().items():
        assert key.partition(": ")[0] in analyse.TOOLS and len(reason) > 20, key
    path = tmp_path / "accepted.txt"
    path.write_text("# SPDX-License-Identifier: GPL-2.0\n\ngcc: lib/x.c: wrong\n")
    monkeypatch.setattr(analyse, "ACCEPTED", path)
    with pytest.raises(SystemExit, match="no reason above"):
        analyse.accepted()


def test_another_release_of_a_compiler_fails_nothing(analyse, monkeypatch, capsys):
    finding = analyse.Finding("gcc", "lib/x.c", "1", "wrong")
    monkeypatch.setattr(analyse, "analyse", lambda _tool, _args: (1, [finding]))
    monkeypatch.setattr(analyse, "accepted", dict)
    monkeypatch.setattr(sys, "argv", ["analyse", "gcc"])
    have = analyse.run(["gcc", "-dumpversion"], analyse.ROOT)[1].strip().split(".")[0]
    monkeypatch.setattr(analyse, "JUDGED", {"gcc": have})
    assert analyse.main() == 1
    monkeypatch.setattr(analyse, "JUDGED", {"gcc": "1"})
    assert analyse.main() == 0
    assert capsys.readouterr().out.count("gcc: lib/x.c:1: wrong") == 2
