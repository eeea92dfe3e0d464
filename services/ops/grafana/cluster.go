package grafana

func cluster() Dashboard {
	return Dashboard{
		Name: "cluster", Title: "NATS and actors",
		Text: "What holds the nodes together. Calls go on without NATS; new conferences, events and moves between nodes do not.",
		Rows: []Row{
			{"NATS", []Panel{
				{
					Title: "Connected", Unit: "bool_on_off", Max: 1,
					Text:    "Whether a node has both of its connections to NATS. Without, it sees no other node and its events wait.",
					Queries: []Query{{`skybridge_nats_connected{@}`, "{{instance}}"}},
				},
				{
					Title: "Events that wait for NATS", Unit: "short", Warn: 100, Bad: 1000,
					Text:    "The outbox. It empties within seconds when NATS is there; when it is full, events are lost.",
					Queries: []Query{{`skybridge_natsbus_spool_events{@}`, "{{instance}}"}},
				},
				{
					Title: "Events lost", Unit: "cpm", Warn: 0.1, Bad: 1,
					Text:    "full: the outbox was. rejected: NATS did not want them. stopped: the node ended before NATS came back.",
					Queries: []Query{{perMinute(`skybridge_natsbus_events_dropped_total{@}`, "reason"), "{{reason}}"}},
				},
				{
					Title: "Events published", Unit: "eps",
					Text:    "Acknowledged by NATS, which means on disk.",
					Queries: []Query{{perSecond(`skybridge_natsbus_events_published_total{@}`, "instance"), "{{instance}}"}},
				},
				{
					Title: "Trouble with NATS", Unit: "cpm",
					Text: "reconnects: a connection was lost and came back. retries: publishing failed and was repeated. slow: a subscription lost messages, " +
						"as the node did not take them in time.",
					Queries: []Query{
						{`60 * sum(rate(skybridge_natsbus_reconnects_total{@}[r]))`, "reconnects"},
						{`60 * sum(rate(skybridge_natsbus_publish_retries_total{@}[r]))`, "retries"},
						{`60 * sum(rate(skybridge_natsbus_slow_consumers_total{@}[r]))`, "slow"},
					},
				},
			}},
			{"Commands over NATS", []Panel{
				{
					Title: "Commands", Unit: "cpm",
					Text:    "What integrations asked nodes for.",
					Queries: []Query{{perMinute(`skybridge_natsbus_requests_total{@}`, "endpoint"), "{{endpoint}}"}},
				},
				{
					Title: "Commands answered with an error", Unit: "cpm",
					Text: "invalid, not_found, forbidden and conflict: an integration asks for what cannot be. unavailable and internal: nodes are stopping, " +
						"cut off or at fault.",
					Queries: []Query{{perMinute(`skybridge_natsbus_request_errors_total{@}`, "endpoint, code"), "{{endpoint}} {{code}}"}},
				},
				{
					Title: "Time to the answer", Unit: "s", Warn: 1, Bad: 5,
					Text:    "From a command's arrival to its answer. Over the last 15 minutes.",
					Queries: rarely("skybridge_natsbus_request_seconds", "endpoint"),
				},
				{
					Title: "Commands under way", Unit: "short",
					Text:    "Normally none or a few. A node takes so many at a time and refuses further ones.",
					Queries: []Query{{`sum by (instance) (skybridge_natsbus_requests_active{@})`, "{{instance}}"}},
				},
			}},
			{"Actors", []Panel{
				{
					Title: "Panics", Unit: "cpm", Look: Stacked, Warn: 0.01, Bad: 0.1,
					Text: "Bugs. A panic of a participant ends that call, one of a conference or transcoder that conference. The log has the stack.",
					Queries: []Query{
						{perMinute(`skybridge_actors_panics_total{@}`, "kind"), "{{kind}}"},
						{`60 * sum(rate(skybridge_participant_panics_total{@}[r]))`, "at the end of a call"},
					},
				},
				{
					Title: "Messages that wait", Unit: "short", Warn: 100, Bad: 1000,
					Text:    "In mailboxes, over all actors of a kind. Normally none; a hill means that the node cannot keep up with what happens.",
					Queries: []Query{{`sum by (kind, instance) (skybridge_actors_mailbox_messages{@})`, "{{kind}} {{instance}}"}},
				},
				{
					Title: "Messages nobody took", Unit: "cpm",
					Text: "dead: to actors that had ended; some at the end of calls are normal. overflow: a mailbox was full, and what was asked for did not happen. " +
						"remote: to actors of other nodes.",
					Queries: []Query{
						{`60 * sum(rate(skybridge_actors_dead_letters_total{@}[r]))`, "dead"},
						{`60 * sum(rate(skybridge_actors_mailbox_overflows_total{@}[r]))`, "overflow"},
						{`60 * sum(rate(skybridge_remote_dead_letters_total{@}[r]))`, "remote"},
					},
				},
				{
					Title: "Participants known and attached", Unit: "short",
					Text: "In rosters, and attached to a mixer. The two differ for moments; if they stay different, participants hear nothing.",
					Queries: []Query{
						{`sum(skybridge_conference_participants{@})`, "in rosters"},
						{`sum(skybridge_transcoder_legs{@})`, "attached"},
					},
				},
				{
					Title: "Rosters", Unit: "mps",
					Text: "sent: to subscribers and mixers. plans: those that a mixer acted upon. stale: that came too late, which is normal when an owner changes.",
					Queries: []Query{
						{`sum(rate(skybridge_conference_rosters_sent_total{@}[r]))`, "sent"},
						{`sum(rate(skybridge_transcoder_plans_total{@}[r]))`, "plans"},
						{`sum(rate(skybridge_transcoder_rosters_stale_total{@}[r]))`, "stale"},
					},
				},
			}},
			{"Who owns what", []Panel{
				{
					Title: "Sessions in the directory", Unit: "bool_yes_no", Max: 1,
					Text:    "Whether a node may act as owner of its conferences. Without, it goes on with what it has and other nodes may take that over.",
					Queries: []Query{{`skybridge_claim_session_valid{@}`, "{{instance}}"}},
				},
				{
					Title: "Nodes, as each node sees them", Unit: "short",
					Text: "directory: nodes with a session. heard: other nodes that are heard, so one less. Nodes that disagree are cut off from each other.",
					Queries: []Query{
						{`skybridge_claim_nodes{@}`, "{{instance}} directory"},
						{`skybridge_remote_peers{@}`, "{{instance}} heard"},
					},
				},
				{
					Title: "Conferences without the directory's word", Unit: "short", Warn: 1, Bad: 1,
					Text:    "They began while the directory was out of reach. The same alias may exist on another node as a second conference.",
					Queries: []Query{{`skybridge_node_conferences_unclaimed{@}`, "{{instance}}"}},
				},
				{
					Title: "Trouble with the directory", Unit: "cpm",
					Text: "renewals: of a session, that failed. errors: questions it could not answer. fenced: another node has proven this one dead. " +
						"renamed: it has come back under a new address.",
					Queries: []Query{
						{`60 * sum(rate(skybridge_claim_renewals_failed_total{@}[r]))`, "renewals"},
						{`60 * sum(rate(skybridge_claim_errors_total{@}[r]))`, "errors"},
						{`60 * sum(rate(skybridge_claim_fenced_total{@}[r]))`, "fenced"},
						{`60 * sum(rate(skybridge_claim_records_unreadable_total{@}[r]))`, "unreadable records"},
						{`60 * sum(rate(skybridge_remote_renewals_total{@}[r]))`, "renamed"},
					},
				},
				{
					Title: "Conferences that moved", Unit: "cpm",
					Text: "lost: an owner was gone. rejoins: a mixer brought its conference to a new owner, which counts a takeover. Callers notice nothing of it.",
					Queries: []Query{
						{`60 * sum(rate(skybridge_node_owners_lost_total{@}[r]))`, "lost"},
						{`60 * sum(rate(skybridge_transcoder_rejoins_total{@}[r]))`, "rejoins"},
						{`60 * sum(rate(skybridge_conference_takeovers_total{@}[r]))`, "takeovers"},
					},
				},
				{
					Title: "Claims", Unit: "cpm",
					Text:    "Answers of the directory to who owns a conference. mine: the one that asked, from now on. other: another node. none: nobody. failed: no answer.",
					Queries: []Query{{perMinute(`skybridge_node_claims_total{@}`, "result"), "{{result}}"}},
				},
				{
					Title: "Names owned", Unit: "short",
					Text:    "Names in the directory, one for each conference, by the node that owns them.",
					Queries: []Query{{`skybridge_claim_names_held{@}`, "{{instance}}"}},
				},
				{
					Title: "Sessions renewed", Unit: "cps",
					Text:    "A node renews its session more than once per second. A line that falls is a directory that is slow; at nothing it loses what it owns.",
					Queries: []Query{{perSecond(`skybridge_claim_renewals_total{@}`, "instance"), "{{instance}}"}},
				},
			}},
			{"Links between nodes", []Panel{
				{
					Title: "Nodes declared dead", Unit: "cpm", Look: Stacked,
					Text:    "bye: it was stopped. silent and unreachable: it crashed or is cut off; its calls are gone. replaced: it restarted. version: it speaks another version.",
					Queries: []Query{{perMinute(`skybridge_remote_dead_peers_total{@}`, "reason"), "{{reason}}"}},
				},
				{
					Title: "Time to an acknowledgement", Unit: "s", Warn: 0.1, Bad: 0.5,
					Text:    "From a message to another node until it has said that it got it. It goes through NATS and back. Over the last 15 minutes.",
					Queries: rarely("skybridge_remote_acknowledgement_seconds", "instance"),
				},
				{
					Title: "Messages lost between nodes", Unit: "cpm", Warn: 0.1, Bad: 1,
					Text: "lost: found missing. gaps: how often. overflows: given up as the queue to NATS was full. undecodable, refused: from a node of another version, " +
						"or a stranger.",
					Queries: []Query{
						{`60 * sum(rate(skybridge_remote_messages_lost_total{@}[r]))`, "lost"},
						{`60 * sum(rate(skybridge_remote_gaps_total{@}[r]))`, "gaps"},
						{`60 * sum(rate(skybridge_remote_queue_overflows_total{@}[r]))`, "overflows"},
						{`60 * sum(rate(skybridge_remote_messages_undecodable_total{@}[r]))`, "undecodable"},
						{`60 * sum(rate(skybridge_remote_messages_refused_total{@}[r]))`, "refused"},
					},
				},
				{
					Title: "Messages between nodes", Unit: "mps",
					Text: "Sent and received; repeats are system messages sent again for want of an acknowledgement.",
					Queries: []Query{
						{`sum by (instance) (rate(skybridge_remote_messages_sent_total{@}[r]))`, "{{instance}} sent"},
						{`sum by (instance) (rate(skybridge_remote_messages_received_total{@}[r]))`, "{{instance}} received"},
						{`sum by (instance) (rate(skybridge_remote_repeats_total{@}[r]))`, "{{instance}} repeats"},
					},
				},
				{
					Title: "Messages that wait for NATS", Unit: "short", Warn: 100, Bad: 1000,
					Text:    "The queue of messages to other nodes. When it is full they are given up.",
					Queries: []Query{{`skybridge_remote_queue_messages{@}`, "{{instance}}"}},
				},
				{
					Title: "Asked and nobody there", Unit: "cpm",
					Text:    "Requests for which NATS knew no receiver: the other node has just gone.",
					Queries: []Query{{perMinute(`skybridge_remote_no_responders_total{@}`, "instance"), "{{instance}}"}},
				},
			}},
		},
	}
}
