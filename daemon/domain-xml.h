/* SPDX-License-Identifier: GPL-2.0 */
/* The few things of a domain's XML that doctor wants to know: a pure function. */
#ifndef APFD_DOMAIN_XML_H
#define APFD_DOMAIN_XML_H

#include <stdbool.h>

enum { DOMAIN_XML_MODEL_MAX = 64 };

/**
 * struct domain_xml
 * @cpu_mode: "custom", "host-model", "host-passthrough", "maximum"; "" if none is given
 * @cpu_model: "" if none is given
 * @asyncpf_int: a QEMU option in it adds kvm-asyncpf-int to the CPU
 * @kvm_hidden: KVM is hidden from the guest
 * @huge_pages: its memory is backed by huge pages
 * @locked: its memory is locked
 * @hostdevs: PCI devices and mediated devices of the host it has
 * @launch_security: type of its memory encryption, "" if none
 */
struct domain_xml {
	char cpu_mode[DOMAIN_XML_MODEL_MAX];
	char cpu_model[DOMAIN_XML_MODEL_MAX];
	bool asyncpf_int;
	bool kvm_hidden;
	bool huge_pages;
	bool locked;
	unsigned int hostdevs;
	char launch_security[DOMAIN_XML_MODEL_MAX];
};

/* domain_xml_parse: 0; -EBADMSG if it is no domain's XML; -ENOMEM. */
int domain_xml_parse(const char *xml, struct domain_xml *ret);

/* domain_xml_offers_asyncpf_int: a VM started with it offers kvm-asyncpf-int. */
bool domain_xml_offers_asyncpf_int(const struct domain_xml *x);

#endif /* APFD_DOMAIN_XML_H */
