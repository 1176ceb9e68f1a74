package understudy

func specCodes() []Explanation {
	return []Explanation{}
}
