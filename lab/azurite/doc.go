// Package azurite runs Azurite 3.37.0, Microsoft's emulator of Azure Blob Storage, listening on loopback, in a process of its own that
// can be killed, paused and started again. It must not know what the product stores in it.
//
// It comes with its own Node from the npm registry. It offers no hierarchical namespace and no versions, keeps what it was told in memory
// for a moment (so a kill may lose it), and takes any version of the protocol.
package azurite
