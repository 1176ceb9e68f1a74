package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/understudy-dr/understudy"
)

// The broker's error codes that callers decide upon (Kafka protocol, "Error Codes").
const (
	CodeOffsetOutOfRange   = 1
	CodeCorruptMessage     = 2
	CodeUnknownTopic       = 3
	codeNoLeader           = 5
	CodeNotLeader          = 6
	CodeMessageTooLarge    = 10
	CodeMetadataTooLarge   = 12
	codeNotEnough          = 19
	codeNotEnoughAfter     = 20
	CodeUnknownMember      = 25
	CodeTopicDenied        = 29
	CodeGroupDenied        = 30
	CodeClusterDenied      = 31
	CodeTopicExists        = 36
	CodePolicyViolation    = 44
	CodeOutOfOrderSequence = 45
	CodeInvalidEpoch       = 47
	CodeCoordinatorFenced  = 52
	CodeSecurityDisabled   = 54
	CodeUnknownProducer    = 59
	CodeUnknownTopicID     = 100

	// codeMechanism and codeNoLogin are UNSUPPORTED_SASL_MECHANISM and ILLEGAL_SASL_STATE; the second is what a listener
	// without SASL answers to a login.
	codeMechanism           = 33
	codeNoLogin             = 34
	codeTransactionalDenied = 53
	// codeUnknownGroup is GROUP_ID_NOT_FOUND: the group has no positions.
	codeUnknownGroup = 69
	// codeOffsetUnknown is OFFSET_NOT_AVAILABLE: since its election a leader has not heard of enough replicas.
	codeOffsetUnknown = 78
)

func leaseOver(op string, o understudy.Object) *understudy.Error {
	return &understudy.Error{
		Code: "US003", Kind: understudy.KindFenced, Op: op, Object: o,
		Summary: "the lease is over; nothing was sent",
		Why:     "this process was paused or cut off for longer than its lease",
		Fix:     "nothing: whoever holds the lease now goes on",
	}
}

func invalid(op string, o understudy.Object, summary string, err error) *understudy.Error {
	return &understudy.Error{Code: "US109", Kind: understudy.KindInvalid, Op: op, Object: o, Summary: summary, Err: err}
}

// failed turns a transport error into the product's: the lease is over, the caller gave up, or the cluster
// did not answer.
func (c *Cluster) failed(ctx context.Context, lease understudy.Lease, op string, err error) error {
	var ours *understudy.Error
	if errors.As(err, &ours) {
		return ours
	}
	if lease.Deadline != nil && !time.Now().Before(lease.Deadline()) {
		return &understudy.Error{
			Code: "US003", Kind: understudy.KindFenced, Op: op, Object: c.cfg.Object,
			Summary: "the lease ended before the answer came", Err: err,
		}
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return &understudy.Error{Code: "US002", Kind: understudy.KindRetry, Op: op, Object: c.cfg.Object, Summary: "interrupted", Err: ctx.Err()}
	}
	var ke *kerr.Error
	if errors.As(err, &ke) {
		e := understudy.AsError(c.Refused(op, "", ke.Code, ""))
		if err.Error() != ke.Error() {
			e.Why = err.Error() // such as which mechanisms are offered
		}
		return e
	}
	var hung *kgo.ErrFirstReadEOF
	if errors.As(err, &hung) {
		return c.hungUp(op, hung)
	}
	return c.unreachable(op, err)
}

// hungUp is a cluster whose brokers close a connection at its first bytes, as a listener does that wants TLS or a login and
// gets neither. It stays unreachable: a broker that stops does the same.
func (c *Cluster) hungUp(op string, err error) error {
	e := understudy.AsError(c.unreachable(op, err))
	e.Summary = "the cluster hangs up at once"
	e.Why = fmt.Sprintf("brokers %v: %v", c.cfg.Brokers, err)
	switch {
	case c.cfg.TLS != nil:
		e.Fix = "give the address of a listener with TLS, or remove tls from the site file; otherwise check that the brokers run"
	case c.cfg.SASL != nil:
		e.Fix = "set tls in the site file if the listener wants it; otherwise check that the brokers run"
	default:
		e.Fix = "set sasl in the site file (mechanism, user, secret) if the listener wants a login, and tls if it wants that; otherwise check that the brokers run"
	}
	return e
}

func (c *Cluster) unreachable(op string, err error) error {
	return &understudy.Error{
		Code: "US100", Kind: understudy.KindUnreachable, Op: op, Object: c.cfg.Object,
		Summary: "the cluster did not answer",
		Why:     fmt.Sprintf("none of the brokers %v answered in time: %v", c.cfg.Brokers, err),
		Fix:     "check that the brokers run and can be reached from here, and `understudy doctor`",
		Err:     err,
	}
}

// Refused turns a broker's error code about a shard into the product's error; nil for code 0. The right is
// the one that the request needs, such as "ALTER_CONFIGS on topic orders"; it is named when it is missing.
func (c *Cluster) Refused(op, shard string, code int16, right string) error {
	if code == 0 {
		return nil
	}
	o := c.cfg.Object
	o.Shard = shard
	ke := kerr.TypedErrorForCode(code)
	if ke == nil {
		ke = kerr.UnknownServerError
	}
	e := &understudy.Error{Code: "US103", Kind: understudy.KindRefused, Op: op, Object: o, Err: ke, Summary: "the broker refused the request"}
	switch code {
	case 58: // SASL_AUTHENTICATION_FAILED
		e.Code, e.Kind, e.Summary = "US102", understudy.KindDenied, "the brokers refuse the login"
		e.Fix = "check sasl.mechanism, sasl.user and the secret in the site file"
	case codeMechanism:
		e.Code, e.Kind, e.Summary = "US102", understudy.KindDenied, "the listener does not offer this sort of login"
		e.Fix = "set sasl.mechanism in the site file to one that the listener offers"
	case codeNoLogin:
		e.Code, e.Kind, e.Summary = "US102", understudy.KindDenied, "the listener takes no login"
		e.Fix = "give the address of a listener with SASL, or remove sasl from the site file"
	case CodeTopicDenied, CodeGroupDenied, CodeClusterDenied, codeTransactionalDenied, 65:
		e.Code, e.Kind = "US102", understudy.KindDenied
		e.Summary = "a right is missing"
		if right != "" {
			e.Summary = "the right " + right + " is missing"
			e.Fix = "grant " + right + " to the principal that understudy uses there"
		}
	case CodeUnknownTopic, CodeUnknownTopicID, codeUnknownGroup:
		e.Kind, e.Summary = understudy.KindNotFound, "it does not exist there"
	case CodeInvalidEpoch, CodeCoordinatorFenced:
		e.Kind, e.Summary = understudy.KindConflict, "a newer role epoch has been seen there"
	case codeNoLeader:
		e.Code, e.Kind, e.Summary = "US122", understudy.KindRetry, "the partition has no leader: nobody can read or write it"
		e.Fix = "bring the brokers back that hold its replicas, at least one that was in sync; a leader that is only being replaced is there in a moment"
	case codeNotEnough, codeNotEnoughAfter:
		e.Code, e.Kind, e.Summary = "US121", understudy.KindRetry, "fewer replicas are in sync than a write needs (min.insync.replicas)"
		e.Fix = "bring the brokers back that hold its replicas; it is tried again by itself, and a paused operation goes on by a retry"
	case codeOffsetUnknown:
		e.Code, e.Kind, e.Summary = "US121", understudy.KindRetry, "its new leader does not know yet how far the log is replicated"
		e.Fix = "bring the brokers back that hold its replicas; it is tried again by itself"
	default:
		if ke.Retriable {
			e.Kind, e.Summary = understudy.KindRetry, "the broker asks to try again"
		}
	}
	return e
}
