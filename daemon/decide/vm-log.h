/* SPDX-License-Identifier: GPL-2.0 */
/* Log entries about one VM. */
#ifndef APFD_VM_LOG_H
#define APFD_VM_LOG_H

#include "log.h"
#include "vm.h"

#define log_vm(level, error, vm, ...)                                                            \
	log_fields(level, error,                                                                 \
		   ((const struct log_field[]){                                                  \
			   { "APF_VM", (vm)->name },                                             \
			   { "APF_UUID", (vm)->uuid },                                           \
			   { "APF_STATE", vm_state_to_string((enum vm_state)(vm)->view.state) }, \
			   {} }),                                                                \
		   __VA_ARGS__)

#endif /* APFD_VM_LOG_H */
