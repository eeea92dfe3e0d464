package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// maxUnits bounds what is read from a file of units, in bytes.
const maxUnits = 1 << 30

// WriteUnits stores encoded pictures for generators to send: each preceded by
// its length, 32 bits, big endian. An empty one is a picture that was left out.
func WriteUnits(path string, units [][]byte) error {
	var b []byte
	for _, u := range units {
		b = binary.BigEndian.AppendUint32(b, uint32(len(u)))
		b = append(b, u...)
	}
	return os.WriteFile(path, b, 0o600)
}

// ReadUnits returns what [WriteUnits] has stored.
func ReadUnits(path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxUnits {
		return nil, fmt.Errorf("load: %s: %d bytes are too much", path, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var units [][]byte
	for len(b) > 0 {
		if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
			return nil, fmt.Errorf("load: %s: %w", path, errUnits)
		}
		n := 4 + int(binary.BigEndian.Uint32(b))
		units, b = append(units, b[4:n:n]), b[n:]
	}
	if len(units) == 0 {
		return nil, fmt.Errorf("load: %s: %w", path, errUnits)
	}
	return units, nil
}

var errUnits = errors.New("not a file of encoded pictures")
