package spec

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/provision"
)

// Serve is the configuration of `understudy serve`. It alone says where secrets are and which commands hooks run,
// so that who may apply a plan can neither read a file nor run a command.
type Serve struct {
	Site    understudy.Site               `yaml:"site" doc:"where this process stands: it follows the links into that site"`
	Data    string                        `yaml:"data" doc:"the directory for the journal, the ledger and the socket; an absolute path"`
	Journal Journal                       `yaml:"journal,omitempty" doc:"where the control plane remembers"`
	Listen  Listen                        `yaml:"listen,omitempty" doc:"where the API answers"`
	Tokens  notYet                        `yaml:"tokens,omitempty" doc:"who may call over TCP; not available yet"`
	Secrets Secrets                       `yaml:"secrets,omitempty" doc:"where the secrets are that sites and plans name"`
	Hooks   map[understudy.HookName]*Hook `yaml:"hooks,omitempty" doc:"the commands that plans may name"`
	// Provisioners make and remove clusters.
	Provisioners map[understudy.ProvisionerName]*ProvisionerCommand `yaml:"provisioners,omitempty" doc:"the commands that make and remove clusters, by the names that sites use"`
	Limits       Limits                                             `yaml:"limits,omitempty" doc:"bounds of memory and time"`
	Log          Log                                                `yaml:"log,omitempty" doc:"what is logged, to standard error"`
}

// Journal says where the control plane remembers.
type Journal struct {
	Etcd Etcd `yaml:"etcd,omitempty" doc:"embedded, or the endpoints of an etcd of yours" default:"embedded"`
}

// Etcd is an embedded etcd when it has no Endpoints.
type Etcd struct {
	// Endpoints are URLs of an etcd cluster.
	Endpoints []string `yaml:"endpoints" doc:"URLs of your etcd, such as https://etcd-1:2379"`
	// Prefix stands before every key, so that several control planes can share an etcd.
	Prefix string   `yaml:"prefix,omitempty" doc:"what stands before every key" default:"/understudy"`
	TLS    *EtcdTLS `yaml:"tls" doc:"certificates for https endpoints"`
}

// EtcdTLS names files for mutual TLS with an etcd; absolute paths.
type EtcdTLS struct {
	CA   string `yaml:"ca,omitempty" doc:"a file with the authority's certificate"`
	Cert string `yaml:"cert,omitempty" doc:"a file with our certificate"`
	Key  string `yaml:"key,omitempty" doc:"a file with our key"`
}

// Embedded says that the journal is in the data directory.
func (e Etcd) Embedded() bool { return len(e.Endpoints) == 0 }

// Listen says where the API answers.
type Listen struct {
	Socket string `yaml:"socket,omitempty" doc:"an absolute path, or default: understudy.sock in the data directory" default:"default"`
	TCP    notYet `yaml:"tcp,omitempty" doc:"an address; not available yet"`
	TLS    notYet `yaml:"tls,omitempty" doc:"certificate and key; not available yet"`
}

// Hook is a command that serve may run at a stage.
type Hook struct {
	Exec    []string      `yaml:"exec" doc:"the command, by its absolute path, and its arguments"`
	Timeout time.Duration `yaml:"timeout,omitempty" doc:"how long it may take" default:"1m"`
}

// ProvisionerCommand is a command that makes and removes clusters: it reads one JSON document and answers with one.
type ProvisionerCommand struct {
	Exec    []string      `yaml:"exec" doc:"the command, by its absolute path, and its arguments"`
	Timeout time.Duration `yaml:"timeout,omitempty" doc:"how long one call may take" default:"15m"`
}

// Limits bounds memory and time.
type Limits struct {
	Fetch   understudy.Size `yaml:"fetch,omitempty" doc:"memory for data on its way, of each link: fetched, taken apart and made anew; a batch that needs more passes alone" default:"64MiB"`
	Lease   time.Duration   `yaml:"lease,omitempty" doc:"how long a process that was cut off may go on; a successor waits longer" default:"5s"`
	Request time.Duration   `yaml:"request,omitempty" doc:"the longest that one request to a cluster may take" default:"10s"`
}

// Log says what is logged.
type Log struct {
	Level  string `yaml:"level,omitempty" enum:"debug,info,warn,error" doc:"the least level that is logged" default:"info"`
	Format string `yaml:"format,omitempty" enum:"text,json" doc:"for people, or for machines" default:"text"`
}

// notYet is a key that is reserved and refused.
type notYet struct{}

func (*notYet) read(r *reader, _ *yaml.Node, path string) {
	r.onKey(path, Problem{Code: codeNotYet, Summary: path + " is not available yet",
		Why: "a TCP listener needs TLS and tokens, and both are still to come; nothing listens without them",
		Fix: "remove it and use the socket: it names its caller by the user id of the other side"})
}

func (e *Etcd) read(r *reader, n *yaml.Node, path string) {
	if text := nodeText(n); text != "" {
		if text != "embedded" {
			r.on(path, Problem{Code: codeValue, Summary: fmt.Sprintf("%s cannot be %q", path, short(text)),
				Suggestion: nearest(text, []string{"embedded"}), Fix: "write embedded, or { endpoints: [https://…] }"})
		}
		return
	}
	r.structs(n, path, nil, reflect.ValueOf(e).Elem())
}

func (f *SecretSource) read(r *reader, n *yaml.Node, path string) {
	if n.Kind == yaml.ScalarNode {
		r.secret(r.placeOf(n), path, "a secret is described by env, file or exec, not by its value")
		return
	}
	r.structs(n, path, nil, reflect.ValueOf(f).Elem())
}

// DefaultServe is a configuration with every default set; Site and Data have none.
func DefaultServe() Serve {
	return Serve{
		Journal: Journal{Etcd: Etcd{Prefix: "/understudy"}},
		Listen:  Listen{Socket: "default"},
		Limits:  Limits{Fetch: 64 << 20, Lease: 5 * time.Second, Request: 10 * time.Second},
		Log:     Log{Level: "info", Format: "text"},
	}
}

// SocketPath is where the socket is, with "default" resolved.
func (s Serve) SocketPath() string {
	if s.Listen.Socket == "" || s.Listen.Socket == "default" {
		return filepath.Join(s.Data, "understudy.sock")
	}
	return s.Listen.Socket
}

// ParseServe reads serve's configuration, as strictly as sites and plans. The given keys may be left out of it, because
// the caller has them from elsewhere. The error is Problems.
func ParseServe(source Source, given ...string) (Serve, error) {
	var problems Problems
	s := DefaultServe()
	parts := split(source, &problems)
	if len(parts) == 0 && len(problems) == 0 {
		problems.add(&Problem{Code: codeEmpty, File: source.Name, Summary: "the configuration is empty", Fix: "write at least `site:` and `data:`"})
	}
	for i, p := range parts {
		r := newReader(p, &problems)
		for _, key := range given {
			r.given[key] = true
		}
		r.values[""] = p.placeOf(p.root)
		if i > 0 {
			r.on("", Problem{Code: codeServe, Summary: "serve's configuration is one document", Fix: "keep sites and plans in files of their own, and `understudy apply` them"})
			continue
		}
		r.value(p.root, reflect.ValueOf(&s).Elem(), "", field{})
		s.check(r)
	}
	return s, problems.sorted()
}

func (s *Serve) check(r *reader) {
	absolute(r, "data", s.Data)
	if s.Listen.Socket != "default" {
		absolute(r, "listen.socket", s.Listen.Socket)
	}
	if s.Journal.Etcd.TLS != nil {
		absolute(r, "journal.etcd.tls.ca", s.Journal.Etcd.TLS.CA)
		absolute(r, "journal.etcd.tls.cert", s.Journal.Etcd.TLS.Cert)
		absolute(r, "journal.etcd.tls.key", s.Journal.Etcd.TLS.Key)
	}
	for i, e := range s.Journal.Etcd.Endpoints {
		s.endpoint(r, fmt.Sprintf("journal.etcd.endpoints[%d]", i), e)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Hooks)) {
		h, path := s.Hooks[name], join("hooks", string(name))
		if h.Timeout == 0 {
			h.Timeout = time.Minute
		}
		if len(h.Exec) > 0 {
			absolute(r, path+".exec[0]", h.Exec[0])
		}
	}
	s.checkProvisioners(r)
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		s.Secrets[name].check(r, join("secrets", string(name)))
	}
	between(r, "limits.lease", s.Limits.Lease, time.Second, time.Minute, FormatDuration)
	between(r, "limits.request", s.Limits.Request, time.Second, 5*time.Minute, FormatDuration)
	between(r, "limits.fetch", s.Limits.Fetch, 1<<20, 64<<30, understudy.Size.String)
}

func (s *Serve) checkProvisioners(r *reader) {
	for _, name := range slices.Sorted(maps.Keys(s.Provisioners)) {
		p, path := s.Provisioners[name], join("provisioners", string(name))
		if p.Timeout == 0 {
			p.Timeout = 15 * time.Minute
		}
		if len(p.Exec) > 0 {
			absolute(r, path+".exec[0]", p.Exec[0])
		}
		if name == provision.Static {
			r.onKey(path, Problem{Code: codeValue, Summary: "static is the name of clusters that are always there", Fix: "give the command another name"})
		}
	}
}

func (s *Serve) endpoint(r *reader, path, text string) {
	u, err := url.Parse(text)
	if r.fine(path) && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Port() == "") {
		r.on(path, Problem{Code: codeAddress, Summary: fmt.Sprintf("%q is not an etcd endpoint", short(text)), Fix: "write a URL with its port, such as https://etcd-1:2379"})
	}
}

func (f *SecretSource) check(r *reader, path string) {
	set := 0
	for _, is := range []bool{f.Env != "", f.File != "", len(f.Exec) > 0} {
		if is {
			set++
		}
	}
	if set != 1 && r.fine(path) {
		r.onKey(path, Problem{Code: codeSecretSource, Summary: path + " needs exactly one of env, file and exec", Fix: "write for example { file: /etc/understudy/secrets/NAME }"})
	}
	absolute(r, path+".file", f.File)
	if len(f.Exec) > 0 {
		absolute(r, path+".exec[0]", f.Exec[0])
	}
}

func absolute(r *reader, path, value string) {
	if value == "" || filepath.IsAbs(value) || !r.fine(path) {
		return
	}
	r.on(path, Problem{Code: codePath, Summary: fmt.Sprintf("%s must be an absolute path", path),
		Why: "what a relative path means would depend on where serve was started", Fix: "write the whole path, from /"})
}

func between[T time.Duration | understudy.Size](r *reader, path string, value, least, most T, format func(T) string) {
	if (value < least || value > most) && r.fine(path) {
		r.on(path, Problem{Code: codeRange, Summary: fmt.Sprintf("%s is %s", path, format(value)),
			Fix: fmt.Sprintf("write a value from %s to %s", format(least), format(most))})
	}
}
