package workloadtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

const (
	// wordyNames is how many documents a wordy kind remembers, and wordyDoc the size of one in bytes.
	wordyNames, wordyDoc = 120, 12 << 10
	// wordyDetail is the size of what it adds to lists of steps and to receipts, in bytes.
	wordyDetail = 1400 << 10
)

// Wordy makes of the toy kind one that says as much as an estate of thousands of shards does: some of its lists of
// steps, receipts and changes of the memory are larger than any transaction of a journal, and do not compress. Its
// Decide fails where what it is given is not exactly what it said.
func Wordy(toy workload.Kind) workload.Kind {
	open := toy.Open
	toy.Open = func(ctx context.Context, s workload.Spec, o workload.Opening) (workload.Workload, error) {
		w, err := open(ctx, s, o)
		return wordy{w, &words{said: map[string]string{}}}, err
	}
	return toy
}

// WordyEstate is a plan of one wordy workload between two sites of a world, the first of them home.
func WordyEstate(w *World, home, second understudy.Site) (workload.Registry, workload.Plan) {
	return workload.NewRegistry(Wordy(Toy(w))), workload.Plan{
		Name: "contoso", Home: home, Sites: []understudy.Site{home, second},
		Workloads: []workload.Planned{{Spec: ToySpec("contoso", "orders", home, second), OnFailure: understudy.Stop}},
	}
}

type wordy struct {
	workload.Workload
	words *words
}

// words are the texts that a wordy workload says, by name; each is made once.
type words struct {
	mu   sync.Mutex
	said map[string]string
}

// noise is text that does not compress and needs no escape, the same for the same name.
func (w *words) noise(size int, name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.said[name]; !ok {
		w.said[name] = noise(size, name)
	}
	return w.said[name]
}

// detail is what is added to the receipt of a step.
func (w *words) detail(step string) string {
	return `"` + w.noise(wordyDetail, "detail "+step) + `"`
}

// keep is a document of a generation.
func (w *words) keep(generation string, i int) string {
	return fmt.Sprintf(`[%q,"%s"]`, generation, w.noise(wordyDoc, fmt.Sprint(generation, i)))
}

// says tells which steps are wordy.
func says(k understudy.StepKind) bool { return k == "fence.close" || k == "enable" }

func noise(size int, name string) string {
	b := make([]byte, size*3/4)
	// The reader of a seeded generator gives no errors.
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

func wordyName(i int) string { return fmt.Sprintf("wordy/%04d", i) }

// Decide lets some steps carry more, and checks what it is told of earlier ones.
func (w wordy) Decide(stage understudy.Stage, seen workload.Observation) ([]understudy.Step, error) {
	if err := w.words.recalls(stage); err != nil {
		return nil, err
	}
	steps, err := w.Workload.Decide(stage, seen)
	for i := range steps {
		if !says(steps[i].Kind) {
			continue
		}
		more := `{"words":"` + w.words.noise(wordyDetail, "args "+steps[i].ID) + `",`
		steps[i].Args = append(json.RawMessage(more), bytes.TrimPrefix(steps[i].Args, []byte("{"))...)
	}
	return steps, err
}

// recalls checks memory and receipts.
func (w *words) recalls(stage understudy.Stage) error {
	generation := spoken(stage.Kept[wordyName(0)])
	for i := range wordyNames {
		want := ""
		if generation != "" {
			want = w.keep(generation, i)
		}
		if string(stage.Kept[wordyName(i)]) != want {
			return wrong("the memory is not what was kept: %s differs", wordyName(i))
		}
	}
	for _, r := range stage.Receipts {
		if says(r.Kind) && string(r.Detail) != w.detail(r.Step) {
			return wrong("the receipt of %s is not what was given", r.Step)
		}
	}
	return nil
}

// spoken is the generation of a document that was kept; empty when it is none.
func spoken(doc []byte) string {
	var words [2]string
	if err := json.Unmarshal(doc, &words); err != nil {
		return ""
	}
	return words[0]
}

func wrong(format string, a ...any) error {
	return &understudy.Error{Code: "US999", Kind: understudy.KindBroken, Op: "wordy.decide", Summary: fmt.Sprintf(format, a...)}
}

// Do adds to the receipts of some steps.
func (w wordy) Do(ctx context.Context, step understudy.Step, run understudy.Run) (understudy.Receipt, error) {
	r, err := w.Workload.Do(ctx, step, run)
	if err != nil || !says(step.Kind) {
		return r, err
	}
	if !bytes.Contains(step.Args, []byte(w.words.noise(wordyDetail, "args "+step.ID))) {
		return r, wrong("the step %s is not what was decided", step.ID)
	}
	if r.Keep == nil {
		r.Keep = understudy.Keep{}
	}
	for i := range wordyNames {
		r.Keep[wordyName(i)] = []byte(w.words.keep(string(run.Operation)+" "+step.ID, i))
	}
	r.Detail = json.RawMessage(w.words.detail(step.ID))
	return r, nil
}
