package understudy

func journalCodes() []Explanation {
	return []Explanation{}
}
