package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/hdfs"
	"github.com/understudy-dr/understudy/lab/kafka"
)

// fetchCommand fills the cache.
func fetchCommand(std streams) *cobra.Command {
	mirror, hadoop := false, false
	cmd := &cobra.Command{
		Use:   "fetch [VERSION...]",
		Short: "Bring jars and class data archives into the cache, for all versions or those named",
		RunE: func(cmd *cobra.Command, versions []string) error {
			if len(versions) == 0 {
				versions = kafka.Versions()
			}
			dir, err := lab.CacheDir()
			if err != nil {
				return err
			}
			for _, v := range versions {
				start := time.Now()
				if err := kafka.Fetch(cmd.Context(), v); err != nil {
					return err
				}
				fmt.Fprintf(std.err, "kafka %s is in %s (%.1fs)\n", v, dir, time.Since(start).Seconds())
			}
			if hadoop {
				if err := fetchHadoop(cmd.Context(), std); err != nil {
					return err
				}
			}
			if mirror {
				return kafka.FetchMirror(cmd.Context())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&mirror, "mirrormaker", false, "MirrorMaker "+kafka.MirrorVersion+" too, for benchmarks")
	cmd.Flags().BoolVar(&hadoop, "hadoop", false, "Hadoop "+hdfs.Version+" too: HDFS, YARN and DistCp")
	return cmd
}

func fetchHadoop(ctx context.Context, std streams) error {
	start := time.Now()
	if err := hdfs.Fetch(ctx); err != nil {
		return err
	}
	if err := hdfs.FetchYARN(ctx); err != nil {
		return err
	}
	fmt.Fprintf(std.err, "hadoop %s is there (%.1fs)\n", hdfs.Version, time.Since(start).Seconds())
	return nil
}
