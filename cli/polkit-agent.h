/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_POLKIT_AGENT_H
#define APFCTL_POLKIT_AGENT_H

#include "apfctl.h"

/*
 * Starts polkit's agent for terminals, so that a user without a desktop can be
 * asked for a password. Does nothing for root, without a terminal, after
 * --no-ask-password or where the agent is not installed: polkit then decides
 * without asking here.
 */
void polkit_agent_start(struct apfctl *ctl);

/* Ends it, if it was started; the terminal is ours again afterwards. */
void polkit_agent_stop(struct apfctl *ctl);

#endif
