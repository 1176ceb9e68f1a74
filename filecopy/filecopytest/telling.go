package filecopytest

import (
	"context"
	"io"

	"github.com/understudy-dr/understudy/filecopy"
)

// Telling gives a target that says before each call that writes that it is made, and can put directories together, and take files over, where the
// target can.
func Telling(to filecopy.Target, say func(call string)) filecopy.Target {
	return Wrap(to, func(to filecopy.Target, _ bool) filecopy.Target { return telling{to, say} }, func(call string, do func() error) error {
		say(call)
		return do()
	})
}

type telling struct {
	filecopy.Target
	say func(string)
}

func (b telling) Begin(ctx context.Context, lot string, e filecopy.Entry) (filecopy.Handle, error) {
	b.say("begin")
	return b.Target.Begin(ctx, lot, e)
}

func (b telling) Write(ctx context.Context, h filecopy.Handle, p filecopy.Part, r io.Reader) error {
	b.say("write")
	return b.Target.Write(ctx, h, p, r)
}

func (b telling) Seal(ctx context.Context, h filecopy.Handle, e filecopy.Entry, sum filecopy.Checksum) (filecopy.Sealed, error) {
	b.say("seal")
	return b.Target.Seal(ctx, h, e, sum)
}

func (b telling) Publish(ctx context.Context, s filecopy.Sealed, e filecopy.Entry) (string, error) {
	b.say("publish")
	return b.Target.Publish(ctx, s, e)
}

func (b telling) Move(ctx context.Context, from, to filecopy.Path) error {
	b.say("move")
	return b.Target.Move(ctx, from, to)
}

func (b telling) Retire(ctx context.Context, p filecopy.Path, quarantine string) error {
	b.say("retire")
	return b.Target.Retire(ctx, p, quarantine)
}

func (b telling) Keep(ctx context.Context, name string, r io.Reader) error {
	b.say("keep")
	return b.Target.Keep(ctx, name, r)
}

func (b telling) Discard(ctx context.Context, lot string) error {
	b.say("discard")
	return b.Target.Discard(ctx, lot)
}
