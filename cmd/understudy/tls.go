package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/spec"
)

// etcdTLS reads the certificate files of an etcd of the customer's; nil without any.
func etcdTLS(t *spec.EtcdTLS) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	bad := func(err error) error {
		return &understudy.Error{Code: "US512", Kind: understudy.KindInvalid, Summary: "a certificate of journal.etcd.tls cannot be used", Err: err,
			Fix: "name files in PEM that this user may read"}
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, bad(err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, bad(os.ErrInvalid)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, bad(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
