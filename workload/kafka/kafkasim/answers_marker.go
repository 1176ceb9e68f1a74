package kafkasim

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func markerAnswers() []Case {
	return []Case{
		{
			Name: "markers without a transaction", ask: askMarkers,
			Want: "wrote=0@0 markers=0 end=8 lso=8 after=0@8 producer={epoch 0 seq -1 coordinator 0 txn -1}",
		},
		{
			Name: "markers and sequences of one producer", ask: askOneProducer,
			Want: "wrote=0@0 marker=0 same-epoch=0@2 marker=0 same-epoch=0@4 end=5 producer={epoch 3 seq 2 coordinator 4 txn -1}",
		},
		{
			Name: "a marker of the next epoch halts", ask: askHalt,
			Want: "wrote=0@0 before=45 halt=0 right=47 absurd=47 old-marker=47 again=0 new-gap=45 new=0@5 end=6 producer={epoch 6 seq 0 coordinator 9 txn -1}",
		},
		{
			Name: "a partition without state takes any sequence", ask: askStateless,
			Want: "absurd=0@0 end=1",
		},
		{
			Name: "the time a producer is known by", ask: askTimes,
			Want: "wrote=0@0 old=true marker=0 old=false",
		},
		{
			Name: "coordinator epochs", ask: askCoordinator,
			Want: "first=0 lower=52 equal=0 higher=0 data=0@3 producer={epoch 0 seq 0 coordinator 6 txn -1}",
		},
		{
			Name: "codes of markers", ask: askMarkerCodes,
			Want: "partitions=0,3 pid-minus-one=-1 abort=0 end=2",
		},
		{
			Name: "two entries of a producer in a request", ask: askMarkerRun,
			Want: "thousand=0 end=1000",
		},
	}
}

// askTimes asks whose time decides when a producer is forgotten: the records' own, and the broker's for a marker.
func askTimes(a *asker) {
	const hour = int64(time.Hour / time.Millisecond)
	old := func() bool { return a.lastTime(crafted) < time.Now().UnixMilli()-hour }
	a.say("wrote", a.produce(craft{pid: crafted, n: 1, ahead: -2 * hour}.bytes()))
	a.say("old", old())
	a.say("marker", a.markers(crafted, 0, 0, 1))
	a.say("old", old())
}

func askMarkers(a *asker) {
	a.say("wrote", a.produce(craft{pid: -1, epoch: -1, seq: -1, n: 3}.bytes()))
	a.say("markers", a.markers(crafted, 0, 0, 5))
	a.say("end", a.end())
	a.say("lso", a.lso())
	a.say("after", a.produce(craft{pid: -1, epoch: -1, seq: -1, n: 1}.bytes()))
	a.say("producer", a.producers(crafted))
}

func askOneProducer(a *asker) {
	a.say("wrote", a.write(crafted, 3, 0, 1))
	a.say("marker", a.markers(crafted, 3, 4, 1))
	a.say("same-epoch", a.write(crafted, 3, 1, 1))
	a.say("marker", a.markers(crafted, 3, 4, 1))
	a.say("same-epoch", a.write(crafted, 3, 2, 1))
	a.say("end", a.end())
	a.say("producer", a.producers(crafted))
}

func askHalt(a *asker) {
	a.say("wrote", a.write(crafted, 5, 0, 3))
	a.say("before", a.write(crafted, 5, 1_000_000, 1))
	a.say("halt", a.markers(crafted, 6, 9, 1))
	a.say("right", a.write(crafted, 5, 3, 1))
	a.say("absurd", a.write(crafted, 5, 1_000_000, 1))
	a.say("old-marker", a.markers(crafted, 5, 9, 1))
	a.say("again", a.markers(crafted, 6, 9, 1))
	a.say("new-gap", a.write(crafted, 6, 3, 1))
	a.say("new", a.write(crafted, 6, 0, 1))
	a.say("end", a.end())
	a.say("producer", a.producers(crafted))
}

func askStateless(a *asker) {
	a.say("absurd", a.write(crafted, 5, 1_000_000, 1))
	a.say("end", a.end())
}

func askCoordinator(a *asker) {
	a.say("first", a.markers(crafted, 0, 5, 1))
	a.say("lower", a.markers(crafted, 0, 4, 1))
	a.say("equal", a.markers(crafted, 0, 5, 1))
	a.say("higher", a.markers(crafted, 0, 6, 1))
	a.say("data", a.write(crafted, 0, 0, 1))
	a.say("producer", a.producers(crafted))
}

func askMarkerCodes(a *asker) {
	a.say("partitions", a.markers(crafted, 0, 0, 1, 0, 9))
	a.say("pid-minus-one", a.markers(-1, 0, 0, 1))
	a.say("abort", a.markersAs(kmsg.WriteTxnMarkersRequestMarker{ProducerID: crafted}, 1))
	a.say("end", a.end())
}

func askMarkerRun(a *asker) {
	a.say("thousand", a.markers(crafted, 0, 0, 1000))
	a.say("end", a.end())
}
