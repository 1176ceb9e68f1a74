package hdfs

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Plantation is a tree of empty files: Directories below Root, which is one name with a slash before it, each with Files.
type Plantation struct {
	Root               string
	Directories, Files int
}

// The names of what is planted, by their numbers from 0; they sort as they are counted.
const (
	plantedDirectory = "d%05d"
	plantedFile      = "f%05d"
)

// plantedTime is when all of it was made, in milliseconds.
const plantedTime = 1_700_000_000_000

// Plant makes trees in a fresh cluster with one NameNode: a million files within seconds, where calls would take many minutes. It
// stops the cluster, writes them into the image that the NameNode was formatted with, and starts it again.
func (c *Cluster) Plant(ctx context.Context, trees ...Plantation) error {
	if c.opts.HA {
		return fmt.Errorf("hdfs %s: only the image of a single NameNode can be planted", c.opts.Name)
	}
	if err := c.Stop(ctx); err != nil {
		return err
	}
	dir := filepath.Join(c.home("nn1"), "current")
	if err := plantIn(dir, trees); err != nil {
		return fmt.Errorf("hdfs %s: %w", c.opts.Name, err)
	}
	return c.Restart(ctx)
}

// freshImage is the image that formatting makes.
const freshImage = "fsimage_0000000000000000000"

// plantIn rewrites the image of a NameNode's directory, and removes the edits, which hold nothing but that it was started.
func plantIn(dir string, trees []Plantation) error {
	path := filepath.Join(dir, freshImage)
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("not a fresh cluster: %w", err)
	}
	planted, err := plant(raw, trees)
	if err != nil {
		return err
	}
	edits, err := filepath.Glob(filepath.Join(dir, "edits_*"))
	if err != nil {
		return err
	}
	for _, e := range edits {
		err = errors.Join(err, os.Remove(e))
	}
	sum := fmt.Sprintf("%x *%s\n", md5.Sum(planted), freshImage)
	return errors.Join(err, os.WriteFile(path, planted, 0o644), os.WriteFile(path+".md5", []byte(sum), 0o644),
		os.WriteFile(filepath.Join(dir, "seen_txid"), []byte("0\n"), 0o644))
}

// The parts of an image that planting touches (fsimage.proto of Hadoop).
const (
	imageMagic    = "HDFSIMG1"
	inodeSection  = "INODE"
	folderSection = "INODE_DIR"
	summarySize   = 4
	typeFile      = 1
	typeDirectory = 2
)

// plant gives an image with trees below its root. The image ends with a summary that names its sections, and with the summary's length.
func plant(image []byte, trees []Plantation) ([]byte, error) {
	if len(image) < len(imageMagic)+summarySize || string(image[:len(imageMagic)]) != imageMagic {
		return nil, errors.New("this is no image of a NameNode")
	}
	size := int(binary.BigEndian.Uint32(image[len(image)-summarySize:]))
	begin := len(image) - summarySize - size
	if begin < 0 {
		return nil, errBadImage
	}
	summary, _, err := delimited(image[begin:])
	if err != nil {
		return nil, err
	}
	fields, err := parseMessage(summary)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBufferString(imageMagic)
	var again message
	for _, f := range fields {
		if f.number != 4 {
			again = append(again, f.raw...)
			continue
		}
		section, err := plantSection(f.data, image, trees, out)
		if err != nil {
			return nil, err
		}
		again = again.data(4, section)
	}
	again = append(binary.AppendUvarint(nil, uint64(len(again))), again...)
	out.Write(again)
	return binary.BigEndian.AppendUint32(out.Bytes(), uint32(len(again))), nil
}

// plantSection writes one section, and gives its line for the summary.
func plantSection(line, image []byte, trees []Plantation, out *bytes.Buffer) (message, error) {
	fields, err := parseMessage(line)
	if err != nil {
		return nil, err
	}
	name, length, offset := string(find(fields, 1).data), find(fields, 2).value, find(fields, 3).value
	if offset+length > uint64(len(image)) {
		return nil, errBadImage
	}
	at, content := out.Len(), image[offset:offset+length]
	switch name {
	case inodeSection:
		err = plantInodes(content, trees, out)
	case folderSection:
		out.Write(content)
		plantFolders(trees, out)
	default:
		out.Write(content)
	}
	return message(nil).data(1, []byte(name)).uint(2, uint64(out.Len()-at)).uint(3, uint64(at)), err
}

// rootInode is the number of the root of every namespace; what is planted follows it.
const rootInode = 16385

// plantInodes writes INODE: a header with the last number and the count, the root as it was, and all that is planted.
func plantInodes(content []byte, trees []Plantation, out *bytes.Buffer) error {
	header, root, err := delimited(content)
	if err != nil {
		return err
	}
	fields, err := parseMessage(header)
	if err != nil {
		return err
	}
	if find(fields, 1).value != rootInode || find(fields, 2).value != 1 {
		return errors.New("the image is not fresh: it has more than a root")
	}
	permission, err := rootPermission(root)
	if err != nil {
		return err
	}
	count := uint64(0)
	for _, t := range trees {
		count += uint64(1 + t.Directories*(1+t.Files))
	}
	write(out, message(nil).uint(1, rootInode+count).uint(2, 1+count))
	out.Write(root)
	id := uint64(rootInode)
	folder := message(nil).uint(1, plantedTime).uint(2, noQuota).uint(3, noQuota).fixed(4, permission)
	file := message(nil).uint(1, 1).uint(2, plantedTime).uint(3, plantedTime).uint(4, 128<<20).fixed(5, permission&^0o111)
	add := func(kind uint64, name string, field int, body message) {
		id++
		write(out, message(nil).uint(1, kind).uint(2, id).data(3, []byte(name)).data(field, body))
	}
	for _, t := range trees {
		add(typeDirectory, t.Root[1:], 5, folder)
		for d := range t.Directories {
			add(typeDirectory, fmt.Sprintf(plantedDirectory, d), 5, folder)
			for f := range t.Files {
				add(typeFile, fmt.Sprintf(plantedFile, f), 4, file)
			}
		}
	}
	return nil
}

// noQuota is -1.
const noQuota = 1<<64 - 1

// rootPermission gives owner, group and mode of the root in one number, as every inode has it.
func rootPermission(root []byte) (uint64, error) {
	inode, _, err := delimited(root)
	if err != nil {
		return 0, err
	}
	fields, err := parseMessage(inode)
	if err != nil {
		return 0, err
	}
	folder, err := parseMessage(find(fields, 5).data)
	return find(folder, 4).value, err
}

// plantFolders writes what INODE_DIR says: who lies in which directory, in the order of the names.
func plantFolders(trees []Plantation, out *bytes.Buffer) {
	id := uint64(rootInode)
	var roots []uint64
	entries := &bytes.Buffer{}
	for _, t := range trees {
		id++
		root := id
		roots = append(roots, root)
		var folders []uint64
		for range t.Directories {
			id++
			folder := id
			folders = append(folders, folder)
			var files []uint64
			for range t.Files {
				id++
				files = append(files, id)
			}
			write(entries, children(folder, files))
		}
		write(entries, children(root, folders))
	}
	write(out, children(rootInode, roots))
	out.Write(entries.Bytes())
}

// children is one line of INODE_DIR.
func children(parent uint64, all []uint64) message {
	var packed []byte
	for _, id := range all {
		packed = binary.AppendUvarint(packed, id)
	}
	return message(nil).uint(1, parent).data(2, packed)
}

// write writes a message with its length before it.
func write(out *bytes.Buffer, m message) {
	out.Write(binary.AppendUvarint(nil, uint64(len(m))))
	out.Write(m)
}
