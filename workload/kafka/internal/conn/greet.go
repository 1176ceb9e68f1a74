package conn

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	apiVersionsKey     = 18
	saslHandshakeKey   = 17
	saslAuthenticate   = 36
	unsupportedVersion = 35
)

// greet learns the broker's versions and authenticates.
func (c *Conn) greet(ctx context.Context) error {
	resp, err := c.askVersions(ctx, 3)
	if err == nil && resp.ErrorCode == unsupportedVersion {
		// An old broker answers in version 0 whatever it was asked.
		resp, err = c.askVersions(ctx, 0)
	}
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	c.versions = negotiate(resp, c.o.MaxVersions)
	if c.o.SASL == nil {
		return nil
	}
	return c.authenticate(ctx)
}

func (c *Conn) askVersions(ctx context.Context, version int16) (*kmsg.ApiVersionsResponse, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "understudy", "1"
	req.SetVersion(version)
	resp := kmsg.NewPtrApiVersionsResponse()
	call, err := c.send(ctx, req, func(body []byte) error {
		resp.SetVersion(version)
		if len(body) >= 2 && body[0] == 0 && body[1] == unsupportedVersion {
			resp.SetVersion(0)
		}
		return resp.ReadFrom(body)
	})
	if err != nil {
		return nil, err
	}
	_, err = call.Wait(ctx)
	return resp, err
}

// negotiate takes for each key the highest version that kmsg, the broker and our own cap know.
func negotiate(resp *kmsg.ApiVersionsResponse, caps map[int16]int16) map[int16]int16 {
	out := make(map[int16]int16, len(resp.ApiKeys))
	for _, k := range resp.ApiKeys {
		req := kmsg.RequestForKey(k.ApiKey)
		if req == nil {
			continue
		}
		v := min(req.MaxVersion(), k.MaxVersion)
		if limit, ok := caps[k.ApiKey]; ok {
			v = min(v, limit)
		}
		if v >= k.MinVersion {
			out[k.ApiKey] = v
		}
	}
	return out
}

func (c *Conn) authenticate(ctx context.Context) error {
	host, _, err := net.SplitHostPort(c.o.Addr)
	if err != nil {
		return err
	}
	if _, ok := c.versions[saslAuthenticate]; !ok || c.versions[saslHandshakeKey] < 1 {
		return errors.New("the broker does not offer SASL in Kafka requests; it is older than 1.0 or the listener has no SASL")
	}
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Mechanism = c.o.SASL.Name()
	resp, err := c.Do(ctx, hello)
	if err != nil {
		return err
	}
	hs := resp.(*kmsg.SASLHandshakeResponse)
	if err := kerr.ErrorForCode(hs.ErrorCode); err != nil {
		return fmt.Errorf("mechanism %s, offered are %v: %w", hello.Mechanism, hs.SupportedMechanisms, err)
	}
	session, msg, err := c.o.SASL.Authenticate(ctx, host)
	if err != nil {
		return err
	}
	for done := false; !done || len(msg) > 0; {
		answer, err := c.saslStep(ctx, msg)
		if err != nil {
			return err
		}
		if done {
			return nil
		}
		if done, msg, err = session.Challenge(answer); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) saslStep(ctx context.Context, msg []byte) ([]byte, error) {
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = msg
	resp, err := c.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	auth := resp.(*kmsg.SASLAuthenticateResponse)
	if err := kerr.ErrorForCode(auth.ErrorCode); err != nil {
		if auth.ErrorMessage != nil {
			return nil, fmt.Errorf("%s: %w", *auth.ErrorMessage, err)
		}
		return nil, err
	}
	return auth.SASLAuthBytes, nil
}
