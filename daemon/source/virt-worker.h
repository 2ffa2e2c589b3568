/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The threads of virt.c: the event loop posts jobs; the workers execute them by calls of libvirt,
 * which may block, and post notes with the results. One worker connects, lists and closes; the
 * domain workers execute jobs about single domains. Private to virt.c and virt-worker.c.
 */
#ifndef APFD_VIRT_WORKER_H
#define APFD_VIRT_WORKER_H

#include <libvirt/libvirt.h>
#include <pthread.h>
#include <sys/queue.h>

#include "uuid.h"
#include "virt.h"

enum {
	ERROR_TEXT_MAX = 256,
	/*
	 * By default libvirtd executes five requests of a client at a time and reads no more from
	 * it meanwhile; one of the five is for the connection.
	 */
	DOMAIN_WORKERS = 3,
	/* Queued jobs about a domain; every user may request its XML. */
	DOMAIN_JOBS_MAX = 16,
};

/* From then on a call is no longer expected to return soon. */
#define BUSY_USEC (5 * USEC_PER_SEC)

struct virt_event;

/* struct callback_data - argument of libvirt's callbacks, one for each registration. */
struct callback_data {
	struct virt *virt;
	uint64_t serial;
};

/**
 * struct link - one connection, opened by the worker
 * @serial: number of the connection; identifies events of a closed connection
 * @metadata_id: -1 if this libvirt has no events for metadata
 * @close_data: argument of on_close(), NULL if on_close() is not registered
 */
struct link {
	uint64_t serial;
	virConnectPtr conn;
	int lifecycle_id;
	int metadata_id;
	struct callback_data *close_data;
};

/* Requests to the workers; those about a domain are last. */
enum job_type { JOB_CONNECT, JOB_LIST, JOB_CLOSE, JOB_STOP, JOB_READ, JOB_WRITE, JOB_XML };

/**
 * struct job
 * @link: of a job about a domain only @conn is set, with a reference
 * @uuid: the domain
 * @xml: new metadata of the domain, NULL removes the metadata
 * @persistent: also change the domain's persistent definition
 * @note: the answer, allocated together with the job so that answering cannot fail
 */
struct job {
	STAILQ_ENTRY(job) queue;
	enum job_type type;
	struct link link;
	char uuid[UUID_LEN + 1];
	char *xml;
	bool persistent;
	struct note *note;
};

/* Messages to the loop, from the worker or from libvirt's close callback. */
enum note_type { NOTE_LISTED, NOTE_FAILED, NOTE_CLOSED, NOTE_READ, NOTE_WRITTEN, NOTE_XML };

struct note {
	STAILQ_ENTRY(note) queue;
	enum note_type type;
	struct link link;
	struct virt_domain *domains;
	size_t n_domains;
	bool has_pid_files;
	char uuid[UUID_LEN + 1];
	char *metadata;
	char *live_xml, *config_xml;
	uint64_t query;
	void *cookie;
	int error;
	char text[ERROR_TEXT_MAX];
};

/**
 * struct domain_worker - a thread for jobs about domains
 * @uuid: the domain of the job that is executed, "" if none
 * @since_usec: when this job was started, CLOCK_MONOTONIC
 */
struct domain_worker {
	struct virt *virt;
	pthread_t thread;
	bool started;
	char uuid[UUID_LEN + 1];
	uint64_t since_usec;
};

/* A lifecycle event that arrived while the worker was listing domains. */
struct queued_event {
	STAILQ_ENTRY(queued_event) queue;
	struct virt_domain domain;
	bool running;
};

struct virt {
	/* Constant after virt_new(), so both threads may read these. */
	sd_event *event;
	char *uri;
	const struct virt_ops *ops;
	void *userdata;
	int note_fd;

	/* Used by the loop's thread only. */
	struct virt_event *virt_event;
	sd_event_source *note_source;
	sd_event_source *retry_source;
	enum virt_state state;
	bool ever_tried;
	bool failure_logged;
	bool relist;
	bool written_during_list; /* so the metadata of the current listing may be old */
	struct link link;	  /* .conn is NULL unless connected */
	uint64_t serial;	  /* of the latest attempt to connect */
	uint64_t closed_serial;	  /* of the connection that was lost last */
	uint64_t backoff_usec;
	STAILQ_HEAD(, queued_event) queued;
	size_t n_queued;
	size_t n_reads, n_writes, n_xmls; /* jobs without an answer yet */

	/* Shared, guarded by @lock; of the domain workers, their job. */
	pthread_mutex_t lock;
	pthread_cond_t job_added;
	pthread_cond_t domain_job_changed; /* one was added, or another one is done */
	STAILQ_HEAD(, job) jobs;
	STAILQ_HEAD(, job) domain_jobs;
	bool stop; /* the domain workers end when there are no jobs */
	struct domain_worker domain_workers[DOMAIN_WORKERS];
	STAILQ_HEAD(, note) notes;
	pthread_t worker;
	bool has_worker;
};

/* ---- for both threads ---- */

void virt_domain_done(struct virt_domain *d);

void virt_note_free(struct note *n);
APF_DEFINE_CLEANUP(struct note *, virt_note_free);
void virt_job_free(struct job *j);
APF_DEFINE_CLEANUP(struct job *, virt_job_free);

/* Reads name, UUID and id from the handle, without a request to libvirtd. 0 or -errno. */
int virt_domain_read(virDomainPtr dom, struct virt_domain *ret);

/* virt_jobs_of: number of queued jobs of @type about the domain @uuid; -1 is any type. */
size_t virt_jobs_of(struct virt *v, const char *uuid, int type);

/* virt_job_new: makes a job about the domain @uuid. virt_job_queue: takes over @j. */
int virt_job_new(const struct virt *v, enum job_type type, const char *uuid, struct job **ret);
void virt_job_queue(struct virt *v, struct job *j);

/* virt_job_post: makes and queues a job that is not about a domain. 0 or -ENOMEM. */
int virt_job_post(struct virt *v, enum job_type type, const struct link *link);

/* ---- for the worker's thread, and for virt_free() after that thread has ended ---- */

void virt_link_close(struct link *link);

/* Main functions of the threads; @arg is the &struct virt or the &struct domain_worker. */
void *virt_worker_main(void *arg);
void *virt_domain_worker_main(void *arg);

/* ---- for the loop's thread: libvirt's events ---- */

int virt_on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *opaque);
int virt_on_metadata(virConnectPtr conn, virDomainPtr dom, int type, const char *uri, void *opaque);

#endif /* APFD_VIRT_WORKER_H */
