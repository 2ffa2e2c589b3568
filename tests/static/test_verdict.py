# SPDX-License-Identifier: GPL-2.0
"""What the lab makes of a host that died: the emulator's signature is no result, all else is a failure."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

from apflab import verdict  # noqa: E402  (the line above makes it importable)

BOOT = """[    0.000000] Linux version 6.12.118+deb13-amd64
[   11.840211] kvm_amd: Nested Paging enabled
Debian GNU/Linux 13 apf-l1 ttyS0
"""
MODULES = "[  312.412520] Modules linked in: apf_host(OE) null_blk configfs kvm_amd ccp kvm irqbypass ext4\n"
PANIC = """[  312.415001] ---[ end trace 0000000000000000 ]---
[  312.415150] Kernel panic - not syncing: Fatal exception in interrupt
[  312.415200] Kernel Offset: disabled
"""


def oops(head, rip, trace=""):
    return (f"[  312.412345] {head}\n[  312.412399] CPU: 1 UID: 64055 PID: 812 Comm: CPU 0/KVM Tainted: G  OE  6.12.118\n"
            f"[  312.412400] RIP: 0010:{rip}\n{MODULES}[  312.412600] Call Trace:\n[  312.412610]  <TASK>\n"
            + "".join(f"[  312.41262{i}]  {frame}\n" for i, frame in enumerate(trace.split("|")))
            + f"[  312.412690]  </TASK>\n{PANIC}")


GUARD = "BUG: TASK stack guard page was hit at 00000000b1d8b1b5 (stack is 000000003ac2b1d1..00000000a5cf3b12)"
GUARD_73 = "BUG: IRQ stack guard page was hit at (____ptrval____) (stack is (____ptrval____)..(____ptrval____))"
KVM = "? asm_sysvec_apic_timer_interrupt+0x1a/0x20|svm_vcpu_run+0x2a1/0x8d0 [kvm_amd]|vcpu_enter_guest.constprop.0+0x4a2/0x15d0 [kvm]"

NO_RESULT = {
    "a stack of nobody": oops(GUARD, "error_entry+0x1c/0x140", KVM),
    "the same on a newer kernel": oops(GUARD_73, "asm_exc_page_fault+0x5/0x30", KVM),
    "a page fault right after VMRUN": oops("BUG: unable to handle page fault for address: 00007f3b2c1ff000",
                                           "__svm_vcpu_run+0x87/0x150 [kvm_amd]", KVM),
    "a double fault right after VMRUN": oops("traps: PANIC: double fault, error_code: 0x0",
                                             "__svm_vcpu_run+0x87/0x150 [kvm_amd]", KVM),
    "an interrupt right after VMRUN, in whose way another fault came": oops(
        "Oops: general protection fault, maybe for address 0x0: 0000 [#1] PREEMPT SMP NOPTI",
        "native_irq_return_iret+0x0/0x2", "<IRQ>|RIP: 0010:__svm_vcpu_run+0x87/0x150 [kvm_amd]"),
    "cut off in the middle": oops(GUARD, "error_entry+0x1c/0x140", KVM)[:400],
    "no word": "",
}

FAILURE = {
    "an oops in our module": oops("BUG: kernel NULL pointer dereference, address: 0000000000000018",
                                  "apf_gate_allows+0x21/0x60 [apf_host]", "kvm_can_do_async_pf+0x5/0x80 [kvm]"),
    "an oops of KVM that we caused": oops("Oops: general protection fault, probably for non-canonical address 0xdead",
                                          "kvm_vcpu_kick+0x12/0x90 [kvm]", "apf_vm_forget+0x40/0x70 [apf_host]"),
    "our frames on a stack that ran over": oops(GUARD, "error_entry+0x1c/0x140", "apf_stall_end+0x33/0x90 [apf_host]"),
    "a page fault elsewhere": oops("BUG: unable to handle page fault for address: ffff888100000000",
                                   "swap_entry_free+0x1b/0x150", KVM),
    "KASAN": oops("BUG: KASAN: slab-use-after-free in kvm_arch_async_page_present+0x3c/0x90 [kvm]",
                  "__svm_vcpu_run+0x87/0x150 [kvm_amd]", KVM),
    "lockdep": "[  88.1] WARNING: possible circular locking dependency detected\n[  88.1] modprobe/912 is trying to acquire lock:\n",
    "sleeping with interrupts off": oops("BUG: sleeping function called from invalid context at mm/memory.c:7112",
                                         "__svm_vcpu_run+0x87/0x150 [kvm_amd]", KVM),
    "a warning, and then the emulator": oops("WARNING: CPU: 0 PID: 77 at lib/refcount.c:28 refcount_warn_saturate+0xbe/0x110",
                                             "refcount_warn_saturate+0xbe/0x110") + oops(GUARD, "error_entry+0x1c/0x140", KVM),
    "a hung task": "[  363.1] INFO: task CPU 0/KVM:812 blocked for more than 120 seconds.\n"
                   "[  363.1] Kernel panic - not syncing: hung_task: blocked tasks\n",
    "a stall of RCU": "[  200.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n" + oops(GUARD, "error_entry+0x1c/0x140"),
    "a panic without an oops": "[  20.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n",
    "a shutdown": "[  90.3] systemd-shutdown[1]: Rebooting.\n[  90.4] reboot: Restarting system\n",
}


@pytest.mark.parametrize("text", NO_RESULT.values(), ids=NO_RESULT)
def test_the_emulators_end_is_no_result(text):
    got = verdict.of_dead_host(BOOT + text)
    assert got.kind == verdict.NO_RESULT, got


@pytest.mark.parametrize("text", FAILURE.values(), ids=FAILURE)
def test_everything_else_is_a_failure(text):
    got = verdict.of_dead_host(BOOT + text)
    assert got.kind == verdict.FAILURE, got


def test_the_reason_is_the_first_line_of_the_report():
    got = verdict.of_dead_host(BOOT + FAILURE["an oops in our module"])
    assert got.why.endswith("BUG: kernel NULL pointer dereference, address: 0000000000000018")


def test_one_oops_is_one_report():
    assert len(verdict.reports(BOOT + oops(GUARD, "error_entry+0x1c/0x140", KVM))) == 1


@pytest.mark.parametrize("text", [t for t in [*NO_RESULT.values(), *FAILURE.values()] if verdict.HEAD.search(t)])
def test_who_lives_has_no_excuse(text):
    got = verdict.of_living(BOOT + text, "guest vm1")
    assert got.kind == verdict.FAILURE and got.why.startswith("guest vm1: ")


def test_who_lives_and_is_well():
    assert verdict.of_living(BOOT, "guest vm1") is None


def interrupted_entry(flags="00010002", interrupted="asm_sysvec_kvm_asyncpf_interrupt+0x0/0x20"):
    """A guest whose handler of page-ready was itself interrupted."""
    return (oops("BUG: ENTRY_TRAMPOLINE stack guard page was hit at 1 (stack is 2..3)", "error_entry+0x10/0x170",
                 "sysvec_kvm_asyncpf_interrupt+0xe/0x90|asm_sysvec_kvm_asyncpf_interrupt+0x1a/0x20").replace(
        "[  312.412690]  </TASK>", f"[  312.412630] RIP: 0010:{interrupted}\n[  312.412631] Code: e9 b1 05 00 00 90 <f3> 0f 1e fa\n"
                   f"[  312.412632] RSP: 0000:fffffe000003dfd8 EFLAGS: {flags}\n[  312.412690]  </TASK>"))


def test_interrupt_that_is_delivered_twice():
    assert verdict.of_dead_guest(BOOT + interrupted_entry(), "guest vm1").kind == verdict.NO_RESULT
    assert verdict.of_living(BOOT + interrupted_entry(), "guest vm1").kind == verdict.FAILURE


@pytest.mark.parametrize("text", [
    interrupted_entry(flags="00010202"), interrupted_entry(interrupted="asm_exc_page_fault+0x0/0x30"),
    interrupted_entry(interrupted="asm_sysvec_kvm_asyncpf_interrupt+0x1a/0x20"),
    interrupted_entry().replace("error_entry+0x10/0x170", "apf_guest_wait+0x10/0x170 [apf_guest]"),
    FAILURE["a page fault elsewhere"],
])
def test_a_guests_other_ends_are_failures(text):
    assert verdict.of_dead_guest(BOOT + text, "guest vm1").kind == verdict.FAILURE


def test_guest_without_a_report():
    assert verdict.of_dead_guest(BOOT, "guest vm1") is None
