package e2e_test

import (
	"encoding/json"
	"testing"
	"time"
)

// The product's documents, as far as the stories read them: written down here once more, so that a change of
// the JSON form is noticed.

type roleView struct {
	Active []string `json:"active"`
	From   []string `json:"from"`
	Epoch  int64    `json:"epoch"`
}

type errorView struct {
	Code    string `json:"code"`
	Kind    string `json:"kind"`
	Summary string `json:"summary"`
	Why     string `json:"why"`
	Fix     string `json:"fix"`
}

type exposureView struct {
	Safe            time.Time     `json:"safe"`
	Known           bool          `json:"known"`
	Bound           time.Duration `json:"bound"`
	Records         int64         `json:"records"`
	SourceReachable bool          `json:"sourceReachable"`
}

type proofView struct {
	Kind      string   `json:"kind"`
	Site      string   `json:"site"`
	Level     string   `json:"level"`
	Complete  bool     `json:"complete"`
	Missing   []string `json:"missing"`
	Means     string   `json:"means"`
	CouldPass []string `json:"couldPass"`
}

type shardView struct {
	Shard  string     `json:"shard"`
	State  string     `json:"state"`
	Source int64      `json:"source"`
	Target int64      `json:"target"`
	Error  *errorView `json:"error"`
}

type linkView struct {
	Link struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"link"`
	Running  bool       `json:"running"`
	Error    *errorView `json:"error"`
	Progress *struct {
		State         string      `json:"state"`
		Records       int64       `json:"records"`
		CopiedRecords int64       `json:"copiedRecords"`
		Safe          time.Time   `json:"safe"`
		Shards        []shardView `json:"shards"`
		Notes         []string    `json:"notes"`
	} `json:"progress"`
	Schedule *scheduleView `json:"schedule"`
}

type scheduleView struct {
	Next  time.Time  `json:"next"`
	Run   string     `json:"run"`
	State string     `json:"state"`
	Error *errorView `json:"error"`
}

type clusterView struct {
	Site  string `json:"site"`
	State string `json:"state"`
	Note  string `json:"note"`
}

type oldView struct {
	Site  string     `json:"site"`
	State string     `json:"state"`
	Text  string     `json:"text"`
	Proof *proofView `json:"proof"`
}

type findingView struct {
	Code    string `json:"code"`
	Level   string `json:"level"`
	Summary string `json:"summary"`
	Fix     string `json:"fix"`
}

type verdictView struct {
	Outcome     string `json:"outcome"`
	Compared    int64  `json:"compared"`
	Shards      int    `json:"shards"`
	Differences []struct {
		Shard string `json:"shard"`
		Text  string `json:"text"`
	} `json:"differences"`
}

type workloadView struct {
	Workload   string        `json:"workload"`
	Role       *roleView     `json:"role"`
	Protection string        `json:"protection"`
	Exposure   exposureView  `json:"exposure"`
	Links      []linkView    `json:"links"`
	Old        []oldView     `json:"old"`
	Clusters   []clusterView `json:"clusters"`
	Findings   []findingView `json:"findings"`
	Verified   *verdictView  `json:"verified"`
	Notes      []string      `json:"notes"`
}

type statusView struct {
	Plan      string         `json:"plan"`
	Verdict   string         `json:"verdict"`
	Workloads []workloadView `json:"workloads"`
	Current   *operationView `json:"current"`
	Next      string         `json:"next"`
	Leader    leaderView     `json:"leader"`
}

type leaderView struct {
	Holder   string `json:"holder"`
	Term     int64  `json:"term"`
	Self     bool   `json:"self"`
	Settling bool   `json:"settling"`
}

type operationView struct {
	ID       string     `json:"id"`
	Verb     string     `json:"verb"`
	State    string     `json:"state"`
	Stage    string     `json:"stage"`
	Promoted bool       `json:"promoted"`
	By       string     `json:"by"`
	Error    *errorView `json:"error"`
	Parts    []struct {
		Workload string        `json:"workload"`
		State    string        `json:"state"`
		Bound    *exposureView `json:"bound"`
		Rebound  *exposureView `json:"rebound"`
		Verdict  *verdictView  `json:"verdict"`
	} `json:"parts"`
	Next string `json:"next"`
}

type receiptView struct {
	Kind     string          `json:"kind"`
	Summary  string          `json:"summary"`
	Proofs   []proofView     `json:"proofs"`
	Warnings []string        `json:"warnings"`
	Detail   json.RawMessage `json:"detail"`
}

type stepView struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Site string `json:"site"`
}

type reportView struct {
	Operation operationView `json:"operation"`
	Stages    []struct {
		Name  string    `json:"name"`
		Pass  int       `json:"pass"`
		Began time.Time `json:"began"`
		Ended time.Time `json:"ended"`
		Steps []struct {
			Step    stepView     `json:"step"`
			Began   time.Time    `json:"began"`
			Ended   time.Time    `json:"ended"`
			State   string       `json:"state"`
			Receipt *receiptView `json:"receipt"`
			Error   *errorView   `json:"error"`
		} `json:"steps"`
		Notes []string `json:"notes"`
	} `json:"stages"`
	RTO struct {
		Total   time.Duration `json:"total"`
		Detect  time.Duration `json:"detect"`
		Confirm time.Duration `json:"confirm"`
		Approve time.Duration `json:"approve"`
		Fence   time.Duration `json:"fence"`
		Promote time.Duration `json:"promote"`
		Verify  time.Duration `json:"verify"`
		Route   time.Duration `json:"route"`
	} `json:"rto"`
	Loss []struct {
		Bound    *exposureView `json:"bound"`
		Rebound  *exposureView `json:"rebound"`
		Realised *int64        `json:"realised"`
	} `json:"loss"`
	Ledger   []ledgerView `json:"ledger"`
	Who      []actorView  `json:"who"`
	Warnings []string     `json:"warnings"`
}

// times tells how long each stage and its longest step took.
func (r reportView) times(t *testing.T) {
	t.Helper()
	for _, s := range r.Stages {
		longest, name := time.Duration(0), ""
		for _, x := range s.Steps {
			if d := x.Ended.Sub(x.Began); d > longest {
				longest, name = d, x.Step.Kind
			}
		}
		t.Logf("%s %-10s %8v  longest step %v %s", r.Operation.Verb, s.Name, s.Ended.Sub(s.Began).Round(time.Millisecond), longest.Round(time.Millisecond), name)
	}
}

type actorView struct {
	By   string `json:"by"`
	Text string `json:"text"`
}

type ledgerView struct {
	Operation string `json:"operation"`
	Workload  string `json:"workload"`
	Records   int64  `json:"records"`
	Entries   []struct {
		Shard   string `json:"shard"`
		Site    string `json:"site"`
		First   int64  `json:"first"`
		Last    int64  `json:"last"`
		Records int64  `json:"records"`
		// The times of the records themselves.
		FirstAt time.Time `json:"firstAt"`
		LastAt  time.Time `json:"lastAt"`
	} `json:"entries"`
	Proof *proofView `json:"proof"`
}

type eventView struct {
	Seq      int64        `json:"seq"`
	Kind     string       `json:"kind"`
	Stage    string       `json:"stage"`
	Workload string       `json:"workload"`
	Step     *stepView    `json:"step"`
	Receipt  *receiptView `json:"receipt"`
	Role     *roleView    `json:"role"`
	State    string       `json:"state"`
	Error    *errorView   `json:"error"`
	Text     string       `json:"text"`
}

type doctorView struct {
	Workloads []struct {
		Plan     string `json:"plan"`
		Workload string `json:"workload"`
		Sites    map[string]struct {
			Presence string     `json:"presence"`
			Identity string     `json:"identity"`
			Version  string     `json:"version"`
			Writable string     `json:"writable"`
			Error    *errorView `json:"error"`
		} `json:"sites"`
		Findings []findingView `json:"findings"`
		Error    *errorView    `json:"error"`
	} `json:"workloads"`
}
