package skybridge_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/skybridge-media/skybridge/"

// mayImport lists, for each layer, the layers it may import besides itself.
// A layer that is missing here may import nothing from this module.
var mayImport = map[string][]string{
	"codecs":   {},
	"bus":      {},
	"media":    {"codecs"},
	"actors":   {"bus", "codecs", "media"},
	"services": {"actors", "bus", "codecs", "media"},
	"cmd":      {"actors", "bench", "bus", "codecs", "media", "services"},
	"bench":    {"actors", "bus", "codecs", "media", "services"},
}

// home gives every large dependency one address. Code elsewhere reaches it
// through an interface, so that it can be replaced, and tested without.
var home = map[string][]string{
	"github.com/asynkron/protoactor-go/": {"actors", "bus/remote", "services", "cmd", "bench"},
	"github.com/emiago/sipgo":            {"services/sip", "bench"},
	"github.com/nats-io/nats-server/":    {"bus"},
	"github.com/nats-io/":                {"bus", "bench"},
	"github.com/pion/rtp":                {"media", "services/webrtc", "bench"},
	"github.com/pion/srtp/":              {"media", "bench"},
	"github.com/pion/webrtc/":            {"services/webrtc", "bench"},
}

// TestDependencyHomes fails when a dependency is imported away from home.
func TestDependencyHomes(t *testing.T) {
	for _, f := range parseAll(t, parser.ImportsOnly) {
		for _, spec := range f.ast.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			for dep, homes := range home {
				if !strings.HasPrefix(path, dep) {
					continue
				}
				at := func(home string) bool { return f.dir == home || strings.HasPrefix(f.dir, home+"/") }
				if !slices.ContainsFunc(homes, at) {
					t.Errorf("%s: %s lives in %v", f.path, path, homes)
				}
			}
		}
	}
}

// TestImportDirection fails when a package reaches up or sideways: the layers
// form a DAG, and two services never know about each other.
func TestImportDirection(t *testing.T) {
	for _, f := range parseAll(t, parser.ImportsOnly) {
		layer, pkg := split(f.dir)
		for _, spec := range f.ast.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			rest, ok := strings.CutPrefix(path, module)
			if !ok {
				continue
			}
			toLayer, toPkg := split(rest)
			switch {
			case layer == "":
				t.Errorf("%s: the root package imports nothing", f.path)
			case toLayer != layer && !slices.Contains(mayImport[layer], toLayer):
				t.Errorf("%s: %s may not import %s", f.path, layer, path)
			case layer == "services" && toLayer == "services" && toPkg != pkg:
				t.Errorf("%s: services do not import each other (%s); wire them in cmd", f.path, path)
			}
		}
	}
}

// TestPackageDocs wants exactly one package comment per package.
func TestPackageDocs(t *testing.T) {
	docs := map[string]int{}
	for _, f := range parseAll(t, parser.PackageClauseOnly|parser.ParseComments) {
		docs[f.dir] += 0
		if f.ast.Doc != nil {
			docs[f.dir]++
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("%s: %d package comments, want 1", dir, n)
		}
	}
}

// TestFileSize keeps files small enough to read in one sitting.
func TestFileSize(t *testing.T) {
	const limit = 600
	for _, f := range parseAll(t, parser.PackageClauseOnly) {
		b, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte{'\n'}); n > limit {
			t.Errorf("%s: %d lines, limit %d; split it by responsibility", f.path, n, limit)
		}
	}
}

type source struct {
	path, dir string
	ast       *ast.File
}

// parseAll parses every non-test, non-generated Go file of the module.
func parseAll(t *testing.T, mode parser.Mode) []source {
	t.Helper()
	var files []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (d.Name() == "testdata" || d.Name()[0] == '.'):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, mode|parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		if ast.IsGenerated(f) {
			return nil
		}
		files = append(files, source{path, filepath.ToSlash(filepath.Dir(path)), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// split cuts "services/sip/digest" into "services" and "sip".
func split(dir string) (layer, pkg string) {
	layer, rest, _ := strings.Cut(strings.TrimPrefix(dir, "."), "/")
	pkg, _, _ = strings.Cut(rest, "/")
	return layer, pkg
}
