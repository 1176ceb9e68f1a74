package understudy

func apiCodes() []Explanation {
	return []Explanation{}
}
