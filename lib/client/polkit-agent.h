/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_POLKIT_AGENT_H
#define APFCTL_POLKIT_AGENT_H

#include "client.h"

/*
 * Starts polkit's agent for terminals, so that polkit can ask a user without a desktop
 * for a password. Does nothing for root, for a remote host, without a terminal, after
 * --no-ask-password, or if the agent is not installed: polkit then decides without a
 * password.
 */
void polkit_agent_start(struct client *client);

/* Ends the agent, if it was started. */
void polkit_agent_stop(struct client *client);

#endif
