package etcd

func child() bool { return false }
