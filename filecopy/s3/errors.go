package s3

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	"github.com/minio/minio-go/v7"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/filecopy"
)

// tell gives an error of the server the meaning that it has in the contract, and names the bucket, which few answers do.
func (s *Store) tell(err error) error {
	if err == nil {
		return nil
	}
	var said minio.ErrorResponse
	if !errors.As(err, &said) {
		return err
	}
	if said.BucketName == "" {
		said.BucketName = s.bucket
	}
	return &told{meaning(said), said}
}

// signed says whether an answer bears a mark of a server of S3: a header of its own, or its sort of body.
func signed(said minio.ErrorResponse) bool {
	return said.RequestID != "" || said.HostID != "" || said.Region != "" || said.XMLName.Local == "Error"
}

// meaning goes by the code where the answer had one; an answer to HEAD has only its status.
func meaning(said minio.ErrorResponse) error {
	for _, m := range []struct {
		means  error
		status int
		codes  []string
	}{
		{filecopy.ErrCorrupt, 0, []string{"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "ChecksumMismatch"}},
		{filecopy.ErrNotFound, http.StatusNotFound, []string{"NoSuchKey", "NoSuchUpload", "NoSuchBucket", "NotFound"}},
		{filecopy.ErrChanged, http.StatusPreconditionFailed, []string{"PreconditionFailed", "ConditionalRequestConflict", "ObjectParentIsFile", "ExistingObjectIsDirectory"}},
		{filecopy.ErrBusy, http.StatusServiceUnavailable, []string{"SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "RequestLimitExceeded", "Throttling"}},
		{filecopy.ErrBusy, http.StatusTooManyRequests, []string{"TooManyRequests", "ThrottlingException", "RequestThrottled"}},
		// Quotas are answered by 403 and 400, a full disk by 507.
		{filecopy.ErrFull, http.StatusInsufficientStorage, []string{"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}},
		{fs.ErrPermission, http.StatusForbidden, []string{"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled", "AccountProblem"}},
		{fs.ErrPermission, http.StatusUnauthorized, nil},
	} {
		if slices.Contains(m.codes, said.Code) || m.status != 0 && said.StatusCode == m.status {
			return m.means
		}
	}
	return nil
}

// told is what a server said, with its meaning where it has one.
type told struct {
	means error
	said  minio.ErrorResponse
}

func (t *told) Error() string {
	at := t.said.BucketName
	if t.said.Key != "" {
		at += "/" + t.said.Key
	}
	return fmt.Sprintf("%s (%s, %d; bucket %s)", t.said.Error(), t.said.Code, t.said.StatusCode, at)
}

func (t *told) Unwrap() []error {
	all := []error{t.said}
	if t.means != nil {
		all = append(all, t.means)
	}
	if t.said.StatusCode != 0 && !signed(t.said) {
		all = append(all, filecopy.ErrStranger)
	}
	return all
}

// noObject says whether it is an object that is not there, and not the upload or the bucket.
func noObject(err error) bool {
	var t *told
	return errors.As(err, &t) && t.said.Code == "NoSuchKey"
}

// absentIsFine takes what is not there as removed.
func (s *Store) absentIsFine(err error) error { return filecopy.AbsentIsFine(s.tell(err)) }

// noPath refuses a key.
func noPath(bucket, key, why string) error {
	return &understudy.Error{
		Code: "US630", Kind: understudy.KindInvalid, Op: "filecopy.list",
		Summary: fmt.Sprintf("the key %q of bucket %s cannot be the path of a file: %s", key, bucket, why),
		Fix:     "rename or remove the object, or leave it out",
	}
}

// noSum says that the server does not prove what it holds.
func noSum(bucket string) error {
	return &understudy.Error{
		Code: "US631", Kind: understudy.KindInvalid, Op: "filecopy.copy",
		Summary: fmt.Sprintf("the server of bucket %s gave no CRC32C of what was written", bucket),
		Fix:     "say that what is staged there is to be read back",
	}
}

// tooLarge refuses a file.
func tooLarge(e filecopy.Entry) error {
	return &understudy.Error{
		Code: "US632", Kind: understudy.KindInvalid, Op: "filecopy.copy",
		Summary: fmt.Sprintf("%q has %d bytes, and an object has at most %d", string(e.Path), e.Size, int64(maxObject)),
		Fix:     "split the file, or leave it out",
	}
}
