// SPDX-License-Identifier: Apache-2.0

package agentshebpf

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"testing"
)

// surface returns the exported declarations of a build of the package, without documentation,
// function bodies and unexported fields.
func surface(t *testing.T, goos string, cgo bool, tags ...string) map[string]bool {
	t.Helper()
	context := build.Default
	context.GOOS, context.CgoEnabled, context.BuildTags = goos, cgo, tags
	pkg, err := context.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, name := range append(pkg.GoFiles, pkg.CgoFiles...) {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		add := func(node any) {
			var text bytes.Buffer
			if err := printer.Fprint(&text, files, node); err != nil {
				t.Fatal(err)
			}
			found[text.String()] = true
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				f.Body = nil
			}
		}
		if !ast.FileExports(file) {
			continue
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				add(d)
			case *ast.GenDecl:
				if d.Tok == token.IMPORT {
					continue
				}
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok {
						if st, ok := s.Type.(*ast.StructType); ok {
							st.Incomplete = false // unexported fields were removed
							st.Fields.Opening, st.Fields.Closing = 0, 0
						}
					}
					add(spec)
				}
			}
		}
	}
	return found
}

func TestAllBuildsHaveTheSameSurface(t *testing.T) {
	want := surface(t, "linux", true)
	if !want["func Open(opts Options) (*Tracer, error)"] || len(want) < 100 {
		t.Fatalf("the surface is incomplete: %d declarations", len(want))
	}
	for name, got := range map[string]map[string]bool{
		"linux without cgo":  surface(t, "linux", false),
		"darwin":             surface(t, "darwin", true),
		"windows":            surface(t, "windows", false),
		"agentshebpf_static": surface(t, "linux", true, "agentshebpf_static"),
	} {
		if maps.Equal(got, want) {
			continue
		}
		for decl := range want {
			if !got[decl] {
				t.Errorf("%s lacks: %s", name, decl)
			}
		}
		for decl := range got {
			if !want[decl] {
				t.Errorf("%s has in addition: %s", name, decl)
			}
		}
	}
}
