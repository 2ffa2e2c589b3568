/* SPDX-License-Identifier: GPL-2.0 */
/* The parts of a domain's XML that the diagnosis needs. Pure functions. */
#ifndef APFD_DOMAIN_XML_H
#define APFD_DOMAIN_XML_H

#include <stdbool.h>

enum { DOMAIN_XML_MODEL_MAX = 64 };

/**
 * struct domain_xml
 * @cpu_mode: "custom", "host-model", "host-passthrough", "maximum"; "" if none is given
 * @cpu_model: "" if none is given
 * @asyncpf_int: a QEMU argument in the XML adds kvm-asyncpf-int to the CPU
 * @kvm_hidden: KVM is hidden from the guest
 * @huge_pages: the guest's memory is backed by huge pages
 * @locked: the guest's memory is locked
 * @memory_source: "memfd", "file", "anonymous"; "" if none is given
 * @shared: the guest's memory is shared with other processes
 * @virtiofs: the guest has a virtiofs file system
 * @nodes: NUMA nodes that the guest's memory must come from, as "0-1,3"; "" if it may come
 *	from others, too
 * @swap_limited: libvirt limits the guest's swap (<swap_hard_limit>)
 * @hostdevs: number of PCI devices of the host that the guest has
 * @mdevs: number of mediated devices, which pin only the memory that they use
 * @vdpas: number of vDPA interfaces
 * @nvmes: number of NVMe disks that QEMU drives itself
 * @smm: the guest has System Management Mode, for its firmware
 * @windows: the guest is a Windows, by the metadata that libosinfo defines
 * @launch_security: type of memory encryption, "" if none
 */
struct domain_xml {
	char cpu_mode[DOMAIN_XML_MODEL_MAX];
	char cpu_model[DOMAIN_XML_MODEL_MAX];
	bool asyncpf_int;
	bool kvm_hidden;
	bool huge_pages;
	bool locked;
	char memory_source[DOMAIN_XML_MODEL_MAX];
	bool shared;
	bool virtiofs;
	char nodes[DOMAIN_XML_MODEL_MAX];
	bool swap_limited;
	unsigned int hostdevs;
	unsigned int mdevs;
	unsigned int vdpas;
	unsigned int nvmes;
	bool smm;
	bool windows;
	char launch_security[DOMAIN_XML_MODEL_MAX];
};

/* domain_xml_parse: 0; -EBADMSG if @xml does not describe a domain; -ENOMEM. */
int domain_xml_parse(const char *xml, struct domain_xml *ret);

/* domain_xml_offers_asyncpf_int: a VM that is started with this XML offers kvm-asyncpf-int. */
bool domain_xml_offers_asyncpf_int(const struct domain_xml *x);

#endif /* APFD_DOMAIN_XML_H */
