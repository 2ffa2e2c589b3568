/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages of apf_host to structs: pure functions. Every message is checked
 * against a policy; nothing in it is trusted to be there, to be long enough or
 * to be in range. Strings come out as valid UTF-8.
 */
#ifndef APFD_GENL_PARSE_H
#define APFD_GENL_PARSE_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <uapi/apf_host.h>
#include "stats.h"

enum {
	GENL_TEXT_MAX = 256,   /* of an extended ack; longer ones are cut */
	GENL_NAME_MAX = 65,    /* of version and kernel release */
	GENL_VCPUS_MAX = 4096, /* of one VM; KVM_MAX_VCPUS is 1024 in Linux 6.1 */
	GENL_GROUPS_MAX = 16,  /* multicast groups looked at in one family */
};

/* struct genl_info - answer to GET_INFO; fields as the attributes in apf_host.h */
struct genl_info {
	char version[GENL_NAME_MAX];
	char kernel[GENL_NAME_MAX];
	enum apf_nowait nowait;
	bool nested_guard;
	uint32_t max_vms;
	uint32_t n_vms;
	uint64_t probe_misses;
};

/**
 * struct genl_vm - one entry of VM_GET, or the answer to VM_ADD
 * @has_counters: the answer to VM_ADD may have none
 * @counters: by &enum apf_stat, sums over all vCPUs
 */
struct genl_vm {
	uint32_t id;
	pid_t pid;
	enum apf_state state;
	uint32_t n_vcpus;
	uint64_t age_msec;
	bool has_counters;
	uint64_t counters[APF_STAT_MAX + 1];
};

/**
 * struct genl_guest - report of a guest's module about one vCPU
 * @present: there is one; if not, all values are 0
 * @value: by &enum apf_guest_attr
 */
struct genl_guest {
	bool present;
	uint32_t value[APF_GUEST_A_MAX + 1];
};

/*
 * struct genl_vcpu - one entry of VCPU_GET; totals.at_usec is left 0. A module
 * too old to know of reports says nothing of them: not paused, none present.
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
	bool kvm_features_known;
	uint32_t kvm_features;
	struct genl_guest guest;
	struct stats_totals totals;
};

/**
 * struct genl_event - a notification
 * @indices: vCPUs of a changed gate; none means the whole VM. Of an event about
 *	a report: the one vCPU
 * @guest: the report; not present if the event is that it is gone
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
 * struct genl_family - what the controller says of a family
 * @is_ours: its name is APF_GENL_NAME
 * @events_group: 0 if it has no group of that name
 */
struct genl_family {
	bool is_ours;
	uint16_t id;
	uint32_t version;
	uint32_t events_group;
};

/*
 * All of them: 0, or -EBADMSG if the message is malformed, too short, or lacks
 * a mandatory attribute; then *ret is undefined. @hdr's nlmsg_len lies inside
 * the buffer.
 */
int genl_parse_info(struct nlmsghdr *hdr, struct genl_info *ret);
int genl_parse_vm(struct nlmsghdr *hdr, struct genl_vm *ret);
int genl_parse_vcpu(struct nlmsghdr *hdr, struct genl_vcpu *ret);
int genl_parse_event(struct nlmsghdr *hdr, struct genl_event *ret);
int genl_parse_family(struct nlmsghdr *hdr, struct genl_family *ret);

/* genl_parse_group: the id of the multicast group @name of any family, or -ENOENT, -EBADMSG. */
int genl_parse_group(struct nlmsghdr *hdr, const char *name, uint32_t *ret_group);

/*
 * genl_parse_ack: the error in an NLMSG_ERROR or NLMSG_DONE message.
 * @text: the extended ack's words, "" if it has none.
 * Returns 0 or the negative errno of the kernel; -EBADMSG also if malformed.
 */
int genl_parse_ack(const struct nlmsghdr *hdr, char text[static GENL_TEXT_MAX]);

#endif /* APFD_GENL_PARSE_H */
