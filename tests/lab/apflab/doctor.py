# SPDX-License-Identifier: GPL-2.0
"""What apfctl doctor says in a host, and the literal parts of its remedies."""

import json


def doctor(host, *vms, user=None):
    """(exit status, {check: finding} of the host, the same of each VM asked for)."""
    r = host.run(["apfctl", "doctor", "--json", *vms] if vms else "apfctl doctor --json", check=False,
                 user=user, timeout=60)
    assert r.stdout, r
    answer = json.loads(r.stdout)
    # apfctl's own count of what failed is not more or less than what is shown
    failed = [c for part in (answer["host"], *answer["vms"]) for c in part["checks"] if c["state"] == "fail"]
    assert r.rc == (1 if failed else 0), r
    parts = [{c["check"]: c for c in part["checks"]} for part in (answer["host"], *answer["vms"])]
    return r.rc, parts[0], parts[1:]


def literal(finding):
    """The lines of a remedy that are to be used as they are, without their indentation."""
    return [line[2:] for line in (finding["remedy"] or "").split("\n") if line.startswith("  ")]


def of_vm(host, name):
    return doctor(host, name)[2][0]


def wait_of_vm(host, name, is_so, seconds, what):
    """
    The findings about a VM as soon as @is_so(findings). For what apfd knows only after a while: it is on the bus before
    a slow libvirt has told it of its VMs, has counters of its last tick, and does not wait for long for the VM's XML.
    """
    def look():
        if host.run(["apfctl", "--json", "status", name], check=False).rc:
            return None
        found = of_vm(host, name)
        try:
            return found if is_so(found) else None
        except KeyError:
            return None
    return host.wait_for(look, seconds, what)
