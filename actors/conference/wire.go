package conference

import "google.golang.org/protobuf/proto"

// Wire lists the messages that cross nodes, by the number that stands for each.
// Numbers 200 to 299 are this package's; they are appended, never changed.
func Wire() map[uint32]proto.Message {
	return map[uint32]proto.Message{
		200: &Join{},
		201: &Joined{},
		202: &Elsewhere{},
		203: &Refused{},
		204: &Done{},
		205: &Update{},
		206: &Leave{},
		207: &Mute{},
		208: &MuteVideo{},
		209: &Lock{},
		210: &SetLayout{},
		211: &Spotlight{},
		212: &RaiseHand{},
		213: &Disconnect{},
		214: &SetRole{},
		215: &Dismiss{},
		216: &Report{},
		217: &GetRoster{},
		218: &Roster{},
		219: &Subscribe{},
		220: &Unsubscribe{},
		221: &Rejoin{},
		222: &OpenMedia{},
		223: &MediaOpened{},
		224: &CloseMedia{},
		225: &Spoke{},
		226: &TakeFloor{},
		227: &ReleaseFloor{},
		228: &SendMessage{},
		229: &Message{},
		230: &MoveCamera{},
		231: &LetIn{},
		232: &Start{},
		233: &SetOverlayText{},
		234: &SetGuestsCanUnmute{},
		235: &Transfer{},
		236: &Entered{},
	}
}
