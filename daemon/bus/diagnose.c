/* SPDX-License-Identifier: GPL-2.0 */
#include "diagnose.h"

#include <errno.h>

#include "doctor.h"
#include "log.h"
#include "server.h"
#include "utf8.h"

/* Converts each line separately, because utf8_make_valid() would replace newlines. */
static void make_lines_utf8(char *s)
{
	for (char *end; s; s = end) {
		end = strchr(s, '\n');
		if (end)
			*end = '\0';
		utf8_make_valid(s);
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

		/* The texts contain names and paths with any bytes, and may have been truncated. */
		snprintf(fact, sizeof(fact), "%s", f->fact);
		utf8_make_valid(fact);
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

int diagnose_host(struct server *s, sd_bus_message *message)
{
	_cleanup_free_ struct diagnosis *diagnosis = calloc(1, sizeof(*diagnosis));

	if (!diagnosis)
		return -ENOMEM;
	doctor_ask_host(s->doctor, diagnosis);
	return send_diagnosis(message, diagnosis);
}

/**
 * struct question - a call of Diagnose() that was not answered yet
 */
struct question {
	struct server *server;
	sd_bus_message *message;
};

static void on_diagnosed(const char *uuid, const struct diagnosis *diagnosis, int error,
			 void *userdata)
{
	_cleanup_(sd_bus_error_free) sd_bus_error bus_error = SD_BUS_ERROR_NULL;
	struct question *q = userdata;
	int r = error;

	if (diagnosis)
		r = send_diagnosis(q->message, diagnosis);
	else if (error == -ESRCH)
		r = server_no_such_vm(q->server, uuid, &bus_error);
	/* apfd exits: send no answer. */
	if (r < 0 && error != -ECANCELED)
		r = sd_bus_reply_method_errno(q->message, r, &bus_error);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot answer Diagnose(), ignoring");
	sd_bus_message_unref(q->message);
	free(q);
}

int diagnose_vm(struct server *s, const struct vm *vm, sd_bus_message *message, sd_bus_error *error)
{
	struct question *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	q->server = s;
	q->message = sd_bus_message_ref(message);
	r = doctor_ask_vm(s->doctor, vm, on_diagnosed, q);
	if (r >= 0)
		return 1;
	sd_bus_message_unref(q->message);
	free(q);
	return r == -EBUSY ? sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					      "Too many calls of Diagnose() are waiting already")
			   : r;
}
