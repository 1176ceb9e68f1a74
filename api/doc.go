// Package api is the HTTP API of `understudy serve` and its Go client: routes.go is the whole surface. It
// must not decide anything; every request becomes one call of control, in the caller's name.
package api
