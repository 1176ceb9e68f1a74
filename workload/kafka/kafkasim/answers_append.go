package kafkasim

import (
	"math"
	"strings"
)

// crafted is the producer id of the table: from the high range that brokers do not hand out.
const crafted = int64(0x4D52) << 48

func appendAnswers() []Case {
	return []Case{
		{
			Name: "sequence and epoch", ask: askSequences,
			Want: "first=0@0 next=0@2 duplicate=0@0 gap=45 lower-epoch=47 epoch-at-3=45 epoch-at-0=0@4 old-right=47 producer={epoch 2 seq 0 coordinator -1 txn -1}",
		},
		{
			Name: "five duplicates", ask: askDuplicates,
			Want: "wrote=0@0,0@1,0@2,0@3,0@4,0@5 again=45,0@1,0@2,0@3,0@4,0@5 end=6",
		},
		{Name: "sequence wraps", ask: askWrap, Want: "last=0@0 wrapped=0@3 end=5"},
		{
			Name: "batches that are refused", ask: askRefused,
			Want: "crc=2 base=87 empty=87 hole=87 control=87 two=87 sequence=87 end=0 append-time=0@0 tombstone-horizon=0@1 end=2",
		},
		{Name: "records of the future", ask: askFuture, Want: "beyond=32 in-limit=0 opened=0 more=2"},
		{Name: "plain appends", ask: askPlain, Want: "first=0@0 again=0@2 end=4 producer=none"},
		{
			Name: "the last batch after a restart", Restart: true, ask: askRestart,
			Want: "wrote=0@0,0@1,0@2 last=0@2 one-before=45 next=0@3 producer={epoch 1 seq 3 coordinator 7 txn -1} lower-coordinator=52 lower-epoch=47",
		},
		{
			Name: "transactions", ask: askTransaction,
			Want: "wrote=0@0 lso=0 end=2 commit=0 lso=3 end=3 aborted=0@3 abort=0 lso=6 end=6",
		},
	}
}

func askSequences(a *asker) {
	a.say("first", a.write(crafted, 1, 7, 2))
	a.say("next", a.write(crafted, 1, 9, 2))
	a.say("duplicate", a.write(crafted, 1, 7, 2))
	a.say("gap", a.write(crafted, 1, 50, 1))
	a.say("lower-epoch", a.write(crafted, 0, 11, 1))
	a.say("epoch-at-3", a.write(crafted, 2, 3, 1))
	a.say("epoch-at-0", a.write(crafted, 2, 0, 1))
	a.say("old-right", a.write(crafted, 1, 11, 1))
	a.say("producer", a.producers(crafted))
}

func askDuplicates(a *asker) {
	var wrote, again list
	for seq := range int32(6) {
		wrote.add(a.write(crafted, 0, seq, 1))
	}
	for seq := range int32(6) {
		again.add(a.write(crafted, 0, seq, 1))
	}
	a.say("wrote", wrote)
	a.say("again", again)
	a.say("end", a.end())
}

func askWrap(a *asker) {
	a.say("last", a.write(crafted, 0, math.MaxInt32-1, 3))
	a.say("wrapped", a.write(crafted, 0, 1, 2))
	a.say("end", a.end())
}

func askRefused(a *asker) {
	good := craft{pid: -1, epoch: -1, seq: -1, n: 1}
	change := func(f func(*craft)) string {
		c := good
		f(&c)
		return a.produce(c.bytes())
	}
	bad := good.bytes()
	bad[atCRC] ^= 1
	a.say("crc", a.produce(bad))
	a.say("base", change(func(c *craft) { c.base = 5 }))
	a.say("empty", change(func(c *craft) { c.n, c.delta = 0, 1 }))
	a.say("hole", change(func(c *craft) { c.delta = 1 }))
	a.say("control", change(func(c *craft) { c.attributes = bitControl }))
	a.say("two", a.produce(append(good.bytes(), good.bytes()...)))
	a.say("sequence", change(func(c *craft) { c.pid, c.epoch = crafted, 0 }))
	a.say("end", a.end())
	a.say("append-time", change(func(c *craft) { c.attributes = bitAppendTime }))
	a.say("tombstone-horizon", change(func(c *craft) { c.attributes = 0x40 }))
	a.say("end", a.end())
}

func askFuture(a *asker) {
	future := craft{pid: -1, epoch: -1, seq: -1, n: 1, ahead: 2 * 3600_000}
	soon := future
	soon.ahead = 30 * 60_000
	// A broker shows a setting a moment before its log obeys it: until then the log takes what is beyond the limit.
	answers := func(c craft, with string) string {
		var got string
		a.until(func() bool { got, _, _ = strings.Cut(a.produce(c.bytes()), "@"); return got == with })
		return got
	}
	a.set("message.timestamp.after.max.ms", "3600000")
	a.say("beyond", answers(future, "32"))
	end := a.end()
	a.say("in-limit", answers(soon, "0"))
	a.set("message.timestamp.after.max.ms", maxLong)
	a.say("opened", answers(future, "0"))
	a.say("more", a.end()-end)
}

func askPlain(a *asker) {
	plain := craft{pid: -1, epoch: -1, seq: -1, n: 2}
	a.say("first", a.produce(plain.bytes()))
	a.say("again", a.produce(plain.bytes()))
	a.say("end", a.end())
	a.say("producer", a.producers(-1))
}

func askRestart(a *asker) {
	var wrote list
	for seq := range int32(3) {
		wrote.add(a.write(crafted+1, 0, seq, 1))
	}
	a.say("wrote", wrote)
	if err := a.to.Restart(a.ctx); err != nil {
		a.fail(err)
		return
	}
	fresh := connect(a.ctx, a.to, "")
	defer fresh.close()
	fresh.topic, fresh.id, fresh.said = a.topic, a.id, a.said
	fresh.until(fresh.ready)
	fresh.say("last", fresh.write(crafted+1, 0, 2, 1))
	fresh.say("one-before", fresh.write(crafted+1, 0, 1, 1))
	fresh.say("next", fresh.write(crafted+1, 0, 3, 1))
	fresh.markers(crafted+1, 1, 7, 1)
	for seq := range int32(4) {
		fresh.write(crafted+1, 1, seq, 1)
	}
	fresh.say("producer", fresh.producers(crafted+1))
	fresh.say("lower-coordinator", fresh.markers(crafted+1, 1, 6, 1))
	fresh.say("lower-epoch", fresh.markers(crafted+1, 0, 7, 1))
	a.said = fresh.said
	a.fail(fresh.err)
}

func askTransaction(a *asker) {
	pid, epoch := a.begin("answers-txn")
	data := craft{pid: pid, epoch: epoch, n: 2, attributes: bitTransactional}
	a.say("wrote", a.produceTo(a.id, "answers-txn", data.bytes()))
	a.say("lso", a.lso())
	a.say("end", a.end())
	a.say("commit", a.finish("answers-txn", pid, epoch, true))
	a.say("lso", a.reaches(a.lso, 3))
	a.say("end", a.end())
	pid, epoch = a.begin("answers-txn")
	data.pid, data.epoch = pid, epoch
	a.say("aborted", a.produceTo(a.id, "answers-txn", data.bytes()))
	a.say("abort", a.finish("answers-txn", pid, epoch, false))
	a.say("lso", a.reaches(a.lso, 6))
	a.say("end", a.end())
}
