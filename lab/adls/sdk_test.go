package adls_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/directory"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"

	"github.com/understudy-dr/understudy/lab/adls"
)

// client is the official SDK with the key of the account, without second tries.
func client(t *testing.T, endpoint, key string, more ...policy.Policy) *filesystem.Client {
	t.Helper()
	credential, err := azdatalake.NewSharedKeyCredential(adls.AccountName, key)
	must(t, err)
	c, err := filesystem.NewClientWithSharedKeyCredential(endpoint+"/lake", credential, &filesystem.ClientOptions{ClientOptions: policy.ClientOptions{
		Retry: policy.RetryOptions{MaxRetries: -1}, PerCallPolicies: more,
	}})
	must(t, err)
	return c
}

// lake is the SDK on a file system of its own.
func lake(t *testing.T, c adls.Config) (*adls.Account, *filesystem.Client) {
	t.Helper()
	a := adls.Host(t, c)
	fs := client(t, a.Endpoint(), adls.Key())
	_, err := fs.Create(t.Context(), nil)
	must(t, err)
	return a, fs
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused wants an answer of the service with a code.
func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var said *azcore.ResponseError
	if !errors.As(err, &said) || said.StatusCode != status || said.ErrorCode != code {
		t.Errorf("answer = %v, want %d %s", err, status, code)
	}
}

func body(text string) io.ReadSeekCloser { return streaming.NopCloser(strings.NewReader(text)) }

// put makes a file.
func put(t *testing.T, fs *filesystem.Client, path, text string) {
	t.Helper()
	f := fs.NewFileClient(path)
	_, err := f.Create(t.Context(), nil)
	must(t, err)
	if text != "" {
		_, err = f.AppendData(t.Context(), 0, body(text), &file.AppendDataOptions{Flush: to.Ptr(true)})
		must(t, err)
	}
}

func get(t *testing.T, fs *filesystem.Client, path string, o *file.DownloadStreamOptions) (string, error) {
	t.Helper()
	answer, err := fs.NewFileClient(path).DownloadStream(t.Context(), o)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return string(b), err
}

func TestAppendsAreSeenWhenTheyAreFlushed(t *testing.T) {
	a, fs := lake(t, adls.Config{})
	f := fs.NewFileClient("d/f")
	_, err := f.Create(t.Context(), nil)
	must(t, err)
	sums := &file.AppendDataOptions{TransactionalValidation: file.TransferValidationTypeComputeCRC64()}
	_, err = f.AppendData(t.Context(), 5, body("world"), sums)
	must(t, err)
	if got, err := get(t, fs, "d/f", nil); got != "" || err != nil {
		t.Errorf("before the flush = %q, %v", got, err)
	}
	_, err = f.FlushData(t.Context(), 10, nil)
	refused(t, err, http.StatusBadRequest, "InvalidFlushPosition")
	for _, text := range []string{"HELLO", "hello"} {
		_, err = f.AppendData(t.Context(), 0, body(text), sums)
		must(t, err)
	}
	_, err = f.AppendData(t.Context(), 3, body("lo"), sums)
	must(t, err)
	_, err = f.FlushData(t.Context(), 10, nil)
	refused(t, err, http.StatusBadRequest, "InvalidFlushPosition")

	_, err = f.Create(t.Context(), nil)
	must(t, err)
	_, err = f.AppendData(t.Context(), 0, body("hello"), sums)
	must(t, err)
	flushed, err := f.FlushData(t.Context(), 5, &file.FlushDataOptions{Close: to.Ptr(true)})
	must(t, err)
	_, err = f.AppendData(t.Context(), 2, body("x"), sums)
	refused(t, err, http.StatusBadRequest, "InvalidQueryParameterValue")
	_, err = f.AppendData(t.Context(), 5, body(" world"), &file.AppendDataOptions{TransactionalValidation: file.TransferValidationTypeCRC64(7)})
	refused(t, err, http.StatusBadRequest, "Crc64Mismatch")
	pinned := &file.AccessConditions{ModifiedAccessConditions: &file.ModifiedAccessConditions{IfMatch: flushed.ETag}}
	if got, err := get(t, fs, "d/f", &file.DownloadStreamOptions{Range: &file.HTTPRange{Offset: 1, Count: 3}, AccessConditions: pinned}); got != "ell" || err != nil {
		t.Errorf("range = %q, %v", got, err)
	}
	_, err = get(t, fs, "d/f", &file.DownloadStreamOptions{Range: &file.HTTPRange{Offset: 5}})
	refused(t, err, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
	must(t, a.Damage("lake", "d/f"))
	if got, err := get(t, fs, "d/f", &file.DownloadStreamOptions{AccessConditions: pinned}); got != "iello" || err != nil {
		t.Errorf("damaged = %q, %v", got, err)
	}
	_, err = f.AppendData(t.Context(), 5, body(" world"), &file.AppendDataOptions{Flush: to.Ptr(true)})
	must(t, err)
	_, err = get(t, fs, "d/f", &file.DownloadStreamOptions{AccessConditions: pinned})
	refused(t, err, http.StatusPreconditionFailed, "ConditionNotMet")
}

func TestRenamesAreOneStep(t *testing.T) {
	_, fs := lake(t, adls.Config{})
	put(t, fs, "a/b/c", "one")
	put(t, fs, "a/b/d", "two")
	put(t, fs, "f", "three")
	rename := func(from, to string, c *file.ModifiedAccessConditions) error {
		_, err := fs.NewFileClient(from).Rename(t.Context(), to, &file.RenameOptions{AccessConditions: &file.AccessConditions{ModifiedAccessConditions: c}})
		return err
	}
	before, err := fs.NewFileClient("f").GetProperties(t.Context(), nil)
	must(t, err)
	free := &file.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
	refused(t, rename("f", "a/b/c", free), http.StatusConflict, "PathAlreadyExists")
	refused(t, rename("f", "a/b", nil), http.StatusConflict, "InvalidSourceOrDestinationResourceType")
	refused(t, rename("a", "f", nil), http.StatusConflict, "InvalidSourceOrDestinationResourceType")
	refused(t, rename("f", "no/f", nil), http.StatusNotFound, "RenameDestinationParentPathNotFound")
	refused(t, rename("no", "g", nil), http.StatusNotFound, "SourcePathNotFound")
	refused(t, rename("a", "a/b/x", nil), http.StatusConflict, "InvalidRenameSourcePath")
	must(t, rename("f", "a/b/c", nil))
	after, err := fs.NewFileClient("a/b/c").GetProperties(t.Context(), nil)
	if err != nil || *after.ETag != *before.ETag {
		t.Errorf("the ETag is %v, was %v: %v", after.ETag, before.ETag, err)
	}
	must(t, rename("a", "moved", free))
	for path, want := range map[string]string{"moved/b/c": "three", "moved/b/d": "two"} {
		if got, err := get(t, fs, path, nil); got != want || err != nil {
			t.Errorf("%s = %q, %v", path, got, err)
		}
	}
	_, err = get(t, fs, "a/b/c", nil)
	refused(t, err, http.StatusNotFound, "PathNotFound")
	_, err = fs.NewDirectoryClient("full").Create(t.Context(), nil)
	must(t, err)
	put(t, fs, "full/x", "x")
	refused(t, rename("moved", "full", nil), http.StatusConflict, "DirectoryNotEmpty")
}

// names lists a directory, page by page.
func names(t *testing.T, fs *filesystem.Client, recursive bool, dir string) []string {
	t.Helper()
	var all []string
	for pages := fs.NewListPathsPager(recursive, &filesystem.ListPathsOptions{Prefix: &dir}); pages.More(); {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, p := range page.Paths {
			all = append(all, fmt.Sprintf("%s %d %t %s", *p.Name, *p.ContentLength, p.IsDirectory != nil && *p.IsDirectory, *p.Permissions))
		}
	}
	return all
}

func TestListingsAndDeletesComeInPages(t *testing.T) {
	_, fs := lake(t, adls.Config{Page: 2})
	for _, p := range []string{"d/x", "d/a/1", "d/a/2", "d.b", "e"} {
		put(t, fs, p, p)
	}
	want := []string{"d 0 true rwxr-x---", "d/a 0 true rwxr-x---", "d/a/1 5 false rw-r-----", "d/a/2 5 false rw-r-----", "d/x 3 false rw-r-----", "d.b 3 false rw-r-----", "e 1 false rw-r-----"}
	if got := names(t, fs, true, ""); !slices.Equal(got, want) {
		t.Errorf("listed %q", got)
	}
	if got := names(t, fs, false, "d"); !slices.Equal(got, []string{want[1], want[4]}) {
		t.Errorf("listed in d %q", got)
	}
	_, err := fs.NewFileClient("d").Delete(t.Context(), nil)
	refused(t, err, http.StatusConflict, "DirectoryNotEmpty")
	_, err = fs.NewDirectoryClient("d").Delete(t.Context(), nil)
	must(t, err)
	if got := names(t, fs, true, ""); !slices.Equal(got, want[5:]) {
		t.Errorf("left %q", got)
	}
	dir := "no"
	_, err = fs.NewListPathsPager(true, &filesystem.ListPathsOptions{Prefix: &dir}).NextPage(t.Context())
	refused(t, err, http.StatusNotFound, "PathNotFound")
}

func TestAccessIsKeptAndInherited(t *testing.T) {
	_, fs := lake(t, adls.Config{Principals: func(name string) bool { return name != "nobody" }})
	d := fs.NewDirectoryClient("d")
	_, err := d.Create(t.Context(), &directory.CreateOptions{Permissions: to.Ptr("1777"), Umask: to.Ptr("0022")})
	must(t, err)
	list := "user::rwx,user:bob:r-x,group::r-x,mask::r-x,other::---,default:user::rwx,default:user:ada:rwx,default:group::r-x,default:mask::rwx,default:other::---"
	_, err = d.SetAccessControl(t.Context(), &directory.SetAccessControlOptions{Owner: to.Ptr("ada"), Group: to.Ptr("etl"), ACL: &list})
	must(t, err)
	got, err := d.GetAccessControl(t.Context(), nil)
	if err != nil || *got.Owner != "ada" || *got.Group != "etl" || *got.ACL != list || *got.Permissions != "rwxr-x--T+" {
		t.Errorf("access of d = %v", got)
	}
	put(t, fs, "d/f", "f")
	f := fs.NewFileClient("d/f")
	got, err = f.GetAccessControl(t.Context(), nil)
	if err != nil || *got.Group != "etl" || *got.ACL != "user::rw-,user:ada:rwx,group::r-x,mask::rw-,other::---" || *got.Permissions != "rw-rw----+" {
		t.Errorf("access of d/f = %s %s", *got.ACL, *got.Permissions)
	}
	_, err = f.SetAccessControl(t.Context(), &file.SetAccessControlOptions{Permissions: to.Ptr("0640")})
	must(t, err)
	got, err = f.GetAccessControl(t.Context(), nil)
	if err != nil || *got.ACL != "user::rw-,user:ada:rwx,group::r-x,mask::r--,other::---" {
		t.Errorf("after chmod = %s", *got.ACL)
	}
	for _, o := range []file.SetAccessControlOptions{
		{ACL: to.Ptr("user::rwx")}, {ACL: to.Ptr("user::rwx,group::r-x,other::--")}, {Permissions: to.Ptr("rwz")},
		{ACL: to.Ptr("user::rwx,group::r-x,other::---,default:user:ada:rwx")},
		{ACL: to.Ptr("user::rwx,group::r-x,other::---"), Permissions: to.Ptr("0640")}, {Owner: to.Ptr("nobody")},
	} {
		var said *azcore.ResponseError
		if _, err := f.SetAccessControl(t.Context(), &o); !errors.As(err, &said) || said.StatusCode != http.StatusBadRequest {
			t.Errorf("%+v = %v", o, err)
		}
	}
	_, err = f.SetMetadata(t.Context(), map[string]*string{"mark": to.Ptr("m1")}, nil)
	must(t, err)
	p, err := f.GetProperties(t.Context(), nil)
	if err != nil || len(p.Metadata) != 1 || *p.Owner != "$superuser" || *p.ResourceType != "file" || p.CreationTime == nil {
		t.Errorf("properties = %+v, %v", p, err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	a, fs := lake(t, adls.Config{})
	wrong := client(t, a.Endpoint(), base64.StdEncoding.EncodeToString([]byte("another key")))
	_, err := wrong.GetProperties(t.Context(), nil)
	refused(t, err, http.StatusForbidden, "AuthenticationFailed")
	answer, err := http.Get(a.Endpoint() + "/lake?resource=filesystem&recursive=true")
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a signature = %s", answer.Status)
	}
	meddled := client(t, a.Endpoint(), adls.Key())
	put(t, meddled, "f", "f")
	_, err = fs.Create(t.Context(), nil)
	refused(t, err, http.StatusConflict, "FilesystemAlreadyExists")
	_, err = fs.Delete(t.Context(), nil)
	must(t, err)
	_, err = fs.GetProperties(t.Context(), nil)
	refused(t, err, http.StatusNotFound, "FilesystemNotFound")
}

// withMD5 adds the MD5 of some bytes to appends, which the SDK does not offer.
type withMD5 struct{ of string }

func (m withMD5) Do(r *policy.Request) (*http.Response, error) {
	if strings.Contains(r.Raw().URL.RawQuery, "action=append") {
		sum := md5.Sum([]byte(m.of))
		// The SDK signs the header under this very name.
		r.Raw().Header["Content-MD5"] = []string{base64.StdEncoding.EncodeToString(sum[:])}
	}
	return r.Next()
}

func TestContentIsHeldAgainstItsMD5(t *testing.T) {
	a, _ := lake(t, adls.Config{})
	fs := client(t, a.Endpoint(), adls.Key(), withMD5{"good"})
	put(t, fs, "f", "good")
	_, err := fs.NewFileClient("f").AppendData(t.Context(), 4, body("evil"), nil)
	refused(t, err, http.StatusBadRequest, "Md5Mismatch")
}

// TestWhatWasAcknowledgedSurvives kills -9 the server, and leaves half a record in its log.
func TestWhatWasAcknowledgedSurvives(t *testing.T) {
	s := adls.Boot(t)
	fs := client(t, s.Endpoint(), adls.Key())
	_, err := fs.Create(t.Context(), nil)
	must(t, err)
	large := string(bytes.Repeat([]byte("0123456789"), 50_000))
	put(t, fs, "d/f", large)
	put(t, fs, "d/old", "gone")
	_, err = fs.NewFileClient("d/f").SetAccessControl(t.Context(), &file.SetAccessControlOptions{Owner: to.Ptr("ada"), ACL: to.Ptr("user::rw-,user:bob:r--,group::r--,other::---")})
	must(t, err)
	_, err = fs.NewDirectoryClient("d").Rename(t.Context(), "e", nil)
	must(t, err)
	_, err = fs.NewFileClient("e/old").Delete(t.Context(), nil)
	must(t, err)
	_, err = fs.NewFileClient("e/f").AppendData(t.Context(), int64(len(large)), body("more"), nil)
	must(t, err)
	before, err := fs.NewFileClient("e/f").GetAccessControl(t.Context(), nil)
	must(t, err)
	must(t, s.Kill())
	must(t, adls.Tear(s))
	must(t, s.Restart(context.Background()))
	after, err := fs.NewFileClient("e/f").GetAccessControl(t.Context(), nil)
	if err != nil || *after.ETag != *before.ETag || *after.ACL != *before.ACL || *after.Owner != "ada" {
		t.Errorf("access = %+v, %v", after, err)
	}
	_, err = fs.NewFileClient("e/f").FlushData(t.Context(), int64(len(large)+4), nil)
	must(t, err)
	if got, err := get(t, fs, "e/f", nil); got != large+"more" || err != nil {
		t.Errorf("content = %d bytes, %v", len(got), err)
	}
	if got := names(t, fs, true, ""); len(got) != 2 {
		t.Errorf("there is %q", got)
	}
}
