package control

import (
	"context"

	"github.com/understudy-dr/understudy"
)

// This file is the whole surface for the API and the command line. All errors are *understudy.Error: kind
// refused for a safety check, conflict where the caller's base is old, not-found, invalid, and fenced when
// this member does not lead (the error names who does).

func errUnbuilt(op string) error {
	return &understudy.Error{Code: "US200", Kind: understudy.KindBug, Op: "control." + op, Summary: "not built yet"}
}

// Leader says who leads.
func (c *Controller) Leader(ctx context.Context) (Leader, error) {
	return Leader{}, errUnbuilt("leader")
}

// Documents gives the applied documents.
func (c *Controller) Documents(ctx context.Context) (Documents, error) {
	return Documents{}, errUnbuilt("documents")
}

// Apply replaces the documents. It is refused when they changed since the caller's base, when they do not
// compile, when they change a plan with an open operation, and when they drop or move a protected workload.
// It never changes a role.
func (c *Controller) Apply(ctx context.Context, req ApplyRequest) (Documents, error) {
	return Documents{}, errUnbuilt("apply")
}

// Plans lists the applied plans.
func (c *Controller) Plans(ctx context.Context) ([]PlanInfo, error) { return nil, errUnbuilt("plans") }

// Status gives one plan's status. It asks no cluster: it shows what is known, and since when.
func (c *Controller) Status(ctx context.Context, plan understudy.PlanName) (PlanStatus, error) {
	return PlanStatus{}, errUnbuilt("status")
}

// Start begins an operation and returns at once, or shows what it would do.
func (c *Controller) Start(ctx context.Context, req StartRequest) (Started, error) {
	return Started{}, errUnbuilt("start")
}

// Operations lists operations, newest first.
func (c *Controller) Operations(ctx context.Context, req OperationsRequest) ([]Operation, error) {
	return nil, errUnbuilt("operations")
}

// Operation gives one operation as it stands.
func (c *Controller) Operation(ctx context.Context, id understudy.OperationID) (Operation, error) {
	return Operation{}, errUnbuilt("operation")
}

// Report gives everything about one operation, finished or not.
func (c *Controller) Report(ctx context.Context, id understudy.OperationID) (Report, error) {
	return Report{}, errUnbuilt("report")
}

// Retry runs the failed step of a paused operation again, or takes a quarantined workload back in.
func (c *Controller) Retry(ctx context.Context, req ActRequest) (Operation, error) {
	return Operation{}, errUnbuilt("retry")
}

// Skip leaves the failed step out, where the step allows it; it needs a reason.
func (c *Controller) Skip(ctx context.Context, req ActRequest) (Operation, error) {
	return Operation{}, errUnbuilt("skip")
}

// Abort turns the operation back; after PROMOTE it is refused. With a workload it lets a quarantined one go.
func (c *Controller) Abort(ctx context.Context, req ActRequest) (Operation, error) {
	return Operation{}, errUnbuilt("abort")
}

// Approve consents to the envelope of an operation that awaits it. The person who started it cannot.
func (c *Controller) Approve(ctx context.Context, req ActRequest) (Operation, error) {
	return Operation{}, errUnbuilt("approve")
}

// Pause stops a running operation at the next boundary of a step.
func (c *Controller) Pause(ctx context.Context, req ActRequest) (Operation, error) {
	return Operation{}, errUnbuilt("pause")
}

// Resume goes on with an operation that an operator paused.
func (c *Controller) Resume(ctx context.Context, req ActRequest) (Operation, error) {
	return Operation{}, errUnbuilt("resume")
}

// Wait returns when the operation rests: paused, awaiting approval, in its commit window, or ended.
func (c *Controller) Wait(ctx context.Context, id understudy.OperationID) (Operation, error) {
	return Operation{}, errUnbuilt("wait")
}

// Watch calls each with every entry of the operation's journal after the given number, in order, and with
// progress, which has the number of the entry before it; it returns nil when the operation has ended, and
// otherwise when ctx ends or each fails.
func (c *Controller) Watch(ctx context.Context, id understudy.OperationID, after int64, each func(Event) error) error {
	return errUnbuilt("watch")
}

// Ledgers lists the ledgers of a plan, newest first, those discarded included.
func (c *Controller) Ledgers(ctx context.Context, plan understudy.PlanName) ([]LedgerRecord, error) {
	return nil, errUnbuilt("ledgers")
}

// ExportLedger writes the saved records of one ledger as JSON lines.
func (c *Controller) ExportLedger(ctx context.Context, req LedgerRequest, write func(line []byte) error) error {
	return errUnbuilt("export")
}

// DiscardLedger deletes the saved records of one ledger. It is refused until the takeover is committed.
func (c *Controller) DiscardLedger(ctx context.Context, req LedgerRequest) (LedgerRecord, error) {
	return LedgerRecord{}, errUnbuilt("discard")
}

// Doctor looks at all sites of a plan, or of all plans when none is named, and changes nothing.
func (c *Controller) Doctor(ctx context.Context, plan understudy.PlanName) (Findings, error) {
	return Findings{}, errUnbuilt("doctor")
}

// Metrics gives one snapshot, without asking any cluster.
func (c *Controller) Metrics(ctx context.Context) (Metrics, error) {
	return Metrics{}, errUnbuilt("metrics")
}
