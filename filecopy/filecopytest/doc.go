// Package filecopytest is the conformance suite of filecopy: every store, and every mover, is run through it, on fakes and on real
// servers. It must not know any particular store or mover; a Rig brings them.
package filecopytest
