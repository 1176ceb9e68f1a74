package hdfs

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/understudy-dr/understudy/lab"
)

// defaultsForm is part of the names of cache entries that depend on what terse writes.
const defaultsForm = "d1"

// Hadoop's own defaults are files of 680 kB, with YARN's, of which 200 are names and values. Each JVM reads them again for every
// configuration that it makes: without the descriptions a daemon of HDFS starts with a twelfth less CPU time.
var (
	described = regexp.MustCompile(`(?s)<description>.*?</description>|<description/>|<!--.*?-->`)
	// What lies behind an element's end is space between elements; a value's own space stands before it.
	spaced = regexp.MustCompile(`(</[a-z]+>|/>)\s+`)
)

// terse takes descriptions and comments out of a configuration file. Names, values and all else stay.
func terse(site []byte) []byte {
	return spaced.ReplaceAll(described.ReplaceAll(site, nil), []byte("$1"))
}

// terseDefaults is a jar with the defaults that the jars of a class path hold, without their descriptions. It goes before these.
func terseDefaults(ctx context.Context, name, classpath string) (string, error) {
	sum := sha256.Sum256([]byte(defaultsForm + classpath))
	entry := filepath.Join("client", name+"-defaults-"+hex.EncodeToString(sum[:4])+".jar")
	return lab.Cached(ctx, entry, func(_ context.Context, path string) error {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		w := zip.NewWriter(f)
		seen := make(map[string]bool)
		for jar := range strings.SplitSeq(classpath, string(os.PathListSeparator)) {
			if err := copyDefaults(w, jar, seen); err != nil {
				return fmt.Errorf("the defaults in %s: %w", filepath.Base(jar), err)
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
		return f.Close()
	})
}

// copyDefaults copies those of one jar; of two with one name the first counts, as for Java.
func copyDefaults(to *zip.Writer, jar string, seen map[string]bool) error {
	in, err := zip.OpenReader(jar)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	for _, f := range in.File {
		if strings.Contains(f.Name, "/") || !strings.HasSuffix(f.Name, "-default.xml") || seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		site, err := read(f)
		if err != nil {
			return err
		}
		// Stored and not packed: it is read often.
		entry, err := to.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Store})
		if err != nil {
			return err
		}
		if _, err := entry.Write(terse(site)); err != nil {
			return err
		}
	}
	return nil
}

func read(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}
