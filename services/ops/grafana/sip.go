package grafana

func sip() Dashboard {
	const answered = `skybridge_sip_calls_total{@, direction="incoming", result="2xx"}`
	return Dashboard{
		Name: "sip", Title: "SIP",
		Text: "Calls of phones and room systems: whether they get in, how fast, and what is said on the wire.",
		Rows: []Row{
			{"Calls", []Panel{
				{
					Title: "Incoming calls answered", Unit: "percentunit", Max: 1, Warn: 0.95, Bad: 0.8,
					Text: "Part of the calls of the last 15 minutes whose INVITE got a 2xx. Wrong numbers and scanners pull it down, as do refusals; the next panel tells them apart.",
					Queries: []Query{{
						`sum(rate(` + answered + `[15m])) / (sum(rate(skybridge_sip_calls_total{@, direction="incoming"}[15m])) > 0)`, "answered",
					}},
				},
				{
					Title: "Calls that came to nothing", Unit: "cpm", Look: Stacked,
					Text: "By final status. 404: wrong alias. 486: room full. 488: no common codec or no SRTP. 503: no capacity. 302: sent to " +
						"another node, which is normal. 5xx otherwise: a fault.",
					Queries: []Query{{present(perMinute, `skybridge_sip_failures_total`, "direction, code", `direction="incoming", code=~"404|486|488|503"`), "{{code}} {{direction}}"}},
				},
				{
					Title: "Time from INVITE to 200", Unit: "s", Warn: 1, Bad: 3,
					Text:    "Of calls that were answered. Incoming ones take milliseconds; outgoing ones wait for people. Over the last 15 minutes.",
					Queries: rarely("skybridge_sip_setup_seconds", "direction"),
				},
				{
					Title: "Calls by result", Unit: "cpm", Look: Stacked,
					Text:    "By the class of the final response to their INVITE, in both directions.",
					Queries: []Query{{present(perMinute, `skybridge_sip_calls_total`, "direction, result", `result="2xx"`), "{{result}} {{direction}}"}},
				},
				{
					Title: "Calls that exist", Unit: "short", Look: Stacked,
					Text:    "From the first INVITE to the last BYE. If it stays when the calls of the platform have gone, peers do not say BYE.",
					Queries: []Query{{`skybridge_sip_dialogs{@}`, "{{instance}}"}},
				},
				{
					Title: "Calls whose session was not refreshed", Unit: "cpm",
					Text:    "They were ended because no session refresh (RFC 4028) came in time: the peer has gone, or a proxy swallows them.",
					Queries: []Query{{perMinute(`skybridge_sip_sessions_expired_total{@}`, "instance"), "{{instance}}"}},
				},
			}},
			{"Transports", []Panel{
				{
					Title: "Messages by transport", Unit: "mps",
					Text:    "Received and sent. One transport that falls to nothing while the others go on is a firewall or a listener.",
					Queries: []Query{{perSecond(`skybridge_sip_messages_total{@}`, "transport, direction"), "{{transport}} {{direction}}"}},
				},
				{
					Title: "Connections", Unit: "short",
					Text:    "TCP and TLS connections that are open.",
					Queries: []Query{{`sum by (transport, instance) (skybridge_sip_connections{@})`, "{{transport}} {{instance}}"}},
				},
				{
					Title: "Said once more", Unit: "cpm",
					Text:    "Retransmissions. received: our answers get lost, or come late. sent: the peers' do.",
					Queries: []Query{{perMinute(`skybridge_sip_retransmissions_total{@}`, "direction"), "{{direction}}"}},
				},
			}},
			{"Messages", []Panel{
				{
					Title: "Requests", Unit: "reqps", Look: Stacked,
					Text:    "By method, in both directions. Many REGISTER or OPTIONS from outside are scanners; they are answered, and slowed down.",
					Queries: []Query{{present(perSecond, `skybridge_sip_requests_total`, "method, direction", `method="invite"`), "{{method}} {{direction}}"}},
				},
				{
					Title: "Responses", Unit: "mps",
					Text:    "By class, in both directions. 5xx sent are calls refused for want of capacity or by a fault.",
					Queries: []Query{{present(perSecond, `skybridge_sip_responses_total`, "class, direction", `class="5xx"`), "{{class}} {{direction}}"}},
				},
				{
					Title: "Dropped without an answer", Unit: "cpm", Look: Stacked,
					Text: "flood: more from one source than is allowed. connection: too many connections. slow: a handshake or message that did not " +
						"end. unmatched: about no call we know. overflow: a call that got more than it could handle.",
					Queries: []Query{{perMinute(`skybridge_sip_dropped_total{@}`, "reason"), "{{reason}}"}},
				},
				{
					Title: "Not understood", Unit: "cpm",
					Text:    "Messages that could not be parsed, or lack what they need. From the internet that is normal; from your own equipment it is not.",
					Queries: []Query{{perMinute(`skybridge_sip_malformed_total{@}`, "transport"), "{{transport}}"}},
				},
				{
					Title: "Panics", Unit: "cpm", Warn: 0.01, Bad: 0.1,
					Text:    "Bugs that a message or a call has hit. That call ended, the others went on. The log has the stack.",
					Queries: []Query{{perMinute(`skybridge_sip_panics_total{@}`, "instance"), "{{instance}}"}},
				},
			}},
		},
	}
}
