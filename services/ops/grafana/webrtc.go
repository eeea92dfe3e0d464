package grafana

func webrtc() Dashboard {
	return Dashboard{
		Name: "webrtc", Title: "WebRTC",
		Text: "Browsers, WHIP and the client API: whether their media finds its way, and what the API refuses.",
		Rows: []Row{
			{"Connecting", []Panel{
				{
					Title: "Calls lost, by how far they had come", Unit: "cpm", Look: Stacked,
					Text: "ice: no candidate pair worked; a firewall on the way to the WebRTC port, or a wrong public-address. dtls: packets pass, the handshake " +
						"does not. connected: it worked before. closed is a page that was closed, which is normal.",
					Queries: []Query{{present(perMinute, `skybridge_webrtc_lost_total`, "stage, cause", `cause="timeout"`), "{{stage}} {{cause}}"}},
				},
				{
					Title: "Calls connected, by transport", Unit: "cpm", Look: Stacked,
					Text:    "Browsers use TCP where UDP does not pass: much of it means a firewall on the way, and worse quality.",
					Queries: []Query{{perMinute(`skybridge_webrtc_connected_total{@}`, "transport"), "{{transport}}"}},
				},
				{
					Title: "Time until ICE and DTLS are done", Unit: "s", Warn: 1, Bad: 3,
					Text:    "From the offer. It is a few round trips; seconds mean that candidates had to be tried one after the other. Over the last 15 minutes.",
					Queries: rarely("skybridge_webrtc_setup_seconds", "instance"),
				},
				{
					Title: "Calls", Unit: "short", Look: Stacked,
					Text:    "WebRTC calls that exist, connected or not.",
					Queries: []Query{{`skybridge_webrtc_calls_active{@}`, "{{instance}}"}},
				},
				{
					Title: "Type of the peers' candidates", Unit: "cpm", Look: Stacked,
					Text: "host: no NAT on the way. srflx and prflx: one NAT. relay: the media goes through a TURN server.",
					Queries: []Query{
						{perMinute(`skybridge_webrtc_connected_total{@}`, "candidate"), "{{candidate}}"},
					},
				},
				{
					Title: "ICE restarts", Unit: "cpm",
					Text:    "Browsers ask for one when their network changes, or when packets stop coming.",
					Queries: []Query{{perMinute(`skybridge_webrtc_ice_restarts_total{@}`, "instance"), "{{instance}}"}},
				},
				{
					Title: "Offers refused", Unit: "cpm", Look: Stacked,
					Text:    "no_codec: the browser offers nothing that we speak. malformed: no SDP that we understand. internal: a fault of ours.",
					Queries: []Query{{perMinute(`skybridge_webrtc_offers_refused_total{@}`, "reason"), "{{reason}}"}},
				},
				{
					Title: "What participants believe they can receive", Unit: "bps",
					Text: "Their estimates (REMB): what nine in ten, and half of them, exceed. Below 300 kbit/s there is hardly a picture.",
					Queries: []Query{
						{"8 * " + quantile("0.5", "skybridge_port_estimate_bytes_per_second", "protocol", "[r]"), "half {{protocol}}"},
						{"8 * " + quantile("0.1", "skybridge_port_estimate_bytes_per_second", "protocol", "[r]"), "90 % {{protocol}}"},
					},
				},
			}},
			{"Client API", []Panel{
				{
					Title: "Requests refused", Unit: "cpm", Look: Stacked,
					Text: "By the reason that the client was told. elsewhere sends it to another node, which is normal. capacity: no room. " +
						"token: expired or wrong. internal: a fault.",
					Queries: []Query{{present(perMinute, `skybridge_api_refused_total`, "reason", `reason=~"capacity|internal"`), "{{reason}}"}},
				},
				{
					Title: "Requests carried out", Unit: "reqps", Look: Stacked,
					Text:    "By function.",
					Queries: []Query{{present(perSecond, `skybridge_api_requests_total`, "function", `function="request_token"`), "{{function}}"}},
				},
				{
					Title: "Participants and event streams", Unit: "short",
					Text: "Participants who joined through HTTP, and event streams that are open. A participant without a stream misses what happens.",
					Queries: []Query{
						{`sum by (protocol) (skybridge_api_seats_active{@})`, "{{protocol}}"},
						{`sum(skybridge_api_streams_active{@})`, "streams"},
					},
				},
				{
					Title: "Tokens that were not refreshed", Unit: "cpm",
					Text:    "Participants who ended because of it: a laptop that was closed, or a client that does not know how.",
					Queries: []Query{{perMinute(`skybridge_api_tokens_expired_total{@}`, "instance"), "{{instance}}"}},
				},
				{
					Title: "Events sent", Unit: "eps", Look: Stacked,
					Text:    "By name, to all streams together.",
					Queries: []Query{{present(perSecond, `skybridge_api_events_sent_total`, "event", `event="participant_create"`), "{{event}}"}},
				},
			}},
		},
	}
}
