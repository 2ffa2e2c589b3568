/* SPDX-License-Identifier: GPL-2.0 */
#include "stored-bus.h"

#include <errno.h>

#include "context.h"
#include "log.h"
#include "names.h"
#include "polkit.h"
#include "server.h"
#include "stored.h"
#include "utf8.h"
#include "vm.h"

/**
 * struct forget - a request, kept until polkit has decided
 * @file: whose file, as ListStored() shows it
 */
struct forget {
	struct server *server;
	char *file;
};

static bool is_running(struct registry *vms, const struct stored_vm *entry)
{
	const struct vm *vm;

	REGISTRY_FOREACH(vm, vms)
	if (vm->identity && stored_matches(entry, vm->identity))
		return true;
	return false;
}

/* ---- ListStored ---- */

static int append_stored(sd_bus_message *m, const struct stored_vm *entry, bool running)
{
	_cleanup_free_ char *vcpus = NULL, *file = strdup(entry->file);
	int r;

	r = settings_format_vcpus(&entry->settings, &vcpus);
	if (r < 0 || !file)
		return -ENOMEM;
	utf8_make_valid(file);
	return sd_bus_message_append(
		m, "a{sv}", 10, "File", "s", file, "Name", "s", entry->name, "ID", "s", entry->id,
		"UUID", "s", entry->uuid, "Scope", "s", entry->scope, "Mode", "s",
		settings_mode_to_string(entry->settings.mode), "VCPUModes", "s", vcpus, "Used", "t",
		entry->used_usec, "Running", "b", (int)running, "Error", "s", entry->error);
}

int stored_bus_list(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct server *s = userdata;
	const struct stored_vm *entry;
	int r;

	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	TAILQ_FOREACH(entry, stored_all(s->context->stored), list) {
		if (r < 0)
			break;
		r = append_stored(reply, entry, is_running(&s->context->vms, entry));
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* ---- ForgetStored ---- */

static void forget_free(void *userdata)
{
	struct forget *f = userdata;

	free(f->file);
	free(f);
}

static const char *label_of(const struct stored_vm *entry)
{
	return entry->name[0] ? entry->name : entry->uuid[0] ? entry->uuid : entry->file;
}

/* Finds the file @file; it must not be of a VM that runs. */
static int find(struct server *s, const char *file, struct stored_vm **ret, sd_bus_error *error)
{
	struct stored_vm *entry = stored_find_file(s->context->stored, file);
	char shown[65];

	if (!entry || entry->forgotten) {
		utf8_excerpt(file, shown, sizeof(shown));
		return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_SETTINGS,
					 "There are no stored settings in a file \"%s\"", shown);
	}
	if (is_running(&s->context->vms, entry))
		return sd_bus_error_setf(error, BUS_ERROR_VM_RUNS,
					 "VM %s runs: set its mode to default instead",
					 label_of(entry));
	*ret = entry;
	return 0;
}

static void on_removed(int failure, const char *text, void *userdata)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *request = userdata;
	int r;

	r = failure < 0 ? sd_bus_reply_method_errorf(request, BUS_ERROR_FAILED,
						     "The settings are still stored: %s", text)
			: sd_bus_reply_method_return(request, NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot answer, ignoring");
}

static int forget_allowed(sd_bus_message *request, uid_t uid, void *userdata, sd_bus_error *error)
{
	const struct forget *f = userdata;
	struct stored_vm *entry;
	int r;

	/* While polkit decided, the VM may have been started, or the file removed. */
	r = find(f->server, f->file, &entry, error);
	if (r < 0)
		return r;
	log_info("VM %s: user %u removes its stored settings, %s", label_of(entry),
		 (unsigned int)uid, f->file);
	r = stored_forget(f->server->context->stored, entry, on_removed, request);
	if (r < 0)
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "The settings are still stored: %s", strerror(-r));
	sd_bus_message_ref(request);
	return 1;
}

/* Asks polkit for permission; takes over @f. */
static int check(sd_bus_message *message, const struct stored_vm *entry, struct forget *f,
		 sd_bus_error *error)
{
	const struct polkit_detail details[] = {
		{ "polkit.message",
		  "Authentication is required to remove the stored settings of VM $(vm)" },
		{ "vm", label_of(entry) },
		{ "uuid", entry->uuid },
		{ "file", f->file },
		{},
	};

	return polkit_check(f->server->polkit, message, POLKIT_ACTION_MANAGE, details,
			    forget_allowed, f, forget_free, error);
}

int stored_bus_forget(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct server *s = userdata;
	struct stored_vm *entry;
	const char *file;
	struct forget *f;
	int r;

	r = sd_bus_message_read(message, "s", &file);
	if (r >= 0)
		r = find(s, file, &entry, error);
	if (r < 0)
		return r;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->server = s;
	f->file = strdup(file);
	if (!f->file) {
		forget_free(f);
		return -ENOMEM;
	}
	return check(message, entry, f, error);
}
