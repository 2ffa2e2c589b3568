// SPDX-License-Identifier: GPL-2.0
#include "bus.h"

#include <errno.h>
#include <string.h>

#include "format.h"
#include "polkit-agent.h"
#include "verb.h"

/* Someone may have to find and type a password. */
#define CHANGE_TIMEOUT_USEC (120ULL * 1000 * 1000)

#define INVALID_CONFIG "org.apfd.Error.InvalidConfig"

/**
 * struct bus_failure - what a D-Bus error means to the user
 * @name: of the error
 * @status: exit status
 * @cause: NULL for the error's own text
 * @remedy: what to do, NULL if nothing is known
 */
struct bus_failure {
	const char *name;
	int status;
	const char *cause;
	const char *remedy;
};

static const struct bus_failure failures[] = {
	{ "org.apfd.Error.NoSuchVM", APFCTL_NO_SUCH_VM, NULL, "'apfctl list' shows all VMs" },
	{ "org.apfd.Error.NoSuchVCPU", APFCTL_FAILED, NULL, "'apfctl status VM' shows its vCPUs" },
	{ "org.apfd.Error.InvalidState", APFCTL_USAGE, NULL, "the states are off, pv and on" },
	{ "org.apfd.Error.InvalidMode", APFCTL_USAGE, NULL,
	  "the modes are auto, on, pv, off and default" },
	{ INVALID_CONFIG, APFCTL_FAILED, NULL, "the last good configuration still holds" },
	{ "org.apfd.Error.NoHostModule", APFCTL_MISSING, "apf_host is not loaded",
	  "modprobe apf_host" },
	{ "org.apfd.Error.NotWatched", APFCTL_FAILED, NULL,
	  "it must be a KVM guest that is up; try again if it is just starting" },
	{ "org.apfd.Error.Failed", APFCTL_FAILED, NULL, "see 'journalctl -u apfd'" },
	{ SD_BUS_ERROR_LIMITS_EXCEEDED, APFCTL_FAILED, NULL, "try again" },
	{ SD_BUS_ERROR_ACCESS_DENIED, APFCTL_NOT_ALLOWED, NULL,
	  "run it as root, or let polkit allow you org.apfd.manage" },
	{ SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, APFCTL_NOT_ALLOWED, NULL,
	  "run it as root, or on a terminal without --no-ask-password" },
	{ SD_BUS_ERROR_SERVICE_UNKNOWN, APFCTL_MISSING, "apfd is not running",
	  "systemctl start apfd" },
	{ SD_BUS_ERROR_NAME_HAS_NO_OWNER, APFCTL_MISSING, "apfd is not running",
	  "systemctl start apfd" },
	{ "org.freedesktop.systemd1.NoSuchUnit", APFCTL_MISSING, "apfd is not installed",
	  "install it, then systemctl start apfd" },
	{ "org.freedesktop.systemd1.UnitMasked", APFCTL_MISSING, "apfd is masked",
	  "systemctl unmask apfd" },
	{ "org.freedesktop.systemd1.LoadFailed", APFCTL_MISSING, NULL,
	  "see 'systemctl status apfd'" },
	{ SD_BUS_ERROR_UNKNOWN_OBJECT, APFCTL_NO_SUCH_VM, "the VM has ended",
	  "'apfctl list' shows all VMs" },
	{ SD_BUS_ERROR_NO_REPLY, APFCTL_FAILED, "apfd did not answer", "see 'journalctl -u apfd'" },
	{ SD_BUS_ERROR_TIMEOUT, APFCTL_FAILED, "apfd did not answer in time",
	  "see 'journalctl -u apfd'" },
	{ SD_BUS_ERROR_DISCONNECTED, APFCTL_MISSING, "the system bus closed the connection",
	  "is D-Bus running?" },
	{ "System.Error.ENOTCONN", APFCTL_MISSING, "the system bus closed the connection",
	  "is D-Bus running?" },
	{ "System.Error.ECONNRESET", APFCTL_MISSING, "the system bus closed the connection",
	  "is D-Bus running?" },
	{ SD_BUS_ERROR_UNKNOWN_METHOD, APFCTL_FAILED, "apfd does not know this",
	  "are apfd and apfctl of the same version?" },
	{ SD_BUS_ERROR_UNKNOWN_INTERFACE, APFCTL_FAILED, "apfd does not know this",
	  "are apfd and apfctl of the same version?" },
};

/* Not apfd has gone, but the way to it. */
static bool is_disconnection(const char *name)
{
	static const char *const names[] = { SD_BUS_ERROR_DISCONNECTED, "System.Error.ENOTCONN",
					     "System.Error.ECONNRESET" };

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static const struct bus_failure *failure_find(const struct apfctl *ctl, const char *name,
					      const char *subject)
{
	static const struct bus_failure unknown = { NULL, APFCTL_FAILED, NULL, NULL };
	/* What the bus says when it could not start the service for us. */
	static const struct bus_failure spawn = { NULL, APFCTL_MISSING, "apfd could not be started",
						  "see 'systemctl status apfd'" };
	static const struct bus_failure remote = { NULL, APFCTL_MISSING,
						   "the connection to the host ended",
						   "does 'ssh HOST systemd-stdio-bridge' work?" };

	/* An object that is gone is a VM only if the call was about one. */
	if (name && strcmp(name, SD_BUS_ERROR_UNKNOWN_OBJECT) == 0 && subject[0] == '\0')
		return &unknown;
	for (size_t i = 0; i < ELEMENTSOF(failures); i++) {
		if (!name || strcmp(failures[i].name, name) != 0)
			continue;
		return ctl->host && is_disconnection(name) ? &remote : &failures[i];
	}
	if (name && strncmp(name, "org.freedesktop.DBus.Error.Spawn.", 33) == 0)
		return &spawn;
	return &unknown;
}

int bus_fail_call(struct apfctl *ctl, const char *subject, const sd_bus_error *error, int r)
{
	const struct bus_failure *failure = failure_find(ctl, error->name, subject);
	const char *text = failure->cause ?: error->message ?: strerror(-r);
	_cleanup_free_ char *cause = text_printable(text);
	_cleanup_free_ char *what = text_printable(subject);
	const char *separator = "; ";
	size_t len;

	if (!cause || !what)
		return apfctl_fail(APFCTL_FAILED, "out of memory");

	/* The daemon's sentence becomes a part of ours. */
	len = strlen(cause);
	while (len > 0 && (cause[len - 1] == '.' || cause[len - 1] == '\n'))
		cause[--len] = '\0';
	/* "... did you mean web1? 'apfctl list' ..." */
	if (len > 0 && cause[len - 1] == '?')
		separator = " ";
	return apfctl_fail(failure->status, "%s%s%s: %s%s%s", ctl->verb->name, what[0] ? " " : "",
			   what, cause, failure->remedy ? separator : "", failure->remedy ?: "");
}

int bus_fail_message(struct apfctl *ctl, const char *what, const char *bad, int r)
{
	if (r == -EBADMSG && bad)
		return apfctl_fail(APFCTL_FAILED,
				   "%s: apfd does not tell '%s' of %s as expected; "
				   "are apfd and apfctl (%s) of the same version?",
				   ctl->verb->name, bad, what, APF_VERSION);
	return apfctl_fail(APFCTL_FAILED, "%s: cannot read what apfd tells of %s: %s",
			   ctl->verb->name, what, strerror(-r));
}

int bus_open(struct apfctl *ctl)
{
	int r;

	if (ctl->bus)
		return APFCTL_OK;
	if (ctl->host)
		r = sd_bus_open_system_remote(&ctl->bus, ctl->host);
	else
		r = sd_bus_open_system(&ctl->bus);
	if (r < 0 && ctl->host)
		return apfctl_fail(r == -EINVAL ? APFCTL_USAGE : APFCTL_MISSING,
				   "%s: cannot reach the host: %s", ctl->verb->name,
				   r == -EINVAL ? "no host is called that" : strerror(-r));
	if (r < 0)
		return apfctl_fail(r == -EACCES || r == -EPERM ? APFCTL_NOT_ALLOWED
							       : APFCTL_MISSING,
				   "%s: cannot reach the system bus: %s; is D-Bus running?",
				   ctl->verb->name, strerror(-r));
	return APFCTL_OK;
}

/* Makes a call to apfd; the caller appends arguments. */
static int new_call(struct apfctl *ctl, const char *path, const char *interface, const char *member,
		    sd_bus_message **ret_m)
{
	int r, status;

	status = bus_open(ctl);
	if (status != APFCTL_OK)
		return status;
	r = sd_bus_message_new_method_call(ctl->bus, ret_m, BUS_NAME, path, interface, member);
	if (r < 0)
		return apfctl_fail(APFCTL_FAILED, "%s: cannot make a D-Bus message: %s",
				   ctl->verb->name, strerror(-r));
	return APFCTL_OK;
}

static int call(struct apfctl *ctl, sd_bus_message *m, const char *subject, uint64_t timeout_usec,
		sd_bus_message **ret_reply)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call(ctl->bus, m, timeout_usec, &error, ret_reply);
	if (r < 0)
		return bus_fail_call(ctl, subject, &error, r);
	return APFCTL_OK;
}

int bus_find_vm(struct apfctl *ctl, const char *vm, char **ret_path)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *path;
	int r, status;

	status = new_call(ctl, MANAGER_PATH, MANAGER_INTERFACE, "GetVM", &m);
	if (status != APFCTL_OK)
		return status;
	r = sd_bus_message_append(m, "s", vm);
	if (r == -EINVAL)
		return apfctl_fail(APFCTL_USAGE, "%s: the VM's name is not UTF-8", ctl->verb->name);
	if (r < 0)
		return apfctl_fail(APFCTL_FAILED, "%s: cannot make a D-Bus message: %s",
				   ctl->verb->name, strerror(-r));
	status = call(ctl, m, vm, 0, &reply);
	if (status != APFCTL_OK)
		return status;
	r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return bus_fail_message(ctl, "the VM", NULL, r);
	*ret_path = strdup(path);
	if (!*ret_path)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	return APFCTL_OK;
}

static int get_all(struct apfctl *ctl, const char *path, const char *interface, const char *subject,
		   sd_bus_message **ret_reply)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r, status;

	status = new_call(ctl, path, "org.freedesktop.DBus.Properties", "GetAll", &m);
	if (status != APFCTL_OK)
		return status;
	r = sd_bus_message_append(m, "s", interface);
	if (r < 0)
		return apfctl_fail(APFCTL_FAILED, "%s: cannot make a D-Bus message: %s",
				   ctl->verb->name, strerror(-r));
	return call(ctl, m, subject, 0, ret_reply);
}

int bus_read_host(struct apfctl *ctl, struct host *host)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = get_all(ctl, MANAGER_PATH, MANAGER_INTERFACE, "", &reply);
	if (status != APFCTL_OK)
		return status;
	r = host_read(reply, host, &bad);
	if (r < 0)
		return bus_fail_message(ctl, "the host", bad, r);
	return APFCTL_OK;
}

int bus_read_vms(struct apfctl *ctl, struct vm_list *list)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = new_call(ctl, MANAGER_PATH, "org.freedesktop.DBus.ObjectManager",
			  "GetManagedObjects", &m);
	if (status != APFCTL_OK)
		return status;
	status = call(ctl, m, "", 0, &reply);
	if (status != APFCTL_OK)
		return status;
	r = vm_list_read(reply, list, &bad);
	if (r < 0)
		return bus_fail_message(ctl, "a VM", bad, r);
	return APFCTL_OK;
}

int bus_read_vm(struct apfctl *ctl, const char *name, const char *path, struct vm *vm)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = get_all(ctl, path, VM_INTERFACE, name, &reply);
	if (status != APFCTL_OK)
		return status;
	r = vm_read(reply, vm, &bad);
	if (r < 0)
		return bus_fail_message(ctl, "the VM", bad, r);
	return APFCTL_OK;
}

int bus_read_vcpus(struct apfctl *ctl, const char *name, const char *path, struct vcpu_array *vcpus,
		   bool *ret_available)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	const char *bad = NULL;
	int r, status;

	status = new_call(ctl, path, VM_INTERFACE, "GetVCPUs", &m);
	if (status != APFCTL_OK)
		return status;
	r = sd_bus_call(ctl->bus, m, 0, &error, &reply);
	if (r < 0 && (sd_bus_error_has_name(&error, "org.apfd.Error.NoHostModule") ||
		      sd_bus_error_has_name(&error, "org.apfd.Error.NotWatched"))) {
		*ret_available = false;
		return APFCTL_OK;
	}
	if (r < 0)
		return bus_fail_call(ctl, name, &error, r);
	r = vcpu_array_read(reply, vcpus, &bad);
	if (r < 0)
		return bus_fail_message(ctl, "the vCPUs", bad, r);
	*ret_available = true;
	return APFCTL_OK;
}

int bus_diagnose(struct apfctl *ctl, const char *subject, const char *path, const char *interface,
		 struct check_list *list)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = new_call(ctl, path, interface, "Diagnose", &m);
	if (status == APFCTL_OK)
		status = call(ctl, m, subject, 0, &reply);
	if (status != APFCTL_OK)
		return status;
	r = check_list_read(reply, list, &bad);
	if (r < 0)
		return bus_fail_message(ctl, "the checks", bad, r);
	return APFCTL_OK;
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

/* "web1 --vcpu 0,2-3": what the user asked for, to be freed. */
static char *describe_target(struct apfctl *ctl, const char *name)
{
	_cleanup_free_ char *list = NULL;
	char *text = NULL;

	if (ctl->vcpus.n == 0)
		return strdup(name);
	list = vcpu_list_format(&ctl->vcpus);
	if (!list || asprintf(&text, "%s --vcpu %s", name, list) < 0)
		return NULL;
	return text;
}

/* The policy: aa{sv} of a method without arguments, read by @read. */
static int read_array(struct apfctl *ctl, const char *name, const char *path, const char *method,
		      sd_bus_message **ret_reply)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int status;

	status = new_call(ctl, path, VM_INTERFACE, method, &m);
	return status == APFCTL_OK ? call(ctl, m, name, 0, ret_reply) : status;
}

int bus_read_explanations(struct apfctl *ctl, const char *name, const char *path,
			  struct explanations *explanations)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = read_array(ctl, name, path, "Explain", &reply);
	if (status != APFCTL_OK)
		return status;
	r = explanations_read(reply, explanations, &bad);
	return r < 0 ? bus_fail_message(ctl, "its reasons", bad, r) : APFCTL_OK;
}

int bus_read_decisions(struct apfctl *ctl, const char *name, const char *path,
		       struct decisions *decisions)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *bad = NULL;
	int r, status;

	status = read_array(ctl, name, path, "History", &reply);
	if (status != APFCTL_OK)
		return status;
	r = decisions_read(reply, decisions, &bad);
	return r < 0 ? bus_fail_message(ctl, "its decisions", bad, r) : APFCTL_OK;
}

int bus_reload(struct apfctl *ctl)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *lines = NULL;
	int r, status;

	status = new_call(ctl, MANAGER_PATH, MANAGER_INTERFACE, "Reload", &m);
	if (status != APFCTL_OK)
		return status;
	r = sd_bus_message_set_allow_interactive_authorization(m, ctl->ask_password);
	if (r < 0)
		return apfctl_fail(APFCTL_FAILED, "%s: cannot make a D-Bus message: %s",
				   ctl->verb->name, strerror(-r));
	polkit_agent_start(ctl);
	r = sd_bus_call(ctl->bus, m, CHANGE_TIMEOUT_USEC, &error, &reply);
	if (r >= 0)
		return APFCTL_OK;
	if (!sd_bus_error_has_name(&error, INVALID_CONFIG))
		return bus_fail_call(ctl, "", &error, r);
	/* It may be wrong in more than one line. */
	lines = text_lines(error.message ?: "");
	return apfctl_fail(APFCTL_FAILED,
			   "%s: the configuration is wrong, the last good one still holds:%s",
			   ctl->verb->name, lines ?: "");
}

static bool is_state(const char *mode)
{
	return strcmp(mode, "off") == 0 || strcmp(mode, "pv") == 0 || strcmp(mode, "on") == 0;
}

int bus_new_set_mode(struct apfctl *ctl, const char *path, const char *mode, sd_bus_message **ret_m)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	/* The same as SetMode(), and an apfd without modes knows it, too. */
	bool plain = is_state(mode) && !ctl->persistent;
	int r, status;

	status = new_call(ctl, path, VM_INTERFACE, plain ? "SetState" : "SetMode", &m);
	if (status != APFCTL_OK)
		return status;
	r = sd_bus_message_append(m, "s", mode);
	if (r >= 0)
		r = append_vcpus(m, &ctl->vcpus);
	if (r >= 0 && !plain)
		r = sd_bus_message_append(m, "b", ctl->persistent);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(m, ctl->ask_password);
	if (r < 0)
		return apfctl_fail(APFCTL_FAILED, "%s: cannot make a D-Bus message: %s",
				   ctl->verb->name, strerror(-r));
	*ret_m = TAKE_PTR(m);
	return APFCTL_OK;
}

int bus_set_mode(struct apfctl *ctl, const char *name, const char *path, const char *mode)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_free_ char *target = describe_target(ctl, name);
	int status;

	if (!target)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	status = bus_new_set_mode(ctl, path, mode, &m);
	if (status != APFCTL_OK)
		return status;
	polkit_agent_start(ctl);
	return call(ctl, m, target, CHANGE_TIMEOUT_USEC, &reply);
}
