package storage

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/workload"
)

// S3 is a bucket in a site file.
type S3 struct {
	URL    string `yaml:"url" json:"url" doc:"the server's, such as https://s3.eu-west-1.amazonaws.com"`
	Region string `yaml:"region,omitempty" json:"region,omitempty" doc:"the bucket's region; left out, the server is asked"`
	Bucket string `yaml:"bucket" json:"bucket" doc:"the bucket's name"`
	Prefix string `yaml:"prefix,omitempty" json:"prefix,omitempty" doc:"what stands before the trees' paths, such as lake/prod"`
	// Secret names understudy's own keys.
	Secret understudy.SecretName `yaml:"secret" json:"secret" doc:"the secret with understudy's own keys, as ACCESS:SECRET or ACCESS:SECRET:TOKEN"`
	CA     understudy.SecretName `yaml:"ca,omitempty" json:"ca,omitempty" doc:"the secret with the certificates that sign the server's, in PEM; left out, the system's"`
	// Fence says whether the bucket's policy may be used. It has no default.
	Fence     string        `yaml:"fence" json:"fence" enum:"policy,none" doc:"policy: a statement in the bucket's policy denies ordinary writers while the side is closed; none: nothing keeps them out, and a switchover away from here is refused"`
	Principal string        `yaml:"principal,omitempty" json:"principal,omitempty" doc:"the ARN of understudy's own user or role, which the statement lets pass; left out where no policy binds its keys"`
	Writer    *ObjectWriter `yaml:"writer" json:"writer,omitempty" doc:"an ordinary writer, with whose keys the refused write of a fence is tried"`
	ReadBack  bool          `yaml:"readBack,omitempty" json:"readBack,omitempty" doc:"the server computes no CRC32C: what is staged is read back"`
	Marks     bool          `yaml:"marks,omitempty" json:"marks,omitempty" doc:"leave out empty objects whose keys end with a slash, which other programs make as directories"`
}

// Blob is a container of Azure Blob Storage in a site file.
type Blob struct {
	URL       string `yaml:"url" json:"url" doc:"the account's, such as https://ACCOUNT.blob.core.windows.net"`
	Account   string `yaml:"account,omitempty" json:"account,omitempty" doc:"the account's name; left out, the one in the URL"`
	Container string `yaml:"container" json:"container" doc:"the container's name"`
	Prefix    string `yaml:"prefix,omitempty" json:"prefix,omitempty" doc:"what stands before the trees' paths, such as lake/prod"`
	// Secret names the account's key.
	Secret   understudy.SecretName `yaml:"secret" json:"secret" doc:"the secret with a key of the account, in base64"`
	Policies []string              `yaml:"policies,omitempty" json:"policies,omitempty" doc:"the container's stored access policies by which ordinary writers write; closing leaves them reading only, in the whole container. Without any nothing keeps writers out, and a switchover away from here is refused"`
	Writer   *ObjectWriter         `yaml:"writer" json:"writer,omitempty" doc:"an ordinary writer's shared access signature, which names one of the policies; the refused write of a fence is tried with it"`
}

// ADLS is a file system of Azure Data Lake Storage Gen2 in a site file.
type ADLS struct {
	URL        string `yaml:"url" json:"url" doc:"the account's DFS endpoint, such as https://ACCOUNT.dfs.core.windows.net"`
	Account    string `yaml:"account,omitempty" json:"account,omitempty" doc:"the account's name; left out, the one in the URL"`
	FileSystem string `yaml:"fileSystem" json:"fileSystem" doc:"the file system's name; its account has a hierarchical namespace"`
	Prefix     string `yaml:"prefix,omitempty" json:"prefix,omitempty" doc:"the directory below which the trees' paths lie, such as lake/prod"`
	// Secret names the account's key.
	Secret   understudy.SecretName `yaml:"secret" json:"secret" doc:"the secret with a key of the account, in base64. Keys and signatures pass owners, modes and lists, so nothing keeps writers out, and a switchover away from here is refused"`
	NoOwners bool                  `yaml:"noOwners,omitempty" json:"noOwners,omitempty" doc:"keep owners, groups and access control lists beside the trees only, where the account does not take the names of the other site"`
}

// ObjectWriter is an ordinary writer of a bucket or a container.
type ObjectWriter struct {
	Secret understudy.SecretName `yaml:"secret" json:"secret" doc:"the secret with the writer's credential"`
}

// secret gives the name of a writer's secret; empty when there is none.
func (w *ObjectWriter) secret() string {
	if w == nil {
		return ""
	}
	return string(w.Secret)
}

// plainBucket is what names of buckets, containers and file systems look like.
var plainBucket = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// plainPrefix says whether a prefix has plain elements only.
func plainPrefix(p string) bool {
	return p == "" || p == strings.Trim(path.Clean(p), "/") && p != "." && p != ".." && !strings.HasPrefix(p, "../") && !hidden("/"+p)
}

// webAddress says whether a text is a URL of a server, with a path only where that is allowed.
func webAddress(text string, withPath bool) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil && u.RawQuery == "" &&
		(withPath || u.Path == "" || u.Path == "/")
}

func (e *S3) validate() []workload.FieldError {
	out := validateObjects(e.Bucket, "bucket", "bucket", e.Prefix)
	if e.URL != "" && !webAddress(e.URL, false) {
		out = append(out, invalid("url", fmt.Sprintf("%q is not the URL of a server", e.URL), "write it as https://s3.eu-west-1.amazonaws.com, without the bucket"))
	}
	if e.Principal != "" && len(strings.SplitN(e.Principal, ":", 6)) < 6 {
		out = append(out, invalid("principal", fmt.Sprintf("%q is not an ARN", e.Principal), "write it as arn:aws:iam::123456789012:role/understudy"))
	}
	return out
}

func (e *Blob) validate() []workload.FieldError {
	out := validateObjects(e.Container, "container", "container", e.Prefix)
	if e.URL != "" && !webAddress(e.URL, true) {
		out = append(out, invalid("url", fmt.Sprintf("%q is not the URL of an account", e.URL), "write it as https://ACCOUNT.blob.core.windows.net"))
	}
	if e.Writer != nil && len(e.Policies) == 0 {
		out = append(out, invalid("writer", "without policies nothing is refused to a writer", "name the stored access policy of the writer's signature under policies"))
	}
	return out
}

func (e *ADLS) validate() []workload.FieldError {
	out := validateObjects(e.FileSystem, "fileSystem", "file system", e.Prefix)
	if e.URL != "" && (!webAddress(e.URL, true) || strings.Contains(e.URL, blobHost)) {
		out = append(out, invalid("url", fmt.Sprintf("%q is not the URL of an account's DFS endpoint", e.URL), "write it as https://ACCOUNT.dfs.core.windows.net"))
	}
	return out
}

// blobHost is in the host of an account's other endpoint, which knows no directories.
const blobHost = ".blob."

// validateObjects checks what buckets, containers and file systems have in common; values that are missing have errors of their own.
func validateObjects(name, key, what, prefix string) []workload.FieldError {
	var out []workload.FieldError
	if name != "" && !plainBucket.MatchString(name) {
		out = append(out, invalid(key, fmt.Sprintf("%q is not the name of a %s", name, what), "names have 3 to 63 small letters, digits, dots and hyphens"))
	}
	if !plainPrefix(prefix) {
		out = append(out, invalid("prefix", fmt.Sprintf("%q is not a plain prefix", prefix), "write it as lake/prod, without a slash at either end"))
	}
	return out
}

// accountOf gives an account's name, unless it is said: in Azure it is the host's first label, elsewhere the path's first element.
func accountOf(said, at string) string {
	if said != "" {
		return said
	}
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	if first, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/"); first != "" {
		return first
	}
	first, _, _ := strings.Cut(u.Hostname(), ".")
	return first
}

// wild are characters that mean others in a bucket's policy.
const wild = "*?$"

// validatePolicyTrees refuses trees that a bucket's policy cannot name.
func validatePolicyTrees(cfg *Config, s workload.Spec) []workload.FieldError {
	fenced := false
	for _, c := range s.Clusters {
		e, ok := c.(*S3)
		fenced = fenced || ok && e.Fence == "policy"
	}
	var out []workload.FieldError
	for i, t := range cfg.Trees {
		if fenced && strings.ContainsAny(t.Path, wild) {
			out = append(out, invalid(fmt.Sprintf("trees[%d].path", i), fmt.Sprintf("%q holds one of %s, which a bucket's policy takes for others", t.Path, wild), "give the directory another name, or set fence: none"))
		}
	}
	return out
}
