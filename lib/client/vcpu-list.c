// SPDX-License-Identifier: GPL-2.0
#include "vcpu-list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apf/cleanup.h"

/*
 * Reads a decimal index at *@p and moves *@p behind it. strtoul() would also accept
 * blanks, signs and numbers that are too large.
 */
static bool parse_index(const char **p, unsigned int *ret_index)
{
	const char *s = *p;
	unsigned int index = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		index = index * 10 + (unsigned int)(*s - '0');
		if (index > VCPU_INDEX_MAX)
			return false;
	}
	*p = s;
	*ret_index = index;
	return true;
}

/* Sets the error text for the element of @len bytes at @element. */
static int refuse(char **ret_error, const char *element, size_t len, const char *cause)
{
	int r;

	if (len == 0)
		r = asprintf(ret_error, "an element is empty");
	else
		r = asprintf(ret_error, "'%.*s' %s", (int)len, element, cause);
	return r < 0 ? -ENOMEM : -EINVAL;
}

int vcpu_list_parse(const char *text, struct vcpu_list *list, char **ret_error)
{
	struct vcpu_list parsed = *list;
	const char *p = text;

	for (;;) {
		const char *element = p;
		size_t len = strcspn(p, ",");
		unsigned int first, last;

		if (!parse_index(&p, &first))
			return refuse(ret_error, element, len,
				      element[0] >= '0' && element[0] <= '9'
					      ? "is above the highest vCPU, 4095"
					      : "is not a vCPU number");
		last = first;
		if (*p == '-') {
			p++;
			if (!parse_index(&p, &last))
				return refuse(ret_error, element, len,
					      *p >= '0' && *p <= '9'
						      ? "is above the highest vCPU, 4095"
						      : "is a range without a last vCPU");
			if (last < first)
				return refuse(ret_error, element, len,
					      "is a range whose end is before its start");
		}
		if (*p != '\0' && *p != ',')
			return refuse(ret_error, element, len,
				      "is neither a vCPU nor a range of vCPUs");

		for (unsigned int i = first; i <= last; i++) {
			parsed.n += !parsed.member[i];
			parsed.member[i] = true;
		}
		if (*p == '\0')
			break;
		p++;
	}

	*list = parsed;
	return 0;
}

char *vcpu_list_format(const struct vcpu_list *list)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	const char *separator = "";

	if (!file)
		return NULL;

	for (unsigned int i = 0; i <= VCPU_INDEX_MAX; i++) {
		unsigned int last = i;

		if (!list->member[i])
			continue;
		while (last < VCPU_INDEX_MAX && list->member[last + 1])
			last++;
		if (last == i)
			fprintf(file, "%s%u", separator, i);
		else
			fprintf(file, "%s%u%c%u", separator, i, last == i + 1 ? ',' : '-', last);
		separator = ",";
		i = last;
	}
	if (fclose(file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
