/* SPDX-License-Identifier: GPL-2.0 */
#include "identity.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>

#include "cgroup.h"
#include "file.h"
#include "proc.h"
#include "utf8.h"
#include "util.h"

enum {
	STATUS_BYTES = 4096,	   /* of /proc/PID/status: "Uid:" is one of its first lines */
	PODS_MAX = 4096,	   /* folders in /var/log/pods; kubelet allows 110 by default */
};

const char *keeper_to_string(enum keeper keeper)
{
	static const char *const table[] = {
		[KEEPER_NONE] = "none",
		[KEEPER_PROXMOX] = "proxmox",
		[KEEPER_KUBERNETES] = "kubernetes",
	};

	return table[keeper];
}

/* ---- control groups ---- */

/* 3: the memory controller of version 1, 2: version 2, 1: systemd's; 0: another hierarchy. */
static int rank_of(const struct cgroup_line *line)
{
	if (line->controllers_len == 0)
		return 2;
	if (cgroup_line_has(line, "memory"))
		return 3;
	return cgroup_line_has(line, "name=systemd");
}

int identity_cgroup(const char *text, char *ret_path, size_t size)
{
	struct cgroup_line line;
	int best = 0, r = -ENOENT;

	while (cgroup_next_line(&text, &line)) {
		int rank = rank_of(&line);

		if (rank <= best)
			continue;
		if (line.path_len >= size || memmem(line.path, line.path_len, "/..", 3)) {
			r = -EBADMSG;
			continue;
		}
		memcpy(ret_path, line.path, line.path_len);
		ret_path[line.path_len] = '\0';
		best = rank;
		r = 0;
	}
	return r;
}

/* A group that a user made: systemd gives these groups to the users. */
static bool made_by_user(const char *cgroup)
{
	return strncmp(cgroup, "/user.slice/", 12) == 0 || streq(cgroup, "/user.slice");
}

int identity_proxmox_id(const char *cgroup, char *ret_id, size_t size)
{
	static const char slice[] = "/qemu.slice/", scope[] = ".scope";
	const char *id = cgroup + sizeof(slice) - 1;
	size_t len;

	if (strncmp(cgroup, slice, sizeof(slice) - 1) != 0)
		return -ENOENT;
	len = strspn(id, "0123456789");
	if (len == 0 || len >= size || strncmp(id + len, scope, sizeof(scope) - 1) != 0)
		return -ENOENT;
	memcpy(ret_id, id, len);
	ret_id[len] = '\0';
	return 0;
}

/*
 * The UID of a pod: 36 characters, for systemd with "_" instead of "-"; or 32 digits for a pod
 * that kubelet runs from a file.
 */
static int parse_pod_uid(const char *s, size_t len, char *ret, size_t size)
{
	if ((len != 36 && len != 32) || len >= size)
		return -ENOENT;
	for (size_t i = 0; i < len; i++) {
		if (isxdigit((unsigned char)s[i]))
			ret[i] = (char)tolower((unsigned char)s[i]);
		else if (len == 36 && (s[i] == '_' || s[i] == '-'))
			ret[i] = '-';
		else
			return -ENOENT;
	}
	ret[len] = '\0';
	return 0;
}

int identity_pod_uid(const char *cgroup, char *ret_uid, size_t size)
{
	static const char slice[] = ".slice";

	/* Only kubelet's own group: who owns another group can name the groups below it. */
	if (strncmp(cgroup, "/kube", 5) != 0 || !strstr(cgroup, "kubepods"))
		return -ENOENT;
	for (const char *part = cgroup; *part; part += strcspn(part, "/")) {
		const char *pod = NULL, *end;
		size_t len;

		part += strspn(part, "/");
		len = strcspn(part, "/");
		end = part + len;
		if (len >= sizeof(slice) - 1 &&
		    strncmp(end - sizeof(slice) + 1, slice, sizeof(slice) - 1) == 0)
			end -= sizeof(slice) - 1;
		/* "podUID", or "kubepods-burstable-podUID.slice". */
		if (strncmp(part, "pod", 3) == 0)
			pod = part + 3;
		for (const char *s = part; s + 4 <= end; s++)
			if (strncmp(s, "-pod", 4) == 0)
				pod = s + 4;
		if (pod && pod <= end &&
		    parse_pod_uid(pod, (size_t)(end - pod), ret_uid, size) == 0)
			return 0;
	}
	return -ENOENT;
}

/* ---- decisions ---- */

/* Makes a claimed name fit for use: "/" separates the namespace of a pod from the name. */
static void clean_name(char *name)
{
	utf8_make_valid(name);
	for (char *p = name; *p; p++)
		if (*p == '/')
			*p = '-';
	/* Names of this kind are made by apfd itself. */
	if (strncmp(name, "pid-", 4) == 0 || strncmp(name, "pod-", 4) == 0)
		name[0] = '\0';
}

static void name_in_pod(const struct identity_facts *f, const char *uid, struct identity *i)
{
	char claimed[VMM_NAME_MAX + 1];
	size_t len = strlen(f->pod_namespace);
	const char *name = claimed;

	snprintf(claimed, sizeof(claimed), "%.*s", VMM_NAME_MAX, i->name);
	if (len == 0) {
		if (!claimed[0])
			snprintf(i->name, sizeof(i->name), "pod-%s", uid);
		return;
	}
	/* KubeVirt names the domain NAMESPACE_NAME. */
	if (strncmp(name, f->pod_namespace, len) == 0 && name[len] == '_' && name[len + 1])
		name += len + 1;
	snprintf(i->name, sizeof(i->name), "%s/%s", f->pod_namespace,
		 claimed[0] ? name : f->pod_name);
}

/* True if the last part of @cgroup is @id: then who made the group has confirmed the id. */
static bool group_has_id(const char *cgroup, const char *id)
{
	const char *slash = strrchr(cgroup, '/');

	return id[0] && slash && slash > cgroup && streq(slash + 1, id) && !made_by_user(cgroup);
}

static void set_scope(struct identity *i, const char *kind, const char *value, int len)
{
	int n = snprintf(i->scope, sizeof(i->scope), "%s:%.*s", kind, len, value);

	/* A truncated scope could be the scope of another VM. */
	if (n < 0 || (size_t)n >= sizeof(i->scope))
		i->scope[0] = '\0';
	utf8_make_valid(i->scope);
}

static void confirm(struct identity *i, const char *id)
{
	/* @id may be the claimed id itself: snprintf() cannot copy a string to itself. */
	if (id != i->id)
		snprintf(i->id, sizeof(i->id), "%s", id);
	i->id_is_fact = true;
}

static void place(const struct identity_facts *f, struct identity *i)
{
	char id[32], uid[64];

	if (f->proxmox_id[0] || identity_proxmox_id(f->cgroup, id, sizeof(id)) == 0) {
		i->keeper = KEEPER_PROXMOX;
		confirm(i, f->proxmox_id[0] ? f->proxmox_id : id);
		if (!i->name[0])
			snprintf(i->name, sizeof(i->name), "%s", i->id);
		set_scope(i, "proxmox", i->id, INT_MAX);
	} else if (identity_pod_uid(f->cgroup, uid, sizeof(uid)) == 0) {
		i->keeper = KEEPER_KUBERNETES;
		confirm(i, uid);
		name_in_pod(f, uid, i);
		set_scope(i, "pod", f->pod_namespace[0] ? f->pod_namespace : uid, INT_MAX);
	} else if (group_has_id(f->cgroup, i->id[0] ? i->id : i->name)) {
		confirm(i, i->id[0] ? i->id : i->name);
		set_scope(i, "cgroup", f->cgroup, (int)(strrchr(f->cgroup, '/') - f->cgroup));
	} else if (f->uid >= 0) {
		snprintf(uid, sizeof(uid), "%lld", f->uid);
		set_scope(i, "user", uid, INT_MAX);
	}
}

void identity_make(const struct identity_facts *facts, struct identity *ret)
{
	struct identity i = { .vmm = vmm_detect(facts->executable, &facts->args) };
	struct vmm_claims claims;

	vmm_claims_read(i.vmm, &facts->args, &claims);
	clean_name(claims.name);
	utf8_make_valid(claims.id);
	strcpy(i.name, claims.name);
	strcpy(i.id, claims.id);
	strcpy(i.uuid, claims.uuid);
	place(facts, &i);
	*ret = i;
}

bool identity_lasts(const struct identity *i)
{
	return i->scope[0] && (i->uuid[0] || i->name[0]);
}

static uint64_t hash(uint64_t h, const char *s)
{
	/* FNV-1a. Not safe against collisions on purpose: the caller checks for equal UUIDs. */
	do
		h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
	while (*s++);
	return h;
}

int identity_uuid(const struct identity *i, char ret_uuid[static UUID_LEN + 1])
{
	uint64_t high, low;

	if (!identity_lasts(i))
		return -ENOENT;
	if (i->uuid[0]) {
		memcpy(ret_uuid, i->uuid, sizeof(i->uuid));
		return 0;
	}
	high = hash(hash(UINT64_C(14695981039346656037), i->scope), i->name);
	low = hash(hash(UINT64_C(1099511628211), i->name), i->scope);
	/* UUID version 8: the format leaves its content to the application. "b": from a name. */
	snprintf(ret_uuid, UUID_LEN + 1, "%08x-%04x-8%03x-b%03x-%012" PRIx64,
		 (unsigned int)(high >> 32), (unsigned int)(high >> 16 & 0xffff),
		 (unsigned int)(high & 0xfff), (unsigned int)(low >> 48 & 0xfff),
		 low & UINT64_C(0xffffffffffff));
	return 0;
}

/* ---- files ---- */

/* Reads PROC_ROOT/PID/NAME; "" if this fails. */
static void read_file(const struct identity_roots *roots, pid_t pid, const char *name, char *buf,
		      size_t size)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/%s", roots->proc_root, (int)pid, name) >=
		    sizeof(path) ||
	    file_read_at(AT_FDCWD, path, buf, size) < 0)
		buf[0] = '\0';
}

/* The first number after "Uid:" is the real user. A process cannot hide it. */
static long long parse_uid(const char *status)
{
	const char *line = strncmp(status, "Uid:", 4) == 0 ? status - 1 : strstr(status, "\nUid:");
	long long uid;

	if (!line || sscanf(line + 5, " %lld", &uid) != 1 || uid < 0)
		return -1;
	return uid;
}

/* Whether RUN_ROOT/qemu-server/ID.pid names @pid. */
static bool pid_file_names(const struct identity_roots *roots, const char *id, pid_t pid)
{
	char dir[PATH_MAX];
	pid_t found;

	if (!id[0] || strspn(id, "0123456789") != strlen(id) ||
	    (size_t)snprintf(dir, sizeof(dir), "%s/qemu-server", roots->run_root) >= sizeof(dir))
		return false;
	return proc_read_pid_file(dir, id, &found) == 0 && found == pid;
}

/* kubelet's folder for the pod: NAMESPACE_POD_UID; neither namespace nor pod has an underscore. */
static void find_pod(const struct identity_roots *roots, const char *uid, char *namespace,
		     char *name, size_t size)
{
	_cleanup_(closedirp) DIR *dir = opendir(roots->pods_dir);
	struct dirent *de;

	for (size_t n = 0; dir && n < PODS_MAX && (de = readdir(dir)); n++) {
		const char *first = strchr(de->d_name, '_');
		const char *last = strrchr(de->d_name, '_');

		if (!first || first == last || !streq(last + 1, uid))
			continue;
		snprintf(namespace, size, "%.*s", (int)(first - de->d_name), de->d_name);
		snprintf(name, size, "%.*s", (int)(last - first - 1), first + 1);
		utf8_make_valid(namespace);
		utf8_make_valid(name);
		break;
	}
}

void identity_load(const struct identity_roots *roots, pid_t pid, const struct vmm_args *args,
		   struct identity *ret)
{
	char text[CGROUP_LINES_MAX_BYTES], cgroup[PATH_MAX] = "", uid[64];
	char namespace[VMM_NAME_MAX + 1] = "", pod[VMM_NAME_MAX + 1] = "";
	_cleanup_free_ char *executable = NULL;
	struct identity_facts f = { .args = *args,
				    .cgroup = cgroup,
				    .proxmox_id = "",
				    .pod_namespace = namespace,
				    .pod_name = pod };
	struct vmm_claims claims;

	(void)proc_executable(roots->proc_root, pid, &executable);
	f.executable = executable;
	read_file(roots, pid, "status", text, STATUS_BYTES);
	f.uid = parse_uid(text);
	read_file(roots, pid, "cgroup", text, sizeof(text));
	if (identity_cgroup(text, cgroup, sizeof(cgroup)) < 0)
		cgroup[0] = '\0';

	/*
	 * The command line says which PID file to check; the file is the proof. It may be old, and
	 * its PID reused, so the user must be right, too: Proxmox runs its VMs as root.
	 */
	vmm_claims_read(vmm_detect(executable, args), args, &claims);
	if (f.uid <= 0 && pid_file_names(roots, claims.id, pid))
		f.proxmox_id = claims.id;
	if (identity_pod_uid(cgroup, uid, sizeof(uid)) == 0)
		find_pod(roots, uid, namespace, pod, sizeof(namespace));
	identity_make(&f, ret);
}

const char *identity_fact_id(const struct identity *i)
{
	return i && i->id_is_fact ? i->id : "";
}
