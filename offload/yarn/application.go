package yarn

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// State is how far an application has come, in YARN's words.
type State string

// The states of applications. The last three are final.
const (
	StateNew        State = "NEW"
	StateNewSaving  State = "NEW_SAVING"
	StateSubmitted  State = "SUBMITTED"
	StateAccepted   State = "ACCEPTED"
	StateRunning    State = "RUNNING"
	StateFinalizing State = "FINAL_SAVING"
	StateFinishing  State = "FINISHING"
	StateKilling    State = "KILLING"
	StateFinished   State = "FINISHED"
	StateFailed     State = "FAILED"
	StateKilled     State = "KILLED"
)

// Over says that nothing of the application runs any more, beside containers that are just being ended.
func (s State) Over() bool { return s == StateFinished || s == StateFailed || s == StateKilled }

// Outcome is what an application says of itself, or YARN of it.
type Outcome string

// The outcomes.
const (
	OutcomeUndefined Outcome = "UNDEFINED"
	OutcomeSucceeded Outcome = "SUCCEEDED"
	OutcomeFailed    Outcome = "FAILED"
	OutcomeKilled    Outcome = "KILLED"
)

// Report is what the ResourceManager knows of an application.
type Report struct {
	// ID is as in application_1795347991433_0001.
	ID      string
	User    string
	Name    string
	Queue   string
	State   State
	Outcome Outcome
	// Progress is in percent.
	Progress float64
	// Diagnostics are for people.
	Diagnostics string
	// Tags are in lower case.
	Tags []string
	// Started and Finished are by the ResourceManager's clock; Finished is zero before the end.
	Started, Finished time.Time
}

// Succeeded says that the application is over, and went well by its own word.
func (r Report) Succeeded() bool { return r.State == StateFinished && r.Outcome == OutcomeSucceeded }

// report is its form in JSON.
type report struct {
	ID          string  `json:"id"`
	User        string  `json:"user"`
	Name        string  `json:"name"`
	Queue       string  `json:"queue"`
	State       State   `json:"state"`
	FinalStatus Outcome `json:"finalStatus"`
	Progress    float64 `json:"progress"`
	Diagnostics string  `json:"diagnostics"`
	Tags        string  `json:"applicationTags"`
	Started     int64   `json:"startedTime"`
	Finished    int64   `json:"finishedTime"`
}

func (r report) public() Report {
	p := Report{
		ID: r.ID, User: r.User, Name: r.Name, Queue: r.Queue, State: r.State, Outcome: r.FinalStatus,
		Progress: r.Progress, Diagnostics: strings.TrimSpace(r.Diagnostics),
	}
	for tag := range strings.SplitSeq(r.Tags, ",") {
		if tag != "" {
			p.Tags = append(p.Tags, tag)
		}
	}
	slices.Sort(p.Tags)
	if r.Started > 0 {
		p.Started = time.UnixMilli(r.Started).UTC()
	}
	if r.Finished > 0 {
		p.Finished = time.UnixMilli(r.Finished).UTC()
	}
	return p
}

// reports is a list of applications, of which servers make an array, an object for a single one, or null for none.
type reports []report

// UnmarshalJSON takes all three forms.
func (r *reports) UnmarshalJSON(b []byte) error {
	var many []report
	if err := json.Unmarshal(b, &many); err == nil {
		*r = many
		return nil
	}
	var one report
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*r = reports{one}
	return nil
}

// Grant is what a ResourceManager answers to who wants to submit.
type Grant struct {
	// ID names the application from now on.
	ID string
	// MemoryMB and Cores are the largest container.
	MemoryMB int64
	Cores    int
}

// applicationID is what ids look like; anything else is refused before it becomes a part of a path.
var applicationID = regexp.MustCompile(`^application_[0-9]{1,19}_[0-9]{4,10}$`)

// NewApplication asks for an id. Nothing runs under it before Submit.
func (c *Client) NewApplication(ctx context.Context) (Grant, error) {
	var answer struct {
		ID  string `json:"application-id"`
		Max struct {
			Memory int64 `json:"memory"`
			Cores  int   `json:"vCores"`
		} `json:"maximum-resource-capability"`
	}
	r := request{op: "new-application", method: http.MethodPost, path: "/ws/v1/cluster/apps/new-application", about: "an application"}
	if err := c.manager(ctx, r, &answer); err != nil {
		return Grant{}, err
	}
	if !applicationID.MatchString(answer.ID) {
		return Grant{}, garbled(r, nil)
	}
	return Grant{ID: answer.ID, MemoryMB: answer.Max.Memory, Cores: answer.Max.Cores}, nil
}

// Application is what is submitted.
type Application struct {
	// ID is from NewApplication.
	ID string
	// Name is for people, Type such as MAPREDUCE, Queue the default one when empty.
	Name  string
	Type  string
	Queue string
	// Tags are up to ten, of up to 100 ASCII characters; YARN makes them lower case.
	Tags []string
	// Attempts is how often the first container may be started; 0 is once.
	Attempts int
	// MemoryMB and Cores are of the first container.
	MemoryMB int
	Cores    int
	// Command starts it, by a shell; <LOG_DIR> and {{NAME}} are replaced.
	Command string
	// Environment is set for it.
	Environment map[string]string
	// Files are brought beside it, by the names under which it finds them.
	Files map[string]File
}

// File is a file in the cluster's file system.
type File struct {
	// URL is as in hdfs://nn:8020/path.
	URL string
	// Size in bytes and Modified in milliseconds since 1970 are those of the file, exactly; else YARN refuses to bring it.
	Size     int64
	Modified int64
}

// pair is an entry of a map, as YARN's JSON has it.
type pair[T any] struct {
	Key   string `json:"key"`
	Value T      `json:"value"`
}

type entries[T any] struct {
	Entry []pair[T] `json:"entry"`
}

// sortedEntries makes a map of YARN.
func sortedEntries[V, T any](m map[string]V, convert func(V) T) entries[T] {
	e := entries[T]{Entry: []pair[T]{}}
	for key, value := range m {
		e.Entry = append(e.Entry, pair[T]{key, convert(value)})
	}
	slices.SortFunc(e.Entry, func(a, b pair[T]) int { return strings.Compare(a.Key, b.Key) })
	return e
}

type resource struct {
	Resource   string `json:"resource"`
	Size       int64  `json:"size"`
	Timestamp  int64  `json:"timestamp"`
	Type       string `json:"type"`
	Visibility string `json:"visibility"`
}

type submission struct {
	ID       string `json:"application-id"`
	Name     string `json:"application-name"`
	Type     string `json:"application-type"`
	Queue    string `json:"queue,omitempty"`
	Attempts int    `json:"max-app-attempts"`
	Resource struct {
		Memory int `json:"memory"`
		Cores  int `json:"vCores"`
	} `json:"resource"`
	Tags struct {
		Tag []string `json:"tag"`
	} `json:"application-tags"`
	Container struct {
		Files    entries[resource] `json:"local-resources"`
		Commands struct {
			Command string `json:"command"`
		} `json:"commands"`
		Environment entries[string] `json:"environment"`
	} `json:"am-container-spec"`
}

// Submit hands an application over. It is harmless to repeat with the same id.
func (c *Client) Submit(ctx context.Context, a Application) error {
	if !applicationID.MatchString(a.ID) {
		return invalid("an application needs an id that a ResourceManager gave, not "+a.ID, nil)
	}
	s := submission{ID: a.ID, Name: a.Name, Type: a.Type, Queue: a.Queue, Attempts: max(1, a.Attempts)}
	s.Resource.Memory, s.Resource.Cores = a.MemoryMB, max(1, a.Cores)
	s.Tags.Tag = a.Tags
	s.Container.Commands.Command = a.Command
	s.Container.Environment = sortedEntries(a.Environment, func(v string) string { return v })
	s.Container.Files = sortedEntries(a.Files, func(f File) resource {
		return resource{Resource: f.URL, Size: f.Size, Timestamp: f.Modified, Type: "FILE", Visibility: "APPLICATION"}
	})
	r := request{op: "submit", method: http.MethodPost, path: "/ws/v1/cluster/apps", body: s, about: a.ID}
	return c.manager(ctx, r, nil)
}

// Application gives what is known of one; US664 when the ResourceManager does not know it, any more or yet.
func (c *Client) Application(ctx context.Context, id string) (Report, error) {
	r := request{op: "read", method: http.MethodGet, path: "/ws/v1/cluster/apps/" + id, about: id}
	if !applicationID.MatchString(id) {
		return Report{}, invalid(id+" is no application", nil)
	}
	var answer struct {
		App report `json:"app"`
	}
	if err := c.manager(ctx, r, &answer); err != nil {
		return Report{}, err
	}
	if answer.App.ID != id {
		return Report{}, garbled(r, nil)
	}
	return answer.App.public(), nil
}

// Find gives all applications that carry a tag, ended ones too as far as the ResourceManager remembers them, by id.
func (c *Client) Find(ctx context.Context, tag string) ([]Report, error) {
	r := request{op: "find", method: http.MethodGet, path: "/ws/v1/cluster/apps", about: tag}
	r.query = url.Values{"applicationTags": {strings.ToLower(tag)}}
	var answer struct {
		Apps struct {
			App reports `json:"app"`
		} `json:"apps"`
	}
	if err := c.manager(ctx, r, &answer); err != nil {
		return nil, err
	}
	var all []Report
	for _, a := range answer.Apps.App {
		if p := a.public(); slices.Contains(p.Tags, strings.ToLower(tag)) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b Report) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Kill asks for the end of an application, which comes some time later. One that has ended is no error.
func (c *Client) Kill(ctx context.Context, id string) error {
	if !applicationID.MatchString(id) {
		return invalid(id+" is no application", nil)
	}
	r := request{op: "kill", method: http.MethodPut, path: "/ws/v1/cluster/apps/" + id + "/state", about: id}
	r.body = map[string]State{"state": StateKilled}
	return c.manager(ctx, r, nil)
}
