package spec

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/understudy-dr/understudy"
)

// secretLimit bounds a secret's value in bytes; a certificate bundle fits.
const secretLimit = 1 << 20

// SecretSource says where serve finds one secret. Exactly one of Env, File and Exec is set.
type SecretSource struct {
	Env     string        `yaml:"env,omitempty" doc:"an environment variable of serve"`
	File    string        `yaml:"file,omitempty" doc:"an absolute path"`
	Exec    []string      `yaml:"exec,omitempty" doc:"a command that prints the secret, and its arguments"`
	Timeout time.Duration `yaml:"timeout,omitempty" doc:"how long the command may take" default:"10s"`
}

// Secrets says where the secrets are that sites and plans name. It holds no value.
type Secrets map[understudy.SecretName]*SecretSource

// Names lists the names, sorted.
func (s Secrets) Names() []string { return texts(slices.Sorted(maps.Keys(s))) }

// Read gives a secret's value as it is now, without one trailing newline. It is read anew each time, so that a
// changed secret is used without a restart. The value is in no error; the error is not-found for an unknown name,
// invalid for an empty value, and retry when the source cannot be read.
func (s Secrets) Read(ctx context.Context, name string) ([]byte, error) {
	from, ok := s[understudy.SecretName(name)]
	if !ok {
		e := &understudy.Error{Code: codeSecretName, Kind: understudy.KindNotFound, Op: "spec.secret",
			Summary: fmt.Sprintf("serve knows no secret called %q", name), Fix: "add it under `secrets:` in serve's configuration"}
		if near := nearest(name, s.Names()); near != "" {
			e.Fix += fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, e
	}
	value, err := from.value(ctx)
	if err != nil {
		return nil, &understudy.Error{Code: codeSecretRead, Kind: understudy.KindRetry, Op: "spec.secret",
			Summary: fmt.Sprintf("secret %s cannot be read from %s", name, from.where()), Why: err.Error(),
			Fix: "make it readable for the user of serve"}
	}
	value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	if len(value) == 0 {
		return nil, &understudy.Error{Code: codeSecretEmpty, Kind: understudy.KindInvalid, Op: "spec.secret",
			Summary: fmt.Sprintf("secret %s is empty in %s", name, from.where()), Fix: "put the secret there"}
	}
	return value, nil
}

func (f *SecretSource) where() string {
	switch {
	case f.Env != "":
		return "the environment variable " + f.Env
	case f.File != "":
		return f.File
	case len(f.Exec) > 0:
		return "the output of " + f.Exec[0]
	}
	return "nowhere"
}

func (f *SecretSource) value(ctx context.Context) ([]byte, error) {
	switch {
	case f.Env != "":
		v, ok := os.LookupEnv(f.Env)
		if !ok {
			return nil, fmt.Errorf("it is not set")
		}
		return []byte(v), nil
	case f.File != "":
		return readFile(f.File)
	case len(f.Exec) > 0:
		return f.run(ctx)
	}
	return nil, fmt.Errorf("no source is configured")
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	value, err := io.ReadAll(io.LimitReader(f, secretLimit+1))
	if e := f.Close(); err == nil {
		err = e
	}
	if len(value) > secretLimit {
		return nil, fmt.Errorf("it has more than %d bytes", secretLimit)
	}
	return value, err
}

// run executes the command. Its standard error is dropped: nobody can promise that it never shows the secret.
func (f *SecretSource) run(ctx context.Context) ([]byte, error) {
	timeout := f.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.Exec[0], f.Exec[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("the command did not end within %s", FormatDuration(timeout))
	}
	if err == nil && len(out) > secretLimit {
		err = fmt.Errorf("it has more than %d bytes", secretLimit)
	}
	return out, err
}
