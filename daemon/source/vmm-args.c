/* SPDX-License-Identifier: GPL-2.0 */
#include "vmm-args.h"

#include "util.h"

/* The value of one key of an option can be a path. */
#define VALUE_MAX 4096

/* ---- words ---- */

/**
 * struct reader - position in a command line
 */
struct reader {
	const char *at, *end;
};

static struct reader reader_of(const struct vmm_args *args)
{
	return (struct reader){ args->text, args->text ? args->text + args->size : NULL };
}

/* The next word, NULL at the end. A text without a last NUL ends before its last word. */
static const char *next_word(struct reader *rd)
{
	const char *word = rd->at;
	size_t left = (size_t)(rd->end - rd->at), len;

	if (!word || left == 0)
		return NULL;
	len = strnlen(word, left);
	if (len == left) {
		rd->at = rd->end;
		return NULL;
	}
	rd->at += len + 1;
	return word;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Copies @s if it fits: a truncated name could be the name of another VM. */
static void take(char *to, size_t size, const char *s)
{
	if (strlen(s) < size)
		strcpy(to, s);
}

static void take_uuid(char to[static UUID_LEN + 1], const char *s)
{
	char uuid[UUID_LEN + 1];

	if (uuid_parse(s, uuid) < 0)
		return;
	/* The UUID of zeros means that there is none. */
	if (strspn(uuid, "0-") == UUID_LEN)
		uuid[0] = '\0';
	memcpy(to, uuid, sizeof(uuid));
}

/* ---- QEMU: -name guest=web,debug-threads=on; a comma in a value is written ",," ---- */

/* Copies one "key=value" or "value" and returns the position of the next one. */
static const char *next_item(const char *s, char *item, size_t size)
{
	size_t len = 0;

	while (*s) {
		if (*s == ',' && *++s != ',')
			break;
		if (len + 1 < size)
			item[len++] = *s;
		s++;
	}
	item[len] = '\0';
	return s;
}

/*
 * The value of @key in the list @s, the last one if there are several. @implied: the first item
 * may be the value alone.
 */
static bool find_key(const char *s, const char *key, bool implied, char ret[static VALUE_MAX])
{
	char item[VALUE_MAX];
	size_t len = strlen(key);
	bool found = false;

	for (bool first = true; *s; first = false) {
		s = next_item(s, item, sizeof(item));
		if (strncmp(item, key, len) == 0 && item[len] == '=')
			strcpy(ret, item + len + 1);
		else if (first && implied && !strchr(item, '='))
			strcpy(ret, item);
		else
			continue;
		found = true;
	}
	return found;
}

static void qemu_option(const char *option, const char *value, struct vmm_claims *c)
{
	char text[VALUE_MAX] = "";

	if (streq(option, "name")) {
		if (find_key(value, "guest", true, text))
			take(c->name, sizeof(c->name), text);
	} else if (streq(option, "uuid")) {
		take_uuid(c->uuid, value);
	} else if (streq(option, "id")) {
		take(c->id, sizeof(c->id), value);
	} else if (streq(option, "smbios")) {
		if (find_key(value, "type", false, text) && streq(text, "1") &&
		    find_key(value, "uuid", false, text))
			take_uuid(c->uuid, text);
	}
}

/* Options whose value may begin with "-". */
static bool qemu_takes_any_value(const char *option)
{
	static const char *const table[] = { "append", "name", "uuid", "smbios", "id" };

	for (size_t i = 0; i < ELEMENTSOF(table); i++)
		if (streq(option, table[i]))
			return true;
	return false;
}

/*
 * QEMU's options have one or two dashes; most have a value, which is the next word. A word after
 * an option is its value unless the word begins with "-": so the options without a value need no
 * table here.
 */
static void read_qemu(struct reader rd, struct vmm_claims *c)
{
	const char *word;

	while ((word = next_word(&rd))) {
		struct reader after = rd;
		const char *option, *value;

		if (*word != '-')
			continue;
		option = word + (word[1] == '-' ? 2 : 1);
		value = next_word(&after);
		if (!value || (*value == '-' && !qemu_takes_any_value(option)))
			continue;
		qemu_option(option, value, c);
		rd = after;
	}
}

/* ---- the other VMMs: "--option value" or "--option=value" ---- */

/* The last value of @option, e.g. "--id"; NULL if there is none. */
static const char *find_option(struct reader rd, const char *option)
{
	const char *found = NULL, *word;
	size_t len = strlen(option);

	while ((word = next_word(&rd))) {
		/* What follows is not for the VMM itself. */
		if (streq(word, "--"))
			break;
		if (strncmp(word, option, len) == 0 && word[len] == '=') {
			found = word + len + 1;
		} else if (streq(word, option)) {
			word = next_word(&rd);
			if (word)
				found = word;
		}
	}
	return found;
}

/* Names of sockets and folders that do not tell VMs apart. */
static bool is_common(const char *name)
{
	static const char *const table[] = {
		"",	  "api",  "ch-api",	 "clh-api",    "cloud-hypervisor",
		"crosvm", "fc",	  "firecracker", "hypervisor", "root",
		"run",	  "sock", "socket",	 "sockets",    "tmp",
		"var",	  "vm",
	};

	for (size_t i = 0; i < ELEMENTSOF(table); i++)
		if (streq(name, table[i]))
			return true;
	return false;
}

static void strip_suffix(char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	if (len > n && streq(name + len - n, suffix))
		name[len - n] = '\0';
}

/*
 * The name of the VM from the path of its socket: the file, as in /run/ch/web.sock; or the folder
 * if the file has a common name, as in /run/vc/vm/web/api.sock.
 */
static void name_by_socket(const char *path, struct vmm_claims *c)
{
	char copy[VALUE_MAX], *slash;

	if (strlen(path) >= sizeof(copy))
		return;
	strcpy(copy, path);
	strip_suffix(copy, ".sock");
	strip_suffix(copy, ".socket");
	slash = strrchr(copy, '/');
	if (slash && is_common(slash + 1))
		*slash = '\0';
	if (!is_common(base_name(copy)))
		take(c->name, sizeof(c->name), base_name(copy));
}

static void read_firecracker(struct reader args, struct vmm_claims *c)
{
	const char *id = find_option(args, "--id"), *socket = find_option(args, "--api-sock");

	/* The default of Firecracker, the same for every VM. */
	if (id && !streq(id, "anonymous-instance")) {
		take(c->id, sizeof(c->id), id);
		take(c->name, sizeof(c->name), id);
		take_uuid(c->uuid, id);
	} else if (socket) {
		name_by_socket(socket, c);
	}
}

static void read_cloud_hypervisor(struct reader args, struct vmm_claims *c)
{
	const char *socket = find_option(args, "--api-socket");
	const char *platform = find_option(args, "--platform");
	char text[VALUE_MAX] = "";

	if (platform && find_key(platform, "uuid", false, text))
		take_uuid(c->uuid, text);
	if (!socket)
		return;
	if (find_key(socket, "path", false, text))
		name_by_socket(text, c);
	else if (!begins(socket, "fd="))
		name_by_socket(socket, c);
}

static void read_crosvm(struct reader args, struct vmm_claims *c)
{
	const char *name = find_option(args, "--name"), *socket = find_option(args, "--socket");

	if (!socket)
		socket = find_option(args, "-s");
	if (name)
		take(c->name, sizeof(c->name), name);
	else if (socket)
		name_by_socket(socket, c);
}

static void read_kvmtool(struct reader args, struct vmm_claims *c)
{
	const char *name = find_option(args, "--name");

	if (!name)
		name = find_option(args, "-n");
	if (name)
		take(c->name, sizeof(c->name), name);
}

/* ---- all ---- */

const char *vmm_to_string(enum vmm vmm)
{
	static const char *const table[] = {
		[VMM_UNKNOWN] = "",
		[VMM_QEMU] = "qemu",
		[VMM_FIRECRACKER] = "firecracker",
		[VMM_CLOUD_HYPERVISOR] = "cloud-hypervisor",
		[VMM_CROSVM] = "crosvm",
		[VMM_KVMTOOL] = "kvmtool",
	};

	return table[vmm];
}

enum vmm vmm_detect(const char *executable, const struct vmm_args *args)
{
	static const struct {
		const char *program;
		bool whole;
		enum vmm vmm;
	} table[] = {
		{ "qemu-", false, VMM_QEMU },
		{ "kvm", true, VMM_QEMU },
		{ "firecracker", false, VMM_FIRECRACKER },
		{ "cloud-hypervisor", false, VMM_CLOUD_HYPERVISOR },
		{ "crosvm", false, VMM_CROSVM },
		{ "lkvm", false, VMM_KVMTOOL },
		{ "kvmtool", false, VMM_KVMTOOL },
	};
	struct reader rd = reader_of(args);
	const char *first = next_word(&rd);
	const char *program = base_name(executable ? executable : first ? first : "");

	for (size_t i = 0; i < ELEMENTSOF(table); i++)
		if (table[i].whole ? streq(program, table[i].program)
				   : begins(program, table[i].program))
			return table[i].vmm;
	return VMM_UNKNOWN;
}

void vmm_claims_read(enum vmm vmm, const struct vmm_args *args, struct vmm_claims *ret)
{
	struct reader rd = reader_of(args);

	*ret = (struct vmm_claims){};
	/* The name of the program. */
	(void)next_word(&rd);
	switch (vmm) {
	case VMM_QEMU:
		read_qemu(rd, ret);
		break;
	case VMM_FIRECRACKER:
		read_firecracker(rd, ret);
		break;
	case VMM_CLOUD_HYPERVISOR:
		read_cloud_hypervisor(rd, ret);
		break;
	case VMM_CROSVM:
		read_crosvm(rd, ret);
		break;
	case VMM_KVMTOOL:
		read_kvmtool(rd, ret);
		break;
	case VMM_UNKNOWN:
		break;
	}
}
