/* SPDX-License-Identifier: GPL-2.0 */
#include "manager.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "conf.h"
#include "connection.h"
#include "doctor.h"
#include "foreign.h"
#include "gate.h"
#include "governor.h"
#include "manager-bus.h"
#include "recall-bus.h"
#include "server.h"
#include "stored.h"
#include "tick.h"
#include "vm-attach.h"
#include "vm-bus.h"
#include "vm-log.h"
#include "vm-settings.h"
#include "vm-vcpus.h"
#include "vms.h"

enum { CONF_ERROR_MAX = 4096 };

/* Well below 25 s, the time-out of a bus activation or a method call. */
#define NAME_WAIT_USEC (3 * USEC_PER_SEC)

/* ---- configuration ---- */

/**
 * struct problems - the problems that conf_load() found
 * @errors: one error a line; those that do not fit are left out
 */
struct problems {
	char errors[CONF_ERROR_MAX];
	size_t len;
};

static void on_problem(bool error, const char *text, void *userdata)
{
	struct problems *p = userdata;
	int n;

	log_full(error ? LOG_ERR : LOG_WARNING, 0, NULL, __FILE__, __LINE__, __func__, "%s", text);
	if (!error || p->len + strlen(text) + 2 > sizeof(p->errors))
		return;
	n = snprintf(p->errors + p->len, sizeof(p->errors) - p->len, "%s%s", p->len ? "\n" : "",
		     text);
	p->len += (size_t)n;
}

/*
 * Returns 0; -EINVAL if the configuration has errors; -ENOMEM. A configuration with
 * errors is used only if it is the @first: apfd should start even with a bad line.
 */
static int load_conf(struct manager *m, bool first)
{
	struct conf_source source = { .root = m->conf_root, .file = m->conf_file };
	_cleanup_(conf_freep) struct conf *c = NULL;
	struct problems problems = {};
	char *text;
	int r;

	r = conf_load(&source, on_problem, &problems, &c);
	if (r < 0)
		return r;
	text = strdup(problems.errors);
	if (!text)
		return -ENOMEM;
	free(m->context.conf_error);
	m->context.conf_error = text;
	if (r > 0 && !first)
		return -EINVAL;
	conf_free(m->context.conf);
	m->context.conf = TAKE_PTR(c);
	m->context.policy = m->context.conf->policy;
	m->context.dry_run = m->context.conf->dry_run;
	log_set_level(m->debug ? LOG_DEBUG : m->context.conf->log_level);
	return 0;
}

int manager_reload(struct manager *m)
{
	struct vm *vm;
	int r;

	/* Nothing is decided any more. */
	if (m->stopping)
		return 0;
	/* Before apfd has the bus name it is still starting, and READY=1 would be false. */
	if (m->server->has_name)
		(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
				 clock_usec(CLOCK_MONOTONIC));
	r = load_conf(m, false);
	if (r < 0) {
		log_errno(LOG_ERR, r == -EINVAL ? 0 : r,
			  "The configuration was not reloaded, the previous one is still in use");
	} else {
		REGISTRY_FOREACH(vm, &m->context.vms)
		{
			governor_invalidate(vm);
			if (vm_configure(vm))
				vm_work(vm, VM_WORK_APPLY);
		}
		(void)stored_load(m->context.stored);
		if (vms_apply_foreign(m) < 0)
			log_error("Cannot search for VMs that libvirt does not manage");
		log_info("The configuration was reloaded, %zu files", m->context.conf->n_files);
	}
	manager_bus_conf_changed(m->server);
	if (m->server->has_name)
		(void)sd_notify(0, "READY=1");
	return r;
}

/* ---- stop ---- */

/* The leases of gates that could not be restored in this time end soon after it. */
#define STOP_MAX_USEC (20 * USEC_PER_SEC)

static void stop_done(struct manager *m)
{
	if (m->n_restored > 0)
		log_info("The gates of %zu VMs were set to on, as without apfd", m->n_restored);
	(void)sd_event_exit(m->context.event, EXIT_SUCCESS);
}

static int on_stop_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;
	size_t n = 0;
	struct vm *vm;

	REGISTRY_FOREACH(vm, &m->context.vms)
	n += vm->work != 0;
	log_warning("apf_host answers so late that the gates of %zu VMs were not restored", n);
	stop_done(m);
	return 0;
}

static void restore(struct manager *m, struct vm *vm)
{
	const struct gate_change on = { .state = APF_STATE_ON,
					.reason = "apfd ends, OnExit=restore" };
	char text[GENL_TEXT_MAX];
	int r;

	if (!vm->module_id)
		return;
	r = gate_set(vm, &on, text);
	if (r == -ETIME) {
		vm_work(vm, VM_WORK_RESTORE);
		return;
	}
	if (r >= 0) {
		m->n_restored++;
		return;
	}
	/* The others usually fail for the same reason. */
	log_errno(m->n_not_restored++ ? LOG_DEBUG : LOG_WARNING, r,
		  "Cannot restore the gates of VM %s%s%s", vm->name, text[0] ? ": " : "", text);
}

void manager_stop(struct manager *m)
{
	struct vm *vm;
	int r;

	if (m->stopping) {
		(void)sd_event_exit(m->context.event, EXIT_SUCCESS);
		return;
	}
	(void)sd_notify(0, "STOPPING=1");
	m->stopping = true;
	tick_stop(m);
	REGISTRY_FOREACH(vm, &m->context.vms)
	vm_work_cancel(vm, ~0U);
	if (m->context.conf->on_exit == CONF_ON_EXIT_RESTORE && !m->context.dry_run) {
		r = sd_event_add_time_relative(m->context.event, &m->stop_source, CLOCK_MONOTONIC,
					       STOP_MAX_USEC, 0, on_stop_timeout, m);
		if (r < 0)
			log_errno(LOG_ERR, r, "Cannot limit the time for restoring gates");
		REGISTRY_FOREACH(vm, &m->context.vms)
		if (r >= 0 && vm->module_id && vm->view.state != VM_STATE_ON)
			vm_work(vm, VM_WORK_RESTORE);
	}
	if (vm_works_empty(&m->context))
		stop_done(m);
}

/* ---- callbacks from lower layers ---- */

static void on_gate_changing(struct vm *vm, const struct gate_change *change, void *userdata)
{
	struct manager *m = userdata;

	vm_bus_gate_changing(m->server, vm, change);
}

static void on_decided(struct vm *vm, const struct decision *decision, void *userdata)
{
	struct manager *m = userdata;

	vm_bus_decided(m->server, vm, decision);
}

static void on_watched(struct vm *vm, void *userdata)
{
	struct manager *m = userdata;
	int r;

	/* Nothing closes gates any more. */
	if (m->stopping)
		return;
	r = vm_read_vcpus(vm);
	if (r == -ETIME) {
		vm_work(vm, VM_WORK_WATCHED);
		return;
	}
	/* If there was no answer, the next tick reads the vCPUs, without waiting for them. */
	if (r < 0)
		log_vm(r == -ETIMEDOUT ? LOG_DEBUG : LOG_WARNING, r, vm,
		       "Cannot read the vCPUs of VM %s yet", vm->name);
	governor_apply(vm);
}

static void on_waited(struct vm *vm, void *userdata)
{
	if (governor_misses_pressure(vm))
		tick_soon(userdata);
}

static void on_process_found(struct vm *vm, pid_t pid, void *userdata)
{
	/* The search in /proc may have found the process before libvirt reported the VM. */
	vms_remove_foreign(userdata, pid);
}

static void on_process_ended(struct vm *vm, void *userdata)
{
	vms_remove(userdata, vm);
}

static void on_watch_lost(struct vm *vm, void *userdata)
{
	vm_watch_lost(vm);
}

static void on_attach(struct vm *vm, void *userdata)
{
	vm_attach_now(vm);
}

static void on_apply(struct vm *vm, void *userdata)
{
	governor_apply(vm);
}

static void on_give_up(struct vm *vm, void *userdata)
{
	vms_give_up(userdata, vm);
}

static void on_restore(struct vm *vm, void *userdata)
{
	restore(userdata, vm);
}

static void on_announce(struct vm *vm, void *userdata)
{
	struct manager *m = userdata;

	vm_bus_added(m->server, vm);
}

static void on_work_done(void *userdata)
{
	struct manager *m = userdata;

	if (m->stopping)
		stop_done(m);
	else
		vms_request_name(m);
}

static void on_recall_started(struct recall_job *job, void *userdata)
{
	struct manager *m = userdata;

	recall_bus_started(m->server, job);
}

static void on_recall_progressed(struct recall_job *job, void *userdata)
{
	struct manager *m = userdata;

	recall_bus_progressed(m->server, job);
}

static void on_recall_ended(struct recall_job *job, void *userdata)
{
	struct manager *m = userdata;

	recall_bus_ended(m->server, job);
}

/* Notifications of the module were lost: read its present state. */
static void on_module_lost(void *userdata)
{
	struct manager *m = userdata;

	m->events_lost = true;
	tick_now(m);
}

static const struct apfd_genl_ops module_ops = {
	.presence = module_presence,
	.event = module_event,
	.lost = on_module_lost,
};

static const struct context_ops context_ops = {
	.gate_changing = on_gate_changing,
	.decided = on_decided,
	.watched = on_watched,
	.waited = on_waited,
	.process_found = on_process_found,
	.process_ended = on_process_ended,
	.watch_lost = on_watch_lost,
	.attach = on_attach,
	.apply = on_apply,
	.give_up = on_give_up,
	.restore = on_restore,
	.announce = on_announce,
	.work_done = on_work_done,
	.recall_started = on_recall_started,
	.recall_progressed = on_recall_progressed,
	.recall_ended = on_recall_ended,
};

static int on_reload(void *userdata)
{
	return manager_reload(userdata);
}

static void on_dump(void *userdata)
{
	manager_dump(userdata);
}

static const struct server_ops server_ops = {
	.reload = on_reload,
	.dump = on_dump,
};

/* ---- signals and start ---- */

static int on_name_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	vms_libvirt_silent(m);
	if (!m->name_requested) {
		log_debug("libvirt has not answered yet, not waiting longer");
		m->name_requested = true;
		connection_request_name(m->server);
	}
	return 0;
}

static int on_terminate(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	manager_stop(userdata);
	return 0;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	(void)manager_reload(userdata);
	return 0;
}

static int on_user_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	manager_dump(userdata);
	return 0;
}

void manager_dump(struct manager *m)
{
	int level = log_set_level(m->debug ? LOG_DEBUG
					   : MAX_OF(m->context.conf->log_level, LOG_NOTICE));
	const struct genl_info *info = apfd_genl_info(m->context.genl);
	struct vm *vm;

	log_fields(LOG_NOTICE, 0,
		   ((const struct log_field[]){
			   { "APF_LIBVIRT", virt_state_to_string(virt_state(m->context.virt)) },
			   { "APF_HOST_MODULE", info ? info->version : "absent" },
			   { "APF_CONFIG_ERROR", m->context.conf_error },
			   {} }),
		   "State of apfd " APF_VERSION ": %zu VMs, libvirt %s, apf_host %s, %zu "
		   "configuration files%s",
		   m->context.vms.n, virt_state_to_string(virt_state(m->context.virt)),
		   info ? info->version : "absent", m->context.conf->n_files,
		   m->context.conf_error[0] ? " with errors" : "");
	REGISTRY_FOREACH(vm, &m->context.vms)
	vm_dump(vm);
	log_set_level(level);
}

/* A folder that cannot be read is no reason to end: it is logged, and VMs have no settings. */
static int new_stored(struct manager *m, const char *state_dir)
{
	char dir[PATH_MAX];
	int r;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/vms", state_dir) >= sizeof(dir))
		return -ENAMETOOLONG;
	r = stored_new(m->context.event, dir, &vms_stored_ops, m, &m->context.stored);
	if (r >= 0)
		(void)stored_load(m->context.stored);
	return r;
}

static int new_foreign(struct manager *m)
{
	const struct foreign_env env = {
		.roots = { m->context.proc_root, m->context.run_root, m->context.pods_dir },
		.sys_root = m->context.sys_root,
		.pid_dir = m->context.pid_dir,
	};

	return foreign_new(m->context.event, &env, &vms_foreign_ops, m, &m->foreign);
}

int manager_new(sd_event *event, const struct manager_options *options, struct manager **ret)
{
	_cleanup_(manager_freep) struct manager *m = NULL;
	int r;

	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	registry_init(&m->context.vms);
	vm_works_init(&m->context);
	recalls_init(&m->context.recalls);
	waiting_init(&m->waiting);
	m->context.ops = &context_ops;
	m->context.userdata = m;
	/*
	 * Large answers of the module are needed for a moment only. With this, free() returns
	 * their memory to the system at once.
	 */
	(void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	m->context.event = sd_event_ref(event);
	m->context.uri = strdup(options->uri);
	m->context.pid_dir = strdup(options->pid_dir);
	m->pid_dir_given = options->pid_dir_given;
	m->context.proc_root = strdup(options->proc_root);
	m->context.run_root = strdup(options->run_root);
	m->context.pods_dir = strdup(options->pods_dir);
	m->context.conf_error = strdup("");
	m->conf_root = strdup(options->conf.root);
	m->conf_file = options->conf.file ? strdup(options->conf.file) : NULL;
	m->debug = options->debug;
	m->context.sys_root = strdup(options->sys_root);
	m->context.host_root = strdup(options->host_root);
	m->context.cgroup_root = strdup(options->cgroup_root);
	if (!m->context.uri || !m->context.pid_dir || !m->context.proc_root ||
	    !m->context.run_root || !m->context.pods_dir || !m->context.sys_root ||
	    !m->context.host_root || !m->context.cgroup_root || !m->context.conf_error ||
	    !m->conf_root || (options->conf.file && !m->conf_file))
		return -ENOMEM;
	r = load_conf(m, true);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot read the configuration");

	r = doctor_new(&m->context, &m->doctor);
	if (r < 0)
		return r;
	r = connection_open(&m->context, m->doctor, &server_ops, m, &m->server);
	if (r < 0)
		return r;
	r = apfd_genl_new(event, options->netlink, &module_ops, m, &m->context.genl);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot open generic netlink");
	r = virt_new(event, m->context.uri, &vms_virt_ops, m, &m->context.virt);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot use libvirt's library");
	r = new_stored(m, options->state_dir);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot prepare the storage of settings");
	r = new_foreign(m);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}

int manager_start(struct manager *m)
{
	int r;

	r = apfd_genl_start(m->context.genl);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot listen for apf_host");
	if (!apfd_genl_info(m->context.genl) && !apfd_genl_is_forbidden(m->context.genl))
		log_notice("Host module apf_host is not loaded: VMs are shown, but gates cannot be "
			   "changed");

	/* main() has blocked these signals. */
	r = sd_event_add_signal(m->context.event, NULL, SIGHUP, on_hangup, m);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot listen for SIGHUP");
	r = sd_event_add_signal(m->context.event, NULL, SIGUSR1, on_user_signal, m);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot listen for SIGUSR1");
	r = sd_event_add_signal(m->context.event, NULL, SIGTERM, on_terminate, m);
	if (r >= 0)
		r = sd_event_add_signal(m->context.event, NULL, SIGINT, on_terminate, m);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot listen for SIGTERM and SIGINT");
	r = sd_event_add_time_relative(m->context.event, &m->name_source, CLOCK_MONOTONIC,
				       NAME_WAIT_USEC, 0, on_name_timeout, m);
	if (r < 0)
		return r;
	tick_read_host(m);
	r = tick_start(m);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot start the timer");
	r = vms_apply_foreign(m);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot search for VMs that libvirt does not manage");
	r = virt_start(m->context.virt);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot start the libvirt thread");
	return 0;
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	/* First free the objects that call the manager, then the objects that they use. */
	recalls_done(&m->context.recalls);
	virt_free(m->context.virt);
	foreign_free(m->foreign);
	stored_free(m->context.stored);
	apfd_genl_free(m->context.genl);
	registry_done(&m->context.vms);
	vm_works_done(&m->context);
	tick_stop(m);
	waiting_clear(&m->waiting);
	sd_event_source_disable_unref(m->waiting_source);
	sd_event_source_disable_unref(m->name_source);
	sd_event_source_disable_unref(m->stop_source);
	doctor_free(m->doctor);
	connection_close(m->server);
	sd_event_unref(m->context.event);
	free(m->context.uri);
	free(m->context.pid_dir);
	free(m->context.proc_root);
	free(m->context.run_root);
	free(m->context.pods_dir);
	conf_free(m->context.conf);
	free(m->context.conf_error);
	free(m->conf_root);
	free(m->conf_file);
	free(m->context.sys_root);
	free(m->context.host_root);
	free(m->context.cgroup_root);
	free(m);
	return NULL;
}
