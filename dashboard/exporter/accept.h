/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_EXPORTER_ACCEPT_H
#define APF_EXPORTER_ACCEPT_H

#include "openmetrics.h"

/**
 * accept_format() - which of the two formats a client wants
 * @accept: its Accept header, NULL if it sent none
 * Return: OpenMetrics if the client names it and does not like text/plain more; the
 *	older text in all other cases, also if the header makes no sense: a person
 *	with a browser is to see something.
 */
enum openmetrics_format accept_format(const char *accept);

#endif
