package place

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// policyDoc is a bucket's policy. What we do not know of it stays as it is.
type policyDoc struct {
	fields     map[string]json.RawMessage
	statements []json.RawMessage
}

// emptyPolicy is one without statements.
const emptyPolicy = `{"Version":"2012-10-17","Statement":[]}`

// parsePolicy reads a policy; a single statement may stand without a list.
func parsePolicy(text string) (policyDoc, error) {
	if text == "" {
		text = emptyPolicy
	}
	var d policyDoc
	if err := json.Unmarshal([]byte(text), &d.fields); err != nil {
		return d, fmt.Errorf("the bucket's policy cannot be read: %w", err)
	}
	list := d.fields["Statement"]
	if len(list) == 0 {
		return d, nil
	}
	if json.Unmarshal(list, &d.statements) != nil {
		d.statements = []json.RawMessage{list}
	}
	return d, nil
}

// without gives the statements but for that of a name, and says whether it was there.
func (d policyDoc) without(sid string) (rest []json.RawMessage, found bool) {
	for _, s := range d.statements {
		var head struct{ Sid, Effect string }
		if json.Unmarshal(s, &head) == nil && head.Sid == sid && head.Effect == "Deny" {
			found = true
			continue
		}
		rest = append(rest, s)
	}
	return rest, found
}

// text writes the policy with other statements; nothing when it has none.
func (d policyDoc) text(statements []json.RawMessage) (string, error) {
	if len(statements) == 0 {
		return "", nil
	}
	list, err := json.Marshal(statements)
	if err != nil {
		return "", err
	}
	d.fields["Statement"] = list
	b, err := json.Marshal(d.fields)
	return string(b), err
}

// sidOf is the name of our statement about a tree: names have letters and digits only.
func sidOf(root string) string {
	sum := sha256.Sum256([]byte(root))
	return "UnderstudyClosed" + hex.EncodeToString(sum[:8])
}

// denies says whether a policy has our statement.
func denies(text, sid string) (bool, error) {
	d, err := parsePolicy(text)
	if err != nil {
		return false, err
	}
	_, found := d.without(sid)
	return found, nil
}

// closing adds our statement about a tree to a policy; empty when it is there. It denies to all but one principal what changes objects of the
// tree and of understudy's folder beside it.
func closing(text, bucket, root, principal string) (string, error) {
	d, err := parsePolicy(text)
	if err != nil {
		return "", err
	}
	sid := sidOf(root)
	rest, found := d.without(sid)
	if found {
		return "", nil
	}
	partition := "aws"
	if f := strings.Split(principal, ":"); len(f) > 1 && f[1] != "" {
		partition = f[1]
	}
	arn := func(prefix string) string { return fmt.Sprintf("arn:%s:s3:::%s/%s/*", partition, bucket, prefix) }
	ours := map[string]any{
		"Sid": sid, "Effect": "Deny", "Principal": "*",
		"Action":   []string{"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"},
		"Resource": []string{arn(root), arn(folderOf(root))},
	}
	if principal != "" {
		ours["Condition"] = map[string]any{"ArnNotEquals": map[string]any{"aws:PrincipalArn": []string{principal}}}
	}
	b, err := json.Marshal(ours)
	if err != nil {
		return "", err
	}
	return d.text(append(rest, b))
}

// opening takes our statement out of a policy, and says whether it was there.
func opening(text, sid string) (next string, changed bool, err error) {
	d, err := parsePolicy(text)
	if err != nil {
		return "", false, err
	}
	rest, found := d.without(sid)
	if !found {
		return text, false, nil
	}
	next, err = d.text(rest)
	return next, true, err
}
