package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/metrics"
)

type handlers struct {
	control *control.Controller
	version string
}

// answer is the framework's form of a response: a body and nothing else.
type answer[T any] struct{ Body T }

func register[I, O any](api huma.API, method, path, id, summary string, do func(context.Context, *I) (O, error)) {
	op := huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary}
	huma.Register(api, op, func(ctx context.Context, in *I) (*answer[O], error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, problem(err)
		}
		return &answer[O]{Body: out}, nil
	})
}

// stream answers with one JSON document a line. The first error before any line is an ordinary problem; a later
// one ends the stream with a line that has the key error.
func stream[I any](api huma.API, path, id, summary string, do func(context.Context, *I, func([]byte) error) error) {
	op := huma.Operation{Method: http.MethodGet, Path: path, OperationID: id, Summary: summary}
	huma.Register(api, op, func(_ context.Context, in *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) { writeLines(hc, in, do) }}, nil
	})
}

func writeLines[I any](hc huma.Context, in *I, do func(context.Context, *I, func([]byte) error) error) {
	w, begun := hc.BodyWriter(), false
	err := do(hc.Context(), in, func(line []byte) error {
		if !begun {
			hc.SetHeader("Content-Type", "application/x-ndjson")
			hc.SetStatus(http.StatusOK)
			begun = true
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
		flush(w)
		return nil
	})
	switch {
	case err != nil && !begun:
		p := problem(err).(*Problem)
		hc.SetHeader("Content-Type", p.ContentType(""))
		hc.SetStatus(p.Status)
		_ = json.NewEncoder(w).Encode(p)
	case err != nil && hc.Context().Err() == nil:
		_ = json.NewEncoder(w).Encode(problem(err))
	case !begun:
		hc.SetHeader("Content-Type", "application/x-ndjson")
		hc.SetStatus(http.StatusOK)
	}
}

func flush(w io.Writer) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

// caller gives the name that the listener found; empty when there is none.
func caller(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

type none struct{}

type planPath struct {
	Plan understudy.PlanName `path:"plan"`
}

type operationPath struct {
	Operation understudy.OperationID `path:"operation"`
}

type ledgerPath struct {
	Plan      understudy.PlanName     `path:"plan"`
	Workload  understudy.WorkloadName `path:"workload"`
	Operation understudy.OperationID  `path:"operation"`
	Reason    string                  `query:"reason"`
}

func (p ledgerPath) request(by string) control.LedgerRequest {
	return control.LedgerRequest{Plan: p.Plan, Workload: p.Workload, Operation: p.Operation, By: by, Reason: p.Reason}
}

func (h *handlers) leader(ctx context.Context, _ *none) (control.Leader, error) {
	return h.control.Leader(ctx)
}

func (h *handlers) documents(ctx context.Context, _ *none) (control.Documents, error) {
	return h.control.Documents(ctx)
}

type applyBody struct {
	Body struct {
		Text string `json:"text" doc:"sites and plans, as in the files"`
		Base int64  `json:"base" doc:"the version that the change is based on; zero for the first"`
	}
}

func (h *handlers) apply(ctx context.Context, in *applyBody) (control.Documents, error) {
	return h.control.Apply(ctx, control.ApplyRequest{Text: in.Body.Text, Base: in.Body.Base, By: caller(ctx)})
}

func (h *handlers) plans(ctx context.Context, _ *none) ([]control.PlanInfo, error) {
	return h.control.Plans(ctx)
}

func (h *handlers) status(ctx context.Context, in *planPath) (control.PlanStatus, error) {
	return h.control.Status(ctx, in.Plan)
}

type doctorQuery struct {
	Plan understudy.PlanName `query:"plan" doc:"all plans when empty"`
}

func (h *handlers) doctor(ctx context.Context, in *doctorQuery) (control.Findings, error) {
	return h.control.Doctor(ctx, in.Plan)
}

type tryBody struct {
	Body struct {
		Text string `json:"text" doc:"sites and plans, as in the files"`
	}
}

func (h *handlers) try(ctx context.Context, in *tryBody) (control.Findings, error) {
	return h.control.Try(ctx, in.Body.Text)
}

type startBody struct{ Body StartRequest }

func (h *handlers) start(ctx context.Context, in *startBody) (control.Started, error) {
	return h.control.Start(ctx, in.Body.control(caller(ctx)))
}

type operationsQuery struct {
	Plan understudy.PlanName `query:"plan"`
	Open bool                `query:"open" doc:"leave out those that have ended"`
}

func (h *handlers) operations(ctx context.Context, in *operationsQuery) ([]control.Operation, error) {
	return h.control.Operations(ctx, control.OperationsRequest{Plan: in.Plan, Open: in.Open})
}

func (h *handlers) operation(ctx context.Context, in *operationPath) (control.Operation, error) {
	return h.control.Operation(ctx, in.Operation)
}

func (h *handlers) report(ctx context.Context, in *operationPath) (control.Report, error) {
	return h.control.Report(ctx, in.Operation)
}

func (h *handlers) wait(ctx context.Context, in *operationPath) (control.Operation, error) {
	return h.control.Wait(ctx, in.Operation)
}

type actBody struct {
	Operation understudy.OperationID `path:"operation"`
	Act       string                 `path:"act" enum:"retry,skip,abort,approve,pause,resume"`
	Body      struct {
		Workload understudy.WorkloadName `json:"workload,omitempty" doc:"a quarantined workload, for retry and abort"`
		Reason   string                  `json:"reason,omitempty" doc:"required to skip"`
		// AcceptFence and As add a person's word to a retry, as in a start.
		AcceptFence []understudy.Site `json:"acceptFence,omitempty" doc:"sites for which the caller gives their word that nobody writes there, for retry"`
		Accept      []Accepted        `json:"accept,omitempty" doc:"what the caller accepts, in their own name and for this operation only, of what a guard refused, for retry"`
		As          string            `json:"as,omitempty" doc:"the name under which the word is given, recorded beside the caller"`
	}
}

func (h *handlers) act(ctx context.Context, in *actBody) (control.Operation, error) {
	req := control.ActRequest{Operation: in.Operation, Workload: in.Body.Workload, Reason: in.Body.Reason, By: caller(ctx),
		AcceptFence: in.Body.AcceptFence, Accept: accepted(in.Body.Accept), As: in.Body.As}
	switch in.Act {
	case "retry":
		return h.control.Retry(ctx, req)
	case "skip":
		return h.control.Skip(ctx, req)
	case "abort":
		return h.control.Abort(ctx, req)
	case "approve":
		return h.control.Approve(ctx, req)
	case "pause":
		return h.control.Pause(ctx, req)
	case "resume":
		return h.control.Resume(ctx, req)
	}
	return control.Operation{}, &understudy.Error{Code: "US505", Kind: understudy.KindInvalid, Summary: fmt.Sprintf("unknown act %q", in.Act)}
}

type eventsQuery struct {
	Operation understudy.OperationID `path:"operation"`
	After     int64                  `query:"after" doc:"the number of the last entry already seen"`
}

func (h *handlers) events(ctx context.Context, in *eventsQuery, line func([]byte) error) error {
	return h.control.Watch(ctx, in.Operation, in.After, func(e control.Event) error {
		b, err := json.Marshal(e)
		if err != nil {
			return err
		}
		return line(b)
	})
}

func (h *handlers) ledgers(ctx context.Context, in *planPath) ([]control.LedgerRecord, error) {
	return h.control.Ledgers(ctx, in.Plan)
}

func (h *handlers) discard(ctx context.Context, in *ledgerPath) (control.LedgerRecord, error) {
	return h.control.DiscardLedger(ctx, in.request(caller(ctx)))
}

func (h *handlers) export(ctx context.Context, in *ledgerPath, line func([]byte) error) error {
	return h.control.ExportLedger(ctx, in.request(caller(ctx)), line)
}

// snapshot is what /metrics shows; when control cannot answer, only the process's own facts are there.
func (h *handlers) snapshot() metrics.Snapshot {
	m, err := h.control.Metrics(context.Background())
	out := metrics.Snapshot{Leader: err == nil && m.Leader, Version: h.version}
	for _, w := range m.Workloads {
		x := metrics.Workload{Plan: w.Plan, Name: w.Workload, Role: w.Role, Sites: w.Sites, Protection: w.Protection,
			Exposure: w.Exposure, RPO: w.Objective, RTO: w.RTO, Verdict: w.Verdict, VerdictAt: w.VerdictAt, Unfenced: w.Unfenced}
		for _, l := range m.Links {
			if l.Link.Plan == w.Plan && l.Link.Workload == w.Workload {
				x.Links = append(x.Links, metrics.Link{From: l.Link.From, To: l.Link.To, CopiedRecords: l.CopiedRecords, CopiedBytes: l.CopiedBytes})
			}
		}
		out.Workloads = append(out.Workloads, x)
	}
	for _, o := range m.Operations {
		out.Operations = append(out.Operations, metrics.Operation{Plan: o.Plan, Verb: o.Verb, State: string(o.State), Count: o.Count})
	}
	return out
}
