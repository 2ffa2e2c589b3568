/* SPDX-License-Identifier: GPL-2.0 */
#include "waiting.h"

#include <errno.h>

#include "util.h"

struct waiting_domain {
	TAILQ_ENTRY(waiting_domain) list;
	struct virt_domain domain;
};

void waiting_init(struct waiting *w)
{
	*w = (struct waiting){};
	TAILQ_INIT(&w->list);
}

static void drop(struct waiting *w, struct waiting_domain *wd)
{
	TAILQ_REMOVE(&w->list, wd, list);
	w->n--;
	free(wd->domain.name);
	free(wd->domain.metadata);
	free(wd);
}

void waiting_clear(struct waiting *w)
{
	struct waiting_domain *wd;

	while ((wd = TAILQ_FIRST(&w->list)))
		drop(w, wd);
}

int waiting_append(struct waiting *w, const struct virt_domain *d)
{
	struct waiting_domain *wd = calloc(1, sizeof(*wd));

	if (!wd)
		return -ENOMEM;
	memcpy(wd->domain.uuid, d->uuid, sizeof(wd->domain.uuid));
	wd->domain.id = d->id;
	wd->domain.name = strdup(d->name);
	wd->domain.metadata = d->metadata ? strdup(d->metadata) : NULL;
	wd->domain.metadata_known = d->metadata_known;
	if (!wd->domain.name || (d->metadata && !wd->domain.metadata)) {
		free(wd->domain.name);
		free(wd->domain.metadata);
		free(wd);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&w->list, wd, list);
	w->n++;
	return 0;
}

static struct waiting_domain *find(struct waiting *w, const char *uuid)
{
	struct waiting_domain *wd;

	TAILQ_FOREACH(wd, &w->list, list)
		if (streq(wd->domain.uuid, uuid))
			return wd;
	return NULL;
}

int waiting_update(struct waiting *w, const struct virt_domain *d)
{
	struct waiting_domain *wd = find(w, d->uuid);
	char *name;

	if (wd && wd->domain.id != d->id) {
		drop(w, wd);
		wd = NULL;
	}
	if (!wd)
		return waiting_append(w, d);
	name = strdup(d->name);
	if (!name)
		return -ENOMEM;
	free(wd->domain.name);
	wd->domain.name = name;
	return 0;
}

void waiting_forget_metadata(struct waiting *w, const char *uuid)
{
	struct waiting_domain *wd = find(w, uuid);

	if (!wd)
		return;
	free(wd->domain.metadata);
	wd->domain.metadata = NULL;
	wd->domain.metadata_known = false;
}

void waiting_remove(struct waiting *w, const char *uuid)
{
	struct waiting_domain *wd = find(w, uuid);

	if (wd)
		drop(w, wd);
}

int waiting_take(struct waiting *w, struct virt_domain *ret)
{
	struct waiting_domain *wd = TAILQ_FIRST(&w->list);

	if (!wd)
		return 0;
	*ret = wd->domain;
	wd->domain.name = wd->domain.metadata = NULL;
	drop(w, wd);
	return 1;
}
