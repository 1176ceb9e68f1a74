package kafkasim

import (
	"bufio"
	"net"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// client is one connection of a client, and its own connection to kfake.
type client struct {
	cluster    *Cluster
	conn       net.Conn
	up         *upstream
	advertised string
	loggedIn   bool
	gone       chan struct{}
	once       sync.Once
}

// kill resets the connection. What kfake is appending for it is taken into account first: cut off in between, a
// batch would stand in the log that its producer's state does not know, and a retry would be taken for a new one.
func (cl *client) kill() {
	cl.once.Do(func() {
		close(cl.gone)
		reset(cl.conn)
		cl.cluster.log.Lock()
		defer cl.cluster.log.Unlock()
		cl.up.close()
	})
}

// serve answers one request after the other, in order, as a broker does for a connection.
func (cl *client) serve() {
	defer cl.kill()
	in := bufio.NewReader(cl.conn) // a frame's length and the frame in one read
	for {
		frame, err := readFrame(in)
		if err != nil {
			return
		}
		asked, err := parse(frame)
		if err != nil {
			return
		}
		if !cl.handle(asked) {
			return
		}
	}
}

// handle carries out one request; false ends the connection.
func (cl *client) handle(in inbound) bool {
	fate := cl.cluster.hooks.meet(in.req, cl.gone)
	if fate == dropBefore {
		return false
	}
	answer, err := cl.answer(in)
	if err != nil || fate == dropAfter {
		return false
	}
	if answer == nil {
		return true
	}
	_, err = cl.conn.Write(answer)
	return err == nil
}

// answer gives the frame to answer with, nil for none.
func (cl *client) answer(in inbound) ([]byte, error) {
	if err := cl.authenticated(in.req); err != nil {
		return nil, err
	}
	switch req := in.req.(type) {
	case *kmsg.ProduceRequest:
		return cl.produce(in, req)
	case *kmsg.FetchRequest:
		return cl.fetch(in)
	case *kmsg.ListOffsetsRequest:
		return cl.listOffsets(in)
	case *kmsg.WriteTxnMarkersRequest:
		return cl.writeMarkers(in, req)
	case *kmsg.DescribeProducersRequest:
		return cl.describeProducers(in)
	case *kmsg.InitProducerIDRequest, *kmsg.AddPartitionsToTxnRequest, *kmsg.EndTxnRequest:
		return cl.transaction(in)
	case *kmsg.ListTransactionsRequest, *kmsg.DescribeTransactionsRequest:
		return cl.openTransactions(in)
	case *kmsg.MetadataRequest, *kmsg.FindCoordinatorRequest, *kmsg.DescribeClusterRequest:
		return cl.addresses(in)
	case *kmsg.CreateTopicsRequest, *kmsg.AlterConfigsRequest, *kmsg.IncrementalAlterConfigsRequest, *kmsg.DescribeConfigsRequest:
		return cl.configs(in)
	case *kmsg.DeleteTopicsRequest, *kmsg.DeleteRecordsRequest:
		return cl.deletion(in)
	case *kmsg.DescribeACLsRequest, *kmsg.CreateACLsRequest, *kmsg.DeleteACLsRequest:
		return cl.acls(in)
	case *kmsg.OffsetCommitRequest:
		return cl.commit(in, req)
	case *kmsg.SASLAuthenticateRequest:
		return cl.authenticate(in)
	default:
		return cl.up.relay(in.frame)
	}
}

// exchange sends a changed request on the client's own connection and decodes the answer.
func (cl *client) exchange(in inbound) (kmsg.Response, error) { return cl.up.ask(in.req, in.clientID) }

// authenticated logs the connection in as User:ANONYMOUS when its first request does not log it in.
func (cl *client) authenticated(req kmsg.Request) error {
	if cl.loggedIn {
		return nil
	}
	switch req.(type) {
	case *kmsg.ApiVersionsRequest:
		return nil
	case *kmsg.SASLHandshakeRequest, *kmsg.SASLAuthenticateRequest:
		return nil // kfake closes the connection on anything else until the login is complete
	}
	cl.loggedIn = true
	return cl.up.login(anonymous, anonymous)
}

// authenticate relays a step of a login. kfake hangs up on a wrong password, a broker says so first.
func (cl *client) authenticate(in inbound) ([]byte, error) {
	answer, err := cl.up.relay(in.frame)
	if err != nil {
		resp := in.req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		resp.ErrorMessage = kmsg.StringPtr("Authentication failed: Invalid username or password")
		return encode(resp, in.corr), nil
	}
	cl.loggedIn = true
	return answer, nil
}

// acls relays what is asked about ACLs, where there is an authorizer.
func (cl *client) acls(in inbound) ([]byte, error) {
	if cl.cluster.opts.Authorizer {
		return cl.up.relay(in.frame)
	}
	code, why := kerr.SecurityDisabled.Code, kmsg.StringPtr("No Authorizer is configured on the broker")
	answer := in.req.ResponseKind()
	switch resp := answer.(type) {
	case *kmsg.DescribeACLsResponse:
		resp.ErrorCode, resp.ErrorMessage = code, why
	case *kmsg.CreateACLsResponse:
		for range in.req.(*kmsg.CreateACLsRequest).Creations {
			resp.Results = append(resp.Results, kmsg.CreateACLsResponseResult{ErrorCode: code, ErrorMessage: why})
		}
	case *kmsg.DeleteACLsResponse:
		for range in.req.(*kmsg.DeleteACLsRequest).Filters {
			resp.Results = append(resp.Results, kmsg.DeleteACLsResponseResult{ErrorCode: code, ErrorMessage: why})
		}
	}
	return encode(answer, in.corr), nil
}

// clusterOps are the operations that exist on a cluster: CREATE, ALTER, DESCRIBE, CLUSTER_ACTION,
// DESCRIBE_CONFIGS, ALTER_CONFIGS and IDEMPOTENT_WRITE.
const clusterOps = 0b1_1111_1010_0000

// opsOnCluster leaves the operations of an answer that exist; a negative answer means that none were asked for.
func opsOnCluster(ops int32) int32 {
	if ops < 0 {
		return ops
	}
	return ops & clusterOps
}

// addresses relays an answer that names the broker, with the address that this client is to dial.
func (cl *client) addresses(in inbound) ([]byte, error) {
	answer, err := cl.up.relay(in.frame)
	if err != nil {
		return nil, err
	}
	resp, err := decode(in.req, answer)
	if err != nil {
		return nil, err
	}
	host, port, err := split(cl.advertised)
	if err != nil {
		return nil, err
	}
	switch resp := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range resp.Brokers {
			resp.Brokers[i].Host, resp.Brokers[i].Port = host, port
		}
		cl.cluster.stalls.disown(resp)
		resp.AuthorizedOperations = opsOnCluster(resp.AuthorizedOperations)
	case *kmsg.DescribeClusterResponse:
		resp.ClusterAuthorizedOperations = opsOnCluster(resp.ClusterAuthorizedOperations)
		for i := range resp.Brokers {
			resp.Brokers[i].Host, resp.Brokers[i].Port = host, port
		}
	case *kmsg.FindCoordinatorResponse:
		resp.Host, resp.Port = host, port
		for i := range resp.Coordinators {
			resp.Coordinators[i].Host, resp.Coordinators[i].Port = host, port
		}
	}
	return encode(resp, in.corr), nil
}

func split(addr string) (string, int32, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseInt(port, 10, 32)
	return host, int32(n), err
}
