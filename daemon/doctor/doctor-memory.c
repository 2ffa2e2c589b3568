/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-checks.h"

#include <inttypes.h>

#include "remedy.h"
#include "util.h"

/* QEMU locks a little memory for its own use; ignore less than this. */
#define LOCKED_MIN_BYTES (UINT64_C(64) << 20)

/* The files of a VMM's program and libraries take less than this. */
#define FILE_MIN_BYTES (UINT64_C(256) << 20)

static void check_huge_pages(const struct subject *s, struct diagnosis *d)
{
	const struct process *p = &s->process;

	if (p->huge_bytes == 0) {
		diag_add(d, CHECK_HUGE_PAGES, DIAG_OK, "its memory is not in huge pages");
		return;
	}
	diag_add(d, CHECK_HUGE_PAGES,
		 p->huge_bytes > p->resident_bytes + p->swapped_bytes ? DIAG_FAIL : DIAG_WARN,
		 "%" PRIu64 " MiB of its memory are huge pages, which are never swapped",
		 mib(p->huge_bytes));
	remedy_add(REMEDY_HUGE_PAGES, &s->vmm, d);
}

/* ---- devices ---- */

/* Numbers of devices that can access the guest's memory. */
struct devices {
	unsigned int vfio, mdev, vdpa, nvme;
};

static unsigned int count_values(const struct process *p, const char *option, const char *part)
{
	unsigned int n = 0;

	for (const char *v = NULL; (v = process_next_value(p, option, v));)
		n += strstr(v, part) != NULL;
	return n;
}

/* Descriptors, XML and arguments show the same devices: take the most that one of them shows. */
static void find_devices(const struct subject *s, struct devices *ret)
{
	static const struct domain_xml none;
	const struct domain_xml *x = s->v->live ?: &none;
	const struct process *p = &s->process;

	ret->mdev = MAX_OF(x->mdevs, count_values(p, "device", "/mdev/devices/") +
					     count_values(p, "device", "/devices/virtual/mdev"));
	ret->vdpa = MAX_OF(x->vdpas, MAX_OF(p->vdpa_fds, count_values(p, "netdev", "vhost-vdpa")));
	ret->nvme = MAX_OF(x->nvmes, count_values(p, "blockdev", "\"driver\":\"nvme\"") +
					     count_values(p, "blockdev", "driver=nvme") +
					     count_values(p, "drive", "nvme://"));
	/* A VFIO descriptor of a mediated device or an NVMe disk looks like any other. */
	ret->vfio = p->vfio_fds > ret->mdev + ret->nvme ? p->vfio_fds - ret->mdev - ret->nvme : 0;
	ret->vfio = MAX_OF(ret->vfio, x->hostdevs);
}

static void check_devices(const struct subject *s, const struct devices *n, struct diagnosis *d)
{
	char list[128];
	int len = 0;

	if (n->vfio + n->vdpa + n->nvme > 0) {
		const struct {
			unsigned int n;
			const char *one, *more;
		} kinds[] = {
			{ n->vfio, "of the host's devices (VFIO)", "of the host's devices (VFIO)" },
			{ n->vdpa, "vDPA device", "vDPA devices" },
			{ n->nvme, "NVMe disk driven by QEMU", "NVMe disks driven by QEMU" },
		};

		for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
			if (kinds[i].n > 0)
				len += snprintf(list + len, sizeof(list) - (size_t)len, "%s%u %s",
						len ? ", " : "", kinds[i].n,
						kinds[i].n == 1 ? kinds[i].one : kinds[i].more);
		diag_add(d, CHECK_VFIO, DIAG_FAIL,
			 "it has %s, which can access all of its memory; its memory is therefore "
			 "pinned and never swapped",
			 list);
		remedy_add(REMEDY_DEVICES, &s->vmm, d);
	} else if (n->mdev > 0) {
		diag_add(d, CHECK_VFIO, DIAG_WARN,
			 "it has %u mediated device%s (mdev): each page that such a device uses is "
			 "pinned; %" PRIu64 " MiB are pinned now",
			 n->mdev, n->mdev == 1 ? "" : "s", mib(s->process.pinned_bytes));
		remedy_add(REMEDY_DEVICES, &s->vmm, d);
	} else {
		diag_add(d, CHECK_VFIO, DIAG_OK, "it has no device of the host");
	}
}

/* ---- locked memory ---- */

static bool asked_to_lock(const struct subject *s)
{
	return (s->v->live && s->v->live->locked) ||
	       process_any_value(&s->process, "overcommit", "mem-lock=on") ||
	       process_any_value(&s->process, "realtime", "mlock=on");
}

/* Nobody asked for it: the program locks its memory because its limit allows this. */
static void remedy_limit(const struct process *p, struct diagnosis *d)
{
	char text[32] = "unlimited";

	if (p->lock_limit_bytes != UINT64_MAX)
		snprintf(text, sizeof(text), "%" PRIu64 " MiB", mib(p->lock_limit_bytes));
	diag_remedy(d,
		    "neither an option nor a device does this: the program locks memory itself, "
		    "as its limit RLIMIT_MEMLOCK (%s) allows. If it is to be overcommitted, lower "
		    "the limit where it is started, for example in its unit:\n"
		    "  [Service]\n  LimitMEMLOCK=64M",
		    text);
}

static void check_locked(const struct subject *s, const struct devices *n, struct diagnosis *d)
{
	const struct process *p = &s->process;
	uint64_t resident = p->resident_bytes + p->swapped_bytes;
	uint64_t locked = MAX_OF(p->locked_bytes, p->pinned_bytes);
	bool by_xml = s->v->live && s->v->live->locked;

	if (!by_xml && locked <= LOCKED_MIN_BYTES) {
		diag_add(d, CHECK_LOCKED, DIAG_OK, "its memory is not locked");
		return;
	}
	diag_add(d, CHECK_LOCKED, locked > resident / 2 || by_xml ? DIAG_FAIL : DIAG_WARN,
		 "%" PRIu64 " MiB of its memory are locked and never swapped", mib(locked));
	if (asked_to_lock(s))
		remedy_add(REMEDY_LOCKED, &s->vmm, d);
	else if (n->vfio + n->vdpa + n->nvme + n->mdev > 0 || p->pinned_bytes > p->locked_bytes)
		diag_remedy(d, "its devices pin it: see vfio");
	else
		remedy_limit(p, d);
}

/* ---- memory that is not anonymous ---- */

/* Where the guest's memory is, by XML and arguments. */
struct backing {
	bool shared, file, vhost_user;
	char path[128];
};

/* A file in a tmpfs is shared memory. */
static void add_path(struct backing *b, const char *path)
{
	if (strncmp(path, "/dev/shm/", 9) == 0 || streq(path, "/dev/shm")) {
		b->shared = true;
	} else if (!strstr(path, "hugepages")) {
		b->file = true;
		snprintf(b->path, sizeof(b->path), "%s", path);
	}
}

static void find_backing(const struct subject *s, struct backing *b)
{
	static const char *const options[] = { "object", "memory", "memory-zone" };
	const struct domain_xml *x = s->v->live;
	const struct process *p = &s->process;
	char path[128];

	*b = (struct backing){};
	if (x) {
		b->file = streq(x->memory_source, "file");
		b->shared = !x->huge_pages &&
			    (streq(x->memory_source, "memfd") || (x->shared && !b->file));
		b->vhost_user = x->virtiofs;
	}
	for (size_t i = 0; i < ELEMENTSOF(options); i++)
		for (const char *o = NULL; (o = process_next_value(p, options[i], o));) {
			/* Huge pages are not swapped, so it does not matter who shares them. */
			bool ram = (i > 0 || strstr(o, "memory-backend-")) &&
				   !strstr(o, "hugepages") && !process_property_on(o, "hugetlb");

			if (ram &&
			    (strstr(o, "memory-backend-memfd") || process_property_on(o, "share") ||
			     process_property_on(o, "shared")))
				b->shared = true;
			if (ram &&
			    process_property(o, i > 0 ? "file" : "mem-path", path, sizeof(path)))
				add_path(b, path);
		}
	if (process_value_of(p, "mem-path"))
		add_path(b, process_value_of(p, "mem-path"));
	/* A shared mapping of a file is read from that file, not from swap. */
	if (b->file)
		b->shared = false;
	b->vhost_user = b->vhost_user || process_any_value(p, "device", "vhost-user") ||
			process_any_value(p, "chardev", "vhost") || process_value_of(p, "fs");
}

static void check_shared(const struct subject *s, const struct backing *b, struct diagnosis *d)
{
	const struct process *p = &s->process;
	uint64_t swapped = doctor_group_swap_bytes(s);
	char text[128] = "";

	if (!b->shared && p->shmem_bytes <= MAX_OF(p->resident_bytes / 2, LOCKED_MIN_BYTES)) {
		diag_add(d, CHECK_SHARED, DIAG_OK, "its memory is not shared");
		return;
	}
	if (swapped > 0 && p->swapped_bytes < swapped / 2)
		snprintf(text, sizeof(text),
			 "; its cgroup has %" PRIu64 " MiB on swap, which VmSwap does not show",
			 mib(swapped));
	diag_add(d, CHECK_SHARED, DIAG_FAIL,
		 "its memory is shared (memfd or tmpfs)%s: Linux waits for such a page with the "
		 "page locked, so hardly any fault is asynchronous%s",
		 b->vhost_user ? ", which virtiofs and vhost-user need: that is their price" : "",
		 text);
	remedy_add(REMEDY_SHARED, &s->vmm, d);
}

static void check_file(const struct subject *s, const struct backing *b, struct diagnosis *d)
{
	const struct process *p = &s->process;

	if (!b->file && p->file_bytes <= MAX_OF(p->resident_bytes / 2, FILE_MIN_BYTES)) {
		diag_add(d, CHECK_FILE_MEMORY, DIAG_OK, "its memory is not in a file");
		return;
	}
	diag_add(d, CHECK_FILE_MEMORY, DIAG_WARN,
		 "its memory is in a file or on a device%s%s: its pages are read from the disk of "
		 "that file, not from swap; the checks of swap do not apply to them",
		 b->path[0] ? " " : "", b->path);
	remedy_add(REMEDY_FILE, &s->vmm, d);
}

static void check_uffd(const struct process *p, struct diagnosis *d)
{
	if (!p->uffd) {
		diag_add(d, CHECK_UFFD, DIAG_OK, "no other program provides its pages");
		return;
	}
	diag_add(d, CHECK_UFFD, DIAG_WARN,
		 "another program provides its missing pages (userfaultfd): a fault on them waits "
		 "for that program, not for swap, and counts as a swap-in");
	diag_remedy(d,
		    "this is normal after a post-copy migration, or if it was started from a "
		    "snapshot; see that the program which serves userfaultfd has enough CPU, and "
		    "does not swap itself");
}

void doctor_memory(const struct subject *s, struct diagnosis *d)
{
	struct devices devices;
	struct backing backing;

	if (!s->process.known)
		return;
	find_devices(s, &devices);
	find_backing(s, &backing);
	check_huge_pages(s, d);
	check_devices(s, &devices, d);
	check_locked(s, &devices, d);
	check_shared(s, &backing, d);
	check_file(s, &backing, d);
	check_uffd(&s->process, d);
}
