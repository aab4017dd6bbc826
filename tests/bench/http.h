/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP over loopback. One thread has both ends: the kernel delivers a packet within the call that
 * sends it, so nothing sleeps.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <netinet/in.h>

/* A request with a Host and its response, over a connection that stays open. */
void http_exchange(int client, int server);

/* From socket() to close(): a connection to the listener, with one request and its response. */
void http_connection(int listener, const struct sockaddr_in *at);

#endif
