/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parsers for messages of apf_host: pure functions. Every message is checked
 * against a policy: an attribute may be missing, too short or out of range.
 * Strings are converted to valid UTF-8.
 */
#ifndef APFD_GENL_PARSE_H
#define APFD_GENL_PARSE_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <uapi/apf_host.h>
#include "hook.h"
#include "stats.h"

enum {
	GENL_TEXT_MAX = 256,   /* text of an extended ack; longer texts are truncated */
	GENL_NAME_MAX = 65,    /* version and kernel release */
	GENL_VCPUS_MAX = 4096, /* vCPUs of one VM; KVM_MAX_VCPUS is 1024 in Linux 6.1 */
	GENL_GROUPS_MAX = 16,  /* multicast groups of one family */
};

/*
 * struct genl_info - answer to GET_INFO; the fields are described with the attributes
 * in apf_host.h. A module that is too old to report hooks leaves @hooks empty; every
 * counter that such a module sends is valid.
 */
struct genl_info {
	char version[GENL_NAME_MAX];
	char kernel[GENL_NAME_MAX];
	enum apf_nowait nowait;
	bool nested_guard;
	uint32_t max_vms;
	uint32_t n_vms;
	uint64_t probe_misses;
	bool knows_leases;
	struct hooks hooks;
};

/**
 * struct genl_vm - one entry of VM_GET, or the answer to VM_ADD
 * @leased: the state that is used for vCPUs that are added later has a lease
 * @leased_known: false if the module is too old to tell
 * @has_counters: false if an answer to VM_ADD has no counters
 * @counters: by &enum apf_stat, sums over all vCPUs; 0 if the module does not count it
 */
struct genl_vm {
	uint32_t id;
	pid_t pid;
	enum apf_state state;
	uint32_t n_vcpus;
	uint64_t age_msec;
	bool leased;
	bool leased_known;
	bool has_counters;
	uint64_t counters[APF_STAT_MAX + 1];
};

/**
 * struct genl_guest - report of a guest's module about one vCPU
 * @present: whether there is a report; if not, all values are 0
 * @value: by &enum apf_guest_attr
 */
struct genl_guest {
	bool present;
	uint32_t value[APF_GUEST_A_MAX + 1];
};

/*
 * struct genl_vcpu - one entry of VCPU_GET; totals.at_usec is 0. totals.uncounted
 * has a bit for every counter that the module did not send, also for @outstanding.
 * If the module is too old to send reports, @paused and guest.present are false.
 * @kvm_features is 0 unless @kvm_features_known.
 */
struct genl_vcpu {
	uint32_t vm_id;
	uint32_t index;
	uint32_t vcpu_id;
	enum apf_state state;
	enum apf_guest_apf guest_apf;
	uint32_t outstanding;
	bool paused;
	bool leased;
	bool kvm_features_known;
	uint32_t kvm_features;
	struct genl_guest guest;
	struct stats_totals totals;
};

/**
 * struct genl_event - a notification
 * @indices: the vCPUs whose gate was changed; empty for the whole VM. In an event about
 *	a guest's report: the vCPU of the report
 * @guest: the report; not present in the event REPORT_GONE
 */
struct genl_event {
	enum apf_event type;
	uint32_t vm_id;
	pid_t pid;
	enum apf_state state;
	uint32_t indices[GENL_VCPUS_MAX];
	size_t n_indices;
	pid_t by_pid;
	char by_comm[APF_COMM_MAX + 1];
	char reason[APF_REASON_MAX + 1];
	struct genl_guest guest;
};

/**
 * struct genl_family - a family, as described by the generic netlink controller
 * @is_ours: the family's name is APF_GENL_NAME
 * @events_group: id of the group APF_GENL_MCGRP_EVENTS, 0 if there is none
 */
struct genl_family {
	bool is_ours;
	uint16_t id;
	uint32_t version;
	uint32_t events_group;
};

/*
 * All of these return 0, or -EBADMSG if the message is malformed, too short, or lacks
 * a mandatory attribute; then *ret is undefined. The caller has checked that
 * hdr->nlmsg_len is within the buffer.
 */
int genl_parse_info(struct nlmsghdr *hdr, struct genl_info *ret);
int genl_parse_vm(struct nlmsghdr *hdr, struct genl_vm *ret);
int genl_parse_vcpu(struct nlmsghdr *hdr, struct genl_vcpu *ret);
int genl_parse_event(struct nlmsghdr *hdr, struct genl_event *ret);
int genl_parse_family(struct nlmsghdr *hdr, struct genl_family *ret);

/* genl_parse_vm_id: VM_ID of a message that is malformed otherwise; 0 if there is none. */
uint32_t genl_parse_vm_id(struct nlmsghdr *hdr);

/* genl_parse_group: the id of the multicast group @name of any family, or -ENOENT, -EBADMSG. */
int genl_parse_group(struct nlmsghdr *hdr, const char *name, uint32_t *ret_group);

/*
 * genl_parse_ack: the error in an NLMSG_ERROR or NLMSG_DONE message.
 * @text: receives the text of the extended ack, "" if there is none.
 * Returns 0 or the negative errno of the kernel; -EBADMSG also if @hdr is malformed.
 */
int genl_parse_ack(const struct nlmsghdr *hdr, char text[static GENL_TEXT_MAX]);

/* struct genl_vcpus - a growing array */
struct genl_vcpus {
	struct genl_vcpu *all;
	size_t n, n_allocated;
};

/* genl_vcpus_add: appends a copy of *vcpu. 0 or -ENOMEM. */
int genl_vcpus_add(struct genl_vcpus *v, const struct genl_vcpu *vcpu);

/* genl_vcpus_sort: by index. */
void genl_vcpus_sort(struct genl_vcpus *v);

#endif /* APFD_GENL_PARSE_H */
