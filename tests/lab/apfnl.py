#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A second client of the netlink family "apf", for tests, run inside the host.

It shares nothing with apfd: sockets and struct only, and the names are read
from the ABI header, so that what the header says is what is tested.

  apfnl.py CALL...   each CALL a JSON object {"cmd": NAME, ...}; prints a list
                     with one result each: {"reply": [...]} or
                     {"errno": NAME, "text": extack, "attr": offset}
  fields of a CALL: "attrs" [[name, value], ...], "dump" true,
                    "vm_pid" PID (its KVM descriptor becomes VM_FD),
                    "raw" hex bytes in place of the attributes
  "cmd" CLOCK asks nobody and replies with CLOCK_MONOTONIC in seconds
  apfnl.py --serve   the same for many: reads lines with a JSON list of CALLs each, and
                     answers each with a line
  apfnl.py --listen SECONDS EVENT COUNT   prints events of the kind EVENT as JSON
                     lines, until there were COUNT, and then for one second more
"""
import ctypes
import errno
import json
import os
import re
import socket
import struct
import sys
import time

HEADER = os.environ.get("APF_HEADER", os.path.join(os.path.dirname(os.path.abspath(__file__)), "apf_host.h"))
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
SOL_NETLINK, NETLINK_EXT_ACK, NETLINK_ADD_MEMBERSHIP = 270, 11, 1
GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3


def enum(name):
    """Enumerators of one enum of the header, by number and by name."""
    body = re.search(r"^enum %s \{(.*?)^\};" % name, open(HEADER).read(), re.S | re.M).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    names = [n.strip().split()[0] for n in body.split(",") if n.strip()]
    names = [n for n in names if not n.startswith("__") and not n.endswith("_MAX")]
    return {n: i for i, n in enumerate(names)}


CMD, ATTR, STAT, GUEST = enum("apf_cmd"), enum("apf_attr"), enum("apf_stat"), enum("apf_guest_attr")
HOOK = enum("apf_hook")
ATTR_NAME = {v: k[len("APF_A_"):] for k, v in ATTR.items()}
STAT_NAME = {v: k[len("APF_STAT_"):] for k, v in STAT.items()}
HOOK_NAME = {v: k[len("APF_HOOK_"):] for k, v in HOOK.items()}
GUEST_NAME = {v: k[len("APF_GUEST_A_"):] for k, v in GUEST.items()}
TEXT = {"INFO_VERSION", "INFO_KERNEL", "BY_COMM", "REASON"}
SIGNED = {"PID", "BY_PID"}


def attrs_of(data):
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        if length < 4 or length > len(data):
            raise ValueError(f"bad attribute length {length}")
        yield kind & 0x3fff, data[4:length]
        data = data[(length + 3) & ~3:]


def decode(data):
    out = {}
    for kind, value in attrs_of(data):
        name = ATTR_NAME.get(kind, f"#{kind}")
        if name == "PAD":
            continue
        if name == "STATS":
            out[name] = {STAT_NAME[k]: struct.unpack("Q", v)[0] for k, v in attrs_of(value)
                         if STAT_NAME[k] != "PAD"}
        elif name == "GUEST":
            out[name] = {GUEST_NAME[k]: struct.unpack("I", v)[0] for k, v in attrs_of(value)}
        elif name == "INFO_HOOK":
            hook = dict(attrs_of(value))
            out.setdefault(name, {})[HOOK_NAME[struct.unpack("I", hook[1])[0]]] = {
                "NAME": hook[2].rstrip(b"\0").decode(), "ERROR": struct.unpack("i", hook[3])[0]}
        elif name.startswith("HIST_"):
            out[name] = list(struct.unpack("%dQ" % (len(value) // 8), value))
        elif name in TEXT:
            out[name] = value.rstrip(b"\0").decode()
        else:
            size = {1: "B", 2: "H", 4: "i" if name in SIGNED else "I", 8: "Q"}[len(value)]
            number = struct.unpack(size, value)[0]
            if name == "VCPU_INDEX" and name in out:
                out[name] = (out[name] if isinstance(out[name], list) else [out[name]]) + [number]
            else:
                out[name] = number
    return out


def attr(kind, payload):
    raw = struct.pack("HH", 4 + len(payload), kind) + payload
    return raw + b"\0" * (-len(raw) % 4)


def encode(name, value):
    if isinstance(value, str):
        payload = value.encode() + b"\0"
    elif name in ("INFO_PROBE_MISSES", "AGE_MSEC"):
        payload = struct.pack("Q", value)
    else:
        payload = struct.pack("I", value & 0xffffffff)
    return attr(ATTR["APF_A_" + name] if not name.startswith("#") else int(name[1:]), payload)


class Refused(Exception):
    def __init__(self, number, text, offset):
        super().__init__(text)
        self.number, self.text, self.offset = number, text, offset


class Link:
    def __init__(self):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self.sock.bind((0, 0))
        self.sock.settimeout(20)
        self.seq = 0
        self.groups = {}
        self.family = None

    def resolve(self):
        data = self.request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attr(2, b"apf\0"), raw=True)[0]
        found = dict(attrs_of(data))
        self.family = struct.unpack("H", found[1])[0]
        for _, group in attrs_of(found.get(7, b"")):
            g = dict(attrs_of(group))
            self.groups[g[1].rstrip(b"\0").decode()] = struct.unpack("I", g[2])[0]

    def request(self, family, cmd, payload, dump=False, raw=False):
        self.seq += 1
        flags = NLM_F_REQUEST | (NLM_F_DUMP if dump else NLM_F_ACK)
        body = struct.pack("BBH", cmd, 1, 0) + payload
        self.sock.send(struct.pack("IHHII", 16 + len(body), family, flags, self.seq, 0) + body)
        replies = []
        while True:
            data = self.sock.recv(1 << 17)
            while data:
                length, kind, mflags, seq, _ = struct.unpack_from("IHHII", data)
                msg, data = data[16:length], data[(length + 3) & ~3:]
                if seq != self.seq:
                    continue
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    number = -struct.unpack_from("i", msg)[0] if len(msg) >= 4 else 0
                    if number:
                        text, offset = None, None
                        at = 4
                        if kind == NLMSG_ERROR:
                            at = 4 + 16
                            if not mflags & 0x100:
                                at = 4 + ((struct.unpack_from("I", msg, 4)[0] + 3) & ~3)
                        if mflags & 0x200:
                            for k, v in attrs_of(msg[at:]):
                                if k == 1:
                                    text = v.rstrip(b"\0").decode()
                                elif k == 2:
                                    offset = struct.unpack("I", v)[0]
                                elif k == 5:
                                    text = ATTR_NAME[struct.unpack("I", v)[0]] + " is missing"
                        raise Refused(number, text, offset)
                    return replies
                replies.append(msg[4:] if raw else decode(msg[4:]))

    def call(self, call):
        if call["cmd"] == "CLOCK":
            return {"reply": [{"MONOTONIC": time.monotonic()}]}
        payload = bytes.fromhex(call["raw"]) if "raw" in call else b""
        fds = []
        if "vm_pid" in call:
            fds.append(kvm_fd(call["vm_pid"]))
            payload += encode("VM_FD", fds[0])
        for name, value in call.get("attrs", []):
            payload += encode(name, value)
        try:
            cmd = CMD.get("APF_CMD_" + str(call["cmd"]), call["cmd"])
            return {"reply": self.request(self.family, cmd, payload, call.get("dump", False))}
        except Refused as e:
            # one number, two names: the kernel's is EOPNOTSUPP
            name = "EOPNOTSUPP" if e.number == errno.EOPNOTSUPP else errno.errorcode.get(e.number, e.number)
            return {"errno": name, "text": e.text, "attr": e.offset}
        finally:
            for fd in fds:
                os.close(fd)


def kvm_fd(pid):
    """A copy of the KVM VM descriptor of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name in os.listdir(f"/proc/{pid}/fd"):
        if "kvm-vm" in os.readlink(f"/proc/{pid}/fd/{name}"):
            pidfd = os.pidfd_open(pid)
            fd = libc.syscall(438, pidfd, int(name), 0)
            os.close(pidfd)
            if fd < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            return fd
    raise ValueError(f"process {pid} holds no KVM VM")


def answers(calls):
    """What is to be printed for @calls. The family has another number each time the module is loaded."""
    link = Link()
    try:
        link.resolve()
        return [link.call(call) for call in calls]
    except Refused as e:
        return {"errno": errno.errorcode[e.number], "text": "no family apf"}
    except Exception as e:
        return {"failed": repr(e)}
    finally:
        link.sock.close()


def main():
    if sys.argv[1] == "--serve":
        for line in sys.stdin:
            print(json.dumps(answers(json.loads(line))), flush=True)
        return 0
    if sys.argv[1] != "--listen":
        print(json.dumps(answers([json.loads(arg) for arg in sys.argv[1:]])))
        return 0
    link = Link()
    try:
        link.resolve()
    except Refused as e:
        print(json.dumps({"errno": errno.errorcode[e.number], "text": "no family apf"}))
        return 1
    link.sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, link.groups["events"])
    end = time.monotonic() + float(sys.argv[2])
    event, left_over = int(sys.argv[3]), int(sys.argv[4])
    print("listening", flush=True)
    while (left := end - time.monotonic()) > 0:
        link.sock.settimeout(left)
        try:
            data = link.sock.recv(1 << 17)
        except TimeoutError:
            break
        got = decode(data[20:struct.unpack_from("I", data)[0]])
        if got.get("EVENT") != event:
            continue
        print(json.dumps(got), flush=True)
        left_over -= 1
        if left_over == 0:
            # one too many would be seen, too
            end = min(end, time.monotonic() + 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
