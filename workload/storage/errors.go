package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/wire/hdfs"
	"github.com/understudy-dr/understudy/workload/storage/internal/place"
)

// failure gives errors of stores a code, and leaves errors that have one, and the context's own, as they are.
func (w *Workload) failure(s understudy.Site, tree, doing string, err error) error {
	away := errors.Is(err, place.ErrTurnedAway)
	doubtful := place.Doubtful(err)
	unreachable := errors.Is(err, place.ErrUnreachable) && !away && !doubtful
	if err == nil || !unreachable && !away && !doubtful && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return err
	}
	var coded *understudy.Error
	failed := errors.As(err, &coded)
	if failed && coded.Code == noLoginCode {
		return err
	}
	// A mover does not know what it means that a login fails in its midst, nor at which of its two ends.
	if e := w.noLogin(w.failedAt(s, err), err); e != nil {
		return e
	}
	if failed {
		return err
	}
	e := &understudy.Error{
		Code: "US701", Kind: understudy.KindRetry, Op: "storage", Object: w.object(s, tree), Summary: fmt.Sprintf("cannot %s the tree", doing), Err: err,
	}
	if tree == "" {
		e.Summary = fmt.Sprintf("cannot %s the store", doing)
	}
	switch {
	case errors.Is(err, errTorn):
		file := path.Join(place.FolderOf(tree), "kept", stampName)
		e.Code, e.Kind, e.Summary = "US747", understudy.KindInvalid, "the stamp "+file+" is damaged: it does not say whose the tree is"
		e.Fix = "make sure that no other control plane has the tree, move " + file + " away at that site, and retry"
	case doubtful:
		e.Code, e.Kind, e.Summary = "US744", understudy.KindInvalid, "the server that answers shows a certificate which does not stand up to those that understudy knows"
		e.Why = err.Error()
		e.Fix = "find out whose it is; if it is the store's, correct the certificates that the site file names, or those of this machine and start serve again, or let the server have one in its own name that is still good"
		if !place.Untrusted(err) {
			e.Summary = "somebody answers at the URL of the store, with whom no secure connection comes about"
			e.Fix = "find out who it is; if it is the store, correct its URL in the site file, or have it speak TLS 1.2 or 1.3 and ask for no certificate of its clients"
		}
	case unreachable:
		e.Code, e.Kind = "US702", understudy.KindUnreachable
	case errors.Is(err, fs.ErrPermission), errors.Is(err, place.ErrRefused):
		e.Code, e.Kind = "US705", understudy.KindDenied
		e.Fix = "give understudy's user the right, or run it as a superuser of the store"
	case errors.Is(err, filecopy.ErrNotFound):
		e.Code, e.Kind = "US704", understudy.KindNotFound
	case away:
		e.Code, e.Kind, e.Summary = noLoginCode, understudy.KindDenied, "cannot log in to the store"
		e.Fix = "see that the secrets which the site file names can be read"
	case w.kerberized(s) && (errors.Is(err, hdfs.ErrPipeline) || errors.Is(err, hdfs.ErrNoReplica)):
		e.Fix = dataFix
	}
	return e
}

// dataFix is what may help where a NameNode lets us in and its DataNodes do not serve us: who is no superuser is told of none of them beforehand.
const dataFix = "see that kerberos.dataProtection in the site file says what dfs.data.transfer.protection says at the DataNodes, and that they can be reached from here; their logs say why they hang up"

// kerberized says whether a site is an HDFS cluster with Kerberos.
func (w *Workload) kerberized(s understudy.Site) bool {
	e, ok := w.spec.Clusters[s].(*HDFS)
	return ok && e.Kerberos != nil
}

// unmet gives the error of a look at a site its meaning: it was turned away there, nobody knows, or nobody answered.
func (w *Workload) unmet(s understudy.Site, err error) error {
	if !errors.Is(err, place.ErrTurnedAway) && !place.Doubtful(err) {
		err = errors.Join(place.ErrUnreachable, err)
	}
	return w.failure(s, "", "reach", err)
}

// illegible is the error of a tree that cannot be looked at although its store speaks. Errors that have a meaning of their own keep it.
func (w *Workload) illegible(s understudy.Site, tree string, e *understudy.Error, err error) *understudy.Error {
	if e.Kind != understudy.KindUnreachable && !slices.Contains([]understudy.Code{"US001", "US600", "US701", "US704"}, e.Code) {
		return e
	}
	mend := "mend what is damaged there, and retry"
	if _, ok := w.spec.Clusters[s].(*HDFS); ok {
		mend = "start the DataNodes that are out of reach, which `understudy doctor` names (US718), or correct kerberos.dataProtection in the site file, and retry"
	}
	return &understudy.Error{
		Code: "US746", Kind: understudy.KindRetry, Op: "storage.look", Object: w.object(s, tree), Err: err,
		Summary: "the store answers, and what is there of the tree, or beside it, cannot be read", Fix: mend + "; where the side is to be given up as it is, switch off what answers, for good",
	}
}

// failedAt gives the site whose NameNode an error names; the given one where it names none of ours.
func (w *Workload) failedAt(s understudy.Site, err error) understudy.Site {
	var at *hdfs.Error
	if !errors.As(err, &at) {
		return s
	}
	for _, name := range w.siteNames() {
		if e, ok := w.spec.Clusters[name].(*HDFS); ok && slices.Contains(e.Namenodes, at.Server) {
			return name
		}
	}
	return s
}

// noLoginCode is that of a store which knows us not.
const noLoginCode understudy.Code = "US725"

// noLogin says why a store knows us not, and what to do about it; nil for other errors.
func (w *Workload) noLogin(s understudy.Site, err error) error {
	var unheard *place.UnheardError
	if errors.As(err, &unheard) {
		return &understudy.Error{
			Code: noLoginCode, Kind: understudy.KindDenied, Op: "storage.login", Object: w.object(s, ""), Why: err.Error(), Err: err,
			Summary: "the DataNodes want to be spoken to with the protection " + unheard.Demand(),
			Fix:     "write kerberos.dataProtection: " + unheard.Demand() + " in the site file, as dfs.data.transfer.protection says there",
		}
	}
	var login *hdfs.LoginError
	if !errors.As(err, &login) && !errors.Is(err, hdfs.ErrUnauthenticated) {
		return nil
	}
	e := &understudy.Error{
		Code: noLoginCode, Kind: understudy.KindDenied, Op: "storage.login", Object: w.object(s, ""), Summary: "cannot log in to the store", Why: err.Error(), Err: err,
		Fix: "say in the site file how the cluster wants to be spoken to: kerberos where it asks for it, user where it does not",
	}
	var refused *hdfs.RemoteError
	if errors.As(err, &refused) {
		e.Why = refused.Error()
	}
	if login == nil {
		return e
	}
	e.Why = login.Error()
	e.Summary = "cannot log in to the store as " + login.Principal
	switch login.Reason {
	case hdfs.ReasonKeytab:
		e.Fix = "store the principal's present keytab under the secret that the site file names; `klist -k FILE` shows what one holds"
	case hdfs.ReasonConfig:
		e.Fix = "correct the krb5.conf that the site file names under kerberos.config: it must name a KDC of the realm"
	case hdfs.ReasonPrincipal:
		e.Fix = "correct kerberos.principal in the site file, or let the realm know it again: its KDC does not let it in"
	case hdfs.ReasonService:
		e.Fix = "set kerberos.service in the site file to what dfs.namenode.kerberos.principal says, and name the NameNodes as that principal does"
	case hdfs.ReasonClock:
		e.Fix = "set the clocks of understudy, of the KDC and of the NameNodes by NTP: Kerberos bears five minutes"
	case hdfs.ReasonKDC:
		e.Kind, e.Fix = understudy.KindUnreachable, "bring the KDC back, or correct its address in the krb5.conf that the site file names; tickets that are held go on for a while"
	case hdfs.ReasonServer:
		e.Fix = "look into the NameNode's log: it took the ticket for another's, or does not know the realm"
	}
	return e
}

// refuse makes an error of a safety check.
func (w *Workload) refuse(code understudy.Code, s understudy.Site, tree, summary, fix string) *understudy.Error {
	return &understudy.Error{Code: code, Kind: understudy.KindRefused, Op: "storage", Object: w.object(s, tree), Summary: summary, Fix: fix}
}
