# SPDX-License-Identifier: GPL-2.0
"""What dkms.conf of both modules says to dkms about a kernel. dkms-test does the same with dkms itself."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = (ROOT / "VERSION").read_text().strip()
CONFIG = {"host": ["CONFIG_X86_64=y", "CONFIG_KVM=m", "CONFIG_KPROBES=y", "CONFIG_KRETPROBES=y",
                   "CONFIG_DYNAMIC_FTRACE_WITH_REGS=y"],
          "guest": ["CONFIG_X86_64=y", "CONFIG_KVM_GUEST=y", "CONFIG_KPROBES=y", "CONFIG_DYNAMIC_FTRACE_WITH_REGS=y"]}
NAME = "6.12.0-test-amd64"

# The part of dkms that reads a dkms.conf, as 3.0.10 and 3.2.2 have it: a local variable with the
# name of the kernel, and a subshell that hands the values out.
READER = """
read_conf() {
	local kernelver="$1"
	( . "$conf" >/dev/null; echo "auto=$AUTOINSTALL exclusive=$BUILD_EXCLUSIVE_KERNEL make=${MAKE[0]}" )
}
action=$1 conf=$2 install_tree=$3
kernelver[0]=$4
shift 4
for k in "$@"; do read_conf "$k"; done
"""


class World:
    """A machine with one kernel, whose build tree records what it was asked to build."""

    def __init__(self, top, module):
        self.top, self.module = top, module
        self.tree = top / "lib/modules" / NAME / "build"
        self.built = top / "built"
        for folder in ("run", "var/log"):
            (top / folder).mkdir(parents=True)
        (self.tree / "include/config").mkdir(parents=True)
        (self.tree / "include/generated/uapi/linux").mkdir(parents=True)
        self.config(CONFIG[module])
        self.version(6, 12)
        self.builds(f"touch $(M)/apf_{module}.ko")
        subprocess.run(["make", "-s", "-C", ROOT / f"{module}-module", "dkms-install", f"DESTDIR={top}"], check=True)
        self.conf = top / f"usr/src/apf-{module}-{VERSION}/dkms.conf"

    def config(self, lines):
        (self.tree / "include/config/auto.conf").write_text("\n".join(lines) + "\n")

    def version(self, major, minor):
        (self.tree / "include/generated/uapi/linux/version.h").write_text(
            f"#define LINUX_VERSION_CODE {major << 16 | minor << 8 | 99}\n"
            "#define KERNEL_VERSION(a,b,c) (((a) << 16) + ((b) << 8))\n")

    def builds(self, command):
        (self.tree / "Makefile").write_text(f"modules:\n\t@echo x >>{self.built}\n\t@{command}\n")

    def read(self, action="autoinstall", given=(NAME,), **env):
        """What dkms reads in every call of one run, and what the user sees."""
        out = subprocess.run(["bash", "-c", READER, "dkms", action, self.conf, self.top / "lib/modules", NAME, *given],
                             capture_output=True, text=True, check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                                                                              "APF_ROOT": str(self.top), **env})
        return out.stdout.splitlines(), out.stderr

    def made(self):
        """Whether a trial left its module for the build."""
        return (self.top / f"run/apf-{self.module}-dkms.ko").exists()

    def make(self, line):
        """Runs the MAKE of @line as dkms does, in a copy of the sources; whether there is a module."""
        copy = self.top / "build"
        subprocess.run(["rm", "-rf", copy], check=True)
        subprocess.run(["cp", "-r", self.conf.parent, copy], check=True)
        subprocess.run(["bash", "-c", line.split(" make=", 1)[1]], check=True, cwd=copy, capture_output=True)
        return (copy / f"{self.module}-module/apf_{self.module}.ko").exists()

    @property
    def trials(self):
        return len(self.built.read_text().split()) if self.built.exists() else 0


@pytest.fixture(params=["host", "guest"])
def world(request, tmp_path):
    return World(tmp_path, request.param)


def test_a_kernel_that_it_builds_for(world):
    (line,), said = world.read()
    assert line.startswith("auto=yes exclusive= make=") and said == ""
    assert world.trials == 1
    assert list((world.top / "var/log").iterdir()) == [], "no log is left"


def test_it_is_compiled_once(world):
    """The build that follows a trial takes the trial's module, and compiles if that is gone."""
    (line,), _ = world.read(kernel_source_dir=str(world.tree))
    assert world.made() and world.trials == 1
    assert world.make(line), "dkms finds a module"
    assert not world.made() and world.trials == 1
    assert world.make(line) and world.trials == 2


def test_a_module_of_an_earlier_run_is_not_taken(world):
    world.read()
    assert world.made()
    world.builds("exit 1")
    (line,), said = world.read()
    skipped(world, [line], said, "a trial build failed")
    assert not world.made() and "make=make -C " in line
    world.builds(f"touch $(M)/apf_{world.module}.ko")
    world.read()
    (line,), _ = world.read("install")
    assert "make=make -C " in line and not world.made(), "there was no trial in this run"


def test_what_is_built_is_installed_without_a_trial(world):
    """The script of a package asks for a build, and then for the installation."""
    script = {"DPKG_MAINTSCRIPT_PACKAGE": f"apf-{world.module}-dkms", "dkms_tree": str(world.top / "dkms")}
    world.read("install", **script)
    assert world.trials == 1, "not built yet: dkms builds"
    (world.top / "dkms" / f"apf-{world.module}" / VERSION / NAME / "x86_64/module").mkdir(parents=True)
    (line,), said = world.read("install", **script)
    assert line.startswith("auto=yes exclusive= ") and said == "" and world.trials == 1


def skipped(world, lines, said, reason):
    assert all(line.startswith("auto= exclusive=skipped ") for line in lines), lines
    assert said.startswith(f"apf-{world.module}: skipped for kernel {NAME}, apf_{world.module} will not be available: ")
    assert reason in said


def test_a_kernel_without_what_the_module_needs(world):
    for missing in CONFIG[world.module]:
        world.config([line for line in CONFIG[world.module] if line != missing])
        lines, said = world.read()
        skipped(world, lines, said, f"this kernel is built without {missing.split('=')[0]}")
    assert world.trials == 0


def test_a_kernel_that_it_does_not_compile_for(world):
    world.builds("echo 'main.c:7:1: error: no member named apf' >&2; exit 1")
    lines, said = world.read()
    skipped(world, lines, said, "a trial build failed: main.c:7:1: error: no member named apf")
    log = world.top / f"var/log/apf-{world.module}-dkms-{NAME}.log"
    assert str(log) in said and "no member named apf" in log.read_text()
    assert "a failure here is a bug" in said


def test_a_build_that_makes_no_module_is_a_failure(world):
    world.builds("true")
    lines, said = world.read()
    skipped(world, lines, said, "a trial build failed")


@pytest.mark.parametrize("version,text", [((5, 14), "older than Linux 6.1,"), ((6, 0), "older than Linux 6.1,"),
                                          ((7, 4), "newer than Linux 7.3,"), ((8, 0), "newer than Linux 7.3,")])
def test_outside_of_the_tested_range_the_build_decides(world, version, text):
    world.version(*version)
    (line,), said = world.read()
    assert line.startswith("auto=yes") and said == "", "it builds: no number is a reason to skip"
    world.builds("exit 1")
    lines, said = world.read()
    skipped(world, lines, said, text)


def test_the_kernel_is_the_one_that_is_installed(world):
    """dkms 3.0.10 names none, or one that the module was built for before."""
    world.builds("echo error: 1 >&2; exit 1")
    lines, said = world.read(given=("", "5.10.0-other", NAME))
    assert len(lines) == 3
    skipped(world, lines, said, "a trial build failed")
    assert world.trials == 1 and said.count("skipped for kernel") == 1, "one decision for one run"
    world.read()
    assert world.trials == 2, "and a new one for the next run"


def test_no_trial_where_the_build_follows_anyway(world):
    """By hand an error is an error: dkms tells it, and no package depends on it."""
    world.builds("exit 1")
    for action in ("build", "install"):
        (line,), said = world.read(action)
        assert line.startswith("auto=yes exclusive= ") and said == ""
    world.config(["CONFIG_X86_64=y"])
    lines, said = world.read("install")
    skipped(world, lines, said, "this kernel is built without")
    assert world.trials == 0


def test_a_package_is_configured_whatever_the_build_does(world):
    """The package's own script asks dkms for a build: an error there would leave dpkg broken."""
    world.builds("echo 'main.c:7:1: error: no member named apf' >&2; exit 1")
    lines, said = world.read("build", DPKG_MAINTSCRIPT_PACKAGE=f"apf-{world.module}-dkms")
    skipped(world, lines, said, "a trial build failed: main.c:7:1: error: no member named apf")
    world.builds(f"touch $(M)/apf_{world.module}.ko")
    (line,), said = world.read("build", DPKG_MAINTSCRIPT_PACKAGE=f"apf-{world.module}-dkms")
    assert line.startswith("auto=yes exclusive= ") and said == ""


@pytest.mark.parametrize("action", ["status", "add", "remove", "uninstall"])
def test_other_actions_decide_nothing(world, action):
    world.builds("exit 1")
    (line,), said = world.read(action)
    assert line.startswith("auto=yes") and said == ""
    assert world.trials == 0 and list((world.top / "run").iterdir()) == []


def test_no_headers_no_word(world):
    subprocess.run(["rm", "-r", world.tree], check=True)
    (line,), said = world.read()
    assert line.startswith("auto=yes") and said == "", "dkms itself says so"
