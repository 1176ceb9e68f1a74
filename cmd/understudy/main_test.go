package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"understudy": main})
}

// The scripts are the frozen surface of the command line: what is printed where, and the exit statuses.
func TestScripts(t *testing.T) {
	p := &planes{t: t, stages: map[string]*stage{}}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "serve": p.serve, "world": p.world, "rest": p.rest, "newest": p.newest, "asks": p.asks, "interrupted": interrupted,
		},
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("UNDERSTUDY_DATA", e.WorkDir+"/data")
			return nil
		},
	})
}

// exits STATUS COMMAND... runs a command and wants exactly that exit status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = statusText(err)
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}
