/* SPDX-License-Identifier: GPL-2.0 */
#include "virt-worker.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <sys/eventfd.h>

#include "log.h"
#include "names.h"
#include "utf8.h"

/* After this many unanswered pings, 20 s in all, libvirt closes the connection. */
#define KEEPALIVE_INTERVAL_SEC 5
#define KEEPALIVE_COUNT	       3

void virt_domain_done(struct virt_domain *d)
{
	free(d->name);
	d->name = NULL;
	free(d->metadata);
	d->metadata = NULL;
}

void virt_note_free(struct note *n)
{
	for (size_t i = 0; i < n->n_domains; i++)
		virt_domain_done(&n->domains[i]);
	free(n->domains);
	free(n->metadata);
	free(n->live_xml);
	free(n->config_xml);
	free(n);
}

void virt_job_free(struct job *j)
{
	if (j->note)
		virt_note_free(j->note);
	if (j->type >= JOB_READ && j->link.conn)
		virConnectClose(j->link.conn);
	free(j->xml);
	free(j);
}

int virt_domain_read(virDomainPtr dom, struct virt_domain *ret)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	const char *name = virDomainGetName(dom);
	struct virt_domain d = {};
	int r;

	if (!name || virDomainGetUUIDString(dom, uuid) < 0)
		return -EIO;
	r = uuid_parse(uuid, d.uuid);
	if (r < 0)
		return r;
	d.id = (int)virDomainGetID(dom);
	d.name = strdup(name);
	if (!d.name)
		return -ENOMEM;
	utf8_make_valid(d.name);
	*ret = d;
	return 0;
}

/* ---- both threads ---- */

static void note_post(struct virt *v, struct note *n)
{
	pthread_mutex_lock(&v->lock);
	STAILQ_INSERT_TAIL(&v->notes, n, queue);
	pthread_mutex_unlock(&v->lock);
	(void)eventfd_write(v->note_fd, 1);
}

void virt_job_queue(struct virt *v, struct job *j)
{
	pthread_mutex_lock(&v->lock);
	if (j->type >= JOB_READ) {
		STAILQ_INSERT_TAIL(&v->domain_jobs, j, queue);
		pthread_cond_broadcast(&v->domain_job_changed);
	} else {
		STAILQ_INSERT_TAIL(&v->jobs, j, queue);
		pthread_cond_signal(&v->job_added);
	}
	pthread_mutex_unlock(&v->lock);
}

size_t virt_jobs_of(struct virt *v, const char *uuid, int type)
{
	const struct job *j;
	size_t n = 0;

	pthread_mutex_lock(&v->lock);
	STAILQ_FOREACH(j, &v->domain_jobs, queue)
	n += streq(j->uuid, uuid) && (type < 0 || (int)j->type == type);
	pthread_mutex_unlock(&v->lock);
	return n;
}

int virt_job_post(struct virt *v, enum job_type type, const struct link *link)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->type = type;
	if (link)
		j->link = *link;
	virt_job_queue(v, j);
	return 0;
}

int virt_job_new(const struct virt *v, enum job_type type, const char *uuid, struct job **ret)
{
	_cleanup_(virt_job_freep) struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->type = type;
	j->note = calloc(1, sizeof(*j->note));
	if (!j->note)
		return -ENOMEM;
	/* The connection may be closed before the job is executed: then its calls fail. */
	if (virConnectRef(v->link.conn) < 0)
		return -ENOTCONN;
	j->link.conn = v->link.conn;
	snprintf(j->uuid, sizeof(j->uuid), "%s", uuid);
	snprintf(j->note->uuid, sizeof(j->note->uuid), "%s", uuid);
	*ret = TAKE_PTR(j);
	return 0;
}

/* libvirt calls this on the thread that detected the end of the connection, with locks held. */
static void on_close(virConnectPtr conn, int reason, void *opaque)
{
	static const char *const table[] = {
		[VIR_CONNECT_CLOSE_REASON_ERROR] = "input or output error",
		[VIR_CONNECT_CLOSE_REASON_EOF] = "closed by libvirtd",
		[VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirtd does not answer",
		[VIR_CONNECT_CLOSE_REASON_CLIENT] = "closed on request",
	};
	const struct callback_data *data = opaque;
	struct note *n = calloc(1, sizeof(*n));

	/* Without memory: the next request on the connection will fail and report the end. */
	if (!n)
		return;
	n->type = NOTE_CLOSED;
	n->link.serial = data->serial;
	snprintf(n->text, sizeof(n->text), "%s",
		 reason >= 0 && (size_t)reason < ELEMENTSOF(table) ? table[reason] : "unknown");
	note_post(data->virt, n);
}

/* ---- worker ---- */

static struct callback_data *callback_data_new(struct virt *v, uint64_t serial)
{
	struct callback_data *data = malloc(sizeof(*data));

	if (data)
		*data = (struct callback_data){ v, serial };
	return data;
}

void virt_link_close(struct link *link)
{
	if (!link->conn)
		return;
	/* Registered callbacks hold references to the connection. */
	if (link->lifecycle_id >= 0)
		virConnectDomainEventDeregisterAny(link->conn, link->lifecycle_id);
	if (link->metadata_id >= 0)
		virConnectDomainEventDeregisterAny(link->conn, link->metadata_id);
	if (link->close_data)
		virConnectUnregisterCloseCallback(link->conn, on_close);
	virConnectClose(link->conn);
	/*
	 * libvirt calls on_close() with a lock held that unregistering takes, too. So on_close()
	 * does not run any more, and its argument can be freed.
	 */
	free(link->close_data);
	link->close_data = NULL;
	link->conn = NULL;
}

static int fail_with_libvirt(struct note *n, const char *what)
{
	snprintf(n->text, sizeof(n->text), "%s: %s", what, virGetLastErrorMessage());
	/* The text may be in any language and may be truncated. */
	utf8_make_valid(n->text);
	return -EIO;
}

static bool last_error_is_no_support(void)
{
	return virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
}

static int link_open(struct virt *v, struct note *n)
{
	struct link *link = &n->link;
	struct callback_data *data;

	link->lifecycle_id = link->metadata_id = -1;
	link->conn = virConnectOpen(v->uri);
	if (!link->conn)
		return fail_with_libvirt(n, "cannot connect");

	/* Drivers inside the library do not support this: they have no connection to a process. */
	if (virConnectSetKeepAlive(link->conn, KEEPALIVE_INTERVAL_SEC, KEEPALIVE_COUNT) < 0 &&
	    !last_error_is_no_support())
		return fail_with_libvirt(n, "cannot switch on keep-alive");

	data = callback_data_new(v, link->serial);
	if (!data)
		return -ENOMEM;
	/* Pass no free callback: drivers inside the library return success but never call it. */
	if (virConnectRegisterCloseCallback(link->conn, on_close, data, NULL) < 0) {
		free(data);
		return fail_with_libvirt(n, "cannot register for the end of the connection");
	}
	link->close_data = data;

	/* Register before the listing, so that no event is missed. */
	data = callback_data_new(v, link->serial);
	if (!data)
		return -ENOMEM;
	link->lifecycle_id = virConnectDomainEventRegisterAny(
		link->conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
		VIR_DOMAIN_EVENT_CALLBACK(virt_on_lifecycle), data, free);
	if (link->lifecycle_id < 0) {
		free(data);
		return fail_with_libvirt(n, "cannot register for events");
	}

	/* Optional: if this fails, settings are those of the last listing. */
	data = callback_data_new(v, link->serial);
	if (!data)
		return -ENOMEM;
	link->metadata_id = virConnectDomainEventRegisterAny(
		link->conn, NULL, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
		VIR_DOMAIN_EVENT_CALLBACK(virt_on_metadata), data, free);
	if (link->metadata_id < 0)
		free(data);
	return 0;
}

/* Reads our metadata element of @dom; *ret is NULL if there is none. */
static int metadata_read(virDomainPtr dom, char **ret)
{
	char *xml = virDomainGetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, METADATA_URI,
					 VIR_DOMAIN_AFFECT_CURRENT);

	if (!xml && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA &&
	    !last_error_is_no_support())
		return -EIO;
	/* Anybody may have written the text; limit the time that the loop needs to parse it. */
	if (xml && strnlen(xml, METADATA_MAX_BYTES + 1) > METADATA_MAX_BYTES)
		xml[METADATA_MAX_BYTES + 1] = '\0';
	*ret = xml;
	return 0;
}

static int list_domains(struct note *n)
{
	virDomainPtr *doms = NULL;
	const char *type;
	int n_doms, r = 0;

	type = virConnectGetType(n->link.conn);
	n->has_pid_files = type && streq(type, "QEMU");

	n_doms = virConnectListAllDomains(n->link.conn, &doms, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	if (n_doms < 0)
		return fail_with_libvirt(n, "cannot list domains");

	n->domains = calloc((size_t)n_doms + 1, sizeof(*n->domains));
	if (!n->domains)
		r = -ENOMEM;
	for (int i = 0; i < n_doms; i++) {
		struct virt_domain *d;

		if (r >= 0) {
			d = &n->domains[n->n_domains];
			r = virt_domain_read(doms[i], d);
			/* The domain has stopped since; the event "stopped" will arrive. */
			if (r >= 0 && d->id < 0) {
				virt_domain_done(d);
			} else if (r >= 0) {
				d->metadata_known = metadata_read(doms[i], &d->metadata) >= 0;
				n->n_domains++;
			}
		}
		virDomainFree(doms[i]);
	}
	free(doms);
	return r;
}

static void do_connect_or_list(struct virt *v, const struct job *j)
{
	_cleanup_(virt_note_freep) struct note *n = calloc(1, sizeof(*n));
	int r = 0;

	/* The loop waits for this note, so retry until there is memory. */
	while (!n) {
		sleep(1);
		n = calloc(1, sizeof(*n));
	}
	n->link = j->link;
	if (j->type == JOB_CONNECT)
		r = link_open(v, n);
	if (r >= 0)
		r = list_domains(n);
	if (r == -ENOMEM)
		snprintf(n->text, sizeof(n->text), "out of memory");
	/* After a failure the loop requests to close the connection: it may still use it. */
	n->type = r < 0 ? NOTE_FAILED : NOTE_LISTED;
	note_post(v, TAKE_PTR(n));
}

static int read_or_write(const struct job *j, struct note *n)
{
	virDomainPtr dom;
	unsigned int flags = VIR_DOMAIN_AFFECT_LIVE;
	int r;

	dom = virDomainLookupByUUIDString(j->link.conn, j->uuid);
	if (!dom)
		return fail_with_libvirt(n, "cannot find the domain");
	if (j->type == JOB_READ) {
		r = metadata_read(dom, &n->metadata);
		if (r < 0)
			r = fail_with_libvirt(n, "cannot read metadata");
	} else {
		if (j->persistent)
			flags |= VIR_DOMAIN_AFFECT_CONFIG;
		r = virDomainSetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, j->xml, METADATA_PREFIX,
					 METADATA_URI, flags);
		/* Removing metadata that does not exist is not an error. */
		if (r < 0 && !(virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA && !j->xml))
			r = fail_with_libvirt(n, "cannot write metadata");
		else
			r = 0;
	}
	virDomainFree(dom);
	return r;
}

static void do_metadata(struct virt *v, struct job *j)
{
	struct note *n = TAKE_PTR(j->note);

	n->type = j->type == JOB_READ ? NOTE_READ : NOTE_WRITTEN;
	n->error = read_or_write(j, n);
	note_post(v, n);
}

static void do_xml(struct virt *v, struct job *j)
{
	struct note *n = TAKE_PTR(j->note);
	virDomainPtr dom;

	n->type = NOTE_XML;
	dom = virDomainLookupByUUIDString(j->link.conn, j->uuid);
	if (dom) {
		n->live_xml = virDomainGetXMLDesc(dom, 0);
		n->config_xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
		virDomainFree(dom);
	}
	note_post(v, n);
}

void *virt_worker_main(void *arg)
{
	struct virt *v = arg;

	pthread_setname_np(pthread_self(), "apfd-libvirt");
	for (;;) {
		_cleanup_(virt_job_freep) struct job *j = NULL;

		pthread_mutex_lock(&v->lock);
		while (STAILQ_EMPTY(&v->jobs))
			pthread_cond_wait(&v->job_added, &v->lock);
		j = STAILQ_FIRST(&v->jobs);
		STAILQ_REMOVE_HEAD(&v->jobs, queue);
		pthread_mutex_unlock(&v->lock);

		switch (j->type) {
		case JOB_CONNECT:
		case JOB_LIST:
			do_connect_or_list(v, j);
			break;
		case JOB_CLOSE:
			virt_link_close(&j->link);
			break;
		case JOB_STOP:
			return NULL;
		default:
			break;
		}
	}
}

/* ---- domain workers ---- */

static bool is_in_work(const struct virt *v, const char *uuid)
{
	for (size_t i = 0; i < DOMAIN_WORKERS; i++)
		if (streq(v->domain_workers[i].uuid, uuid))
			return true;
	return false;
}

/* The first job about a domain that no other worker works for; NULL if there is none. */
static struct job *next_domain_job(struct virt *v)
{
	struct job *j;

	STAILQ_FOREACH(j, &v->domain_jobs, queue)
	{
		if (is_in_work(v, j->uuid))
			continue;
		STAILQ_REMOVE(&v->domain_jobs, j, job, queue);
		return j;
	}
	return NULL;
}

void *virt_domain_worker_main(void *arg)
{
	struct domain_worker *w = arg;
	struct virt *v = w->virt;
	struct job *j;

	pthread_setname_np(pthread_self(), "apfd-libvirt");
	pthread_mutex_lock(&v->lock);
	for (;;) {
		while (!(j = next_domain_job(v)) && !v->stop)
			pthread_cond_wait(&v->domain_job_changed, &v->lock);
		/* Who works for the domain of a remaining job executes that job, too. */
		if (!j)
			break;
		memcpy(w->uuid, j->uuid, sizeof(w->uuid));
		w->since_usec = clock_usec(CLOCK_MONOTONIC);
		pthread_mutex_unlock(&v->lock);
		if (j->type == JOB_XML)
			do_xml(v, j);
		else
			do_metadata(v, j);
		virt_job_free(j);
		pthread_mutex_lock(&v->lock);
		w->uuid[0] = '\0';
		pthread_cond_broadcast(&v->domain_job_changed);
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}
