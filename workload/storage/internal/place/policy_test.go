package place

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestOurStatementComesAndGoes closes and opens trees in policies of a customer's, which must be as they were in the end, to the byte in each
// statement.
func TestOurStatementComesAndGoes(t *testing.T) {
	const theirs = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:role/app"},"Action":"s3:*","Resource":"arn:aws:s3:::lake/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`
	for name, before := range map[string]string{
		"none":         "",
		"one":          `{"Id":"theirs","Statement":[` + theirs + `],"Version":"2012-10-17"}`,
		"not a list":   `{"Statement":` + theirs + `,"Version":"2008-10-17"}`,
		"with a deny":  `{"Statement":[` + theirs + `,{"Sid":"Deny","Effect":"Deny","Principal":"*","Action":["s3:DeleteBucket"],"Resource":"arn:aws:s3:::lake"}],"Version":"2012-10-17"}`,
		"unknown keys": `{"Odd":{"a":[1,2]},"Statement":[` + theirs + `],"Version":"2012-10-17"}`,
	} {
		text := before
		for _, root := range []string{"lake/data/curated", "jars"} {
			next, err := closing(text, "lake", root, "arn:aws-cn:iam::1:role/understudy")
			if err != nil || next == "" {
				t.Fatalf("%s: closing gives %q, %v", name, next, err)
			}
			if again, err := closing(next, "lake", root, ""); err != nil || again != "" {
				t.Errorf("%s: closing twice gives %q, %v", name, again, err)
			}
			if closed, err := denies(next, sidOf(root)); err != nil || !closed {
				t.Errorf("%s: it is not closed: %v", name, err)
			}
			text = next
		}
		for _, want := range []string{`arn:aws-cn:s3:::lake/jars/*`, `arn:aws-cn:s3:::lake/.jars.understudy/*`, `"ArnNotEquals":{"aws:PrincipalArn":["arn:aws-cn:iam::1:role/understudy"]}`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the policy has no %s:\n%s", name, want, text)
			}
		}
		if before != "" && !strings.Contains(text, theirs) {
			t.Errorf("%s: their statement is not as it was:\n%s", name, text)
		}
		for _, root := range []string{"lake/data/curated", "jars"} {
			next, changed, err := opening(text, sidOf(root))
			if err != nil || !changed {
				t.Fatalf("%s: opening: %v, %v", name, changed, err)
			}
			text = next
		}
		if !same(t, before, text) {
			t.Errorf("%s: before\n%s\nafter\n%s", name, before, text)
		}
	}
}

// same compares two policies; a single statement may have become a list.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := parsePolicy(a)
	y, err2 := parsePolicy(b)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	one, _ := json.Marshal(x.statements)
	two, _ := json.Marshal(y.statements)
	return string(one) == string(two) && string(x.fields["Id"]) == string(y.fields["Id"]) && string(x.fields["Odd"]) == string(y.fields["Odd"])
}

func TestPoliciesThatCannotBeReadAreLeftAlone(t *testing.T) {
	if _, err := closing("not JSON", "lake", "jars", ""); err == nil {
		t.Error("closing changed what it cannot read")
	}
	if next, changed, err := opening(`{"Statement":[]}`, "UnderstudyClosed"); err != nil || changed || next != `{"Statement":[]}` {
		t.Errorf("opening what is not closed: %q, %v, %v", next, changed, err)
	}
	// A statement of theirs that has our name and allows something is none of ours.
	theirs := `{"Statement":[{"Sid":"` + sidOf("jars") + `","Effect":"Allow"}]}`
	if closed, err := denies(theirs, sidOf("jars")); err != nil || closed {
		t.Errorf("an allowing statement closes: %v, %v", closed, err)
	}
}

func TestReadingIsLeft(t *testing.T) {
	for have, want := range map[string]string{"racwdl": "rl", "rl": "rl", "w": "", "": "", "racwdxyltmei": "rl"} {
		if got := reduced(have); got != want {
			t.Errorf("%q is reduced to %q, not %q", have, got, want)
		}
	}
}
