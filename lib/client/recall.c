// SPDX-License-Identifier: GPL-2.0
#include "recall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apf/cleanup.h"
#include "props.h"

#define RECALL(name, type, read, field)                                         \
	{                                                                       \
		name, type, read, offsetof(struct recall_progress, field), true \
	}
static const struct prop recall_props[] = {
	RECALL("TotalBytes", "t", prop_read_basic, total_bytes),
	RECALL("DoneBytes", "t", prop_read_basic, done_bytes),
	RECALL("BytesPerSec", "t", prop_read_basic, bytes_per_sec),
	RECALL("LimitPerSec", "t", prop_read_basic, limit_per_sec),
	RECALL("Slowed", "b", prop_read_bool, slowed),
};

int recall_read_progress(sd_bus_message *m, struct recall_progress *progress)
{
	const struct prop *bad;
	int r;

	r = sd_bus_message_skip(m, "s");
	return r < 0 ? r : props_read(m, recall_props, ELEMENTSOF(recall_props), progress, &bad);
}

#define AUTO(name, field)                                                              \
	{                                                                              \
		name, "s", prop_read_string, offsetof(struct auto_recall, field), true \
	}
static const struct prop auto_props[] = {
	AUTO("State", state),
	AUTO("Reason", reason),
};

int prop_read_auto_recall(sd_bus_message *m, void *field)
{
	const struct prop *bad;

	return props_read(m, auto_props, ELEMENTSOF(auto_props), field, &bad);
}

void auto_recall_clear(struct auto_recall *a)
{
	free(a->state);
	free(a->reason);
	*a = (struct auto_recall){};
}

int recall_read_end(sd_bus_message *m, struct recall_progress *progress, struct recall_end *end)
{
	const char *result, *text;
	int r;

	r = sd_bus_message_read(m, "stts", &result, &progress->total_bytes, &progress->done_bytes,
				&text);
	if (r < 0)
		return r;
	recall_end_clear(end);
	end->result = strdup(result);
	end->text = strdup(text);
	return end->result && end->text ? 0 : -ENOMEM;
}

void recall_end_clear(struct recall_end *end)
{
	free(end->result);
	free(end->text);
	*end = (struct recall_end){};
}

uint64_t recall_left_usec(const struct recall_progress *progress)
{
	uint64_t left_bytes = progress->total_bytes > progress->done_bytes
				      ? progress->total_bytes - progress->done_bytes
				      : 0;

	if (progress->bytes_per_sec == 0)
		return UINT64_MAX;
	return (uint64_t)((double)left_bytes * 1e6 / (double)progress->bytes_per_sec);
}
