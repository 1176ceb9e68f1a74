package understudy

// kafkaMirrorCodes are about following a link and comparing content: US140 to US179.
func kafkaMirrorCodes() []Explanation {
	return []Explanation{}
}
