package kafka

// Config is a Kafka workload's own part of a plan.
type Config struct {
	// Topics are anchored RE2 patterns of the topics to protect, such as "orders\\..*". Topics of Kafka itself
	// are never matched.
	Topics []string `yaml:"topics" json:"topics"`
	// Exclude are anchored RE2 patterns of topics to leave out although they match Topics.
	Exclude []string `yaml:"exclude,omitempty" json:"exclude,omitempty"`
	// Groups are anchored RE2 patterns of the consumer groups whose positions follow. Default: all.
	Groups []string `yaml:"groups,omitempty" json:"groups,omitempty"`
	// Writers are principals that may write the topics, such as "User:app", besides those that the cluster's
	// ACLs name. A fence denies each of them.
	Writers []string `yaml:"writers,omitempty" json:"writers,omitempty"`
	// Replication is the replication factor of topics made on a secondary. Default: as on the primary, at most
	// the number of brokers there.
	Replication int `yaml:"replication,omitempty" json:"replication,omitempty"`
}

// Endpoint is one Kafka cluster in a site file.
type Endpoint struct {
	// Brokers are the addresses to begin with, host:port.
	Brokers []string `yaml:"brokers" json:"brokers"`
	// TLS encrypts the connection.
	TLS *TLS `yaml:"tls,omitempty" json:"tls,omitempty"`
	// SASL is the login of understudy itself.
	SASL *SASL `yaml:"sasl,omitempty" json:"sasl,omitempty"`
	// Principal is the name under which the brokers know understudy. Default: User: and the login's user.
	Principal string `yaml:"principal,omitempty" json:"principal,omitempty"`
	// Writer is an ordinary writer, with whose credentials the harmless write probes are sent. Without it a
	// fence by ACLs is called unproven.
	Writer *Writer `yaml:"writer,omitempty" json:"writer,omitempty"`
	// SuperUsers are principals that no ACL stops; they are named beside every proof of a fence.
	SuperUsers []string `yaml:"superUsers,omitempty" json:"superUsers,omitempty"`
}

// TLS names the secrets of an encrypted connection.
type TLS struct {
	// CA names a secret with the PEM certificates that sign the brokers'. Default: the system's.
	CA string `yaml:"ca,omitempty" json:"ca,omitempty"`
	// Cert and Key name secrets with our own certificate and key, in PEM.
	Cert string `yaml:"cert,omitempty" json:"cert,omitempty"`
	Key  string `yaml:"key,omitempty" json:"key,omitempty"`
	// ServerName is the name that the brokers' certificate must carry, where it is not the address.
	ServerName string `yaml:"serverName,omitempty" json:"serverName,omitempty"`
}

// SASL is a login.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism string `yaml:"mechanism" json:"mechanism"`
	// User is the login's name. Without it the secret's value is "user:password".
	User string `yaml:"user,omitempty" json:"user,omitempty"`
	// Secret names the secret with the password.
	Secret string `yaml:"secret" json:"secret"`
}

// Writer is the login of an ordinary writer.
type Writer struct {
	// Brokers are other addresses for the writer, where it uses another listener. Default: the endpoint's.
	Brokers []string `yaml:"brokers,omitempty" json:"brokers,omitempty"`
	// SASL is the writer's login; none where the cluster has no authentication.
	SASL *SASL `yaml:"sasl,omitempty" json:"sasl,omitempty"`
	// Principal is the name under which the brokers know the writer. Default: User: and the login's user.
	Principal string `yaml:"principal,omitempty" json:"principal,omitempty"`
}
