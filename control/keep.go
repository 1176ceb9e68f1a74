package control

import (
	"github.com/understudy-dr/understudy"
)

// remember keeps what outlives the operation: what is known of an old side's fence, and ledgers.
func (s *session) remember(t *change, op *Operation, o understudy.Object, r understudy.Receipt) error {
	for _, p := range r.Proofs {
		if p.Kind != understudy.ProofFence || !p.Complete {
			continue
		}
		t.set(keyOld(o, p.Site), OldSite{Site: p.Site, State: "fenced", Text: "old primary: fenced (" + string(p.Level) + ")", Proof: &p, At: p.At})
	}
	proof := find(r.Proofs, func(p understudy.Proof) bool { return p.Kind == understudy.ProofLedger })
	if len(r.Ledger) == 0 && proof == nil {
		return nil
	}
	rec, version, err := read[LedgerRecord](s.hard, s.opt.Journal, keyLedger(o, op.ID))
	if err != nil {
		return err
	}
	rec.Plan, rec.Workload, rec.Operation, rec.At, rec.Dir = o.Plan, o.Workload, op.ID, s.opt.Now(), s.ledgerDir(o, op.ID)
	if proof != nil {
		rec.Proof = proof
	}
	for _, e := range r.Ledger {
		rec.add(e)
	}
	t.put(keyLedger(o, op.ID), version, rec)
	return nil
}

// add puts an entry in the ledger; one that tells of the same range anew, now saved, replaces it.
func (l *LedgerRecord) add(e understudy.LedgerEntry) {
	for i, old := range l.Entries {
		if old.Shard == e.Shard && old.Site == e.Site && old.First == e.First && (old.File == "" || old.File == e.File) {
			l.Records, l.Bytes = l.Records-old.Records+e.Records, l.Bytes-old.Bytes+e.Bytes
			l.Entries[i] = e
			return
		}
	}
	l.Entries = append(l.Entries, e)
	l.Records, l.Bytes = l.Records+e.Records, l.Bytes+e.Bytes
}

// find gives a copy of the newest proof that matches; nil when there is none.
func find(proofs []understudy.Proof, match func(understudy.Proof) bool) *understudy.Proof {
	for i := len(proofs) - 1; i >= 0; i-- {
		if match(proofs[i]) {
			p := proofs[i]
			return &p
		}
	}
	return nil
}
