package api

import (
	"cmp"
	"slices"

	"github.com/skybridge-media/skybridge/actors/conference"
)

// What clients are told, in the shape that @pexip/infinity-api publishes. Members
// without a meaning here have the value that says so.

// participantJSON is an entry of the participant list, and the data of
// participant_create and participant_update.
type participantJSON struct {
	UUID                string  `json:"uuid"`
	DisplayName         string  `json:"display_name"`
	OverlayText         string  `json:"overlay_text"`
	URI                 string  `json:"uri"`
	LocalAlias          string  `json:"local_alias"`
	Vendor              string  `json:"vendor"`
	CallTag             string  `json:"call_tag"`
	CallDirection       string  `json:"call_direction"`
	Protocol            string  `json:"protocol"`
	Encryption          string  `json:"encryption"`
	Role                string  `json:"role"`
	ServiceType         string  `json:"service_type"`
	StartTime           int64   `json:"start_time"` // unix seconds
	BuzzTime            int64   `json:"buzz_time"`  // unix seconds; 0: the hand is down
	Spotlight           float64 `json:"spotlight"`  // unix seconds; 0: not in the spotlight
	HasMedia            bool    `json:"has_media"`
	IsVideoCall         yesNo   `json:"is_video_call"`
	IsAudioOnlyCall     yesNo   `json:"is_audio_only_call"`
	IsMuted             yesNo   `json:"is_muted"`
	IsClientMuted       bool    `json:"is_client_muted"`
	IsVideoMuted        bool    `json:"is_video_muted"`
	IsVideoSilent       bool    `json:"is_video_silent"`
	IsOnHold            bool    `json:"is_on_hold"`
	IsPresenting        yesNo   `json:"is_presenting"`
	IsConjoined         bool    `json:"is_conjoined"`
	IsExternal          bool    `json:"is_external"`
	IsStreaming         bool    `json:"is_streaming_conference"`
	IsTransferring      bool    `json:"is_transferring"`
	ExternalNodeUUID    string  `json:"external_node_uuid"`
	DisconnectSupported yesNo   `json:"disconnect_supported"`
	MuteSupported       yesNo   `json:"mute_supported"`
	TransferSupported   yesNo   `json:"transfer_supported"`
	FECCSupported       yesNo   `json:"fecc_supported"`
	PresentationPolicy  string  `json:"rx_presentation_policy"`
	PresentationSupport yesNo   `json:"presentation_supported"`
	PresentationInMix   bool    `json:"needs_presentation_in_mix"`
	DirectChat          bool    `json:"supports_direct_chat"`
	PersonalMix         bool    `json:"can_receive_personal_mix"`
	Mix                 mixJSON `json:"receive_from_video_mix"`
}

type mixJSON struct {
	Name      string `json:"mix_name"`
	Timestamp int64  `json:"timestamp"`
}

// yesNo is how this API spells some of its booleans.
type yesNo bool

// MarshalText implements [encoding.TextMarshaler].
func (b yesNo) MarshalText() ([]byte, error) {
	if b {
		return []byte("YES"), nil
	}
	return []byte("NO"), nil
}

// Where a participant is, as clients know it.
const (
	serviceConference = "conference"
	serviceWaiting    = "waiting_room"
)

// Roles, as participants and as tokens have them.
func chair(role string) string {
	switch role {
	case conference.RoleGuest, conference.RoleViewer: // IsStreaming tells them apart
		return "guest"
	}
	return "chair"
}

func host(role string) string {
	if role == conference.RoleGuest {
		return "GUEST"
	}
	return "HOST"
}

func (v *view) participant(p *conference.Participant) participantJSON {
	connected := p.State == conference.StateConnected
	j := participantJSON{
		UUID: p.Id, DisplayName: p.Name, OverlayText: cmp.Or(p.OverlayText, p.Name), LocalAlias: v.Room,
		CallDirection: "in", Protocol: p.Protocol, Encryption: "On",
		Role: chair(p.Role), ServiceType: serviceConference, StartTime: p.JoinedUnixMs / 1000,
		HasMedia:    connected && (p.Audio || p.Video),
		IsVideoCall: yesNo(p.Video), IsAudioOnlyCall: yesNo(p.Audio && !p.Video),
		IsMuted: yesNo(p.AudioMuted), IsClientMuted: v.muted[p.Id], IsVideoMuted: p.VideoMuted, IsOnHold: p.Held,
		IsPresenting:        p.Id != "" && p.Id == v.Presenter,
		DisconnectSupported: true, MuteSupported: true,
		TransferSupported: yesNo(p.Api), DirectChat: p.DirectChat, FECCSupported: yesNo(p.Camera),
		PresentationPolicy: "ALLOW", Mix: mixJSON{Name: "main"},
		PresentationInMix: connected && p.Video && !p.Slides,
		IsStreaming:       p.Role == conference.RoleViewer,
	}
	switch {
	case p.Protocol == protocolWHIP, p.Protocol == protocolWHEP:
		j.Protocol = "webrtc"
	case p.Api && !j.HasMedia:
		j.Protocol = "api"
	case p.Protocol != protocolAPI:
		j.Encryption = "Off" // rosters do not tell, so nobody is promised anything
		j.URI = p.Remote     // that of a browser would be its network address
	}
	if p.Outgoing {
		j.CallDirection = "out"
	}
	switch {
	case !connected && !p.Api:
		j.ServiceType = "connecting"
	case p.Waiting != "":
		j.ServiceType = serviceWaiting
	}
	if at, ok := v.raised[p.Id]; ok {
		j.BuzzTime = at.Unix()
	}
	if at, ok := v.lit[p.Id]; ok {
		j.Spotlight = float64(at.UnixMilli()) / 1000
	}
	return j
}

func (v *view) participants() []participantJSON {
	list := make([]participantJSON, 0, len(v.Participants))
	for _, p := range v.Participants {
		list = append(list, v.participant(p))
	}
	return list
}

// conferenceJSON is the answer to conference_status, and the data of
// conference_update.
type conferenceJSON struct {
	Started             bool `json:"started"`
	Locked              bool `json:"locked"`
	GuestsMuted         bool `json:"guests_muted"`
	AllMuted            bool `json:"all_muted"`
	GuestsCanUnmute     bool `json:"guests_can_unmute"`
	GuestsCanPresent    bool `json:"guests_can_present"`
	PresentationAllowed bool `json:"presentation_allowed"`
	LiveCaptions        bool `json:"live_captions_available"`
	DirectMedia         bool `json:"direct_media"`
	BreakoutRooms       bool `json:"breakout_rooms"`
}

func (v *view) conference() conferenceJSON {
	guests, loud, loudGuests := 0, 0, 0
	for _, p := range v.Participants {
		if p.Waiting != "" || p.Role == conference.RoleViewer {
			continue // says nothing anyway
		}
		guest := p.Role == conference.RoleGuest
		if guest {
			guests++
		}
		if !p.AudioMuted {
			loud++
			if guest {
				loudGuests++
			}
		}
	}
	return conferenceJSON{
		Started: !v.WaitsForHost, Locked: v.Locked,
		GuestsMuted: v.GuestsMuted || guests > 0 && loudGuests == 0,
		AllMuted:    loud == 0,

		GuestsCanUnmute: !v.GuestsStayMuted, GuestsCanPresent: !v.OnlyHostsPresent, PresentationAllowed: true,
	}
}

// presenterJSON is the data of presentation_start.
type presenterJSON struct {
	Name string `json:"presenter_name"`
	URI  string `json:"presenter_uri"`
	UUID string `json:"presenter_uuid"`
}

// presenter says who presents; nil for nobody.
func (v *view) presenter() *presenterJSON {
	p := v.find(v.Presenter)
	if p == nil {
		return nil
	}
	j := v.participant(p)
	return &presenterJSON{Name: j.DisplayName, URI: j.URI, UUID: j.UUID}
}

// stageJSON is an entry of the data of stage: who speaks, and who spoke before.
type stageJSON struct {
	Participant string `json:"participant_uuid"`
	Index       int    `json:"stage_index"`
	Voice       int    `json:"vad"` // 0 to 100
}

func (v *view) stageOrder() []stageJSON {
	list := make([]stageJSON, 0, len(v.stage))
	here := make(map[string]*conference.Participant, len(v.Participants))
	for _, p := range v.Participants {
		here[p.Id] = p
	}
	for _, id := range v.stage {
		p := here[id]
		if p == nil || !p.Audio && !p.Video || p.Waiting != "" || p.Role == conference.RoleViewer {
			continue
		}
		s := stageJSON{Participant: id, Index: len(list)}
		if id == v.Speaker {
			s.Voice = 100
		}
		list = append(list, s)
	}
	return list
}

// layoutJSON is the data of layout.
type layoutJSON struct {
	View         string          `json:"view"`
	Participants []string        `json:"participants"` // by importance
	Requested    requestedLayout `json:"requested_layout"`
	OverlayText  bool            `json:"overlay_text_enabled"`
}

type requestedLayout struct {
	Primary struct {
		Chair string `json:"chair_layout"`
		Guest string `json:"guest_layout"`
	} `json:"primary_screen"`
}

// layout takes the order of the stage, so that it is found out once.
func (v *view) layout(stage []stageJSON) layoutJSON {
	l := layoutJSON{View: fromLayout(v.Layout), Participants: []string{}, OverlayText: true}
	l.Requested.Primary.Chair, l.Requested.Primary.Guest = l.View, l.View
	for _, s := range stage {
		l.Participants = append(l.Participants, s.Participant)
	}
	// The spotlight comes before the speaker, in the order of arrival there.
	slices.SortStableFunc(l.Participants, func(a, b string) int {
		at, lit := v.lit[a]
		bt, blit := v.lit[b]
		switch {
		case lit && blit:
			return at.Compare(bt)
		case lit:
			return -1
		case blit:
			return 1
		}
		return 0
	})
	return l
}
