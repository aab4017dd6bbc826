/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"
#include "util.h"

static const char request[] = "GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n"
			      "User-Agent: agentsh-bench\r\nAccept: */*\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
			       "Content-Length: 13\r\n\r\nHello, world\n";

static void pass_on(int from, int to, const char *text, size_t size)
{
	char bytes[512];

	if (send(from, text, size, 0) != (ssize_t)size ||
	    recv(to, bytes, size, MSG_WAITALL) != (ssize_t)size)
		die("HTTP: %m");
}

void http_exchange(int client, int server)
{
	pass_on(client, server, request, strlen(request));
	pass_on(server, client, response, strlen(response));
}

void http_connection(int listener, const struct sockaddr_in *at)
{
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;

	if (client < 0 || connect(client, (const struct sockaddr *)at, sizeof(*at)))
		die("connect: %m");
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0)
		die("accept: %m");
	http_exchange(client, server);
	close(client);
	close(server);
}
