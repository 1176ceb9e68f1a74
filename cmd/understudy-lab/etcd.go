package main

import (
	"github.com/spf13/cobra"

	"github.com/understudy-dr/understudy/lab"
	"github.com/understudy-dr/understudy/lab/etcd"
)

// etcdCommand runs one etcd member in this process until a signal.
func etcdCommand(std streams) *cobra.Command {
	var c etcd.Config
	cmd := &cobra.Command{
		Use:   "etcd",
		Short: "Run one etcd member on loopback until a signal",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ports, err := lab.Reserve(2)
			if err != nil {
				return err
			}
			defer ports.Release()
			if c.ClientPort == 0 {
				c.ClientPort = ports.Numbers[0]
			}
			if c.PeerPort == 0 {
				c.PeerPort = ports.Numbers[1]
			}
			return etcd.Serve(cmd.Context(), c, std.out)
		},
	}
	cmd.Flags().StringVar(&c.Dir, "data", "", "directory for data and log")
	cmd.Flags().IntVar(&c.ClientPort, "port", 0, "port for clients (default a free one)")
	cmd.Flags().IntVar(&c.PeerPort, "peer-port", 0, "port for peers (default a free one)")
	cobra.CheckErr(cmd.MarkFlagRequired("data"))
	return cmd
}
