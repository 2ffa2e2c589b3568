/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor.h"

#include <errno.h>
#include <sys/queue.h>

#include "cmdline.h"
#include "doctor-host.h"
#include "doctor-vm.h"
#include "domain-xml.h"
#include "log.h"
#include "manager.h"
#include "manager-bus.h"

/* Well below the 25 s after which a method call gives up. */
#define WAIT_USEC (5 * USEC_PER_SEC)

/* Everybody may ask; this is what they can make us hold. */
#define QUERIES_MAX 64

/**
 * struct query - who waits for the command line of a VM's process, and then for the VM's XML
 * @cmdline: under way
 * @args: what it brought
 */
struct query {
	TAILQ_ENTRY(query) list;
	struct doctor *doctor;
	uint64_t cookie;
	char uuid[NAME_UUID_LEN + 1];
	sd_bus_message *message;
	sd_event_source *timer;
	struct cmdline *cmdline;
	char *args;
};

struct doctor {
	struct manager *manager;
	TAILQ_HEAD(, query) queries;
	size_t n_queries;
	uint64_t last_cookie;
};

static struct query *query_free(struct query *q)
{
	sd_event_source_disable_unref(q->timer);
	cmdline_free(q->cmdline);
	free(q->args);
	sd_bus_message_unref(q->message);
	free(q);
	return NULL;
}

static void query_remove(struct query *q)
{
	TAILQ_REMOVE(&q->doctor->queries, q, list);
	q->doctor->n_queries--;
	query_free(q);
}

int doctor_new(struct manager *m, struct doctor **ret)
{
	struct doctor *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->manager = m;
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
		query_remove(q);
	free(d);
	return NULL;
}

/* Line by line: a newline would not survive either. */
static void make_lines_utf8(char *s)
{
	for (char *end; s; s = end) {
		end = strchr(s, '\n');
		if (end)
			*end = '\0';
		name_make_utf8(s);
		if (end)
			*end++ = '\n';
	}
}

static int send_diagnosis(sd_bus_message *message, const struct diagnosis *diagnosis)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < diagnosis->n; i++) {
		const struct diag_finding *f = &diagnosis->findings[i];
		char fact[DIAG_FACT_MAX], remedy[DIAG_REMEDY_MAX];

		/* Names and paths of others are in it, and it may have been cut. */
		snprintf(fact, sizeof(fact), "%s", f->fact);
		name_make_utf8(fact);
		snprintf(remedy, sizeof(remedy), "%s", f->remedy);
		make_lines_utf8(remedy);
		r = sd_bus_message_append(
			reply, "a{sv}", 4, "Check", "s", diag_checks[f->check].name, "State", "s",
			diag_state_to_string(f->state), "Fact", "s", fact, "Remedy", "s", remedy);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}

/* ---- the host ---- */

static void check_libvirt(const struct manager *m, struct diagnosis *d)
{
	switch (virt_state(m->virt)) {
	case VIRT_CONNECTED:
		diag_add(d, CHECK_LIBVIRT, DIAG_OK, "connected to %s", m->uri);
		break;
	case VIRT_CONNECTING:
		diag_add(d, CHECK_LIBVIRT, DIAG_UNKNOWN, "connecting to %s", m->uri);
		break;
	case VIRT_DISCONNECTED:
		diag_add(d, CHECK_LIBVIRT, DIAG_FAIL,
			 "no connection to %s: VMs that start are not seen", m->uri);
		diag_remedy(d, "start it; apfd connects by itself:\n"
			       "  systemctl start libvirtd || systemctl start virtqemud");
		break;
	}
}

int doctor_answer_host(struct doctor *d, sd_bus_message *message)
{
	_cleanup_free_ struct diagnosis *diagnosis = calloc(1, sizeof(*diagnosis));
	struct manager *m = d->manager;
	struct genl_info info;
	struct doctor_host host = {
		.proc_root = m->proc_root,
		.sys_root = m->sys_root,
		.modules_root = "/lib/modules",
		.nowait = -1,
	};

	if (!diagnosis)
		return -ENOMEM;
	if (apfd_genl_get_info(m->genl, &info) >= 0) {
		host.nowait = (int)info.nowait;
		host.module_version = info.version;
	}
	diag_add(diagnosis, CHECK_APFD, DIAG_OK, "apfd %s runs", APF_VERSION);
	check_libvirt(m, diagnosis);
	doctor_host(&host, diagnosis);
	return send_diagnosis(message, diagnosis);
}

/* ---- a VM ---- */

/* NULL if @xml is, or is none. */
static const struct domain_xml *parse(const char *xml, struct domain_xml *x)
{
	return xml && domain_xml_parse(xml, x) >= 0 ? x : NULL;
}

static int answer_vm(const struct query *q, const struct vm *vm, const char *live,
		     const char *config)
{
	const struct manager *m = q->doctor->manager;
	_cleanup_free_ struct diagnosis *diagnosis = calloc(1, sizeof(*diagnosis));
	struct domain_xml live_xml, config_xml;
	struct genl_info info = {};
	struct doctor_vm v = {
		.name = vm->name,
		.libvirt = vm->view.libvirt_id >= 0,
		.automatic = vm_mode(vm) == POLICY_MODE_AUTO,
		.proc_root = m->proc_root,
		.sys_root = m->sys_root,
		.pid = vm->view.pid,
		.args = q->args,
		.live = parse(live, &live_xml),
		.config = parse(config, &config_xml),
		.why_unwatched = vm->module_id ? NULL : vm->why_unwatched,
		.state = (enum vm_state)vm->view.state,
		.just_moved = vm->gate_usec &&
			      clock_usec(CLOCK_MONOTONIC) - vm->gate_usec < 2 * m->conf->tick_usec,
		.vcpus = vm->vcpus,
		.n_vcpus = vm->n_vcpus,
		.totals = &vm->view.totals,
		.figures = &vm->view.figures,
		.guest_module = (enum vm_guest_module)vm->view.guest_module,
		.guest = vm->view.guest,
	};

	if (!diagnosis)
		return -ENOMEM;
	v.module = apfd_genl_get_info(m->genl, &info) >= 0;
	v.nested_guard = info.nested_guard;
	doctor_vm(&v, diagnosis);
	return send_diagnosis(q->message, diagnosis);
}

/* The VM may have ended meanwhile. */
static void query_answer(struct query *q, const char *live, const char *config)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct manager *m = q->doctor->manager;
	const struct vm *vm = manager_find_by_uuid(m, q->uuid);
	int r;

	if (vm)
		r = answer_vm(q, vm, live, config);
	else
		r = manager_bus_no_such_vm(m, q->uuid, &error);
	if (r < 0)
		r = sd_bus_reply_method_errno(q->message, r, &error);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot answer Diagnose(), ignoring");
	query_remove(q);
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

static int on_wait_over(sd_event_source *s, uint64_t usec, void *userdata)
{
	const struct query *q = userdata;

	log_debug("%s is not brought in time, answering without it",
		  q->cmdline ? "The command line of a VM" : "The XML of a VM");
	query_answer(userdata, NULL, NULL);
	return 0;
}

/* The second thing to wait for, of those that libvirt knows. */
static void want_xml(struct query *q)
{
	struct manager *m = q->doctor->manager;
	const struct vm *vm = manager_find_by_uuid(m, q->uuid);

	if (!vm || vm->view.libvirt_id < 0 || virt_state(m->virt) != VIRT_CONNECTED ||
	    virt_read_xml(m->virt, q->uuid, q->cookie) < 0)
		query_answer(q, NULL, NULL);
}

static void on_args(char *args, void *userdata)
{
	struct query *q = userdata;

	q->args = args;
	q->cmdline = cmdline_free(q->cmdline);
	want_xml(q);
}

int doctor_answer_vm(struct doctor *d, const struct vm *vm, sd_bus_message *message,
		     sd_bus_error *error)
{
	struct manager *m = d->manager;
	struct query *q;
	int r;

	if (d->n_queries >= QUERIES_MAX)
		return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					"Too many calls of Diagnose() wait already");

	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->doctor = d;
	q->cookie = ++d->last_cookie;
	q->message = sd_bus_message_ref(message);
	memcpy(q->uuid, vm->uuid, sizeof(q->uuid));
	TAILQ_INSERT_TAIL(&d->queries, q, list);
	d->n_queries++;

	r = sd_event_add_time_relative(m->event, &q->timer, CLOCK_MONOTONIC, WAIT_USEC, 0,
				       on_wait_over, q);
	if (r < 0) {
		query_remove(q);
		return r;
	}
	/* The answer comes later. */
	r = vm->view.pid ? cmdline_new(m->event, m->proc_root, (pid_t)vm->view.pid, on_args, q,
				       &q->cmdline)
			 : -ESRCH;
	if (r < 0)
		want_xml(q);
	return 1;
}
