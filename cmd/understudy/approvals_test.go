package main

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/understudy-dr/understudy"
	"github.com/understudy-dr/understudy/control"
	"github.com/understudy-dr/understudy/spec"
	"github.com/understudy-dr/understudy/workload/all"
)

// Every verb that a plan's approvals may name waits for the approval before anything that it does to a site.
func TestEveryVerbOfApprovalsWaits(t *testing.T) {
	t.Parallel()
	text, err := spec.Schema(all.Registry())
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Else struct {
			Properties struct {
				Approvals struct {
					Items struct {
						Enum []understudy.Verb `json:"enum"`
					} `json:"items"`
				} `json:"approvals"`
			} `json:"properties"`
		} `json:"else"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	verbs := schema.Else.Properties.Approvals.Items.Enum
	if len(verbs) < 6 {
		t.Fatalf("the schema names %q", verbs)
	}
	harmless := []understudy.StageName{understudy.StageCheck, understudy.StageConfirm, understudy.StageBound, understudy.StageApprove}
	for _, v := range verbs {
		for _, row := range control.Stages(v) {
			if slices.Contains(row.After, control.ActApprove) {
				break
			}
			if !slices.Contains(harmless, row.Stage) {
				t.Errorf("%s does its stage %s before anybody approved it", v, row.Stage)
				break
			}
		}
	}
}
