package understudy

// objectCodes are about stores of objects that hold trees of files: US630 to US639.
func objectCodes() []Explanation {
	return []Explanation{
		{"US630", "A key is no path", "The bucket holds an object below the root of the tree whose key cannot be the path of a file: it has an empty element or '..', ends with a slash, is not UTF-8, holds a control character, or names a file and a directory at once. Nothing is left out in silence, so the listing stopped and nothing was changed at the target. Rename or remove the object. Empty objects that other programs make as marks of directories can be left out by saying so in the store's settings."},
		{"US631", "The server proves nothing about what it holds", "A file was written to an S3 server that gave no CRC32C of it, so nobody knows whether it arrived as it was sent. It was not published. Say in the store's settings that what is staged there is to be read back: each file is then read once more before it is published."},
		{"US632", "A file is too large for the store", "The file is larger than the largest object that the store takes. It was not copied, and the set was not published. Split the file at the source, or leave it out."},
		{"US633", "The server does not hold a removal to a version", "Before a run takes a file away, it copies the object into the quarantine and then removes it in the version that was copied (If-Match on DeleteObject), so that what somebody wrote meanwhile stays. This server was asked to remove an object in a version that it never had, and did so, or does not know such requests at all. understudy then looks at the object once more right before it is removed; what is written between these two requests is removed without a copy. Amazon S3 knows conditional deletes since September 2025. Use a server that does, or let nobody but understudy write to the tree of a secondary: that is what the guard is for."},
	}
}
