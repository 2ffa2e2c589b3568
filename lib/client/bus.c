// SPDX-License-Identifier: GPL-2.0
#include "bus.h"

#include <errno.h>
#include <string.h>

#include "format.h"
#include "names.h"
#include "polkit-agent.h"

/* A user may have to type a password. */
#define CHANGE_TIMEOUT_USEC (120ULL * 1000 * 1000)

/* An apfd that needs longer is not asked for what is only nice to know. */
#define PEEK_TIMEOUT_USEC (2ULL * 1000 * 1000)

/**
 * struct bus_failure - exit status and message for a D-Bus error
 * @name: D-Bus error name
 * @status: exit status
 * @cause: NULL for the error's own text
 * @remedy: what the user can do, NULL if unknown
 */
struct bus_failure {
	const char *name;
	int status;
	const char *cause;
	const char *remedy;
};

static const struct bus_failure failures[] = {
	{ BUS_ERROR_NO_SUCH_VM, STATUS_NO_SUCH_VM, NULL, "'apfctl list' shows all VMs" },
	{ BUS_ERROR_NO_SUCH_VCPU, STATUS_FAILED, NULL, "'apfctl status VM' shows its vCPUs" },
	{ BUS_ERROR_INVALID_STATE, STATUS_USAGE, NULL, "the states are off, pv and on" },
	{ BUS_ERROR_INVALID_MODE, STATUS_USAGE, NULL,
	  "the modes are auto, on, pv, off and default" },
	{ BUS_ERROR_INVALID_CONFIG, STATUS_FAILED, NULL,
	  "the last good configuration stays in effect" },
	{ BUS_ERROR_NO_HOST_MODULE, STATUS_MISSING, "apf_host is not loaded", "modprobe apf_host" },
	{ BUS_ERROR_NOT_WATCHED, STATUS_FAILED, NULL,
	  "the VM must be a running KVM guest; if it is starting, try again" },
	{ BUS_ERROR_NO_SUCH_SETTINGS, STATUS_NO_SUCH_VM, NULL,
	  "'apfctl list --stored' shows all stored settings" },
	{ BUS_ERROR_VM_RUNS, STATUS_FAILED, NULL, "'apfctl set VM default --persistent'" },
	{ BUS_ERROR_NO_ROOM, STATUS_FAILED, NULL, "free memory, or raise the limit, first" },
	{ BUS_ERROR_BUSY, STATUS_FAILED, NULL, NULL },
	{ BUS_ERROR_FAILED, STATUS_FAILED, NULL, "see 'journalctl -u apfd'" },
	{ SD_BUS_ERROR_INVALID_ARGS, STATUS_FAILED, NULL,
	  "are apfd and apfctl of the same version?" },
	{ SD_BUS_ERROR_LIMITS_EXCEEDED, STATUS_FAILED, NULL, "try again" },
	{ SD_BUS_ERROR_ACCESS_DENIED, STATUS_NOT_ALLOWED, NULL,
	  "run it as root, or let polkit allow you " POLKIT_ACTION_MANAGE },
	{ SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, STATUS_NOT_ALLOWED, NULL,
	  "run it as root, or on a terminal without --no-ask-password" },
	{ SD_BUS_ERROR_SERVICE_UNKNOWN, STATUS_MISSING, "apfd is not running",
	  "systemctl start apfd" },
	{ SD_BUS_ERROR_NAME_HAS_NO_OWNER, STATUS_MISSING, "apfd is not running",
	  "systemctl start apfd" },
	{ "org.freedesktop.systemd1.NoSuchUnit", STATUS_MISSING, "apfd is not installed",
	  "install it, then systemctl start apfd" },
	{ "org.freedesktop.systemd1.UnitMasked", STATUS_MISSING, "apfd is masked",
	  "systemctl unmask apfd" },
	{ "org.freedesktop.systemd1.LoadFailed", STATUS_MISSING, NULL,
	  "see 'systemctl status apfd'" },
	{ SD_BUS_ERROR_UNKNOWN_OBJECT, STATUS_NO_SUCH_VM, "the VM has ended",
	  "'apfctl list' shows all VMs" },
	{ SD_BUS_ERROR_NO_REPLY, STATUS_FAILED, "apfd did not answer", "see 'journalctl -u apfd'" },
	{ SD_BUS_ERROR_TIMEOUT, STATUS_FAILED, "apfd did not answer in time",
	  "see 'journalctl -u apfd'" },
	{ SD_BUS_ERROR_DISCONNECTED, STATUS_MISSING, "the system bus closed the connection",
	  "is D-Bus running?" },
	{ "System.Error.ENOTCONN", STATUS_MISSING, "the system bus closed the connection",
	  "is D-Bus running?" },
	{ "System.Error.ECONNRESET", STATUS_MISSING, "the system bus closed the connection",
	  "is D-Bus running?" },
	{ SD_BUS_ERROR_UNKNOWN_METHOD, STATUS_FAILED, "apfd does not support this",
	  "are apfd and apfctl of the same version?" },
	{ SD_BUS_ERROR_UNKNOWN_PROPERTY, STATUS_FAILED, NULL,
	  "are apfd and apfctl of the same version?" },
	{ SD_BUS_ERROR_UNKNOWN_INTERFACE, STATUS_FAILED, "apfd does not support this",
	  "are apfd and apfctl of the same version?" },
};

/* True if the connection to the bus ended, which does not mean that apfd ended. */
static bool is_disconnection(const char *name)
{
	static const char *const names[] = { SD_BUS_ERROR_DISCONNECTED, "System.Error.ENOTCONN",
					     "System.Error.ECONNRESET" };

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static const struct bus_failure *failure_find(const struct client *client, const char *name,
					      const char *subject)
{
	static const struct bus_failure unknown = { NULL, STATUS_FAILED, NULL, NULL };
	/* The bus could not start the service. */
	static const struct bus_failure spawn = { NULL, STATUS_MISSING, "apfd could not be started",
						  "see 'systemctl status apfd'" };
	static const struct bus_failure remote = { NULL, STATUS_MISSING,
						   "the connection to the host ended",
						   "does 'ssh HOST systemd-stdio-bridge' work?" };
	/* The other changes have another action of polkit. */
	static const struct bus_failure recall = {
		NULL, STATUS_NOT_ALLOWED, NULL,
		"run it as root, or let polkit allow you " POLKIT_ACTION_RECALL
	};

	/* UnknownObject means "the VM has ended" only if the call was about a VM. */
	if (name && strcmp(name, SD_BUS_ERROR_UNKNOWN_OBJECT) == 0 && subject[0] == '\0')
		return &unknown;
	if (name && strcmp(name, SD_BUS_ERROR_ACCESS_DENIED) == 0 &&
	    strcmp(client->task, "recall") == 0)
		return &recall;
	for (size_t i = 0; i < ELEMENTSOF(failures); i++) {
		if (!name || strcmp(failures[i].name, name) != 0)
			continue;
		return client->host && is_disconnection(name) ? &remote : &failures[i];
	}
	if (name && strncmp(name, "org.freedesktop.DBus.Error.Spawn.", 33) == 0)
		return &spawn;
	return &unknown;
}

int bus_fail_call(struct client *client, const char *subject, const sd_bus_error *error, int r)
{
	const struct bus_failure *failure = failure_find(client, error->name, subject);
	const char *text = failure->cause ?: error->message ?: strerror(-r);
	_cleanup_free_ char *cause = text_printable(text);
	_cleanup_free_ char *name = text_printable(subject);
	const char *separator = "; ";
	size_t len;

	if (!cause || !name)
		return status_fail(STATUS_FAILED, "out of memory");

	/* The message continues after apfd's sentence: remove the full stop. */
	len = strlen(cause);
	while (len > 0 && (cause[len - 1] == '.' || cause[len - 1] == '\n'))
		cause[--len] = '\0';
	/* "... did you mean web1? 'apfctl list' ..." */
	if (len > 0 && cause[len - 1] == '?')
		separator = " ";
	return status_fail(failure->status, "%s%s%s: %s%s%s", client->task, name[0] ? " " : "",
			   name, cause, failure->remedy ? separator : "", failure->remedy ?: "");
}

int bus_fail_message(struct client *client, const char *subject, const char *bad, int r)
{
	if (r == -EBADMSG && bad)
		return status_fail(STATUS_FAILED,
				   "%s: '%s' is missing or wrong in apfd's data about %s; "
				   "are apfd and apfctl (%s) of the same version?",
				   client->task, bad, subject, APF_VERSION);
	return status_fail(STATUS_FAILED, "%s: cannot read apfd's data about %s: %s", client->task,
			   subject, strerror(-r));
}

int bus_open(struct client *client)
{
	int r;

	if (client->bus)
		return STATUS_OK;
	if (client->host)
		r = sd_bus_open_system_remote(&client->bus, client->host);
	else
		r = sd_bus_open_system(&client->bus);
	if (r < 0 && client->host)
		return status_fail(r == -EINVAL ? STATUS_USAGE : STATUS_MISSING,
				   "%s: cannot reach the host: %s", client->task,
				   r == -EINVAL ? "not a valid host name" : strerror(-r));
	if (r < 0)
		return status_fail(r == -EACCES || r == -EPERM ? STATUS_NOT_ALLOWED
							       : STATUS_MISSING,
				   "%s: cannot reach the system bus: %s; is D-Bus running?",
				   client->task, strerror(-r));
	return STATUS_OK;
}

/* Creates a call to apfd; the caller appends arguments. */
static int new_call(struct client *client, const char *path, const char *interface,
		    const char *member, sd_bus_message **ret_m)
{
	int r, status;

	status = bus_open(client);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_new_method_call(client->bus, ret_m, BUS_NAME, path, interface, member);
	if (r < 0)
		return status_fail(STATUS_FAILED, "%s: cannot make a D-Bus message: %s",
				   client->task, strerror(-r));
	return STATUS_OK;
}

static int call(struct client *client, sd_bus_message *m, const char *subject,
		uint64_t timeout_usec, sd_bus_message **ret_reply)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call(client->bus, m, timeout_usec, &error, ret_reply);
	if (r < 0)
		return bus_fail_call(client, subject, &error, r);
	return STATUS_OK;
}

int bus_find_vm(struct client *client, const char *vm, char **ret_path)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *path;
	int r, status;

	status = new_call(client, BUS_PATH_ROOT, BUS_INTERFACE_MANAGER, "GetVM", &m);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_append(m, "s", vm);
	if (r == -EINVAL)
		return status_fail(STATUS_USAGE, "%s: the VM's name is not UTF-8", client->task);
	if (r < 0)
		return status_fail(STATUS_FAILED, "%s: cannot make a D-Bus message: %s",
				   client->task, strerror(-r));
	status = call(client, m, vm, 0, &reply);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return bus_fail_message(client, "the VM", NULL, r);
	*ret_path = strdup(path);
	if (!*ret_path)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}

static int new_get_all(struct client *client, const char *path, const char *interface,
		       sd_bus_message **ret_m)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r, status;

	status = new_call(client, path, "org.freedesktop.DBus.Properties", "GetAll", &m);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_append(m, "s", interface);
	if (r < 0)
		return status_fail(STATUS_FAILED, "%s: cannot make a D-Bus message: %s",
				   client->task, strerror(-r));
	*ret_m = TAKE_PTR(m);
	return STATUS_OK;
}

static int get_all(struct client *client, const char *path, const char *interface,
		   const char *subject, sd_bus_message **ret_reply)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int status;

	status = new_get_all(client, path, interface, &m);
	return status == STATUS_OK ? call(client, m, subject, 0, ret_reply) : status;
}

static int take_host(struct client *client, sd_bus_message *reply, struct host *host)
{
	const char *bad = NULL;
	int r = host_read(reply, host, &bad);

	return r < 0 ? bus_fail_message(client, "the host", bad, r) : STATUS_OK;
}

int bus_read_host(struct client *client, struct host *host)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int status;

	status = get_all(client, BUS_PATH_ROOT, BUS_INTERFACE_MANAGER, "", &reply);
	return status == STATUS_OK ? take_host(client, reply, host) : status;
}

int bus_peek_host(struct client *client, struct host *host)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	int r, status;

	status = new_get_all(client, BUS_PATH_ROOT, BUS_INTERFACE_MANAGER, &m);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_set_auto_start(m, false);
	if (r < 0)
		return status_fail(STATUS_FAILED, "%s: cannot make a D-Bus message: %s",
				   client->task, strerror(-r));
	status = call(client, m, "", PEEK_TIMEOUT_USEC, &reply);
	return status == STATUS_OK ? take_host(client, reply, host) : status;
}

int bus_new_list(sd_bus *bus, bool is_old, sd_bus_message **ret_m)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (is_old)
		return sd_bus_message_new_method_call(bus, ret_m, BUS_NAME, BUS_PATH_ROOT,
						      "org.freedesktop.DBus.ObjectManager",
						      "GetManagedObjects");
	r = sd_bus_message_new_method_call(bus, &m, BUS_NAME, BUS_PATH_ROOT, BUS_INTERFACE_MANAGER,
					   "ListVMs");
	/* No names: all properties. */
	if (r >= 0)
		r = sd_bus_message_append(m, "as", 0);
	if (r >= 0)
		*ret_m = TAKE_PTR(m);
	return r;
}

bool bus_list_is_old(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD) > 0;
}

static int call_list(struct client *client, bool is_old, sd_bus_message **ret_reply)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = bus_new_list(client->bus, is_old, &m);
	if (r < 0)
		return status_fail(STATUS_FAILED, "%s: cannot make a D-Bus message: %s",
				   client->task, strerror(-r));
	r = sd_bus_call(client->bus, m, 0, &error, ret_reply);
	if (r >= 0)
		return STATUS_OK;
	if (!is_old && bus_list_is_old(&error))
		return call_list(client, true, ret_reply);
	return bus_fail_call(client, "", &error, r);
}

int bus_read_vms(struct client *client, struct vm_list *list)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = bus_open(client);
	if (status == STATUS_OK)
		status = call_list(client, false, &reply);
	if (status != STATUS_OK)
		return status;
	r = vm_list_read(reply, list, &bad);
	if (r < 0)
		return bus_fail_message(client, "a VM", bad, r);
	return STATUS_OK;
}

int bus_list_stored(struct client *client, struct stored_rows *rows)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = new_call(client, BUS_PATH_ROOT, BUS_INTERFACE_MANAGER, "ListStored", &m);
	if (status == STATUS_OK)
		status = call(client, m, "", 0, &reply);
	if (status != STATUS_OK)
		return status;
	r = stored_rows_read(reply, rows, &bad);
	if (r < 0)
		return bus_fail_message(client, "the stored settings", bad, r);
	return STATUS_OK;
}

int bus_read_vm(struct client *client, const char *name, const char *path, struct vm *vm)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = get_all(client, path, BUS_INTERFACE_VM, name, &reply);
	if (status != STATUS_OK)
		return status;
	r = vm_read(reply, vm, &bad);
	if (r < 0)
		return bus_fail_message(client, "the VM", bad, r);
	return STATUS_OK;
}

int bus_read_vcpus(struct client *client, const char *name, const char *path,
		   struct vcpu_array *vcpus, bool *ret_available)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	const char *bad = NULL;
	int r, status;

	status = new_call(client, path, BUS_INTERFACE_VM, "GetVCPUs", &m);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_call(client->bus, m, 0, &error, &reply);
	if (r < 0 && (sd_bus_error_has_name(&error, BUS_ERROR_NO_HOST_MODULE) ||
		      sd_bus_error_has_name(&error, BUS_ERROR_NOT_WATCHED))) {
		*ret_available = false;
		return STATUS_OK;
	}
	if (r < 0)
		return bus_fail_call(client, name, &error, r);
	r = vcpu_array_read(reply, vcpus, &bad);
	if (r < 0)
		return bus_fail_message(client, "the vCPUs", bad, r);
	*ret_available = true;
	return STATUS_OK;
}

int bus_diagnose(struct client *client, const char *subject, const char *path,
		 const char *interface, struct check_list *list)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = new_call(client, path, interface, "Diagnose", &m);
	if (status == STATUS_OK)
		status = call(client, m, subject, 0, &reply);
	if (status != STATUS_OK)
		return status;
	r = check_list_read(reply, list, &bad);
	if (r < 0)
		return bus_fail_message(client, "the checks", bad, r);
	return STATUS_OK;
}

static int append_vcpus(sd_bus_message *m, const struct vcpu_list *vcpus)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "u");
	if (r < 0)
		return r;
	for (uint32_t i = 0; i <= VCPU_INDEX_MAX; i++) {
		if (!vcpus->member[i])
			continue;
		r = sd_bus_message_append_basic(m, 'u', &i);
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(m);
}

/* What the user wants to change, as "web1 --vcpu 0,2-3"; the caller frees it. */
static char *describe_target(const struct mode_change *change, const char *name)
{
	_cleanup_free_ char *list = NULL;
	char *text = NULL;

	if (change->vcpus->n == 0)
		return strdup(name);
	list = vcpu_list_format(change->vcpus);
	if (!list || asprintf(&text, "%s --vcpu %s", name, list) < 0)
		return NULL;
	return text;
}

/* Calls a method of a VM that has no arguments and returns aa{sv}. */
static int read_array(struct client *client, const char *name, const char *path, const char *method,
		      sd_bus_message **ret_reply)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int status;

	status = new_call(client, path, BUS_INTERFACE_VM, method, &m);
	return status == STATUS_OK ? call(client, m, name, 0, ret_reply) : status;
}

int bus_read_explanations(struct client *client, const char *name, const char *path,
			  struct explanations *explanations)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = read_array(client, name, path, "Explain", &reply);
	if (status != STATUS_OK)
		return status;
	r = explanations_read(reply, explanations, &bad);
	return r < 0 ? bus_fail_message(client, "the reasons", bad, r) : STATUS_OK;
}

int bus_read_decisions(struct client *client, const char *name, const char *path,
		       struct decisions *decisions)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = read_array(client, name, path, "History", &reply);
	if (status != STATUS_OK)
		return status;
	r = decisions_read(reply, decisions, &bad);
	return r < 0 ? bus_fail_message(client, "the decisions", bad, r) : STATUS_OK;
}

int bus_reload(struct client *client)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *lines = NULL;
	int r, status;

	status = new_call(client, BUS_PATH_ROOT, BUS_INTERFACE_MANAGER, "Reload", &m);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_set_allow_interactive_authorization(m, client->ask_password);
	if (r < 0)
		return status_fail(STATUS_FAILED, "%s: cannot make a D-Bus message: %s",
				   client->task, strerror(-r));
	polkit_agent_start(client);
	r = sd_bus_call(client->bus, m, CHANGE_TIMEOUT_USEC, &error, &reply);
	if (r >= 0)
		return STATUS_OK;
	if (!sd_bus_error_has_name(&error, BUS_ERROR_INVALID_CONFIG))
		return bus_fail_call(client, "", &error, r);
	/* The configuration may be wrong in more than one line. */
	lines = text_lines(error.message ?: "");
	return status_fail(STATUS_FAILED,
			   "%s: the configuration is wrong; the last good one stays in effect:%s",
			   client->task, lines ?: "");
}

int bus_forget(struct client *client, const char *name, const char *file)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r, status;

	status = new_call(client, BUS_PATH_ROOT, BUS_INTERFACE_MANAGER, "ForgetStored", &m);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_append(m, "s", file);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(m, client->ask_password);
	if (r < 0)
		return status_fail(STATUS_FAILED, "%s: cannot make a D-Bus message: %s",
				   client->task, strerror(-r));
	polkit_agent_start(client);
	r = sd_bus_call(client->bus, m, CHANGE_TIMEOUT_USEC, &error, &reply);
	return r < 0 ? bus_fail_call(client, name, &error, r) : STATUS_OK;
}

static bool is_state(const char *mode)
{
	return strcmp(mode, NAME_OFF) == 0 || strcmp(mode, NAME_PV) == 0 ||
	       strcmp(mode, NAME_ON) == 0;
}

int bus_new_set_mode(struct client *client, const char *path, const struct mode_change *change,
		     sd_bus_message **ret_m)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	/* SetState() does the same as SetMode() here, and an old apfd without modes has it, too. */
	bool plain = is_state(change->mode) && !change->persistent;
	int r, status;

	status = new_call(client, path, BUS_INTERFACE_VM, plain ? "SetState" : "SetMode", &m);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_append(m, "s", change->mode);
	if (r >= 0)
		r = append_vcpus(m, change->vcpus);
	if (r >= 0 && !plain)
		r = sd_bus_message_append(m, "b", (int)change->persistent);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(m, client->ask_password);
	if (r < 0)
		return status_fail(STATUS_FAILED, "%s: cannot make a D-Bus message: %s",
				   client->task, strerror(-r));
	*ret_m = TAKE_PTR(m);
	return STATUS_OK;
}

int bus_set_mode(struct client *client, const char *name, const char *path,
		 const struct mode_change *change)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_free_ char *target = describe_target(change, name);
	int status;

	if (!target)
		return status_fail(STATUS_FAILED, "out of memory");
	status = bus_new_set_mode(client, path, change, &m);
	if (status != STATUS_OK)
		return status;
	polkit_agent_start(client);
	return call(client, m, target, CHANGE_TIMEOUT_USEC, &reply);
}

static int new_recall(struct client *client, const char *path, uint64_t rate_bytes,
		      sd_bus_message **ret_m)
{
	int r, status;

	status = new_call(client, path, BUS_INTERFACE_VM, "Recall", ret_m);
	if (status != STATUS_OK)
		return status;
	if (rate_bytes)
		r = sd_bus_message_append(*ret_m, "a{sv}", 1, "RatePerSec", "t", rate_bytes);
	else
		r = sd_bus_message_append(*ret_m, "a{sv}", 0);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(*ret_m,
								       client->ask_password);
	return r < 0 ? status_fail(STATUS_FAILED, "%s: cannot make a D-Bus message: %s",
				   client->task, strerror(-r))
		     : STATUS_OK;
}

int bus_recall(struct client *client, const char *name, const char *path, uint64_t rate_bytes,
	       char **ret_path)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *recall;
	int r, status;

	status = new_recall(client, path, rate_bytes, &m);
	if (status != STATUS_OK)
		return status;
	polkit_agent_start(client);
	status = call(client, m, name, CHANGE_TIMEOUT_USEC, &reply);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_read(reply, "o", &recall);
	if (r < 0)
		return bus_fail_message(client, "the recall", NULL, r);
	*ret_path = strdup(recall);
	return *ret_path ? STATUS_OK : status_fail(STATUS_FAILED, "out of memory");
}

int bus_cancel_recall(struct client *client, const char *name, const char *path)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r, status;

	status = new_call(client, path, BUS_INTERFACE_RECALL, "Cancel", &m);
	if (status != STATUS_OK)
		return status;
	r = sd_bus_message_set_allow_interactive_authorization(m, client->ask_password);
	if (r >= 0)
		r = sd_bus_call(client->bus, m, CHANGE_TIMEOUT_USEC, &error, &reply);
	/* It has just ended. */
	if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
		return STATUS_OK;
	return r < 0 ? bus_fail_call(client, name, &error, r) : STATUS_OK;
}

bool bus_recall_is_there(struct client *client, const char *path)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *state = NULL;
	int r;

	r = sd_bus_get_property_string(client->bus, BUS_NAME, path, BUS_INTERFACE_RECALL, "State",
				       &error, &state);
	return r >= 0 || !(sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
			   sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_METHOD) ||
			   sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_INTERFACE) ||
			   sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_PROPERTY));
}
