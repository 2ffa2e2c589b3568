#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The smallest VMM: a KVM VM with one vCPU that halts for ever. Run inside the host; ends when killed.

It is there to be found by apfd as a VM that is neither libvirt's nor QEMU's.
"""
import ctypes
import fcntl
import mmap
import os
import struct
import time

KVM_CREATE_VM, KVM_GET_VCPU_MMAP_SIZE, KVM_CREATE_VCPU, KVM_RUN = 0xae01, 0xae04, 0xae41, 0xae80
KVM_SET_USER_MEMORY_REGION = 0x4020ae46
KVM_EXIT_HLT = 5
PAGE = 4096
# A CPU begins to work here: halt, and when woken again.
RESET_VECTOR = 0xfffffff0
CODE = b"\xf4\xeb\xfd"


def main():
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    memory = mmap.mmap(-1, PAGE)
    memory[RESET_VECTOR % PAGE:RESET_VECTOR % PAGE + len(CODE)] = CODE
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    fcntl.ioctl(vm, KVM_SET_USER_MEMORY_REGION,
                struct.pack("=IIQQQ", 0, 0, RESET_VECTOR - RESET_VECTOR % PAGE, PAGE, address))
    vcpu = fcntl.ioctl(vm, KVM_CREATE_VCPU, 0)
    run = mmap.mmap(vcpu, fcntl.ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0))
    print("created", flush=True)
    while True:
        fcntl.ioctl(vcpu, KVM_RUN, 0)
        (reason,) = struct.unpack_from("=I", run, 8)
        if reason != KVM_EXIT_HLT:
            raise SystemExit(f"the vCPU stopped for reason {reason}")
        time.sleep(0.1)


main()
