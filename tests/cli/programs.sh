#!/usr/bin/env bash
# Traces real programs that talk to a counting server, and compares the events with its counts.
# Usage: programs.sh CONNECTION-LINES BUILD-DIRECTORY; exit status 77: skipped, not root.
# Go and Node.js are optional: if one is missing, its part is left out with a message.
set -euo pipefail

lines=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "$(id -u)" -ne 0 ]; then
	echo "skipped: needs root"
	exit 77
fi
work=$(mktemp -d "$2/programs.XXXXXX")
# shellcheck disable=SC2329 # called by the trap
cleanup() {
	exec {stdin}>&- || true # the end of its input ends the server
	wait || true
	rm -rf "$work"
}

mkfifo "$work/stdin" "$work/port"
python3 "$here/programs.py" server "$work/served" <"$work/stdin" >"$work/port" &
exec {stdin}>"$work/stdin"
trap cleanup EXIT
trap 'exit 143' HUP INT TERM
read -r port <"$work/port"
url=http://127.0.0.1:$port/

cat >"$work/client.go" <<'END'
package main

import (
	"io"
	"net/http"
	"os"
	"sync"
)

// Makes three requests at a time, so three connections, each used twice and closed at the end.
func main() {
	transport := &http.Transport{MaxIdleConnsPerHost: 3, DisableCompression: true}
	client := &http.Client{Transport: transport}
	for round := 0; round < 2; round++ {
		var answered, done sync.WaitGroup
		answered.Add(3)
		done.Add(3)
		for i := 0; i < 3; i++ {
			go func() {
				defer done.Done()
				response, err := client.Get(os.Args[1])
				answered.Done()
				if err != nil {
					panic(err)
				}
				answered.Wait() // no connection is free before all three have answered
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}()
		}
		done.Wait()
	}
	transport.CloseIdleConnections()
}
END
go_build=
if command -v go >/dev/null; then
	# Compiling the standard library takes most of the time of this test. So its cache is kept
	# (in the build directory by default), and the compiler runs beside the other programs.
	GOCACHE=${GOCACHE:-$2/gocache} GOPATH=$work/gopath GO111MODULE=off GOFLAGS='' CGO_ENABLED=0 \
		go build -o "$work/go-client" "$work/client.go" &
	go_build=$!
fi

failures=0
# traced NAME CONNECTIONS COMMAND...: the command makes this many connections to the server
traced() {
	local name=$1 connections=$2
	shift 2
	: >"$work/served"
	printf '%s: ' "$name"
	if ! "$lines" "$@" >"$work/events" 2>"$work/output"; then
		echo "failed"
		tail -n 20 "$work/output"
		failures=$((failures + 1))
		return
	fi
	# The server writes its line only after the client has ended.
	for _ in {1..500}; do
		[ "$(wc -l <"$work/served")" -lt "$connections" ] || break
		sleep 0.02
	done
	if ! python3 "$here/programs.py" check "$work/served" "$work/events" "$connections"; then
		cat "$work/events" "$work/served"
		failures=$((failures + 1))
	fi
}

traced curl 1 curl -sS "$url" "$url" -o /dev/null -o /dev/null
head -c 300000 /dev/zero >"$work/body"
traced 'curl, upload' 1 curl -sS --data-binary "@$work/body" -H 'Expect:' "$url" -o /dev/null
traced 'curl, closed by the server' 1 curl -sS -H 'Connection: close' "$url" -o /dev/null

printf 'curl, connection refused: '
"$lines" curl -sS http://127.0.0.2:9/ >"$work/events" 2>/dev/null || [ $? -eq 7 ]
python3 "$here/programs.py" refused "$work/events" || failures=$((failures + 1))

cat >"$work/client.py" <<'END'
import http.client, sys
for _ in range(2):  # two connections, three requests each
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    for _ in range(3):
        connection.request("GET", "/")
        assert len(connection.getresponse().read()) == 50000
    connection.close()
END
traced 'python http.client' 2 python3 "$work/client.py" "$port"

if [ -n "$go_build" ]; then
	wait "$go_build"
	traced 'Go net/http' 3 "$work/go-client" "$url"
else
	echo "left out: Go net/http: go is not installed"
fi

cat >"$work/client.js" <<'END'
const http = require('http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
function get() {
	return new Promise((resolve, reject) => {
		http.get(process.argv[2], { agent }, (response) => {
			let size = 0;
			response.on('data', (part) => { size += part.length; });
			response.on('end', () => (size === 50000 ? resolve() : reject(new Error(`${size} bytes`))));
		}).on('error', reject);
	});
}
(async () => {
	await get();
	await get();
	agent.destroy();
})();
END
node=$(command -v node || command -v nodejs || true)
if [ -n "$node" ]; then
	traced 'Node.js http' 1 "$node" "$work/client.js" "$url"
else
	echo "left out: Node.js http: node is not installed"
fi

echo "$failures failed"
[ "$failures" -eq 0 ]
