// SPDX-License-Identifier: GPL-2.0
/* libFuzzer target: operation sequences, core against model. */
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	model_run(data, len, NULL);
	return 0;
}
