# SPDX-License-Identifier: GPL-2.0
"""The debug kernels' fragments, without a kernel: what they ask for, and that a difference is seen."""

import subprocess
from pathlib import Path

import pytest

DEBUG = Path(__file__).resolve().parents[1] / "lab/debug"
FRAGMENTS = {name: [DEBUG / "base.config", DEBUG / f"{name}.config"] for name in ("kasan", "lockdep", "kcsan")}
# The issue of these kernels: without one of them a kind of fault is not looked for.
LOOKS_FOR = {
    "kasan": ("KASAN_GENERIC", "KASAN_VMALLOC", "DEBUG_ATOMIC_SLEEP", "DEBUG_OBJECTS_WORK", "DEBUG_OBJECTS_TIMERS",
              "DEBUG_OBJECTS_RCU_HEAD", "DEBUG_KMEMLEAK", "FAILSLAB", "FAIL_PAGE_ALLOC"),
    "lockdep": ("PROVE_LOCKING", "PROVE_RAW_LOCK_NESTING", "PROVE_RCU", "DEBUG_ATOMIC_SLEEP", "DEBUG_PREEMPT"),
    "kcsan": ("KCSAN",),
}


@pytest.fixture(scope="module")
def command(load_command):
    return load_command(DEBUG / "kernel")


@pytest.mark.parametrize("name", FRAGMENTS)
def test_everything_is_looked_for(command, name):
    wanted = command.wanted(FRAGMENTS[name])
    assert [s for s in LOOKS_FOR[name] if wanted.get(f"CONFIG_{s}") != "y"] == []


def test_one_fault_finder_does_not_exclude_the_other_silently(command):
    assert command.wanted(FRAGMENTS["kcsan"])["CONFIG_KASAN"] == "n"


@pytest.mark.parametrize("line", ["CONFIG_KASAN", "KASAN=y", "#CONFIG_KASAN is not set", "CONFIG_KASAN=y y\nCONFIG KCSAN=y"])
def test_a_line_that_asks_for_nothing_is_refused(command, tmp_path, line):
    path = tmp_path / "wrong.config"
    path.write_text(f"# SPDX-License-Identifier: GPL-2.0\n{line}\n")
    with pytest.raises(command.LabError, match="wrong.config:"):
        command.wanted([path])


def test_what_did_not_take_effect_is_named(command, tmp_path):
    path = tmp_path / "some.config"
    path.write_text('CONFIG_KASAN=y\n# CONFIG_KCSAN is not set\nCONFIG_KVM=m\nCONFIG_LOCALVERSION="-x"\n')
    right = 'CONFIG_KASAN=y\n# CONFIG_KCSAN is not set\nCONFIG_KVM=m\nCONFIG_LOCALVERSION="-x"\n'
    assert command.differences([path], right) == []
    wrong = 'CONFIG_KCSAN=y\nCONFIG_KVM=y\nCONFIG_LOCALVERSION="-x"\n'
    assert command.differences([path], wrong) == [
        "CONFIG_KASAN: n, asked for y", "CONFIG_KCSAN: y, asked for n", "CONFIG_KVM: y, asked for m"]


# What the lab and its storms load by name, and what both modules cannot do without.
HOST_AND_GUEST = ("KVM_AMD", "KVM_GUEST", "KVM_ASYNC_PF", "PVH", "EXT4_FS", "VIRTIO_BLK", "VIRTIO_NET", "VIRTIO_CONSOLE",
                  "BLK_DEV_NULL_BLK", "ZRAM", "BLK_DEV_DM", "MEMCG", "PSI", "KPROBES", "DYNAMIC_FTRACE_WITH_REGS", "HOTPLUG_CPU",
                  "SUSPEND", "PREEMPT_DYNAMIC")


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_host_and_its_guests_can_run(command, name):
    wanted = command.wanted(FRAGMENTS[name])
    assert [s for s in HOST_AND_GUEST if wanted.get(f"CONFIG_{s}") not in ("y", "m")] == []


@pytest.mark.parametrize("folder, checked", [
    ("kernel", True), ("kernel/rcu", True), ("mm", True), ("virt/kvm", True), ("arch/x86/kvm", True), ("arch/x86/kernel/kprobes", True),
    ("kernel/entry", False), ("mm/kasan", False), ("fs/ext4", False), ("arch/x86/boot/compressed", False), ("drivers/block", False),
])
def test_where_kasan_checks(command, folder, checked):
    """What make thinks of the variable in a folder that says the opposite."""
    everything, string = command.SANITIZE
    name, _, value = everything.partition("=")
    makefile = f"{name} := other\nobj := {folder}\nall:\n\t@echo '[$({name})]'\n"
    out = subprocess.run(["make", "-s", "-f", "-", f"{name}={value}"], input=makefile, capture_output=True, text=True, check=True).stdout
    assert out == ("[]\n" if checked else "[n]\n")
    # called before there is shadow memory
    assert string == "KASAN_SANITIZE_string.o=n"
