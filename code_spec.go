package understudy

func specCodes() []Explanation {
	return append(shapeCodes(), referenceCodes()...)
}

func shapeCodes() []Explanation {
	return []Explanation{
		{"US400", "Not YAML", "The text of a document does not follow YAML's own rules, so that nothing in it was read. Other documents of the same file were still checked. Common causes are tabs, a missing space after a colon, and a bracket that is not closed."},
		{"US401", "Neither a site nor a plan", "Every document of a directory of plans begins with `site: NAME` or `plan: NAME`, and is one of the two. serve's own configuration does not belong there: it is passed with `understudy serve --config`."},
		{"US402", "Unknown key", "A key that nobody reads is refused, because it is most often a misspelt one, and the setting it was meant for would silently not apply. The message lists the keys that are allowed in that place."},
		{"US403", "Duplicate key", "The same key stands twice in one mapping. Only one of the two could be meant, and nobody can say which."},
		{"US404", "Wrong type", "A value is of another type than its key takes, for instance a number where text is expected, or one value where a list is. Numbers and true or false that are meant as text are written in quotes."},
		{"US405", "Not one of the allowed values", "The key takes one of a few words, and this is none of them. The message lists them."},
		{"US406", "Missing key", "A required key is not there. Some keys, such as onFailure, are required although a default would be convenient: each choice is wrong for someone, and a default would make it silently."},
		{"US407", "Empty value", "A key is there without a value, or its list or text is empty. An empty value is not the same as a default: write a value, or remove the key."},
		{"US408", "Not a name", "Names of sites, plans, workloads, clusters, hooks and secrets have lower-case letters, digits, '-', '_' and '.', begin with a letter or a digit, and have at most 63 characters. They become part of keys, metrics and file names."},
		{"US409", "Not a duration", "A duration is a number with a unit: 500ms, 30s, 10m, 5h, 1h30m, or whole days such as 7d. It is positive. A number without a unit is refused, because its meaning could only be guessed."},
		{"US410", "Not a size", "A size is a whole number with a unit: B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024)."},
		{"US411", "Not a pattern", "Patterns of topics, tables and paths are RE2 expressions. They match whole names: `orders` matches only that name, `orders.*` every name that begins with it. They are not shell globs: `*` alone repeats what stands before it, and `.` stands for any character."},
		{"US412", "A secret stands in a file", "Files of sites and plans hold names of secrets, never secrets. Names have lower-case letters, digits, '-', '_' and '.'; what stands here does not look like one, or its key sounds like a password. Put the secret where serve can read it (a file, an environment variable or a command), give it a name under `secrets:` in serve's configuration, write that name here, and change the secret itself: it has been in a file."},
		{"US426", "Anchors, aliases and tags", "YAML's anchors (&), aliases (*), merge keys (<<) and tags (!) are not part of these files. What a plan says must be readable where it stands, and in a diff of it."},
		{"US427", "The file cannot be read", "The file does not exist, may not be read, is not UTF-8 text, is larger than 1 MiB, or is nested beyond anything a plan needs."},
		{"US428", "Nothing to read", "There is no document in the files that were named. `understudy init` writes a first site and plan."},
		{"US432", "Out of range", "A number, a duration or a size is smaller or larger than what makes sense for its key. The message gives the bounds."},
		{"US440", "Not a schedule", "A schedule is `every` and a duration (every 4h, every 1d; from a minute to 366 days), counted from when the link was assigned, or a cron expression of five fields: minute, hour, day of month, month, day of week. Cron expressions are read in UTC unless CRON_TZ=Europe/Berlin, or another time zone that this machine knows, stands before them."},
		{"US439", "Not an address", "The key takes a URL with a scheme and a port, such as https://etcd-1:2379."},
	}
}

func referenceCodes() []Explanation {
	return []Explanation{
		{"US413", "A document is there twice", "Two documents of the files that were read together have the same type and name. When files are applied, a document replaces the one of the same name; within one set of files nobody can say which of two is meant."},
		{"US414", "A name is there twice", "Two workloads of a plan have the same name, or a list names the same thing twice."},
		{"US415", "Unknown kind of workload", "No kind of that name is built into this program. `understudy schema` lists the kinds with their keys."},
		{"US416", "Not offered by this kind", "Each kind of workload offers some architectures, and some engines for each of them. This pair is not among them. Nothing is substituted, because another architecture or engine makes other promises about loss."},
		{"US417", "Unknown site", "A plan names a site that no document describes. Describe it in a document `site: NAME`, or correct the name. Sites that were applied earlier count when a server is asked; `understudy validate` without a server knows the files only."},
		{"US418", "A site has no such cluster", "A workload's cluster has the same name at each site of its plan, and one of the sites has no cluster of that name."},
		{"US419", "A cluster has no such endpoint", "The kind of the workload reaches its cluster by an endpoint that this cluster does not describe."},
		{"US420", "Unknown workload in after", "`after` names workloads of the same plan. This one is not among them. Order between plans is not expressed in files: fail over the plans one after another."},
		{"US421", "Workloads wait for each other", "The workloads' `after` form a circle, so that none of them could be first."},
		{"US422", "Home is not a site of the plan", "The home site is active at first and is where a failback returns, so it is one of the plan's sites."},
		{"US423", "Too few sites", "A plan needs at least two sites: with one there is nowhere to go."},
		{"US424", "No hook runs at this stage", "Hooks run at the stages check, confirm, freeze, enable, prove, route and unfreeze. The stages between them consist of proofs and role changes, and nothing of a customer's runs there."},
		{"US425", "Not available yet", "The key is reserved, and what it asks for is not built yet. It is refused instead of ignored, so that nobody relies on it."},
		{"US429", "A link that cannot be", "An explicit link goes from one site of the plan to another one, and stands in the list once."},
		{"US430", "Not an absolute path", "Paths in serve's configuration begin with /. What a relative path means would depend on where the process was started."},
		{"US431", "More than one document", "serve's configuration is one document. Sites and plans are kept in files of their own and applied with `understudy apply`."},
		{"US433", "Unknown secret", "A site names a secret that serve's configuration does not know. Add it under `secrets:` there, or correct the name. Who may apply a plan can only name secrets that serve was given. `apply` and `validate --live` ask the member of serve that answers them; what is applied already stays applied when its secret goes from the configuration."},
		{"US434", "A secret cannot be read", "serve knows where the secret is, but could not read it there: the variable is not set, the file is missing or not readable for its user, or the command failed. It is tried again; a link that needs the secret waits."},
		{"US435", "A secret is empty", "The place of the secret was read and holds nothing. Of a store whose keys or certificates these are it is then not known whether it is there, as with US743: a failover that would have to fence it stops, and `--accept-fence` does not help. Put the value there; it is read again at the next look."},
		{"US436", "Unknown hook", "A plan names a hook that serve's configuration does not know. Add its command under `hooks:` there, or correct the name. `apply` and `validate --live` refuse it, before a stage needs it."},
		{"US441", "Nothing runs by schedule here", "Only architectures whose replication consists of runs take a schedule. In the others a mover follows the source all the time, and a schedule would be ignored."},
		{"US442", "Unknown provisioner", "A site names a provisioner for a cluster that serve's configuration does not know. Add its command under `provisioners:` there, or correct the name; `static` means a cluster that is always there. Who may apply a site can only name commands that serve was given."},
		{"US443", "Two endpoints for one kind", "A cluster has two endpoints by which the workload's kind could reach it, such as hdfs and local. They may be two different things, and none is preferred. Make two clusters of it, under names of their own, and name the one that is meant."},
		{"US437", "A secret needs one source", "Each secret has exactly one of env (an environment variable), file (a path) and exec (a command that prints it)."},
	}
}
