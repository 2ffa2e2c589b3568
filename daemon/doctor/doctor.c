/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor.h"

#include <errno.h>
#include <limits.h>
#include <sys/queue.h>

#include "cmdline.h"
#include "conf.h"
#include "context.h"
#include "doctor-host.h"
#include "doctor-vm.h"
#include "domain-xml.h"
#include "genl.h"
#include "log.h"
#include "virt.h"
#include "vm-settings.h"
#include "vm.h"

/* Well below the 25 s after which a method call gives up. */
#define WAIT_USEC (5 * USEC_PER_SEC)

/* Every user may request a diagnosis; this limits the memory for pending requests. */
#define QUERIES_MAX 64

/**
 * struct query - a pending diagnosis; it waits for the command line of the VM's process, then for
 *	the VM's XML
 * @cmdline: the running read of the command line, NULL if none
 * @args: the command line, NULL until it was read
 */
struct query {
	TAILQ_ENTRY(query) list;
	struct doctor *doctor;
	uint64_t cookie;
	char uuid[UUID_LEN + 1];
	doctor_done done;
	void *userdata;
	sd_event_source *timer;
	struct cmdline *cmdline;
	char *args;
};

struct doctor {
	struct context *context;
	TAILQ_HEAD(, query) queries;
	size_t n_queries;
	uint64_t last_cookie;
};

/* Answers @q and frees it. */
static void query_end(struct query *q, const struct diagnosis *diagnosis, int error)
{
	TAILQ_REMOVE(&q->doctor->queries, q, list);
	q->doctor->n_queries--;
	q->done(q->uuid, diagnosis, error, q->userdata);
	sd_event_source_disable_unref(q->timer);
	cmdline_free(q->cmdline);
	free(q->args);
	free(q);
}

int doctor_new(struct context *c, struct doctor **ret)
{
	struct doctor *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->context = c;
	TAILQ_INIT(&d->queries);
	*ret = d;
	return 0;
}

struct doctor *doctor_free(struct doctor *d)
{
	struct query *q;

	if (!d)
		return NULL;
	while ((q = TAILQ_FIRST(&d->queries)))
		query_end(q, NULL, -ECANCELED);
	free(d);
	return NULL;
}

/* ---- the host ---- */

static void check_libvirt(const struct context *c, struct diagnosis *d)
{
	switch (virt_state(c->virt)) {
	case VIRT_CONNECTED:
		diag_add(d, CHECK_LIBVIRT, DIAG_OK, "connected to %s", c->uri);
		break;
	case VIRT_CONNECTING:
		diag_add(d, CHECK_LIBVIRT, DIAG_UNKNOWN, "connecting to %s", c->uri);
		break;
	case VIRT_DISCONNECTED:
		diag_add(d, CHECK_LIBVIRT, DIAG_FAIL,
			 "no connection to %s: apfd does not see new VMs", c->uri);
		diag_remedy(d, "start libvirt; apfd then connects by itself:\n"
			       "  systemctl start libvirtd || systemctl start virtqemud");
		break;
	}
}

/* Units beyond these are not checked; a host has one or two, such as machine.slice. */
#define UNITS_MAX 16

/**
 * struct units - the slices and services of systemd that VMs are in, NULL at the end
 */
struct units {
	char *name[UNITS_MAX + 1];
	size_t n;
};

static void units_done(struct units *u)
{
	for (size_t i = 0; i < u->n; i++)
		free(u->name[i]);
}

static void add_unit(struct units *u, const char *name, size_t len)
{
	static const char *const types[] = { ".slice", ".service" };
	bool wanted = false;

	for (size_t i = 0; i < ELEMENTSOF(types); i++)
		wanted = wanted ||
			 (len > strlen(types[i]) &&
			  memcmp(name + len - strlen(types[i]), types[i], strlen(types[i])) == 0);
	if (!wanted || u->n == UNITS_MAX)
		return;
	for (size_t i = 0; i < u->n; i++)
		if (strlen(u->name[i]) == len && memcmp(u->name[i], name, len) == 0)
			return;
	u->name[u->n] = strndup(name, len);
	u->n += u->name[u->n] != NULL;
}

static void find_units(const struct context *c, struct units *ret)
{
	const struct vm *vm;

	REGISTRY_FOREACH(vm, &c->vms)
	{
		const char *part = vm->memory.cgroup ? cgroup_path(vm->memory.cgroup) : "";

		while (*part) {
			size_t len = strcspn(part, "/");

			add_unit(ret, part, len);
			part += len + (part[len] == '/');
		}
	}
}

void doctor_ask_host(struct doctor *d, struct diagnosis *ret)
{
	struct context *c = d->context;
	struct genl_info info;
	char modules[PATH_MAX], boot[PATH_MAX], var[PATH_MAX], log[PATH_MAX];
	struct doctor_host host = {
		.roots = {
			.proc = c->proc_root, .sys = c->sys_root, .modules = modules,
			.boot = boot, .var = var, .log = log,
			.cgroup = c->cgroup_root, .root = c->host_root,
		},
		.nowait = -1,
	};
	_cleanup_(units_done) struct units units = {};
	int r;

	snprintf(modules, sizeof(modules), "%s/lib/modules", c->host_root);
	snprintf(boot, sizeof(boot), "%s/boot", c->host_root);
	snprintf(var, sizeof(var), "%s/var/lib", c->host_root);
	snprintf(log, sizeof(log), "%s/var/log", c->host_root);
	find_units(c, &units);
	host.units = (const char *const *)units.name;
	r = apfd_genl_get_info(c->genl, &info);
	if (r >= 0) {
		host.nowait = (int)info.nowait;
		host.module_version = info.version;
		host.hooks = &info.hooks;
	} else {
		host.why_not_asked = r;
	}
	diag_add(ret, CHECK_APFD, DIAG_OK, "apfd %s runs", APF_VERSION);
	check_libvirt(c, ret);
	doctor_host(&host, ret);
}

/* ---- a VM ---- */

/* Returns NULL if @xml is NULL or invalid. */
static const struct domain_xml *parse(const char *xml, struct domain_xml *x)
{
	return xml && domain_xml_parse(xml, x) >= 0 ? x : NULL;
}

static void make_diagnosis(const struct query *q, const struct vm *vm, const char *live,
			   const char *config, struct diagnosis *ret)
{
	const struct context *c = q->doctor->context;
	struct domain_xml live_xml, config_xml;
	struct genl_info info = {};
	struct doctor_vm v = {
		.name = vm->name,
		.identity = vm->identity,
		.automatic = vm_mode(vm) == POLICY_MODE_AUTO,
		.proc_root = c->proc_root,
		.sys_root = c->sys_root,
		.cgroup_root = c->cgroup_root,
		.pid = vm->view.pid,
		.args = q->args,
		.psi_group = vm->memory.cgroup && !vm->memory.shared
				     ? cgroup_path(vm->memory.cgroup)
				     : NULL,
		.psi_armed = vm->memory.psi_source != NULL,
		.psi_error = vm->memory.psi_error,
		.live = parse(live, &live_xml),
		.config = parse(config, &config_xml),
		.why_unwatched = vm->module_id ? NULL : vm->why_unwatched,
		.access_refused = vm->access_refused,
		.state = (enum vm_state)vm->view.state,
		.gate_just_changed = vm->gate_usec && clock_usec(CLOCK_MONOTONIC) - vm->gate_usec <
							      2 * c->conf->tick_usec,
		.vcpus = vm->vcpus,
		.n_vcpus = vm->n_vcpus,
		.totals = &vm->view.totals,
		.figures = &vm->view.figures,
		.guest_module = (enum vm_guest_module)vm->view.guest_module,
		.guest = vm->view.guest,
	};

	v.module = apfd_genl_get_info(c->genl, &info) >= 0;
	v.nested_guard = info.nested_guard;
	doctor_vm(&v, ret);
}

static void query_answer(struct query *q, const char *live, const char *config)
{
	_cleanup_free_ struct diagnosis *diagnosis = calloc(1, sizeof(*diagnosis));
	const struct vm *vm = registry_find_by_uuid(&q->doctor->context->vms, q->uuid);

	if (!diagnosis) {
		query_end(q, NULL, -ENOMEM);
		return;
	}
	/* The VM may have ended meanwhile. */
	if (!vm) {
		query_end(q, NULL, -ESRCH);
		return;
	}
	make_diagnosis(q, vm, live, config, diagnosis);
	query_end(q, diagnosis, 0);
}

void doctor_xml(struct doctor *d, uint64_t cookie, const char *live, const char *config)
{
	struct query *q;

	TAILQ_FOREACH(q, &d->queries, list)
		if (q->cookie == cookie) {
			query_answer(q, live, config);
			return;
		}
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
	const struct query *q = userdata;

	log_debug("%s was not read in time, answering without it",
		  q->cmdline ? "The command line of a VM" : "The XML of a VM");
	query_answer(userdata, NULL, NULL);
	return 0;
}

/* Starts the read of the XML, if libvirt knows the VM; else answers at once. */
static void read_xml(struct query *q)
{
	struct context *c = q->doctor->context;
	const struct vm *vm = registry_find_by_uuid(&c->vms, q->uuid);

	if (!vm || vm->view.libvirt_id < 0 || virt_state(c->virt) != VIRT_CONNECTED ||
	    virt_read_xml(c->virt, q->uuid, q->cookie) < 0)
		query_answer(q, NULL, NULL);
}

static void on_args(char *args, void *userdata)
{
	struct query *q = userdata;

	q->args = args;
	q->cmdline = cmdline_free(q->cmdline);
	read_xml(q);
}

int doctor_ask_vm(struct doctor *d, const struct vm *vm, doctor_done done, void *userdata)
{
	struct context *c = d->context;
	struct query *q;
	int r;

	if (d->n_queries >= QUERIES_MAX)
		return -EBUSY;

	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	r = sd_event_add_time_relative(c->event, &q->timer, CLOCK_MONOTONIC, WAIT_USEC, 0,
				       on_timeout, q);
	if (r < 0) {
		free(q);
		return r;
	}
	q->doctor = d;
	q->cookie = ++d->last_cookie;
	q->done = done;
	q->userdata = userdata;
	memcpy(q->uuid, vm->uuid, sizeof(q->uuid));
	TAILQ_INSERT_TAIL(&d->queries, q, list);
	d->n_queries++;

	r = vm->view.pid ? cmdline_new(c->event, c->proc_root, (pid_t)vm->view.pid, on_args, q,
				       &q->cmdline)
			 : -ESRCH;
	if (r < 0)
		read_xml(q);
	return 0;
}
