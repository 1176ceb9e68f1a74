package understudy

func kafkaCodes() []Explanation {
	return []Explanation{}
}
