/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-checks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "cgroup.h"
#include "file.h"
#include "quote.h"
#include "remedy.h"
#include "util.h"

enum { CGROUP_DEPTH_MAX = 64 };

/* Version 1 has a large number for "no limit", which depends on the size of a page. */
#define V1_NO_LIMIT (UINT64_C(1) << 62)

/*
 * Reads the limit @name of the cgroup @group below @top: bytes; UINT64_MAX for "max" or if there
 * is none.
 */
static uint64_t read_limit(const struct doctor_vm *v, const char *top, const char *group,
			   const char *name)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[2 * PATH_MAX], text[32];
	uint64_t bytes;
	char *end;

	snprintf(path, sizeof(path), "%s%s%s/%s", v->cgroup_root, top, group, name);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		return UINT64_MAX;
	errno = 0;
	bytes = strtoull(text, &end, 10);
	return errno || end == text ? UINT64_MAX : bytes;
}

void doctor_groups(struct subject *s)
{
	char path[PATH_MAX], lines[CGROUP_LINES_MAX_BYTES];
	const char *text = lines;
	struct cgroup_line line;

	if (!s->v->pid || (size_t)snprintf(path, sizeof(path), "%s/%u/cgroup", s->v->proc_root,
					   s->v->pid) >= sizeof(path))
		return;
	if (file_read_at(AT_FDCWD, path, lines, sizeof(lines)) < 0)
		return;
	while (cgroup_next_line(&text, &line)) {
		/* A path with ".." is outside of our cgroup namespace. */
		if (memmem(line.path, line.path_len, "/..", 3))
			continue;
		if (line.unified)
			snprintf(s->group, sizeof(s->group), "%.*s", (int)line.path_len, line.path);
		else if (cgroup_line_has(&line, "memory"))
			snprintf(s->v1_group, sizeof(s->v1_group), "%.*s", (int)line.path_len,
				 line.path);
	}
}

/*
 * The lowest limit of @group and its parents, which applies; the root has no limits.
 * @where: the group with this limit
 */
static uint64_t lowest_limit(const struct doctor_vm *v, const char *top, const char *group,
			     const char *name, char where[static PATH_MAX])
{
	uint64_t lowest = UINT64_MAX;
	char at[PATH_MAX];

	where[0] = '\0';
	snprintf(at, sizeof(at), "%s", group);
	for (int i = 0; i < CGROUP_DEPTH_MAX && strlen(at) > 1; i++) {
		uint64_t limit = read_limit(v, top, at, name);

		if (limit < lowest) {
			lowest = limit;
			snprintf(where, PATH_MAX, "%s", at);
		}
		*strrchr(at, '/') = '\0';
	}
	return lowest;
}

/* ---- version 1 ---- */

static void remedy_v1(const struct subject *s, const char *where, const char *file,
		      const char *value, struct diagnosis *d)
{
	char path[2 * PATH_MAX];
	_cleanup_free_ char *quoted = NULL;

	if (s->vmm.kind == VM_MANAGER_LIBVIRT && s->v->live && s->v->live->swap_limited) {
		remedy_swap_limit(&s->vmm, where, true, d);
		return;
	}
	snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/%s", where, file);
	quoted = quote(path);
	if (quoted && strlen(quoted) < DIAG_REMEDY_MAX / 2)
		diag_remedy(d, "let it swap, or boot the host with cgroup v2:\n  echo %s > %s",
			    value, quoted);
	else
		diag_remedy(d, "let it swap: write %s to %s there", value, file);
}

static void check_v1(const struct subject *s, struct diagnosis *d)
{
#define BY_V1 "its memory is accounted by cgroup v1"
	const struct doctor_vm *v = s->v;
	char where[PATH_MAX], ignored[PATH_MAX], own[PATH_MAX];
	uint64_t memory, both;

	memory = lowest_limit(v, "/memory", s->v1_group, "memory.limit_in_bytes", ignored);
	both = lowest_limit(v, "/memory", s->v1_group, "memory.memsw.limit_in_bytes", where);
	snprintf(own, sizeof(own), "%s", s->v1_group);
	if (both < V1_NO_LIMIT && both <= memory) {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_FAIL,
			 BY_V1
			 ", where its cgroup may not swap: memory.memsw.limit_in_bytes is not "
			 "above memory.limit_in_bytes in %.200s",
			 where);
		remedy_v1(s, where, "memory.memsw.limit_in_bytes", "-1", d);
	} else if (read_limit(v, "/memory", own, "memory.swappiness") == 0) {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_FAIL,
			 BY_V1 ", where its cgroup does not swap: memory.swappiness is 0 in %.200s",
			 own);
		remedy_v1(s, own, "memory.swappiness", "60", d);
	} else if (both < V1_NO_LIMIT) {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_OK,
			 BY_V1 ": at most %" PRIu64 " MiB in memory and swap together", mib(both));
	} else {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_UNKNOWN,
			 BY_V1 ", which shows no limit of its swap: this kernel may not account "
			       "swap (swapaccount=1)");
	}
#undef BY_V1
}

/* ---- version 2 ---- */

uint64_t doctor_group_swap_bytes(const struct subject *s)
{
	char group[PATH_MAX];

	snprintf(group, sizeof(group), "%s", s->group);
	/* The parents of the VM's own group contain other VMs, too. */
	for (int i = 0; i < CGROUP_DEPTH_MAX && strlen(group) > 1; i++) {
		uint64_t bytes = read_limit(s->v, "", group, "memory.swap.current");

		if (bytes != UINT64_MAX)
			return bytes;
		*strrchr(group, '/') = '\0';
	}
	return 0;
}

/* Without notifications, pressure is noticed at the next regular reading of the figures. */
#define LATE "pressure is noticed up to a second later"

void doctor_psi_trigger(const struct doctor_vm *v, struct diagnosis *d)
{
	if (!v->psi_group) {
		diag_add(d, CHECK_PSI_TRIGGER, DIAG_OK, "no cgroup is only this VM's: " LATE);
	} else if (v->psi_armed) {
		diag_add(d, CHECK_PSI_TRIGGER, DIAG_OK,
			 "the kernel notifies apfd when the VM waits for memory");
	} else if (v->psi_error == 0) {
		diag_add(d, CHECK_PSI_TRIGGER, DIAG_OK, "not needed: nothing of the VM is on swap");
	} else if (v->psi_error == -EOPNOTSUPP) {
		diag_add(d, CHECK_PSI_TRIGGER, DIAG_OK,
			 "no memory.pressure in %.200s (see psi of the host): " LATE, v->psi_group);
	} else if (v->psi_error == -EPERM || v->psi_error == -EACCES) {
		/* For example the group of a user. */
		diag_add(d, CHECK_PSI_TRIGGER, DIAG_OK,
			 "apfd may not write to memory.pressure in %.200s: " LATE, v->psi_group);
	} else {
		diag_add(d, CHECK_PSI_TRIGGER, DIAG_WARN,
			 "the kernel does not notify apfd of pressure in %.200s: %s: " LATE,
			 v->psi_group, strerror(-v->psi_error));
		if (v->psi_error == -EROFS)
			diag_remedy(d, "apfd's unit must not make control groups read-only:\n"
				       "  systemctl edit apfd\n"
				       "  [Service]\n  ProtectControlGroups=no\n"
				       "  systemctl restart apfd");
	}
}
#undef LATE

void doctor_limits(const struct subject *s, struct diagnosis *d)
{
	const struct doctor_vm *v = s->v;
	char where[PATH_MAX], ignored[PATH_MAX], text[64] = "";
	uint64_t memory, swap;

	if (s->v1_group[0]) {
		check_v1(s, d);
		return;
	}
	if (!s->group[0])
		return;
	memory = lowest_limit(v, "", s->group, "memory.max", ignored);
	swap = lowest_limit(v, "", s->group, "memory.swap.max", where);
	if (memory != UINT64_MAX)
		snprintf(text, sizeof(text), " (its memory is limited to %" PRIu64 " MiB)",
			 mib(memory));
	if (swap == 0) {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_FAIL,
			 "its cgroup may not swap: memory.swap.max is 0 in %.200s", where);
		remedy_swap_limit(&s->vmm, where, v->live && v->live->swap_limited, d);
	} else if (swap != UINT64_MAX) {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_OK,
			 "its cgroup may have %" PRIu64 " MiB in swap%s", mib(swap), text);
	} else {
		diag_add(d, CHECK_SWAP_LIMIT, DIAG_OK, "its cgroup may swap%s", text);
	}
}
