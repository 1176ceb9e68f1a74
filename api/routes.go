package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/metrics"
)

// New gives the handler of the whole API, with the metrics at /metrics and the OpenAPI document at
// /openapi.json and /openapi.yaml. Every request is refused unless the listener named its caller.
func New(c *control.Controller, version string) http.Handler {
	mux := http.NewServeMux()
	h := &handlers{control: c, version: version}
	h.routes(humago.New(mux, config(version)))
	mux.Handle("GET /metrics", metrics.Handler(h.snapshot))
	return named(mux)
}

// OpenAPI gives the OpenAPI 3.1 document as YAML.
func OpenAPI(version string) ([]byte, error) {
	api := humago.New(http.NewServeMux(), config(version))
	(&handlers{}).routes(api)
	return api.OpenAPI().YAML()
}

func config(version string) huma.Config {
	cfg := huma.DefaultConfig("understudy", version)
	cfg.Info.Description = "The control plane of understudy. Durations are nanoseconds, sizes bytes, times RFC 3339."
	// The browser's documentation page would load scripts from elsewhere; the document itself is enough.
	cfg.DocsPath = ""
	cfg.CreateHooks = nil
	return cfg
}

// routes is the whole surface.
func (h *handlers) routes(api huma.API) {
	register(api, http.MethodGet, "/v1/leader", "get-leader", "Who leads the control plane", h.leader)

	register(api, http.MethodGet, "/v1/documents", "get-documents", "The applied sites and plans", h.documents)
	register(api, http.MethodPut, "/v1/documents", "apply-documents", "Replace the applied sites and plans", h.apply)

	register(api, http.MethodGet, "/v1/plans", "list-plans", "All applied plans", h.plans)
	register(api, http.MethodGet, "/v1/plans/{plan}/status", "get-status", "Exposure, roles and health of a plan", h.status)
	register(api, http.MethodPost, "/v1/doctor", "try-documents", "Look at the clusters of sites and plans that are not applied", h.try)
	register(api, http.MethodGet, "/v1/doctor", "doctor", "Look at clusters, versions, rights and clocks", h.doctor)

	register(api, http.MethodPost, "/v1/operations", "start-operation", "Start an operation, or show what it would do", h.start)
	register(api, http.MethodGet, "/v1/operations", "list-operations", "Operations, newest first", h.operations)
	register(api, http.MethodGet, "/v1/operations/{operation}", "get-operation", "One operation as it stands", h.operation)
	register(api, http.MethodGet, "/v1/operations/{operation}/report", "get-report", "Everything about one operation", h.report)
	register(api, http.MethodGet, "/v1/operations/{operation}/wait", "wait-operation", "Answer when the operation rests", h.wait)
	register(api, http.MethodPost, "/v1/operations/{operation}/{act}", "act-on-operation", "Retry, skip, abort, approve, pause or resume", h.act)
	stream(api, "/v1/operations/{operation}/events", "watch-operation", "The operation's journal as it grows, one JSON document a line", h.events)

	register(api, http.MethodGet, "/v1/plans/{plan}/ledgers", "list-ledgers", "The ledgers of a plan, newest first", h.ledgers)
	register(api, http.MethodDelete, "/v1/plans/{plan}/ledgers/{workload}/{operation}", "discard-ledger", "Delete the saved records of a ledger", h.discard)
	stream(api, "/v1/plans/{plan}/ledgers/{workload}/{operation}/records", "export-ledger", "The saved records of a ledger, one JSON document a line", h.export)
}
