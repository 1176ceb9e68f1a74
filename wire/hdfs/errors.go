package hdfs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/rpc"
)

// Sentinels: errors.Is finds them in whatever this package returns.
var (
	// ErrNotFound is a path, snapshot or attribute that is not there.
	ErrNotFound = errors.New("not found")
	// ErrExists is a path that is there already.
	ErrExists = errors.New("exists already")
	// ErrPermission is a user who may not do this.
	ErrPermission = errors.New("permission denied")
	// ErrUnauthenticated is a server that does not take this way of saying who we are.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrStandby is a NameNode that is not the active one.
	ErrStandby = errors.New("the NameNode is on standby")
	// ErrSafeMode is a NameNode that takes no changes yet, or by order of an operator.
	ErrSafeMode = errors.New("the NameNode is in safe mode")
	// ErrRetriable is a server that asks to be asked again.
	ErrRetriable = errors.New("the server asks to try again")
	// ErrQuota is a quota of names, space or snapshots that is used up.
	ErrQuota = errors.New("quota exceeded")
	// ErrNoSpace is a cluster without room for a block, or a directory that holds as many entries as it may.
	ErrNoSpace = errors.New("no room left")
	// ErrLease is a file that another client is writing, or that this one no longer holds.
	ErrLease = errors.New("the lease of the file is not held")
	// ErrUnavailable is a NameNode that cannot be reached.
	ErrUnavailable = errors.New("no NameNode could be reached")
	// ErrTimeout is a server that did not answer in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrChecksum is data that differs from its checksums.
	ErrChecksum = errors.New("data differs from its checksum")
	// ErrNoReplica is a block of which no replica could be read.
	ErrNoReplica = errors.New("no readable replica")
	// ErrPipeline is a block that could not be written to any DataNode.
	ErrPipeline = errors.New("no DataNode left to write to")
	// ErrEncrypted is a file or folder in an encryption zone; this client has no keys.
	ErrEncrypted = errors.New("the path is in an encryption zone")
	// ErrStriped is an erasure-coded file where only replicated ones are possible.
	ErrStriped = errors.New("the file is erasure-coded")
	// ErrUnsupported is a call or an option that the server does not know.
	ErrUnsupported = errors.New("the server does not support this")
	// ErrUnderConstruction is a file that is still being written.
	ErrUnderConstruction = errors.New("the file is under construction")
	// ErrNotDirectory is a path with a file where a folder was meant, or the other way round.
	ErrNotDirectory = errors.New("not a directory")
	// ErrNotEmpty is a folder with entries in it.
	ErrNotEmpty = errors.New("the directory is not empty")
	// ErrSnapshot is a snapshot operation that the folder does not allow, or a change that its snapshots forbid.
	ErrSnapshot = errors.New("refused because of snapshots")
	// ErrProtocol is an answer that cannot be understood.
	ErrProtocol = errors.New("the server broke the protocol")
	// ErrClosed is a client, reader or writer that was closed.
	ErrClosed = errors.New("closed already")
)

// missing is what an empty answer means.
func missing(op, path string) error {
	return &Error{Op: op, Path: path, Err: errors.Join(ErrNotFound, fs.ErrNotExist)}
}

// RemoteError is a refusal by a server, with the Java exception that it gave.
type RemoteError struct {
	// Op is the procedure that was called, such as rename2. Path is what it was called for; empty for calls without one.
	Op, Path string
	// Server is the address of who answered.
	Server string
	// Class is the full name of the exception; Message is its text, without the Java stack.
	Class, Message string
	// code is the kind of failure below the application (RpcHeader.proto, RpcErrorCodeProto).
	code int
}

// Error names the operation, the path, the short name of the exception and its message.
func (e *RemoteError) Error() string {
	text := e.Op
	if e.Path != "" {
		text += " " + e.Path
	}
	return fmt.Sprintf("%s: %s: %s (%s)", text, e.Exception(), e.Message, e.Server)
}

// Exception is the class without its package.
func (e *RemoteError) Exception() string {
	return e.Class[strings.LastIndexAny(e.Class, ".$")+1:]
}

// codeUnauthorized is RpcErrorCodeProto.FATAL_UNAUTHORIZED; codeNoSuchMethod and codeNoSuchProtocol are calls an older server lacks.
const (
	codeNoSuchMethod   = 2
	codeNoSuchProtocol = 3
	codeUnauthorized   = 15
)

// Is maps exceptions to the sentinels of this package, and to those of io/fs that mean the same.
func (e *RemoteError) Is(target error) bool {
	switch target {
	case ErrNotFound, fs.ErrNotExist:
		return e.is("FileNotFoundException", "PathIsNotFoundException")
	case ErrExists, fs.ErrExist:
		return e.is("FileAlreadyExistsException", "PathExistsException")
	case ErrPermission, fs.ErrPermission:
		return e.code != codeUnauthorized && e.is("AccessControlException", "AuthorizationException") && !e.throughFile()
	case ErrUnauthenticated:
		return e.code == codeUnauthorized
	case ErrStandby:
		return e.is("StandbyException", "ObserverRetryOnActiveException")
	case ErrSafeMode:
		return e.is("SafeModeException") || e.is("RetriableException") && strings.Contains(e.Message, "SafeModeException")
	case ErrRetriable:
		return e.is("RetriableException", "ServerTooBusyException") || e.starting()
	case ErrQuota:
		return e.is("QuotaExceededException", "NSQuotaExceededException", "DSQuotaExceededException", "QuotaByStorageTypeExceededException")
	case ErrNoSpace:
		return e.is("MaxDirectoryItemsExceededException")
	case ErrLease:
		return e.is("LeaseExpiredException", "AlreadyBeingCreatedException", "RecoveryInProgressException")
	case ErrUnsupported:
		return e.code == codeNoSuchMethod || e.code == codeNoSuchProtocol || e.is("UnsupportedOperationException", "RpcNoSuchMethodException")
	case ErrEncrypted:
		return e.is("UnknownCryptoProtocolVersionException") || strings.Contains(e.Message, "can't be moved into an encryption zone")
	case ErrNotDirectory:
		return e.is("ParentNotDirectoryException", "PathIsNotDirectoryException") || e.throughFile()
	case ErrNotEmpty:
		return e.is("PathIsNotEmptyDirectoryException")
	case ErrSnapshot:
		return e.is("SnapshotException", "NestedSnapshottableException", "SnapshotAccessControlException")
	}
	return false
}

// is says whether the exception has one of the short names.
func (e *RemoteError) is(names ...string) bool { return slices.Contains(names, e.Exception()) }

// starting says that the NameNode has not finished its start. Safe mode by order of an operator, or for want of space, is another matter: it stays.
func (e *RemoteError) starting() bool {
	return e.is("SafeModeException") && strings.Contains(e.Message, "turned off automatically") || strings.Contains(e.Message, "NameNode still not started")
}

// throughFile says that the path leads through a file, which servers tell as a matter of access (FSPermissionChecker.checkTraverse).
func (e *RemoteError) throughFile() bool {
	return e.is("AccessControlException") && strings.Contains(e.Message, "(is not a directory)")
}

// Error is a failure on our side of the wire: a server out of reach, a broken connection, data that is not as it should be.
type Error struct {
	// Op is what was being done, Path to what; Server is the address it was done at. Empty where there is none.
	Op, Path, Server string
	// Err is the cause; sentinels are found in it.
	Err error
}

// Error names the operation, the path, the server and the cause.
func (e *Error) Error() string {
	text := e.Op
	if e.Path != "" {
		text += " " + e.Path
	}
	text += ": " + e.Err.Error()
	if e.Server != "" {
		text += " (" + e.Server + ")"
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// wrap gives a failure its operation, path and server; a refusal keeps its exception.
func wrap(op, path, server string, err error) error {
	if err == nil {
		return nil
	}
	var refused *rpc.ServerError
	var login *LoginError
	if !errors.As(err, &login) && errors.As(err, &refused) {
		return &RemoteError{Op: op, Path: path, Server: server, Class: refused.Class, Message: refused.Message, code: refused.Code}
	}
	if errors.Is(err, rpc.ErrTimeout) {
		err = errors.Join(ErrTimeout, err)
	}
	return &Error{Op: op, Path: path, Server: server, Err: err}
}

// IsNotFound says that what was asked for is not there.
func IsNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

// IsExists says that the target is there already.
func IsExists(err error) bool { return errors.Is(err, ErrExists) }

// IsPermission says that the user may not do this.
func IsPermission(err error) bool { return errors.Is(err, ErrPermission) }

// IsStandby says that no active NameNode answered.
func IsStandby(err error) bool { return errors.Is(err, ErrStandby) }

// IsSafeMode says that the NameNode takes no changes now.
func IsSafeMode(err error) bool { return errors.Is(err, ErrSafeMode) }

// IsUnavailable says that no NameNode could be reached, or that the connection broke before the answer.
func IsUnavailable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, rpc.ErrLost)
}

// IsRetriable says that the same call may well succeed a little later: servers out of reach, on standby, in safe mode, or busy.
func IsRetriable(err error) bool {
	return IsUnavailable(err) || IsStandby(err) || IsSafeMode(err) || errors.Is(err, ErrRetriable) || errors.Is(err, ErrTimeout)
}
