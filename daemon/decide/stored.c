/* SPDX-License-Identifier: GPL-2.0 */
#include "stored.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

#include "conf-parse.h"
#include "log.h"
#include "store.h"
#include "utf8.h"

#define DAY_USEC	(24 * 3600 * USEC_PER_SEC)
#define UNUSED_MAX_USEC (365 * DAY_USEC)

/* Not right after the start of the host, when the clock may still be wrong. */
#define FIRST_DAILY_USEC (3600 * USEC_PER_SEC)

/* The last line, so that a truncated file is noticed. */
#define END_LINE "End="

/**
 * struct stored
 * @vms: all files
 * @load_again: stored_load() was called while a write was not finished
 */
struct stored {
	struct store *store;
	sd_event_source *timer;
	const struct stored_ops *ops;
	void *userdata;
	char *dir;
	struct stored_list vms;
	size_t n;
	bool load_again;
};

/**
 * struct write - cookie of a request to the store
 * @uuid: under which the VM was shown; "" if nobody waits for the result
 * @removed: gets the result of a stored_forget(); then @cookie is its argument
 */
struct write {
	char uuid[UUID_LEN + 1];
	void *cookie;
	stored_removed_fn removed;
};

/* ---- the content of a file ---- */

int stored_to_text(const struct stored_vm *vm, char **ret)
{
	_cleanup_free_ char *text = NULL, *vcpus = NULL;
	size_t size = 0;
	FILE *f;
	int r;

	r = settings_format_vcpus(&vm->settings, &vcpus);
	if (r < 0)
		return r;
	f = open_memstream(&text, &size);
	if (!f)
		return -ENOMEM;
	fprintf(f, "# Settings of a VM, written by apfd(8).\nScope=%s\n", vm->scope);
	if (vm->uuid[0])
		fprintf(f, "UUID=%s\n", vm->uuid);
	if (vm->name[0])
		fprintf(f, "Name=%s\n", vm->name);
	if (vm->id[0])
		fprintf(f, "ID=%s\n", vm->id);
	fprintf(f, "Used=%" PRIu64 "\n", vm->used_usec / USEC_PER_SEC);
	if (vm->settings.mode != SETTINGS_UNSET)
		fprintf(f, "Mode=%s\n", settings_mode_to_string(vm->settings.mode));
	if (vm->settings.n_vcpus > 0)
		fprintf(f, "VCPUModes=%s\n", vcpus);
	fprintf(f, END_LINE "\n");
	/* A memory stream fails only if there is no memory. */
	if (fclose(f) != 0)
		return -ENOMEM;
	*ret = TAKE_PTR(text);
	return 0;
}

static int take(char *to, size_t size, const char *value)
{
	if (!*value || strlen(value) >= size)
		return -EINVAL;
	strcpy(to, value);
	utf8_make_valid(to);
	return 0;
}

static int assign(struct stored_vm *vm, const char *key, const char *value)
{
	uint64_t sec;
	int r;

	if (streq(key, "Scope"))
		return take(vm->scope, sizeof(vm->scope), value);
	if (streq(key, "UUID"))
		return uuid_parse(value, vm->uuid);
	if (streq(key, "Name"))
		return take(vm->name, sizeof(vm->name), value);
	if (streq(key, "ID"))
		return take(vm->id, sizeof(vm->id), value);
	if (streq(key, "Mode"))
		return settings_mode_from_string(value, &vm->settings.mode);
	if (streq(key, "VCPUModes"))
		return settings_parse_vcpus(&vm->settings, value);
	if (!streq(key, "Used"))
		return 0; /* a later version may know it */
	r = conf_parse_uint(value, UINT64_MAX / USEC_PER_SEC, &sec);
	if (r >= 0)
		vm->used_usec = sec * USEC_PER_SEC;
	return r;
}

static int wrong(struct stored_vm *vm, unsigned int line, const char *what)
{
	if (line)
		snprintf(vm->error, sizeof(vm->error), "line %u: %.200s", line, what);
	else
		snprintf(vm->error, sizeof(vm->error), "%s", what);
	utf8_make_valid(vm->error);
	return -EBADMSG;
}

int stored_from_text(const char *text, struct stored_vm *vm)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *line, *equals;
	unsigned int number = 0;
	bool ended = false;
	int r;

	if (!copy)
		return -ENOMEM;
	vm->settings = SETTINGS_NONE;
	while ((line = strsep(&rest, "\n"))) {
		number++;
		if (!*line || *line == '#')
			continue;
		if (ended)
			return wrong(vm, number, "there is text after the last line, " END_LINE);
		/* The end of line is part of the mark. */
		if (streq(line, END_LINE) && rest) {
			ended = true;
			continue;
		}
		equals = strchr(line, '=');
		if (!equals || !rest)
			return wrong(vm, number,
				     rest ? "this is not KEY=VALUE" : "it is truncated");
		*equals = '\0';
		r = assign(vm, line, equals + 1);
		if (r == -ENOMEM)
			return r;
		*equals = '=';
		if (r < 0)
			return wrong(vm, number, line);
	}
	if (!ended)
		return wrong(vm, 0, "it is truncated: the last line, " END_LINE ", is missing");
	if (!vm->scope[0] || (!vm->uuid[0] && !vm->name[0]))
		return wrong(vm, 0, "Scope=, or both UUID= and Name=, are missing");
	return 0;
}

/* ---- the table ---- */

static void vm_free_stored(struct stored *s, struct stored_vm *vm)
{
	TAILQ_REMOVE(&s->vms, vm, list);
	s->n--;
	settings_done(&vm->settings);
	free(vm->file);
	free(vm);
}

static struct stored_vm *add(struct stored *s, const char *file)
{
	struct stored_vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->settings = SETTINGS_NONE;
	vm->file = strdup(file);
	if (!vm->file) {
		free(vm);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&s->vms, vm, list);
	s->n++;
	return vm;
}

struct stored_vm *stored_find_file(const struct stored *s, const char *file)
{
	struct stored_vm *vm;

	TAILQ_FOREACH(vm, &s->vms, list)
		if (streq(vm->file, file))
			return vm;
	return NULL;
}

bool stored_matches(const struct stored_vm *vm, const struct identity *i)
{
	return !vm->unread && !vm->forgotten && vm->scope[0] && streq(vm->scope, i->scope) &&
	       streq(vm->uuid, i->uuid) && (i->uuid[0] || streq(vm->name, i->name));
}

struct stored_vm *stored_find(const struct stored *s, const struct identity *i)
{
	struct stored_vm *vm;

	if (!identity_lasts(i))
		return NULL;
	TAILQ_FOREACH(vm, &s->vms, list)
		if (stored_matches(vm, i))
			return vm;
	return NULL;
}

const struct stored_list *stored_all(const struct stored *s)
{
	return &s->vms;
}

/* Makes a file name that no other VM has; a file that cannot be read is not replaced either. */
static void choose_file(const struct stored *s, const struct identity *i, char *buf, size_t size)
{
	char base[65];

	snprintf(base, sizeof(base), "%.64s", i->name[0] ? i->name : i->uuid);
	for (char *p = base; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && (*p != '.' || p == base))
			*p = '_';
	snprintf(buf, size, "%s" STORE_SUFFIX, base);
	for (unsigned int n = 2; stored_find_file(s, buf); n++)
		snprintf(buf, size, "%s-%u" STORE_SUFFIX, base, n);
}

/* ---- writing ---- */

static int write_vm(struct stored *s, const struct stored_vm *vm, const char *uuid, void *cookie)
{
	_cleanup_free_ struct write *w = calloc(1, sizeof(*w));
	_cleanup_free_ char *text = NULL;
	int r;

	if (!w)
		return -ENOMEM;
	snprintf(w->uuid, sizeof(w->uuid), "%s", uuid);
	w->cookie = cookie;
	if (!settings_empty(&vm->settings)) {
		r = stored_to_text(vm, &text);
		if (r < 0)
			return r;
	}
	r = store_write(s->store, vm->file, text, w);
	if (r >= 0)
		TAKE_PTR(w);
	return r;
}

/* The file of @vm was written, or it was removed if there is nothing to store. */
static void file_written(struct stored *s, struct stored_vm *vm, int error)
{
	if (error < 0)
		snprintf(vm->error, sizeof(vm->error), "not written: %s", strerror(-error));
	else if (!vm->unread)
		vm->error[0] = '\0';
	if (error >= 0 && !vm->unread && settings_empty(&vm->settings))
		vm_free_stored(s, vm);
}

/* The file of @vm was removed on request. */
static void file_removed(struct stored *s, struct stored_vm *vm, int error)
{
	vm->forgotten = false;
	if (error >= 0)
		vm_free_stored(s, vm);
}

static void on_written(const char *name, int error, void *cookie, void *userdata)
{
	_cleanup_free_ struct write *w = cookie;
	struct stored *s = userdata;
	struct stored_vm *vm = stored_find_file(s, name);
	char text[512] = "";

	if (error < 0) {
		snprintf(text, sizeof(text), "cannot %s %.200s/%.200s: %s",
			 w->removed ? "remove" : "write", s->dir, name, strerror(-error));
		log_warning("Settings of a VM are not %s: %s", w->removed ? "removed" : "stored",
			    text);
	}
	if (vm && w->removed)
		file_removed(s, vm, error);
	else if (vm)
		file_written(s, vm, error);
	if (w->removed)
		w->removed(error, text, w->cookie);
	else if (w->uuid[0] || w->cookie)
		s->ops->written(w->uuid, error, text, w->cookie, s->userdata);
	if (s->load_again && !store_is_busy(s->store))
		(void)stored_load(s);
}

static void describe(struct stored_vm *vm, const struct identity *i)
{
	snprintf(vm->scope, sizeof(vm->scope), "%s", i->scope);
	snprintf(vm->uuid, sizeof(vm->uuid), "%s", i->uuid);
	snprintf(vm->name, sizeof(vm->name), "%s", i->name);
	snprintf(vm->id, sizeof(vm->id), "%s", i->id);
	vm->used_usec = clock_usec(CLOCK_REALTIME);
}

int stored_put(struct stored *s, const struct identity *i, const struct settings *settings,
	       const char *uuid, void *cookie)
{
	_cleanup_(settings_done) struct settings copy = SETTINGS_NONE;
	struct stored_vm *vm = stored_find(s, i);
	char file[128];
	int r;

	if (!identity_lasts(i))
		return -EOPNOTSUPP;
	r = settings_copy(settings, &copy);
	if (r < 0)
		return r;
	if (!vm) {
		if (s->n >= STORE_FILES_MAX)
			return -ENOSPC;
		choose_file(s, i, file, sizeof(file));
		vm = add(s, file);
		if (!vm)
			return -ENOMEM;
	}
	settings_done(&vm->settings);
	vm->settings = copy;
	copy = SETTINGS_NONE;
	describe(vm, i);
	r = write_vm(s, vm, uuid, cookie);
	if (r < 0)
		snprintf(vm->error, sizeof(vm->error), "not written: %s", strerror(-r));
	return r;
}

void stored_seen(struct stored *s, const struct identity *i)
{
	struct stored_vm *vm = stored_find(s, i);
	uint64_t now_usec = clock_usec(CLOCK_REALTIME);

	/* Also if the clock was wrong when the file was written. */
	if (!vm || (vm->used_usec <= now_usec && now_usec - vm->used_usec < DAY_USEC))
		return;
	describe(vm, i);
	(void)write_vm(s, vm, "", NULL);
}

int stored_forget(struct stored *s, struct stored_vm *vm, stored_removed_fn fn, void *userdata)
{
	_cleanup_free_ struct write *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->removed = fn;
	w->cookie = userdata;
	r = store_write(s->store, vm->file, NULL, w);
	if (r < 0)
		return r;
	TAKE_PTR(w);
	vm->forgotten = true;
	return 0;
}

void stored_expire(struct stored *s, uint64_t now_usec)
{
	struct stored_vm *vm, *next;

	for (vm = TAILQ_FIRST(&s->vms); vm; vm = next) {
		next = TAILQ_NEXT(vm, list);
		if (vm->unread || vm->forgotten || vm->used_usec > now_usec ||
		    now_usec - vm->used_usec < UNUSED_MAX_USEC)
			continue;
		log_info("VM %s was not seen for a year: its settings, %s/%s, are removed",
			 vm->name[0] ? vm->name : vm->uuid, s->dir, vm->file);
		settings_done(&vm->settings);
		/* on_written() removes it from the table. */
		(void)write_vm(s, vm, "", NULL);
	}
}

/* ---- reading ---- */

static void on_file(const char *name, char *text, int error, void *userdata)
{
	struct stored *s = userdata;
	struct stored_vm *vm = add(s, name);
	const struct stored_vm *found;
	struct identity i = {};
	int r;

	if (!vm) {
		log_oom();
		return;
	}
	r = text ? stored_from_text(text, vm) : error;
	if (r >= 0) {
		strcpy(i.scope, vm->scope);
		strcpy(i.uuid, vm->uuid);
		strcpy(i.name, vm->name);
		found = stored_find(s, &i);
		if (!found || found == vm)
			return;
		snprintf(vm->error, sizeof(vm->error), "another file is for the same VM: %.200s",
			 found->file);
	} else if (r != -EBADMSG || !text) {
		snprintf(vm->error, sizeof(vm->error), "%s",
			 r == -EBADMSG ? "it is not text" : strerror(-r));
	}
	vm->unread = true;
	settings_done(&vm->settings);
	log_warning("Cannot use the stored settings in %s/%s, ignoring this file: %s", s->dir, name,
		    vm->error);
}

static void clear(struct stored *s)
{
	struct stored_vm *vm;

	while ((vm = TAILQ_FIRST(&s->vms)))
		vm_free_stored(s, vm);
}

int stored_load(struct stored *s)
{
	int r;

	s->load_again = store_is_busy(s->store);
	if (s->load_again)
		return 0;
	clear(s);
	r = store_read_all(s->store, on_file, s);
	if (r == -E2BIG)
		return log_errno(LOG_WARNING, r, "%s has more than %d files", s->dir,
				 STORE_FILES_MAX);
	if (r < 0)
		return log_errno(LOG_WARNING, r, "Cannot read the stored settings in %s", s->dir);
	return 0;
}

/* ---- start and end ---- */

static int on_daily(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct stored *s = userdata;
	int r;

	s->ops->daily(s->userdata);
	stored_expire(s, clock_usec(CLOCK_REALTIME));
	r = sd_event_source_set_time_relative(source, DAY_USEC);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int stored_new(sd_event *event, const char *dir, const struct stored_ops *ops, void *userdata,
	       struct stored **ret)
{
	_cleanup_(stored_freep) struct stored *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	TAILQ_INIT(&s->vms);
	s->ops = ops;
	s->userdata = userdata;
	s->dir = strdup(dir);
	if (!s->dir)
		return -ENOMEM;
	r = store_new(event, dir, on_written, s, &s->store);
	if (r < 0)
		return r;
	r = sd_event_add_time_relative(event, &s->timer, CLOCK_MONOTONIC, FIRST_DAILY_USEC, 0,
				       on_daily, s);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(s->timer, "stored-settings");
	*ret = TAKE_PTR(s);
	return 0;
}

struct stored *stored_free(struct stored *s)
{
	if (!s)
		return NULL;
	sd_event_source_disable_unref(s->timer);
	s->load_again = false;
	/* Delivers the last results, which need the table. */
	store_free(s->store);
	clear(s);
	free(s->dir);
	free(s);
	return NULL;
}
