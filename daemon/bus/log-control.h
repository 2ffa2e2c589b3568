/* SPDX-License-Identifier: GPL-2.0 */
/*
 * org.freedesktop.LogControl1, which "systemctl service-log-level apfd" reads and writes. As in
 * systemd's own daemons only root may write: sd-bus refuses other callers.
 */
#ifndef APFD_LOG_CONTROL_H
#define APFD_LOG_CONTROL_H

struct server;

/* log_control_register: puts the object on the bus. 0 or -errno. */
int log_control_register(struct server *s);

#endif /* APFD_LOG_CONTROL_H */
