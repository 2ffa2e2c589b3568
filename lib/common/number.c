/* SPDX-License-Identifier: GPL-2.0 */
#include "number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int number_parse(const char **s, const char *ends, uint64_t *ret)
{
	unsigned long long v;
	char *end;

	if (**s < '0' || **s > '9')
		return -EBADMSG;
	errno = 0;
	v = strtoull(*s, &end, 10);
	/* strchr() finds the end of the text, too. */
	if (errno || !strchr(ends, *end))
		return -EBADMSG;
	*s = end;
	*ret = v;
	return 0;
}
