// Package line watches the connections to an object store: a request whose connection moves no byte for a while is ended, and may be made again on a
// new one. It must not know what travels there, nor whose store it is.
package line
