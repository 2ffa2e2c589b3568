/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Answers of apf_host, as apfd reads them. The first byte chooses the reader, the
 * rest is what follows the generic netlink header.
 */
#include <linux/genetlink.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "genl-parse.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
	if (!condition)
		abort();
}

static void check_text(const char *text, size_t size)
{
	char copy[512];

	check(strnlen(text, size) < size);
	snprintf(copy, sizeof(copy), "%s", text);
	/* Valid UTF-8 stays as it is. */
	utf8_make_valid(copy);
	check(strncmp(copy, text, sizeof(copy) - 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union {
		struct nlmsghdr hdr;
		char bytes[8192];
	} * m;
	static struct genl_event event;
	struct genl_info info = {};
	struct genl_vm vm = {};
	struct genl_vcpu vcpu = {};
	struct genl_family family = {};
	char text[GENL_TEXT_MAX];
	size_t head = NLMSG_HDRLEN, bytes;
	uint32_t group;

	if (size < 1 || size > 4096)
		return 0;
	/* An error has no generic header. */
	if (data[0] % 7 != 6)
		head += GENL_HDRLEN;
	bytes = head + size - 1;
	/* Of just that size, so that a byte too much is noticed. */
	m = calloc(1, bytes);
	if (!m)
		return 0;
	m->hdr.nlmsg_len = (uint32_t)bytes;
	m->hdr.nlmsg_type = data[0] & 0x80 ? NLMSG_DONE : NLMSG_ERROR;
	m->hdr.nlmsg_flags = data[0] & 0x40 ? NLM_F_ACK_TLVS | NLM_F_CAPPED : NLM_F_ACK_TLVS;
	memcpy(m->bytes + head, data + 1, size - 1);

	switch (data[0] % 7) {
	case 0:
		if (genl_parse_info(&m->hdr, &info) == 0) {
			check_text(info.version, sizeof(info.version));
			check_text(info.kernel, sizeof(info.kernel));
			check(info.nowait <= APF_NOWAIT_MAX);
		}
		break;
	case 1:
		if (genl_parse_vm(&m->hdr, &vm) == 0)
			check(vm.id != 0 && vm.state <= APF_STATE_MAX);
		break;
	case 2:
		if (genl_parse_vcpu(&m->hdr, &vcpu) == 0)
			check(vcpu.vm_id != 0 && vcpu.index < GENL_VCPUS_MAX &&
			      vcpu.state <= APF_STATE_MAX &&
			      vcpu.guest_apf <= APF_GUEST_APF_ALWAYS &&
			      genl_parse_vm_id(&m->hdr) != 0);
		else
			(void)genl_parse_vm_id(&m->hdr);
		break;
	case 3:
		if (genl_parse_event(&m->hdr, &event) == 0) {
			check(event.type <= APF_EVENT_MAX && event.n_indices <= GENL_VCPUS_MAX);
			for (size_t i = 0; i < event.n_indices; i++)
				check(event.indices[i] < GENL_VCPUS_MAX);
			check_text(event.by_comm, sizeof(event.by_comm));
			check_text(event.reason, sizeof(event.reason));
		}
		break;
	case 4:
		(void)genl_parse_family(&m->hdr, &family);
		break;
	case 5:
		(void)genl_parse_group(&m->hdr, "notify", &group);
		break;
	case 6:
		check(genl_parse_ack(&m->hdr, text) <= 0);
		check_text(text, sizeof(text));
		break;
	}
	free(m);
	return 0;
}
