package place

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
	"github.com/understudy-dr/understudy/filecopy/s3"
	"github.com/understudy-dr/understudy/wire/hdfs"
)

// TestWhoseWordARefusalIs tells a store that does not let us in from all else for which nobody is let in.
func TestWhoseWordARefusalIs(t *testing.T) {
	asked := func(r hdfs.LoginReason) error {
		return &hdfs.Error{Op: "dial", Err: &hdfs.LoginError{Principal: "us", Server: "nn:8020", Reason: r, Err: errors.New("no")}}
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":                          {nil, false},
		"the store's word":                 {fmt.Errorf("%w: %w", ErrTurnedAway, context.DeadlineExceeded), true},
		"a NameNode that refuses a ticket": {asked(hdfs.ReasonServer), true},
		"a KDC that refuses us, once a NameNode asked": {asked(hdfs.ReasonKeytab), true},
		"no KDC, once a NameNode asked":                {asked(hdfs.ReasonKDC), true},
		"no krb5.conf":                                 {&hdfs.LoginError{Principal: "us", Reason: hdfs.ReasonConfig, Err: fs.ErrPermission}, false},
		"a NameNode that wants Kerberos":               {&hdfs.Error{Err: hdfs.ErrUnauthenticated}, true},
		"a NameNode that nobody reaches":               {tell(&hdfs.Error{Err: hdfs.ErrUnavailable}), false},
		"a NameNode in safe mode":                      {tell(&hdfs.RemoteError{Class: "SafeModeException"}), false},
		"a directory that is not ours":                 {&fs.PathError{Op: "open", Path: "/mnt", Err: fs.ErrPermission}, true},
		"a bucket with other keys":                     {unusable(fs.ErrPermission, "the bucket b", ""), true},
		"a bucket elsewhere":                           {unusable(s3.ErrElsewhere, "the bucket b", ""), true},
		"no bucket":                                    {unusable(filecopy.ErrNotFound, "the bucket b", ""), false},
		"a busy service":                               {tellObject(filecopy.ErrBusy), false},
		"a secret that is not ours to read":            {&unread{&understudy.Error{Code: "US434", Err: fs.ErrPermission}}, false},
	} {
		if got := TurnedAway(c.err); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// answers gives the URL of a service that says the same to everybody.
func answers(t *testing.T, status int, header, code string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(header, code)
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// nameNode plays a NameNode that has an answer to the first call; without one it says nothing.
func nameNode(t *testing.T, answer []byte) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				if _, err := io.ReadFull(c, make([]byte, 12)); err == nil {
					_, _ = c.Write(answer)
				}
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return l.Addr().String()
}

// unauthorized is RpcResponseHeaderProto of a server that wants another login: FATAL, with the exception and FATAL_UNAUTHORIZED.
func unauthorized() []byte {
	const class, text = "org.apache.hadoop.security.AccessControlException", "SIMPLE authentication is not enabled."
	h := append([]byte{0x08, 0, 0x10, 2, 0x22, byte(len(class))}, class...)
	h = append(append(h, 0x2a, byte(len(text))), text...)
	h = append(h, 0x30, 15)
	b := binary.BigEndian.AppendUint32(nil, uint32(len(h)+1))
	return append(append(b, byte(len(h))), h...)
}

// sight is a store, and whether it is there.
type sight struct {
	site Site
	want bool
}

// kinds makes sites of each kind that read their secrets by it.
type kinds func(context.Context, string) ([]byte, error)

func (k kinds) s3(url, keys string) Site { return k.signed(url, keys, "") }

func (k kinds) signed(url, keys, ca string) Site {
	return S3(S3Config{URL: url, Region: "r", Bucket: "lake", Keys: keys, CA: ca, Secret: k})
}

func (k kinds) blob(url, key string) Site {
	return Blob(BlobConfig{URL: url, Account: "a", Container: "lake", Key: key, Secret: k})
}

func (k kinds) adls(url, key string) Site {
	return ADLS(ADLSConfig{URL: url, Account: "a", FileSystem: "lake", Key: key, Secret: k})
}

func (k kinds) hdfs(at ...string) Site {
	return HDFS(HDFSConfig{Options: hdfs.Options{NameNodes: at}, Login: Login{User: "us"}, Secret: k})
}

func (k kinds) keytab(name string, at ...string) Site {
	return HDFS(HDFSConfig{Options: hdfs.Options{NameNodes: at}, Login: Login{Kerberos: &hdfs.Kerberos{Principal: "us@LAB"}, Keytab: name}, Secret: k})
}

// gone is where nobody is.
const gone = "http://127.0.0.1:1"

// strangers are object stores with a login that is none, or none at all.
func (k kinds) strangers(t *testing.T) map[string]sight {
	wrongS3 := answers(t, http.StatusForbidden, "x-amz-request-id", "InvalidAccessKeyId")
	wrongAzure := answers(t, http.StatusForbidden, "x-ms-error-code", "AuthenticationFailed")
	busy := answers(t, http.StatusServiceUnavailable, "x-ms-error-code", "ServerBusy")
	return map[string]sight{
		"S3, wrong keys":               {k.s3(wrongS3, "s3"), true},
		"S3, no keys":                  {k.s3(wrongS3, "lost"), true},
		"S3, no keys, nobody there":    {k.s3(gone, "lost"), false},
		"S3, no keys, a gateway alone": {k.s3(busy, "lost"), false},
		"S3, nobody there":             {k.s3(gone, "s3"), false},
		"Blob, wrong key":              {k.blob(wrongAzure, "azure"), true},
		"Blob, no key":                 {k.blob(wrongAzure, "lost"), true},
		"Blob, no key, nobody there":   {k.blob(gone, "lost"), false},
		"Blob, a gateway alone":        {k.blob(busy, "azure"), false},
		"ADLS, wrong key":              {k.adls(wrongAzure, "azure"), true},
		"ADLS, no key":                 {k.adls(wrongAzure, "lost"), true},
		"ADLS, no key, nobody there":   {k.adls(gone, "lost"), false},
		"a directory that is not":      {Local(filepath.Join(t.TempDir(), "none")), false},
	}
}

// nameNodes are those of HDFS.
func (k kinds) nameNodes(t *testing.T) map[string]sight {
	refusing, silent := nameNode(t, unauthorized()), nameNode(t, nil)
	return map[string]sight{
		"HDFS, no Kerberos":              {k.hdfs(refusing), true},
		"HDFS, the first is silent":      {k.hdfs(silent, refusing), true},
		"HDFS, the second is silent":     {k.hdfs(refusing, silent), true},
		"HDFS, the first died":           {k.hdfs("127.0.0.1:1", refusing), true},
		"HDFS, all are silent":           {k.hdfs(silent, silent), false},
		"HDFS, nobody there":             {k.hdfs("127.0.0.1:1"), false},
		"HDFS, no keytab":                {k.keytab("lost", silent, refusing), true},
		"HDFS, a hung keytab":            {k.keytab("hung", silent, refusing), true},
		"HDFS, a hung keytab, one alone": {k.keytab("hung", refusing), true},
		"HDFS, a hung keytab, no answer": {k.keytab("hung", silent), false},
	}
}

// hung are stores whose secrets say nothing until the time is over, and those whose certificates are lost.
func (k kinds) hung(t *testing.T) map[string]sight {
	wrongS3 := answers(t, http.StatusForbidden, "x-amz-request-id", "InvalidAccessKeyId")
	wrongAzure := answers(t, http.StatusForbidden, "x-ms-error-code", "AuthenticationFailed")
	secure := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a server that nobody knows was sent %s %s", r.Method, r.URL)
	}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(secure.Close)
	return map[string]sight{
		"S3, no certificates":               {k.signed(secure.URL, "s3", "lost"), true},
		"S3, hung certificates and keys":    {k.signed(secure.URL, "hung", "hung"), true},
		"S3, no certificates, nobody there": {k.signed("https://127.0.0.1:1", "s3", "lost"), false},
		"S3, hung keys":                     {k.s3(wrongS3, "hung"), true},
		"S3, hung keys, nobody there":       {k.s3(gone, "hung"), false},
		"Blob, a hung key":                  {k.blob(wrongAzure, "hung"), true},
		"ADLS, a hung key":                  {k.adls(wrongAzure, "hung"), true},
	}
}

// marked are answers of a service itself, by what it marks them with.
func (k kinds) marked(t *testing.T) map[string]sight {
	moved := answers(t, http.StatusMovedPermanently, "x-amz-bucket-region", "elsewhere")
	noBucket, noContainer := answers(t, http.StatusNotFound, "x-amz-request-id", "NoSuchBucket"), answers(t, http.StatusNotFound, "x-ms-error-code", "ContainerNotFound")
	noFileSystem, hidden := answers(t, http.StatusNotFound, "x-ms-error-code", "FilesystemNotFound"), answers(t, http.StatusNotFound, "x-ms-error-code", "ResourceNotFound")
	// A server of S3 that has no header of its own still has an error's body, as all have.
	plain := answers(t, http.StatusForbidden, "server", "AccessDenied")
	return map[string]sight{
		"S3, another region":               {k.s3(moved, "s3"), true},
		"S3, no keys, another region":      {k.s3(moved, "lost"), true},
		"S3, wrong keys, no header":        {k.s3(plain, "s3"), true},
		"S3, no keys, no header":           {k.s3(plain, "lost"), true},
		"S3, no bucket":                    {k.s3(noBucket, "s3"), false},
		"S3, no keys, no bucket":           {k.s3(noBucket, "lost"), false},
		"Blob, no container":               {k.blob(noContainer, "azure"), false},
		"Blob, no key, no container":       {k.blob(noContainer, "lost"), false},
		"Blob, no key, a container hidden": {k.blob(hidden, "lost"), true},
		"ADLS, no key, no file system":     {k.adls(noFileSystem, "lost"), false},
	}
}

// proxies answer in the place of stores that are gone.
func (k kinds) proxies(t *testing.T) map[string]sight {
	all := map[string]sight{}
	for _, status := range []int{http.StatusOK, http.StatusMovedPermanently, http.StatusFound, http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/login")
			w.WriteHeader(status)
		}))
		t.Cleanup(s.Close)
		for name, site := range map[string]func(string, string) Site{"s3": k.s3, "azure": k.blob, "azure ": k.adls} {
			key := strings.TrimSpace(name)
			all[fmt.Sprintf("%s, a proxy alone says %d", name, status)] = sight{site(s.URL, key), false}
			all[fmt.Sprintf("%s, no key, a proxy alone says %d", name, status)] = sight{site(s.URL, "lost"), false}
		}
	}
	return all
}

// TestAStoreThatDoesNotLetUsInIsThere looks at stores of each kind with a login that is none, and with none at all.
func TestAStoreThatDoesNotLetUsInIsThere(t *testing.T) {
	k := kinds(func(ctx context.Context, name string) ([]byte, error) {
		if name == "hung" {
			// MinIO's client asks without an end.
			select {
			case <-ctx.Done():
			case <-t.Context().Done():
			}
			return nil, os.ErrDeadlineExceeded
		}
		return map[string][]byte{"s3": []byte("a:b"), "azure": []byte("a2V5")}[name], map[bool]error{true: os.ErrNotExist}[name == "lost"]
	})
	for _, sights := range []map[string]sight{k.strangers(t), k.nameNodes(t), k.hung(t), k.marked(t), k.proxies(t)} {
		for name, c := range sights {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				looked(t, c.site, c.want)
			})
		}
	}
}

func looked(t *testing.T, s Site, turned bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := s.Look(ctx)
	if err == nil || errors.Is(err, ErrTurnedAway) != turned || Doubtful(err) {
		t.Errorf("looking gives %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
