package remote

import (
	"cmp"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// local is the address of a process's own actors inside the process. It is the
// constant that protoactor starts with. On the wire it means: of the node that
// sent this.
const local = "nonhost"

// maxAddressBytes bounds what a peer can make us remember.
const maxAddressBytes = 256

// address is node@incarnation, taken apart.
type address struct{ node, incarnation string }

func (a address) String() string { return a.node + "@" + a.incarnation }

// parseAddress takes apart what names a node's incarnation. Text from a peer
// is limited to maxAddressBytes.
func parseAddress(s string) (address, bool) {
	node, incarnation, ok := strings.Cut(s, "@")
	return address{node, incarnation}, ok && node != "" && incarnation != "" &&
		!strings.Contains(incarnation, "@") && len(s) <= maxAddressBytes
}

// NodeOf returns the name of the node that an address belongs to: what comes
// before the "@", or all of it.
func NodeOf(address string) string {
	node, _, _ := strings.Cut(address, "@")
	return node
}

// An incarnation is the process that took it, which sorts by the time at which
// it started, and how often that process has renewed it: "0q3k…-2".

// newProcess names this process.
func newProcess(now time.Time) string {
	var b [10]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli())<<16) // 48 bits of time, then 32 of chance
	_, _ = rand.Read(b[6:])                                       // never fails
	return strings.ToLower(base32.HexEncoding.EncodeToString(b[:]))
}

func incarnation(process string, n uint64) string {
	return process + "-" + strconv.FormatUint(n, 10)
}

// compare orders the incarnations of a node by age, younger is greater.
func compareIncarnations(a, b string) int {
	processA, a, _ := strings.Cut(a, "-")
	processB, b, _ := strings.Cut(b, "-")
	numberA, _ := strconv.ParseUint(a, 10, 64)
	numberB, _ := strconv.ParseUint(b, 10, 64)
	return cmp.Or(strings.Compare(processA, processB), cmp.Compare(numberA, numberB))
}

// sameProcess reports whether two incarnations are of one process.
func sameProcess(a, b string) bool {
	processA, _, _ := strings.Cut(a, "-")
	processB, _, _ := strings.Cut(b, "-")
	return processA == processB
}
