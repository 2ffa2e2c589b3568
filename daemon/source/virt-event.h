/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libvirt's event loop (virEvent) on sd-event.
 *
 * libvirt calls its event loop from any thread: the worker opens the connection, and
 * libvirt registers the socket and timers on the worker's thread. But sd-event may be
 * used by one thread only. Therefore a call only changes a list, under a mutex, and
 * wakes the loop, which applies the change.
 *
 * virEventRegisterImpl() is global to the process and cannot be undone. Therefore
 * there is at most one struct virt_event at a time.
 */
#ifndef APFD_VIRT_EVENT_H
#define APFD_VIRT_EVENT_H

#include <systemd/sd-event.h>

#include "util.h"

struct virt_event;

/* virt_event_new: makes @event libvirt's event loop. 0, -EBUSY if there is one, -errno. */
int virt_event_new(sd_event *event, struct virt_event **ret);

/*
 * virt_event_drain: applies all pending changes; call it on the loop's thread. Calls the
 * free callbacks of all removed handles and timeouts.
 */
void virt_event_drain(struct virt_event *ve);

/* virt_event_free: frees all handles and timeouts and calls their free callbacks. */
struct virt_event *virt_event_free(struct virt_event *ve);
APF_DEFINE_CLEANUP(struct virt_event *, virt_event_free);

#endif /* APFD_VIRT_EVENT_H */
