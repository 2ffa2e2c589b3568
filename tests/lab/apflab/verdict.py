# SPDX-License-Identifier: GPL-2.0
"""Verdict: was it our software that failed, or the emulator of the host?

QEMU's emulation of AMD SVM ended hosts with guests on two CPUs after some minutes of swap load, our modules loaded or
not: an interrupt is taken right after VMRUN, with registers and stack of nobody. The cause, as far as it is known, is
kept away (NO_GUESTS in host.py). Such an end says nothing about our software. It is neither a pass nor a failure, and
is told by its signature alone: whatever else is in the console is a failure.
"""

import re
from dataclasses import dataclass

# The first line of a report of the kernel.
HEAD = re.compile(r"\bBUG: |WARNING: |Oops|general protection fault|double fault|stack segment|invalid opcode|divide error|"
                  r"UBSAN: |hung_task: |blocked for more than|refcount_t: |rcu: INFO|self-detected stall|"
                  r"Unexpected async PF|ODEBUG: (.*active state|Out of memory)|INFO: trying to register non-static key|"
                  r"\d new suspected memory leaks|unregister_netdevice: waiting|Kernel panic")
# What ends a report. The panic that an oops causes here belongs to it.
END = re.compile(r"---\[ end (trace|Kernel panic)|Kernel panic - not syncing")
OURS = re.compile(r"\[(apf_host|apf_guest)\]|\b(apf_host|apf_guest): ")
STACK_GUARD = re.compile(r"BUG: (TASK|IRQ|\S+) stack guard page was hit at")
AFTER_VMRUN = re.compile(r"RIP: \w+:__svm_vcpu_run\+")
# Reports that a stray interrupt can cause. A lock, a leak or a stuck task is no business of an interrupt's.
STRAY = re.compile(r"BUG: unable to handle|Oops|general protection fault|double fault|stack segment|invalid opcode|"
                   r"stack guard page was hit")

# Lines of a stack: the entry of an interrupt, and what that interrupted.
ENTRY = re.compile(r"^(asm_(sysvec|common_interrupt)\w*)\+0x\w+/")
INTERRUPTED = re.compile(r"^RIP: 0010:(\w+)\+0x0/")
EFLAGS = re.compile(r"EFLAGS: ([0-9a-f]{8})")
IF = 0x200

FAILURE, NO_RESULT = "failure", "no result"


@dataclass
class Verdict:
    kind: str  # FAILURE or NO_RESULT
    why: str

    def __str__(self):
        return f"{self.kind}: {self.why}"


def reports(text):
    """The kernel's reports of trouble in a console, each a list of lines."""
    found, open_ = [], False
    for line in text.splitlines():
        if HEAD.search(line):
            # a panic after a report is what oops=panic makes of that report
            if not open_ and not (found and "Kernel panic" in line):
                found.append([])
                open_ = True
        if open_:
            found[-1].append(line)
            if END.search(line):
                open_ = False
    return found


def emulators(report):
    """Does @report have the emulator's signature?"""
    text = "\n".join(report)
    # the list of all modules names ours in every report
    body = re.sub(r"^.*Modules linked in:.*$", "", text, flags=re.M)
    if OURS.search(body) or not STRAY.search(report[0]):
        return False
    return bool(STACK_GUARD.search(body) or AFTER_VMRUN.search(body))


def delivered_twice(report):
    """Was an interrupt delivered once more before the first instruction of its handler, with interrupts off?

    QEMU's helper of VMRUN delivers an injected interrupt itself, and leaves it noted as pending. If another CPU calls
    the vCPU out of its loop right then, the interrupt is delivered again.
    """
    lines = [re.sub(r"^\[[^]]*\]\s*", "", line) for line in report]
    for above, line, *below in zip(lines, lines[1:], lines[2:], lines[3:]):
        entry, interrupted = ENTRY.match(above), INTERRUPTED.match(line)
        flags = EFLAGS.search("\n".join(below))
        if entry and interrupted and flags and entry.group(1) == interrupted.group(1) and not int(flags.group(1), 16) & IF:
            return True
    return False


def of_dead_host(console):
    """Verdict on a host whose emulator has ended or reset, by the @console up to there."""
    all_of_it = reports(console)
    for report in all_of_it:
        if not emulators(report):
            return Verdict(FAILURE, report[0].strip())
    if all_of_it:
        return Verdict(NO_RESULT, "an interrupt right after VMRUN: " + all_of_it[0][0].strip())
    if re.search(r"reboot: (Restarting|Power down|System halted)|systemd-shutdown", console):
        return Verdict(FAILURE, "the host was shut down")
    return Verdict(NO_RESULT, "reset without a word")


def of_dead_guest(console, what):
    """Verdict on a guest of a host with several CPUs for guests, by its @console: None without a report in it."""
    found = reports(console)
    if found and delivered_twice(found[0]) and not OURS.search("\n".join(found[0])):
        return Verdict(NO_RESULT, f"{what}: an interrupt was delivered twice: {found[0][0].strip()}")
    return of_living(console, what)


def of_living(console, what):
    """Verdict on a host or guest that lives, or on a guest that ended on a host with one CPU: FAILURE, or None when
    nothing is wrong.

    Our hosts panic on an oops, so one that has the emulator's signature and lives on is no known end.
    """
    found = reports(console)
    return Verdict(FAILURE, f"{what}: {found[0][0].strip()}") if found else None
