// Package sasl proves a client to a server and protects what they say afterwards: Kerberos (GSSAPI, RFC 4752 and 4121) for
// remote procedure calls, DIGEST-MD5 (RFC 2831) with block tokens for data. It knows tokens, and neither frames nor sockets.
package sasl

// Quality is how much of what follows authentication is protected.
type Quality string

// The qualities, in the words of hadoop.rpc.protection and of RFC 2831.
const (
	Authentication Quality = "auth"
	Integrity      Quality = "auth-int"
	Privacy        Quality = "auth-conf"
)

// Mechanism is one exchange of proofs, seen from the client. It is used by one goroutine.
type Mechanism interface {
	// Start gives the first token; it may be empty.
	Start() ([]byte, error)
	// Step answers a token of the server.
	Step(challenge []byte) ([]byte, error)
	// Done says that both sides have proved themselves.
	Done() bool
	// Security protects what follows, or is nil when only authentication was agreed.
	Security() Security
}

// Security protects messages in both directions. Wrap and Unwrap each are used by one goroutine at a time, and may be used by two at once.
type Security interface {
	// Wrap gives the protected form of b; b is not kept.
	Wrap(b []byte) ([]byte, error)
	// Unwrap gives what a protected message holds; an error means that it is not genuine, or not the next one.
	Unwrap(token []byte) ([]byte, error)
}
