package understudy

import "slices"

// Code is the stable name of an error, such as "US142". Codes are never reused.
//
// US0xx are general, US1xx Kafka, US2xx operations, US3xx the journal, US4xx files, US5xx the API and the
// command line, US6xx copies of storage and what other engines do of them, US70x to US75x storage workloads.
type Code string

// Explanation is the page that `understudy explain CODE` shows.
type Explanation struct {
	Code Code `json:"code"`
	// Title is one line.
	Title string `json:"title"`
	// Text says what happened, what it means for the data, and what to do.
	Text string `json:"text"`
}

// Codes lists every explanation, by code.
func Codes() []Explanation {
	all := slices.Concat(generalCodes(), kafkaCodes(), controlCodes(), journalCodes(), specCodes(), apiCodes(), demoCodes(), storageCodes(), storageWorkloadCodes(), objectCodes(), adlsCodes(), offloadCodes())
	slices.SortFunc(all, func(a, b Explanation) int {
		if a.Code < b.Code {
			return -1
		}
		return 1
	})
	return all
}

// Explain gives the explanation of a code; false when there is none.
func Explain(c Code) (Explanation, bool) {
	for _, e := range Codes() {
		if e.Code == c {
			return e, true
		}
	}
	return Explanation{}, false
}

func generalCodes() []Explanation {
	return []Explanation{
		{"US001", "Unexpected error", "Something failed in a way the product has no name for. Nothing was skipped: the operation or link that met it has stopped. Please report it with the output of `understudy report`."},
		{"US002", "Interrupted", "The command was interrupted. An operation that it started goes on in `understudy serve`; its id was printed."},
		{"US003", "Lease expired", "This process no longer holds the lease under which it acted, because it was paused or cut off. It sent nothing after its deadline and stopped. Another process goes on; this one takes part again by itself."},
	}
}
