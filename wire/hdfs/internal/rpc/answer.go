package rpc

import (
	"fmt"
	"strings"

	"github.com/understudy-dr/understudy/wire/hdfs/internal/proto"
)

// Outcomes of a call (RpcResponseHeaderProto.RpcStatusProto).
const (
	statusSuccess = 0
	statusFatal   = 2
)

// ServerError is a refusal by the server.
type ServerError struct {
	// Class is the full Java name of the exception.
	Class string
	// Message is its text without the Java stack.
	Message string
	// Code is the kind of failure below the application, such as 15 for unauthorized; 1 is an ordinary exception.
	Code int
	// Fatal says that the server closes the connection.
	Fatal bool
}

// Error gives the class and the message.
func (e *ServerError) Error() string { return fmt.Sprintf("%s: %s", e.Class, e.Message) }

// answer is the header of an answer.
type answer struct {
	id      int32
	status  uint64
	class   string
	message string
	code    uint64
}

// parseAnswer splits a frame into the header and the body, which is empty when the call was refused.
func parseAnswer(frame []byte) (answer, []byte, error) {
	head, rest, err := proto.SplitDelimited(frame)
	if err != nil {
		return answer{}, nil, err
	}
	h, err := proto.Parse(head, readAnswer)
	if err != nil || h.status != statusSuccess || len(rest) == 0 {
		return h, nil, err
	}
	body, _, err := proto.SplitDelimited(rest)
	return h, body, err
}

func readAnswer(d *proto.Decoder) answer {
	var h answer
	for d.Next() {
		switch d.Number() {
		case 1:
			// Sent as unsigned: -1 comes as 4294967295.
			h.id = int32(uint32(d.Uint()))
		case 2:
			h.status = d.Uint()
		case 4:
			h.class = d.String()
		case 5:
			h.message = d.String()
		case 6:
			h.code = d.Uint()
		}
	}
	return h
}

// refusal gives the server's error, or nil.
func (h answer) refusal() *ServerError {
	if h.status == statusSuccess {
		return nil
	}
	message, _, _ := strings.Cut(h.message, "\n\tat ")
	return &ServerError{Class: h.class, Message: message, Code: int(h.code), Fatal: h.status == statusFatal}
}
