package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
)

// Client calls `understudy serve` over its unix socket. Its errors are *understudy.Error, or spec.Problems for
// documents that are refused; an endpoint that does not answer gives US502, kind unreachable.
type Client struct {
	http   *http.Client
	socket string
}

// NewClient makes a client for the socket, and connects at the first call.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// send makes one request; the caller closes the body of the answer, which is a success.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	u := "http://understudy" + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, r)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var sent *url.Error
		if errors.As(err, &sent) {
			err = sent.Err // without the address, which is that of no server
		}
		return nil, &understudy.Error{Code: "US502", Kind: understudy.KindUnreachable, Op: "api.client",
			Summary: fmt.Sprintf("understudy serve does not answer on %s", c.socket), Fix: "start understudy serve, or give --socket", Err: err}
	}
	if resp.StatusCode >= 300 {
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return nil, err
		}
		return nil, fault(resp.StatusCode, text)
	}
	return resp, nil
}

func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any) (T, error) {
	var out T
	resp, err := c.send(ctx, method, path, query, body)
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// lines calls each with every line of a stream; a line with the key error ends it with that error.
func (c *Client) lines(ctx context.Context, path string, query url.Values, each func([]byte) error) error {
	resp, err := c.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	r := bufio.NewReader(resp.Body)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &understudy.Error{Code: "US502", Kind: understudy.KindUnreachable, Op: "api.client", Summary: "the stream broke off", Fix: "see that understudy serve runs, and give the command again", Err: err}
		}
		var p Problem
		if json.Unmarshal(line, &p) == nil && p.Fault != nil && p.Status != 0 {
			return p.Fault
		}
		if err := each(bytes.TrimRight(line, "\n")); err != nil {
			return err
		}
	}
}

// Leader says who leads.
func (c *Client) Leader(ctx context.Context) (control.Leader, error) {
	return call[control.Leader](ctx, c, http.MethodGet, "/v1/leader", nil, nil)
}

// Documents gives the applied documents.
func (c *Client) Documents(ctx context.Context) (control.Documents, error) {
	return call[control.Documents](ctx, c, http.MethodGet, "/v1/documents", nil, nil)
}

// Apply replaces the documents; base is the version they are based on.
func (c *Client) Apply(ctx context.Context, text string, base int64) (control.Documents, error) {
	return call[control.Documents](ctx, c, http.MethodPut, "/v1/documents", nil, map[string]any{"text": text, "base": base})
}

// Plans lists the plans.
func (c *Client) Plans(ctx context.Context) ([]control.PlanInfo, error) {
	return call[[]control.PlanInfo](ctx, c, http.MethodGet, "/v1/plans", nil, nil)
}

// Status gives one plan's status.
func (c *Client) Status(ctx context.Context, p understudy.PlanName) (control.PlanStatus, error) {
	return call[control.PlanStatus](ctx, c, http.MethodGet, "/v1/plans/"+url.PathEscape(string(p))+"/status", nil, nil)
}

// Doctor looks at the clusters of one plan, or of all when p is empty.
func (c *Client) Doctor(ctx context.Context, p understudy.PlanName) (control.Findings, error) {
	return call[control.Findings](ctx, c, http.MethodGet, "/v1/doctor", url.Values{"plan": {string(p)}}, nil)
}

// Try looks at the clusters of documents that are not applied.
func (c *Client) Try(ctx context.Context, text string) (control.Findings, error) {
	return call[control.Findings](ctx, c, http.MethodPost, "/v1/doctor", nil, map[string]any{"text": text})
}

// Start begins an operation, or shows what it would do.
func (c *Client) Start(ctx context.Context, r StartRequest) (control.Started, error) {
	return call[control.Started](ctx, c, http.MethodPost, "/v1/operations", nil, r)
}

// Operations lists operations, newest first; an empty plan means all.
func (c *Client) Operations(ctx context.Context, p understudy.PlanName, open bool) ([]control.Operation, error) {
	q := url.Values{"plan": {string(p)}, "open": {fmt.Sprint(open)}}
	return call[[]control.Operation](ctx, c, http.MethodGet, "/v1/operations", q, nil)
}

func operation(id understudy.OperationID) string {
	return "/v1/operations/" + url.PathEscape(string(id))
}

// Operation gives one operation as it stands.
func (c *Client) Operation(ctx context.Context, id understudy.OperationID) (control.Operation, error) {
	return call[control.Operation](ctx, c, http.MethodGet, operation(id), nil, nil)
}

// Report gives everything about one operation.
func (c *Client) Report(ctx context.Context, id understudy.OperationID) (control.Report, error) {
	return call[control.Report](ctx, c, http.MethodGet, operation(id)+"/report", nil, nil)
}

// Wait returns when the operation rests.
func (c *Client) Wait(ctx context.Context, id understudy.OperationID) (control.Operation, error) {
	return call[control.Operation](ctx, c, http.MethodGet, operation(id)+"/wait", nil, nil)
}

// Act sends a person's decision: retry, skip, abort, approve, pause or resume. The request's By is not sent: the
// listener knows who calls.
func (c *Client) Act(ctx context.Context, act string, req control.ActRequest) (control.Operation, error) {
	var accept []Accepted
	for _, c := range req.Accept {
		accept = append(accept, Accepted{Shard: c.Shard, Deletes: c.Deletes, Source: c.Source})
	}
	body := map[string]any{"workload": req.Workload, "reason": req.Reason, "acceptFence": req.AcceptFence, "accept": accept, "as": req.As}
	id := req.Operation
	return call[control.Operation](ctx, c, http.MethodPost, operation(id)+"/"+url.PathEscape(act), nil, body)
}

// Watch calls each with the operation's journal entries after the given number, until the operation has ended.
func (c *Client) Watch(ctx context.Context, id understudy.OperationID, after int64, each func(control.Event) error) error {
	return c.lines(ctx, operation(id)+"/events", url.Values{"after": {fmt.Sprint(after)}}, func(line []byte) error {
		var e control.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		return each(e)
	})
}

func ledger(p understudy.PlanName, w understudy.WorkloadName, id understudy.OperationID) string {
	return "/v1/plans/" + url.PathEscape(string(p)) + "/ledgers/" + url.PathEscape(string(w)) + "/" + url.PathEscape(string(id))
}

// Ledgers lists the ledgers of a plan.
func (c *Client) Ledgers(ctx context.Context, p understudy.PlanName) ([]control.LedgerRecord, error) {
	return call[[]control.LedgerRecord](ctx, c, http.MethodGet, "/v1/plans/"+url.PathEscape(string(p))+"/ledgers", nil, nil)
}

// DiscardLedger deletes the saved records of one ledger.
func (c *Client) DiscardLedger(ctx context.Context, p understudy.PlanName, w understudy.WorkloadName, id understudy.OperationID, reason string) (control.LedgerRecord, error) {
	return call[control.LedgerRecord](ctx, c, http.MethodDelete, ledger(p, w, id), url.Values{"reason": {reason}}, nil)
}

// ExportLedger calls each with every saved record of a ledger, as one JSON document.
func (c *Client) ExportLedger(ctx context.Context, p understudy.PlanName, w understudy.WorkloadName, id understudy.OperationID, each func([]byte) error) error {
	return c.lines(ctx, ledger(p, w, id)+"/records", nil, each)
}
