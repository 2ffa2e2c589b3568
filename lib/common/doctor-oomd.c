/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-oomd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "file.h"
#include "util.h"

enum {
	FILES_MAX = 64, /* drop-ins of a unit */
	NAMES_MAX = 4,
	UNIT_FILE_MAX_BYTES = 16384, /* only this much of a longer file is read */
};

/* Where systemd looks for unit files, the first wins; systemctl set-property writes *.control. */
static const char *const folders[] = {
	"/etc/systemd/system.control",
	"/run/systemd/system.control",
	"/run/systemd/transient",
	"/etc/systemd/system",
	"/run/systemd/system",
	"/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system",
	"/lib/systemd/system",
};

/**
 * struct settings - what a unit says
 * @swap: ManagedOOMSwap=kill
 * @pressure: ManagedOOMMemoryPressure=kill
 */
struct settings {
	bool swap;
	bool pressure;
};

/**
 * struct drop_ins - those of a unit; of several with the same name only the first is used
 * @path: of a file; the part from @name on is its name
 */
struct drop_ins {
	struct {
		char path[PATH_MAX];
		const char *name;
	} file[FILES_MAX];
	size_t n;
};

/* ---- files ---- */

static void parse_line(char *line, struct settings *s)
{
	const struct {
		const char *key;
		bool *field;
	} keys[] = {
		{ "ManagedOOMSwap", &s->swap },
		{ "ManagedOOMMemoryPressure", &s->pressure },
	};

	line += strspn(line, " \t");
	for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
		size_t len = strlen(keys[i].key);
		const char *value;

		if (strncmp(line, keys[i].key, len) != 0)
			continue;
		value = line + len + strspn(line + len, " \t");
		if (*value++ != '=')
			continue;
		value += strspn(value, " \t");
		*keys[i].field = strncmp(value, "kill", 4) == 0 &&
				 value[4 + strspn(value + 4, " \t\r")] == '\0';
	}
}

/* Returns false if there is no such file. */
static bool read_unit_file(const char *path, struct settings *s)
{
	char text[UNIT_FILE_MAX_BYTES], *rest = text, *line;

	if (file_read_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	while ((line = strsep(&rest, "\n")))
		parse_line(line, s);
	return true;
}

static void add_drop_in(struct drop_ins *all, const char *folder, const char *name)
{
	size_t len = strlen(name);
	int n;

	if (name[0] == '.' || len < 6 || !streq(name + len - 5, ".conf") || all->n == FILES_MAX)
		return;
	n = snprintf(all->file[all->n].path, sizeof(all->file[0].path), "%s/%s", folder, name);
	if (n < 0 || (size_t)n >= sizeof(all->file[0].path))
		return;
	all->file[all->n].name = all->file[all->n].path + (size_t)n - len;
	all->n++;
}

static void find_drop_ins(const char *root, const char *name, struct drop_ins *all)
{
	for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
		_cleanup_(closedirp) DIR *dir = NULL;
		char path[PATH_MAX];
		struct dirent *de;

		if ((size_t)snprintf(path, sizeof(path), "%s%s/%s.d", root, folders[i], name) >=
		    sizeof(path))
			continue;
		dir = opendir(path);
		while (dir && (de = readdir(dir)))
			add_drop_in(all, path, de->d_name);
	}
}

/* ---- a unit ---- */

/*
 * The names of files and drop-in folders for @unit, from the most to the least special: of itself,
 * of its template, and of all units of its type. The last one is for drop-ins only.
 */
static size_t names_of(const char *unit, char names[static NAMES_MAX][NAME_MAX + 1])
{
	const char *type = strrchr(unit, '.'), *at = strchr(unit, '@');
	size_t n = 0;

	if (!type || strlen(unit) > NAME_MAX)
		return 0;
	snprintf(names[n++], NAME_MAX + 1, "%s", unit);
	if (at && at < type)
		snprintf(names[n++], NAME_MAX + 1, "%.*s%s", (int)(at - unit) + 1, unit, type);
	snprintf(names[n++], NAME_MAX + 1, "%s", type + 1);
	return n;
}

static struct settings read_unit(const char *root, const char *unit)
{
	_cleanup_free_ struct drop_ins *drop_ins = calloc(1, sizeof(*drop_ins));
	char names[NAMES_MAX][NAME_MAX + 1], path[PATH_MAX];
	struct settings s = {};
	size_t n = names_of(unit, names);
	bool found = false;

	for (size_t i = 0; i + 1 < n && !found; i++)
		for (size_t k = 0; k < ELEMENTSOF(folders) && !found; k++)
			found = (size_t)snprintf(path, sizeof(path), "%s%s/%s", root, folders[k],
						 names[i]) < sizeof(path) &&
				read_unit_file(path, &s);
	for (size_t i = 0; drop_ins && i < n; i++)
		find_drop_ins(root, names[i], drop_ins);
	/* In the order of their names, so that the last one wins; the first of the same name. */
	for (const char *last = "";;) {
		size_t next = SIZE_MAX;

		for (size_t i = 0; drop_ins && i < drop_ins->n; i++)
			if (strcmp(drop_ins->file[i].name, last) > 0 &&
			    (next == SIZE_MAX ||
			     strcmp(drop_ins->file[i].name, drop_ins->file[next].name) < 0))
				next = i;
		if (next == SIZE_MAX)
			return s;
		(void)read_unit_file(drop_ins->file[next].path, &s);
		last = drop_ins->file[next].name;
	}
}

/* Returns whether a finding was added. */
static bool check_unit(const struct host_roots *roots, const char *unit, struct diagnosis *d)
{
	struct settings s = read_unit(roots->root, unit);

	if (!s.swap && !s.pressure)
		return false;
	diag_add(d, CHECK_OOMD, DIAG_WARN,
		 "systemd-oomd ends a whole VM %s%s%s: %s has %s%s%s; overcommitted VMs are the "
		 "first it finds",
		 s.swap ? "when swap is nearly full" : "", s.swap && s.pressure ? ", and " : "",
		 s.pressure ? "when tasks wait for memory" : "",
		 streq(unit, "-.slice") ? "the root slice -.slice" : unit,
		 s.swap ? "ManagedOOMSwap=kill" : "", s.swap && s.pressure ? " and " : "",
		 s.pressure ? "ManagedOOMMemoryPressure=kill" : "");
	/* The name of the root slice begins like an option. */
	diag_remedy(d,
		    "leave the choice to the kernel, which acts only if there is no memory left:\n"
		    "  systemctl set-property %s%s%s%s",
		    unit[0] == '-' ? "-- " : "", unit, s.swap ? " ManagedOOMSwap=auto" : "",
		    s.pressure ? " ManagedOOMMemoryPressure=auto" : "");
	return true;
}

void doctor_oomd(const struct host_roots *roots, const char *const *units, struct diagnosis *d)
{
	char path[PATH_MAX], events[512];
	bool found;

	if ((size_t)snprintf(path, sizeof(path),
			     "%s/system.slice/systemd-oomd.service/cgroup.events",
			     roots->cgroup) >= sizeof(path) ||
	    file_read_at(AT_FDCWD, path, events, sizeof(events)) < 0 ||
	    !strstr(events, "populated 1")) {
		diag_add(d, CHECK_OOMD, DIAG_OK, "systemd-oomd does not run");
		return;
	}
	found = check_unit(roots, "-.slice", d);
	found |= check_unit(roots, "machine.slice", d);
	for (; units && *units; units++)
		if (!streq(*units, "-.slice") && !streq(*units, "machine.slice"))
			found |= check_unit(roots, *units, d);
	if (!found)
		diag_add(d, CHECK_OOMD, DIAG_OK,
			 "systemd-oomd runs, and no setting lets it end VMs");
}
