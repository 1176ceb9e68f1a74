package hdfs

import (
	"fmt"
	"strings"
)

// LoginReason says why a login by Kerberos failed.
type LoginReason string

// The reasons. An empty one is any other; the cause tells.
const (
	// ReasonKeytab is a keytab that cannot be read, or whose keys are not, or no longer, the principal's.
	ReasonKeytab LoginReason = "keytab"
	// ReasonConfig is a krb5.conf that cannot be read, or that names no KDC of the realm.
	ReasonConfig LoginReason = "config"
	// ReasonPrincipal is a principal that the KDC does not know, or no longer lets in.
	ReasonPrincipal LoginReason = "principal"
	// ReasonService is a NameNode's principal that the KDC does not know.
	ReasonService LoginReason = "service"
	// ReasonClock is a clock too far from the KDC's or the NameNode's; a ticket that is not yet good there, or no longer, comes from the same.
	ReasonClock LoginReason = "clock"
	// ReasonKDC is a KDC that does not answer.
	ReasonKDC LoginReason = "kdc"
	// ReasonServer is a NameNode that was shown a ticket and does not take it.
	ReasonServer LoginReason = "server"
)

// LoginError is a login by Kerberos that failed. It is ErrUnauthenticated; where no KDC answers it is ErrUnavailable, since another try may
// well succeed.
type LoginError struct {
	// Principal is who we are, Service whom the ticket was wanted for; empty when it did not come to that.
	Principal, Service string
	// Server is the NameNode that asked who we are before the login failed, so that one is there, whoever refused us in the end; empty where it
	// did not come to that.
	Server string
	Reason LoginReason
	Err    error
}

// Error names both principals and the cause.
func (e *LoginError) Error() string {
	if e.Service == "" {
		return fmt.Sprintf("no login of %s: %v", e.Principal, e.Err)
	}
	return fmt.Sprintf("no login of %s at %s: %v", e.Principal, e.Service, e.Err)
}

// Unwrap gives the cause.
func (e *LoginError) Unwrap() error { return e.Err }

// Is finds the sentinel.
func (e *LoginError) Is(target error) bool {
	if e.Reason == ReasonKDC {
		return target == ErrUnavailable
	}
	return target == ErrUnauthenticated
}

// loginReason reads the text of an error of the Kerberos library, which keeps no causes, or of a server. What others quote comes last.
func loginReason(text string) LoginReason {
	for _, r := range []struct {
		reason LoginReason
		says   []string
	}{
		{ReasonClock, []string{"clock skew", "Clock skew", "KRB_AP_ERR_SKEW", "KRB_AP_ERR_TKT_NYV", "KRB_AP_ERR_TKT_EXPIRED"}},
		{ReasonPrincipal, []string{"KDC_ERR_C_PRINCIPAL_UNKNOWN", "KDC_ERR_CLIENT_REVOKED", "KDC_ERR_NAME_EXP"}},
		{ReasonService, []string{"KDC_ERR_S_PRINCIPAL_UNKNOWN"}},
		{ReasonConfig, []string{"no KDC SRV records", "no KDC entries", "no KDCs"}},
		{ReasonKeytab, []string{"KDC_ERR_PREAUTH_FAILED", "keytab"}},
		{ReasonKDC, []string{"Networking_Error", "communication error with KDC", "failed to communicate with KDC"}},
	} {
		for _, s := range r.says {
			if strings.Contains(text, s) {
				return r.reason
			}
		}
	}
	return ""
}
