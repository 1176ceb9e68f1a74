package understudy

// adlsCodes are about trees of files in Azure Data Lake Storage Gen2: US640 to US649.
func adlsCodes() []Explanation {
	return []Explanation{
		{"US640", "The account has no hierarchical namespace", "A tree was to be copied to or from an account of Azure Storage by its DFS endpoint, and the account has no hierarchical namespace. A rename there is a copy and a delete for each file, so nothing could be published in one step. Nothing was read or changed. Name the tree as one in Blob Storage, or upgrade the account, which Azure offers and cannot undo."},
		{"US641", "A path in the file system cannot be copied", "The file system holds something below the root of the tree whose path cannot be the path of a file: it has an empty element or '..', an element that ends with a dot or has over 255 bytes, a backslash or a control character, or it is not UTF-8. Clients of the service change some of these on their way. Nothing is left out in silence, so the listing stopped and nothing was changed at the target. Rename or remove it."},
		{"US642", "A file is too large for ADLS", "The file is larger than the largest that can be written to Azure Data Lake Storage. It was not copied, and the set was not published. Split the file at the source, or leave it out."},
		{"US643", "The account does not take an owner", "The service refused the owner, the group or the access control list of a file or directory as invalid: most often because it names somebody whom the account does not know. What was published so far is whole, and the set is finished by the next run. Map the principals of the source to those of the account, or say in the store's settings that owners and lists are left to the manifest, from which they come home."},
	}
}
