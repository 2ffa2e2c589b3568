// SPDX-License-Identifier: GPL-2.0
#include "server.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "accept.h"
#include "process.h"

enum {
	CONNECTIONS_MAX = 64,	     /* each connection has a thread */
	CONNECTIONS_MAX_ADDRESS = 8, /* one client must not use all connections */
	CONNECTION_WAIT_SEC = 5,     /* an idle connection is closed after this time */
	CONNECTION_BYTES = 16 * 1024,
};

/* apfd refreshes its figures once a second: an earlier scrape would read the same figures. */
#define FRESH_USEC 900000

/**
 * struct server
 * @lock: allows one scrape at a time; guards @answers and @made_usec
 * @answers: the last successful response for each format, NULL if there is none
 * @made_usec: when each response was made, CLOCK_MONOTONIC
 */
struct server {
	const struct scrape_options *options;
	struct MHD_Daemon **daemons;
	size_t n_daemons;
	pthread_mutex_t lock;
	struct MHD_Response *answers[PROMETHEUS_TEXT + 1];
	uint64_t made_usec[PROMETHEUS_TEXT + 1];
};

static const char *const content_types[] = {
	[OPENMETRICS_1_0] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
	[PROMETHEUS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
};

static const char landing_page[] = "<!DOCTYPE html>\n<title>apf-exporter</title>\n"
				   "<h1>apf-exporter " APF_VERSION "</h1>\n"
				   "<p><a href=\"/metrics\">metrics</a>, "
				   "<a href=\"/-/healthy\">health</a></p>\n";

static uint64_t now_usec(void)
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Creates a response that owns @text; NULL on failure. */
static struct MHD_Response *response_new(char *text, size_t size, const char *content_type)
{
	struct MHD_Response *response;

	response = MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return NULL;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	return response;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned int status,
				   const char *content_type, const char *body)
{
	struct MHD_Response *response;
	char *text = strdup(body);
	enum MHD_Result result;

	response = text ? response_new(text, strlen(text), content_type) : NULL;
	if (!response)
		return MHD_NO;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* Creates a response with @data as text in @format; NULL if out of memory. */
static struct MHD_Response *metrics_new(const struct openmetrics *data, const char *comment,
					enum openmetrics_format format)
{
	struct MHD_Response *response;
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int r;

	if (!file)
		return NULL;
	/* OpenMetrics has no comments. */
	if (comment && format == PROMETHEUS_TEXT)
		fprintf(file, "# %s\n", comment);
	r = openmetrics_print(file, data, format);
	if (fclose(file) != 0 || r < 0) {
		free(text);
		return NULL;
	}
	response = response_new(text, size, content_types[format]);
	if (response) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
		MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT);
	}
	return response;
}

static void drop_answer(struct server *s, enum openmetrics_format format)
{
	if (s->answers[format])
		MHD_destroy_response(s->answers[format]);
	s->answers[format] = NULL;
}

/* Reads the figures from apfd and makes the response. Caller holds the lock. */
static int refresh_answer(struct server *s, enum openmetrics_format format, const char **ret_why)
{
	_cleanup_(scrape_clear) struct scrape scrape = {};
	struct openmetrics data = { .host = &scrape.host, .vms = &scrape.vms };
	int r;

	drop_answer(s, format);
	r = scrape_read(s->options, &scrape, ret_why);
	if (r < 0)
		return r;
	data.n_vms_shown = scrape.n_vms_shown;
	data.vcpus = scrape.vcpus;
	data.collect_usec = scrape.took_usec;
	data.current_only = s->options->current_only;
	data.print_more = process_print;
	s->answers[format] = metrics_new(&data, NULL, format);
	if (!s->answers[format]) {
		*ret_why = "out of memory";
		return -ENOMEM;
	}
	s->made_usec[format] = now_usec();
	return 0;
}

static enum MHD_Result answer_unavailable(struct MHD_Connection *connection,
					  enum openmetrics_format format, const char *why)
{
	struct openmetrics data = { .print_more = process_print };
	struct MHD_Response *response = metrics_new(&data, why, format);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	/* Of any other status Prometheus ignores the body, and apf_up 0 would never be stored. */
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_metrics(struct server *s, struct MHD_Connection *connection)
{
	enum openmetrics_format format = accept_format(
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
	uint64_t wait_nsec = s->options->timeout_usec * 1000;
	struct timespec until = {};
	const char *why = NULL;
	enum MHD_Result result;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	wait_nsec += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(wait_nsec / 1000000000);
	until.tv_nsec = (long)(wait_nsec % 1000000000);
	if (pthread_mutex_timedlock(&s->lock, &until) != 0)
		return answer_unavailable(connection, format,
					  "apfd does not answer another request either");

	if (!s->answers[format] || now_usec() - s->made_usec[format] > FRESH_USEC)
		r = refresh_answer(s, format, &why);
	if (r < 0)
		result = answer_unavailable(connection, format, why);
	else
		result = MHD_queue_response(connection, MHD_HTTP_OK, s->answers[format]);
	pthread_mutex_unlock(&s->lock);
	return result;
}

static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection,
				  const char *url, const char *method, const char *version,
				  const char *upload, size_t *upload_bytes, void **state)
{
	static const char plain[] = "text/plain; charset=utf-8";
	struct server *s = userdata;
	static int seen;

	/* The first call is for the headers only; a body is read and ignored. */
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_bytes > 0) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, plain,
				   "only GET and HEAD\n");
	if (strcmp(url, "/metrics") == 0)
		return answer_metrics(s, connection);
	if (strcmp(url, "/-/healthy") == 0)
		return answer_text(connection, MHD_HTTP_OK, plain, "apf-exporter is healthy\n");
	if (strcmp(url, "/") == 0)
		return answer_text(connection, MHD_HTTP_OK, "text/html; charset=utf-8",
				   landing_page);
	return answer_text(connection, MHD_HTTP_NOT_FOUND, plain, "not found, see /metrics\n");
}

int server_new(const struct scrape_options *options, const int *sockets, size_t n_sockets,
	       struct server **ret)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->options = options;
	pthread_mutex_init(&s->lock, NULL);
	s->daemons = calloc(n_sockets, sizeof(*s->daemons));
	if (!s->daemons) {
		server_free(s);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_sockets; i++) {
		s->daemons[i] = MHD_start_daemon(
			MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
				MHD_USE_POLL,
			0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, sockets[i],
			MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
			MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX_ADDRESS,
			MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)CONNECTION_WAIT_SEC,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
			MHD_OPTION_END);
		if (!s->daemons[i]) {
			server_free(s);
			return -EIO;
		}
		s->n_daemons++;
	}
	*ret = s;
	return 0;
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->n_daemons; i++)
		MHD_stop_daemon(s->daemons[i]);
	free(s->daemons);
	drop_answer(s, OPENMETRICS_1_0);
	drop_answer(s, PROMETHEUS_TEXT);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}
