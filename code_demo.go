package understudy

func demoCodes() []Explanation {
	return []Explanation{
		{"US514", "The demonstration found a broken promise", "`understudy demo` counted for itself what became of every acknowledged record, and the count is not what the product promises. The whole result is in the output. This is a mistake of the product; please report it with `understudy demo -o json`."},
		{"US515", "The demonstration could not be told to its end", "A step of `understudy demo` failed; the message says which. Everything that it had started was ended and removed. Run it again; on a machine that is very busy the simulated servers may be too slow."},
		{"US516", "Real servers cannot be started here", "`understudy demo --real` runs Apache Kafka by the program understudy-lab, which needs a JDK of version 17 or newer, and Maven the first time. The message names what is missing. `understudy demo` without --real needs none of it."},
	}
}
