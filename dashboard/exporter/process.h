/* SPDX-License-Identifier: GPL-2.0 */
/* Metrics of the exporter's own process, with the names that Prometheus's client libraries use. */
#ifndef APF_EXPORTER_PROCESS_H
#define APF_EXPORTER_PROCESS_H

#include "openmetrics.h"

/* process_begin: remembers when the program started; called once, before threads are started. */
void process_begin(void);

/* process_print: what cannot be read is left out. */
void process_print(FILE *file, enum openmetrics_format format);

#endif
