package static_test

import (
	"testing"

	"github.com/understudy-dr/understudy/provision/provisiontest"
	"github.com/understudy-dr/understudy/provision/static"
)

func TestStaticConforms(t *testing.T) {
	provisiontest.Run(t, func(*testing.T) provisiontest.Harness {
		return provisiontest.Harness{Provisioner: static.New(), Always: true}
	})
}
