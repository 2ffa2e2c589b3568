/* SPDX-License-Identifier: GPL-2.0 */
#include "virt.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>

#include "log.h"
#include "settings.h"
#include "virt-event.h"

/* libvirtd is taken for hung after this many unanswered pings, 20 s in all. */
#define KEEPALIVE_INTERVAL_SEC 5
#define KEEPALIVE_COUNT	       3

/* A restart of libvirtd takes about a second; a host without it must not be kept busy. */
#define BACKOFF_MIN_USEC (500 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC (30 * USEC_PER_SEC)

/* How long the end of the daemon waits for libvirt. */
#define STOP_WAIT_SEC 3

enum {
	DOMAINS_MAX = 4096,	/* of one listing; more are left out, with a warning */
	HELD_EVENTS_MAX = 1024, /* that arrive during a listing; more cause a new one */
	READS_MAX = 1024,	/* of metadata, under way; more cause a listing */
	WRITES_MAX = 1024,	/* likewise; more are refused */
	XMLS_MAX = 64,		/* likewise, and everybody may ask for them */
	ERROR_TEXT_MAX = 256,
};

/* struct callback_data - argument of libvirt's callbacks, one for each registration */
struct callback_data {
	struct virt *virt;
	uint64_t serial;
};

/**
 * struct link - one connection, as the worker made it
 * @serial: counts connections; tells events of a dropped one apart
 * @metadata_id: -1 if this libvirt does not tell of metadata
 * @close_data: argument of on_close(), NULL if it is not registered
 */
struct link {
	uint64_t serial;
	virConnectPtr conn;
	int lifecycle_id;
	int metadata_id;
	struct callback_data *close_data;
};

/* What the worker is asked for. */
enum job_type { JOB_CONNECT, JOB_LIST, JOB_READ, JOB_WRITE, JOB_XML, JOB_CLOSE, JOB_STOP };

/**
 * struct job
 * @uuid: of the domain that is meant; the following are of its metadata
 * @note: what to answer with, made when the job is: nothing can fail then
 */
struct job {
	STAILQ_ENTRY(job) queue;
	enum job_type type;
	struct link link;
	char uuid[NAME_UUID_LEN + 1];
	char *xml;
	bool persistent;
	struct note *note;
};

/* What the loop is told, by the worker or by libvirt's close callback. */
enum note_type { NOTE_LISTED, NOTE_FAILED, NOTE_CLOSED, NOTE_READ, NOTE_WRITTEN, NOTE_XML };

struct note {
	STAILQ_ENTRY(note) queue;
	enum note_type type;
	struct link link;
	struct virt_domain *domains;
	size_t n_domains, n_left_out;
	bool has_pid_files;
	char uuid[NAME_UUID_LEN + 1];
	char *metadata;
	char *live_xml, *config_xml;
	uint64_t query;
	void *cookie;
	int error;
	char text[ERROR_TEXT_MAX];
};

/* A lifecycle event that arrived while the worker was listing. */
struct held_event {
	STAILQ_ENTRY(held_event) queue;
	struct virt_domain domain;
	bool running;
};

struct virt {
	/* Constant after virt_new(), so read by both threads. */
	sd_event *event;
	char *uri;
	const struct virt_ops *ops;
	void *userdata;
	int note_fd;

	/* Of the loop's thread. */
	struct virt_event *virt_event;
	sd_event_source *note_source;
	sd_event_source *retry_source;
	enum virt_state state;
	bool ever_tried;
	bool failure_logged;
	bool relist;
	struct link link;	/* .conn is NULL unless connected */
	uint64_t serial;	/* of the connection tried last */
	uint64_t closed_serial; /* of the connection that broke last */
	uint64_t backoff_usec;
	STAILQ_HEAD(, held_event) held;
	size_t n_held;
	size_t n_reads, n_writes, n_xmls; /* under way */

	/* Of the worker: the connection it closed last; jobs for it may still come. */
	uint64_t worker_closed_serial;

	/* Shared, guarded by @lock. */
	pthread_mutex_t lock;
	pthread_cond_t job_added;
	STAILQ_HEAD(, job) jobs;
	STAILQ_HEAD(, note) notes;
	pthread_t worker;
	bool has_worker;
};

const char *virt_state_to_string(enum virt_state state)
{
	static const char *const table[] = {
		[VIRT_DISCONNECTED] = "disconnected",
		[VIRT_CONNECTING] = "connecting",
		[VIRT_CONNECTED] = "connected",
	};

	return table[state];
}

static void domain_done(struct virt_domain *d)
{
	free(d->name);
	d->name = NULL;
	free(d->metadata);
	d->metadata = NULL;
}

static void note_free(struct note *n)
{
	for (size_t i = 0; i < n->n_domains; i++)
		domain_done(&n->domains[i]);
	free(n->domains);
	free(n->metadata);
	free(n->live_xml);
	free(n->config_xml);
	free(n);
}
APF_DEFINE_CLEANUP(struct note *, note_free);

static void job_free(struct job *j)
{
	if (j->note)
		note_free(j->note);
	free(j->xml);
	free(j);
}
APF_DEFINE_CLEANUP(struct job *, job_free);

/* Needs no answer of libvirtd: the handle carries name, UUID and id. */
static int domain_read(virDomainPtr dom, struct virt_domain *ret)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	const char *name = virDomainGetName(dom);
	struct virt_domain d = {};
	int r;

	if (!name || virDomainGetUUIDString(dom, uuid) < 0)
		return -EIO;
	r = name_parse_uuid(uuid, d.uuid);
	if (r < 0)
		return r;
	d.id = (int)virDomainGetID(dom);
	d.name = strdup(name);
	if (!d.name)
		return -ENOMEM;
	name_make_utf8(d.name);
	*ret = d;
	return 0;
}

/* ---- either thread ---- */

static void note_post(struct virt *v, struct note *n)
{
	pthread_mutex_lock(&v->lock);
	STAILQ_INSERT_TAIL(&v->notes, n, queue);
	pthread_mutex_unlock(&v->lock);
	(void)eventfd_write(v->note_fd, 1);
}

/* Takes over @j. */
static void job_queue(struct virt *v, struct job *j)
{
	pthread_mutex_lock(&v->lock);
	STAILQ_INSERT_TAIL(&v->jobs, j, queue);
	pthread_cond_signal(&v->job_added);
	pthread_mutex_unlock(&v->lock);
}

static int job_post(struct virt *v, enum job_type type, const struct link *link)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->type = type;
	if (link)
		j->link = *link;
	job_queue(v, j);
	return 0;
}

/* One about the domain @uuid. */
static int domain_job_new(const struct virt *v, enum job_type type, const char *uuid,
			  struct job **ret)
{
	_cleanup_(job_freep) struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->type = type;
	j->link = v->link;
	j->note = calloc(1, sizeof(*j->note));
	if (!j->note)
		return -ENOMEM;
	j->note->link = v->link;
	snprintf(j->uuid, sizeof(j->uuid), "%s", uuid);
	snprintf(j->note->uuid, sizeof(j->note->uuid), "%s", uuid);
	*ret = TAKE_PTR(j);
	return 0;
}

/* libvirt calls it on the thread that found the connection broken, with locks held. */
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

	/* Without memory the next request on the connection fails and tells. */
	if (!n)
		return;
	n->type = NOTE_CLOSED;
	n->link.serial = data->serial;
	snprintf(n->text, sizeof(n->text), "%s",
		 reason >= 0 && (size_t)reason < ELEMENTSOF(table) ? table[reason] : "unknown");
	note_post(data->virt, n);
}

/* ---- loop: lifecycle ---- */

static void tell(struct virt *v, const struct virt_domain *d, bool running)
{
	if (running)
		v->ops->running(d, v->userdata);
	else
		v->ops->stopped(d->uuid, v->userdata);
}

/* Takes over @d's name. */
static void hold(struct virt *v, struct virt_domain *d, bool running)
{
	struct held_event *h;

	h = v->n_held < HELD_EVENTS_MAX ? calloc(1, sizeof(*h)) : NULL;
	if (!h) {
		v->relist = true;
		domain_done(d);
		return;
	}
	h->domain = *d;
	h->running = running;
	STAILQ_INSERT_TAIL(&v->held, h, queue);
	v->n_held++;
}

/* The listing is in; what happened meanwhile, before or after it was made, comes on top. */
static void held_release(struct virt *v, bool use)
{
	struct held_event *h;

	while ((h = STAILQ_FIRST(&v->held))) {
		STAILQ_REMOVE_HEAD(&v->held, queue);
		if (use)
			tell(v, &h->domain, h->running);
		domain_done(&h->domain);
		free(h);
	}
	v->n_held = 0;
}

/* 1: runs, 0: does not, -1: says nothing about that. */
static int event_means_running(int event)
{
	switch (event) {
	case VIR_DOMAIN_EVENT_STARTED: /* booted, restored or migrated to us */
	case VIR_DOMAIN_EVENT_RESUMED:
	case VIR_DOMAIN_EVENT_SUSPENDED: /* paused; its process lives */
	case VIR_DOMAIN_EVENT_PMSUSPENDED:
	case VIR_DOMAIN_EVENT_CRASHED: /* the guest; "stopped" follows if it is ended */
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

static void list_again(struct virt *v)
{
	if (v->state == VIRT_CONNECTED && job_post(v, JOB_LIST, &v->link) >= 0)
		set_state(v, VIRT_CONNECTING);
	else
		v->relist = true;
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *opaque)
{
	const struct callback_data *data = opaque;
	struct virt *v = data->virt;
	struct virt_domain d;
	int r, running;

	running = event_means_running(event);
	if (data->serial != v->serial || running < 0)
		return 0;
	r = domain_read(dom, &d);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot read an event of libvirt, listing anew");
		list_again(v);
		return 0;
	}
	log_debug("libvirt: domain %s (%d), event %d detail %d", d.name, d.id, event, detail);

	/* A started one that has stopped again has no number any more; "stopped" follows. */
	if (running && d.id < 0) {
		domain_done(&d);
		return 0;
	}
	if (v->state != VIRT_CONNECTED) {
		hold(v, &d, running);
		return 0;
	}
	tell(v, &d, running);
	domain_done(&d);
	return 0;
}

static int on_metadata(virConnectPtr conn, virDomainPtr dom, int type, const char *uri,
		       void *opaque)
{
	const struct callback_data *data = opaque;
	struct virt *v = data->virt;
	char text[VIR_UUID_STRING_BUFLEN], uuid[NAME_UUID_LEN + 1];

	if (data->serial != v->serial || type != VIR_DOMAIN_METADATA_ELEMENT || !uri ||
	    !streq(uri, SETTINGS_XML_URI))
		return 0;
	/* A listing reads all metadata anyway, and may be older than this event. */
	if (v->state != VIRT_CONNECTED || virDomainGetUUIDString(dom, text) < 0 ||
	    name_parse_uuid(text, uuid) < 0 || virt_read_metadata(v, uuid) < 0)
		list_again(v);
	return 0;
}

/* ---- worker ---- */

static struct callback_data *callback_data_new(struct virt *v, uint64_t serial)
{
	struct callback_data *data = malloc(sizeof(*data));

	if (data)
		*data = (struct callback_data){ v, serial };
	return data;
}

static void link_close(struct link *link)
{
	if (!link->conn)
		return;
	/* The callbacks hold references of the connection. */
	if (link->lifecycle_id >= 0)
		virConnectDomainEventDeregisterAny(link->conn, link->lifecycle_id);
	if (link->metadata_id >= 0)
		virConnectDomainEventDeregisterAny(link->conn, link->metadata_id);
	if (link->close_data)
		virConnectUnregisterCloseCallback(link->conn, on_close);
	virConnectClose(link->conn);
	/* libvirt calls on_close() with the lock held that unregistering takes. */
	free(link->close_data);
	link->close_data = NULL;
	link->conn = NULL;
}

static int fail_with_libvirt(struct note *n, const char *what)
{
	snprintf(n->text, sizeof(n->text), "%s: %s", what, virGetLastErrorMessage());
	/* In any language, and cut. */
	name_make_utf8(n->text);
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

	/* Drivers inside the library have no connection that could hang or break. */
	if (virConnectSetKeepAlive(link->conn, KEEPALIVE_INTERVAL_SEC, KEEPALIVE_COUNT) < 0 &&
	    !last_error_is_no_support())
		return fail_with_libvirt(n, "cannot switch on keep-alive");

	data = callback_data_new(v, link->serial);
	if (!data)
		return -ENOMEM;
	/* Without a free callback: drivers inside the library say yes and then forget it. */
	if (virConnectRegisterCloseCallback(link->conn, on_close, data, NULL) < 0) {
		free(data);
		return fail_with_libvirt(n, "cannot register for its end");
	}
	link->close_data = data;

	/* Before the listing, so that nothing falls in between. */
	data = callback_data_new(v, link->serial);
	if (!data)
		return -ENOMEM;
	link->lifecycle_id = virConnectDomainEventRegisterAny(
		link->conn, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
		VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), data, free);
	if (link->lifecycle_id < 0) {
		free(data);
		return fail_with_libvirt(n, "cannot register for events");
	}

	/* Without it, settings are those of the last listing. */
	data = callback_data_new(v, link->serial);
	if (!data)
		return -ENOMEM;
	link->metadata_id = virConnectDomainEventRegisterAny(
		link->conn, NULL, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
		VIR_DOMAIN_EVENT_CALLBACK(on_metadata), data, free);
	if (link->metadata_id < 0)
		free(data);
	return 0;
}

/* Our element of @dom, NULL if there is none. */
static int metadata_read(virDomainPtr dom, char **ret)
{
	char *xml = virDomainGetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, SETTINGS_XML_URI,
					 VIR_DOMAIN_AFFECT_CURRENT);

	if (!xml && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA &&
	    !last_error_is_no_support())
		return -EIO;
	/* It is parsed by the loop, and is somebody else's text. */
	if (xml && strnlen(xml, SETTINGS_XML_MAX_BYTES + 1) > SETTINGS_XML_MAX_BYTES)
		xml[SETTINGS_XML_MAX_BYTES + 1] = '\0';
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

		if (r >= 0 && n->n_domains >= DOMAINS_MAX) {
			n->n_left_out++;
		} else if (r >= 0) {
			d = &n->domains[n->n_domains];
			r = domain_read(doms[i], d);
			/* Stopped since; its event is on the way. */
			if (r >= 0 && d->id < 0) {
				domain_done(d);
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
	_cleanup_(note_freep) struct note *n = calloc(1, sizeof(*n));
	int r = 0;

	/* The loop must hear of the end, or it would wait for ever. */
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
	n->type = r < 0 ? NOTE_FAILED : NOTE_LISTED;
	if (r < 0) {
		v->worker_closed_serial = n->link.serial;
		link_close(&n->link);
	}
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
		r = virDomainSetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, j->xml,
					 SETTINGS_XML_PREFIX, SETTINGS_XML_URI, flags);
		/* To remove what is not there is no failure. */
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
	if (j->link.serial == v->worker_closed_serial) {
		n->error = -ENOTCONN;
		snprintf(n->text, sizeof(n->text), "the connection to libvirt is closed");
	} else {
		n->error = read_or_write(j, n);
	}
	note_post(v, n);
}

static void do_xml(struct virt *v, struct job *j)
{
	struct note *n = TAKE_PTR(j->note);
	virDomainPtr dom = NULL;

	n->type = NOTE_XML;
	if (j->link.serial != v->worker_closed_serial)
		dom = virDomainLookupByUUIDString(j->link.conn, j->uuid);
	if (dom) {
		n->live_xml = virDomainGetXMLDesc(dom, 0);
		n->config_xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
		virDomainFree(dom);
	}
	note_post(v, n);
}

static void *worker_main(void *arg)
{
	struct virt *v = arg;

	pthread_setname_np(pthread_self(), "apfd-libvirt");
	for (;;) {
		_cleanup_(job_freep) struct job *j = NULL;

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
		case JOB_READ:
		case JOB_WRITE:
			do_metadata(v, j);
			break;
		case JOB_XML:
			do_xml(v, j);
			break;
		case JOB_CLOSE:
			/* A listing that failed has closed it already; this is a copy. */
			if (j->link.serial == v->worker_closed_serial)
				break;
			v->worker_closed_serial = j->link.serial;
			link_close(&j->link);
			break;
		case JOB_STOP:
			return NULL;
		}
	}
}

/* ---- loop: connection ---- */

static int connect_now(struct virt *v)
{
	struct link link = { .serial = v->serial + 1, .lifecycle_id = -1, .metadata_id = -1 };
	int r;

	r = job_post(v, JOB_CONNECT, &link);
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

/* Forgets the connection; the worker closes it, which may take long. */
static int drop(struct virt *v, struct link *link)
{
	int r;

	held_release(v, false);
	v->relist = false;
	if (link->conn) {
		r = job_post(v, JOB_CLOSE, link);
		if (r < 0)
			return r;
	}
	v->link.conn = NULL;
	/* Events of the old connection no longer match. */
	v->serial++;
	set_state(v, VIRT_DISCONNECTED);
	return retry_later(v);
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
			/* The worker still uses it; its result decides. */
			v->closed_serial = n->link.serial;
		break;

	case NOTE_FAILED:
		/* Once for each outage: with libvirtd stopped for a week it is no news. */
		log_errno(v->failure_logged ? LOG_DEBUG : LOG_WARNING, 0,
			  "No libvirt at %s (%s), trying again for as long as I run", v->uri,
			  n->text);
		v->failure_logged = true;
		r = drop(v, &n->link);
		break;

	case NOTE_LISTED:
		if (n->link.serial == v->closed_serial) {
			r = drop(v, &n->link);
			break;
		}
		if (n->n_left_out > 0)
			log_error("libvirt has %zu running domains, only %zu are handled",
				  n->n_domains + n->n_left_out, n->n_domains);
		if (!v->link.conn)
			log_info("Connected to libvirt at %s, %zu running domains", v->uri,
				 n->n_domains);
		v->link = n->link;
		v->failure_logged = false;
		v->backoff_usec = BACKOFF_MIN_USEC;
		v->ops->listed(n->domains, n->n_domains, n->has_pid_files, v->userdata);
		held_release(v, true);
		if (v->relist) {
			v->relist = false;
			r = job_post(v, JOB_LIST, &v->link);
			break;
		}
		set_state(v, VIRT_CONNECTED);
		break;

	case NOTE_READ:
		v->n_reads--;
		if (n->error < 0)
			v->ops->unread(n->uuid, n->text, v->userdata);
		else
			v->ops->metadata(n->uuid, n->metadata, v->userdata);
		break;

	case NOTE_WRITTEN:
		v->n_writes--;
		v->ops->written(n->uuid, n->error, n->text, n->cookie, v->userdata);
		break;

	case NOTE_XML:
		v->n_xmls--;
		v->ops->xml(n->query, n->live_xml, n->config_xml, v->userdata);
		break;
	}
	return r;
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
	r = domain_job_new(v, JOB_READ, uuid, &j);
	if (r < 0)
		return r;
	v->n_reads++;
	job_queue(v, j);
	return 0;
}

int virt_read_xml(struct virt *v, const char *uuid, uint64_t query)
{
	struct job *j;
	int r;

	if (!v->link.conn)
		return -ENOTCONN;
	/* Who asked may have gone since: it is the jobs that count, where libvirt hangs. */
	if (v->n_xmls >= XMLS_MAX)
		return -ENOBUFS;
	r = domain_job_new(v, JOB_XML, uuid, &j);
	if (r < 0)
		return r;
	j->note->query = query;
	v->n_xmls++;
	job_queue(v, j);
	return 0;
}

int virt_write_metadata(struct virt *v, const char *uuid, const char *xml, bool persistent,
			void *cookie)
{
	_cleanup_(job_freep) struct job *j = NULL;
	int r;

	if (!v->link.conn)
		return -ENOTCONN;
	if (v->n_writes >= WRITES_MAX)
		return -ENOBUFS;
	r = domain_job_new(v, JOB_WRITE, uuid, &j);
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
	job_queue(v, TAKE_PTR(j));
	return 0;
}

static int on_note(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct virt *v = userdata;
	eventfd_t count;
	int r = 0;

	(void)eventfd_read(fd, &count);
	for (;;) {
		_cleanup_(note_freep) struct note *n = NULL;

		pthread_mutex_lock(&v->lock);
		n = STAILQ_FIRST(&v->notes);
		if (n)
			STAILQ_REMOVE_HEAD(&v->notes, queue);
		pthread_mutex_unlock(&v->lock);
		if (!n)
			break;
		r = handle_note(v, n);
		if (r < 0)
			log_errno(LOG_ERR, r, "Cannot go on with libvirt");
	}
	/* Without a timer or a job the connection would never come back: end and be restarted. */
	return r;
}

static void silence(void *userdata, virErrorPtr error)
{
	/* libvirt would print to standard error; callers log what matters. */
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
	STAILQ_INIT(&v->held);
	STAILQ_INIT(&v->jobs);
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
	sigset_t all, old;
	int r;

	/* Signals belong to the loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&v->worker, NULL, worker_main, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return -r;
	v->has_worker = true;
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
	struct timespec until;
	int r;

	if (!v->has_worker)
		return 0;
	if (v->link.conn) {
		r = job_post(v, JOB_CLOSE, &v->link);
		if (r < 0)
			return r;
	}
	r = job_post(v, JOB_STOP, NULL);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_SEC;
	r = pthread_timedjoin_np(v->worker, NULL, &until);
	if (r != 0)
		return -r;
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
		log_errno(LOG_WARNING, r, "libvirt does not let go, leaving it behind");
		sd_event_source_disable_unref(v->note_source);
		sd_event_source_disable_unref(v->retry_source);
		return NULL;
	}

	/* The worker is gone: nobody else touches the queues. */
	while ((n = STAILQ_FIRST(&v->notes))) {
		STAILQ_REMOVE_HEAD(&v->notes, queue);
		if (n->type == NOTE_LISTED && n->link.conn != v->link.conn)
			link_close(&n->link);
		if (n->type == NOTE_WRITTEN)
			v->ops->written(n->uuid, n->error, n->text, n->cookie, v->userdata);
		note_free(n);
	}
	while ((j = STAILQ_FIRST(&v->jobs))) {
		STAILQ_REMOVE_HEAD(&v->jobs, queue);
		if (j->type == JOB_WRITE)
			v->ops->written(j->uuid, -ECANCELED, "apfd ends", j->note->cookie,
					v->userdata);
		job_free(j);
	}
	held_release(v, false);

	sd_event_source_disable_unref(v->note_source);
	sd_event_source_disable_unref(v->retry_source);
	if (v->virt_event)
		virt_event_drain(v->virt_event);
	virt_event_free(v->virt_event);
	safe_close(v->note_fd);
	sd_event_unref(v->event);
	pthread_cond_destroy(&v->job_added);
	pthread_mutex_destroy(&v->lock);
	free(v->uri);
	free(v);
	return NULL;
}
