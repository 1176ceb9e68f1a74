package hdfs

import (
	"context"
	"iter"
	"strings"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// OpenFile is a file that somebody is writing, or was writing when they died.
type OpenFile struct {
	// ID is the number of the inode.
	ID   uint64
	Path string
	// Client is the name of the writer, Machine where it runs.
	Client, Machine string
}

// openPage is one page of open files.
type openPage struct {
	files []OpenFile
	more  bool
}

// OpenFiles lists the files below a folder that are open for writing, in pages (listOpenFiles, HDFS-11847). Only for superusers.
// What is opened or closed meanwhile may be in the list or not.
func (c *Client) OpenFiles(ctx context.Context, dir string) iter.Seq2[OpenFile, error] {
	const all = 1
	return func(yield func(OpenFile, error) bool) {
		for after := uint64(0); ; {
			page, err := ask(ctx, c, "listOpenFiles", dir, proto.Message(nil).Uint(1, after).Uint(2, all).String(3, dir), readOpenPage)
			if err != nil {
				yield(OpenFile{}, err)
				return
			}
			for _, f := range page.files {
				after = f.ID
				// Servers before 3.1 know no filter.
				if strings.HasPrefix(f.Path, strings.TrimSuffix(dir, "/")+"/") && !yield(f, nil) {
					return
				}
			}
			if !page.more || len(page.files) == 0 {
				return
			}
		}
	}
}

// readOpenPage reads ListOpenFilesResponseProto.
func readOpenPage(d *proto.Decoder) openPage {
	var p openPage
	for d.Next() {
		switch d.Number() {
		case 1:
			p.files = append(p.files, proto.Sub(d, readOpenFile))
		case 2:
			p.more = d.Bool()
		}
	}
	return p
}

// readOpenFile reads OpenFilesBatchResponseProto.
func readOpenFile(d *proto.Decoder) OpenFile {
	var f OpenFile
	for d.Next() {
		switch d.Number() {
		case 1:
			f.ID = d.Uint()
		case 2:
			f.Path = d.String()
		case 3:
			f.Client = d.String()
		case 4:
			f.Machine = d.String()
		}
	}
	return f
}
