/* SPDX-License-Identifier: GPL-2.0 */
#include "settings.h"

#include <errno.h>

#include "conf-parse.h"
#include "genl-parse.h"
#include "names.h"

const char *settings_mode_to_string(int mode)
{
	return mode == SETTINGS_UNSET ? NAME_DEFAULT
				      : policy_mode_to_string((enum policy_mode)mode);
}

int settings_mode_from_string(const char *s, int *ret)
{
	enum policy_mode mode;
	int r;

	r = policy_mode_from_string(s, &mode);
	if (r >= 0)
		*ret = (int)mode;
	return r;
}

void settings_done(struct settings *s)
{
	free(s->vcpus);
	*s = SETTINGS_NONE;
}

int settings_copy(const struct settings *s, struct settings *ret)
{
	struct settings copy = { .mode = s->mode, .n_vcpus = s->n_vcpus };

	if (s->n_vcpus > 0) {
		copy.vcpus = calloc(s->n_vcpus, sizeof(*copy.vcpus));
		if (!copy.vcpus)
			return -ENOMEM;
		memcpy(copy.vcpus, s->vcpus, s->n_vcpus * sizeof(*copy.vcpus));
	}
	*ret = copy;
	return 0;
}

bool settings_equal(const struct settings *a, const struct settings *b)
{
	if (a->mode != b->mode || a->n_vcpus != b->n_vcpus)
		return false;
	for (size_t i = 0; i < a->n_vcpus; i++)
		if (a->vcpus[i].index != b->vcpus[i].index || a->vcpus[i].mode != b->vcpus[i].mode)
			return false;
	return true;
}

bool settings_empty(const struct settings *s)
{
	return s->mode == SETTINGS_UNSET && s->n_vcpus == 0;
}

void settings_set(struct settings *s, int mode)
{
	settings_done(s);
	s->mode = mode;
}

/* Position of @index in s->vcpus, or the position where it must be inserted. */
static size_t find_position(const struct settings *s, uint32_t index)
{
	size_t i;

	for (i = 0; i < s->n_vcpus && s->vcpus[i].index < index; i++)
		;
	return i;
}

int settings_set_vcpu(struct settings *s, uint32_t index, int mode)
{
	struct settings_vcpu *array;
	size_t i;

	if (index >= GENL_VCPUS_MAX)
		return -ERANGE;
	i = find_position(s, index);
	if (i < s->n_vcpus && s->vcpus[i].index == index) {
		s->vcpus[i].mode = mode;
		if (mode == SETTINGS_UNSET) {
			s->n_vcpus--;
			memmove(s->vcpus + i, s->vcpus + i + 1,
				(s->n_vcpus - i) * sizeof(*s->vcpus));
		}
		return 0;
	}
	if (mode == SETTINGS_UNSET)
		return 0;
	array = reallocarray(s->vcpus, s->n_vcpus + 1, sizeof(*array));
	if (!array)
		return -ENOMEM;
	s->vcpus = array;
	memmove(array + i + 1, array + i, (s->n_vcpus - i) * sizeof(*array));
	array[i] = (struct settings_vcpu){ index, mode };
	s->n_vcpus++;
	return 0;
}

int settings_vcpu(const struct settings *s, uint32_t index)
{
	size_t i = find_position(s, index);

	return i < s->n_vcpus && s->vcpus[i].index == index ? s->vcpus[i].mode : SETTINGS_UNSET;
}

/* Parses one "3:on" or "4-7:pv"; modifies @text. */
static int parse_range(struct settings *s, char *text)
{
	char *colon = strchr(text, ':'), *dash;
	uint64_t first, last;
	int mode, r;

	if (!colon)
		return -EINVAL;
	*colon = '\0';
	dash = strchr(text, '-');
	if (dash)
		*dash = '\0';
	r = conf_parse_uint(text, GENL_VCPUS_MAX - 1, &first);
	if (r < 0)
		return r;
	last = first;
	if (dash) {
		r = conf_parse_uint(dash + 1, GENL_VCPUS_MAX - 1, &last);
		if (r < 0)
			return r;
	}
	if (last < first)
		return -EINVAL;
	r = settings_mode_from_string(colon + 1, &mode);
	for (uint64_t i = first; r >= 0 && i <= last; i++)
		r = settings_set_vcpu(s, (uint32_t)i, mode);
	return r;
}

int settings_parse_vcpus(struct settings *s, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *item;
	int r;

	if (!copy)
		return -ENOMEM;
	while ((item = strsep(&rest, ","))) {
		item += strspn(item, " \t");
		item[strcspn(item, " \t")] = '\0';
		r = parse_range(s, item);
		if (r < 0)
			return r;
	}
	return 0;
}

int settings_format_vcpus(const struct settings *s, char **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_vcpus; i++)
		fprintf(f, "%s%u:%s", i > 0 ? "," : "", s->vcpus[i].index,
			settings_mode_to_string(s->vcpus[i].mode));
	/* A memory stream fails only if there is no memory. */
	if (fclose(f) != 0)
		return -ENOMEM;
	*ret = TAKE_PTR(text);
	return 0;
}
