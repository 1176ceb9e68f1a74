package hdfs

import (
	"context"
	"fmt"
	"strings"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// XAttr is one extended attribute. Its name carries the namespace, such as user.origin; the namespaces are user, trusted, security, system and raw.
type XAttr struct {
	Name  string
	Value []byte
}

// xattrSpaces are the namespaces by their number (XAttrProto.XAttrNamespaceProto).
func xattrSpaces() []string { return []string{"user", "trusted", "security", "system", "raw"} }

// encode gives XAttrProto; an unknown namespace is an error.
func (x XAttr) encode() (proto.Message, error) {
	space, name, ok := strings.Cut(x.Name, ".")
	for i, s := range xattrSpaces() {
		if ok && strings.EqualFold(s, space) {
			m := proto.Message(nil).Uint(1, uint64(i)).String(2, name)
			if x.Value != nil {
				m = m.Bytes(3, x.Value)
			}
			return m, nil
		}
	}
	return nil, fmt.Errorf("%q begins with none of %s", x.Name, strings.Join(xattrSpaces(), ", "))
}

// readXAttr reads XAttrProto.
func readXAttr(d *proto.Decoder) XAttr {
	var x XAttr
	space, name := uint64(0), ""
	for d.Next() {
		switch d.Number() {
		case 1:
			space = d.Uint()
		case 2:
			name = d.String()
		case 3:
			x.Value = d.Bytes()
		}
	}
	if space >= uint64(len(xattrSpaces())) {
		d.Fail(fmt.Errorf("extended attribute %s is in namespace %d, which is unknown", name, space))
		return x
	}
	x.Name = xattrSpaces()[space] + "." + name
	return x
}

// readXAttrs reads an answer with extended attributes.
func readXAttrs(d *proto.Decoder) []XAttr {
	var list []XAttr
	for d.Next() {
		if d.Number() == 1 {
			list = append(list, proto.Sub(d, readXAttr))
		}
	}
	return list
}

// GetXAttrs gives extended attributes with their values: the named ones, or all that the user may see. A named one that is missing is an error.
func (c *Client) GetXAttrs(ctx context.Context, name string, names ...string) ([]XAttr, error) {
	m := proto.Message(nil).String(1, name)
	for _, n := range names {
		one, err := XAttr{Name: n}.encode()
		if err != nil {
			return nil, &Error{Op: "getXAttrs", Path: name, Err: err}
		}
		m = m.Bytes(2, one)
	}
	return ask(ctx, c, "getXAttrs", name, m, readXAttrs)
}

// ListXAttrs gives the names of the extended attributes that the user may see.
func (c *Client) ListXAttrs(ctx context.Context, name string) ([]string, error) {
	list, err := ask(ctx, c, "listXAttrs", name, proto.Message(nil).String(1, name), readXAttrs)
	names := make([]string, len(list))
	for i, x := range list {
		names[i] = x.Name
	}
	return names, err
}

// SetXAttr sets an extended attribute, be it there or not.
func (c *Client) SetXAttr(ctx context.Context, name string, x XAttr) error {
	one, err := x.encode()
	if err != nil {
		return &Error{Op: "setXAttr", Path: name, Err: err}
	}
	// Both flags, create and replace: whichever fits.
	return c.do(ctx, "setXAttr", name, proto.Message(nil).String(1, name).Bytes(2, one).Uint(3, 3))
}

// RemoveXAttr removes an extended attribute; one that is not there is an error of the server.
func (c *Client) RemoveXAttr(ctx context.Context, name, attribute string) error {
	one, err := XAttr{Name: attribute}.encode()
	if err != nil {
		return &Error{Op: "removeXAttr", Path: name, Err: err}
	}
	return c.do(ctx, "removeXAttr", name, proto.Message(nil).String(1, name).Bytes(2, one))
}
