package workload

import (
	"net"
	"strconv"
)

// IsAddress says whether a text is host:port, with a port that there is.
func IsAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	n, perr := strconv.ParseUint(port, 10, 16)
	return err == nil && perr == nil && host != "" && n > 0
}
