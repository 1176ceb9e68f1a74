package kafkasim

import (
	"context"
	"testing"
)

// put asks a target all of the table that fits it.
func put(t *testing.T, to Target) {
	t.Helper()
	for _, c := range Answers() {
		if !c.Fits(to) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			got, err := c.Run(t.Context(), to)
			if err != nil {
				t.Errorf("%v, after %s", err, got)
			}
			if got != c.Want {
				t.Errorf("\n got %s\nwant %s", got, c.Want)
			}
		})
	}
}

func begin(t *testing.T, o Options) *Cluster {
	t.Helper()
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAnswers(t *testing.T) {
	c := begin(t, Options{})
	stall := func(topic string) (func(), error) { return c.Stall(topic, 0) }
	put(t, Target{Addr: c.Addr(), Stall: stall, Restart: func(context.Context) error { return c.Restart() }})
}

func TestAnswersWithAuthorizer(t *testing.T) {
	c := begin(t, Options{Authorizer: true, Users: AnswerUsers()})
	put(t, Target{Addr: c.Addr(), SASLAddr: c.Addr(), Restart: func(context.Context) error { return c.Restart() }})
}
