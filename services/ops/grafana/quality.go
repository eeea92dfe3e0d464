package grafana

func quality() Dashboard {
	return Dashboard{
		Name: "quality", Title: "conference quality",
		Text: "What participants hear and see: first whether the network loses it, then whether we are late with it.",
		Rows: []Row{
			{"Sound", []Panel{
				{
					Title: "Sound made up", Unit: "percentunit", Warn: 0.01, Bad: 0.05,
					Text: "Part of the time for which sound of participants was lost or late and had to be invented. " +
						"From one percent on, people ask each other to repeat.",
					Queries: []Query{{
						`sum by (protocol) (rate(skybridge_port_concealed_seconds_total{@}[r])) / (sum by (protocol) (skybridge_port_open{@}) > 0)`, "{{protocol}}",
					}},
				},
				{
					Title: "Ticks that were late", Unit: "percentunit", Warn: 0.001, Bad: 0.01,
					Text: "Part of the audio ticks that began more than 5 ms late: the machine is overloaded, or its hypervisor takes the " +
						"CPU away. Everybody on the node hears it.",
					Queries: []Query{{
						`sum by (instance) (rate(skybridge_bridge_ticks_late_total{@}[r])) / (sum by (instance) (rate(skybridge_bridge_ticks_total{@}[r])) > 0)`, "{{instance}}",
					}},
				},
				{
					Title: "Participants who went silent", Unit: "cpm",
					Text: "Calls from which nothing was heard for the whole timeout, and calls that ended because of it: " +
						"a firewall, a NAT that forgot, or a phone without network.",
					Queries: []Query{
						{perMinute(`skybridge_port_silences_total{@}`, "protocol"), "silent {{protocol}}"},
						{`60 * sum(rate(skybridge_participant_calls_ended_total{@, reason="media_lost"}[r]))`, "ended"},
					},
				},
			}},
			{"Network", []Panel{
				{
					Title: "Lost on the way to us", Unit: "percentunit", Warn: 0.02, Bad: 0.05,
					Text: "Part of participants' packets that did not arrive. If one protocol alone has it, it is their network; if all have " +
						"it, it is ours.",
					Queries: []Query{{
						`sum by (protocol, media) (rate(skybridge_port_packets_lost_total{@, direction="received"}[r])) / (sum by (protocol, media) (` +
							`rate(skybridge_port_packets_total{@, direction="received"}[r]) + rate(skybridge_port_packets_lost_total{@, direction="received"}[r])) > 0)`,
						"{{media}} {{protocol}}",
					}},
				},
				{
					Title: "Lost on the way to participants", Unit: "percentunit", Warn: 0.02, Bad: 0.05,
					Text: "Part of our packets that participants reported as lost. Browsers ask for video again, phones do not.",
					Queries: []Query{{
						`sum by (protocol, media) (rate(skybridge_port_packets_lost_total{@, direction="sent"}[r])) / (sum by (protocol, media) (` +
							`rate(skybridge_port_packets_total{@, direction="sent"}[r])) > 0)`,
						"{{media}} {{protocol}}",
					}},
				},
				{
					Title: "Packets", Unit: "pps",
					Text:    "RTP packets received from and sent to participants.",
					Queries: []Query{{perSecond(`skybridge_port_packets_total{@}`, "direction, media"), "{{media}} {{direction}}"}},
				},
				{
					Title: "Jitter of what we receive", Unit: "s", Warn: 0.03, Bad: 0.06,
					Text:    "How unevenly packets arrive. More than 30 ms costs delay, as the buffer grows with it.",
					Queries: halfAndTail("skybridge_port_jitter_seconds", "media, protocol"),
				},
				{
					Title: "Round trip to participants", Unit: "s", Warn: 0.2, Bad: 0.4,
					Text:    "As their reports tell. From 300 ms on, people talk at the same time.",
					Queries: halfAndTail("skybridge_port_round_trip_seconds", "media, protocol"),
				},
				{
					Title: "Media bit rate", Unit: "bps",
					Text:    "Payload received from and sent to participants.",
					Queries: []Query{{"8 * " + perSecond(`skybridge_port_payload_bytes_total{@}`, "direction, media"), "{{media}} {{direction}}"}},
				},
			}},
			{"Picture", []Panel{
				{
					Title: "Delay of the picture", Unit: "s", Warn: 0.15, Bad: 0.3,
					Text:    "From the last packet of a participant's picture until the first packet of a picture that shows it. The network comes on top.",
					Queries: halfAndTail("skybridge_bridge_video_latency_seconds", "instance"),
				},
				{
					Title: "Pictures not sent", Unit: "percentunit", Warn: 0.02, Bad: 0.1,
					Text: "Part of the pictures that were due and dropped. compose and encode: no worker was free, the node has too little CPU. " +
						"rate_control: the encoder kept to its bit rate.",
					Queries: []Query{{
						`sum by (stage) (rate(skybridge_bridge_frames_dropped_total{@}[r])) / on () group_left () (` +
							`sum(rate(skybridge_bridge_frames_encoded_total{@}[r])) + sum(rate(skybridge_bridge_frames_dropped_total{@}[r])) > 0)`, "{{stage}}",
					}},
				},
				{
					Title: "Pictures of participants", Unit: "cps",
					Text: "decoded is how it should be. skipped: the decoder was too slow. undecodable: corrupt, after loss or from an endpoint with a fault.",
					Queries: []Query{
						{`sum(rate(skybridge_port_pictures_decoded_total{@}[r]))`, "decoded"},
						{`sum(rate(skybridge_port_pictures_skipped_total{@}[r]))`, "skipped"},
						{`sum(rate(skybridge_port_pictures_undecodable_total{@}[r]))`, "undecodable"},
					},
				},
				{
					Title: "Key frames asked for", Unit: "cpm",
					Text: "sent: we asked participants, as somebody joined or their picture broke. received: they asked us. Many per participant " +
						"and minute make pictures coarse.",
					Queries: []Query{{perMinute(`skybridge_port_key_frame_requests_total{@}`, "direction, protocol"), "{{direction}} {{protocol}}"}},
				},
				{
					Title: "Video packets asked for again", Unit: "pps",
					Text: "sent: we asked; received: participants asked us; resent: what they got. received well above resent means that they asked too late.",
					Queries: []Query{
						{perSecond(`skybridge_port_nacked_packets_total{@}`, "direction"), "{{direction}}"},
						{`sum(rate(skybridge_port_packets_resent_total{@}[r]))`, "resent"},
					},
				},
				{
					Title: "Changes of quality", Unit: "cpm",
					Text: "worse: a participant's network did not take what it was sent. better: it does again. layer: we decode another size of " +
						"a participant's simulcast. Much of both worse and better is a network that breathes.",
					Queries: []Query{
						{perMinute(`skybridge_port_tier_changes_total{@}`, "to"), "{{to}}"},
						{`60 * sum(rate(skybridge_port_layer_changes_total{@}[r]))`, "layer"},
					},
				},
				{
					Title: "Pictures encoded", Unit: "cps",
					Text: "composed: something had changed in a view. encoded: once for all who see the same. unchanged: nothing to encode. key: whole pictures.",
					Queries: []Query{
						{`sum(rate(skybridge_bridge_frames_composed_total{@}[r]))`, "composed"},
						{`sum(rate(skybridge_bridge_frames_encoded_total{@}[r]))`, "encoded"},
						{`sum(rate(skybridge_bridge_frames_unchanged_total{@}[r]))`, "unchanged"},
						{`sum(rate(skybridge_bridge_key_frames_total{@}[r]))`, "key"},
					},
				},
				{
					Title: "Presentations", Unit: "short",
					Text:    "Conferences in which something is presented, and shown to somebody.",
					Queries: []Query{{`sum by (instance) (skybridge_bridge_presentations{@})`, "{{instance}}"}},
				},
				{
					Title: "Keys sent and received", Unit: "cpm",
					Text:    "Telephone events (RFC 4733) in the media, by protocol.",
					Queries: []Query{{perMinute(`skybridge_port_digits_total{@}`, "direction, protocol"), "{{direction}} {{protocol}}"}},
				},
			}},
			{"Test calls", []Panel{
				{
					Title: "Test calls going on", Unit: "short",
					Text:    "Each takes what two calls take.",
					Queries: []Query{{`sum by (instance) (skybridge_testcall_active{@})`, "{{instance}}"}},
				},
				{
					Title: "Sound of test calls", Unit: "short",
					Text: "Estimated quality (MOS), 1 to 4.5, at the end of test calls: of what came from the callers, and of what they were sent. " +
						"Half of the calls, and one in twenty, were worse than the lines. Below 3.6 people complain. Over the last 15 minutes.",
					Queries: []Query{
						{quantile("0.5", "skybridge_testcall_mos", "direction", "[15m]"), "half {{direction}}"},
						{quantile("0.05", "skybridge_testcall_mos", "direction", "[15m]"), "5 % {{direction}}"},
					},
				},
				{
					Title: "Ends of test calls", Unit: "cpm",
					Text:    "finished: the time was over. hangup: the caller knew enough. failed: it never began, or something broke.",
					Queries: []Query{{perMinute(`skybridge_testcall_ended_total{@}`, "reason"), "{{reason}}"}},
				},
			}},
		},
	}
}
