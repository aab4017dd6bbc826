/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server and a UDP client on the loopback interface, for quickstart.sh.
 *
 *   quickstart_server                  serves HTTP over TCP and echoes UDP datagrams on
 *                                      two free ports of 127.0.0.1, and prints the ports
 *   quickstart_server --send-udp PORT  sends a DNS query to 127.0.0.1:PORT with sendto(),
 *                                      without connect(), and waits for the echo
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ECHO_TRIES 20
#define ECHO_WAIT_MS 100

static struct sockaddr_in loopback(unsigned short port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int bound_socket(int type, unsigned short *port)
{
	struct sockaddr_in address = loopback(0);
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(fd, (struct sockaddr *)&address, &len)) {
		perror("quickstart_server: socket");
		exit(1);
	}
	*port = ntohs(address.sin_port);
	return fd;
}

static void answer_http(int listener)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
				    "Content-Length: 6\r\nConnection: close\r\n\r\nhello\n";
	const struct timeval second = {.tv_sec = 1};
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char request[4096];

	if (fd < 0)
		return;
	/* A client that sends nothing must not delay the others. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	if (recv(fd, request, sizeof(request), 0) > 0)
		(void)!write(fd, reply, sizeof(reply) - 1);
	shutdown(fd, SHUT_WR);
	close(fd);
}

static void echo_udp(int fd)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char datagram[2048];
	ssize_t n = recvfrom(fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&from, &len);

	if (n >= 0)
		sendto(fd, datagram, (size_t)n, 0, (struct sockaddr *)&from, len);
}

static int serve(void)
{
	unsigned short tcp_port, udp_port;
	struct pollfd fds[] = {
		{.fd = bound_socket(SOCK_STREAM, &tcp_port), .events = POLLIN},
		{.fd = bound_socket(SOCK_DGRAM, &udp_port), .events = POLLIN},
	};

	signal(SIGPIPE, SIG_IGN);
	if (listen(fds[0].fd, 16)) {
		perror("quickstart_server: listen");
		return 1;
	}
	printf("tcp %hu udp %hu\n", tcp_port, udp_port);
	if (fflush(stdout))
		return 1;
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (fds[0].revents)
			answer_http(fds[0].fd);
		if (fds[1].revents)
			echo_udp(fds[1].fd);
	}
}

static int send_udp(unsigned short port)
{
	/* a query for the A record of example.com */
	static const char query[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
				    "\x07"
				    "example\x03"
				    "com\x00\x00\x01\x00\x01";
	const struct sockaddr_in to = loopback(port);
	struct pollfd fd = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), .events = POLLIN};
	char echo[512];

	if (fd.fd < 0) {
		perror("quickstart_server: socket");
		return 1;
	}
	/* UDP may drop a datagram even on the loopback interface. */
	for (int i = 0; i < ECHO_TRIES; i++) {
		if (sendto(fd.fd, query, sizeof(query) - 1, 0, (const struct sockaddr *)&to,
			   sizeof(to)) < 0) {
			perror("quickstart_server: sendto");
			return 1;
		}
		if (poll(&fd, 1, ECHO_WAIT_MS) > 0 &&
		    recv(fd.fd, echo, sizeof(echo), 0) == sizeof(query) - 1)
			return 0;
	}
	fprintf(stderr, "quickstart_server: no echo from port %hu\n", port);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return serve();
	if (argc == 3 && !strcmp(argv[1], "--send-udp")) {
		long port = strtol(argv[2], NULL, 10);

		if (port > 0 && port < 65536)
			return send_udp((unsigned short)port);
	}
	fprintf(stderr, "usage: quickstart_server [--send-udp PORT]\n");
	return 2;
}
