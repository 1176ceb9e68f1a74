package kafka

// Config is a Kafka workload's own part of a plan. What a key means stands in its doc tag, from which the reference of
// files is made.
type Config struct {
	Topics      []string `yaml:"topics" json:"topics" doc:"anchored patterns of the topics to protect, such as \"orders.*\", also of those that are made later; topics of Kafka itself are never matched"`
	Exclude     []string `yaml:"exclude,omitempty" json:"exclude,omitempty" doc:"anchored patterns of topics to leave out although topics matches them"`
	Groups      []string `yaml:"groups,omitempty" json:"groups,omitempty" doc:"anchored patterns of the consumer groups whose positions follow; left out: all groups, with their positions in the protected topics"`
	Writers     []string `yaml:"writers,omitempty" json:"writers,omitempty" doc:"principals that may write the topics, such as \"User:app\", besides those that the cluster's ACLs name; a fence denies each of them. User:* is refused"`
	Replication int      `yaml:"replication,omitempty" json:"replication,omitempty" doc:"replication factor of topics that are made on a secondary; left out: as on the primary, and never more than the secondary has brokers"`
}

// Endpoint is one Kafka cluster in a site file.
type Endpoint struct {
	Brokers    []string `yaml:"brokers" json:"brokers" doc:"addresses to begin with, each host:port; the other brokers are learnt from these"`
	TLS        *TLS     `yaml:"tls,omitempty" json:"tls,omitempty" doc:"encrypts the connections; an empty mapping is enough where the system's certificates sign the brokers'"`
	SASL       *SASL    `yaml:"sasl,omitempty" json:"sasl,omitempty" doc:"the login of understudy itself"`
	Principal  string   `yaml:"principal,omitempty" json:"principal,omitempty" doc:"the name under which the brokers know understudy, such as \"User:understudy\"; left out: User: and the login's user. Needed where an authorizer is on and the name does not come from sasl.user, as with client certificates"`
	Writer     *Writer  `yaml:"writer,omitempty" json:"writer,omitempty" doc:"an ordinary writer, with whose credentials the harmless write probes are sent that prove a fence by ACLs. Left out: nobody can prove such a denial, and a fence closes the topics by their append limit (max.message.bytes) as well"`
	SuperUsers []string `yaml:"superUsers,omitempty" json:"superUsers,omitempty" doc:"principals that no ACL stops; every proof of a fence by ACLs names them beside it"`
}

// TLS names the secrets of an encrypted connection.
type TLS struct {
	CA         string `yaml:"ca,omitempty" json:"ca,omitempty" doc:"name of the secret with the PEM certificates that sign the brokers'; left out: the system's"`
	Cert       string `yaml:"cert,omitempty" json:"cert,omitempty" doc:"name of the secret with understudy's own certificate in PEM, where the brokers ask for one"`
	Key        string `yaml:"key,omitempty" json:"key,omitempty" doc:"name of the secret with that certificate's key in PEM"`
	ServerName string `yaml:"serverName,omitempty" json:"serverName,omitempty" doc:"the name that the brokers' certificates carry, where it is not the address"`
}

// SASL is a login.
type SASL struct {
	Mechanism string `yaml:"mechanism" json:"mechanism" doc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"`
	User      string `yaml:"user,omitempty" json:"user,omitempty" doc:"the login's name; left out, the secret's value is user:password"`
	Secret    string `yaml:"secret" json:"secret" doc:"name of the secret with the password"`
}

// Writer is the login of an ordinary writer.
type Writer struct {
	Brokers   []string `yaml:"brokers,omitempty" json:"brokers,omitempty" doc:"addresses for the writer, each host:port, where it uses another listener; left out: the endpoint's"`
	SASL      *SASL    `yaml:"sasl,omitempty" json:"sasl,omitempty" doc:"the writer's login; none where the cluster has no authentication"`
	Principal string   `yaml:"principal,omitempty" json:"principal,omitempty" doc:"the name under which the brokers know the writer; left out: User: and the login's user. It must not be understudy's own"`
}
