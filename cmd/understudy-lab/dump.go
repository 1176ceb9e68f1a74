package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy/lab/kafka"
)

// dumpCommand prints topics as Kafka's own consumer reads them.
func dumpCommand(std streams) *cobra.Command {
	var access kafka.Access
	var version, isolation string
	cmd := &cobra.Command{
		Use:   "dump TOPIC...",
		Short: "Print topics as Kafka's own Java consumer reads them, one JSON line a record",
		Long: "Print every record of the topics, sorted by topic, partition and offset, with times, nulls and headers;\n" +
			"then one line a partition with its start, its end and the consumer's position. Bytes are in base64.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, topics []string) error {
			dir, err := os.MkdirTemp("", "understudy-lab-dump-")
			if err != nil {
				return err
			}
			contents, err := kafka.Dump(cmd.Context(), version, access, kafka.Isolation(isolation), dir, topics...)
			if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
				return err
			}
			for _, r := range contents.Records {
				if err := printLine(std.out, r); err != nil {
					return err
				}
			}
			for _, r := range contents.Ranges {
				if err := printLine(std.out, r); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&access.Addr, "addr", "", "host:port of a broker")
	f.StringVar(&access.User, "user", "", "SASL/PLAIN user (default anonymous)")
	f.StringVar(&access.Password, "password", "", "its password")
	f.StringVar(&version, "version", kafka.V44, "version of the Java client: 3.9.1 or 4.4.0")
	f.StringVar(&isolation, "isolation", string(kafka.ReadCommitted), "read_committed or read_uncommitted")
	cobra.CheckErr(cmd.MarkFlagRequired("addr"))
	return cmd
}
