// Package kerberos runs a real key distribution centre (MIT Kerberos, on loopback, with a database and a
// configuration of its own) for tests of secured servers. It must not know the product, nor who is secured.
//
//	k := kerberos.Boot(t, kerberos.Options{})
//	keytab, err := k.Keytab("alice")   // made where it is new
//	hdfs.Boot(t, hdfs.Options{Kerberos: k, Protection: hdfs.Privacy})
package kerberos
