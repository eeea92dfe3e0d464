package grafana

func node() Dashboard {
	return Dashboard{
		Name: "node", Title: "nodes",
		Text: "What the machines have left. Choose one node above to see it alone.",
		Rows: []Row{
			{"Processor and memory", []Panel{
				{
					Title: "Processor", Unit: "percentunit", Max: 1, Warn: 0.85, Bad: 0.95,
					Text: "CPU time of the process, as a part of the machine's. Capacity is made so that it stays below 85 %; above, " +
						"something else uses the machine, or the capacity is set too high.",
					Queries: []Query{{`rate(process_cpu_seconds_total{@, job="skybridge"}[r]) / on (instance) skybridge_process_cpus{@}`, "{{instance}}"}},
				},
				{
					Title: "How late audio ticks begin", Unit: "s", Warn: 0.005, Bad: 0.015,
					Text: "What one tick in a hundred, and one in a thousand, exceeds. Beyond 5 ms it counts as late; beyond 20 ms a tick is missed.",
					Queries: []Query{
						{quantile("0.999", "skybridge_bridge_tick_lateness_seconds", "instance", "[r]"), "99.9 % {{instance}}"},
						{quantile("0.99", "skybridge_bridge_tick_lateness_seconds", "instance", "[r]"), "99 % {{instance}}"},
					},
				},
				{
					Title: "Memory", Unit: "bytes",
					Text: "resident: what the machine gives. heap: what Go objects take, without the codecs. One that only rises is a leak.",
					Queries: []Query{
						{`process_resident_memory_bytes{@, job="skybridge"}`, "{{instance}} resident"},
						{`go_memstats_heap_inuse_bytes{@, job="skybridge"}`, "{{instance}} heap"},
					},
				},
				{
					Title: "Garbage collection", Unit: "s", Warn: 0.005, Bad: 0.02,
					Text:    "The longest pause of the last collections. Audio waits while it lasts.",
					Queries: []Query{{`go_gc_duration_seconds{@, quantile=~"1|1.0", job="skybridge"}`, "{{instance}}"}},
				},
				{
					Title: "Goroutines and threads", Unit: "short",
					Text: "They follow the number of calls. What stays when the calls have gone is a leak.",
					Queries: []Query{
						{`go_goroutines{@, job="skybridge"}`, "{{instance}} goroutines"},
						{`go_threads{@, job="skybridge"}`, "{{instance}} threads"},
					},
				},
				{
					Title: "Open files and sockets", Unit: "percentunit", Max: 1, Warn: 0.7, Bad: 0.9,
					Text:    "Part of what the system lets the process open. A SIP call with video takes four. At the limit all calls are refused.",
					Queries: []Query{{`process_open_fds{@, job="skybridge"} / process_max_fds{@, job="skybridge"}`, "{{instance}}"}},
				},
			}},
			{"Media", []Panel{
				{
					Title: "Work of an audio tick", Unit: "s", Warn: 0.01, Bad: 0.02,
					Text:    "Decoding, mixing and encoding of 20 ms for one conference. One that takes 20 ms cannot keep up.",
					Queries: halfAndTail("skybridge_bridge_tick_seconds", "instance"),
				},
				{
					Title: "Wait for a video thread", Unit: "s", Warn: 0.02, Bad: 0.04,
					Text:    "How long a picture waits until somebody decodes, composes or encodes it. Beyond 33 ms pictures are dropped.",
					Queries: halfAndTail("skybridge_bridge_worker_wait_seconds", "instance"),
				},
				{
					Title: "Encoders", Unit: "short", Look: Stacked,
					Text: "Each serves all who hear or see the same. full_mix is for those who do not speak, mix_minus for those who do, " +
						"video is the expensive one.",
					Queries: []Query{{`sum by (kind) (skybridge_bridge_encode_groups{@})`, "{{kind}}"}},
				},
				{
					Title: "Conferences mixed and participants in them", Unit: "short",
					Text: "Bridges and the participants attached to them, per node; views are the different pictures that are composed.",
					Queries: []Query{
						{`skybridge_bridge_active{@}`, "{{instance}} bridges"},
						{`skybridge_bridge_legs{@}`, "{{instance}} participants"},
						{`skybridge_bridge_views{@}`, "{{instance}} views"},
						{`skybridge_port_open{@}`, "{{instance}} ports {{protocol}}"},
					},
				},
				{
					Title: "Sound decoded and encoded", Unit: "cps",
					Text: "Ticks of 20 ms: 50 per second and stream. Only who can be heard is decoded, and who hears the same is encoded once.",
					Queries: []Query{
						{`sum by (instance) (rate(skybridge_bridge_audio_decodes_total{@}[r]))`, "{{instance}} decoded"},
						{`sum by (instance) (rate(skybridge_bridge_audio_encodes_total{@}[r]))`, "{{instance}} encoded"},
					},
				},
				{
					Title: "Encoders that failed", Unit: "cpm", Warn: 0.1, Bad: 1,
					Text:    "They were replaced, and whoever saw that picture saw it stop for a moment. The log says why.",
					Queries: []Query{{perMinute(`skybridge_bridge_codec_errors_total{@}`, "instance"), "{{instance}}"}},
				},
			}},
			{"Network", []Panel{
				{
					Title: "RTP ports in use", Unit: "percentunit", Max: 1, Warn: 0.7, Bad: 0.9,
					Text: "Part of the pairs in --rtp-ports. A SIP call takes one for sound and one for video. Empty when the kernel picks the ports.",
					Queries: []Query{
						{`skybridge_rtp_port_pairs_used{@} / (skybridge_rtp_port_pairs{@} > 0)`, "{{instance}}"},
					},
				},
				{
					Title: "Calls that found no port", Unit: "cpm", Warn: 0.1, Bad: 1,
					Text:    "Media lines for which no pair was free; each cost a caller the call. Widen --rtp-ports.",
					Queries: []Query{{perMinute(`skybridge_rtp_port_pairs_exhausted_total{@}`, "instance"), "{{instance}}"}},
				},
				{
					Title: "Datagrams that went no further", Unit: "pps",
					Text: "source: from somebody who is not the peer. auth: SRTP that does not verify. send_buffer_full: the machine's network is full. " +
						"malformed and type: not what was agreed.",
					Queries: []Query{{perSecond(`skybridge_rtp_packets_dropped_total{@}`, "reason"), "{{reason}}"}},
				},
				{
					Title: "RTP of SIP calls", Unit: "pps",
					Text:    "Packets by node and direction.",
					Queries: []Query{{perSecond(`skybridge_rtp_packets_total{@}`, "instance, direction"), "{{instance}} {{direction}}"}},
				},
				{
					Title: "Bit rate of SIP calls", Unit: "bps",
					Text:    "RTP with its headers, by node and direction. Compare with what the machine's network carries.",
					Queries: []Query{{"8 * " + perSecond(`skybridge_rtp_bytes_total{@}`, "instance, direction"), "{{instance}} {{direction}}"}},
				},
				{
					Title: "RTP sessions, and peers behind NAT", Unit: "short",
					Text: "Sessions that are open, and, per minute, peers found to send from another address than they signalled.",
					Queries: []Query{
						{`skybridge_rtp_sessions{@}`, "{{instance}} sessions"},
						{perMinute(`skybridge_rtp_sources_learned_total{@}`, "instance"), "{{instance}} learned"},
					},
				},
			}},
			{"Disk, log, certificate", []Panel{
				{
					Title: "Free space for data", Unit: "percentunit", Max: 1, Warn: 0.2, Bad: 0.1,
					Text:    "On the file system of the data directory. Without any, the embedded NATS stores no events.",
					Queries: []Query{{`skybridge_data_free_bytes{@} / skybridge_data_size_bytes{@}`, "{{instance}}"}},
				},
				{
					Title: "Log lines lost", Unit: "cpm", Warn: 0.1, Bad: 1,
					Text:    "The log did not take them in time: a full disk, or nobody reads the pipe. Calls do not suffer.",
					Queries: []Query{{perMinute(`skybridge_log_lines_lost_total{@}`, "instance"), "{{instance}}"}},
				},
				{
					Title: "Until the certificate expires", Unit: "s", Warn: 14 * 86400, Bad: 3 * 86400,
					Text:    "After that browsers and SIP over TLS refuse the node. A new one is read at the next start.",
					Queries: []Query{{`skybridge_web_certificate_expiry_timestamp_seconds{@} - time()`, "{{instance}}"}},
				},
			}},
		},
	}
}
