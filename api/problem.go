package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/spec"
)

// Problem is the body of every error, in the form of RFC 9457, with the product's own error as an extension.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	// Fault is the typed error: code, kind, object, why and fix.
	Fault *understudy.Error `json:"error,omitempty"`
	// Problems are everything that is wrong with the documents of the request, each with its place.
	Problems spec.Problems `json:"problems,omitempty"`
	// Errors are the request's own faults, named by place, where the request is not what the API takes.
	Errors []ProblemDetail `json:"errors,omitempty"`
}

// ProblemDetail is one fault of a request.
type ProblemDetail struct {
	Message  string `json:"message,omitempty"`
	Location string `json:"location,omitempty"`
}

// Error gives the typed error's line.
func (p *Problem) Error() string {
	if p.Fault != nil {
		return p.Fault.Error()
	}
	return p.Title + ": " + p.Detail
}

// GetStatus tells the framework which HTTP status to send.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType tells the framework that the body is a problem document.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// problem turns control's error into what is sent. The cause's text goes into why: the client has no other way
// to see it.
func problem(err error) error {
	if err == nil {
		return nil
	}
	e := *understudy.AsError(err)
	if e.Code == "US001" && errors.Is(err, context.Canceled) {
		// Who asked has gone, or serve goes: to him it is as if nobody had answered.
		e = understudy.Error{Code: "US502", Kind: understudy.KindUnreachable, Op: "api.serve", Summary: "understudy serve is stopping, and gave no answer any more",
			Fix: "start it again: what was begun goes on where it was, and `understudy status` shows it"}
	}
	if e.Err != nil && e.Why == "" {
		e.Why = e.Err.Error()
	}
	p := &Problem{Status: httpStatus(e.Kind), Title: http.StatusText(httpStatus(e.Kind)), Detail: e.Summary, Fault: &e}
	_ = errors.As(err, &p.Problems)
	return p
}

func httpStatus(k understudy.ErrorKind) int {
	switch k {
	case understudy.KindInvalid:
		return http.StatusUnprocessableEntity
	case understudy.KindDenied:
		return http.StatusForbidden
	case understudy.KindRefused:
		return http.StatusPreconditionFailed
	case understudy.KindConflict:
		return http.StatusConflict
	case understudy.KindFenced, understudy.KindRetry:
		return http.StatusServiceUnavailable
	case understudy.KindNotFound:
		return http.StatusNotFound
	case understudy.KindUnreachable:
		return http.StatusBadGateway
	case understudy.KindTimeout:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}

// fault reads an answer that is not a success back into the typed error, or into the problems of documents.
func fault(status int, body []byte) error {
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil {
		return &understudy.Error{Code: "US001", Kind: understudy.KindBug, Op: "api.client",
			Summary: "understudy serve answered " + http.StatusText(status), Why: string(body)}
	}
	if len(p.Problems) > 0 {
		return p.Problems
	}
	if p.Fault != nil {
		return p.Fault
	}
	e := &understudy.Error{Code: "US505", Kind: understudy.KindInvalid, Op: "api.client", Summary: p.Detail}
	if status >= http.StatusInternalServerError {
		e.Code, e.Kind = "US001", understudy.KindBug
	}
	for _, d := range p.Errors {
		e.Why += d.Location + ": " + d.Message + "; "
	}
	return e
}

// named refuses every request whose caller the listener could not name.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if caller(r.Context()) != "" {
			next.ServeHTTP(w, r)
			return
		}
		p := problem(&understudy.Error{Code: "US503", Kind: understudy.KindDenied, Op: "api.serve",
			Summary: "the caller could not be named", Fix: "call over the unix socket of understudy serve"}).(*Problem)
		w.Header().Set("Content-Type", p.ContentType(""))
		w.WriteHeader(p.Status)
		_ = json.NewEncoder(w).Encode(p)
	})
}
