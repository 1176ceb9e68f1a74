package hdfs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/hdfs"
)

func TestNamesAreChecked(t *testing.T) {
	s, err := hdfs.New(hdfs.Config{Root: "/data/curated"})
	if err != nil {
		t.Fatal(err)
	}
	for name, good := range map[filecopy.Path]bool{
		"": true, "a/b": true, "a\nb": true, "é": true, "a b": true, "~": true, filecopy.Path(strings.Repeat("n", 255)): true,
		"a:b": false, "d/.snapshot/x": false, "\xff": false, "a//b": false, "..": false, filecopy.Path(strings.Repeat("n", 256)): false,
		filecopy.Path(strings.Repeat("d/", 4000) + "x"): false,
	} {
		err := s.CheckName(name)
		if (err == nil) != good || err != nil && !errors.Is(err, filecopy.ErrName) {
			t.Errorf("CheckName(%.40q) = %v", name, err)
		}
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	for _, c := range []hdfs.Config{{}, {Root: "relative"}, {Root: "/"}, {Root: "/x", Area: "/x/below"}, {Root: "/x", Area: "relative"}} {
		if _, err := hdfs.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestPartsAreNotLargerThanTheirFile(t *testing.T) {
	s, err := hdfs.New(hdfs.Config{Root: "/x"})
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int64]int64{0: 1, 1: 1, 1 << 20: 1 << 20, 1 << 40: 256 << 20} {
		if got := s.Describe().Capabilities.PartSize(size); got != want {
			t.Errorf("parts of a file of %d bytes have %d", size, got)
		}
	}
}
