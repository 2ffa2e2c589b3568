/* SPDX-License-Identifier: GPL-2.0 */
/* The progress of a recall, org.apfd.Recall1. */
#ifndef APF_CLIENT_RECALL_H
#define APF_CLIENT_RECALL_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"

/**
 * struct recall_progress - figures as last announced; all 0 at first
 * @limit_per_sec: UINT64_MAX: not limited
 * @slowed: other VMs suffer, so the limit was lowered
 */
struct recall_progress {
	uint64_t total_bytes;
	uint64_t done_bytes;
	uint64_t bytes_per_sec;
	uint64_t limit_per_sec;
	bool slowed;
};

/**
 * struct auto_recall - AutoRecall of a VM or of the host; NULL if apfd did not send it
 */
struct auto_recall {
	char *state;
	char *reason;
};

void auto_recall_clear(struct auto_recall *a);

/* prop_read_auto_recall: from a{sv}; for tables of props.h. */
int prop_read_auto_recall(sd_bus_message *m, void *field);

/**
 * struct recall_end - arguments of the signal Finished
 */
struct recall_end {
	char *result;
	char *text;
};

void recall_end_clear(struct recall_end *end);

/* Read PropertiesChanged and Finished. 0 or a negative errno. */
int recall_read_progress(sd_bus_message *m, struct recall_progress *progress);
int recall_read_end(sd_bus_message *m, struct recall_progress *progress, struct recall_end *end);

/* recall_left_usec: the time left at the present rate; UINT64_MAX if it cannot be told. */
uint64_t recall_left_usec(const struct recall_progress *progress);

#endif /* APF_CLIENT_RECALL_H */
