/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libvirt's event loop (virEvent) on sd-event.
 *
 * libvirt calls it from any thread: the connection is opened on a worker, and
 * registers its socket and timers there. sd-event belongs to one thread. So a
 * call only notes in a table what is wanted, under a mutex, and wakes the loop,
 * which applies it.
 *
 * virEventRegisterImpl() is global to the process and cannot be undone; so is
 * this. There is at most one struct virt_event at a time.
 */
#ifndef APFD_VIRT_EVENT_H
#define APFD_VIRT_EVENT_H

#include <systemd/sd-event.h>

#include "util.h"

struct virt_event;

/* virt_event_new: makes @event libvirt's loop. 0, -EBUSY if there is one, -errno. */
int virt_event_new(sd_event *event, struct virt_event **ret);

/*
 * virt_event_drain: applies what is still queued, on the loop's thread; after it
 * no free callback of a removed handle or timeout is outstanding.
 */
void virt_event_drain(struct virt_event *ve);

/* virt_event_free: drops all handles and timeouts, calling their free callbacks. */
struct virt_event *virt_event_free(struct virt_event *ve);
APF_DEFINE_CLEANUP(struct virt_event *, virt_event_free);

#endif /* APFD_VIRT_EVENT_H */
