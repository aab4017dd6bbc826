// SPDX-License-Identifier: Apache-2.0

package agentshebpf

import (
	"math"
	"net/netip"
	"time"
)

// Name is the name of a destination, and where it is from. The watched process can choose all of it:
// never take a name for a permission. Resolver tells who answered.
//
// Domain names are in lower case, without a final dot, and special bytes are escaped as in RFC 4343. A
// path of an AF_UNIX socket may contain any bytes.
type Name struct {
	// Asked is what the process asked for: the first name of a chain of CNAME records; or the path.
	Asked string
	// Owner is what had the address: the last name of the chain.
	Owner string
	// Source is the source of Asked and Owner.
	Source NameSource
	// ServerName is what the process named in the first data of the connection.
	ServerName string
	// ServerNameSource is the source of ServerName.
	ServerNameSource NameSource
	// ALPN are the ALPN protocols of the ClientHello, separated by commas: "h2,http/1.1".
	ALPN  string
	Flags NameFlags
	// Others is the number of further names that gave the address.
	Others uint32
	// AskerTGID is the process that asked; 0 if unknown.
	AskerTGID uint32
	// Age is the time from the answer or the seed to the event.
	Age time.Duration
	// TTL is the time to live of the answer or the seed; NoEnd if it has no end.
	TTL time.Duration
	// Resolver is the name server that answered; the zero AddrPort if there is none.
	Resolver netip.AddrPort
}

// NoEnd is the [Name].TTL of a name that does not expire.
const NoEnd time.Duration = math.MaxInt64

// Host returns what the process asked for, or else the server that it named; "" for a path.
func (n *Name) Host() string {
	if n.Source == NameUnix {
		return ""
	}
	if n.Asked != "" {
		return n.Asked
	}
	return n.ServerName
}

// HostSource returns the source of Host.
func (n *Name) HostSource() NameSource {
	switch {
	case n.Source == NameUnix:
		return NameNone
	case n.Asked != "":
		return n.Source
	}
	return n.ServerNameSource
}

// DNS is what an event of KindDNSQuery or KindDNSAnswer is about, RFC 1035.
type DNS struct {
	// QuestionType is 1 for A, 28 for AAAA, 65 for HTTPS, ...
	QuestionType uint16
	// RCode is 0 for NOERROR, 2 for SERVFAIL, 3 for NXDOMAIN, ...; 0 in KindDNSQuery.
	RCode uint16
	Flags DNSFlags
	// Addresses are the addresses of the answer.
	Addresses []DNSAddress
}

// DNSAddress is an address in a DNS answer.
type DNSAddress struct {
	Addr netip.Addr
	TTL  time.Duration
}
