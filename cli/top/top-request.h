/* SPDX-License-Identifier: GPL-2.0 */
/* Calls of "top" to apfd. All are asynchronous, so that keys are handled meanwhile. */
#ifndef APFCTL_TOP_REQUEST_H
#define APFCTL_TOP_REQUEST_H

struct top;

/* Request all VMs, or the vCPUs of the chosen VM. Return 0 or -errno. */
int top_request_vms(struct top *top);
int top_request_vcpus(struct top *top);

/* Requests the figures of the host; a failure is ignored. */
void top_request_host(struct top *top);

/* Asks the user whether to set the chosen VM or vCPU to @mode. */
void top_begin_change(struct top *top, const char *mode);

/* Sends the change that the user has confirmed to apfd. */
void top_change_mode(struct top *top);

#endif
