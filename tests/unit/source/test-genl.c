/* SPDX-License-Identifier: GPL-2.0 */
/* The link to the module: presence, notifications, and requests that wait for their answer. */
#include "genl-peer.h"

static sd_event *event;
static struct apfd_genl *g;
static struct {
	int present, absent, lost, events;
	struct genl_event event;
} seen;

/* ---- the daemon's side ---- */

static void on_presence(bool present, void *userdata)
{
	if (present)
		seen.present++;
	else
		seen.absent++;
}

static void on_event(const struct genl_event *e, void *userdata)
{
	seen.events++;
	seen.event = *e;
}

static void on_lost(void *userdata)
{
	seen.lost++;
}

static const struct apfd_genl_ops ops = { on_presence, on_event, on_lost };

static void run_until(const int *counter, int want)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	while (*counter < want) {
		assert_true(clock_usec(CLOCK_MONOTONIC) < end_usec);
		assert_true(sd_event_run(event, 10 * USEC_PER_MSEC) >= 0);
	}
}

static void run_for(uint64_t usec)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + usec, now_usec;

	while ((now_usec = clock_usec(CLOCK_MONOTONIC)) < end_usec)
		assert_true(sd_event_run(event, end_usec - now_usec) >= 0);
}

static void next_turn(void)
{
	assert_true(sd_event_run(event, 0) >= 0);
}

static int setup_with(bool present, enum mode mode)
{
	struct apfd_genl_peer to;

	memset(&seen, 0, sizeof(seen));
	if (peer_start(present, mode) < 0)
		return -1;
	to = (struct apfd_genl_peer){ NETLINK_USERSOCK, peer.port, PEER_WAIT_MSEC };
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(apfd_genl_new(event, &to, &ops, NULL, &g), 0);
	assert_int_equal(apfd_genl_start(g), 0);
	return 0;
}

static int setup(void **state)
{
	return setup_with(true, NORMAL);
}

static int setup_forbidden(void **state)
{
	return setup_with(true, FORBID);
}

static int setup_absent(void **state)
{
	return setup_with(false, NORMAL);
}

static int teardown(void **state)
{
	peer.mode = NORMAL;
	g = apfd_genl_free(g);
	event = sd_event_unref(event);
	peer_stop();
	return 0;
}

/* ---- tests ---- */

static void test_info(void **state)
{
	assert_int_equal(seen.present, 1);
	assert_non_null(apfd_genl_info(g));
	assert_string_equal(apfd_genl_info(g)->version, "9.9.9");
	assert_int_equal(apfd_genl_info(g)->nowait, APF_NOWAIT_ACTIVE);
	assert_true(apfd_genl_info(g)->nested_guard);
}

/* Another program takes one of the module's functions after the daemon has asked. */
static void test_refresh(void **state)
{
	uint32_t all = apfd_genl_info(g)->hooks.n;

	assert_int_equal(all, APF_HOOK_MAX + 1);
	assert_int_equal(apfd_genl_refresh(g), 0);
	peer.hooks = 1U << APF_HOOK_GATE;
	assert_int_equal(apfd_genl_refresh(g), 1);
	assert_true(apfd_genl_info(g)->hooks.hook[APF_HOOK_GATE].placed);
	assert_false(apfd_genl_info(g)->hooks.hook[APF_HOOK_STALL].placed);
	assert_int_equal(apfd_genl_refresh(g), 0);
	peer.mode = REFUSE;
	assert_int_equal(apfd_genl_refresh(g), -ERANGE);
	assert_true(apfd_genl_info(g)->hooks.hook[APF_HOOK_GATE].placed);
}

static void test_requests(void **state)
{
	uint32_t indices[] = { 3, 1, 2 };
	char text[GENL_TEXT_MAX];
	struct genl_vm vm = {};

	assert_int_equal(apfd_genl_vm_add(g, 33, &vm, text), 0);
	assert_int_equal(peer.last.fd, 33);
	assert_int_equal(vm.id, 12);
	assert_int_equal(vm.state, APF_STATE_PV);
	assert_int_equal(vm.pid, 4711);
	assert_int_equal(vm.age_msec, 60000);

	assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, "because", text), 0);
	assert_int_equal(peer.last.vm_id, 12);
	assert_int_equal(peer.last.state, APF_STATE_OFF);
	assert_string_equal(peer.last.reason, "because");
	assert_int_equal(peer.last.n_indices, 0);

	assert_int_equal(apfd_genl_set(g, 12, APF_STATE_ON, indices, 3, 0, NULL, text), 0);
	assert_int_equal(peer.last.n_indices, 3);
	assert_int_equal(peer.last.last_index, 2);
	assert_string_equal(peer.last.reason, "");

	assert_int_equal(apfd_genl_vm_del(g, 12), 0);
	assert_int_equal(peer.last.cmd, APF_CMD_VM_DEL);
	assert_int_equal(peer.last.vm_id, 12);
}

/* A module that knows no leases would refuse the attribute, and the command. */
static void test_leases(void **state)
{
	char text[GENL_TEXT_MAX];
	int requests;

	for (int known = 0; known < 2; known++) {
		peer.knows_leases = known;
		assert_true(apfd_genl_refresh(g) >= 0);
		assert_int_equal(apfd_genl_knows_leases(g), known);
		assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 30000, NULL, text),
				 0);
		assert_int_equal(peer.last.lease_msec, known ? 30000 : 0);
		assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text), 0);
		assert_int_equal(peer.last.lease_msec, 0);
		requests = peer.requests;
		assert_int_equal(apfd_genl_renew(g), 0);
		assert_int_equal(peer.requests - requests, known);
		if (known)
			assert_int_equal(peer.last.cmd, APF_CMD_RENEW);
	}
	peer.knows_leases = false;
}

static void test_refusal_has_words(void **state)
{
	char text[GENL_TEXT_MAX] = "before";

	peer.mode = REFUSE;
	assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text), -ERANGE);
	assert_string_equal(text, "this VM has 2 vCPUs");
	peer.mode = NORMAL;
	assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text), 0);
	assert_string_equal(text, "");
}

static void test_long_reason_is_cut(void **state)
{
	char reason[300], text[GENL_TEXT_MAX];

	memset(reason, 'r', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	assert_int_equal(apfd_genl_set(g, 1, APF_STATE_ON, NULL, 0, 0, reason, text), 0);
	assert_int_equal(strlen(peer.last.reason), APF_REASON_MAX);
}

static void test_silence_has_an_end(void **state)
{
	uint64_t start_usec = clock_usec(CLOCK_MONOTONIC), took_usec;
	char text[GENL_TEXT_MAX];
	int requests;

	peer.mode = SILENT;
	assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text), -ETIMEDOUT);
	took_usec = clock_usec(CLOCK_MONOTONIC) - start_usec;
	assert_in_range(took_usec, PEER_WAIT_MSEC * USEC_PER_MSEC,
			(PEER_WAIT_MSEC + 1000) * USEC_PER_MSEC);
	/* This turn of the loop has waited long enough. */
	peer.mode = NORMAL;
	assert_false(apfd_genl_has_time(g));
	requests = peer.requests;
	assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text), -ETIME);
	assert_int_equal(peer.requests, requests);
	/* In the next one it works. */
	next_turn();
	assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text), 0);
}

/* Answers that are all late take the time of one turn together, and none is lost. */
static void test_late_answers_share_a_turn(void **state)
{
	uint64_t start_usec = clock_usec(CLOCK_MONOTONIC);
	char text[GENL_TEXT_MAX];
	int r, done = 0;

	peer.delay_msec = PEER_WAIT_MSEC * 6 / 10;
	while ((r = apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text)) == 0)
		done++;
	assert_int_equal(r, -ETIME);
	assert_int_equal(done, 1);
	assert_true(clock_usec(CLOCK_MONOTONIC) - start_usec < 2 * PEER_WAIT_MSEC * USEC_PER_MSEC);
	next_turn();
	assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text), 0);
}

/* A module that is silent is asked less often, so that it costs the loop next to nothing. */
static void test_silent_module_is_asked_less(void **state)
{
	char text[GENL_TEXT_MAX];
	int requests;

	peer.mode = SILENT;
	for (int i = 0; i < 3; i++) {
		next_turn();
		assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text),
				 -ETIMEDOUT);
	}
	requests = peer.requests;
	for (int i = 0; i < 3; i++) {
		next_turn();
		assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text),
				 -ETIMEDOUT);
		assert_true(apfd_genl_has_time(g));
	}
	assert_int_equal(peer.requests, requests);
	/* It is asked again later, and then all is as before. */
	peer.mode = NORMAL;
	run_for(1100 * USEC_PER_MSEC);
	for (int i = 0; i < 3; i++)
		assert_int_equal(apfd_genl_set(g, 12, APF_STATE_OFF, NULL, 0, 0, NULL, text), 0);
}

static void test_endless_dump_has_an_end(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;

	peer.mode = ENDLESS;
	assert_int_equal(apfd_genl_vcpu_dump(g, 1, &vcpus), -ETIMEDOUT);
	assert_null(vcpus);
}

static void test_answers_of_others_are_not_ours(void **state)
{
	char text[GENL_TEXT_MAX];
	struct genl_vm vm;

	peer.mode = LATE;
	assert_int_equal(apfd_genl_vm_add(g, 1, &vm, text), 0);
	assert_int_equal(vm.id, 12);
}

static void test_stranger_is_ignored(void **state)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = apfd_genl_event_port(g) };
	struct nl_msg *m = family_message(NULL, CTRL_CMD_DELFAMILY, FAMILY);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	assert_true(sendto(fd, nlmsg_hdr(m), nlmsg_hdr(m)->nlmsg_len, 0, (struct sockaddr *)&to,
			   sizeof(to)) > 0);
	run_for(50 * USEC_PER_MSEC);
	assert_int_equal(seen.absent, 0);
	/* The same from the peer counts. */
	peer_send(m, to.nl_pid, 0);
	run_until(&seen.absent, 1);
	close(fd);
}

static void test_missing_answer(void **state)
{
	char text[GENL_TEXT_MAX];
	struct genl_vm vm = { .id = 77 };

	peer.mode = NO_REPLY;
	assert_int_equal(apfd_genl_vm_add(g, 1, &vm, text), -EBADMSG);
	assert_int_equal(vm.id, 77);
}

static void test_dump(void **state)
{
	_cleanup_free_ struct genl_vcpu *all = NULL;

	assert_int_equal(apfd_genl_vcpu_dump(g, 2, &all), 3);
	assert_int_equal(all[2].index, 2);
	assert_int_equal(all[2].totals.counters[APF_STAT_READY], 2002);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(all[i].vm_id, 2);
		assert_int_equal(all[i].paused, all[i].index == 1);
		assert_int_equal(all[i].guest.present, all[i].index > 0);
		assert_int_equal(all[i].guest.value[APF_GUEST_A_POOL_SIZE],
				 all[i].index > 0 ? all[i].vm_id : 0);
		assert_int_equal(all[i].guest.value[APF_GUEST_A_POOL_IN_USE], all[i].index == 1);
	}
}

static void test_interrupted_dump_is_repeated(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;

	peer.mode = INTERRUPTED;
	assert_int_equal(apfd_genl_vcpu_dump(g, 1, &vcpus), 3);
	assert_int_equal(peer.dumps, 2);
}

static void test_dump_that_never_succeeds(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;

	peer.mode = ALWAYS_INTERRUPTED;
	assert_int_equal(apfd_genl_vcpu_dump(g, 1, &vcpus), -EAGAIN);
	assert_in_range(peer.dumps, 2, 10);
	peer.mode = DONE_WITH_ERROR;
	assert_int_equal(apfd_genl_vcpu_dump(g, 1, &vcpus), -ENOMEM);
	assert_null(vcpus);
}

static void test_malformed_dump(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;

	peer.mode = MALFORMED;
	assert_int_equal(apfd_genl_vcpu_dump(g, 1, &vcpus), -EBADMSG);
	peer.mode = CUT;
	assert_int_equal(apfd_genl_vcpu_dump(g, 1, &vcpus), -EBADMSG);
	assert_null(vcpus);
	peer.mode = NORMAL;
	assert_int_equal(apfd_genl_vcpu_dump(g, 1, &vcpus), 3);
}

static void test_absent(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;
	char text[GENL_TEXT_MAX];
	struct genl_vm vm;

	assert_int_equal(seen.present, 0);
	assert_int_equal(seen.absent, 0);
	assert_null(apfd_genl_info(g));
	strcpy(text, "unset");
	assert_int_equal(apfd_genl_vm_add(g, 1, &vm, text), -ENXIO);
	assert_string_equal(text, "");
	strcpy(text, "unset");
	assert_int_equal(apfd_genl_set(g, 1, APF_STATE_ON, NULL, 0, 0, NULL, text), -ENXIO);
	assert_string_equal(text, "");
	assert_int_equal(apfd_genl_vcpu_dump(g, 1, &vcpus), -ENXIO);
	assert_int_equal(peer.requests, 0);
}

static void test_loaded_and_unloaded(void **state)
{
	/* Somebody else's family. */
	struct nl_msg *m = family_message(NULL, CTRL_CMD_NEWFAMILY, OTHER_FAMILY);

	nla_put_string(m, CTRL_ATTR_FAMILY_NAME, "other");
	peer.present = true;
	peer_send(m, 0, 1u << (GROUP_NOTIFY - 1));
	run_for(50 * USEC_PER_MSEC);
	assert_int_equal(seen.present, 0);

	for (int i = 1; i <= 3; i++) {
		peer.present = true;
		send_family_event(CTRL_CMD_NEWFAMILY, FAMILY);
		run_until(&seen.present, i);
		assert_non_null(apfd_genl_info(g));
		/* Told twice is not loaded twice. */
		send_family_event(CTRL_CMD_NEWFAMILY, FAMILY);
		send_gate_event(12);
		run_until(&seen.events, i);
		assert_int_equal(seen.present, i);

		peer.present = false;
		send_family_event(CTRL_CMD_DELFAMILY, FAMILY);
		run_until(&seen.absent, i);
		assert_null(apfd_genl_info(g));
	}
}

/* Without CAP_NET_ADMIN the daemon goes on, as without the module, and knows why. */
static void test_forbidden(void **state)
{
	struct genl_info info;

	assert_true(apfd_genl_is_forbidden(g));
	assert_null(apfd_genl_info(g));
	assert_int_equal(apfd_genl_get_info(g, &info), -EPERM);
	assert_int_equal(seen.present, 0);

	/* Another module, the same answer. */
	send_family_event(CTRL_CMD_DELFAMILY, FAMILY);
	while (apfd_genl_is_forbidden(g))
		assert_true(sd_event_run(event, PATIENCE_USEC) > 0);
	assert_int_equal(apfd_genl_get_info(g, &info), -ENXIO);
	send_family_event(CTRL_CMD_NEWFAMILY, FAMILY);
	while (!apfd_genl_is_forbidden(g))
		assert_true(sd_event_run(event, PATIENCE_USEC) > 0);
	assert_int_equal(seen.present, 0);

	peer.mode = NORMAL;
	send_family_event(CTRL_CMD_DELFAMILY, FAMILY);
	send_family_event(CTRL_CMD_NEWFAMILY, FAMILY);
	run_until(&seen.present, 1);
	assert_false(apfd_genl_is_forbidden(g));
	assert_int_equal(seen.absent, 0);
}

static void test_event(void **state)
{
	send_gate_event(12);
	run_until(&seen.events, 1);
	assert_int_equal(seen.event.type, APF_EVENT_GATE_CHANGED);
	assert_int_equal(seen.event.vm_id, 12);
	assert_int_equal(seen.event.state, APF_STATE_OFF);
	assert_string_equal(seen.event.by_comm, "someone");
	assert_int_equal(seen.event.n_indices, 0);
}

static void test_report_event(void **state)
{
	send_report_event(APF_EVENT_POOL_TAKEN, 5);
	run_until(&seen.events, 1);
	assert_int_equal(seen.event.type, APF_EVENT_POOL_TAKEN);
	assert_int_equal(seen.event.indices[0], 5);
	assert_int_equal(seen.event.guest.value[APF_GUEST_A_POOL_IN_USE], 2);

	/* Without its vCPU it is no event; the one behind it is. */
	send_report_event(APF_EVENT_POOL_RETURNED, GENL_VCPUS_MAX);
	send_report_event(APF_EVENT_REPORT_GONE, 6);
	run_until(&seen.events, 2);
	assert_int_equal(seen.event.type, APF_EVENT_REPORT_GONE);
	assert_int_equal(seen.event.indices[0], 6);
	assert_false(seen.event.guest.present);
}

static void test_malformed_event(void **state)
{
	struct nl_msg *m = reply_to(NULL, FAMILY, APF_CMD_EVENT, 0);

	nla_put_u32(m, APF_A_EVENT, APF_EVENT_VM_GONE);
	peer_send(m, 0, 1u << (GROUP_EVENTS - 1));
	/* Shorter than a generic netlink header. */
	m = nlmsg_alloc();
	nlmsg_put(m, 0, 0, FAMILY, 0, 0);
	peer_send(m, 0, 1u << (GROUP_EVENTS - 1));
	m = nlmsg_alloc();
	nlmsg_put(m, 0, 0, GENL_ID_CTRL, 0, 0);
	peer_send(m, 0, 1u << (GROUP_NOTIFY - 1));
	/* It goes on. */
	send_gate_event(3);
	run_until(&seen.events, 1);
	assert_int_equal(seen.event.vm_id, 3);
}

static void test_flood(void **state)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + 2 * PATIENCE_USEC;

	/* More than any buffer holds; the loop does not run meanwhile. */
	for (int i = 0; i < 20000; i++)
		send_gate_event(1);
	run_until(&seen.lost, 1);
	assert_int_equal(seen.absent, 0);
	/* Deaf no more. What was not lost is still to be read, and the buffer may be full of it. */
	while (seen.event.vm_id != 44) {
		assert_true(clock_usec(CLOCK_MONOTONIC) < end_usec);
		send_gate_event(44);
		assert_true(sd_event_run(event, 10 * USEC_PER_MSEC) >= 0);
	}
}

int main(void)
{
#define PRESENT(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define ABSENT(t)  cmocka_unit_test_setup_teardown(t, setup_absent, teardown)
	const struct CMUnitTest tests[] = {
		PRESENT(test_info),
		PRESENT(test_refresh),
		PRESENT(test_requests),
		PRESENT(test_leases),
		PRESENT(test_refusal_has_words),
		PRESENT(test_long_reason_is_cut),
		PRESENT(test_silence_has_an_end),
		PRESENT(test_late_answers_share_a_turn),
		PRESENT(test_silent_module_is_asked_less),
		PRESENT(test_endless_dump_has_an_end),
		PRESENT(test_answers_of_others_are_not_ours),
		PRESENT(test_stranger_is_ignored),
		PRESENT(test_missing_answer),
		PRESENT(test_dump),
		PRESENT(test_interrupted_dump_is_repeated),
		PRESENT(test_dump_that_never_succeeds),
		PRESENT(test_malformed_dump),
		ABSENT(test_absent),
		ABSENT(test_loaded_and_unloaded),
		cmocka_unit_test_setup_teardown(test_forbidden, setup_forbidden, teardown),
		PRESENT(test_event),
		PRESENT(test_report_event),
		PRESENT(test_malformed_event),
		PRESENT(test_flood),
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	if (fd < 0) {
		printf("skipped: this kernel has no NETLINK_USERSOCK\n");
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests_name("genl", tests, NULL, NULL);
}
