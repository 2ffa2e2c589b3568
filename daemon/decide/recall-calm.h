/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Recalls that apfd itself starts when the host has been calm for the time of WhenCalm=: one VM
 * after the other, slowly, and only while the host stays calm.
 */
#ifndef APFD_RECALL_CALM_H
#define APFD_RECALL_CALM_H

#include <stdint.h>

#include "recall.h"

struct context;
struct vm;

/* A VM with less on swap is left alone: a few pages of a guest are never used again. */
#define RECALL_CALM_MIN_BYTES (UINT64_C(8) << 20)

enum auto_recall {
	AUTO_RECALL_OFF,	/* by the configuration */
	AUTO_RECALL_NOT_NEEDED, /* too little is on swap */
	AUTO_RECALL_WAITING,	/* for the host, or for another recall */
	AUTO_RECALL_PAUSED,	/* see recall-pause.h */
	AUTO_RECALL_RUNNING,
};

/* auto_recall_to_string: the name on the bus. */
const char *auto_recall_to_string(enum auto_recall state);

/*
 * recall_calm_tick: ends the automatic recall if the host is not calm any more, or starts one. To
 * be called about once a second, after the host's figures were read. @now_usec: CLOCK_MONOTONIC.
 */
void recall_calm_tick(struct context *c, uint64_t now_usec);

/* recall_calm_cancelled: a person has cancelled a recall of @vm: do not start one soon. */
void recall_calm_cancelled(struct vm *vm, uint64_t now_usec);

/*
 * recall_calm_of_host, recall_calm_of_vm: what automatic recalls do, and why, for people, in @text.
 * The state of a host is never AUTO_RECALL_NOT_NEEDED or AUTO_RECALL_PAUSED.
 */
enum auto_recall recall_calm_of_host(const struct context *c, uint64_t now_usec,
				     char text[static RECALL_TEXT_MAX]);
enum auto_recall recall_calm_of_vm(const struct vm *vm, uint64_t now_usec,
				   char text[static RECALL_TEXT_MAX]);

#endif /* APFD_RECALL_CALM_H */
