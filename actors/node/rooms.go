package node

import (
	"fmt"

	"github.com/skybridge-media/skybridge/actors/conference"
)

// rooms finds the room behind an alias. It is plain data, and never changed:
// a room that nobody calls costs its entries in the map and nothing else.
type rooms struct {
	byAlias map[string]*conference.Config
	adhoc   *conference.Config // template; nil when only configured rooms exist
}

func newRooms(configured []conference.Config, adhoc *conference.Config) (*rooms, error) {
	r := &rooms{byAlias: make(map[string]*conference.Config, len(configured)), adhoc: adhoc}
	for i := range configured {
		cfg := &configured[i]
		for _, alias := range append([]string{cfg.Name}, cfg.Aliases...) {
			key := conference.NormalizeAlias(alias)
			if key == "" {
				return nil, fmt.Errorf("node: room %q: %q is no alias", cfg.Name, alias)
			}
			if other, taken := r.byAlias[key]; taken && other != cfg {
				return nil, fmt.Errorf("node: room %q: alias %q leads to room %q", cfg.Name, alias, other.Name)
			}
			r.byAlias[key] = cfg
		}
	}
	return r, nil
}

// resolve returns the room that alias leads to, an ad hoc one if there is no
// other.
func (r *rooms) resolve(alias string) (conference.Config, error) {
	key := conference.NormalizeAlias(alias)
	if cfg, ok := r.byAlias[key]; ok {
		return *cfg, nil
	}
	if r.adhoc == nil || key == "" {
		return conference.Config{}, ErrNotFound
	}
	cfg := *r.adhoc
	cfg.Name = key
	return cfg, nil
}

// keyOf is a room's name in tables and in the directory: the same on every
// node, however the name is written.
func keyOf(room string) string { return conference.NormalizeAlias(room) }
