package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
)

// eachLine hands every line of in to do until the input or ctx ends. A read that is under way when ctx ends
// cannot be interrupted; it ends with the input or the process.
func eachLine(ctx context.Context, in io.Reader, do func(line []byte) error) error {
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- append([]byte(nil), s.Bytes()...):
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			if err := do(line); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// printLine writes one JSON document on one line.
func printLine(out io.Writer, v any) error { return json.NewEncoder(out).Encode(v) }
