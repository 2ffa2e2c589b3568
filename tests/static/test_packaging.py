# SPDX-License-Identifier: GPL-2.0
"""Packages and releases, as far as can be told without building them: tests/lab/test_packages.py installs them."""

import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = ROOT / "packaging/debian"
VERSION = (ROOT / "VERSION").read_text().strip()
PAGE = {"index.html": b"<html>", "index.js.gz": b"\x1f\x8b1", "index.css.gz": b"\x1f\x8b2", "manifest.json": b"{}"}


def run(*command, **kwargs):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **kwargs)


def must(*command, **kwargs):
    out = run(*command, **kwargs)
    assert out.returncode == 0, out.stdout + out.stderr
    return out.stdout


def project():
    lines = (ROOT / "packaging/project").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def sources():
    """Names of the files of the tree; a release that was unpacked has no history."""
    if not (ROOT / ".git").exists():
        files = (f.relative_to(ROOT) for f in ROOT.rglob("*") if f.is_file())
        return [str(f) for f in files if not {"build", "__pycache__"} & set(f.parts)]
    names = subprocess.run(["git", "-C", ROOT, "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-co",
                            "--exclude-standard"], check=True, capture_output=True).stdout
    return [n for n in os.fsdecode(names).split("\0") if n and (ROOT / n).is_file()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The files of the tree as they are here, as the only commit of a repository, with a page."""
    top = tmp_path_factory.mktemp("clone")
    for name in sources():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, top / name)
    env = {"GIT_AUTHOR_DATE": "@1700000000 +0000", "GIT_COMMITTER_DATE": "@1700000000 +0000", "HOME": str(top.parent)}
    git = ["git", "-C", top, "-c", "user.name=test", "-c", "user.email=test@localhost"]
    must(*git, "init", "-q")
    must(*git, "add", "-A")
    must(*git, "commit", "-qm", "all", env=dict(os.environ, **env))
    dist = top / "build/dashboard/dist"
    dist.mkdir(parents=True)
    for name, data in PAGE.items():
        (dist / name).write_bytes(data)
    module = top / "build/dashboard/node_modules/react"
    module.mkdir(parents=True)
    (module / "index.js").write_text("// of the page\n")
    (module / "test.js").write_text("// not of the page\n")
    (top / "build/dashboard/bundled").write_text("react/index.js\n")
    return top


def dist(tree, out, *options, umask=0o022, tz="UTC"):
    must(tree / "packaging/dist", *options, out, umask=umask, env=dict(os.environ, TZ=tz, LC_ALL="C"))
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in out.iterdir()}


@pytest.fixture(scope="module")
def released(clone, tmp_path_factory):
    """(folder with the tarballs of the clone, {name: hash})."""
    out = tmp_path_factory.mktemp("released")
    return out, dist(clone, out)


def test_dist_is_reproducible(clone, released, tmp_path):
    """From another folder, at another time, by another user: the same bytes."""
    first = released[1]
    assert set(first) == {f"apf-{VERSION}.tar.xz", f"apf-{VERSION}-node-modules.tar.xz"}
    other = tmp_path / "a/deeper/folder"
    shutil.copytree(clone, other, symlinks=True)
    for path in other.rglob("*"):
        if ".git" not in path.relative_to(other).parts:
            os.utime(path, (1, 1))
    for name in PAGE:
        (other / "build/dashboard/dist" / name).chmod(0o600)
    assert dist(other, tmp_path / "two", umask=0o077, tz="Asia/Tokyo") == first


def test_dist_has_what_a_release_has(released):
    out = released[0]
    names = must("tar", "-tf", out / f"apf-{VERSION}.tar.xz").split()
    for name in ("README.md", "VERSION", "NEWS.md", "meson.build", *(f"dashboard/cockpit/dist/{n}" for n in PAGE)):
        assert f"apf-{VERSION}/{name}" in names
    assert not [n for n in names if "/.git/" in n or "/build/" in n]
    modules = must("tar", "-tf", out / f"apf-{VERSION}-node-modules.tar.xz").split()
    assert "node_modules/react/index.js" in modules and "node_modules/react/test.js" not in modules
    owners = must("tar", "-tvf", out / f"apf-{VERSION}.tar.xz", "--numeric-owner")
    assert {line.split()[1] for line in owners.splitlines()} == {"0/0"}


def test_an_unpacked_release_makes_itself_again(released, tmp_path):
    out, first = released
    must("tar", "-C", tmp_path, "-xf", out / f"apf-{VERSION}.tar.xz")
    again = dist(tmp_path / f"apf-{VERSION}", tmp_path / "two")
    assert again == {f"apf-{VERSION}.tar.xz": first[f"apf-{VERSION}.tar.xz"]}


def test_dist_says_what_is_wrong(clone, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(clone, tree, symlinks=True)
    (tree / "README.md").write_text("changed\n")
    out = run(tree / "packaging/dist", tmp_path / "out")
    assert out.returncode == 0 and "uncommitted changes are left out" in out.stderr and "README.md" in out.stderr
    (tree / "VERSION").write_text("9.9.9\n")
    out = run(tree / "packaging/dist", tmp_path / "out")
    assert out.returncode == 1 and f"VERSION is 9.9.9, but the last commit has {VERSION}" in out.stderr
    shutil.rmtree(tree / "build/dashboard/dist")
    (tree / "VERSION").write_text(VERSION + "\n")
    out = run(tree / "packaging/dist", tmp_path / "out")
    assert out.returncode == 1 and "make dashboard" in out.stderr


def test_deb_empties_no_foreign_folder(clone, tmp_path):
    (tmp_path / "precious").write_text("x")
    out = run(clone / "packaging/deb", tmp_path, timeout=60)
    assert out.returncode == 1 and f"{tmp_path} has files that packaging/deb did not make" in out.stderr
    assert (tmp_path / "precious").read_text() == "x"


def test_changelogs_are_news():
    deb = must(ROOT / "packaging/changelog", "deb")
    parsed = must("dpkg-parsechangelog", "-l-", "--all", input=deb)
    assert re.search(rf"^Version: {re.escape(VERSION)}-1$", parsed, re.M)
    assert f"Maintainer: {project()['MAINTAINER']}" in parsed
    assert must("dpkg-parsechangelog", "-l-", "-S", "Changes", input=deb).count("\n  * ") >= 5


@pytest.mark.parametrize("news,said", [
    ("# News\n\n## 9.9.9 (2026-01-01)\n\n- x\n", f"begins with 9.9.9, but VERSION is {VERSION}"),
    (f"## {VERSION}\n\n- x\n", f"NEWS.md:1: '## {VERSION}' is not '## VERSION (YYYY-MM-DD)'"),
    (f"## {VERSION} (2026-13-01)\n\n- x\n", "NEWS.md:1: "),
    (f"## {VERSION} (2026-01-01)\n\n", f"no change below {VERSION}"),
    ("", "begins with no version"),
])
def test_bad_news_is_told(clone, tmp_path, news, said):
    shutil.copytree(clone / "packaging", tmp_path / "packaging")
    shutil.copy(clone / "VERSION", tmp_path)
    (tmp_path / "NEWS.md").write_text(news)
    out = run(tmp_path / "packaging/changelog", "deb")
    assert out.returncode == 1 and said in out.stderr and out.stdout == ""


def test_addresses_have_one_place():
    """The other files have @NAME@, which the build and the packages fill in."""
    values = project()
    assert set(values) == {"HOMEPAGE", "BUGS", "MAINTAINER"}
    wrong = [(n, v) for n in sources() if n != "packaging/project" for v in values.values()
             if v in (ROOT / n).read_text(errors="replace")]
    assert wrong == []
    used = {"HOMEPAGE": DEBIAN / "control.in", "MAINTAINER": DEBIAN / "control.in", "BUGS": ROOT / "man/apfd.8"}
    for name, path in used.items():
        assert f"@{name}@" in path.read_text()


def installed():
    """Where meson installs what was built here, and what its scripts and `make dkms-install` add."""
    build = Path(os.environ.get("APF_BUILD_DIR", ROOT / "build/user"))
    assert (build / "build.ninja").exists(), f"{build} is not built; set APF_BUILD_DIR"
    found = set(json.loads(must("meson", "introspect", "--installed", build)).values())
    found |= {"/etc/apfd/apfd.conf", "/usr/share/cockpit/apf/index.html",
              "/usr/share/metainfo/org.apfd.cockpit.metainfo.xml"}
    found |= {f"/usr/src/apf-{m}-{VERSION}/dkms.conf" for m in ("host", "guest")}
    # Debian 12 has its units in /lib
    found = {re.sub(r"^/lib/", "/usr/lib/", f) for f in found}
    assert "/usr/sbin/apfd" in found and "/usr/sbin/apf-exporter" in found and len(found) > 20
    return sorted(found)


def in_debian():
    """{package: [patterns of installed files]}."""
    found = {}
    for path in DEBIAN.glob("*.install"):
        found[path.stem] = ["/" + line.split()[0] for line in path.read_text().splitlines() if line[0] != "#"]
    for package, unit in re.findall(r"dh_install -p(\S+) (.*)", (DEBIAN / "rules").read_text()):
        found[package] += ["/usr/lib/systemd/system/" + u.split("/")[-1] for u in unit.split()]
    return found


def in_rpm():
    spec = (ROOT / "packaging/rpm/apf.spec.in").read_text()
    spec = spec[spec.index("%files"):spec.index("%changelog")]
    macros = {"_sysconfdir": "/etc", "_sbindir": "/usr/sbin", "_bindir": "/usr/bin", "_datadir": "/usr/share",
              "_metainfodir": "/usr/share/metainfo", "version": VERSION,
              "_unitdir": "/usr/lib/systemd/system", "_mandir": "/usr/share/man", "_usrsrc": "/usr/src",
              "_sysusersdir": "/usr/lib/sysusers.d"}
    found = {}
    for section in spec.split("%files ")[1:]:
        head, *lines = section.splitlines()
        name = head.removeprefix("-n ") if head.startswith("-n ") else f"apf-{head}"
        paths = [line.split()[-1] for line in lines if "%{_" in line and not line.startswith("%dir")]
        found[name] = [re.sub(r"%\{(\w+)\}", lambda m: macros[m.group(1)], p) for p in paths]
    return found


@pytest.mark.parametrize("of", [in_debian, in_rpm])
def test_each_installed_file_is_in_one_package(of):
    packages = of()
    assert set(packages) == {"apfd", "apfctl", "apf-exporter", "cockpit-apf", "apf-host-dkms", "apf-guest-dkms"}
    wrong = {}
    for file in installed():
        takers = [name for name, patterns in packages.items()
                  if any(fnmatch.fnmatch(file, p) or fnmatch.fnmatch(file, p + "/*") for p in patterns)]
        if len(takers) != 1:
            wrong[file] = takers
    assert wrong == {}


def test_no_pattern_is_for_nothing():
    files = installed()
    wrong = [(name, p) for name, patterns in in_debian().items() for p in patterns
             if not any(fnmatch.fnmatch(f, p) or fnmatch.fnmatch(f, p + "/*") for f in files)]
    assert wrong == []


def test_both_kinds_of_packages_are_the_same():
    control = (DEBIAN / "control.in").read_text()
    assert set(re.findall(r"^Package: (\S+)", control, re.M)) == set(in_debian()) == set(in_rpm())


def test_build_dependencies_are_those_of_the_lists():
    """What a package needs to be built, `make deb` installs."""
    control = (DEBIAN / "control.in").read_text()
    field = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.M).group(1)
    needed = {re.split(r"[\s:,(<]", line.strip())[0] for line in field.splitlines()}
    needed -= {"debhelper-compat", "dh-sequence-dkms"}
    lines = (ROOT / "packaging/deb-deps.txt").read_text().splitlines()
    assert needed - set(lines) == set()


def test_spec_is_valid(tmp_path):
    spec = tmp_path / "apf.spec"
    spec.write_text(must(ROOT / "packaging/rpm-spec"))
    out = run("rpmspec", "-P", spec)
    assert out.returncode == 0 and "error" not in out.stderr, out.stderr
    query = must("rpmspec", "-q", "--builtrpms", "--qf", "%{NAME} %{VERSION} %{URL}\n", spec).splitlines()
    assert sorted(query) == sorted(f"{n} {VERSION} {project()['HOMEPAGE']}" for n in in_rpm())
    assert not re.findall(r"@[A-Z]+@", spec.read_text())


def test_make_without_meson_names_the_packages(tmp_path):
    """One line with the command, for who has make and nothing else."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "sed", "cat", "uname", "env", "xargs", "echo", "ls"):
        (tools / name).symlink_to(shutil.which(name))
    out = run(shutil.which("make"), "-C", ROOT, f"BUILD={tmp_path}/user", env={"PATH": str(tools)})
    assert out.returncode != 0
    line = next(l for l in out.stderr.splitlines() if "meson is missing" in l)
    assert line.startswith("make: meson is missing; as root: apt-get install --no-install-recommends build-essential meson ")
    packages = line.split("recommends ")[1].split()
    assert {"ninja-build", "libvirt-dev", "libsystemd-dev", "libmicrohttpd-dev", "linux-headers-amd64"} <= set(packages)
    assert not {"python3-pytest", "valgrind"} & set(packages)


def test_forge_runs_targets_that_exist():
    workflow = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())
    makefile = (ROOT / "Makefile").read_text()
    run_lines = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    targets = {t for line in run_lines for t in re.findall(r"^make (\S+)", line, re.M)}
    assert {"check-fast", "check-kernels", "deb"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        assert yaml.safe_load(path.read_text()), path.name
