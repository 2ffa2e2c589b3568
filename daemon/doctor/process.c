/* SPDX-License-Identifier: GPL-2.0 */
#include "process.h"

#include <limits.h>

#include "util.h"

/* Limits the work for a process with very many descriptors. */
enum { FDS_SCANNED_MAX = 1 << 16 };

static void read_memory(struct process *p, const char *proc_root, uint32_t pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX], line[256];
	struct {
		const char *key;
		uint64_t *bytes;
	} keys[] = {
		{ "VmRSS:", &p->resident_bytes },    { "VmSwap:", &p->swapped_bytes },
		{ "VmLck:", &p->locked_bytes },	     { "VmPin:", &p->pinned_bytes },
		{ "HugetlbPages:", &p->huge_bytes }, { "RssAnon:", &p->anon_bytes },
		{ "RssFile:", &p->file_bytes },	     { "RssShmem:", &p->shmem_bytes },
	};

	if ((size_t)snprintf(path, sizeof(path), "%s/%u/status", proc_root, pid) >= sizeof(path))
		return;
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "Mems_allowed_list:", 18) == 0)
			snprintf(p->nodes, sizeof(p->nodes), "%.*s",
				 (int)strcspn(line + 18 + strspn(line + 18, " \t"), "\n"),
				 line + 18 + strspn(line + 18, " \t"));
		for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
			size_t len = strlen(keys[i].key);
			unsigned long long kib;

			if (strncmp(line, keys[i].key, len) == 0 &&
			    sscanf(line + len, " %llu", &kib) == 1 && kib < UINT64_MAX / 1024) {
				*keys[i].bytes = kib * 1024;
				p->known = true;
			}
		}
	}
}

static void read_limits(struct process *p, const char *proc_root, uint32_t pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX], line[256];
	unsigned long long bytes;

	p->lock_limit_bytes = UINT64_MAX;
	if ((size_t)snprintf(path, sizeof(path), "%s/%u/limits", proc_root, pid) >= sizeof(path))
		return;
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Max locked memory %llu", &bytes) == 1)
			p->lock_limit_bytes = bytes;
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static void read_descriptors(struct process *p, const char *proc_root, uint32_t pid)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX], link[64];
	struct dirent *de;

	if ((size_t)snprintf(path, sizeof(path), "%s/%u/fd", proc_root, pid) >= sizeof(path))
		return;
	dir = opendir(path);
	for (size_t n = 0; dir && n < FDS_SCANNED_MAX && (de = readdir(dir)); n++) {
		ssize_t len = readlinkat(dirfd(dir), de->d_name, link, sizeof(link) - 1);

		if (len < 0)
			continue;
		link[len] = '\0';
		if (streq(link, "anon_inode:[vfio-device]") ||
		    strncmp(link, "/dev/vfio/devices/", 18) == 0)
			p->vfio_fds++;
		else if (begins(link, "/dev/vhost-vdpa-"))
			p->vdpa_fds++;
		else if (begins(link, "anon_inode:[userfaultfd]"))
			p->uffd = true;
		else if (begins(link, "anon_inode:[kvm-gmem]") ||
			 begins(link, "anon_inode:[guest_memfd]"))
			p->guest_memfd = true;
		else if (streq(link, "/dev/sev"))
			p->sev_fd = true;
	}
}

const char *process_next_value(const struct process *p, const char *name, const char *at)
{
	for (const char *a = at ?: p->args; a && *a; a += strlen(a) + 1) {
		const char *option = a;

		if (*option++ != '-')
			continue;
		option += *option == '-';
		if (streq(option, name) && a[strlen(a) + 1])
			return a + strlen(a) + 1;
		/* "--name=value" */
		if (begins(option, name) && option[strlen(name)] == '=' && a != at)
			return option + strlen(name) + 1;
	}
	return NULL;
}

bool process_any_value(const struct process *p, const char *name, const char *part)
{
	for (const char *v = NULL; (v = process_next_value(p, name, v));)
		if (strstr(v, part))
			return true;
	return false;
}

const char *process_value_of(const struct process *p, const char *name)
{
	const char *found = NULL;

	for (const char *v = NULL; (v = process_next_value(p, name, v));)
		found = v;
	return found && *found ? found : NULL;
}

/* The value of "key": in JSON; nested objects are not told apart. */
static bool json_property(const char *json, const char *key, char *ret, size_t size)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	at = strstr(json, quoted);
	if (!at)
		return false;
	at += strlen(quoted);
	at += strspn(at, " :");
	if (*at == '[')
		snprintf(ret, size, "%.*s", (int)strcspn(at + 1, "]"), at + 1);
	else if (*at == '"')
		snprintf(ret, size, "%.*s", (int)strcspn(at + 1, "\""), at + 1);
	else
		snprintf(ret, size, "%.*s", (int)strcspn(at, ",]} "), at);
	return true;
}

bool process_property(const char *value, const char *key, char *ret, size_t size)
{
	size_t len = strlen(key);

	if (*value == '{')
		return json_property(value, key, ret, size);
	for (const char *item = value; *item;) {
		size_t item_len = strcspn(item, ",");

		if (item_len > len && begins(item, key) && item[len] == '=') {
			snprintf(ret, size, "%.*s", (int)(item_len - len - 1), item + len + 1);
			return true;
		}
		item += item_len + (item[item_len] == ',');
	}
	return false;
}

bool process_property_on(const char *value, const char *key)
{
	char text[16];

	return process_property(value, key, text, sizeof(text)) &&
	       (streq(text, "on") || streq(text, "true") || streq(text, "yes"));
}

int process_flag_in(const char *value, const char *flag)
{
	size_t flag_len = strlen(flag);
	int found = -1;

	for (const char *item = value; item && *item;) {
		size_t len = strcspn(item, ",");
		const char *name = item;
		size_t i, name_len = len;
		int says = 1;

		if (*name == '+' || *name == '-') {
			says = *name == '+';
			name++;
			name_len--;
		}
		for (i = 0; i < name_len && i < flag_len &&
			    (name[i] == flag[i] || (name[i] == '_' && flag[i] == '-'));
		     i++)
			;
		if (i == flag_len && (name_len == flag_len || name[flag_len] == '=')) {
			if (name_len > flag_len + 1)
				says = strncmp(name + flag_len, "=on", 3) == 0 ||
				       strncmp(name + flag_len, "=yes", 4) == 0 ||
				       strncmp(name + flag_len, "=true", 5) == 0;
			found = says;
		}
		item += len + (item[len] == ',');
	}
	return found;
}

bool process_model_is(const char *cpu, const char *model)
{
	size_t len = strlen(model);

	return strncmp(cpu, model, len) == 0 && (cpu[len] == ',' || cpu[len] == '\0');
}

int process_offers(const struct process *p, const char *flag, bool of_named_models)
{
	const char *cpu = process_value_of(p, "cpu");
	char global[64];
	int said;

	if (!cpu || process_flag_in(cpu, "kvm") == 0)
		return cpu ? 0 : -1;
	said = process_flag_in(cpu, flag);
	if (said >= 0)
		return said;
	snprintf(global, sizeof(global), ".%s=on", flag);
	if (process_any_value(p, "global", global))
		return 1;
	return of_named_models || process_model_is(cpu, "host") || process_model_is(cpu, "max");
}

bool process_is_windows(const struct process *p)
{
	static const char *const flags[] = { "hv-relaxed", "hv-vapic", "hv-time", "hv-spinlocks" };
	const char *cpu = process_value_of(p, "cpu");
	bool hyperv = false;

	/* Linux guests may get Hyper-V's features, too, but not a clock in local time. */
	for (size_t i = 0; cpu && i < ELEMENTSOF(flags); i++)
		hyperv = hyperv || process_flag_in(cpu, flags[i]) >= 0;
	return hyperv && process_any_value(p, "rtc", "localtime");
}

void process_read(struct process *p, const char *proc_root, uint32_t pid)
{
	read_memory(p, proc_root, pid);
	read_limits(p, proc_root, pid);
	read_descriptors(p, proc_root, pid);
}
