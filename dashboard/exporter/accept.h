/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_EXPORTER_ACCEPT_H
#define APF_EXPORTER_ACCEPT_H

#include "openmetrics.h"

/**
 * accept_format() - chooses one of the two formats for a client
 * @accept: the client's Accept header, NULL if it sent none
 * Return: OpenMetrics if the header names it and does not give text/plain a higher
 *	quality; in all other cases the older text format, also if the header is invalid,
 *	so that a browser shows something.
 */
enum openmetrics_format accept_format(const char *accept);

#endif
