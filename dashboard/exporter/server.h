/* SPDX-License-Identifier: GPL-2.0 */
/* The HTTP server: paths and their responses. */
#ifndef APF_EXPORTER_SERVER_H
#define APF_EXPORTER_SERVER_H

#include "scrape.h"

struct server;

/**
 * server_new() - starts threads that answer requests
 * @options: must outlive the server
 * @sockets: @n_sockets listening sockets; server_free() closes them
 * Return: 0, -ENOMEM or -EIO (libmicrohttpd does not say why).
 */
int server_new(const struct scrape_options *options, const int *sockets, size_t n_sockets,
	       struct server **ret);

struct server *server_free(struct server *s);

#endif
