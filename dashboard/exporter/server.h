/* SPDX-License-Identifier: GPL-2.0 */
/* HTTP: which path is answered with what. */
#ifndef APF_EXPORTER_SERVER_H
#define APF_EXPORTER_SERVER_H

#include "scrape.h"

struct server;

/**
 * server_new() - answers requests, in threads of its own
 * @options: kept, not copied
 * @sockets: listening sockets, @n_sockets of them; closed by server_free()
 * Return: 0, -ENOMEM or -EIO (libmicrohttpd does not say why).
 */
int server_new(const struct scrape_options *options, const int *sockets, size_t n_sockets,
	       struct server **ret);

struct server *server_free(struct server *s);

#endif
