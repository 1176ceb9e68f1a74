package kafkasim

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func fenceAnswers() []Case {
	return []Case{
		{
			Name: "an append limit of 0", ask: askLimitZero,
			Want: "open=2 probe=10 data=10 idempotent=10 refused-producer=10 marker=10 end=1 reopened=2 data=0@1",
		},
		{
			Name: "an append limit of 78", ask: askLimit78,
			Want: "probe=10 data=10 tiny=0@2 marker=0 commit=0 lso=5 end=5",
		},
		{
			Name: "an append limit of 0 over a transaction", ask: askHung,
			Want: "wrote=0@0 commit=0 reopened=2 lso=0 end=2 init=51 freed=0 lso=3",
		},
		{
			Name: "a DENY ACL", Authorizer: true, ask: askDeny,
			Want: "before=2 wrote=0@0 denied=29 data=29 fenced-producer=29 super=2 lifted=2 end=1",
		},
		{
			Name: "the right to write markers", Authorizer: true, ask: askMarkerRight,
			Want: "writer=31 alterer=0 actor=0 super=0 end=3",
		},
	}
}

func askLimitZero(a *asker) {
	a.write(crafted, 0, 0, 1)
	a.say("open", a.probe())
	a.limit("0", "10")
	a.say("probe", a.probe())
	a.say("data", a.produce(craft{pid: -1, epoch: -1, seq: -1, n: 1}.bytes()))
	a.say("idempotent", a.write(crafted, 0, 1, 1))
	a.say("refused-producer", a.write(crafted, 0, 99, 1))
	a.say("marker", a.markers(crafted, 0, 0, 1))
	a.say("end", a.end())
	a.limit("", "2")
	a.say("reopened", a.probe())
	a.say("data", a.write(crafted, 0, 1, 1))
}

func askLimit78(a *asker) {
	pid, epoch := a.begin("answers-limit-78")
	a.produceTo(a.id, "answers-limit-78", craft{pid: pid, epoch: epoch, n: 2, attributes: bitTransactional}.bytes())
	a.limit("78", "10")
	a.say("probe", a.probe())
	a.say("data", a.produce(craft{pid: -1, epoch: -1, seq: -1, n: 2, pad: 20}.bytes()))
	a.say("tiny", a.produce(craft{pid: -1, epoch: -1, seq: -1, n: 1, pad: 1}.bytes()))
	a.say("marker", a.markers(crafted, 0, 0, 1))
	a.say("commit", a.finish("answers-limit-78", pid, epoch, true))
	a.say("lso", a.reaches(a.lso, 5))
	a.say("end", a.end())
}

func askHung(a *asker) {
	pid, epoch := a.begin("answers-limit-0")
	a.say("wrote", a.produceTo(a.id, "answers-limit-0", craft{pid: pid, epoch: epoch, n: 2, attributes: bitTransactional}.bytes()))
	a.limit("0", "10")
	a.say("commit", a.finishRefused("answers-limit-0", pid, epoch))
	a.limit("", "2")
	a.say("reopened", a.probe())
	a.say("lso", a.lso())
	a.say("end", a.end())
	_, _, code := a.initProducer("answers-limit-0")
	a.say("init", code)
	a.say("freed", a.markers(pid, epoch+1, 1, 1))
	a.say("lso", a.lso())
}

func askDeny(a *asker) {
	a.acl("writer", kmsg.ACLResourceTypeTopic, a.topic, kmsg.ACLOperationWrite, kmsg.ACLPermissionTypeAllow)
	w := a.alias("writer")
	defer w.close()
	w.until(func() bool { return w.probe() == "2" })
	w.say("before", w.probe())
	w.say("wrote", w.write(crafted, 4, 0, 1))
	a.acl("writer", kmsg.ACLResourceTypeTopic, a.topic, kmsg.ACLOperationWrite, kmsg.ACLPermissionTypeDeny)
	w.until(func() bool { return w.probe() != "2" })
	w.say("denied", w.probe())
	w.say("data", w.write(crafted, 4, 1, 1))
	w.say("fenced-producer", w.write(crafted, 3, 0, 1))
	w.say("super", a.probe())
	a.dropACL("writer", kmsg.ACLPermissionTypeDeny)
	w.until(func() bool { return w.probe() == "2" })
	w.say("lifted", w.probe())
	w.say("end", a.end())
	a.said = w.said
	a.fail(w.err)
}

func askMarkerRight(a *asker) {
	a.acl("alterer", kmsg.ACLResourceTypeCluster, "kafka-cluster", kmsg.ACLOperationAlter, kmsg.ACLPermissionTypeAllow)
	a.acl("actor", kmsg.ACLResourceTypeCluster, "kafka-cluster", kmsg.ACLOperationClusterAction, kmsg.ACLPermissionTypeAllow)
	a.acl("writer", kmsg.ACLResourceTypeTopic, a.topic, kmsg.ACLOperationWrite, kmsg.ACLPermissionTypeAllow)
	for _, user := range []string{"writer", "alterer", "actor", ""} {
		w := a.alias(user)
		code := w.markers(crafted, 0, 0, 1)
		if user == "alterer" || user == "actor" {
			w.until(func() bool { code = w.markers(crafted, 0, 0, 0); return code != "31" })
		}
		if user == "" {
			user = "super"
		}
		a.say(user, code)
		a.fail(w.err)
		w.close()
	}
	a.say("end", a.end())
}

// acl adds one ACL, for any host.
func (a *asker) acl(user string, on kmsg.ACLResourceType, name string, op kmsg.ACLOperation, how kmsg.ACLPermissionType) int16 {
	req := kmsg.NewPtrCreateACLsRequest()
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType = on, name, kmsg.ACLResourcePatternTypeLiteral
	c.Principal, c.Host, c.Operation, c.PermissionType = "User:"+user, "*", op, how
	req.Creations = append(req.Creations, c)
	for _, r := range a.request(req).(*kmsg.CreateACLsResponse).Results {
		return r.ErrorCode
	}
	return kerr.UnknownServerError.Code
}

// dropACL removes a principal's ACLs of one permission on the topic.
func (a *asker) dropACL(user string, how kmsg.ACLPermissionType) int16 {
	req := kmsg.NewPtrDeleteACLsRequest()
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourceName, f.ResourcePatternType = kmsg.ACLResourceTypeTopic, &a.topic, kmsg.ACLResourcePatternTypeLiteral
	f.Principal, f.Operation, f.PermissionType = kmsg.StringPtr("User:"+user), kmsg.ACLOperationAny, how
	req.Filters = append(req.Filters, f)
	for _, r := range a.request(req).(*kmsg.DeleteACLsResponse).Results {
		return r.ErrorCode
	}
	return kerr.UnknownServerError.Code
}
