package storage

import "github.com/understudy-dr/understudy/workload"

// starter is what somebody begins with who protects trees for the first time.
func starter() workload.Starter {
	return workload.Starter{East: starterEast, West: starterWest, Workload: starterTrees}
}

const (
	starterEast = `
lake:
  hdfs:
    namenodes: [nn-east-1.example.com:8020, nn-east-2.example.com:8020]   # all of a highly available set
    user: understudy      # a superuser: nobody else can give files to their owners. With Kerberos instead of it:
    # kerberos: { principal: understudy/serve.example.com@EAST.EXAMPLE.COM, keytab: hdfs-east }
    # Secrets are named here only. Where their values are, serve's own configuration says.
    # An ordinary user, whose refused write proves a fence. With simple authentication any name does; with Kerberos name one.
    # writer: { user: app }
`
	starterWest = `
lake:
  hdfs:
    namenodes: [nn-west-1.example.com:8020]
    user: understudy
  # A store of another sort in the place of hdfs, at either site. A side on S3 with fence: none, on Blob Storage without
  # policies, or on ADLS Gen2 cannot be left by a switchover, since nothing there provably keeps writers out.
  # s3: { url: https://s3.eu-west-1.amazonaws.com, bucket: lake-west, secret: s3-west, fence: none }
  # blob: { url: https://ACCOUNT.blob.core.windows.net, container: lake, secret: blob-west }
  # adls: { url: https://ACCOUNT.dfs.core.windows.net, fileSystem: lake, secret: adls-west }
  # local: { root: /mnt/lake }
`
	starterTrees = `
name: curated
kind: storage
architecture: standby-secondary   # or on-demand-secondary: the other cluster is made for each run (provision in its site)
cluster: lake
schedule: every 4h        # or a cron expression, "0 2 * * *"
objective:
  rpo: 5h                 # how much of the newest writes may be lost: the schedule, and how long a run takes
  rto: 1h                 # how long a takeover may take
# When a step of this workload fails: stop (everything pauses), quarantine (the others go on without it) or
# continue (only where nothing can be lost). There is no default.
onFailure: stop
trees: [{ path: /data/curated }]   # the same path at every site
# What one run may delete; a run that would delete more is refused as a whole. There is no default.
guard:
  deletes: 1000           # entries of a tree
  percent: 5              # of its entries
  keep: 30d               # how long what was deleted is kept beside the tree
# proof: read             # staged files are read back at the target before they are shown
# after: []               # workloads of this plan that come before this one
`
)
