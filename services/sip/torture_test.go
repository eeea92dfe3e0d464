package sip_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestTorture sends messages of the kinds that RFC 4475 has, in our own words.
// Each is followed by a sign of life. Status 0 means that nothing is to be said.
func TestTorture(t *testing.T) {
	const sdp = "v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 49217 RTP/AVP 0\r\n"
	valid := func(u *ua, method string) *draft { return u.draft(method, "nobody") }
	tests := []struct {
		name   string // as in section 3 of the RFC
		want   int
		modify func(u *ua) string
	}{
		// 3.1.1 Valid messages. "nobody" is not found; everything before that
		// went well.
		{"wsinv: white space and folded lines", 404, func(u *ua) string {
			d := valid(u, "INVITE").sdp(sdp)
			d.set("Via", fmt.Sprintf("SIP  / 2.0\r\n /UDP\r\n    %s;branch = %s", u.local, d.branch))
			d.remove("To").add("TO ", "\r\n sip:vivekg@chair-dnrc.example.com ;   tagless    = 1918181833n")
			d.set("From", "\"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8")
			d.remove("Max-Forwards").add("MaX-fOrWaRdS", "0068")
			d.set("CSeq", "0009\r\n  INVITE")
			d.remove("Contact").add("m", "\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n newvalue ;\r\n  secondparam ; q = 0.33")
			d.add("s", "").add("NewFangledHeader", "newfangled value\r\n continued newfangled value").add("UnknownHeaderWithUnusualValue", ";;,,;;,;")
			return d.String()
		}},
		{"intmeth: a strange method", 501, func(u *ua) string {
			d := valid(u, "!interesting-Method0123456789_*+`.%indeed'~")
			return d.String()
		}},
		{"esc01: escapes in the URI", 200, func(u *ua) string {
			d := valid(u, "OPTIONS")
			d.line = "OPTIONS sip:sips%3Auser%40example.com@example.net SIP/2.0"
			return d.set("To", "<sip:%75se%72@example.com>").String()
		}},
		{"escnull: escaped NUL", 200, func(u *ua) string {
			d := valid(u, "OPTIONS")
			d.line = "OPTIONS sip:null-%00-null@example.com SIP/2.0"
			return d.set("To", "sip:null-%00-null@example.com").String()
		}},
		{"lwsdisp: no space before a bracket", 200, func(u *ua) string {
			d := valid(u, "OPTIONS")
			return d.set("From", "caller<sip:caller@example.com>;tag=323").String()
		}},
		{"longreq: long values", 404, func(u *ua) string {
			d := valid(u, "INVITE").sdp(sdp)
			long := strings.Repeat("very", 300)
			d.set("To", fmt.Sprintf("\"I have a user name of %s proportion\"<sip:user@example.com:6000;unknownparam1=%s;long>", long, long))
			d.set("Call-ID", long+"@example.com").add("Unknown-"+long, long)
			for i := range 30 {
				d.add("Via", fmt.Sprintf("SIP/2.0/TCP sip%d.example.com", i))
			}
			return d.String()
		}},
		{"dblreq: bytes after the message", 200, func(u *ua) string {
			return valid(u, "OPTIONS").String() + "INVITE sip:joe@example.com SIP/2.0\r\nt: sip:joe@example.com\r\n\r\n"
		}},
		{"semiuri: semicolons in the user part", 200, func(u *ua) string {
			d := valid(u, "OPTIONS")
			d.line = "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0"
			return d.String()
		}},
		{"transports: other transports in Via", 200, func(u *ua) string {
			d := valid(u, "OPTIONS")
			for _, v := range []string{"SCTP t2.example.com", "TLS t3.example.com", "UNKNOWN t4.example.com", "TCP t5.example.com"} {
				d.add("Via", "SIP/2.0/"+v+";branch=z9hG4bKx")
			}
			return d.String()
		}},
		{"mpart01: multipart with SDP missing", 415, func(u *ua) string {
			d := valid(u, "INVITE")
			d.body = "--7a9cbec02ceef655\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nHello\r\n--7a9cbec02ceef655--\r\n"
			return d.set("Content-Type", "multipart/mixed;boundary=7a9cbec02ceef655").String()
		}},
		{"noreason: a response without a reason", 0, func(u *ua) string {
			d := valid(u, "INVITE")
			d.line = "SIP/2.0 100 "
			return d.String()
		}},
		{"unreason: a response in Cyrillic", 0, func(u *ua) string {
			d := valid(u, "INVITE")
			d.line = "SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое"
			return d.String()
		}},

		// 3.1.2 Invalid messages.
		{"badinv01: extraneous separators", 400, func(u *ua) string {
			d := valid(u, "INVITE").sdp(sdp)
			return d.set("Via", d.get("Via")+";;,;,,").set("Contact", "\"Joe\" <sip:joe@example.org>;;;;,").set("To", "<sip:nobody@x").String()
		}},
		{"clerr: Content-Length larger than the datagram", 400, func(u *ua) string {
			return valid(u, "INVITE").sdp(sdp).set("Content-Length", "9999").String()
		}},
		{"ncl: negative Content-Length", 400, func(u *ua) string {
			return valid(u, "INVITE").sdp(sdp).set("Content-Length", "-999").String()
		}},
		{"scalar02: numbers beyond all bounds", 400, func(u *ua) string {
			return valid(u, "OPTIONS").set("CSeq", "36893488147419103232 OPTIONS").set("Max-Forwards", "300").String()
		}},
		{"scalarlg: a response with numbers beyond all bounds", 0, func(u *ua) string {
			d := valid(u, "INVITE").set("CSeq", "9292394834772304023312 INVITE")
			d.line = "SIP/2.0 503 Service Unavailable"
			return d.String()
		}},
		{"quotbal: unbalanced quotes", 400, func(u *ua) string {
			return valid(u, "INVITE").sdp(sdp).set("To", `"Mr. J. User <sip:j.user@example.com>`).String()
		}},
		{"ltgtruri: brackets around the Request-URI", 400, func(u *ua) string {
			d := valid(u, "INVITE").sdp(sdp)
			d.line = "INVITE <sip:user@example.com> SIP/2.0"
			return d.String()
		}},
		{"lwsruri: spaces in the Request-URI", 400, func(u *ua) string {
			d := valid(u, "INVITE").sdp(sdp)
			d.line = "INVITE sip:user@example.com; lr SIP/2.0"
			return d.String()
		}},
		{"lwsstart: too many spaces", 400, func(u *ua) string {
			d := valid(u, "INVITE").sdp(sdp)
			d.line = "INVITE  sip:user@example.com  SIP/2.0"
			return d.String()
		}},
		{"trws: space at the end of the first line", 400, func(u *ua) string {
			d := valid(u, "OPTIONS")
			d.line = "OPTIONS sip:remote-target@example.com SIP/2.0  "
			return d.String()
		}},
		{"escruri: headers in the Request-URI", 400, func(u *ua) string {
			d := valid(u, "INVITE").sdp(sdp)
			d.line = "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"
			return d.String()
		}},
		{"badaspec: spaces within the brackets", 400, func(u *ua) string {
			return valid(u, "OPTIONS").set("To", `"Watson, Thomas" < sip:t.watson@example.org >`).String()
		}},
		{"baddn: comma in an unquoted name", 400, func(u *ua) string {
			return valid(u, "OPTIONS").set("From", "Bell, Alexander <sip:a.g.bell@example.com>;tag=43").String()
		}},
		{"badvers: another version", 505, func(u *ua) string {
			d := valid(u, "OPTIONS")
			d.line = "OPTIONS sip:t.watson@example.org SIP/7.0"
			return d.String()
		}},
		{"mismatch01: methods differ", 400, func(u *ua) string {
			return valid(u, "OPTIONS").set("CSeq", "8 INVITE").String()
		}},
		{"mismatch02: an unknown method differs", 400, func(u *ua) string {
			return valid(u, "NEWMETHOD").set("CSeq", "8 INVITE").String()
		}},
		{"bigcode: a status beyond all bounds", 0, func(u *ua) string {
			d := valid(u, "INVITE")
			d.line = "SIP/2.0 4294967301 better not break the receiver"
			return d.String()
		}},

		// 3.2 and 3.3 Transaction and application layer.
		{"badbranch: nothing after the magic cookie", 200, func(u *ua) string {
			return valid(u, "OPTIONS").set("Via", fmt.Sprintf("SIP/2.0/UDP %s;branch=z9hG4bK;rport", u.local)).String()
		}},
		{"insuf: headers missing", 400, func(u *ua) string {
			return valid(u, "INVITE").sdp(sdp).remove("From").remove("Call-ID").remove("To").String()
		}},
		{"unkscm: unknown scheme", 416, func(u *ua) string {
			d := valid(u, "OPTIONS")
			d.line = "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"
			return d.String()
		}},
		{"novelsc: registered scheme of somebody else", 416, func(u *ua) string {
			d := valid(u, "OPTIONS")
			d.line = "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"
			return d.String()
		}},
		{"bext01: unknown extensions required", 420, func(u *ua) string {
			return valid(u, "OPTIONS").set("Require", "nothingSupportsThis, nothingSupportsThisEither").set("Proxy-Require", "noProxiesSupportThis").String()
		}},
		{"invut: unknown body", 415, func(u *ua) string {
			d := valid(u, "INVITE").set("Content-Type", "application/unknownformat")
			d.body = "<audio>\r\n <pcmu port=\"443\"/>\r\n</audio>\r\n"
			return d.String()
		}},
		{"regaut01: a method of somebody else", 405, func(u *ua) string {
			return valid(u, "REGISTER").set("Authorization", "NoOneKnowsThisScheme opaque-data=here").String()
		}},
		{"multi01: everything twice", 400, func(u *ua) string {
			return valid(u, "INVITE").sdp(sdp).add("CSeq", "1 OPTIONS").add("Call-ID", "multi01b").add("To", "<sip:b@x>").add("From", "<sip:c@x>;tag=b").
				add("Max-Forwards", "5").add("Contact", "<sip:d@x>").String()
		}},
		{"mcl01: two Content-Lengths", 400, func(u *ua) string {
			return valid(u, "OPTIONS").set("Content-Length", "0").add("Content-Length", "13").String()
		}},
		{"bcast: a response to somebody else", 0, func(u *ua) string {
			d := valid(u, "INVITE").set("Via", "SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923").add("Via", "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23")
			d.line = "SIP/2.0 200 OK"
			return d.String()
		}},
		{"zeromf: no hops left", 200, func(u *ua) string {
			return valid(u, "OPTIONS").set("Max-Forwards", "0").String() // the end of the way answers, section 3.3.11
		}},
		{"sdp01: only an unknown kind of answer is taken", 406, func(u *ua) string {
			return valid(u, "INVITE").sdp(sdp).set("Accept", "text/nobodyKnowsThis").String()
		}},
		// RFC 2543 has no tags and no branches. Nothing that old sends video.
		{"inv2543: an old one", 400, func(u *ua) string {
			return valid(u, "INVITE").sdp(sdp).set("Via", "SIP/2.0/UDP "+u.local.String()).set("From", "<sip:caller@example.net>").remove("Max-Forwards").String()
		}},
	}
	b := newBench(t)
	u := newUA(b, "UDP")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.modify(u)
			u.write(text)
			if tt.want != 0 {
				var m message
				for m = u.receive(); m.status() == 100; m = u.receive() {
				}
				if m.status() != tt.want {
					t.Errorf("got %q, want %d", m.line, tt.want)
				}
				if m.method() == "INVITE" && m.status() >= 300 {
					ack := u.draft("ACK", "nobody").set("Via", m.header("Via")).set("To", m.header("To")).set("From", m.header("From"))
					seq, _, _ := strings.Cut(m.header("CSeq"), " ")
					u.write(ack.set("Call-ID", m.header("Call-ID")).set("CSeq", seq+" ACK").String())
				}
			}
			ping := u.draft("OPTIONS", "ping")
			u.write(ping.String())
			if m := u.receive(); m.status() != 200 || m.header("Call-ID") != ping.get("Call-ID") {
				t.Errorf("got %q after it", m.line)
			}
		})
	}
}
