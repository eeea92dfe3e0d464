package bridge

import "time"

// newsEvery is how much time lies between two events of a kind at least.
const newsEvery = 200 * time.Millisecond

// news holds back what [Config].Notify is to be told, and conflates it: of
// several changes of speaker only the last counts. It belongs to the audio
// goroutine.
type news struct {
	notify func(any)

	speaker, told string
	toldAt        time.Time

	late   int // since the last report
	lateAt time.Time
}

// speakerIs takes note of who speaks.
func (n *news) speakerIs(id string) { n.speaker = id }

// tell passes on what is due.
func (n *news) tell(now time.Time) {
	if n.speaker != n.told && now.Sub(n.toldAt) >= newsEvery {
		n.told, n.toldAt = n.speaker, now
		n.notify(SpeakerChanged{ID: n.speaker})
	}
	if n.late > 0 && now.Sub(n.lateAt) >= newsEvery {
		n.notify(TickLate{Ticks: n.late})
		n.late, n.lateAt = 0, now
	}
}
