package grafana

// turnedAway are the outcomes of an admission that are our fault, and not the
// caller's.
const turnedAway = `skybridge_node_admissions_total{@, result=~"capacity|full|unavailable|failed"}`

func platform() Dashboard {
	return Dashboard{
		Name: "platform", Title: "platform",
		Text: "Is everything up, who is on it, and how much more fits. Begin here.",
		Rows: []Row{
			{"Now", []Panel{
				{
					Title: "Alerts firing", Unit: "short", Look: Number, Warn: 1, Bad: 1,
					Text:    "Alerts that fire now. Each has its section in the manual, which its link leads to.",
					Queries: []Query{{`count(ALERTS{alertstate="firing", alertname=~"Skybridge.+"}) or vector(0)`, "alerts"}},
				},
				{
					Title: "Nodes that do not answer", Unit: "short", Look: Number, Warn: 1, Bad: 1,
					Text:    "Nodes whose metrics Prometheus cannot read: down, cut off, or hung.",
					Queries: []Query{{`count(up{@, job="skybridge"} == 0) or vector(0)`, "nodes"}},
				},
				{
					Title: "Calls", Unit: "short", Look: Number,
					Text:    "Calls on all nodes, from asking for admission to their end.",
					Queries: []Query{{`sum(skybridge_node_calls{@})`, "calls"}},
				},
				{
					Title: "Conferences", Unit: "short", Look: Number,
					Text:    "Conferences that exist now, each counted once, by the node that owns it.",
					Queries: []Query{{`sum(skybridge_conference_active{@})`, "conferences"}},
				},
				{
					Title: "Capacity used", Unit: "percentunit", Look: Number, Max: 1, Warn: 0.7, Bad: 0.85,
					Text:    "Part of what all nodes together can carry that calls have leased. Empty when no node has a limit.",
					Queries: []Query{{`sum(skybridge_node_leased_hd_units{@}) / (sum(skybridge_node_capacity_hd_units{@}) > 0)`, "used"}},
				},
				{
					Title: "Turned away in 15 min", Unit: "short", Look: Number, Warn: 1, Bad: 10,
					Text: "Callers who could not get in for want of capacity, because a room was at its limit, or by a fault. " +
						"Wrong aliases and locked rooms are not counted.",
					Queries: []Query{{`sum(increase(` + turnedAway + `[15m]))`, "callers"}},
				},
			}},
			{"Coming and going", []Panel{
				{
					Title: "Calls by protocol", Unit: "short", Look: Stacked,
					Text:    "Calls that were admitted, by how they came. A sudden step down on one protocol is an outage of it.",
					Queries: []Query{{`sum by (protocol) (skybridge_participant_calls{@})`, "{{protocol}}"}},
				},
				{
					Title: "Participants joining and calls ending", Unit: "cpm",
					Text: "Per minute. Bursts at the full hour are normal; look whether time until there is media rises with them.",
					Queries: []Query{
						{`60 * sum(rate(skybridge_conference_joins_total{@}[r]))`, "join"},
						{`60 * sum(rate(skybridge_participant_calls_ended_total{@}[r]))`, "end"},
					},
				},
				{
					Title: "Largest burst of joins", Unit: "short",
					Text:    "Participants that a node admitted within one minute. What a node must stand at the full hour.",
					Queries: []Query{{`max_over_time(sum by (instance) (increase(skybridge_conference_joins_total{@}[1m]))[r:15s])`, "{{instance}}"}},
				},
				{
					Title: "Time until there is sound and picture", Unit: "s", Warn: 2, Bad: 5,
					Text:    "From asking for admission until the media of a call is there. Callers notice more than two seconds. Over the last 15 minutes.",
					Queries: rarely("skybridge_participant_setup_seconds", "protocol"),
				},
				{
					Title: "Why calls end", Unit: "cpm", Look: Stacked,
					Text: "hangup and disconnected are people. media_lost, timeout and failed are ours or the network's: " +
						"look at the dashboard of the protocol.",
					Queries: []Query{{perMinute(`skybridge_participant_calls_ended_total{@}`, "reason"), "{{reason}}"}},
				},
				{
					Title: "Keys pressed", Unit: "cpm",
					Text:    "By how we were told: in the media (RFC 4733) or in the signalling. None at all, where callers dial PINs, is a fault.",
					Queries: []Query{{perMinute(`skybridge_participant_digits_total{@}`, "source"), "{{source}}"}},
				},
			}},
			{"Capacity", []Panel{
				{
					Title: "Capacity used, by node", Unit: "percentunit", Max: 1, Warn: 0.7, Bad: 0.85,
					Text:    "Part of each node's capacity that calls have leased. Beyond it the node sends callers to others.",
					Queries: []Query{{`skybridge_node_leased_hd_units{@} / (skybridge_node_capacity_hd_units{@} > 0)`, "{{instance}}"}},
				},
				{
					Title: "Free capacity", Unit: "short", Look: Stacked,
					Text: "HD calls that still fit. Compare with the largest burst of joins: a burst that is larger is refused.",
					Queries: []Query{
						{`(skybridge_node_capacity_hd_units{@} > 0) - skybridge_node_leased_hd_units{@}`, "{{instance}}"},
					},
				},
				{
					Title: "What became of those who asked", Unit: "cpm", Look: Stacked,
					Text: "Admissions by result. redirected is normal with several nodes; capacity means that no node had room; " +
						"unavailable and failed are faults.",
					Queries: []Query{{perMinute(`skybridge_node_admissions_total{@}`, "result"), "{{result}}"}},
				},
				{
					Title: "Turned away by conferences", Unit: "cpm", Look: Stacked,
					Text:    "forbidden: the room was locked. full: it was at its limit. The others are faults.",
					Queries: []Query{{perMinute(`skybridge_conference_joins_refused_total{@}`, "code"), "{{code}}"}},
				},
				{
					Title: "Calls by node", Unit: "short", Look: Stacked,
					Text:    "How calls spread over the nodes. Conferences are not split, so it need not be even.",
					Queries: []Query{{`skybridge_node_calls{@}`, "{{instance}}"}},
				},
				{
					Title: "Conferences by node", Unit: "short",
					Text: "media: the node mixes the conference. owned: its roster lives there. The two may be on different nodes.",
					Queries: []Query{
						{`skybridge_transcoder_active{@}`, "{{instance}} media"},
						{`skybridge_node_conferences_owned{@}`, "{{instance}} owned"},
					},
				},
			}},
			{"Nodes", []Panel{
				{
					Title: "Nodes that answer", Unit: "bool_on_off", Max: 1,
					Text:    "Whether Prometheus can read the metrics of a node.",
					Queries: []Query{{`up{@, job="skybridge"}`, "{{instance}}"}},
				},
				{
					Title: "Time since start", Unit: "s",
					Text:    "A saw is a node that restarts again and again.",
					Queries: []Query{{`time() - process_start_time_seconds{@, job="skybridge"}`, "{{instance}}"}},
				},
				{
					Title: "Versions", Unit: "short", Look: Stacked,
					Text:    "Nodes by the version that they run. Two versions for longer than an upgrade takes is an upgrade that stopped.",
					Queries: []Query{{`count by (version) (skybridge_build_info{@})`, "{{version}}"}},
				},
				{
					Title: "Nodes that drain", Unit: "bool_yes_no", Max: 1,
					Text:    "A node that drains keeps its calls and takes no new conferences.",
					Queries: []Query{{`skybridge_node_draining{@}`, "{{instance}}"}},
				},
				{
					Title: "Alerts", Unit: "short", Look: Stacked, Width: 16,
					Text:    "What fires, and since when.",
					Queries: []Query{{`count by (alertname) (ALERTS{alertstate="firing", alertname=~"Skybridge.+"}) or label_replace(vector(0), "alertname", "none", "", "")`, "{{alertname}}"}},
				},
			}},
		},
	}
}
