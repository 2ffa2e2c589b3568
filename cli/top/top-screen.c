// SPDX-License-Identifier: GPL-2.0
/*
 * Full-screen "top". Nothing here blocks: all calls to apfd are asynchronous, so that
 * keys are handled while apfd is slow, and the screen stays while apfd is not running.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bus.h"
#include "screen.h"
#include "top-request.h"
#include "top-draw.h"
#include "top-keys.h"
#include "top-state.h"

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct top *top = userdata;
	int key;

	while ((key = screen_key()) != SCREEN_KEY_NONE)
		top_on_key(top, key);
	/* The terminal was closed. */
	if (revents & (EPOLLHUP | EPOLLERR))
		top_end(top, STATUS_OK);
	else
		top_draw(top);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct top *top = userdata;
	int r;

	top_request_host(top);
	top_request_vms(top);
	top_request_vcpus(top);
	r = sd_event_source_set_time_relative(source, top->ctl->interval_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	top_end(userdata, STATUS_OK);
	return 0;
}

static int on_resize(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	screen_resize();
	top_draw(userdata);
	return 0;
}

/* Ctrl-Z: restore the terminal for the shell; draw again after SIGCONT. */
static int on_suspend(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	screen_suspend();
	kill(getpid(), SIGSTOP);
	screen_resize();
	top_draw(userdata);
	return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct top *top = userdata;
	const char *name, *old, *new;

	if (sd_bus_message_read(m, "sss", &name, &old, &new) < 0 || strcmp(name, BUS_NAME) != 0)
		return 0;
	/* Another apfd may be newer. */
	top->apfd_is_old = false;
	if (new[0] == '\0')
		top->apfd_missing = true;
	else
		top_request_vms(top);
	top_draw(top);
	return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_DISCONNECTED, "");
	struct top *top = userdata;

	top_end(top, bus_fail_call(&top->ctl->client, "", &error, -ENOTCONN));
	return 0;
}

static int listen_to_bus(struct top *top)
{
	int r;

	r = sd_bus_match_signal_async(top->ctl->client.bus, NULL, "org.freedesktop.DBus",
				      "/org/freedesktop/DBus", "org.freedesktop.DBus",
				      "NameOwnerChanged", on_owner, NULL, top);
	if (r >= 0)
		r = sd_bus_match_signal(top->ctl->client.bus, NULL, "org.freedesktop.DBus.Local",
					"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
					"Disconnected", on_disconnected, top);
	return r;
}

static int prepare_loop(struct top *top)
{
	static const struct {
		int number;
		sd_event_signal_handler_t handler;
	} signals[] = {
		{ SIGINT, on_stop },  { SIGTERM, on_stop },    { SIGHUP, on_stop },
		{ SIGQUIT, on_stop }, { SIGWINCH, on_resize }, { SIGTSTP, on_suspend },
	};
	sigset_t set;
	int r;

	sigemptyset(&set);
	for (size_t i = 0; i < ELEMENTSOF(signals); i++)
		sigaddset(&set, signals[i].number);
	sigprocmask(SIG_BLOCK, &set, &top->mask_before);

	r = sd_event_new(&top->event);
	for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
		r = sd_event_add_signal(top->event, NULL, signals[i].number, signals[i].handler,
					top);
	if (r >= 0)
		r = sd_event_add_io(top->event, NULL, STDIN_FILENO, EPOLLIN, on_input, top);
	if (r >= 0)
		r = sd_event_add_time_relative(top->event, &top->timer, CLOCK_MONOTONIC,
					       top->ctl->interval_usec, 1000, on_timer, top);
	if (r >= 0)
		r = listen_to_bus(top);
	if (r >= 0)
		r = sd_bus_attach_event(top->ctl->client.bus, top->event, 0);
	return r;
}

int top_run_screen(struct apfctl *ctl, const struct top_view *view, struct top_sample *first,
		   bool *ret_no_screen)
{
	struct top top = {
		.ctl = ctl,
		.view = view,
		.choice_vms.by = view->by,
		.choice_vcpus.by.column = TOP_VCPU_INDEX,
		.path = strdup(""),
		.vms = first->vms,
		.host = first->host,
	};
	int r;

	first->vms = (struct vm_list){};
	first->host = (struct host){};
	*ret_no_screen = false;
	r = top.path ? prepare_loop(&top) : -ENOMEM;
	if (r >= 0) {
		/* Only now: signals are handled by the loop, so screen_end() will be called. */
		*ret_no_screen = screen_begin(&ctl->term) < 0;
		if (!*ret_no_screen) {
			top_sort(&top.vms, view->by);
			top_choose_vm(&top, 0);
			top_draw(&top);
			r = sd_event_loop(top.event);
			screen_end();
		}
	}

	sd_bus_slot_unref(top.vms_slot);
	sd_bus_slot_unref(top.host_slot);
	sd_bus_slot_unref(top.change_slot);
	top_clear_vcpus(&top);
	sd_event_source_unref(top.timer);
	sd_bus_detach_event(ctl->client.bus);
	sd_event_unref(top.event);
	/* The caller continues without a screen: signals must act as before. */
	if (*ret_no_screen)
		sigprocmask(SIG_SETMASK, &top.mask_before, NULL);
	vm_list_clear(&top.vms);
	host_clear(&top.host);
	free(top.path);
	free(top.message);
	if (r < 0 && top.status == STATUS_OK)
		return status_fail(STATUS_FAILED, "top: %s", strerror(-r));
	return top.status;
}
