/* SPDX-License-Identifier: GPL-2.0 */
#include "host-kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "util.h"

/* Larger than any certificate, and than any list of certificates in a firmware. */
enum { KEY_MAX_BYTES = 16 * 1024, KEYS_MAX_BYTES = 1024 * 1024 };

/* The name of the kernel is in the first lines of a build log. */
enum { LOG_HEAD_LINES = 5 };

/* This text follows a module's signature at the end of the file. */
#define SIGNATURE_MARK "~Module signature appended~\n"

#define MOK_LIST "MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23"

/* Kernel options that apf_host needs, with their names in .config. */
static const char *const configs[] = {
	"CONFIG_KVM",
	"CONFIG_MODULES",
	"CONFIG_KPROBES",
	"CONFIG_KRETPROBES",
	"CONFIG_DYNAMIC_FTRACE_WITH_REGS",
};

_Static_assert(ELEMENTSOF(configs) <= HOST_KERNEL_CONFIGS_MAX, "one that is lacking has a place");

/*
 * Marks in a kernel release, the distribution, and the character after its version number.
 * These kernels keep their version for ten years but get many parts of newer kernels.
 */
static const struct {
	const char *mark, *name, *end;
} hybrids[] = {
	{ "-150", "SUSE Linux Enterprise 15", "-default" },
	{ "-160", "SUSE Linux Enterprise 16", "-default" },
	{ ".el", "Enterprise Linux" },
	{ ".oe", "openEuler" },
	{ ".oc", "OpenCloudOS" },
	{ ".an", "Anolis OS" },
	{ ".al", "Alibaba Cloud Linux" },
	{ ".tl", "TencentOS" },
	{ ".ky", "Kylin" },
};

static int join(char path[static PATH_MAX], const char *root, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int join(char path[static PATH_MAX], const char *root, const char *format, ...)
{
	va_list args;
	size_t len;

	len = (size_t)snprintf(path, PATH_MAX, "%s/", root);
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	va_start(args, format);
	len += (size_t)vsnprintf(path + len, PATH_MAX - len, format, args);
	va_end(args);
	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static FILE *open_list(const char *root, const char *release, const char *name)
{
	char path[PATH_MAX];

	return join(path, root, "%s/%s", release, name) < 0 ? NULL : fopen(path, "re");
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), end_len = strlen(end);

	return len >= end_len && streq(s + len - end_len, end);
}

void host_kernel_read(const struct host_roots *roots, struct host_kernel *ret)
{
	unsigned int maj = 0, min = 0;
	char path[PATH_MAX];

	*ret = (struct host_kernel){};
	if (join(path, roots->proc, "sys/kernel/osrelease") < 0 ||
	    file_read_at(AT_FDCWD, path, ret->release, sizeof(ret->release)) < 0)
		ret->release[0] = '\0';
	ret->release[strcspn(ret->release, "\n")] = '\0';
	if (sscanf(ret->release, "%u.%u", &maj, &min) == 2)
		ret->number = HOST_KERNEL(maj, min);
	/* ELRepo builds kernels of kernel.org for Enterprise Linux: the number is meaningful. */
	if (strstr(ret->release, ".elrepo"))
		return;
	for (size_t i = 0; i < ELEMENTSOF(hybrids) && !ret->hybrid[0]; i++) {
		const char *mark = strstr(ret->release, hybrids[i].mark);
		const char *digit = mark ? mark + strlen(hybrids[i].mark) : "";

		if (hybrids[i].end && !ends_with(ret->release, hybrids[i].end))
			continue;
		if (*digit >= '0' && *digit <= '9')
			snprintf(ret->hybrid, sizeof(ret->hybrid), "%s", hybrids[i].name);
	}
}

bool host_kernel_builtin(const struct host_roots *roots, const struct host_kernel *k,
			 const char *name)
{
	_cleanup_fclose_ FILE *file = open_list(roots->modules, k->release, "modules.builtin");
	char line[512], wanted[64];

	snprintf(wanted, sizeof(wanted), "/%s.ko\n", name);
	while (file && fgets(line, sizeof(line), file)) {
		const char *at = strrchr(line, '/');

		if (at && streq(at, wanted))
			return true;
	}
	return false;
}

int host_kernel_has_symbol(const struct host_roots *roots, const char *name)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX], line[512];
	bool any = false;

	if (join(path, roots->proc, "kallsyms") < 0)
		return -1;
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		char symbol[256];

		if (sscanf(line, "%*s %*c %255s", symbol) != 1)
			continue;
		any = true;
		if (streq(symbol, name))
			return 1;
	}
	return any ? 0 : -1;
}

enum host_signing host_kernel_signing(const struct host_roots *roots)
{
	char path[PATH_MAX], text[128];

	if (join(path, roots->sys, "module/module/parameters/sig_enforce") >= 0 &&
	    file_read_at(AT_FDCWD, path, text, sizeof(text)) >= 0 &&
	    (text[0] == 'Y' || text[0] == '1')) {
		/* Secure Boot sets sig_enforce, too; then report lockdown as the reason. */
		if (join(path, roots->sys, "kernel/security/lockdown") < 0 ||
		    file_read_at(AT_FDCWD, path, text, sizeof(text)) < 0 || !strchr(text, '[') ||
		    strstr(text, "[none]"))
			return HOST_SIGNING_ENFORCED;
		return HOST_SIGNING_LOCKDOWN;
	}
	if (join(path, roots->sys, "kernel/security/lockdown") >= 0 &&
	    file_read_at(AT_FDCWD, path, text, sizeof(text)) >= 0 && strchr(text, '[') &&
	    !strstr(text, "[none]"))
		return HOST_SIGNING_LOCKDOWN;
	return HOST_SIGNING_FREE;
}

/* ---- apf_host ---- */

/* Works for module files that are not compressed. */
static int has_signature(const char *path)
{
	char tail[sizeof(SIGNATURE_MARK)] = "";
	_cleanup_close_ int fd = -1;
	size_t len = strlen(path);
	struct stat st;

	if (len < 3 || !streq(path + len - 3, ".ko"))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	if ((size_t)st.st_size < strlen(SIGNATURE_MARK))
		return 0;
	if (pread(fd, tail, strlen(SIGNATURE_MARK), st.st_size - (off_t)strlen(SIGNATURE_MARK)) !=
	    (ssize_t)strlen(SIGNATURE_MARK))
		return -1;
	return streq(tail, SIGNATURE_MARK);
}

static void read_listed(const struct host_roots *roots, const struct host_kernel *k,
			struct host_module *ret)
{
	_cleanup_fclose_ FILE *file = open_list(roots->modules, k->release, "modules.dep");
	char line[512], path[PATH_MAX];

	ret->listed = ret->signature = -1;
	if (!file)
		return;
	ret->listed = 0;
	while (fgets(line, sizeof(line), file)) {
		char *end = strchr(line, ':');
		const char *name = strstr(line, "/apf_host.ko");

		if (!end || !name || name > end)
			continue;
		*end = '\0';
		ret->listed = 1;
		if (join(path, roots->modules, "%s/%s", k->release, line) >= 0)
			ret->signature = has_signature(path);
		return;
	}
}

/* Returns true if the option @name is y or m. */
static bool config_is_set(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 &&
		    (strncmp(line + len, "=y", 2) == 0 || strncmp(line + len, "=m", 2) == 0))
			return true;
	}
	return false;
}

/* The kernel's configuration; NULL if it cannot be read. */
static char *load_config(const struct host_roots *roots, const struct host_kernel *k)
{
	/* The file has about 300 KiB. */
	enum { CONFIG_MAX_BYTES = 1024 * 1024 };
	_cleanup_free_ char *text = malloc(CONFIG_MAX_BYTES);
	char path[PATH_MAX];

	if (!text)
		return NULL;
	if ((join(path, roots->boot, "config-%s", k->release) < 0 ||
	     file_read_at(AT_FDCWD, path, text, CONFIG_MAX_BYTES) < 0) &&
	    (join(path, roots->modules, "%s/config", k->release) < 0 ||
	     file_read_at(AT_FDCWD, path, text, CONFIG_MAX_BYTES) < 0) &&
	    (join(path, roots->modules, "%s/build/.config", k->release) < 0 ||
	     file_read_at(AT_FDCWD, path, text, CONFIG_MAX_BYTES) < 0))
		return NULL;
	/* Else the file is not a kernel configuration. */
	return strstr(text, "CONFIG_") ? TAKE_PTR(text) : NULL;
}

int host_kernel_config(const struct host_roots *roots, const struct host_kernel *k,
		       const char *name)
{
	_cleanup_free_ char *text = load_config(roots, k);

	return text ? config_is_set(text, name) : -1;
}

static void read_config(const struct host_roots *roots, const struct host_kernel *k,
			struct host_module *ret)
{
	_cleanup_free_ char *text = load_config(roots, k);

	for (size_t i = 0; text && i < ELEMENTSOF(configs); i++)
		if (!config_is_set(text, configs[i]))
			ret->lacking[ret->n_lacking++] = configs[i];
}

/* Returns true if @path is the log of a build for the kernel @release. */
static bool log_is_of(const char *path, const char *release)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[512], wanted[HOST_KERNEL_RELEASE_MAX + 16];

	snprintf(wanted, sizeof(wanted), " for kernel %s ", release);
	for (int i = 0; file && i < LOG_HEAD_LINES && fgets(line, sizeof(line), file); i++)
		if (strstr(line, "make.log") && strstr(line, wanted))
			return true;
	return false;
}

static void read_dkms(const struct host_roots *roots, const struct host_kernel *k,
		      struct host_module *ret)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *de;

	ret->dkms = -1;
	if (join(path, roots->var, "dkms") < 0 || access(path, X_OK) < 0) {
		/* If the parent folder can be accessed, the host has no DKMS. */
		if (access(roots->var, X_OK) == 0 && errno != EACCES)
			ret->dkms = 0;
		return;
	}
	ret->dkms = 0;
	if (join(path, roots->var, "dkms/apf-host") < 0)
		return;
	dir = opendir(path);
	while (dir && (de = readdir(dir))) {
		/* Skip entries that are not versions: links with names of kernels. */
		if (de->d_name[0] < '0' || de->d_name[0] > '9' ||
		    strlen(de->d_name) >= sizeof(ret->version))
			continue;
		ret->dkms = 1;
		if (strverscmp(de->d_name, ret->version) > 0)
			snprintf(ret->version, sizeof(ret->version), "%.63s", de->d_name);
	}
	if (ret->dkms <= 0)
		return;
	/* DKMS removes the build folder only if the build succeeded. */
	if (join(path, roots->var, "dkms/apf-host/%s/build/make.log", ret->version) >= 0 &&
	    log_is_of(path, k->release))
		snprintf(ret->log, sizeof(ret->log), "/var/lib/dkms/apf-host/%s/build/make.log",
			 ret->version);
}

/* The log of a trial build exists only if the build failed; see packaging/dkms-skip. */
static void read_trial(const struct host_roots *roots, const struct host_kernel *k,
		       struct host_module *ret)
{
	char path[PATH_MAX];

	if (join(path, roots->log, "apf-host-dkms-%s.log", k->release) < 0 ||
	    access(path, F_OK) < 0)
		return;
	ret->skipped = true;
	snprintf(ret->log, sizeof(ret->log), "/var/log/apf-host-dkms-%s.log", k->release);
}

void host_module_read(const struct host_roots *roots, const struct host_kernel *k,
		      struct host_module *ret)
{
	char path[PATH_MAX];

	*ret = (struct host_module){ .listed = -1, .signature = -1, .headers = -1, .dkms = -1 };
	if (!k->release[0])
		return;
	read_listed(roots, k, ret);
	/* The link may exist without its target, so check a file below it. */
	if (ret->listed >= 0 && join(path, roots->modules, "%s/build/Makefile", k->release) >= 0)
		ret->headers = access(path, F_OK) == 0;
	read_config(roots, k, ret);
	read_dkms(roots, k, ret);
	read_trial(roots, k, ret);
}

/* ---- the key ---- */

/* Reads a whole file; NULL if this fails, or if the file is empty or larger than @max. */
static unsigned char *read_bytes(const char *path, size_t max, size_t *ret_len)
{
	_cleanup_free_ unsigned char *bytes = malloc(max);
	_cleanup_close_ int fd = -1;
	size_t len = 0;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (!bytes || fd < 0)
		return NULL;
	while (len < max && (n = read(fd, bytes + len, max - len)) > 0)
		len += (size_t)n;
	if (len == 0 || len == max)
		return NULL;
	*ret_len = len;
	return TAKE_PTR(bytes);
}

static int is_enrolled(const struct host_roots *roots, const unsigned char *key, size_t len)
{
	static const char *const lists[] = {
		"firmware/efi/efivars/" MOK_LIST,
		"firmware/efi/mok-variables/MokListRT",
	};
	char path[PATH_MAX];
	int found = -1;

	for (size_t i = 0; found <= 0 && i < ELEMENTSOF(lists); i++) {
		_cleanup_free_ unsigned char *list = NULL;
		size_t list_len;

		if (join(path, roots->sys, "%s", lists[i]) < 0)
			continue;
		list = read_bytes(path, KEYS_MAX_BYTES, &list_len);
		if (list)
			found = memmem(list, list_len, key, len) != NULL;
	}
	return found;
}

void host_key_read(const struct host_roots *roots, struct host_key *ret)
{
	/* Ubuntu has one key for DKMS and other tools; elsewhere DKMS has its own key. */
	static const char *const keys[] = { "shim-signed/mok/MOK.der", "dkms/mok.pub" };
	char path[PATH_MAX];

	*ret = (struct host_key){ .enrolled = -1 };
	for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
		_cleanup_free_ unsigned char *key = NULL;
		size_t len;

		if (join(path, roots->var, "%s", keys[i]) < 0 || access(path, F_OK) < 0)
			continue;
		snprintf(ret->path, sizeof(ret->path), "/var/lib/%s", keys[i]);
		key = read_bytes(path, KEY_MAX_BYTES, &len);
		if (key)
			ret->enrolled = is_enrolled(roots, key, len);
		return;
	}
}
