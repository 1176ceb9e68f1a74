package adls_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"

	"github.com/understudy-dr/understudy/lab/adls"
)

// day is a driver and the SDK on one file system.
type day struct {
	*testing.T
	driver *adls.Driver
	addr   string
	fs     *filesystem.Client
}

// run runs a command of FsShell.
func (d day) run(args ...string) string {
	d.Helper()
	text, err := d.driver.Run(d.Context(), d.addr, args...)
	must(d.T, err)
	return text
}

// says wants a command to print something.
func (d day) says(want string, args ...string) {
	d.Helper()
	if got := d.run(args...); !strings.Contains(got, want) {
		d.Errorf("%q printed %q, without %q", args, got, want)
	}
}

// fails wants a command to be refused.
func (d day) fails(why string, args ...string) {
	d.Helper()
	if _, err := d.driver.Run(d.Context(), d.addr, args...); err == nil || !strings.Contains(err.Error(), why) {
		d.Errorf("%q = %v, want %q", args, err, why)
	}
}

func at(path string) string { return adls.URI("lake", path) }

// TestHadoopsDriver is a day of Hadoop's FsShell on the server, with the SDK as the witness, and the other way round.
func TestHadoopsDriver(t *testing.T) {
	driver := adls.OpenDriver(t)
	a, fs := lake(t, adls.Config{Page: 3})
	d := day{T: t, driver: driver, addr: a.Addr(), fs: fs}
	d.contents()
	d.access()
	for _, want := range []string{"/moved/large", "/moved/one", "/d/zero", "/d/4 ü%", "ada"} {
		d.says(want, "-ls", "-R", at(""))
	}
	d.run("-rm", "-r", "-skipTrash", at("d"))
	if got := names(t, fs, true, ""); len(got) != 3 {
		t.Errorf("left = %q", got)
	}
	d.fails("No such file", "-cat", at("d/2"))
}

// contents writes, appends, reads and renames.
func (d day) contents() {
	local := filepath.Join(d.TempDir(), "local")
	large := strings.Repeat("0123456789", 900_000)
	must(d.T, os.WriteFile(local, []byte(large), 0o600))
	d.run("-mkdir", "-p", at("d/e"))
	d.run("-put", local, at("d/e/large"))
	if got, err := get(d.T, d.fs, "d/e/large", nil); got != large || err != nil {
		d.Errorf("the SDK reads %d bytes, %v", len(got), err)
	}
	d.run("-appendToFile", local, at("d/e/large"))
	d.run("-touchz", at("d/zero"))
	for _, name := range []string{"d/1", "d/2", "d/3", "d/4 ü%"} {
		put(d.T, d.fs, name, "content of "+name)
		d.says("content of "+name, "-cat", at(name))
	}
	d.says("18000000", "-du", "-s", at("d/e"))
	d.run("-mv", at("d/e"), at("moved"))
	d.run("-mv", at("d/1"), at("moved/one"))
	d.fails("exists", "-mv", at("d/2"), at("moved/one"))
}

// access changes owners, permissions and lists with one client, and reads them with the other.
func (d day) access() {
	d.run("-chown", "ada:etl", at("moved/one"))
	d.run("-chmod", "751", at("moved/one"))
	d.run("-setfacl", "-m", "user:bob:r--", at("moved/one"))
	one := d.fs.NewFileClient("moved/one")
	got, err := one.GetAccessControl(d.Context(), nil)
	must(d.T, err)
	if *got.Owner != "ada" || *got.Group != "etl" || *got.Permissions != "rwxr-x--x+" || !strings.Contains(*got.ACL, "user:bob:r--") {
		d.Errorf("access = %s %s %s %s", *got.Owner, *got.Group, *got.Permissions, *got.ACL)
	}
	d.run("-setfacl", "-m", "default:user:eve:rwx", at("moved"))
	d.says("default:user:eve:rwx", "-getfacl", at("moved"))
	_, err = one.SetAccessControl(d.Context(), &file.SetAccessControlOptions{ACL: to.Ptr("user::rw-,user:zoe:r-x,group::---,other::---")})
	must(d.T, err)
	d.says("user:zoe:r-x", "-getfacl", at("moved/one"))
	d.run("-setfattr", "-n", "user.origin", "-v", "east", at("moved/one"))
	d.says(`user.origin="east"`, "-getfattr", "-n", "user.origin", at("moved/one"))
}
