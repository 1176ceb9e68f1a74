//go:build !linux

package local

import "errors"

// TryCreate is for Linux only.
func TryCreate(string, string, int) error { return errors.ErrUnsupported }
