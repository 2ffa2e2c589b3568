/* SPDX-License-Identifier: GPL-2.0 */
/* The Accept header of whoever connects to apf-exporter. */
#include <stdlib.h>
#include <string.h>

#include "accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	if (text && accept_format(text) != OPENMETRICS_1_0 &&
	    accept_format(text) != PROMETHEUS_TEXT)
		abort();
	free(text);
	return 0;
}
