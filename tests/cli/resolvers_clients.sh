#!/usr/bin/env bash
# Builds the clients of resolvers.py that need a compiler; says which are left out.
# Usage: resolvers_clients.sh DIRECTORY BUILD-DIRECTORY
set -euo pipefail

bin=$1
mkdir -p "$bin"

# All clients: look NAME up, connect to its first address and PORT, send a request, read the answer.
cat >"$bin/client.c" <<'END'
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	char text[400];
	int fd;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &list))
		return 2;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen))
		return 3;
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n", argv[1],
		 argv[2]);
	if (write(fd, text, strlen(text)) < 0)
		return 4;
	while (read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
	return 0;
}
END
# build NAME COMPILER...
build() {
	local name=$1
	shift
	if ! command -v "$1" >/dev/null; then
		echo "left out: $name: $1 is not installed"
	elif ! "$@" -o "$bin/$name" "$bin/client.c" 2>"$bin/$name.log"; then
		echo "left out: $name: $(grep -m 1 -e error -e cannot "$bin/$name.log" || echo "$1 fails")"
	fi
}
build glibc cc
build static-glibc cc -static
build static-musl musl-gcc -static

cat >"$bin/client.go" <<'END'
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	response, err := http.Get("http://" + os.Args[1] + ":" + os.Args[2] + "/")
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}
END
go=$(command -v go || ls /usr/local/go/bin/go 2>/dev/null || true)
if [ -z "$go" ]; then
	echo "left out: Go: go is not installed"
elif ! GOCACHE=${GOCACHE:-$2/gocache} GOPATH=$bin/gopath GO111MODULE=off GOFLAGS='' CGO_ENABLED=1 \
	"$go" build -o "$bin/go" "$bin/client.go" 2>"$bin/go.log"; then
	echo "left out: Go: $(head -n 1 "$bin/go.log")"
fi

cat >"$bin/Client.java" <<'END'
public class Client {
	public static void main(String[] args) throws Exception {
		var url = new java.net.URL("http://" + args[0] + ":" + args[1] + "/");
		try (var in = url.openStream()) {
			in.readAllBytes();
		}
	}
}
END
if ! command -v javac >/dev/null; then
	echo "left out: Java: javac is not installed"
elif ! javac -d "$bin" "$bin/Client.java" 2>"$bin/java.log"; then
	echo "left out: Java: $(head -n 1 "$bin/java.log")"
fi
