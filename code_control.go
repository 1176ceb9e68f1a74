package understudy

func controlCodes() []Explanation {
	return []Explanation{}
}
