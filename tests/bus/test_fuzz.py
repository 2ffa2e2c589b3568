# SPDX-License-Identifier: GPL-2.0
"""Calls of every method with random arguments, from senders that vanish, ask for no reply, or may do nothing.

Some seconds long; MIN=n makes it n minutes. A failure prints the seed; APF_FUZZ_SEED=seed repeats its calls.
"""

import os
import random
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import dbus
import dbus.bus
import dbus.lowlevel
import pytest

import apfdtest
from apfdtest import MANAGER, NAME, OBJECT_MANAGER, OTHER_UID, PROPERTIES, ROOT, VM
from conftest import DOMAINS
from test_storm import footprint

DATA = os.path.join(os.path.dirname(__file__), "../../daemon/data")
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"

BURSTS = 12
CALLS_PER_BURST = 60
SENDERS_MAX = 8
# A caller on a busy machine may wait; one that is never answered waits for ever.
ANSWER_SEC = apfdtest.PATIENCE_SEC

# What a refusal may be called. A raw errno ("System.Error.EINVAL"), no reply at all, and a daemon that
# is gone ("ServiceUnknown", "NameHasNoOwner") are faults.
REFUSALS = {f"org.freedesktop.DBus.Error.{name}" for name in (
    "UnknownMethod", "UnknownObject", "UnknownInterface", "UnknownProperty", "InvalidArgs", "PropertyReadOnly",
    "AccessDenied", "LimitsExceeded", "InteractiveAuthorizationRequired", "AuthFailed", "NotSupported",
    # sd-bus says so of text with code points that stand for no character
    "InconsistentMessage")}
OWN_REFUSALS = "org.apfd.Error."

PATHS = [ROOT, "/", "/org", "/org/apfd/vm", "/org/apfd/vm/none", ROOT + "/x" * 60]
WORDS = ["", " ", "on", "off", "pv", "auto", "default", "ON", "on ", "none", "%s%n%d", "a\nb", "\x1b[2J", "é" * 300,
         "\U0010ffff", "x" * 65536, "../../etc/passwd", "-1", "0", "4294967296", "<settings mode='off'/>",
         MANAGER, VM, PROPERTIES]
NUMBERS = [0, 1, 2, 3, 7, 63, 64, 255, 256, 4095, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]
RANGES = {"y": (0, 2**8 - 1), "n": (-2**15, 2**15 - 1), "q": (0, 2**16 - 1), "i": (-2**31, 2**31 - 1),
          "u": (0, 2**32 - 1), "x": (-2**63, 2**63 - 1), "t": (0, 2**64 - 1)}
BASIC = "ybnqiuxtdsogh"


class Method:
    def __init__(self, interface, name, takes, gives):
        self.interface, self.name, self.takes, self.gives = interface, name, takes, gives


def methods():
    """Every method of apfd's own interfaces, as published, and those of D-Bus itself."""
    found = [Method(PROPERTIES, "Get", "ss", "v"), Method(PROPERTIES, "GetAll", "s", "a{sv}"),
             Method(PROPERTIES, "Set", "ssv", ""), Method(OBJECT_MANAGER, "GetManagedObjects", "", "a{oa{sa{sv}}}"),
             Method(INTROSPECTABLE, "Introspect", "", "s"), Method(PEER, "Ping", "", ""),
             Method(PEER, "GetMachineId", "", "s")]
    for name in (MANAGER, VM):
        for method in ElementTree.parse(f"{DATA}/{name}.xml").find("interface").iter("method"):
            types = {way: "".join(a.get("type") for a in method.iter("arg") if a.get("direction") == way)
                     for way in ("in", "out")}
            found.append(Method(name, method.get("name"), types["in"], types["out"]))
    return found


METHODS = methods()
PROPERTY_NAMES = [p.get("name") for i in (MANAGER, VM)
                  for p in ElementTree.parse(f"{DATA}/{i}.xml").find("interface").iter("property")]


class Arguments:
    """Random values for a signature, and random signatures. @domains: UUIDs by name"""

    def __init__(self, rnd, fd, domains):
        self.rnd, self.fd = rnd, fd
        self.vm_paths = ["/org/apfd/vm/" + uuid.replace("-", "_") for uuid in domains.values()]
        self.paths = [*PATHS, *self.vm_paths]
        self.words = [*WORDS, *domains, *domains.values()]

    def signature(self, depth=0):
        kind = self.rnd.random()
        if depth > 3 or kind < 0.6:
            return self.rnd.choice(BASIC)
        if kind < 0.7:
            return "v"
        if kind < 0.85:
            return "a" + self.signature(depth + 1)
        if kind < 0.92:
            return "a{" + self.rnd.choice("susxo") + self.signature(depth + 1) + "}"
        return "(" + "".join(self.signature(depth + 1) for _ in range(self.rnd.randint(1, 3))) + ")"

    def word(self):
        return self.rnd.choice(self.rnd.choice((self.words, self.words, PROPERTY_NAMES)))

    def value(self, signature):
        rnd = self.rnd
        if signature in RANGES:
            low, high = RANGES[signature]
            return min(max(rnd.choice(NUMBERS), low), high) if rnd.random() < 0.8 else rnd.randint(low, high)
        if signature[0] == "a":
            # A list of vCPUs may be as long as the bus lets it be.
            count = rnd.choice((0, 0, 1, 1, 2, 3, 20) + ((30000,) if signature == "au" else ()))
            if signature[1] == "{":
                key, value = signature[2], signature[3:-1]
                return dbus.Dictionary({self.value(key): self.value(value) for _ in range(count)},
                                       signature=signature[2:-1])
            return dbus.Array([self.value(signature[1:]) for _ in range(count)], signature=signature[1:])
        if signature[0] == "(":
            return tuple(self.value(str(part)) for part in dbus.Signature(signature[1:-1]))
        return {
            "b": lambda: rnd.random() < 0.5,
            "d": lambda: rnd.choice((0.0, -1.0, 1e308, float("nan"), float("inf"))),
            "s": self.word,
            "o": lambda: rnd.choice(self.paths),
            "g": lambda: rnd.choice(("", "s", "a{sv}", "aaaaaaai", "(((i)))")),
            "h": lambda: dbus.types.UnixFd(self.fd),
            "v": lambda: rnd.choice((dbus.String(self.word()), dbus.UInt32(7), dbus.Boolean(True),
                                     dbus.Array([dbus.Byte(1)], signature="y"), dbus.Double(0.5))),
        }[signature]()

    def of(self, signature):
        return [self.value(str(part)) for part in dbus.Signature(signature)]


class Sender:
    """A connection to the bus with calls under way."""

    def __init__(self, bus, uid):
        # The bus asks the kernel who connected.
        if uid:
            os.seteuid(uid)
        try:
            self.connection = dbus.bus.BusConnection(bus.address)
        finally:
            if uid:
                os.seteuid(0)
        self.waiting = {}
        self.faults = []
        self.results = []

    def call(self, number, what, message, gives, reply):
        if not reply:
            message.set_no_reply(True)
            self.connection.send_message(message)
            return
        self.waiting[number] = what
        self.connection.send_message_with_reply(
            message, lambda answer: self.answered(number, answer, gives), ANSWER_SEC)

    def answered(self, number, answer, gives):
        what = self.waiting.pop(number, None)
        if what is None or not self.connection.get_is_connected():
            return
        if isinstance(answer, dbus.lowlevel.ErrorMessage):
            name, text = answer.get_error_name(), "".join(str(a) for a in answer.get_args_list()[:1])
            self.results.append(name.rpartition(".")[2])
            if name not in REFUSALS and not name.startswith(OWN_REFUSALS):
                self.faults.append(f"{what}: {name}: {text}")
            elif not text.strip():
                self.faults.append(f"{what}: {name} without a text")
        else:
            self.results.append("reply")
            if gives is not None and answer.get_signature() != gives:
                self.faults.append(f"{what}: replied '{answer.get_signature()}', not '{gives}'")

    def vanish(self):
        self.waiting.clear()
        self.connection.close()


class Fuzzer:
    def __init__(self, bus, seed, fd, domains):
        self.bus, self.rnd, self.domains = bus, random.Random(seed), domains
        self.arguments = Arguments(self.rnd, fd, domains)
        self.senders, self.faults = [], []
        self.calls = self.vanished = 0
        self.results = Counter()

    def message(self):
        """(message, what it is, the signature of its reply if that is known)"""
        rnd = self.rnd
        method = rnd.choice(METHODS)
        path = ROOT if method.interface == MANAGER else rnd.choice(self.arguments.vm_paths)
        if rnd.random() < 0.3:
            path = rnd.choice(self.arguments.paths)
        interface = rnd.choice(METHODS).interface if rnd.random() < 0.1 else method.interface
        member = rnd.choice(("Nothing", "enable", "E" * 200)) if rnd.random() < 0.05 else method.name
        takes = method.takes if rnd.random() < 0.75 else "".join(
            self.arguments.signature() for _ in range(rnd.randint(0, 4)))
        message = dbus.lowlevel.MethodCallMessage(NAME, path, interface, member)
        values = self.arguments.of(takes)
        if method.interface == PROPERTIES and takes == method.takes and rnd.random() < 0.7:
            values[0] = rnd.choice((MANAGER, VM))
            values[1:2] = [rnd.choice(PROPERTY_NAMES)][:len(values) - 1]
        message.append(*values, signature=takes)
        if rnd.random() < 0.3:
            message.set_allow_interactive_authorization(True)
        same = interface == method.interface and member == method.name
        return message, f"{interface}.{member} of {path} with '{takes}'", method.gives if same else None

    def burst(self, calls):
        rnd = self.rnd
        for _ in range(calls):
            if not self.senders or (len(self.senders) < SENDERS_MAX and rnd.random() < 0.15):
                uid = OTHER_UID if os.geteuid() == 0 and rnd.random() < 0.5 else 0
                self.senders.append(Sender(self.bus, uid))
            message, what, gives = self.message()
            sender = rnd.choice(self.senders)
            # The bus itself throws out who sends more descriptors than it lets pass.
            if sender.connection.get_is_connected():
                sender.call(self.calls, what, message, gives, rnd.random() < 0.9)
                self.calls += 1
            if rnd.random() < 0.08 or not sender.connection.get_is_connected():
                self.leave(sender)

    def leave(self, sender):
        """Without waiting for what it asked for."""
        if sender.connection.get_is_connected():
            sender.connection.flush()
        self.senders.remove(sender)
        self.collect(sender)
        sender.vanish()
        self.vanished += 1

    def settle(self):
        """Waits for every reply that somebody still waits for."""
        apfdtest.wait_for("all replies", lambda: not any(
            s.waiting and s.connection.get_is_connected() for s in self.senders), ANSWER_SEC + 10)
        for sender in self.senders:
            self.collect(sender)

    def collect(self, sender):
        self.faults += sender.faults
        self.results.update(sender.results)
        sender.faults, sender.results = [], []

    def end(self):
        while self.senders:
            self.leave(self.senders[-1])


@pytest.fixture
def domains():
    return DOMAINS


@pytest.fixture
def fuzzer(bus, domains):
    seed = os.environ.get("APF_FUZZ_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"APF_FUZZ_SEED={seed}")
    fd = os.open("/dev/null", os.O_RDONLY)
    f = Fuzzer(bus, seed, fd, domains)
    yield f
    f.end()
    os.close(fd)


def bursts():
    """Numbers of bursts: a few, or as many as fit into MIN minutes."""
    end = time.monotonic() + 60 * float(os.environ.get("MIN") or 0)
    number = 0
    while number < BURSTS or time.monotonic() < end:
        yield number
        number += 1


def check(apfd, fuzzer):
    assert fuzzer.faults == []
    assert apfd.popen.poll() is None, apfd.log()
    managed = apfd.managed()
    assert sorted(str(o[VM]["Name"]) for o in managed.values()) == sorted(fuzzer.domains)
    for vm in managed.values():
        assert vm[VM]["Mode"] in ("auto", "on", "pv", "off"), vm[VM]["Name"]
        assert set(map(str, vm[VM]["VCPUModes"].values())) <= {"auto", "on", "pv", "off"}, vm[VM]["Name"]
    assert apfd.get(MANAGER, "Libvirt") == "connected"


@pytest.mark.parametrize("permission", ["granted", "refused", "unanswered"])
def test_random_calls(apfd, polkit, fuzzer, permission):
    """@permission is what polkit says of those who are not root."""
    if permission == "granted":
        polkit.allow("org.apfd.manage")
    first = footprint(apfd)
    footprints = []
    for number in bursts():
        if permission == "unanswered":
            polkit.hang(True)
        fuzzer.burst(CALLS_PER_BURST)
        if permission == "unanswered":
            # The senders of this burst go while polkit is being asked for them.
            fuzzer.end()
            apfd.get(MANAGER, "Version")
            polkit.hang(False)
            polkit.release()
        fuzzer.settle()
        check(apfd, fuzzer)
        if number % 4 == 3:
            fuzzer.end()
            apfdtest.wait_for("the descriptors of messages to be closed", lambda: footprint(apfd)[0] <= first[0])
            footprints.append(footprint(apfd)[1])
    print(f"{fuzzer.calls} calls, {fuzzer.vanished} senders vanished, memory {first[1]} {footprints} KiB")
    print(f"{dict(fuzzer.results.most_common())}")
    assert fuzzer.vanished > 0
    # Calls that never get past the checks of sd-bus try nothing of ours.
    assert permission == "unanswered" or fuzzer.results["reply"] and fuzzer.results["InvalidMode"]
    # The first rounds make what the allocator keeps. A sanitizer keeps what is freed, on purpose.
    if not os.environ.get("APF_SANITIZER"):
        assert footprints[-1] <= footprints[0] + 4096


WATCHED_VCPUS = 8
WATCHED = {f"vm{n}": f"5a7e0f3c-0000-4a00-8000-{n:012x}" for n in range(1, 4)}
WATCHED_DOMAIN = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>
<vcpu>{vcpus}</vcpu><os><type>hvm</type></os></domain>"""


class WatchingApfd(apfdtest.Apfd):
    """The daemon of tests/bench/world: all of apfd, with a netlink peer in the place of apf_host."""

    def __init__(self, bus, program, *args):
        apfdtest.Process.__init__(self, [program, *args], f"{bus.directory}/apfd.log",
                                  env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address})
        self.bus, self.signals, self.libvirt = bus, [], True
        self.wait_for_name()


@pytest.fixture
def watching(bus, directory):
    """apfd whose VMs are watched, all in mode auto, a third of them swapping."""
    build = Path(os.environ["APFD"]).resolve().parents[1]
    subprocess.run(["ninja", "-C", build, "bench-world"], check=True, stdout=subprocess.DEVNULL)
    for name in ("pid", "cgroup"):
        os.mkdir(f"{directory}/{name}")
    text = "".join(WATCHED_DOMAIN.format(name=n, uuid=u, vcpus=WATCHED_VCPUS) for n, u in WATCHED.items())
    with open(f"{directory}/node.xml", "w", encoding="utf-8") as f:
        f.write(f"<node>{text}</node>")
    world = build / "tests/bench/world"
    host = subprocess.Popen([world / "fake-host", str(len(WATCHED)), str(WATCHED_VCPUS), "34", f"{directory}/pid"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    apfdtest.started.append(host)
    apfd = WatchingApfd(bus, world / "bench-apfd", host.stdout.readline().strip(), f"test://{directory}/node.xml",
                        f"{directory}/pid", f"{directory}/cgroup", str(len(WATCHED)), "1")
    apfdtest.wait_for("all VMs to be watched", lambda: "ready" in apfd.log() or apfd.popen.poll() is not None)
    yield apfd
    # It measures for the benchmark first.
    apfdtest.wait_for("its figures", lambda: "cpu_percent" in apfd.log() or apfd.popen.poll() is not None)
    assert apfd.stop() == 0, apfd.log()
    host.stdin.close()
    host.wait(apfdtest.PATIENCE_SEC)
    host.stdout.close()


@pytest.mark.parametrize("domains", [WATCHED])
def test_gates_are_what_random_calls_have_made_of_the_modes(watching, polkit, fuzzer):
    polkit.allow("org.apfd.manage")
    for _ in bursts():
        fuzzer.burst(CALLS_PER_BURST)
        fuzzer.settle()
        check(watching, fuzzer)
    fuzzer.end()
    print(f"{fuzzer.calls} calls, {dict(fuzzer.results.most_common())}")
    assert not {"NoHostModule", "NotWatched"} & set(fuzzer.results)
    assert fuzzer.results["reply"] and fuzzer.results["NoSuchVCPU"]

    def wrong():
        """What the last mode that was set says, and the gate does not."""
        found = []
        for vm in (o[VM] for o in watching.managed().values()):
            assert len(vm["VCPUStates"]) == WATCHED_VCPUS
            for index, state in enumerate(vm["VCPUStates"]):
                mode = str(vm["VCPUModes"].get(dbus.UInt32(index), vm["Mode"]))
                if mode != "auto" and mode != state:
                    found.append(f"{vm['Name']} vCPU {index}: mode {mode}, gate {state}")
        return found

    apfdtest.wait_for("the gates to follow", lambda: not wrong())
    modes = {str(m) for o in watching.managed().values() for m in (o[VM]["Mode"], *o[VM]["VCPUModes"].values())}
    assert modes - {"auto"}, "no call has set a mode"
