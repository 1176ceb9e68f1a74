package adls

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSkew is how far a client's clock may be off.
const maxSkew = 15 * time.Minute

// signed says why a request is not signed by the account's key; nil when it is. The form is that of the documentation, "Authorize with Shared
// Key"; Hadoop's driver leaves out empty parameters, and the SDK does not, so both are taken.
func (a *Account) signed(r *http.Request) *refusal {
	scheme, said, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || scheme != "SharedKey" {
		return refuse(http.StatusUnauthorized, "NoAuthenticationInformation", "the request is not signed by a shared key")
	}
	date, err := time.Parse(http.TimeFormat, r.Header.Get("x-ms-date"))
	if err != nil || time.Since(date).Abs() > maxSkew {
		return refuse(http.StatusForbidden, "AuthenticationFailed", "x-ms-date is absent or too far off")
	}
	for _, empty := range []bool{true, false} {
		mac := hmac.New(sha256.New, a.key)
		mac.Write([]byte(toSign(r, a.config.Account, empty)))
		want := a.config.Account + ":" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		if hmac.Equal([]byte(want), []byte(said)) {
			return nil
		}
	}
	return refuse(http.StatusForbidden, "AuthenticationFailed", "the signature is wrong")
}

func toSign(r *http.Request, account string, empty bool) string {
	length := ""
	if r.ContentLength > 0 {
		length = strconv.FormatInt(r.ContentLength, 10)
	}
	h := r.Header.Get
	lines := []string{
		r.Method, h("Content-Encoding"), h("Content-Language"), length, h("Content-MD5"), h("Content-Type"), "",
		h("If-Modified-Since"), h("If-Match"), h("If-None-Match"), h("If-Unmodified-Since"), h("Range"),
	}
	lines = append(lines, ownHeaders(r.Header)...)
	return strings.Join(append(lines, resource(r, account, empty)), "\n")
}

func ownHeaders(all http.Header) []string {
	var lines []string
	for name, values := range all {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-ms-") {
			lines = append(lines, name+":"+strings.Join(values, ","))
		}
	}
	slices.SortFunc(lines, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, ":")
		nameB, _, _ := strings.Cut(b, ":")
		return strings.Compare(nameA, nameB)
	})
	return lines
}

// resource is the path as it was sent, and the parameters.
func resource(r *http.Request, account string, empty bool) string {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	text := "/" + account + path
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	var lines []string
	for name, v := range values {
		slices.Sort(v)
		if joined := strings.Join(v, ","); joined != "" || empty {
			lines = append(lines, strings.ToLower(name)+":"+joined)
		}
	}
	slices.Sort(lines)
	return strings.Join(append([]string{text}, lines...), "\n")
}
