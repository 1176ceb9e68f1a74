// Package adls is a small server of ours for the DFS endpoint of Azure Data Lake Storage Gen2, listening on loopback: in this process,
// or in one of its own that can be killed, paused and started again. It must not know what the product stores in it.
//
// No emulator of this endpoint exists, so this one is as good as its judges: the official SDK for Go and Hadoop's ABFS driver, which
// its tests run against it. What both of them accept may still differ from the service; nothing here is proof about live Azure.
//
// What it does. Requests are signed by SharedKey and checked, clock included. File systems are made, removed and described, in both
// dialects that clients use: the SDK makes them, reads files and sets metadata by requests of the Blob endpoint, to the same address.
// Paths have owners, groups, permissions, access control lists with inheritance, and properties. Appends are held against
// Content-MD5 and x-ms-content-crc64, and are seen by readers once they are flushed, all at once. A rename is one step and keeps ETags, also of
// a directory with all below it. Listings, and on demand deletes, come in pages.
//
// What it does on purpose. Whatever sets attributes gives a new ETag, which the service may not do: who relies on the same ETag is found
// out. What the documentation leaves open is refused rather than guessed: appends before the end of a file, overlapping appends,
// renames of a directory over one that is not empty.
//
// What it does not do. No leases, tokens of Entra ID, SAS, snapshots, soft delete, tiers, expiry, encryption scopes, quotas or
// recursive access control. Permissions are stored and not enforced, since the key of an account is above them.
// Owners and groups are any strings unless Config.Principals refuses some. A request is atomic under one lock, and the whole content is held in memory: it is for tests.
//
// With a directory, each change is written to a log there and synced before it is acknowledged, so that nothing acknowledged is lost when
// the process is killed; a torn record at the end was never acknowledged, and is cut off.
package adls
