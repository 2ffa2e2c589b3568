/* SPDX-License-Identifier: GPL-2.0 */
#include "virt.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "log.h"
#include "names.h"
#include "thread.h"
#include "virt-event.h"
#include "virt-worker.h"

/* A restart of libvirtd takes about a second; attempts on a host without it should be rare. */
#define BACKOFF_MIN_USEC (500 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC (30 * USEC_PER_SEC)

/* How long virt_free() waits for the worker. */
#define STOP_WAIT_USEC (3 * USEC_PER_SEC)

enum {
	QUEUED_EVENTS_MAX = 1024, /* events during a listing; more cause a new listing */
	READS_MAX = 1024,	  /* unfinished reads of metadata; more cause a new listing */
	WRITES_MAX = 1024,	  /* unfinished writes of metadata; more are refused */
	XMLS_MAX = 64,		  /* unfinished reads of XML; every user may request them */
};

const char *virt_state_to_string(enum virt_state state)
{
	static const char *const table[] = {
		[VIRT_DISCONNECTED] = "disconnected",
		[VIRT_CONNECTING] = "connecting",
		[VIRT_CONNECTED] = NAME_CONNECTED,
	};

	return table[state];
}

/* ---- loop: lifecycle ---- */

static void report(struct virt *v, const struct virt_domain *d, bool running)
{
	if (running)
		v->ops->running(d, v->userdata);
	else
		v->ops->stopped(d->uuid, v->userdata);
}

/* Takes over @d. */
static void queue_event(struct virt *v, struct virt_domain *d, bool running)
{
	struct queued_event *h;

	h = v->n_queued < QUEUED_EVENTS_MAX ? calloc(1, sizeof(*h)) : NULL;
	if (!h) {
		v->relist = true;
		virt_domain_done(d);
		return;
	}
	h->domain = *d;
	h->running = running;
	STAILQ_INSERT_TAIL(&v->queued, h, queue);
	v->n_queued++;
}

/* @use: report the events that arrived during the listing, after its result; else drop them. */
static void flush_queued(struct virt *v, bool use)
{
	struct queued_event *h;

	while ((h = STAILQ_FIRST(&v->queued))) {
		STAILQ_REMOVE_HEAD(&v->queued, queue);
		if (use)
			report(v, &h->domain, h->running);
		virt_domain_done(&h->domain);
		free(h);
	}
	v->n_queued = 0;
}

/* 1: the domain runs, 0: it does not run, -1: the event says nothing about that. */
static int event_means_running(int event)
{
	switch (event) {
	case VIR_DOMAIN_EVENT_STARTED: /* booted, restored or migrated to us */
	case VIR_DOMAIN_EVENT_RESUMED:
	case VIR_DOMAIN_EVENT_SUSPENDED: /* paused; the process still exists */
	case VIR_DOMAIN_EVENT_PMSUSPENDED:
	case VIR_DOMAIN_EVENT_CRASHED: /* the guest crashed; "stopped" follows if it is ended */
		return 1;
	case VIR_DOMAIN_EVENT_STOPPED: /* shut down, killed, saved, migrated away */
		return 0;
	default:
		return -1;
	}
}

static void set_state(struct virt *v, enum virt_state state)
{
	if (v->state == state)
		return;
	v->state = state;
	v->ops->state_changed(state, v->userdata);
}

/* Posts a job that ends with NOTE_LISTED or NOTE_FAILED. */
static int post_list(struct virt *v, enum job_type type, const struct link *link)
{
	v->written_during_list = false;
	return virt_job_post(v, type, link);
}

static void list_again(struct virt *v)
{
	if (v->state == VIRT_CONNECTED && post_list(v, JOB_LIST, &v->link) >= 0)
		set_state(v, VIRT_CONNECTING);
	else
		v->relist = true;
}

int virt_on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *opaque)
{
	const struct callback_data *data = opaque;
	struct virt *v = data->virt;
	struct virt_domain d;
	int r, running;

	running = event_means_running(event);
	if (data->serial != v->serial || running < 0)
		return 0;
	r = virt_domain_read(dom, &d);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot read an event of libvirt, listing all domains again");
		list_again(v);
		return 0;
	}
	log_debug("libvirt: domain %s (%d), event %d detail %d", d.name, d.id, event, detail);

	/* A domain without a number has stopped again already; the event "stopped" follows. */
	if (running && d.id < 0) {
		virt_domain_done(&d);
		return 0;
	}
	if (v->state != VIRT_CONNECTED) {
		queue_event(v, &d, running);
		return 0;
	}
	report(v, &d, running);
	virt_domain_done(&d);
	return 0;
}

int virt_on_metadata(virConnectPtr conn, virDomainPtr dom, int type, const char *uri, void *opaque)
{
	const struct callback_data *data = opaque;
	struct virt *v = data->virt;
	char text[VIR_UUID_STRING_BUFLEN], uuid[UUID_LEN + 1];

	if (data->serial != v->serial || type != VIR_DOMAIN_METADATA_ELEMENT || !uri ||
	    !streq(uri, METADATA_URI))
		return 0;
	/* The current listing may be older than this event, so list again and read all metadata. */
	if (v->state != VIRT_CONNECTED || virDomainGetUUIDString(dom, text) < 0 ||
	    uuid_parse(text, uuid) < 0 || virt_read_metadata(v, uuid) < 0)
		list_again(v);
	return 0;
}

/* ---- loop: connection ---- */

static int connect_now(struct virt *v)
{
	struct link link = { .serial = v->serial + 1, .lifecycle_id = -1, .metadata_id = -1 };
	int r;

	r = post_list(v, JOB_CONNECT, &link);
	if (r < 0)
		return r;
	v->serial = link.serial;
	set_state(v, VIRT_CONNECTING);
	return 0;
}

static int retry_later(struct virt *v);

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct virt *v = userdata;

	if (connect_now(v) < 0)
		return retry_later(v);
	return 0;
}

static int retry_later(struct virt *v)
{
	uint64_t wait_usec = v->backoff_usec;
	int r;

	v->backoff_usec = MIN_OF(v->backoff_usec * 2, BACKOFF_MAX_USEC);
	if (!v->retry_source) {
		r = sd_event_add_time_relative(v->event, &v->retry_source, CLOCK_MONOTONIC,
					       wait_usec, 0, on_retry, v);
		if (r < 0)
			return r;
		return sd_event_source_set_description(v->retry_source, "libvirt-retry");
	}
	r = sd_event_source_set_time_relative(v->retry_source, wait_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(v->retry_source, SD_EVENT_ONESHOT);
}

/* Stops using the connection; the worker closes it, which may take long. */
static int drop(struct virt *v, struct link *link)
{
	int r;

	flush_queued(v, false);
	v->relist = false;
	if (link->conn) {
		r = virt_job_post(v, JOB_CLOSE, link);
		if (r < 0)
			return r;
	}
	v->link.conn = NULL;
	/* Events of the old connection no longer match. */
	v->serial++;
	set_state(v, VIRT_DISCONNECTED);
	return retry_later(v);
}

/*
 * A domain worker has written metadata while the domains were being listed: the listing may have
 * read the metadata before that. Lists again.
 */
static void drop_old_metadata(struct virt *v, struct note *n)
{
	for (size_t i = 0; i < n->n_domains; i++) {
		free(n->domains[i].metadata);
		n->domains[i].metadata = NULL;
		n->domains[i].metadata_known = false;
	}
	v->relist = true;
}

static int handle_note(struct virt *v, struct note *n)
{
	int r = 0;

	if (n->type == NOTE_FAILED || n->type == NOTE_LISTED)
		v->ever_tried = true;

	switch (n->type) {
	case NOTE_CLOSED:
		if (n->link.serial != v->serial)
			break;
		log_warning("Lost the connection to libvirt at %s (%s), connecting again", v->uri,
			    n->text);
		if (v->state == VIRT_CONNECTED)
			r = drop(v, &v->link);
		else
			/* The worker still uses the connection: handle this with its result. */
			v->closed_serial = n->link.serial;
		break;

	case NOTE_FAILED:
		/* One warning for each outage. */
		log_errno(v->failure_logged ? LOG_DEBUG : LOG_WARNING, 0,
			  "No libvirt at %s (%s), will keep retrying", v->uri, n->text);
		v->failure_logged = true;
		r = drop(v, &n->link);
		break;

	case NOTE_LISTED:
		if (n->link.serial == v->closed_serial) {
			r = drop(v, &n->link);
			break;
		}
		if (!v->link.conn)
			log_info("Connected to libvirt at %s, %zu running domains", v->uri,
				 n->n_domains);
		v->link = n->link;
		v->failure_logged = false;
		v->backoff_usec = BACKOFF_MIN_USEC;
		if (v->written_during_list)
			drop_old_metadata(v, n);
		v->ops->listed(n->domains, n->n_domains, n->has_pid_files, v->userdata);
		flush_queued(v, true);
		if (v->relist) {
			v->relist = false;
			r = post_list(v, JOB_LIST, &v->link);
			break;
		}
		set_state(v, VIRT_CONNECTED);
		break;

	case NOTE_READ:
		v->n_reads--;
		if (n->error < 0)
			v->ops->read_failed(n->uuid, n->text, v->userdata);
		else
			v->ops->metadata(n->uuid, n->metadata, v->userdata);
		break;

	case NOTE_WRITTEN:
		v->n_writes--;
		v->written_during_list = true;
		v->ops->written(n->uuid, n->error, n->text, n->cookie, v->userdata);
		break;

	case NOTE_XML:
		v->n_xmls--;
		v->ops->xml(n->query, n->live_xml, n->config_xml, v->userdata);
		break;
	}
	return r;
}

bool virt_is_busy(struct virt *v, const char *uuid)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);
	bool all = true, busy = false;

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < DOMAIN_WORKERS; i++) {
		const struct domain_worker *w = &v->domain_workers[i];
		bool hangs = w->uuid[0] && now_usec - w->since_usec >= BUSY_USEC;

		all = all && hangs;
		busy = busy || (hangs && streq(w->uuid, uuid));
	}
	pthread_mutex_unlock(&v->lock);
	return busy || all;
}

/* Also bounds the queue while a call has not hung for long enough to be noticed. */
static bool refuses(struct virt *v, const char *uuid)
{
	return virt_is_busy(v, uuid) || virt_jobs_of(v, uuid, -1) >= DOMAIN_JOBS_MAX;
}

int virt_read_metadata(struct virt *v, const char *uuid)
{
	struct job *j;
	int r;

	if (!v->link.conn)
		return -ENOTCONN;
	if (v->n_reads >= READS_MAX) {
		list_again(v);
		return 0;
	}
	/* A read that was not started yet has the same result. */
	if (virt_jobs_of(v, uuid, JOB_READ) > 0)
		return 0;
	r = virt_job_new(v, JOB_READ, uuid, &j);
	if (r < 0)
		return r;
	v->n_reads++;
	virt_job_queue(v, j);
	return 0;
}

int virt_read_xml(struct virt *v, const char *uuid, uint64_t query)
{
	struct job *j;
	int r;

	if (!v->link.conn)
		return -ENOTCONN;
	/* Limit jobs, not callers: if libvirt hangs, jobs stay queued after their callers left. */
	if (v->n_xmls >= XMLS_MAX)
		return -ENOBUFS;
	if (refuses(v, uuid))
		return -EBUSY;
	r = virt_job_new(v, JOB_XML, uuid, &j);
	if (r < 0)
		return r;
	j->note->query = query;
	v->n_xmls++;
	virt_job_queue(v, j);
	return 0;
}

int virt_write_metadata(struct virt *v, const char *uuid, const char *xml, bool persistent,
			void *cookie)
{
	_cleanup_(virt_job_freep) struct job *j = NULL;
	int r;

	if (!v->link.conn)
		return -ENOTCONN;
	if (v->n_writes >= WRITES_MAX)
		return -ENOBUFS;
	if (refuses(v, uuid))
		return -EBUSY;
	r = virt_job_new(v, JOB_WRITE, uuid, &j);
	if (r < 0)
		return r;
	j->persistent = persistent;
	if (xml) {
		j->xml = strdup(xml);
		if (!j->xml)
			return -ENOMEM;
	}
	j->note->cookie = cookie;
	v->n_writes++;
	virt_job_queue(v, TAKE_PTR(j));
	return 0;
}

static int on_note(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct virt *v = userdata;
	eventfd_t count;
	int r = 0;

	(void)eventfd_read(fd, &count);
	for (;;) {
		_cleanup_(virt_note_freep) struct note *n = NULL;

		pthread_mutex_lock(&v->lock);
		n = STAILQ_FIRST(&v->notes);
		if (n)
			STAILQ_REMOVE_HEAD(&v->notes, queue);
		pthread_mutex_unlock(&v->lock);
		if (!n)
			break;
		r = handle_note(v, n);
		if (r < 0)
			log_errno(LOG_ERR, r, "Cannot continue with libvirt");
	}
	/* On an error no job or timer would reconnect: exit, so that systemd restarts apfd. */
	return r;
}

static void silence(void *userdata, virErrorPtr error)
{
	/* By default libvirt prints errors to standard error; our callers log them instead. */
}

int virt_new(sd_event *event, const char *uri, const struct virt_ops *ops, void *userdata,
	     struct virt **ret)
{
	_cleanup_(virt_freep) struct virt *v = NULL;
	int r;

	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->job_added, NULL);
	pthread_cond_init(&v->domain_job_changed, NULL);
	STAILQ_INIT(&v->queued);
	STAILQ_INIT(&v->jobs);
	STAILQ_INIT(&v->domain_jobs);
	STAILQ_INIT(&v->notes);
	v->event = sd_event_ref(event);
	v->ops = ops;
	v->userdata = userdata;
	v->backoff_usec = BACKOFF_MIN_USEC;
	v->note_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->note_fd < 0)
		return -errno;
	v->uri = strdup(uri);
	if (!v->uri)
		return -ENOMEM;

	r = sd_event_add_io(event, &v->note_source, v->note_fd, EPOLLIN, on_note, v);
	if (r < 0)
		return r;
	r = sd_event_source_set_exit_on_failure(v->note_source, true);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(v->note_source, "libvirt-note");

	r = virt_event_new(event, &v->virt_event);
	if (r < 0)
		return r;
	virSetErrorFunc(NULL, silence);
	if (virInitialize() < 0)
		return -EIO;
	*ret = TAKE_PTR(v);
	return 0;
}

int virt_start(struct virt *v)
{
	int r;

	r = thread_create(&v->worker, NULL, virt_worker_main, v);
	v->has_worker = r >= 0;
	for (size_t i = 0; r >= 0 && i < DOMAIN_WORKERS; i++) {
		struct domain_worker *w = &v->domain_workers[i];

		w->virt = v;
		r = thread_create(&w->thread, NULL, virt_domain_worker_main, w);
		w->started = r >= 0;
	}
	if (r < 0)
		return r;
	return connect_now(v);
}

enum virt_state virt_state(const struct virt *v)
{
	return v->state;
}

bool virt_has_connection(const struct virt *v)
{
	return v->link.conn != NULL;
}

bool virt_ever_tried(const struct virt *v)
{
	return v->ever_tried;
}

static int worker_stop(struct virt *v)
{
	uint64_t until_usec;
	int r;

	if (!v->has_worker)
		return 0;
	if (v->link.conn) {
		r = virt_job_post(v, JOB_CLOSE, &v->link);
		if (r < 0)
			return r;
	}
	r = virt_job_post(v, JOB_STOP, NULL);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->lock);
	v->stop = true;
	pthread_cond_broadcast(&v->domain_job_changed);
	pthread_mutex_unlock(&v->lock);
	until_usec = clock_usec(CLOCK_MONOTONIC) + STOP_WAIT_USEC;
	r = thread_join_until(v->worker, until_usec);
	for (size_t i = 0; r >= 0 && i < DOMAIN_WORKERS; i++)
		if (v->domain_workers[i].started)
			r = thread_join_until(v->domain_workers[i].thread, until_usec);
	if (r < 0)
		return r;
	v->has_worker = false;
	return 0;
}

struct virt *virt_free(struct virt *v)
{
	struct note *n;
	struct job *j;
	int r;

	if (!v)
		return NULL;

	r = worker_stop(v);
	if (r < 0) {
		log_errno(LOG_WARNING, r, "A call of libvirt does not return, exiting without it");
		sd_event_source_disable_unref(v->note_source);
		sd_event_source_disable_unref(v->retry_source);
		return NULL;
	}

	/* The workers have ended: no other thread uses the queues. */
	while ((n = STAILQ_FIRST(&v->notes))) {
		STAILQ_REMOVE_HEAD(&v->notes, queue);
		if ((n->type == NOTE_LISTED || n->type == NOTE_FAILED) &&
		    n->link.conn != v->link.conn)
			virt_link_close(&n->link);
		if (n->type == NOTE_WRITTEN)
			v->ops->written(n->uuid, n->error, n->text, n->cookie, v->userdata);
		virt_note_free(n);
	}
	while ((j = STAILQ_FIRST(&v->jobs))) {
		STAILQ_REMOVE_HEAD(&v->jobs, queue);
		virt_job_free(j);
	}
	/* Only if the workers could not be started. */
	while ((j = STAILQ_FIRST(&v->domain_jobs))) {
		STAILQ_REMOVE_HEAD(&v->domain_jobs, queue);
		if (j->type == JOB_WRITE)
			v->ops->written(j->uuid, -ECANCELED, "apfd ends", j->note->cookie,
					v->userdata);
		virt_job_free(j);
	}
	flush_queued(v, false);

	sd_event_source_disable_unref(v->note_source);
	sd_event_source_disable_unref(v->retry_source);
	if (v->virt_event)
		virt_event_drain(v->virt_event);
	virt_event_free(v->virt_event);
	safe_close(v->note_fd);
	sd_event_unref(v->event);
	pthread_cond_destroy(&v->job_added);
	pthread_cond_destroy(&v->domain_job_changed);
	pthread_mutex_destroy(&v->lock);
	free(v->uri);
	free(v);
	return NULL;
}
