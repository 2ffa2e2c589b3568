/* SPDX-License-Identifier: GPL-2.0 */
#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "conf-keys.h"
#include "conf-parse.h"
#include "utf8.h"

enum {
	FILE_MAX_BYTES = 1 << 20,
	FILES_MAX = 256,
	VMS_MAX = 4096,
	PROBLEM_MAX_BYTES = 512,
	SHOWN_BYTES = 65, /* of a key or value in an error text */
};

/* The first existing apfd.conf is read; of drop-ins with the same name, only the first is read. */
static const char *const folders[] = { "/etc/apfd", "/run/apfd", "/usr/lib/apfd" };

enum section {
	SECTION_NONE,
	SECTION_DAEMON,
	SECTION_POLICY,
	SECTION_RECALL,
	SECTION_VM,
	SECTION_UNKNOWN,
};

/**
 * struct reader - state of one conf_load()
 * @section: the current section
 * @vm: index into conf->vms of the current [VM] section
 */
struct reader {
	struct conf *conf;
	conf_problem_fn problem;
	void *userdata;
	int n_errors;
	const char *file;
	unsigned int line;
	enum section section;
	size_t vm;
};

static void __attribute__((format(printf, 3, 4)))
report_problem(struct reader *rd, bool error, const char *format, ...)
{
	char text[PROBLEM_MAX_BYTES], where[PROBLEM_MAX_BYTES];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (rd->line)
		snprintf(where, sizeof(where), "%.200s:%u: %.280s", rd->file, rd->line, text);
	else
		snprintf(where, sizeof(where), "%.200s: %.280s", rd->file, text);
	/* The journal and the bus need valid UTF-8, but the file may contain anything. */
	utf8_make_valid(where);
	if (error)
		rd->n_errors++;
	rd->problem(error, where, rd->userdata);
}

/* ---- values ---- */

/* Sets the default, for "Key=" without a value. */
static void reset_field(struct conf *c, const struct conf_key *k)
{
	struct conf fresh = {};

	conf_set_defaults(&fresh);
	memcpy((char *)c + k->offset, (char *)&fresh + k->offset, k->size);
}

static void report_bad_value(struct reader *rd, int r, const char *key, const char *value,
			     const char *wanted)
{
	char shown[SHOWN_BYTES];

	utf8_excerpt(value, shown, sizeof(shown));
	report_problem(rd, true, "%s=%s is %s: it must be %s", key, shown,
		       r == -ERANGE ? "out of range" : "not understood", wanted);
}

static void report_unknown_key(struct reader *rd, const char *key, const char *section)
{
	char shown[SHOWN_BYTES];

	utf8_excerpt(key, shown, sizeof(shown));
	report_problem(rd, false, "Unknown key \"%s\" in [%s], ignoring it", shown, section);
}

/* @k: the keys of the section, up to one without a name */
static void assign(struct reader *rd, const struct conf_key *k, const char *section,
		   const char *key, const char *value)
{
	int r;

	while (k->name && !streq(key, k->name))
		k++;
	if (!k->name) {
		report_unknown_key(rd, key, section);
	} else if (!*value) {
		reset_field(rd->conf, k);
	} else {
		r = k->parse(value, (char *)rd->conf + k->offset);
		if (r < 0)
			report_bad_value(rd, r, key, value, k->wanted);
	}
}

static const struct policy_key *find_policy_key(const char *name)
{
	for (size_t i = 0; i < ELEMENTSOF(policy_keys); i++)
		if (streq(policy_keys[i].name, name))
			return &policy_keys[i];
	return NULL;
}

static bool is_time(const struct policy_key *k)
{
	size_t len = strlen(k->name);

	return len > 4 && streq(k->name + len - 3, "Sec") && !streq(k->name + len - 4, "USec");
}

static int parse_policy(const struct policy_key *k, const char *value, struct policy_params *p)
{
	char seconds[32];
	uint64_t usec;
	int r;

	if (!is_time(k))
		return policy_params_set(p, k->name, value);
	/* policy_params_set() knows only seconds; the file may contain units. */
	r = conf_parse_span(value, (uint64_t)k->max * USEC_PER_SEC, &usec);
	if (r < 0)
		return r;
	snprintf(seconds, sizeof(seconds), "%" PRIu64 ".%06" PRIu64, usec / USEC_PER_SEC,
		 usec % USEC_PER_SEC);
	return policy_params_set(p, k->name, seconds);
}

static void assign_rest(struct reader *rd, const char *value)
{
	struct policy_params fresh;

	policy_params_init(&fresh);
	if (!*value)
		rd->conf->policy.rest = fresh.rest;
	else if (policy_params_set(&rd->conf->policy, POLICY_KEY_REST, value) < 0)
		report_bad_value(rd, -EINVAL, POLICY_KEY_REST, value, "on, pv or off");
}

static void assign_policy(struct reader *rd, const char *key, const char *value)
{
	const struct policy_key *k = find_policy_key(key);
	char wanted[128];
	int r;

	if (streq(key, POLICY_KEY_REST)) {
		assign_rest(rd, value);
		return;
	}
	if (!k) {
		report_unknown_key(rd, key, "Policy");
		return;
	}
	if (!*value) {
		*(double *)((char *)&rd->conf->policy + k->offset) = k->value;
		return;
	}
	r = parse_policy(k, value, &rd->conf->policy);
	if (r < 0) {
		snprintf(wanted, sizeof(wanted), "a %s from %.6g to %.6g",
			 is_time(k) ? "time in seconds, or with a unit," : "number", k->min,
			 k->max);
		report_bad_value(rd, r, key, value, wanted);
	}
}

static void assign_recall(struct reader *rd, const char *value, int *ret)
{
	bool yes;

	if (!*value)
		*ret = SETTINGS_UNSET;
	else if (conf_parse_bool(value, &yes) < 0)
		report_bad_value(rd, -EINVAL, "RecallWhenCalm", value, "yes or no");
	else
		*ret = yes;
}

/* 0 or -ENOMEM. */
static int assign_vm(struct reader *rd, const char *key, const char *value)
{
	struct conf_vm *vm = &rd->conf->vms[rd->vm];
	_cleanup_(settings_done) struct settings copy = SETTINGS_NONE;
	int r;

	if (streq(key, "Mode")) {
		if (!*value)
			vm->settings.mode = SETTINGS_UNSET;
		else if (settings_mode_from_string(value, &vm->settings.mode) < 0)
			report_bad_value(rd, -EINVAL, key, value, "auto, on, pv or off");
		return 0;
	}
	if (streq(key, "RecallWhenCalm")) {
		assign_recall(rd, value, &vm->recall_when_calm);
		return 0;
	}
	if (!streq(key, "VCPUModes")) {
		report_unknown_key(rd, key, "VM");
		return 0;
	}
	if (!*value) {
		vm->vcpus_reset = true;
		free(vm->settings.vcpus);
		vm->settings.vcpus = NULL;
		vm->settings.n_vcpus = 0;
		return 0;
	}
	/* If one item of the line is invalid, use none of them. */
	r = settings_copy(&vm->settings, &copy);
	if (r < 0)
		return r;
	r = settings_parse_vcpus(&copy, value);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		report_bad_value(rd, r, key, value,
				 "a list like 0:off,2-3:on, with indices below 4096");
		return 0;
	}
	settings_done(&vm->settings);
	vm->settings = copy;
	copy = SETTINGS_NONE;
	return 0;
}

/* ---- lines ---- */

static char *strip(char *s)
{
	size_t len;

	s += strspn(s, " \t\r");
	len = strlen(s);
	while (len > 0 && strchr(" \t\r", s[len - 1]))
		s[--len] = '\0';
	return s;
}

static int begin_vm(struct reader *rd, char *argument)
{
	struct conf *c = rd->conf;
	struct conf_vm *array;
	size_t len;
	char *glob;

	argument = strip(argument);
	len = strlen(argument);
	rd->section = SECTION_UNKNOWN;
	if (len < 3 || argument[0] != '"' || argument[len - 1] != '"' ||
	    memchr(argument + 1, '"', len - 2)) {
		report_problem(rd, true, "A section for VMs is written [VM \"GLOB\"]");
		return 0;
	}
	if (c->n_vms >= VMS_MAX) {
		report_problem(rd, true, "More than %d sections for VMs", VMS_MAX);
		return 0;
	}
	array = reallocarray(c->vms, c->n_vms + 1, sizeof(*array));
	if (!array)
		return -ENOMEM;
	c->vms = array;
	glob = strndup(argument + 1, len - 2);
	if (!glob)
		return -ENOMEM;
	/* Names of VMs are made valid in the same way, so that the pattern can match. */
	utf8_make_valid(glob);
	c->vms[c->n_vms] = (struct conf_vm){
		.glob = glob,
		.settings = SETTINGS_NONE,
		.recall_when_calm = SETTINGS_UNSET,
	};
	rd->vm = c->n_vms++;
	rd->section = SECTION_VM;
	return 0;
}

static int begin_section(struct reader *rd, char *text)
{
	char *end = strrchr(text, ']');
	char shown[SHOWN_BYTES];

	rd->section = SECTION_UNKNOWN;
	if (!end || end[1]) {
		report_problem(rd, true, "A section is written [NAME]");
		return 0;
	}
	*end = '\0';
	text++;
	if (streq(text, "Daemon"))
		rd->section = SECTION_DAEMON;
	else if (streq(text, "Policy"))
		rd->section = SECTION_POLICY;
	else if (streq(text, "Recall"))
		rd->section = SECTION_RECALL;
	else if (streq(text, "VM") || strncmp(text, "VM ", 3) == 0 || strncmp(text, "VM\t", 3) == 0)
		return begin_vm(rd, text + 2);
	else {
		utf8_excerpt(text, shown, sizeof(shown));
		report_problem(rd, false, "Unknown section [%s], ignoring it", shown);
	}
	return 0;
}

static int parse_line(struct reader *rd, char *line)
{
	char *key, *value, *equals;

	line = strip(line);
	if (!*line || *line == '#' || *line == ';')
		return 0;
	if (*line == '[')
		return begin_section(rd, line);
	equals = strchr(line, '=');
	if (!equals) {
		report_problem(rd, true, "Neither a section nor KEY=VALUE");
		return 0;
	}
	*equals = '\0';
	key = strip(line);
	value = strip(equals + 1);
	switch (rd->section) {
	case SECTION_DAEMON:
		assign(rd, conf_daemon_keys, "Daemon", key, value);
		break;
	case SECTION_RECALL:
		assign(rd, conf_recall_keys, "Recall", key, value);
		break;
	case SECTION_POLICY:
		assign_policy(rd, key, value);
		break;
	case SECTION_VM:
		return assign_vm(rd, key, value);
	case SECTION_NONE:
		report_problem(rd, true, "KEY=VALUE before the first section");
		break;
	case SECTION_UNKNOWN:
		break;
	}
	return 0;
}

static int parse_text(struct reader *rd, char *text)
{
	char *line;
	int r = 0;

	rd->section = SECTION_NONE;
	rd->line = 0;
	while (r >= 0 && (line = strsep(&text, "\n"))) {
		rd->line++;
		r = parse_line(rd, line);
	}
	rd->line = 0;
	return r;
}

/* ---- files ---- */

static int add_file(struct conf *c, const char *path)
{
	char **array = reallocarray(c->files, c->n_files + 2, sizeof(*array));

	if (!array)
		return -ENOMEM;
	c->files = array;
	array[c->n_files] = strdup(path);
	if (!array[c->n_files])
		return -ENOMEM;
	utf8_make_valid(array[c->n_files]);
	array[++c->n_files] = NULL;
	return 0;
}

/* Returns 1 if the file was read or has an error, 0 if there is no such file, -ENOMEM. */
static int load_file(struct reader *rd, const char *path)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	size_t size = 0;
	struct stat st;
	ssize_t n;
	int r;

	rd->file = path;
	rd->line = 0;
	/* Without O_NONBLOCK, opening a pipe of that name would block for ever. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		report_problem(rd, true, "Cannot open the file: %s", strerror(errno));
		return 1;
	}
	if (fstat(fd, &st) < 0) {
		report_problem(rd, true, "Cannot read the file: %s", strerror(errno));
		return 1;
	}
	/* A link to /dev/null masks files with the same name in later folders. */
	if (S_ISCHR(st.st_mode))
		return 1;
	if (!S_ISREG(st.st_mode)) {
		report_problem(rd, true, "This is not a regular file");
		return 1;
	}
	text = malloc(FILE_MAX_BYTES + 1);
	if (!text)
		return -ENOMEM;
	while (size < FILE_MAX_BYTES && (n = read(fd, text + size, FILE_MAX_BYTES - size)) != 0) {
		if (n < 0) {
			report_problem(rd, true, "Cannot read the file: %s", strerror(errno));
			return 1;
		}
		size += (size_t)n;
	}
	text[size] = '\0';
	if (size == FILE_MAX_BYTES || strlen(text) != size) {
		report_problem(rd, true, "The file is %s",
			       size == FILE_MAX_BYTES ? "too large" : "not text");
		return 1;
	}
	r = add_file(rd->conf, path);
	if (r < 0)
		return r;
	r = parse_text(rd, text);
	return r < 0 ? r : 1;
}

/**
 * struct drop_in
 * @folder: index into folders[]
 */
struct drop_in {
	char name[NAME_MAX + 1];
	size_t folder;
};

static int compare_drop_in(const void *a, const void *b)
{
	const struct drop_in *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (x->folder > y->folder) - (x->folder < y->folder);
}

static int find_drop_ins(struct reader *rd, const char *root, struct drop_in **ret, size_t *ret_n)
{
	_cleanup_free_ struct drop_in *found = calloc(FILES_MAX, sizeof(*found));
	size_t n = 0;

	if (!found)
		return -ENOMEM;
	for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
		_cleanup_(closedirp) DIR *dir = NULL;
		char path[PATH_MAX];
		struct dirent *de;

		snprintf(path, sizeof(path), "%s%s/apfd.conf.d", root, folders[i]);
		dir = opendir(path);
		if (!dir) {
			rd->file = path;
			if (errno != ENOENT)
				report_problem(rd, true, "Cannot open the folder: %s",
					       strerror(errno));
			continue;
		}
		while (errno = 0, (de = readdir(dir))) {
			size_t len = strlen(de->d_name);

			if (de->d_name[0] == '.' || len < 6 ||
			    !streq(de->d_name + len - 5, ".conf"))
				continue;
			if (n == FILES_MAX) {
				rd->file = path;
				report_problem(rd, true, "More than %d drop-ins", FILES_MAX);
				break;
			}
			snprintf(found[n].name, sizeof(found[n].name), "%s", de->d_name);
			found[n++].folder = i;
		}
		if (!de && errno) {
			rd->file = path;
			report_problem(rd, true, "Cannot read the folder: %s", strerror(errno));
		}
	}
	qsort(found, n, sizeof(*found), compare_drop_in);
	*ret = TAKE_PTR(found);
	*ret_n = n;
	return 0;
}

static int load_all(struct reader *rd, const char *root)
{
	_cleanup_free_ struct drop_in *drop_ins = NULL;
	char path[PATH_MAX];
	size_t n;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ELEMENTSOF(folders); i++) {
		snprintf(path, sizeof(path), "%s%s/apfd.conf", root, folders[i]);
		r = load_file(rd, path);
	}
	if (r < 0)
		return r;
	r = find_drop_ins(rd, root, &drop_ins, &n);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (i > 0 && streq(drop_ins[i].name, drop_ins[i - 1].name))
			continue;
		snprintf(path, sizeof(path), "%s%s/apfd.conf.d/%s", root,
			 folders[drop_ins[i].folder], drop_ins[i].name);
		r = load_file(rd, path);
	}
	return r;
}

/* Each threshold may be valid, but their combination invalid. */
static void check_policy(struct reader *rd)
{
	const char *wrong = policy_params_check(&rd->conf->policy);

	if (!wrong)
		return;
	rd->file = "[Policy]";
	report_problem(rd, true, "%s", wrong);
	policy_params_init(&rd->conf->policy);
}

int conf_load(const struct conf_source *source, conf_problem_fn problem, void *userdata,
	      struct conf **ret)
{
	_cleanup_(conf_freep) struct conf *c = calloc(1, sizeof(*c));
	struct reader rd = { .conf = c, .problem = problem, .userdata = userdata };
	int r;

	if (!c)
		return -ENOMEM;
	conf_set_defaults(c);
	c->files = calloc(1, sizeof(*c->files));
	if (!c->files)
		return -ENOMEM;
	if (source->file) {
		r = load_file(&rd, source->file);
		if (r == 0)
			report_problem(&rd, true, "There is no such file");
	} else {
		r = load_all(&rd, source->root);
	}
	if (r < 0)
		return r;
	check_policy(&rd);
	*ret = TAKE_PTR(c);
	return rd.n_errors;
}

struct conf *conf_free(struct conf *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->n_vms; i++) {
		free(c->vms[i].glob);
		settings_done(&c->vms[i].settings);
	}
	free(c->vms);
	for (size_t i = 0; i < c->n_files; i++)
		free(c->files[i]);
	free(c->files);
	free(c);
	return NULL;
}
