/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_AUTOMATIC_H
#define APFCTL_AUTOMATIC_H

#include <stdbool.h>

#include "vm.h"

/*
 * Whether apfd decides the state of the VM or, if @vcpus is not empty, of one of these vCPUs. An
 * old apfd, which sends no modes, never decides.
 */
bool vm_is_automatic(const struct vm *vm, const struct vcpu_list *vcpus);

#endif
